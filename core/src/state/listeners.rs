//! Listeners, and whether each of them accepts connections.

use crate::base::AcceptFailure;
use crate::base::Origin;
use crate::base::{ListenerId, Time};
use crate::config::{Config, Listen};
use alloc::vec::Vec;

/// The listeners of the configuration, and removed ones that still have connections.
///
/// Ids are never reused, so all shards of a server assign the same ids. A listener that a reload
/// removed is dropped with its last connection.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// Entries in ascending order of their ids.
    entries: Vec<Entry>,
    next: u32,
}

#[derive(Debug)]
struct Entry {
    id: ListenerId,
    listen: Listen,
    /// Whether a reload removed the listener, so that it accepts nothing.
    is_retired: bool,
    /// Time before which the listener accepts nothing.
    rests_until: Option<Time>,
    /// Accept failures since the last success or pause.
    failures: u8,
    /// Why the listener paused, as reported to the handler. `None` after a successful accept.
    paused: Option<AcceptFailure>,
    /// Number of the listener's connections on this shard.
    connections: u32,
}

/// Number of consecutive transient accept failures after which a listener pauses.
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

    /// Returns a listener, even if it was removed from the configuration.
    pub(crate) fn get(&self, id: ListenerId) -> Option<&Listen> {
        self.place(id).map(|place| &self.entries[place].listen)
    }

    /// Returns the listener that accepted a connection. `None` if the connection was dialled.
    pub(crate) fn of(&self, origin: Origin) -> Option<&Listen> {
        match origin {
            Origin::Listener(listener) => self.get(listener),
            Origin::Dial(_) => None,
        }
    }

    /// Returns a listener, if it is in the configuration.
    pub(crate) fn get_open(&self, id: ListenerId) -> Option<&Listen> {
        let entry = &self.entries[self.place(id)?];
        (!entry.is_retired).then_some(&entry.listen)
    }

    /// Returns the listeners of the configuration.
    pub(crate) fn open(&self) -> impl Iterator<Item = (ListenerId, &Listen)> {
        self.entries.iter().filter(|entry| !entry.is_retired).map(|entry| (entry.id, &entry.listen))
    }

    /// Returns all listeners, including removed ones with connections.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ListenerId, &Listen)> {
        self.entries.iter().map(|entry| (entry.id, &entry.listen))
    }

    /// Returns `true` if `id` was ever assigned.
    pub(crate) const fn has_had(&self, id: ListenerId) -> bool {
        id.0 < self.next
    }

    fn place(&self, id: ListenerId) -> Option<usize> {
        // While no listener was removed, each is at the index of its id.
        if self.entries.get(id.index()).is_some_and(|entry| entry.id == id) {
            return Some(id.index());
        }
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    /// Replaces the listeners. `of_before` has, per new listener, the id that it keeps, if any.
    pub(crate) fn replace(&mut self, listeners: &[Listen], of_before: &[Option<ListenerId>]) {
        for entry in &mut self.entries {
            entry.is_retired = !of_before.contains(&Some(entry.id));
            // A removed listener has nothing to resume.
            entry.rests_until = entry.rests_until.filter(|_| !entry.is_retired);
        }
        for (listen, before) in listeners.iter().zip(of_before) {
            match before.and_then(|id| self.place(id)) {
                Some(place) => self.entries[place].listen = listen.clone(),
                None => self.add(listen),
            }
        }
    }

    /// Returns the ids that new listeners will get.
    pub(crate) fn next_ids(&self) -> impl Iterator<Item = ListenerId> + use<> {
        (self.next..).map(ListenerId)
    }

    /// Drops removed listeners without connections.
    ///
    /// `counted` returns a listener's connections on all shards.
    pub(crate) fn forget_unused(&mut self, counted: impl Fn(ListenerId) -> u32) {
        self.entries.retain(|entry| !entry.is_retired || entry.connections > 0 || counted(entry.id) > 0);
    }

    pub(crate) fn opened(&mut self, id: ListenerId) {
        if let Some(place) = self.place(id) {
            self.entries[place].connections += 1;
        }
    }

    /// Returns the number of a listener's connections on this shard.
    #[cfg(feature = "sim")]
    pub(crate) fn connections(&self, id: ListenerId) -> u32 {
        self.place(id).map_or(0, |place| self.entries[place].connections)
    }

    /// Counts an ended connection. Returns true if its listener was removed and may be unused.
    pub(crate) fn closed(&mut self, id: ListenerId) -> bool {
        let Some(place) = self.place(id) else { return false };
        let entry = &mut self.entries[place];
        entry.connections = entry.connections.saturating_sub(1);
        entry.is_retired
    }

    /// Records a successful accept. Returns true if the listener was paused before.
    pub(crate) fn accepted(&mut self, id: ListenerId) -> bool {
        let Some(place) = self.place(id) else { return false };
        let entry = &mut self.entries[place];
        entry.failures = 0;
        entry.paused.take().is_some()
    }

    /// Records a failed accept, which may pause the listener.
    ///
    /// It pauses at once if the process is out of resources, otherwise after many failures in a
    /// row. Returns true if this pauses a listener that was not paused before.
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

    /// Resumes listeners that ran out of descriptors, after a connection freed one.
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

    /// Returns when the first paused listener accepts again.
    pub(crate) fn next(&self) -> Option<Time> {
        self.entries.iter().filter_map(|entry| entry.rests_until).min()
    }

    pub(crate) fn elapsed(&mut self, now: Time) {
        for entry in &mut self.entries {
            entry.rests_until = entry.rests_until.filter(|&until| until > now);
        }
    }
}
