//! Rooms that remember, as an operator configures them: the ready-made applications, reloads and metrics.

use super::connect;
use crate::support::{Client, Directory, Program, program_path};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A peer that sends and receives lines.
struct Peer(BufReader<TcpStream>);

impl Peer {
    fn new(port: u16) -> Self {
        Self(BufReader::new(connect(port)))
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("the server reads");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("text in time");
        line.trim_end().to_owned()
    }

    fn hear_until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            lines.push(self.hear());
            assert!(lines.len() < 100, "{last:?} never came: {lines:?}");
        }
        lines
    }
}

/// Returns the value of a series at `/metrics`.
fn metric(port: u16, series: &str) -> u64 {
    let mut stream = connect(port);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("{series} in {text}"))
}

/// Waits until a series at `/metrics` has a value.
fn wait_for_metric(port: u16, series: &str, value: u64) {
    for _ in 0..1_000 {
        if metric(port, series) == value {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{series} is {}, not {value}", metric(port, series));
}

const NEW: &str = "drupe_room_joins_total{result=\"new\"}";

fn config(options: &str) -> String {
    format!(
        "listeners:\n  chat: {{ address: '127.0.0.1:0' }}\n  echo: {{ address: '127.0.0.1:0', app: echo }}\n  \
         relay: {{ address: '127.0.0.1:0', app: relay }}\n  \
         web: {{ address: '127.0.0.1:0', protocol: websocket, websocket: {{ metrics: open }} }}\n\
         rooms:\n  options: {options}\n"
    )
}

#[test]
fn ready_made_applications_serve_rooms_with_a_home_and_reloads_add_and_remove_rules() {
    let directory = Directory::new("rooms");
    let file = directory.0.join("drupe.yaml");
    let text = config("{ lobby: { messages_max: 3, positions: true }, relay: {} }");
    let program = Program::configured(&directory.0, &text, 4, |_| {});
    let [chat, echo, relay, web] = [0, 1, 2, 3].map(|place| program.port_of(place));

    let (mut ann, mut bob) = (Peer::new(chat), Peer::new(chat));
    ann.hear_until("* guest1 came to lobby");
    bob.hear_until("* guest2 came to lobby");
    ann.say("hello");
    assert_eq!(bob.hear(), "<guest1> hello");
    assert_eq!(ann.hear_until("<guest1> hello"), ["* guest2 came to lobby", "<guest1> hello"]);
    let mut page = Client::start(program_path(), &["client", &program.addresses[3]]).expect("it was built");
    assert!(page.hear().starts_with("* welcome, guest3"));
    let came = page.hear();
    assert!(came.starts_with("{\"type\":\"message\",\"room\":\"lobby\",\"position\":\""), "{came}");
    assert!(came.ends_with("\",\"data\":\"* guest3 came to lobby\"}"), "{came}");
    bob.hear_until("* guest3 came to lobby");

    let mut alone = Peer::new(echo);
    alone.say("back");
    assert_eq!(alone.hear(), "back");
    let (mut cid, mut dan) = (Peer::new(relay), Peer::new(relay));
    wait_for_metric(web, NEW, 5);
    cid.say("unchanged");
    assert_eq!(dan.hear(), "unchanged");
    assert_eq!(metric(web, "drupe_room_histories"), 2);
    assert!(metric(web, "drupe_room_histories_bytes") > 0);

    // One room gets a home, and another loses it.
    ann.say("/join den");
    ann.hear_until("* guest1 came to den");
    std::fs::write(&file, config("{ den: { messages_max: 3 }, relay: {} }")).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "reloaded; listening on", 1);
    assert_eq!(ann.hear(), "notice: messages in den may be missing (no_history)");
    ann.say("kept");
    assert_eq!(ann.hear(), "<guest1> kept");
    bob.say("plain");
    bob.hear_until("<guest2> plain");
    while page.hear() != "<guest2> plain" {}
    assert_eq!(metric(web, "drupe_room_gaps_total{reason=\"no_history\"}"), 1);
    assert_eq!(metric(web, "drupe_room_histories"), 2);

    std::fs::write(&file, config("{ 'd*n': {} }")).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "rooms.options.d*n: a * stands only at the end", 1);
    ann.say("still kept");
    assert_eq!(ann.hear(), "<guest1> still kept");
    std::fs::write(&file, config("{}")).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "reloaded; listening on", 2);
    ann.say("not kept");
    assert_eq!(ann.hear(), "<guest1> not kept");
    dan.say("direct");
    assert_eq!(cid.hear(), "direct");
    assert_eq!((metric(web, "drupe_room_histories"), metric(web, "drupe_room_histories_bytes")), (0, 0));
    drop((ann, bob, cid, dan, alone, page));
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn relay_on_two_workers_has_one_home_and_one_history() {
    let directory = Directory::new("rooms-workers");
    let text = "workers: 2\nrooms: { options: { 'rel*': { messages_max: 5 } } }\nlisteners:\n  \
        a: { address: '127.0.0.1:0', app: relay }\n  \
        b: { address: '127.0.0.1:0', app: echo, protocol: websocket, websocket: { metrics: open } }\n";
    let program = Program::configured(&directory.0, text, 2, |_| {});
    let [relay, web] = [0, 1].map(|place| program.port_of(place));
    let mut peers: Vec<_> = (0..8).map(|_| Peer::new(relay)).collect();
    wait_for_metric(web, NEW, 8);
    let mut sender = peers.remove(0);
    for number in 0..20 {
        sender.say(&number.to_string());
    }
    for peer in &mut peers {
        let heard: Vec<_> = (0..20).map(|_| peer.hear()).collect();
        assert_eq!(heard, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(metric(web, "drupe_room_histories"), 1, "one worker is the home");
    drop((peers, sender));
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

/// The script of the page, as the server serves it.
const PAGE: &str = include_str!("../../../core/src/web/page/drupe.js");

#[test]
fn page_shows_the_text_of_messages_with_positions_and_of_gaps() {
    let start = PAGE.find("function unwrap").expect("the function");
    let function = PAGE[start..].split_inclusive("\n}\n").next().expect("its end");
    let script = format!("{function}\nfor (const text of process.argv.slice(1)) console.log(unwrap(text));");
    let texts = [
        ("<ann> hello", "<ann> hello"),
        (r#"{"type":"message","room":"a","position":"7.1.2f","data":"<ann> \"hi\""}"#, "<ann> \"hi\""),
        (r#"{"type":"message","room":"a","position":"7.1.2f","data":{"x":1}}"#, r#"{"x":1}"#),
        (
            r#"{"type":"gap","room":"a","why":"too_slow","position":"7.1.2f"}"#,
            "* messages in a may be missing (too_slow)",
        ),
        (r#"{"type":"message","room":"a","#, r#"{"type":"message","room":"a","#),
        (r#"{"type":"notice"}"#, r#"{"type":"notice"}"#),
    ];
    let mut arguments = vec!["-e", &script, "--"];
    arguments.extend(texts.map(|(text, _)| text));
    let Some(node) = Client::start("node", &arguments) else { return };
    let expected: String = texts.iter().map(|(_, shown)| format!("{shown}\n")).collect();
    assert_eq!(node.rest(), expected);
}
