//! What is to be sent: one shared log a turn, and each recipient's ranges in it.
//!
//! Everything that is sent during a turn is framed once and appended to a *log*; a recipient holds only
//! *segments*, ranges of logs in sending order. A published message that follows another extends each
//! recipient's last segment by moving its end, so that a burst reaches a socket as one contiguous slice
//! and one write. Private messages have a log of their own, so that they do not tear the shared ranges of
//! everybody else.
//!
//! A log whose ranges have all been written is used again for the next turn. What a recipient could not
//! take stays where it is if that is a good part of the log, and is copied into a log of its own if not
//! (at the end of the turn, and whenever too much is held in all): stragglers never keep alive more than about
//! twice what they are owed.

mod log;
mod marks;
mod queue;

pub use marks::{Marks, MarksError, OutboundLimits, SlowPolicy};

use crate::index_set::{DedupQueue, DenseSet};
use crate::wire::{EncodeError, Wire};
use crate::{Payload, Time};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use log::{Logs, NOBODY};
use queue::{NO_LOG, Queue, Segment, Tail};

/// Which log a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Room = 0,
    Private = 1,
}

/// The tag of a segment that no policy skips.
pub(crate) const PRIVATE: u32 = u32::MAX;

/// A connection that is behind may have this many segments: more counts as above the maximum of bytes.
const SEGMENTS_MAX: usize = 8192;
/// Memory that logs may hold beyond twice what is queued before they are compacted.
const SLACK_BYTES: u64 = 4 << 20;

/// A connection crossed a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crossing {
    /// More is queued than the high mark.
    Stalled(u32),
    /// More would be queued than the maximum, and the policy is to close.
    Overflow(u32),
    /// The queue was above the high mark and is no longer above the low one.
    Drained(u32),
}

impl Crossing {
    const fn index(self) -> u32 {
        match self {
            Self::Stalled(index) | Self::Overflow(index) | Self::Drained(index) => index,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Outbound {
    limits: OutboundLimits,
    wires: Vec<Wire>,
    /// The log that each wire's messages of this turn go to, by class; `NO_LOG` before the first.
    current: Vec<[u32; 2]>,
    logs: Logs,
    /// The last segment of each connection: all that publishing touches as long as nothing is slow.
    tails: Vec<Tail>,
    queues: Vec<Queue>,
    /// Connections whose intent may have changed since the shell last looked.
    pub(crate) changed: DedupQueue,
    /// Connections whose sockets are full.
    blocked: DenseSet,
    crossings: Vec<Crossing>,
    /// Bytes queued for all connections, and the most that was.
    pub(crate) queued: u64,
    pub(crate) queued_peak: u64,
    pub(crate) skipped: u64,
    /// Bytes framed since the last turn's end.
    pub(crate) turn_bytes: u64,
}

impl Outbound {
    pub(crate) fn new(limits: OutboundLimits) -> Self {
        Self {
            limits,
            wires: Vec::new(),
            current: Vec::new(),
            logs: Logs::default(),
            tails: Vec::new(),
            queues: Vec::new(),
            changed: DedupQueue::default(),
            blocked: DenseSet::default(),
            crossings: Vec::new(),
            queued: 0,
            queued_peak: 0,
            skipped: 0,
            turn_bytes: 0,
        }
    }

    /// The number of a wire: what shares a number shares encoded bytes.
    pub(crate) fn intern(&mut self, wire: Wire) -> u16 {
        let place = self.wires.iter().position(|&known| known == wire).unwrap_or_else(|| {
            self.wires.push(wire);
            self.current.push([NO_LOG; 2]);
            self.wires.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    pub(crate) fn open(&mut self, index: u32, wire: u16) {
        let at = index as usize;
        if self.tails.len() <= at {
            self.tails.resize_with(at + 1, Tail::default);
            self.queues.resize_with(at + 1, Queue::default);
        }
        self.tails[at] = Tail::default();
        self.queues[at] = Queue { wire, ..Queue::default() };
    }

    pub(crate) fn close(&mut self, index: u32) {
        let at = index as usize;
        self.queued -= self.pending(index) as u64;
        let tail = core::mem::take(&mut self.tails[at]);
        let queue = core::mem::take(&mut self.queues[at]);
        for segment in queue.segments(tail) {
            self.release(segment);
        }
        self.blocked.remove(index);
        // The next connection in this place has crossed nothing.
        self.crossings.retain(|crossing| crossing.index() != index);
    }

    /// Queues a private message; false if the connection is too slow for it.
    pub(crate) fn send(&mut self, index: u32, payload: Payload<'_>) -> Result<bool, EncodeError> {
        self.send_as(index, payload, Some(SlowPolicy::Close))
    }

    /// Queues a last message, however much is queued already.
    pub(crate) fn send_last(&mut self, index: u32, payload: Payload<'_>) -> Result<bool, EncodeError> {
        self.send_as(index, payload, None)
    }

    fn send_as(&mut self, index: u32, payload: Payload<'_>, policy: Option<SlowPolicy>) -> Result<bool, EncodeError> {
        let wire = self.queues[index as usize].wire;
        let segment = self.append(wire, Class::Private, PRIVATE, payload)?;
        let queued = self.push(index, segment, policy);
        if queued {
            self.count_in(u64::from(segment.len()));
        }
        self.release(segment);
        Ok(queued)
    }

    /// Queues one message for many connections of one wire, except one; returns for how many.
    pub(crate) fn publish(
        &mut self,
        members: &[u32],
        except: Option<u32>,
        wire: u16,
        room: u32,
        policy: SlowPolicy,
        payload: Payload<'_>,
    ) -> Result<usize, EncodeError> {
        // What is never skipped needs no tag of its own, and merges across rooms.
        let tag = if policy == SlowPolicy::Close { PRIVATE } else { room };
        let segment = self.append(wire, Class::Room, tag, payload)?;
        let mut recipients = 0;
        for &member in members {
            if Some(member) == except {
                continue;
            }
            let tail = &mut self.tails[member as usize];
            if tail.extends_to(&segment) {
                tail.end = segment.end;
                recipients += 1;
            } else {
                recipients += usize::from(self.push(member, segment, Some(policy)));
            }
        }
        self.count_in(u64::from(segment.len()) * recipients as u64);
        self.release(segment);
        Ok(recipients)
    }

    /// Queues bytes that go out before all data that is not yet begun.
    #[allow(dead_code, reason = "pongs, close frames and telnet answers are the first to need it")]
    pub(crate) fn control(&mut self, index: u32, bytes: &[u8]) {
        self.queues[index as usize].control.extend_from_slice(bytes);
        self.set_cap(index as usize);
        self.count_in(bytes.len() as u64);
        self.changed.insert(index);
    }

    /// Drops everything that is queued but the rest of a message that has been begun.
    pub(crate) fn discard(&mut self, index: u32) {
        let at = index as usize;
        let begun = self.queues[at].begun;
        let mut first = true;
        let mut kept = None;
        let tail = core::mem::take(&mut self.tails[at]);
        let mut queue = core::mem::take(&mut self.queues[at].earlier);
        if tail.log != NO_LOG {
            queue.push_back(tail.segment());
        }
        for segment in queue {
            let mut keep = 0;
            if core::mem::take(&mut first) && begun > 0 {
                keep = begun;
                kept = Some(Segment { end: segment.start + begun, ..segment });
            } else {
                self.release(segment);
            }
            self.queued -= u64::from(segment.len() - keep);
        }
        if let Some(segment) = kept {
            self.tails[at] = Tail::from(segment);
        }
        self.queues[at].earlier_bytes = 0;
        self.relax(index);
        self.set_cap(at);
        self.changed.insert(index);
    }

    /// How many bytes are queued for a connection.
    pub(crate) fn pending(&self, index: u32) -> usize {
        let at = index as usize;
        self.queues[at].earlier_bytes + self.tails[at].len() as usize + self.queues[at].control.len()
    }

    /// Whether the queue went above the high mark and has not yet come below the low one.
    pub(crate) fn is_stalled(&self, index: u32) -> bool {
        self.queues[index as usize].stalled
    }

    /// When what is queued must have been written, if the socket is behind.
    pub(crate) fn write_deadline(&self, index: u32) -> Option<Time> {
        self.queues[index as usize].owed.map(|owed| owed.due)
    }

    /// The connections that crossed a mark since the last call.
    pub(crate) fn take_crossings(&mut self) -> Option<Crossing> {
        self.crossings.pop()
    }

    /// What to write next, as slices in order.
    pub(crate) fn slices(&self, index: u32) -> impl Iterator<Item = &[u8]> + '_ {
        let (tail, queue) = (&self.tails[index as usize], &self.queues[index as usize]);
        let bytes = |segment: Segment| self.logs.bytes(segment);
        let mut segments = queue.earlier.iter().copied().chain((tail.log != NO_LOG).then(|| tail.segment()));
        let (begun, first) = match segments.next() {
            Some(front) if !queue.control.is_empty() && queue.begun > 0 => {
                (&bytes(front)[..queue.begun as usize], &bytes(front)[queue.begun as usize..])
            }
            Some(front) => (&[][..], bytes(front)),
            None => (&[][..], &[][..]),
        };
        [begun, &queue.control, first].into_iter().chain(segments.map(bytes)).filter(|slice| !slice.is_empty())
    }

    /// The socket took `bytes` bytes of what [`slices`](Self::slices) shows; returns how many of them were queued.
    pub(crate) fn wrote(&mut self, now: Time, index: u32, bytes: usize) -> usize {
        let at = index as usize;
        let pending = self.pending(index);
        let bytes = bytes.min(pending);
        self.queued -= bytes as u64;
        if bytes == pending && self.queues[at].is_plain() {
            // The usual case: one contiguous slice, taken whole.
            let tail = core::mem::take(&mut self.tails[at]);
            self.release(tail.segment());
            return bytes;
        }
        let begun = self.queues[at].begun as usize;
        let first = bytes.min(begun);
        self.advance(at, first);
        let control = (bytes - first).min(self.queues[at].control.len());
        self.queues[at].control.drain(..control);
        self.advance(at, bytes - first - control);
        self.queues[at].begun = match u32::try_from(begun - first) {
            Ok(rest @ 1..) => rest,
            _ => self.rest_of_begun(at),
        };
        self.queues[at].pay(now, bytes, pending - bytes, &self.limits);
        self.relax(index);
        self.set_cap(at);
        bytes
    }

    /// The socket takes nothing more for now: what is queued is measured against the marks, and is due.
    pub(crate) fn blocked(&mut self, now: Time, index: u32) {
        let at = index as usize;
        let pending = self.pending(index);
        if pending == 0 {
            return;
        }
        self.queues[at].owe(now, pending, &self.limits);
        self.blocked.insert(index);
        if !self.queues[at].stalled && pending > self.limits.marks.high() {
            self.queues[at].stalled = true;
            self.crossings.push(Crossing::Stalled(index));
        }
        self.set_cap(at);
    }

    /// The shell has offered everything to its socket: what is left belongs to stragglers.
    ///
    /// Each log of this turn that is still needed is left to its stragglers, and a new one is begun. A
    /// straggler that needs but a small part of it takes a copy instead, so that it keeps nothing large alive.
    pub(crate) fn end_turn(&mut self) {
        self.turn_bytes = 0;
        for wire in 0..self.current.len() {
            for class in 0..2 {
                let log = self.current[wire][class];
                if log == NO_LOG || self.logs.is_unused(log) {
                    continue;
                }
                for place in 0..self.blocked.as_slice().len() {
                    let index = self.blocked.as_slice()[place];
                    self.copy_out(index as usize, log);
                }
                if !self.logs.is_unused(log) {
                    self.logs.seal(log);
                    self.current[wire][class] = NO_LOG;
                }
            }
        }
        let stragglers = self.blocked.as_slice().len() as u64 * log::OWN_LOG_FULL_BYTES as u64;
        if self.logs.held() as u64 > SLACK_BYTES + 2 * self.queued + stragglers {
            self.compact();
        }
    }

    /// Copies out of every log whatever stragglers need but a small part of it for.
    ///
    /// [`copy_out`](Self::copy_out) sees to most of that in time; what it can't know is what becomes of a log
    /// later, when other parts of it are written or skipped.
    fn compact(&mut self) {
        for place in 0..self.blocked.as_slice().len() {
            let at = self.blocked.as_slice()[place] as usize;
            let segments = self.take_segments(at);
            let mut needed = BTreeMap::<u32, u32>::new();
            for segment in &segments {
                let bytes = needed.entry(segment.log).or_default();
                *bytes = bytes.saturating_add(segment.len());
            }
            // What is copied must not go to a log that is copied from.
            self.queues[at].own = NO_LOG;
            for segment in segments {
                let copies = self.logs.worth_copying(segment.log, needed[&segment.log]);
                self.requeue(at, segment, copies);
            }
            self.set_cap(at);
        }
    }

    /// Memory held for everything that is queued, in bytes, and for the order of it.
    pub(crate) fn held(&self) -> usize {
        self.logs.held()
    }

    fn count_in(&mut self, bytes: u64) {
        self.queued += bytes;
        self.queued_peak = self.queued_peak.max(self.queued);
    }

    /// Frames `payload` at the end of the log for its wire and class; the caller holds one reference.
    fn append(&mut self, wire: u16, class: Class, room: u32, payload: Payload<'_>) -> Result<Segment, EncodeError> {
        let current = &mut self.current[usize::from(wire)][class as usize];
        if *current == NO_LOG || self.logs.is_full(*current, payload.as_bytes().len()) {
            if *current != NO_LOG {
                self.logs.seal(*current);
            }
            *current = self.logs.add(NOBODY);
        }
        let log = *current;
        let (start, end) = self.logs.append(log, self.wires[usize::from(wire)], payload)?;
        self.logs.refer(log);
        self.turn_bytes += u64::from(end - start);
        Ok(Segment { log, start, end, room })
    }

    /// Queues a segment behind everything else; false if the slow policy did not let it in. Without a policy
    /// nothing keeps it out.
    fn push(&mut self, index: u32, segment: Segment, policy: Option<SlowPolicy>) -> bool {
        let at = index as usize;
        if let Some(policy) = policy.filter(|_| self.queues[at].owed.is_some()) {
            if !self.fits(at, segment) && !self.make_room(index, segment, policy) {
                return false;
            }
            let behind = self.queues[at].owed.is_some();
            if behind
                && !self.queues[at].stalled
                && self.pending(index) + segment.len() as usize > self.limits.marks.high()
            {
                self.queues[at].stalled = true;
                self.crossings.push(Crossing::Stalled(index));
            }
        }
        self.logs.refer(segment.log);
        self.requeue(at, segment, false);
        self.set_cap(at);
        self.changed.insert(index);
        true
    }

    /// Whether a segment can be queued for a connection that is behind.
    fn fits(&self, at: usize, segment: Segment) -> bool {
        let pending = self.queues[at].earlier_bytes + self.tails[at].len() as usize + self.queues[at].control.len();
        pending + segment.len() as usize <= self.limits.marks.max() && self.queues[at].earlier.len() < SEGMENTS_MAX
    }

    /// Puts a segment, to which one reference is held, behind everything else, or a copy of it.
    fn requeue(&mut self, at: usize, mut segment: Segment, copies: bool) {
        if copies {
            let own = self.own_log(at, segment.len());
            let copy = self.logs.copy(segment, own);
            self.release(segment);
            segment = copy;
        }
        if self.tails[at].touches(&segment) {
            self.tails[at].end = segment.end;
            self.release(segment);
        } else {
            self.queue_behind(at, segment);
        }
    }

    /// Takes all segments out of a queue.
    fn take_segments(&mut self, at: usize) -> VecDeque<Segment> {
        let tail = core::mem::take(&mut self.tails[at]);
        let mut segments = core::mem::take(&mut self.queues[at].earlier);
        self.queues[at].earlier_bytes = 0;
        if tail.log != NO_LOG {
            segments.push_back(tail.segment());
        }
        segments
    }

    fn queue_behind(&mut self, at: usize, segment: Segment) {
        let before = core::mem::replace(&mut self.tails[at], Tail::from(segment));
        if before.log != NO_LOG {
            self.queues[at].earlier_bytes += before.len() as usize;
            self.queues[at].earlier.push_back(before.segment());
        }
    }

    /// Applies the slow policy; true if the segment may now be queued.
    fn make_room(&mut self, index: u32, segment: Segment, policy: SlowPolicy) -> bool {
        let at = index as usize;
        let excess = (self.pending(index) + segment.len() as usize).saturating_sub(self.limits.marks.max());
        match policy {
            SlowPolicy::Close => {
                self.crossings.push(Crossing::Overflow(index));
                return false;
            }
            // Nothing is given up for what can't be queued even then.
            _ if segment.len() as usize > self.limits.marks.max() => {}
            SlowPolicy::SkipNewest => {}
            SlowPolicy::SkipOldest => self.skip(index, segment.room, excess.max(1)),
            SlowPolicy::KeepLatest => self.skip(index, segment.room, usize::MAX),
        }
        let room = self.fits(at, segment);
        self.skipped += u64::from(!room);
        room
    }

    /// Drops the oldest whole messages of a room that are not begun, until `excess` bytes are gone.
    fn skip(&mut self, index: u32, room: u32, excess: usize) {
        let at = index as usize;
        // The tail is one of them.
        let tail = core::mem::take(&mut self.tails[at]);
        if tail.log != NO_LOG {
            self.queues[at].earlier_bytes += tail.len() as usize;
            self.queues[at].earlier.push_back(tail.segment());
        }
        let mut begun = self.queues[at].begun;
        let (mut place, mut gone) = (0, 0);
        while gone < excess
            && let Some(&segment) = self.queues[at].earlier.get(place)
        {
            let held = core::mem::take(&mut begun);
            if segment.room == room {
                let from = segment.start + held;
                let (to, messages) = self.logs.skip(segment, from, excess - gone);
                self.skipped += messages;
                gone += (to - from) as usize;
                let rest = Segment { start: to, ..segment };
                if held > 0 && to > from {
                    // What has been begun stays in front.
                    self.queues[at].earlier[place].end = from;
                    place += 1;
                    if !rest.is_empty() {
                        self.logs.refer(rest.log);
                        self.queues[at].earlier.insert(place, rest);
                    }
                    continue;
                }
                if held == 0 && rest.is_empty() {
                    self.queues[at].earlier.remove(place);
                    self.release(segment);
                    continue;
                }
                if held == 0 {
                    self.queues[at].earlier[place] = rest;
                }
            }
            place += 1;
        }
        self.queues[at].earlier_bytes -= gone;
        self.queued -= gone as u64;
        self.relax(index);
    }

    /// Looks at the marks again after something was written or skipped.
    fn relax(&mut self, index: u32) {
        let at = index as usize;
        let pending = self.pending(index);
        if pending == 0 {
            self.queues[at].owed = None;
            self.queues[at].shrink();
            self.blocked.remove(index);
        }
        if self.queues[at].stalled && pending <= self.limits.marks.low() {
            self.queues[at].stalled = false;
            self.crossings.push(Crossing::Drained(index));
        }
    }

    /// Moves what a straggler needs of `log` into a log of its own, if that is a small part of it.
    fn copy_out(&mut self, at: usize, log: u32) {
        // What this turn added is at the back.
        let mut recent = Vec::new();
        while let Some(segment) = self.pop_back_if_current(at) {
            recent.push(segment);
        }
        let needed = recent.iter().filter(|s| s.log == log).map(|s| s.len()).sum();
        let copies = needed > 0 && self.logs.worth_copying(log, needed);
        while let Some(segment) = recent.pop() {
            self.requeue(at, segment, copies && segment.log == log);
        }
        self.set_cap(at);
    }

    fn pop_back_if_current(&mut self, at: usize) -> Option<Segment> {
        let tail = &mut self.tails[at];
        if tail.log == NO_LOG {
            *tail = Tail::from(self.queues[at].earlier.pop_back()?);
            self.queues[at].earlier_bytes -= tail.len() as usize;
        }
        if !self.current.iter().flatten().any(|&current| current == tail.log) {
            return None;
        }
        Some(core::mem::take(tail).segment())
    }

    /// A log that only this straggler's segments refer to, with room for `more` bytes.
    fn own_log(&mut self, at: usize, more: u32) -> u32 {
        let owner = u32::try_from(at).unwrap_or(NOBODY);
        if !self.logs.may_grow(self.queues[at].own, owner, more) {
            self.queues[at].own = self.logs.add(owner);
        }
        self.queues[at].own
    }

    fn release(&mut self, segment: Segment) {
        if segment.log == NO_LOG || !self.logs.release(segment.log) {
            return;
        }
        if self.current.iter().flatten().any(|&current| current == segment.log) {
            self.logs.clear(segment.log);
        } else {
            self.logs.remove(segment.log);
        }
    }

    /// Takes `bytes` bytes from the front of the data.
    fn advance(&mut self, at: usize, mut bytes: usize) {
        while bytes > 0 {
            let Some(front) = self.queues[at].earlier.front_mut() else {
                let tail = &mut self.tails[at];
                tail.start += u32::try_from(bytes).unwrap_or(u32::MAX).min(tail.len());
                if tail.len() == 0 {
                    let done = core::mem::take(tail);
                    self.release(done.segment());
                }
                return;
            };
            let take = bytes.min(front.len() as usize);
            let take_u32 = u32::try_from(take).unwrap_or(u32::MAX);
            front.start += take_u32;
            let done = *front;
            bytes -= take;
            self.queues[at].earlier_bytes -= take;
            if done.is_empty() {
                self.queues[at].earlier.pop_front();
                self.release(done);
            }
        }
    }

    /// How much of the first message in the queue is left, if it has been begun.
    fn rest_of_begun(&self, at: usize) -> u32 {
        let front = self.queues[at].segments(self.tails[at]).next();
        front.map_or(0, |segment| self.logs.rest_of_message(segment))
    }

    /// How far publishing may move the tail's end before the slow path must look at the marks.
    fn set_cap(&mut self, at: usize) {
        let queue = &self.queues[at];
        let tail = &mut self.tails[at];
        tail.cap = if queue.owed.is_none() {
            u32::MAX
        } else {
            let mark = if queue.stalled { self.limits.marks.max() } else { self.limits.marks.high() };
            let others = queue.earlier_bytes + queue.control.len();
            tail.start.saturating_add(u32::try_from(mark.saturating_sub(others)).unwrap_or(u32::MAX))
        };
    }
}

#[cfg(test)]
mod tests;
