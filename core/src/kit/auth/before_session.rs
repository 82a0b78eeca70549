//! Logins at SSH listeners, before their sessions: with public keys and passwords.

use super::Authentication;
use super::attempt::{Attempt, Candidate};
use super::provider::{Provider, Verdict};
use super::scram::prepared_name;
use super::waiting::{Stage, Waiting};
use crate::base::{ConnId, Origin, Peer};
use crate::handler::{Handler, Hub};
use crate::wire::ssh::{LoginAttempt, LoginProof};

impl<P> Authentication<P> {
    /// Begins an attempt to log in at an SSH listener.
    pub(super) fn log_in<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        (origin, peer): (Origin, Peer),
        attempt: &LoginAttempt,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        if !hub.answer_login_later(conn) {
            return;
        }
        let waiting = self.waiting.entry(conn).or_insert_with(|| Waiting::new(peer, origin, None, false));
        waiting.stage = Stage::BeforeSession;
        let user = attempt.user.clone();
        let candidate = match &attempt.proof {
            LoginProof::Offer(key) => Candidate::Key { user, key: key.clone(), is_offer: true },
            LoginProof::Key(key) => Candidate::Key { user, key: key.clone(), is_offer: false },
            LoginProof::Password(password) => {
                Candidate::Password { user: prepared_name(&user).unwrap_or_default(), password: password.clone() }
            }
        };
        self.begin(hub, conn, candidate, within);
    }

    /// Asks the provider about a public key, after the first shard has permitted it.
    pub(super) fn check_key<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        (user, key): (&str, &str),
        is_offer: bool,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let verdict = self.provider.public_key(conn, user, key);
        if is_offer {
            self.decide_offer(hub, conn, verdict);
        } else {
            self.decide(hub, conn, verdict, within);
        }
    }

    /// Tells a client whether the key that it offers would be accepted. Nothing is proved yet, so nothing counts.
    pub(super) fn decide_offer<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, verdict: Verdict) {
        let identity = match verdict {
            Verdict::Accepted(identity) | Verdict::AcceptedOnce(identity, _) => Some(identity),
            Verdict::Refused(_) => None,
            Verdict::Pending => return drop(self.attempts.insert(conn, Attempt::Offer)),
        };
        hub.answer_login(conn, identity);
    }

    pub(super) fn is_before_session(&self, conn: ConnId) -> bool {
        self.waiting.get(&conn).is_some_and(Waiting::is_before_session)
    }
}
