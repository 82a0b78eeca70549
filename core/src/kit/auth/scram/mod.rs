//! SCRAM-SHA-256 (RFC 5802 and RFC 7677), without channel binding.
//!
//! Both sides prove that they know a password. Neither sends it, or anything that could be
//! replayed.

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

/// Prefix of the text form of [`Credentials`].
const STORED_PREFIX: &str = "SCRAM-SHA-256$";
/// Maximum length of a SCRAM message, in bytes.
const MESSAGE_MAX_BYTES: usize = 2_048;
/// Maximum number of iterations. It limits the work that a server can impose on a client.
const ITERATIONS_MAX: u32 = 1_000_000;
/// Minimum number of iterations (RFC 7677 section 4).
const ITERATIONS_MIN: u32 = 4_096;
/// Maximum length of a password, in bytes. It limits the time to prepare a peer's password.
const PASSWORD_MAX_BYTES: usize = 1_024;

/// The stored form of a password (RFC 5802 section 3).
///
/// It can verify the password, but cannot be used in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Key,
    server_key: Key,
}

/// Why a user name, a password or stored credentials are invalid, or why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// An invalid password or user name.
    ///
    /// It has prohibited characters (SASLprep, RFC 4013), is empty, or has more than 1,024 bytes (a
    /// name: 256).
    #[error("the password or the user name is empty, too long or has prohibited characters")]
    Prohibited,
    /// A message that is malformed (RFC 5802 section 7), too long, or names an `authzid`.
    #[error("malformed SCRAM message")]
    Malformed,
    /// The client requested channel binding.
    #[error("channel binding is not supported")]
    ChannelBinding,
    /// The proof, the nonce or the channel binding in the client's last message is wrong.
    #[error("the proof is wrong")]
    InvalidProof,
    /// A malformed stored password.
    #[error("a hashed password has the form SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY (RFC 5803)")]
    Stored,
    /// Fewer than 4,096 iterations, or more than a million.
    #[error("iterations must be in 4,096 to 1,000,000")]
    Iterations,
}

impl Credentials {
    /// Derives the stored form of a password.
    ///
    /// Use a different salt for each password: 16 random bytes, or [`salt`], which hides which
    /// users exist.
    ///
    /// More iterations make a stolen table harder to attack. Each client pays for them, and so does
    /// the server if a peer sends the password through the login dialogue. 10,000 iterations take
    /// some milliseconds.
    ///
    /// # Errors
    /// As [`check`].
    pub fn new(password: &str, salt: &[u8], iterations: u32) -> Result<Self, ScramError> {
        let salted = salted_password(password, salt, iterations)?;
        let (client_key, server_key) = (hmac(&salted, b"Client Key"), hmac(&salted, b"Server Key"));
        Ok(Self { salt: salt.to_owned(), iterations, stored_key: Sha256::digest(client_key).into(), server_key })
    }

    /// Derives the stored form of a user's password, with the [`salt`] of the user name.
    ///
    /// `secret` is that of [`Authentication::new`](super::Authentication::new).
    ///
    /// # Errors
    /// As [`check`], and as [`prepared_name`].
    pub fn of_user(secret: &[u8; 32], user: &str, password: &str, iterations: u32) -> Result<Self, ScramError> {
        let user = prepared_name(user)?;
        Self::new(password, &salt(secret, &user), iterations)
    }

    /// Returns the text form `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY` (RFC 5803).
    ///
    /// Keep the text secret: it lets an attacker guess passwords offline.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let Self { salt, iterations, stored_key, server_key } = self;
        let [salt, stored_key, server_key] = [&salt[..], stored_key, server_key].map(|bytes| STANDARD.encode(bytes));
        format!("{STORED_PREFIX}{iterations}:{salt}${stored_key}:{server_key}")
    }

    /// Parses the form that [`to_stored`](Self::to_stored) returns, which `PostgreSQL` also uses.
    ///
    /// # Errors
    /// If it is malformed, or the iterations are not in 4,096 to 1,000,000.
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

    /// Returns `true` if a plaintext password matches these credentials.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        // The work does not depend on whether the password matches.
        let given = Self::new(password, &self.salt, self.iterations);
        given.is_ok_and(|given| bool::from(given.stored_key.ct_eq(&self.stored_key)))
    }

    /// Returns fake credentials for a user that does not exist. No password matches them.
    ///
    /// They look like those of a user that exists. The same name has the same salt.
    #[must_use]
    pub(super) fn of_nobody(secret: &Key, user: &str, iterations: u32) -> Self {
        let salt = salt(secret, user).to_vec();
        let (stored_key, server_key) = (hmac(secret, &salt), hmac(secret, b"nobody"));
        Self { salt, iterations, stored_key, server_key }
    }

    /// Returns the number of iterations of the password hash.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }
}

/// Derives the 16-byte salt of a user's password from the secret and the user name.
///
/// [`Authentication`](super::Authentication) returns the same salt for a user that does not exist,
/// if it has the same `secret`. The salt stays the same when passwords are reloaded.
#[must_use]
pub fn salt(secret: &[u8; 32], user: &str) -> [u8; 16] {
    let mut salt = [0; 16];
    salt.copy_from_slice(&hmac(secret, &[b"salt of ", user.as_bytes()].concat())[..16]);
    salt
}

/// Checks that a password and an iteration count are valid, without hashing the password.
///
/// # Errors
/// If the password has prohibited characters, is empty or has more than 1,024 bytes, or the
/// iterations are not in 4,096 to 1,000,000.
pub fn check(password: &str, iterations: u32) -> Result<(), ScramError> {
    prepared_password(password, iterations).map(drop)
}

/// Shows the number of iterations, but neither the salt nor the keys.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// Prepares a user name for storage and comparison (SASLprep, RFC 4013).
///
/// Names that differ may become equal.
///
/// # Errors
/// If it has prohibited characters, is empty or has more than 256 bytes.
pub fn prepared_name(name: &str) -> Result<String, ScramError> {
    let name = stringprep::saslprep(name).map_err(|_| ScramError::Prohibited)?;
    if name.is_empty() || name.len() > 256 { Err(ScramError::Prohibited) } else { Ok(name.into_owned()) }
}

pub(super) fn prepared_password(password: &str, iterations: u32) -> Result<Cow<'_, str>, ScramError> {
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
    // HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(data);
    mac.finalize().into_bytes().into()
}

fn xor(one: Key, other: Key) -> Key {
    core::array::from_fn(|at| one[at] ^ other[at])
}

/// A counter of the hashes that this thread computes: durations are not reliable in a test.
#[cfg(test)]
pub(crate) mod effort {
    use core::cell::Cell;

    std::thread_local!(static HASHED: Cell<u64> = const { Cell::new(0) });

    pub(super) fn count(times: u32) {
        HASHED.with(|hashed| hashed.set(hashed.get() + u64::from(times)));
    }

    /// Runs `act`, and returns the number of hashes that it computed.
    pub(crate) fn of(act: impl FnOnce()) -> u64 {
        let before = HASHED.with(Cell::get);
        act();
        HASHED.with(Cell::get) - before
    }
}
