//! The order of commands and replies, from the greeting to the end of a link.

use super::commands::Commands;
use super::pushes::{Push, read_push};
use super::replies::{self, Server};
use crate::base::Time;
use crate::cluster::broker::{Answer, Heard, Request};
use crate::cluster::fault::{LinkFault, Refused};
use crate::cluster::names::Names;
use crate::cluster::resp::bounds::REPLY_MAX;
use crate::cluster::resp::{Reply, ReplyDecoder, ServerErrorKind};
use crate::cluster::role::Role;
use crate::config::Redis;
use crate::history::Keep;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

/// Time in which the server must reply to each command.
const REPLIES_WITHIN: Duration = Duration::from_secs(5);
/// Number of bytes of commands without replies above which no more are accepted.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Maximum number of channels in one command.
const CHANNELS_MAX: usize = 512;

/// A connection to a Redis server or to a Sentinel. `P` says for what a request is.
#[derive(Debug)]
pub(in crate::cluster) struct RedisLink<P> {
    commands: Commands,
    role: Role,
    decoder: ReplyDecoder,
    is_up: bool,
    /// The commands whose replies have not come, in their order.
    waiting: VecDeque<Waiting<P>>,
    /// The length of these commands, in bytes.
    waiting_bytes: usize,
    /// Number of commands so far.
    sent: u64,
    /// Requests that must be sent as scripts with their text, by their numbers, and what was requested after them.
    again: BTreeMap<u64, (Request, P)>,
    /// The number of the last command that was sent before the server was found to miss a script.
    again_after: Option<u64>,
    output: Vec<u8>,
    heard: VecDeque<Heard<P>>,
}

#[derive(Debug)]
struct Waiting<P> {
    call: Call<P>,
    number: u64,
    bytes: usize,
    sent_at: Time,
}

#[derive(Debug)]
enum Call<P> {
    Hello,
    Login,
    Master,
    LoadScript,
    /// A change of channels, of which this many are not confirmed.
    Channels(usize),
    Request(Request, P),
}

impl<P> RedisLink<P> {
    /// Begins a link over a new connection.
    pub(in crate::cluster) fn new(now: Time, options: &Redis, names: Names, host: u64, role: Role) -> Self {
        let mut link = Self {
            commands: Commands::new(options.clone(), names, host),
            role,
            decoder: ReplyDecoder::new(REPLY_MAX),
            is_up: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sent: 0,
            again: BTreeMap::new(),
            again_after: None,
            output: Vec::new(),
            heard: VecDeque::new(),
        };
        link.greet(now);
        link
    }

    /// Returns what to send.
    pub(in crate::cluster) fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Returns `true` if there is something to send.
    pub(in crate::cluster) const fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Returns what was heard next.
    pub(in crate::cluster) fn next_heard(&mut self) -> Option<Heard<P>> {
        self.heard.pop_front()
    }

    pub(in crate::cluster) const fn is_up(&self) -> bool {
        self.is_up
    }

    /// Returns `true` if too much waits for replies.
    pub(in crate::cluster) const fn is_full(&self) -> bool {
        self.waiting_bytes >= WAITING_BYTES_MAX
    }

    /// Returns when the next reply is overdue.
    pub(in crate::cluster) fn deadline(&self) -> Option<Time> {
        self.waiting.front().map(|waiting| waiting.sent_at + REPLIES_WITHIN)
    }

    /// Handles the passing of time.
    pub(in crate::cluster) fn elapsed(&mut self, now: Time) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.heard.push_back(Heard::Fault(LinkFault::Unanswered));
        }
    }

    /// Sends a request.
    pub(in crate::cluster) fn request(&mut self, now: Time, request: Request, purpose: P) {
        if self.again_after.is_some() {
            // After what is repeated, so that the order of messages stays.
            self.sent += 1;
            self.again.insert(self.sent, (request, purpose));
        } else {
            self.send_request(now, request, purpose, false);
        }
    }

    /// Begins to hear what is published to rooms.
    pub(in crate::cluster) fn subscribe<'r>(&mut self, now: Time, rooms: impl Iterator<Item = (&'r str, Keep)>) {
        let channels: Vec<_> = rooms.map(|(room, _)| self.commands.names.channel(room)).collect();
        self.change_channels(now, b"SUBSCRIBE", &channels);
    }

    /// Stops hearing what is published to a room.
    pub(in crate::cluster) fn unsubscribe(&mut self, now: Time, room: &str) {
        let channel = self.commands.names.channel(room);
        self.change_channels(now, b"UNSUBSCRIBE", &[channel]);
    }

    /// Handles bytes from the server.
    pub(in crate::cluster) fn received(&mut self, now: Time, bytes: &[u8]) {
        self.decoder.push(bytes);
        loop {
            let handled = match self.decoder.next() {
                Ok(None) => return,
                Ok(Some(Reply::Push(parts))) => self.handle_push(&parts),
                Ok(Some(reply)) => self.handle_reply(now, reply),
                Err(error) => Err(error.into()),
            };
            if let Err(fault) = handled {
                return self.heard.push_back(Heard::Fault(fault));
            }
        }
    }

    /// Ends the link. Returns what waits for its answer, in the order of the requests.
    pub(in crate::cluster) fn end(self) -> impl Iterator<Item = (Request, P)> {
        let sent = self.waiting.into_iter().filter_map(|waiting| match waiting.call {
            Call::Request(request, purpose) => Some((request, purpose)),
            _ => None,
        });
        sent.chain(self.again.into_values())
    }

    fn greet(&mut self, now: Time) {
        if self.role == Role::Sentinel {
            if let Some(login) = self.commands.sentinel_login() {
                self.send(now, Call::Login, &login);
            }
            let ask = self.commands.master();
            return self.send(now, Call::Master, &ask);
        }
        let hello = self.commands.hello();
        self.send(now, Call::Hello, &hello);
        for load in Commands::load_scripts() {
            self.send(now, Call::LoadScript, &load);
        }
        let own = self.commands.own_channels();
        self.change_channels(now, b"SUBSCRIBE", &own);
    }

    fn change_channels(&mut self, now: Time, verb: &[u8], channels: &[Vec<u8>]) {
        for part in channels.chunks(CHANNELS_MAX) {
            let command = Commands::of_channels(verb, part);
            self.send(now, Call::Channels(part.len()), &command);
        }
    }

    fn send_request(&mut self, now: Time, request: Request, purpose: P, as_text: bool) {
        let command = self.commands.of_request(&request, as_text);
        self.send(now, Call::Request(request, purpose), &command);
    }

    fn send(&mut self, now: Time, call: Call<P>, command: &[u8]) {
        self.sent += 1;
        self.waiting_bytes += command.len();
        self.output.extend_from_slice(command);
        self.waiting.push_back(Waiting { call, number: self.sent, bytes: command.len(), sent_at: now });
    }

    fn handle_reply(&mut self, now: Time, reply: Reply) -> Result<(), LinkFault> {
        let Some(Waiting { call, number, bytes, sent_at }) = self.waiting.pop_front() else {
            return Err(LinkFault::Unexpected("nothing"));
        };
        self.waiting_bytes -= bytes;
        match (call, reply) {
            (Call::Request(request, purpose), Reply::Error(error)) if error.kind() == ServerErrorKind::NoScript => {
                self.again.insert(number, (request, purpose));
                self.again_after.get_or_insert(self.sent);
            }
            (Call::Request(_, purpose), Reply::Error(error)) => {
                let ends_link = replies::ends_link(error.kind());
                let fault = ends_link.then(|| LinkFault::Refused(error.to_string()));
                self.heard.push_back(Heard::Answered {
                    purpose,
                    answer: Answer::Refused(Refused(error.to_string())),
                    asked_at: sent_at,
                });
                fault.map_or(Ok(()), Err)?;
            }
            (_, Reply::Error(error)) => return Err(LinkFault::Refused(error.to_string())),
            (Call::Request(request, purpose), reply) => {
                let answer = replies::answer(&request, reply)?;
                self.heard.push_back(Heard::Answered { purpose, answer, asked_at: sent_at });
            }
            (Call::Hello, reply) => {
                Server::read(&reply)?.check()?;
            }
            (Call::Master, reply) => {
                let master =
                    replies::master(reply).ok_or_else(|| LinkFault::UnknownMaster(self.commands.master_name()))?;
                self.heard.push_back(Heard::Master(master));
            }
            (Call::Login | Call::LoadScript, _) => {}
            (Call::Channels(_), _) => return Err(LinkFault::Unexpected("SUBSCRIBE")),
        }
        self.repeat_requests(now);
        Ok(())
    }

    /// Repeats the requests whose script the server did not have, once all older ones are answered.
    fn repeat_requests(&mut self, now: Time) {
        let Some(last) = self.again_after else { return };
        if self.waiting.front().is_none_or(|waiting| waiting.number > last) {
            self.again_after = None;
            for (request, purpose) in core::mem::take(&mut self.again).into_values() {
                self.send_request(now, request, purpose, true);
            }
        }
    }

    fn handle_push(&mut self, parts: &[Reply]) -> Result<(), LinkFault> {
        match read_push(parts, &self.commands.names, self.commands.host) {
            Push::Heard(heard) => self.heard.push_back(heard),
            Push::ChannelChanged => {
                let Some(Waiting { call: Call::Channels(left), bytes, .. }) = self.waiting.front_mut() else {
                    return Err(LinkFault::Unexpected("SUBSCRIBE"));
                };
                *left -= 1;
                if *left == 0 {
                    self.waiting_bytes -= *bytes;
                    self.waiting.pop_front();
                    if !self.is_up {
                        // The greeting ends with the host's own channels.
                        self.is_up = true;
                        self.heard.push_back(Heard::Up);
                    }
                }
            }
            Push::Other => {}
        }
        Ok(())
    }
}
