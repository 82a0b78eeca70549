//! The output to write next, and its removal from the queue once written.

use super::Outbound;
use super::segment::Segment;
use crate::base::Time;
use crate::state::Pause;

/// Splits a slice after its first `left` bytes, and reduces `left` by the bytes before the split.
fn split<'a>(slice: &'a [u8], left: &mut usize) -> (&'a [u8], &'a [u8]) {
    let (front, rest) = slice.split_at(slice.len().min(*left));
    *left -= front.len();
    (front, rest)
}

impl Outbound {
    /// Returns the output to write next, as slices in order.
    pub(crate) fn slices(&self, index: u32) -> impl Iterator<Item = &[u8]> + '_ {
        let (tail, queue) = (self.tails[index as usize], &self.queues[index as usize]);
        let bytes = |segment: Segment| self.logs.bytes(segment);
        // Usually there is no control data, and no begun message before it.
        let begun = if queue.backlog.control.is_empty() { 0 } else { queue.begun as usize };
        let ahead = (begun > 0).then(|| {
            queue.segments(tail).scan(begun, move |left, segment| {
                let (front, _) = split(bytes(segment), left);
                Some(front)
            })
        });
        let mut left = begun;
        let rest = queue.segments(tail).map(move |segment| split(bytes(segment), &mut left).1);
        let slices = ahead.into_iter().flatten().chain([&queue.backlog.control[..]]).chain(rest);
        slices.filter(|slice| !slice.is_empty())
    }

    /// Returns the first of the [`slices`](Self::slices), empty if there is none.
    pub(crate) fn first(&self, index: u32) -> &[u8] {
        let tail = self.tails[index as usize];
        if self.queues[index as usize].is_plain() {
            return if tail.len() == 0 { &[] } else { self.logs.bytes(tail.segment()) };
        }
        self.slices(index).next().unwrap_or_default()
    }

    /// Marks `bytes` bytes at the front as taken by a layer below, which has not written them yet.
    ///
    /// They no longer change, and the message that they end in must follow completely.
    pub(crate) fn sealed(&mut self, index: u32, bytes: usize) {
        let at = index as usize;
        if self.queues[at].begun == 0 && !self.queues[at].backlog.control.is_empty() {
            // Nothing can precede control data.
            return;
        }
        let (mut left, mut begun) = (u32::try_from(bytes).unwrap_or(u32::MAX), 0);
        for segment in self.queues[at].segments(self.tails[at]) {
            let taken = left.min(segment.len());
            left -= taken;
            begun += taken;
            if taken < segment.len() {
                begun += self.logs.rest_of_message(Segment { start: segment.start + taken, ..segment });
                break;
            }
        }
        self.queues[at].begun = self.queues[at].begun.max(begun);
    }

    /// Returns the slices that the layer below may take at a time.
    ///
    /// With control data queued, this is one slice: part of a begun message, or the control data.
    /// Otherwise it is everything.
    #[cfg(feature = "tls")]
    pub(crate) fn batch(&self, index: u32) -> impl Iterator<Item = &[u8]> + '_ {
        let queue = &self.queues[index as usize];
        let parts = if queue.backlog.control.is_empty() { usize::MAX } else { 1 };
        self.slices(index).take(parts)
    }

    /// Removes the `bytes` bytes of [`slices`](Self::slices) that the socket accepted.
    ///
    /// Returns how many of them were queued.
    pub(crate) fn wrote(&mut self, now: Time, index: u32, bytes: usize) -> usize {
        let at = index as usize;
        let pending = self.pending(index);
        let bytes = bytes.min(pending);
        self.queued -= bytes as u64;
        if bytes == pending && self.queues[at].is_plain() {
            // The usual case: one contiguous slice, written whole.
            let tail = core::mem::take(&mut self.tails[at]);
            self.release(tail.segment());
            return bytes;
        }
        let begun = self.queues[at].begun as usize;
        let first = bytes.min(begun);
        self.advance(at, first);
        let control = (bytes - first).min(self.queues[at].backlog.control.len());
        if control > 0 {
            self.queues[at].backlog.control.drain(..control);
        }
        self.advance(at, bytes - first - control);
        self.queues[at].begun = match u32::try_from(begun - first) {
            Ok(rest @ 1..) => rest,
            _ => self.rest_of_begun(at),
        };
        self.queues[at].progress(now, bytes, pending - bytes, &self.limits);
        self.recheck_marks(index);
        self.set_cap(at);
        bytes
    }

    /// Applies the watermarks and the write deadline to a connection whose socket is full.
    pub(crate) fn blocked(&mut self, now: Time, index: u32) {
        let at = index as usize;
        let pending = self.pending(index);
        if pending == 0 {
            return;
        }
        self.queues[at].start_deadline(now, pending, &self.limits);
        self.blocked.insert(index);
        self.stall_above(index, pending);
        self.set_cap(at);
    }

    /// Postpones a connection's write deadline by a pause.
    pub(crate) fn postpone_deadlines(&mut self, index: u32, pause: Pause) {
        let backlog = self.queues[index as usize].backlog.get_mut();
        if let Some(deadline) = backlog.and_then(|backlog| backlog.deadline.as_mut()) {
            deadline.due = pause.postpone(deadline.due, self.limits.time_for(deadline.bytes()));
        }
    }

    /// Removes `bytes` bytes from the front of the segments.
    fn advance(&mut self, at: usize, mut bytes: usize) {
        while bytes > 0 {
            let queue = &mut self.queues[at];
            let front = queue.backlog.get_mut().and_then(|backlog| backlog.earlier.front_mut());
            let Some(front) = front else {
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
            self.queues[at].backlog.earlier_bytes -= take;
            if done.is_empty() {
                self.queues[at].backlog.earlier.pop_front();
                self.release(done);
            }
        }
    }

    /// Returns the number of bytes left of the queue's first message, or 0 if it is not begun.
    fn rest_of_begun(&self, at: usize) -> u32 {
        let front = self.queues[at].segments(self.tails[at]).next();
        front.map_or(0, |segment| self.logs.rest_of_message(segment))
    }
}
