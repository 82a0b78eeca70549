//! Watched connections, and the quarantine.

use crate::base::{AddressKey, ConnId, Peer, Time};
use crate::handler::Hub;
use core::net::IpAddr;

impl<C: Default> Hub<'_, C> {
    /// The addresses that are refused for a while, and until when. On a server of several shards the first one knows them.
    pub fn quarantined(&self) -> impl Iterator<Item = (AddressKey, Time)> + '_ {
        self.state.admission.quarantine.iter(self.state.now)
    }

    /// Has what is sent to a connection told as [`Event::Sent`](crate::Event::Sent) as well, or no longer. It costs the watched
    /// nothing but the copy: of what is too much, only how many messages there were is [known](Self::take_unwatched).
    pub fn watch(&mut self, conn: ConnId, is_watched: bool) {
        if self.state.open_slot(conn).is_some() || !is_watched {
            self.state.watched.set(conn, is_watched);
        }
    }

    /// How many messages to watched connections were not told since this was last asked.
    pub fn take_unwatched(&mut self) -> u64 {
        self.state.watched.take_missed()
    }

    /// Refuses an address for a while; see [`Request::Quarantine`](crate::Request).
    pub fn quarantine(&mut self, address: IpAddr) {
        self.state.quarantine(Peer::Address((address, 0).into()));
    }

    /// Lets an address in again that is in quarantine; false if it is not, or another shard knows.
    pub fn release(&mut self, address: IpAddr) -> bool {
        self.state.admission.quarantine.remove(self.state.now, address.into())
    }
}
