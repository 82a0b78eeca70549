//! Connections: their peer, context, traffic, label and identity; and pausing their reads.

use crate::base::{ConnId, Identity, Peer};
use crate::config::Listen;
use crate::handler::Hub;
use crate::state::Traffic;
use crate::state::conn::Conn;
use crate::tls::Secured;
use crate::wire::DecodeError;
use core::time::Duration;

/// # Connections
impl<C> Hub<'_, C> {
    /// Returns the application's state for a connection, or `None` after its `Closed` event.
    pub fn context(&mut self, conn: ConnId) -> Option<&mut C> {
        self.contexts.get(conn)
    }

    /// Returns the address of a connection's peer.
    ///
    /// Available as long as there is a socket: at least until `Closed`.
    #[must_use]
    pub fn peer(&self, conn: ConnId) -> Option<Peer> {
        self.state.conns.get(conn).map(|conn| conn.peer)
    }

    /// Returns how long a connection's peer has sent nothing although it could send.
    ///
    /// Zero if the connection is over, if its input is not read or not processed yet, or if the
    /// peer has ended its half.
    #[must_use]
    pub fn silent_for(&self, conn: ConnId) -> Duration {
        let speaks = |found: &&Conn| !found.input_ended && !found.is_unserved() && !self.state.must_wait(conn.slot());
        let found = self.state.conns.get(conn).filter(speaks);
        found.map_or(Duration::ZERO, |found| self.state.now.since(found.last_byte_at))
    }

    /// Returns the error of the wire that ended a connection, such as that of a
    /// [codec](crate::wire::Codec).
    ///
    /// It explains the reason of [`Closed`](crate::Event::Closed), and is available as long as
    /// [`peer`](Self::peer) is.
    #[must_use]
    pub fn decode_error(&self, conn: ConnId) -> Option<DecodeError> {
        self.state.conns.get(conn).and_then(|conn| conn.faults.decode_error)
    }

    /// Returns how long a connection has been open, or zero if it is over.
    #[must_use]
    pub fn age(&self, conn: ConnId) -> Duration {
        self.state.conns.get(conn).map_or(Duration::ZERO, |conn| self.state.now.since(conn.opened_at))
    }

    /// Returns `true` if a connection is open: neither in its handshake nor closing.
    #[must_use]
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.state.open_slot(conn).is_some()
    }

    /// Returns all open connections of this [shard](crate::Shard), ordered by index.
    ///
    /// The link to the broker of a [cluster](crate::Cluster) is not among them.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.state.conns.ids().filter(|&id| self.is_open(id) && !self.state.is_link(id))
    }

    /// Sets a connection's label, which the monitor shows to operators.
    ///
    /// A label proves nothing; for that, see [`identify`](Self::identify). Characters that act on a
    /// terminal are removed, and at most 64 characters are kept. An empty label removes it.
    pub fn set_label(&mut self, conn: ConnId, label: &str) {
        self.state.set_label(conn, label);
    }

    /// Returns the [label](Self::set_label) of a connection.
    #[must_use]
    pub fn label(&self, conn: ConnId) -> Option<&str> {
        self.state.labels.get(conn)
    }

    /// Stops reading from a connection.
    ///
    /// The handler gets no messages from it until [`resume`](Self::resume). Its idle, silence and
    /// message deadlines are suspended meanwhile.
    pub fn pause(&mut self, conn: ConnId) {
        self.state.set_paused(conn, true);
    }

    /// Resumes reading from a connection. Messages that had already arrived follow this event.
    pub fn resume(&mut self, conn: ConnId) {
        self.state.set_paused(conn, false);
    }

    /// Returns the bytes and messages sent and received on a connection so far.
    #[must_use]
    pub fn traffic(&self, conn: ConnId) -> Option<Traffic> {
        self.state.conns.get(conn).map(|conn| conn.traffic)
    }

    /// Returns the TLS parameters of a connection, as long as [`peer`](Self::peer) is available.
    ///
    /// `None` without TLS.
    #[must_use]
    pub fn secured(&self, conn: ConnId) -> Option<&Secured> {
        self.state.conns.get(conn)?.secured.as_deref()
    }

    /// Returns the listener that accepted a connection, as it is configured now.
    ///
    /// `None` for dialled connections.
    #[must_use]
    pub fn listen(&self, conn: ConnId) -> Option<&Listen> {
        self.state.listen_of(conn)
    }

    /// Returns the name of a connection's wire, such as `lines`.
    ///
    /// One of `lines`, `length`, `telnet`, `websocket`, `ws+telnet`, `raw`, `delimited`, or the
    /// name of a codec.
    #[must_use]
    pub fn wire_name(&self, conn: ConnId) -> Option<&'static str> {
        self.state.conns.get(conn).map(Conn::wire_name)
    }

    /// Returns the number of bytes that are queued for a connection and not yet written.
    #[must_use]
    pub fn pending(&self, conn: ConnId) -> usize {
        self.state.conns.get(conn).map_or(0, |_| self.state.outbound.pending(conn.slot()))
    }

    /// Sets or replaces the identity of a connection: user, scopes, expiry and claims.
    ///
    /// Returns `false` if the connection is over. Emits
    /// [`Event::Authenticated`](crate::Event::Authenticated) if the user is another than before.
    pub fn identify(&mut self, conn: ConnId, identity: Identity) -> bool {
        self.state.identify(conn, identity)
    }

    /// Returns the identity of a connection, or `None` if none is set.
    ///
    /// Available as long as there is a socket: at least until `Closed`.
    #[must_use]
    pub fn identity(&self, conn: ConnId) -> Option<&Identity> {
        self.state.conns.get(conn)?.identity.as_deref()
    }

    /// Returns the open connections of a user on this shard, in the order of identification.
    #[must_use]
    pub fn connections_of(&self, user: &str) -> &[ConnId] {
        self.state.users.connections(user)
    }
}
