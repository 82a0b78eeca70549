//! Messages to connections, rooms and other shards.

use crate::base::{ConnId, Outgoing, Representation};
use crate::handler::Hub;

/// # Sending
impl<C> Hub<'_, C> {
    /// Queues a message for one connection.
    ///
    /// Returns `false` if the connection is over, if its wire cannot carry a message of that
    /// length, or if this message made it a slow consumer.
    pub fn send<'p>(&mut self, conn: ConnId, payload: impl Into<Outgoing<'p>>) -> bool {
        self.state.send(conn, payload.into())
    }

    /// Queues a message for each of these connections, encoding it once per wire.
    ///
    /// Returns for how many it was queued. A connection that is listed twice gets it twice.
    pub fn send_each<'p>(&mut self, conns: &[ConnId], payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.send_each(conns, payload.into())
    }

    /// Queues a message for every member of a room, encoding it once per wire.
    ///
    /// Returns for how many it was queued. On a server of several [shards](crate::Shard), members
    /// on other shards get it a moment later and are not counted.
    ///
    /// In a room that has a [home](crate::Home), members get it once the home has numbered it, which
    /// is after the current event. Then the number is that of the members on this shard.
    pub fn publish<'p>(&mut self, room: &str, payload: impl Into<Outgoing<'p>>) -> usize {
        let room = self.stored(room);
        self.state.publish_everywhere(&room, &[], payload.into())
    }

    /// Queues a message for every member of a room except the connections in `except`.
    ///
    /// Otherwise like [`publish`](Self::publish).
    pub fn publish_except<'p>(&mut self, room: &str, except: &[ConnId], payload: impl Into<Outgoing<'p>>) -> usize {
        let room = self.stored(room);
        self.state.publish_everywhere(&room, except, payload.into())
    }

    /// Sets which representation of an [`Outgoing`] a connection receives from now on.
    pub fn set_representation(&mut self, conn: ConnId, representation: Representation) {
        self.state.set_representation(conn, representation);
    }

    /// Returns which representation of an [`Outgoing`] a connection receives.
    #[must_use]
    pub fn representation(&self, conn: ConnId) -> Representation {
        self.state.representation(conn)
    }

    /// Sends a message to the handler of another [shard](crate::Shard).
    ///
    /// That handler gets [`Event::ShardMessage`](crate::Event::ShardMessage). Returns `false` if
    /// the shard does not exist or is this one.
    ///
    /// Messages from one shard to another arrive exactly once and in order. Their number is not
    /// limited like a peer's messages: send a bounded number per event.
    pub fn send_to_shard(&mut self, shard: u8, topic: &str, content: &str) -> bool {
        self.state.send_to_shard(shard, topic, content)
    }

    /// Sends a message to the applications on all other hosts of the [cluster](crate::Cluster).
    ///
    /// Each shard there gets [`Event::HostMessage`](crate::Event::HostMessage). Returns `false` if there is no
    /// cluster. Hosts whose link is down do not get it, and it is lost if the link of this host is down: it is for
    /// what each host can do without, or repeats.
    ///
    /// `topic` must not be empty: then the result is `false`.
    pub fn send_to_hosts(&mut self, topic: &str, content: &str) -> bool {
        !topic.is_empty() && self.state.send_to_hosts(topic, content)
    }
}
