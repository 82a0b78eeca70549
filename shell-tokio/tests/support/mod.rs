//! The program under test, and clients as a user has them.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Another shell's hub can be tested in its place: the path of the program.
const OTHER_PROGRAM: &str = "DRUPE_TEST_PROGRAM";
pub(crate) const DRUPE: &str = env!("CARGO_BIN_EXE_drupe");
/// A client that hangs is ended, so that its test fails.
const CLIENT_SECONDS: &str = "60";

pub(crate) struct Program {
    child: Child,
    pub(crate) addresses: Vec<String>,
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let program = std::env::var(OTHER_PROGRAM).unwrap_or_else(|_| DRUPE.to_owned());
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built");
        let count = arguments.iter().filter(|argument| **argument == "--listen").count();
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let addresses = (0..count).map(|_| {
            let line = lines.next().expect("it says where it listens").expect("text");
            line.strip_prefix("listening on ").expect("in these words").to_owned()
        });
        Self { addresses: addresses.collect(), child }
    }

    pub(crate) fn port(&self) -> &str {
        let (_, port) = self.addresses[0].rsplit_once(':').expect("a port");
        port.split('/').next().expect("digits")
    }

    /// Ends it as an operator does, and says how it exited and what it printed.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill is everywhere");
        assert!(kill.success());
        let mut printed = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut printed).expect("text");
        (self.child.wait().expect("it exits").code(), printed)
    }
}

/// A test that fails leaves nothing behind.
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody else's program, on pipes.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Client {
    /// `None`, with a word about it, where there is no such program.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        if !is_installed(program) {
            eprintln!("skipped: there is no {program} on this machine");
            return None;
        }
        let mut child = Command::new("timeout")
            .args([CLIENT_SECONDS, program])
            .args(arguments)
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("timeout is everywhere");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Some(Self { input: child.stdin.take(), output, child })
    }

    /// A program that wants a terminal, on one of 80 columns.
    pub(crate) fn start_on_terminal(program: &str, arguments: &[&str]) -> Option<Self> {
        if !is_installed(program) {
            eprintln!("skipped: there is no {program} on this machine");
            return None;
        }
        let command = format!("stty rows 24 cols 80; exec {program} {}", arguments.join(" "));
        Self::start("script", &["-qec", &command, "/dev/null"])
    }

    pub(crate) fn say(&mut self, text: &str) {
        let input = self.input.as_mut().expect("not ended");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("the client reads");
    }

    /// The next line.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    /// Everything up to `words`.
    pub(crate) fn hear_until(&mut self, words: &str) -> String {
        let (mut heard, mut byte) = (Vec::new(), [0]);
        while !heard.ends_with(words.as_bytes()) {
            let count = self.output.read(&mut byte).expect("it can be read");
            assert!(count > 0, "{words:?} was never heard, but {:?}", String::from_utf8_lossy(&heard));
            heard.push(byte[0]);
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// Ends the input and waits for the rest.
    pub(crate) fn rest(mut self) -> String {
        let mut rest = Vec::new();
        drop(self.input.take());
        self.output.read_to_end(&mut rest).expect("it can be read");
        self.child.wait().expect("it exits");
        String::from_utf8_lossy(&rest).into_owned()
    }
}

fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}
