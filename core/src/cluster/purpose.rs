use crate::facts::HistoryRange;
use crate::history::Keep;
use alloc::sync::Arc;

/// For what a request to the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Publish {
        room: Arc<str>,
        keep: Keep,
        from: u8,
        request: Option<u64>,
    },
    /// What members have missed, from an offset on, with the number of the reading.
    Asks(Arc<str>, u64, u64),
    History {
        keep: Keep,
        from: u8,
        request: u64,
        range: HistoryRange,
        max: u32,
    },
    /// A room that begins, with the number of the reading. An answer to an earlier one says where the room was then.
    Open(Arc<str>, u64),
    Fill(Arc<str>, u64),
    Renew(Arc<str>, u64),
    Check(Arc<str>),
    /// The versions of the names of all hosts in a room, which is kept so if only the broker knows of it.
    Hosts(Arc<str>, Keep),
    /// The names of a host, with the number of the reading.
    NamesOf(Arc<str>, u64, u64),
    /// A change of this host's names, with their new version.
    Names(Arc<str>, u64),
    Lease,
    Leases(Arc<[u64]>),
    /// A claim of this shard, with the number of its request.
    Claim(u8, u64),
    Nothing,
}

impl Purpose {
    pub(super) const fn is_publish(&self) -> bool {
        matches!(self, Self::Publish { .. })
    }

    /// Returns `true` if the answer may be long, so that few of them are asked for at a time.
    pub(super) const fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Asks(..)
                | Self::History { .. }
                | Self::Open(..)
                | Self::Fill(..)
                | Self::Hosts(..)
                | Self::NamesOf(..)
        )
    }
}
