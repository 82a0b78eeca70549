use crate::base::setters;
use crate::config::Rate;
use core::time::Duration;

/// Limits on authentication: the time that it may take, and the number and rate of wrong proofs.
///
/// All limits are for the whole server, however many [shards](crate::Shard) it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticationLimits {
    /// How long a peer may take to authenticate. Default: 30 s.
    ///
    /// With zero, a connection ends unless its opening request carries a proof.
    pub deadline: Duration,
    /// Number of failed attempts after which a connection ends. 0 counts as 1. Default: 3.
    ///
    /// Before authentication, a message that is not a proof counts as a failed attempt. If the
    /// opening request carries a token, the first failed attempt ends the connection.
    pub tries: u32,
    /// Maximum rate of wrong proofs from each address (an IPv4 address or an IPv6 /64).
    ///
    /// Default: 5 in 300 s. Above it, proofs from the address are not checked. A message that is
    /// not a proof only counts as one of the `tries`. Peers without an address are not limited.
    pub per_address: Rate,
    /// Maximum rate of wrong passwords for each user, over all addresses. Default: 50 in 300 s.
    ///
    /// An address from which the user has succeeded is exempt, so guesses from other addresses do
    /// not lock the user out there. The server remembers 16,384 such pairs until it stops. Tokens
    /// do not count.
    pub per_user: Rate,
}

setters!(AuthenticationLimits { deadline: Duration, tries: u32, per_address: Rate, per_user: Rate });

impl Default for AuthenticationLimits {
    /// Returns 30 s, 3 tries, 5 failures in 300 s per address, and 50 failures in 300 s per user.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), tries: 3, per_address: Rate::WRONG_PROOFS, per_user: FIFTY }
    }
}

const FIFTY: Rate = match Rate::per(50, 300, 50) {
    Ok(rate) => rate,
    Err(_) => panic!("50 in 300 s is a rate"),
};
