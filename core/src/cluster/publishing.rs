//! Messages from this host to shared rooms.

use super::broker::{Answer, Request};
use super::fault::Refused;
use super::output::Output;
use super::parts::KeptPosition;
use super::purpose::Purpose;
use super::room::Step;
use super::{Cluster, envelope};
use crate::base::{ConnId, OutgoingBuf, Time};
use crate::facts::{PublishRefusal, Published, RoomAnswer, RoomMessage};
use crate::history::{Keep, Position, PublishError};
use alloc::sync::Arc;
use core::time::Duration;

/// Maximum length of a key, in bytes.
const KEY_MAX_BYTES: usize = 64;
/// Maximum length of a message, in bytes, so that the broker's replies stay within the bound of the link.
const MESSAGE_MAX_BYTES: usize = 4 << 20;

/// Shortest time between two reports that the broker has refused a message.
const REFUSALS_EVERY: Duration = Duration::from_secs(10);

/// A message to a shared room.
#[derive(Clone, Debug)]
pub(crate) struct Submission<'a> {
    pub(crate) room: &'a Arc<str>,
    /// The shard that sends it, and the number of its request, if it wants an answer.
    pub(crate) from: u8,
    pub(crate) request: Option<u64>,
    pub(crate) key: Option<&'a Arc<str>>,
    pub(crate) except: &'a [ConnId],
    pub(crate) message: &'a OutgoingBuf,
    pub(crate) keep: Keep,
}

impl Cluster {
    /// Publishes a message, or refuses it at once.
    pub(crate) fn submit(&mut self, now: Time, submission: &Submission<'_>) {
        let Submission { room, from, request, key, keep, .. } = *submission;
        if let Some(refusal) = self.refusal(submission) {
            return self.publish_answered(from, request, RoomAnswer::Published(Published::Refused(refusal)));
        }
        let publish = Request::Publish {
            room: Arc::clone(room),
            key: key.cloned(),
            keep,
            epoch: self.marks.next(),
            mark: self.marks.next(),
            data: envelope::encode(self.host, submission.except, submission.message).into(),
        };
        self.request(now, publish, Purpose::Publish { room: Arc::clone(room), keep, from, request });
    }

    /// Removes the kept messages of a room.
    pub(crate) fn remove_history(&mut self, now: Time, room: &Arc<str>, keep: Keep) {
        self.request(now, Request::Remove { room: Arc::clone(room), keep }, Purpose::Nothing);
    }

    pub(super) fn published(
        &mut self,
        now: Time,
        (room, keep): (&Arc<str>, Keep),
        from: u8,
        request: Option<u64>,
        answer: &Answer,
    ) {
        let answer = match *answer {
            Answer::Published { position, is_repeated } => {
                if !is_repeated {
                    self.was_kept(room, keep, position);
                }
                RoomAnswer::Published(Published::kept(position, is_repeated))
            }
            Answer::Refused(Refused(ref words)) => {
                if self.refusal_told_at.is_none_or(|at| at + REFUSALS_EVERY <= now) {
                    self.refusal_told_at = Some(now);
                    self.output.push_back(Output::Refused(words.clone()));
                }
                RoomAnswer::Published(Published::Refused(PublishRefusal::Broker))
            }
            _ => RoomAnswer::Unknown,
        };
        self.publish_answered(from, request, answer);
    }

    /// Remembers the position of a message that the broker has kept, to notice if the broker loses it.
    fn was_kept(&mut self, name: &Arc<str>, keep: Keep, position: Position) {
        match self.rooms.get_mut(name) {
            Some(room) => room.kept.add(self.linking.number, position, room.top.filter(|_| room.step == Step::Live)),
            None => self.kept.add(name, keep, position, None),
        }
    }

    /// Compares what the broker has kept of this host's messages with its histories, after the link was lost.
    pub(super) fn check_kept(&mut self, now: Time) {
        for (name, KeptPosition { keep, position, past }) in self.kept.take() {
            self.hold(now, &name, keep);
            if let Some(room) = self.rooms.get_mut(&name) {
                room.must_check = true;
                if room.top.is_none() {
                    room.past = past;
                }
                room.top.get_or_insert(position);
                room.kept.add(0, position, None);
            }
            self.read_hosts(now, &name);
        }
    }

    fn refusal(&self, submission: &Submission<'_>) -> Option<PublishRefusal> {
        let (bytes, max) =
            (submission.message.as_outgoing().len(), (submission.keep.bytes as usize).min(MESSAGE_MAX_BYTES));
        if bytes > max {
            return Some(PublishError::TooLong { bytes, max }.into());
        }
        if let Some(key) = submission.key.filter(|key| key.len() > KEY_MAX_BYTES) {
            return Some(PublishError::KeyTooLong { bytes: key.len() }.into());
        }
        match self.link.as_ref().filter(|link| link.is_up()) {
            None => Some(PublishRefusal::NoBroker),
            Some(link) => link.is_full().then_some(PublishRefusal::BrokerBehind),
        }
    }

    fn publish_answered(&mut self, from: u8, request: Option<u64>, answer: RoomAnswer) {
        match answer {
            RoomAnswer::Published(Published::Kept { .. }) => self.metrics.kept += 1,
            RoomAnswer::Published(Published::Refused(_)) => self.metrics.refused += 1,
            _ => self.metrics.unknown += 1,
        }
        if let Some(request) = request {
            self.output.push_back(Output::ToShard(from, RoomMessage::Answer { request, answer }));
        }
    }
}
