//! What a consumer delivers, and the page that is made of it.

use super::answers::Stored;
use super::headers::Ours;
use crate::cluster::broker::{Message, Page, Part, Previous};
use crate::history::Position;
use alloc::string::String;
use alloc::vec::Vec;

/// Maximum number of bytes that are asked for at a time.
pub(super) const BATCH_BYTES: u64 = 1 << 20;

/// What is being read.
#[derive(Debug)]
pub(super) struct Collect {
    pub(super) stream: String,
    /// The name of the consumer. Empty: it is not created yet.
    pub(super) consumer: String,
    /// The position of the room when the reading began.
    pub(super) top: Option<Position>,
    /// The number of the last message when the reading began.
    pub(super) last: u64,
    /// The number of messages after the first one above which none is read. 0: any number.
    pub(super) above: u64,
    pub(super) is_above: bool,
    /// If more than these are kept, the first ones are left out. `None`: all are read.
    pub(super) last_only: Option<u64>,
    pub(super) skip: u64,
    pub(super) max: u64,
    /// The number of messages that are read however long they are.
    pub(super) needed: usize,
    /// Maximum number of further bytes.
    pub(super) bytes_left: u64,
    /// The server's time, in milliseconds since 1970.
    pub(super) now: u64,
    /// Number of messages after the last one.
    pub(super) pending: u64,
    /// The number of messages in this batch, and how many of them have come.
    pub(super) batch: u64,
    pub(super) came: u64,
    pub(super) has_caught_up: bool,
    pub(super) got: Vec<Stored>,
}

impl Collect {
    fn new(stream: String, max: u64, bytes_max: u64) -> Self {
        Self {
            stream,
            consumer: String::new(),
            top: None,
            last: 0,
            above: 0,
            is_above: false,
            last_only: None,
            skip: 0,
            max,
            needed: 1,
            bytes_left: bytes_max,
            now: 0,
            pending: 0,
            batch: 0,
            came: 0,
            has_caught_up: false,
            got: Vec::new(),
        }
    }

    /// A part of a history, of which `keep` messages count.
    pub(super) fn of_page(stream: String, part: Part, keep: u32, top: Position) -> Self {
        let max = u64::from(part.max);
        let is_since = part.above > 0;
        // The stream keeps one message more than the history has.
        let last_only = match (is_since, part.from) {
            (true, _) => None,
            (false, Some(_)) => Some(u64::from(keep)),
            (false, None) => Some(u64::from(keep).min(max)),
        };
        Self {
            top: Some(top),
            last: top.offset,
            above: part.above.into(),
            last_only,
            // The reader has the first one already.
            needed: if is_since { 2 } else { 1 },
            ..Self::new(stream, max, part.bytes_max.into())
        }
    }

    /// All messages of some subjects, of which each has one. `last`: the number of the last one, or 0.
    pub(super) fn of_names(stream: String, max: u64, last: u64) -> Self {
        Self { last, ..Self::new(stream, max, BATCH_BYTES) }
    }

    /// Returns the number of the first message that was not read, if there is one.
    pub(super) fn next_number(&self) -> Option<u64> {
        self.got.last().filter(|_| self.pending > 0).map(|last| last.number + 1)
    }

    pub(super) fn into_page(self, top: Position) -> Page {
        page(top, self.now, self.is_above, self.got)
    }

    /// Returns `true` if the consumer has no more, although the room has later messages.
    pub(super) fn is_behind(&self) -> bool {
        let last = self.got.last().map_or(0, |last| last.number);
        self.pending == 0 && self.skip == 0 && last < self.last && self.last_only.is_none()
    }
}

/// Makes a page of what a consumer has delivered.
pub(super) fn page(top: Position, now: u64, is_above: bool, got: Vec<Stored>) -> Page {
    let messages = page_messages(top.epoch, got);
    // What was published after the question for the last message is here too.
    let end = messages.last().map(|message| message.position).filter(|end| end.offset > top.offset);
    Page { top: Some(end.unwrap_or(top)), now, messages, is_above }
}

pub(super) fn page_messages(epoch: u64, got: Vec<Stored>) -> Vec<Message> {
    let mut previous = Previous::Unknown;
    let message = |stored: Stored| {
        let Ours { mark, has_content, .. } = stored.ours.unwrap_or(Ours { epoch, mark: 0, has_content: false });
        let position = Position::new(epoch, stored.number, mark);
        let previous = core::mem::replace(&mut previous, Previous::Offset(stored.number));
        Message { position, previous, at: stored.at, data: has_content.then_some(stored.data) }
    };
    got.into_iter().map(message).collect()
}
