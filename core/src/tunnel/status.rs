use super::{LinkId, RemoteBind, Tunnel, TunnelFailure};
use crate::base::{ListenerId, Time};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// An SSH connection that should be there. A level: what is not shown any more is to be dropped at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelIntent {
    /// Which.
    pub link: LinkId,
    /// Where to, and how.
    pub tunnel: Arc<Tunnel>,
    /// Where the server should listen for us, and nowhere else.
    pub forwards: Vec<ForwardIntent>,
    /// How many questions should have been asked whether the server is there.
    pub asked: u32,
    /// It should end, with a goodbye.
    pub closing: bool,
}

/// A place where an SSH server should listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardIntent {
    /// For which listener.
    pub listener: ListenerId,
    /// Where.
    pub bind: RemoteBind,
    /// How often it should have been asked for.
    pub tries: u32,
}

/// How a tunnel is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelStatus {
    /// Its name.
    pub name: String,
    /// The state it is in.
    pub state: TunnelState,
    /// The places on its other side.
    pub forwards: Vec<ForwardStatus>,
    /// What last went wrong, and the words for it.
    pub last_error: Option<(TunnelFailure, String)>,
    /// How many attempts to connect were begun.
    pub connects: u64,
    /// How many of them succeeded.
    pub connected: u64,
}

/// The state of a tunnel. See the [module](super) for what leads to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelState {
    /// An attempt is being made, or the server has not yet said whether it listens.
    Connecting,
    /// The server listens at all its places.
    Up,
    /// It is connected, and the server refused to listen at one of its places.
    Degraded,
    /// It is tried again at this time.
    Waiting(Time),
    /// It is not tried again.
    GivenUp,
    /// It is being ended.
    Closing,
    /// It has ended.
    Closed,
}

impl TunnelState {
    const NAMES: [&str; 7] = ["connecting", "up", "degraded", "waiting", "given_up", "closing", "closed"];

    /// As in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.number() - 1]
    }

    /// From 1, for gauges that are added up over shards of which one knows.
    pub(crate) const fn number(self) -> usize {
        match self {
            Self::Connecting => 1,
            Self::Up => 2,
            Self::Degraded => 3,
            Self::Waiting(_) => 4,
            Self::GivenUp => 5,
            Self::Closing => 6,
            Self::Closed => 7,
        }
    }

    /// The name of a number.
    pub(crate) fn name_of(number: u64) -> &'static str {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| Self::NAMES.get(place)).copied().unwrap_or("unknown")
    }
}

/// A place on the other side of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardStatus {
    /// For which listener.
    pub listener: ListenerId,
    /// Where, with the port that the server chose.
    pub bind: RemoteBind,
    /// Whether the server listens there.
    pub bound: bool,
}

impl fmt::Display for TunnelStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tunnel {}: {}", self.name, self.state.name())?;
        let is_well = matches!(self.state, TunnelState::Up | TunnelState::Closing | TunnelState::Closed);
        let error = self.last_error.as_ref().filter(|_| !is_well);
        if let Some((failure, words)) = error {
            write!(f, " ({failure}: {words})")?;
        }
        Ok(())
    }
}
