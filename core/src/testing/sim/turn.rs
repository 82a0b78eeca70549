//! The steps of a world, which call the machines as a shell does, but in random order.

use super::node::{Mail, Plug};
use super::peer::{Act, Actor, Link, ROOMY, Socket};
use super::{World, node::Node};
use crate::base::{AcceptFailure, Failure};
use crate::base::{ConnId, ListenerId, Peer, Time};
use crate::config::{Config, Gather};
use crate::facts::{Addressee, ShardMessage};
use crate::facts::{Command, Input};
use crate::handler::Handler;
use crate::machine::{Accepting, End};
use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

/// Maximum number of deadlines within one microsecond. More count as an endless loop.
const DUE_AT_ONCE_MAX: u32 = 10_000;
/// Maximum number of rounds of answers between steady peers and the server before time passes.
const ANSWERS_MAX: u32 = 50;

impl<H: Handler, A: Actor> World<H, A>
where
    H::Note: fmt::Display,
{
    pub(super) fn step(&mut self) {
        let peer = usize::try_from(self.random.below(self.ends.len() as u64)).unwrap_or(0);
        let node = usize::try_from(self.random.below(self.nodes.len() as u64)).unwrap_or(0);
        match (self.random.below(100), self.ends.get(peer).map(|end| end.socket)) {
            (0..50, Some(Socket::Open(conn))) => self.peer_moves(peer, conn),
            (0..50, Some(Socket::Connecting)) => self.connect(peer),
            // A shell rests before its turn, whose end this is.
            (50..73, _) if self.nodes[node].machine.rests_until().is_some_and(|until| until > self.now) => {}
            (50..73, _) => self.flush(node),
            (73, _) => self.finish_jobs(node, 1),
            (74..80, _) => self.deliver_one_message(node),
            (80..95, _) => {
                let span = match self.random.below(60) {
                    0 => Duration::from_secs(self.random.below(100)),
                    1..4 => Duration::from_secs(5),
                    _ => Duration::from_millis(self.random.below(200)),
                };
                self.deliver_steady();
                self.pass(span);
            }
            (95, _) => {
                let (pause, stall) = (self.faults.pause_max, self.faults.stall_max);
                match self.random.below(8) {
                    0 if !pause.is_zero() => {
                        let span = self.random.within(pause);
                        self.stop(span);
                    }
                    1 if !stall.is_zero() => {
                        self.nodes[node].stalled_until = Some(self.now + self.random.within(stall));
                    }
                    _ => {}
                }
            }
            (97, _) if self.faults.clock_back && !self.is_stalled(node) => {
                // The machine must ignore a clock that goes back.
                let back = self.now.minus_nanos(self.random.below(10_000_000_000));
                let now = core::mem::replace(&mut self.now, back);
                self.apply(node, Input::Elapsed);
                self.now = now;
            }
            (96, _) => self.answer_a_dial(node),
            (98, _) if self.faults.accept_failures && !self.is_stalled(0) => {
                let failure = AcceptFailure::Exhausted;
                self.apply(0, Input::AcceptFailed { listener: ListenerId(0), failure });
            }
            (99, Some(Socket::Open(conn))) if self.ends[peer].link == Link::Troubled => match self.random.below(4) {
                0 if self.faults.kicks => {
                    self.apply(usize::from(conn.shard()), Input::Command(Command::Kick { conn }));
                }
                // A fact about a connection that never existed.
                1 => self.apply(node, Input::Wrote { conn: ConnId::new(0, u32::MAX, 9), bytes: 5 }),
                _ => self.fail(peer, conn, Failure::Reset),
            },
            _ => {}
        }
    }

    fn connect(&mut self, peer: usize) {
        let place = self.ends[peer].place;
        let listener = place.listener;
        match self.nodes[0].machine.accepting(listener) {
            Accepting::Now if self.is_reachable(listener) => {}
            Accepting::Never if !self.nodes[0].machine.is_draining() => {
                // A listener that a new configuration removed did exist.
                let was_there = |config: &Config| listener.index() < config.listeners.len();
                if !self.nodes[0].configs.iter().any(was_there) {
                    self.unreachable = Some(listener);
                }
                return;
            }
            _ => return,
        }
        if self.is_stalled(0) {
            return;
        }
        let port = u16::try_from(1000 + peer).unwrap_or(0);
        let from = place.from.unwrap_or(Peer::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        self.ends[peer].begin(&mut self.random);
        if self.nodes.len() == 1 {
            match self.nodes[0].machine.accepted(self.now, listener, from) {
                Ok(conn) => self.plug_in(peer, conn),
                Err(refusal) => self.refuse(peer, &refusal.farewell),
            }
            return;
        }
        match self.nodes[0].machine.dispatched(self.now, listener, from) {
            Ok(0) => self.adopt(0, listener, from, peer),
            Ok(shard) => {
                self.ends[peer].socket = Socket::Handed;
                self.post(0, shard.into(), Mail::Connection(listener, from, peer));
            }
            Err(refusal) => self.refuse(peer, &refusal.farewell),
        }
    }

    fn refuse(&mut self, peer: usize, farewell: &[u8]) {
        self.ends[peer].actor.refused(farewell);
        self.ends[peer].over();
    }

    fn adopt(&mut self, node: usize, listener: ListenerId, from: Peer, peer: usize) {
        let conn = self.nodes[node].machine.adopted(self.now, listener, from);
        self.plug_in(peer, conn);
    }

    /// Stores a peer's socket at the index of its connection, and drops the socket it replaces.
    pub(super) fn plug_in(&mut self, peer: usize, conn: ConnId) {
        self.ends[peer].connected(self.now, conn);
        let node = usize::from(conn.shard());
        let sockets = &mut self.nodes[node].sockets;
        if sockets.len() <= conn.index() {
            sockets.resize(conn.index() + 1, None);
        }
        if let Some(old) = sockets[conn.index()].replace(Plug { conn, peer, shown: None }) {
            let is_over = self.nodes[node].machine.intent(old.conn).is_none();
            self.promise(is_over, "an index belongs to one connection at a time");
            self.drop_socket(old);
        }
    }

    fn peer_moves(&mut self, peer: usize, conn: ConnId) {
        let end = &mut self.ends[peer];
        match self.random.below(10) {
            0..4 if !end.ends() && !end.left => match end.actor.act(&mut self.random) {
                Act::Wait => {}
                Act::Say(bytes) => end.sent.extend(bytes),
                Act::End => end.ended = true,
                Act::Leave => {
                    end.sent.clear();
                    end.left = true;
                    self.fail(peer, conn, Failure::Reset);
                }
            },
            4..8 => {
                let most = match self.random.below(4) {
                    0 => 1,
                    1 => usize::try_from(self.random.below(20)).unwrap_or(1),
                    _ => usize::MAX,
                };
                self.deliver(peer, conn, most);
            }
            8 if end.link == Link::Troubled => {
                end.writable = match self.random.below(6) {
                    0 => ROOMY,
                    1..3 => 0,
                    _ => usize::try_from(self.random.below(2_000)).unwrap_or(0),
                };
                // The socket has become writable.
                self.write(peer, conn);
            }
            _ => {}
        }
    }

    /// Delivers a peer's next input: its reset, up to `most` bytes, or the end of its half.
    ///
    /// Delivers at most 4096 bytes, and only a reset while the machine does not read. Returns
    /// whether it delivered anything.
    fn deliver(&mut self, peer: usize, conn: ConnId, most: usize) -> bool {
        let node = usize::from(conn.shard());
        if self.is_stalled(node) {
            return false;
        }
        self.ends[peer].pull();
        if self.ends[peer].left {
            self.fail(peer, conn, Failure::Reset);
            return true;
        }
        if !self.nodes[node].machine.intent(conn).is_some_and(|intent| intent.read) {
            return false;
        }
        let end = &mut self.ends[peer];
        let count = most.min(end.sent.len()).min(4096);
        let bytes: alloc::vec::Vec<u8> = end.sent.drain(..count).collect();
        if !bytes.is_empty() {
            end.told += count as u64;
            self.nodes[node].bytes_in += count as u64;
            self.apply(node, Input::Received { conn, bytes });
            return true;
        }
        if end.sent.is_empty() && end.ends() && !end.told_end {
            end.told_end = true;
            self.apply(node, Input::Ended { conn });
            return true;
        }
        false
    }

    /// Delivers input from peers with steady links and flushes, until no more can be delivered.
    ///
    /// Stops after [`ANSWERS_MAX`] rounds.
    pub(super) fn deliver_steady(&mut self) {
        for _ in 0..ANSWERS_MAX {
            let mut delivered = false;
            for peer in 0..self.ends.len() {
                if let (Link::Steady, Socket::Open(conn)) = (self.ends[peer].link, self.ends[peer].socket) {
                    delivered |= self.deliver(peer, conn, usize::MAX);
                }
            }
            if !delivered {
                return;
            }
            // A peer may reply to the server's replies.
            self.flush_all();
        }
    }

    /// Runs up to `most` offloaded jobs of a shard and reports their outcomes.
    pub(super) fn finish_jobs(&mut self, node: usize, most: usize) {
        for _ in 0..most {
            if self.is_stalled(node) {
                return;
            }
            let Some(job) = self.nodes[node].jobs.pop_front() else { return };
            let conn = job.conn();
            self.apply(node, Input::JobDone { conn, outcome: job.run() });
        }
    }

    pub(super) fn flush_all(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.flush(node));
    }

    /// Ends a shard's turn as a shell does: writes output, collects jobs and posts messages.
    ///
    /// Then reports to the machine whether another shard is behind.
    pub(super) fn flush(&mut self, node: usize) {
        if self.is_stalled(node) {
            return;
        }
        while let Some(conn) = self.nodes[node].machine.next_changed() {
            if let Some(plug) = self.nodes[node].plug(conn) {
                self.write(plug.peer, conn);
                let shown = self.nodes[node].shown(conn);
                if let Some(Some(plug)) = self.nodes[node].sockets.get_mut(conn.index()) {
                    plug.shown = shown;
                }
            }
        }
        self.check_hint(node);
        self.apply(node, Input::TurnEnded);
        let most = self.now + Duration::from_micros(Gather::MICROS_MAX.into());
        let rests_until = self.nodes[node].machine.rests_until();
        self.promise(rests_until.is_none_or(|until| until <= most), "a rest ends after at most 500 microseconds");
        self.begin_dials(node);
        while let Some(job) = self.nodes[node].machine.take_job() {
            self.nodes[node].jobs.push_back(job);
        }
        while let Some((to, message)) = self.nodes[node].machine.next_shard_message() {
            match to {
                Addressee::First => self.post(node, 0, Mail::ShardMessage(message)),
                Addressee::Shard(shard) => self.post(node, shard.into(), Mail::ShardMessage(message)),
                Addressee::Others => {
                    for other in (0..self.nodes.len()).filter(|other| *other != node) {
                        self.post(node, other, Mail::ShardMessage(message.clone()));
                    }
                }
            }
        }
        let is_behind = |(other, found): (usize, &Node<H>)| other != node && found.waiting() >= self.faults.behind;
        let behind = self.nodes.iter().enumerate().any(is_behind);
        if behind != self.nodes[node].held_back {
            self.nodes[node].held_back = behind;
            self.apply(node, Input::HeldBack(behind));
        }
    }

    pub(super) fn write(&mut self, peer: usize, conn: ConnId) {
        let node = usize::from(conn.shard());
        if self.is_stalled(node) {
            return;
        }
        let Some(intent) = self.nodes[node].machine.intent(conn) else {
            if let Some(plug) = self.nodes[node].plug(conn) {
                self.nodes[node].sockets[conn.index()] = None;
                self.drop_socket(plug);
            }
            return;
        };
        let end = &mut self.ends[peer];
        let pending = intent.transmit.len();
        if pending == 0 {
            if intent.end == End::Shutdown && !end.finished {
                end.finished = end.actor.finished();
            }
            return;
        }
        let taken = end.take(intent.transmit.slices());
        let mut written = self.nodes[node].written;
        written.mix_first(taken, intent.transmit.slices());
        self.nodes[node].written = written;
        if taken > 0 {
            self.apply(node, Input::Wrote { conn, bytes: taken });
        }
        if taken < pending {
            self.apply(node, Input::Blocked { conn });
        }
        self.nodes[node].looked(conn);
    }

    fn fail(&mut self, peer: usize, conn: ConnId, failure: Failure) {
        let node = usize::from(conn.shard());
        if !self.is_stalled(node) {
            self.apply(node, Input::Failed { conn, failure });
            self.write(peer, conn);
        }
    }

    fn drop_socket(&mut self, plug: Plug) {
        self.check_silence(plug);
        self.ends[plug.peer].over();
        self.check_actor(plug.peer);
    }

    /// Advances the clock, stopping at every deadline.
    pub(super) fn pass(&mut self, span: Duration) {
        self.pass_until(self.now + span, u32::MAX);
    }

    /// Advances the clock to `until`, but past at most `most` deadlines. Returns how many passed.
    pub(super) fn pass_until(&mut self, until: Time, most: u32) -> u32 {
        let (mut since, mut at_once, mut count) = (self.now, 0, 0);
        (0..self.nodes.len()).for_each(|node| self.begin_dials(node));
        while count < most
            && let Some(at) = self.next_deadline().filter(|at| *at <= until)
        {
            self.now = self.now.max(at);
            count += 1;
            at_once = if self.now.since(since) > Duration::from_micros(1) { 0 } else { at_once + 1 };
            since = if at_once == 0 { self.now } else { since };
            self.promise(at_once < DUE_AT_ONCE_MAX, "the next deadline lies in the future");
            self.end_stalls();
            for node in 0..self.nodes.len() {
                let deadline = self.nodes[node].machine.deadline();
                if !self.is_stalled(node) && deadline.is_some_and(|deadline| deadline.at <= self.now) {
                    self.apply(node, Input::Elapsed);
                }
            }
            self.tend_tunnels();
            (0..self.nodes.len()).for_each(|node| self.finish_jobs(node, usize::MAX));
            (0..self.nodes.len()).for_each(|node| self.finish_dials(node));
            if self.calm {
                // Shards that are held back continue only once the slow shard has read its
                // messages.
                self.deliver_mail();
            } else {
                self.flush_all();
            }
            self.deliver_steady();
        }
        if count < most {
            self.now = until;
            self.all_elapsed();
            self.tend_tunnels();
            (0..self.nodes.len()).for_each(|node| self.finish_dials(node));
        }
        count
    }

    fn next_deadline(&self) -> Option<Time> {
        let active = self.nodes.iter().enumerate().filter(|(node, _)| !self.is_stalled(*node));
        let due = active.filter_map(|(_, node)| node.machine.deadline().map(|deadline| deadline.at));
        due.chain(self.nodes.iter().filter_map(|node| node.stalled_until.filter(|until| *until > self.now))).min()
    }

    /// Stops the process for `span`. Then it handles input first, and expired deadlines second.
    pub(super) fn stop(&mut self, span: Duration) {
        (0..self.nodes.len()).for_each(|node| self.begin_dials(node));
        self.now = self.now + span;
        self.end_stalls();
        self.deliver_steady();
        self.all_elapsed();
        self.flush_all();
    }

    /// Ends expired stalls. Their shards handle input before expired deadlines.
    fn end_stalls(&mut self) {
        let now = self.now;
        let mut ended = false;
        for node in &mut self.nodes {
            ended |= node.stalled_until.take_if(|until| *until <= now).is_some();
        }
        if ended {
            self.deliver_steady();
        }
    }

    fn all_elapsed(&mut self) {
        for node in 0..self.nodes.len() {
            if !self.is_stalled(node) {
                self.apply(node, Input::Elapsed);
            }
        }
    }

    /// Puts mail into the inbox of another shard.
    pub(super) fn post(&mut self, from: usize, to: usize, mail: Mail) {
        self.nodes[to].inbox[from].push_back(mail);
    }

    /// Delivers the oldest mail of one random sender.
    fn deliver_one_message(&mut self, node: usize) {
        if self.is_stalled(node) || self.nodes[node].waiting() == 0 {
            return;
        }
        let first = usize::try_from(self.random.below(self.nodes.len() as u64)).unwrap_or(0);
        let count = self.nodes.len();
        let mail = (0..count).find_map(|n| self.nodes[node].inbox[(first + n) % count].pop_front());
        match mail {
            Some(Mail::ShardMessage(message)) => {
                self.announce(node, &message);
                self.apply(node, Input::ShardMessageReceived(message));
            }
            Some(Mail::Connection(listener, from, peer)) => self.adopt(node, listener, from, peer),
            Some(Mail::Reconfigured(config)) => self.reconfigured(node, *config),
            None => {}
        }
    }

    fn announce(&mut self, node: usize, message: &ShardMessage) {
        if let Some(call) = &mut self.on_shard_message {
            call(self.nodes[node].machine.handler_mut().inner_mut(), message);
        }
    }

    /// Delivers all mail between shards, until every inbox is empty.
    ///
    /// No shard may be stalled, because the loop would not end.
    pub(super) fn deliver_mail(&mut self) {
        loop {
            self.flush_all();
            if self.nodes.iter().all(|node| node.waiting() == 0) {
                return;
            }
            (0..self.nodes.len()).for_each(|node| {
                while self.nodes[node].waiting() > 0 && !self.is_stalled(node) {
                    self.deliver_one_message(node);
                }
            });
        }
    }

    pub(super) fn reconfigured(&mut self, node: usize, config: Config) {
        self.nodes[node].configs.push(config.clone());
        self.apply(node, Input::Reconfigured(config.into()));
    }

    pub(super) fn is_stalled(&self, node: usize) -> bool {
        self.nodes[node].stalled_until.is_some_and(|until| until > self.now)
    }

    pub(super) fn apply(&mut self, node: usize, input: Input<H::Note>) {
        #[cfg(feature = "work")]
        {
            let bytes = if let Input::Received { bytes, .. } = &input { bytes.len() } else { 0 };
            let (machine, now) = (&mut self.nodes[node].machine, self.now);
            let (_, steps) = crate::base::work::steps_of(|| machine.apply(now, input));
            self.check_work(node, bytes, steps);
        }
        #[cfg(not(feature = "work"))]
        drop(self.nodes[node].machine.apply(self.now, input));
        self.nodes[node].machine.resume_panic();
    }
}
