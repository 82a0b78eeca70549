//! The steps of a registration, on the connection's own shard.

use super::Authentication;
use super::attempt::{Accepted, Attempt, Outcome};
use super::proof::refuse_registration;
use super::provider::{Provider, Registration};
use crate::base::{ConnId, Reason};
use crate::handler::{Handler, Hub};
use crate::kit::MessageError;
use alloc::format;
use alloc::string::String;

impl<P> Authentication<P> {
    /// Starts the registration of a user, on a connection that is not authenticated.
    pub(super) fn begin_registration<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        user: &str,
        password: String,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let Some(rules) = self.registration else {
            let words = "nobody can register here";
            return self.registration_failed(hub, conn, &MessageError::new("registration_closed", words));
        };
        if !self.asks.may_send_password(hub, conn) {
            // The network knows the password now, so no account gets it.
            let words = "a password needs TLS here";
            return self.registration_failed(hub, conn, &MessageError::new("unauthorized", words));
        }
        match rules.check(user, password) {
            Ok(candidate) => self.begin(hub, conn, candidate, within),
            Err(error) => self.registration_failed(hub, conn, &error),
        }
    }

    /// Passes a new user to the provider, after the first shard has permitted it.
    pub(super) fn register<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        user: String,
        password: &str,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let registration = self.provider.register(conn, &user, password);
        self.registered(hub, conn, user, registration, within);
    }

    /// Handles the provider's answer about a registration.
    pub(super) fn registered<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        user: String,
        registration: Registration,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let error = match registration {
            Registration::Registered(account) => {
                hub.state.metrics.registrations += 1;
                let outcome = Outcome::Right(Accepted::of_account(*account));
                return self.settle(hub, conn, None, outcome, None, within);
            }
            Registration::Pending => return drop(self.attempts.insert(conn, Attempt::Registering(user))),
            Registration::NameTaken => MessageError::new("name_taken", "this name is taken"),
            Registration::Refused(reason) => MessageError::new("refused", reason),
        };
        self.registration_failed(hub, conn, &error);
    }

    /// Tells the peer why it was not registered. Ends the connection after too many attempts.
    pub(super) fn registration_failed<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, error: &MessageError) {
        self.attempts.remove(&conn);
        refuse_registration(hub, conn, error);
        self.failed(conn, &format!("registration: {}", error.reason));
        self.count_try(hub, conn);
    }

    /// Counts a failed attempt of a waiting connection, which ends after too many.
    pub(super) fn count_try<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        let Some(waiting) = self.waiting.get_mut(&conn) else { return };
        waiting.tries += 1;
        if waiting.tries >= self.limits.tries || waiting.by_request {
            return hub.end(conn, Reason::Unauthorized);
        }
        if waiting.input_ended {
            return hub.end(conn, Reason::PeerClosed);
        }
        self.begin_dialogue(hub, conn);
    }
}
