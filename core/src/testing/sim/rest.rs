//! Bringing a world to rest: all links are steady until nothing is in transit.

use super::World;
use super::peer::{Actor, Link, PeerEnd, ROOMY, Socket};
use crate::handler::Handler;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// Maximum number of deadlines that may pass while a world comes to rest.
const DUE_AT_REST_MAX: u32 = 20_000;

impl<H: Handler, A: Actor> World<H, A>
where
    H::Note: fmt::Display,
{
    /// Makes all links steady, advances time until nothing is in transit, and restores the links.
    ///
    /// Stalls of shards end, and SSH servers work until then. Afterwards all messages between
    /// shards are delivered, all input is served and all output is received.
    ///
    /// # Panics
    /// If a guarantee is broken. Above all: if input is never read, although the application has
    /// not paused the connection, the peer keeps its rates, and the peer reads its output.
    pub fn rest(&mut self) {
        let links: Vec<Link> = self.ends.iter().map(|end| end.link).collect();
        let was_calm = core::mem::replace(&mut self.calm, true);
        self.nodes.iter_mut().for_each(|node| node.stalled_until = None);
        for peer in 0..self.ends.len() {
            let end = &mut self.ends[peer];
            (end.link, end.writable) = (Link::Steady, ROOMY);
            if let Socket::Open(conn) = end.socket {
                self.write(peer, conn);
            }
        }
        self.come_to_rest();
        self.ends.iter_mut().zip(links).for_each(|(end, link)| end.link = link);
        self.calm = was_calm;
    }

    fn come_to_rest(&mut self) {
        let (since, mut left, mut span) = (self.now, DUE_AT_REST_MAX, Duration::from_millis(100));
        loop {
            self.deliver_mail();
            (0..self.nodes.len()).for_each(|node| self.finish_jobs(node, usize::MAX));
            self.flush_all();
            self.deliver_steady();
            left -= self.pass_until(self.now + span, left).min(left);
            // Messages that were just sent between shards must not count as a reason not to read.
            self.deliver_mail();
            self.check();
            // A dial may reconnect without end.
            let counts = |end: &PeerEnd<A>| !end.place.is_remote || end.since <= since;
            let waits = |end: &PeerEnd<A>| matches!(end.socket, Socket::Open(conn) if self.is_owed(end, conn));
            let waits = self.ends.iter().any(|end| counts(end) && waits(end));
            if !waits || left == 0 {
                break;
            }
            self.check_patience(since);
            span = (span * 2).min(Duration::from_secs(600));
        }
        for end in &mut self.ends {
            let Socket::Open(conn) = end.socket else { continue };
            let intent = self.nodes[usize::from(conn.shard())].machine.intent(conn);
            if end.sent.is_empty() && intent.is_some_and(|intent| intent.read && intent.transmit.is_empty()) {
                end.actor.rested();
            }
        }
        (0..self.ends.len()).for_each(|peer| self.check_actor(peer));
        self.check_shards();
    }
}
