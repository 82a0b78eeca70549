//! What new members have missed. Members that come back to one room together are answered from one read of its history.

use super::Cluster;
use super::broker::{Answer, Message, Page, Part, Request};
use super::follow::follow;
use super::output::Output;
use super::purpose::Purpose;
use super::reading::readable;
use super::room::{Ask, Step, UNKNOWN};
use crate::base::{OutgoingBuf, Time};
use crate::facts::RoomMessage;
use crate::history::{Gap, Keep, Position};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// A new member waits this long for the position of its room. Then it receives a gap (`broker_away`).
const ASKS_WAIT: Duration = Duration::from_secs(5);
/// How often a question is asked again because the history was not that of the room's position, or the broker refused it.
const TRIES_MAX: u8 = 3;

/// What a member has missed, or why some of it may be missing.
type Missed = Result<Arc<[(Position, OutgoingBuf)]>, Gap>;

impl Cluster {
    /// Answers what a new member has missed, once that is known.
    pub(crate) fn ask(&mut self, now: Time, name: &Arc<str>, keep: Keep, has_presence: bool, ask: Ask) {
        self.hold(now, name, keep);
        if has_presence {
            self.need_presence(now, name);
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.is_held = true;
        match room.top.filter(|_| room.step == Step::Live) {
            Some(position) if ask.since.is_none() => self.tell(name, ask, position, Ok(Arc::default())),
            _ => {
                self.wait(name, [ask]);
                self.open_at_once(now, name);
                self.read_for_asks(now, name);
            }
        }
    }

    /// Notes that no shard of this host has members any more.
    pub(crate) fn release(&mut self, now: Time, name: &str) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.is_held = false;
            (room.asks, room.asked) = (Vec::new(), Vec::new());
            self.drop_if_unused(now, name);
        }
    }

    /// Answers the members that waited for the position of a room, or reads what they have missed.
    pub(super) fn tell_waiting(&mut self, now: Time, name: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let Some(top) = room.top else { return };
        let (new, returning) = core::mem::take(&mut room.asks).into_iter().partition(|ask| ask.since.is_none());
        room.asks = returning;
        self.tell_all(name, new, top, &Ok(Arc::default()));
        self.read_for_asks(now, name);
    }

    /// Reads what members have missed: once for all of them, from the lowest of their positions on.
    fn read_for_asks(&mut self, now: Time, name: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.step == Step::Live && room.reading.is_none())
        else {
            return;
        };
        let (Some(top), false) = (room.top, room.asks.is_empty()) else { return };
        let positions = room.asks.iter().filter_map(|ask| ask.since);
        let lowest = positions.filter(|since| since.epoch == top.epoch).map(|since| since.offset).min();
        // The room may have another epoch meanwhile.
        let from = lowest.unwrap_or(top.offset);
        let messages_max = room.asks.iter().map(|ask| ask.messages_max).max().unwrap_or_default();
        let bytes_max = room.asks.iter().map(|ask| ask.bytes_max).max().unwrap_or_default();
        // The message at the position comes too, and one that members may not have shows that there are more.
        let part = Part { from: Some(from), max: messages_max.saturating_add(2), bytes_max, above: messages_max };
        let read = Request::Read { room: Arc::clone(name), keep: room.keep, part };
        self.filling.number += 1;
        let number = self.filling.number;
        (room.asked, room.reading) = (core::mem::take(&mut room.asks), Some(number));
        self.read(now, read, Purpose::Asks(Arc::clone(name), from, number));
    }

    /// Handles the history that was read for members, from an offset on.
    pub(super) fn asks_read(&mut self, now: Time, name: &Arc<str>, (from, number): (u64, u64), mut answer: Answer) {
        let may_be_early = self.may_be_early();
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.reading == Some(number)) else { return };
        if let (Answer::Page(page), Some(top), true) = (&mut answer, room.top, may_be_early) {
            align(page, top, room.meanwhile.iter());
        }
        let asked = core::mem::take(&mut room.asked);
        room.reading = None;
        room.meanwhile.clear();
        let (Some(top), is_live, age) = (room.top, room.step == Step::Live, room.keep.age) else { return };
        match answer {
            Answer::Page(page) if is_live && page.top == Some(top) => {
                let rest = self.tell_from(name, (top, age), from, &page, asked);
                self.wait(name, rest);
            }
            answer => {
                let was_refused = matches!(answer, Answer::Refused(_));
                let why = if was_refused { Gap::BrokerAway } else { Gap::Rewritten };
                let again = asked.into_iter().map(|ask| Ask { tries: ask.tries.saturating_add(1), ..ask });
                let (over, rest): (Vec<_>, Vec<_>) = again.partition(|ask| ask.tries > TRIES_MAX && is_live);
                self.tell_all(name, over, top, &Err(why));
                self.wait(name, rest);
                if is_live && self.is_up() && !was_refused {
                    // The broker has another position than this host.
                    self.want(name);
                }
            }
        }
        self.read_for_asks(now, name);
    }

    /// Answers members from a page that begins at an offset. Returns those whose part it does not reach.
    fn tell_from(
        &mut self,
        name: &Arc<str>,
        (top, age): (Position, Option<Duration>),
        from: u64,
        page: &Page,
        asked: Vec<Ask>,
    ) -> Vec<Ask> {
        let last = page.messages.last().map(|message| message.position.offset);
        let is_whole = !page.is_above && last.is_none_or(|last| last >= top.offset);
        let is_within =
            |since: Position| since.epoch != top.epoch || since.offset == from || since.offset > from && is_whole;
        let (mut asks, rest): (Vec<Ask>, _) = asked.into_iter().partition(|ask| ask.since.is_some_and(is_within));
        let of = |ask: &Ask| (ask.since, ask.messages_max, ask.bytes_max);
        asks.sort_by_key(of);
        // Members of a host that has ended often have the same position.
        for same in asks.chunk_by(|a, b| of(a) == of(b)) {
            let Some(first) = same.first() else { continue };
            let missed = missed_by(*first, page, is_whole, age);
            self.tell_all(name, same.iter().copied(), top, &missed);
        }
        rest
    }

    /// Lets members wait until the position of their room is known, or its history can be read for them.
    fn wait(&mut self, name: &Arc<str>, asks: impl IntoIterator<Item = Ask>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        for ask in asks {
            self.filling.asks.insert((ask.asked_at + ASKS_WAIT, Arc::clone(name)));
            room.asks.push(ask);
        }
    }

    /// Answers questions that have waited too long.
    pub(super) fn expire_asks(&mut self, now: Time) {
        while self.filling.asks.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, name)) = self.filling.asks.pop_first() else { return };
            let Some(room) = self.rooms.get_mut(&name) else { continue };
            if room.reading.is_some() && room.step == Step::Live {
                // The link answers what was asked before, or fails in time.
                self.filling.asks.insert((now + ASKS_WAIT, name));
                continue;
            }
            let position = *room.top.get_or_insert(UNKNOWN);
            let is_due = |ask: &Ask| ask.asked_at + ASKS_WAIT <= now;
            let (due, rest): (Vec<Ask>, _) = core::mem::take(&mut room.asks).into_iter().partition(is_due);
            room.asks = rest;
            self.tell_all(&name, due, position, &Err(Gap::BrokerAway));
        }
    }

    pub(super) fn asks_deadline(&self) -> Option<Time> {
        self.filling.asks.first().map(|(due, _)| *due)
    }

    fn tell_all(&mut self, name: &Arc<str>, asks: impl IntoIterator<Item = Ask>, position: Position, missed: &Missed) {
        asks.into_iter().for_each(|ask| self.tell(name, ask, position, missed.clone()));
    }

    fn tell(&mut self, name: &Arc<str>, ask: Ask, position: Position, missed: Missed) {
        let told = RoomMessage::Told { room: Arc::clone(name), number: ask.number, position, missed };
        self.output.push_back(Output::ToShard(ask.from, told));
    }
}

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

fn missed_by(ask: Ask, page: &Page, is_whole: bool, age: Option<Duration>) -> Missed {
    let (Some(since), Some(top)) = (ask.since, page.top) else { return Ok(Arc::default()) };
    if top.epoch == since.epoch && page.is_above {
        return Err(Gap::TooMany);
    }
    let messages = readable(follow(page, since, age)?.cloned())?;
    let bytes: usize = messages.iter().map(|(_, message)| message.as_outgoing().len()).sum();
    let is_few = messages.len() <= ask.messages_max as usize && bytes <= ask.bytes_max as usize;
    if is_whole && is_few { Ok(messages.into()) } else { Err(Gap::TooMany) }
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
