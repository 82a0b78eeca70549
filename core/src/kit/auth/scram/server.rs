//! The server side of a SCRAM exchange.

use crate::kit::auth::scram::{Credentials, Key, MESSAGE_MAX_BYTES, ScramError, hmac, xor};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The first SCRAM message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst {
    /// The user name that the client claims, possibly empty.
    pub user: String,
    gs2_header: String,
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// Parses the first message of a client: `n,,n=user,r=nonce`.
    ///
    /// # Errors
    /// If it is malformed, or requests channel binding.
    pub fn parse(message: &str) -> Result<Self, ScramError> {
        let malformed = ScramError::Malformed;
        if message.len() > MESSAGE_MAX_BYTES {
            return Err(malformed);
        }
        let (flag, rest) = message.split_once(',').ok_or(malformed)?;
        match flag {
            // `y`: the client supports channel binding, and correctly assumes that the server does
            // not.
            "n" | "y" => {}
            _ if flag.starts_with("p=") => return Err(ScramError::ChannelBinding),
            _ => return Err(malformed),
        }
        let (authzid, bare) = rest.split_once(',').ok_or(malformed)?;
        // Acting for another user is not supported.
        if !authzid.is_empty() {
            return Err(malformed);
        }
        let (name, rest) = bare.split_once(',').ok_or(malformed)?;
        let user = unescape(name.strip_prefix("n=").ok_or(malformed)?)?;
        let nonce = rest.split(',').next().and_then(|first| first.strip_prefix("r=")).ok_or(malformed)?;
        if nonce.len() < 8 || !is_printable(nonce) {
            return Err(malformed);
        }
        let gs2_header = format!("{flag},,");
        Ok(Self { user, gs2_header, bare: bare.to_owned(), nonce: nonce.to_owned() })
    }

    /// Creates the server that answers this message, with these credentials and this nonce.
    ///
    /// The nonce is the server's own: printable ASCII without commas, unpredictable and never
    /// repeated.
    #[must_use]
    pub fn answer(self, credentials: &Credentials, nonce: &str) -> Server {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = STANDARD.encode(&credentials.salt);
        let first = format!("r={nonce},s={salt},i={}", credentials.iterations);
        let messages = format!("{},{first}", self.bare);
        Server { credentials: credentials.clone(), gs2_header: self.gs2_header, nonce, first, messages }
    }
}

/// The server of a SCRAM exchange, after it has answered the client's first message.
#[derive(Clone)]
pub struct Server {
    credentials: Credentials,
    gs2_header: String,
    nonce: String,
    first: String,
    messages: String,
}

impl Server {
    /// Returns the server's first message: `r=...,s=...,i=...`.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }

    /// Returns `true` if the exchange uses these credentials.
    ///
    /// If not, the password has changed since the first message.
    #[must_use]
    pub fn is_for(&self, credentials: &Credentials) -> bool {
        self.credentials == *credentials
    }

    /// Verifies the last message of the client: `c=...,r=...,p=...`.
    ///
    /// Returns the answer, `v=...`, which proves that the server has the credentials of the
    /// password.
    ///
    /// # Errors
    /// If the message is malformed, or the client does not know the password.
    pub fn finish(self, message: &str) -> Result<String, ScramError> {
        let malformed = ScramError::Malformed;
        if message.len() > MESSAGE_MAX_BYTES {
            return Err(malformed);
        }
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|first| first.strip_prefix("c=")).ok_or(malformed)?;
        let nonce = attributes.next().and_then(|second| second.strip_prefix("r=")).ok_or(malformed)?;
        let binding = STANDARD.decode(binding).map_err(|_| malformed)?;
        let proof: Key = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).ok_or(malformed)?;
        if binding != self.gs2_header.as_bytes() || nonce != self.nonce {
            return Err(ScramError::InvalidProof);
        }
        let auth_message = format!("{},{without_proof}", self.messages);
        let signature = hmac(&self.credentials.stored_key, auth_message.as_bytes());
        let client_key = xor(proof, signature);
        let stored_key: Key = Sha256::digest(client_key).into();
        if !bool::from(stored_key.ct_eq(&self.credentials.stored_key)) {
            return Err(ScramError::InvalidProof);
        }
        let signature = hmac(&self.credentials.server_key, auth_message.as_bytes());
        Ok(format!("v={}", STANDARD.encode(signature)))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// Decodes the user name in a message (`saslname`, RFC 5802 section 7).
fn unescape(name: &str) -> Result<String, ScramError> {
    let mut plain = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('=') {
        plain += before;
        rest = if let Some(after) = after.strip_prefix("2C") {
            plain.push(',');
            after
        } else if let Some(after) = after.strip_prefix("3D") {
            plain.push('=');
            after
        } else {
            return Err(ScramError::Malformed);
        };
    }
    plain += rest;
    Ok(plain)
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'!'..=b'+' | b'-'..=b'~'))
}
