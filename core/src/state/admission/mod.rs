mod meters;
mod quarantine;

pub(crate) use meters::Meters;
pub(crate) use quarantine::Quarantine;

use crate::base::Network;
#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure, same};
use crate::base::{AddressKey, ConnId, ListenerId, Peer, Reason, Time};
use crate::config::QuarantineLimits;
use crate::config::{Config, Listen};
use crate::metrics::ByReason;
use alloc::collections::BTreeMap;

/// Maximum number of addresses whose arrival rates are remembered.
const ADDRESSES_MAX: usize = 16_384;

/// State for admission: counts of connections, arrival rates of addresses, and the quarantine.
#[derive(Debug)]
pub(crate) struct Admission {
    total: u32,
    /// Number of accepted connections that are unauthenticated.
    pending_auth: u32,
    per_listener: BTreeMap<ListenerId, u32>,
    per_address: BTreeMap<AddressKey, u32>,
    arrivals: Meters<AddressKey>,
    pub(crate) quarantine: Quarantine,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            total: 0,
            pending_auth: 0,
            per_listener: BTreeMap::new(),
            per_address: BTreeMap::new(),
            arrivals: Meters::new(ADDRESSES_MAX),
            quarantine: Quarantine::default(),
        }
    }
}

/// Time, configuration and random bits for an admission decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) now: Time,
    pub(crate) config: &'a Config,
    pub(crate) listen: &'a Listen,
    /// 64 random bits for the early drop.
    pub(crate) chance: u64,
}

impl Admission {
    /// Accepts and counts a peer's connection, or returns the first reason to refuse it.
    ///
    /// In a dry run, `would_refuse` counts the reasons that are not enforced.
    pub(crate) fn admit(
        &mut self,
        rules: Rules<'_>,
        listener: ListenerId,
        peer: Peer,
        would_refuse: &mut ByReason,
    ) -> Result<(), Reason> {
        enforce(rules, self.unwelcome(rules, peer), would_refuse)?;
        if self.total >= rules.config.connections.total.min(ConnId::PER_SHARD_MAX) {
            return Err(Reason::ServerFull);
        }
        if rules.listen.connections_max.is_some_and(|max| self.on(listener) >= max) {
            return Err(Reason::ListenerFull);
        }
        enforce(rules, self.too_many(rules, peer), would_refuse)?;
        self.count_in(Some(listener), peer);
        Ok(())
    }

    /// Runs only the address checks of [`admit`](Self::admit), and counts no connection.
    ///
    /// A connection that passes is charged to the arrival rate of its address.
    pub(crate) fn admit_address(
        &mut self,
        rules: Rules<'_>,
        peer: Peer,
        would_refuse: &mut ByReason,
    ) -> Result<(), Reason> {
        enforce(rules, self.unwelcome(rules, peer), would_refuse)?;
        enforce(rules, self.too_many(rules, peer), would_refuse)
    }

    /// Returns the reason if the listener's networks or the quarantine refuse the peer's address.
    fn unwelcome(&self, rules: Rules<'_>, peer: Peer) -> Option<Reason> {
        let (Peer::Address(address), Some(key)) = (peer, peer.key()) else { return None };
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(address.ip()));
        let Rules { now, config, listen, .. } = rules;
        if is_in(&listen.deny) || !listen.allow.is_empty() && !is_in(&listen.allow) {
            return Some(Reason::AddressRefused);
        }
        let is_refused = !is_in(&config.exempt) && self.quarantine.refused_until(now, key).is_some();
        is_refused.then_some(Reason::Quarantined)
    }

    /// Returns the reason if a limit per address or the early drop refuses the peer.
    ///
    /// The arrival rate of the address is charged if nothing else refuses the peer.
    fn too_many(&mut self, rules: Rules<'_>, peer: Peer) -> Option<Reason> {
        let Rules { now, config, chance, .. } = rules;
        let (Peer::Address(address), Some(key)) = (peer, peer.key()) else { return None };
        if config.exempt.iter().any(|network| network.contains(address.ip())) {
            return None;
        }
        let limits = config.connections;
        if self.from(key) >= limits.per_address {
            return Some(Reason::AddressFull);
        }
        if limits.early_drop.is_some_and(|drop| drop.refuses(self.pending_auth, chance)) {
            return Some(Reason::ServerBusy);
        }
        let too_fast = |rate| self.arrivals.try_charge(now, &key, rate).is_err();
        limits.arrivals_per_address.is_some_and(too_fast).then_some(Reason::AddressTooFast)
    }

    /// Counts a connection, without checking a limit.
    pub(crate) fn count_in(&mut self, listener: Option<ListenerId>, peer: Peer) {
        self.total = self.total.saturating_add(1);
        if let Some(listener) = listener {
            *self.per_listener.entry(listener).or_insert(0) += 1;
            self.pending_auth = self.pending_auth.saturating_add(1);
            self.count_address(peer);
        }
    }

    /// Counts a connection under the peer's address.
    pub(crate) fn count_address(&mut self, peer: Peer) {
        if let Some(key) = peer.key() {
            *self.per_address.entry(key).or_insert(0) += 1;
        }
    }

    /// Decrements the count of unauthenticated connections, after one authenticated or ended.
    pub(crate) fn authenticated(&mut self) {
        self.pending_auth = self.pending_auth.saturating_sub(1);
    }

    /// Removes an ended connection from all counts but that of unauthenticated connections.
    pub(crate) fn count_out(&mut self, listener: Option<ListenerId>, peer: Peer) {
        self.total = self.total.saturating_sub(1);
        let Some(listener) = listener else { return };
        count_down(&mut self.per_listener, &listener);
        self.discount_address(peer);
    }

    /// Removes a connection from the count of an address.
    pub(crate) fn discount_address(&mut self, peer: Peer) {
        if let Some(key) = peer.key() {
            count_down(&mut self.per_address, &key);
        }
    }

    /// Puts the peer's address into quarantine, if the peer has one.
    pub(crate) fn quarantine(&mut self, now: Time, peer: Peer, limits: QuarantineLimits) {
        if let Some(key) = peer.key() {
            self.quarantine.add(now, key, limits);
        }
    }

    pub(crate) fn on(&self, listener: ListenerId) -> u32 {
        self.per_listener.get(&listener).copied().unwrap_or(0)
    }

    fn from(&self, key: AddressKey) -> u32 {
        self.per_address.get(&key).copied().unwrap_or(0)
    }
}

#[cfg(feature = "sim")]
impl Admission {
    pub(crate) fn recount(&self) -> Recounted {
        ensure(self.per_address.values().all(|&count| count > 0), || "an address without connections is kept".into())?;
        self.quarantine.recount()?;
        self.arrivals.recount()
    }

    /// Checks the counts against the given recount.
    pub(crate) fn is_as_counted(
        &self,
        total: u32,
        pending_auth: u32,
        per_listener: &BTreeMap<ListenerId, u32>,
        per_address: &BTreeMap<AddressKey, u32>,
    ) -> Recounted {
        same("connections in all", self.total, total)?;
        same("connections that have not authenticated", self.pending_auth, pending_auth)?;
        same("connections by listener", &self.per_listener, per_listener)?;
        same("connections by address", &self.per_address, per_address)
    }
}

/// Decrements a count, and removes it at zero.
fn count_down<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Returns a refusal as an error. In a dry run, counts it and returns `Ok` instead.
fn enforce(rules: Rules<'_>, objection: Option<Reason>, would_refuse: &mut ByReason) -> Result<(), Reason> {
    match objection {
        Some(reason) if rules.config.dry_run => {
            would_refuse.add(reason);
            Ok(())
        }
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConnectionLimits, EarlyDrop, Rate};
    use alloc::string::ToString;
    use alloc::vec::Vec;

    const FIRST: ListenerId = ListenerId(0);
    const SECOND: ListenerId = ListenerId(1);

    struct World {
        admission: Admission,
        config: Config,
        listen: Listen,
        would_refuse: ByReason,
        now: Time,
    }

    impl World {
        fn new(connections: ConnectionLimits) -> Self {
            let listen = Listen::lines(([127, 0, 0, 1], 0).into());
            let config = Config { connections, ..Config::default() };
            let (admission, would_refuse) = (Admission::default(), ByReason::default());
            Self { admission, config, listen, would_refuse, now: Time::START }
        }

        fn admit(&mut self, listener: ListenerId, address: &str) -> Result<(), Reason> {
            self.admit_by(listener, address, 0)
        }

        fn admit_by(&mut self, listener: ListenerId, address: &str, chance: u64) -> Result<(), Reason> {
            let Self { admission, config, listen, would_refuse, now } = self;
            admission.admit(Rules { now: *now, config, listen, chance }, listener, peer(address), would_refuse)
        }
    }

    fn peer(text: &str) -> Peer {
        text.parse().expect(text)
    }

    fn limits() -> ConnectionLimits {
        ConnectionLimits { total: 4, per_address: 2, ..ConnectionLimits::default() }
    }

    #[test]
    fn admission_names_the_first_limit_reached() {
        let mut world = World::new(limits());
        world.listen.connections_max = Some(3);
        assert_eq!(world.admit(FIRST, "[2001:db8::1]:1"), Ok(()));
        assert_eq!(world.admit(FIRST, "[2001:db8::2]:1"), Ok(()));
        assert_eq!(world.admit(FIRST, "[2001:db8::3]:1"), Err(Reason::AddressFull));
        assert_eq!(world.admit(FIRST, "127.0.0.1:1"), Ok(()));
        assert_eq!(world.admit(FIRST, "127.0.0.1:2"), Err(Reason::ListenerFull));
        assert_eq!(world.admit(SECOND, "local"), Ok(()));
        assert_eq!(world.admit(SECOND, "local"), Err(Reason::ServerFull));
    }

    #[test]
    fn closed_connection_frees_its_place_in_every_count() {
        let mut world = World::new(limits());
        world.listen.connections_max = Some(1);
        for _ in 0..100 {
            assert_eq!(world.admit(FIRST, "127.0.0.1:1"), Ok(()));
            world.admission.authenticated();
            world.admission.count_out(Some(FIRST), peer("127.0.0.1:1"));
        }
        assert_eq!((world.admission.total, world.admission.pending_auth), (0, 0));
        assert!(world.admission.per_address.is_empty());
    }

    #[test]
    fn admission_applies_allow_deny_exempt_and_dry_run() {
        let mut world = World::new(ConnectionLimits { per_address: 1, ..ConnectionLimits::default() });
        world.listen.allow = ["10.0.0.0/8".parse().expect("good")].into();
        world.listen.deny = ["10.1.0.0/16".parse().expect("good")].into();
        world.config.exempt = ["10.2.0.0/16".parse().expect("good")].into();
        for (address, outcome) in [
            ("192.0.2.1:1", Err(Reason::AddressRefused)),
            ("10.1.2.3:1", Err(Reason::AddressRefused)),
            ("10.0.0.1:1", Ok(())),
            ("10.0.0.1:2", Err(Reason::AddressFull)),
            ("10.2.0.1:1", Ok(())),
            ("10.2.0.1:2", Ok(())),
            ("local", Ok(())),
        ] {
            assert_eq!(world.admit(FIRST, address), outcome, "{address}");
        }
        world.config.dry_run = true;
        assert_eq!(world.admit(FIRST, "192.0.2.1:1"), Ok(()));
        assert_eq!(world.admit(FIRST, "10.0.0.1:3"), Ok(()));
        let counted: Vec<_> = world.would_refuse.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(Reason::AddressFull, 1), (Reason::AddressRefused, 1)]);
    }

    #[test]
    fn arrival_rate_per_address_ignores_refused_connections() {
        let rate = Rate::per(2, 60, 2).expect("not nothing");
        let mut world =
            World::new(ConnectionLimits { arrivals_per_address: Some(rate), ..ConnectionLimits::default() });
        let outcomes = [(); 4].map(|()| world.admit(FIRST, "192.0.2.1:1"));
        assert_eq!(outcomes, [Ok(()), Ok(()), Err(Reason::AddressTooFast), Err(Reason::AddressTooFast)]);
        assert_eq!(world.admit(FIRST, "192.0.2.2:1"), Ok(()));
        world.now = Time::from_secs(30);
        assert_eq!(world.admit(FIRST, "192.0.2.1:1"), Ok(()));
        assert_eq!(world.admit(FIRST, "192.0.2.1:1"), Err(Reason::AddressTooFast));
    }

    #[test]
    fn early_drop_refuses_more_as_pending_auth_grows() {
        let drop = EarlyDrop::new(10, 20).expect("good");
        let share = |unknown| (0..1_000u64).filter(|n| drop.refuses(unknown, n * (u64::MAX / 1_000))).count();
        assert_eq!([0, 9, 10, 15, 19, 20, 500].map(share), [0, 0, 0, 501, 900, 1_000, 1_000]);
        let wrong = EarlyDrop::new(5, 5).expect_err("nothing between").to_string();
        assert_eq!(wrong, "an early drop needs begin < full, not begin 5, full 5");

        let mut world =
            World::new(ConnectionLimits { early_drop: EarlyDrop::new(1, 3).ok(), ..ConnectionLimits::default() });
        assert_eq!(world.admit_by(FIRST, "192.0.2.1:1", u64::MAX), Ok(()));
        assert_eq!(world.admit_by(FIRST, "192.0.2.2:1", u64::MAX), Ok(()));
        assert_eq!(world.admit_by(FIRST, "192.0.2.3:1", 0), Err(Reason::ServerBusy));
        world.admission.authenticated();
        assert_eq!(world.admit_by(FIRST, "192.0.2.3:1", u64::MAX), Ok(()));
        assert_eq!(world.admit_by(FIRST, "192.0.2.4:1", u64::MAX), Ok(()));
        assert_eq!(world.admit_by(FIRST, "192.0.2.5:1", u64::MAX), Err(Reason::ServerBusy), "nobody is known of three");
    }
}
