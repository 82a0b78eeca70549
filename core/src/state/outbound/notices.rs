//! Notices in place of skipped messages.

use super::{Class, Outbound};
use crate::base::Payload;
use crate::state::room::tag_of_notices;

impl Outbound {
    /// Returns `true` if a notice stands where messages of a room were skipped, and no byte of it is begun.
    pub(crate) fn has_notice(&mut self, index: u32, room: u32) -> bool {
        let at = index as usize;
        self.commit_tail(at);
        let begun = self.queues[at].begun;
        let backlog = self.queues[at].backlog.get_mut();
        backlog.is_some_and(|backlog| backlog.earlier.oldest(tag_of_notices(room), begun).is_some())
    }

    /// Queues a notice where messages of a room were skipped: before the first of those that are left.
    ///
    /// It is queued even if it is too much. There is only one for each room, which is short.
    pub(crate) fn notice_skipped(&mut self, index: u32, room: u32, notice: Payload<'_>) {
        let (at, number) = (index as usize, self.queues[index as usize].encoding);
        let appended = self.append_message(number, Class::Private, tag_of_notices(room), notice.into());
        // What is skipped was sent to the same connection, so its encoding has messages like this one.
        let Ok(segment) = appended else { return };
        self.commit_tail(at);
        let begun = self.queues[at].begun;
        let backlog = self.queues[at].backlog.get_mut();
        match backlog.and_then(|backlog| backlog.earlier.oldest(room, begun)) {
            Some((place, _, 0)) => {
                self.queues[at].backlog.earlier.insert(place, segment);
                self.queues[at].backlog.earlier_bytes += segment.len() as usize;
            }
            _ => self.requeue(at, segment, false),
        }
        self.count_in(u64::from(segment.len()));
        if self.queues[at].backlog.deadline.is_some() {
            self.stall_above(index, self.pending(index));
        }
        self.set_cap(at);
        self.changed.insert(index);
    }
}
