//! A new configuration while the server runs.

use super::Machine;
use crate::handler::Handler;
use crate::input::Fact;
use crate::state::{Door, open_listeners};
use crate::wire::{Protocol, Wire};
use crate::{Config, Listen, ListenerId, Time};
use alloc::vec::Vec;
use core::mem::discriminant;

impl<H: Handler> Machine<H> {
    /// There is a new configuration. What it says holds from now on, for connections that are open as well, but for how
    /// something is spoken at a listener, and its TLS: those hold for new connections. The seed stays what it was.
    ///
    /// A listener of the same address stays, whatever else about it changes, and its connections with it. One whose address is
    /// no longer there lets nobody in any more; its connections stay. What is new is [listed](Self::listeners) for the shell
    /// to listen at.
    pub fn reconfigured(&mut self, now: Time, config: Config) {
        self.begin(now, &Fact::Reconfigured);
        let state = &mut self.state;
        state.metrics.reloads += 1;
        let before = core::mem::take(&mut state.config.listeners);
        let seed = state.config.seed;
        let Config { listeners, .. } = &config;
        let places = places(&before, &state.doors, listeners);
        let mut kept = before;
        for (door, number) in state.doors.iter_mut().zip(0..) {
            if !places.contains(&Some(number)) {
                // What is no longer there has nothing to rest from.
                *door = Door { is_retired: true, ..Door::default() };
            }
        }
        for (listen, place) in listeners.iter().zip(places) {
            if let Some(place) = place {
                kept[place] = listen.clone();
            } else {
                kept.push(listen.clone());
                state.doors.push(Door::default());
            }
        }
        state.limits = config.peer_limits();
        state.outbound.set_limits(config.outbound);
        state.config = Config { listeners: kept, seed, ..config };
        let ids: Vec<_> = state.conns.ids().collect();
        for id in ids {
            // Whoever is too fast by what holds now is found so again.
            if let Some(conn) = state.conns.get_mut(id) {
                conn.rate_pause = None;
            }
            state.outbound.changed.insert(id.slot());
            state.schedule(id.slot());
        }
        state.settle_crossings();
        state.configure_tunnels();
        self.pass_time_for_tunnels();
        self.settle();
    }

    /// Where the server should listen now.
    pub fn listeners(&self) -> impl Iterator<Item = (ListenerId, &Listen)> {
        open_listeners(&self.state.config, &self.state.doors)
    }

    /// The addresses of `config` that the server does not listen at yet, in its order.
    pub fn new_addresses<'c>(&self, config: &'c Config) -> impl Iterator<Item = &'c Listen> {
        let places = places(&self.state.config.listeners, &self.state.doors, &config.listeners);
        config.listeners.iter().zip(places).filter(|(_, place)| place.is_none()).map(|(listen, _)| listen)
    }
}

/// Which of the listeners that there are each new one is, if it is one: the same address, and of several that let the system
/// choose their port, those that have most in common.
fn places(before: &[Listen], doors: &[Door], listeners: &[Listen]) -> Vec<Option<usize>> {
    let mut taken: Vec<_> = doors.iter().map(|door| door.is_retired).collect();
    let mut places = alloc::vec![None; listeners.len()];
    let named = |one: &Listen, other: &Listen| one.name == other.name;
    let spoken = |one: &Listen, other: &Listen| match (&one.protocol, &other.protocol) {
        (Protocol::Spoken(one), Protocol::Spoken(other)) => discriminant::<Wire>(one) == discriminant(other),
        (one, other) => discriminant(one) == discriminant(other),
    };
    // How much two have in common.
    let alike = |one: &Listen, other: &Listen| 2 * u8::from(named(one, other)) + u8::from(spoken(one, other));
    for least in [3, 2, 0] {
        for (listen, place) in listeners.iter().zip(&mut places).filter(|(_, place)| place.is_none()) {
            let is_it =
                |(old, taken): (&Listen, &bool)| !taken && old.address == listen.address && alike(old, listen) >= least;
            *place = before.iter().zip(&taken).position(is_it);
            if let Some(found) = *place {
                taken[found] = true;
            }
        }
    }
    places
}
