//! What the home of a room does: number, keep, pass on, and tell.

use super::tables::shared;
use crate::base::{ConnId, OutgoingBuf};
use crate::facts::{HistoryPage, HistoryRange, Published, RoomAnswer, RoomMessage};
use crate::history::{Gap, Keep, KeptMessage, Position};
use crate::state::State;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Maximum number of messages in a page of a history.
const PAGE_MESSAGES_MAX: u32 = 1_000;
/// Number of bytes after which a page of a history ends.
const PAGE_BYTES: usize = 1 << 20;

impl State {
    /// Returns how much of a room's history is kept.
    ///
    /// A shard that has not applied the latest configuration yet may ask for a room that has no
    /// home here.
    pub(in crate::state) fn keep_of(&self, room: &str) -> Keep {
        self.room_options(room).map_or(Keep::messages(0), |options| options.keep)
    }

    /// Numbers and keeps a message, passes it on to all shards with members, and answers.
    pub(crate) fn keep(
        &mut self,
        room: &Arc<str>,
        (from, request): (u8, Option<u64>),
        key: Option<&str>,
        except: &Arc<[ConnId]>,
        message: &OutgoingBuf,
    ) {
        let keep = self.keep_of(room);
        let memory = &mut self.memory;
        let random = (memory.marks.next(), memory.marks.next());
        let kept = memory.histories.publish(room, self.now, &keep, random, key, message.clone());
        let answer = match kept {
            Ok(publication) => {
                if !publication.is_repeated {
                    #[cfg(feature = "sim")]
                    memory.note_numbered(room, (publication.position, publication.previous), except, message);
                    let Position { epoch, offset, .. } = publication.position;
                    let before = Position::new(epoch, offset.saturating_sub(1), publication.previous);
                    for shard in self.holders_of(room) {
                        let message = RoomMessage::Kept {
                            room: Arc::clone(room),
                            position: publication.position,
                            before,
                            except: Arc::clone(except),
                            message: message.clone(),
                        };
                        self.pass_to(shard, message);
                    }
                }
                Published::kept(publication.position, publication.is_repeated)
            }
            Err(error) => {
                self.metrics.memory.refused += u64::from(request.is_none());
                Published::Refused(error.into())
            }
        };
        if let Some(request) = request {
            self.pass_to(from, RoomMessage::Answer { request, answer: RoomAnswer::Published(answer) });
        }
    }

    /// Returns the shards with members of a room.
    pub(super) fn holders_of(&self, room: &str) -> Vec<u8> {
        if self.is_shared(room) {
            return self.shared_holders(room);
        }
        self.memory.holders.get(room).into_iter().flatten().copied().collect()
    }

    /// Sends a message of the home to a shard. This shard handles it at once.
    pub(crate) fn pass_to(&mut self, shard: u8, message: RoomMessage) {
        if shard == self.outbox.shard.number() {
            self.handle_room_message(&message);
        } else {
            self.post_to(shard, message);
        }
    }

    /// Tells a shard what its new member missed, and sends it all later messages of the room.
    pub(super) fn tell(&mut self, room: &Arc<str>, from: u8, number: u64, since: Option<Position>, bytes_max: u32) {
        let (keep, most, now) = (self.keep_of(room), self.config.memory.recover_max as usize, self.now);
        let memory = &mut self.memory;
        memory.holders.entry(Box::from(&**room)).or_default().insert(from);
        let missed = match since {
            None => Ok(Arc::default()),
            Some(since) => {
                let found = memory.histories.since(room, now, &keep, since, most, bytes_max as usize);
                found.map(|missed| missed.map(positioned).collect())
            }
        };
        // A position in a room that lost its history is one of another epoch, so the epoch begins now.
        let epoch = memory.marks.next();
        memory.histories.pin(room, true, epoch);
        let position = memory.histories.open(room, epoch);
        self.pass_to(from, RoomMessage::Told { room: Arc::clone(room), number, position, missed });
    }

    /// Notes that a shard has no members of a room any more.
    pub(super) fn release_seat(&mut self, room: &str, from: u8) {
        let Some(holders) = self.memory.holders.get_mut(room) else { return };
        holders.remove(&from);
        if holders.is_empty() {
            self.memory.holders.remove(room);
            self.memory.histories.pin(room, false, 0);
            if self.room_options(room).is_none() {
                self.memory.histories.remove(room);
            }
        }
    }

    /// Sends a part of a room's history to a shard.
    pub(super) fn read(&mut self, room: &str, from: u8, request: u64, range: HistoryRange, max: u32) {
        let (keep, now) = (self.keep_of(room), self.now);
        let max = max.min(PAGE_MESSAGES_MAX) as usize;
        let histories = &mut self.memory.histories;
        let page = match histories.top(room) {
            None => Err(Gap::NoHistory),
            Some(top) => {
                let after = match range {
                    HistoryRange::Oldest => Ok(0),
                    HistoryRange::Latest => Ok(top.offset.saturating_sub(max as u64)),
                    HistoryRange::After(position) => {
                        histories.missed_since(room, now, &keep, position).map(|_| position.offset)
                    }
                };
                after.map(|after| {
                    let mut bytes = 0;
                    let fits = |kept: &&KeptMessage| {
                        let fits = bytes < PAGE_BYTES;
                        bytes += kept.message.as_outgoing().len();
                        fits
                    };
                    let messages: Arc<[_]> =
                        histories.after(room, now, &keep, after, max).take_while(fits).map(positioned).collect();
                    let last = messages.last().map_or(top.offset, |(position, _)| position.offset);
                    let has_more = last < top.offset && max > 0;
                    HistoryPage::new(messages, top, has_more)
                })
            }
        };
        self.pass_to(from, RoomMessage::Answer { request, answer: RoomAnswer::History(page) });
    }

    /// Removes the histories of rooms that have no home any more.
    ///
    /// A room that shards still hold begins a new epoch: what is published to it elsewhere has no
    /// position, so nothing proves that a member has missed nothing.
    pub(super) fn forget_homeless(&mut self) {
        let memory = &self.config.memory;
        let has_home = |room: &str| memory.options_of_stored(room).is_some();
        self.memory.histories.retain(has_home);
        let held: Vec<_> = self.memory.holders.keys().filter(|room| !has_home(room)).cloned().collect();
        for room in held {
            let epoch = self.memory.marks.next();
            self.memory.histories.pin(&room, false, 0);
            self.memory.histories.remove(&room);
            self.memory.histories.pin(&room, true, epoch);
        }
    }

    /// Returns the shared name of a room if it is short enough to have a history.
    pub(super) fn name_in_history(&self, room: &str) -> Option<Arc<str>> {
        let fits = (1..=self.config.rooms.name_max_bytes as usize).contains(&room.len());
        fits.then(|| shared(room))
    }
}

fn positioned(kept: &KeptMessage) -> (Position, OutgoingBuf) {
    (kept.position, kept.message.clone())
}
