//! Option negotiation, commands, output encoding, limits.

use super::{PROBE, Peer, Recorder};
use drupe_core::telnet::Terminal;
use drupe_core::testing::TestHub;
use drupe_core::{Config, Reason};
use std::time::Duration;

#[test]
fn plain_line_peer_gets_only_the_probe_and_lines() {
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
fn input_sent_and_ended_at_once_is_served() {
    let mut peer = Peer::new("");
    peer.say(b"one\r\ntwo");
    peer.hub.end(peer.conn);
    assert_eq!(peer.told(), ["line one", "line two", "closed peer_closed"]);
    assert_eq!(peer.heard(), [PROBE, b"one\r\ntwo\r\n"].concat());
}

/// Any split of the same bytes gives the same lines, signals and answers.
#[test]
fn session_result_does_not_depend_on_the_split() {
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
fn telnet_client_is_queried_and_its_values_are_stored() {
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
fn unknown_options_are_refused_and_repeats_ignored() {
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
fn telnet_commands_act_without_consuming_data() {
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
fn output_follows_the_network_virtual_terminal() {
    let mut peer = Peer::plain("?invalid=bytes");
    peer.say(b"a\xff\xffb\n");
    assert_eq!(peer.heard(), b"not text\r\n");
    let request = drupe_core::Command::Publish { room: "all".into(), payload: "two\nlines and\rone\r\n".into() };
    peer.hub.command(&request);
    assert_eq!(peer.heard(), b"two\r\nlines and\r\0one\r\n\r\n");
    let bytes = bytes::Bytes::from_static(b"\xff\x00\xffx\xff");
    let request = drupe_core::Command::Publish { room: "all".into(), payload: bytes.into() };
    peer.hub.command(&request);
    assert_eq!(peer.heard(), b"\xff\xff\x00\xff\xffx\xff\xff\r\n");
}

#[test]
fn password_prompt_disables_the_peers_echo() {
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
fn keep_alive_sends_nop_only_to_telnet_peers() {
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
fn idle_peer_is_warned_then_closed() {
    let mut config = Config::listening(["telnet://127.0.0.1:0?probe=no".parse().expect("well formed")]);
    config.peer.idle = Some(Duration::from_secs(60));
    config.peer.idle_warning = Some(Duration::from_secs(10));
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

#[test]
fn telnet_commands_do_not_extend_the_message_deadline() {
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
fn abort_output_discards_only_messages() {
    let mut peer = Peer::plain("");
    peer.say(b"\xff\xfb\x2a\xff\xfa\x2a\x01;ISO-8859-1\xff\xf0gone\n\xff\xf5\n");
    let heard = peer.heard();
    let accepted = b"\xff\xfa\x2a\x02ISO-8859-1\xff\xf0";
    assert!(heard.windows(accepted.len()).any(|window| window == accepted), "{heard:?}");
    assert!(!heard.windows(4).any(|window| window == b"gone"), "{heard:?}");
}

#[test]
fn line_and_subnegotiation_are_bounded_in_size_and_time() {
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
fn unsupported_charset_request_is_rejected() {
    for names in [&b";KOI8-R;EUC-JP"[..], b";", b"", b";\xfe"] {
        let mut peer = Peer::plain("");
        peer.say(b"\xff\xfb\x2a");
        peer.heard();
        peer.told();
        peer.say(&[b"\xff\xfa\x2a\x01", names, b"\xff\xf0"].concat());
        assert_eq!(peer.heard(), b"\xff\xfa\x2a\x03\xff\xf0", "{names:?}");
        peer.say("é\n".as_bytes());
        assert_eq!(peer.told(), ["line é"], "it is still UTF-8");
    }
}

#[test]
fn unsolicited_charset_replies_change_nothing() {
    let mut peer = Peer::plain("");
    peer.say(b"\xff\xfb\x2a");
    peer.heard();
    peer.told();
    peer.say(b"\xff\xfa\x2a\x02ISO-8859-1\xff\xf0\xff\xfa\x2a\x09\xff\xf0");
    assert_eq!((peer.heard(), peer.told()), (vec![], vec![]));
    // A translation table is always rejected.
    peer.say(b"\xff\xfa\x2a\x04\x01\xff\xf0");
    assert_eq!(peer.heard(), b"\xff\xfa\x2a\x05\xff\xf0");
}

#[test]
fn unchanged_terminal_value_is_signalled_once() {
    let mut peer = Peer::plain("");
    peer.say(b"\xff\xfb\x20\xff\xfb\x23\xff\xfb\x17");
    peer.told();
    let values = b"\xff\xfa\x20\x0038400,9600\xff\xf0\xff\xfa\x23\x00host:0.0\xff\xf0\xff\xfa\x17room 7\xff\xf0";
    peer.say(values);
    assert_eq!(peer.told(), ["Speed", "DisplayLocation", "Location"]);
    peer.say(values);
    peer.say(b"\xff\xfa\x20\x00fast\xff\xf0\xff\xfa\x17room\x077\xff\xf0\xff\xfa\x17\xfe\xff\xf0");
    assert_eq!(peer.told(), Vec::<String>::new(), "nor is what can't be a speed or a place");
    assert_eq!(peer.hub.terminal(peer.conn).expect("open").location.as_deref(), Some("room 7"));
}

#[test]
fn keys_mode_disables_remote_flow_control() {
    let mut peer = Peer::plain("");
    peer.say(b"\xff\xfb\x21");
    assert_eq!(peer.heard(), b"\xff\xfd\x21\xff\xfa\x21\x01\xff\xf0");
    peer.say(b":keys\n");
    assert!(peer.heard().ends_with(b"\xff\xfa\x21\x00\xff\xf0"), "control-S and control-Q are keys");
    peer.say(b":line\n");
    assert!(peer.heard().ends_with(b"\xff\xfa\x21\x01\xff\xf0"));
}

#[test]
fn status_reply_doubles_option_240() {
    let mut peer = Peer::plain("");
    peer.say(b":240\n");
    assert_eq!(peer.heard(), b"\xff\xfb\xf0");
    peer.say(b"\xff\xfd\xf0\xff\xfd\x05");
    peer.heard();
    peer.say(b"\xff\xfa\x05\x01\xff\xf0");
    assert_eq!(peer.heard(), b"\xff\xfa\x05\x00\xfb\x05\xfb\xf0\xf0\xff\xf0");
}
