//! Output queues: one shared log per turn, and each recipient's ranges in it.
//!
//! Each message of a turn is encoded once and appended to a *log*. A recipient only has *segments*:
//! ranges of logs, in sending order. A published message that follows another extends the last
//! segment of each recipient, so that a burst reaches a socket as one contiguous slice and one
//! write. Direct messages have a log of their own, so that they do not split the shared ranges of
//! other recipients.
//!
//! A log whose segments are all written is reused for the next turn. Otherwise it is kept for its
//! slow recipients. A recipient that needs only a small part of it gets a copy of that part in a
//! log of its own. These copies are made at the end of the turn, and whenever the logs use too much
//! memory in total. Slow recipients therefore keep no more than about twice what is queued for
//! them.

mod compact;
mod content;
mod earlier;
mod log;
mod notices;
mod queue;
#[cfg(feature = "sim")]
mod recount;
mod segment;
mod slow;
mod streamed;
mod watermark;
mod write;
mod write_buffer;

pub(crate) use streamed::Streamed;
pub(crate) use watermark::WatermarkEvent;

use crate::base::lazy_box::LazyBox;
use crate::base::{ConnId, Payload, Representation, Time, work};
use crate::config::{Marks, OutboundLimits, SlowPolicy};
use crate::state::index_set::{DedupQueue, DenseSet};
use crate::state::room::is_tag_of_home;
use crate::wire::{EncodeError, Encoder, Encoding};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use content::{Content, check_length};
use log::{Logs, NOBODY};
use queue::Queue;
use segment::{NO_LOG, Segment, Tail};

/// The kind of log for a message: shared by a room's members, or for direct messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Room = 0,
    Private = 1,
}

/// The tag of application messages that are never skipped, such as direct messages.
pub(crate) const PRIVATE: u32 = u32::MAX;

/// The tag of raw bytes, which belong to no application message and are never skipped.
const RAW: u32 = u32::MAX - 1;

#[derive(Debug)]
pub(crate) struct Outbound {
    limits: OutboundLimits,
    /// The watermarks of connections that have their own, by slot.
    own_marks: BTreeMap<u32, Marks>,
    encodings: Vec<(Encoding, Representation)>,
    /// The current log of each encoding, by class. `NO_LOG` before the first message.
    current: Vec<[u32; 2]>,
    logs: Logs,
    /// The last queued segment of each connection, by slot.
    tails: Vec<Tail>,
    queues: Vec<Queue>,
    /// Connections whose intent may have changed since the shell last read it.
    pub(crate) changed: DedupQueue,
    pub(crate) encoder: Encoder,
    /// Connections with buffered messages.
    buffered: DedupQueue,
    /// Connections whose sockets are full.
    blocked: DenseSet,
    /// Watermark events, oldest first.
    watermark_events: VecDeque<WatermarkEvent>,
    /// Slow connections for which the last published or buffered message was not queued.
    refused: Vec<u32>,
    /// Members whose queued messages of a room with a home were skipped, with the tag of the room.
    skips: Vec<(u32, u32)>,
    /// Connections that rose above the high mark and have not fallen to the low mark yet.
    stalled: DenseSet,
    /// Bytes queued for all connections. `queued_peak` is the highest value so far.
    pub(crate) queued: u64,
    pub(crate) queued_peak: u64,
    pub(crate) skipped: u64,
    /// Bytes of output since the end of the last turn, including messages to other shards.
    pub(crate) turn_bytes: u64,
    /// Whether this turn has sent a message to members of a room.
    has_published: bool,
    /// When the rest after the last turn that sent to rooms ends.
    pub(crate) rests_until: Option<Time>,
}

impl Outbound {
    pub(crate) fn new(limits: OutboundLimits, encoder: Encoder) -> Self {
        Self {
            limits,
            own_marks: BTreeMap::new(),
            encodings: Vec::new(),
            current: Vec::new(),
            logs: Logs::default(),
            tails: Vec::new(),
            queues: Vec::new(),
            changed: DedupQueue::default(),
            encoder,
            buffered: DedupQueue::default(),
            blocked: DenseSet::default(),
            watermark_events: VecDeque::new(),
            refused: Vec::new(),
            skips: Vec::new(),
            stalled: DenseSet::default(),
            queued: 0,
            queued_peak: 0,
            skipped: 0,
            turn_bytes: 0,
            has_published: false,
            rests_until: None,
        }
    }

    /// Applies new limits to all queues.
    pub(crate) fn set_limits(&mut self, limits: OutboundLimits) {
        self.limits = limits;
        for at in 0..self.tails.len() {
            self.recheck_marks(u32::try_from(at).unwrap_or(u32::MAX));
            self.set_cap(at);
        }
    }

    /// Sets watermarks for one connection, until it ends.
    pub(crate) fn set_own_marks(&mut self, index: u32, marks: Marks) {
        self.own_marks.insert(index, marks);
    }

    /// Returns the watermarks of a connection.
    pub(crate) fn marks(&self, index: u32) -> Marks {
        self.own_marks.get(&index).copied().unwrap_or(self.limits.marks)
    }

    /// Returns the number of an encoding, with the default representation of its wire.
    pub(crate) fn intern(&mut self, encoding: Encoding) -> u16 {
        self.intern_as(encoding, encoding.representation())
    }

    /// Returns the number of an encoding and a representation. Equal numbers share encoded bytes.
    pub(crate) fn intern_as(&mut self, encoding: Encoding, representation: Representation) -> u16 {
        let pair = (encoding, representation);
        let place = self.encodings.iter().position(|&known| known == pair).unwrap_or_else(|| {
            self.encodings.push(pair);
            self.current.push([NO_LOG; 2]);
            self.encodings.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    pub(crate) fn encoding(&self, number: u16) -> Encoding {
        self.encodings[usize::from(number)].0
    }

    pub(crate) fn representation(&self, number: u16) -> Representation {
        self.encodings[usize::from(number)].1
    }

    pub(crate) fn open(&mut self, index: u32, encoding: u16) {
        let at = index as usize;
        if self.tails.len() <= at {
            self.tails.resize_with(at + 1, Tail::default);
            self.queues.resize_with(at + 1, Queue::default);
        }
        self.tails[at] = Tail::default();
        self.queues[at] = Queue { encoding, ..Queue::default() };
    }

    pub(crate) fn close(&mut self, index: u32) {
        let at = index as usize;
        self.queued -= self.pending(index) as u64;
        let tail = core::mem::take(&mut self.tails[at]);
        let queue = core::mem::take(&mut self.queues[at]);
        for segment in queue.segments(tail) {
            self.release(segment);
        }
        self.own_marks.remove(&index);
        self.blocked.remove(index);
        self.stalled.remove(index);
        // The next connection in this slot has crossed no watermark.
        self.watermark_events.retain(|event| event.index() != index);
    }

    /// Queues a direct message. Returns false if the connection is too slow for it.
    pub(crate) fn send(&mut self, index: u32, payload: Payload<'_>) -> Result<bool, EncodeError> {
        self.send_as(index, payload, Some(SlowPolicy::Close))
    }

    /// Queues a message if it fits. Returns false if it does not.
    pub(crate) fn send_if_it_fits(&mut self, index: u32, payload: Payload<'_>) -> bool {
        self.send_as(index, payload, Some(SlowPolicy::SkipNewest)).unwrap_or(true)
    }

    /// Queues a last message, regardless of how much is queued.
    pub(crate) fn send_last(&mut self, index: u32, payload: Payload<'_>) -> Result<bool, EncodeError> {
        self.send_as(index, payload, None)
    }

    fn send_as(&mut self, index: u32, payload: Payload<'_>, policy: Option<SlowPolicy>) -> Result<bool, EncodeError> {
        let number = self.queues[index as usize].encoding;
        if self.is_buffered(number) {
            return self.buffer_for(&[index], None, number, policy, payload).map(|recipients| recipients > 0);
        }
        let segment = self.append_message(number, Class::Private, PRIVATE, payload.into())?;
        Ok(self.push_private(index, segment, policy))
    }

    /// Queues raw bytes at the end. Returns false if they are too long or the connection too slow.
    pub(crate) fn send_raw(&mut self, index: u32, bytes: &[u8], policy: Option<SlowPolicy>) -> bool {
        let encoding = self.queues[index as usize].encoding;
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        let segment = self.append(encoding, Class::Private, RAW, Payload::Binary(bytes), write);
        segment.is_ok_and(|segment| self.push_private(index, segment, policy))
    }

    /// Queues output without a message terminator. Returns false if it could not be queued.
    ///
    /// It fails on wires that have only messages, and for connections that are too slow.
    pub(crate) fn write(&mut self, index: u32, payload: Payload<'_>) -> bool {
        let mut bytes = Vec::new();
        let encoding = self.encoding(self.queues[index as usize].encoding);
        encoding.encode_raw(payload, &mut bytes) && self.send_raw(index, &bytes, Some(SlowPolicy::Close))
    }

    fn push_private(&mut self, index: u32, segment: Segment, policy: Option<SlowPolicy>) -> bool {
        let queued = self.push(index, segment, policy);
        if queued {
            self.count_in(u64::from(segment.len()));
        }
        self.release(segment);
        queued
    }

    /// Queues a message for all `members` other than `except`. Returns the number of recipients.
    ///
    /// All members have the encoding with this number.
    pub(crate) fn publish<'c>(
        &mut self,
        members: &[u32],
        except: Option<u32>,
        number: u16,
        room: u32,
        policy: SlowPolicy,
        content: impl Into<Content<'c>>,
    ) -> Result<usize, EncodeError> {
        let content = content.into();
        self.refused.clear();
        // Encoding may compress, which needs recipients.
        if members.is_empty() || matches!(*members, [only] if Some(only) == except) {
            return Ok(0);
        }
        self.has_published = true;
        if self.is_buffered(number) {
            return self.buffer_for(members, except, number, Some(policy), content.payload());
        }
        // What is never skipped needs no tag of its own, so it merges across rooms. A room with a home may change its
        // policy, and all its messages behind a notice must be skipped before a message of another tag is.
        let is_never_skipped = policy == SlowPolicy::Close && !is_tag_of_home(room);
        let tag = if is_never_skipped { PRIVATE } else { room };
        work::step(members.len());
        let segment = self.append_message(number, Class::Room, tag, content)?;
        let mut recipients = 0;
        for &member in members {
            if Some(member) == except {
                continue;
            }
            let tail = &mut self.tails[member as usize];
            if tail.extends_to(&segment) {
                tail.end = segment.end;
                recipients += 1;
            } else if self.push(member, segment, Some(policy)) {
                recipients += 1;
            } else {
                self.refused.push(member);
            }
        }
        self.count_in(u64::from(segment.len()) * recipients as u64);
        self.release(segment);
        Ok(recipients)
    }

    /// Returns the members for which the last published message could not be queued.
    pub(crate) fn refused(&self) -> &[u32] {
        &self.refused
    }

    /// Returns `true` if no watermark was crossed and no message skipped since these events were taken.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.watermark_events.is_empty() && self.skips.is_empty()
    }

    /// Removes and returns the members whose queued messages were skipped, with the tags of the rooms.
    pub(crate) fn take_skips(&mut self) -> Vec<(u32, u32)> {
        core::mem::take(&mut self.skips)
    }

    /// Returns those of `conns` with this encoding for which the last published message was queued.
    pub(crate) fn taken_by(&mut self, conns: &[ConnId], number: u16) -> impl Iterator<Item = ConnId> {
        if !conns.is_empty() {
            self.refused.sort_unstable();
        }
        let took = move |conn: &ConnId| {
            let encoding = self.queues[conn.index()].encoding;
            encoding == number && self.refused.binary_search(&conn.slot()).is_err()
        };
        conns.iter().copied().filter(took)
    }

    /// Queues control bytes ahead of all data that is not yet begun.
    pub(crate) fn control(&mut self, index: u32, bytes: &[u8]) {
        let at = index as usize;
        work::step(1 + bytes.len());
        self.queues[at].backlog.control.extend_from_slice(bytes);
        self.count_in(bytes.len() as u64);
        if self.queues[at].backlog.deadline.is_some() {
            self.stall_above(index, self.pending(index));
            if self.pending(index) > self.marks(index).max() {
                self.watermark_events.push_back(WatermarkEvent::Overflow(index));
            }
        }
        self.set_cap(at);
        self.changed.insert(index);
    }

    /// Drops queued and buffered output, except control bytes and the rest of a begun message.
    pub(crate) fn discard(&mut self, index: u32) {
        self.queues[index as usize].write_buffer = LazyBox::default();
        self.retain(index, |_| false);
    }

    /// Drops queued application messages, except the rest of a begun one. Raw bytes stay.
    pub(crate) fn discard_messages(&mut self, index: u32) {
        self.retain(index, |segment| segment.room == RAW);
    }

    fn retain(&mut self, index: u32, stays: impl Fn(Segment) -> bool) {
        let at = index as usize;
        let mut begun = self.queues[at].begun;
        for segment in self.take_segments(at) {
            work::step(1);
            let held = begun.min(segment.len());
            begun -= held;
            let keep = if stays(segment) { segment.len() } else { held };
            self.queued -= u64::from(segment.len() - keep);
            if keep > 0 {
                self.requeue(at, Segment { end: segment.start + keep, ..segment }, false);
            } else {
                self.release(segment);
            }
        }
        self.recheck_marks(index);
        self.set_cap(at);
        self.changed.insert(index);
    }

    /// Returns `true` if nothing is queued or buffered for a connection.
    pub(crate) fn is_empty(&self, index: u32) -> bool {
        self.pending(index) == 0 && self.queues[index as usize].write_buffer.is_empty()
    }

    /// Returns the number of bytes queued for a connection.
    pub(crate) fn pending(&self, index: u32) -> usize {
        self.queues[index as usize].bytes_besides_tail() + self.tails[index as usize].len() as usize
    }

    /// Returns `true` if the queue rose above the high mark and has not fallen to the low mark yet.
    pub(crate) fn is_stalled(&self, index: u32) -> bool {
        self.queues[index as usize].stalled
    }

    /// Returns the stalled connections.
    pub(crate) fn stalled(&self) -> &[u32] {
        self.stalled.as_slice()
    }

    /// Returns when queued output must be written, if the socket is full.
    pub(crate) fn write_deadline(&self, index: u32) -> Option<Time> {
        self.queues[index as usize].backlog.deadline.map(|deadline| deadline.due)
    }

    /// Removes and returns the oldest watermark event.
    pub(crate) fn take_watermark_events(&mut self) -> Option<WatermarkEvent> {
        self.watermark_events.pop_front()
    }

    fn count_in(&mut self, bytes: u64) {
        self.queued += bytes;
        self.queued_peak = self.queued_peak.max(self.queued);
    }

    fn append_message(
        &mut self,
        number: u16,
        class: Class,
        room: u32,
        content: Content<'_>,
    ) -> Result<Segment, EncodeError> {
        let encoding = self.encoding(number);
        let mut encoder = core::mem::take(&mut self.encoder);
        let write = |out: &mut Vec<u8>| content.write(&mut encoder, encoding, out);
        let segment = self.append(number, class, room, content.payload(), write);
        self.encoder = encoder;
        segment
    }

    /// Appends a message to the log of its encoding and class. The caller must release the segment.
    fn append(
        &mut self,
        encoding: u16,
        class: Class,
        room: u32,
        payload: Payload<'_>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<Segment, EncodeError> {
        let bytes = check_length(payload)?;
        let current = &mut self.current[usize::from(encoding)][class as usize];
        if *current == NO_LOG || self.logs.is_full(*current, bytes) {
            if *current != NO_LOG {
                self.logs.seal(*current);
            }
            *current = self.logs.add(NOBODY);
        }
        let log = *current;
        let (start, end) = self.logs.append(log, write)?;
        work::step(1 + bytes + (end - start) as usize);
        self.logs.refer(log);
        self.turn_bytes += u64::from(end - start);
        Ok(Segment { log, start, end, room })
    }

    /// Appends a segment to a queue. Returns false if the slow policy refused it.
    ///
    /// Without a policy, nothing is refused.
    fn push(&mut self, index: u32, segment: Segment, policy: Option<SlowPolicy>) -> bool {
        let at = index as usize;
        if segment.is_empty() {
            // In an otherwise empty queue, it would keep its log: nothing would be written for it.
            return true;
        }
        if let Some(policy) = policy.filter(|_| self.queues[at].backlog.deadline.is_some()) {
            if !self.fits(index, segment) && !self.make_room(index, segment, policy) {
                return false;
            }
            let marks = self.marks(index);
            // In place of everything skipped, a message below the high mark does not stall the
            // connection.
            let enough = if self.pending(index) == 0 { marks.high() } else { marks.low() };
            let pending = self.pending(index) + segment.len() as usize;
            self.stall_above(index, pending);
            self.clear_stall(index, pending, enough);
        }
        self.logs.refer(segment.log);
        self.requeue(at, segment, false);
        self.set_cap(at);
        self.changed.insert(index);
        true
    }

    fn queue_behind(&mut self, at: usize, segment: Segment) {
        self.commit_tail(at);
        self.tails[at] = Tail::from(segment);
    }

    /// Moves the tail to the end of the earlier segments.
    fn commit_tail(&mut self, at: usize) {
        let tail = core::mem::take(&mut self.tails[at]);
        if tail.log != NO_LOG {
            self.queues[at].backlog.earlier_bytes += tail.len() as usize;
            self.queues[at].backlog.earlier.push_back(tail.segment());
        }
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
}

#[cfg(test)]
mod tests;
