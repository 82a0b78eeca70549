//! A connection, and what is on its way to it.

use super::operation::Message;
use super::subjects;
use crate::base::Time;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What comes in one order: each part of the server sends on its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// What the connection itself answers, and what clients publish.
    Own,
    /// What a stream publishes again, and its acknowledgements.
    Stream(String),
    /// Answers to requests of the interface.
    Api,
    /// Messages of a consumer.
    Consumer(String),
}

#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) input: Vec<u8>,
    /// What is under way, with its time and its number.
    output: Vec<(Time, u64, Vec<u8>)>,
    sent: u64,
    /// When the last of each lane comes.
    lanes: BTreeMap<Lane, Time>,
    subscriptions: BTreeMap<String, Subscription>,
    pub(super) is_known: bool,
    pub(super) wants_no_responders: bool,
    pub(super) is_verbose: bool,
    pub(super) hears_itself: bool,
    pub(super) is_closing: bool,
}

#[derive(Debug)]
struct Subscription {
    subject: String,
    delivered: u64,
    /// 0: no limit.
    delivered_max: u64,
}

impl Client {
    pub(super) fn subscribe(&mut self, subject: String, id: String) {
        let subscription = Subscription { subject, delivered: 0, delivered_max: 0 };
        self.subscriptions.entry(id).or_insert(subscription);
    }

    pub(super) fn unsubscribe(&mut self, id: &str, after: u64) {
        if let Some(subscription) = self.subscriptions.get_mut(id).filter(|found| found.delivered < after) {
            subscription.delivered_max = after;
        } else {
            self.subscriptions.remove(id);
        }
    }

    pub(super) fn hears(&self, subject: &str) -> bool {
        self.subscriptions.values().any(|subscription| subjects::covers(&subscription.subject, subject))
    }

    /// Sends a message to the subscriptions that cover `inbox`. The message names its own subject.
    pub(super) fn deliver(&mut self, due: Time, lane: Option<&Lane>, inbox: &str, message: &Message) {
        let Message { subject, reply, headers, payload } = message;
        let reply = if reply.is_empty() { String::new() } else { format!("{reply} ") };
        let (verb, mut lengths) =
            if headers.is_empty() { ("MSG", String::new()) } else { ("HMSG", format!("{} ", headers.len())) };
        lengths.push_str(&format!("{}", headers.len() + payload.len()));
        // What JetStream sends without a reply has two blanks there.
        let is_own = matches!(lane, Some(Lane::Own | Lane::Api));
        let reply = if is_own || !reply.is_empty() { reply } else { " ".into() };
        let mut pieces = Vec::new();
        for (id, found) in &mut self.subscriptions {
            if subjects::covers(&found.subject, inbox) {
                found.delivered += 1;
                let head = format!("{verb} {subject} {id} {reply}{lengths}\r\n");
                pieces.push([head.as_bytes(), headers, payload, b"\r\n"].concat());
            }
        }
        self.subscriptions.retain(|_, found| found.delivered_max == 0 || found.delivered < found.delivered_max);
        pieces.into_iter().for_each(|piece| self.send(due, lane.cloned(), piece));
    }

    /// Sends bytes, which come after what is on the same lane. `None`: at their time, in no order.
    pub(super) fn send(&mut self, due: Time, lane: Option<Lane>, bytes: Vec<u8>) {
        let due = lane.map_or(due, |lane| {
            let last = self.lanes.entry(lane).or_insert(due);
            *last = due.max(*last);
            *last
        });
        self.sent += 1;
        self.output.push((due, self.sent, bytes));
    }

    /// Returns what has come by now.
    pub(super) fn take_output(&mut self, now: Time) -> Vec<u8> {
        self.output.sort_by_key(|(due, number, _)| (*due, *number));
        let count = self.output.partition_point(|(due, ..)| *due <= now || self.is_closing);
        self.output.drain(..count).flat_map(|(_, _, bytes)| bytes).collect()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.is_closing && self.output.is_empty()
    }
}
