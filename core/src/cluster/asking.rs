//! Questions of this host's shards: what new members have missed, and parts of histories.

use super::broker::{Answer, Message, Page, Part, Request};
use super::follow::{follow, is_old};
use super::output::Output;
use super::purpose::Purpose;
use super::room::{Ask, Room, Step};
use super::{Cluster, envelope};
use crate::base::{OutgoingBuf, Time};
use crate::facts::{HistoryPage, HistoryRange, RoomAnswer, RoomMessage};
use crate::history::{Gap, Keep, Position};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// A new member waits this long for the broker. Then it is told that the broker cannot be reached.
const ASKS_WAIT: Duration = Duration::from_secs(5);
/// How often a question is asked again because the history was not that of the room's position.
const TRIES_MAX: u8 = 3;
/// Maximum number of messages in a page of a history.
const PAGE_MESSAGES_MAX: u32 = 1_000;
/// Number of bytes after which a page of a history ends.
const PAGE_BYTES: u32 = 1 << 20;
/// Stands for the position of a room until the broker has told it.
const UNKNOWN: Position = Position::new(0, 0, 0);

impl Cluster {
    /// Answers what a new member has missed, once that is known.
    pub(crate) fn ask(&mut self, now: Time, name: &Arc<str>, keep: Keep, has_presence: bool, ask: Ask) {
        self.hold(now, name, Some(keep));
        if let Some(room) = self.rooms.get_mut(name) {
            room.is_held = true;
        }
        if has_presence {
            self.need_presence(now, name);
        }
        self.answer_or_wait(now, name, ask);
    }

    /// Notes that no shard of this host has members any more.
    pub(crate) fn release(&mut self, now: Time, name: &str) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.is_held = false;
            room.asks.clear();
            self.drop_if_unused(now, name);
        }
    }

    /// Reads a part of a history for a shard.
    pub(crate) fn read_history(
        &mut self,
        now: Time,
        (name, keep): (&Arc<str>, Keep),
        (from, request): (u8, u64),
        range: HistoryRange,
        max: u32,
    ) {
        let max = max.min(PAGE_MESSAGES_MAX);
        let (first, count, above) = match range {
            HistoryRange::Oldest => (Some(1), max.max(1), 0),
            HistoryRange::Latest => (None, max.max(1), 0),
            HistoryRange::After(position) => (Some(position.offset), max + 1, u32::MAX),
        };
        let part = Part { from: first, max: count, bytes_max: PAGE_BYTES, above };
        let purpose = Purpose::History { keep, from, request, range, max };
        self.read(now, Request::Read { room: Arc::clone(name), keep, part }, purpose);
    }

    pub(super) fn history_read(
        &mut self,
        keep: Keep,
        (from, request): (u8, u64),
        range: HistoryRange,
        max: u32,
        answer: Answer,
    ) {
        let page = match answer {
            Answer::Page(page) => history_page(page, range, max as usize, keep.age),
            _ => Err(Gap::BrokerAway),
        };
        let answer = RoomAnswer::History(page);
        self.output.push_back(Output::ToShard(from, RoomMessage::Answer { request, answer }));
    }

    /// Subscribes to a room, unless this host has already.
    pub(super) fn hold(&mut self, now: Time, name: &Arc<str>, keep: Option<Keep>) {
        let link = self.link.as_mut().filter(|link| link.is_up());
        if let Some(room) = self.rooms.get_mut(name) {
            let before = room.keep;
            room.keep = keep.unwrap_or(before);
            let Some(link) = link.filter(|link| link.is_moved(before, room.keep)) else { return };
            link.unsubscribe(now, name);
            link.subscribe(now, core::iter::once((&**name, room.keep)));
            return self.want(name);
        }
        let keep = keep.unwrap_or(Keep::messages(0));
        self.rooms.insert(Arc::clone(name), Room::new(now, keep));
        if let Some(link) = link {
            link.subscribe(now, core::iter::once((&**name, keep)));
            self.want(name);
        }
    }

    pub(super) fn drop_if_unused(&mut self, now: Time, name: &str) {
        if self.rooms.get(name).is_some_and(Room::is_unused)
            && let Some((name, room)) = self.rooms.remove_entry(name)
        {
            self.forget_people(&name, &room.people);
            if let Some(top) = room.top.filter(|top| *top != UNKNOWN) {
                self.kept.add(&name, room.keep, top, Some(room.past));
            }
            if let Some(link) = self.link.as_mut().filter(|link| link.is_up()) {
                link.unsubscribe(now, &name);
            }
        }
    }

    fn answer_or_wait(&mut self, now: Time, name: &Arc<str>, ask: Ask) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        match (room.top.filter(|_| room.step == Step::Live), ask.since) {
            (Some(position), None) => self.tell(name, ask, position, Ok(Arc::default())),
            (Some(_), Some(since)) => {
                // The message at its position comes too, and one that it may not have shows that there are more.
                let max = ask.messages_max.saturating_add(2);
                let part = Part { from: Some(since.offset), max, bytes_max: ask.bytes_max, above: ask.messages_max };
                let read = Request::Read { room: Arc::clone(name), keep: room.keep, part };
                room.reading = room.reading.saturating_add(1);
                self.read(now, read, Purpose::Ask(Arc::clone(name), ask));
            }
            (None, _) => {
                self.filling.asks.insert((ask.asked_at + ASKS_WAIT, Arc::clone(name)));
                room.asks.push_back(ask);
            }
        }
    }

    /// Answers the questions that waited for the position of a room.
    pub(super) fn tell_waiting(&mut self, now: Time, name: &Arc<str>) {
        let asks = self.rooms.get_mut(name).map(|room| core::mem::take(&mut room.asks)).unwrap_or_default();
        for ask in asks {
            self.answer_or_wait(now, name, ask);
        }
    }

    /// Handles the history that was read for a new member.
    pub(super) fn ask_read(&mut self, now: Time, name: &Arc<str>, mut ask: Ask, mut answer: Answer) {
        let may_be_early = self.may_be_early();
        let Some(room) = self.rooms.get_mut(name) else { return };
        if let (Answer::Page(page), Some(top), true) = (&mut answer, room.top, may_be_early) {
            align(page, top, room.meanwhile.iter());
        }
        room.reading = room.reading.saturating_sub(1);
        if room.reading == 0 {
            room.meanwhile.clear();
        }
        let Some(room) = self.rooms.get(name).filter(|room| room.is_held) else { return };
        let (Some(top), age, is_live) = (room.top, room.keep.age, room.step == Step::Live) else { return };
        match answer {
            Answer::Page(page) if is_live && page.top == Some(top) => {
                let missed = missed_by(ask, page, age);
                self.tell(name, ask, top, missed);
            }
            Answer::Page(_) if ask.tries >= TRIES_MAX => self.tell(name, ask, top, Err(Gap::Rewritten)),
            Answer::Refused(_) => self.tell(name, ask, top, Err(Gap::BrokerAway)),
            _ => {
                ask.tries += 1;
                if is_live && self.is_up() {
                    // The broker has another position than this host.
                    self.want(name);
                }
                self.answer_or_wait(now, name, ask);
            }
        }
    }

    /// Answers questions that have waited too long.
    pub(super) fn expire_asks(&mut self, now: Time) {
        while self.filling.asks.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, name)) = self.filling.asks.pop_first() else { return };
            let Some(room) = self.rooms.get_mut(&name) else { continue };
            let position = *room.top.get_or_insert(UNKNOWN);
            let is_due = |ask: &Ask| ask.asked_at + ASKS_WAIT <= now;
            let (due, rest): (VecDeque<Ask>, _) = core::mem::take(&mut room.asks).into_iter().partition(is_due);
            room.asks = rest;
            for ask in due {
                self.tell(&name, ask, position, Err(Gap::BrokerAway));
            }
        }
    }

    pub(super) fn asks_deadline(&self) -> Option<Time> {
        self.filling.asks.first().map(|(due, _)| *due)
    }

    fn tell(&mut self, name: &Arc<str>, ask: Ask, position: Position, missed: Missed) {
        let told = RoomMessage::Told { room: Arc::clone(name), number: ask.number, position, missed };
        self.output.push_back(Output::ToShard(ask.from, told));
    }
}

/// What a member has missed, or why some of it may be missing.
type Missed = Result<Arc<[(Position, OutgoingBuf)]>, Gap>;

/// Makes a page end at the position of its room, if live messages that came meanwhile allow it.
///
/// Where live messages do not keep their place among answers, the page of a busy room ends earlier or later.
fn align<'m>(page: &mut Page, top: Position, meanwhile: impl Iterator<Item = &'m Message>) {
    let Some(end) = page.top.filter(|end| *end != top && end.epoch == top.epoch) else { return };
    let last = page.messages.last().map(|message| message.position);
    // Otherwise, the page is only a part of what follows.
    let must_reach = last.is_some_and(|last| last == end || last.offset >= top.offset);
    if end.offset > top.offset {
        // Members get these live.
        page.messages.retain(|message| message.position.offset <= top.offset);
    } else if must_reach {
        let at = page.now;
        let later = meanwhile.filter(|message| message.position.offset > end.offset);
        page.messages.extend(later.map(|message| Message { at, ..message.clone() }));
    }
    let is_aligned = match page.messages.last().map(|message| message.position) {
        Some(last) => last == top || !must_reach && last.offset < top.offset,
        None => page.is_above,
    };
    if is_aligned {
        page.top = Some(top);
    }
}

fn missed_by(ask: Ask, page: Page, age: Option<Duration>) -> Missed {
    let (Some(since), Some(top)) = (ask.since, page.top) else { return Ok(Arc::default()) };
    if top.epoch == since.epoch && page.is_above {
        return Err(Gap::TooMany);
    }
    let last = page.messages.last().map(|message| message.position.offset);
    let is_all = last.unwrap_or(since.offset) >= top.offset;
    let messages = readable(follow(page, since, age)?)?;
    let bytes: usize = messages.iter().map(|(_, message)| message.as_outgoing().len()).sum();
    let is_few = messages.len() <= ask.messages_max as usize && bytes <= ask.bytes_max as usize;
    if is_all && is_few { Ok(messages.into()) } else { Err(Gap::TooMany) }
}

fn history_page(page: Page, range: HistoryRange, max: usize, age: Option<Duration>) -> Result<HistoryPage, Gap> {
    let top = page.top.ok_or(Gap::NoHistory)?;
    let (now, is_whole) = (page.now, page.messages.last().is_none_or(|last| last.position.offset >= top.offset));
    let messages: Vec<_> = match range {
        HistoryRange::After(since) => follow(page, since, age)?.collect(),
        HistoryRange::Oldest | HistoryRange::Latest => {
            let is_kept = |message: &Message| age.is_none_or(|age| !is_old(message, now, age));
            page.messages.into_iter().filter(is_kept).collect()
        }
    };
    let mut messages = readable(messages.into_iter())?;
    let has_more = max > 0 && !messages.is_empty() && (messages.len() > max || !is_whole);
    messages.truncate(max);
    Ok(HistoryPage::new(messages.into(), top, has_more))
}

fn readable(messages: impl Iterator<Item = Message>) -> Result<Vec<(Position, OutgoingBuf)>, Gap> {
    let read = |message: Message| {
        let data = message.data?;
        let found = envelope::decode(data).ok_or(Gap::Unsendable);
        Some(found.map(|found| (message.position, found.message)))
    };
    messages.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::broker::Previous;
    use alloc::vec;

    fn message(offset: u64, previous: u64) -> Message {
        let previous = if previous == 0 { Previous::Unknown } else { Previous::Offset(previous) };
        Message { position: at(offset), previous, at: 1, data: None }
    }

    fn at(offset: u64) -> Position {
        Position::new(7, offset, 100 + offset)
    }

    #[test]
    fn page_is_made_to_end_where_its_room_is() {
        let page = |end: u64, messages: Vec<Message>| Page { top: Some(at(end)), now: 9, messages, is_above: false };
        let known = || vec![message(3, 0), message(5, 3), message(8, 5)];
        let later = [message(8, 5), message(9, 8), message(12, 9)];
        for (page, top, expected) in [
            (page(8, known()), 8, Some(vec![3, 5, 8])),
            // The room is further, or not as far.
            (page(8, known()), 12, Some(vec![3, 5, 8, 9, 12])),
            (page(8, known()), 5, Some(vec![3, 5])),
            // Some of what came meanwhile is not there.
            (page(8, known()), 13, None),
            // The page is only a part of what follows.
            (page(10, known()), 12, Some(vec![3, 5, 8])),
            (page(10, known()), 9, Some(vec![3, 5, 8])),
            // The room has another message at its position, or nothing is left.
            (page(8, known()), 4, None),
            (page(8, known()), 2, None),
            (Page { is_above: true, ..page(8, Vec::new()) }, 12, Some(Vec::new())),
        ] {
            let mut aligned = page.clone();
            align(&mut aligned, at(top), later.iter());
            let offsets: Vec<u64> = aligned.messages.iter().map(|message| message.position.offset).collect();
            assert_eq!((aligned.top == Some(at(top))).then_some(offsets), expected, "{page:?} {top}");
            let is_old = aligned.messages.iter().any(|message| message.at == 0);
            assert!(!is_old);
        }
        let mut other = Page { top: Some(Position::new(8, 8, 1)), ..page(8, known()) };
        align(&mut other, at(12), later.iter());
        assert_eq!(other.top, Some(Position::new(8, 8, 1)));
    }
}
