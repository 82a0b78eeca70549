//! Consistency checks of tables and gauges, for tests.

use super::State;
use crate::base::Origin;
use crate::base::recount::{Recounted, ensure, same};
use crate::base::{AddressKey, ConnId, ListenerId};
use crate::state::conn::{Conn, Phase};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

impl State {
    /// Returns the first table or gauge that differs from a recount.
    pub(crate) fn recount(&self) -> Recounted {
        ensure(self.is_settled(), || "events wait between two facts".into())?;
        for id in self.conns.ids() {
            self.recount_connection(id)?;
        }
        self.recount_owners()?;
        self.recount_listeners()?;
        self.rooms.recount()?;
        self.recount_presence()?;
        self.outbound.recount(|index| self.conns.at(index).map(|conn| conn.encoding))?;
        self.timers.recount()?;
        self.tickets.recount()?;
        self.dials.recount()?;
        self.admission.recount()?;
        self.recount_memory()?;
        if self.outbox.shard.count() == 1 {
            self.recount_admission(&[self])?;
        }
        self.recount_gauges()
    }

    /// Checks what is stored about one connection.
    fn recount_connection(&self, id: ConnId) -> Recounted {
        let (index, Some(conn)) = (id.slot(), self.conns.get(id)) else { return Ok(()) };
        let blame = |what: &str| format!("connection {id} ({:?}): {what}", conn.phase);
        ensure(conn.phase != Phase::Over, || blame("is over and still there"))?;
        if !conn.is_open() {
            ensure(conn.rooms.is_empty(), || blame("is in a room"))?;
            ensure(conn.has_no_reason() || conn.handshake.exchange.is_none(), || blame("has a request and is ending"))?;
            ensure(conn.has_no_reason() || conn.held.is_empty(), || blame("holds input that is never served"))?;
        }
        ensure(!conn.is_open() || conn.handshake.exchange.is_none(), || blame("is open and has a request"))?;
        let rooms: BTreeSet<_> = conn.rooms.iter().collect();
        ensure(rooms.len() == conn.rooms.len(), || blame("is twice in a room"))?;
        for &room in &*conn.rooms {
            ensure(self.rooms.has(room, index, conn.encoding), || blame("is in a room that does not know"))?;
        }
        if let Some(deadline) = self.next_deadline(index) {
            let looked_at = self.agenda.at(index);
            // What is due at once is handled in the next moment: nothing is handled twice in one.
            let is_in_time = looked_at.is_some_and(|at| at <= deadline.at.max(self.now.plus_nanos(1)));
            ensure(is_in_time, || blame(&format!("{deadline:?} is missed: looked at {looked_at:?}")))?;
        }
        if let Some(identity) = conn.identity.as_ref().filter(|_| conn.is_open()) {
            let found = self.users.connections(&identity.user).iter().filter(|&&other| other == id).count();
            same(format_args!("connection {id} under its user"), found, 1)?;
        }
        if let Origin::Dial(dial) = conn.origin {
            ensure(self.dials.is_free_or_of(dial, id), || blame("its dial has another connection"))?;
        }
        Ok(())
    }

    /// Checks that all table entries refer to existing connections.
    fn recount_owners(&self) -> Recounted {
        let is_open = |conn: ConnId| self.open_slot(conn).is_some();
        let members: usize = self.conns.ids().filter_map(|id| self.conns.get(id)).map(|conn| conn.rooms.len()).sum();
        same("memberships", self.rooms.memberships(), members)?;
        for conn in self.timers.owners().chain(self.tickets.owners()).chain(self.watched.conns()) {
            ensure(is_open(conn), || format!("connection {conn} is not open and has a timer, a ticket or a watcher"))?;
        }
        for (user, conns) in self.users.iter() {
            ensure(!conns.is_empty(), || format!("user {user} has no connection"))?;
            for &conn in conns {
                let identity = self.conns.get(conn).and_then(|conn| conn.identity.as_ref());
                let belongs_to = identity.is_some_and(|identity| identity.user == *user);
                ensure(belongs_to && is_open(conn), || {
                    format!("connection {conn} is not open, or not of user {user}")
                })?;
            }
        }
        for (dial, conn) in self.dials.connections() {
            let belongs_to = self.conns.get(conn).is_some_and(|conn| conn.origin == Origin::Dial(dial));
            ensure(belongs_to, || format!("dial {} is said to be connection {conn}", dial.0))?;
        }
        for index in self.agenda.indices() {
            ensure(self.conns.at(index).is_some(), || format!("slot {index} is free and looked at"))?;
        }
        Ok(())
    }

    /// Checks that every connection has its listener, and that removed listeners have connections.
    fn recount_listeners(&self) -> Recounted {
        for (id, _) in self.listeners.all() {
            let here = self.count(|conn| conn.origin == Origin::Listener(id));
            let stored = self.listeners.connections(id) as usize;
            ensure(stored == here, || format!("connections of listener {}: stored {stored}, counted {here}", id.0))?;
            let is_of_use = self.listeners.get_open(id).is_some() || here > 0 || self.admission.on(id) > 0;
            ensure(is_of_use, || format!("listener {} is kept without connections", id.0))?;
        }
        let has_listener = |conn: &Conn| match conn.origin {
            Origin::Listener(listener) => self.listeners.get(listener).is_some(),
            Origin::Dial(_) => true,
        };
        same("connections with what they came by", self.count(has_listener), self.conns.len())?;
        let configured =
            self.listeners.open().map(|(_, listen)| listen).filter(|listen| self.config.listeners.contains(listen));
        same("listeners of the configuration", configured.count(), self.config.listeners.len())
    }

    pub(crate) fn count(&self, is_counted: impl Fn(&Conn) -> bool) -> usize {
        self.conns.ids().filter_map(|id| self.conns.get(id)).filter(|conn| is_counted(conn)).count()
    }

    /// Checks the counts on the first shard against the connections and rooms of all shards.
    pub(crate) fn recount_admission(&self, shards: &[&Self]) -> Recounted {
        let conns = || shards.iter().flat_map(|shard| shard.conns.ids().filter_map(|id| shard.conns.get(id)));
        let mut per_listener = BTreeMap::<ListenerId, u32>::new();
        let mut per_address = BTreeMap::<AddressKey, u32>::new();
        let (mut total, mut pending_auth) = (0, 0);
        for conn in conns() {
            total += 1;
            pending_auth += u32::from(conn.pending_auth);
            if let Origin::Listener(listener) = conn.origin {
                *per_listener.entry(listener).or_default() += 1;
                conn.counted_as().key().into_iter().for_each(|key| *per_address.entry(key).or_default() += 1);
            }
        }
        self.admission.is_as_counted(total, pending_auth, &per_listener, &per_address)?;
        let of_shard = |shard: &&Self| shard.count(|conn| matches!(conn.origin, Origin::Listener(_)));
        let placed: Vec<_> = shards.iter().map(|shard| u32::try_from(of_shard(shard)).unwrap_or(u32::MAX)).collect();
        if self.outbox.shard.count() > 1 && placed.len() == usize::from(self.outbox.shard.count()) {
            same("connections placed on shards", self.outbox.placed(), &placed)?;
            let mut rooms = BTreeMap::<_, u8>::new();
            let names = shards.iter().flat_map(|shard| shard.rooms.list()).map(|(name, _)| name);
            names.for_each(|name| *rooms.entry(name.into()).or_default() += 1);
            same("rooms on shards", self.outbox.rooms(), &rooms)?;
            for shard in shards {
                same("rooms of all shards, known to one", shard.outbox.rooms_of_all(), rooms.len())?;
            }
        }
        Ok(())
    }

    /// Checks the gauges of the metrics.
    fn recount_gauges(&self) -> Recounted {
        let metrics = self.metrics();
        let count = |is_counted: fn(&Conn) -> bool| self.count(is_counted) as u64;
        same("open", metrics.open, count(Conn::is_open))?;
        same("undecided", metrics.undecided, count(Conn::is_undecided))?;
        let kept = count(|conn| conn.is_undecided() && conn.was_answered);
        same("connections kept for HTTP", metrics.http_connections, kept)?;
        same("closing", metrics.closing, count(|conn| !conn.has_no_reason()))?;
        let is_stalled = |id: &ConnId| self.open_slot(*id).is_some_and(|index| self.outbound.is_stalled(index));
        same("stalled", metrics.stalled, self.conns.ids().filter(is_stalled).count() as u64)?;
        if self.outbox.is_alone() {
            same("rooms", metrics.rooms, self.rooms.list().count() as u64)?;
        }
        same("tickets", metrics.tickets, self.tickets.owners().count() as u64)?;
        same("quarantined", metrics.quarantined, self.admission.quarantine.iter(self.now).count() as u64)?;
        let rests = self.listeners.open().filter(|(id, _)| self.listeners.is_resting(*id)).count() as u64;
        same("accept_paused", metrics.accept_paused, rests)?;
        let queued = self.conns.ids().map(|id| self.outbound.pending(id.slot()) as u64).sum();
        same("queued_bytes", metrics.queued_bytes, queued)?;
        ensure(metrics.queued_bytes_peak >= queued, || "the peak of queued bytes is below what is queued".into())?;
        let ended = metrics.opened - count(Conn::is_open);
        same("connections that ended", metrics.ended.total(), ended)
    }
}
