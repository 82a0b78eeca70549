//! Messages between shards about rooms that have a home.

use crate::base::{ConnId, OutgoingBuf};
use crate::history::{Gap, Position, PublishError};
use alloc::sync::Arc;

/// A message between the home of a room and the other shards.
///
/// The shard to which it goes, or from which it comes, is the home of the room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomMessage {
    /// To the home: a message to number, keep and pass on.
    Submit {
        /// The room's name.
        room: Arc<str>,
        /// Number of the sending shard.
        from: u8,
        /// Number of the request to answer, if any.
        request: Option<u64>,
        /// The key that makes a repeated message recognizable, if any.
        key: Option<Arc<str>>,
        /// Connections that do not receive the message.
        except: Arc<[ConnId]>,
        /// The message.
        message: OutgoingBuf,
    },
    /// From the home: a message for the members of the room.
    Kept {
        /// The room's name.
        room: Arc<str>,
        /// The position after the message.
        position: Position,
        /// The position before the message.
        before: Position,
        /// Connections that do not receive the message.
        except: Arc<[ConnId]>,
        /// The message.
        message: OutgoingBuf,
    },
    /// From the home: the position has moved on, without a message for members.
    Passed {
        /// The room's name.
        room: Arc<str>,
        /// The position.
        position: Position,
    },
    /// From the home: the answer to a request.
    Answer {
        /// Number of the request.
        request: u64,
        /// The answer.
        answer: RoomAnswer,
    },
    /// To the home: a shard has a new member, or has members already.
    Ask {
        /// The room's name.
        room: Arc<str>,
        /// Number of the asking shard.
        from: u8,
        /// Number of the question.
        number: u64,
        /// The last position that the new member knows, if any.
        since: Option<Position>,
        /// Maximum number of bytes of missed messages.
        bytes_max: u32,
    },
    /// From the home: what the new member missed. All later messages follow.
    Told {
        /// The room's name.
        room: Arc<str>,
        /// Number of the question.
        number: u64,
        /// The position after the last message of the room.
        position: Position,
        /// The missed messages, or why some may be missing.
        missed: Result<Arc<[(Position, OutgoingBuf)]>, Gap>,
    },
    /// To the home: a shard has no members any more.
    Emptied {
        /// The room's name.
        room: Arc<str>,
        /// Number of that shard.
        from: u8,
    },
    /// To the home: a request for a part of the history.
    Read {
        /// The room's name.
        room: Arc<str>,
        /// Number of the asking shard.
        from: u8,
        /// Number of the request.
        request: u64,
        /// The part of the history.
        range: HistoryRange,
        /// Maximum number of messages.
        max: u32,
    },
    /// To the home: a name came with its first member on a shard, or has other information.
    Entered {
        /// The room's name.
        room: Arc<str>,
        /// Number of that shard.
        from: u8,
        /// The name of the member.
        name: Arc<str>,
        /// Information about the name. `None`: it stays as it is.
        info: Option<Arc<str>>,
    },
    /// To the home: a name went with its last member on a shard.
    Exited {
        /// The room's name.
        room: Arc<str>,
        /// Number of that shard.
        from: u8,
        /// The name of the members.
        name: Arc<str>,
    },
    /// From the home: a name is present now, or no longer.
    PresenceChanged {
        /// The room's name.
        room: Arc<str>,
        /// The name.
        name: Arc<str>,
        /// Whether it is present.
        is_present: bool,
        /// Information about the name.
        info: Option<Arc<str>>,
    },
    /// To the home: a request for the names in a room.
    Who {
        /// The room's name.
        room: Arc<str>,
        /// Number of the asking shard.
        from: u8,
        /// Number of the request.
        request: u64,
        /// The name after which the page begins.
        after: Option<Arc<str>>,
        /// Maximum number of names.
        max: u32,
    },
    /// From the home: messages before this position may be missing, and all later ones follow.
    Moved {
        /// The room's name.
        room: Arc<str>,
        /// The position after which messages follow.
        position: Position,
        /// Why messages may be missing.
        why: Gap,
    },
    /// To the home: remove the history.
    Remove {
        /// The room's name.
        room: Arc<str>,
    },
}

/// A part of the history of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryRange {
    /// From the oldest message that is kept.
    Oldest,
    /// From the first message after a position.
    ///
    /// If some messages after it may be missing, the answer is the [`Gap`].
    After(Position),
    /// The last messages.
    Latest,
}

/// The answer to a request about a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomAnswer {
    /// The answer to a message.
    Published(Published),
    /// A part of the history.
    History(Result<HistoryPage, Gap>),
    /// The names in a room. `None`: the room does not keep them.
    Present(Option<PresencePage>),
    /// The home did not answer in time.
    Unknown,
}

/// A name that is present in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentName {
    /// The name.
    pub name: Arc<str>,
    /// Information about the name, if there is any.
    pub info: Option<Arc<str>>,
}

impl PresentName {
    pub(crate) const fn new(name: Arc<str>, info: Option<Arc<str>>) -> Self {
        Self { name, info }
    }
}

/// A page of the names that are present in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresencePage {
    /// The names in alphabetical order.
    pub names: Arc<[PresentName]>,
    /// Number of names in the room.
    pub count: u64,
    /// Whether names follow after the last one of this page.
    pub has_more: bool,
}

impl PresencePage {
    pub(crate) const fn new(names: Arc<[PresentName]>, count: u64, has_more: bool) -> Self {
        Self { names, count, has_more }
    }
}

/// What became of a message that was published with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// The home keeps the message at this position, or an earlier message with the same key.
    #[non_exhaustive]
    Kept {
        /// The position after the message.
        position: Position,
        /// Whether an earlier message had the same key, so that this one was not sent.
        is_repeated: bool,
    },
    /// The message was certainly not sent.
    Refused(PublishRefusal),
}

/// Why a message was certainly not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishRefusal {
    /// The room cannot keep the message.
    #[error(transparent)]
    Message(#[from] PublishError),
    /// The room has no [home](crate::Home), so there is nothing that could answer.
    #[error("the room keeps no history")]
    NoHome,
    /// The name of the room is empty or too long.
    #[error("a room's name has 1 to {max} bytes, not {bytes}")]
    Name {
        /// The length of the name, in bytes.
        bytes: usize,
        /// The maximum length of a name, in bytes.
        max: u32,
    },
    /// 10,000 requests of this shard wait for their answers, the maximum.
    #[error("too many requests wait for their answers")]
    TooManyRequests,
    /// The broker of [shared](crate::Home::Shared) rooms cannot be reached.
    #[error("the broker cannot be reached")]
    NoBroker,
    /// 8 MiB of messages wait for the broker, the maximum.
    #[error("too much waits for the broker")]
    BrokerBehind,
    /// The broker refused the message, such as for lack of memory. The log has its words.
    #[error("the broker refused the message")]
    Broker,
}

/// A page of the history of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryPage {
    /// The messages with the positions after them, oldest first.
    pub messages: Arc<[(Position, OutgoingBuf)]>,
    /// The position after the last message of the room.
    pub top: Position,
    /// Whether messages follow after the last one of this page.
    pub has_more: bool,
}

impl HistoryPage {
    pub(crate) const fn new(messages: Arc<[(Position, OutgoingBuf)]>, top: Position, has_more: bool) -> Self {
        Self { messages, top, has_more }
    }
}

impl Published {
    pub(crate) const fn kept(position: Position, is_repeated: bool) -> Self {
        Self::Kept { position, is_repeated }
    }
}

impl RoomMessage {
    /// Returns the name of the room. `None`: an answer to a request.
    pub(crate) const fn room(&self) -> Option<&Arc<str>> {
        match self {
            Self::Submit { room, .. }
            | Self::Kept { room, .. }
            | Self::Ask { room, .. }
            | Self::Told { room, .. }
            | Self::Emptied { room, .. }
            | Self::Read { room, .. }
            | Self::Entered { room, .. }
            | Self::Exited { room, .. }
            | Self::PresenceChanged { room, .. }
            | Self::Who { room, .. }
            | Self::Moved { room, .. }
            | Self::Passed { room, .. }
            | Self::Remove { room } => Some(room),
            Self::Answer { .. } => None,
        }
    }

    /// Returns the name of the room, if the message goes to its home.
    pub(crate) const fn to_home(&self) -> Option<&Arc<str>> {
        match self {
            Self::Kept { .. }
            | Self::Told { .. }
            | Self::PresenceChanged { .. }
            | Self::Moved { .. }
            | Self::Passed { .. } => None,
            _ => self.room(),
        }
    }

    /// Returns the length of the content, in bytes.
    pub(super) fn content_bytes(&self) -> usize {
        let of_all = |messages: &[(Position, OutgoingBuf)]| -> usize {
            size_of_val(messages) + messages.iter().map(|(_, message)| message.as_outgoing().len()).sum::<usize>()
        };
        match self {
            Self::Submit { room, key, except, message, .. } => {
                let key = key.as_ref().map_or(0, |key| key.len());
                room.len() + key + size_of_val(&**except) + message.as_outgoing().len()
            }
            Self::Kept { room, except, message, .. } => {
                room.len() + size_of_val(&**except) + message.as_outgoing().len()
            }
            Self::Answer { answer: RoomAnswer::History(Ok(page)), .. } => of_all(&page.messages),
            Self::Answer { answer: RoomAnswer::Present(Some(page)), .. } => {
                let info = |info: &Option<Arc<str>>| info.as_ref().map_or(0, |info| info.len());
                let texts: usize = page.names.iter().map(|present| present.name.len() + info(&present.info)).sum();
                size_of_val(&*page.names) + texts
            }
            Self::Answer { .. } => 0,
            Self::Entered { room, name, info, .. } | Self::PresenceChanged { room, name, info, .. } => {
                room.len() + name.len() + info.as_ref().map_or(0, |info| info.len())
            }
            Self::Exited { room, name, .. } => room.len() + name.len(),
            Self::Who { room, after, .. } => room.len() + after.as_ref().map_or(0, |after| after.len()),
            Self::Told { room, missed, .. } => room.len() + missed.as_ref().map_or(0, |messages| of_all(messages)),
            Self::Ask { room, .. }
            | Self::Emptied { room, .. }
            | Self::Read { room, .. }
            | Self::Moved { room, .. }
            | Self::Passed { room, .. }
            | Self::Remove { room } => room.len(),
        }
    }
}
