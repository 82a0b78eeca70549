//! Where the server listens, and what holds there.

use crate::base::AcceptFailure;
use crate::base::Origin;
use crate::base::{ListenerId, Time};
use crate::config::{Config, Listen};
use alloc::vec::Vec;

/// The listeners of the configuration, and those of earlier ones that still have connections.
///
/// An id is never given twice, so that all shards of a server give the same ones whatever else they know. What a reload takes
/// away is forgotten with its last connection.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// By id, ascending.
    entries: Vec<Entry>,
    next: u32,
}

#[derive(Debug)]
struct Entry {
    id: ListenerId,
    listen: Listen,
    /// The configuration has it no more: it lets nobody in.
    is_retired: bool,
    /// Nothing is accepted before then.
    rests_until: Option<Time>,
    /// Failures since the last success.
    failures: u8,
    /// Why nothing was accepted since the last success, as the handler was told.
    paused: Option<AcceptFailure>,
    /// Its connections on this shard.
    connections: u32,
}

/// So many failures in a row are no accident.
const ACCEPT_FAILURES_MAX: u8 = 16;

impl Listeners {
    pub(crate) fn new(config: &Config) -> Self {
        let mut new = Self { entries: Vec::new(), next: 0 };
        config.listeners.iter().for_each(|listen| new.add(listen));
        new
    }

    fn add(&mut self, listen: &Listen) {
        let id = ListenerId(self.next);
        self.next = self.next.saturating_add(1);
        let listen = listen.clone();
        let (rests_until, paused) = (None, None);
        self.entries.push(Entry { id, listen, is_retired: false, rests_until, failures: 0, paused, connections: 0 });
    }

    /// A listener, also one that the configuration has no more.
    pub(crate) fn get(&self, id: ListenerId) -> Option<&Listen> {
        self.place(id).map(|place| &self.entries[place].listen)
    }

    /// Where a connection was accepted; `None` if it was dialled.
    pub(crate) fn of(&self, origin: Origin) -> Option<&Listen> {
        match origin {
            Origin::Listener(listener) => self.get(listener),
            Origin::Dial(_) => None,
        }
    }

    /// A listener that lets somebody in.
    pub(crate) fn get_open(&self, id: ListenerId) -> Option<&Listen> {
        let entry = &self.entries[self.place(id)?];
        (!entry.is_retired).then_some(&entry.listen)
    }

    /// Where the server listens.
    pub(crate) fn open(&self) -> impl Iterator<Item = (ListenerId, &Listen)> {
        self.entries.iter().filter(|entry| !entry.is_retired).map(|entry| (entry.id, &entry.listen))
    }

    /// All of which something is known.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ListenerId, &Listen)> {
        self.entries.iter().map(|entry| (entry.id, &entry.listen))
    }

    /// Whether an id was ever given.
    pub(crate) const fn has_had(&self, id: ListenerId) -> bool {
        id.0 < self.next
    }

    fn place(&self, id: ListenerId) -> Option<usize> {
        // As long as none was taken away each stands at its number.
        if self.entries.get(id.index()).is_some_and(|entry| entry.id == id) {
            return Some(id.index());
        }
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    /// Others listen from now on: `of_before` says of each which one it was, if it was one.
    pub(crate) fn replace(&mut self, listeners: &[Listen], of_before: &[Option<ListenerId>]) {
        for entry in &mut self.entries {
            entry.is_retired = !of_before.contains(&Some(entry.id));
            // Nobody waits for it any more.
            entry.rests_until = entry.rests_until.filter(|_| !entry.is_retired);
        }
        for (listen, before) in listeners.iter().zip(of_before) {
            match before.and_then(|id| self.place(id)) {
                Some(place) => self.entries[place].listen = listen.clone(),
                None => self.add(listen),
            }
        }
    }

    /// The ids that listeners will have that are new in a configuration.
    pub(crate) fn next_ids(&self) -> impl Iterator<Item = ListenerId> + use<> {
        (self.next..).map(ListenerId)
    }

    /// Forgets what the configuration has no more and nobody came by. `counted` says how many elsewhere did.
    pub(crate) fn forget_unused(&mut self, counted: impl Fn(ListenerId) -> u32) {
        self.entries.retain(|entry| !entry.is_retired || entry.connections > 0 || counted(entry.id) > 0);
    }

    pub(crate) fn opened(&mut self, id: ListenerId) {
        if let Some(place) = self.place(id) {
            self.entries[place].connections += 1;
        }
    }

    /// How many connections a listener has on this shard.
    #[cfg(feature = "sim")]
    pub(crate) fn connections(&self, id: ListenerId) -> u32 {
        self.place(id).map_or(0, |place| self.entries[place].connections)
    }

    /// A connection is over; true if its listener may be of no use any more.
    pub(crate) fn closed(&mut self, id: ListenerId) -> bool {
        let Some(place) = self.place(id) else { return false };
        let entry = &mut self.entries[place];
        entry.connections = entry.connections.saturating_sub(1);
        entry.is_retired
    }

    /// Somebody was accepted; true if it is the first one after accepting had failed.
    pub(crate) fn accepted(&mut self, id: ListenerId) -> bool {
        let Some(place) = self.place(id) else { return false };
        let entry = &mut self.entries[place];
        entry.failures = 0;
        entry.paused.take().is_some()
    }

    /// A listener rests that can't accept: at once if the process is out of something, else after many failures. True if it
    /// begins to.
    pub(crate) fn accept_failed(&mut self, id: ListenerId, failure: AcceptFailure, until: Time) -> bool {
        let Some(place) = self.place(id).filter(|&place| !self.entries[place].is_retired) else { return false };
        let entry = &mut self.entries[place];
        entry.failures = entry.failures.saturating_add(1);
        if failure != AcceptFailure::Exhausted && entry.failures < ACCEPT_FAILURES_MAX {
            return false;
        }
        (entry.rests_until, entry.failures) = (Some(until), 0);
        entry.paused.replace(failure).is_none()
    }

    /// A connection is over, whose descriptor another one may have: who rests for want of one need not wait longer.
    pub(crate) fn descriptor_returned(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.paused == Some(AcceptFailure::Exhausted)) {
            entry.rests_until = None;
        }
    }

    pub(crate) fn is_resting(&self, id: ListenerId) -> bool {
        self.place(id).is_some_and(|place| self.entries[place].rests_until.is_some())
    }

    pub(crate) fn resting(&self) -> usize {
        self.entries.iter().filter(|entry| entry.rests_until.is_some()).count()
    }

    /// When the first one that rests has rested.
    pub(crate) fn next(&self) -> Option<Time> {
        self.entries.iter().filter_map(|entry| entry.rests_until).min()
    }

    pub(crate) fn elapsed(&mut self, now: Time) {
        for entry in &mut self.entries {
            entry.rests_until = entry.rests_until.filter(|&until| until > now);
        }
    }
}
