//! Raw bytes: messages are what has arrived, within the limits of every wire.

use super::{Log, listening, secs};
use drupe_core::app::Echo;
use drupe_core::limit::{Ladder, MessageSize, Rate};
use drupe_core::outbound::{Marks, OutboundLimits};
use drupe_core::testing::TestHub;
use drupe_core::{Event, Handler, Hub, NoNote, Reason};

/// Keeps the messages, and sends each of them back.
#[derive(Default)]
struct Pieces(Vec<Vec<u8>>);

impl Handler for Pieces {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Message { conn, payload } = event {
            self.0.push(payload.as_bytes().to_vec());
            hub.send(conn, payload);
        }
    }
}

#[test]
fn bytes_arrive_as_they_come_and_return_unchanged() {
    let mut hub = TestHub::with_config(listening("raw://127.0.0.1:1"), Pieces::default());
    let peer = hub.connect();
    for piece in [&b"one\r\ntwo"[..], b"\xff\xfb\0", b"x"] {
        hub.send(peer, piece);
    }
    assert_eq!(hub.handler().0, [&b"one\r\ntwo"[..], b"\xff\xfb\0", b"x"]);
    assert_eq!(hub.received(peer), b"one\r\ntwo\xff\xfb\0x");
    hub.end(peer);
    assert_eq!(hub.ended(Reason::PeerClosed), 1);
}

#[test]
fn piece_is_at_most_the_longest_message() {
    let mut config = listening("raw://127.0.0.1:1");
    config.peer.budget.message_max_bytes = MessageSize::new(4).expect("in range");
    let mut hub = TestHub::with_config(config, Pieces::default());
    let peer = hub.connect();
    hub.send(peer, b"0123456789");
    assert_eq!(hub.handler().0, [&b"0123"[..], b"4567", b"89"]);
}

#[test]
fn no_message_deadline_applies_to_raw_bytes() {
    let mut config = listening("raw://127.0.0.1:1");
    config.peer.budget.message_deadline = secs(1);
    config.peer.idle = None;
    let mut hub = TestHub::with_config(config, Log::default());
    let peer = hub.connect();
    hub.send(peer, b"half of some");
    hub.advance(secs(600));
    assert!(!hub.is_closed(peer));
}

#[test]
fn single_bytes_cost_their_rate_in_messages() {
    for mode in ["bytes", "keys"] {
        let mut config = listening(&format!("raw://127.0.0.1:1?mode={mode}"));
        config.peer.rates.messages = Rate::new(5, 5).ok();
        config.peer.rates.ladder = Ladder::default().pause(None).close(Some(1));
        let mut hub = TestHub::with_config(config, Log::default());
        let peer = hub.connect();
        for _ in 0..20 {
            hub.send(peer, b"x");
        }
        assert_eq!(hub.ended(Reason::RateLimited), 1, "{mode}");
        assert_eq!(hub.received(peer), b"", "no notice is sent by default");
    }
}

#[test]
fn peer_that_does_not_read_is_closed_as_slow() {
    let mut config = listening("raw://127.0.0.1:1").unlimited();
    config.outbound =
        OutboundLimits::default().marks(Marks::new(10, 20, 40).expect("in order")).write_deadline(secs(5));
    let mut hub = TestHub::with_config(config, Echo);
    let (slow, good) = (hub.connect(), hub.connect());
    hub.set_writable(slow, 0);
    hub.send(slow, &[b'x'; 30]);
    hub.send(good, b"hello");
    hub.advance(secs(6));
    assert_eq!(hub.ended(Reason::SlowConsumer), 1);
    assert_eq!(hub.received(good), b"hello");
}
