//! The steps that check a proof (a token, a password, the messages of a SCRAM exchange) or issue a token.

use super::attempt::{Accepted, Attempt, Candidate, Outcome, Target};
use super::issue::{Basis, Verified, fingerprint};
use super::proof::{Response, refuse_token, respond, send_token};
use super::provider::{Account, Lookup, Provider};
use super::scram::{self, Credentials};
use super::waiting::Stage;
use super::{Authentication, Nonces};
use crate::base::ConnId;
use crate::handler::{Handler, Hub};
use crate::state::Offloaded;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::ToString;

/// The reason for which an issued token of a user with a password is refused.
pub(super) const CHANGED: &str = "the token is no longer valid: the user or the password has changed";

impl<P> Authentication<P> {
    /// Checks a proof, or looks up its user, after the first shard has permitted it.
    pub(super) fn look_at<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        candidate: Candidate,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        match candidate {
            Candidate::Token(token) => self.check_token(hub, conn, &token, within),
            Candidate::Key { user, key, is_offer } => self.check_key(hub, conn, (&user, &key), is_offer, within),
            Candidate::Registration { user, password } => self.register(hub, conn, user, &password, within),
            Candidate::Issued(ref verified) => {
                let lookup = self.provider.account(conn, &verified.identity.user);
                self.looked_up(hub, conn, candidate, lookup, within);
            }
            Candidate::Scram(_, ref user) | Candidate::Password { ref user, .. } => {
                let lookup = self.provider.account(conn, user);
                self.looked_up(hub, conn, candidate, lookup, within);
            }
        }
    }

    /// Verifies a token: one that this server has issued, or one for the provider.
    fn check_token<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, token: &str, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        let now = hub.unix_time();
        let outcome = match self.issuer.as_ref().and_then(|issuer| issuer.verify(token, now)) {
            Some(Ok(verified)) if verified.basis.account.is_some() => {
                return self.look_at(hub, conn, Candidate::Issued(Box::new(verified)), within);
            }
            Some(Ok(Verified { identity, basis })) => {
                Outcome::Right(Accepted { proof: Some(basis.at), ..Accepted::of(identity) })
            }
            Some(Err(error)) => Outcome::Wrong(error.to_string().into()),
            None => {
                let verdict = self.provider.token(conn, token, now);
                return self.decide(hub, conn, verdict, within);
            }
        };
        self.settle(hub, conn, None, outcome, None, within);
    }

    /// Continues a login with a password, once the provider has looked up its user.
    pub(super) fn looked_up<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        candidate: Candidate,
        lookup: Lookup,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        if let Candidate::Issued(verified) = candidate {
            return self.account_of_token(hub, conn, verified, lookup, within);
        }
        let user = candidate.user().unwrap_or_default();
        // Computed for known users as well, so that the duration does not reveal who exists.
        let nobody = Credentials::of_nobody(&self.secret, user, self.provider.iterations());
        let target = match lookup {
            Lookup::Found(account) => {
                let Account { credentials, identity } = *account;
                Target { user: user.to_owned(), credentials, identity: Some(identity) }
            }
            Lookup::Unknown => Target { user: user.to_owned(), credentials: nobody, identity: None },
            Lookup::Unavailable(reason) => return self.unavailable(hub, conn, &reason),
            Lookup::Pending => return drop(self.attempts.insert(conn, Attempt::LookingUp(candidate))),
        };
        let target = Box::new(target);
        match candidate {
            Candidate::Scram(first, _) => {
                let secret = &self.secret;
                let nonce = self.nonces.get_or_insert_with(|| Nonces::new(secret, hub)).next();
                let server = first.answer(&target.credentials, &nonce);
                respond(hub, conn, &Response { scram: Some(server.first()), ..Response::of("auth") });
                self.set_stage(conn, Stage::Scram(Box::new(server), target));
            }
            Candidate::Password { password, .. } => {
                // Does the same work whether or not the user exists.
                let stored = target.credentials.clone();
                match hub.offload(conn, move || stored.verify(&password)) {
                    Offloaded::Done(is_right) => self.hashed(hub, conn, *target, is_right, within),
                    Offloaded::Later => drop(self.attempts.insert(conn, Attempt::Hashing(target))),
                }
            }
            // They have no user to look up.
            Candidate::Token(_) | Candidate::Key { .. } | Candidate::Issued(_) | Candidate::Registration { .. } => {}
        }
    }

    /// Accepts an issued token, if the account of its user is still the same.
    fn account_of_token<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        verified: Box<Verified>,
        lookup: Lookup,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let account = match lookup {
            Lookup::Found(account) => Some(*account),
            Lookup::Unknown => None,
            Lookup::Unavailable(reason) => return self.unavailable(hub, conn, &reason),
            Lookup::Pending => {
                return drop(self.attempts.insert(conn, Attempt::LookingUp(Candidate::Issued(verified))));
            }
        };
        let outcome = match account.and_then(|account| verified.of_account(&self.secret, account)) {
            Some(account) => {
                Outcome::Right(Accepted { proof: Some(verified.basis.at), ..Accepted::of_account(account) })
            }
            None => Outcome::Wrong(CHANGED.into()),
        };
        self.settle(hub, conn, None, outcome, None, within);
    }

    /// Checks the client's last SCRAM message. This cheap check needs no permission.
    pub(super) fn scram_last<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        server: scram::Server,
        target: Target,
        last: &str,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let user = target.user.clone();
        let outcome = match server.finish(last) {
            Ok(signature) => {
                let account = target.into_account().and_then(|account| self.provider.confirm(account));
                match account {
                    Some(account) => {
                        Outcome::Right(Accepted { scram: Some(signature), ..Accepted::of_account(account) })
                    }
                    None => Outcome::Wrong("the password has changed".into()),
                }
            }
            Err(error) => Outcome::Wrong(error.to_string().into()),
        };
        self.settle(hub, conn, Some(&user), outcome, None, within);
    }

    /// Handles the result of hashing a password.
    pub(super) fn hashed<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        target: Target,
        is_right: bool,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let user = target.user.clone();
        let account = target.into_account().filter(|_| is_right && !user.is_empty());
        let outcome = match account.and_then(|account| self.provider.confirm(account)) {
            Some(account) => Outcome::Right(Accepted::of_account(account)),
            None => Outcome::Wrong("wrong user name or password".into()),
        };
        self.settle(hub, conn, Some(&user), outcome, None, within);
    }

    /// Ends an attempt whose user cannot be looked up now. It counts as one of the tries.
    fn unavailable<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
        self.attempts.remove(&conn);
        self.refuse(hub, conn, reason);
        self.count_try(hub, conn);
    }

    /// Sends a new token to an authenticated peer.
    pub(super) fn issue<C>(&self, hub: &mut Hub<'_, C>, conn: ConnId) {
        let Some(issuer) = &self.issuer else { return };
        let Some(identity) = hub.identity(conn).cloned() else { return };
        let Some(now) = hub.unix_time() else {
            return refuse_token(hub, conn, "the server has no clock");
        };
        match issuer.issue(&identity, issuer.basis_of(conn), now) {
            Ok(token) => send_token(hub, conn, &token, issuer.lifetime_secs()),
            Err(reason) => refuse_token(hub, conn, reason),
        }
    }

    /// Records the proof on which a login or a renewal is based, if tokens are issued.
    pub(super) fn proved<C>(&mut self, hub: &Hub<'_, C>, conn: ConnId, accepted: &Accepted) {
        let Self { issuer: Some(issuer), secret, .. } = self else { return };
        if let Some(at) = accepted.proof.or_else(|| hub.unix_time()) {
            let account = accepted.credentials.as_ref().map(|credentials| fingerprint(secret, credentials));
            issuer.proved(conn, Basis { at, account });
        }
    }
}
