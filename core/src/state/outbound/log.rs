use super::segment::Segment;
#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure, same};
use crate::base::work;
use crate::wire::EncodeError;
#[cfg(feature = "sim")]
use alloc::collections::BTreeMap;
#[cfg(feature = "sim")]
use alloc::format;
use alloc::vec::Vec;

/// Maximum length of a shared log, in bytes. A log of a single message may be longer.
const LOG_FULL_BYTES: usize = 1 << 20;
/// Length, in bytes, at which a slow connection's own log is replaced, to free its written part.
pub(super) const OWN_LOG_FULL_BYTES: usize = 64 << 10;
/// Number of bytes below which a slow connection always copies its part of a shared log.
const COPY_ALWAYS_BYTES: u32 = 4 << 10;
/// Maximum memory, in bytes, that an empty log keeps for the next turn.
const SPARE_BYTES: usize = 2 * LOG_FULL_BYTES;
/// The `owner` of a shared log, which belongs to no connection.
pub(super) const NOBODY: u32 = u32::MAX;

/// Encoded messages in sequence, and the number of segments that refer to them.
#[derive(Debug)]
struct Log {
    bytes: Vec<u8>,
    /// The end of each message, ascending: control frames and skipping need whole messages.
    ends: Vec<u32>,
    references: u32,
    /// The slow connection that owns this log, or `NOBODY`.
    owner: u32,
}

impl Log {
    fn held(&self) -> usize {
        self.bytes.capacity() + 4 * self.ends.capacity()
    }

    const fn new(owner: u32) -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), references: 0, owner }
    }
}

/// All logs, by number.
#[derive(Debug, Default)]
pub(super) struct Logs {
    logs: Vec<Log>,
    free: Vec<u32>,
    /// Memory of all logs, in bytes.
    held: usize,
}

impl Logs {
    /// Adds an empty log. Returns its number.
    pub(super) fn add(&mut self, owner: u32) -> u32 {
        if let Some(log) = self.free.pop() {
            self.logs[log as usize].owner = owner;
            return log;
        }
        self.logs.push(Log::new(owner));
        len_u32(self.logs.len() - 1)
    }

    /// Appends the output of `write` as one message. Returns its start and end in the log.
    pub(super) fn append(
        &mut self,
        log: u32,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(u32, u32), EncodeError> {
        let log = &mut self.logs[log as usize];
        let before = log.held();
        let start = len_u32(log.bytes.len());
        write(&mut log.bytes)?;
        let end = len_u32(log.bytes.len());
        log.ends.push(end);
        self.held += log.held() - before;
        Ok((start, end))
    }

    /// Returns `true` if a message of `more` bytes should go to a new log.
    pub(super) fn is_full(&self, log: u32, more: usize) -> bool {
        let len = self.logs[log as usize].bytes.len();
        len > 0 && len + more > LOG_FULL_BYTES
    }

    pub(super) fn bytes(&self, segment: Segment) -> &[u8] {
        &self.logs[segment.log as usize].bytes[segment.start as usize..segment.end as usize]
    }

    pub(super) fn refer(&mut self, log: u32) {
        self.logs[log as usize].references += 1;
    }

    /// Removes one reference. Returns true if it was the last.
    pub(super) fn release(&mut self, log: u32) -> bool {
        let references = &mut self.logs[log as usize].references;
        *references -= 1;
        *references == 0
    }

    pub(super) fn is_unused(&self, log: u32) -> bool {
        self.logs[log as usize].references == 0
    }

    /// Empties an unreferenced log, to be written to again.
    pub(super) fn clear(&mut self, log: u32) {
        let log = &mut self.logs[log as usize];
        log.bytes.clear();
        log.ends.clear();
        if log.bytes.capacity() > SPARE_BYTES {
            self.held -= log.bytes.capacity();
            log.bytes = Vec::new();
        }
    }

    /// Removes an unreferenced log.
    pub(super) fn remove(&mut self, log: u32) {
        let old = core::mem::replace(&mut self.logs[log as usize], Log::new(NOBODY));
        self.held -= old.held();
        self.free.push(log);
    }

    /// Frees the spare memory of a log that takes no more messages. Removes an unreferenced log.
    pub(super) fn seal(&mut self, log: u32) {
        if self.is_unused(log) {
            return self.remove(log);
        }
        let log = &mut self.logs[log as usize];
        self.held -= log.held();
        log.bytes.shrink_to_fit();
        log.ends.shrink_to_fit();
        self.held += log.held();
    }

    /// Returns `true` if a slow connection that needs `needed` bytes of a log should copy them.
    pub(super) fn worth_copying(&self, log: u32, needed: u32) -> bool {
        let log = &self.logs[log as usize];
        (log.owner == NOBODY && needed < COPY_ALWAYS_BYTES) || (needed as usize) * 2 < log.bytes.len()
    }

    /// Returns `true` if `own` is a referenced log of `owner` with space for `more` bytes.
    pub(super) fn may_grow(&self, own: u32, owner: u32, more: u32) -> bool {
        let log = self.logs.get(own as usize).filter(|log| log.owner == owner && log.references > 0);
        log.is_some_and(|log| log.bytes.len() + more as usize <= OWN_LOG_FULL_BYTES)
    }

    /// Copies a segment and its message ends to the end of `own`. Returns the copy's segment.
    pub(super) fn copy(&mut self, segment: Segment, own: u32) -> Segment {
        let mut target = core::mem::replace(&mut self.logs[own as usize], Log::new(NOBODY));
        self.held -= target.held();
        let source = &self.logs[segment.log as usize];
        let start = len_u32(target.bytes.len());
        target.bytes.extend_from_slice(&source.bytes[segment.start as usize..segment.end as usize]);
        let first = source.ends.partition_point(|&end| end <= segment.start);
        let ends = source.ends[first..].iter().take_while(|&&end| end <= segment.end);
        target.ends.extend(ends.map(|end| end - segment.start + start));
        let end = len_u32(target.bytes.len());
        target.references += 1;
        self.held += target.held();
        self.logs[own as usize] = target;
        Segment { log: own, start, end, room: segment.room }
    }

    /// Returns the number of bytes left of a segment's first message, or 0 if it is whole.
    pub(super) fn rest_of_message(&self, segment: Segment) -> u32 {
        let ends = &self.logs[segment.log as usize].ends;
        let next = ends.partition_point(|&end| end <= segment.start);
        let begins = next.checked_sub(1).map_or(0, |before| ends[before]);
        match ends.get(next) {
            Some(end) if begins < segment.start => end.min(&segment.end) - segment.start,
            _ => 0,
        }
    }

    /// Finds the whole messages to skip from `from` on, until `excess` bytes are gone.
    ///
    /// Returns the segment's new start and the number of messages to skip.
    pub(super) fn skip(&self, segment: Segment, from: u32, excess: usize) -> (u32, u64) {
        let ends = &self.logs[segment.log as usize].ends;
        let (mut to, mut messages) = (from, 0);
        for &end in &ends[ends.partition_point(|&end| end <= from)..] {
            if (to - from) as usize >= excess || end > segment.end {
                break;
            }
            work::step(1);
            to = end;
            messages += 1;
        }
        (to, messages)
    }

    /// Returns the slow connection that owns a log, or [`NOBODY`].
    #[cfg(feature = "sim")]
    pub(super) fn owner(&self, log: u32) -> u32 {
        self.logs[log as usize].owner
    }

    /// Checks the reference counts and memory of logs, and that unreferenced logs are empty.
    #[cfg(feature = "sim")]
    pub(super) fn recount(&self, references: &BTreeMap<u32, u32>) -> Recounted {
        for (number, log) in (0..).zip(&self.logs) {
            let counted = references.get(&number).copied().unwrap_or(0);
            same(format_args!("references to log {number}"), log.references, counted)?;
            ensure(counted > 0 || log.bytes.is_empty(), || format!("log {number} is not needed and not empty"))?;
        }
        same("memory of logs", self.held, self.logs.iter().map(Log::held).sum())
    }

    #[cfg(test)]
    pub(super) fn are_unused(&self) -> bool {
        self.logs.iter().all(|log| log.references == 0 && log.bytes.is_empty())
    }

    /// Returns the reserved memory, in bytes, including the table of logs.
    pub(super) fn held(&self) -> usize {
        debug_assert_eq!(self.held, self.logs.iter().map(Log::held).sum::<usize>());
        self.held + self.logs.capacity() * size_of::<Log>()
    }
}

/// Converts an offset in a log to 32 bits: a log is far shorter than 4 GiB.
fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
