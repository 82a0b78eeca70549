//! Requests about rooms: their messages, positions and epochs.

use super::answers::{ApiErrorKind, Stored, Unusable, kept, stored};
use super::class::Class;
use super::headers::{HeadersBuf, Ours};
use super::link::{Known, NatsLink};
use super::reading::{Collect, page_messages};
use super::streams::Stream;
use super::task::{Asked, Next, Task, bytes_of};
use crate::base::Time;
use crate::cluster::broker::{Answer, Page, Part, Request};
use crate::cluster::fault::{LinkFault, Refused};
use crate::history::{Keep, Position};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// Maximum number of rooms whose epoch is remembered.
const KNOWN_MAX: usize = 10_000;
/// Time for which the epoch of a room without a subscription is remembered.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// Shortest time between two messages that repeat the epoch of a room.
const REPAIR_EVERY: Duration = Duration::from_secs(1);
/// How often a request is begun again because another host was faster.
const TRIES_MAX: u8 = 3;

impl<P> NatsLink<P> {
    /// Publishes a message, or removes the earlier ones. If the epoch of the room is not known, that is asked first.
    pub(super) fn publish(&mut self, now: Time, asked: Asked<P>) {
        let Some((room, keep)) = room_of(&asked.request) else { return };
        if let Some(waiting) = self.opening.get_mut(room) {
            self.waiting_bytes += bytes_of(&asked);
            return waiting.push_back(asked);
        }
        let is_fresh = |known: &&Known| self.rooms.contains_key(room) || known.confirmed_at + KNOWN_FOR > now;
        if let Some(epoch) = self.known.get(room).filter(is_fresh).map(|known| known.epoch) {
            return self.publish_in(now, asked, epoch);
        }
        let open = Request::Open { room: Arc::clone(room), keep, epoch: self.marks.next() };
        self.waiting_bytes += bytes_of(&asked);
        self.opening.insert(Arc::clone(room), VecDeque::from([asked]));
        self.number += 1;
        let open = Asked { request: open, purpose: None, order: self.number, at: now, tries: 0 };
        self.ask_for_last(now, open);
    }

    /// Publishes the messages that waited for the epoch of their room.
    pub(super) fn epoch_is_known(&mut self, now: Time, room: &Arc<str>, answer: &Answer) {
        for asked in self.opening.remove(room).unwrap_or_default() {
            self.waiting_bytes -= bytes_of(&asked);
            match answer {
                Answer::Top(Some(top)) => self.publish_in(now, asked, top.epoch),
                Answer::Refused(why) => self.finish(now, asked, Answer::Refused(why.clone())),
                _ => self.finish(now, asked, Answer::Refused(Refused("the room has no position".into()))),
            }
        }
    }

    fn publish_in(&mut self, now: Time, asked: Asked<P>, epoch: u64) {
        let Request::Publish { room, key, keep, mark, data, .. } = &asked.request else {
            let Some((room, keep)) = room_of(&asked.request).map(|(room, keep)| (Arc::clone(room), keep)) else {
                return;
            };
            return self.begin_epoch(now, asked, (&room, keep), epoch, HeadersBuf::replaces_all);
        };
        let ours = Ours { epoch, mark: *mark, has_content: true };
        let key = key.as_ref().filter(|_| !keep.key_window.is_zero());
        let subject = self.subjects.history(Class::of(keep), Some(room));
        let mut headers = HeadersBuf::of(ours);
        if let Some(key) = key {
            // Keys are those of a room, and JetStream compares them in the whole stream. A key may have any characters.
            let id = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
            headers = headers.id(&format!("{}.{}", id(room), id(key)));
        }
        let data = Arc::clone(data);
        self.call(now, subject, &headers.end(), &data, Task::Asked(asked, Next::Kept(ours)));
    }

    /// Asks for the last message of a room, or for the lease of this host.
    pub(super) fn ask_for_last(&mut self, now: Time, asked: Asked<P>) {
        let (stream, subject) = match room_of(&asked.request) {
            Some((room, keep)) => {
                let class = Class::of(&keep);
                (Stream::Rooms(class), self.subjects.history(class, Some(room)))
            }
            None => (Stream::Leases, self.subjects.lease()),
        };
        let query = format!(r#"{{"last_by_subj":"{subject}"}}"#);
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", stream.name(&self.subjects));
        self.call(now, subject, "", query.as_bytes(), Task::Asked(asked, Next::Last));
    }

    pub(super) fn last_found(&mut self, now: Time, asked: Asked<P>, payload: &[u8]) -> Result<(), LinkFault> {
        let last = match stored(payload) {
            Ok(last) => Some(last),
            Err(Unusable::Error(error)) if error.kind == ApiErrorKind::NoMessage => None,
            Err(why) => return self.refuse_after(now, asked, why, "a request for the last message"),
        };
        let Some((room, keep)) = room_of(&asked.request).map(|(room, keep)| (Arc::clone(room), keep)) else {
            // The lease of this host.
            match last {
                Some(_) => self.keep_lease(now, asked),
                None => self.finish(now, asked, Answer::Leased(false)),
            }
            return Ok(());
        };
        let number = last.as_ref().map_or(0, |last| last.number);
        let top = last.as_ref().and_then(|last| {
            let Ours { epoch, mark, .. } = last.ours?;
            Some(Position::new(self.note_epoch(now, &room, epoch), last.number, mark))
        });
        match (asked.request.clone(), top) {
            (Request::Open { epoch, .. }, None) => {
                let before = self.known.get(&room).map_or(0, |known| known.epoch);
                let epoch = later_epoch(before, epoch);
                self.begin_epoch(now, asked, (&room, keep), epoch, |headers| headers.expects(number));
            }
            (Request::Renew { epoch, new, .. }, Some(top)) if top.epoch == epoch => {
                let epoch = later_epoch(epoch, new);
                self.begin_epoch(now, asked, (&room, keep), epoch, |headers| headers.expects(number));
            }
            (Request::Read { part, .. }, top) => self.read_page(now, asked, (&room, keep), part, top.zip(last)),
            (_, top) => self.finish(now, asked, Answer::Top(top)),
        }
        Ok(())
    }

    /// Publishes a message without content.
    fn begin_epoch(
        &mut self,
        now: Time,
        asked: Asked<P>,
        (room, keep): (&str, Keep),
        epoch: u64,
        with: impl FnOnce(HeadersBuf) -> HeadersBuf,
    ) {
        let ours = Ours { epoch, mark: self.marks.next(), has_content: false };
        let subject = self.subjects.history(Class::of(&keep), Some(room));
        let headers = with(HeadersBuf::of(ours)).end();
        self.call(now, subject, &headers, b"", Task::Asked(asked, Next::Kept(ours)));
    }

    /// Handles the confirmation of a message to a room.
    pub(super) fn was_kept(
        &mut self,
        now: Time,
        mut asked: Asked<P>,
        ours: Ours,
        payload: &[u8],
    ) -> Result<(), LinkFault> {
        let found = match kept(payload) {
            Ok(found) => found,
            Err(Unusable::Error(error)) if error.kind == ApiErrorKind::WrongLastSequence && asked.tries < TRIES_MAX => {
                // Another host was faster.
                asked.tries += 1;
                self.ask_for_last(now, asked);
                return Ok(());
            }
            Err(why) => return self.refuse_after(now, asked, why, "a message"),
        };
        let Some((room, keep)) = room_of(&asked.request).map(|(room, keep)| (Arc::clone(room), keep)) else {
            return Ok(());
        };
        if found.is_repeated {
            let query = format!(r#"{{"seq":{}}}"#, found.number);
            let stream = self.subjects.rooms_stream(Class::of(&keep));
            let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
            self.call(now, subject, "", query.as_bytes(), Task::Asked(asked, Next::Earlier));
            return Ok(());
        }
        let position = Position::new(self.note_epoch(now, &room, ours.epoch), found.number, ours.mark);
        let answer = match &asked.request {
            Request::Publish { .. } => Answer::Published { position, is_repeated: false },
            Request::Remove { .. } => Answer::Done,
            _ => Answer::Top(Some(position)),
        };
        self.finish(now, asked, answer);
        Ok(())
    }

    /// Handles the message that was published first with a key.
    pub(super) fn earlier_found(&mut self, now: Time, asked: Asked<P>, payload: &[u8]) -> Result<(), LinkFault> {
        let (number, mark) = match stored(payload) {
            Ok(Stored { number, ours, .. }) => (number, ours.map_or(0, |ours| ours.mark)),
            // It is not kept any more. No message has this position, so nobody can come back with it.
            Err(Unusable::Error(error)) if error.kind == ApiErrorKind::NoMessage => (0, 0),
            Err(why) => return self.refuse_after(now, asked, why, "a request for a message"),
        };
        let epoch = room_of(&asked.request).and_then(|(room, _)| self.known.get(room)).map_or(0, |known| known.epoch);
        let position = Position::new(epoch, number, mark);
        self.finish(now, asked, Answer::Published { position, is_repeated: true });
        Ok(())
    }

    /// Notes an epoch of a room, and returns the highest one that is known.
    pub(super) fn note_epoch(&mut self, now: Time, room: &Arc<str>, epoch: u64) -> u64 {
        if let Some(known) = self.known.get_mut(room) {
            known.epoch = known.epoch.max(epoch);
            known.confirmed_at = now;
            return known.epoch;
        }
        if self.known.len() >= KNOWN_MAX + self.rooms.len() {
            self.known.pop_first();
        }
        self.known.insert(Arc::clone(room), Known { epoch, confirmed_at: now, repaired_at: None });
        epoch
    }

    /// Publishes the epoch of a room again, after a host that did not know it has published a message.
    pub(super) fn repair_epoch(&mut self, now: Time, room: &Arc<str>, number: u64) {
        let Some(class) = self.rooms.get(room).map(|subscribed| subscribed.class) else { return };
        let Some(known) = self.known.get_mut(room) else { return };
        if known.repaired_at.is_some_and(|at| at + REPAIR_EVERY > now) {
            return;
        }
        known.repaired_at = Some(now);
        let ours = Ours { epoch: known.epoch, mark: self.marks.next(), has_content: false };
        // Only one of all hosts succeeds.
        let headers = HeadersBuf::of(ours).expects(number).end();
        self.call(now, self.subjects.history(class, Some(room)), &headers, b"", Task::Ignored);
    }

    fn read_page(
        &mut self,
        now: Time,
        asked: Asked<P>,
        (room, keep): (&str, Keep),
        part: Part,
        last: Option<(Position, Stored)>,
    ) {
        let Some((top, last)) = last else {
            let page = Page { top: None, now: 0, messages: Vec::new(), is_above: false };
            return self.finish(now, asked, Answer::Page(page));
        };
        if part.above > 0 && part.from.is_some_and(|from| from >= top.offset) {
            // Nothing follows. So the age of messages does not matter.
            let is_there = part.from == Some(top.offset);
            let messages = if is_there { page_messages(top.epoch, Vec::from([last])) } else { Vec::new() };
            let page = Page { top: Some(top), now: 0, messages, is_above: false };
            return self.finish(now, asked, Answer::Page(page));
        }
        let class = Class::of(&keep);
        let stream = self.subjects.rooms_stream(class);
        let filter = self.subjects.history(class, Some(room));
        let from = if part.above > 0 { part.from.unwrap_or(0) } else { 0 };
        self.collect(now, asked, &filter, from, Collect::of_page(stream, part, keep.messages, top));
    }
}

fn room_of(request: &Request) -> Option<(&Arc<str>, Keep)> {
    match request {
        Request::Publish { room, keep, .. }
        | Request::Open { room, keep, .. }
        | Request::Top { room, keep }
        | Request::Read { room, keep, .. }
        | Request::Renew { room, keep, .. }
        | Request::Remove { room, keep } => Some((room, *keep)),
        _ => None,
    }
}

/// Returns an epoch above another one. 0: the first epoch of a room.
fn later_epoch(before: u64, random: u64) -> u64 {
    match before {
        0 => random >> 2 | 1,
        before => before.saturating_add(1 + (random & 0xffff_ffff)),
    }
}
