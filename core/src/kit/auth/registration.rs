//! Registration: the rules for names and passwords, and the steps on the connection's own shard.

use super::Authentication;
use super::attempt::{Accepted, Attempt, Candidate, Outcome};
use super::proof::refuse_registration;
use super::provider::{Provider, Registration};
use super::scram;
use crate::base::{ConnId, Reason, setters};
use crate::config::Rate;
use crate::handler::{Handler, Hub};
use crate::kit::MessageError;
use crate::kit::names::{NAME_MAX_CHARS, confusable_key, parse_name};
use alloc::format;
use alloc::string::String;

/// The rules for peers that register: see [`Authentication::registration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrationRules {
    /// Maximum rate of registrations from each address (an IPv4 address or an IPv6 /64).
    ///
    /// Default: 5 in 3,600 s, for the whole server. A registration counts even if its name is taken,
    /// so that nobody can find out quickly which names exist. Peers without an address are not
    /// limited.
    pub per_address: Rate,
    /// Minimum length of a password in characters. Default: 8 (NIST SP 800-63B section 5.1.1.2).
    ///
    /// A password has at most 1,024 bytes.
    pub password_chars_min: u32,
}

setters!(RegistrationRules { per_address: Rate, password_chars_min: u32 });

impl Default for RegistrationRules {
    /// Returns 5 registrations in 3,600 s per address, and passwords of 8 characters or more.
    fn default() -> Self {
        Self { per_address: FIVE, password_chars_min: 8 }
    }
}

const FIVE: Rate = match Rate::per(5, 3_600, 5) {
    Ok(rate) => rate,
    Err(_) => panic!("5 in 3600 s is a rate"),
};

/// The word that begins a registration on lines, and in the login dialogue.
pub(super) const CREATE: &str = "create";

impl RegistrationRules {
    /// Checks the name and the password of a new user. Returns them as the provider gets them.
    fn check(self, user: &str, password: String) -> Result<Candidate, MessageError> {
        let user = check_name(user)?;
        let chars = password.chars().count();
        if chars < usize::try_from(self.password_chars_min).unwrap_or(usize::MAX) {
            let words = format!("a password needs at least {} characters", self.password_chars_min);
            return Err(MessageError::new("weak_password", words));
        }
        if confusable_key(&user) == confusable_key(&password) {
            return Err(MessageError::new("weak_password", "the password must differ from the name"));
        }
        if scram::check(&password, 10_000).is_err() {
            let words = "a password has at most 1024 bytes, and no control characters";
            return Err(MessageError::new("invalid_password", words));
        }
        Ok(Candidate::Registration { user, password })
    }
}

/// Validates the name of a user who registers, and returns its normalized form, or `None`.
///
/// It is a name as [`parse_name`] allows it, except `create`, the word that begins a registration.
/// Programs that store users should refuse other names too: such a user might be unable to log in.
#[must_use]
pub fn parse_user_name(user: &str) -> Option<String> {
    // The login prepares names. A name that would change then could not log in.
    let name = parse_name(user).filter(|name| scram::prepared_name(name).is_ok_and(|same| same == *name));
    name.filter(|name| name != CREATE)
}

/// Checks the name of a new user, and returns its normalized form.
pub(super) fn check_name(user: &str) -> Result<String, MessageError> {
    parse_user_name(user).ok_or_else(|| {
        let words = format!("a name has 1 to {NAME_MAX_CHARS} letters, digits, '-', '_' or '.'");
        MessageError::new("invalid_name", words)
    })
}

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
            Registration::Registered(identity) => {
                hub.state.metrics.registrations += 1;
                return self.settle(hub, conn, Some(&user), Outcome::Right(Accepted::of(identity)), None, within);
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
        if let Some(call) = &mut self.on_failure {
            call(conn, &format!("registration: {}", error.reason));
        }
        self.one_try_less(hub, conn);
    }

    /// Counts a failed attempt of a waiting connection, which ends after too many.
    pub(super) fn one_try_less<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_not_log_in_are_no_names_of_users() {
        for (text, name) in [
            ("ann", Some("ann")),
            ("Zoe\u{308}", Some("Zo\u{eb}")),
            ("creates", Some("creates")),
            // It begins a registration in the dialogue.
            ("create", None),
            // Unassigned in Unicode 3.2, on which SASLprep is based.
            ("\u{1c5}", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(parse_user_name(text).as_deref(), name, "{text:?}");
        }
    }
}
