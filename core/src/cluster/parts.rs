//! What a cluster remembers besides its rooms.

use super::broker::Request;
use super::purpose::Purpose;
use super::role::Role;
use super::room::Past;
use crate::base::Time;
use crate::history::{Keep, Position};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The state of the link, besides the link itself.
#[derive(Debug)]
pub(super) struct Linking {
    /// When to dial. `None`: there is a link, or an attempt.
    pub(super) dial_at: Option<Time>,
    /// What is at the end of the link or the attempt.
    pub(super) role: Role,
    /// The address that a Sentinel named, until it was dialled.
    pub(super) master: Option<String>,
    /// Further addresses that the broker has named, without those of the options.
    pub(super) learned: Vec<String>,
    /// Whether TLS must begin before anything is sent.
    pub(super) begins_tls: bool,
    /// Number of links that worked so far.
    pub(super) number: u64,
    /// Number of failures in a row.
    pub(super) failures: u32,
    /// Whether the link was closed by this side, and its connection not yet.
    pub(super) must_close: bool,
    pub(super) lease_at: Time,
    /// When the broker last delivered a published message.
    pub(super) heard_at: Time,
    /// The number of the last probe, and when it was sent if it has not been heard.
    pub(super) probe: (u64, Option<Time>),
}

impl Linking {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            dial_at: Some(now),
            role: Role::Broker,
            master: None,
            learned: Vec::new(),
            begins_tls: false,
            number: 0,
            failures: 0,
            must_close: false,
            lease_at: now,
            heard_at: now,
            probe: (0, None),
        }
    }
}

/// The reads that wait, and how many are under way.
#[derive(Debug, Default)]
pub(super) struct Filling {
    /// Rooms whose history must be read.
    pub(super) rooms: VecDeque<Arc<str>>,
    /// Other reads.
    pub(super) reads: VecDeque<(Request, Purpose)>,
    pub(super) under_way: usize,
    /// The number of the last reading of a room, or for its new members.
    pub(super) number: u64,
    /// When the histories of rooms may be read.
    pub(super) from: Option<Time>,
    /// When members that wait for the position of a room have waited too long.
    pub(super) asks: BTreeSet<(Time, Arc<str>)>,
}

impl Filling {
    /// Notes the answer to a request.
    pub(super) const fn answered(&mut self, purpose: &Purpose) {
        if purpose.is_read() {
            self.under_way = self.under_way.saturating_sub(1);
        }
    }

    /// Forgets all rooms. Returns the reads that waited.
    pub(super) fn clear(&mut self) -> VecDeque<(Request, Purpose)> {
        self.rooms.clear();
        (self.under_way, self.from) = (0, None);
        core::mem::take(&mut self.reads)
    }
}

/// How far the comparison of quiet rooms has come.
#[derive(Debug, Default)]
pub(super) struct Checking {
    pub(super) next_at: Option<Time>,
    /// The last room that was looked at.
    pub(super) last: Option<Arc<str>>,
}

/// The other hosts, as far as they have names in rooms of this one.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// The rooms with names of each host.
    pub(super) rooms: BTreeMap<u64, BTreeSet<Arc<str>>>,
    /// Hosts whose leases are looked at although they may have no names.
    pub(super) watched: BTreeSet<u64>,
    /// Until when a host without a lease is not gone.
    pub(super) grace_until: Option<Time>,
    pub(super) written_at: Option<Time>,
    /// The last version of this host's names, over all rooms.
    pub(super) version: u64,
}

/// Maximum number of rooms without members here whose last kept message is remembered.
const KEPT_MAX: usize = 1_000;

/// The position of the last message that the broker has kept for this host in one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptPosition {
    pub(super) keep: Keep,
    pub(super) position: Position,
    pub(super) past: Past,
}

/// The positions of the last messages that the broker has kept for this host, in rooms without members here.
#[derive(Debug, Default)]
pub(super) struct KeptPositions {
    positions: BTreeMap<Arc<str>, KeptPosition>,
    /// The same rooms, in the order of their first message.
    order: VecDeque<Arc<str>>,
}

impl KeptPositions {
    pub(super) fn add(&mut self, name: &Arc<str>, keep: Keep, position: Position, past: Option<Past>) {
        let before = self.positions.get(name);
        let mut past = past.or_else(|| before.map(|before| before.past)).unwrap_or_default();
        if let Some(before) = before.filter(|before| before.position.epoch != position.epoch) {
            past.add(before.position.epoch);
        }
        if self.positions.insert(Arc::clone(name), KeptPosition { keep, position, past }).is_none() {
            self.order.push_back(Arc::clone(name));
        }
        if self.order.len() > KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.positions.remove(&oldest);
        }
    }

    pub(super) fn take(&mut self) -> BTreeMap<Arc<str>, KeptPosition> {
        self.order.clear();
        core::mem::take(&mut self.positions)
    }
}
