//! One script of commands for the model and for a real nats-server: their answers are the same.

use super::script::{LIVE, STRANGE, streams};
use super::take_operations;
use crate::base::Time;
use crate::cluster::model_nats::{Login, ModelNats};
use std::format;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::string::String;
use std::time::{Duration, Instant};
use std::vec::Vec;

/// The longest time that a server takes to answer, even on a machine with much to do.
const LONGEST: Duration = Duration::from_secs(30);

/// A nats-server of one test, which ends with it.
struct Server {
    child: Child,
    directory: PathBuf,
    port: u16,
}

impl Server {
    /// Starts a server. `None`, after a line that says so: there is none on this machine.
    fn start(name: &str, options: &[&str]) -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("drupe-nats-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let path = directory.display().to_string();
        let arguments = ["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", &path, "-js", "-sd", &path];
        let spawned = Command::new("nats-server")
            .args(arguments)
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            let _ = std::fs::remove_dir_all(&directory);
            // The harness does not capture this, as it would a macro's output.
            let _ = std::io::stderr().write_all(b"skipped: there is no nats-server on this machine\n");
            return None;
        };
        let file = directory.join(format!("nats-server_{}.ports", child.id()));
        let mut server = Self { child, directory, port: 0 };
        loop {
            assert!(server.child.try_wait().expect("it is ours").is_none(), "the server has ended");
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let port = text.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split_once('"'));
            if let Some((port, _)) = port {
                server.port = port.parse().expect("a port");
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Sends each step to both, and compares what comes back, in any order.
fn compare(server: &Server, login: &Login, steps: &[String]) -> Vec<String> {
    let mut differences = Vec::new();
    let mut model = ModelNats::new(1, login.clone(), 1);
    let client = model.connect(Time::START);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a time");
    let mut received = Vec::new();
    for step in steps {
        model.receive(Time::START, client, step.as_bytes());
        let mut expected = take_operations(&mut model.take_output(Time::START, client));
        stream.write_all(step.as_bytes()).expect("it reads");
        let (since, mut found) = (Instant::now(), Vec::new());
        while found.len() < expected.len() {
            let mut chunk = std::vec![0; 65_536];
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => received.extend_from_slice(&chunk[..length]),
                Err(_) if since.elapsed() > LONGEST => break,
                Err(_) => {}
            }
            found.extend(take_operations(&mut received).into_iter().filter(|operation| operation != "PING\r\n"));
        }
        for text in expected.iter_mut().chain(&mut found) {
            *text = masked(text);
        }
        expected.sort();
        found.sort();
        if found != expected {
            differences.push(format!("{step}\nthe server: {found:#?}\nthe model: {expected:#?}\n"));
        }
    }
    if model.has(client) == has_ended(&mut stream) {
        differences.push(format!("only one of both ends the connection after {:?}", steps.last()));
    }
    differences
}

fn has_ended(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(None).expect("a time");
    stream.write_all(b"PING\r\n").is_err() || !matches!(stream.read(&mut [0; 6]), Ok(1..))
}

/// Replaces what is different each time: dates, names and lengths.
fn masked(operation: &str) -> String {
    if operation.starts_with("INFO") {
        return "INFO".into();
    }
    let (head, body) = operation.split_once("\r\n").expect("a line");
    let mut body = String::from(body);
    for name in ["created", "time", "first_ts", "last_ts"] {
        body = mask_after(&body, &format!("\"{name}\":\"20"), '"');
    }
    body = mask_after(&body, "Nats-Time-Stamp: 20", '\r');
    // The name of a consumer, if the request had none.
    body = mask_after(&body, "\"stream_name\":\"S\",\"name\":\"", '"');
    let mut words: Vec<String> = head.split(' ').map(String::from).collect();
    for word in words.iter_mut().filter(|word| word.starts_with("$JS.ACK")) {
        let mut parts: Vec<&str> = word.split('.').collect();
        parts[7] = "T";
        *word = parts.join(".");
    }
    let has_date = body.contains("\":\"…\"") || body.contains("Stamp: …");
    let count = words.len();
    if has_date && let Some(last) = words.last_mut() {
        // A date has as many digits as it needs.
        *last = "N".into();
        if head.starts_with("HMSG") {
            words[count - 2] = "N".into();
        }
    }
    format!("{}\r\n{body}", words.join(" "))
}

fn mask_after(text: &str, before: &str, until: char) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((start, after)) = rest.split_once(before) {
        let end = after.find(until).unwrap_or(after.len());
        masked.push_str(start);
        masked.push_str(before.trim_end_matches("20"));
        masked.push('…');
        rest = &after[end..];
    }
    masked.push_str(rest);
    masked
}

#[test]
fn model_answers_as_a_real_server_does() {
    let Some(server) = Server::start("streams", &[]) else { return };
    let steps: Vec<String> = LIVE.iter().map(|step| String::from(*step)).chain(streams()).collect();
    let mut differences = compare(&server, &Login::None, &steps);
    for step in STRANGE {
        differences.extend(compare(&server, &Login::None, &[String::from(*step)]));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn model_checks_logins_as_a_real_server_does() {
    let (name, password, token) = ("ann", "secret", "ticket");
    let user = Login::User(name.into(), password.into());
    let servers = [
        (Server::start("user", &["--user", name, "--pass", password]), user),
        (Server::start("token", &["--auth", token]), Login::Token(token.into())),
    ];
    for (server, login) in servers {
        let Some(server) = server else { return };
        let fields = [
            "",
            r#","user":"ann","pass":"secret""#,
            r#","user":"ann","pass":"secre""#,
            r#","user":"bob","pass":"secret""#,
            r#","auth_token":"ticket""#,
            r#","auth_token":"""#,
        ];
        let differences: Vec<String> = fields
            .iter()
            .map(|fields| format!(r#"CONNECT {{"verbose":false{fields}}}"#) + "\r\nPING\r\n")
            .chain([String::from("PING\r\n")])
            .flat_map(|step| compare(&server, &login, &[step]))
            .collect();
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}
