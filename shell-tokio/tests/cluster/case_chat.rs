//! The chat on three hosts: one list of names and rooms, and private messages from host to host.

use super::host::{Broker, Host};
use super::redis::{RedisServer, are_installed};
use super::stage::Stage;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A person at a terminal.
struct Person {
    input: BufReader<TcpStream>,
    seen: Vec<String>,
}

impl Person {
    /// Connects, and takes a name.
    fn arrive(host: &Host, name: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", host.chat)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        let mut person = Self { input: BufReader::new(stream), seen: Vec::new() };
        person.expect("* welcome");
        person.say(&format!("/nick {name}"));
        person
    }

    fn say(&mut self, line: &str) {
        self.input.get_mut().write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    /// Reads lines up to one with these words, which it returns.
    fn expect(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            let length = self.input.read_line(&mut line).unwrap_or_default();
            assert!(length > 0, "{words:?} did not come after {:?}", self.seen);
            self.seen.push(line.trim_end().into());
            if line.contains(words) {
                return line.trim_end().into();
            }
        }
    }

    /// Asks until the answer has these words after its beginning, in any order. Hosts tell each other in their own time.
    fn ask_until(&mut self, question: &str, begin: &str, words: &[&str]) {
        let since = Instant::now();
        loop {
            self.say(question);
            let found = self.expect(begin);
            let mut listed: Vec<&str> =
                found.strip_prefix(begin).unwrap_or_default().split(", ").map(str::trim).collect();
            listed.sort_unstable();
            if listed == words {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(60), "{question} has the answer {found:?}, not {words:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn people_on_three_hosts_are_in_one_chat() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("chat", &["--save", ""]);
    let at = Broker::At(redis.address());
    let stage = Stage::empty("chat", [&at, &at, &at]);
    let arrive = |host: usize, name| Person::arrive(&stage.hosts[host], name);
    let (mut ann, mut bob, mut cem) = (arrive(0, "ann"), arrive(1, "bob"), arrive(2, "cem"));
    for person in [&mut ann, &mut bob, &mut cem] {
        person.ask_until("/who", "* in lobby:", &["ann", "bob", "cem"]);
    }
    // One order, and everybody has each message once.
    ann.say("good day");
    for person in [&mut ann, &mut bob, &mut cem] {
        person.expect("<ann> good day");
    }
    bob.say("/msg ann only for you");
    assert!(ann.expect("only for you").contains("bob"));
    cem.say("/join den");
    ann.ask_until("/rooms", "* rooms:", &["den (1)", "lobby (2)"]);
    // A name of another host is taken.
    ann.say("/nick bob");
    let refusal = ann.expect("bob");
    assert!(refusal.starts_with("* ") && !refusal.contains("ann is now"), "{refusal}");
    ann.ask_until("/who", "* in lobby:", &["ann", "bob"]);
    // If cem had received the message to ann, it would have come before this one.
    bob.say("/msg cem and for you");
    cem.expect("and for you");
    assert!(!cem.seen.iter().any(|line| line.contains("only for you")), "{:?}", cem.seen);
    // Those who leave are gone from all hosts.
    drop(cem);
    bob.say("/quit");
    ann.ask_until("/who", "* in lobby:", &["ann"]);
}
