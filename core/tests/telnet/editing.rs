//! Line editing on the server, keys, and changes of the input mode.

use super::Peer;
use drupe_core::limit::MessageSize;
use drupe_core::{Config, Listen};
use std::time::Duration;

#[test]
fn linemode_leaves_editing_to_a_capable_terminal() {
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
fn character_mode_echoes_and_edits_keys() {
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
fn control_c_and_control_d_emit_signals() {
    let mut peer = Peer::typing();
    peer.say(b"void\x03x\x04\x15\x04\r");
    assert_eq!(peer.told(), ["InterruptProcess", "EndOfFile", "line "]);
}

#[test]
fn message_during_typing_redraws_the_line() {
    let mut peer = Peer::typing();
    peer.say(b":prompt\r");
    peer.heard();
    peer.say(b"hel");
    peer.heard();
    let request = drupe_core::Command::Publish { room: "all".into(), payload: "news".into() };
    peer.hub.command(&request);
    assert_eq!(peer.heard_text(), "\r\0\u{1b}[Jnews\r\nname> hel");
    peer.say(b"lo\r");
    assert_eq!(peer.heard_text(), "lo\r\nhello\r\n");
    peer.say(b":password\r");
    assert_eq!(peer.heard_text(), ":password\r\npassword: ");
    peer.say(b"secret");
    peer.hub.command(&request);
    assert_eq!(peer.heard_text(), "\r\0\u{1b}[Jnews\r\npassword: ");
    peer.say(b"\r");
    assert_eq!(peer.heard_text(), "\r\nsecret\r\n");
    peer.say(b"\x1b[A");
    assert!(!peer.heard_text().contains("secret"), "a password is not remembered");
}

#[test]
fn keys_mode_emits_every_key() {
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
fn mode_change_in_mid_line_keeps_the_line() {
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

/// Whoever leaves character mode may come back, and ends with all of it or nothing.
#[test]
fn toggled_echo_ends_with_both_options_or_neither() {
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

/// Going back to lines in the middle of a key must not leave keys that nobody serves.
#[test]
fn mode_may_change_at_any_key() {
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
fn partial_input_survives_a_mode_change() {
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
fn peer_that_accepts_half_of_character_mode_keeps_line_mode() {
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
fn long_prompt_is_sent_once() {
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
fn slow_policy_applies_in_character_mode() {
    let mut peer = Peer::typing();
    peer.say(&[b'x'; 4_000]);
    peer.heard();
    peer.hub.set_writable(peer.conn, 0);
    let request = drupe_core::Command::Publish { room: "all".into(), payload: "news".into() };
    for _ in 0..2_000 {
        peer.hub.command(&request);
    }
    assert!(!peer.hub.is_closed(peer.conn));
    let metrics = peer.hub.machine().metrics();
    assert!(metrics.skipped > 1_000 && metrics.queued_bytes < (1 << 20) + 8_192, "{} skipped", metrics.skipped);
}

#[test]
fn interrupt_redraws_the_prompt_with_an_empty_line() {
    for interrupt in [&b"\x03"[..], b"\xff\xf4"] {
        let mut peer = Peer::typing();
        peer.say(b":prompt\rhel");
        peer.heard();
        peer.say(interrupt);
        assert_eq!(peer.heard_text(), "^C\r\nname> ", "{interrupt:?}");
        peer.say(b"lo\r");
        assert_eq!(peer.told().last().map(String::as_str), Some("line lo"));
    }
}

#[test]
fn control_l_clears_the_screen_before_later_output() {
    let mut peer = Peer::typing();
    peer.say(b"half");
    peer.heard();
    peer.say(b"\x0c");
    let cleared = peer.heard_text();
    let clears = cleared.strip_suffix("half").expect("the line is drawn again").to_owned();
    assert!(clears.contains("\x1b["), "{clears:?}");
    peer.say(b"\x0c\xff\xf6");
    assert_eq!(peer.heard_text(), format!("{clears}[Yes]\r\nhalf"));
    peer.say(b"\r");
    assert_eq!(peer.told(), ["line half"]);
}

#[test]
fn arrow_down_returns_to_newer_history() {
    let mut peer = Peer::typing();
    peer.say(b"one\rtwo\rthree\r");
    peer.told();
    peer.say(b"draft\x1b[A\x1b[A\x1b[A\x1b[B!\r");
    assert_eq!(peer.told(), ["line two!"]);
    // Past the newest is what was typed before, once more.
    peer.say(b"draft\x1b[A\x1b[A\x1b[B\x1b[B\x1b[B!\r");
    assert_eq!(peer.told(), ["line draft!"]);
}

#[test]
fn linux_console_function_keys_decode_and_others_drop() {
    let mut peer = Peer::typing();
    peer.say(b"a\x1b[[Zb\r:keys\r");
    assert_eq!(peer.told()[..2], ["line ab", "line :keys"]);
    peer.say(b"\x1b[[A\x1b[[Zx");
    assert_eq!(peer.told(), ["Key(Function(1))", "Key(Char('x'))"]);
}

#[test]
fn terminal_without_cursor_keys_gets_no_escape_sequences() {
    let mut peer = Peer::typing();
    peer.say(b"\xff\xfb\x18\xff\xfa\x18\x00DUMB\xff\xf0\xff\xfa\x18\x00DUMB\xff\xf0half");
    peer.heard();
    let request = drupe_core::Command::Publish { room: "all".into(), payload: "news".into() };
    peer.hub.command(&request);
    assert_eq!(peer.heard_text(), "\r\nnews\r\nhalf");
}

#[test]
fn terminal_without_cursor_keys_ends_long_lines_and_clears_the_screen_without_escape_sequences() {
    let mut peer = Peer::typing();
    peer.say(b"\xff\xfb\x18\xff\xfa\x18\x00DUMB\xff\xf0\xff\xfa\x18\x00DUMB\xff\xf0");
    peer.heard();
    let long = "x".repeat(100);
    // The cursor is in the first of two rows when the line ends.
    for end in ["\x01\r", "\x01\x03", "\x0c\r", "\x01\x0c\x01\r"] {
        peer.say(format!("{long}{end}").as_bytes());
        let heard = peer.heard_text();
        assert!(heard.contains(&long) && !heard.contains('\x1b'), "{end:?}: {heard:?}");
    }
}

#[test]
fn history_lines_over_a_lowered_limit_are_skipped() {
    let mut peer = Peer::typing();
    let long = "x".repeat(50);
    peer.say(format!("one\r{long}\rtwo\r{long}y\r").as_bytes());
    let mut config = Config::listening(["telnet://127.0.0.1:0?mode=character".parse::<Listen>().expect("well formed")]);
    config.peer.budget.message_max_bytes = MessageSize::new(20).expect("in range");
    peer.hub.reconfigure(config);
    peer.told();
    peer.say(b"draft\x1b[A\x1b[A!\r");
    assert_eq!(peer.told(), ["line one!"]);
    peer.say(b"draft\x1b[A\x1b[A\x1b[A\x1b[A\x1b[B\x1b[B!\r");
    assert_eq!(peer.told(), ["line one!!"]);
    peer.say(b"draft\x1b[A\x1b[B!\r");
    assert_eq!(peer.told(), ["line draft!"]);
}
