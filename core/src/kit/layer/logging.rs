use super::Layer;
use crate::base::text::escape_hidden;
use crate::handler::{Event, Handler, Hub};
use crate::wire::http::Request;
use alloc::format;
use alloc::string::String;

/// A layer that logs most events, such as connections, refusals and failures, one line each.
///
/// The content of messages is never logged, only their length. User names and the values of HTTP
/// requests are [escaped](escape_hidden): they cannot add lines or control a terminal, and hidden
/// characters become visible.
#[derive(Clone, Debug)]
pub struct Logging<F> {
    log: F,
    messages: bool,
}

impl<F: FnMut(&str)> Logging<F> {
    /// Creates a layer that calls `log` with each line. Messages are not logged.
    pub const fn new(log: F) -> Self {
        Self { log, messages: false }
    }

    /// Also logs each message: its connection and its length in bytes.
    #[must_use]
    pub fn with_messages(self) -> Self {
        Self { messages: true, ..self }
    }

    fn line<H: Handler>(&self, hub: &Hub<'_, H::Context>, event: &Event<'_, H::Note>) -> Option<String> {
        let user = |conn| hub.identity(conn).map_or("-".into(), |identity| escape_hidden(&identity.user));
        Some(match event {
            Event::Started => "started".into(),
            Event::Draining => "draining".into(),
            Event::Opened { conn, peer, origin, .. } => {
                let name = hub.listen(*conn).map(|listen| listen.name.as_str()).filter(|name| !name.is_empty());
                match name {
                    Some(name) => format!("{conn} opened: {peer} by {name}"),
                    None => format!("{conn} opened: {peer} by {origin}"),
                }
            }
            Event::Authenticated { conn } => format!("{conn} authenticated: {}", user(*conn)),
            Event::Message { conn, payload } if self.messages => {
                format!("{conn} message: {} bytes", payload.as_bytes().len())
            }
            Event::Refused { listener, peer, reason } => {
                format!("{peer} refused by listener {}: {reason}", listener.0)
            }
            Event::ChannelRefused { tunnel, words } => format!("tunnel {tunnel} refused {words}"),
            Event::AcceptPaused { listener, failure } => format!("listener {} paused accepting: {failure}", listener.0),
            Event::AcceptResumed { listener } => format!("listener {} resumed accepting", listener.0),
            Event::RequestRefused { listener, peer, reason, status, why, request } => {
                let asked = request.map(asked).unwrap_or_default();
                format!("request of {peer} refused by listener {}: {reason}, {status}, {why}{asked}", listener.0)
            }
            Event::Stalled { conn, queued } => format!("{conn} stalled: {queued} bytes queued"),
            Event::Drained { conn } => format!("{conn} drained"),
            Event::DialFailed { dial, failure, retry_at } => {
                let retry = retry_at.map_or("no retry".into(), |at| format!("retry in {:?}", at.since(hub.now())));
                format!("dial {} failed: {failure}, {retry}", dial.0)
            }
            Event::Broker { is_up: true, why: None } => "broker up".into(),
            Event::Broker { is_up: true, why: Some(why) } => {
                format!("broker refused a message: {}", escape_hidden(why))
            }
            Event::Broker { is_up: false, why } => {
                format!("broker down: {}", escape_hidden(why.unwrap_or("the link has ended")))
            }
            Event::TicketExpired(ticket) => format!("{} ticket expired", ticket.conn()),
            Event::Closed { conn, reason } => {
                let why = hub.decode_error(*conn).map(|error| format!(", {error}")).unwrap_or_default();
                format!(
                    "{conn} closed: {reason} after {:.3} s, user {}{why}",
                    hub.age(*conn).as_secs_f64(),
                    user(*conn)
                )
            }
            _ => return None,
        })
    }
}

/// Returns the method, path, host and origin of a request, for a log line.
fn asked(request: &Request) -> String {
    let shown = |value: Option<&str>| value.map_or("-".into(), |value| escape_hidden(&start(value)).into_owned());
    let (host, origin) = (shown(request.host()), shown(request.field("origin")));
    format!(": {} {}, host {host}, origin {origin}", shown(Some(request.method())), shown(Some(request.path())))
}

/// Returns the first 200 characters of a value, which a peer could make very long.
fn start(value: &str) -> String {
    value.chars().take(200).collect()
}

impl<H: Handler, F: FnMut(&str)> Layer<H> for Logging<F> {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        if let Some(line) = self.line::<H>(hub, &event) {
            (self.log)(&line);
        }
        within.on(hub, event);
    }
}

#[cfg(test)]
mod tests {
    use crate::base::Identity;
    use crate::config::{Address, Config, Listen};
    use crate::handler::{Event, Handler, Hub, NoNote};
    use crate::kit::layer::Within;
    use crate::testing::{Netstrings, TestHub};
    use crate::wire::{Custom, Wire};
    use alloc::rc::Rc;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::cell::RefCell;
    use core::time::Duration;

    struct Login;

    impl Handler for Login {
        type Context = ();
        type Note = NoNote;

        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
            if let Event::Message { conn, payload } = event {
                hub.identify(conn, Identity::user(payload.as_str().unwrap_or("?")));
            }
        }
    }

    #[test]
    fn logging_records_lifecycle_without_message_content() {
        let lines = Rc::new(RefCell::new(Vec::<String>::new()));
        let log = Rc::clone(&lines);
        let layer = super::Logging::new(move |line: &str| log.borrow_mut().push(line.into())).with_messages();
        let mut hub = TestHub::new(Login.within(layer));
        let peer = hub.connect();
        hub.line(peer, "ann\u{1b}[2J");
        hub.advance(Duration::from_millis(1_500));
        hub.end(peer);
        assert_eq!(
            *lines.borrow(),
            [
                "started",
                "0.1 opened: 127.0.0.1:40000 by listener 0",
                "0.1 message: 7 bytes",
                r"0.1 authenticated: ann\u{1b}[2J",
                r"0.1 closed: peer_closed after 1.500 s, user ann\u{1b}[2J",
            ]
        );
    }

    #[test]
    fn logging_shows_the_error_of_the_codec_that_ended_a_connection() {
        let lines = Rc::new(RefCell::new(Vec::<String>::new()));
        let log = Rc::clone(&lines);
        let layer = super::Logging::new(move |line: &str| log.borrow_mut().push(line.into()));
        let address = Address::Tcp(([127, 0, 0, 1], 1).into());
        let listen = Listen::new(address, Wire::Custom(Custom::new(&Netstrings).expect("a good name")));
        let mut hub = TestHub::with_config(Config::listening([listen]), Login.within(layer));
        for input in [&b"ten:"[..], b"3:abc"] {
            let peer = hub.connect();
            hub.send(peer, input);
            hub.end(peer);
        }
        let closed: Vec<_> = lines.borrow().iter().filter(|line| line.contains("closed")).cloned().collect();
        assert_eq!(
            closed,
            [
                "0.1 closed: malformed_frame after 0.000 s, user -, the input breaks the protocol: \
                 the length must be one to nine digits and a colon",
                "0.2 closed: peer_closed after 0.000 s, user -, the input ended inside a frame",
            ]
        );
    }
}
