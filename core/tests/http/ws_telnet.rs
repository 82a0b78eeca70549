//! Telnet in WebSocket: order, ends, limits and framing, with exact bytes.

#![allow(dead_code, reason = "the tests share what they say to a server")]

use crate::ws_world::{begin, framed, frames, take, upgrade, ws_telnet};
use drupe_core::app::Echo;
use drupe_core::limit::{Budget, Ladder, MessageSize, Rate};
use drupe_core::outbound::Marks;
use drupe_core::telnet::InputMode;
use drupe_core::websocket::{Opcode, frame};
use drupe_core::{Command, Config, ConnId, Event, Handler, Hub, Listen, Machine, Reason, Time};
use std::time::Duration;

/// Answers, joins everybody to one room, publishes notes there, and pauses whoever wants it.
#[derive(Default)]
struct Answers(Vec<Reason>);

impl Handler for Answers {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Opened { conn, .. } => drop(hub.join(conn, "r")),
            Event::Message { conn, payload } => {
                let text = payload.as_str().unwrap_or("?");
                hub.send(conn, &format!("echo {text}"));
                match text {
                    "pause" => hub.pause(conn),
                    "ask" => drop(hub.prompt(conn, "? ")),
                    "write" => drop(hub.write(conn, "bare")),
                    _ => {}
                }
            }
            Event::Note(text) if text == "resume" => {
                let conns: Vec<_> = hub.connections().collect();
                conns.into_iter().for_each(|conn| hub.resume(conn));
            }
            Event::Note(text) => drop(hub.publish("r", &text)),
            Event::Closed { reason, .. } => self.0.push(reason),
            _ => {}
        }
    }
}

const CLOSE: [u8; 2] = [3, 232];
const CLOSED: &[u8] = b"\x88\x02\x03\xe8";

fn upgraded(config: Config) -> (Machine<Answers>, ConnId) {
    let (mut machine, conn) = begin(config, Answers::default());
    upgrade(&mut machine, conn);
    (machine, conn)
}

fn line_mode() -> Config {
    ws_telnet(InputMode::Line, None)
}

/// Has happen what is due, and takes what is written meanwhile.
fn pass(machine: &mut Machine<Answers>, conn: ConnId, span: Duration) -> Vec<u8> {
    let until = machine.now() + span;
    let mut out = take(machine, conn);
    while let Some(deadline) = machine.deadline().filter(|deadline| deadline.at <= until) {
        machine.elapsed(deadline.at);
        machine.turn_ended(deadline.at);
        out.extend(take(machine, conn));
    }
    machine.elapsed(until);
    out.extend(take(machine, conn));
    out
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn framing_over_the_byte_rate_only_pauses_reading() {
    let mut config = line_mode();
    config.peer.rates.bytes = Rate::new(10, 10).ok();
    let (mut machine, conn) = upgraded(config);
    let mut now = Time::from_secs(100);
    for text in ["first\r\n", "second\r\n"] {
        let mut bytes: Vec<u8> = text.bytes().flat_map(|byte| framed(Opcode::Binary, &[byte])).collect();
        machine.received(now, conn, &mut bytes);
        while let Some(deadline) = machine.deadline() {
            now = now.max(deadline.at);
            machine.elapsed(now);
        }
        now = now + HOUR;
        machine.elapsed(now);
    }
    assert_eq!(machine.metrics().messages_in, 2);
    assert!(machine.intent(conn).unwrap().read);
}

#[test]
fn empty_messages_and_pings_over_the_rate_only_pause_reading() {
    for kind in [framed(Opcode::Binary, b""), framed(Opcode::Ping, b"x")] {
        let mut config = line_mode();
        config.peer.rates.messages = Rate::new(2, 2).ok();
        let (mut machine, conn) = upgraded(config);
        // What comes at once is charged at once, and what comes then is over the rate.
        machine.received(Time::from_secs(100), conn, &mut kind.repeat(10));
        machine.received(Time::from_secs(100), conn, &mut kind.clone());
        assert!(!machine.intent(conn).unwrap().read, "{kind:?}");
        pass(&mut machine, conn, HOUR);
        assert!(machine.intent(conn).unwrap().read, "{kind:?}");
    }
}

#[test]
fn replies_precede_the_close_reply() {
    let (mut machine, conn) = upgraded(line_mode());
    let bytes = [framed(Opcode::Binary, b"bye\r\n"), framed(Opcode::Close, &CLOSE)].concat();
    machine.received(Time::START, conn, &mut bytes.clone());
    assert_eq!(take(&mut machine, conn), b"\x82\x0aecho bye\r\n\x88\x02\x03\xe8");
    assert_eq!(machine.handler().0, [Reason::PeerClosed]);
}

#[test]
fn close_frame_completes_the_last_line() {
    let (mut machine, conn) = upgraded(line_mode());
    let bytes = [framed(Opcode::Binary, b"one\r\ntwo"), framed(Opcode::Close, &CLOSE)].concat();
    machine.received(Time::START, conn, &mut bytes.clone());
    assert_eq!(take(&mut machine, conn), b"\x82\x0aecho one\r\n\x82\x0aecho two\r\n\x88\x02\x03\xe8");
}

#[test]
fn close_frame_over_the_rate_is_answered_last() {
    let mut config = Config::listening(["ws://127.0.0.1:1?notices=yes".parse().unwrap()]);
    config.peer.rates.messages = Rate::new(1, 1).ok();
    let (mut machine, conn) = upgraded(config);
    let bytes = [framed(Opcode::Text, b"bye"), framed(Opcode::Close, &CLOSE)].concat();
    machine.received(Time::from_secs(100), conn, &mut bytes.clone());
    assert!(take(&mut machine, conn).ends_with(CLOSED));
    let mut config = line_mode();
    config.listeners[0].notices = true;
    config.peer.rates.messages = Rate::new(1, 1).ok();
    config.peer.rates.ladder = Ladder::default().close(Some(1));
    let (mut machine, conn) = upgraded(config);
    let bytes = [framed(Opcode::Binary, b"bye\r\n"), framed(Opcode::Close, &CLOSE)].concat();
    machine.received(Time::from_secs(100), conn, &mut bytes.clone());
    assert_eq!(take(&mut machine, conn), b"\x82\x0aecho bye\r\n\x88\x02\x03\xe8");
    assert_eq!(machine.handler().0, [Reason::PeerClosed], "the end is never too much");
}

#[test]
fn oversized_last_line_closes_with_its_own_reason() {
    let mut config = line_mode();
    config.peer.budget.message_max_bytes = MessageSize::new(4).unwrap();
    config.listeners[0].notices = true;
    let (mut machine, conn) = upgraded(config);
    let bytes = [framed(Opcode::Binary, b"too long"), framed(Opcode::Close, &CLOSE)].concat();
    machine.received(Time::START, conn, &mut bytes.clone());
    let told = frames(&take(&mut machine, conn));
    let opcodes: Vec<_> = told.iter().map(|(opcode, _)| *opcode).collect();
    assert_eq!((opcodes, &machine.handler().0[..]), (vec![2, 8], &[Reason::MessageTooLarge][..]), "{told:?}");
}

#[test]
fn all_input_before_a_close_is_served() {
    let (mut machine, conn) = upgraded(line_mode().unlimited());
    let lines: String = (0..2_500).map(|n| format!("{n}\r\n")).collect();
    let bytes = [framed(Opcode::Binary, lines.as_bytes()), framed(Opcode::Close, &CLOSE)].concat();
    machine.received(Time::START, conn, &mut bytes.clone());
    let told = pass(&mut machine, conn, Duration::from_secs(1));
    assert_eq!(machine.metrics().messages_in, 2_500);
    assert!(told.ends_with(&[&b"\x82\x0becho 2499\r\n"[..], CLOSED].concat()));
}

#[test]
fn input_before_a_close_waits_for_a_paused_handler() {
    let (mut machine, conn) = upgraded(line_mode());
    let bytes = [framed(Opcode::Binary, b"pause\r\none\r\n"), framed(Opcode::Close, &CLOSE)].concat();
    machine.received(Time::START, conn, &mut bytes.clone());
    assert_eq!(take(&mut machine, conn), b"\x82\x0cecho pause\r\n");
    assert_eq!(pass(&mut machine, conn, HOUR), b"");
    machine.noted(machine.now(), "resume".into());
    assert_eq!(pass(&mut machine, conn, HOUR), b"\x82\x0aecho one\r\n\x88\x02\x03\xe8");
    assert_eq!(machine.handler().0, [Reason::PeerClosed]);
}

#[test]
fn kick_while_a_close_waits_sends_one_close_frame() {
    let (mut machine, conn) = upgraded(line_mode());
    let bytes = [framed(Opcode::Binary, b"pause\r\none\r\n"), framed(Opcode::Close, &CLOSE)].concat();
    machine.received(Time::START, conn, &mut bytes.clone());
    machine.command(Time::START, &Command::Kick { conn });
    let told = frames(&take(&mut machine, conn));
    assert_eq!(told.iter().map(|(opcode, _)| *opcode).collect::<Vec<_>>(), [2, 8], "{told:?}");
}

#[test]
fn reads_against_the_intent_keep_message_order() {
    let (mut machine, conn) = upgraded(line_mode());
    machine.received(Time::START, conn, &mut framed(Opcode::Binary, b"pause\r\none\r\n"));
    machine.received(Time::START, conn, &mut framed(Opcode::Binary, b"two\r\n"));
    machine.noted(Time::START, "resume".into());
    machine.received(Time::START, conn, &mut framed(Opcode::Binary, b"three\r\n"));
    let told = pass(&mut machine, conn, HOUR);
    assert_eq!(told, b"\x82\x0cecho pause\r\n\x82\x0aecho one\r\n\x82\x0aecho two\r\n\x82\x0cecho three\r\n");
}

#[test]
fn partial_frames_and_fragments_time_out_as_messages() {
    let whole = framed(Opcode::Binary, b"x\r\n");
    let mut begun = whole.clone();
    begun[0] &= 0x7f;
    for partial in [&whole[..1], &whole[..8], &begun] {
        let (mut machine, conn) = upgraded(line_mode());
        let deadline = Budget::default().message_deadline;
        machine.received(Time::START, conn, &mut partial.to_vec());
        pass(&mut machine, conn, deadline.saturating_sub(Duration::from_millis(1)));
        assert_eq!(machine.handler().0, [], "{partial:?}");
        pass(&mut machine, conn, Duration::from_millis(1));
        assert_eq!(machine.handler().0, [Reason::MessageTimeout], "{partial:?}");
    }
    // Whoever is between two messages has all the time there is.
    let (mut machine, conn) = upgraded(line_mode());
    machine.received(Time::START, conn, &mut whole.clone());
    pass(&mut machine, conn, 24 * HOUR);
    assert_eq!(machine.handler().0, []);
}

#[test]
fn end_of_input_drops_an_incomplete_frame() {
    for (cut, told) in [(0, &b"\x82\x0cecho first\r\n\x82\x0becho last\r\n"[..]), (1, b"\x82\x0cecho first\r\n")] {
        let (mut machine, conn) = upgraded(line_mode());
        let mut bytes = [framed(Opcode::Binary, b"first\r\n"), framed(Opcode::Binary, b"last")].concat();
        // A frame that says to be longer than what arrives.
        let place = bytes.len() - 9;
        bytes[place] += cut;
        machine.received(Time::START, conn, &mut bytes);
        machine.ended(Time::START, conn);
        let heard = take(&mut machine, conn);
        assert!(heard.starts_with(told) && frames(&heard[told.len()..])[0].0 == 8, "{heard:?}");
        assert_eq!(machine.handler().0, [Reason::PeerClosed]);
    }
}

/// Whoever has agreed that the server edits what it types.
fn in_character_mode(config: Config) -> (Machine<Answers>, ConnId) {
    let (mut machine, conn) = upgraded(config);
    // IAC DO ECHO, IAC DO SGA.
    machine.received(Time::START, conn, &mut framed(Opcode::Binary, &[255, 253, 1, 255, 253, 3]));
    take(&mut machine, conn);
    (machine, conn)
}

#[test]
fn session_output_is_framed_once() {
    let mut config = ws_telnet(InputMode::Character, None);
    config.listeners[0].notices = true;
    let (mut machine, conn) = in_character_mode(config);
    machine.noted(Time::START, "hello".into());
    assert_eq!(take(&mut machine, conn), b"\x82\x07hello\r\n");
    for (typed, shown) in [
        ("x", &b"x"[..]),
        ("\r", b"\r\necho x\r\n"),
        ("write\r", b"write\r\necho write\r\nbare"),
        ("ask\r", b"ask\r\n\r\x1b[2Kecho ask\r\n? "),
    ] {
        machine.received(Time::START, conn, &mut framed(Opcode::Binary, typed.as_bytes()));
        let told = frames(&take(&mut machine, conn));
        assert!(told.iter().all(|(opcode, _)| *opcode == 2), "{told:?}");
        let content: Vec<u8> = told.into_iter().flat_map(|(_, content)| content).collect();
        assert!(!content.windows(2).any(|two| two[0] == 0x82), "a frame in a frame: {content:?}");
        let visible = String::from_utf8_lossy(&content).into_owned();
        let words = String::from_utf8_lossy(shown);
        assert_eq!(visible.matches("echo").count(), words.matches("echo").count(), "{visible:?}");
    }
    machine.command(Time::START, &Command::Drain);
    let told = frames(&take(&mut machine, conn));
    assert!(told.iter().all(|(_, content)| !content.contains(&0x82)), "{told:?}");
}

#[test]
fn long_frame_is_served_as_a_stream_of_lines() {
    let mut config = line_mode().unlimited();
    config.peer.budget.message_max_bytes = MessageSize::new(10).unwrap();
    let (mut machine, conn) = upgraded(config);
    machine.received(Time::START, conn, &mut framed(Opcode::Binary, &b"line\r\n".repeat(200)));
    pass(&mut machine, conn, Duration::from_secs(1));
    assert_eq!((machine.metrics().messages_in, &machine.handler().0[..]), (200, &[][..]));
    machine.received(Time::START, conn, &mut framed(Opcode::Binary, b"eleven-char\r\n"));
    assert_eq!(machine.handler().0, [Reason::MessageTooLarge]);
}

#[test]
fn lines_before_invalid_utf8_are_served_then_it_closes() {
    for wrong in [&b"one\r\ntwo\xff\r\n"[..], b"one\r\ntwo\xe2\x82"] {
        let bytes = framed(Opcode::Text, wrong);
        for size in [1, 3, 100] {
            let (mut machine, conn) = upgraded(line_mode());
            for piece in bytes.chunks(size) {
                machine.received(Time::START, conn, &mut piece.to_vec());
            }
            let told = take(&mut machine, conn);
            assert!(told.starts_with(b"\x82\x0aecho one\r\n\x88"), "by {size}: {told:?}");
            assert_eq!(machine.handler().0, [Reason::InvalidUtf8], "by {size}");
        }
    }
}

#[test]
fn input_before_an_invalid_frame_is_served() {
    let (mut machine, conn) = upgraded(line_mode());
    let mut unmasked = Vec::new();
    frame(Opcode::Binary, b"two\r\n", None, &mut unmasked);
    machine.received(Time::START, conn, &mut [framed(Opcode::Binary, b"one\r\n"), unmasked].concat());
    assert!(take(&mut machine, conn).starts_with(b"\x82\x0aecho one\r\n\x88"));
    assert_eq!(machine.handler().0, [Reason::MalformedFrame]);
}

#[test]
fn close_from_a_slow_peer_is_not_a_slow_consumer() {
    for config in [line_mode(), Config::listening(["ws://127.0.0.1:1".parse().unwrap()])] {
        let mut config = config;
        config.outbound.marks = Marks::new(10, 20, 40).unwrap();
        let (mut machine, conn) = upgraded(config);
        machine.received(Time::START, conn, &mut framed(Opcode::Binary, b"x\r\n"));
        machine.blocked(Time::START, conn);
        machine.noted(Time::START, "y".repeat(40 - 2 - machine.intent(conn).unwrap().transmit.len() - 2));
        machine.received(Time::START, conn, &mut framed(Opcode::Close, &CLOSE));
        assert!(pass(&mut machine, conn, HOUR).ends_with(CLOSED));
        assert_eq!(machine.handler().0, [Reason::PeerClosed]);
    }
}

#[test]
fn http_peer_is_reported_when_reading_resumes() {
    let mut config = Config::listening(["ws://127.0.0.1:1".parse::<Listen>().unwrap()]);
    config.outbound.marks = Marks::new(10, 20, 40).unwrap();
    config.peer.rates.messages = Rate::new(1, 1).ok();
    config.peer.rates.ladder = Ladder::default().warn(None).pause(None).drop(Some(1));
    let (mut machine, conn) = begin(config, Echo);
    machine.received(Time::START, conn, &mut b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
    while let Some(named) = machine.next_changed() {
        take(&mut machine, named);
        assert!(!machine.intent(named).unwrap().read, "the second waits");
    }
    machine.elapsed(machine.deadline().unwrap().at);
    assert!(machine.intent(conn).unwrap().read, "it was dropped by the ladder");
    assert_eq!(machine.next_changed(), Some(conn));
}

#[test]
fn text_ending_within_a_character_is_invalid_utf8() {
    let (mut machine, conn) = upgraded(line_mode());
    let mut begun = framed(Opcode::Text, b"one\r\ntwo\xe2\x82");
    begun[0] &= 0x7f;
    machine.received(Time::START, conn, &mut [begun, b"\x80\x80\x01\x02\x03\x04".to_vec()].concat());
    let closed = [&1007_u16.to_be_bytes()[..], b"invalid_utf8"].concat();
    assert_eq!(frames(&take(&mut machine, conn)), [(2, b"echo one\r\n".to_vec()), (8, closed)]);
    assert_eq!(machine.handler().0, [Reason::InvalidUtf8]);
}

#[test]
fn input_after_a_close_frame_is_not_served() {
    for at_once in [true, false] {
        let (mut machine, conn) = upgraded(line_mode());
        let (close, late) = (framed(Opcode::Close, &CLOSE), framed(Opcode::Text, b"late\r\n"));
        if at_once {
            machine.received(Time::START, conn, &mut [close, late].concat());
        } else {
            machine.received(Time::START, conn, &mut close.clone());
            machine.received(Time::START, conn, &mut late.clone());
        }
        assert_eq!(take(&mut machine, conn), CLOSED);
        assert_eq!((machine.metrics().messages_in, &machine.handler().0[..]), (0, &[Reason::PeerClosed][..]));
    }
}
