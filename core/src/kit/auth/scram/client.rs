//! The client side of a SCRAM exchange.

use crate::kit::auth::scram::{Key, ScramError, hmac, salted_password, xor};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use sha2::{Digest, Sha256};

/// The client of a SCRAM exchange.
#[derive(Clone)]
pub struct ScramClient {
    password: String,
    bare: String,
    nonce: String,
}

impl ScramClient {
    /// Creates a client with a user name, a password and a nonce.
    ///
    /// The nonce must be at least 8 characters of printable ASCII without commas. It must be
    /// unpredictable and must not repeat.
    ///
    /// # Errors
    /// If the user name has prohibited characters.
    pub fn new(user: &str, password: &str, nonce: &str) -> Result<Self, ScramError> {
        let user = stringprep::saslprep(user).map_err(|_| ScramError::Prohibited)?;
        let bare = format!("n={},r={nonce}", user.replace('=', "=3D").replace(',', "=2C"));
        Ok(Self { password: password.to_owned(), bare, nonce: nonce.to_owned() })
    }

    /// Returns the client's first message: `n,,n=user,r=nonce`.
    #[must_use]
    pub fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// Returns the client's last message, and the only valid answer of the server to that message.
    ///
    /// `server_first` is the first message of the server.
    ///
    /// # Errors
    /// If `server_first` is malformed, the iterations are not in 4,096 to 1,000,000, or the
    /// password cannot be hashed.
    pub fn answer(&self, server_first: &str) -> Result<(String, String), ScramError> {
        let malformed = ScramError::Malformed;
        let mut attributes = server_first.split(',');
        let mut attribute = |name: &str| attributes.next().and_then(|next| next.strip_prefix(name)).ok_or(malformed);
        let (nonce, salt, iterations) = (attribute("r=")?, attribute("s=")?, attribute("i=")?);
        let salt = STANDARD.decode(salt).map_err(|_| malformed)?;
        let iterations = iterations.parse().map_err(|_| malformed)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(malformed);
        }
        let salted = salted_password(&self.password, &salt, iterations)?;
        let client_key = hmac(&salted, b"Client Key");
        let stored_key: Key = Sha256::digest(client_key).into();
        let without_proof = format!("c={},r={nonce}", STANDARD.encode("n,,"));
        let auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let proof = xor(client_key, hmac(&stored_key, auth_message.as_bytes()));
        let signature = hmac(&hmac(&salted, b"Server Key"), auth_message.as_bytes());
        Ok((format!("{without_proof},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(signature))))
    }
}

impl fmt::Debug for ScramClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramClient").finish_non_exhaustive()
    }
}
