//! The examples as a reader runs them, with sockets at the other end.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

/// The example with a codec, whose own tests run here.
#[path = "../examples/modbus.rs"]
mod modbus;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use support::{Client, program_path, python};

/// An example that runs until its test is over.
struct Example {
    child: Child,
    output: BufReader<ChildStdout>,
    addresses: Vec<String>,
}

impl Example {
    fn start(name: &str, addresses: &[&str]) -> Self {
        let mut path = PathBuf::from(env!("CARGO_BIN_EXE_drupe"));
        path.pop();
        path.extend(["examples", name]);
        let mut child = Command::new(path)
            .args(addresses)
            .env("DRUPE_PASSWORD", "mellon")
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo test builds the examples");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let addresses = addresses.iter().map(|_| {
            let mut line = String::new();
            output.read_line(&mut line).expect("text");
            line.trim().strip_prefix("listening on ").expect("in these words").to_owned()
        });
        Self { addresses: addresses.collect(), output, child }
    }

    fn connect(&self, place: usize) -> Peer {
        let address = self.addresses[place].split_once("://").expect("a scheme").1;
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
        Peer(BufReader::new(stream))
    }

    /// Ends it as an operator does, and says what else it printed.
    fn end(mut self) -> String {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().expect("kill is everywhere").success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        assert_eq!(self.child.wait().expect("it exits").code(), Some(0));
        rest
    }
}

/// A test that fails leaves nothing behind.
impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Peer(BufReader<TcpStream>);

impl Peer {
    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("it reads");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    /// Says a line and hears one.
    fn ask(&mut self, line: &str) -> String {
        self.say(&format!("{line}\n"));
        self.hear()
    }
}

const MOUNTED: &str = r#"
import asyncio, sys, urllib.request, websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

async def until(socket, words):
    while words not in await asyncio.wait_for(socket.recv(), 60):
        pass

async def main():
    place = sys.argv[1]
    read = lambda: urllib.request.urlopen(f"http://{place}/").read().decode()
    print(await asyncio.to_thread(read), end="")
    url = f"ws://{place}/chat"
    async with websockets.connect(url) as ann, websockets.connect(url, compression=None) as bob:
        print([extension.name for extension in ann.protocol.extensions])
        await until(bob, "came to lobby")
        await ann.send("hello" * 500)
        await until(bob, "hello" * 500)
        await bob.send("good day")
        await until(ann, "good day")
        await asyncio.wait_for(await ann.ping(b"are you there"), 60)
        for where, options in (url, {"origin": "http://evil.example"}), (url + "/x", {}):
            try:
                await websockets.connect(where, **options)
            except InvalidStatus as refused:
                print(refused.response.status_code)
        print("served", flush=True)
        sys.stdin.readline()
        try:
            while True:
                await asyncio.wait_for(ann.recv(), 60)
        except ConnectionClosed as closed:
            print(closed.rcvd.code)

asyncio.run(main())
"#;

#[test]
fn mounted_chat_serves_a_websocket_client_below_axum() {
    let Some(python) = python("websockets") else { return };
    let mounted = Example::start("mounted", &["127.0.0.1:0"]);
    let place = mounted.addresses[0].split_once("://").expect("a scheme").1;
    let mut client = Client::start(&python, &["-c", MOUNTED, place]).expect("it has the package");
    client.hear_until("served\n");
    let ended = std::thread::spawn(move || mounted.end());
    client.say("\n");
    assert!(client.rest().ends_with("1001\n"));
    ended.join().expect("it exits");
}

const TCP: &str = "tcp://127.0.0.1:0";

#[test]
fn upper_replies_in_capital_letters_and_counts() {
    let upper = Example::start("upper", &[TCP, "ws://127.0.0.1:0"]);
    let mut peer = upper.connect(0);
    assert_eq!(peer.ask("hello world"), "HELLO WORLD");
    // What is not ended by a line feed is ended by the end.
    peer.say("crlf\r\nü");
    peer.0.get_mut().shutdown(Shutdown::Write).expect("it is open");
    assert_eq!((peer.hear(), peer.hear(), peer.hear()), ("CRLF".into(), "Ü".into(), String::new()));
    let mut scraper = upper.connect(1);
    scraper.say("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut metrics = String::new();
    scraper.0.read_to_string(&mut metrics).expect("text");
    assert!(metrics.contains("drupe_messages_received_total 3\n"), "{metrics}");
    let mut browser = Client::start(program_path(), &["client", &upper.addresses[1]]).expect("it was built");
    browser.say("over websocket\n");
    assert_eq!(browser.rest(), "OVER WEBSOCKET\n");
    // The scrape counts as none.
    let said = upper.end();
    assert!(said.starts_with("2 connections, 4 messages, "), "{said}");
}

#[test]
fn channels_take_what_is_said_calmly() {
    let channels = Example::start("channels", &[TCP, "ws://127.0.0.1:0"]);
    let mut client = channels.connect(0);
    assert!(client.ask(r#"{"id":1,"connect":{}}"#).starts_with(r#"{"id":1,"connect":{"client":""#));
    assert!(client.ask(r#"{"id":2,"subscribe":{"channel":"news:1"}}"#).contains(r#""recoverable":true"#));
    let mut person = channels.connect(0);
    assert_eq!(person.ask("/sub news:1"), "* you see news:1");
    assert_eq!(person.ask("/pub news:1 WAKE UP"), "* please speak quietly");
    person.say("/pub news:1 good morning\r\n");
    let publication = client.hear();
    assert!(publication.contains(r#""data":"good morning""#) && publication.contains(r#""offset":1"#), "{publication}");
    assert_eq!(client.ask(r#"{"id":3,"rpc":{"method":"count"}}"#), r#"{"id":3,"rpc":{"data":1}}"#);
    let refused = client.ask(r#"{"id":4,"rpc":{"method":"other"}}"#);
    assert_eq!(refused, r#"{"id":4,"error":{"code":1001,"message":"the only method is count"}}"#);
    channels.end();
}

#[test]
fn everywhere_serves_telnet_nc_and_websocket_alike() {
    let everywhere = Example::start("everywhere", &["telnet://127.0.0.1:0", TCP, "ws://127.0.0.1:0"]);
    let mut nc = everywhere.connect(1);
    assert_eq!(nc.hear(), "Welcome! `info` shows your connection, `quit` closes it.");
    assert_eq!(nc.ask("hello"), "> Echo: hello");
    assert!(nc.ask("info").ends_with(", line 2, unknown window size"));
    assert_eq!(nc.ask("quit"), "> Goodbye!");
    let mut websocket = Client::start(program_path(), &["client", &everywhere.addresses[2]]).expect("it was built");
    websocket.say("hello\nquit\n");
    let heard = websocket.rest();
    assert!(heard.ends_with("Echo: hello\nGoodbye!\n"), "{heard}");
    let mut telnet = everywhere.connect(0);
    // It will tell the size of its window, 80 by 24 (RFC 1073).
    telnet.0.get_mut().write_all(b"\xff\xfb\x1f\xff\xfa\x1f\0\x50\0\x18\xff\xf0info\r\nquit\r\n").expect("it reads");
    let mut heard = Vec::new();
    telnet.0.read_to_end(&mut heard).expect("it answers");
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.contains(", line 1, 80 columns\r\n") && heard.ends_with("Goodbye!\r\n"), "{heard}");
    everywhere.end();
}

#[test]
fn typed_chat_serves_json_and_text_peers() {
    let chat = Example::start("typed_chat", &[TCP, "ws://127.0.0.1:0"]);
    let (mut program, mut person) = (chat.connect(0), chat.connect(0));
    assert_eq!(program.ask(r#"{"type":"join","room":"den","name":"robot"}"#), r#"{"type":"joined","name":"robot"}"#);
    assert_eq!(program.hear(), r#"{"type":"present","names":["robot"]}"#);
    assert_eq!(person.ask("hello?"), "error: join a room first: /join ROOM NAME");
    assert_eq!(person.ask("/join den ann"), "* ann joined");
    assert_eq!(person.hear(), "* here are ann, robot");
    assert_eq!(program.hear(), r#"{"type":"joined","name":"ann"}"#);
    person.say("hello, robot\n");
    assert_eq!(program.hear(), r#"{"type":"said","name":"ann","text":"hello, robot"}"#);
    assert_eq!(
        program.ask(r#"{"type":"say","txt":"hello"}"#),
        r#"{"type":"error","of":"say","code":"invalid","reason":"missing field `text`"}"#
    );
    program.say("{\"type\":\"say\",\"text\":\"hello\"}\n");
    assert_eq!(person.hear(), "<robot> hello");
    drop(program);
    assert_eq!(person.hear(), "* robot left");
    chat.end();
}

#[test]
fn calculator_requires_the_password() {
    let calculator = Example::start("calculator", &[TCP]);
    let address = calculator.addresses[0].as_str();
    let refused = Command::new(program_path())
        .args(["client", address, "--user", "ann"])
        .env("DRUPE_PASSWORD", "melon")
        .stdin(Stdio::null())
        .output()
        .expect("it was built");
    let printed = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && printed.contains("can't log in: the proof is wrong"), "{printed}");
    let mut child = Command::new(program_path())
        .args(["client", address, "--user", "ann"])
        .env("DRUPE_PASSWORD", "mellon")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it was built");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut input = child.stdin.take().expect("piped");
    let mut ask = |request: &str| {
        input.write_all(format!("{request}\n").as_bytes()).expect("it reads");
        let mut line = String::new();
        output.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    };
    for (request, answer) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[2,3]}"#, r#"{"jsonrpc":"2.0","id":1,"result":5}"#),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"divide","params":{"dividend":7,"divisor":2}}"#,
            r#"{"jsonrpc":"2.0","id":2,"result":{"quotient":3,"remainder":1}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"divide","params":[7,0]}"#,
            r#"{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"division by zero or overflow"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":4,"method":"primes","params":{"below":100}}"#,
            r#"{"jsonrpc":"2.0","id":4,"result":25}"#,
        ),
        (r#"{"jsonrpc":"2.0","id":5,"method":"primes","params":[10]}"#, r#"{"jsonrpc":"2.0","id":5,"result":4}"#),
        (r#"{"jsonrpc":"2.0","id":6,"method":"primes","params":["ten"]}"#, "Invalid params"),
    ] {
        let came = ask(request);
        assert!(came.contains(answer), "{came}");
    }
    let document = ask(r#"{"jsonrpc":"2.0","id":7,"method":"rpc.discover"}"#);
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let names: Vec<_> = document["result"]["methods"].as_array().expect("methods").iter().map(|m| &m["name"]).collect();
    assert_eq!(names, ["add", "divide", "primes"]);
    drop(input);
    assert!(child.wait().expect("it exits").success());
    calculator.end();
}

#[test]
fn game_sends_to_others_the_team_and_all_players() {
    let game = Example::start("game", &["auto://127.0.0.1:0"]);
    let [mut ann, mut bob, mut cid] = [game.connect(0), game.connect(0), game.connect(0)];
    assert_eq!(ann.ask("/plan x"), "error: plan: choose a team first: /team red or /team blue");
    assert_eq!(bob.ask("/team green"), "error: team: team: unknown variant `green`, expected `red` or `blue`");
    for (player, team) in [(&mut ann, "red"), (&mut bob, "red"), (&mut cid, "blue")] {
        player.say(&format!("/team {team}\n"));
        // The answer shows that the team is chosen.
        assert_eq!(player.ask("/dance"), "error: dance: unknown type or command");
    }
    assert_eq!(ann.ask("/plan left flank"), "plan: left flank");
    assert_eq!(bob.hear(), "plan: left flank");
    ann.say("/move 3 4\n");
    assert!(bob.hear().ends_with(" moved to 3, 4") && cid.hear().ends_with(" moved to 3, 4"));
    assert_eq!(cid.ask("/referee round"), "error: referee.round: this is not allowed");
    cid.say("whistle\n/referee round\n");
    assert_eq!((ann.hear(), bob.hear(), cid.hear()), ("round 1".into(), "round 1".into(), "round 1".into()));
    game.end();
}

#[test]
fn agents_receive_each_others_lines_in_order() {
    let agents = Example::start("agents", &[TCP]);
    let (mut ann, mut bob, mut cid) = (agents.connect(0), agents.connect(0), agents.connect(0));
    let address = ann.0.get_ref().local_addr().expect("it is open");
    // Who came last is heard by all who came before.
    cid.say("ready\n");
    assert!(ann.hear().contains("ready") && bob.hear().contains("ready"));
    let lines: String = (0..200).map(|number| format!("{{\"n\":{number}}}\r\n")).collect();
    ann.say(&format!("{lines}\nlast"));
    ann.0.get_mut().shutdown(Shutdown::Write).expect("it is open");
    let envelope = |content: &str| format!("{{\"content\":\"{content}\",\"remote_addr\":\"{address}\"}}");
    for listener in [&mut bob, &mut cid] {
        for number in 0..200 {
            assert_eq!(listener.hear(), envelope(&format!("{{\\\"n\\\":{number}}}")));
        }
        assert_eq!((listener.hear(), listener.hear()), (envelope(""), envelope("last")));
    }
    assert_eq!(ann.hear(), "", "nothing comes back to who speaks");
    // Who is too fast is told so, in a line that is no JSON.
    bob.say(&"x\n".repeat(400));
    assert_eq!(bob.hear(), "warning: too many messages or bytes; your input is slowed down");
    agents.end();
}

/// What a client of pymodbus reads and writes.
const PYMODBUS: &str = r#"
import sys
from pymodbus.client import ModbusTcpClient

with ModbusTcpClient("127.0.0.1", port=int(sys.argv[1]), timeout=30) as client:
    print(client.read_holding_registers(10, count=3).registers)
    assert not client.write_register(11, 0xBEEF).isError()
    assert not client.write_registers(12, list(range(100))).isError()
    print(client.read_holding_registers(10, count=4).registers)
    print(client.read_holding_registers(100, count=12).registers[-1])
    print(client.read_holding_registers(999, count=2).exception_code)
    print(client.read_coils(0, count=1).exception_code)
"#;

#[test]
fn modbus_serves_pymodbus() {
    let Some(python) = support::python("pymodbus") else { return };
    let modbus = Example::start("modbus", &["127.0.0.1:0"]);
    let port = modbus.addresses[0].rsplit_once(':').expect("a port").1;
    let output = Command::new("timeout").args(["60", &python, "-c", PYMODBUS, port]).output().expect("timeout");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, "[0, 0, 0]\n[0, 48879, 0, 1]\n99\n2\n1\n");
    modbus.end();
}

#[test]
fn device_answers_prompts_and_prints_what_the_command_prints() {
    let mut path = PathBuf::from(env!("CARGO_BIN_EXE_drupe"));
    path.pop();
    path.extend(["examples", "device"]);
    for (hides, succeeds) in [(true, true), (false, false)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("telnet://{}", listener.local_addr().expect("bound"));
        let child = Command::new(&path)
            .args([&address, "admin", "show version"])
            .env("DRUPE_PASSWORD", "mellon")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo test builds the examples");
        let mut device = Peer(BufReader::new(listener.accept().expect("it dials").0));
        device.0.get_mut().write_all(b"Welcome\r\nlogin: ").expect("it reads");
        assert_eq!(device.hear(), "admin");
        let prompt: &[u8] = if hides { b"\xff\xfb\x01Password: " } else { b"Password: " };
        device.0.get_mut().write_all(prompt).expect("it reads");
        if hides {
            let mut agreed = [0; 3];
            device.0.read_exact(&mut agreed).expect("an answer");
            assert_eq!(agreed, *b"\xff\xfd\x01");
            assert_eq!(device.hear(), "mellon");
            device.0.get_mut().write_all(b"\xff\xfc\x01\r\nLast login: today\r\nswitch# ").expect("it reads");
            device.0.read_exact(&mut agreed).expect("an answer");
            assert_eq!(device.hear(), "show version");
            device.0.get_mut().write_all(b"version 1\r\nswitch# ").expect("it reads");
        }
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.success(), succeeds);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(printed, if succeeds { "version 1\n" } else { "" });
    }
}
