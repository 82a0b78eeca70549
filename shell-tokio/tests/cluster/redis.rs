//! A Redis server or a Sentinel of one test.

use crate::support::{Directory, Other, is_installed, read, skip};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Returns `true` if there is a Redis server, and a Sentinel. Otherwise says that the test is skipped.
pub(crate) fn are_installed() -> bool {
    let are = is_installed("redis-server") && is_installed("redis-sentinel");
    if !are {
        skip("there is no redis-server and redis-sentinel on this machine");
    }
    are
}

pub(crate) struct RedisServer {
    process: Option<Other>,
    pub(crate) port: u16,
    directory: Directory,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts a server. `name` is that of its directory.
    pub(crate) fn start(name: &str, options: &[&str]) -> Self {
        let directory = Directory::new(&format!("redis-{name}"));
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let (process, [port]) = Other::start(|[port]| spawn(&directory, port, &options));
        let server = Self { process: Some(process), port, directory, options };
        server.wait_until_ready();
        server
    }

    /// Starts a server that answers only with errors, because it has a password.
    pub(crate) fn start_guarded(name: &str, options: &[&str]) -> Self {
        let directory = Directory::new(&format!("redis-{name}"));
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let (process, [port]) = Other::start(|[port]| spawn(&directory, port, &options));
        Self { process: Some(process), port, directory, options }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it at the same port, after [`kill`](Self::kill).
    pub(crate) fn restart(&mut self) {
        for _ in 0..100 {
            let mut child = spawn(&self.directory, self.port, &self.options);
            let since = Instant::now();
            while child.try_wait().expect("it is ours").is_none() && since.elapsed() < Duration::from_secs(20) {
                if self.is_ready() {
                    self.process = Some(Other(child));
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
        let process = self.process.as_ref().expect("it runs");
        let status = Command::new("kill").args([name, &process.0.id().to_string()]).status();
        assert!(status.expect("kill is everywhere").success());
    }

    /// Writes all that it has to its file, in the background as an operator does.
    pub(crate) fn save(&self) {
        let before = self.command(&["LASTSAVE"]);
        // Times of saves are in seconds.
        while self.command(&["TIME"]).starts_with(&format!("{before} ")) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let answer = self.command(&["BGSAVE"]);
        assert!(answer.contains("started"), "{answer}");
        while self.command(&["LASTSAVE"]) == before {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Removes the file with what it has saved.
    pub(crate) fn forget_saved(&self) {
        let _ = std::fs::remove_file(self.directory.0.join("dump.rdb"));
    }

    pub(crate) fn log(&self) -> String {
        read(&self.directory.0.join("log"))
    }

    /// Sends a command. Returns the reply: the words of an array with a space between them.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        self.try_command(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    pub(crate) fn try_command(&self, words: &[&str]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            let _ = write!(bytes, "${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(bytes.as_bytes())?;
        reply(&mut BufReader::new(stream))
    }

    fn is_ready(&self) -> bool {
        self.try_command(&["PING"]).is_ok_and(|answer| answer == "PONG")
    }

    fn wait_until_ready(&self) {
        while !self.is_ready() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn spawn(directory: &Directory, port: u16, options: &[String]) -> Child {
    let has_file = directory.0.join("sentinel.conf").exists();
    let mut command = Command::new(if has_file { "redis-sentinel" } else { "redis-server" });
    if has_file {
        command.arg(directory.0.join("sentinel.conf"));
    }
    let path = directory.0.display().to_string();
    let log = directory.0.join("log").display().to_string();
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir", &path, "--logfile", &log]);
    command.args(options).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it is installed")
}

fn reply(input: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.trim_end();
    let (kind, rest) = line.split_at(1);
    match (kind, rest.parse::<i64>().unwrap_or(-1)) {
        ("$", length @ 0..) => {
            let mut bytes = vec![0; usize::try_from(length).expect("positive") + 2];
            input.read_exact(&mut bytes)?;
            bytes.truncate(bytes.len() - 2);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        ("*", count @ 0..) => {
            let words: Result<Vec<_>, _> = (0..count).map(|_| reply(input)).collect();
            Ok(words?.join(" "))
        }
        ("$" | "*", _) => Ok(String::new()),
        _ => Ok(rest.to_owned()),
    }
}

/// Starts a Sentinel that watches a master under the name `main`.
pub(crate) fn sentinel(name: &str, master: u16) -> RedisServer {
    let directory = Directory::new(&format!("redis-{name}"));
    let text = format!(
        "sentinel monitor main 127.0.0.1 {master} 1\nsentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 60000\nsentinel parallel-syncs main 1\n"
    );
    let file = directory.0.join("sentinel.conf");
    let (process, [port]) = Other::start(|[port]| {
        std::fs::write(&file, &text).expect("written");
        spawn(&directory, port, &[])
    });
    let server = RedisServer { process: Some(process), port, directory, options: Vec::new() };
    server.wait_until_ready();
    server
}
