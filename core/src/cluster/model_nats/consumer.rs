//! Consumers that are asked for messages, and forgotten when nobody asks.

use super::error::ApiError;
use super::headers;
use super::json::{Json, date, quoted};
use super::stream::{Stored, Stream};
use super::subjects;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Time without requests after which a consumer is forgotten, if nothing else was asked for: in nanoseconds.
const THRESHOLD: i64 = 5_000_000_000;

#[derive(Clone, Debug)]
pub(super) struct Consumer {
    stream: String,
    name: String,
    /// Empty: all subjects.
    filter: String,
    /// The next sequence of the stream.
    next: u64,
    /// Of the messages up to a sequence, only these are delivered.
    only: Option<(u64, BTreeSet<u64>)>,
    delivered: u64,
    /// Number of messages to come, as the server counts them: it does not notice those that are removed meanwhile.
    count: u64,
    /// The last sequence that was counted.
    counted: u64,
    /// Those that have come after the consumer. It notices when the stream exceeds its limits and drops them.
    later: BTreeSet<u64>,
    headers_only: bool,
    threshold: i64,
    active_at: u64,
    /// Fields of the configuration that do nothing here.
    rest: String,
    waiting: VecDeque<Waiting>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Policy {
    All,
    New,
    LastPerSubject,
    From(u64),
}

/// A request for messages.
#[derive(Clone, Debug)]
struct Waiting {
    reply: String,
    left: u64,
    bytes_left: Option<u64>,
    expires_at: Option<u64>,
    no_wait: bool,
    has_some: bool,
}

/// What a request gets.
pub(super) struct Delivery {
    pub(super) inbox: String,
    pub(super) subject: String,
    pub(super) reply: String,
    pub(super) headers: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

impl Consumer {
    /// Creates a consumer. `most`: the last sequence that its server has.
    pub(super) fn create(
        request: &Json,
        (name, is_named): (String, bool),
        stream: &Stream,
        most: u64,
        at: u64,
    ) -> Result<Self, ApiError> {
        let config = request.get("config").ok_or_else(ApiError::bad_request)?;
        let filter = String::from(config.text("filter_subject").unwrap_or_default());
        if !filter.is_empty() && !stream.config.subjects.iter().any(|subject| subjects::overlap(subject, &filter)) {
            let words = "consumer filter subject is not a valid subset of the interest subjects";
            return Err(ApiError::new(400, 10093, words));
        }
        let from = config.count("opt_start_seq");
        let policy = match config.text("deliver_policy").unwrap_or("all") {
            "all" => Policy::All,
            "new" => Policy::New,
            "last_per_subject" => Policy::LastPerSubject,
            "by_start_sequence" => Policy::From(from.unwrap_or(0)),
            other => panic!("the model does not know the policy {other:?}"),
        };
        let mut only = None;
        let next = match policy {
            Policy::All => stream.first().max(1),
            Policy::New => most + 1,
            Policy::From(from) => from.max(stream.first()).min(most + 1),
            Policy::LastPerSubject => {
                let pattern = if filter.is_empty() { ">" } else { &filter };
                let known = stream.matching(pattern, 0).filter(|stored| stored.sequence <= most);
                let last: BTreeMap<&str, u64> =
                    known.map(|stored| (&*stored.message.subject, stored.sequence)).collect();
                let last: BTreeSet<u64> = last.into_values().collect();
                let first = last.first().copied().unwrap_or(most);
                only = Some((most, last));
                first
            }
        };
        let threshold = config.number("inactive_threshold").filter(|span| *span > 0).unwrap_or(THRESHOLD);
        let is_named = is_named || config.text("name").is_some();
        let name_field = if is_named { format!("\"name\":{},", quoted(&name)) } else { String::new() };
        let headers_only = config.flag("headers_only");
        let replicas = config.number("num_replicas").unwrap_or(0);
        let start = from.map_or_else(String::new, |from| format!("\"opt_start_seq\":{from},"));
        let filter_field =
            if filter.is_empty() { String::new() } else { format!("\"filter_subject\":{},", quoted(&filter)) };
        let rest = format!(
            "\"config\":{{{name_field}\"deliver_policy\":{},{start}\"ack_policy\":{},\"max_deliver\":-1,{filter_field}\
             \"replay_policy\":\"instant\",\"max_waiting\":512,{}\"inactive_threshold\":{threshold},\
             \"num_replicas\":{replicas}{}}}",
            quoted(config.text("deliver_policy").unwrap_or("all")),
            quoted(config.text("ack_policy").unwrap_or("none")),
            if headers_only { "\"headers_only\":true," } else { "" },
            if config.flag("mem_storage") { ",\"mem_storage\":true" } else { "" },
        );
        let (of, stream, waiting) = (stream, stream.config.name.clone(), VecDeque::new());
        let mut created = Self {
            stream,
            name,
            filter,
            next,
            only,
            delivered: 0,
            count: 0,
            counted: next.saturating_sub(1),
            later: BTreeSet::new(),
            headers_only,
            threshold,
            active_at: at,
            rest,
            waiting,
        };
        created.count_messages(of, most);
        created.later.clear();
        Ok(created)
    }

    /// Counts the messages that have come.
    fn count_messages(&mut self, stream: &Stream, most: u64) {
        let new: Vec<u64> = self.pending(stream, most).map(|stored| stored.sequence).collect();
        let new = new.into_iter().filter(|sequence| *sequence > self.counted);
        let before = self.later.len();
        self.later.extend(new);
        self.count += u64::try_from(self.later.len() - before).expect("small");
        let next = self.next;
        let dropped = self.later.iter().filter(|sequence| **sequence >= next && stream.has_dropped(**sequence)).count();
        self.later.retain(|sequence| stream.get(*sequence).is_some());
        self.count = self.count.saturating_sub(u64::try_from(dropped).expect("small"));
        self.counted = self.counted.max(most);
    }

    /// Returns the fields of an answer.
    pub(super) fn fields(&mut self, stream: &Stream, most: u64, at: u64) -> String {
        self.count_messages(stream, most);
        format!(
            "\"stream_name\":{},\"name\":{},\"created\":{},{},\"delivered\":{{\"consumer_seq\":{},\"stream_seq\":{}}},\
             \"ack_floor\":{{\"consumer_seq\":0,\"stream_seq\":0}},\"num_ack_pending\":0,\"num_redelivered\":0,\
             \"num_waiting\":{},\"num_pending\":{}",
            quoted(&self.stream),
            quoted(&self.name),
            quoted(&date(at)),
            self.rest,
            self.delivered,
            self.next.saturating_sub(1),
            self.waiting.len(),
            self.count,
        )
    }

    pub(super) fn is_of(&self, stream: &str) -> bool {
        self.stream == stream
    }

    pub(super) const fn is_over(&self, at: u64) -> bool {
        self.active_at + self.threshold.unsigned_abs() <= at
    }

    fn pending<'s>(&'s self, stream: &'s Stream, most: u64) -> impl Iterator<Item = &'s Stored> {
        let pattern = if self.filter.is_empty() { ">" } else { &self.filter };
        stream.matching(pattern, self.next).filter(move |stored| {
            let is_skipped = self
                .only
                .as_ref()
                .is_some_and(|(until, only)| stored.sequence <= *until && !only.contains(&stored.sequence));
            stored.sequence <= most && !is_skipped
        })
    }

    /// Handles a request for messages. Returns what it gets at once, if that is an error.
    pub(super) fn ask(&mut self, request: &[u8], reply: &str, stream: &Stream, most: u64, at: u64) -> Option<Delivery> {
        self.active_at = at;
        self.count_messages(stream, most);
        let parsed = if request.is_empty() { Some(Json::Object(Vec::new())) } else { Json::parse(request) };
        let (batch, parsed) = match parsed {
            Some(Json::Number(batch)) => (u64::try_from(batch).ok(), Json::Null),
            Some(parsed) => (parsed.count("batch"), parsed),
            None => return Some(status(reply, "400 Bad Request - invalid JSON", &[])),
        };
        let no_wait = parsed.flag("no_wait");
        let expires_at = parsed.count("expires").filter(|span| *span > 0).map(|span| at + span);
        if no_wait && expires_at.is_none() && self.waiting.is_empty() && self.count == 0 {
            return Some(status(reply, "404 No Messages", &[]));
        }
        self.waiting.push_back(Waiting {
            reply: reply.into(),
            left: batch.filter(|batch| *batch > 0).unwrap_or(1),
            bytes_left: parsed.count("max_bytes").filter(|bytes| *bytes > 0),
            expires_at,
            no_wait,
            has_some: false,
        });
        None
    }

    /// Returns what the requests that wait get now.
    pub(super) fn deliver(&mut self, stream: &Stream, most: u64, at: u64) -> Vec<Delivery> {
        self.count_messages(stream, most);
        let mut deliveries = Vec::new();
        while let Some(waiting) = self.waiting.front() {
            if waiting.expires_at.is_some_and(|expires_at| expires_at <= at) {
                deliveries.extend(self.end_first("408 Request Timeout"));
                continue;
            }
            let Some(stored) = self.pending(stream, most).next().cloned() else {
                // A request that has nothing yet waits, although it does not want to.
                if !waiting.no_wait || !waiting.has_some {
                    break;
                }
                deliveries.extend(self.end_first("408 Request Timeout"));
                continue;
            };
            let left = self.count.saturating_sub(1);
            let delivery = self.delivery(&stored, left);
            let length =
                delivery.subject.len() + delivery.reply.len() + delivery.headers.len() + delivery.payload.len();
            let length = u64::try_from(length).expect("short");
            if self.waiting.front().and_then(|waiting| waiting.bytes_left).is_some_and(|bytes| length > bytes) {
                deliveries.extend(self.end_first("409 Message Size Exceeds MaxBytes"));
                continue;
            }
            (self.next, self.delivered, self.active_at) = (stored.sequence + 1, self.delivered + 1, at);
            self.count = left;
            deliveries.push(delivery);
            let Some(waiting) = self.waiting.front_mut() else { break };
            (waiting.left, waiting.has_some) = (waiting.left - 1, true);
            waiting.bytes_left = waiting.bytes_left.map(|bytes| bytes - length);
            if waiting.left == 0 {
                self.waiting.pop_front();
            }
        }
        deliveries
    }

    /// Tells all requests that wait that the consumer is gone.
    pub(super) fn end(mut self) -> Vec<Delivery> {
        let waiting = core::mem::take(&mut self.waiting);
        waiting.iter().map(|waiting| status(&waiting.reply, "409 Consumer Deleted", &[])).collect()
    }

    /// Forgets requests for whose answers nobody waits.
    pub(super) fn keep_requests(&mut self, is_heard: impl Fn(&str) -> bool) {
        self.waiting.retain(|waiting| is_heard(&waiting.reply));
    }

    fn end_first(&mut self, text: &str) -> Option<Delivery> {
        let waiting = self.waiting.pop_front()?;
        let bytes = waiting.bytes_left.unwrap_or(0);
        let pending =
            [("Nats-Pending-Messages", format!("{}", waiting.left)), ("Nats-Pending-Bytes", format!("{bytes}"))];
        Some(status(&waiting.reply, text, &pending))
    }

    fn delivery(&self, stored: &Stored, left: u64) -> Delivery {
        let Stored { sequence, at, message } = stored;
        let (stream, name, number) = (&self.stream, &self.name, self.delivered + 1);
        let reply = format!("$JS.ACK.{stream}.{name}.1.{sequence}.{number}.{at}.{left}");
        let (headers, payload) = if self.headers_only {
            let size = [("Nats-Msg-Size", format!("{}", message.payload.len()))];
            (headers::with(&message.headers, &size), Vec::new())
        } else {
            (message.headers.clone(), message.payload.clone())
        };
        let inbox = self.waiting.front().map(|waiting| waiting.reply.clone()).unwrap_or_default();
        Delivery { inbox, subject: message.subject.clone(), reply, headers, payload }
    }
}

fn status(reply: &str, text: &str, more: &[(&str, String)]) -> Delivery {
    let (inbox, subject) = (reply.into(), reply.into());
    Delivery { inbox, subject, reply: String::new(), headers: headers::status(text, more), payload: Vec::new() }
}
