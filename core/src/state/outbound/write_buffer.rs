//! Buffer for messages that a telnet session processes before they are queued.
//!
//! Sessions do so if they compress their output or redraw an input line.

use super::{Outbound, WatermarkEvent};
use crate::base::{Payload, work};
use crate::config::SlowPolicy;
use crate::wire::EncodeError;
use alloc::vec::Vec;

impl Outbound {
    pub(super) fn is_buffered(&self, encoding: u16) -> bool {
        self.encoding(encoding).is_buffered()
    }

    /// Buffers a message for all `members` other than `except`. Returns the number of recipients.
    ///
    /// All members have this encoding.
    ///
    /// A buffered message cannot be skipped later. For a slow connection, the policy therefore
    /// closes it or skips the new message.
    pub(super) fn buffer_for(
        &mut self,
        members: &[u32],
        except: Option<u32>,
        encoding: u16,
        policy: Option<SlowPolicy>,
        payload: Payload<'_>,
    ) -> Result<usize, EncodeError> {
        self.refused.clear();
        super::check_length(payload)?;
        let mut message = Vec::new();
        self.encoder.encode(self.encoding(encoding), payload, &mut message)?;
        self.turn_bytes += message.len() as u64;
        let mut recipients = 0;
        for &member in members {
            work::step(1 + message.len());
            if Some(member) == except {
                continue;
            }
            if !self.has_room(member, message.len(), policy) {
                self.refused.push(member);
                continue;
            }
            self.queues[member as usize].write_buffer.extend_from_slice(&message);
            self.buffered.insert(member);
            if self.queues[member as usize].backlog.deadline.is_some() {
                self.stall_above(member, self.pending(member) + self.queues[member as usize].write_buffer.len());
            }
            recipients += 1;
        }
        Ok(recipients)
    }

    fn has_room(&mut self, index: u32, more: usize, policy: Option<SlowPolicy>) -> bool {
        let queue = &self.queues[index as usize];
        let fits = self.pending(index) + queue.write_buffer.len() + more <= self.marks(index).max();
        match policy.filter(|_| queue.backlog.deadline.is_some() && !fits) {
            None => return true,
            Some(SlowPolicy::Close) => self.watermark_events.push_back(WatermarkEvent::Overflow(index)),
            Some(_) => self.skipped += 1,
        }
        false
    }

    /// Removes and returns a connection with buffered messages.
    pub(crate) fn has_buffered(&self) -> bool {
        !self.buffered.is_empty()
    }

    pub(crate) fn next_buffered(&mut self) -> Option<u32> {
        self.buffered.pop()
    }

    pub(crate) fn has_write_buffer(&self, index: u32) -> bool {
        !self.queues[index as usize].write_buffer.is_empty()
    }

    pub(crate) fn take_write_buffer(&mut self, index: u32) -> Vec<u8> {
        self.queues[index as usize].write_buffer.take()
    }

    /// Sets the encoding of further messages to a connection.
    pub(crate) fn set_encoding(&mut self, index: u32, encoding: u16) {
        self.queues[index as usize].encoding = encoding;
    }
}
