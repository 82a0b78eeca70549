//! SCRAM-SHA-256 (RFC 5802 and RFC 7677): both sides prove that they know a password, and neither sends it, nor anything that
//! could be sent again. Without channel binding.

mod client;
mod server;
#[cfg(test)]
mod tests;

pub use crate::kit::auth::scram::client::ScramClient;
pub use crate::kit::auth::scram::server::{ClientFirst, Server};

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

type Key = [u8; 32];

/// What a hashed password begins with.
const STORED_PREFIX: &str = "SCRAM-SHA-256$";
/// No message of the exchange is longer.
const MESSAGE_MAX_BYTES: usize = 2_048;
/// What a client takes at most, so that a server can't keep it busy for ever.
const ITERATIONS_MAX: u32 = 1_000_000;
/// RFC 7677 section 4.
const ITERATIONS_MIN: u32 = 4_096;
/// A longer password is none: preparing it would take as long as its sender likes.
const PASSWORD_MAX_BYTES: usize = 1_024;

/// What a server stores of a password: enough to check it, and not enough to be it (RFC 5802 section 3).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Key,
    server_key: Key,
}

/// A password can't be used, or an exchange did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// The password or the name has characters that none may have (SASLprep, RFC 4013), is empty, or has more than 1,024 bytes
    /// (a name: 256).
    #[error("the password or the name is empty, too long or has characters that none may have")]
    Prohibited,
    /// A message is not what RFC 5802 section 7 says.
    #[error("the message is not one of SCRAM")]
    Malformed,
    /// Channel binding was asked for.
    #[error("channel binding is not supported")]
    ChannelBinding,
    /// The other side does not know the password.
    #[error("the proof is wrong")]
    InvalidProof,
    /// What should be a hashed password is none.
    #[error("a hashed password is SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY (RFC 5803)")]
    Stored,
    /// Fewer than 4,096 iterations, or more than a million.
    #[error("a password is hashed 4,096 to 1,000,000 times")]
    Iterations,
}

impl Credentials {
    /// Derives the stored form of a password. Use a different salt for each password: 16 random bytes, or [`salt`], which
    /// hides which users exist.
    ///
    /// More iterations make a stolen table harder to attack. Each client pays for them, and so does the server if a login
    /// dialogue sends it the password. 10,000 iterations take some milliseconds.
    ///
    /// # Errors
    /// As [`check`].
    pub fn new(password: &str, salt: &[u8], iterations: u32) -> Result<Self, ScramError> {
        let salted = salted_password(password, salt, iterations)?;
        let (client_key, server_key) = (hmac(&salted, b"Client Key"), hmac(&salted, b"Server Key"));
        Ok(Self { salt: salt.to_owned(), iterations, stored_key: Sha256::digest(client_key).into(), server_key })
    }

    /// What is stored of a user's password, with the [`salt`] of that name. `secret` is that of
    /// [`Authentication::new`](super::Authentication::new).
    ///
    /// # Errors
    /// As [`check`], and if the name is no user's.
    pub fn of_user(secret: &[u8; 32], user: &str, password: &str, iterations: u32) -> Result<Self, ScramError> {
        let user = super::provider::prepared(user)?;
        Self::new(password, &salt(secret, &user), iterations)
    }

    /// Writes `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY` (RFC 5803). Keep it secret: it lets an attacker guess
    /// passwords offline.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let Self { salt, iterations, stored_key, server_key } = self;
        let [salt, stored_key, server_key] = [&salt[..], stored_key, server_key].map(|bytes| STANDARD.encode(bytes));
        format!("{STORED_PREFIX}{iterations}:{salt}${stored_key}:{server_key}")
    }

    /// Reads what [`to_stored`](Self::to_stored) wrote, or another server such as `PostgreSQL`.
    ///
    /// # Errors
    /// If it is not that, or iterations are not in 4,096 to 1,000,000.
    pub fn from_stored(text: &str) -> Result<Self, ScramError> {
        let malformed = ScramError::Stored;
        let (salted, keys) = text.strip_prefix(STORED_PREFIX).and_then(|rest| rest.split_once('$')).ok_or(malformed)?;
        let (iterations, salt) = salted.split_once(':').ok_or(malformed)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(malformed)?;
        let iterations = iterations.parse().map_err(|_| malformed)?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(ScramError::Iterations);
        }
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty()).ok_or(malformed)?;
        let key = |text: &str| STANDARD.decode(text).ok().and_then(|key| Key::try_from(key).ok()).ok_or(malformed);
        Ok(Self { salt, iterations, stored_key: key(stored_key)?, server_key: key(server_key)? })
    }

    /// Whether this is the password: for who has been told it in plain words.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        // The same work for every user: how much that is says nothing of them.
        let given = Self::new(password, &self.salt, self.iterations);
        given.is_ok_and(|given| bool::from(given.stored_key.ct_eq(&self.stored_key)))
    }

    /// What is told about a user who does not exist, so that it can't be told apart from one who does: the same salt for the
    /// same name, and nothing that any password matches.
    #[must_use]
    pub(super) fn of_nobody(secret: &Key, user: &str, iterations: u32) -> Self {
        let salt = salt(secret, user).to_vec();
        let (stored_key, server_key) = (hmac(secret, &salt), hmac(secret, b"nobody"));
        Self { salt, iterations, stored_key, server_key }
    }

    /// How often the password was hashed.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }
}

/// The salt of a user's password: the one that is told about this name if there is no such user, as long as `secret` is that of
/// [`Authentication::new`](super::Authentication::new). It stays the same when passwords are loaded anew.
#[must_use]
pub fn salt(secret: &[u8; 32], user: &str) -> [u8; 16] {
    let mut salt = [0; 16];
    salt.copy_from_slice(&hmac(secret, &[b"salt of ", user.as_bytes()].concat())[..16]);
    salt
}

/// Whether a password can be hashed, without doing so.
///
/// # Errors
/// If the password has characters that none may have, is empty or has more than 1,024 bytes, or iterations are not in 4,096 to
/// 1,000,000.
pub fn check(password: &str, iterations: u32) -> Result<(), ScramError> {
    prepared_password(password, iterations).map(drop)
}

/// Nothing of it is shown.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// A user's name as it is stored and compared (SASLprep, RFC 4013): names that differ may be the same one.
///
/// # Errors
/// If it has characters that none may have (SASLprep, RFC 4013), is empty or has more than 256 bytes.
pub fn prepared_name(name: &str) -> Result<String, ScramError> {
    super::provider::prepared(name)
}

fn prepared_password(password: &str, iterations: u32) -> Result<Cow<'_, str>, ScramError> {
    if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
        return Err(ScramError::Iterations);
    }
    if password.len() > PASSWORD_MAX_BYTES {
        return Err(ScramError::Prohibited);
    }
    let password = stringprep::saslprep(password).map_err(|_| ScramError::Prohibited)?;
    if password.is_empty() { Err(ScramError::Prohibited) } else { Ok(password) }
}

fn salted_password(password: &str, salt: &[u8], iterations: u32) -> Result<Key, ScramError> {
    let password = prepared_password(password, iterations)?;
    #[cfg(test)]
    effort::count(iterations);
    Ok(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations))
}

pub(super) fn hmac(key: &[u8], data: &[u8]) -> Key {
    #[cfg(test)]
    effort::count(1);
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(data);
    mac.finalize().into_bytes().into()
}

fn xor(one: Key, other: Key) -> Key {
    core::array::from_fn(|at| one[at] ^ other[at])
}

/// How much was hashed by this thread: how long something takes says nothing in a test, and this does.
#[cfg(test)]
pub(crate) mod effort {
    use core::cell::Cell;

    std::thread_local!(static HASHED: Cell<u64> = const { Cell::new(0) });

    pub(super) fn count(times: u32) {
        HASHED.with(|hashed| hashed.set(hashed.get() + u64::from(times)));
    }

    /// What was hashed while `act` ran.
    pub(crate) fn of(act: impl FnOnce()) -> u64 {
        let before = HASHED.with(Cell::get);
        act();
        HASHED.with(Cell::get) - before
    }
}
