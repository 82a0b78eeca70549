use super::*;
use crate::wire::telnet::{InputMode, Signal};
use crate::wire::{Budget, DecodeBuffer, Decoder, Item, LineEnding, Wire};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

fn login() -> SshLogin {
    let mut login = SshLogin::user("ann").authenticated().terminal(SshTerminal::new("xterm", 80, 70_000));
    assert!(login.add_variable("LANG", "de"));
    login
}

fn frames(frames: &[SshFrame<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    frames.iter().for_each(|frame| frame.write(&mut out));
    out
}

/// Decodes `input` in pieces. Returns the messages and signals as text.
fn decode(decoder: &mut Decoder, input: &[u8], piece: usize) -> Result<Vec<String>, DecodeFailed> {
    let (mut buffer, budget) = (DecodeBuffer::new(0), Budget::default());
    let mut found = Vec::new();
    for piece in input.chunks(piece) {
        let mut rest = piece.to_vec();
        while !rest.is_empty() || decoder.is_ahead() {
            let decoded = decoder.decode(&mut rest, &mut buffer, &budget).map_err(|_| DecodeFailed)?;
            let used = decoded.used;
            match decoded.item {
                Some(Item::Message(payload)) => {
                    found.push(format!("{:?}", String::from_utf8_lossy(payload.as_bytes())));
                }
                Some(Item::Signal(Signal::Resized { columns, rows, .. })) => found.push(format!("{columns}x{rows}")),
                Some(item) => found.push(format!("{item:?}")),
                None => {}
            }
            rest.drain(..used);
        }
    }
    Ok(found)
}

#[derive(Debug, PartialEq, Eq)]
struct DecodeFailed;

fn output(decoder: &mut Decoder) -> String {
    let replies = decoder.replies(true).unwrap_or_default();
    assert!(replies.control.is_empty());
    String::from_utf8(replies.output).expect("UTF-8")
}

#[test]
fn login_arrives_as_it_was_written_in_any_pieces() {
    let input = frames(&[SshFrame::Login(&login()), SshFrame::Data(b"x")]);
    let expected = Prelude::Login(login(), input.len() - 6);
    for cut in 0..input.len() {
        let parsed = parse_prelude(&input[..cut]);
        assert_eq!(parsed, if cut < input.len() - 6 { Prelude::Unclear } else { expected.clone() }, "{cut}");
    }
    let plain = SshLogin::user("bob");
    assert_eq!(parse_prelude(&frames(&[SshFrame::Login(&plain)])), Prelude::Login(plain, 5 + 1 + 5));
}

#[test]
fn attempt_arrives_as_it_was_written_and_hides_its_password() {
    let attempts = [
        LoginProof::Offer("ssh-ed25519 AAAA".into()),
        LoginProof::Key("ssh-ed25519 AAAA".into()),
        LoginProof::Password("mellon".into()),
    ]
    .map(|proof| LoginAttempt::new("ann", proof));
    for attempt in attempts {
        assert!(!format!("{:?}", SshFrame::Attempt(&attempt)).contains("mellon"));
        let input = frames(&[SshFrame::Attempt(&attempt)]);
        for cut in 0..input.len() {
            assert_eq!(parse_prelude(&input[..cut]), Prelude::Unclear, "{cut}");
        }
        assert_eq!(parse_prelude(&input), Prelude::Attempt(attempt.clone(), input.len()));
        // An unknown kind of proof, and a byte too many.
        let (mut unknown, mut long) = (input.clone(), [&input[..], b"x"].concat());
        unknown[5] = 9;
        long[4] += 1;
        for broken in [unknown, long] {
            assert_eq!(parse_prelude(&broken), Prelude::Failed(SshFault::Protocol), "{broken:?}");
        }
    }
}

#[test]
fn each_fault_ends_with_a_reason_of_its_own() {
    let mut reasons = Vec::new();
    for fault in SshFault::ALL {
        assert_eq!(parse_prelude(&frames(&[SshFrame::Failed(fault)])), Prelude::Failed(fault));
        assert!(!reasons.contains(&fault.reason()), "{fault}");
        reasons.push(fault.reason());
    }
}

#[test]
fn malformed_first_frames_are_faults() {
    let broken = Prelude::Failed(SshFault::Protocol);
    for input in [&b"SSH-2.0-x\r\n"[..], b"\0\0\0\0\0", b"\x01\xff\0\0\0", b"\x03\0\0\0\x01\x63", b"\x01\0\0\0\0"] {
        assert_eq!(parse_prelude(input), broken, "{input:?}");
    }
    let mut input = frames(&[SshFrame::Login(&login())]);
    for at in 5..input.len() {
        input[at] ^= 0xff;
        // It is refused or means something else, but it never fails in another way.
        assert_ne!(parse_prelude(&input), Prelude::Login(login(), input.len()), "{at}");
        input[at] ^= 0xff;
    }
}

#[test]
fn terminal_is_edited_by_the_server_without_telnet_commands() {
    let session = login().session(InputMode::Line);
    assert_eq!(session, SshSession::Terminal(InputMode::Line));
    let input = frames(&[SshFrame::Data(b"hel"), SshFrame::resized(100, 30), SshFrame::Data(b"p\x7flo \xff\xf4\r")]);
    for piece in [1, 2, 7, input.len()] {
        let mut decoder = Wire::Ssh(session).decoder();
        decoder.ssh_mut().expect("SSH").describe(&login());
        assert_eq!(decoder.terminal().and_then(|terminal| terminal.variable("USER")), Some("ann"));
        let found = decode(&mut decoder, &input, piece).expect("well formed");
        assert_eq!(found, ["80x1000", "100x30", "\"hello \u{fffd}\u{fffd}\""], "{piece}");
        assert!(output(&mut decoder).ends_with("\r\n"));
        let session = decoder.session().expect("it has a terminal");
        session.prompt("name? ", true);
        session.set_mode(InputMode::Line);
        let found = decode(&mut decoder, &frames(&[SshFrame::Data(b"secret\r")]), piece).expect("well formed");
        assert_eq!(found, ["\"secret\""]);
        let shown = output(&mut decoder);
        assert!(shown.contains("name? ") && !shown.contains("secret") && !shown.contains('\0'), "{shown:?}");
    }
}

#[test]
fn output_has_no_escapes_of_telnet() {
    let mut decoder = Wire::Ssh(SshSession::Terminal(InputMode::Character)).decoder();
    let session = decoder.session().expect("it has a terminal");
    session.render(b"a\xff\xffb\r\0c\r\n\0");
    assert_eq!(decoder.replies(true).map(|replies| replies.output), Some(b"a\xffb\rc\r\n\0".to_vec()));
}

#[test]
fn session_without_terminal_sends_and_receives_lines() {
    let login = SshLogin { has_crlf: true, ..SshLogin::user("ann") };
    assert_eq!(login.session(InputMode::Keys), SshSession::Lines(LineEnding::CrLf));
    let mut decoder = Wire::Ssh(login.session(InputMode::Keys)).decoder();
    decoder.ssh_mut().expect("SSH").describe(&login);
    let input = frames(&[SshFrame::Data(b"one\ntw"), SshFrame::resized(1, 2), SshFrame::Data(b"o\n")]);
    assert_eq!(decode(&mut decoder, &input, 3), Ok([r#""one""#, r#""two""#].map(String::from).into()));
    assert!(decoder.replies(true).is_none());
    assert_eq!(decoder.terminal().and_then(|terminal| terminal.variable("USER")), Some("ann"));
}

#[test]
fn keys_arrive_one_by_one() {
    let mut decoder = Wire::Ssh(SshSession::Terminal(InputMode::Keys)).decoder();
    let found = decode(&mut decoder, &frames(&[SshFrame::Data(b"a\r")]), 1).expect("well formed");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn unknown_frames_are_errors() {
    for input in [&b"\x01\0\0\0\0"[..], b"\x09\0\0\0\0", b"\x02\0\0\0\x05\0\0\0\0\0"] {
        let mut decoder = Wire::Ssh(SshSession::Lines(LineEnding::Lf)).decoder();
        assert_eq!(decode(&mut decoder, input, 1), Err(DecodeFailed), "{input:?}");
    }
}
