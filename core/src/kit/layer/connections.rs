use super::Layer;
use crate::id::Origin;
use crate::limit::{Meters, Rate};
use crate::{AddressKey, ConnId, Event, Handler, Hub, Peer, Reason};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// So many addresses are remembered.
const ADDRESSES_MAX: usize = 16_384;

/// Lets in so many connections of each address at a time, and so many new ones in a time; those of an allowed network come in
/// whatever they do, and count for nobody else. Connections that the application dialled are not counted.
///
/// Others end as [`Reason::AddressFull`] before the handler within hears of them. Peers without an address are not limited. The
/// machine's own [`ConnectionLimits`](crate::limit::ConnectionLimits) hold as well, before this.
#[derive(Debug)]
pub struct ConnectionLimit {
    per_address: u32,
    arrivals: Option<Rate>,
    allowed: Vec<Network>,
    open: BTreeMap<AddressKey, u32>,
    meters: Meters<AddressKey>,
    /// Who is here and counted, and by which address.
    counted: BTreeMap<ConnId, AddressKey>,
    refused: BTreeSet<ConnId>,
}

/// A network: an address and how many bits of it count (CIDR, RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address, or ADDRESS/BITS with at most 32 bits for IPv4 and 128 for IPv6")]
pub struct NetworkError;

impl Network {
    /// The addresses that begin with the first `bits` of this one.
    ///
    /// # Errors
    /// If the address has fewer bits.
    pub const fn new(address: IpAddr, bits: u8) -> Result<Self, NetworkError> {
        // What is mapped is what it is mapped from, as for peers.
        if let (IpAddr::V6(_), v4 @ IpAddr::V4(_), 96..=128) = (address, address.to_canonical(), bits) {
            return Ok(Self { address: v4, bits: bits - 96 });
        }
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits <= most { Ok(Self { address, bits }) } else { Err(NetworkError) }
    }

    /// Whether an address is in it. An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) is the IPv4 address in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u8| {
            let rest = u32::from(width - self.bits);
            one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => same(ours.to_bits().into(), theirs.to_bits().into(), 32),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same(ours.to_bits(), theirs.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        match bits {
            Some(bits) => Self::new(address, bits.parse().map_err(|_| NetworkError)?),
            None => Self::new(address, if address.is_ipv4() { 32 } else { 128 }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl ConnectionLimit {
    /// So many at a time from each address.
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

    /// And so many new ones in a time. Those that are refused do not count.
    #[must_use]
    pub fn arrivals(self, rate: Rate) -> Self {
        Self { arrivals: Some(rate), ..self }
    }

    /// But not for these.
    #[must_use]
    pub fn allow(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.allowed.extend(networks);
        self
    }

    fn lets_in<C: Default>(&mut self, hub: &Hub<'_, C>, conn: ConnId, peer: Peer) -> bool {
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
    use crate::kit::layer::Within;
    use crate::testing::TestHub;
    use crate::{ListenerId, Time};
    use alloc::string::ToString;
    use core::time::Duration;

    #[test]
    fn networks_are_what_their_first_bits_say() {
        for (network, address, contains) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "11.1.1.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("2001:db8::/33", "2001:db8:7fff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
        ] {
            let parsed: Network = network.parse().expect(network);
            assert_eq!(parsed.contains(address.parse().expect(address)), contains, "{network} {address}");
        }
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "x", "10.0.0.0/8/8"] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().expect("good").to_string(), "10.0.0.0/8");
    }

    #[test]
    fn an_address_has_so_many_and_the_handler_hears_of_no_others() {
        let layer = ConnectionLimit::new(2)
            .arrivals(Rate::per(3, 60, 3).expect("not nothing"))
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
            let conn = hub.try_connect(ListenerId(0), peer).expect("let in");
            assert!(!hub.is_closed(conn));
        }
        assert!(hub.now() > Time::START);
    }
}
