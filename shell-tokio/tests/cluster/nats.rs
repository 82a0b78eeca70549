//! nats-servers of one test: one alone, or three as a cluster.

use super::record::locked;
use crate::support::{Directory, Other, is_installed, read, skip};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Returns `true` if there is a nats-server. Otherwise says that the test is skipped.
pub(crate) fn is_there() -> bool {
    let is = is_installed("nats-server");
    if !is {
        skip("there is no nats-server on this machine");
    }
    is
}

/// If it ends by itself, it is started again, as a service manager does: nats-server 2.9.10 ends at times some moments
/// after it has read files that were copied.
pub(crate) struct NatsServer {
    /// `None` while a test has killed it.
    process: Arc<Mutex<Option<Other>>>,
    pub(crate) port: u16,
    directory: Directory,
}

/// What a server still has when it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All that it has written.
    All,
    /// What was [saved](NatsServer::save).
    Saved,
    Nothing,
}

impl NatsServer {
    /// Starts a server. `name` is that of its directory, and `options` are lines of its configuration.
    pub(crate) fn start(name: &str, options: &str) -> Self {
        let server = Self::start_guarded(name, options);
        server.wait_until_ready();
        server
    }

    /// Starts a server that may not answer this test.
    pub(crate) fn start_guarded(name: &str, options: &str) -> Self {
        let directory = Directory::new(&format!("nats-{name}"));
        let (process, [port]) = Other::start(|[port]| {
            write_configuration(&directory.0, name, port, options);
            spawn(&directory.0)
        });
        let server = Self { process: Arc::new(Mutex::new(Some(process))), port, directory };
        server.tend();
        server
    }

    /// Starts three servers that keep all streams together.
    pub(crate) fn start_three(name: &str, options: &str) -> [Self; 3] {
        for _ in 0..20 {
            // Nobody can be asked which ports are free, so all are tried again if one was taken meanwhile.
            let listeners = [(); 6].map(|()| TcpListener::bind("127.0.0.1:0").expect("there are some"));
            let ports = listeners.each_ref().map(|listener| listener.local_addr().expect("bound").port());
            drop(listeners);
            let [routes @ .., _, _, _] = ports;
            let routes = routes.map(|port| format!("nats-route://127.0.0.1:{port}"));
            let servers = [0, 1, 2].map(|place| {
                let directory = Directory::new(&format!("nats-{name}-{place}"));
                let cluster = format!(
                    "cluster {{ name: {name}, listen: '127.0.0.1:{}', routes: [{}] }}\n{options}",
                    ports[place],
                    routes.join(", ")
                );
                write_configuration(&directory.0, &format!("{name}-{place}"), ports[place + 3], &cluster);
                let process = Arc::new(Mutex::new(Some(Other(spawn(&directory.0)))));
                Self { process, port: ports[place + 3], directory }
            });
            std::thread::sleep(Duration::from_millis(50));
            if !servers.iter().any(|server| has_ended(&mut locked(&server.process))) {
                servers.iter().for_each(Self::tend);
                servers.iter().for_each(Self::wait_until_ready);
                return servers;
            }
        }
        panic!("they do not start");
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        *locked(&self.process) = None;
    }

    /// Starts it at the same port, after [`kill`](Self::kill).
    pub(crate) fn restart(&mut self, kept: Kept) {
        let (store, saved) = (self.directory.0.join("store"), self.directory.0.join("saved"));
        if kept != Kept::All {
            let _ = std::fs::remove_dir_all(&store);
        }
        if kept == Kept::Saved && saved.exists() {
            copy(&saved, &store);
        }
        for _ in 0..100 {
            let mut child = spawn(&self.directory.0);
            let since = Instant::now();
            while child.try_wait().expect("it is ours").is_none() && since.elapsed() < Duration::from_secs(20) {
                if self.is_ready() {
                    *locked(&self.process) = Some(Other(child));
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = child.kill();
            let _ = child.wait();
            // Somebody else may have the port for a moment.
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not start again: {}", self.log());
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = locked(&self.process).as_ref().expect("it runs").0.id();
        let status = Command::new("kill").args([name, &id.to_string()]).status();
        assert!(status.expect("kill is everywhere").success());
    }

    /// Copies its files, which do not change meanwhile.
    pub(crate) fn save(&self) {
        let saved = self.directory.0.join("saved");
        let _ = std::fs::remove_dir_all(&saved);
        self.signal("-STOP");
        copy(&self.directory.0.join("store"), &saved);
        self.signal("-CONT");
    }

    pub(crate) fn log(&self) -> String {
        read(&self.directory.0.join("log"))
    }

    /// Waits until its log has these words.
    pub(crate) fn wait_for_log(&self, words: &str) {
        let since = Instant::now();
        while !self.log().contains(words) {
            assert!(since.elapsed() < Duration::from_secs(60), "{words:?} was not logged: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a request to JetStream. Returns its answer.
    pub(crate) fn request(&self, call: &str, body: &str) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let connect = r#"CONNECT {"verbose":false,"headers":true,"no_responders":true}"#;
        let text = format!("{connect}\r\nSUB i 1\r\nPUB $JS.API.{call} i {}\r\n{body}\r\n", body.len());
        stream.write_all(text.as_bytes())?;
        let mut input = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 || line.starts_with("HMSG") {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.starts_with("MSG") {
                let length: usize =
                    line.split_whitespace().last().and_then(|word| word.parse().ok()).expect("a length");
                let mut answer = vec![0; length];
                input.read_exact(&mut answer)?;
                return Ok(serde_json::from_slice(&answer)?);
            }
        }
    }

    /// Returns the name of a stream, which begins so.
    pub(crate) fn stream(&self, begin: &str) -> String {
        let answer = self.request("STREAM.NAMES", "").expect("it answers");
        let names = answer["streams"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let mut names = names.iter().filter_map(Value::as_str).filter(|name| name.starts_with(begin));
        names.next().unwrap_or_else(|| panic!("no stream {begin}: {answer}")).to_owned()
    }

    /// Returns the name of the server that leads a stream.
    pub(crate) fn leader(&self, stream: &str) -> Option<String> {
        let answer = self.request(&format!("STREAM.INFO.{stream}"), "").ok()?;
        answer["cluster"]["leader"].as_str().map(ToOwned::to_owned)
    }

    fn is_ready(&self) -> bool {
        // A server of a cluster answers once the cluster has a leader.
        self.request("INFO", "").is_ok_and(|answer| answer["error"].is_null())
    }

    fn wait_until_ready(&self) {
        let since = Instant::now();
        while !self.is_ready() {
            assert!(since.elapsed() < Duration::from_secs(60), "it is not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it again whenever it has ended by itself.
    fn tend(&self) {
        let (process, directory) = (Arc::downgrade(&self.process), self.directory.0.clone());
        std::thread::spawn(move || {
            while let Some(process) = process.upgrade() {
                let mut process = locked(&process);
                if process.is_some() && has_ended(&mut process) {
                    println!("a nats-server has ended by itself: {}", read(&directory.join("errors")));
                    *process = Some(Other(spawn(&directory)));
                }
                drop(process);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }
}

/// The thread that tends it may live longer.
impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn has_ended(process: &mut Option<Other>) -> bool {
    process.as_mut().is_none_or(|process| process.0.try_wait().expect("it is ours").is_some())
}

fn write_configuration(directory: &Path, name: &str, port: u16, options: &str) {
    let (store, log) = (directory.join("store"), directory.join("log"));
    let text = format!(
        "listen: '127.0.0.1:{port}'\nserver_name: {name}\nlog_file: '{}'\njetstream {{ store_dir: '{}' }}\n{options}\n",
        log.display(),
        store.display()
    );
    std::fs::write(directory.join("configuration"), text).expect("written");
}

fn spawn(directory: &Path) -> Child {
    let mut command = Command::new("nats-server");
    command.arg("--config").arg(directory.join("configuration"));
    let errors = std::fs::File::create(directory.join("errors")).expect("a file");
    command.stdout(Stdio::null()).stderr(errors).spawn().expect("it is installed")
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").args([from, to]).status();
    assert!(status.expect("cp is everywhere").success());
}
