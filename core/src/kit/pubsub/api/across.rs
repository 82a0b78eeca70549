//! Parts of calls that all workers and hosts do: the messages between them.

use super::call::Place;
use super::gathered::Gathered;
use crate::base::HostId;
use crate::handler::Hub;
use crate::kit::pubsub::codes::Refusal;
use crate::kit::pubsub::fields::Fields;
use crate::kit::pubsub::hooks::Hooks;
use crate::kit::pubsub::json::Object;
use crate::kit::pubsub::service::PubSub;
use crate::kit::pubsub::session::Session;
use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The topic of messages between the workers.
pub(in crate::kit::pubsub) const TOPIC: &str = "pubsub";

/// A question to another worker or host, or its answer.
#[derive(Deserialize)]
pub(super) struct Across<'a> {
    #[serde(borrow)]
    pub(super) ticket: Cow<'a, str>,
    pub(super) part: usize,
    /// In a question: the method and its fields.
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Failure>,
    /// To hosts, and in their answers: the worker that asks.
    pub(super) shard: Option<u8>,
    /// In an answer of a host: the host that asked.
    pub(super) to: Option<Cow<'a, str>>,
    /// In a message between the workers of a host: the host that asked.
    pub(super) from: Option<Cow<'a, str>>,
    /// In answers of hosts: the number of connections that it concerned.
    pub(super) count: Option<u64>,
    /// In answers of hosts to `info`: the entries of their workers.
    #[serde(borrow)]
    nodes: Option<Vec<&'a RawValue>>,
}

impl Across<'_> {
    /// Returns the entries of workers in an answer.
    pub(super) fn nodes(&self) -> Vec<String> {
        self.nodes.iter().flatten().map(|node| node.get().to_string()).collect()
    }
}

#[derive(Deserialize)]
struct Failure {
    code: u32,
    message: String,
}

impl<K: Hooks> PubSub<K> {
    /// Runs a method on this worker, and asks the other workers to run it.
    pub(super) fn do_everywhere(
        &mut self,
        hub: &mut Hub<'_, Session>,
        place: Place,
        (method, json): (&str, &str),
        fields: &Fields<'_>,
    ) -> Result<(), Refusal> {
        let gathered = self.do_here(hub, method, fields)?;
        let shard = hub.shard();
        let question = about(place).text("method", method).raw("body", json);
        let question = question.number("shard", shard.number().into()).end();
        let hosts = match method {
            // Their names would be too many for all hosts.
            "channels" => BTreeSet::new(),
            _ => self.ask_hosts(hub, place, &question),
        };
        let asked = (0..shard.count()).filter(|other| hub.send_to_shard(*other, TOPIC, &question)).count();
        if let Some(call) = self.calls.get_mut(&place.ticket) {
            call.gather(place.part, (u8::try_from(asked).unwrap_or(u8::MAX), hosts), gathered);
        }
        Ok(())
    }

    fn do_here(&mut self, hub: &mut Hub<'_, Session>, method: &str, fields: &Fields<'_>) -> Result<Gathered, Refusal> {
        match method {
            "channels" => Ok(Self::channels_here(hub, &fields.text("pattern")?)),
            "info" => Ok(self.node_here(hub)),
            _ => {
                let connections = self.do_to_clients(hub, method, fields)?;
                let hosts_known = u32::try_from(hub.hosts().len()).unwrap_or(u32::MAX).saturating_add(1);
                Ok(match method {
                    "disconnect" => Gathered::Ended { connections, hosts: 1, hosts_known },
                    _ => Gathered::Nothing,
                })
            }
        }
    }

    /// Does for the clients on this worker what the HTTP API of another host was asked to do, or handles an answer.
    pub(in crate::kit::pubsub) fn host_said(&mut self, hub: &mut Hub<'_, Session>, from: HostId, content: &str) {
        let Ok(across) = serde_json::from_str::<Across<'_>>(content) else {
            return hub.state.count_unreadable_from_host();
        };
        let (Some(method), Some(body)) = (&across.method, across.body) else {
            return self.host_answered(hub, from, &across);
        };
        let asked = (from.to_string(), across.ticket.to_string(), across.part, across.shard.unwrap_or(0));
        if method == "info" {
            return self.add_for_host(hub, &asked, 0, Vec::from([self.node_json(hub)]));
        }
        // That host has checked the fields, and reports what is wrong with them.
        let fields = Fields::of(body.get());
        let done = fields.and_then(|fields| self.do_to_clients(hub, method, &fields).ok());
        self.add_for_host(hub, &asked, done.unwrap_or(0), Vec::new());
    }

    /// Handles a message of another worker.
    pub(in crate::kit::pubsub) fn shard_said(&mut self, hub: &mut Hub<'_, Session>, from: u8, content: &str) {
        let Ok(across) = serde_json::from_str::<Across<'_>>(content) else { return };
        let Ok(ticket) = across.ticket.parse() else { return };
        let place = Place { ticket, part: across.part };
        if let (Some(from), Some(count)) = (&across.from, across.count) {
            let asked = (from.to_string(), across.ticket.to_string(), across.part, across.shard.unwrap_or(0));
            return self.add_for_host(hub, &asked, count, across.nodes());
        }
        if let (Some(method), Some(body)) = (across.method, across.body) {
            let done = Fields::of(body.get()).ok_or(Refusal::BAD_REQUEST);
            let done = done.and_then(|fields| self.do_here(hub, &method, &fields));
            let answer = match done.as_ref().map_err(Clone::clone).and_then(|done| done.json().map_err(Clone::clone)) {
                Ok(json) => about(place).raw("result", &json),
                Err(refusal) => about(place).raw("error", &refusal.json()),
            };
            hub.send_to_shard(from, TOPIC, &answer.end());
            return;
        }
        let answer = match (across.result, across.error) {
            (Some(result), None) => Ok(result.get()),
            (_, Some(Failure { code, message })) => Err(Refusal::new(code, message)),
            (None, None) => Err(Refusal::INTERNAL),
        };
        if let Some(call) = self.calls.get_mut(&ticket) {
            call.gathered(place.part, answer);
        }
        self.end_call(hub, ticket);
    }
}

/// Begins a message about a part of a call.
fn about(place: Place) -> Object {
    Object::new().text("ticket", &place.ticket.to_string()).number("part", place.part as u64)
}
