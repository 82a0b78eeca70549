//! The login state of the whole server. The first shard keeps it, and the other shards query it.

use super::limits::AuthenticationLimits;
use super::refusal::TokenError;
use super::used::{SingleUse, UsedTokens};
use crate::base::{AddressKey, ConnId, Peer, Time, UnixTime};
use crate::config::Rate;
use crate::state::admission::Meters;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Capacity of each table: failing addresses, failing users, and proven user-address pairs.
const KEYS_MAX: usize = 16_384;

/// What happens when a connected user logs in again, on any shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuplicateLogin {
    /// Both connections stay open.
    #[default]
    KeepBoth,
    /// The new connection is refused.
    RefuseNew,
    /// The old connections end as [`Reason::Replaced`](crate::Reason::Replaced).
    ReplaceOld,
}

/// A question or a report that a shard sends to the first shard.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Question {
    /// A request for permission to check a proof.
    ///
    /// Answered with [`Answer::May`] or [`Answer::Wait`].
    May(Claim),
    /// A request for permission to register a user, within this rate for each address.
    ///
    /// Answered with [`Answer::May`], [`Answer::Wait`] or [`Answer::WaitToRegister`].
    MayRegister { claim: Claim },
    /// The shard has checked a proof.
    ///
    /// Answered with [`Answer::Right`], [`Answer::Wrong`], [`Answer::Connected`] or
    /// [`Answer::Wait`].
    Tried {
        claim: Claim,
        /// The user that the proof authenticates. `None` if the proof was wrong.
        right: Option<String>,
        single_use: Option<SingleUse>,
        /// Whether the connection is authenticated already.
        is_renewal: bool,
    },
    /// The user of a connection was set by its client certificate or by the application.
    ///
    /// If `enters` is set, a client certificate names the user, and the answer is
    /// [`Answer::Right`] or [`Answer::Connected`]. Otherwise the user of an authenticated
    /// connection has changed, and there is no answer.
    Identified {
        #[serde(with = "as_text")]
        conn: ConnId,
        user: String,
        enters: bool,
    },
    /// The link to the broker works again, so that hosts exchange their logins. There is no answer.
    Linked,
    /// A connection of a user has ended. There is no answer.
    Left {
        #[serde(with = "as_text")]
        conn: ConnId,
    },
}

impl Question {
    /// Returns the connection and the user that would log in.
    pub(super) fn enters(&self) -> Option<(ConnId, &str)> {
        match self {
            Self::Tried { claim, right: Some(user), is_renewal: false, .. } => Some((claim.conn, user)),
            Self::Identified { conn, user, enters: true } => Some((*conn, user)),
            _ => None,
        }
    }
}

/// The connection and the peer of an attempt, and the user that the attempt names, if any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    #[serde(with = "as_text")]
    pub(super) conn: ConnId,
    #[serde(with = "as_text")]
    pub(super) peer: Peer,
    /// The claimed user. `None` for a token, and for a malformed SCRAM message.
    pub(super) user: Option<String>,
}

/// An answer or an instruction from the first shard to the shard of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The shard may check the proof.
    May,
    /// The first shard accepts the login or the renewal.
    Right,
    /// The proof was wrong. The reason is set if only the first shard knows it.
    Wrong(Option<String>),
    /// The user is connected already, so the new connection must end.
    Connected,
    /// Too many proofs have failed: this one is not checked, or its outcome is not revealed.
    ///
    /// The peer may try again after this number of seconds.
    Wait(u64),
    /// Too many users were registered from the address. The peer may try again after this number of
    /// seconds.
    WaitToRegister(u64),
    /// The user has logged in on another connection, so this one must end.
    Replaced,
}

/// The login state of the whole server: failures, connected users, and used tokens.
///
/// It is not `Clone`, because a server has one.
#[derive(Debug, Default)]
pub(super) struct Registry {
    failures: Failures,
    registrations: Registrations,
    used: UsedTokens,
    sessions: Sessions,
}

/// The time and the settings that an answer depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) now: Time,
    pub(super) unix: Option<UnixTime>,
    pub(super) limits: AuthenticationLimits,
    pub(super) duplicates: DuplicateLogin,
    /// Maximum rate of registrations from each address. `None`: registration is closed.
    pub(super) registrations: Option<Rate>,
}

impl Registry {
    /// Handles a question. Returns the answer, if any, and the connections to end as replaced.
    pub(super) fn answer(&mut self, rules: Rules, question: Question) -> (Option<(ConnId, Answer)>, Vec<ConnId>) {
        let mut replaced = Vec::new();
        let answer = match question {
            Question::May(claim) => {
                let answer = self.failures.check(rules, &claim).err().unwrap_or(Answer::May);
                Some((claim.conn, answer))
            }
            Question::MayRegister { claim } => {
                let may = self.failures.check(rules, &claim).and_then(|()| self.registrations.charge(rules, &claim));
                Some((claim.conn, may.err().unwrap_or(Answer::May)))
            }
            Question::Tried { claim, right, single_use, is_renewal } => {
                let answer = self.tried(rules, &claim, right, single_use.as_ref(), is_renewal, &mut replaced);
                Some((claim.conn, answer))
            }
            Question::Identified { conn, user, enters } => {
                let is_in = self.sessions.enter((conn, user.into()), rules, enters, &mut replaced);
                enters.then_some((conn, if is_in { Answer::Right } else { Answer::Connected }))
            }
            Question::Left { conn } => {
                self.sessions.leave(conn);
                None
            }
            Question::Linked => None,
        };
        (answer, replaced)
    }

    /// Returns `true` if nothing that this host knows speaks against a proof with a single-use token.
    pub(super) fn may_redeem(
        &self,
        rules: Rules,
        (claim, user): (&Claim, &str),
        token: &SingleUse,
        is_renewal: bool,
    ) -> bool {
        let refuses_new = !is_renewal && rules.duplicates == DuplicateLogin::RefuseNew;
        self.failures.check(rules, claim).is_ok()
            && !(refuses_new && self.sessions.has_other(user, claim.conn))
            && rules.unix.is_some_and(|unix| self.used.check(token, unix).is_ok())
    }

    /// Returns `true` if the user of a question would log in, as far as this host knows.
    pub(super) fn may_enter(&self, rules: Rules, conn: ConnId, user: &str) -> bool {
        rules.duplicates != DuplicateLogin::RefuseNew || !self.sessions.has_other(user, conn)
    }

    /// Returns since when a user has been logged in: the first login if new ones are refused, and else the last.
    pub(super) fn since(&self, user: &str, duplicates: DuplicateLogin) -> Option<Time> {
        let conns = self.sessions.by_user.get(user)?;
        let times = conns.iter().filter_map(|conn| self.sessions.users.get(conn)).map(|(_, since)| *since);
        if duplicates == DuplicateLogin::RefuseNew { times.min() } else { times.max() }
    }

    /// Returns users who are logged in, in the order of their names, after this one.
    pub(super) fn users_after(&self, after: &str, max: usize) -> Vec<Arc<str>> {
        let range = (core::ops::Bound::Excluded(after), core::ops::Bound::Unbounded);
        self.sessions.by_user.range::<str, _>(range).map(|(user, _)| user.clone()).take(max).collect()
    }

    /// Removes the connections of a user, and returns them: they must end as replaced.
    pub(super) fn remove_user(&mut self, user: &str) -> Vec<ConnId> {
        let conns: Vec<_> = self.sessions.by_user.get(user).into_iter().flatten().copied().collect();
        conns.iter().for_each(|conn| self.sessions.leave(*conn));
        conns
    }

    /// Returns the answer to a proof whose token another host may have accepted.
    pub(super) fn token_refused(&mut self, rules: Rules, claim: &Claim, error: TokenError) -> Answer {
        if error == TokenError::Used {
            self.failures.charge(rules, claim);
        }
        Answer::Wrong(Some(error.to_string()))
    }

    fn tried(
        &mut self,
        rules: Rules,
        claim: &Claim,
        right: Option<String>,
        single_use: Option<&SingleUse>,
        is_renewal: bool,
        replaced: &mut Vec<ConnId>,
    ) -> Answer {
        // Other attempts for this address or user may have failed meanwhile.
        if let Err(wait) = self.failures.check(rules, claim) {
            return wait;
        }
        let Some(user) = right else {
            self.failures.charge(rules, claim);
            return Answer::Wrong(None);
        };
        if !is_renewal && rules.duplicates == DuplicateLogin::RefuseNew && self.sessions.has_other(&user, claim.conn) {
            return Answer::Connected;
        }
        if let Some(token) = single_use {
            let redeemed = match rules.unix {
                Some(unix) => self.used.redeem(token, unix),
                None => Err(TokenError::NoClock),
            };
            if let Err(error) = redeemed {
                self.failures.charge(rules, claim);
                return Answer::Wrong(Some(error.to_string()));
            }
        }
        if claim.user.is_some() {
            self.failures.was_right(claim);
        }
        if !is_renewal {
            self.sessions.enter((claim.conn, user.into()), rules, true, replaced);
        }
        Answer::Right
    }
}

/// The rates of registrations by address.
#[derive(Debug)]
struct Registrations(Meters<AddressKey>);

impl Default for Registrations {
    fn default() -> Self {
        Self(Meters::new(KEYS_MAX))
    }
}

impl Registrations {
    /// Counts a registration against its address.
    ///
    /// # Errors
    /// [`Answer::WaitToRegister`] if the address has reached its limit.
    fn charge(&mut self, Rules { now, registrations, .. }: Rules, claim: &Claim) -> Result<(), Answer> {
        let rate = registrations.ok_or(Answer::WaitToRegister(u64::MAX))?;
        let Some(key) = claim.peer.key() else { return Ok(()) };
        self.0.try_charge(now, &key, rate).map_err(|at| Answer::WaitToRegister(seconds_until(at, now)))
    }
}

/// Returns the time until `at` in seconds, rounded up.
fn seconds_until(at: Time, now: Time) -> u64 {
    u64::try_from(at.since(now).as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// The rates of wrong proofs by address and by user, and the user-address pairs that succeeded.
#[derive(Debug)]
struct Failures {
    addresses: Meters<AddressKey>,
    users: Meters<Arc<str>>,
    /// Sequence number of the latest success of each user-address pair that has succeeded.
    ///
    /// Wrong guesses from other addresses do not lock the user out at such an address.
    right: BTreeMap<(Arc<str>, AddressKey), u64>,
    right_in_order: BTreeMap<u64, (Arc<str>, AddressKey)>,
    counted: u64,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            addresses: Meters::new(KEYS_MAX),
            users: Meters::new(KEYS_MAX),
            right: BTreeMap::new(),
            right_in_order: BTreeMap::new(),
            counted: 0,
        }
    }
}

impl Failures {
    /// Checks that the address and the user are within their limits.
    ///
    /// # Errors
    /// [`Answer::Wait`] if not.
    fn check(&self, Rules { now, limits, .. }: Rules, claim: &Claim) -> Result<(), Answer> {
        let key = claim.peer.key();
        let of_address = key.map_or(Ok(()), |key| self.addresses.check(now, &key, limits.per_address));
        let user = claim.user.as_deref().map(Arc::<str>::from).filter(|user| {
            let is_proven = key.is_some_and(|key| self.right.contains_key(&(user.clone(), key)));
            !is_proven
        });
        let of_user = user.map_or(Ok(()), |user| self.users.check(now, &user, limits.per_user));
        of_address.and(of_user).map_err(|at| Answer::Wait(seconds_until(at, now)))
    }

    /// Counts a wrong proof against its address and its user.
    fn charge(&mut self, Rules { now, limits, .. }: Rules, claim: &Claim) {
        // Over the limit, nothing is charged.
        if let Some(key) = claim.peer.key() {
            let _ = self.addresses.try_charge(now, &key, limits.per_address);
        }
        if let Some(user) = claim.user.as_deref() {
            let _ = self.users.try_charge(now, &user.into(), limits.per_user);
        }
    }

    /// Remembers that a user succeeded from an address.
    ///
    /// If there are too many pairs, the one whose success is oldest is forgotten.
    fn was_right(&mut self, claim: &Claim) {
        let (Some(user), Some(key)) = (claim.user.as_deref(), claim.peer.key()) else { return };
        self.counted += 1;
        let pair = (Arc::from(user), key);
        if let Some(before) = self.right.insert(pair.clone(), self.counted) {
            self.right_in_order.remove(&before);
        }
        self.right_in_order.insert(self.counted, pair);
        if self.right.len() > KEYS_MAX
            && let Some((_, oldest)) = self.right_in_order.pop_first()
        {
            self.right.remove(&oldest);
        }
    }
}

/// The connections of each user, and the user of each connection.
///
/// Both are empty with [`DuplicateLogin::KeepBoth`].
#[derive(Debug, Default)]
struct Sessions {
    by_user: BTreeMap<Arc<str>, BTreeSet<ConnId>>,
    /// The user of each connection, and since when.
    users: BTreeMap<ConnId, (Arc<str>, Time)>,
}

impl Sessions {
    fn has_other(&self, user: &str, conn: ConnId) -> bool {
        self.by_user.get(user).is_some_and(|conns| conns.iter().any(|other| *other != conn))
    }

    /// Assigns a connection to a user, and appends the connections that it replaces to `replaced`.
    ///
    /// Does nothing with [`DuplicateLogin::KeepBoth`].
    ///
    /// Returns false if `enters` is set, but another connection of the user keeps this one out.
    fn enter(
        &mut self,
        (conn, user): (ConnId, Arc<str>),
        Rules { now, duplicates, .. }: Rules,
        enters: bool,
        replaced: &mut Vec<ConnId>,
    ) -> bool {
        match duplicates {
            DuplicateLogin::KeepBoth => return true,
            DuplicateLogin::RefuseNew if enters && self.has_other(&user, conn) => return false,
            DuplicateLogin::ReplaceOld if enters => {
                let others = self.by_user.get(&user).into_iter().flatten().filter(|other| **other != conn);
                replaced.extend(others);
                replaced.iter().for_each(|other| self.leave(*other));
            }
            _ => {}
        }
        self.leave(conn);
        self.by_user.entry(user.clone()).or_default().insert(conn);
        self.users.insert(conn, (user, now));
        true
    }

    fn leave(&mut self, conn: ConnId) {
        let Some((user, _)) = self.users.remove(&conn) else { return };
        if let Some(conns) = self.by_user.get_mut(&user) {
            conns.remove(&conn);
            if conns.is_empty() {
                self.by_user.remove(&user);
            }
        }
    }
}

/// Serializes a value as its `Display` text, and parses it with `FromStr`.
mod as_text {
    use alloc::string::String;
    use core::fmt::Display;
    use core::str::FromStr;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
