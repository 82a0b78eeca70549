//! Connections that are ended on all shards and hosts, and how many there were.

use super::tables::{Asker, ClusterRequest, Order};
use crate::base::{AddressKey, ConnId, HostId, Origin, Reason};
use crate::facts::{Addressee, ClusterAnswer, EndTarget, EndedEverywhere, HostNews, ShardMessage};
use crate::state::{Ending, State};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

/// Time in which other hosts and shards must answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// Maximum number of orders whose answers are awaited.
const ORDERS_MAX: usize = 1_000;

impl State {
    /// Ends connections on all shards and hosts, for an application.
    pub(crate) fn end_everywhere(&mut self, app: u8, target: EndTarget, reason: Reason) -> ClusterRequest {
        let (request, number) = self.issue_cluster_request(app);
        if number.is_some() {
            self.order_end_everywhere(number, target, reason);
        }
        request
    }

    /// Ends connections on all shards and hosts. Without a request, nobody gets the answer.
    pub(crate) fn order_end_everywhere(&mut self, request: Option<u64>, target: EndTarget, reason: Reason) {
        let from = self.outbox.shard.number();
        if self.has_link_shard() {
            let asker = request.map_or(Asker::Nobody, |number| Asker::Shard(from, number));
            self.order_end(asker, &target, reason);
        } else {
            let message = ShardMessage::EndEverywhere { from, request, target, reason };
            self.queue_for_link(message);
        }
    }

    /// Ends connections on this host, and for a shard of this host also on all others.
    pub(in crate::state) fn order_end(&mut self, asker: Asker, target: &EndTarget, reason: Reason) {
        if self.whole.endings.orders.len() >= ORDERS_MAX {
            // Another host gets no answer, as from a host that is too busy.
            if let Asker::Shard(shard, request) = asker {
                self.answer_shard(shard, request, ClusterAnswer::TooMany);
            }
            return;
        }
        self.whole.endings.given += 1;
        let number = self.whole.endings.given;
        let others: BTreeSet<HostId> = match asker {
            Asker::Host(..) => BTreeSet::new(),
            Asker::Shard(..) | Asker::Nobody => self.whole.hosts.known().collect(),
        };
        let hosts_known = u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(1);
        let is_up = self.sharing.as_ref().is_some_and(|sharing| sharing.cluster.is_up());
        let hosts_left = if is_up { others } else { BTreeSet::new() };
        if is_up && !matches!(asker, Asker::Host(..)) {
            // Hosts that this one does not know yet end theirs too.
            self.tell_hosts(&HostNews::End { number, target: target.clone(), reason });
        }
        let shards_left = self.outbox.shard.count() - 1;
        if shards_left > 0 || !hosts_left.is_empty() {
            // A shard that has drained does not answer either.
            self.whole.endings.due.insert(number, self.now + ANSWERED_WITHIN);
        }
        if shards_left > 0 {
            self.queue_for(Addressee::Others, ShardMessage::End { number, target: target.clone(), reason });
        }
        let connections = self.end_here(target, reason);
        let order = Order { asker, connections, shards_left, hosts_left, hosts: 1, hosts_known };
        self.whole.endings.orders.insert(number, order);
        self.conclude_order(number);
    }

    /// Ends connections on this shard. Returns their number.
    pub(in crate::state) fn end_here(&mut self, target: &EndTarget, reason: Reason) -> u64 {
        let found: Vec<ConnId> = match target {
            EndTarget::User(user) => self.users.connections(user).to_vec(),
            EndTarget::Address(address) => {
                let key = AddressKey::from(*address);
                let is_wanted = |id: &ConnId| {
                    self.conns.get(*id).is_some_and(|conn| {
                        let is_incoming = matches!(conn.origin, Origin::Listener(_));
                        is_incoming && !conn.is_watcher && conn.peer.key() == Some(key)
                    })
                };
                self.conns.ids().filter(is_wanted).collect()
            }
        };
        let mut ended = 0;
        for id in found {
            if let Some(slot) = self.open_slot(id) {
                self.end(slot, reason, Ending::Flush);
                ended += 1;
            }
        }
        ended
    }

    /// Adds the answer of a shard to an order.
    pub(in crate::state) fn shard_ended(&mut self, number: u64, connections: u64) {
        let Some(order) = self.whole.endings.orders.get_mut(&number) else { return };
        order.connections = order.connections.saturating_add(connections);
        order.shards_left = order.shards_left.saturating_sub(1);
        self.conclude_order(number);
    }

    /// Adds the answer of a host to an order.
    pub(super) fn host_ended(&mut self, from: HostId, number: u64, connections: u64) {
        let Some(order) = self.whole.endings.orders.get_mut(&number) else { return };
        if order.hosts_left.remove(&from) {
            order.connections = order.connections.saturating_add(connections);
            order.hosts += 1;
            self.conclude_order(number);
        }
    }

    /// Stops waiting for a host that is gone.
    pub(super) fn order_misses(&mut self, host: HostId) {
        let orders = &mut self.whole.endings.orders;
        let missing = orders.iter_mut().filter_map(|(number, order)| order.hosts_left.remove(&host).then_some(*number));
        for number in missing.collect::<Vec<_>>() {
            self.conclude_order(number);
        }
    }

    /// Answers the orders that have waited for other hosts or shards for too long. Returns `true` if there was one.
    pub(super) fn expire_orders(&mut self) -> bool {
        let mut expired = false;
        while let Some((&number, _)) = self.whole.endings.due.first_key_value().filter(|(_, at)| **at <= self.now) {
            self.whole.endings.due.remove(&number);
            if let Some(order) = self.whole.endings.orders.get_mut(&number) {
                order.shards_left = 0;
                order.hosts_left.clear();
            }
            self.conclude_order(number);
            expired = true;
        }
        expired
    }

    /// Answers an order if no shard and no host is left that must answer.
    fn conclude_order(&mut self, number: u64) {
        let endings = &mut self.whole.endings;
        let is_done = |order: &Order| order.shards_left == 0 && order.hosts_left.is_empty();
        if !endings.orders.get(&number).is_some_and(is_done) {
            return;
        }
        endings.due.remove(&number);
        let Some(Order { asker, connections, hosts, hosts_known, .. }) = endings.orders.remove(&number) else { return };
        match asker {
            Asker::Shard(shard, request) => {
                let ended = EndedEverywhere::new(connections, hosts, hosts_known);
                self.answer_shard(shard, request, ClusterAnswer::Ended(ended));
            }
            Asker::Host(to, number) => self.tell_hosts(&HostNews::Ended { to, number, connections }),
            Asker::Nobody => {}
        }
    }
}
