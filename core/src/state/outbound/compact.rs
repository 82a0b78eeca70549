//! Compaction of shared logs that slow receivers keep in memory.

use super::Outbound;
use super::log::{NOBODY, OWN_LOG_FULL_BYTES};
use super::segment::{NO_LOG, Segment, Tail};
use crate::base::{Time, work};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Constant term of the memory limit, in bytes, above which the logs are compacted.
pub(super) const SLACK_BYTES: u64 = 4 << 20;

impl Outbound {
    /// Ends the turn, and keeps the logs that slow connections still need.
    ///
    /// The next turn starts new logs in their place. A slow connection that needs only a small part
    /// of a log gets a copy instead, so that it keeps no large log in memory.
    pub(crate) fn end_turn(&mut self, now: Time) {
        self.turn_bytes = 0;
        if core::mem::take(&mut self.has_published) {
            let gather = self.limits.gather;
            self.rests_until = (!gather.is_off()).then(|| now + gather.duration());
        }
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
        let stragglers = self.blocked.as_slice().len() as u64 * OWN_LOG_FULL_BYTES as u64;
        if self.logs.held() as u64 > SLACK_BYTES + 2 * self.queued + stragglers {
            self.compact();
        }
    }

    /// Copies what slow connections need from each log, if it is a small part of that log.
    ///
    /// [`copy_out`](Self::copy_out) does most of this in time, but cannot know which parts of a log
    /// are written or skipped later.
    fn compact(&mut self) {
        for place in 0..self.blocked.as_slice().len() {
            let at = self.blocked.as_slice()[place] as usize;
            let segments = self.take_segments(at);
            let mut needed = BTreeMap::<u32, u32>::new();
            for segment in &segments {
                let bytes = needed.entry(segment.log).or_default();
                *bytes = bytes.saturating_add(segment.len());
            }
            // Copies must not go to a log that is copied from.
            self.queues[at].own = NO_LOG;
            for segment in segments {
                let copies = self.logs.worth_copying(segment.log, needed[&segment.log]);
                self.requeue(at, segment, copies);
            }
            self.set_cap(at);
        }
    }

    /// Returns the memory of all logs, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.logs.held()
    }

    /// Appends a segment or a copy of it to a queue. Takes over the caller's reference to it.
    pub(super) fn requeue(&mut self, at: usize, mut segment: Segment, copies: bool) {
        if copies {
            work::step(segment.len() as usize);
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

    /// Removes and returns all segments of a queue.
    pub(super) fn take_segments(&mut self, at: usize) -> Vec<Segment> {
        self.commit_tail(at);
        work::step(1 + self.queues[at].backlog.earlier.len());
        let Some(backlog) = self.queues[at].backlog.get_mut() else { return Vec::new() };
        backlog.earlier_bytes = 0;
        core::mem::take(&mut backlog.earlier).into_segments().collect()
    }

    /// Copies a slow connection's part of `log` into its own log, if that part is small.
    fn copy_out(&mut self, at: usize, log: u32) {
        // What this turn added is at the end.
        let mut recent = Vec::new();
        work::step(1);
        while let Some(segment) = self.pop_back_if_current(at) {
            work::step(1);
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
            if self.queues[at].backlog.earlier.is_empty() {
                return None;
            }
            *tail = Tail::from(self.queues[at].backlog.earlier.pop_back()?);
            self.queues[at].backlog.earlier_bytes -= tail.len() as usize;
        }
        if !self.current.iter().flatten().any(|&current| current == tail.log) {
            return None;
        }
        Some(core::mem::take(tail).segment())
    }

    /// Returns a log that only this connection's segments refer to, with space for `more` bytes.
    fn own_log(&mut self, at: usize, more: u32) -> u32 {
        let owner = u32::try_from(at).unwrap_or(NOBODY);
        if !self.logs.may_grow(self.queues[at].own, owner, more) {
            self.queues[at].own = self.logs.add(owner);
        }
        self.queues[at].own
    }
}
