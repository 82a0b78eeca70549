//! The program `drupe` as a user runs it, with the clients that a user has.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Client, DRUPE, Program};

#[test]
fn two_people_chat_through_nc_and_a_signal_ends_it_kindly() {
    let program = Program::start(&["--listen", "tcp://127.0.0.1:0"]);
    let Some(mut ann) = Client::start("nc", &["127.0.0.1", program.port()]) else { return };
    assert_eq!(ann.hear(), "* welcome, guest1; /help tells what you can do");
    assert_eq!(ann.hear(), "* guest1 came to lobby");
    let mut bob = Client::start("nc", &["127.0.0.1", program.port()]).expect("there was one");
    assert_eq!(bob.hear(), "* welcome, guest2; /help tells what you can do");
    assert_eq!((bob.hear(), ann.hear()), ("* guest2 came to lobby".into(), "* guest2 came to lobby".into()));
    ann.say("/nick ann\n");
    assert_eq!((ann.hear(), bob.hear()), ("* guest1 is now ann".into(), "* guest1 is now ann".into()));
    bob.say("hello, Ann\r\n");
    assert_eq!((ann.hear(), bob.hear()), ("<guest2> hello, Ann".into(), "<guest2> hello, Ann".into()));
    let (code, printed) = program.terminate();
    assert_eq!(code, Some(0));
    let last = printed.lines().last().unwrap_or_default();
    assert!(last.starts_with("drupe: 2 connections served, 2 messages in, "), "{printed}");
    for person in [ann, bob] {
        assert!(person.rest().contains("closing (shutdown): the server is shutting down\n"));
    }
}

#[test]
fn nc_that_sends_at_once_and_ends_is_answered() {
    let program = Program::start(&["--app", "echo", "--listen", "tcp://127.0.0.1:0"]);
    let Some(mut one) = Client::start("nc", &["-N", "127.0.0.1", program.port()]) else { return };
    one.say("one\r\ntwo");
    assert_eq!(one.rest(), "one\ntwo\n");
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn the_relay_wraps_messages_as_json() {
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
fn a_script_speaks_through_the_client_and_hears_the_rest() {
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
        let mut client = Client::start(DRUPE, &["client", address, "--subscribe", "first"]).expect("it was built");
        client.say("one\r\ntwo");
        assert_eq!(client.rest(), "first\none\ntwo\n", "{address}");
    }
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn a_person_edits_lines_while_messages_come() {
    let program = Program::start(&["--listen", "tcp://127.0.0.1:0"]);
    let Some(mut person) = Client::start_on_terminal(DRUPE, &["client", &program.addresses[0]]) else { return };
    person.hear_until("guest1 came to lobby");
    let mut other = Client::start(DRUPE, &["client", &program.addresses[0]]).expect("it was built");
    other.say("hello\n");
    person.hear_until("<guest2> hello");
    // A letter is taken back, and one is put in two places before the end.
    person.say("helxlo\x1b[D\x1b[D\x7f\r");
    person.hear_until("<guest1> hello");
    // Control-D on an empty line ends the input, and so the connection.
    person.say("\x04");
    person.hear_until("disconnected: ");
    assert_eq!(program.terminate().0, Some(0));
    assert!(other.rest().contains("<guest1> hello\n"));
}

#[test]
fn what_keeps_a_client_from_its_server_is_said() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be listened at");
    let address = nobody.local_addr().expect("it has one").to_string();
    drop(nobody);
    for (arguments, words) in [
        (&["client", &address][..], "drupe: can't connect: refused"),
        (&["client", "127.0.0.1"], "an address is SCHEME://HOST:PORT"),
        (&["client", "wss://127.0.0.1:1"], "an address begins with tcp://, length:// or ws://"),
        (&["client", &address, "--user", "ann"], "--user needs --password-file or DRUPE_PASSWORD"),
        (&["client", &address, "--token-file", "/nowhere"], "can't read /nowhere: No such file"),
    ] {
        let output = Command::new(DRUPE).args(arguments).stdin(Stdio::null()).output().expect("it was built");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && printed.contains(words), "{printed}");
    }
}

#[test]
fn what_is_wrong_with_the_arguments_is_said() {
    for (arguments, words) in [
        (&["--listen", "tcp://example.org:1"][..], "\"example.org:1\" is not an IP address and a port"),
        (&["--max-message", "0"], "a message size limit is 1 to 1073741824 bytes (1 GiB), not 0"),
        (&["--app", "web"], "the applications are chat, relay and echo"),
        (&["--listen", "tcp://192.0.2.1:1"], "drupe: can't listen at tcp://192.0.2.1:1: "),
    ] {
        let output = Command::new(DRUPE).args(arguments).output().expect("it was built");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && printed.contains(words), "{printed}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn who_can_not_be_told_does_not_make_it_panic() {
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("there is one");
    let output =
        Command::new(DRUPE).args(["--listen", "tcp://127.0.0.1:0"]).stdout(full()).output().expect("it was built");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && printed.starts_with("drupe: No space left"), "{printed}");
    let mut child = Command::new(DRUPE)
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
fn out_of_descriptors_it_serves_those_it_has_and_then_the_others() {
    let script = format!("ulimit -n 40; exec {DRUPE} --app echo --listen tcp://127.0.0.1:0");
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
