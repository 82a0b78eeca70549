use alloc::string::String;
use core::fmt;

/// An attempt to log in, about which the application decides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginAttempt {
    /// The user's name, as the client sent it. At most [`SshLogin::USER_MAX_BYTES`](super::SshLogin::USER_MAX_BYTES)
    /// bytes, without control characters.
    pub user: String,
    /// What the client sent as its proof.
    pub proof: LoginProof,
}

/// The proof of an attempt to log in.
///
/// A public key is as in a line of OpenSSH's `authorized_keys`, without options and comment: its type and its base64, such
/// as `ssh-ed25519 AAAAC3Nza...`. `Debug` does not show passwords.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginProof {
    /// The client asks whether this public key may log in, and has proved nothing yet (RFC 4252 section 7).
    Offer(String),
    /// The client has proved to hold the private key of this public key.
    Key(String),
    /// A password (RFC 4252 section 8).
    Password(String),
}

impl LoginAttempt {
    /// The longest public key, in bytes of its text.
    pub const KEY_MAX_BYTES: usize = 16 << 10;
    /// The longest password, in bytes.
    pub const PASSWORD_MAX_BYTES: usize = 1 << 10;
    /// The byte with which the machine accepts an attempt.
    pub const ACCEPTED: u8 = 1;
    /// The byte with which the machine refuses an attempt.
    pub const REFUSED: u8 = 0;

    /// Creates an attempt of a user.
    #[must_use]
    pub fn new(user: &str, proof: LoginProof) -> Self {
        Self { user: user.into(), proof }
    }
}

impl LoginProof {
    /// Returns `true` if the client has proved nothing yet.
    #[must_use]
    pub const fn is_offer(&self) -> bool {
        matches!(self, Self::Offer(_))
    }
}

impl fmt::Debug for LoginProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offer(key) => f.debug_tuple("Offer").field(key).finish(),
            Self::Key(key) => f.debug_tuple("Key").field(key).finish(),
            Self::Password(_) => f.write_str("Password(..)"),
        }
    }
}
