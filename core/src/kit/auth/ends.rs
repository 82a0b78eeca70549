//! Connections that open and end.

use super::attempt::Candidate;
use super::proof::bearer;
use super::provider::Provider;
use super::registry::Question;
use super::waiting::{Stage, Waiting};
use super::{Authentication, DEADLINE};
use crate::base::{ConnId, Origin, Peer};
use crate::handler::{Handler, Hub};
use crate::state::Timer;
use crate::wire::http::Request;
use alloc::borrow::ToOwned;

impl<P> Authentication<P> {
    pub(super) fn opened<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        peer: Peer,
        origin: Origin,
        request: Option<&Request>,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let bearer = request.and_then(bearer).map(ToOwned::to_owned);
        let query = request.filter(|_| self.token_in_query).and_then(|request| request.query("token"));
        let token = bearer.or_else(|| query.map(ToOwned::to_owned));
        let before = self.waiting.insert(conn, Waiting::new(peer, origin, request, token.is_some()));
        if let Some(Waiting { stage: Stage::LoggedIn(accepted), .. }) = before {
            return self.accept(hub, conn, *accepted, within);
        }
        hub.wake(Timer::of(conn, DEADLINE), self.limits.deadline);
        if let Some(identity) = hub.identity(conn).cloned() {
            // A client certificate, or the SSH server, has authenticated the user.
            return self.enter(hub, conn, identity, within);
        }
        match token {
            Some(token) => self.begin(hub, conn, Candidate::Token(token), within),
            None => self.begin_dialogue(hub, conn),
        }
    }

    /// Removes the state of a closed connection, except its entry in `waiting`.
    ///
    /// Reports its end to the first shard if its user was reported.
    pub(super) fn forget<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        self.wrong.remove(&conn);
        self.attempts.remove(&conn);
        if let Some(issuer) = &mut self.issuer {
            issuer.forget(conn);
        }
        self.end_turn(conn);
        if self.sessions.remove(&conn).is_some() {
            self.consult(hub, Question::Left { conn }, within);
        }
    }
}
