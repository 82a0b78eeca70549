//! The [`Hub`], through which a handler acts during an event; one file for each subject.

mod closing;
mod cluster;
mod connections;
mod logins;
mod measuring;
mod memory;
mod operation;
mod requests;
mod rooms;
mod sending;
mod terminal;
mod work;

pub use closing::Close;
pub use memory::PublishOptions;

use crate::base::{ListenerId, Time, UnixTime};
use crate::config::{Config, Listen};
use crate::facts::Shard;
use crate::handler::Contexts;
use crate::metrics::Metrics;
use crate::state::State;
use crate::tunnel::TunnelStatus;
use alloc::sync::Arc;
use core::fmt;

/// The application's access to the server while it handles an event.
///
/// Sending never blocks and never returns an error. A message to a connection that is over or
/// closing is discarded; its [`Event::Closed`](crate::Event::Closed) follows. Messages that a wire
/// cannot carry, or that are longer than 1 GiB, are counted in [`Metrics::messages_unsendable`].
///
/// Each connection receives messages in the order in which they were sent, direct messages and
/// those of all its rooms alike. Only rooms that have a [home](crate::Home) have an order of their
/// own: the home numbers their messages after the current event.
pub struct Hub<'a, C> {
    pub(crate) state: &'a mut State,
    pub(crate) contexts: &'a mut Contexts<C>,
    /// The index of the application among those of the server. 0 if there is only one.
    pub(crate) app: u8,
}

impl<C> fmt::Debug for Hub<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("now", &self.state.now).finish_non_exhaustive()
    }
}

impl<C> Hub<'_, C> {
    /// Borrows the hub for a shorter lifetime, for functions that take it by value.
    pub fn reborrow(&mut self) -> Hub<'_, C> {
        Hub { state: self.state, contexts: self.contexts, app: self.app }
    }
}

/// # The server
impl<C> Hub<'_, C> {
    /// Returns the time of the fact that the machine is handling.
    #[must_use]
    pub fn now(&self) -> Time {
        self.state.now
    }

    /// Returns 64 random bits from the configured seed. Do not use them for secrets.
    ///
    /// One number reveals all later ones.
    pub fn random(&mut self) -> u64 {
        self.state.random.next_u64()
    }

    /// Returns the [shard](crate::Shard) of the server that this hub belongs to.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.state.outbox.shard
    }

    /// Returns the server's current configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// Returns the settings of type `T` in the [configuration](Config::sections), if there are any.
    ///
    /// [`Event::Reconfigured`](crate::Event::Reconfigured) reports when they may have changed.
    #[must_use]
    pub fn settings<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.state.config.sections.get()
    }

    /// Returns a snapshot of this shard's metrics.
    ///
    /// The call copies some KiB and visits every connection, so do not make it for every message.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.state.metrics()
    }

    /// Clears the recent errors and the recent and longest durations of the metrics.
    ///
    /// Counters and histograms stay. On a server of several shards, it clears those of this shard.
    pub fn reset_recent_metrics(&mut self) {
        self.state.reset_recent();
    }

    /// Returns a listener as it is configured now.
    ///
    /// A listener that was removed from the configuration stays available while it has connections.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> Option<&Listen> {
        self.state.listeners.get(id)
    }

    /// Returns the status of each [tunnel](crate::tunnel).
    ///
    /// On a server of several shards, only the first shard has them.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelStatus> + '_ {
        self.state.tunnel_statuses()
    }

    /// Returns the wall-clock time, or `None` if the shell has not set it.
    #[must_use]
    pub fn unix_time(&self) -> Option<UnixTime> {
        self.state.wall_clock.map(|clock| clock.unix(self.state.now))
    }

    /// Returns `true` if the server is draining: it reports not ready and is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.is_draining()
    }

    /// Starts a drain after the current event. A second call speeds the drain up.
    ///
    /// See [`Drain`](crate::Drain).
    pub fn drain(&mut self) {
        self.state.drain_wanted = true;
    }
}
