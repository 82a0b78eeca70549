//! Reading the histories of rooms, to pass on what was missed.

use super::Cluster;
use super::broker::{Answer, Part, Request};
use super::engine::Link;
use super::follow::{follow, is_contradicted, is_gone, is_lost};
use super::output::Output;
use super::purpose::Purpose;
use super::room::{Room, Step};
use crate::base::Time;
use crate::facts::RoomMessage;
use crate::history::{Gap, Keep, Position};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

/// Maximum number of reads whose answers have not come. Together they stay far below the limits that a broker sets
/// for readers of what is published (8 MiB for a minute, by default).
const READS_MAX: usize = 16;
/// Maximum number of messages, and of bytes after the first message, in one answer.
const PART_MESSAGES: u32 = 500;
const PART_BYTES: u32 = 128 << 10;
/// If a host has missed more messages of a room, its members are told of a gap and get none of them.
const FILL_MAX: u32 = 10_000;
/// Longest random wait after the link is up, so that many hosts do not read at one moment.
const SPREAD: Duration = Duration::from_millis(300);
/// Wait after the broker refused to read.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

impl Cluster {
    /// Reads the histories of all rooms, those with the most messages first.
    pub(super) fn begin_filling(&mut self, now: Time) {
        let mut rooms: Vec<_> = self.rooms.iter().map(|(name, room)| (Reverse(room.messages), name)).collect();
        rooms.sort();
        self.filling.rooms = rooms.into_iter().map(|(_, name)| Arc::clone(name)).collect();
        self.filling.from = Some(now + self.random.within(SPREAD));
        for room in self.rooms.values_mut() {
            room.messages = 0;
        }
    }

    /// Sends a read, once few enough are under way.
    pub(super) fn read(&mut self, now: Time, request: Request, purpose: Purpose) {
        if self.is_up() {
            self.filling.reads.push_back((request, purpose));
            self.fill_rooms(now);
        } else {
            self.answered(now, purpose, Answer::Lost);
        }
    }

    /// Marks a room whose history must be read.
    pub(super) fn want(&mut self, name: &Arc<str>) {
        if let Some(room) = self.rooms.get_mut(name)
            && !matches!(room.step, Step::Reading(_))
        {
            room.step = Step::Wanted;
            self.filling.rooms.push_back(Arc::clone(name));
        }
    }

    /// Asks for the position of a room that is new here, before anything is published that its first member must get.
    pub(super) fn open_at_once(&mut self, now: Time, name: &Arc<str>) {
        let may_read = self.is_up() && self.filling.under_way < READS_MAX;
        let is_new = |room: &Room| room.step == Step::Wanted && room.top.is_none();
        if may_read && self.rooms.get(name).is_some_and(is_new) {
            self.reopen(now, name);
        }
    }

    /// Sends the reads that may be sent now.
    pub(super) fn fill_rooms(&mut self, now: Time) {
        while self.is_up() && self.filling.under_way < READS_MAX {
            let next = self.filling.reads.pop_front().or_else(|| self.next_fill(now));
            let Some((request, purpose)) = next else { return };
            self.send_read(now, request, purpose);
        }
    }

    fn send_read(&mut self, now: Time, request: Request, purpose: Purpose) {
        self.filling.under_way += 1;
        self.request(now, request, purpose);
    }

    pub(super) fn filling_deadline(&self) -> Option<Time> {
        let waits = self.is_up() && !self.filling.rooms.is_empty() && self.filling.under_way < READS_MAX;
        self.filling.from.filter(|_| waits)
    }

    fn next_fill(&mut self, now: Time) -> Option<(Request, Purpose)> {
        if self.filling.from.is_some_and(|from| from > now) {
            return None;
        }
        self.filling.from = None;
        while let Some(name) = self.filling.rooms.pop_front() {
            let Some(room) = self.rooms.get_mut(&name).filter(|room| room.step == Step::Wanted) else { continue };
            room.kept_before = room.kept.clone();
            let Some(top) = room.top else { return self.open_request(&name) };
            let (keep, number) = self.begin_reading(&name)?;
            let part = Part { from: Some(top.offset), max: PART_MESSAGES, bytes_max: PART_BYTES, above: FILL_MAX };
            self.metrics.fills += 1;
            return Some((Request::Read { room: Arc::clone(&name), keep, part }, Purpose::Fill(name, number)));
        }
        None
    }

    /// Handles the position of a room that was opened.
    pub(super) fn opened(&mut self, now: Time, name: &Arc<str>, number: u64, answer: &Answer) {
        let Some(room) = self.room_read(name, number) else { return };
        match (answer, room.top) {
            (Answer::Top(Some(top)), None) => self.is_live(now, name, *top),
            (Answer::Top(Some(top)), Some(_)) => self.moved(now, name, *top, Gap::OtherEpoch),
            _ => self.read_failed(now, name),
        }
    }

    /// Handles the position of a room with a new epoch.
    pub(super) fn renewed(&mut self, now: Time, name: &Arc<str>, number: u64, answer: &Answer) {
        let Some(room) = self.room_read(name, number) else { return };
        match *answer {
            Answer::Top(Some(top)) => {
                let why = room.must_renew.take().unwrap_or(Gap::Rewritten);
                self.moved(now, name, top, why);
            }
            Answer::Top(None) => self.reopen(now, name),
            _ => self.read_failed(now, name),
        }
    }

    /// Handles a part of the history of a room.
    pub(super) fn filled(&mut self, now: Time, name: &Arc<str>, number: u64, answer: Answer) {
        let may_be_early = self.may_be_early();
        let Some(room) = self.room_read(name, number) else { return };
        let (Some(top), keep) = (room.top, room.keep) else { return };
        let Answer::Page(page) = answer else { return self.read_failed(now, name) };
        let Some(end) = page.top else { return self.reopen(now, name) };
        let is_too_long = end.epoch == top.epoch && page.is_above;
        // If answers come in any order, the broker may have kept the latest messages after it was asked for the history.
        let kept = if may_be_early { &room.kept_before } else { &room.kept };
        let is_missing =
            |kept: Position| is_lost(kept, top, &page) || kept.offset >= top.offset && is_gone(kept, &page, keep);
        let has_lost = kept.iter().any(is_missing) || room.past.has(end.epoch);
        #[cfg(test)]
        let (top, has_lost) = if self.offsets_only {
            let offset = top.offset.min(end.offset);
            (Position { offset, mark: Position::ANY_MARK, ..top }, false)
        } else {
            (top, has_lost)
        };
        if has_lost {
            // Nothing here may be missing, but what this host published or knew is.
            return self.tell_loss(now, name, end.epoch);
        }
        match follow(&page, top, keep.age) {
            Ok(messages) => {
                let mut last = top;
                for message in messages {
                    let before = core::mem::replace(&mut last, message.position);
                    self.metrics.filled += 1;
                    self.deliver(name, before, message.clone());
                }
                if last == end {
                    self.is_live(now, name, end);
                } else {
                    self.read_further(name, last);
                }
            }
            Err(_) if is_too_long => self.moved(now, name, end, Gap::TooMany),
            Err(why) if is_contradicted(top, why) || why == Gap::TooOld && is_gone(top, &page, keep) => {
                self.tell_loss(now, name, top.epoch);
            }
            Err(why) => self.moved(now, name, end, why),
        }
    }

    /// Begins a new epoch because the broker has lost messages, now or once that is possible.
    fn tell_loss(&mut self, now: Time, name: &Arc<str>, epoch: u64) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.must_renew.get_or_insert(Gap::Rewritten);
            self.begin_epoch(now, name, epoch);
        }
    }

    fn begin_epoch(&mut self, now: Time, name: &Arc<str>, epoch: u64) {
        let Some((keep, number)) = self.begin_reading(name) else { return };
        let renew = Request::Renew { room: Arc::clone(name), keep, epoch, new: self.marks.next() };
        self.request(now, renew, Purpose::Renew(Arc::clone(name), number));
    }

    /// Begins the history of a room that the broker does not know any more.
    fn reopen(&mut self, now: Time, name: &Arc<str>) {
        if let Some((open, purpose)) = self.open_request(name) {
            self.send_read(now, open, purpose);
        }
    }

    fn open_request(&mut self, name: &Arc<str>) -> Option<(Request, Purpose)> {
        let (keep, number) = self.begin_reading(name)?;
        let open = Request::Open { room: Arc::clone(name), keep, epoch: self.marks.next() };
        Some((open, Purpose::Open(Arc::clone(name), number)))
    }

    /// Notes that the position of a room is asked for. Returns the number of this reading.
    fn begin_reading(&mut self, name: &str) -> Option<(Keep, u64)> {
        let room = self.rooms.get_mut(name)?;
        self.filling.number += 1;
        room.step = Step::Reading(self.filling.number);
        Some((room.keep, self.filling.number))
    }

    /// Returns the room about which an answer is, unless the question was an earlier one.
    fn room_read(&mut self, name: &str, number: u64) -> Option<&mut Room> {
        self.rooms.get_mut(name).filter(|room| room.step == Step::Reading(number))
    }

    fn read_further(&mut self, name: &Arc<str>, from: Position) {
        if let Some(room) = self.rooms.get_mut(name) {
            (room.top, room.step) = (Some(from), Step::Wanted);
            self.filling.rooms.push_front(Arc::clone(name));
        }
    }

    /// Tells members of a gap, after which messages follow this position.
    fn moved(&mut self, now: Time, name: &Arc<str>, position: Position, why: Gap) {
        if let Some(room) = self.rooms.get_mut(name) {
            if let Some(before) = room.top.replace(position).filter(|before| before.epoch != position.epoch) {
                room.past.add(before.epoch);
            }
            self.metrics.gaps += 1;
            self.output.push_back(Output::ToHolders(RoomMessage::Moved { room: Arc::clone(name), position, why }));
            self.is_live(now, name, position);
        }
    }

    /// Notes that the position of a room is that of the broker, and tells the members that wait for it.
    fn is_live(&mut self, now: Time, name: &Arc<str>, position: Position) {
        let may_be_early = self.may_be_early();
        let Some(room) = self.rooms.get_mut(name) else { return };
        (room.top, room.confirmed_at) = (Some(position), now);
        if room.must_renew.is_some() {
            return self.begin_epoch(now, name, position.epoch);
        }
        (room.step, room.must_check) = (Step::Live, false);
        if may_be_early {
            room.kept.clear_up_to(position);
        } else {
            room.kept.clear();
        }
        self.tell_waiting(now, name);
        self.hear_early(now, name);
        self.drop_if_unused(now, name);
    }

    /// Returns `true` if messages and answers of the broker may come in any order.
    pub(super) fn may_be_early(&self) -> bool {
        self.link.as_ref().is_some_and(Link::may_be_early)
    }

    /// Reads the history again: soon if the broker refused it, and otherwise once the link is up.
    fn read_failed(&mut self, now: Time, name: &Arc<str>) {
        let is_up = self.is_up();
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.step = Step::Wanted;
        if is_up {
            self.filling.rooms.push_back(Arc::clone(name));
            self.filling.from = Some(now + AFTER_REFUSAL);
        }
    }

    /// Begins a new epoch of a room to which messages were published that the broker does not have.
    pub(crate) fn renew(&mut self, now: Time, name: &Arc<str>, keep: Keep) {
        self.hold(now, name, keep);
        if let Some(room) = self.rooms.get_mut(name) {
            room.must_renew = Some(Gap::BrokerAway);
        }
    }
}
