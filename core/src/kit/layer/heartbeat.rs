use super::Layer;
use crate::base::{ConnId, OutgoingBuf, Reason};
use crate::handler::{Event, Handler, Hub};
use crate::state::Timer;
use core::time::Duration;

const NAME: &str = "drupe::kit::heartbeat";

/// Sends a message to peers that have been silent for a while, and ends the connections of those that stay silent. Any byte is a
/// sign of life.
///
/// Peers must answer. [`Heartbeat::ping`] sends a message that the client of the [kit](crate::kit::client) answers by itself, and
/// hides the answer from the handler within. For a message of the application's own, the client is told what to answer with
/// [`ClientOptions::answering`](crate::kit::client::ClientOptions::answering), and the application sees the answer.
///
/// Over WebSocket and telnet the wire has a heartbeat of its own ([`Http::ping`](crate::http::Http),
/// [`Telnet`](crate::telnet::Telnet)); this one is for wires that have none, and for applications that want to see it.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    message: OutgoingBuf,
    interval: Duration,
    timeout: Duration,
    /// What is not passed on: an answer that only this layer asked for.
    answer: Option<&'static str>,
}

/// What [`Heartbeat::ping`] sends to programs.
pub const PING: &str = r#"{"type":"ping"}"#;
/// What [`Heartbeat::ping`] sends to people.
pub const PING_TEXT: &str = "are you there? (press Enter)";
/// What programs answer to [`PING`] and to [`PING_TEXT`].
pub const PONG: &str = r#"{"type":"pong"}"#;

impl Heartbeat {
    /// Sends `message` after each `interval` of silence, and ends connections that were silent for `timeout`, as
    /// [`Reason::Silent`]. An interval is at least a millisecond.
    #[must_use]
    pub fn new(message: impl Into<OutgoingBuf>, interval: Duration, timeout: Duration) -> Self {
        Self { message: message.into(), interval: interval.max(Duration::from_millis(1)), timeout, answer: None }
    }

    /// Sends [`PING`] to programs and [`PING_TEXT`] to people; [`PONG`] is what programs answer. Times are as in
    /// [`new`](Self::new).
    #[must_use]
    pub fn ping(interval: Duration, timeout: Duration) -> Self {
        let message = OutgoingBuf::Negotiated { json: PING.into(), text: PING_TEXT.into() };
        Self { answer: Some(PONG), ..Self::new(message, interval, timeout) }
    }

    fn beat<C: Default>(&self, hub: &mut Hub<'_, C>, conn: ConnId) {
        let silent = hub.silent_for(conn);
        if silent >= self.timeout {
            return hub.end(conn, Reason::Silent);
        }
        if silent >= self.interval {
            hub.send(conn, self.message.as_outgoing());
        }
        // As long as it is heard of, it is asked an interval after that.
        let next = if silent >= self.interval { self.interval } else { self.interval.saturating_sub(silent) };
        hub.wake(Timer::of(conn, NAME), next.min(self.timeout.saturating_sub(silent)));
    }
}

impl<H: Handler> Layer<H> for Heartbeat {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        match event {
            Event::Timer(Timer { conn: Some(conn), name: NAME, .. }) => return self.beat(hub, conn),
            Event::Opened { conn, .. } => hub.wake(Timer::of(conn, NAME), self.interval.min(self.timeout)),
            Event::Message { payload, .. } if self.answer.is_some() && payload.as_str() == self.answer => return,
            _ => {}
        }
        within.on(hub, event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Echo;
    use crate::kit::layer::Within;
    use crate::testing::TestHub;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_is_not_read_is_not_silent() {
        let listen = crate::kit::on_lines(|hub: &mut Hub<'_, ()>, conn, _| hub.pause(conn));
        let mut hub = TestHub::new(listen.within(Heartbeat::new("alive?", secs(10), secs(25))));
        let peer = hub.connect();
        hub.line(peer, "x");
        hub.advance(secs(100));
        assert!(!hub.is_closed(peer));
        assert_eq!(hub.lines(peer), Vec::<String>::new());
    }

    #[test]
    fn who_is_silent_is_asked_and_then_ended_and_any_byte_is_a_sign_of_life() {
        let mut hub = TestHub::new(Echo.within(Heartbeat::new("alive?", secs(10), secs(25))));
        let (silent, busy) = (hub.connect(), hub.connect());
        for _ in 0..10 {
            hub.advance(secs(5));
            hub.send(busy, b".");
        }
        assert_eq!(hub.lines(silent), ["alive?", "alive?", "closing (silent): nothing was received for too long"]);
        assert_eq!(hub.lines(busy), Vec::<String>::new());
        assert_eq!((hub.is_closed(silent), hub.is_closed(busy)), (true, false));
        hub.advance(secs(11));
        assert_eq!(hub.lines(busy), ["alive?"]);
    }
}
