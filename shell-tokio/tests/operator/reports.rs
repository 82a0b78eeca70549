//! What the program reports to operators: lines of the log, its files, and metrics of the process.

use super::{connect, drupe, text};
use crate::support::{Directory, Program, program_path, read};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// An echo on lines, and the web listener with `/metrics`.
const LISTENERS: &str = "listeners: { a: { address: '127.0.0.1:0', protocol: tcp, app: echo }, \
                         web: { address: '127.0.0.1:0', protocol: websocket } }\n";

fn echo(peer: &mut BufReader<TcpStream>, line: &str) {
    peer.get_mut().write_all(line.as_bytes()).expect("sent");
    let mut answer = String::new();
    peer.read_line(&mut answer).expect("it answers");
    assert_eq!(answer, line);
}

/// Serves one peer that sends two lines, and ends the program. Returns what it wrote to the standard error.
fn serve_one(directory: &Directory, log: &str) -> String {
    let program = Program::configured(&directory.0, &format!("{LISTENERS}log: {{ {log} }}\n"), 2, |_| {});
    let mut peer = BufReader::new(connect(program.port_of(0)));
    echo(&mut peer, "hello\n");
    echo(&mut peer, "again\n");
    program.signal("-TERM");
    let _ = peer.read_to_end(&mut Vec::new());
    assert_eq!(program.wait(), Some(0));
    read(&directory.0.join("log"))
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))).collect()
}

fn line_of<'a>(lines: &'a [Value], message: &str) -> &'a Value {
    lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{message}: {lines:?}"))
}

#[test]
fn log_begins_with_version_and_configuration_and_shows_the_traffic_of_each_connection() {
    let directory = Directory::new("reports");
    let lines = json_lines(&serve_one(&directory, "format: json"));
    let start = &lines[0];
    assert_eq!(start["message"], "drupe is starting");
    assert_eq!(start["version"], env!("CARGO_PKG_VERSION"));
    let file = directory.0.join("drupe.yaml").display().to_string();
    assert_eq!((&start["profile"], &start["configuration"]), (&"development".into(), &file.into()));
    let closed = line_of(&lines, "closed");
    assert_eq!((&closed["listener"], &closed["wire"]), (&"a".into(), &"lines".into()));
    assert_eq!((&closed["bytes_in"], &closed["messages_in"]), (&12.into(), &2.into()));
    // The notice that ends the connection follows the two answers.
    assert!(closed["bytes_out"].as_u64() > Some(12), "{closed}");
}

#[test]
fn chosen_fields_are_missing_in_every_line() {
    let names = |line: &Value| line.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    let directory = Directory::new("fields");
    let all = json_lines(&serve_one(&directory, "format: json"));
    let omit = "omit_fields: [timestamp, target, peer, seconds]";
    let some = json_lines(&serve_one(&directory, &format!("format: json, {omit}")));
    let omitted = ["peer", "seconds", "target", "timestamp"].map(String::from);
    for message in ["drupe is starting", "opened", "closed", "draining"] {
        let (all, some) = (names(line_of(&all, message)), names(line_of(&some, message)));
        assert_eq!(some, all.into_iter().filter(|name| !omitted.contains(name)).collect(), "{message}");
    }
    let human = serve_one(&directory, "omit_fields: [timestamp, level, target, peer, conn, wire]");
    assert!(human.lines().any(|line| line == "opened listener=\"a\""), "{human}");
    assert!(human.lines().any(|line| line == "draining"), "{human}");
    assert!(!human.contains("127.0.0.1"), "{human}");
    // Each field of a line can be chosen.
    let known: BTreeSet<_> = all.iter().flat_map(names).filter(|name| name != "message").collect();
    let known: Vec<_> = known.into_iter().collect();
    let config = format!("{LISTENERS}log: {{ omit_fields: [{}] }}\n", known.join(", "));
    std::fs::write(directory.0.join("drupe.yaml"), config).expect("written");
    let checked = drupe(&directory.0, &["check", "drupe.yaml"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}

#[test]
fn console_and_file_get_the_same_lines() {
    let directory = Directory::new("both");
    std::fs::create_dir(directory.0.join("logs")).expect("a directory");
    let file = "file: { directory: logs, rotation: never }";
    let console = serve_one(&directory, &format!("console: true, {file}"));
    let written = read(&directory.0.join("logs/drupe.log"));
    let (last, before) = console.trim_end().rsplit_once('\n').map(|(before, last)| (last, before)).expect("lines");
    // The time of a line is taken for each output.
    let without_time = |text: &str| {
        let lines = text.lines().map(|line| line.split_once(' ').expect("a time").1.to_owned());
        lines.collect::<Vec<_>>()
    };
    assert_eq!(without_time(before), without_time(&written));
    assert!(written.contains("connections: closed") && last.starts_with("drupe: 1 connections served"), "{console}");
    let alone = serve_one(&directory, file);
    assert!(alone.starts_with("drupe: 1 connections served"), "{alone}");
}

/// Returns the texts of the log files, the oldest first.
fn files(directory: &Path) -> Vec<String> {
    let older = (1..100).map(|number| directory.join(format!("drupe.{number}.log"))).take_while(|path| path.exists());
    let mut texts: Vec<_> = older.map(|path| read(&path)).collect();
    texts.reverse();
    texts.push(read(&directory.join("drupe.log")));
    texts
}

#[test]
fn rotation_by_size_loses_no_line_of_a_busy_server() {
    let directory = Directory::new("rotation");
    let logs = directory.0.join("logs");
    std::fs::create_dir(&logs).expect("a directory");
    let log = "log: { format: json, repeats: unlimited, file: { directory: logs, rotation: size, size_max: 64KiB, keep: 50 } }\n";
    let program = Program::configured(&directory.0, &format!("{LISTENERS}{log}"), 2, |_| {});
    for _ in 0..600 {
        echo(&mut BufReader::new(connect(program.port_of(0))), "hello\n");
    }
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    let files = files(&logs);
    assert!(files.len() > 2, "{}", files.len());
    assert!(files.iter().all(|text| text.len() <= 64 << 10 && text.ends_with('\n')));
    let lines = json_lines(&files.concat());
    let count = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert_eq!((count("opened"), count("closed"), count("drupe is starting")), (600, 600, 1));
}

#[test]
fn full_disk_leaves_only_whole_lines_in_the_log_files() {
    let directory = Directory::new("full-disk");
    let logs = directory.0.join("logs");
    std::fs::create_dir(&logs).expect("a directory");
    let log = "log: { format: json, repeats: unlimited, file: { directory: logs, rotation: size } }\n";
    std::fs::write(directory.0.join("drupe.yaml"), format!("{LISTENERS}{log}")).expect("written");
    // A file may have few blocks, as on a disk that is full. A write of more fails, and is no signal.
    let script = format!("trap '' XFSZ; ulimit -f 8; exec {} --config drupe.yaml", program_path());
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(&directory.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
    let port = line.trim_end().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    for _ in 0..200 {
        echo(&mut BufReader::new(connect(port)), "hello\n");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("it exits").code(), Some(0));
    let written = files(&logs).concat();
    assert!(written.ends_with('\n') && !json_lines(&written).is_empty());
    let last = json_lines(&said);
    assert!(last.last().is_some_and(|last| last["log_lines_lost"].as_u64() > Some(100)), "{said}");
}

#[test]
fn metrics_have_the_version_and_the_resources_of_the_process() {
    let directory = Directory::new("process-metrics");
    let program = Program::configured(&directory.0, LISTENERS, 2, |_| {});
    let metrics = || {
        let mut stream = connect(program.port_of(1));
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    };
    // A thread reports them, soon after the start.
    let mut text = metrics();
    while !text.contains("\nprocess_start_time_seconds ") {
        text = metrics();
    }
    let version = format!("\ndrupe_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}: {text}")).parse::<f64>().expect("a number")
    };
    assert!(value("process_cpu_seconds_total") > 0.0);
    assert!(value("process_open_fds") >= 5.0 && value("process_max_fds") >= value("process_open_fds"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    assert!(value("process_start_time_seconds") <= now && value("process_start_time_seconds") > now - 600.0);
    if cfg!(target_os = "linux") {
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_resident_memory_bytes") > 1e6);
    }
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn rates_are_explained_as_people_write_them() {
    let directory = Directory::new("rates");
    let config = format!("{LISTENERS}limits: {{ peer: {{ messages: 20/s burst 100 }}, arrivals_per_address: 30/m }}\n");
    std::fs::write(directory.0.join("drupe.yaml"), config).expect("written");
    let explained = text(&drupe(&directory.0, &["check", "drupe.yaml", "--explain"]).stdout);
    for line in [
        "limits.peer.messages: \"20/s burst 100\" # drupe.yaml:2",
        "limits.peer.bytes: \"4MiB/s burst 8MiB\" # default",
        "limits.arrivals_per_address: \"30/m burst 30\" # drupe.yaml:2",
    ] {
        assert!(explained.lines().any(|found| found == line), "{line}: {explained}");
    }
}

#[test]
fn page_is_printed_as_an_address_that_a_browser_opens() {
    let mut child = Command::new(program_path())
        .args(["--listen", "ws://127.0.0.1:0/chat", "--listen", "tcp://127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it was built");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let listening = lines.next().expect("it says where it listens");
    let place = listening.strip_prefix("listening on ws://").and_then(|rest| rest.strip_suffix("/chat"));
    assert!(lines.next().is_some_and(|line| line.starts_with("listening on tcp://")));
    assert_eq!(lines.next(), place.map(|place| format!("page at http://{place}/")));
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is everywhere").success());
    assert_eq!(child.wait().expect("it exits").code(), Some(0));
}
