//! Parts of calls that other hosts do: how many connections they concerned there.
//!
//! On a host that is asked, each worker does its part, and the first one adds up and answers.

use super::across::{Across, TOPIC};
use super::call::Place;
use super::host_calls::{Asked, Sum};
use crate::base::HostId;
use crate::handler::Hub;
use crate::kit::pubsub::hooks::Hooks;
use crate::kit::pubsub::json::{Object, array};
use crate::kit::pubsub::service::{HOSTS_TIMER, PubSub};
use crate::kit::pubsub::session::Session;
use crate::state::Timer;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

/// Time in which other hosts must answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// Maximum number of questions of other hosts that wait for workers.
const SUMS_MAX: usize = 1_000;

impl<K: Hooks> PubSub<K> {
    /// Asks the other hosts a question. Returns those that must answer.
    pub(super) fn ask_hosts(&mut self, hub: &mut Hub<'_, Session>, place: Place, question: &str) -> BTreeSet<HostId> {
        let hosts: BTreeSet<HostId> = hub.hosts().iter().map(|host| host.id).collect();
        hub.send_to_hosts(TOPIC, question);
        if hosts.is_empty() || !hub.is_linked() {
            return BTreeSet::new();
        }
        self.host_calls.begun += 1;
        self.host_calls.waiting.insert(self.host_calls.begun, place);
        hub.wake(Timer::named(HOSTS_TIMER).keyed(self.host_calls.begun), ANSWERED_WITHIN);
        hosts
    }

    /// Answers a part without the hosts that have not answered in time.
    pub(in crate::kit::pubsub) fn hosts_are_late(&mut self, hub: &mut Hub<'_, Session>, key: u64) {
        let Some(place) = self.host_calls.waiting.remove(&key) else { return };
        if let Some(call) = self.calls.get_mut(&place.ticket) {
            call.hosts_are_late(place.part);
        }
        self.end_call(hub, place.ticket);
    }

    /// Adds the answer of another host to a part of a call, if it is one of this worker.
    pub(super) fn host_answered(&mut self, hub: &mut Hub<'_, Session>, from: HostId, across: &Across<'_>) {
        let is_own = across.shard == Some(hub.shard().number())
            && across.to.as_deref().is_some_and(|to| hub.host_id().is_some_and(|own| own.to_string() == to));
        let (true, Ok(ticket), Some(count)) = (is_own, across.ticket.parse(), across.count) else { return };
        if let Some(call) = self.calls.get_mut(&ticket) {
            call.host_answered(across.part, from, (count, across.nodes()));
        }
        self.end_call(hub, ticket);
    }

    /// Adds the answer of a worker, on the first one. Answers the other host after the last worker.
    pub(super) fn add_for_host(&mut self, hub: &mut Hub<'_, Session>, asked: &Asked, count: u64, nodes: Vec<String>) {
        let (shard, sums) = (hub.shard(), &mut self.host_calls.sums);
        if shard.number() > 0 {
            let json = of_asked(asked).text("from", &asked.0).number("count", count);
            hub.send_to_shard(0, TOPIC, &with_nodes(json, nodes));
            return;
        }
        if sums.len() >= SUMS_MAX && !sums.contains_key(asked) {
            return;
        }
        let new = || Sum { left: shard.count(), connections: 0, nodes: Vec::new() };
        let sum = sums.entry(asked.clone()).or_insert_with(new);
        sum.left = sum.left.saturating_sub(1);
        sum.connections = sum.connections.saturating_add(count);
        sum.nodes.extend(nodes);
        if sum.left == 0
            && let Some(Sum { connections, nodes, .. }) = sums.remove(asked)
        {
            let json = of_asked(asked).text("to", &asked.0).number("count", connections);
            hub.send_to_hosts(TOPIC, &with_nodes(json, nodes));
        }
    }
}

/// Ends a message with the entries of workers, if there are any.
fn with_nodes(json: Object, nodes: Vec<String>) -> String {
    if nodes.is_empty() { json.end() } else { json.raw("nodes", &array(nodes.into_iter())).end() }
}

/// Begins a message about a part of a call of another host.
fn of_asked((_, ticket, part, shard): &Asked) -> Object {
    let object = Object::new().text("ticket", ticket).number("part", *part as u64);
    object.number("shard", u64::from(*shard))
}
