use super::{LinkId, RemoteBind, Tunnel, TunnelFailure};
use crate::base::{ListenerId, Time};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// An SSH connection that the machine wants.
///
/// A level: connections that are no longer listed must be dropped at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelIntent {
    /// The attempt.
    pub link: LinkId,
    /// Its settings.
    pub tunnel: Arc<Tunnel>,
    /// The addresses on which the server should listen. It should listen on no others.
    pub forwards: Vec<ForwardIntent>,
    /// Number of keep-alive requests that should have been sent so far.
    pub asked: u32,
    /// Whether to disconnect in order.
    pub closing: bool,
}

/// An address on which an SSH server should listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardIntent {
    /// The listener.
    pub listener: ListenerId,
    /// The address.
    pub bind: RemoteBind,
    /// How many times it should have been requested so far.
    pub tries: u32,
}

/// The status of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: TunnelState,
    /// Its remote addresses.
    pub forwards: Vec<ForwardStatus>,
    /// The last failure and its description.
    pub last_error: Option<(TunnelFailure, String)>,
    /// Number of attempts to connect.
    pub connects: u64,
    /// Number of attempts that succeeded.
    pub connected: u64,
}

/// The state of a tunnel. See the [module](super) for the transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelState {
    /// An attempt is in progress, or the server has not yet answered the forwards.
    Connecting,
    /// The server listens on all addresses.
    Up,
    /// It is connected, but the server refused a forward.
    Degraded,
    /// It will reconnect at this time.
    Waiting(Time),
    /// It will not reconnect.
    GivenUp,
    /// It is disconnecting.
    Closing,
    /// It has disconnected.
    Closed,
}

impl TunnelState {
    const NAMES: [&str; 7] = ["connecting", "up", "degraded", "waiting", "given_up", "closing", "closed"];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.number() - 1]
    }

    /// A number from 1, for gauges that are added up over shards of which only one knows the state.
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

    /// The name for a number.
    pub(crate) fn name_of(number: u64) -> &'static str {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| Self::NAMES.get(place)).copied().unwrap_or("unknown")
    }
}

/// The status of a remote address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardStatus {
    /// The listener.
    pub listener: ListenerId,
    /// The address, with the port that the server chose.
    pub bind: RemoteBind,
    /// Whether the server listens on it.
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
