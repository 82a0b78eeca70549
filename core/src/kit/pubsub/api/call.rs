//! Calls of the API that wait for homes and other workers, and their answers.

use super::gathered::Gathered;
use crate::base::HostId;
use crate::kit::pubsub::codes::Refusal;
use crate::kit::pubsub::json::{Object, array};
use crate::state::RequestTicket;
use crate::wire::http::HttpResponse;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A call: its parts, and how their results become the answer.
#[derive(Debug, Default)]
pub(in crate::kit::pubsub) struct Call {
    parts: Vec<Part>,
    shape: Shape,
    /// Total length of the results, in bytes.
    bytes: usize,
}

/// Identifies a part of a call.
#[derive(Clone, Copy, Debug)]
pub(in crate::kit::pubsub) struct Place {
    pub(in crate::kit::pubsub) ticket: RequestTicket,
    pub(in crate::kit::pubsub) part: usize,
}

/// The result of a part, as JSON, or its error.
pub(super) type Outcome = Result<String, Refusal>;

#[derive(Debug)]
enum Part {
    /// The part waits for the home of a channel.
    Waits,
    /// The part waits for this many other workers, and for these hosts.
    Gathers(u8, BTreeSet<HostId>, Gathered),
    Done(Outcome),
}

/// How results become an answer.
#[derive(Debug, Default)]
pub(super) enum Shape {
    /// The result of this part.
    Part(usize),
    /// The results of these parts, for a broadcast.
    Responses(Vec<usize>),
    /// The results of several methods, each with its name.
    Batch(Vec<(String, Self)>),
    /// The call has not been read yet.
    #[default]
    None,
}

impl Call {
    /// Adds a part, and returns its number.
    pub(super) fn add(&mut self) -> usize {
        self.parts.push(Part::Waits);
        self.parts.len() - 1
    }

    pub(super) fn set_shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// Makes a part wait for other workers and hosts. `gathered` is the result of this worker.
    pub(super) fn gather(&mut self, part: usize, (others, hosts): (u8, BTreeSet<HostId>), gathered: Gathered) {
        if let Some(found) = self.parts.get_mut(part) {
            *found = Part::Gathers(others, hosts, gathered);
        }
        self.conclude(part);
    }

    /// Adds the answer of a host to a part.
    pub(super) fn host_answered(&mut self, part: usize, host: HostId, found: (u64, Vec<String>)) {
        let Some(Part::Gathers(_, hosts, gathered)) = self.parts.get_mut(part) else { return };
        if hosts.remove(&host) {
            gathered.add_host(found);
            self.conclude(part);
        }
    }

    /// Stops waiting for hosts.
    pub(super) fn hosts_are_late(&mut self, part: usize) {
        if let Some(Part::Gathers(_, hosts, _)) = self.parts.get_mut(part) {
            hosts.clear();
            self.conclude(part);
        }
    }

    /// Sets the result of a part if it waits for nobody any more.
    fn conclude(&mut self, part: usize) {
        if let Some(Part::Gathers(0, hosts, gathered)) = self.parts.get_mut(part)
            && hosts.is_empty()
        {
            let outcome = core::mem::replace(gathered, Gathered::Nothing).into_outcome();
            self.finish(part, outcome);
        }
    }

    /// Adds the result of another worker to a part.
    pub(super) fn gathered(&mut self, part: usize, other: Result<&str, Refusal>) {
        let Some(Part::Gathers(left, _, gathered)) = self.parts.get_mut(part) else { return };
        gathered.add(other);
        *left = left.saturating_sub(1);
        self.conclude(part);
    }

    /// Sets the result of a part. If all results are too long together, it becomes the error 106.
    pub(super) fn finish(&mut self, part: usize, outcome: Outcome) {
        let Some(found) = self.parts.get_mut(part).filter(|part| !matches!(part, Part::Done(_))) else { return };
        let bytes = outcome.as_ref().map_or(0, String::len);
        let fits = self.bytes + bytes <= ANSWER_MAX;
        *found = Part::Done(if fits { outcome } else { Err(too_long()) });
        self.bytes += if fits { bytes } else { 0 };
    }

    pub(super) fn is_done(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Done(_)))
    }

    /// Returns the answer of a call whose parts are done.
    pub(super) fn response(&self) -> HttpResponse {
        let json = match &self.shape {
            Shape::Batch(replies) => {
                let replies = replies.iter().map(|(method, shape)| self.reply(method, shape));
                Object::new().raw("replies", &array(replies)).end()
            }
            shape => self.reply("result", shape),
        };
        let json = if json.len() > HttpResponse::BODY_MAX_BYTES { failed(&too_long()) } else { json };
        HttpResponse::new("application/json", json)
    }

    /// Returns `{NAME: result}`, or the error.
    fn reply(&self, name: &str, shape: &Shape) -> String {
        let responses;
        let outcome = match shape {
            Shape::Part(part) => match self.parts.get(*part) {
                Some(Part::Done(outcome)) => outcome.as_ref(),
                _ => return failed(&Refusal::INTERNAL),
            },
            Shape::Responses(parts) => {
                let all = parts.iter().map(|part| self.reply("result", &Shape::Part(*part)));
                responses = Object::new().raw("responses", &array(all)).end();
                Ok(&responses)
            }
            Shape::Batch(_) | Shape::None => return failed(&Refusal::INTERNAL),
        };
        match outcome {
            Ok(json) => Object::new().raw(name, json).end(),
            Err(refusal) => failed(refusal),
        }
    }
}

/// Maximum length of all results of a call, in bytes. The rest of the answer needs the remaining 64 KiB.
const ANSWER_MAX: usize = HttpResponse::BODY_MAX_BYTES - (64 << 10);

fn too_long() -> Refusal {
    let message = format!("limit exceeded: an answer has at most {} KiB", HttpResponse::BODY_MAX_BYTES >> 10).into();
    Refusal { message, ..Refusal::LIMIT_EXCEEDED }
}

/// Returns the answer for an error.
pub(super) fn failed(refusal: &Refusal) -> String {
    Object::new().raw("error", &refusal.json()).end()
}
