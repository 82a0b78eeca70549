//! The [`Hub`]: what the handler may do during an event, one file for each subject.

mod closing;
mod connections;
mod operation;
mod rooms;
mod sending;
mod terminal;
mod work;

use crate::base::{ListenerId, Time, UnixTime};
use crate::config::{Config, Listen};
use crate::facts::Shard;
use crate::metrics::Metrics;
use crate::state::State;
use crate::tunnel::TunnelStatus;
use core::fmt;

/// What the application may do, while it is told of an event.
///
/// Sending never waits and never fails loudly: what is sent to a connection that is over, or closing, goes
/// nowhere, and its [`Event::Closed`](crate::Event::Closed) is on its way. What a wire can't carry, or is longer
/// than 1 GiB, is counted in [`Metrics::messages_unsendable`].
///
/// Messages reach each connection in the order in which they were sent, private ones and those of all its
/// rooms alike.
pub struct Hub<'a, C> {
    pub(crate) state: &'a mut State<C>,
}

impl<C> fmt::Debug for Hub<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("now", &self.state.now).finish_non_exhaustive()
    }
}

impl<C> Hub<'_, C> {
    /// The same hub, for a shorter time: for what takes one by value.
    pub fn reborrow(&mut self) -> Hub<'_, C> {
        Hub { state: self.state }
    }
}

impl<C: Default> Hub<'_, C> {
    /// The time of the fact that is being told.
    #[must_use]
    pub fn now(&self) -> Time {
        self.state.now
    }

    /// 64 random bits from the configured seed. Not for secrets: the later numbers follow from each one that somebody is shown.
    pub fn random(&mut self) -> u64 {
        self.state.random.next_u64()
    }

    /// Which [shard](crate::Shard) of the server this is.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.state.post.shard
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// The counters and gauges as of now: a copy of some KiB, and a look at every connection. Not for every
    /// message.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.state.metrics()
    }

    /// A listener as it is configured now: also one that the configuration has no more, as long as it has connections.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> Option<&Listen> {
        self.state.listeners.get(id)
    }

    /// How the [tunnels](crate::tunnel) are. On a server of several shards the first one knows.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelStatus> + '_ {
        self.state.tunnel_statuses()
    }

    /// The time by the clock on the wall; `None` if nobody has told it.
    #[must_use]
    pub fn unix_time(&self) -> Option<UnixTime> {
        self.state.wall_clock.map(|clock| clock.unix(self.state.now))
    }

    /// Whether the server says that it is not ready, and will end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.is_draining()
    }

    /// Ends the server in stages once this event is over; asked a second time, it hurries. See [`Drain`](crate::Drain).
    pub fn drain(&mut self) {
        self.state.drain_wanted = true;
    }
}
