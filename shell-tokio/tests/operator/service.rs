//! The program as a service: what it tells systemd and the log, and what it makes of few descriptors.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

use crate::support::{Directory, Program, program_path, read};
use drupe_core::{Event, Handler, Hub, NoNote};
use serde_json::Value;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// Says a line, which is answered with the same one.
fn echo(peer: &mut BufReader<TcpStream>, words: &str) {
    peer.get_mut().write_all(format!("{words}\n").as_bytes()).expect("sent");
    let mut line = String::new();
    peer.read_line(&mut line).expect("it answers");
    assert_eq!(line.trim_end(), words);
}

fn get(port: u16, path: &str) -> String {
    let mut stream = connect(port);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

/// Somebody who is told what systemd would be, and gives sockets as it does.
struct Systemd {
    directory: Directory,
    socket: UnixDatagram,
    service: Child,
}

impl Systemd {
    fn start(name: &str, config: &str, names: &str, given: impl Into<OwnedFd>, watchdog: &str) -> Self {
        let directory = Directory::new(name);
        let socket = UnixDatagram::bind(directory.0.join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        std::fs::write(directory.0.join("drupe.yaml"), config).expect("written");
        // All of them are the same socket.
        let count = names.split(':').count();
        let copies: String = (1..count).map(|copy| format!(" {}<&3", copy + 3)).collect();
        let script = format!(
            "exec 3<&0{copies} </dev/null; LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names} {watchdog} \
             exec \"$0\" --config drupe.yaml"
        );
        let service = Command::new("sh")
            .args(["-c", &script, program_path()])
            .current_dir(&directory.0)
            .env("NOTIFY_SOCKET", directory.0.join("notify"))
            .stdin(given.into())
            .stdout(Stdio::null())
            .stderr(File::create(directory.0.join("log")).expect("created"))
            .spawn()
            .expect("sh is everywhere");
        Self { directory, socket, service }
    }

    fn told(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.socket.recv(&mut buffer).expect("a word");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    }

    /// Waits until it is told something, past what it is told all the time.
    fn until_told(&self, words: &str) -> String {
        loop {
            let told = self.told();
            if told.contains(words) {
                return told;
            }
            assert!(told == "WATCHDOG=1" || told.starts_with("STATUS="), "{told} before {words}");
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.service.id().to_string()]).status();
        assert!(status.expect("kill is everywhere").success());
    }

    fn wait(&mut self) -> ExitStatus {
        self.service.wait().expect("it ends")
    }

    fn log(&self) -> String {
        read(&self.directory.0.join("log"))
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

#[test]
fn systemd_passes_sockets_and_receives_notifications() {
    let (listener, port) = listener();
    let config = "listeners: { chat: { address: 'inherited:chat', app: echo } }\ndrain: { grace: 2s }\n";
    let mut systemd = Systemd::start("systemd", config, "chat", listener, "WATCHDOG_USEC=20000");
    assert_eq!(systemd.told(), "READY=1\nSTATUS=serving");
    let mut peer = BufReader::new(connect(port));
    echo(&mut peer, "hello");
    systemd.until_told("STATUS=serving 1 connection");
    systemd.until_told("WATCHDOG=1");
    systemd.signal("-HUP");
    assert!(systemd.until_told("RELOADING=1").starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(systemd.until_told("READY=1"), "READY=1\nSTATUS=serving");
    echo(&mut peer, "again");
    // It is told when the drain begins, while everybody is still served.
    systemd.signal("-TERM");
    assert_eq!(systemd.until_told("STOPPING=1"), "STOPPING=1\nSTATUS=draining");
    echo(&mut peer, "still here");
    systemd.until_told("WATCHDOG=1");
    systemd.signal("-TERM");
    assert!(systemd.wait().success(), "{}", systemd.log());
}

/// An echo that blocks its worker at the line `stop`, until a line comes from the standard input of the process.
struct Stops;

impl Handler for Stops {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Message { conn, payload } = event {
            if payload.as_bytes() == b"stop" {
                std::io::stdin().read_line(&mut String::new()).expect("a line");
            }
            hub.send(conn, payload);
        }
    }
}

const OF_STUCK: &str = "DRUPE_TEST_OF_STUCK";

#[test]
fn stuck_worker_stops_the_watchdog_notifications() {
    if let Some(config) = std::env::var_os(OF_STUCK) {
        // This is the program that the test below runs.
        let program = drupe_tokio::program("stuck").app("stops", |_| Stops);
        assert_eq!(program.run_from([OsString::from("stuck"), "--config".into(), config]), ExitCode::SUCCESS);
        return;
    }
    let directory = Directory::new("stuck");
    let socket = UnixDatagram::bind(directory.0.join("notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let (config, path) = (directory.0.join("stuck.yaml"), directory.0.join("lines"));
    let recordings = directory.0.join("recordings");
    std::fs::create_dir(&recordings).expect("created");
    let text = format!(
        "workers: 2\nlisteners: {{ a: {{ address: 'unix:{}' }} }}\nrecorder: {{ directory: '{}', stuck_after: 300ms }}\n",
        path.display(),
        recordings.display()
    );
    std::fs::write(&config, text).expect("written");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "service::stuck_worker_stops_the_watchdog_notifications", "--nocapture"])
        .env(OF_STUCK, &config)
        .env("NOTIFY_SOCKET", directory.0.join("notify"))
        .env("WATCHDOG_USEC", "20000")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::create(directory.0.join("log")).expect("created"))
        .spawn()
        .expect("it was built");
    let told = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned())
    };
    while told().expect("it serves") != "WATCHDOG=1" {}
    let mut peer = UnixStream::connect(&path).expect("it listens");
    peer.write_all(b"stop\n").expect("sent");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket");
    let is_recorded = || read(&directory.0.join("log")).contains("(a worker has not answered for 300ms)");
    // Some may be on the way. A hundred last a second, and each further attempt takes as long.
    assert!((0..160).any(|_| told().is_err() && is_recorded()), "a stuck worker does not answer, and is recorded");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    child.stdin.take().expect("piped").write_all(b"go on\n").expect("read");
    while told().expect("the worker goes on") != "WATCHDOG=1" {}
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
    assert!(child.wait().expect("it ends").success(), "{}", read(&directory.0.join("log")));
}

#[test]
fn unusable_inherited_sockets_are_refused_or_warned() {
    let config = "listeners: { chat: { address: 'inherited:chat', app: echo } }\n";
    let mut systemd = Systemd::start("two-of-a-name", config, "chat:chat", listener().0, "");
    assert_eq!(systemd.wait().code(), Some(1));
    assert!(systemd.log().contains("was given 2 of this name"), "{}", systemd.log());

    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    bound.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let mut systemd = Systemd::start("only-bound", config, "chat", bound, "");
    assert_eq!(systemd.wait().code(), Some(1));
    let log = systemd.log();
    assert!(log.contains("can't use the inherited socket chat: the socket does not listen"), "{log}");

    let (given, port) = listener();
    let mut systemd = Systemd::start("one-too-many", config, "chat:other", given, "");
    assert_eq!(systemd.told(), "READY=1\nSTATUS=serving");
    echo(&mut BufReader::new(connect(port)), "hello");
    systemd.signal("-TERM");
    assert!(systemd.wait().success());
    // Another thread writes the log, so it is complete only now.
    let log = systemd.log();
    assert!(log.contains("no listener has the address inherited:other"), "{log}");
}

const ECHO: &str = "listeners: { a: { address: '127.0.0.1:0', app: echo }, \
                    web: { address: '127.0.0.1:0', protocol: websocket } }\n";

fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}: {text}"));
    text.lines().map(parse).collect()
}

#[test]
fn json_log_files_respect_the_repeat_limit() {
    let directory = Directory::new("logs");
    std::fs::create_dir(directory.0.join("logs")).expect("a directory");
    let config = "listeners: { a: { address: '127.0.0.1:0', protocol: tcp, app: echo } }\n\
         authentication: { enabled: true, shared_password: x, dialogue: true, allow_plaintext: true }\n\
         log: { format: json, level: warn, targets: { connections: info }, repeats: 3/60s, file: { directory: logs, rotation: never } }\n";
    let program = Program::configured(&directory.0, config, 1, |_| {});
    for _ in 0..10 {
        drop(connect(program.port_of(0)));
    }
    let mut peer = BufReader::new(connect(program.port_of(0)));
    peer.get_mut().write_all(b"a\x1b[2Jnn\nx\n").expect("sent");
    let _ = peer.read_line(&mut String::new());
    program.signal("-TERM");
    let _ = peer.read_to_end(&mut Vec::new());
    assert_eq!(program.wait(), Some(0));
    let files: Vec<_> = std::fs::read_dir(directory.0.join("logs")).expect("there").flatten().collect();
    assert_eq!(files.len(), 1);
    let log = read(&files[0].path());
    let lines = json_lines(&log);
    let opened: Vec<_> = lines.iter().filter(|line| line["message"] == "opened").collect();
    assert!(opened.iter().all(|line| line["listener"] == "a" && line["wire"] == "lines"), "{log}");
    // What was left out is said in the end.
    let left_out = |kind: &str| {
        let of_kind = lines.iter().filter(|line| line["message"] == "lines were left out" && line["kind"] == kind);
        of_kind.filter_map(|line| line["count"].as_u64()).sum::<u64>()
    };
    assert_eq!((opened.len(), left_out("opened"), left_out("closed")), (3, 8, 8), "{log}");
    let is_of = |line: &Value, target: &str, level: &str| line["target"] == target && line["level"] == level;
    let are_known = |line: &Value| is_of(line, "connections", "INFO") || is_of(line, "operation", "WARN");
    assert!(lines.iter().all(are_known), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains("\\u001b"), "{log}");
    // The last words, and nothing else.
    let last = json_lines(&read(&directory.0.join("log")));
    assert_eq!((last.len(), &last[0]["opened"], &last[0]["log_lines_lost"]), (1, &11.into(), &0.into()), "{last:?}");
    assert!(last[0]["log_lines_left_out"].as_u64() >= Some(16), "{last:?}");
}

#[test]
fn json_log_is_json_to_the_last_line_and_on_start_errors() {
    let directory = Directory::new("json");
    let program = Program::configured(&directory.0, &format!("{ECHO}log: {{ format: json }}\n"), 2, |_| {});
    echo(&mut BufReader::new(connect(program.port_of(0))), "hello");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    let lines = json_lines(&read(&directory.0.join("log")));
    let last = lines.last().expect("some");
    assert_eq!((&last["target"], &last["opened"], &last["level"]), (&"operation".into(), &1.into(), &"INFO".into()));
    for (file, arguments, words) in [
        ("log: { format: json }\nlisteners: { a: { addres: x } }", &[][..], "did you mean address?"),
        ("log: { format: json, file: { directory: nowhere } }\n", &[], "there is no directory nowhere"),
        ("log: { format: json }\nlisteners: [", &[], "drupe.yaml:"),
        ("profile: production\nlisteners: { a: { addres: x } }", &[], "did you mean address?"),
        ("drain: { grace: 1 }", &["--set", "log.format=json"], "drain.grace"),
        ("drain: { grace: 1 }", &["--profile", "production"], "drain.grace"),
        ("", &["--config", "nowhere.yaml", "--set", "log.format=json"], "can't read nowhere.yaml"),
        (
            "log: { format: json }\nlisteners: { a: { address: '192.0.2.1:1' } }",
            &[],
            "can't listen at tcp://192.0.2.1:1",
        ),
    ] {
        std::fs::write(directory.0.join("drupe.yaml"), file).expect("written");
        let command = Command::new(program_path())
            .args(["--config", "drupe.yaml"])
            .args(arguments)
            .current_dir(&directory.0)
            .output();
        let output = command.expect("it was built");
        let lines = json_lines(&String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1));
        let last = lines.last().unwrap_or_else(|| panic!("nothing was said: {file}"));
        assert!(
            last["level"] == "ERROR" && last["message"].as_str().is_some_and(|said| said.contains(words)),
            "{last}"
        );
    }
}

#[test]
fn messages_below_the_log_level_do_not_count_as_suppressed() {
    for (arguments, logs_messages) in [(&[][..], false), (&["-v"], true), (&["-vv", "--set", "log.level=info"], false)]
    {
        let directory = Directory::new(&format!("levels-{}", arguments.len()));
        let program = Program::configured(&directory.0, &format!("{ECHO}log: {{ repeats: 10/60s }}\n"), 2, |command| {
            command.args(arguments);
        });
        let mut peer = BufReader::new(connect(program.port_of(0)));
        for number in 0..100 {
            echo(&mut peer, &number.to_string());
        }
        program.signal("-TERM");
        let _ = peer.read_to_end(&mut Vec::new());
        assert_eq!(program.wait(), Some(0));
        let log = read(&directory.0.join("log"));
        let left_out = log.lines().filter(|line| line.contains("left out") && line.contains("\"message\"")).count();
        assert_eq!((log.contains("messages: message"), left_out > 0), (logs_messages, logs_messages), "{log}");
    }
}

#[test]
fn unwritable_log_lines_are_counted_and_reported() {
    let directory = Directory::new("lost");
    std::fs::create_dir(directory.0.join("logs")).expect("a directory");
    let config = format!("{ECHO}log: {{ repeats: unlimited, file: {{ directory: logs, rotation: never }} }}\n");
    std::fs::write(directory.0.join("drupe.yaml"), config).expect("written");
    // A file may have few blocks, as on a disk that is full. What is above fails, and is no signal.
    let program = program_path();
    let script = format!("trap '' XFSZ; ulimit -f 8; exec {program} --config drupe.yaml");
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(&directory.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut port = || {
        let line = lines.next().expect("it says where it listens").expect("text");
        line.rsplit(':').next().and_then(|port| port.split('/').next()?.parse::<u16>().ok()).expect("a port")
    };
    let (lines, web) = (port(), port());
    for _ in 0..200 {
        echo(&mut BufReader::new(connect(lines)), "hello");
    }
    let lost = |metrics: &str| {
        let (_, rest) = metrics.split_once("\ndrupe_log_lines_lost_total ")?;
        rest.lines().next()?.parse::<u64>().ok()
    };
    let began = std::time::Instant::now();
    while lost(&get(web, "/metrics")).expect("it is there") == 0 {
        assert!(began.elapsed() < PATIENCE, "it is never counted");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("it exits").code(), Some(0));
    let (_, rest) = said.split_once("connections served, ").expect("the last words");
    let lost = rest.split("; ").find_map(|part| part.trim_end().strip_suffix(" log lines lost")?.parse::<u64>().ok());
    assert!(lost > Some(100), "{said}");
}

#[test]
fn unwritable_standard_output_does_not_stop_the_server() {
    let full = || File::options().write(true).open("/dev/full").expect("there is one");
    let broken = || {
        let (one, other) = UnixStream::pair().expect("sockets");
        drop(other);
        OwnedFd::from(one)
    };
    for output in [Stdio::from(full()), Stdio::from(broken())] {
        let command = Command::new(program_path())
            .args(["--app", "echo", "--listen", "tcp://127.0.0.1:0"])
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn();
        let mut child = command.expect("it was built");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("can't write to the standard output") {
            line.clear();
            assert!(log.read_line(&mut line).expect("text") > 0, "it is never said");
        }
        let (_, port) = line.trim_end().rsplit_once("listening on tcp://127.0.0.1:").expect("where it listens");
        echo(&mut BufReader::new(connect(port.parse().expect("a port"))), "hello");
        assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
        assert_eq!(child.wait().expect("it exits").code(), Some(0));
    }
    for command in [&["template"][..], &["schema"], &["man"], &["completions", "bash"], &["check", "--explain"]] {
        let run = |output: Stdio| {
            let output = Command::new(program_path()).args(command).stdout(output).output().expect("it was built");
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        assert_eq!(run(broken().into()), (Some(0), String::new()), "{command:?}");
        let (code, said) = run(full().into());
        assert!(code == Some(1) && said.starts_with("drupe: No space left"), "{command:?}: {said}");
    }
}

#[test]
fn unread_standard_error_does_not_block_the_exit() {
    let (mut writer, reader) = UnixStream::pair().expect("sockets");
    // It is full before the program has it.
    writer.set_nonblocking(true).expect("a socket");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    writer.set_nonblocking(false).expect("a socket");
    let mut child = Command::new(program_path())
        .args(["--app", "echo", "--listen", "tcp://127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(OwnedFd::from(writer))
        .spawn()
        .expect("it was built");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
    assert_eq!(child.wait().expect("it exits").code(), Some(0));
    drop(reader);
}

/// Starts an echo server with so few descriptors, with its log in a file.
fn with_descriptors(count: u32, directory: &Path) -> Child {
    let program = program_path();
    let script = format!("ulimit -n {count}; exec {program} --app echo --listen tcp://127.0.0.1:0");
    let log = File::create(directory.join("log")).expect("created");
    Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).stderr(log).spawn().expect("there is a shell")
}

#[test]
fn program_with_few_descriptors_serves_or_says_why_not() {
    let directory = Directory::new("descriptors");
    let (mut refused, mut served) = (0, 0);
    for count in 5..30 {
        let mut child = with_descriptors(count, &directory.0);
        let mut line = String::new();
        let _ = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line);
        if let Some(port) = line.trim_end().strip_prefix("listening on tcp://127.0.0.1:") {
            served += 1;
            // Several times more than it has descriptors for, one after the other.
            for _ in 0..50 {
                echo(&mut BufReader::new(connect(port.parse().expect("a port"))), "hello");
            }
            assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
            assert_eq!(child.wait().expect("it exits").code(), Some(0));
        } else {
            refused += 1;
            assert_eq!((child.wait().expect("it exits").success(), served), (false, 0), "{count}: {line:?}");
            let log = read(&directory.0.join("log"));
            // Below what the system itself needs to start a program it is the system that says so.
            let said = ["files open", "Too many open files", "error while loading shared libraries"];
            assert!(said.iter().any(|words| log.contains(words)), "{count}: {log}");
        }
    }
    assert!(refused > 0 && served > 0, "{refused} refused, {served} served");
}

#[test]
fn program_logs_descriptor_exhaustion_and_recovery() {
    let directory = Directory::new("exhausted");
    let mut child = with_descriptors(40, &directory.0);
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
    let (_, port) = line.trim_end().rsplit_once(':').expect("a port");
    let clients: Vec<_> = (0..80).map(|_| connect(port.parse().expect("a port"))).collect();
    let words = "ERROR operation: listener listen1 can't accept connections: the process may have 40 files open";
    directory.wait_for("log", words, 1);
    drop(clients);
    directory.wait_for("log", "INFO operation: listener listen1 accepts connections again", 1);
    assert!(read(&directory.0.join("log")).contains("connections, not 10000"), "it was said at the start as well");
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
    assert_eq!(child.wait().expect("it exits").code(), Some(0));
}
