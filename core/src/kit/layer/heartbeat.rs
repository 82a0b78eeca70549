use super::Layer;
use crate::{ConnId, Event, Handler, Hub, OutgoingBuf, Reason, Timer};
use core::time::Duration;

const NAME: &str = "drupe::kit::heartbeat";

/// Sends a message of the application to who has been silent for a while, and ends the connection of who stays so. Any byte is a
/// sign of life.
///
/// Over WebSocket and telnet the wire has a heartbeat of its own ([`Http::ping`](crate::http::Http),
/// [`Telnet`](crate::telnet::Telnet)); this one is for wires that have none, and for applications that want to see it.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    message: OutgoingBuf,
    interval: Duration,
    timeout: Duration,
}

impl Heartbeat {
    /// Sends `message` after each `interval` of silence, and ends connections that were silent for `timeout`, as
    /// [`Reason::Silent`]. An interval is at least a millisecond.
    #[must_use]
    pub fn new(message: impl Into<OutgoingBuf>, interval: Duration, timeout: Duration) -> Self {
        Self { message: message.into(), interval: interval.max(Duration::from_millis(1)), timeout }
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
        assert_eq!(hub.lines(silent), ["alive?", "alive?", "closing (silent): the peer gave no sign of life"]);
        assert_eq!(hub.lines(busy), Vec::<String>::new());
        assert_eq!((hub.is_closed(silent), hub.is_closed(busy)), (true, false));
        hub.advance(secs(11));
        assert_eq!(hub.lines(busy), ["alive?"]);
    }
}
