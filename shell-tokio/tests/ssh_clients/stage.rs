//! A directory with keys, and the program with SSH listeners in it.

use crate::support::{Client, Directory, Program, is_installed, skip};
use std::process::{Command, Stdio};

pub(crate) struct Stage(pub(crate) Directory);

fn make_key(directory: &Directory, user: &str, options: &[&str]) {
    let mut made = Command::new("ssh-keygen");
    made.args(["-q", "-N", "", "-C", user, "-f"]).arg(directory.0.join(user)).args(options);
    let made = made.output();
    assert!(made.is_ok_and(|made| made.status.success()), "ssh-keygen belongs to the tools of these tests");
}

impl Stage {
    /// Creates the keys of ann and of mallory. Those of ann are in the directory `keys`, too.
    pub(crate) fn new(name: &str) -> Self {
        let directory = Directory::new(&format!("ssh-{name}"));
        std::fs::create_dir_all(directory.0.join("keys")).expect("a directory");
        for user in ["ann", "mallory"] {
            make_key(&directory, user, &["-t", "ed25519"]);
        }
        std::fs::copy(directory.0.join("ann.pub"), directory.0.join("keys/ann")).expect("copied");
        Self(directory)
    }

    /// Creates one more key, with options of `ssh-keygen`.
    pub(crate) fn make_key(&self, user: &str, options: &[&str]) {
        make_key(&self.0, user, options);
    }

    /// The path of a private key.
    pub(crate) fn key(&self, user: &str) -> String {
        self.0.0.join(user).display().to_string()
    }

    /// The fingerprint of the host key.
    pub(crate) fn fingerprint(&self) -> String {
        let output =
            Command::new("ssh-keygen").args(["-l", "-f", &self.key("host")]).output().expect("it is installed");
        let line = String::from_utf8(output.stdout).expect("text");
        line.split_whitespace().nth(1).expect("a fingerprint").to_owned()
    }

    pub(crate) fn start(&self, text: &str, listeners: usize) -> Running {
        Running(Program::configured(&self.0.0, text, listeners, |_| {}))
    }

    /// Starts the application `echo`. Without `options` of SSH, everybody is admitted.
    pub(crate) fn echo(&self, options: &str) -> Running {
        let options = if options.is_empty() { "login: none" } else { options };
        self.start(
            &format!(
                "listeners: {{ a: {{ address: '127.0.0.1:0', protocol: ssh, app: echo, ssh: {{ host_key: host, {options} }} }} }}\n"
            ),
            1,
        )
    }

    pub(crate) fn chat(&self) -> Running {
        self.start(
            "listeners: { a: { address: '127.0.0.1:0', protocol: ssh, app: chat, ssh: { host_key: host, login: none } } }\n",
            1,
        )
    }

    fn arguments(&self, program: &Running, user: &str, options: &[&str]) -> Vec<String> {
        let port = program.port_of(0).to_string();
        let known = format!("UserKnownHostsFile={}", self.key("known_hosts"));
        let fixed = ["-F", "none", "-o", "StrictHostKeyChecking=accept-new", "-o", &known, "-o", "IdentitiesOnly=yes"];
        let target = ["-p", &port, "-l", user];
        fixed.iter().chain(&target).chain(options).map(ToString::to_string).collect()
    }

    /// Returns the command `ssh` with these options, for a session or for a `command`.
    pub(crate) fn command(&self, program: &Running, user: &str, options: &[&str], command: Option<&str>) -> Command {
        let mut ssh = Command::new("timeout");
        ssh.args(["180", "ssh"]).args(self.arguments(program, user, options)).arg("127.0.0.1").args(command);
        ssh.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
        ssh
    }

    /// Runs `ssh`. Returns its exit code, what it printed, and its messages.
    pub(crate) fn ssh_output(
        &self,
        program: &Running,
        user: &str,
        options: &[&str],
        command: Option<&str>,
    ) -> Option<(Option<i32>, String, String)> {
        if !is_installed("ssh") {
            skip("there is no ssh on this machine");
            return None;
        }
        let options: Vec<_> = [&["-o", "BatchMode=yes"], options].concat();
        Some(output(&mut self.command(program, user, &options, command)))
    }

    pub(crate) fn ssh(&self, program: &Running, user: &str, options: &[&str]) -> Option<Client> {
        let arguments = self.arguments(program, user, options);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["127.0.0.1"]).collect();
        Client::start("ssh", &arguments)
    }

    /// Waits until a client has accepted the host key, and so has exchanged keys.
    pub(crate) fn until_known(&self) {
        self.0.wait_for("known_hosts", "ssh-ed25519", 1);
    }

    pub(crate) fn ssh_on_terminal(&self, program: &Running, user: &str, options: &[&str]) -> Option<Client> {
        let arguments = self.arguments(program, user, options);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["127.0.0.1"]).collect();
        Client::start_on_terminal("ssh", &arguments)
    }
}

/// Runs a command. Returns its exit code, what it printed, and its messages.
pub(crate) fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("timeout is everywhere");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The program, whose log is a file.
pub(crate) struct Running(Program);

impl Running {
    pub(crate) const fn of(program: Program) -> Self {
        Self(program)
    }

    /// Ends it as an operator does. Returns its exit code and its log, which is no file.
    pub(crate) fn terminate(self) -> (Option<i32>, String) {
        self.0.terminate()
    }

    pub(crate) fn port_of(&self, place: usize) -> u16 {
        self.0.port_of(place)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.0.signal(name);
    }

    /// Ends it as an operator does. Returns its exit code.
    pub(crate) fn terminate_quietly(self) -> Option<i32> {
        self.0.signal("-TERM");
        self.0.wait()
    }
}
