//! Answers to peers that log in before their connection opens.

use crate::base::{ConnId, Identity};
use crate::handler::Hub;

/// # Logins before a connection opens
impl<C> Hub<'_, C> {
    /// Promises an answer to the attempt of an [`Event::Login`](crate::Event::Login).
    ///
    /// [`answer_login`](Self::answer_login) gives it, during a later event or this one. Until then, the peer waits, at most
    /// for the [time limit](crate::wire::ssh::SshServer::login_timeout) of the listener. Meanwhile, work for the connection
    /// can be [offloaded](Self::offload).
    ///
    /// Returns `false` if no attempt of this connection is open.
    pub fn answer_login_later(&mut self, conn: ConnId) -> bool {
        self.state.promise_login(conn)
    }

    /// Answers the attempt of an [`Event::Login`](crate::Event::Login). `None` refuses it; the peer may try again.
    ///
    /// With an accepted proof, the connection opens with this identity. For an
    /// [offer](crate::wire::ssh::LoginProof::Offer), the identity only tells the peer that its proof would be accepted.
    ///
    /// Returns `false` if no answer is awaited.
    pub fn answer_login(&mut self, conn: ConnId, identity: Option<Identity>) -> bool {
        self.state.answer_login(conn, identity)
    }
}
