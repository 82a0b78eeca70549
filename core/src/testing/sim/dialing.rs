//! Makes the attempts of dials as a shell does, with late and repeated results.

use super::World;
use super::attempt::Attempt;
use super::peer::{Actor, PeerEnd, Socket};
use crate::base::{ConnId, DialId, Failure, Peer};
use crate::facts::Input;
use crate::handler::Handler;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

/// The source address of every dialled peer.
const REMOTE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 7);

impl<H: Handler, A: Actor> World<H, A>
where
    H::Note: fmt::Display,
{
    /// Returns all attempts of dials so far, in the order in which they began.
    ///
    /// Empty if no peer was added with [`add_remote_at`](Self::add_remote_at).
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Completes one pending dial: it connects a remote peer, or fails.
    pub(super) fn answer_a_dial(&mut self, node: usize) {
        if self.is_stalled(node) || self.has_addresses() {
            return self.repeat_a_result(node);
        }
        let Some(dial) = self.nodes[node].machine.dials().map(|(dial, _)| dial).next() else { return };
        let waits = |end: &PeerEnd<A>| end.socket == Socket::Remote;
        let peer = self.ends.iter().position(waits).filter(|_| self.random.below(3) > 0);
        match peer {
            Some(peer) => drop(self.connect_remote(node, dial, peer)),
            None => self.apply(node, Input::DialFailed { dial, failure: Failure::Refused }),
        }
    }

    fn connect_remote(&mut self, node: usize, dial: DialId, peer: usize) -> Option<ConnId> {
        let from = Peer::Address(SocketAddr::from(REMOTE));
        let conn = self.nodes[node].machine.dialed(self.now, dial, from)?;
        self.ends[peer].begin(&mut self.random);
        self.plug_in(peer, conn);
        Some(conn)
    }

    /// Returns `true` if peers have addresses: attempts then take time, and reach only those.
    fn has_addresses(&self) -> bool {
        self.ends.iter().any(|end| end.address.is_some())
    }

    /// Starts the attempts that a machine wants, and cancels those that it wants no longer.
    ///
    /// A shell does this at the end of each turn.
    pub(super) fn begin_dials(&mut self, node: usize) {
        if !self.has_addresses() || self.is_stalled(node) {
            return;
        }
        while let Some(dial) = self.nodes[node].machine.next_changed_dial() {
            let address = self.nodes[node].machine.address_to_dial(dial).map(ToString::to_string);
            match (address, self.nodes[node].dialing.get(&dial).copied()) {
                (Some(address), Some(number)) => {
                    let kept = self.attempts[number].address == address;
                    self.promise(kept, "an attempt in progress keeps its address");
                }
                (Some(address), None) => {
                    self.nodes[node].dials_tls |= self.nodes[node].machine.dial_has_tls(dial);
                    let attempt = self.draw_attempt(node, dial, address);
                    self.nodes[node].dialing.insert(dial, self.attempts.len());
                    self.attempts.push(attempt);
                }
                (None, Some(number)) => {
                    self.nodes[node].dialing.remove(&dial);
                    self.attempts[number].ended = Some(self.now);
                }
                (None, None) => {}
            }
        }
        let wanted: Vec<DialId> = self.nodes[node].machine.dials().map(|(dial, _)| dial).collect();
        let dialing: Vec<DialId> = self.nodes[node].dialing.keys().copied().collect();
        let words = || format!("next_changed_dial returns changed dials: {dialing:?} are tried, {wanted:?} are wanted");
        self.promise(wanted == dialing, &words());
    }

    /// Draws when the result is due: mostly soon, sometimes after a slow lookup, sometimes never.
    fn draw_attempt(&mut self, node: usize, dial: DialId, address: String) -> Attempt {
        let wait = match self.random.below(8) {
            0 => None,
            1 => Some(Duration::from_millis(self.random.below(40_000))),
            2 => Some(Duration::ZERO),
            _ => Some(Duration::from_millis(self.random.below(300))),
        };
        let due = wait.map(|wait| self.now + wait);
        let shard = u8::try_from(node).unwrap_or(u8::MAX);
        Attempt { shard, dial, address, began: self.now, ended: None, connected: None, failed: None, due }
    }

    /// Reports the results of all attempts of a shard that are due.
    pub(super) fn finish_dials(&mut self, node: usize) {
        if self.is_stalled(node) {
            return;
        }
        let is_due = |number: &usize| self.attempts[*number].due.is_some_and(|due| due <= self.now);
        let due: Vec<usize> = self.nodes[node].dialing.values().copied().filter(is_due).collect();
        for number in due {
            let Attempt { dial, address, .. } = self.attempts[number].clone();
            // Handling an earlier result may have cancelled this one.
            if self.nodes[node].dialing.remove(&dial).is_none() {
                continue;
            }
            let waits = |end: &PeerEnd<A>| end.socket == Socket::Remote && end.address.as_ref() == Some(&address);
            let known = self.ends.iter().any(|end| end.address.as_ref() == Some(&address));
            self.attempts[number].ended = Some(self.now);
            if let Some(peer) = self.ends.iter().position(waits) {
                let conn = self.connect_remote(node, dial, peer);
                self.attempts[number].connected = conn.map(|conn| (conn, peer));
                // The handshake begins at this time.
                self.flush(node);
            } else {
                let dead = [Failure::Unreachable, Failure::TimedOut, Failure::Other, Failure::Refused];
                let drawn = usize::try_from(self.random.below(4)).unwrap_or(0);
                let failure = if known { Failure::Refused } else { dead[drawn] };
                self.attempts[number].failed = Some(failure);
                self.apply(node, Input::DialFailed { dial, failure });
            }
            self.begin_dials(node);
        }
    }

    /// Reports a result again, or the late result of a cancelled attempt.
    ///
    /// A shell may do so unless the dial has a newer attempt. The machine must ignore it.
    fn repeat_a_result(&mut self, node: usize) {
        if self.attempts.is_empty() || self.is_stalled(node) {
            return;
        }
        self.begin_dials(node);
        let number = usize::try_from(self.random.below(self.attempts.len() as u64)).unwrap_or(0);
        let Attempt { shard, dial, .. } = self.attempts[number];
        if usize::from(shard) != node || self.nodes[node].dialing.contains_key(&dial) {
            return;
        }
        let events = self.nodes[node].machine.handler().digest();
        if self.random.below(2) == 0 {
            let from = Peer::Address(SocketAddr::from(REMOTE));
            let conn = self.nodes[node].machine.dialed(self.now, dial, from);
            self.promise(conn.is_none(), "a late or repeated connection of a dial is refused");
        } else {
            self.apply(node, Input::DialFailed { dial, failure: Failure::Refused });
        }
        let same = events == self.nodes[node].machine.handler().digest();
        self.promise(same, "a late or repeated result of a dial causes no event");
    }
}
