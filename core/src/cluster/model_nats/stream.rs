//! A stream: its messages, and what it does to keep to its limits.

use super::error::ApiError;
use super::headers;
use super::json::{date, quoted};
use super::operation::Message;
use super::stream_config::StreamConfig;
use super::subjects;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A message that a stream keeps.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub(super) at: u64,
    pub(super) message: Message,
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) config: StreamConfig,
    created: u64,
    messages: BTreeMap<u64, Stored>,
    pub(super) last: u64,
    last_at: Option<u64>,
    /// The sequences of messages that it has removed to keep to its limits.
    dropped: BTreeSet<u64>,
    /// Identifiers of messages, with their sequences and times.
    identifiers: BTreeMap<String, (u64, u64)>,
}

/// What became of a message.
pub(super) enum Kept {
    /// It is stored. The predecessor of the same subject was there, or it is 0.
    New { sequence: u64, previous: u64 },
    /// A message with the same identifier was stored before.
    Repeated(u64),
}

impl Stream {
    pub(super) const fn new(config: StreamConfig, at: u64) -> Self {
        Self {
            config,
            created: at,
            messages: BTreeMap::new(),
            last: 0,
            last_at: None,
            identifiers: BTreeMap::new(),
            dropped: BTreeSet::new(),
        }
    }

    /// Stores a message at a time in nanoseconds since 1970.
    pub(super) fn store(&mut self, at: u64, message: &Message) -> Result<Kept, ApiError> {
        let header = |name: &str| headers::value(&message.headers, name);
        let identifier = header("Nats-Msg-Id");
        if header("Nats-Expected-Stream").is_some_and(|name| name != self.config.name) {
            return Err(ApiError::new(400, 10060, "expected stream does not match"));
        }
        if let Some((sequence, _)) = identifier.and_then(|identifier| self.identifiers.get(identifier)) {
            return Ok(Kept::Repeated(*sequence));
        }
        let number = |name: &str| header(name).and_then(|text| text.parse::<u64>().ok());
        if number("Nats-Expected-Last-Sequence").is_some_and(|expected| expected != self.last) {
            return Err(ApiError::wrong_sequence(self.last));
        }
        let previous = self.last_of(&message.subject).map_or(0, |last| last.sequence);
        if number("Nats-Expected-Last-Subject-Sequence").is_some_and(|expected| expected != previous) {
            return Err(ApiError::wrong_sequence(previous));
        }
        let rolls_up = match header("Nats-Rollup") {
            None => None,
            Some(_) if !self.config.may_roll_up => return Err(ApiError::new(500, 10111, "rollup not permitted")),
            Some("sub") => Some(message.subject.as_str()),
            Some("all") => Some(">"),
            Some(_) => return Err(ApiError::new(500, 10111, "rollup value invalid")),
        };
        let length = i64::try_from(message.headers.len() + message.payload.len()).expect("short");
        if self.config.message_max >= 0 && length > self.config.message_max {
            return Err(ApiError::new(400, 10054, "message size exceeds maximum allowed"));
        }
        let identifier = identifier.map(String::from);
        self.last += 1;
        self.last_at = Some(at);
        let sequence = self.last;
        self.messages.insert(sequence, Stored { sequence, at, message: message.clone() });
        if let Some(identifier) = identifier {
            self.identifiers.insert(identifier, (sequence, at));
        }
        self.trim(&message.subject);
        if let Some(pattern) = rolls_up {
            self.purge(pattern, 1, None);
        }
        Ok(Kept::New { sequence, previous })
    }

    /// Removes what is too old.
    pub(super) fn expire(&mut self, at: u64) {
        let is_over = |since: u64, span: i64| span > 0 && since + span.unsigned_abs() <= at;
        let (age_max, window) = (self.config.age_max, self.config.window);
        self.messages.retain(|_, stored| !is_over(stored.at, age_max));
        self.identifiers.retain(|_, (_, since)| !is_over(*since, window));
    }

    fn trim(&mut self, subject: &str) {
        let is_above = |count: usize, limit: i64| limit >= 0 && i64::try_from(count).is_ok_and(|count| count > limit);
        let of_subject: Vec<u64> = self.matching(subject, 0).map(|stored| stored.sequence).collect();
        for (at, sequence) in of_subject.iter().enumerate() {
            if is_above(of_subject.len() - at, self.config.per_subject_max) {
                self.messages.remove(sequence);
                self.dropped.insert(*sequence);
            }
        }
        while is_above(self.messages.len(), self.config.messages_max) || is_above(self.bytes(), self.config.bytes_max) {
            self.dropped.extend(self.messages.pop_first().map(|(sequence, _)| sequence));
        }
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Stored> {
        self.messages.get(&sequence)
    }

    /// Returns `true` if it has removed a message to keep to its limits.
    pub(super) fn has_dropped(&self, sequence: u64) -> bool {
        self.dropped.contains(&sequence)
    }

    /// Returns the last message of the subjects that a pattern covers.
    pub(super) fn last_of(&self, pattern: &str) -> Option<&Stored> {
        self.messages.values().rev().find(|stored| subjects::covers(pattern, &stored.message.subject))
    }

    /// Returns the messages of the subjects that a pattern covers, from a sequence on.
    pub(super) fn matching<'s>(&'s self, pattern: &'s str, from: u64) -> impl Iterator<Item = &'s Stored> {
        self.from(from).filter(move |stored| subjects::covers(pattern, &stored.message.subject))
    }

    /// Returns all messages from a sequence on.
    pub(super) fn from(&self, sequence: u64) -> impl DoubleEndedIterator<Item = &Stored> {
        self.messages.range(sequence..).map(|(_, stored)| stored)
    }

    pub(super) fn first(&self) -> u64 {
        let next = if self.last == 0 { 0 } else { self.last + 1 };
        self.messages.keys().next().copied().unwrap_or(next)
    }

    /// Removes messages of the subjects that a pattern covers: all but the last ones, or those before a sequence.
    /// Returns how many.
    pub(super) fn purge(&mut self, pattern: &str, keep: usize, before: Option<u64>) -> usize {
        let sequences: Vec<u64> = self.matching(pattern, 0).map(|stored| stored.sequence).collect();
        let count = sequences.len().saturating_sub(keep);
        let purged = sequences[..count].iter().filter(|sequence| before.is_none_or(|before| **sequence < before));
        purged.filter(|sequence| self.messages.remove(sequence).is_some()).count()
    }

    pub(super) fn remove(&mut self, sequence: u64) -> bool {
        self.messages.remove(&sequence).is_some()
    }

    /// Forgets all messages and their number, as a stream in memory does whose servers were all restarted.
    #[cfg(test)]
    pub(super) fn empty(&mut self) {
        self.messages.clear();
        self.identifiers.clear();
        self.dropped.clear();
        (self.last, self.last_at) = (0, None);
    }

    /// Finds the identifiers of messages anew, as after a restart.
    pub(super) fn recover(&mut self) {
        let found = self.messages.values().filter_map(|stored| {
            let identifier = headers::value(&stored.message.headers, "Nats-Msg-Id")?;
            Some((identifier.into(), (stored.sequence, stored.at)))
        });
        self.identifiers = found.collect();
    }

    /// Returns the number of bytes of all messages, as the server counts them.
    pub(super) fn bytes(&self) -> usize {
        let size = |stored: &Stored| {
            let Message { subject, headers, payload, .. } = &stored.message;
            let length = subject.len() + headers.len() + payload.len();
            match (self.config.is_memory, headers.is_empty()) {
                (true, _) => length + 16,
                (false, true) => length + 30,
                (false, false) => length + 34,
            }
        };
        self.messages.values().map(size).sum()
    }

    /// Returns the fields of an answer: the configuration, when it was created, and its state, with the subjects that a
    /// pattern covers.
    pub(super) fn fields(&self, pattern: Option<&str>, consumers: usize) -> String {
        let time = |at: Option<u64>| quoted(&at.map_or_else(|| "0001-01-01T00:00:00Z".into(), date));
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for stored in self.messages.values() {
            *counts.entry(&stored.message.subject).or_default() += 1;
        }
        let mut more = String::new();
        if !counts.is_empty() {
            more.push_str(&format!("\"num_subjects\":{},", counts.len()));
        }
        if let Some(pattern) = pattern {
            let found = counts.iter().filter(|(subject, _)| subjects::covers(pattern, subject));
            let found: Vec<_> = found.map(|(subject, count)| format!("{}:{count}", quoted(subject))).collect();
            if !found.is_empty() {
                more.push_str(&format!("\"subjects\":{{{}}},", found.join(",")));
            }
        }
        let span = (self.last + 1).saturating_sub(self.first());
        let deleted = usize::try_from(span).expect("small").saturating_sub(self.messages.len());
        if deleted > 0 && !self.messages.is_empty() {
            more.push_str(&format!("\"num_deleted\":{deleted},"));
        }
        format!(
            "{},\"created\":{},\"state\":{{\"messages\":{},\"bytes\":{},\"first_seq\":{},\"first_ts\":{},\"last_seq\":{},\
             \"last_ts\":{},{more}\"consumer_count\":{consumers}}}",
            self.config.field(),
            quoted(&date(self.created)),
            self.messages.len(),
            self.bytes(),
            self.first(),
            time(self.messages.values().next().map(|first| first.at)),
            self.last,
            time(self.last_at),
        )
    }
}
