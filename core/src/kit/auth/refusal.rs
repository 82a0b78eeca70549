/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The token is malformed.
    #[error("the token is not well formed")]
    Malformed,
    /// The token has no valid signature by an accepted key.
    #[error("the token is not signed with an accepted key")]
    Signature,
    /// The token names a key that the key set does not have.
    #[error("the token is signed with a key that is not known here")]
    UnknownKey,
    /// The token names no key, and the key set has several keys of the token's algorithm.
    #[error("the token does not name its key (kid), and there are several")]
    AmbiguousKey,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The token is not valid yet.
    #[error("the token is not valid yet")]
    NotYet,
    /// The token has no expiry.
    #[error("the token has no expiry")]
    NoExpiry,
    /// The audience or the issuer of the token is not the expected one.
    #[error("the token is for another audience or from another issuer")]
    Purpose,
    /// The token was used before, or lacks the `jti` that a single-use token needs.
    #[error("the token was used before")]
    Used,
    /// The table of used tokens is full.
    #[error("too many single-use tokens were used; try again later")]
    Full,
    /// The hosts of the cluster could not agree that the token was not used before.
    #[error("single-use tokens cannot be checked now; try again later with a new token")]
    NoBroker,
    /// The server does not know the time.
    #[error("the server does not know the time")]
    NoClock,
}
