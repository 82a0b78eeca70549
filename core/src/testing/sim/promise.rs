//! The guarantees that a world checks, each with its name.

use super::node::Plug;
use super::peer::{Actor, PeerEnd, Socket};
use super::{Node, World};
use crate::base::{ConnId, ListenerId, Reason, Time};
use crate::config::{Config, Rates};
use crate::handler::Handler;
use crate::machine::{End, Machine};
use crate::wire::{Protocol, Wire};
use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// Longest wait for anything that no rate limit slows down.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Maximum number of bytes that a rate may charge for one key.
///
/// A key may redraw the longest line that can be edited, and look up each of its characters.
const KEY_UNITS: u64 = 8 * 4_096;

/// Number of checks per recount of gauges and tables.
const RECOUNTS_EVERY: u32 = 4;

impl<H: Handler, A: Actor> World<H, A>
where
    H::Note: fmt::Display,
{
    /// Asserts a guarantee.
    ///
    /// # Panics
    /// If it is broken: with the seed, the guarantee, and the trace.
    pub(super) fn promise(&self, kept: bool, promise: &str) {
        if !kept {
            self.quiet.set(true);
        }
        assert!(kept, "seed {}: broken guarantee: {promise}. The trace:\n{}", self.seed, self.traces());
    }

    /// Checks the guarantees that hold after each step.
    pub(super) fn check(&self) {
        // A recount takes as long as all other checks together.
        let checks = self.checks.get();
        self.checks.set(checks.wrapping_add(1));
        let recounts = checks.is_multiple_of(RECOUNTS_EVERY);
        let open: u64 = self.nodes.iter().map(|node| self.check_node(node, recounts)).sum();
        let dialed: u64 = self.nodes.iter().map(|node| self.dialed(node)).sum();
        // A new configuration may allow fewer connections than are open.
        let is_first = self.nodes[0].configs.len() == 1;
        let allowed = u64::from(self.config().connections.total) + dialed;
        self.promise(!is_first || open <= allowed, "there are no more connections than allowed");
    }

    fn dialed(&self, node: &Node<H>) -> u64 {
        node.sockets.iter().flatten().filter(|plug| self.ends[plug.peer].place.is_remote).count() as u64
    }

    /// Checks the guarantees of one shard. Returns its number of connections.
    fn check_node(&self, node: &Node<H>, recounts: bool) -> u64 {
        let watch = node.machine.handler();
        if let Some(broken) = watch.broken() {
            self.promise(false, broken);
        }
        if let Some(Err(wrong)) = recounts.then(|| node.machine.recount()) {
            self.promise(false, &format!("gauges and tables equal recounts: {wrong}"));
        }
        let metrics = node.machine.metrics();
        // The application has no events of the link to a broker.
        let (links, stalled_links) = node.machine.open_links();
        let (open, stalled) = (watch.open() as u64 + links, watch.stalled() as u64 + stalled_links);
        self.promise(metrics.open == open, "the gauge of open connections equals their number");
        self.promise(metrics.stalled == stalled, "the gauge of stalled connections equals their number");
        let intents = || node.sockets.iter().flatten().filter_map(|plug| node.machine.intent(plug.conn));
        let all = metrics.open + metrics.closing + metrics.undecided;
        self.promise(all == intents().count() as u64, "each connection that has not ended is counted once");
        if !node.has_tls() {
            let owed: u64 = intents().map(|intent| intent.transmit.len() as u64).sum();
            self.promise(metrics.queued_bytes == owed, "the gauge of queued bytes equals their sum");
            self.promise(metrics.bytes_in == node.bytes_in, "the counter of bytes read equals their number");
        }
        all
    }

    /// Checks that `next_changed` has returned every connection whose intent has changed.
    pub(super) fn check_hint(&self, node: usize) {
        let node = &self.nodes[node];
        for plug in node.sockets.iter().flatten() {
            let shown = node.shown(plug.conn);
            if shown != plug.shown {
                let words =
                    format!("next_changed returns changed intents: {} was {:?}, {shown:?}", plug.conn, plug.shown);
                self.promise(false, &words);
            }
        }
    }

    /// Checks that a peer that answers pings was not closed as silent.
    pub(super) fn check_silence(&self, plug: Plug) {
        let (node, end) = (&self.nodes[usize::from(plug.conn.shard())], &self.ends[plug.peer]);
        let is_silent = node.machine.handler().reason(plug.conn) == Some(Reason::Silent);
        if !is_silent || !end.always_steady || end.ended || !end.actor.answers_pings() {
            return;
        }
        let is_asked = node.configs.iter().all(|config| is_asked_in_time(config, end.place.listener));
        self.promise(!is_asked, "a peer that answers pings is not closed as silent");
    }

    /// Checks that the peer has observed no violation of its wire's rules.
    pub(super) fn check_actor(&self, peer: usize) {
        if let Some(broken) = self.ends[peer].actor.broken() {
            let conn = self.ends[peer].conns.last().map(|conn| format!(" ({conn})")).unwrap_or_default();
            self.promise(false, &format!("peer {peer}{conn} receives only what its wire allows: {broken}"));
        }
    }

    /// Returns `true` if the server must still read from a peer, or end a fully closed connection.
    pub(super) fn is_owed(&self, end: &PeerEnd<A>, conn: ConnId) -> bool {
        let machine = &self.nodes[usize::from(conn.shard())].machine;
        let Some(intent) = machine.intent(conn) else { return false };
        let ends = end.told_end && intent.end == End::Shutdown;
        ends || !machine.is_paused(conn) && (end.has_input() || !intent.read && !end.told_end)
    }

    /// Checks that the first shard's counts for all shards are right, if no message is in transit.
    pub(super) fn check_shards(&self) {
        let is_calm = self.nodes.iter().all(|node| node.waiting() == 0);
        let machines: Vec<_> = self.nodes.iter().map(|node| &node.machine).collect();
        if let (true, Err(wrong)) = (is_calm, Machine::recount_shards(&machines)) {
            self.promise(false, &format!("the counts for all shards equal recounts: {wrong}"));
        }
    }

    /// Checks that one fact cost no more steps than its budget allows.
    #[cfg(feature = "work")]
    pub(super) fn check_work(&self, node: usize, bytes: usize, steps: u64) {
        let node = &self.nodes[node];
        let config = node.machine.config();
        let special = config.listeners.iter().filter_map(|listen| listen.limits.as_ref()).map(|limits| limits.budget);
        let most = special.chain([config.peer.budget]).map(|budget| budget.steps_max(bytes)).max().unwrap_or(0);
        // Each connection may have an expired deadline and may receive the published message.
        let peers = 2 + node.sockets.len() as u64;
        let is_bounded = steps <= most.saturating_mul(peers);
        self.promise(is_bounded, &format!("one fact costs a bounded number of steps, not {steps} for {bytes} bytes"));
    }

    /// Checks that no input or close has been pending since `since` for longer than rates justify.
    pub(super) fn check_patience(&self, since: Time) {
        for end in &self.ends {
            let Socket::Open(conn) = end.socket else { continue };
            let told = end.told + end.sent.len() as u64;
            let waited = self.now.since(since.max(end.since));
            let node = &self.nodes[usize::from(conn.shard())];
            let of_dial = node.machine.dial_limits(conn).map(|limits| slowest(limits.rates, told.saturating_mul(4)));
            let longest =
                node.configs.iter().map(|config| patience(config, end.place.listener, told)).max().max(of_dial);
            let is_patient = longest.is_none_or(|longest| waited <= longest);
            if !is_patient && self.is_owed(end, conn) {
                let what = if end.told_end {
                    "a connection ends once both halves are closed"
                } else {
                    "what a peer sent is read once nothing blocks it"
                };
                let words = format!("{what}: {conn}, {} bytes, after {waited:?}", end.sent.len());
                self.promise(false, &words);
            }
        }
    }

    /// Checks the guarantees that hold after a drain.
    pub(super) fn check_end(&self) {
        for node in &self.nodes {
            let metrics = node.machine.metrics();
            let gauges = [
                (metrics.queued_bytes, "queued bytes"),
                (metrics.open, "open connections"),
                (metrics.closing, "closing connections"),
                (metrics.undecided, "undecided connections"),
                (metrics.stalled, "stalled connections"),
                (metrics.rooms, "rooms"),
                (metrics.tickets, "tickets"),
            ];
            for (gauge, name) in gauges {
                self.promise(gauge == 0, &format!("no {name} are left after a drain"));
            }
            self.promise(metrics.opened == metrics.ended.total(), "every connection ended with one reason");
            self.promise(node.machine.dial_count() == 0, "no dials are left after a drain");
            self.promise(node.machine.has_no_seats(), "no members, holders and requests of rooms with a home are left");
            let watch = node.machine.handler();
            self.promise(watch.open() == 0, "every connection that was opened was closed");
            self.promise(watch.closed() as u64 <= metrics.opened, "no more connections close than were opened");
            let sockets = node.sockets.iter().flatten().count();
            self.promise(sockets == 0, "every socket was dropped");
        }
    }
}

/// Returns `true` if peers of this listener are pinged before they count as silent.
fn is_asked_in_time(config: &Config, listener: ListenerId) -> bool {
    let Some(listen) = config.listeners.get(listener.index()) else { return false };
    let silence = listen.limits.as_ref().map_or(config.peer.silence, |limits| limits.silence);
    let Protocol::Http(http) = &listen.protocol else { return false };
    http.ping.zip(silence).is_some_and(|(ping, silence)| !ping.is_zero() && ping < silence)
}

/// Returns `true` if peers may send single keys on a listener with this protocol.
fn may_type(protocol: &Protocol) -> bool {
    match protocol {
        Protocol::Spoken(wire) => matches!(wire, Wire::Telnet(_)),
        Protocol::Auto(_) | Protocol::Ssh(_) => true,
        Protocol::Http(http) => http.telnet.is_some(),
    }
}

/// Returns the longest time that serving `bytes` bytes may take at the rates of a listener.
fn patience(config: &Config, listener: ListenerId, bytes: u64) -> Duration {
    let listen = config.listeners.get(listener.index());
    let rates = listen.and_then(|listen| listen.limits.as_ref()).map_or(config.peer.rates, |limits| limits.rates);
    // Each byte may be a message, and compressed bytes count as inflated ones. Where the server
    // edits the line, each byte may be a key that redraws the whole line and is charged for it.
    let units = if listen.is_some_and(|listen| may_type(&listen.protocol)) { KEY_UNITS } else { 4 };
    slowest(rates, bytes.saturating_mul(units))
}

/// Returns the longest time that serving `units` may take at these rates.
fn slowest(rates: Rates, units: u64) -> Duration {
    let slow = [rates.messages, rates.bytes].into_iter().flatten().map(|rate| rate.time_for(units));
    slow.fold(PATIENCE, Duration::saturating_add)
}
