//! Settings for tokens: the keys that verify them, and the required claims.

use super::declare::settings;
use super::values::{secs, timeout};
use crate::settings::formats::PATH;
use crate::settings::secret::Secret;
use crate::settings::token_keys::TokenKeys;
use crate::settings::units::{Maybe, Span, Timeout};
use alloc::string::String;
use core::num::NonZeroU32;
use core::time::Duration;

/// Declares settings for tokens: the common keys, and further ones.
macro_rules! token_settings {
    ($($(#[$meta:meta])* $name:ident { $($rest:tt)* })*) => {$(
        settings! {
            $(#[$meta])*
            $name {
                /// The secret for HS256 tokens, at least 32 bytes.
                hs256_secret: Secret = Secret::default();
                /// A file whose first line is the secret for HS256 tokens.
                #[schemars(extend("format" = PATH))]
                hs256_secret_file: String = String::new();
                /// The public key for EdDSA tokens (Ed25519), 32 bytes in hexadecimal digits.
                ed25519_public: String = String::new();
                /// A file with the public keys for RS256, ES256 and EdDSA tokens (JWKS, RFC 7517).
                #[schemars(extend("format" = PATH))]
                jwks_file: String = String::new();
                /// The URL of a set of public keys (JWKS), fetched at the start and then regularly.
                /// It begins with `https://`, or with `http://` for a server on this machine.
                jwks_url: String = String::new();
                /// A file with the CA certificates (PEM) for the server of `jwks_url`; if empty, the system's.
                #[schemars(extend("format" = PATH))]
                jwks_authorities: String = String::new();
                /// Interval between fetches of `jwks_url`.
                jwks_refresh: Timeout = timeout(300);
                /// Minimum time between fetches.
                /// A token that is signed with an unknown key causes a fetch, but not sooner.
                jwks_refresh_min: Span = secs(30);
                /// Time limit for a fetch, at the start as well. At most 1m.
                jwks_timeout: Timeout = timeout(5);
                /// The required issuer of tokens (`iss`); if empty, any issuer is accepted.
                issuer: String = String::new();
                /// The required audience of tokens (`aud`); if empty, tokens that have one are refused.
                audience: String = String::new();
                $($rest)*
            }
        }

        impl $name {
            /// Returns the common keys.
            pub(in crate::settings) fn keys(&self) -> TokenKeys<'_> {
                TokenKeys {
                    hs256_secret: self.hs256_secret.reveal(),
                    ed25519_public: &self.ed25519_public,
                    jwks_file: &self.jwks_file,
                    jwks_url: &self.jwks_url,
                    jwks_authorities: &self.jwks_authorities,
                    jwks_refresh: self.jwks_refresh.0,
                    jwks_refresh_min: self.jwks_refresh_min.0,
                    jwks_timeout: self.jwks_timeout,
                    issuer: &self.issuer,
                    audience: &self.audience,
                }
            }
        }
    )*};
}

token_settings! {
    /// Settings for tokens.
    /// Set exactly one of `hs256_secret`, `ed25519_public`, `jwks_file` and `jwks_url`.
    TokenSettings {
        /// The claim with the permissions (scopes) of a user: text with spaces, or a list.
        /// Dots separate the names of claims within others, such as `realm_access.roles`.
        /// A user without this claim has no permissions.
        scopes_claim: String = String::from("scope");
        /// Tolerated clock difference, at most 5m.
        leeway: Span = Span(Duration::ZERO);
        /// Maximum number of used tokens stored until they expire, so that none is accepted twice.
        /// They stay stored after a reload. `never`: tokens can be reused.
        single_use_max: Maybe<NonZeroU32> = Maybe(None);
    }

    /// Tokens of the clients of channels.
    /// Set one of `hs256_secret`, `ed25519_public`, `jwks_file` and `jwks_url`, or no key: then no token is accepted.
    PubSubTokenSettings {}
}
