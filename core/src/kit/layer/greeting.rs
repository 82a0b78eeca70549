use super::Layer;
use crate::base::ConnId;
use crate::config::Listen;
use crate::handler::{Event, Handler, Hub};
use alloc::string::String;

/// A layer that sends the [welcome](Listen::welcome) and [prompt](Listen::prompt) of a listener.
///
/// It sends the welcome when a connection opens, before the inner handler receives the event. It
/// sends the prompt after the inner handler has handled the opening and each message.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no options")]
pub struct Greeting;

fn prompt<C>(hub: &mut Hub<'_, C>, conn: ConnId) {
    let text = hub.listen(conn).map(|Listen { prompt, .. }| prompt.clone()).unwrap_or_default();
    if !text.is_empty() && hub.is_open(conn) {
        hub.prompt(conn, &text);
    }
}

impl<H: Handler> Layer<H> for Greeting {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        let speaks = match event {
            Event::Opened { conn, .. } => {
                let welcome: String = hub.listen(conn).map(|listen| listen.welcome.clone()).unwrap_or_default();
                if !welcome.is_empty() {
                    hub.send(conn, &welcome);
                }
                Some(conn)
            }
            Event::Message { conn, .. } => Some(conn),
            _ => None,
        };
        within.on(hub, event);
        if let Some(conn) = speaks {
            prompt(hub, conn);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::app::Echo;
    use crate::config::{Config, Listen};
    use crate::kit::layer::Within;
    use crate::testing::TestHub;

    #[test]
    fn greeting_sends_welcome_and_prompt_and_follows_reload() {
        let listen = |welcome: &str, prompt: &str| Listen {
            welcome: welcome.into(),
            prompt: prompt.into(),
            ..Listen::lines(([127, 0, 0, 1], 0).into())
        };
        let mut hub = TestHub::with_config(Config::listening([listen("hello", "> ")]), Echo.within(super::Greeting));
        let peer = hub.connect();
        hub.line(peer, "x");
        assert_eq!(hub.received(peer), b"hello\n> x\n> ");
        hub.reconfigure(Config::listening([listen("good day", "")]));
        hub.line(peer, "y");
        assert_eq!(hub.received(peer), b"hello\n> x\n> y\n");
        let other = hub.connect();
        assert_eq!(hub.received(other), b"good day\n");
    }
}
