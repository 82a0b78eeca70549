//! Reconfiguration of a running server.

use super::Machine;
use crate::base::{ConnId, ListenerId, Time, some_time};
use crate::config::{Config, Listen, PeerLimits};
use crate::facts::Fact;
use crate::handler::{Event, Handler};
use crate::state::Listeners;
use crate::state::conn::Conn;
use crate::wire::{Protocol, Wire};
use alloc::vec::Vec;
use core::mem::discriminant;

impl<H: Handler> Machine<H> {
    /// Replaces the configuration.
    ///
    /// It applies at once, also to open connections. Only a listener's protocol and TLS apply to
    /// new connections alone. The seed and the cluster do not change.
    ///
    /// A time limit that is new or shorter restarts for connections that it would end at once, so
    /// that no connection is closed for time before the limit existed. A
    /// [lifetime](Config::lifetime) still counts from the opening. A connection that is paused for
    /// its rate stays paused, unless the rates change.
    ///
    /// A listener whose address stays is kept, with its connections, whatever else changes. A
    /// listener whose address is gone stops accepting; it is removed when its last connection ends.
    /// New listeners appear in [`listeners`](Self::listeners) with ids that were never used before.
    pub fn reconfigured(&mut self, now: Time, config: Config) {
        self.begin(now, &Fact::Reconfigured);
        let state = &mut self.state;
        // Every shard gets the configuration, and their counts are added up.
        state.metrics.reloads += u64::from(state.outbox.shard.number() == 0);
        let ids: Vec<_> = state.conns.ids().collect();
        let limits = |state: &crate::state::State, id: ConnId| {
            state.conns.get(id).map(|conn| *state.limits_of(conn)).unwrap_or_default()
        };
        let before: Vec<_> = ids.iter().map(|&id| limits(state, id)).collect();
        let kept = kept(&state.listeners, &config.listeners);
        state.listeners.replace(&config.listeners, &kept);
        state.forget_unused_listeners();
        state.limits = config.peer;
        state.outbound.set_limits(config.outbound);
        let remembers_otherwise = state.config.memory != config.memory;
        let cluster = state.config.cluster.take();
        state.config = Config { seed: state.config.seed, cluster, ..config };
        if remembers_otherwise {
            state.apply_memory();
        }
        let now = state.now;
        for (id, before) in ids.into_iter().zip(before) {
            let limits = limits(state, id);
            if let Some(conn) = state.conns.get_mut(id) {
                apply(&before, &limits, conn, now);
            }
            state.outbound.changed.insert(id.slot());
            state.schedule(id.slot());
        }
        state.settle_watermarks();
        state.configure_tunnels();
        self.pass_time_for_tunnels();
        self.emit(Event::Reconfigured);
    }

    /// Returns the listeners that the shell should keep open, with their ids.
    pub fn listeners(&self) -> impl Iterator<Item = (ListenerId, &Listen)> {
        self.state.listeners.open()
    }

    /// Returns a listener. A removed one exists as long as it has connections.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> Option<&Listen> {
        self.state.listeners.get(id)
    }

    /// Returns `true` if a listener with this id exists or existed.
    pub(crate) fn has_had_listener(&self, id: ListenerId) -> bool {
        self.state.listeners.has_had(id)
    }

    /// Returns the listeners of `config` at addresses that are not listened on yet, in order.
    pub fn new_addresses<'c>(&self, config: &'c Config) -> impl Iterator<Item = &'c Listen> {
        self.new_listeners(config).map(|(_, listen)| listen)
    }

    /// Returns the listeners of `config` at new addresses, with the ids that they will have.
    pub fn new_listeners<'c>(&self, config: &'c Config) -> impl Iterator<Item = (ListenerId, &'c Listen)> {
        let kept = kept(&self.state.listeners, &config.listeners);
        let new = config.listeners.iter().zip(kept).filter(|(_, kept)| kept.is_none());
        self.state.listeners.next_ids().zip(new.map(|(listen, _)| listen))
    }

    /// Returns the current listeners that `config` no longer has.
    pub fn old_listeners(&self, config: &Config) -> impl Iterator<Item = (ListenerId, &Listen)> {
        let kept = kept(&self.state.listeners, &config.listeners);
        self.listeners().filter(move |(id, _)| !kept.contains(&Some(*id)))
    }
}

/// Ends the rate pause of a connection if its rates changed, and restarts changed time limits.
///
/// A time limit restarts only if it would end the connection at once.
fn apply(before: &PeerLimits, limits: &PeerLimits, conn: &mut Conn, now: Time) {
    if before.rates != limits.rates && conn.rate_pause.take().is_some() {
        // A connection that is too fast under the new rates is paused again.
        conn.may_speak_again(now);
    }
    let is_over = |since: Time, span| some_time(span).is_some_and(|span| since + span <= now);
    if before.idle != limits.idle && is_over(conn.last_message_at, limits.idle) {
        conn.last_message_at = now;
        conn.idle_warned = false;
    }
    if before.silence != limits.silence && is_over(conn.last_byte_at, limits.silence) {
        conn.last_byte_at = now;
    }
    let deadline = |limits: &PeerLimits| limits.budget.message_deadline;
    if deadline(before) != deadline(limits) && conn.message_since.is_some_and(|since| since + deadline(limits) <= now) {
        conn.message_since = Some(now);
    }
}

/// Returns for each new listener the id of the existing listener at its address, if any.
///
/// Among several with a system-chosen port, those with most in common match.
fn kept(before: &Listeners, listeners: &[Listen]) -> Vec<Option<ListenerId>> {
    let mut free: Vec<_> = before.open().collect();
    let mut kept = alloc::vec![None; listeners.len()];
    let named = |one: &Listen, other: &Listen| one.name == other.name;
    let spoken = |one: &Listen, other: &Listen| match (&one.protocol, &other.protocol) {
        (Protocol::Spoken(one), Protocol::Spoken(other)) => discriminant::<Wire>(one) == discriminant(other),
        (one, other) => discriminant(one) == discriminant(other),
    };
    // How much two listeners have in common.
    let alike = |one: &Listen, other: &Listen| 2 * u8::from(named(one, other)) + u8::from(spoken(one, other));
    for least in [3, 2, 0] {
        for (listen, kept) in listeners.iter().zip(&mut kept).filter(|(_, kept)| kept.is_none()) {
            let is_it = |(_, old): &(ListenerId, &Listen)| old.address == listen.address && alike(old, listen) >= least;
            *kept = free.iter().position(is_it).map(|place| free.remove(place).0);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Echo;
    use crate::base::{Peer, Reason};
    use crate::facts::Shard;

    fn at(ports: &[u16]) -> Config {
        Config::listening(ports.iter().map(|&port| Listen::lines(([127, 0, 0, 1], port).into())))
    }

    #[test]
    fn removed_listener_is_forgotten_with_its_last_connection() {
        let mut machine = Machine::new(at(&[1]), Echo);
        machine.started(Time::START);
        let peer: Peer = "192.0.2.1:1".parse().expect("an address");
        let conn = machine.accepted(Time::START, ListenerId(0), peer).expect("let in");
        for port in 2..1_000 {
            machine.reconfigured(Time::START, at(&[port]));
            let known: Vec<_> = machine.state.listeners.all().map(|(id, _)| id.0).collect();
            assert_eq!(known, [0, u32::from(port) - 1], "the first one has a connection still");
        }
        assert_eq!(machine.state.listen_of(conn).map(|listen| &listen.address), Some(&at(&[1]).listeners[0].address));
        machine.failed(Time::START, conn, crate::base::Failure::Reset);
        assert_eq!(machine.state.listeners.all().count(), 1);
        assert_eq!(machine.metrics().ended.get(Reason::Reset), 1);
    }

    #[test]
    fn first_shard_keeps_removed_listener_while_others_use_it() {
        let shards = [0, 1].map(|number| Shard::new(number, 2).expect("in range"));
        let [mut first, mut second] = shards.map(|shard| Machine::shard(at(&[1]), Echo, shard));
        let peer: Peer = "192.0.2.1:1".parse().expect("an address");
        let places = [0, 1].map(|_| first.dispatched(Time::START, ListenerId(0), peer).expect("let in"));
        assert_eq!(places, [0, 1]);
        let own = first.adopted(Time::START, ListenerId(0), peer);
        let given = second.adopted(Time::START, ListenerId(0), peer);
        for machine in [&mut first, &mut second] {
            machine.reconfigured(Time::START, at(&[2]));
        }
        first.failed(Time::START, own, crate::base::Failure::Reset);
        assert_eq!(first.state.listeners.all().count(), 2);
        second.failed(Time::START, given, crate::base::Failure::Reset);
        assert_eq!(second.state.listeners.all().count(), 1);
        while let Some((_, message)) = second.next_shard_message() {
            first.shard_message_received(Time::START, &message);
        }
        assert_eq!(first.state.listeners.all().count(), 1);
        assert_eq!(first.state.admission.on(ListenerId(0)), 0);
    }
}
