//! Codecs of the application: good ones are served as every wire, bad ones end one connection.

use drupe_core::app::Echo;
use drupe_core::limit::{Ladder, MessageSize, Rate};
use drupe_core::testing::{Netstrings, TestHub, check_wire};
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::wire::{
    Codec, CodecError, CodecFault, Custom, DecodeBuffer, DecodeContext, DecodeError, Frame, FrameDecoder, Wire,
};
use drupe_core::{
    Address, Config, ConnId, Event, Handler, Hub, Listen, ListenerId, Machine, NoNote, Payload, Peer, Reason, Time,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A codec that does what the first byte of each frame says, and frames that end at a line feed.
///
/// It keeps count of the bytes that it was given, for tests of the work.
#[derive(Debug)]
struct Fickle {
    given: AtomicUsize,
}

#[derive(Debug)]
struct FickleDecoder(&'static Fickle, usize);

static FICKLE: Fickle = Fickle::new();

impl Fickle {
    const fn new() -> Self {
        Self { given: AtomicUsize::new(0) }
    }
}

impl Codec for &'static Fickle {
    fn name(&self) -> &'static str {
        "fickle"
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(FickleDecoder(self, 0))
    }

    fn encode(&self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        assert_ne!(payload.as_bytes(), b"panic", "an encoder that fails");
        if payload.as_bytes().contains(&b'\n') {
            return Err(CodecError::new("a frame ends at a line feed"));
        }
        out.extend_from_slice(payload.as_bytes());
        out.push(b'\n');
        Ok(())
    }

    fn framing_max_bytes(&self) -> u16 {
        1
    }
}

impl FrameDecoder for FickleDecoder {
    fn decode(&mut self, bytes: &[u8], context: &mut DecodeContext<'_>) -> Result<Frame, CodecError> {
        self.0.given.fetch_add(bytes.len(), Ordering::Relaxed);
        let (length, whole) = (bytes.len(), 0..bytes.len());
        match bytes.first() {
            Some(b'!') => panic!("a decoder that fails"),
            Some(b'>') => return Ok(Frame::Binary { used: length + 1, content: whole }),
            Some(b'0') => return Ok(Frame::Binary { used: 0, content: 0..0 }),
            Some(b'9') => return Ok(Frame::Skip { used: 0 }),
            Some(b'<') => return Ok(Frame::More(0)),
            Some(b'M') => return Ok(Frame::More(usize::MAX)),
            Some(b'O') => return Ok(Frame::Binary { used: 1, content: 0..2 }),
            #[allow(clippy::reversed_empty_ranges, reason = "a codec may do anything")]
            Some(b'R') => return Ok(Frame::Text { used: 1, content: 1..0 }),
            Some(b'W') => {
                (0..1_000).for_each(|_| context.write(&[b'w'; 1_000]));
                return Ok(Frame::Written { used: 1 });
            }
            Some(b'B') => {
                // First it asks for more, then the frame was complete with less.
                self.1 += 1;
                return Ok(if self.1 == 1 { Frame::More(1) } else { Frame::Skip { used: 1 } });
            }
            Some(b'E') => return Err(CodecError::new("it begins with E")),
            _ => {}
        }
        let seen = context.seen();
        Ok(match bytes[seen..].iter().position(|&byte| byte == b'\n') {
            Some(at) => Frame::Text { used: seen + at + 1, content: 0..seen + at },
            None => Frame::More(1),
        })
    }
}

fn custom(codec: &'static dyn Codec) -> Wire {
    Wire::Custom(Custom::new(codec).expect("a good name"))
}

fn fickle() -> Wire {
    static CODEC: &Fickle = &FICKLE;
    custom(&CODEC)
}

fn config(wire: Wire) -> Config {
    let listen = Listen::new(Address::Tcp(([127, 0, 0, 1], 1).into()), wire);
    let mut config = Config::listening([listen]);
    config.peer.budget.message_max_bytes = MessageSize::new(100).expect("in range");
    config
}

#[test]
fn fault_of_a_codec_has_a_name_and_ends_one_connection() {
    for (bytes, error) in [
        (&b"!"[..], DecodeError::CodecFault(CodecFault::Panicked)),
        (b">", DecodeError::CodecFault(CodecFault::UsedTooMuch { used: 2, given: 1 })),
        (b"0", DecodeError::CodecFault(CodecFault::NoProgress)),
        (b"9", DecodeError::CodecFault(CodecFault::NoProgress)),
        (b"<", DecodeError::CodecFault(CodecFault::AskedForNothing)),
        (b"O", DecodeError::CodecFault(CodecFault::OutsideFrame)),
        (b"R", DecodeError::CodecFault(CodecFault::OutsideFrame)),
        (b"BBB", DecodeError::CodecFault(CodecFault::TookBack)),
        (b"M", DecodeError::TooLarge { max: 100 }),
        (b"W", DecodeError::TooLarge { max: 100 }),
        (b"E", DecodeError::Codec(CodecError::new("it begins with E"))),
        (&[b'x'; 102], DecodeError::TooLarge { max: 100 }),
        (b"\xff\n", DecodeError::InvalidUtf8 { valid_up_to: 0 }),
    ] {
        let budget = config(fickle()).peer.budget;
        let (mut decoder, mut buffer) = (fickle().decoder(), DecodeBuffer::default());
        // A frame of two bytes is kept first, then the rest arrives.
        let cuts = if bytes.starts_with(b"B") { &[2][..] } else { &[bytes.len(), 1] };
        for &cut in cuts {
            let outcome =
                bytes.chunks(cut).find_map(|piece| decoder.decode(&mut piece.to_vec(), &mut buffer, &budget).err());
            assert_eq!(outcome, Some(error), "{} by {cut}", bytes.escape_ascii());
            decoder = fickle().decoder();
        }
        let mut hub = TestHub::with_config(config(fickle()), Echo);
        let (bad, good) = (hub.connect(), hub.connect());
        bytes.chunks(cuts[0]).for_each(|piece| hub.send(bad, piece));
        assert_eq!(hub.ended(error.reason()), 1, "{}", bytes.escape_ascii());
        assert!(hub.is_closed(bad) && !hub.is_closed(good));
        hub.send(good, b"still here\n");
        assert_eq!(hub.received(good), b"still here\n");
    }
    let fault = DecodeError::CodecFault(CodecFault::UsedTooMuch { used: 2, given: 1 });
    assert_eq!(fault.to_string(), "the codec failed: it used 2 of 1 bytes");
    assert_eq!(fault.reason(), Reason::CodecFailed);
    assert_eq!(DecodeError::Codec(CodecError::new("x")).reason(), Reason::MalformedFrame);
}

#[test]
fn end_of_the_input_presents_the_bytes_that_a_codec_has_not_seen() {
    let wire = custom(&Netstrings);
    let budget = config(wire).peer.budget;
    // The codec knows that a colon and a comma are missing, but the input ends between them.
    for (stream, reason) in
        [(&b"999:"[..], Reason::MessageTooLarge), (b"99x", Reason::MalformedFrame), (b"99:", Reason::PeerClosed)]
    {
        for pieces in [1, 2, 3, 4] {
            let (mut decoder, mut buffer) = (wire.decoder(), DecodeBuffer::default());
            let early =
                stream.chunks(pieces).find_map(|piece| decoder.decode(&mut piece.to_vec(), &mut buffer, &budget).err());
            let error = early.or_else(|| decoder.finish(&mut buffer, &budget).err());
            assert_eq!(error.map(DecodeError::reason), Some(reason), "{} by {pieces}", stream.escape_ascii());
        }
        assert_eq!(check_wire(wire, &budget, stream, &[1, 2]), Ok(()));
    }
}

/// Sends what the first word of a message says.
struct Sends;

impl Handler for Sends {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Message { conn, payload } = event {
            let text = payload.as_str().unwrap_or_default();
            let sent = hub.send(conn, if text == "two" { "one\ntwo" } else { text });
            hub.send(conn, if sent { "sent" } else { "unsendable" });
        }
    }
}

#[test]
fn message_that_a_codec_refuses_counts_as_unsendable() {
    let mut hub = TestHub::with_config(config(fickle()), Sends);
    let peer = hub.connect();
    hub.send(peer, b"x\ntwo\npanic\n");
    assert_eq!(hub.received(peer), b"x\nsent\nunsendable\nunsendable\n");
    assert_eq!(hub.machine().metrics().messages_unsendable, 2);
    assert!(!hub.is_closed(peer));
}

#[test]
fn codec_that_asks_for_one_byte_after_another_causes_no_quadratic_work() {
    static COUNTED: Fickle = Fickle::new();
    static CODEC: &Fickle = &COUNTED;
    let mut config = config(custom(&CODEC)).unlimited();
    config.peer.budget.message_max_bytes = MessageSize::new(1 << 20).expect("in range");
    let mut hub = TestHub::with_config(config, Echo);
    let peer = hub.connect();
    let long = [b"x".repeat(100_000), b"\n".to_vec()].concat();
    // A kept beginning, and then all of the rest at once.
    hub.send(peer, &long[..10]);
    hub.send(peer, &long[10..]);
    assert_eq!(hub.received(peer).len(), long.len());
    let given = COUNTED.given.load(Ordering::Relaxed);
    assert!(given < 4 * long.len(), "the codec was given {given} bytes");
}

#[test]
fn bytes_presented_again_count_against_the_rate() {
    let run = |piece: usize| {
        let mut config = config(fickle());
        config.peer.rates.bytes = Rate::new(500, 500).ok();
        config.peer.rates.messages = None;
        config.peer.rates.ladder = Ladder::default().pause(None).close(Some(1));
        let mut hub = TestHub::with_config(config, Echo);
        let peer = hub.connect();
        [&[b'x'; 90][..], b"\n"].concat().chunks(piece).for_each(|piece| hub.send(peer, piece));
        hub.ended(Reason::RateLimited)
    };
    assert_eq!((run(91), run(45), run(1)), (0, 0, 1));
}

#[test]
fn incomplete_frame_has_the_message_deadline_and_is_cut_off_at_the_end() {
    let mut hub = TestHub::with_config(config(fickle()), Echo);
    let (slow, cut) = (hub.connect(), hub.connect());
    hub.send(slow, b"half");
    hub.send(cut, b"half");
    hub.end(cut);
    assert_eq!((hub.ended(Reason::PeerClosed), hub.received(cut)), (1, &b""[..]));
    hub.advance(Duration::from_secs(60));
    assert_eq!(hub.ended(Reason::MessageTimeout), 1);
}

#[test]
fn http_request_on_a_codec_is_refused_before_it_is_served() {
    for piece in [1, 100] {
        let mut hub = TestHub::with_config(config(fickle()), Echo);
        let peer = hub.connect();
        b"POST / HTTP/1.1\r\n/nick page\n".chunks(piece).for_each(|piece| hub.send(peer, piece));
        assert_eq!((hub.ended(Reason::WrongProtocol), hub.received(peer)), (1, &b""[..]));
    }
}

#[test]
fn run_with_a_codec_replays() {
    let trace = SharedTrace::new();
    let config = config(fickle()).seed(Some(7));
    let mut machine = Machine::new(config.clone(), Echo);
    machine.record(trace.recorder());
    machine.started(Time::START);
    let peer: Peer = "192.0.2.1:1".parse().expect("an address");
    let conn: ConnId = machine.accepted(Time::START, ListenerId::new(0), peer).expect("admitted");
    for piece in [&b"on"[..], b"e\ntwo\nth", b"ree\n!"] {
        machine.received(Time::START, conn, &mut piece.to_vec());
    }
    let intent = machine.intent(conn).expect("it is open").transmit.first().to_vec();
    machine.wrote(Time::START, conn, intent.len());
    machine.turn_ended(Time::START);
    let again = replay(&trace.text(), &mut Machine::new(config, Echo)).expect("well formed");
    assert_eq!(again.written.get(&conn), Some(&intent));
    assert!(intent.starts_with(b"one\ntwo\nthree\n"), "{}", intent.escape_ascii());
}

/// Keeps the name of the wire of a connection.
struct Asks(Option<&'static str>);

impl Handler for Asks {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Opened { conn, .. } = event {
            self.0 = hub.wire_name(conn);
        }
    }
}

#[test]
fn wire_and_address_have_the_name_of_the_codec() {
    let mut listen = Listen::new(Address::Tcp(([127, 0, 0, 1], 7).into()), fickle());
    assert_eq!((listen.bound(&listen.address), listen.notices), ("fickle://127.0.0.1:7".to_string(), false));
    listen.tls = Some(drupe_core::tls::Tls::external());
    assert_eq!(listen.bound(&listen.address), "fickles://127.0.0.1:7");
    let mut hub = TestHub::with_config(config(fickle()), Asks(None));
    hub.connect();
    assert_eq!(hub.handler().0, Some("fickle"));
}
