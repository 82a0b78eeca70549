//! The program `drupe` as a user runs it, with the clients that a user has.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

use crate::support::{Client, Directory, Program, program_path};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn two_nc_peers_chat_and_sigterm_drains_the_program() {
    ["1", "2"].into_iter().for_each(two_nc_peers_chat);
}

/// With two workers, each peer is on a worker of its own.
fn two_nc_peers_chat(workers: &str) {
    let program = Program::start(&["--workers", workers, "--listen", "tcp://127.0.0.1:0"]);
    let Some(mut ann) = Client::start("nc", &["127.0.0.1", program.port()]) else { return };
    assert_eq!(ann.hear(), "* welcome, guest1; type /help for the commands");
    assert_eq!(ann.hear(), "* guest1 came to lobby");
    let mut bob = Client::start("nc", &["127.0.0.1", program.port()]).expect("there was one");
    assert_eq!(bob.hear(), "* welcome, guest2; type /help for the commands");
    assert_eq!((bob.hear(), ann.hear()), ("* guest2 came to lobby".into(), "* guest2 came to lobby".into()));
    ann.say("/nick ann\n");
    assert_eq!((ann.hear(), bob.hear()), ("* guest1 is now ann".into(), "* guest1 is now ann".into()));
    bob.say("hello, Ann\r\n");
    assert_eq!((ann.hear(), bob.hear()), ("<guest2> hello, Ann".into(), "<guest2> hello, Ann".into()));
    bob.say("/who\r\n");
    assert_eq!(bob.hear(), "* in lobby: ann, guest2");
    bob.say("/msg ann psst\r\n");
    assert_eq!((bob.hear(), ann.hear()), ("[to ann] psst".into(), "[guest2] psst".into()));
    let (code, printed) = program.terminate();
    assert_eq!(code, Some(0));
    let last = printed.lines().last().unwrap_or_default();
    assert!(last.starts_with("drupe: 2 connections served, 4 messages in, "), "{printed}");
    for person in [ann, bob] {
        assert!(person.rest().contains("closing (shutdown): the server is shutting down\n"));
    }
}

#[test]
fn nc_input_sent_and_ended_at_once_is_echoed() {
    let program = Program::start(&["--app", "echo", "--listen", "tcp://127.0.0.1:0"]);
    let Some(mut one) = Client::start("nc", &["-N", "127.0.0.1", program.port()]) else { return };
    one.say("one\r\ntwo");
    assert_eq!(one.rest(), "one\ntwo\n");
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn relay_wraps_messages_as_json() {
    let program = Program::start(&["--app", "relay", "--envelope", "json", "--listen", "tcp://127.0.0.1:0"]);
    let Some(mut ann) = Client::start("nc", &["127.0.0.1", program.port()]) else { return };
    let mut bob = Client::start("nc", &["127.0.0.1", program.port()]).expect("there was one");
    // The relay tells nobody who is there, so Ann speaks until Bob hears.
    let heard = std::thread::scope(|scope| {
        let listener = scope.spawn(|| bob.hear());
        while !listener.is_finished() {
            ann.say("say \"hi\"\r\n");
            std::thread::yield_now();
        }
        listener.join().expect("no panic")
    });
    assert!(
        heard.starts_with("{\"content\":\"say \\\"hi\\\"\",\"remote_addr\":\"127.0.0.1:") && heard.ends_with("\"}"),
        "{heard}"
    );
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn piped_client_sends_its_input_and_prints_the_rest() {
    let program = Program::start(&[
        "--app",
        "echo",
        "--listen",
        "tcp://127.0.0.1:0",
        "--listen",
        "length://127.0.0.1:0",
        "--listen",
        "ws://127.0.0.1:0/echo",
    ]);
    for address in &program.addresses {
        let mut client =
            Client::start(program_path(), &["client", address, "--subscribe", "first"]).expect("it was built");
        client.say("one\r\ntwo");
        assert_eq!(client.rest(), "first\none\ntwo\n", "{address}");
    }
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn terminal_client_edits_lines_while_messages_arrive() {
    let program = Program::start(&["--listen", "tcp://127.0.0.1:0"]);
    let Some(mut person) = Client::start_on_terminal(program_path(), &["client", &program.addresses[0]]) else {
        return;
    };
    person.hear_until("guest1 came to lobby");
    let mut other = Client::start(program_path(), &["client", &program.addresses[0]]).expect("it was built");
    other.say("hello\n");
    person.hear_until("<guest2> hello");
    // A letter is taken back, and one is put in two places before the end.
    person.say("helxlo\x1b[D\x1b[D\x7f\r");
    person.hear_until("<guest1> hello");
    // What is inserted before the end is drawn by the editor, which therefore reads single keys by now.
    person.say("yz\x1b[Dx");
    person.hear_until("yxz");
    // Control-D on an empty line ends the input, and so the connection.
    person.say("\x05\x15\x04");
    person.hear_until("disconnected: ");
    assert_eq!(program.terminate().0, Some(0));
    assert!(other.rest().contains("<guest1> hello\n"));
}

#[test]
fn client_prints_why_it_cannot_connect() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be listened at");
    let address = nobody.local_addr().expect("it has one").to_string();
    drop(nobody);
    for (arguments, words) in [
        (&["client", &address][..], "drupe: can't connect: refused"),
        (&["client", "127.0.0.1"], "an address is SCHEME://HOST:PORT"),
        (
            &["client", "auto://127.0.0.1:1"],
            "an address begins with tcp://, length://, raw://, delimited://, telnet://, ws:// or unix://",
        ),
        (&["client", &address, "--user", "ann"], "--user needs --password-file or DRUPE_PASSWORD"),
        (&["client", &address, "--token-file", "/nowhere"], "can't read /nowhere: No such file"),
    ] {
        let output = Command::new(program_path()).args(arguments).stdin(Stdio::null()).output().expect("it was built");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && printed.contains(words), "{printed}");
    }
}

#[test]
fn program_prints_argument_errors() {
    for (arguments, words) in [
        (&["--listen", "tcp://example.org:1"][..], "\"example.org:1\" is not an IP address and a port"),
        (&["--max-message", "0"], "a message size limit must be 1 to 1073741824 bytes (1 GiB), not 0"),
        (&["--app", "web"], "there is no application \"web\"; the applications are chat, relay, echo"),
        (&["--listen", "tcp://192.0.2.1:1"], "drupe: can't listen at tcp://192.0.2.1:1: "),
    ] {
        let output = Command::new(program_path()).args(arguments).output().expect("it was built");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && printed.contains(words), "{printed}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn full_standard_error_does_not_make_the_program_panic() {
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("there is one");
    let mut child = Command::new(program_path())
        .args(["--listen", "tcp://127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(full())
        .spawn()
        .expect("it was built");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
    assert_eq!(child.wait().expect("it exits").code(), Some(0));
}

#[test]
fn program_out_of_descriptors_serves_waiting_peers_later() {
    let program = program_path();
    let script = format!("ulimit -n 40; exec {program} --app echo --listen tcp://127.0.0.1:0");
    let mut child = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().expect("there is a shell");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
    let address = line.trim().strip_prefix("listening on tcp://").expect("in these words");
    let mut clients: Vec<_> = (0..80)
        .map(|_| {
            let mut client = TcpStream::connect(address).expect("the system accepts for it");
            client.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
            client.write_all(b"x\n").expect("it is open");
            client
        })
        .collect();
    // More than it has descriptors for: as some leave, others come in.
    for client in clients.drain(..) {
        let mut answer = [0; 2];
        (&client).read_exact(&mut answer).expect("its turn comes");
        assert_eq!(&answer, b"x\n");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
    assert_eq!(child.wait().expect("it exits").code(), Some(0));
}

/// More than one message may have.
const LONG: &[u8] = &[b'x'; 70_000];

/// A server that does one thing to who connects.
fn serving(answer: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || answer(listener.accept().expect("somebody comes").0));
    address
}

/// How the client exits, and what it says.
fn client(arguments: &[&str], input: impl Into<Stdio>) -> (Option<i32>, String) {
    let output = Command::new(program_path()).arg("client").args(arguments).stdin(input).stdout(Stdio::null()).output();
    let output = output.expect("it was built");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn client_exit_code_follows_the_end_of_the_connection() {
    // The server closes in order.
    let closes = |mut stream: TcpStream| assert!(stream.read(&mut [0; 100]).expect("a line") > 0);
    let (input, mut words) = std::io::pipe().expect("a pipe");
    words.write_all(b"hello\n").expect("taken");
    let (code, said) = client(&[&serving(closes)], input);
    assert!(code == Some(0) && said.contains("disconnected: peer_closed"), "{code:?}: {said}");
    drop(words);
    // A reset, and what breaks a rule of the wire.
    let resets = |mut stream: TcpStream| {
        assert!(stream.read(&mut [0; 100]).expect("a line") > 0);
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
    };
    let (code, said) = client(&[&serving(resets), "--subscribe", "hello"], Stdio::null());
    assert!(code == Some(3) && said.contains("disconnected: reset"), "{code:?}: {said}");
    let says = |words: &'static [u8]| {
        move |mut stream: TcpStream| {
            stream.write_all(words).expect("taken");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    };
    for (scheme, words, reason) in [
        ("tcp", LONG, "message_too_large"),
        ("length", &[0xff, 0xff, 0xff, 0xff], "message_too_large"),
        ("ws", b"HTTP/1.1 403 Forbidden\r\n\r\n", "can't connect: rejected_403"),
    ] {
        let address = format!("{scheme}://{}", serving(says(words)));
        let (code, said) = client(&[&address], Stdio::null());
        let expected = if scheme == "ws" { 1 } else { 3 };
        assert!(code == Some(expected) && said.contains(reason), "{address}: {code:?}: {said}");
    }
    // What is left of the input when the server goes is lost, and said to be.
    let ends = |mut stream: TcpStream| {
        stream.shutdown(std::net::Shutdown::Write).expect("open");
        let _ = stream.read_to_end(&mut Vec::new());
    };
    let directory = Directory::new("client-input");
    let file = directory.0.join("lines");
    std::fs::write(&file, "hello\n".repeat(1_000_000)).expect("written");
    let (code, said) = client(&[&serving(ends)], std::fs::File::open(&file).expect("written"));
    assert!(code == Some(3) && said.contains("drupe: input was not sent"), "{code:?}: {said}");
    // An input that has nothing to say at the moment loses nothing.
    let (input, _waits) = std::io::pipe().expect("a pipe");
    let (code, said) = client(&[&serving(ends)], input);
    assert!(code == Some(0), "{code:?}: {said}");
    let help = Command::new(program_path()).args(["client", "--help"]).output().expect("it was built").stdout;
    assert!(String::from_utf8_lossy(&help).contains("Exit codes:\n  0 "));
}
