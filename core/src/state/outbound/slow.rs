//! Watermarks, and the policies for connections that exceed them.

use super::Outbound;
use super::segment::Segment;
use super::watermark::WatermarkEvent;
use crate::base::lazy_box::LazyBox;
use crate::config::SlowPolicy;
use crate::state::room::is_tag_of_home;

/// Maximum number of segments of a slow connection. Above it, the slow policy applies.
pub(super) const SEGMENTS_MAX: usize = 8192;

impl Outbound {
    /// Returns `true` if a segment can be queued for a slow connection.
    pub(super) fn fits(&self, index: u32, segment: Segment) -> bool {
        let few = self.queues[index as usize].backlog.earlier.len() < SEGMENTS_MAX;
        few && self.pending(index) + segment.len() as usize <= self.marks(index).max()
    }

    /// Applies the slow policy. Returns whether the segment can now be queued.
    pub(super) fn make_room(&mut self, index: u32, segment: Segment, policy: SlowPolicy) -> bool {
        let excess = (self.pending(index) + segment.len() as usize).saturating_sub(self.marks(index).max());
        match policy {
            SlowPolicy::Close => {
                self.watermark_events.push_back(WatermarkEvent::Overflow(index));
                return false;
            }
            // If the message cannot be queued even then, nothing is skipped for it.
            _ if segment.len() as usize > self.marks(index).max() => {}
            SlowPolicy::SkipNewest => {}
            SlowPolicy::SkipOldest => self.skip(index, segment.room, excess.max(1)),
            SlowPolicy::KeepLatest => self.skip(index, segment.room, usize::MAX),
        }
        let room = self.fits(index, segment);
        self.skipped += u64::from(!room);
        room
    }

    /// Drops the oldest whole messages of a room that are not begun, until `excess` bytes are gone.
    fn skip(&mut self, index: u32, room: u32, excess: usize) {
        let at = index as usize;
        self.commit_tail(at);
        let begun = self.queues[at].begun;
        let mut gone = 0;
        while gone < excess
            && let Some((place, segment, held)) =
                self.queues[at].backlog.get_mut().and_then(|backlog| backlog.earlier.oldest(room, begun))
        {
            let from = segment.start + held;
            let (to, messages) = self.logs.skip(segment, from, excess - gone);
            if to == from {
                // No message ends in it.
                break;
            }
            self.skipped += messages;
            gone += (to - from) as usize;
            let rest = Segment { start: to, ..segment };
            let earlier = &mut self.queues[at].backlog.earlier;
            if held > 0 {
                // The begun part stays in front.
                earlier.split(place, Segment { end: from, ..segment }, rest);
                if !rest.is_empty() {
                    self.logs.refer(rest.log);
                }
            } else if rest.is_empty() {
                earlier.remove(place);
                self.release(segment);
            } else {
                earlier.shorten(place, rest);
            }
        }
        if gone > 0 {
            self.queues[at].backlog.earlier_bytes -= gone;
            self.queued -= gone as u64;
            if is_tag_of_home(room) && self.skips.last() != Some(&(index, room)) {
                self.skips.push((index, room));
            }
            // Even if the message that this made room for is still too long.
            self.changed.insert(index);
        }
        if self.pending(index) > 0 {
            self.recheck_marks(index);
        }
        // The socket has accepted nothing, so the deadline stays for what replaces the skipped
        // messages.
    }

    /// Stalls a connection with a full socket if `bytes` is above the high mark.
    pub(super) fn stall_above(&mut self, index: u32, bytes: usize) {
        let high = self.marks(index).high();
        let stalled = &mut self.queues[index as usize].stalled;
        if !*stalled && bytes > high {
            *stalled = true;
            self.stalled.insert(index);
            self.watermark_events.push_back(WatermarkEvent::Stalled(index));
        }
    }

    /// Ends the stall at or below the low mark, and the write deadline once the queue is empty.
    pub(super) fn recheck_marks(&mut self, index: u32) {
        let at = index as usize;
        let pending = self.pending(index);
        if pending == 0 {
            self.queues[at].backlog = LazyBox::new();
            self.blocked.remove(index);
        }
        self.clear_stall(index, pending, self.marks(index).low());
    }

    /// Ends a stall if `bytes` is at or below `mark`.
    pub(super) fn clear_stall(&mut self, index: u32, bytes: usize, mark: usize) {
        let stalled = &mut self.queues[index as usize].stalled;
        if *stalled && bytes <= mark {
            *stalled = false;
            self.stalled.remove(index);
            self.watermark_events.push_back(WatermarkEvent::Drained(index));
        }
    }

    /// Sets how far publishing may move the tail's end before the watermarks must be checked.
    pub(super) fn set_cap(&mut self, at: usize) {
        self.tails[at].cap = self.cap_of(at);
    }

    pub(super) fn cap_of(&self, at: usize) -> u32 {
        let queue = &self.queues[at];
        if queue.backlog.deadline.is_none() {
            return u32::MAX;
        }
        let marks = self.marks(u32::try_from(at).unwrap_or(u32::MAX));
        let mark = if queue.stalled { marks.max() } else { marks.high() };
        let others = queue.bytes_besides_tail();
        self.tails[at].start.saturating_add(u32::try_from(mark.saturating_sub(others)).unwrap_or(u32::MAX))
    }
}
