use super::refusal::TokenError;
use crate::base::UnixTime;
use alloc::collections::BTreeSet;
use alloc::string::String;
use core::fmt::{self, Write};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The identifier and the expiry of a [single-use](super::Tokens::single_use) token.
///
/// Also holds the capacity of the table of used tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SingleUse {
    /// Hexadecimal digest of the issuer and the `jti`.
    id: String,
    until_secs: u64,
    most: u32,
}

/// A table of used tokens that have not expired.
///
/// A server has one such table, which [`Authentication`](super::Authentication) keeps on the first
/// shard. So it is not `Clone`.
#[derive(Default)]
pub struct UsedTokens {
    /// The latest time so far, in seconds since 1970. A clock that is set back does not lower it.
    latest: u64,
    until: BTreeSet<(u64, String)>,
    known: BTreeSet<String>,
}

impl SingleUse {
    /// Creates the single-use record of a token from its issuer, `jti`, expiry and table capacity.
    ///
    /// The token expires at `until_secs` since 1970. A table holds up to `most` tokens.
    pub(super) fn new(issuer: Option<&str>, jti: &str, until_secs: u64, most: u32) -> Self {
        // The length separates the issuer from the `jti`.
        let issuer = issuer.unwrap_or_default();
        let digest = Sha256::new().chain_update((issuer.len() as u64).to_be_bytes()).chain_update(issuer);
        let mut id = String::new();
        for byte in digest.chain_update(jti).finalize() {
            let _ = write!(id, "{byte:02x}");
        }
        Self { id, until_secs, most }
    }

    /// Returns the key under which a host of a cluster claims the token. It reveals nothing of the token.
    pub(super) fn key(&self) -> String {
        alloc::format!("token:{}", self.id)
    }

    /// Returns how long the token is still valid.
    pub(super) fn time_left(&self, now: UnixTime) -> Duration {
        Duration::from_secs(self.until_secs.saturating_sub(now.as_secs()))
    }
}

impl UsedTokens {
    /// Creates an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Marks a token as used.
    ///
    /// # Errors
    /// If it was used before, has expired, or the table is full.
    pub fn redeem(&mut self, token: &SingleUse, now: UnixTime) -> Result<(), TokenError> {
        self.latest = self.latest.max(now.as_secs());
        while let Some((until, id)) = self.until.first()
            && *until <= self.latest
        {
            self.known.remove(id);
            self.until.pop_first();
        }
        self.check(token, now)?;
        self.known.insert(token.id.clone());
        self.until.insert((token.until_secs, token.id.clone()));
        Ok(())
    }
}

impl UsedTokens {
    /// Checks whether a token could be marked as used.
    pub(super) fn check(&self, token: &SingleUse, now: UnixTime) -> Result<(), TokenError> {
        let latest = self.latest.max(now.as_secs());
        if token.until_secs <= latest {
            return Err(TokenError::Expired);
        }
        if self.known.contains(&token.id) {
            return Err(TokenError::Used);
        }
        // Those that have expired are removed before the next one is added.
        let expired = self.until.iter().take_while(|(until, _)| *until <= latest).count();
        if self.known.len() - expired >= token.most as usize {
            return Err(TokenError::Full);
        }
        Ok(())
    }
}

impl fmt::Debug for UsedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsedTokens").field("count", &self.known.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn single_use_token_is_redeemed_once_in_a_bounded_table() {
        let mut used = UsedTokens::new();
        let mut at = |jti: &str, until: u64, now: u64| {
            used.redeem(&SingleUse::new(None, jti, until, 2), UnixTime::from_secs(now))
        };
        assert_eq!(at("a", NOW + 10, NOW), Ok(()));
        assert_eq!(at("a", NOW + 10, NOW), Err(TokenError::Used));
        assert_eq!(at("b", NOW + 20, NOW), Ok(()));
        assert_eq!(at("c", NOW + 30, NOW), Err(TokenError::Full));
        assert_eq!(at("c", NOW + 30, NOW + 10), Ok(()));
        assert_eq!(at("b", NOW + 20, NOW + 11), Err(TokenError::Used));
        // The wall clock goes back.
        assert_eq!(at("a", NOW + 10, NOW + 5), Err(TokenError::Expired));
    }

    #[test]
    fn same_jti_of_two_issuers_is_two_tokens() {
        let mut used = UsedTokens::new();
        for (issuer, jti) in [(None, "ab"), (Some("a"), "b"), (Some("ab"), ""), (Some("b"), "a")] {
            let token = SingleUse::new(issuer, jti, NOW + 1, 9);
            assert_eq!(used.redeem(&token, UnixTime::from_secs(NOW)), Ok(()), "{issuer:?} {jti}");
            assert_eq!(used.redeem(&token, UnixTime::from_secs(NOW)), Err(TokenError::Used), "{issuer:?} {jti}");
        }
    }

    #[test]
    fn used_token_table_of_size_zero_refuses_all() {
        let token = SingleUse::new(None, "a", u64::MAX, 0);
        assert_eq!(UsedTokens::new().redeem(&token, UnixTime::from_secs(NOW)), Err(TokenError::Full));
    }
}
