use super::*;
use crate::base::PayloadBuf;
use crate::wire::Item;
use crate::wire::telnet::{InputMode, Session, Telnet};
use crate::wire::{InvalidUtf8, MessageSize};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use proptest::prelude::*;

const IS: u8 = 0;
const SEND: u8 = 1;
const REQUEST: u8 = 1;
const ACCEPTED: u8 = 2;

/// Feeds `bytes` to a client. Returns its items as text, and what it sends.
fn hear(session: &mut ClientSession, bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    let (mut items, mut sent, mut at) = (vec![], vec![], 0);
    let (mut input, mut buffer) = (bytes.to_vec(), DecodeBuffer::default());
    while at < input.len() || session.is_ahead() {
        let decoded = session.decode(&mut input[at..], &mut buffer, &Budget::default()).expect("well formed");
        at += decoded.used;
        items.extend(decoded.item.map(words));
        let replies = session.replies().unwrap_or_default();
        sent.extend([replies.control, replies.output].concat());
    }
    (items, sent)
}

fn words(item: Item<'_>) -> String {
    match item {
        Item::Message(payload) => format!("{:?}", payload.to_owned()),
        Item::Signal(signal) => format!("{signal:?}"),
        other => format!("{other:?}"),
    }
}

fn text(line: &str) -> String {
    format!("{:?}", PayloadBuf::from(line))
}

#[test]
fn default_client_reveals_nothing_and_refuses_each_request_once() {
    let mut session = ClientSession::new(TelnetClient::default());
    assert_eq!(session.replies(), None);
    for option in
        [option::TTYPE, option::NAWS, option::NEW_ENVIRON, option::TSPEED, option::LINEMODE, option::ECHO, 240]
    {
        let (items, sent) = hear(&mut session, &[IAC, 253, option]);
        assert_eq!((items, sent), (vec![], vec![IAC, 252, option]), "{option}");
    }
    for option in [option::GMCP, option::MSDP, option::MCCP2, option::STATUS, option::MSSP] {
        let (items, sent) = hear(&mut session, &[IAC, 251, option]);
        assert_eq!((items, sent), (vec![], vec![IAC, 254, option]), "{option}");
    }
    // A request for a value of an option that is off gets nothing.
    let (items, sent) = hear(&mut session, &[IAC, 250, option::TTYPE, SEND, IAC, 240]);
    assert_eq!((items, sent), (vec![], vec![]));
}

#[test]
fn terminal_types_are_reported_in_order_the_last_twice() {
    let types = "DRUPE,XTERM,MTTS 13".parse().expect("well formed");
    let mut session = ClientSession::new(TelnetClient::default().types(types));
    assert_eq!(hear(&mut session, &[IAC, 253, option::TTYPE]).1, [IAC, 251, option::TTYPE]);
    for name in ["DRUPE", "XTERM", "MTTS 13", "MTTS 13", "DRUPE"] {
        let (_, sent) = hear(&mut session, &[IAC, 250, option::TTYPE, SEND, IAC, 240]);
        assert_eq!(sent, [&[IAC, 250, option::TTYPE, IS], name.as_bytes(), &[IAC, 240]].concat());
    }
}

#[test]
fn window_size_is_sent_when_asked_and_at_each_change() {
    let size = |columns: u8, rows: u8| [IAC, 250, option::NAWS, 0, columns, 0, rows, IAC, 240];
    let mut session = ClientSession::new(TelnetClient::default().size(Some((80, 24))));
    let (_, sent) = hear(&mut session, &[IAC, 253, option::NAWS]);
    assert_eq!(sent, [&[IAC, 251, option::NAWS][..], &size(80, 24)].concat());
    session.set_window_size(80, 24);
    assert_eq!(session.replies(), None);
    session.set_window_size(90, 30);
    assert_eq!(session.replies().map(|replies| replies.control), Some(size(90, 30).to_vec()));
    // A width of 255 contains the byte of IAC, which is doubled.
    session.set_window_size(255, 30);
    let expected = vec![IAC, 250, option::NAWS, 0, IAC, IAC, 0, 30, IAC, 240];
    assert_eq!(session.replies().map(|replies| replies.control), Some(expected));
    // A size that becomes known after a refusal is offered.
    let mut session = ClientSession::new(TelnetClient::default());
    assert_eq!(hear(&mut session, &[IAC, 253, option::NAWS]).1, [IAC, 252, option::NAWS]);
    session.set_window_size(80, 24);
    assert_eq!(session.replies().map(|replies| replies.control), Some(vec![IAC, 251, option::NAWS]));
    assert_eq!(hear(&mut session, &[IAC, 253, option::NAWS]).1, size(80, 24));
}

#[test]
fn mode_follows_echo_and_suppressed_go_ahead() {
    let mut session = ClientSession::new(TelnetClient::default());
    let on = |option: u8| format!("Option {{ option: {option}, side: Him, on: true }}");
    let (items, _) = hear(&mut session, &[IAC, 251, option::ECHO]);
    assert_eq!(items, [on(option::ECHO), "ClientMode(Hidden)".to_string()]);
    let (items, _) = hear(&mut session, &[IAC, 252, option::ECHO]);
    assert_eq!(items[1], "ClientMode(Line)");
    let (items, sent) = hear(&mut session, &[IAC, 251, option::SGA, IAC, 251, option::ECHO]);
    assert_eq!(items, [on(option::SGA), on(option::ECHO), "ClientMode(Character)".to_string()]);
    assert_eq!(sent, [IAC, 253, option::SGA, IAC, 253, option::ECHO]);
}

#[test]
fn lines_have_no_endings_and_prompts_end_with_ga_eor_or_silence() {
    let mut session = ClientSession::new(TelnetClient::default());
    let (items, _) = hear(&mut session, b"one\r\ntwo\n\rth\0ree\r\n\r\n50%\r\x00100%\r\nname: \xff\xf9rest\n");
    let prompt = format!("Prompt({:?})", Payload::Text("name: "));
    assert_eq!(
        items,
        [text("one"), text("two"), text("three"), text(""), text("50%\r100%"), prompt.clone(), text("rest")]
    );
    assert_eq!(session.wait(), None);
    assert_eq!(hear(&mut session, b"\r\xff\xefname: ").0, Vec::<String>::new());
    assert_eq!(session.wait(), Some(Duration::from_millis(500)));
    session.on_timeout();
    assert!(session.is_ahead());
    assert_eq!(hear(&mut session, b"").0, [prompt]);
    assert!(!session.is_ahead() && !session.is_partial());
    assert_eq!(hear(&mut session, b"end").0, Vec::<String>::new());
    let mut buffer = DecodeBuffer::default();
    assert_eq!(session.finish(&mut buffer, &Budget::default()), Ok(Some(Payload::Text("end"))));
}

#[test]
fn too_long_line_is_an_error_before_it_is_kept() {
    let budget = Budget::default().message_max_bytes(MessageSize::new(4).expect("in range"));
    for (bytes, ok) in [(&b"four\r\n"[..], true), (b"fiver\n", false), (b"fiv\0er", false)] {
        let mut session = ClientSession::new(TelnetClient::default());
        let (mut input, mut buffer) = (bytes.to_vec(), DecodeBuffer::default());
        assert_eq!(session.decode(&mut input, &mut buffer, &budget).is_ok(), ok, "{bytes:?}");
    }
}

#[test]
fn stream_passes_control_characters_at_once_but_never_splits_a_character() {
    let mut session = ClientSession::new(TelnetClient::default().delivery(Delivery::Stream));
    assert_eq!(hear(&mut session, b"login: ").0, [text("login: ")]);
    assert_eq!(hear(&mut session, b"\x1b[1m\r\0x\r\n").0, [text("\u{1b}[1m\rx\r\n")]);
    assert_eq!(hear(&mut session, b"gr\xc3").0, [text("gr")]);
    assert_eq!(hear(&mut session, b"\xbc\xe2\x82").0, [text("ü")]);
    assert_eq!(hear(&mut session, b"x\xff\xff").0, [text("\u{fffd}x"), text("\u{fffd}")]);
    let bytes = TelnetClient::default().delivery(Delivery::Stream).invalid_utf8(InvalidUtf8::Bytes);
    let mut session = ClientSession::new(bytes);
    let binary = |bytes: &[u8]| format!("{:?}", PayloadBuf::Binary(bytes.to_vec().into()));
    assert_eq!(hear(&mut session, b"\xc3\0").0, [binary(b"\xc3")]);
    // BINARY gives every byte (RFC 856).
    assert_eq!(hear(&mut session, b"\xff\xfb\0\xc3\0").0[1], binary(b"\xc3\0"));
}

#[test]
fn invalid_text_is_an_error_after_the_text_before_it_however_it_is_split() {
    let config = TelnetClient::default().delivery(Delivery::Stream).invalid_utf8(InvalidUtf8::Reject);
    // What follows the invalid byte, such as a request, has no effect.
    let stream = b"ab\xc3(c\xff\xfd\x00";
    for size in 1..=stream.len() {
        let (mut session, mut buffer, mut text) = (ClientSession::new(config), DecodeBuffer::default(), String::new());
        let mut failed = None;
        'all: for piece in stream.chunks(size) {
            let (mut piece, mut at) = (piece.to_vec(), 0);
            while at < piece.len() || session.is_ahead() {
                match session.decode(&mut piece[at..], &mut buffer, &Budget::default()) {
                    Ok(decoded) => {
                        at += decoded.used;
                        text.extend(decoded.message().and_then(|payload| payload.as_str().map(String::from)));
                    }
                    Err(error) => {
                        failed = Some(error);
                        break 'all;
                    }
                }
            }
        }
        let invalid = matches!(failed, Some(DecodeError::InvalidUtf8 { .. }));
        assert!(invalid && text == "ab" && session.replies().is_none(), "{size}: {failed:?} after {text:?}");
    }
}

#[test]
fn charset_prefers_utf_8_and_requests_binary() {
    let mut session = ClientSession::new(TelnetClient::default().charset(Charset::Latin1).delivery(Delivery::Stream));
    assert_eq!(hear(&mut session, b"\xfc").0, [text("ü")]);
    hear(&mut session, &[IAC, 251, option::CHARSET]);
    let request = |names: &str| [&[IAC, 250, option::CHARSET, REQUEST], names.as_bytes(), &[IAC, 240]].concat();
    let (items, sent) = hear(&mut session, &request(";IBM437;EBCDIC;utf-8"));
    assert_eq!(items, ["Charset(Utf8)"]);
    let accepted = [&[IAC, 250, option::CHARSET, ACCEPTED][..], b"utf-8", &[IAC, 240]].concat();
    assert_eq!(sent, [&[IAC, 251, option::BINARY, IAC, 253, option::BINARY][..], &accepted].concat());
    assert_eq!(hear(&mut session, "ü".as_bytes()).0, [text("ü")]);
    assert_eq!(hear(&mut session, &request(";IBM437")).0, ["Charset(Cp437)"]);
    let (items, sent) = hear(&mut session, &request(";EBCDIC"));
    assert_eq!((items, sent), (vec![], vec![IAC, 250, option::CHARSET, 3, IAC, 240]));
}

#[test]
fn keys_have_nvt_line_endings_and_are_unchanged_with_binary() {
    let sent = |session: &mut ClientSession, keys: &str| {
        session.write(Payload::Text(keys));
        session.replies().unwrap_or_default().output
    };
    let mut session = ClientSession::new(TelnetClient::default());
    assert_eq!(sent(&mut session, "a\rb\n"), b"a\r\0b\r\n");
    session.write(Payload::Binary(&[IAC]));
    assert_eq!(session.replies().unwrap_or_default().output, [IAC, IAC]);
    hear(&mut session, &[IAC, 253, option::BINARY]);
    assert_eq!(sent(&mut session, "a\rb\n"), b"a\rb\n");
    session.command(Command::InterruptProcess);
    assert_eq!(session.replies().unwrap_or_default().output, [IAC, 244]);
}

/// A connection of a client and our own server, whose bytes arrive in pieces.
struct Pair {
    client: ClientSession,
    server: Session,
    /// Bytes in transit to the client, and to the server.
    lines: [Vec<u8>; 2],
    heard: [Vec<String>; 2],
}

impl Pair {
    fn new(client: TelnetClient, server: Telnet) -> Self {
        let (client, server) = (ClientSession::new(client), Session::new(server));
        Self { client, server, lines: Default::default(), heard: Default::default() }
    }

    /// Passes bytes in pieces of these lengths, in turns, until no end has more to send.
    fn settle(&mut self, pieces: &[usize]) -> Result<(), TestCaseError> {
        let (mut pieces, mut passed) = (pieces.iter().copied().cycle(), 0);
        self.collect();
        while self.lines.iter().any(|line| !line.is_empty()) {
            for end in [0, 1] {
                let count = self.lines[end].len().min(pieces.next().unwrap_or(1));
                let mut piece: Vec<u8> = self.lines[end].drain(..count).collect();
                passed += count;
                prop_assert!(passed < 10_000, "the negotiation does not end");
                let (mut at, mut buffer, budget) = (0, DecodeBuffer::default(), Budget::default());
                loop {
                    let is_ahead = if end == 0 { self.client.is_ahead() } else { self.server.is_ahead() };
                    if at == piece.len() && !is_ahead {
                        break;
                    }
                    let decoded = match end {
                        0 => self.client.decode(&mut piece[at..], &mut buffer, &budget),
                        _ => self.server.decode(&mut piece[at..], &mut buffer, &budget),
                    };
                    let decoded = decoded.map_err(|error| TestCaseError::fail(error.to_string()))?;
                    at += decoded.used;
                    self.heard[end].extend(decoded.item.map(words));
                    self.collect();
                }
            }
        }
        Ok(())
    }

    fn collect(&mut self) {
        let [to_client, to_server] = &mut self.lines;
        let replies = self.client.replies().unwrap_or_default();
        to_server.extend([replies.control, replies.output].concat());
        let replies = self.server.replies().unwrap_or_default();
        to_client.extend([replies.control, replies.output].concat());
    }
}

proptest! {
    /// However the bytes are split, both ends agree on every option and every message.
    #[test]
    fn client_and_server_agree_through_any_split(
        mode in prop::sample::select(vec![InputMode::Line, InputMode::Character, InputMode::Keys]),
        flags in any::<[bool; 6]>(),
        asked in prop::collection::vec((any::<[bool; 3]>(), 0..=255u8), 0..30),
        pieces in prop::collection::vec(1..40_usize, 1..8),
        lines in prop::collection::vec("[a-zü€ \u{1F600}\u{1b}]{0,12}", 0..5),
    ) {
        let [gmcp, compress, is_sized, has_types, streams, charset] = flags;
        let client = TelnetClient::default()
            .size(is_sized.then_some((91, 33)))
            .types(if has_types { "DRUPE,XTERM".parse().expect("well formed") } else { TerminalTypes::default() })
            .delivery(if streams { Delivery::Stream } else { Delivery::Lines })
            .charset(if charset { Charset::Latin1 } else { Charset::Utf8 })
            .gmcp(gmcp)
            .msdp(gmcp)
            .compress(compress);
        let server = Telnet::default().mode(mode).gmcp(gmcp).msdp(true).compress(compress);
        let mut pair = Pair::new(client, server);
        pair.settle(&pieces)?;
        for ([by_client, on, us], option) in asked {
            if matches!(option, option::MCCP2 | option::MCCP3 | option::TM | option::LOGOUT) {
                continue;
            }
            let side = if us { Side::Us } else { Side::Him };
            match (by_client, on) {
                (true, true) => pair.client.enable_option(side, option),
                (true, false) => pair.client.disable_option(side, option),
                (false, true) => pair.server.enable_option(side, option),
                (false, false) => pair.server.disable_option(side, option),
            }
        }
        pair.settle(&pieces)?;
        for option in 0..=255 {
            prop_assert_eq!(pair.client.is_on(Side::Us, option), pair.server.is_on(Side::Him, option), "option {}", option);
            prop_assert_eq!(pair.server.is_on(Side::Us, option), pair.client.is_on(Side::Him, option), "option {}", option);
        }
        // The server's text arrives, whichever options are on.
        pair.heard[0].clear();
        let mut expected = String::new();
        for line in &lines {
            let line = format!("{line}\n");
            pair.server.write(Payload::Text(&line));
            expected.push_str(&line.replace('\n', "\r\n"));
        }
        pair.settle(&pieces)?;
        if mode == InputMode::Line && streams {
            let heard = |item: &String| item.strip_prefix("Text(\"").and_then(|rest| rest.strip_suffix("\")")).map(String::from);
            let all: String = pair.heard[0].iter().filter_map(heard).collect();
            prop_assert_eq!(all, expected.escape_debug().to_string().replace("\\'", "'"));
        } else if mode == InputMode::Line {
            let texts: Vec<String> = lines.iter().map(|line| text(line)).collect();
            let all: Vec<String> = pair.heard[0].iter().filter(|item| item.starts_with("Text")).cloned().collect();
            prop_assert_eq!(all, texts);
        }
    }

    /// The client's answers are at most 8 times as long as what the server sends.
    #[test]
    fn answers_are_bounded_by_the_bytes_that_ask_for_them(
        pieces in prop::collection::vec(prop_oneof![
            3 => (251..=254u8, 0..=50u8).prop_map(|(verb, option)| vec![IAC, verb, option]),
            2 => Just(vec![IAC, 250, option::TTYPE, SEND, IAC, 240]),
            1 => Just([&[IAC, 250, option::CHARSET, REQUEST], &b";UTF-8"[..], &[IAC, 240]].concat()),
            1 => (239..=249u8).prop_map(|command| vec![IAC, command]),
            1 => prop::collection::vec(any::<u8>(), 0..6),
        ], 0..400),
    ) {
        let types = "DRUPE-TERMINAL-OF-THE-LONGEST-NAME-THERE".parse().expect("well formed");
        let config = TelnetClient::default().types(types).size(Some((65_535, 65_535))).gmcp(true);
        let mut session = ClientSession::new(config);
        let stream = pieces.concat();
        let (_, sent) = hear(&mut session, &stream);
        prop_assert!(sent.len() <= 8 * stream.len(), "{} bytes answer {}", sent.len(), stream.len());
    }
}
