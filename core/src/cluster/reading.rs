//! Parts of histories for this host's shards.

use super::broker::{Answer, Message, Page, Part, Request};
use super::follow::{follow, is_old};
use super::output::Output;
use super::purpose::Purpose;
use super::{Cluster, envelope};
use crate::base::{OutgoingBuf, Time};
use crate::facts::{HistoryPage, HistoryRange, RoomAnswer, RoomMessage};
use crate::history::{Gap, Keep, Position};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// Maximum number of messages in a page of a history.
const PAGE_MESSAGES_MAX: u32 = 1_000;
/// Number of bytes after which a page of a history ends.
const PAGE_BYTES: u32 = 1 << 20;
impl Cluster {
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
}

fn history_page(page: Page, range: HistoryRange, max: usize, age: Option<Duration>) -> Result<HistoryPage, Gap> {
    let top = page.top.ok_or(Gap::NoHistory)?;
    let (now, is_whole) = (page.now, page.messages.last().is_none_or(|last| last.position.offset >= top.offset));
    let messages: Vec<_> = match range {
        HistoryRange::After(since) => follow(&page, since, age)?.cloned().collect(),
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

/// Returns what members get of messages.
pub(super) fn readable(messages: impl Iterator<Item = Message>) -> Result<Vec<(Position, OutgoingBuf)>, Gap> {
    let read = |message: Message| {
        let data = message.data?;
        let found = envelope::decode(data).ok_or(Gap::Unsendable);
        Some(found.map(|found| (message.position, found.message)))
    };
    messages.filter_map(read).collect()
}
