//! The pages that the program serves, in a browser: the chat and the monitor.

mod accessibility;
mod chat;
mod monitor;

use crate::support::{Client, Directory, Program, browser};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// What the scripts share. It comes before each of them.
const COMMON: &str = include_str!("common.py");

/// A program with the chat on lines and WebSocket, and the monitor.
struct Site {
    directory: Directory,
    program: Program,
}

impl Site {
    fn start(name: &str) -> Self {
        let directory = Directory::new(name);
        let program = start_at(&directory, [0, 0]);
        Self { directory, program }
    }

    fn ports(&self) -> [u16; 2] {
        [self.program.port_of(0), self.program.port_of(1)]
    }

    /// Ends the program, and starts it again at the same ports, where the pages find it.
    fn restart(self) -> Self {
        let Self { directory, program } = self;
        let ports = [program.port_of(0), program.port_of(1)];
        drop(program);
        let program = start_at(&directory, ports);
        Self { directory, program }
    }

    /// Returns a member of the chat on a connection of lines, with this name and in this room.
    fn member(&self, name: &str, room: &str) -> Member {
        let stream = TcpStream::connect(("127.0.0.1", self.ports()[0])).expect("it listens");
        let mut member = Member(BufReader::new(stream));
        member.say(&format!("/nick {name}"));
        member.hear(&format!("is now {name}"));
        if room != "lobby" {
            member.say(&format!("/join {room}"));
            member.hear(&format!("* {name} came to {room}"));
        }
        member
    }

    /// Starts a scenario of a script.
    fn script(&self, (python, browser): (&str, &str), script: &str, scenario: &str) -> Client {
        let url = format!("http://127.0.0.1:{}", self.ports()[1]);
        let script = format!("{COMMON}\n{script}\nrun(globals())\n");
        Client::start(python, &["-c", &script, scenario, browser, &url]).expect("it is installed")
    }
}

fn start_at(directory: &Directory, [lines, web]: [u16; 2]) -> Program {
    let config = format!(
        "listeners:\n  lines: {{ address: '127.0.0.1:{lines}', app: chat }}\n  \
         web: {{ address: '127.0.0.1:{web}', protocol: websocket, app: chat, websocket: {{ monitor: true }} }}\n\
         monitor: {{ credential: 0123456789abcdef, interval: 200ms }}\ndrain: {{ grace: 0s, window: 0s }}\n"
    );
    Program::configured(&directory.0, &config, 2, |_| {})
}

/// A member of the chat on a connection of lines.
struct Member(BufReader<TcpStream>);

impl Member {
    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("sent");
    }

    /// Reads lines up to one that contains these words.
    fn hear(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("text") > 0, "the connection ended before {words:?}");
        }
    }
}

/// Waits for a line of the script, acts, and lets the script go on.
fn when<T>(page: &mut Client, words: &str, act: impl FnOnce() -> T) -> T {
    page.hear_until(&format!("{words}\n"));
    let done = act();
    page.say("go\n");
    done
}
