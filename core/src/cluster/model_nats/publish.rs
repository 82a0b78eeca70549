//! The ways of a message: to subscriptions, to the interface of JetStream, and to streams.

use super::client::Lane;
use super::error::ApiError;
use super::operation::Message;
use super::stream::Kept;
use super::{ModelNats, Published, headers, subjects, unix};
use crate::base::Time;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl ModelNats {
    /// Handles a message from a client.
    pub(super) fn publish(&mut self, now: Time, client: u32, message: &Message) {
        let subject = &message.subject;
        if self.faults.denied.iter().any(|pattern| subjects::covers(pattern, subject)) {
            return self.send_error(now, client, &format!("Permissions Violation for Publish to \"{subject}\""));
        }
        if !subjects::is_literal(subject) {
            self.send_error(now, client, "Invalid Publish Subject");
        }
        let mut is_heard = false;
        for (number, other) in &mut self.clients {
            if other.hears(subject) && (*number != client || other.hears_itself) {
                is_heard = true;
                if !self.faults.is_deaf {
                    other.deliver(now, Some(&Lane::Own), subject, message);
                }
            }
        }
        if !self.faults.has_no_jetstream {
            if let Some(call) = subject.strip_prefix("$JS.API.") {
                is_heard = true;
                if !self.faults.has_no_leader {
                    self.call(now, call, message);
                }
            } else if !self.faults.has_no_leader {
                is_heard |= self.store(now, message);
            }
        }
        let Some(client) = self.clients.get_mut(&client).filter(|client| client.wants_no_responders) else { return };
        if !is_heard && !message.reply.is_empty() {
            let headers = b"NATS/1.0 503\r\n\r\n".to_vec();
            let answer = Message { subject: message.reply.clone(), headers, ..Message::default() };
            client.deliver(now, Some(&Lane::Own), &message.reply, &answer);
        }
    }

    /// Stores a message in the stream of its subject, and publishes it again. Returns `false` if there is no such stream.
    fn store(&mut self, now: Time, message: &Message) -> bool {
        let mut streams = self.data.streams.values_mut();
        let Some(stream) = streams.find(|stream| stream.config.covers(&message.subject)) else { return false };
        let name = stream.config.name.clone();
        let kept = if self.faults.is_full { Err(ApiError::is_full()) } else { stream.store(unix(now), message) };
        let republish = stream.config.republish.clone();
        if let Ok(Kept::New { sequence, previous }) = kept {
            let number = self.ledger.last().map_or(0, |last| last.number) + 1;
            self.data.published.insert(number);
            self.ledger.push(Published {
                number,
                stream: name.clone(),
                subject: message.subject.clone(),
                sequence,
                headers: message.headers.clone(),
                payload: message.payload.clone(),
                was_lost: false,
            });
            let target = republish.as_ref().and_then(|republish| republish.target(&message.subject));
            if let Some(target) = target.filter(|_| !self.faults.is_mute) {
                let mut more: Vec<(&str, String)> = [
                    ("Nats-Stream", name.clone()),
                    ("Nats-Subject", message.subject.clone()),
                    ("Nats-Sequence", format!("{sequence}")),
                    ("Nats-Last-Sequence", format!("{previous}")),
                ]
                .into();
                let mut payload = message.payload.clone();
                if republish.is_some_and(|republish| republish.is_headers_only()) {
                    more.push(("Nats-Msg-Size", format!("{}", payload.len())));
                    payload.clear();
                }
                let headers = headers::with(&message.headers, &more);
                let again = Message { subject: target, reply: String::new(), headers, payload };
                self.deliver_live(now, &name, &again);
            }
        }
        let answer = match kept {
            Ok(Kept::New { sequence, .. }) => format!("{{\"stream\":\"{name}\", \"seq\":{sequence}}}"),
            Ok(Kept::Repeated(sequence)) => {
                format!("{{\"stream\":\"{name}\", \"seq\":{sequence},\"duplicate\": true}}")
            }
            Err(error) => format!("{{{},\"stream\":\"{name}\",\"seq\":0}}", error.field()),
        };
        if !message.reply.is_empty() {
            self.answer(now, &Lane::Stream(name), &message.reply, answer);
        }
        true
    }

    /// Delivers what a stream publishes again.
    fn deliver_live(&mut self, now: Time, stream: &str, message: &Message) {
        if self.faults.is_deaf {
            return;
        }
        let due = self.due(now);
        let lane = (!self.faults.reorders).then(|| Lane::Stream(stream.into()));
        for client in self.clients.values_mut() {
            client.deliver(due, lane.as_ref(), &message.subject, message);
        }
    }

    /// Sends an answer of JetStream to an inbox.
    pub(super) fn answer(&mut self, now: Time, lane: &Lane, inbox: &str, answer: String) {
        let message = Message { subject: inbox.into(), payload: answer.into_bytes(), ..Message::default() };
        self.deliver_to_inbox(now, lane, inbox, &message);
    }

    pub(super) fn deliver_to_inbox(&mut self, now: Time, lane: &Lane, inbox: &str, message: &Message) {
        let due = self.due(now);
        for client in self.clients.values_mut() {
            client.deliver(due, Some(lane), inbox, message);
        }
    }
}
