//! The order of operations, from the greeting to the end of a link.

use super::class::Class;
use super::codec::{OpDecoder, ServerMessage, ServerOp, write};
use super::json::Json;
use super::login::connect;
use super::streams::Stream;
use super::subjects::Subjects;
use super::task::{Asked, Call, Task};
use crate::base::Time;
use crate::cluster::broker::{Heard, Request};
use crate::cluster::fault::LinkFault;
use crate::config::Nats;
use crate::history::{Keep, Marks};
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// Time in which the server must answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Time without any byte of the server after which it is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(10);
/// Number of bytes without answers above which no more messages are accepted.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Maximum number of addresses that are remembered.
const ADDRESSES_MAX: usize = 64;
/// The length of the longest message that a server takes, if it does not say so.
const PAYLOAD_MAX: usize = 1 << 20;

/// The subscriptions that a link always has: for answers, for messages to all hosts, and of the host to itself.
const ANSWERS: u64 = 1;
const ALL_HOSTS: u64 = 2;
const PROBE: u64 = 3;

/// A connection to a NATS server. `P` says for what a request is.
#[derive(Debug)]
pub(in crate::cluster) struct NatsLink<P> {
    pub(super) options: Nats,
    pub(super) subjects: Subjects,
    pub(super) host: u64,
    pub(super) marks: Marks,
    tls: Tls,
    decoder: OpDecoder,
    step: Step,
    /// The length of the longest message that the server takes, with its headers, in bytes.
    pub(super) payload_max: usize,
    /// What has no answer yet, by the numbers of the inboxes.
    pub(super) calls: BTreeMap<u64, Call<P>>,
    /// The number of the last call.
    pub(super) number: u64,
    /// The calls that read with consumers, by the names of these.
    pub(super) consumers: BTreeMap<String, u64>,
    /// The length of all that has no answer yet, in bytes.
    pub(super) waiting_bytes: usize,
    pub(super) streams: BTreeMap<Stream, StreamState<P>>,
    /// The rooms whose epoch is asked for, and the messages that wait for it.
    pub(super) opening: BTreeMap<Arc<str>, VecDeque<Asked<P>>>,
    /// The rooms with a change of names under way, and the later changes.
    pub(super) naming: BTreeMap<Arc<str>, VecDeque<Asked<P>>>,
    pub(super) known: BTreeMap<Arc<str>, Known>,
    /// The rooms with a name that the server has refused, until their version is written.
    pub(super) unkept_names: BTreeSet<Arc<str>>,
    /// The versions of this host's names that were written over this link, and the numbers of their messages.
    pub(super) written: BTreeMap<Arc<str>, (u64, u64)>,
    /// The subscriptions of each room: to its messages, and to its names.
    pub(super) rooms: BTreeMap<Arc<str>, Subscribed>,
    pub(super) by_subscription: BTreeMap<u64, Arc<str>>,
    last_subscription: u64,
    /// When bytes came last, and when the server was asked whether it is there.
    heard_at: Time,
    asked_at: Option<Time>,
    pub(super) output: Vec<u8>,
    pub(super) heard: VecDeque<Heard<P>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    Off,
    AfterInfo,
    First,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// `INFO` is awaited, since this time.
    Info(Time),
    /// The answer to `CONNECT` and `PING` is awaited.
    Connect(Time),
    /// The streams are being created.
    Streams,
    Up,
}

/// A stream that is used.
#[derive(Debug)]
pub(super) enum StreamState<P> {
    /// It is being created, and these requests wait for it.
    Making(VecDeque<Asked<P>>),
    Ready,
}

/// What is known of the epoch of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) epoch: u64,
    pub(super) confirmed_at: Time,
    /// When this host last published the epoch again.
    pub(super) repaired_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscribed {
    pub(super) class: Class,
    messages: u64,
    names: u64,
}

impl<P> NatsLink<P> {
    /// Begins a link over a new connection. `has_tls`: whether the options of the dial have TLS.
    pub(in crate::cluster) fn new(
        now: Time,
        options: &Nats,
        (prefix, host): (&Arc<str>, u64),
        has_tls: bool,
        marks: Marks,
    ) -> Self {
        let tls = match (has_tls, options.is_tls_first) {
            (false, _) => Tls::Off,
            (true, false) => Tls::AfterInfo,
            (true, true) => Tls::First,
        };
        Self {
            options: options.clone(),
            subjects: Subjects::new(Arc::clone(prefix), host),
            host,
            marks,
            tls,
            decoder: OpDecoder::default(),
            step: Step::Info(now),
            payload_max: PAYLOAD_MAX,
            calls: BTreeMap::new(),
            number: 0,
            consumers: BTreeMap::new(),
            waiting_bytes: 0,
            streams: BTreeMap::new(),
            opening: BTreeMap::new(),
            naming: BTreeMap::new(),
            known: BTreeMap::new(),
            unkept_names: BTreeSet::new(),
            written: BTreeMap::new(),
            rooms: BTreeMap::new(),
            by_subscription: BTreeMap::new(),
            last_subscription: PROBE,
            heard_at: now,
            asked_at: None,
            output: Vec::new(),
            heard: VecDeque::new(),
        }
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

    pub(in crate::cluster) fn is_up(&self) -> bool {
        self.step == Step::Up
    }

    /// Returns `true` if too much waits for answers.
    pub(in crate::cluster) const fn is_full(&self) -> bool {
        self.waiting_bytes >= WAITING_BYTES_MAX
    }

    /// Returns when the next answer is overdue, or the server must be asked whether it is there.
    pub(in crate::cluster) fn deadline(&self) -> Option<Time> {
        let greeting = match self.step {
            Step::Info(since) | Step::Connect(since) => Some(since + ANSWERS_WITHIN),
            Step::Streams | Step::Up => None,
        };
        let quiet = self.asked_at.map_or(self.heard_at + PING_AFTER, |at| at + ANSWERS_WITHIN);
        let call = self.calls.first_key_value().map(|(_, call)| call.sent_at + ANSWERS_WITHIN);
        [greeting, call, Some(quiet)].into_iter().flatten().min()
    }

    /// Handles the passing of time.
    pub(in crate::cluster) fn elapsed(&mut self, now: Time) {
        let is_overdue = |since: Time| since + ANSWERS_WITHIN <= now;
        if let Step::Info(since) = self.step
            && is_overdue(since)
        {
            return self.fail(LinkFault::Silent);
        }
        let is_oldest_due =
            |link: &Self| link.calls.first_key_value().is_some_and(|(_, call)| is_overdue(call.sent_at));
        while is_oldest_due(self) && self.resume_oldest(now) {}
        let is_unanswered = matches!(self.step, Step::Connect(since) if is_overdue(since))
            || is_oldest_due(self)
            || self.asked_at.is_some_and(is_overdue);
        if is_unanswered {
            return self.fail(LinkFault::Unanswered);
        }
        if self.asked_at.is_none() && self.heard_at + PING_AFTER <= now && !matches!(self.step, Step::Info(_)) {
            self.asked_at = Some(now);
            write::ping(&mut self.output);
        }
    }

    /// Begins to hear what is published to a room.
    pub(in crate::cluster) fn subscribe(&mut self, room: &str, keep: Keep) {
        let (room, class) = (Arc::<str>::from(room), Class::of(&keep));
        let (messages, names) = (self.last_subscription + 1, self.last_subscription + 2);
        self.last_subscription = names;
        write::subscribe(&mut self.output, &self.subjects.live(class, Some(&room)), messages);
        write::subscribe(&mut self.output, &self.subjects.news(Some(&room)), names);
        for subscription in [messages, names] {
            self.by_subscription.insert(subscription, Arc::clone(&room));
        }
        // Another host may have begun a later epoch, while this one did not listen.
        self.known.remove(&room);
        if let Some(before) = self.rooms.insert(room, Subscribed { class, messages, names }) {
            self.forget_subscription(before);
        }
    }

    /// Stops hearing what is published to a room.
    pub(in crate::cluster) fn unsubscribe(&mut self, room: &str) {
        if let Some(subscribed) = self.rooms.remove(room) {
            self.forget_subscription(subscribed);
        }
        if self.written.get(room).is_some_and(|(version, _)| *version == 0) {
            self.written.remove(room);
        }
    }

    fn forget_subscription(&mut self, subscribed: Subscribed) {
        for subscription in [subscribed.messages, subscribed.names] {
            self.by_subscription.remove(&subscription);
            write::unsubscribe(&mut self.output, subscription);
        }
    }

    /// Handles bytes from the server.
    pub(in crate::cluster) fn received(&mut self, now: Time, bytes: &[u8]) {
        (self.heard_at, self.asked_at) = (now, None);
        self.decoder.push(bytes);
        loop {
            let handled = match self.decoder.next() {
                Ok(None) => return,
                Ok(Some(op)) => self.handle(now, op),
                Err(error) => Err(error.into()),
            };
            if let Err(fault) = handled {
                return self.fail(fault);
            }
        }
    }

    /// Ends the link. Returns what waits for its answer, in the order of the requests.
    pub(in crate::cluster) fn end(self) -> Vec<(Request, P)> {
        let in_calls = self.calls.into_values().filter_map(|call| match call.task {
            Task::Asked(asked, _) => Some(asked),
            Task::CreateStream(..) | Task::Name(_) | Task::Ignored => None,
        });
        let in_streams = self.streams.into_values().flat_map(|state| match state {
            StreamState::Making(waiting) => waiting,
            StreamState::Ready => VecDeque::new(),
        });
        let waiting = self.opening.into_values().chain(self.naming.into_values()).flatten();
        let mut all: Vec<_> = in_calls.chain(in_streams).chain(waiting).collect();
        all.sort_by_key(|asked| asked.order);
        all.into_iter().filter_map(|asked| Some((asked.request, asked.purpose?))).collect()
    }

    pub(super) fn fail(&mut self, fault: LinkFault) {
        self.heard.push_back(Heard::Fault(fault));
    }

    fn handle(&mut self, now: Time, op: ServerOp) -> Result<(), LinkFault> {
        match op {
            ServerOp::Info(json) => self.handle_info(now, &json),
            ServerOp::Message(message) => self.handle_message(now, message),
            ServerOp::Ping => {
                write::pong(&mut self.output);
                Ok(())
            }
            ServerOp::Pong => {
                if matches!(self.step, Step::Connect(_)) {
                    self.set_up(now);
                }
                Ok(())
            }
            ServerOp::Ok => Ok(()),
            ServerOp::Error(text) => self.handle_error(now, &text),
        }
    }

    fn handle_info(&mut self, now: Time, json: &[u8]) -> Result<(), LinkFault> {
        let info = Json::parse(json).ok_or(LinkFault::Unexpected("INFO"))?;
        let max = info.number("max_payload").and_then(|max| usize::try_from(max).ok());
        self.payload_max = max.unwrap_or(self.payload_max);
        if let Some(Json::List(addresses)) = info.get("connect_urls") {
            let addresses = addresses.iter().filter_map(|address| match address {
                Json::Text(address) => is_address(address).then(|| String::from(&**address)),
                _ => None,
            });
            self.heard.push_back(Heard::Addresses(addresses.take(ADDRESSES_MAX).collect()));
        }
        if info.is("ldm") {
            return Err(LinkFault::Leaving);
        }
        let Step::Info(_) = self.step else { return Ok(()) };
        check_version(info.text("version").unwrap_or_default())?;
        if !info.is("headers") {
            return Err(LinkFault::NoHeaders);
        }
        match self.tls {
            Tls::Off if info.is("tls_required") => return Err(LinkFault::NeedsTls),
            Tls::AfterInfo if !info.is("tls_required") && !info.is("tls_available") => return Err(LinkFault::NoTls),
            Tls::AfterInfo => self.heard.push_back(Heard::BeginTls),
            Tls::Off | Tls::First => {}
        }
        let login = connect(self.options.login.as_ref(), info.text("nonce"), self.host, self.tls != Tls::Off)?;
        write::connect(&mut self.output, &login);
        write::ping(&mut self.output);
        self.step = Step::Connect(now);
        Ok(())
    }

    /// Subscribes to what the link always hears, and creates the streams of all hosts.
    fn set_up(&mut self, now: Time) {
        write::subscribe(&mut self.output, &self.subjects.inbox(None), ANSWERS);
        write::subscribe(&mut self.output, &self.subjects.all_hosts(), ALL_HOSTS);
        write::subscribe(&mut self.output, &self.subjects.probe(), PROBE);
        self.step = Step::Streams;
        for stream in [Stream::Names, Stream::Leases] {
            self.create_stream(now, stream, VecDeque::new());
        }
    }

    /// Notes that a stream is ready. Returns the requests that waited for it.
    pub(super) fn stream_is_ready(&mut self, stream: Stream) -> VecDeque<Asked<P>> {
        let before = self.streams.insert(stream, StreamState::Ready);
        let are_ready = self.streams.values().all(|state| matches!(state, StreamState::Ready));
        if self.step == Step::Streams && are_ready {
            self.step = Step::Up;
            self.heard.push_back(Heard::Up);
        }
        match before {
            Some(StreamState::Making(waiting)) => waiting,
            _ => VecDeque::new(),
        }
    }

    fn handle_message(&mut self, now: Time, message: ServerMessage) -> Result<(), LinkFault> {
        match message.sid {
            ANSWERS => return self.handle_answer(now, &message),
            ALL_HOSTS => self.heard.push_back(Heard::Told(message.payload)),
            PROBE => {
                let number = core::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok());
                self.heard.extend(number.map(Heard::Probed));
            }
            // A message may still come after the end of its subscription.
            sid => {
                if let Some(room) = self.by_subscription.get(&sid).cloned() {
                    let is_names = self.rooms.get(&room).is_some_and(|subscribed| subscribed.names == sid);
                    if is_names { self.hear_names(&room, &message) } else { self.hear_room(now, &room, message) }
                }
            }
        }
        Ok(())
    }

    fn handle_error(&mut self, now: Time, text: &str) -> Result<(), LinkFault> {
        let text: String = text.chars().take(200).collect();
        let lower = text.to_ascii_lowercase();
        if let Some(rest) = lower.strip_prefix("permissions violation for publish to ") {
            let length = rest.trim_matches('"').len();
            let from = text.len() - rest.len() + usize::from(rest.starts_with('"'));
            let subject = text.get(from..from + length).unwrap_or_default().to_owned();
            return self.refuse_subject(now, &subject, &text);
        }
        // An error about one subject leaves the line open. Without the subscription, the link would be deaf.
        if lower.starts_with("invalid subject") || lower.starts_with("invalid publish subject") {
            return Ok(());
        }
        Err(LinkFault::Refused(text))
    }
}

/// Checks that a server is not older than 2.9.
fn check_version(version: &str) -> Result<(), LinkFault> {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let found = numbers.next().flatten().zip(numbers.next().flatten());
    if found.is_some_and(|found| found >= (2, 9)) {
        return Ok(());
    }
    let found = crate::base::text::neutralize(version).chars().take(40).collect();
    Err(LinkFault::TooOld { found, needed: "NATS 2.9" })
}

/// Returns `true` if a text is `HOST:PORT`, with an IPv6 address in brackets.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<core::net::Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    is_port && is_host && text.len() <= 260
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_with_ports_are_addresses() {
        for (text, expected) in [
            ("10.0.0.5:4222", true),
            ("[::1]:4222", true),
            ("nats-1.example:1", true),
            ("10.0.0.5", false),
            ("10.0.0.5:0", false),
            ("10.0.0.5:+1", false),
            (":4222", false),
            ("::1:4222", false),
            ("nats://h:1", false),
            ("unix:///x:1", false),
            ("a@b:1", false),
            ("[x]:1", false),
        ] {
            assert_eq!(is_address(text), expected, "{text}");
        }
    }

    #[test]
    fn versions_before_2_9_are_refused() {
        for (version, is_accepted) in [
            ("2.9.0", true),
            ("2.10.27", true),
            ("3.0", true),
            ("2.12.0-dev", true),
            ("2.8.4", false),
            ("1.99", false),
            ("", false),
            ("x", false),
        ] {
            assert_eq!(check_version(version).is_ok(), is_accepted, "{version}");
        }
    }
}
