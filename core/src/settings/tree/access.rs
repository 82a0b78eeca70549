//! Authentication: users, passwords and tokens.

use super::choices::DuplicateChoice;
use super::declare::settings;
use super::values::{count, timeout};
use crate::settings::paths::PATH;
use crate::settings::secret::Secret;
use crate::settings::units::{Maybe, RateText, Span, Timeout};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

settings! {
    /// Who may come in.
    AuthenticationSettings {
        /// Whether nobody is let in who has not shown who they are.
        enabled: bool = false;
        /// The users, by name.
        users: BTreeMap<String, UserSettings> = BTreeMap::new();
        /// A password that lets everybody in, under whatever name they give.
        shared_password: Secret = Secret::default();
        /// A file whose first line is that password.
        #[schemars(extend("format" = PATH))]
        shared_password_file: String = String::new();
        /// That password as `drupe password` hashes it.
        shared_password_hash: Secret = Secret::default();
        /// Tokens (JSON Web Tokens, RFC 7519).
        tokens: Option<TokenSettings> = None;
        /// Whether a token may stand in the query of a WebSocket's address, where logs keep it.
        token_in_query: bool = false;
        /// Whether people on telnet and lines are asked for name and password, where those do not cross a network in the clear.
        dialogue: bool = false;
        /// Whether passwords may cross a network without TLS.
        allow_plaintext: bool = false;
        /// What happens when a user is connected already, to whichever worker.
        duplicates: DuplicateChoice = DuplicateChoice::KeepBoth;
        /// How long a peer may take to show who it is.
        deadline: Timeout = timeout(30);
        /// After so many wrong proofs a connection ends.
        tries: NonZeroU32 = count(3);
        /// How many wrong proofs an address has, with all workers together.
        failures_per_address: Option<RateText> = RateText::new(5, 300, 5);
        /// How many wrong proofs a user has, from all addresses but those where the user was right before.
        failures_per_user: Option<RateText> = RateText::new(50, 300, 50);
        /// How often passwords are hashed (PBKDF2), 4,096 or more.
        iterations: u32 = 10_000;
    }

    /// A user.
    UserSettings {
        /// The password.
        password: Secret = Secret::default();
        /// A file whose first line is the password.
        #[schemars(extend("format" = PATH))]
        password_file: String = String::new();
        /// The password as `drupe password` hashes it, in place of the password itself: `SCRAM-SHA-256$...` (RFC 5803).
        password_hash: Secret = Secret::default();
        /// What the user may do, where the application asks: `chat`, `relay` and `echo` are open to all who are let in. Without scopes
        /// a user may do nothing that needs one.
        scopes: Vec<String> = Vec::new();
    }

    /// Tokens. Either `hs256_secret` or `ed25519_public`.
    TokenSettings {
        /// The secret of HS256, at least 32 bytes.
        hs256_secret: Secret = Secret::default();
        /// A file whose first line is that secret.
        #[schemars(extend("format" = PATH))]
        hs256_secret_file: String = String::new();
        /// The public key of EdDSA (Ed25519), 32 bytes in hexadecimal digits.
        ed25519_public: String = String::new();
        /// Tokens of any other issuer are refused.
        issuer: String = String::new();
        /// Tokens for anybody else are refused.
        audience: String = String::new();
        /// What clocks may differ by, at most 5m.
        leeway: Span = Span(Duration::ZERO);
        /// Each token is accepted once, also after a reload, and so many are remembered until they expire.
        single_use_max: Maybe<NonZeroU32> = Maybe(None);
    }
}
