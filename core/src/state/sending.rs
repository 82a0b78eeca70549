//! Sending messages to connections and rooms.

use super::{Ending, Notice, Pending, State};
use crate::base::{ConnId, Outgoing, Payload, Reason};
use crate::config::SlowPolicy;
use crate::history::Gap;
use crate::state::conn::Conn;
use crate::state::outbound::{PRIVATE, Streamed, WatermarkEvent};
use crate::state::room::{RoomNumber, WAITING, is_tag_of_home};
use crate::wire::events::{EventFormat, StreamEvent};
use alloc::vec::Vec;

/// Number of bytes queued in one turn above which to write before reading more.
const TURN_FULL_BYTES: u64 = 256 << 10;

impl State {
    pub(crate) fn send(&mut self, id: ConnId, message: Outgoing<'_>) -> bool {
        let Some(index) = self.sending_slot(id) else { return false };
        let payload = message.as_payload(self.representation(id));
        let sent = self.outbound.send(index, payload);
        if sent == Ok(true) {
            self.copy_sent(id, payload);
        }
        self.count_out(u64::from(sent == Ok(true)), u64::from(sent.is_err()));
        self.settle_watermarks();
        sent == Ok(true)
    }

    /// Sends an event with its fields. Returns `false` if it was not queued, or the wire is not a stream of events.
    pub(crate) fn send_event(&mut self, id: ConnId, event: &StreamEvent<'_>) -> bool {
        let Some(index) = self.sending_slot(id) else { return false };
        let Some(format) = self.conns.get(id).and_then(|conn| self.outbound.format(conn.encoding)) else {
            return false;
        };
        let mut bytes = Vec::new();
        format.write(event, &mut bytes);
        let sent = self.outbound.send_encoded(index, &bytes);
        if let Some(data) = event.data.filter(|_| sent) {
            self.copy_sent(id, Payload::Text(data));
        }
        self.count_out(u64::from(sent), 0);
        self.settle_watermarks();
        sent
    }

    /// Returns the slot of a connection, if messages can be sent to it.
    fn sending_slot(&self, id: ConnId) -> Option<u32> {
        self.open_slot(id).filter(|_| self.conns.get(id).is_some_and(|conn| !conn.finished))
    }

    pub(crate) fn publish(&mut self, room: &str, except: &[ConnId], message: Outgoing<'_>) -> usize {
        self.publish_streamed(room, except, message, &Streamed::default())
    }

    /// Publishes a message. `streamed`: the message for members whose wire is a stream of events.
    pub(crate) fn publish_streamed(
        &mut self,
        room: &str,
        except: &[ConnId],
        message: Outgoing<'_>,
        streamed: &Streamed,
    ) -> usize {
        let Some(number) = self.rooms.number(room) else { return 0 };
        // Connections that are gone or on other shards are no members here.
        let mut except: Vec<u32> = except.iter().filter_map(|&id| self.conns.get(id).map(|_| id.slot())).collect();
        let named = except.len();
        except.extend(self.held_back(number));
        self.outbound.skipped += (except.len() - named) as u64;
        except.sort_unstable();
        let watched = self.watched_members(number, &except);
        let Some(room) = self.rooms.get(number) else { return 0 };
        let policy = room.policy.unwrap_or(self.config.outbound.slow_policy);
        // One exception is skipped while publishing; with more, the members are filtered first.
        let (one, several) = match *except {
            [one] => (Some(one), false),
            _ => (None, !except.is_empty()),
        };
        let (mut sent, mut unsendable, mut copied) = (0, 0, Vec::new());
        let (has_home, mut missed) = (is_tag_of_home(room.tag), Vec::new());
        for group in room.groups.iter().filter(|group| group.encoding != WAITING) {
            let chosen: Vec<u32>;
            let members = if several {
                chosen = without(&group.members, &except);
                &chosen
            } else {
                &group.members
            };
            let payload = message.as_payload(self.outbound.representation(group.encoding));
            let format = self.outbound.format(group.encoding);
            let (content, policy) = (streamed.content(format, payload), policy_for(format, policy));
            let published = self.outbound.publish(members, one, group.encoding, room.tag, policy, content);
            if let Ok(recipients) = published {
                sent += recipients;
                copied.extend(self.outbound.taken_by(&watched, group.encoding));
                if has_home && policy != SlowPolicy::Close {
                    missed.extend(self.outbound.refused().iter().map(|&slot| (slot, Gap::TooSlow)));
                }
            } else {
                let without = members.iter().filter(|&&member| Some(member) != one);
                unsendable += without.clone().count();
                if has_home {
                    missed.extend(without.map(|&slot| (slot, Gap::Unsendable)));
                }
            }
        }
        self.copy_to_watchers(&copied, message);
        self.count_out(sent as u64, unsendable as u64);
        for (slot, why) in missed {
            self.missed(slot, number, why);
        }
        self.settle_watermarks();
        sent
    }

    /// Sends a message of a room to one of its members, which may still be waiting.
    ///
    /// `streamed`: the message for a member whose wire is a stream of events.
    pub(crate) fn send_from_room(&mut self, number: RoomNumber, slot: u32, message: Outgoing<'_>, streamed: &Streamed) {
        let (Some(room), Some(conn)) = (self.rooms.get(number), self.conns.at(slot)) else { return };
        if !conn.is_open() || conn.finished {
            return;
        }
        let policy = room.policy.unwrap_or(self.config.outbound.slow_policy);
        if self.is_held_back(number, slot) {
            self.outbound.skipped += 1;
            return;
        }
        let payload = message.as_payload(self.outbound.representation(conn.encoding));
        let format = self.outbound.format(conn.encoding);
        let (content, policy) = (streamed.content(format, payload), policy_for(format, policy));
        match self.outbound.publish(&[slot], None, conn.encoding, room.tag, policy, content) {
            Ok(1..) => {
                self.copy_sent(self.conns.id(slot), payload);
                self.count_out(1, 0);
            }
            Ok(0) if policy == SlowPolicy::Close => {}
            Ok(0) => self.missed(slot, number, Gap::TooSlow),
            Err(_) => {
                self.count_out(0, 1);
                self.missed(slot, number, Gap::Unsendable);
            }
        }
        self.settle_watermarks();
    }

    pub(crate) fn send_each(&mut self, ids: &[ConnId], message: Outgoing<'_>) -> usize {
        let mut groups: Vec<(u16, Vec<u32>)> = Vec::new();
        let mut watched = Vec::new();
        for &id in ids {
            let Some(conn) = self.conns.get(id).filter(|conn| conn.is_open() && !conn.finished) else { continue };
            if self.watched.has(id) {
                watched.push(id);
            }
            match groups.iter_mut().find(|(encoding, _)| *encoding == conn.encoding) {
                Some((_, members)) => members.push(id.slot()),
                None => groups.push((conn.encoding, alloc::vec![id.slot()])),
            }
        }
        let (mut sent, mut unsendable, mut copied) = (0, 0, Vec::new());
        for (encoding, members) in groups {
            let payload = message.as_payload(self.outbound.representation(encoding));
            match self.outbound.publish(&members, None, encoding, PRIVATE, SlowPolicy::Close, payload) {
                Ok(recipients) => {
                    sent += recipients;
                    copied.extend(self.outbound.taken_by(&watched, encoding));
                }
                Err(_) => unsendable += members.len(),
            }
        }
        self.copy_to_watchers(&copied, message);
        self.count_out(sent as u64, unsendable as u64);
        self.settle_watermarks();
        sent
    }

    /// Sends output without a message terminator. Returns false if it could not be queued.
    ///
    /// It fails on wires that have only messages, and for connections that are closed or too slow.
    pub(crate) fn write(&mut self, id: ConnId, payload: Payload<'_>) -> bool {
        let written = self.with_either_session(id, |session| session.write(payload), |session| session.write(payload));
        let written = match written {
            Some(()) => self.open_slot(id).is_some(),
            None => self.sending_slot(id).is_some_and(|index| self.outbound.write(index, payload)),
        };
        if written {
            self.copy_sent(id, payload);
        }
        self.settle_watermarks();
        written
    }

    /// Sends a notice of the server, if the connection is open and has notices enabled.
    pub(crate) fn notice(&mut self, index: u32, notice: Notice<'_>) {
        let Some(conn) = self.conns.at(index) else { return };
        if conn.is_open() && !conn.finished && conn.notices {
            let text = notice.write(self.representation_of_notices(index));
            let _ = self.outbound.send(index, Payload::Text(&text));
            self.settle_watermarks();
        }
    }

    pub(crate) fn wrote(&mut self, index: u32, bytes: usize) {
        let written = self.outbound.wrote(self.now, index, bytes) as u64;
        self.metrics.bytes_out += written;
        let Some(conn) = self.conns.at_mut(index) else { return };
        conn.traffic.bytes_out += written;
        let origin = conn.origin;
        self.count_tunnel_traffic(origin, 0, written);
        if self.outbound.write_deadline(index).is_some() {
            // A new deadline for less may be earlier than the one that was met.
            self.schedule(index);
        }
        self.settle_watermarks();
        if self.is_behind(index) && !self.outbound.is_stalled(index) {
            self.tell_behind(index);
        }
        if self.conns.at(index).is_some_and(|conn| conn.finished) && self.outbound.pending(index) == 0 {
            // Our half can be closed now.
            self.outbound.changed.insert(index);
        }
        self.progress_closing(index);
    }

    pub(crate) fn blocked(&mut self, index: u32) {
        self.outbound.blocked(self.now, index);
        self.schedule(index);
        self.settle_watermarks();
    }

    /// Resumes reading from a connection that was stalled. Queues an event if it is open.
    pub(super) fn drained(&mut self, index: u32) {
        let id = self.conns.id(index);
        if let Some(conn) = self.conns.at_mut(index).filter(|conn| conn.is_open()) {
            if !conn.always_read {
                conn.may_speak_again(self.now);
            }
            self.pending.push_back(Pending::Drained(id));
            self.tell_behind(index);
        }
        self.outbound.changed.insert(index);
        self.schedule(index);
    }

    #[inline]
    pub(crate) fn settle_watermarks(&mut self) {
        // Called after everything that is sent or written, and there is seldom something to do.
        if !self.outbound.is_settled() {
            self.settle_crossed_watermarks();
        }
    }

    fn settle_crossed_watermarks(&mut self) {
        for (index, tag) in self.outbound.take_skips() {
            self.skipped(index, tag);
        }
        while let Some(event) = self.outbound.take_watermark_events() {
            match event {
                WatermarkEvent::Overflow(index) => self.end(index, Reason::SlowConsumer, Ending::Discard),
                WatermarkEvent::Drained(index) => self.drained(index),
                WatermarkEvent::Stalled(index) => {
                    self.outbound.changed.insert(index);
                    if self.conns.at(index).is_some_and(Conn::is_open) {
                        self.pending.push_back(Pending::Stalled(self.conns.id(index)));
                    }
                }
            }
        }
    }

    /// Returns `true` if output should be written before more of a connection's input is decoded.
    ///
    /// Much is queued in this turn, or for this connection, and further answers may be long.
    pub(crate) fn should_write_first(&self, index: u32) -> bool {
        self.turn_is_full() || self.outbound.pending(index) > self.outbound.marks(index).max()
    }

    pub(crate) fn turn_is_full(&self) -> bool {
        self.outbound.turn_bytes > TURN_FULL_BYTES
    }

    pub(super) fn count_out(&mut self, sent: u64, unsendable: u64) {
        self.metrics.messages_out += sent;
        self.metrics.messages_unsendable += unsendable;
    }
}

/// Returns the policy for recipients of this format.
///
/// Streams are always closed: their client takes a later position to mean that it has all earlier messages.
const fn policy_for(format: Option<EventFormat>, policy: SlowPolicy) -> SlowPolicy {
    if format.is_some() { SlowPolicy::Close } else { policy }
}

/// Returns the members that are not in `except`, which must be sorted.
fn without<T: Ord + Copy>(members: &[T], except: &[T]) -> Vec<T> {
    members.iter().filter(|member| except.binary_search(member).is_err()).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cmp::Ordering;
    use std::cell::Cell;

    std::thread_local! {
        static COMPARED: Cell<u64> = const { Cell::new(0) };
    }

    /// A number whose comparisons are counted in `COMPARED`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Counted(u32);

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            COMPARED.set(COMPARED.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    #[test]
    fn excluding_many_members_takes_no_quadratic_time() {
        let members: Vec<_> = (0..4_000).rev().map(Counted).collect();
        let except: Vec<_> = (0..4_000).filter(|number| number % 2 == 0).map(Counted).collect();
        let left = without(&members, &except);
        assert_eq!(left.len(), 2_000);
        assert!(left.iter().all(|number| number.0 % 2 == 1));
        assert!(COMPARED.get() < 4_000 * 15, "{} comparisons", COMPARED.get());
    }
}
