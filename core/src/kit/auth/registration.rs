//! The rules for the names and the passwords of users who register.

use super::attempt::Candidate;
use super::scram;
use crate::base::names::{NAME_MAX_CHARS, confusable_key, parse_name};
use crate::base::setters;
use crate::config::Rate;
use crate::kit::MessageError;
use alloc::format;
use alloc::string::String;

/// The rules for peers that register: see [`Authentication::registration`](super::Authentication::registration).
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
    pub(super) fn check(self, user: &str, password: String) -> Result<Candidate, MessageError> {
        let user = check_name(user)?;
        self.check_password(&user, &password)?;
        Ok(Candidate::Registration { user, password })
    }

    /// Checks the password of a new user.
    pub(super) fn check_password(self, user: &str, password: &str) -> Result<(), MessageError> {
        let Ok(prepared) = scram::prepared_password(password, 10_000) else {
            let words = "a password has at most 1024 bytes, and no characters that SASLprep (RFC 4013) prohibits";
            return Err(MessageError::new("invalid_password", words));
        };
        if prepared.chars().count() < usize::try_from(self.password_chars_min).unwrap_or(usize::MAX) {
            let words = format!("a password needs at least {} characters", self.password_chars_min);
            return Err(MessageError::new("weak_password", words));
        }
        if confusable_key(user) == confusable_key(password) {
            return Err(MessageError::new("weak_password", "the password must differ from the name"));
        }
        Ok(())
    }
}

/// Validates the name of a user who registers, and returns its normalized form, or `None`.
///
/// Accepts the names that [`parse_name`] accepts, except `create`, the word that begins a
/// registration, and names that SASLprep changes. Store no user with another name, who might be
/// unable to log in.
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
