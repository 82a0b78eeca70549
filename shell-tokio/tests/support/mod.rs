//! The program under test, and clients as a user has them.

mod skipped;

pub(crate) use skipped::skip;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// Returns the path of the program under test.
///
/// `DRUPE_TEST_PROGRAM` may name the same program on another shell.
pub(crate) fn program_path() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM
        .get_or_init(|| std::env::var("DRUPE_TEST_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_drupe").to_owned()))
}

/// Returns `true` if the tests are about the program of this package, and not about that of another shell.
pub(crate) fn is_own_program() -> bool {
    std::env::var_os("DRUPE_TEST_PROGRAM").is_none()
}

/// A client that hangs is ended, so that its test fails.
const CLIENT_SECONDS: &str = "180";

pub(crate) struct Program {
    child: Child,
    pub(crate) addresses: Vec<String>,
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(program_path());
        command.args(arguments);
        let count = arguments.iter().filter(|argument| **argument == "--listen").count();
        Self::spawned(command, count)
    }

    /// Starts it with a command of its own, with so many listeners.
    pub(crate) fn spawned(mut command: Command, listeners: usize) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it was built");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let addresses = (0..listeners).map(|_| {
            let line = lines.next().expect("it says where it listens").expect("text");
            line.strip_prefix("listening on ").expect("in these words").to_owned()
        });
        Self { addresses: addresses.collect(), child }
    }

    /// Starts it with a configuration of so many listeners, which is a file in `directory`.
    pub(crate) fn configured(
        directory: &Path,
        text: &str,
        listeners: usize,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        Self::configured_as(Path::new(program_path()), directory, text, listeners, prepare)
    }

    /// As [`configured`](Self::configured), for another program.
    pub(crate) fn configured_as(
        program: &Path,
        directory: &Path,
        text: &str,
        listeners: usize,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let file = directory.join("drupe.yaml");
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(program);
        command.arg("--config").arg(&file).current_dir(directory).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(directory.join("log")).expect("created"));
        prepare(&mut command);
        let mut child = command.spawn().expect("it was built");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let addresses = (0..listeners).map(|_| {
            let line = lines.next().unwrap_or_else(|| panic!("{}", read(&directory.join("log")))).expect("text");
            line.strip_prefix("listening on ").expect("in these words").to_owned()
        });
        Self { addresses: addresses.collect(), child }
    }

    /// The port of the listener at this place, in the order of their names.
    pub(crate) fn port_of(&self, place: usize) -> u16 {
        let (_, port) = self.addresses[place].rsplit_once(':').expect("a port");
        port.split('/').next().and_then(|port| port.parse().ok()).expect("digits")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill is everywhere").success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("it exits").code()
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

/// Somebody else's server, ended with the test.
pub(crate) struct Other(pub(crate) Child);

impl Other {
    /// Starts one at so many ports. It can't be asked which the system chose, so what is free is tried until nobody else takes
    /// it meanwhile.
    pub(crate) fn start<const N: usize>(mut begin: impl FnMut([u16; N]) -> Child) -> (Self, [u16; N]) {
        for _ in 0..20 {
            let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("there are some"));
            let ports = listeners.each_ref().map(|listener| listener.local_addr().expect("bound").port());
            drop(listeners);
            let mut other = Self(begin(ports));
            while other.0.try_wait().expect("it is ours").is_none() {
                // Whoever answers while it still runs is it: without one of its ports it ends.
                if ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    if other.0.try_wait().expect("it is ours").is_none() {
                        return (other, ports);
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        panic!("it does not start");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
            skip(&format!("there is no {program} on this machine"));
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
            skip(&format!("there is no {program} on this machine"));
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

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A directory for one test, which goes with it.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("drupe-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    /// Waits until a file in it has words in it, and so often.
    pub(crate) fn wait_for(&self, file: &str, words: &str, count: usize) {
        for _ in 0..6_000 {
            if read(&self.0.join(file)).matches(words).count() >= count {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{words:?} never came: {}", read(&self.0.join(file)));
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Python, if it has a package.
pub(crate) fn python(package: &str) -> Option<String> {
    let python = std::env::var("DRUPE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let check = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if check.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skip(&format!("{python} has no {package}"));
    None
}

/// Returns Python with playwright, and a browser. `None`, with a word about it, without one of them.
pub(crate) fn browser() -> Option<(String, &'static str)> {
    let python = python("playwright")?;
    let browser = ["/usr/bin/chromium", "/usr/bin/google-chrome"].into_iter().find(|path| Path::new(path).exists());
    if browser.is_none() {
        skip("there is no chromium on this machine");
    }
    Some((python, browser?))
}
