use super::Layer;
use crate::base::{ConnId, OutgoingBuf, Reason};
use crate::handler::{Event, Handler, Hub};
use crate::state::Timer;
use core::time::Duration;

const NAME: &str = "drupe::kit::heartbeat";

/// A layer that pings silent peers and closes the connections of those that stay silent.
///
/// Any received byte ends the silence, which is measured as [`Hub::silent_for`].
///
/// Peers must answer. The [client](crate::kit::client) of the kit answers the message of
/// [`Heartbeat::ping`] automatically, and this layer hides the answer from the inner handler. For
/// another message, configure the client with
/// [`ClientOptions::answering`](crate::kit::client::ClientOptions::answering); the inner handler
/// then receives the answer.
///
/// WebSocket and telnet have heartbeats of their own ([`Http::ping`](crate::http::Http),
/// [`Telnet`](crate::telnet::Telnet)). This layer is for other wires, and for applications that
/// want to receive the answers.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    message: OutgoingBuf,
    interval: Duration,
    timeout: Duration,
    /// The answer that is hidden from the inner handler.
    answer: Option<&'static str>,
}

/// The message of [`Heartbeat::ping`] for programs.
pub const PING: &str = r#"{"type":"ping"}"#;
/// The message of [`Heartbeat::ping`] for people.
pub const PING_TEXT: &str = "are you there? (press Enter)";
/// The answer of programs to [`PING`] and to [`PING_TEXT`].
pub const PONG: &str = r#"{"type":"pong"}"#;

impl Heartbeat {
    /// Creates a heartbeat that sends `message` after each `interval` of silence.
    ///
    /// After `timeout` of silence, the connection ends as [`Reason::Silent`]. The interval is at
    /// least 1 ms.
    #[must_use]
    pub fn new(message: impl Into<OutgoingBuf>, interval: Duration, timeout: Duration) -> Self {
        Self { message: message.into(), interval: interval.max(Duration::from_millis(1)), timeout, answer: None }
    }

    /// Creates a heartbeat that sends [`PING`] to programs and [`PING_TEXT`] to people.
    ///
    /// Programs answer [`PONG`]. The durations are as in [`new`](Self::new).
    #[must_use]
    pub fn ping(interval: Duration, timeout: Duration) -> Self {
        let message = OutgoingBuf::Negotiated { json: PING.into(), text: PING_TEXT.into() };
        Self { answer: Some(PONG), ..Self::new(message, interval, timeout) }
    }

    fn beat<C>(&self, hub: &mut Hub<'_, C>, conn: ConnId) {
        let silent = hub.silent_for(conn);
        if silent >= self.timeout {
            return hub.end(conn, Reason::Silent);
        }
        if silent >= self.interval {
            hub.send(conn, self.message.as_outgoing());
        }
        // A peer that has sent something is pinged one interval after its last byte.
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
    fn heartbeat_ignores_paused_connections() {
        let listen = crate::kit::on_lines(|hub: &mut Hub<'_, ()>, conn, _| hub.pause(conn));
        let mut hub = TestHub::new(listen.within(Heartbeat::new("alive?", secs(10), secs(25))));
        let peer = hub.connect();
        hub.line(peer, "x");
        hub.advance(secs(100));
        assert!(!hub.is_closed(peer));
        assert_eq!(hub.lines(peer), Vec::<String>::new());
    }

    #[test]
    fn heartbeat_probes_then_closes_silent_peers() {
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
