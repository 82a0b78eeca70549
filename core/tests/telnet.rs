//! Telnet as a peer sees it: a whole server in virtual time, byte by byte.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]

use drupe_core::outbound::SlowPolicy;
use drupe_core::telnet::{InputMode, Key, Side, Signal, Terminal, option};
use drupe_core::testing::TestHub;
use drupe_core::work::steps_of;
use drupe_core::{Config, ConnId, Event, Handler, Hub, Listen, NoNote, Reason};
use std::time::Duration;

/// Remembers what it is told; says each line again; does what lines that begin with a colon say.
#[derive(Default)]
struct Recorder {
    told: Vec<String>,
    prompt: String,
}

impl Handler for Recorder {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                hub.set_slow_policy("all", SlowPolicy::SkipNewest).expect("there is room");
                hub.join(conn, "all").expect("there is room");
            }
            Event::Message { conn, payload } => {
                let text = payload.as_str().unwrap_or("not text").to_owned();
                self.told.push(format!("line {text}"));
                match &*text {
                    ":character" => drop(hub.set_input_mode(conn, InputMode::Character)),
                    ":keys" => drop(hub.set_input_mode(conn, InputMode::Keys)),
                    ":line" => drop(hub.set_input_mode(conn, InputMode::Line)),
                    ":prompt" => drop(hub.prompt(conn, "name> ")),
                    ":password" => drop(hub.prompt_hidden(conn, "password: ")),
                    ":gmcp" => drop(hub.gmcp(conn, "Core.Ping", "")),
                    ":mxp" => drop(hub.enable_option(conn, Side::Us, option::MXP)),
                    ":quit" => hub.close_with(conn, "bye"),
                    ":long" => drop(hub.prompt(conn, &self.prompt)),
                    ":more" => {
                        hub.prompt(conn, &self.prompt);
                        hub.write(conn, self.prompt.as_str());
                    }
                    ":silent" => {}
                    _ => drop(hub.send(conn, &text)),
                }
            }
            Event::Signal { conn, signal, .. } => {
                self.told.push(format!("{signal:?}"));
                if signal == Signal::Key(Key::Char('q')) {
                    hub.set_input_mode(conn, InputMode::Line);
                }
            }
            Event::Closed { reason, .. } => self.told.push(format!("closed {reason}")),
            _ => {}
        }
    }
}

struct Peer {
    hub: TestHub<Recorder>,
    conn: ConnId,
}

const PROBE: &[u8] = b"\xff\xfd\x18";

impl Peer {
    fn new(options: &str) -> Self {
        let listen: Listen = format!("telnet://127.0.0.1:0{options}").parse().expect("well formed");
        let mut hub = TestHub::with_config(Config::listening([listen]), Recorder::default());
        let conn = hub.connect();
        Self { hub, conn }
    }

    /// One that has refused everything.
    fn plain(options: &str) -> Self {
        let mut peer = Self::new(options);
        peer.say(b"\xff\xfc\x18");
        peer.heard();
        peer.told();
        peer
    }

    /// One that leaves editing to the server.
    fn typing() -> Self {
        let mut peer = Self::new("?mode=character");
        peer.say(b"\xff\xfc\x18");
        peer.say(b"\xff\xfd\x01\xff\xfd\x03");
        peer.heard();
        peer.told();
        peer
    }

    fn say(&mut self, bytes: &[u8]) {
        self.hub.send(self.conn, bytes);
    }

    fn heard(&mut self) -> Vec<u8> {
        let heard = self.hub.received(self.conn).to_vec();
        self.hub.clear();
        heard
    }

    fn heard_text(&mut self) -> String {
        String::from_utf8(self.heard()).expect("only text")
    }

    fn told(&mut self) -> Vec<String> {
        let seen = self.hub.handler().told.clone();
        self.hub.with_handler(|recorder| recorder.told.clear());
        seen
    }
}

#[test]
fn nc_gets_three_bytes_and_then_nothing_but_lines() {
    let mut peer = Peer::new("");
    assert_eq!(peer.heard(), PROBE);
    peer.say(b"one\ntwo\r\nthree\r\0four\rfive\r\n");
    assert_eq!(peer.told(), ["line one", "line two", "line three", "line four", "line five"]);
    assert_eq!(peer.heard(), b"one\r\ntwo\r\nthree\r\nfour\r\nfive\r\n");
    peer.say(b":prompt\n:password\nsecret\n");
    assert_eq!(peer.heard(), b"name> password: secret\r\n", "no command to who never sent one");
    let mut peer = Peer::new("?probe=no");
    assert_eq!(peer.heard(), b"");
}

#[test]
fn what_is_sent_at_once_and_ended_is_served() {
    let mut peer = Peer::new("");
    peer.say(b"one\r\ntwo");
    peer.hub.end(peer.conn);
    assert_eq!(peer.told(), ["line one", "line two", "closed peer_closed"]);
    assert_eq!(peer.heard(), [PROBE, b"one\r\ntwo\r\n"].concat());
}

/// Any split of the same bytes gives the same lines, signals and answers.
#[test]
fn the_split_does_not_matter() {
    let stream: &[u8] = b"ab\xff\xf6cd\r\xff\xf1\n\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\xff\xff\xff\xf0x\xff\xffy\n\
        \xff\xfd\x06\xff\xfa\x18\x00XTERM\xff\xf0a\x08\x7fb\xff\xf7c\xff\xf8d\r\0\n\xff\xfd\xff!\n";
    let run = |size: usize| {
        let mut peer = Peer::new("");
        stream.chunks(size).for_each(|piece| peer.say(piece));
        let (mut heard, told) = (peer.heard(), peer.told());
        // Refusals go ahead of what is queued, so what is read at once comes in another order.
        heard.sort_unstable();
        (heard, told)
    };
    let whole = run(stream.len());
    for size in 1..stream.len() {
        assert_eq!(run(size), whole, "by {size}");
    }
    assert!(
        whole.1.contains(&"line abcd".to_owned()) && whole.1.contains(&"line x\u{fffd}y".to_owned()),
        "{:?}",
        whole.1
    );
    assert!(whole.1.contains(&"line d".to_owned()) && whole.1.contains(&"line !".to_owned()), "{:?}", whole.1);
}

#[test]
fn a_client_that_speaks_telnet_is_asked_and_what_it_says_is_kept() {
    let mut peer = Peer::new("");
    peer.say(b"\xff\xfb\x18");
    let asked = peer.heard();
    for words in [&b"\xff\xfa\x18\x01\xff\xf0"[..], b"\xff\xfd\x1f", b"\xff\xfd\x27", b"\xff\xfb\x2a", b"\xff\xfb\x19"]
    {
        assert!(asked.windows(words.len()).any(|window| window == words), "{words:?} in {asked:?}");
    }
    peer.say(b"\xff\xfa\x18\x00TINTIN++\xff\xf0");
    peer.say(b"\xff\xfa\x18\x00XTERM\xff\xf0\xff\xfa\x18\x00MTTS 2061\xff\xf0\xff\xfa\x18\x00X\xff\xf0");
    peer.say(b"\xff\xfb\x1f\xff\xfa\x1f\x00\x78\x00\x28\xff\xf0\xff\xfa\x1f\xff\xff\xff\xff\x00\x28\xff\xf0");
    peer.say(b"\xff\xfb\x27\xff\xfa\x27\x00\x00USER\x01ann\x03A\x02\x01B\x01x\x00EMPTY\x01\x00GONE\xff\xf0");
    peer.say(b"\xff\xfb\x20\xff\xfa\x20\x0038400,9600\xff\xf0\xff\xfb\x23\xff\xfa\x23\x00host:0.0\xff\xf0");
    peer.say(b"\xff\xfb\x17\xff\xfa\x17room 7\xff\xf0");
    peer.say(b"\xff\xfd\x2a\xff\xfa\x2a\x02ISO-8859-1\xff\xf0");
    let told = peer.told();
    for words in ["TerminalTypes", "Environment", "Speed", "DisplayLocation", "Location", "Charset(Latin1)"] {
        assert_eq!(told.iter().filter(|told| *told == words).count(), 1, "{words} in {told:?}");
    }
    assert_eq!(told.iter().filter(|told| told.starts_with("Resized")).count(), 1, "{told:?}");
    let terminal = peer.hub.terminal(peer.conn).expect("it speaks telnet");
    assert_eq!(terminal.types, ["TINTIN++", "XTERM"]);
    assert_eq!((terminal.columns, terminal.rows), (Some(Terminal::SIZE_MAX), Some(40)));
    assert_eq!((terminal.variable("USER"), terminal.variable("A\u{1}B")), (Some("ann"), None));
    assert_eq!((terminal.variable("EMPTY"), terminal.variable("GONE")), (Some(""), None));
    assert_eq!(terminal.speed, Some((38_400, 9_600)));
    assert_eq!(
        (terminal.display_location.as_deref(), terminal.location.as_deref()),
        (Some("host:0.0"), Some("room 7"))
    );
    peer.heard();
    peer.say(b"Gr\xfc\xdfe \xff\xff\r\n");
    assert_eq!(peer.told(), ["line Grüße ÿ"]);
    assert_eq!(peer.heard(), b"Gr\xfc\xdfe \xff\xff\r\n");
}

#[test]
fn what_is_not_known_is_refused_and_what_is_done_is_not_answered() {
    let mut peer = Peer::plain("");
    peer.say(b"\xff\xfd\xc8\xff\xfb\xc8\xff\xfb\x01\xff\xfd\x03");
    assert_eq!(peer.heard(), b"\xff\xfc\xc8\xff\xfe\xc8\xff\xfe\x01\xff\xfc\x03", "the peer does not echo for us");
    peer.say(b"\xff\xfe\xc8\xff\xfc\xc8");
    assert_eq!(peer.heard(), b"", "that is so already");
    peer.say(b"\xff\xfb\x03\xff\xfb\x03\xff\xfd\x00\xff\xfe\x00");
    assert_eq!(peer.heard(), b"\xff\xfd\x03\xff\xfb\x00\xff\xfc\x00");
    let asked = peer.heard().len();
    for _ in 0..10_000 {
        peer.say(b"\xff\xfd\xc8\xff\xfb\x00\xff\xfc\x00");
    }
    let answered = peer.heard().len() - asked;
    assert!(answered < 200, "{answered} bytes of answers to 30,000 questions");
}

#[test]
fn commands_do_what_they_say_and_take_no_byte_with_them() {
    let mut peer = Peer::plain("");
    peer.say(b"\xff\xf6ab\xff\xf7c\xff\xf1\xff\xf2\xff\xf9\xff\xef\xff\x07d\n");
    assert_eq!((peer.heard_text().as_str(), peer.told()), ("[Yes]\r\nacd\r\n", vec!["line acd".to_owned()]));
    peer.say(b"gone\xff\xf8kept\xff\xf4new\xff\xf3\xff\xed\xff\xee\xff\xec\n");
    assert_eq!(peer.told(), ["InterruptProcess", "Break", "Suspend", "Abort", "EndOfFile", "line new"]);
    peer.heard();
    peer.say(b"before\n\xff\xfd\x06\xff\xfd\x06after\n");
    assert_eq!(peer.heard(), b"before\r\n\xff\xfb\x06\xff\xfb\x06after\r\n", "each mark in its place");
    peer.say(b"\xff\xf5");
    assert_eq!(peer.heard(), b"\xff\xf2");
    assert_eq!(peer.told(), ["line before", "line after", "AbortOutput"]);
    peer.say(b"\xff\xfd\x05\xff\xfa\x05\x01\xff\xf0");
    assert_eq!(peer.heard(), b"\xff\xfb\x05\xff\xfa\x05\x00\xfb\x05\xff\xf0");
    peer.say(b"\xff\xfd\x12more\n");
    assert_eq!(peer.heard(), b"\xff\xfb\x12");
    assert_eq!(peer.told().last().map(String::as_str), Some("closed peer_closed"));
}

#[test]
fn output_is_for_a_network_virtual_terminal() {
    let mut peer = Peer::plain("?invalid=bytes");
    peer.say(b"a\xff\xffb\n");
    assert_eq!(peer.heard(), b"not text\r\n");
    let request = drupe_core::Request::Publish { room: "all".into(), payload: "two\nlines and\rone\r\n".into() };
    peer.hub.request(&request);
    assert_eq!(peer.heard(), b"two\r\nlines and\r\0one\r\n\r\n");
    let bytes = bytes::Bytes::from_static(b"\xff\x00\xffx\xff");
    let request = drupe_core::Request::Publish { room: "all".into(), payload: bytes.into() };
    peer.hub.request(&request);
    assert_eq!(peer.heard(), b"\xff\xff\x00\xff\xffx\xff\xff\r\n");
}

#[test]
fn a_password_is_hidden_by_the_peers_terminal() {
    let mut peer = Peer::plain("");
    peer.say(b":password\n");
    assert_eq!(peer.heard(), b"\xff\xfb\x01password: \xff\xf9");
    peer.say(b"\xff\xfd\x01secret\n");
    assert_eq!(peer.heard(), b"\xff\xfc\x01\r\nsecret\r\n");
    peer.say(b"\xff\xfe\x01seen\n");
    assert_eq!(peer.heard(), b"seen\r\n");
    // With EOR agreed on, that is the mark.
    peer.say(b"\xff\xfd\x19:prompt\n");
    assert_eq!(peer.heard(), b"name> \xff\xef");
}

#[test]
fn line_mode_is_left_to_a_terminal_that_can() {
    let mut peer = Peer::plain("");
    peer.say(b"\xff\xfb\x22");
    assert_eq!(peer.heard(), b"\xff\xfa\x22\x01\x03\xff\xf0", "edit, and trap signals");
    peer.say(b"\xff\xfa\x22\x01\x07\xff\xf0");
    assert_eq!(peer.heard(), b"", "an acknowledgement is not answered");
    peer.say(b"\xff\xfa\x22\x03\x03\x62\x03\x0a\x82\x7f\x63\x02\x01\x08\x00\xff\xff\xff\xf0");
    assert_eq!(peer.heard(), b"\xff\xfa\x22\x03\x03\xe2\x03\x63\x00\x00\xff\xf0");
    peer.say(b":character\n");
    assert_eq!(peer.heard(), b"\xff\xfb\x01\xff\xfb\x03\xff\xfa\x22\x01\x00\xff\xf0");
}

#[test]
fn keys_are_shown_and_edited() {
    let mut peer = Peer::typing();
    peer.say(b"hello");
    assert_eq!(peer.heard_text(), "hello");
    peer.say(b" wor");
    assert_eq!(peer.heard_text(), " wor");
    peer.say(b"ld\r\n");
    assert_eq!(peer.heard_text(), "ld\r\nhello world\r\n");
    for (typed, line) in [
        (&b"hellp\x7fo\r"[..], "hello"),
        (b"one two three\x17\x17\x084\r\0", "one4"),
        (b"gone\x15kept\r", "kept"),
        (b"world\x01hello \x05!\n", "hello world!"),
        (b"ab\x1b[D\x1b[Dx\x1b[Cy\x1b[Fz\r", "xaybz"),
        (b"abc\x1b[H\x1b[3~\x0b\r", ""),
        (b"\x1b[A\x1b[A!\r", "hello world!!"),
        (b"draft\x1b[A\x1b[B\r", "draft"),
        ("e\u{301}👩\u{200d}👩\u{200d}👧漢\x7f\x7fx\r".as_bytes(), "e\u{301}x"),
        (b"a\tb\x1b[99;99xc\x00\r", "a bc"),
        (b"\xff\xf7gone\xff\xf8a\xff\xf7b\r", "b"),
    ] {
        peer.told();
        peer.say(typed);
        assert_eq!(peer.told(), [format!("line {line}")], "{typed:?}");
    }
}

#[test]
fn control_c_and_control_d_are_told() {
    let mut peer = Peer::typing();
    peer.say(b"void\x03x\x04\x15\x04\r");
    assert_eq!(peer.told(), ["InterruptProcess", "EndOfFile", "line "]);
}

#[test]
fn what_arrives_while_one_types_does_not_tear_the_line() {
    let mut peer = Peer::typing();
    peer.say(b":prompt\r");
    peer.heard();
    peer.say(b"hel");
    peer.heard();
    let request = drupe_core::Request::Publish { room: "all".into(), payload: "news".into() };
    peer.hub.request(&request);
    assert_eq!(peer.heard_text(), "\r\0\u{1b}[Jnews\r\nname> hel");
    peer.say(b"lo\r");
    assert_eq!(peer.heard_text(), "lo\r\nhello\r\n");
    peer.say(b":password\r");
    assert_eq!(peer.heard_text(), ":password\r\npassword: ");
    peer.say(b"secret");
    peer.hub.request(&request);
    assert_eq!(peer.heard_text(), "\r\0\u{1b}[Jnews\r\npassword: ");
    peer.say(b"\r");
    assert_eq!(peer.heard_text(), "\r\nsecret\r\n");
    peer.say(b"\x1b[A");
    assert!(!peer.heard_text().contains("secret"), "a password is not remembered");
}

#[test]
fn every_key_is_told_to_who_wants_them() {
    let mut peer = Peer::typing();
    peer.say(b":keys\r");
    peer.told();
    peer.say(b"a\x1b[A\x03\x1b");
    assert_eq!(peer.told(), ["Key(Char('a'))", "Key(Up)", "Key(Ctrl('c'))"]);
    peer.hub.advance(Duration::from_millis(99));
    assert!(peer.told().is_empty());
    peer.hub.advance(Duration::from_millis(2));
    assert_eq!(peer.told(), ["Key(Escape)"]);
    peer.say(b"q");
    assert_eq!(peer.told(), ["Key(Char('q'))"]);
    assert!(peer.heard().ends_with(b"\xff\xfc\x03\xff\xfd\x22\xff\xfc\x01"), "it is a line terminal again");
    peer.say(b"\xff\xfe\x01\xff\xfe\x03line\n");
    assert_eq!(peer.told()[2..], ["line line"]);
}

#[test]
fn a_terminal_may_come_and_go_between_the_modes_in_the_middle_of_a_line() {
    let mut peer = Peer::plain("");
    peer.say(b":character\n");
    assert_eq!(peer.heard(), b"\xff\xfb\x01\xff\xfb\x03");
    peer.say(b"beg");
    peer.say(b"\xff\xfd\x01\xff\xfd\x03");
    peer.say(b"un\r");
    let told = peer.told();
    assert!(told.ends_with(&["InputMode(Character)".into(), "line begun".into()]), "{told:?}");
    peer.say(b"half\xff\xfe\x01 a line\r\n");
    let told = peer.told();
    assert!(told.ends_with(&["InputMode(Line)".into(), "line half a line".into()]), "{told:?}");
}

#[test]
fn gmcp_and_other_options_go_both_ways_when_they_are_on() {
    let mut peer = Peer::new("?gmcp=yes&msdp=yes");
    peer.say(b"\xff\xfc\x18");
    assert!(peer.heard().ends_with(b"\xff\xfb\xc9\xff\xfb\x45\xff\xfd\x22"));
    peer.say(b":gmcp\n\xff\xfa\xc9Too.Early\xff\xf0");
    assert_eq!(peer.heard(), b"");
    peer.say(b"\xff\xfd\xc9\xff\xfa\xc9Core.Hello { \"client\": \"x\" }\xff\xf0:gmcp\n");
    assert_eq!(peer.heard(), b"\xff\xfa\xc9Core.Ping\xff\xf0");
    let told = peer.told();
    assert!(
        told.contains(&"Gmcp { package: \"Core.Hello\", data: \"{ \\\"client\\\": \\\"x\\\" }\" }".into()),
        "{told:?}"
    );
    assert!(!told.iter().any(|told| told.contains("Early")));
    peer.say(b":mxp\n");
    assert_eq!(peer.heard(), b"\xff\xfb\x5b");
    peer.say(b"\xff\xfd\x5b\xff\xfa\x5bhi\xff\xf0\xff\xfd\x45\xff\xfa\x45\x01LIST\x02ROOM\xff\xf0");
    let told = peer.told();
    assert!(told.contains(&"Subnegotiation { option: 91, content: [104, 105] }".into()), "{told:?}");
    assert!(told.iter().any(|told| told.starts_with("Subnegotiation { option: 69")), "{told:?}");
}

#[test]
fn a_list_of_servers_is_told_of_this_one() {
    struct Named;
    impl Handler for Named {
        type Context = ();
        type Note = NoNote;
        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
            if event == Event::Started {
                hub.set_server_status(&[("NAME", "Drupe"), ("UPTIME", "0")]);
            }
        }
    }
    let config = Config::listening(["telnet://127.0.0.1:0".parse().expect("well formed")]);
    let mut hub = TestHub::with_config(config, Named);
    let (crawler, _) = (hub.connect(), hub.connect());
    hub.send(crawler, b"\xff\xfd\x46");
    let heard = hub.received(crawler);
    assert!(heard.ends_with(b"\xff\xfa\x46\x01PLAYERS\x022\x01NAME\x02Drupe\x01UPTIME\x020\xff\xf0"), "{heard:?}");
}

#[test]
fn a_list_of_servers_costs_the_same_however_many_are_connected() {
    struct Named;
    impl Handler for Named {
        type Context = ();
        type Note = NoNote;
        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
            if event == Event::Started {
                hub.set_server_status(&[("NAME", "Drupe")]);
            }
        }
    }
    let steps = |connections: usize| {
        let config = Config::listening(["telnet://127.0.0.1:0".parse().expect("well formed")]).unlimited();
        let mut hub = TestHub::with_config(config, Named);
        (0..connections).for_each(|_| _ = hub.connect());
        let crawler = hub.connect();
        hub.send(crawler, b"\xff\xfc\x18");
        let ((), steps) = steps_of(|| (0..10).for_each(|_| hub.send(crawler, b"\xff\xfe\x46\xff\xfd\x46")));
        let told = format!("PLAYERS\u{2}{}", connections + 1);
        assert!(String::from_utf8_lossy(hub.received(crawler)).contains(&told), "{connections}");
        steps
    };
    let (few, many) = (steps(10), steps(2_000));
    assert!(many < few + 1_000, "{few} steps with ten connections, and {many} with 2,000");
}

/// Whoever leaves character mode may come back, and ends with all of it or nothing.
#[test]
fn echo_that_is_switched_off_and_on_again_ends_with_both_halves_or_none() {
    let mut peer = Peer::typing();
    peer.say(b"\xff\xfe\x01");
    assert_eq!(peer.heard(), b"\xff\xfc\x01\xff\xfc\x03");
    // It comes back before it has heard that the other half is off too.
    peer.say(b"\xff\xfd\x01");
    assert_eq!(peer.heard(), b"\xff\xfb\x01");
    peer.say(b"\xff\xfe\x03");
    assert_eq!(peer.heard(), b"\xff\xfb\x03", "the other half is asked for again");
    peer.say(b"\xff\xfd\x03");
    peer.told();
    peer.say(b"keys\x7f\r");
    assert_eq!((peer.told(), peer.heard_text().contains("key")), (vec!["line key".to_owned()], true));
    // And after it has heard.
    peer.say(b"\xff\xfe\x01");
    peer.say(b"\xff\xfe\x03");
    peer.heard();
    peer.say(b"\xff\xfd\x01");
    assert_eq!(peer.heard(), b"\xff\xfb\x01\xff\xfb\x03");
    // What it refuses takes the other half back.
    peer.say(b"\xff\xfe\x03");
    assert_eq!(peer.heard(), b"\xff\xfc\x01");
}

#[test]
fn output_is_compressed_from_the_marker_on() {
    let mut peer = Peer::new("?compress=yes");
    peer.say(b"\xff\xfc\x18");
    assert!(peer.heard().ends_with(b"\xff\xfb\x56\xff\xfb\x57\xff\xfd\x22"));
    peer.say(b"\xff\xfd\x56");
    let marker = b"\xff\xfa\x56\xff\xf0";
    assert_eq!(peer.heard(), marker);
    peer.say(b"hello\n\xff\xfd\xc8");
    let request = drupe_core::Request::Publish { room: "all".into(), payload: "hello".into() };
    peer.hub.request(&request);
    let heard = peer.heard();
    let mut state = miniz_oxide::inflate::stream::InflateState::new_boxed(miniz_oxide::DataFormat::Zlib);
    let mut out = [0; 1000];
    let inflated =
        miniz_oxide::inflate::stream::inflate(&mut state, &heard, &mut out, miniz_oxide::MZFlush::None).bytes_written;
    assert_eq!(&out[..inflated], b"hello\r\n\xff\xfc\xc8hello\r\n");
    peer.say(b"\xff\xfe\x56");
    peer.heard();
    peer.say(b"plain\n");
    assert_eq!(peer.heard(), b"plain\r\n");
}

#[test]
fn input_is_inflated_piece_by_piece_and_counted() {
    let compressed = |text: &[u8]| miniz_oxide::deflate::compress_to_vec_zlib(text, 6);
    let mut peer = Peer::new("?compress=yes");
    peer.say(b"\xff\xfc\x18\xff\xfd\x57");
    peer.told();
    let stream = [&b"plain\n\xff\xfa\x57\xff\xf0"[..], &compressed(b"one\ntwo\r\n\xff\xf6thr"), b"ee\n"].concat();
    for size in [1, 2, 7, 1000] {
        let mut peer = Peer::new("?compress=yes");
        peer.say(b"\xff\xfc\x18\xff\xfd\x57");
        peer.told();
        stream.chunks(size).for_each(|piece| peer.say(piece));
        assert_eq!(peer.told(), ["line plain", "line one", "line two", "line three"], "by {size}");
    }
    // A thousandfold: it is met as what it is, a line that is too long.
    peer.say(b"\xff\xfa\x57\xff\xf0");
    peer.say(&compressed(&vec![b'x'; 10_000_000]));
    peer.hub.advance(Duration::from_millis(1));
    assert_eq!(peer.told(), ["closed message_too_large"]);
    let mut peer = Peer::new("?compress=yes");
    peer.say(b"\xff\xfc\x18\xff\xfd\x57\xff\xfa\x57\xff\xf0not zlib at all");
    assert_eq!(peer.told().last().map(String::as_str), Some("closed malformed_frame"));
    // Many short lines count as the bytes they are, so the sender is slowed.
    let mut peer = Peer::new("?compress=yes");
    peer.say(b"\xff\xfc\x18\xff\xfd\x57\xff\xfa\x57\xff\xf0");
    peer.say(&compressed(&b":silent\n".repeat(5_000)));
    let served = peer.told().len();
    assert!(served < 3_000, "{served} lines at once");
    peer.hub.advance(Duration::from_secs(10));
    assert_eq!(served + peer.told().len(), 5_000 + 1, "and nothing is lost");
}

#[test]
fn the_line_and_the_subnegotiation_are_bounded_in_bytes_and_time() {
    let mut peer = Peer::plain("");
    for _ in 0..128 {
        peer.say(&vec![b'x'; 65_536]);
    }
    assert_eq!(peer.told(), ["closed message_too_large"]);
    let mut peer = Peer::plain("");
    peer.say(b"\xff\xfa\x18");
    for _ in 0..256 {
        peer.say(&vec![b'x'; 65_536]);
        peer.hub.advance(Duration::from_millis(100));
    }
    assert!(peer.told().is_empty());
    peer.say(b"\xff\xf0alive\n");
    assert_eq!(peer.told(), ["line alive"]);
    peer.say(b"\xff\xfa\x18");
    peer.hub.advance(Duration::from_secs(61));
    assert_eq!(peer.told(), ["closed message_timeout"]);
    // A person may think for as long as they like.
    let mut peer = Peer::typing();
    peer.say(b"well, let me th");
    peer.hub.advance(Duration::from_secs(3600));
    peer.say(b"ink\r");
    assert_eq!(peer.told(), ["line well, let me think"]);
    let mut peer = Peer::typing();
    peer.say(&vec![b'x'; 5_000]);
    assert_eq!(peer.heard_text().matches('\u{7}').count(), 1, "a bell for all that is too much at once");
    peer.say(b"\r");
    assert_eq!(peer.told(), [format!("line {}", "x".repeat(4_096))]);
}

#[test]
fn a_sign_of_life_is_sent_to_who_speaks_telnet() {
    let mut peer = Peer::new("?keep_alive=30");
    peer.heard();
    peer.hub.advance(Duration::from_secs(100));
    assert_eq!(peer.heard(), b"");
    peer.say(b"\xff\xfc\x18");
    peer.heard();
    peer.hub.advance(Duration::from_secs(100));
    assert_eq!(peer.heard(), b"\xff\xf1\xff\xf1\xff\xf1");
}

#[test]
fn who_is_idle_is_warned_and_then_told() {
    let mut config = Config::listening(["telnet://127.0.0.1:0?probe=no".parse().expect("well formed")]);
    config.idle = Some(Duration::from_secs(60));
    config.idle_warning = Some(Duration::from_secs(10));
    let mut hub = TestHub::with_config(config, Recorder::default());
    let conn = hub.connect();
    hub.advance(Duration::from_secs(50));
    let warning = "notice: idle for too long; the connection closes in 10 s";
    assert_eq!(hub.lines(conn), [warning]);
    hub.line(conn, "x");
    hub.advance(Duration::from_secs(49));
    assert_eq!(hub.lines(conn), [warning, "x"]);
    hub.advance(Duration::from_secs(11));
    assert_eq!(hub.lines(conn)[2..], [warning, "closing (idle): there was no input for too long"]);
    assert_eq!(hub.ended(Reason::Idle), 1);
}

/// Going back to lines in the middle of a key must not leave keys that nobody serves.
#[test]
fn the_mode_may_change_at_any_key() {
    let mut peer = Peer::typing();
    peer.say(b":keys\r");
    peer.told();
    // Escape and Enter come out of one byte, and `q` has the application go back to lines.
    peer.say(b"\x1b\rq\x1b\r");
    peer.say(b"\xff\xfe\x01\xff\xfe\x03half \xc3\xff\xf1\xbc\n");
    let told = peer.told();
    assert!(told.ends_with(&["line half ü".into()]), "{told:?}");
}

#[test]
fn what_was_begun_is_not_lost_when_the_mode_changes() {
    let mut peer = Peer::plain("");
    peer.say(b":keys\nab\xc3");
    peer.told();
    peer.say(b"\xff\xfd\x01\xff\xfd\x03\xbc");
    let told = peer.told();
    assert_eq!(told[2..], ["InputMode(Keys)", "Key(Char('a'))", "Key(Char('b'))", "Key(Char('ü'))"]);
    peer.say(b"\x1b");
    peer.hub.end(peer.conn);
    assert_eq!(peer.told(), ["Key(Escape)", "closed peer_closed"], "nothing can follow the escape character");
}

#[test]
fn a_peer_that_agrees_to_half_of_character_mode_edits_itself() {
    for (half, taken_back) in
        [(&b"\xff\xfd\x01\xff\xfe\x03"[..], &b"\xff\xfc\x01"[..]), (b"\xff\xfe\x01\xff\xfd\x03", b"\xff\xfc\x03")]
    {
        let mut peer = Peer::new("?mode=character");
        peer.say(b"\xff\xfc\x18");
        peer.heard();
        peer.say(half);
        assert_eq!(peer.heard(), taken_back);
        peer.say(&[255, 254, taken_back[2]]);
        peer.say(b":password\n");
        assert_eq!(peer.heard(), [b"\xff\xfb\x01password: ", &b"\xff\xf9"[..]].concat());
    }
}

#[test]
fn a_long_prompt_is_sent_once() {
    let mut peer = Peer::plain("");
    let long = "p".repeat(1_025);
    peer.hub.with_handler(|recorder| recorder.prompt.clone_from(&long));
    peer.say(b":long\n");
    assert_eq!(peer.heard(), [long.as_bytes(), b"\xff\xf9"].concat());
    let mut peer = Peer::typing();
    peer.hub.with_handler(|recorder| recorder.prompt = "p".repeat(600));
    peer.say(b":long\r:more\r");
    let heard = peer.heard_text();
    assert!(heard.ends_with(&format!("{}\r\n", "p".repeat(1_200))), "it ends as a line");
}

#[test]
fn commands_now_and_then_are_no_progress() {
    let mut peer = Peer::plain("");
    peer.say(b"a");
    for _ in 0..6 {
        peer.hub.advance(Duration::from_secs(10));
        peer.say(b"\xff\xf6");
    }
    peer.hub.advance(Duration::from_secs(1));
    assert_eq!(peer.told(), ["closed message_timeout"]);
}

#[test]
fn abort_output_takes_messages_and_nothing_else() {
    let mut peer = Peer::plain("");
    peer.say(b"\xff\xfb\x2a\xff\xfa\x2a\x01;ISO-8859-1\xff\xf0gone\n\xff\xf5\n");
    let heard = peer.heard();
    let accepted = b"\xff\xfa\x2a\x02ISO-8859-1\xff\xf0";
    assert!(heard.windows(accepted.len()).any(|window| window == accepted), "{heard:?}");
    assert!(!heard.windows(4).any(|window| window == b"gone"), "{heard:?}");
}

#[test]
fn a_stream_that_was_compressed_stays_in_order() {
    let mut peer = Peer::new("?compress=yes&probe=no");
    // The agreement is answered before the marker, and the first negotiation with it.
    peer.say(b"\xff\xfd\x56");
    let heard = peer.heard();
    assert!(heard.ends_with(b"\xff\xfa\x56\xff\xf0"), "{heard:?}");
    peer.say(b"x\n\xff\xfe\x56\xff\xfd\x63");
    let heard = peer.heard();
    let mut state = miniz_oxide::inflate::stream::InflateState::new_boxed(miniz_oxide::DataFormat::Zlib);
    let mut out = [0; 100];
    let result = miniz_oxide::inflate::stream::inflate(&mut state, &heard, &mut out, miniz_oxide::MZFlush::None);
    assert_eq!(result.status, Ok(miniz_oxide::MZStatus::StreamEnd));
    assert_eq!(&out[..result.bytes_written], b"x\r\n\xff\xfc\x56");
    assert_eq!(&heard[result.bytes_consumed..], b"\xff\xfc\x63");
}

#[test]
fn a_compressed_block_may_be_as_long_as_what_is_inflated_at_once() {
    for length in [4_095, 4_096, 4_097, 8_192] {
        let mut peer = Peer::new("?compress=yes");
        peer.say(b"\xff\xfc\x18\xff\xfd\x57\xff\xfa\x57\xff\xf0");
        peer.told();
        let mut compressor = miniz_oxide::deflate::core::CompressorOxide::default();
        let line = [&vec![b'x'; length - 1][..], b"\n"].concat();
        let mut out = vec![0; 1_000];
        let sync = miniz_oxide::MZFlush::Sync;
        let result = miniz_oxide::deflate::stream::deflate(&mut compressor, &line, &mut out, sync);
        peer.say(&out[..result.bytes_written]);
        assert_eq!(peer.told(), [format!("line {}", "x".repeat(length - 1))]);
    }
}

#[test]
fn a_slow_room_member_skips_what_its_room_skips_also_where_the_server_edits() {
    let mut peer = Peer::typing();
    peer.say(&[b'x'; 4_000]);
    peer.heard();
    peer.hub.set_writable(peer.conn, 0);
    let request = drupe_core::Request::Publish { room: "all".into(), payload: "news".into() };
    for _ in 0..2_000 {
        peer.hub.request(&request);
    }
    assert!(!peer.hub.is_closed(peer.conn));
    let metrics = peer.hub.machine().metrics();
    assert!(metrics.skipped > 1_000 && metrics.queued_bytes < (1 << 20) + 8_192, "{} skipped", metrics.skipped);
}
