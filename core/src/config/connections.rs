use crate::base::setters;
use crate::config::Rate;

/// Limits on the number and arrival rate of connections, and random refusal of new ones.
///
/// An incoming connection over a limit is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Maximum number of connections in all, including closing and dialled ones.
    ///
    /// Range: 0, which refuses all, to 16,777,215; larger values count as that. Dialled connections
    /// are never refused, so the total may exceed the limit by their number.
    pub total: u32,
    /// Maximum number of connections per address: an IPv4 address or an IPv6 /64.
    ///
    /// With 0, only peers without an address and [exempt](crate::Config::exempt) ones are accepted.
    pub per_address: u32,
    /// Maximum rate of new connections per address. Default: `None`, no limit.
    ///
    /// Refused connections do not count.
    pub arrivals_per_address: Option<Rate>,
    /// Random refusal of new connections while many are unauthenticated.
    ///
    /// Default: `None`, no refusal.
    pub early_drop: Option<EarlyDrop>,
}

setters!(ConnectionLimits {
    total: u32,
    per_address: u32,
    arrivals_per_address: Option<Rate>,
    early_drop: Option<EarlyDrop>,
});

impl Default for ConnectionLimits {
    /// Returns limits of 10,000 connections in all and 256 per address, and no other limits.
    ///
    /// 256 leaves room for many people behind one NAT.
    fn default() -> Self {
        Self { total: 10_000, per_address: 256, arrivals_per_address: None, early_drop: None }
    }
}

/// Random refusal of new connections while many are unauthenticated.
///
/// A flood of connections that never authenticate then leaves room for peers that will. See
/// [`Hub::identify`](crate::Hub::identify).
///
/// Below `begin` unauthenticated connections, none is refused; from `full` on, all are. In between,
/// the probability rises linearly (as random early detection, Floyd and Jacobson 1993).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyDrop {
    begin: u32,
    full: u32,
}

/// The error returned for invalid bounds of an [`EarlyDrop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an early drop needs begin < full, not begin {begin}, full {full}")]
#[non_exhaustive]
pub struct EarlyDropError {
    /// The requested `begin`.
    pub begin: u32,
    /// The requested `full`.
    pub full: u32,
}

impl EarlyDrop {
    /// Creates an early drop whose probability rises from 0 at `begin` to 1 at `full`.
    ///
    /// Both are numbers of unauthenticated connections.
    ///
    /// # Errors
    /// Unless `begin` is below `full`.
    pub const fn new(begin: u32, full: u32) -> Result<Self, EarlyDropError> {
        if begin < full { Ok(Self { begin, full }) } else { Err(EarlyDropError { begin, full }) }
    }

    /// Returns `true` if a new connection is refused while `unknown` ones are unauthenticated.
    ///
    /// `chance` is 64 random bits.
    pub(crate) fn refuses(self, unknown: u32, chance: u64) -> bool {
        let above = u64::from(unknown.saturating_sub(self.begin));
        let span = u64::from(self.full - self.begin);
        unknown >= self.begin && (above >= span || chance >> 32 < (above << 32) / span)
    }
}
