//! The names in one shared room: those of this host's members, and those of other hosts.

use super::broker::{Change, Named};
use crate::base::Time;
use crate::facts::{PresencePage, PresentName};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

/// The names in a room. A name is present from its first member to its last one, over all shards and hosts.
#[derive(Debug)]
pub(super) struct People {
    names: BTreeMap<Arc<str>, Person>,
    /// Whether the names of other hosts are needed here.
    pub(super) is_needed: bool,
    /// Whether the names of all hosts were read since the room is heard.
    pub(super) is_known: bool,
    /// Whether the broker may have other names of this host than there are.
    pub(super) is_unwritten: bool,
    /// Number of changes of this host's names that the broker has not confirmed.
    pub(super) unconfirmed: u32,
    /// The version of this host's names that the broker has. 0: it has none.
    pub(super) written: u64,
    /// The version that was sent last. `None`: the broker may have any, since the link was lost.
    pub(super) sent: Option<u64>,
    /// The last version that was sent with all names.
    pub(super) whole: u64,
    /// The versions of the names of other hosts that are known here. `None`: some of a host's names may be missing here,
    /// or have gone.
    pub(super) versions: BTreeMap<u64, Option<u64>>,
    /// The hosts whose names are being read.
    readings: BTreeMap<u64, Reading>,
    /// Number of readings so far.
    reading: u64,
    /// When the versions of the names were read last.
    pub(super) read_at: Time,
    /// Requests for the names, which wait until they are known.
    pub(super) waiting: Vec<Who>,
}

#[derive(Debug, Default)]
struct Person {
    /// One bit for each shard of this host with members of this name.
    shards: [u64; 4],
    /// The other hosts with members of this name, and the number of readings at the last news of each.
    hosts: BTreeMap<u64, u64>,
    info: Option<Arc<str>>,
}

/// Reading the names of another host.
#[derive(Debug)]
struct Reading {
    number: u64,
    /// The names that have gone since it began. Its answers may still have them.
    gone: BTreeSet<Arc<str>>,
}

/// A request for the names in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) from: u8,
    pub(super) request: u64,
    pub(super) after: Option<Arc<str>>,
    pub(super) max: usize,
}

impl Person {
    fn is_here(&self) -> bool {
        self.shards != [0; 4]
    }

    fn is_present(&self) -> bool {
        self.is_here() || !self.hosts.is_empty()
    }
}

impl People {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            names: BTreeMap::new(),
            is_needed: false,
            is_known: false,
            is_unwritten: false,
            unconfirmed: 0,
            written: 0,
            sent: Some(0),
            whole: 0,
            versions: BTreeMap::new(),
            readings: BTreeMap::new(),
            reading: 0,
            read_at: now,
            waiting: Vec::new(),
        }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.waiting.is_empty() && !self.is_unwritten && self.unconfirmed == 0 && !self.are_here()
    }

    /// Adds a name on a shard. Returns whether the broker must learn of it, and what members must be told.
    pub(super) fn enter(&mut self, shard: u8, name: &Arc<str>, info: Option<&Arc<str>>) -> (bool, Option<Change>) {
        let (is_new, person) = self.person(name);
        let was_here = person.is_here();
        if let Some(bits) = person.shards.get_mut(usize::from(shard / 64)) {
            *bits |= 1 << (shard % 64);
        }
        let is_changed = info.is_some() && person.info.as_ref() != info;
        if is_changed {
            person.info = info.cloned();
        }
        let info = person.info.clone();
        let change = Change { name: Arc::clone(name), info, is_present: true };
        (!was_here || is_changed, (is_new || is_changed).then_some(change))
    }

    /// Removes a name from a shard. Returns whether the broker must learn of it, and what members must be told.
    pub(super) fn exit(&mut self, shard: u8, name: &Arc<str>) -> (bool, Option<Change>) {
        let Some(person) = self.names.get_mut(name).filter(|person| person.is_here()) else { return (false, None) };
        if let Some(bits) = person.shards.get_mut(usize::from(shard / 64)) {
            *bits &= !(1 << (shard % 64));
        }
        if person.is_here() {
            return (false, None);
        }
        (true, self.remove_if_absent(name))
    }

    /// Returns the names of this host with their information.
    pub(super) fn here(&self) -> Vec<Named> {
        let here = self.names.iter().filter(|(_, person)| person.is_here());
        here.map(|(name, person)| (Arc::clone(name), person.info.clone())).collect()
    }

    /// Returns the information about a name.
    pub(super) fn info(&self, name: &str) -> Option<Arc<str>> {
        self.names.get(name)?.info.clone()
    }

    /// Adds a name of another host that a reading has found, unless there was later news of it.
    pub(super) fn found(&mut self, host: u64, name: &Arc<str>, info: Option<&Arc<str>>) -> Option<Change> {
        let reading = self.readings.get(&host)?;
        let last_news = self.names.get(name).and_then(|person| person.hosts.get(&host));
        if reading.gone.contains(name) || last_news.is_some_and(|news| *news >= reading.number) {
            return None;
        }
        self.add(host, name, info)
    }

    /// Adds a name of another host.
    pub(super) fn add(&mut self, host: u64, name: &Arc<str>, info: Option<&Arc<str>>) -> Option<Change> {
        if let Some(reading) = self.readings.get_mut(&host) {
            reading.gone.remove(name);
        }
        let reading = self.reading;
        let (is_new, person) = self.person(name);
        person.hosts.insert(host, reading);
        let is_changed = info.is_some() && person.info.as_ref() != info;
        if is_changed {
            person.info = info.cloned();
        }
        let info = person.info.clone();
        (is_new || is_changed).then(|| Change { name: Arc::clone(name), info, is_present: true })
    }

    /// Removes a name of another host.
    pub(super) fn remove(&mut self, host: u64, name: &Arc<str>) -> Option<Change> {
        if let Some(reading) = self.readings.get_mut(&host) {
            reading.gone.insert(Arc::clone(name));
        }
        self.names.get_mut(name)?.hosts.remove(&host)?;
        self.remove_if_absent(name)
    }

    /// Removes all names of another host.
    pub(super) fn remove_host(&mut self, host: u64) -> Vec<Change> {
        self.readings.remove(&host);
        self.versions.remove(&host);
        self.remove_where(|of, _| of == host)
    }

    /// Begins to read the names of a host. Returns the number of the reading.
    pub(super) fn begin_reading(&mut self, host: u64) -> u64 {
        self.reading += 1;
        self.readings.insert(host, Reading { number: self.reading, gone: BTreeSet::new() });
        self.reading
    }

    /// Returns `true` if no later reading of the names of this host has begun.
    pub(super) fn is_reading(&self, host: u64, reading: u64) -> bool {
        self.readings.get(&host).is_some_and(|latest| latest.number == reading)
    }

    /// Ends a reading: names of the host that it did not find are gone.
    pub(super) fn end_reading(&mut self, host: u64, reading: u64) -> Vec<Change> {
        self.readings.remove(&host);
        self.remove_where(|of, news| of == host && news < reading)
    }

    /// Ends a reading that has failed. The names of the host are not known then.
    pub(super) fn fail_reading(&mut self, host: u64) {
        self.readings.remove(&host);
        self.versions.insert(host, None);
    }

    /// Forgets what was known of the broker, after the link was lost.
    pub(super) fn link_lost(&mut self) {
        self.sent = None;
        // The names of these hosts are not known then.
        for host in core::mem::take(&mut self.readings).into_keys() {
            self.versions.insert(host, None);
        }
    }

    /// Returns the version of a host's names that is known here. 0: it has none. `None`: it is not known.
    pub(super) fn version(&self, host: u64) -> Option<u64> {
        self.versions.get(&host).copied().unwrap_or(Some(0))
    }

    pub(super) fn is_read(&self) -> bool {
        self.readings.is_empty()
    }

    /// Returns the other hosts with names in the room.
    pub(super) fn hosts(&self) -> BTreeSet<u64> {
        let of_names = self.names.values().flat_map(|person| person.hosts.keys().copied());
        of_names.chain(self.versions.keys().copied()).collect()
    }

    /// Returns `true` if the names at the broker matter here.
    pub(super) fn must_compare(&self) -> bool {
        self.is_needed || self.is_unwritten || self.are_here()
    }

    /// Returns `true` if somebody on this host is present.
    pub(super) fn are_here(&self) -> bool {
        self.names.values().any(Person::is_here)
    }

    /// Returns a page of the names, in alphabetical order.
    pub(super) fn page(&self, after: Option<&str>, max: usize) -> PresencePage {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = || self.names.range::<str, _>((from, Bound::Unbounded));
        let present = |(name, person): (&Arc<str>, &Person)| PresentName::new(Arc::clone(name), person.info.clone());
        let names: Vec<_> = rest().take(max).map(present).collect();
        let has_more = rest().nth(names.len()).is_some();
        PresencePage::new(names.into(), self.names.len() as u64, has_more)
    }

    fn person(&mut self, name: &Arc<str>) -> (bool, &mut Person) {
        let mut is_new = false;
        let person = self.names.entry(Arc::clone(name)).or_insert_with(|| {
            is_new = true;
            Person::default()
        });
        (is_new, person)
    }

    fn remove_where(&mut self, is_gone: impl Fn(u64, u64) -> bool) -> Vec<Change> {
        let mut without = Vec::new();
        for (name, person) in &mut self.names {
            person.hosts.retain(|host, news| !is_gone(*host, *news));
            if !person.is_present() {
                without.push(Arc::clone(name));
            }
        }
        without.iter().filter_map(|name| self.remove_if_absent(name)).collect()
    }

    fn remove_if_absent(&mut self, name: &Arc<str>) -> Option<Change> {
        if self.names.get(name)?.is_present() {
            return None;
        }
        let person = self.names.remove(name)?;
        Some(Change { name: Arc::clone(name), info: person.info, is_present: false })
    }
}
