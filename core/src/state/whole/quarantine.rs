//! The quarantine of all hosts: each host tells the others which addresses it refuses, and for how long.
//!
//! A host whose link comes up asks the one that has run for the longest time for all addresses.

use crate::base::{AddressKey, whole_millis};
use crate::facts::{Addressee, HostNews, ShardMessage};
use crate::state::State;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// Interval at which the other hosts are told of addresses.
const TOLD_EVERY: Duration = Duration::from_millis(200);
/// Maximum number of addresses that wait until the others are told. More are refused on this host alone.
const WAITING_MAX: usize = 10_000;
/// Interval at which this host asks for the quarantine until it is answered, and answers others.
const ASKED_EVERY: Duration = Duration::from_secs(5);

impl State {
    /// Tells the other hosts that this one has put an address into quarantine.
    pub(in crate::state) fn share_quarantine(&mut self, key: AddressKey) {
        if self.config.cluster.is_none() {
            return;
        }
        let addresses: Arc<[_]> = [(key.address(), whole_millis(self.config.quarantine.cool_down))].into();
        if self.has_link_shard() {
            self.await_telling(&addresses);
        } else {
            let message = ShardMessage::Quarantined { addresses, to_hosts: true };
            self.queue_for_link(message);
        }
    }

    /// Releases an address here, on the first shard, and on all hosts. Returns `false` if it is not there.
    pub(crate) fn release(&mut self, address: IpAddr) -> bool {
        let was_there = self.admission.quarantine.remove(self.now, address.into());
        if self.config.cluster.is_some() {
            if self.has_link_shard() {
                self.tell_released(address);
            } else {
                let message = ShardMessage::Released { address, to_hosts: true };
                self.queue_for_link(message);
            }
        }
        was_there
    }

    /// Handles addresses in quarantine from another shard: of this host on the shard with the link, or else of others.
    pub(in crate::state) fn quarantined_elsewhere(&mut self, addresses: &Arc<[(IpAddr, u64)]>, to_hosts: bool) {
        if to_hosts {
            return self.await_telling(addresses);
        }
        let (now, limits) = (self.now, self.config.quarantine);
        for (address, millis) in addresses.iter() {
            self.admission.quarantine.add_for(now, (*address).into(), Duration::from_millis(*millis), limits);
        }
    }

    pub(in crate::state) fn released_elsewhere(&mut self, address: IpAddr, to_hosts: bool) {
        if to_hosts {
            self.tell_released(address);
        } else {
            self.admission.quarantine.remove(self.now, address.into());
        }
    }

    /// Sends the addresses in quarantine to all other hosts, from the first shard.
    pub(in crate::state) fn list_quarantine(&mut self) {
        let now = self.now;
        let all: Vec<_> = self
            .admission
            .quarantine
            .iter(now)
            .map(|(key, until)| (key.address(), whole_millis(until.since(now))))
            .collect();
        let mut parts: Vec<_> = all.chunks(HostNews::ADDRESSES_MAX).map(<[_]>::to_vec).collect();
        let last = parts.pop().unwrap_or_default();
        for addresses in parts {
            self.tell_from_any_shard(&HostNews::Quarantined { addresses, ends_list: false });
        }
        self.tell_from_any_shard(&HostNews::Quarantined { addresses: last, ends_list: true });
    }

    /// Begins to learn the quarantine of the other hosts.
    pub(super) fn begin_learning(&mut self) {
        let told = &mut self.whole.told;
        // By then, the others have told of themselves. A host alone finds nobody to ask.
        told.ask_at = Some(self.now + Duration::from_secs(1));
        told.tell_at = (!told.waiting.is_empty()).then_some(self.now);
    }

    pub(super) fn end_learning(&mut self) {
        (self.whole.told.ask_at, self.whole.told.tell_at) = (None, None);
    }

    /// Tells of addresses, or asks for them, if that is due. Returns `true` if it was.
    pub(super) fn tell_quarantined(&mut self) -> bool {
        let (now, mut was_due) = (self.now, false);
        if self.whole.told.ask_at.is_some_and(|at| at <= now) {
            was_due = true;
            self.whole.told.ask_at = Some(now + ASKED_EVERY);
            if let Some(to) = self.whole.hosts.oldest() {
                self.tell_hosts(&HostNews::ListQuarantine { to });
            }
        }
        if self.whole.told.tell_at.take_if(|at| *at <= now).is_some() {
            was_due = true;
            let waiting = &mut self.whole.told.waiting;
            let part: Vec<_> = waiting.keys().copied().take(HostNews::ADDRESSES_MAX).collect();
            let part = part.into_iter().filter_map(|address| Some((address, waiting.remove(&address)?.since(now))));
            let addresses: Vec<_> =
                part.filter(|(_, left)| !left.is_zero()).map(|(address, left)| (address, whole_millis(left))).collect();
            self.whole.told.tell_at = (!self.whole.told.waiting.is_empty()).then_some(now + TOLD_EVERY);
            if !addresses.is_empty() {
                self.tell_hosts(&HostNews::Quarantined { addresses, ends_list: false });
            }
        }
        was_due
    }

    /// Handles addresses that another host refuses.
    pub(super) fn hosts_quarantined(&mut self, addresses: Arc<[(IpAddr, u64)]>, ends_list: bool) {
        if ends_list {
            self.whole.told.ask_at = None;
        }
        if self.outbox.shard.number() == 0 {
            self.quarantined_elsewhere(&addresses, false);
        } else {
            self.queue_for(Addressee::First, ShardMessage::Quarantined { addresses, to_hosts: false });
        }
    }

    /// Handles an address that another host has released.
    pub(super) fn hosts_released(&mut self, address: IpAddr) {
        self.whole.told.waiting.remove(&AddressKey::from(address).address());
        if self.outbox.shard.number() == 0 {
            self.released_elsewhere(address, false);
        } else {
            self.queue_for(Addressee::First, ShardMessage::Released { address, to_hosts: false });
        }
    }

    /// Answers another host, at most every 5 s. All hosts hear the answer.
    pub(super) fn quarantine_asked(&mut self) {
        let answered_at = &mut self.whole.told.answered_at;
        if answered_at.is_some_and(|at| at + ASKED_EVERY > self.now) {
            return;
        }
        *answered_at = Some(self.now);
        if self.outbox.shard.number() == 0 {
            self.list_quarantine();
        } else {
            self.queue_for(Addressee::First, ShardMessage::ListQuarantine);
        }
    }

    /// Notes addresses of which the other hosts are to be told, on the shard with the link.
    fn await_telling(&mut self, addresses: &Arc<[(IpAddr, u64)]>) {
        let (now, is_up) = (self.now, self.sharing.as_ref().is_some_and(|sharing| sharing.cluster.is_up()));
        let told = &mut self.whole.told;
        if told.waiting.len() >= WAITING_MAX {
            told.waiting.retain(|_, until| *until > now);
        }
        for (address, millis) in addresses.iter() {
            if told.waiting.len() < WAITING_MAX || told.waiting.contains_key(address) {
                told.waiting.insert(*address, now + Duration::from_millis(*millis));
            }
        }
        if is_up {
            told.tell_at.get_or_insert(now + TOLD_EVERY);
        }
    }

    fn tell_released(&mut self, address: IpAddr) {
        self.whole.told.waiting.remove(&AddressKey::from(address).address());
        self.tell_hosts(&HostNews::Released(address));
    }
}
