use super::{LinkId, RemoteBind, Tunnel, TunnelFailure};
use crate::base::{ListenerId, Time};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// An SSH connection that the shell should make, keep, or close in an orderly way.
///
/// It is a level, not an event: connections that are no longer listed must be dropped at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelIntent {
    /// The attempt to connect that this intent belongs to.
    pub link: LinkId,
    /// The settings of the tunnel.
    pub tunnel: Arc<Tunnel>,
    /// The only addresses on which the SSH server should listen.
    pub forwards: Vec<ForwardIntent>,
    /// Number of keep-alive requests that should have been sent so far.
    pub asked: u32,
    /// Whether to close the SSH connection in an orderly way.
    pub closing: bool,
}

/// An address on which an SSH server should listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardIntent {
    /// The listener that accepts connections to the address.
    pub listener: ListenerId,
    /// The address on which the SSH server should listen.
    pub bind: RemoteBind,
    /// How many times the address should have been requested so far.
    pub tries: u32,
}

/// The status of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelStatus {
    /// The name of the tunnel.
    pub name: String,
    /// The state of the tunnel.
    pub state: TunnelState,
    /// The remote addresses of the tunnel.
    pub forwards: Vec<ForwardStatus>,
    /// The last failure of the tunnel and its description.
    pub last_error: Option<(TunnelFailure, String)>,
    /// Number of attempts to connect.
    pub connects: u64,
    /// Number of attempts to connect that succeeded.
    pub connected: u64,
}

/// The state of a tunnel. See the [module](super) for the transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelState {
    /// An attempt is in progress, or the SSH server has not answered all requests to listen.
    Connecting,
    /// The SSH server listens on all addresses of the tunnel.
    Up,
    /// The tunnel is connected, but the SSH server refused at least one of its addresses.
    Degraded,
    /// The tunnel will reconnect at this time.
    Waiting(Time),
    /// The tunnel will not reconnect.
    GivenUp,
    /// The tunnel is disconnecting.
    Closing,
    /// The tunnel has disconnected.
    Closed,
}

impl TunnelState {
    const NAMES: [&str; 7] = ["connecting", "up", "degraded", "waiting", "given_up", "closing", "closed"];

    /// Returns the name of the state in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.number() - 1]
    }

    /// Returns the number of the state, from 1.
    ///
    /// Gauges of it are added up over shards, of which only one knows the state.
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

    /// Returns the name of the state with this number, or `unknown`.
    pub(crate) fn name_of(number: u64) -> &'static str {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| Self::NAMES.get(place)).copied().unwrap_or("unknown")
    }
}

/// The status of a tunnel's remote address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardStatus {
    /// The listener that accepts connections to the address.
    pub listener: ListenerId,
    /// The remote address, with the port that the SSH server chose once the address is bound.
    pub bind: RemoteBind,
    /// Whether the SSH server listens on the address.
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
