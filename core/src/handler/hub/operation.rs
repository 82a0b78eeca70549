//! Watched connections and the quarantine of addresses.

use crate::base::{AddressKey, ConnId, Peer, Time};
use crate::handler::Hub;
use core::net::IpAddr;

/// # Watching and quarantine
impl<C> Hub<'_, C> {
    /// Returns the addresses in quarantine, each with the time until which it stays there.
    ///
    /// On a server of several shards, only the first shard has them.
    pub fn quarantined(&self) -> impl Iterator<Item = (AddressKey, Time)> + '_ {
        self.state.admission.quarantine.iter(self.state.now)
    }

    /// Enables or disables [`Event::Sent`](crate::Event::Sent) for a connection.
    ///
    /// Watching does not slow the connection down. Messages beyond the limit are not reported, only
    /// [counted](Self::take_unwatched).
    pub fn watch(&mut self, conn: ConnId, is_watched: bool) {
        if self.state.open_slot(conn).is_some() || !is_watched {
            self.state.watched.set(conn, is_watched);
        }
    }

    /// Returns and resets the number of messages to a watched connection that got no event, because
    /// they exceeded the limit.
    pub fn take_unwatched(&mut self, conn: ConnId) -> u64 {
        self.state.watched.take_missed(conn)
    }

    /// Puts an address in quarantine for a while, on all hosts of a [cluster](crate::Cluster); see [`Command::Quarantine`](crate::Command).
    pub fn quarantine(&mut self, address: IpAddr) {
        self.state.quarantine(Peer::Address((address, 0).into()));
    }

    /// Removes an address from quarantine, on all hosts of a [cluster](crate::Cluster).
    ///
    /// Returns `false` if the address is not there, or another shard holds it.
    pub fn release(&mut self, address: IpAddr) -> bool {
        self.state.release(address)
    }
}
