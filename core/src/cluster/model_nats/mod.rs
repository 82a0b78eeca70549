//! A model of a nats-server with JetStream, with faults: as far as the link needs it, in memory, over its protocol.
//!
//! It keeps a ledger of all that its streams ever stored, so that a world can compare what members got with the truth.
//! It stands for a whole cluster of servers too: each connection is one to any of them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "only the link and worlds use it"
)]

mod api;
mod client;
mod consumer;
mod error;
mod headers;
mod json;
mod operation;
mod publish;
mod stream;
mod stream_config;
mod subjects;
#[cfg(test)]
mod tests;

use crate::base::{Random, Time};
use crate::cluster::broker_message::BrokerMessage;
use crate::history::Position;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::{Client, Lane};
use consumer::Consumer;
use core::time::Duration;
use json::Json;
use operation::{Malformed, Operation, PAYLOAD_MAX};
use stream::Stream;

/// When the clock of a model starts: 2026-01-01, in nanoseconds since 1970.
const START: u64 = 1_767_225_600_000_000_000;

/// A nats-server, or a cluster of them.
#[derive(Debug)]
pub(crate) struct ModelNats {
    login: Login,
    nodes: i64,
    data: Data,
    /// By stream and name.
    consumers: BTreeMap<(String, String), Consumer>,
    clients: BTreeMap<u32, Client>,
    next_client: u32,
    ledger: Vec<Published>,
    random: Random,
    pub(crate) faults: Faults,
}

/// What clients must prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Login {
    #[default]
    None,
    /// A name and a password.
    #[cfg_attr(not(test), allow(dead_code, reason = "only the tests of the link log in"))]
    User(String, String),
    #[cfg_attr(not(test), allow(dead_code, reason = "only the tests of the link log in"))]
    Token(String),
}

/// What is wrong with a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Requests are answered, but nothing that is published is delivered.
    pub(crate) is_deaf: bool,
    /// What streams store is not published again, as while another server of a cluster becomes the leader.
    pub(crate) is_mute: bool,
    /// Streams refuse messages for lack of space.
    pub(crate) is_full: bool,
    /// Streams have no leader: messages to them reach nobody, and requests have no answer.
    pub(crate) has_no_leader: bool,
    /// JetStream is not enabled.
    pub(crate) has_no_jetstream: bool,
    /// How many messages consumers miss at the end of their stream, because their server is behind.
    pub(crate) behind: u64,
    /// The longest time that JetStream takes to send something, in milliseconds. Each part of it takes another time, so
    /// that an answer and a live message may come in any order.
    pub(crate) late_ms: u64,
    /// Live messages come in any order, within the longest time.
    pub(crate) reorders: bool,
    /// Subjects to which nobody may publish.
    pub(crate) denied: Vec<String>,
}

/// The streams of a server, and what it needs to know when it goes back to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    streams: BTreeMap<String, Stream>,
    /// The numbers of all messages that were stored on the way to these data.
    published: BTreeSet<u64>,
}

/// A message that a stream has stored.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// The number of the message among all, from 1.
    pub(crate) number: u64,
    pub(crate) stream: String,
    pub(crate) subject: String,
    pub(crate) sequence: u64,
    pub(crate) headers: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    /// Whether the server has gone back to data without it.
    pub(crate) was_lost: bool,
}

impl Published {
    /// Returns the message as the hosts of a cluster with this prefix see it. `None`: it is not for members of a room.
    pub(crate) fn shown(&self, prefix: &str) -> Option<BrokerMessage> {
        let (room, position, has_content) = self.place(prefix)?;
        has_content.then(|| BrokerMessage::new(room, position, self.payload.clone(), self.was_lost))?
    }

    /// Returns the room, the position, and whether there is content for members. `None`: it is not in a history.
    pub(crate) fn place(&self, prefix: &str) -> Option<(String, Position, bool)> {
        let word = self.subject.strip_prefix(prefix)?.strip_prefix(".h.")?.split_once('.')?.1;
        let room = String::from_utf8(URL_SAFE_NO_PAD.decode(word).ok()?).ok()?;
        let mut words = self.header("Drupe")?.split(' ').map(|word| u64::from_str_radix(word, 16).ok());
        let position = Position::new(words.next()??, self.sequence, words.next()??);
        Some((room, position, words.next().is_none()))
    }

    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        headers::value(&self.headers, name)
    }
}

impl ModelNats {
    /// Creates a server that is one of `nodes`.
    pub(crate) fn new(nodes: i64, login: Login, seed: u64) -> Self {
        Self {
            login,
            nodes,
            data: Data::default(),
            consumers: BTreeMap::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            ledger: Vec::new(),
            random: Random::new(seed),
            faults: Faults::default(),
        }
    }

    /// Accepts a connection.
    pub(crate) fn connect(&mut self, now: Time) -> u32 {
        self.next_client += 1;
        let mut client = Client::default();
        (client.hears_itself, client.is_verbose, client.is_known) = (true, true, self.login == Login::None);
        client.send(now, Some(Lane::Own), self.info(self.next_client, false));
        self.clients.insert(self.next_client, client);
        self.next_client
    }

    pub(crate) fn disconnect(&mut self, client: u32) {
        self.clients.remove(&client);
    }

    /// Ends all connections.
    pub(crate) fn disconnect_all(&mut self) {
        self.clients.clear();
    }

    pub(crate) fn has(&self, client: u32) -> bool {
        self.clients.get(&client).is_some_and(|client| !client.has_ended())
    }

    /// Carries out the complete operations in what a client sends.
    pub(crate) fn receive(&mut self, now: Time, client: u32, bytes: &[u8]) {
        self.expire(now);
        let Some(found) = self.clients.get_mut(&client) else { return };
        found.input.extend_from_slice(bytes);
        while let Some(found) = self.clients.get_mut(&client).filter(|client| !client.is_closing) {
            match operation::read(&found.input) {
                Ok(None) => break,
                Ok(Some((operation, length))) => {
                    found.input.drain(..length);
                    self.run(now, client, operation);
                }
                Err(Malformed(why)) => self.close(now, client, why),
            }
        }
        self.deliver_to_consumers(now);
    }

    /// Returns what has come to a client by now.
    pub(crate) fn take_output(&mut self, now: Time, client: u32) -> Vec<u8> {
        self.expire(now);
        self.deliver_to_consumers(now);
        self.clients.get_mut(&client).map(|client| client.take_output(now)).unwrap_or_default()
    }

    /// Announces to all clients that their server will end.
    pub(crate) fn begin_lame_duck(&mut self, now: Time) {
        for number in self.clients.keys().copied().collect::<Vec<_>>() {
            let info = self.info(number, true);
            self.send_own(now, number, info);
        }
    }

    /// Asks all clients for a sign of life.
    #[cfg(test)]
    pub(crate) fn ping(&mut self, now: Time) {
        for client in self.clients.values_mut() {
            client.send(now, Some(Lane::Own), b"PING\r\n".to_vec());
        }
    }

    /// Returns a copy of the data, for [`restore`](Self::restore).
    pub(crate) fn snapshot(&self) -> Data {
        self.data.clone()
    }

    /// Goes back to earlier data, as after a restart that lost the last writes, or when a server that is behind becomes
    /// the leader. The messages since then count as lost. Connections stay.
    pub(crate) fn restore(&mut self, data: Data) {
        self.data = data;
        self.data.streams.values_mut().for_each(Stream::recover);
        self.consumers.clear();
        self.note_lost();
    }

    /// Ends and starts again, with all that was in files.
    pub(crate) fn restart(&mut self) {
        self.disconnect_all();
        self.consumers.clear();
        let gone: Vec<String> = self.memory_streams().cloned().collect();
        gone.iter().for_each(|name| self.forget_messages(name));
        self.data.streams.retain(|_, stream| !stream.config.is_memory);
        self.data.streams.values_mut().for_each(Stream::recover);
        self.note_lost();
    }

    /// Removes all streams.
    #[cfg(test)]
    pub(crate) fn flush(&mut self) {
        self.restore(Data::default());
    }

    /// Removes the messages of all streams, which begin to count anew.
    #[cfg(test)]
    pub(crate) fn empty(&mut self) {
        let names: Vec<String> = self.data.streams.keys().cloned().collect();
        for name in names {
            self.forget_messages(&name);
            self.data.streams.get_mut(&name).expect("it is there").empty();
        }
        self.consumers.clear();
        self.note_lost();
    }

    /// Removes all messages of a subject, as an operator may.
    #[cfg(test)]
    pub(crate) fn purge(&mut self, pattern: &str) {
        for stream in self.data.streams.values_mut() {
            stream.purge(pattern, 0, None);
        }
    }

    /// Returns all messages that were ever stored, in order.
    pub(crate) fn ledger(&self) -> &[Published] {
        &self.ledger
    }

    /// Returns the sequence and the headers of the last message of the subjects that a pattern covers.
    #[cfg(test)]
    pub(crate) fn last(&self, pattern: &str) -> Option<(u64, &[u8])> {
        let last = self.data.streams.values().find_map(|stream| stream.last_of(pattern))?;
        Some((last.sequence, &last.message.headers))
    }

    /// Returns the names of all streams.
    #[cfg(test)]
    pub(crate) fn streams(&self) -> impl Iterator<Item = &str> {
        self.data.streams.keys().map(String::as_str)
    }

    fn memory_streams(&self) -> impl Iterator<Item = &String> {
        self.data.streams.iter().filter(|(_, stream)| stream.config.is_memory).map(|(name, _)| name)
    }

    fn forget_messages(&mut self, stream: &str) {
        for published in self.ledger.iter().filter(|published| published.stream == stream) {
            self.data.published.remove(&published.number);
        }
    }

    fn note_lost(&mut self) {
        for published in &mut self.ledger {
            published.was_lost |= !self.data.published.contains(&published.number);
        }
    }

    fn expire(&mut self, now: Time) {
        let at = unix(now);
        self.data.streams.values_mut().for_each(|stream| stream.expire(at));
        self.consumers.retain(|_, consumer| !consumer.is_over(at));
    }

    fn run(&mut self, now: Time, client: u32, operation: Operation) {
        let Some(found) = self.clients.get_mut(&client) else { return };
        match operation {
            Operation::Connect(options) => return self.log_in(now, client, &options),
            _ if !found.is_known => return self.close(now, client, "Authorization Violation"),
            Operation::Ping => return self.send_own(now, client, b"PONG\r\n".to_vec()),
            Operation::Pong => return,
            Operation::Subscribe { subject, .. } if !subjects::is_valid(&subject) => {
                return self.send_error(now, client, "Invalid Subject");
            }
            Operation::Subscribe { subject, id } => found.subscribe(subject, id),
            Operation::Unsubscribe { id, after } => found.unsubscribe(&id, after),
            Operation::Publish(message) => self.publish(now, client, &message),
        }
        self.confirm(now, client);
    }

    fn log_in(&mut self, now: Time, client: u32, options: &[u8]) {
        let Some(options) = Json::parse(options) else { return self.close(now, client, "") };
        let may = match &self.login {
            Login::None => true,
            Login::User(name, password) => options.text("user") == Some(name) && options.text("pass") == Some(password),
            Login::Token(token) => options.text("auth_token") == Some(token),
        };
        if !may {
            return self.close(now, client, "Authorization Violation");
        }
        let Some(found) = self.clients.get_mut(&client) else { return };
        found.is_known = true;
        found.is_verbose = options.get("verbose") != Some(&Json::Flag(false));
        found.hears_itself = options.get("echo") != Some(&Json::Flag(false));
        found.wants_no_responders = options.flag("no_responders") && options.flag("headers");
        self.confirm(now, client);
    }

    fn confirm(&mut self, now: Time, client: u32) {
        if self.clients.get(&client).is_some_and(|client| client.is_verbose) {
            self.send_own(now, client, b"+OK\r\n".to_vec());
        }
    }

    fn send_error(&mut self, now: Time, client: u32, words: &str) {
        self.send_own(now, client, format!("-ERR '{words}'\r\n").into_bytes());
    }

    /// Ends a connection, after an error if there are words for it.
    fn close(&mut self, now: Time, client: u32, words: &str) {
        if !words.is_empty() {
            self.send_error(now, client, words);
        }
        if let Some(client) = self.clients.get_mut(&client) {
            client.is_closing = true;
        }
    }

    fn send_own(&mut self, now: Time, client: u32, bytes: Vec<u8>) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.send(now, Some(Lane::Own), bytes);
        }
    }

    /// Returns when something that JetStream sends now comes.
    fn due(&mut self, now: Time) -> Time {
        now + Duration::from_millis(self.random.below(self.faults.late_ms + 1))
    }

    fn info(&self, client: u32, is_lame: bool) -> Vec<u8> {
        let login = if self.login == Login::None { "" } else { "\"auth_required\":true," };
        let jetstream = if self.faults.has_no_jetstream { "" } else { "\"jetstream\":true," };
        let lame = if is_lame { ",\"ldm\":true" } else { "" };
        let text = format!(
            "INFO {{\"server_id\":\"MODEL\",\"server_name\":\"MODEL\",\"version\":\"2.9.10\",\"proto\":1,\
             \"go\":\"go1.19.8\",\"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,{login}\
             \"max_payload\":{PAYLOAD_MAX},{jetstream}\"client_id\":{client},\"client_ip\":\"127.0.0.1\"{lame}}} \r\n"
        );
        text.into_bytes()
    }
}

/// Returns a moment in nanoseconds since 1970.
const fn unix(now: Time) -> u64 {
    START + now.as_nanos()
}
