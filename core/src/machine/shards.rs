//! Facts for machines that are one of several shards.

use super::Machine;
use crate::base::Origin;
use crate::base::{ConnId, ListenerId, Peer, Reason, Time};
use crate::facts::ShardMessage;
use crate::facts::{Fact, Refusal};
use crate::handler::{Event, Handler};
use crate::state::Ending;

impl<H: Handler> Machine<H> {
    /// Accepts or refuses a new connection on the first of several [shards](crate::Shard).
    ///
    /// Returns the shard whose [`adopted`](Self::adopted) takes the connection.
    ///
    /// # Errors
    /// As [`accepted`](Self::accepted).
    pub fn dispatched(&mut self, now: Time, listener: ListenerId, peer: Peer) -> Result<u8, Refusal> {
        let peer = peer.canonical();
        self.begin(now, &Fact::Dispatched { listener, peer });
        self.admit(listener, peer)?;
        Ok(self.state.outbox.place())
    }

    /// Opens a connection that the first shard accepted for this shard.
    ///
    /// Call it in the order in which the first shard dispatched connections and was
    /// [reconfigured](Self::reconfigured). If this shard does not know the listener, the connection
    /// ends at once as [`Reason::Shutdown`].
    pub fn adopted(&mut self, now: Time, listener: ListenerId, peer: Peer) -> ConnId {
        let peer = peer.canonical();
        self.begin(now, &Fact::Adopted { listener, peer });
        let protocol = self.state.listeners.get(listener).map(|listen| listen.protocol.clone());
        let is_known = protocol.is_some();
        let (wire, wait) = protocol.map_or_else(Default::default, |protocol| (protocol.wire(), protocol.wait()));
        let id = self.opened(peer, Origin::Listener(listener), wire, wait);
        if !is_known {
            // Without a listener, neither its limits nor its TLS are known.
            self.state.end(id.slot(), Reason::Shutdown, Ending::Drop);
            // The handler may already have ended it in another way.
            self.state.forget(id.slot());
        } else if self.state.drain.is_some() {
            self.state.end(id.slot(), Reason::Shutdown, Ending::Flush);
        }
        self.settle();
        id
    }

    /// Handles a message from another shard.
    pub fn shard_message_received(&mut self, now: Time, message: &ShardMessage) {
        self.begin(now, &Fact::ShardMessageReceived(message));
        self.state.delivered(message);
        if let ShardMessage::Admission { conn, peer, refused } = message {
            self.admission_came(*conn, *peer, *refused);
        }
        if let ShardMessage::Handler { from, topic, content } = message {
            self.emit(Event::ShardMessage { from: *from, topic, content });
        }
        self.settle();
        #[cfg(feature = "tls")]
        if let ShardMessage::Admission { conn, .. } = message
            && self.is_enciphered(*conn)
        {
            // Decrypt what arrived in the meantime.
            self.decipher(now, *conn, &mut []);
        }
    }

    /// Stops reading while other shards are behind with this shard's messages, or resumes reading.
    ///
    /// While they are behind, the machine reads from no connection, as if the application had
    /// paused all.
    pub fn held_back(&mut self, now: Time, held: bool) {
        self.begin(now, &Fact::HeldBack(held));
        self.state.set_held_back(held);
        self.settle();
    }
}
