use crate::limit::{Meters, Rate};
use crate::{AddressKey, ConnId, Hub, Peer, Time};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

/// So many addresses and users are remembered that were wrong.
const KEYS_MAX: usize = 16_384;

/// What keeps passwords and tokens from being guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationLimits {
    /// How long a peer may take to prove who it is.
    pub deadline: Duration,
    /// After so many wrong proofs a connection ends.
    pub tries: u32,
    /// How many wrong proofs (what is no proof at all counts as one of the `tries` only) an address (an IPv4 address or an IPv6 /64) has in a time. Above that it is not listened to.
    /// Peers without an address are not counted.
    pub per_address: Rate,
    /// How many a user has, from all addresses together.
    pub per_user: Rate,
    /// How often a password is said to be hashed of a user who does not exist: as often as those of users who do.
    pub iterations_of_nobody: u32,
}

impl Default for AuthenticationLimits {
    /// 30 s, 3 tries, 5 failures in 300 s for an address and 50 for a user, 10,000 iterations.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            tries: 3,
            per_address: Rate::WRONG_PROOFS,
            per_user: FIFTY,
            iterations_of_nobody: 10_000,
        }
    }
}

const FIFTY: Rate = match Rate::per(50, 300, 50) {
    Ok(rate) => rate,
    Err(_) => panic!("50 in 300 s is a rate"),
};

/// Who was wrong how often.
#[derive(Debug)]
pub(super) struct Failures {
    addresses: Meters<AddressKey>,
    users: Meters<Arc<str>>,
}

impl Default for Failures {
    fn default() -> Self {
        Self { addresses: Meters::new(KEYS_MAX), users: Meters::new(KEYS_MAX) }
    }
}

impl Failures {
    /// Whether somebody may try.
    ///
    /// # Errors
    /// When they may, in words.
    pub(super) fn check<C: Default>(
        &self,
        hub: &Hub<'_, C>,
        conn: ConnId,
        user: Option<&str>,
        limits: &AuthenticationLimits,
    ) -> Result<(), String> {
        let now = hub.now();
        let of_address = address(hub, conn).map_or(Ok(()), |key| self.addresses.check(now, &key, limits.per_address));
        let of_user = user.map_or(Ok(()), |user| self.users.check(now, &user.into(), limits.per_user));
        let wait =
            |at: Time| format!("too many failures; try again in {} s", at.since(now).as_millis().div_ceil(1_000));
        of_address.and(of_user).map_err(wait)
    }

    /// Somebody was wrong.
    pub(super) fn charge<C: Default>(
        &mut self,
        hub: &Hub<'_, C>,
        conn: ConnId,
        user: Option<&str>,
        limits: &AuthenticationLimits,
    ) {
        let now = hub.now();
        // Who is over the limit already is not charged any more.
        if let Some(key) = address(hub, conn) {
            let _ = self.addresses.try_charge(now, &key, limits.per_address);
        }
        if let Some(user) = user {
            let _ = self.users.try_charge(now, &user.into(), limits.per_user);
        }
    }
}

fn address<C: Default>(hub: &Hub<'_, C>, conn: ConnId) -> Option<AddressKey> {
    hub.peer(conn).and_then(Peer::key)
}
