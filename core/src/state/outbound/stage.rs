//! Messages that a telnet session compresses or draws around an input line before they are queued.

use super::{Crossing, Outbound};
use crate::base::{Payload, work};
use crate::config::SlowPolicy;
use crate::wire::EncodeError;
use alloc::vec::Vec;

impl Outbound {
    pub(super) fn is_staged(&self, encoding: u16) -> bool {
        self.encoding(encoding).is_staged()
    }

    /// Stages one message for many connections with one encoding, except one. Returns for how many.
    ///
    /// A staged message cannot be skipped later. For a slow connection, the policy therefore closes
    /// it or skips the new message.
    pub(super) fn stage_for(
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
            self.queues[member as usize].stage.extend_from_slice(&message);
            self.staged.insert(member);
            if self.queues[member as usize].owed.is_some() {
                self.stall_above(member, self.pending(member) + self.queues[member as usize].stage.len());
            }
            recipients += 1;
        }
        Ok(recipients)
    }

    fn has_room(&mut self, index: u32, more: usize, policy: Option<SlowPolicy>) -> bool {
        let queue = &self.queues[index as usize];
        let fits = self.pending(index) + queue.stage.len() + more <= self.limits.marks.max();
        match policy.filter(|_| queue.owed.is_some() && !fits) {
            None => return true,
            Some(SlowPolicy::Close) => self.crossings.push_back(Crossing::Overflow(index)),
            Some(_) => self.skipped += 1,
        }
        false
    }

    /// Returns a connection with staged messages.
    pub(crate) fn next_staged(&mut self) -> Option<u32> {
        self.staged.pop()
    }

    pub(crate) fn has_stage(&self, index: u32) -> bool {
        !self.queues[index as usize].stage.is_empty()
    }

    pub(crate) fn take_stage(&mut self, index: u32) -> Vec<u8> {
        self.queues[index as usize].stage.take()
    }

    /// Sets the encoding of further messages to a connection.
    pub(crate) fn set_encoding(&mut self, index: u32, encoding: u16) {
        self.queues[index as usize].encoding = encoding;
    }
}
