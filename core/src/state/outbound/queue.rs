use super::earlier::Earlier;
use super::segment::{NO_LOG, Segment, Tail};
use crate::base::Time;
use crate::base::lazy_box::{HasEmpty, LazyBox};
use crate::config::OutboundLimits;
use alloc::vec::Vec;

/// The write deadline of a slow connection: a number of bytes, and when they must be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteDeadline {
    bytes: u64,
    pub(super) due: Time,
}

impl WriteDeadline {
    pub(super) fn bytes(self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }
}

/// A connection's queue without its tail.
///
/// It is small, because each message to a room visits the queues of all members.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) encoding: u16,
    /// Whether the queue rose above the high mark and has not fallen to the low mark yet.
    pub(super) stalled: bool,
    /// Number of bytes at the front that precede control data, because they are sealed or begun.
    pub(super) begun: u32,
    /// Number of the log that only this connection uses, or `NO_LOG`.
    pub(super) own: u32,
    pub(super) backlog: LazyBox<Backlog>,
    /// Messages that the session must process before they are queued.
    pub(super) write_buffer: LazyBox<Vec<u8>>,
}

/// What is queued besides the tail, and until when it must be written. Most queues have only a tail.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pub(super) earlier: Earlier,
    pub(super) earlier_bytes: usize,
    pub(super) control: Vec<u8>,
    pub(super) deadline: Option<WriteDeadline>,
}

impl HasEmpty for Backlog {
    const EMPTY: &'static Self =
        &Self { earlier: Earlier::new(), earlier_bytes: 0, control: Vec::new(), deadline: None };
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            encoding: 0,
            stalled: false,
            begun: 0,
            own: NO_LOG,
            backlog: LazyBox::new(),
            write_buffer: LazyBox::new(),
        }
    }
}

impl Queue {
    /// Returns `true` if only a tail is queued, no byte of it is begun, and the socket is not full.
    ///
    /// May return `false` although that is so, until what is queued was written.
    pub(super) fn is_plain(&self) -> bool {
        self.begun == 0 && self.backlog.get().is_none()
    }

    /// Returns the number of queued bytes without those of the tail.
    pub(super) fn bytes_besides_tail(&self) -> usize {
        self.backlog.get().map_or(0, |backlog| backlog.earlier_bytes + backlog.control.len())
    }

    /// Returns all segments in order, including the tail.
    pub(super) fn segments(&self, tail: Tail) -> impl Iterator<Item = Segment> + '_ {
        self.backlog.earlier.iter().chain((tail.log != NO_LOG).then(|| tail.segment()))
    }

    /// Starts the write deadline, unless one is running.
    ///
    /// It is a fixed time plus the time for the queue's length at the lowest accepted rate.
    pub(super) fn start_deadline(&mut self, now: Time, pending: usize, limits: &OutboundLimits) {
        let due = now + limits.time_for(pending);
        self.backlog.deadline.get_or_insert(WriteDeadline { bytes: pending as u64, due });
    }

    /// Counts written bytes. Once all due bytes are written, starts a deadline for the rest.
    pub(super) fn progress(&mut self, now: Time, written: usize, left: usize, limits: &OutboundLimits) {
        let Some(deadline) = self.backlog.get_mut().and_then(|backlog| backlog.deadline.as_mut()) else { return };
        deadline.bytes = deadline.bytes.saturating_sub(written as u64);
        if deadline.bytes == 0 {
            *deadline = WriteDeadline { bytes: left as u64, due: now + limits.time_for(left) };
        }
    }
}
