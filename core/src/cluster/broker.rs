//! What a host asks of the broker, and what it hears from there: the same for all engines.

use super::fault::{LinkFault, Refused};
use crate::base::Time;
use crate::history::{Keep, Position};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

/// A request to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Number, keep and publish a message.
    Publish {
        room: Arc<str>,
        key: Option<Arc<str>>,
        keep: Keep,
        /// The epoch, if the room has none.
        epoch: u64,
        mark: u64,
        data: Arc<[u8]>,
    },
    /// Return the position of a room, which begins in this epoch if it has none.
    Open { room: Arc<str>, keep: Keep, epoch: u64 },
    /// Return the position of a room.
    Top { room: Arc<str>, keep: Keep },
    /// Return the position of a room, and kept messages.
    Read { room: Arc<str>, keep: Keep, part: Part },
    /// Begin a new epoch in place of this one. An engine may use `new` as a source of randomness only.
    Renew { room: Arc<str>, keep: Keep, epoch: u64, new: u64 },
    /// Remove the kept messages of a room.
    Remove { room: Arc<str>, keep: Keep },
    /// Change the names of this host in a room. `are_left`: whether there are some after the change.
    ///
    /// A change of a part of them needs the version `before` at the broker.
    Names { room: Arc<str>, change: NamesChange, before: u64, version: u64, are_left: bool },
    /// Return the hosts with names in a room, and the versions of these names.
    Hosts { room: Arc<str> },
    /// Return a part of the names of a host in a room.
    NamesOf { room: Arc<str>, host: u64, cursor: Box<[u8]> },
    /// Remove the names of a host that is gone.
    Forget { room: Arc<str>, host: u64 },
    /// Renew the lease of this host, or begin it.
    Lease { is_new: bool },
    /// Return which hosts have leases.
    Leases { hosts: Arc<[u64]> },
    /// Remove the lease of this host.
    EndLease,
    /// Publish a message on this host's own channel.
    Probe { number: u64 },
    /// Take a key for this time, unless it is taken.
    ///
    /// The broker decides that in one step, so that of several hosts only one gets the key.
    Once { key: Arc<str>, time: Duration },
    /// Publish a message to all hosts.
    Tell { data: Arc<[u8]> },
}

/// A part of a history to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The first offset. `None`: the last messages.
    pub(super) from: Option<u64>,
    /// Maximum number of messages.
    pub(super) max: u32,
    /// Maximum number of bytes after the first message.
    pub(super) bytes_max: u32,
    /// The number of messages after the first offset above which none is returned.
    ///
    /// 0: any number, and the reader does not have the message at the first offset. Otherwise, that message is left out
    /// if it is so long that no other would fit.
    pub(super) above: u32,
}

/// A change of this host's names in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamesChange {
    /// Forget the earlier names, and set these.
    All(Vec<Named>),
    /// Set these as well.
    More(Vec<Named>),
    Add(Named),
    Remove(Arc<str>),
}

/// News of the names of a host in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamesNews {
    /// The version of the names before and after. 0: there are none.
    pub(super) versions: (u64, u64),
    /// The name that came, changed or went. `None`: several did.
    pub(super) change: Option<Change>,
}

/// A name that came, went, or has other information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) name: Arc<str>,
    pub(super) info: Option<Arc<str>>,
    pub(super) is_present: bool,
}

/// A name, and information about it.
pub(super) type Named = (Arc<str>, Option<Arc<str>>);

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A message was kept at this position, or an earlier one with the same key.
    Published {
        position: Position,
        is_repeated: bool,
    },
    /// The position of a room. `None`: it has none.
    Top(Option<Position>),
    Page(Page),
    /// Hosts, and the version of the names of each.
    Hosts(BTreeMap<u64, u64>),
    /// Names, and where the next part begins. `None`: this was the last.
    Names(Vec<Named>, Option<Box<[u8]>>),
    /// Whether each host has a lease.
    Leases(Vec<bool>),
    /// Whether this host had a lease before.
    Leased(bool),
    /// Whether a key was free, and is now taken.
    Taken(bool),
    Done,
    /// The broker has lost earlier names of this host, so that a change of a part of them is of no use.
    OtherNames,
    /// The broker refused the request, and did nothing.
    Refused(Refused),
    /// The link was lost before the answer.
    Lost,
}

/// A part of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The position after the last message of the room. `None`: it has none.
    pub(super) top: Option<Position>,
    /// The broker's time, in milliseconds since 1970.
    pub(super) now: u64,
    /// The messages, oldest first.
    pub(super) messages: Vec<Message>,
    /// Whether more than [`Part::above`] messages follow the first offset, so that there are none here.
    pub(super) is_above: bool,
}

/// A message as the broker keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) position: Position,
    pub(super) previous: Previous,
    /// When it was published, in milliseconds since 1970. 0 for live messages.
    pub(super) at: u64,
    /// The content. `None`: the position moves on, and members get nothing.
    pub(super) data: Option<Bytes>,
}

/// What a message tells of the message before it in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Previous {
    /// Its mark. Its offset is the one before.
    Mark(u64),
    /// Its offset. There is none between.
    Offset(u64),
    /// Nothing.
    Unknown,
}

impl Message {
    /// Returns the position before this message, whose messages a host has up to `top`.
    pub(super) fn before(&self, top: Position) -> Position {
        let Position { epoch, offset, .. } = self.position;
        match self.previous {
            Previous::Mark(mark) => Position::new(epoch, offset.saturating_sub(1), mark),
            Previous::Offset(_) | Previous::Unknown => top,
        }
    }
}

/// What comes from the broker. `P` says for what a request was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard<P> {
    /// The link works.
    Up,
    /// The address of the master, from a Sentinel.
    Master(String),
    /// Other addresses of the broker.
    Addresses(Vec<String>),
    /// TLS must begin, before anything else is sent.
    BeginTls,
    Answered {
        purpose: P,
        answer: Answer,
        asked_at: Time,
    },
    /// A message that was published to a room.
    Message {
        room: String,
        message: Message,
    },
    /// A room has another epoch.
    Renewed {
        room: String,
    },
    /// The names of a host in a room changed.
    Names {
        room: String,
        host: u64,
        news: NamesNews,
    },
    /// A message to all hosts.
    Told(Bytes),
    /// A message on this host's own channel.
    Probed(u64),
    /// The link is of no use, and must be closed.
    Fault(LinkFault),
}
