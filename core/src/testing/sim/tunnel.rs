//! Simulated SSH servers that act on the intents of a machine, and checks of its tunnels.

use super::World;
use super::ssh_server::{Mood, SshServer};
use crate::base::{ConnId, ListenerId};
use crate::facts::Input;
use crate::handler::Handler;
use crate::tunnel::{TunnelFailure, TunnelId, TunnelIntent, TunnelReport, TunnelState};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

impl<H: Handler, A: super::Actor> World<H, A>
where
    H::Note: fmt::Display,
{
    /// Makes all SSH servers work, advances the clock, and checks that every tunnel is up.
    ///
    /// # Panics
    /// If a tunnel is not up after `within`, or another guarantee is broken.
    pub fn recover(&mut self, within: Duration) {
        let was_calm = core::mem::replace(&mut self.calm, true);
        self.nodes.iter_mut().for_each(|node| node.stalled_until = None);
        let until = self.now + within;
        while self.now < until {
            self.pass(Duration::from_millis(250));
            self.flush_all();
            self.check();
        }
        self.calm = was_calm;
        let statuses: Vec<_> = self.nodes[0].machine.tunnel_statuses().collect();
        for status in statuses {
            let is_up = status.state == TunnelState::Up;
            self.promise(is_up, &alloc::format!("{status} is up {within:?} after all SSH servers work"));
        }
    }

    /// Lets the SSH servers act on the machine's intents, and reports the results.
    pub(super) fn tend_tunnels(&mut self) {
        let intents: Vec<TunnelIntent> = self.nodes[0].machine.tunnels().collect();
        let config = self.nodes[0].machine.config();
        for number in 0..u32::try_from(config.tunnels.len()).unwrap_or(0) {
            let id = TunnelId(number);
            let mut server = self.servers.remove(&id).unwrap_or_default();
            if self.calm {
                (server.mood, server.held_until) = (Mood::Well, server.held_until.min(self.now));
            } else {
                server.change_mood(&mut self.random);
            }
            let intent = intents.iter().find(|intent| intent.link.tunnel == id);
            if server.link.is_some() && intent.map(|intent| intent.link) != server.link {
                let hold = Duration::from_secs(self.random.below(20));
                server.lose(self.now, hold);
            }
            if let Some(intent) = intent {
                self.tend(&mut server, intent);
            }
            self.servers.insert(id, server);
            self.expect_nobody_of(id);
        }
    }

    fn tend(&mut self, server: &mut SshServer, intent: &TunnelIntent) {
        let link = intent.link;
        let is_new = server.link != Some(link);
        if is_new {
            let soon = server.refused_at.is_some_and(|at| self.now.since(at) < intent.tunnel.refused_wait);
            self.promise(!soon, "a tunnel waits for refused_wait after a refused login");
        }
        server.link = Some(link);
        let fail = |failure: TunnelFailure| TunnelReport::Failed { failure, words: "simulated".to_string() };
        let report = match (server.mood, server.connected) {
            (Mood::Well, false) => {
                server.connected = true;
                server.refused_at = None;
                TunnelReport::Connected
            }
            (Mood::Away, false) => fail(TunnelFailure::Network),
            (Mood::Unfriendly, false) => {
                server.refused_at = Some(self.now);
                fail(TunnelFailure::Authentication)
            }
            (Mood::Away, true) => {
                server.lose(self.now, Duration::ZERO);
                fail(TunnelFailure::Disconnected)
            }
            (Mood::Silent, false) => return,
            (Mood::Silent, true) => {
                let since = *server.silent_since.get_or_insert(self.now);
                let keep_alive = intent.tunnel.keep_alive;
                let longest = keep_alive.interval * (keep_alive.count_max + 1);
                return self.promise(self.now.since(since) <= longest, "a dead link is detected in time");
            }
            (Mood::Well | Mood::Unfriendly, true) => {
                server.silent_since = None;
                return self.serve(server, intent);
            }
        };
        self.apply(0, Input::TunnelReported { link, report });
    }

    /// Serves a logged-in link: binds forwards, answers keep-alives, and closes on request.
    fn serve(&mut self, server: &mut SshServer, intent: &TunnelIntent) {
        let link = intent.link;
        if intent.closing {
            server.lose(self.now, Duration::ZERO);
            return self.apply(0, Input::TunnelReported { link, report: TunnelReport::Closed });
        }
        server.bound.retain(|listener, _| intent.forwards.iter().any(|forward| forward.listener == *listener));
        for forward in &intent.forwards {
            let listener = forward.listener;
            if server.bound.get(&listener) == Some(&forward.tries) {
                continue;
            }
            let report = if server.held_until > self.now {
                TunnelReport::Refused { listener }
            } else {
                server.bound.insert(listener, forward.tries);
                TunnelReport::Bound { listener, port: 7000 }
            };
            self.apply(0, Input::TunnelReported { link, report });
        }
        if server.answered != intent.asked {
            server.answered = intent.asked;
            self.apply(0, Input::TunnelReported { link, report: TunnelReport::Answered(intent.asked) });
        }
    }

    /// Returns `true` unless a listener is forwarded and no SSH server has bound it.
    pub(super) fn is_reachable(&self, listener: ListenerId) -> bool {
        let listen = self.nodes[0].machine.listeners().find(|(id, _)| *id == listener).map(|(_, listen)| listen);
        let is_bound = || self.servers.values().any(|server| server.bound.contains_key(&listener));
        listen.is_none_or(|listen| listen.address.forward().is_none()) || is_bound()
    }

    /// Checks that no accepted connection is left if a tunnel has no link.
    ///
    /// Checks nothing if the first listener is not forwarded.
    fn expect_nobody_of(&self, id: TunnelId) {
        let has_link = self.nodes[0].machine.tunnels().any(|intent| intent.link.tunnel == id);
        let config = self.nodes[0].machine.config();
        let is_forwarded = config.listeners.first().is_some_and(|listen| listen.address.forward().is_some());
        if has_link || !is_forwarded {
            return;
        }
        let stays = |conn: ConnId| self.nodes[0].machine.intent(conn).is_some();
        let accepted = self.nodes[0].sockets.iter().flatten().filter(|plug| !self.ends[plug.peer].place.is_remote);
        let stays = accepted.map(|plug| plug.conn).any(stays);
        self.promise(!stays, "no connection outlives its tunnel");
    }
}
