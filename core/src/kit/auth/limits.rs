use crate::base::setters;
use crate::config::Rate;
use core::time::Duration;

/// What keeps passwords and tokens from being guessed. All counts are those of the whole server, however many
/// [shards](crate::Shard) it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticationLimits {
    /// How long a peer may take to prove who it is. Zero ends everybody who does not bring a proof with the first request.
    pub deadline: Duration,
    /// After so many wrong proofs a connection ends; 0 and 1 are the first one.
    pub tries: u32,
    /// How many wrong proofs an address (an IPv4 address or an IPv6 /64) has in a time. Above that it is not listened to. What is
    /// no proof at all counts as one of the `tries` only. Peers without an address are not counted.
    pub per_address: Rate,
    /// How many a user has, from all addresses together. An address from which this user was right before is not held to it:
    /// strangers who guess do not lock a user out there. (So many pairs are remembered: 16,384, until the server ends.) Tokens are not
    /// counted here.
    pub per_user: Rate,
}

setters!(AuthenticationLimits { deadline: Duration, tries: u32, per_address: Rate, per_user: Rate });

impl Default for AuthenticationLimits {
    /// 30 s, 3 tries, 5 failures in 300 s for an address and 50 for a user.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), tries: 3, per_address: Rate::WRONG_PROOFS, per_user: FIFTY }
    }
}

const FIFTY: Rate = match Rate::per(50, 300, 50) {
    Ok(rate) => rate,
    Err(_) => panic!("50 in 300 s is a rate"),
};
