//! Consistency checks of queues and logs, for tests.

use super::queue::Queue;
use super::segment::{NO_LOG, Tail};
use super::{Outbound, log::NOBODY};
use crate::base::recount::{Recounted, ensure, same};
use alloc::collections::BTreeMap;
use alloc::format;

impl Outbound {
    /// Returns the first difference between the stored values and a recount.
    ///
    /// `encoding_of` is the encoding of the connection in a slot, if there is one.
    pub(crate) fn recount(&self, encoding_of: impl Fn(u32) -> Option<u16>) -> Recounted {
        let mut references = BTreeMap::<u32, u32>::new();
        let mut queued = 0;
        for (index, (queue, tail)) in (0..).zip(self.queues.iter().zip(&self.tails)) {
            self.recount_queue(index, queue, *tail)?;
            let encoding = encoding_of(index);
            if let Some(encoding) = encoding {
                same(format_args!("encoding of slot {index}"), queue.encoding, encoding)?;
            } else {
                ensure(self.pending(index) == 0 && !queue.stalled, || format!("slot {index} is free and has a queue"))?;
            }
            queued += self.pending(index) as u64;
            for segment in queue.segments(*tail) {
                ensure(!segment.is_empty(), || format!("slot {index} has an empty segment"))?;
                *references.entry(segment.log).or_default() += 1;
            }
        }
        same("queued bytes", self.queued, queued)?;
        ensure(self.watermark_events.is_empty(), || "watermark events are pending".into())?;
        self.logs.recount(&references)?;
        for &log in self.current.iter().flatten().filter(|&&log| log != NO_LOG) {
            ensure(self.logs.owner(log) == NOBODY, || format!("log {log} is shared and has an owner"))?;
        }
        Ok(())
    }

    fn recount_queue(&self, index: u32, queue: &Queue, tail: Tail) -> Recounted {
        let blame = |what: &str| format!("queue of slot {index}: {what}");
        let earlier: usize = queue.backlog.earlier.iter().map(|segment| segment.len() as usize).sum();
        ensure(queue.backlog.earlier.gaps_are_counted(), || blame("has empty segments that are not counted"))?;
        ensure(!queue.stalled || self.pending(index) > self.marks(index).low(), || {
            blame("stalled below the low mark")
        })?;
        same(format_args!("queue of slot {index}: earlier bytes"), queue.backlog.earlier_bytes, earlier)?;
        ensure(queue.write_buffer.is_empty(), || blame("something is buffered between two facts"))?;
        ensure(self.blocked.contains(index) == queue.backlog.deadline.is_some(), || {
            blame("full, and not due, or the reverse")
        })?;
        ensure(self.stalled.contains(index) == queue.stalled, || blame("stalled, and not counted so, or the reverse"))?;
        ensure(queue.backlog.deadline.is_some() || !queue.stalled, || blame("stalled, and the socket is not full"))?;
        ensure(queue.backlog.deadline.is_none() || self.pending(index) > 0, || blame("due, and empty"))?;
        ensure(u64::from(queue.begun) <= u64::from(tail.len()) + earlier as u64, || blame("begun, and not there"))?;
        if tail.log != NO_LOG {
            ensure(tail.cap <= self.cap_of(index as usize), || blame("its tail may grow beyond a mark"))?;
        }
        Ok(())
    }
}
