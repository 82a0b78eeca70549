//! Messages to connections, rooms and other shards.

use crate::base::{ConnId, Outgoing, Representation};
use crate::handler::Hub;

impl<C: Default> Hub<'_, C> {
    /// Queues a message for one connection; false if it can't be: the connection is over, or its wire can't
    /// carry a message of that length, or this message made it a slow consumer.
    pub fn send<'p>(&mut self, conn: ConnId, payload: impl Into<Outgoing<'p>>) -> bool {
        self.state.send(conn, payload.into())
    }

    /// Queues a message for each of these connections, encoding it once for each wire; returns for how many.
    /// A connection that is named twice gets it twice.
    pub fn send_each<'p>(&mut self, conns: &[ConnId], payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.send_each(conns, payload.into())
    }

    /// Queues a message for every member of a room, encoding it once for each wire; returns for how many. On a server of
    /// several [shards](crate::Shard) the members on the others get it a moment later, and are not counted.
    pub fn publish<'p>(&mut self, room: &str, payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.publish_everywhere(room, &[], payload.into())
    }

    /// As [`publish`](Self::publish), but not for these.
    pub fn publish_except<'p>(&mut self, room: &str, except: &[ConnId], payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.publish_everywhere(room, except, payload.into())
    }

    /// Sets which representation of an [`Outgoing`] a connection gets from now on.
    pub fn set_representation(&mut self, conn: ConnId, representation: Representation) {
        self.state.set_representation(conn, representation);
    }

    /// Which representation a connection gets.
    #[must_use]
    pub fn representation(&self, conn: ConnId) -> Representation {
        self.state.representation(conn)
    }

    /// Sends a message to the handler of another [shard](crate::Shard), which is told it as
    /// [`Event::ShardMessage`](crate::Event::ShardMessage). Messages from one shard to another arrive in the order in which they
    /// were sent, and each once. Returns false if there is no other shard of that number.
    ///
    /// They are not bounded as what peers send is: send a bounded number for each event.
    pub fn send_to_shard(&mut self, shard: u8, topic: &str, content: &str) -> bool {
        self.state.send_to_shard(shard, topic, content)
    }
}
