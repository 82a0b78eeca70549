//! Handlers that consist of one function, for lines, messages or keys.

use crate::base::{ConnId, Payload};
use crate::handler::{Event, Handler, Hub, NoNote};
use crate::wire::telnet::{InputMode, Key, Signal};
use core::marker::PhantomData;

/// Creates a handler that calls a function for each line or other message, as text.
///
/// Invalid UTF-8 is replaced by U+FFFD. `C` is the [state](Handler::Context) of each connection.
///
/// ```
/// use drupe_core::kit::on_lines;
/// use drupe_core::testing::TestHub;
///
/// let mut hub = TestHub::new(on_lines(|hub, conn, line| {
///     let count: &mut u32 = hub.context(conn).expect("open");
///     *count += 1;
///     let answer = format!("{count}: {}", line.to_uppercase());
///     hub.send(conn, &answer);
/// }));
/// let peer = hub.connect();
/// hub.line(peer, "hello");
/// assert_eq!(hub.lines(peer), ["1: HELLO"]);
/// ```
pub fn on_lines<C: Default, F: FnMut(&mut Hub<'_, C>, ConnId, &str)>(
    mut act: F,
) -> impl Handler<Context = C, Note = NoNote> {
    on_messages(move |hub, conn, payload| {
        act(hub, conn, &alloc::string::String::from_utf8_lossy(payload.as_bytes()));
    })
}

/// Creates a handler that calls a function for each message. `C` is as in [`on_lines`].
pub fn on_messages<C: Default, F: FnMut(&mut Hub<'_, C>, ConnId, Payload<'_>)>(
    act: F,
) -> impl Handler<Context = C, Note = NoNote> {
    OnMessages(act, PhantomData)
}

/// Creates a handler that calls a function for each key that a peer sends.
///
/// It sets each connection to [`InputMode::Keys`]: telnet peers, and terminals without telnet on
/// `raw://` listeners. Input of peers that do not send single keys is ignored, such as messages on
/// a WebSocket without telnet. `C` is as in [`on_lines`].
pub fn on_keys<C: Default, F: FnMut(&mut Hub<'_, C>, ConnId, Key)>(act: F) -> impl Handler<Context = C, Note = NoNote> {
    OnKeys(act, PhantomData)
}

struct OnMessages<C, F>(F, PhantomData<fn() -> C>);

impl<C: Default, F: FnMut(&mut Hub<'_, C>, ConnId, Payload<'_>)> Handler for OnMessages<C, F> {
    type Context = C;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, C>, event: Event<'_, NoNote>) {
        if let Event::Message { conn, payload } = event {
            self.0(hub, conn, payload);
        }
    }

    fn reads_keys(&self) -> bool {
        false
    }
}

struct OnKeys<C, F>(F, PhantomData<fn() -> C>);

impl<C: Default, F: FnMut(&mut Hub<'_, C>, ConnId, Key)> Handler for OnKeys<C, F> {
    type Context = C;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, C>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                hub.set_input_mode(conn, InputMode::Keys);
            }
            Event::Signal { conn, signal: Signal::Key(key) } => self.0(hub, conn, key),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Listen};
    use crate::testing::TestHub;
    use alloc::vec::Vec;
    use std::sync::mpsc::channel;

    #[test]
    fn on_lines_receives_invalid_utf8_as_replacement_characters() {
        let config = Config::listening(["tcp://127.0.0.1:1?invalid=bytes".parse::<Listen>().expect("good")]);
        let mut hub = TestHub::with_config(
            config,
            on_lines(|hub: &mut Hub<'_, ()>, conn, line| {
                hub.send(conn, line);
            }),
        );
        let peer = hub.connect();
        hub.send(peer, b"a\xffb\n");
        assert_eq!(hub.lines(peer), ["a\u{fffd}b"]);
    }

    #[test]
    fn on_keys_receives_keys_one_by_one() {
        let (send, keys) = channel();
        let handler = on_keys(move |_: &mut Hub<'_, ()>, _, key| send.send(key).expect("the receiver exists"));
        let config = Config::listening(["telnet://127.0.0.1:1".parse::<Listen>().expect("good")]);
        let mut hub = TestHub::with_config(config, handler);
        let peer = hub.connect();
        // The client accepts SUPPRESS-GO-AHEAD and ECHO, so it sends single keys.
        hub.send(peer, b"\xff\xfd\x03\xff\xfd\x01");
        hub.send(peer, b"x\x1b[A");
        assert_eq!(keys.try_iter().collect::<Vec<_>>(), [Key::Char('x'), Key::Up]);
    }

    #[test]
    fn on_keys_receives_keys_from_raw_connections() {
        for address in ["raw://127.0.0.1:1", "raw://127.0.0.1:1?mode=keys"] {
            let (send, keys) = channel();
            let handler = on_keys(move |hub: &mut Hub<'_, ()>, conn, key| {
                hub.write(conn, "*");
                send.send(key).expect("the receiver exists");
            });
            let config = Config::listening([address.parse::<Listen>().expect("good")]);
            let mut hub = TestHub::with_config(config, handler);
            let peer = hub.connect();
            hub.send(peer, b"x\x1b[A\x1b");
            hub.advance(Key::ESCAPE_WAIT);
            hub.send(peer, b"\x1b");
            hub.end(peer);
            let expected = [Key::Char('x'), Key::Up, Key::Escape, Key::Escape];
            assert_eq!(keys.try_iter().collect::<Vec<_>>(), expected, "{address}");
            assert_eq!(hub.received(peer), b"****");
        }
    }
}
