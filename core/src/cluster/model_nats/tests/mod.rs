//! The model against a real server, and its faults.

mod faults;
mod real;
mod script;

use super::{Login, ModelNats};
use crate::base::Time;
use std::string::String;
use std::vec::Vec;

const CONNECT: &str = r#"CONNECT {"verbose":false,"protocol":1,"headers":true,"no_responders":true}"#;

/// A client of a model.
struct Talk {
    model: ModelNats,
    now: Time,
    client: u32,
}

impl Talk {
    fn new(nodes: i64) -> Self {
        let mut model = ModelNats::new(nodes, Login::None, 1);
        let client = model.connect(Time::START);
        let mut talk = Self { model, now: Time::START, client };
        talk.say(&[CONNECT, "\r\nSUB i.* 1\r\n"].concat());
        talk
    }

    /// Sends bytes, and returns what comes back at once.
    fn say(&mut self, bytes: &str) -> String {
        self.model.receive(self.now, self.client, bytes.as_bytes());
        self.hear()
    }

    fn hear(&mut self) -> String {
        String::from_utf8(self.model.take_output(self.now, self.client)).expect("text")
    }
}

/// Returns a message with headers. `headers`: lines with `\n` at their ends.
fn publish(subject: &str, reply: &str, headers: &str, payload: &str) -> String {
    let reply = if reply.is_empty() { String::new() } else { std::format!("{reply} ") };
    if headers.is_empty() {
        return std::format!("PUB {subject} {reply}{}\r\n{payload}\r\n", payload.len());
    }
    let headers = std::format!("NATS/1.0\n{headers}\n").replace('\n', "\r\n");
    std::format!("HPUB {subject} {reply}{} {}\r\n{headers}{payload}\r\n", headers.len(), headers.len() + payload.len())
}

/// Returns a request to JetStream. What its answer is, the inbox says.
fn ask(call: &str, body: &str) -> String {
    publish(&["$JS.API.", call].concat(), "i.a", "", body)
}

/// Takes what a server has sent apart: each operation with its data. What is not complete stays.
fn take_operations(bytes: &mut Vec<u8>) -> Vec<String> {
    let mut operations = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut length = end + 2;
        if line.starts_with("MSG") || line.starts_with("HMSG") {
            let count: usize = line.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("a length");
            length += count + 2;
        }
        if bytes.len() < length {
            break;
        }
        let operation: Vec<u8> = bytes.drain(..length).collect();
        operations.push(String::from_utf8_lossy(&operation).into_owned());
    }
    operations
}
