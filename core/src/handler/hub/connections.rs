//! Queries about a connection: peer, context, age, traffic, identity; and pausing its reads.

use crate::base::{ConnId, Identity, Peer};
use crate::config::Listen;
use crate::handler::Hub;
use crate::state::Traffic;
use crate::state::conn::Conn;
use crate::tls::Secured;
use core::time::Duration;

impl<C: Default> Hub<'_, C> {
    /// What the application remembers about a connection; `None` once its `Closed` was told.
    pub fn context(&mut self, conn: ConnId) -> Option<&mut C> {
        if self.state.conns.id(conn.slot()) != conn {
            return None;
        }
        self.state.contexts.get_mut(conn.index())?.as_mut()
    }

    /// Who is at the other end, as long as there is a socket: at least until `Closed` was told.
    #[must_use]
    pub fn peer(&self, conn: ConnId) -> Option<Peer> {
        self.state.conns.get(conn).map(|conn| conn.peer)
    }

    /// How long a connection has been silent that could speak: since its last byte was read. Zero if it is over, if it is not
    /// read for the time being, and if it ended its half.
    #[must_use]
    pub fn silent_for(&self, conn: ConnId) -> Duration {
        let speaks = |found: &&Conn| !found.input_ended && !found.is_unserved() && !self.state.must_wait(conn.slot());
        let found = self.state.conns.get(conn).filter(speaks);
        found.map_or(Duration::ZERO, |found| self.state.now.since(found.last_byte_at))
    }

    /// How long ago a connection was opened; zero if it is over.
    #[must_use]
    pub fn age(&self, conn: ConnId) -> Duration {
        self.state.conns.get(conn).map_or(Duration::ZERO, |conn| self.state.now.since(conn.opened_at))
    }

    /// Whether a connection is open: it has not begun to end.
    #[must_use]
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.state.open_slot(conn).is_some()
    }

    /// All open connections, ordered by their place.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.state.conns.ids().filter(|&id| self.is_open(id))
    }

    /// Names a connection for operators: the monitor shows it. It proves nothing; see [`identify`](Self::identify) for that. Of
    /// a longer name the first 64 characters are kept, without what acts on a terminal. An empty one takes the label away.
    pub fn set_label(&mut self, conn: ConnId, label: &str) {
        self.state.set_label(conn, label);
    }

    /// The [label](Self::set_label) of a connection.
    #[must_use]
    pub fn label(&self, conn: ConnId) -> Option<&str> {
        self.state.labels.get(conn)
    }

    /// Stops reading a connection: no messages of it are told until [`resume`](Self::resume). Its idle,
    /// silence and message deadlines rest meanwhile.
    pub fn pause(&mut self, conn: ConnId) {
        self.state.set_paused(conn, true);
    }

    /// Reads a connection again. Messages that had arrived are told after this event.
    pub fn resume(&mut self, conn: ConnId) {
        self.state.set_paused(conn, false);
    }

    /// How much went over a connection so far.
    #[must_use]
    pub fn traffic(&self, conn: ConnId) -> Option<Traffic> {
        self.state.conns.get(conn).map(|conn| conn.traffic)
    }

    /// What TLS agreed on, as long as [`peer`](Self::peer) is known; `None` if there is none.
    #[must_use]
    pub fn secured(&self, conn: ConnId) -> Option<&Secured> {
        self.state.conns.get(conn)?.secured.as_deref()
    }

    /// Where a connection was accepted; `None` if it was dialled. It is the listener as it is configured now.
    #[must_use]
    pub fn listen(&self, conn: ConnId) -> Option<&Listen> {
        self.state.listen_of(conn)
    }

    /// What is spoken on a connection: `lines`, `length`, `telnet`, `websocket` or `ws+telnet`.
    #[must_use]
    pub fn wire_name(&self, conn: ConnId) -> Option<&'static str> {
        self.state.conns.get(conn).map(Conn::wire_name)
    }

    /// How many bytes are queued for a connection and not yet written.
    #[must_use]
    pub fn pending(&self, conn: ConnId) -> usize {
        self.state.conns.get(conn).map_or(0, |_| self.state.outbound.pending(conn.slot()))
    }

    /// Says who is at the other end, or what they may from now on; false if the connection is over. If the user is another
    /// than before, this is told as [`Event::Authenticated`](crate::Event::Authenticated).
    pub fn identify(&mut self, conn: ConnId, identity: Identity) -> bool {
        self.state.identify(conn, identity)
    }

    /// Who is at the other end, if that is known, as long as [`peer`](Self::peer) is.
    #[must_use]
    pub fn identity(&self, conn: ConnId) -> Option<&Identity> {
        self.state.conns.get(conn)?.identity.as_deref()
    }

    /// The open connections of a user, in the order in which they were identified.
    #[must_use]
    pub fn connections_of(&self, user: &str) -> &[ConnId] {
        self.state.users.connections(user)
    }
}
