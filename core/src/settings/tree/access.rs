//! Settings for authentication: users, passwords and tokens.

use super::choices::DuplicateChoice;
use super::declare::settings;
use super::tokens::TokenSettings;
use super::values::{count, timeout};
use crate::settings::formats::PATH;
use crate::settings::secret::Secret;
use crate::settings::units::{Maybe, RateText, Timeout};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

settings! {
    /// Authentication of peers.
    AuthenticationSettings {
        /// Whether peers must authenticate.
        enabled: bool = false;
        /// The users, by name.
        users: BTreeMap<String, UserSettings> = BTreeMap::new();
        /// A file in which the program stores further users (SQLite), created if it does not exist.
        /// The command `user` adds, changes and removes them.
        #[schemars(extend("format" = PATH))]
        store: String = String::new();
        /// Whether peers can register: choose a user name and a password, stored in `store`.
        registration: bool = false;
        /// Rate limit for registrations per address, over all workers.
        /// A registration counts even if the name is taken. There is always a limit.
        registrations_per_address: RateText = RateText::of(5, 3600, 5);
        /// Minimum length of the password of a user who registers, in characters.
        password_chars_min: NonZeroU32 = count(8);
        /// A password that is valid for every user name without a password of its own.
        shared_password: Secret = Secret::default();
        /// A file whose first line is the shared password.
        #[schemars(extend("format" = PATH))]
        shared_password_file: String = String::new();
        /// The hash of the shared password, as `drupe password` prints it.
        shared_password_hash: Secret = Secret::default();
        /// Tokens with which peers may authenticate (JSON Web Tokens, RFC 7519).
        tokens: Option<TokenSettings> = None;
        /// Lifetime of the tokens that the server issues to authenticated peers. At most 1d.
        /// With one, a client connects again without its password. `never`: none are issued.
        issue_tokens: Maybe<Timeout> = Maybe(None);
        /// Path at which an HTTP client exchanges a token for one that the server issues, such as
        /// `/token`. It sends `Authorization: Bearer TOKEN`.
        token_path: String = String::new();
        /// Whether a token is also accepted in the query of a WebSocket's URL.
        /// Logs may store that URL.
        token_in_query: bool = false;
        /// Whether telnet and line peers are prompted for name and password.
        /// Where those would cross a network in the clear, `allow_plaintext` is needed too.
        dialogue: bool = false;
        /// Whether passwords, tokens and the monitor's credentials may cross a network without TLS.
        allow_plaintext: bool = false;
        /// What happens when a user who is already connected, on any worker, connects again.
        duplicates: DuplicateChoice = DuplicateChoice::KeepBoth;
        /// Time limit for a peer to authenticate.
        deadline: Timeout = timeout(30);
        /// Number of failed authentications after which a connection closes.
        tries: NonZeroU32 = count(3);
        /// Rate limit for failed authentications per address, over all workers.
        /// There is always a limit, because without one passwords can be guessed.
        failures_per_address: RateText = RateText::of(5, 300, 5);
        /// Rate limit for failed authentications per user, from all addresses.
        /// Addresses from which the user authenticated before do not count. There is always a limit.
        failures_per_user: RateText = RateText::of(50, 300, 50);
        /// Number of iterations of the password hash (PBKDF2), 4096 or more.
        iterations: u32 = 10_000;
    }

    /// A user: a password, public keys and permissions. A user needs a password or a key.
    UserSettings {
        /// The password of the user.
        password: Secret = Secret::default();
        /// A file whose first line is the user's password.
        #[schemars(extend("format" = PATH))]
        password_file: String = String::new();
        /// The hash of the user's password, as `drupe password` prints it, instead of the password.
        /// It begins with `SCRAM-SHA-256$` (RFC 5803).
        password_hash: Secret = Secret::default();
        /// Public keys with which the user may log in on SSH listeners with `ssh.keys`.
        /// Each is a line of OpenSSH's `authorized_keys` without options. RSA keys are refused.
        keys: Vec<String> = Vec::new();
        /// Permissions (scopes), for applications that check them.
        /// `chat`, `relay` and `echo` check none and are open to all users. A user without scopes
        /// may do nothing that needs one.
        scopes: Vec<String> = Vec::new();
    }
}
