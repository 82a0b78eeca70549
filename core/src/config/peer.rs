//! Limits for one peer.

use crate::base::setters;
use crate::config::{Ladder, Rate};
use crate::wire::Budget;
use core::time::Duration;

/// Limits on the input, the idle time and the lifetime of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerLimits {
    /// Limits on one connection's messages: their size, their duration and their number per turn.
    pub budget: Budget,
    /// Limits on the rate of one connection's input, and the penalties for exceeding them.
    pub rates: Rates,
    /// Longest time without a complete *message*. Default: `None`.
    ///
    /// The connection then ends as [`Idle`](crate::Reason::Idle). `None` and zero disable it: a
    /// peer that only listens is normal. The timer is suspended while the machine does not read
    /// from the peer. It continues after a peer has ended its half. It does not apply to [streams of
    /// events](crate::wire::events).
    pub idle: Option<Duration>,
    /// Time before the idle timeout at which the peer is warned. Default: `None`.
    ///
    /// Only on listeners with [`notices`](crate::Listen::notices). `None`, zero and values not less than
    /// `idle` disable it.
    pub idle_warning: Option<Duration>,
    /// Longest time without a *byte*. Default: `None`.
    ///
    /// The connection then ends as [`Silent`](crate::Reason::Silent). `None` and zero leave dead
    /// peers to the network: shells enable TCP keep-alive. The timer is suspended while the machine
    /// does not read from the peer. It ends when a peer ends its half, because the peer can then
    /// send nothing. It does not apply to [streams of events](crate::wire::events).
    pub silence: Option<Duration>,
    /// Longest duration of a connection, even if it is active. Default: `None`.
    ///
    /// It then ends as [`SessionExpired`](crate::Reason::SessionExpired). `None` and zero disable
    /// it.
    pub lifetime: Option<Duration>,
}

setters!(PeerLimits {
    budget: Budget,
    rates: Rates,
    idle: Option<Duration>,
    idle_warning: Option<Duration>,
    silence: Option<Duration>,
    lifetime: Option<Duration>,
});
/// Limits on how fast one peer may send, and the penalties for exceeding them.
///
/// Bytes count when they arrive, messages when they are complete, including empty ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rates {
    /// Rate limit for messages. `None`: no limit.
    pub messages: Option<Rate>,
    /// Rate limit for bytes. `None`: no limit.
    pub bytes: Option<Rate>,
    /// The penalties for peers that exceed these rates.
    pub ladder: Ladder,
}

setters!(Rates { messages: Option<Rate>, bytes: Option<Rate>, ladder: Ladder });

impl Default for Rates {
    /// Returns limits of 1,000 messages and 4 MiB per second, with bursts of twice as much.
    ///
    /// The ladder is the default one.
    fn default() -> Self {
        let rate = |per_second| Rate::new(per_second, 2 * per_second).ok();
        Self { messages: rate(1_000), bytes: rate(4 << 20), ladder: Ladder::default() }
    }
}
