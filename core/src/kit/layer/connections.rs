use super::Layer;
use crate::base::Network;
use crate::base::Origin;
use crate::base::{AddressKey, ConnId, Peer, Reason};
use crate::config::Rate;
use crate::handler::{Event, Handler, Hub};
use crate::state::admission::Meters;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Maximum number of addresses whose connection rate is tracked.
const ADDRESSES_MAX: usize = 16_384;

/// A layer that limits the open connections and the rate of new connections of each address.
///
/// A connection over a limit ends as [`Reason::AddressFull`], and the inner handler receives no
/// event of it. An address is an IPv4 address or an IPv6 /64. These connections are neither
/// limited nor counted: those from an [allowed](Self::allow) network, those of peers without an
/// address, and dialled ones. The machine applies its own
/// [`ConnectionLimits`](crate::limit::ConnectionLimits) first.
#[derive(Debug)]
pub struct ConnectionLimit {
    per_address: u32,
    arrivals: Option<Rate>,
    allowed: Vec<Network>,
    open: BTreeMap<AddressKey, u32>,
    meters: Meters<AddressKey>,
    /// The address of each counted connection.
    counted: BTreeMap<ConnId, AddressKey>,
    refused: BTreeSet<ConnId>,
}

impl ConnectionLimit {
    /// Creates a layer that limits the open connections of each address.
    #[must_use]
    pub const fn new(per_address: u32) -> Self {
        Self {
            per_address,
            arrivals: None,
            allowed: Vec::new(),
            open: BTreeMap::new(),
            meters: Meters::new(ADDRESSES_MAX),
            counted: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Also limits the rate of new connections per address. Refused connections do not count.
    #[must_use]
    pub fn arrivals(self, rate: Rate) -> Self {
        Self { arrivals: Some(rate), ..self }
    }

    /// Adds networks whose connections are not limited.
    #[must_use]
    pub fn allow(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.allowed.extend(networks);
        self
    }

    fn lets_in<C>(&mut self, hub: &Hub<'_, C>, conn: ConnId, peer: Peer) -> bool {
        let (Peer::Address(address), Some(key)) = (peer, peer.key()) else { return true };
        if self.allowed.iter().any(|network| network.contains(address.ip())) {
            return true;
        }
        let open = self.open.get(&key).copied().unwrap_or_default();
        if open >= self.per_address
            || self.arrivals.is_some_and(|rate| self.meters.try_charge(hub.now(), &key, rate).is_err())
        {
            return false;
        }
        self.open.insert(key, open + 1);
        self.counted.insert(conn, key);
        true
    }

    fn count_out(&mut self, conn: ConnId) {
        let Some(key) = self.counted.remove(&conn) else { return };
        if let Some(open) = self.open.get_mut(&key) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&key);
            }
        }
    }
}

impl<H: Handler> Layer<H> for ConnectionLimit {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        if let Event::Opened { conn, peer, origin: Origin::Listener(_), .. } = event
            && !self.lets_in(hub, conn, peer)
        {
            self.refused.insert(conn);
            return hub.end(conn, Reason::AddressFull);
        }
        let refused = event.conn().is_some_and(|conn| self.refused.contains(&conn));
        if let Event::Closed { conn, .. } = event {
            self.count_out(conn);
            self.refused.remove(&conn);
        }
        if !refused {
            within.on(hub, event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Relay;
    use crate::base::{ListenerId, Time};
    use crate::kit::layer::Within;
    use crate::testing::TestHub;
    use core::time::Duration;

    #[test]
    fn connection_limit_refuses_excess_before_the_handler() {
        let layer = ConnectionLimit::new(2)
            .arrivals(Rate::per(3, 60, 3).expect("a valid rate"))
            .allow(["192.0.2.0/24".parse().expect("a network")]);
        let mut hub = TestHub::new(Relay::default().within(layer));
        let [one, two, three] = [hub.connect(), hub.connect(), hub.connect()];
        assert_eq!([one, two, three].map(|conn| hub.is_closed(conn)), [false, false, true]);
        hub.line(one, "hello");
        assert_eq!(hub.lines(two), ["hello"]);
        assert_eq!(hub.lines(three), ["closing (address_full): this address has too many connections"]);
        hub.end(one);
        let four = hub.connect();
        hub.end(four);
        let five = hub.connect();
        assert_eq!((hub.is_closed(five), hub.ended(Reason::AddressFull)), (true, 2), "three arrivals a minute");
        hub.advance(Duration::from_secs(20));
        let six = hub.connect();
        assert!(!hub.is_closed(six));
        for port in 1..9 {
            let peer = Peer::Address(([192, 0, 2, 9], port).into());
            let conn = hub.try_connect(ListenerId(0), peer).expect("accepted");
            assert!(!hub.is_closed(conn));
        }
        assert!(hub.now() > Time::START);
    }
}
