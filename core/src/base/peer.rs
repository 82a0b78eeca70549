use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

/// The peer of a connection: a network address, or a process on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A peer with a network address.
    Address(SocketAddr),
    /// A peer on this machine without an address: a Unix socket or a pipe.
    Local,
}

impl Peer {
    /// Returns the key for limits per address, or `None` for a local peer.
    #[must_use]
    pub fn key(self) -> Option<AddressKey> {
        match self {
            Self::Address(address) => Some(AddressKey::from(address.ip())),
            Self::Local => None,
        }
    }

    /// Converts an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) into its IPv4 address.
    ///
    /// Dual-stack sockets report IPv4 peers as mapped addresses.
    #[must_use]
    pub fn canonical(self) -> Self {
        match self {
            Self::Address(SocketAddr::V6(address)) => match address.ip().to_ipv4_mapped() {
                Some(ip) => Self::Address((ip, address.port()).into()),
                None => self,
            },
            _ => self,
        }
    }
}

impl From<SocketAddr> for Peer {
    /// Returns the [canonical](Peer::canonical) peer at this address.
    fn from(address: SocketAddr) -> Self {
        Self::Address(address).canonical()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Local => f.write_str("local"),
        }
    }
}

impl FromStr for Peer {
    type Err = core::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "local" { Ok(Self::Local) } else { text.parse().map(Self::Address) }
    }
}

/// Key of limits per address: an IPv4 address, or the /64 network of an IPv6 address.
///
/// The other 64 bits of an IPv6 address name an interface, and one host may use any of them (RFC
/// 4291 section 2.5.4). An IPv4-mapped IPv6 address (section 2.5.5.2) counts as its IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey(IpAddr);

impl AddressKey {
    /// Returns the address, or the first one of the network.
    pub(crate) const fn address(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            v4 @ IpAddr::V4(_) => Self(v4),
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & (u128::MAX << 64);
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
        }
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn address_key_groups_ipv6_by_64_bit_prefix() {
        for (address, key) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            let ip: IpAddr = address.parse().expect(address);
            assert_eq!(AddressKey::from(ip).to_string(), key);
        }
    }

    #[test]
    fn ipv4_mapped_peer_becomes_its_ipv4_address() {
        for (address, shown) in [
            ("[::ffff:192.0.2.1]:7", "192.0.2.1:7"),
            ("192.0.2.1:7", "192.0.2.1:7"),
            ("[2001:db8::1]:7", "[2001:db8::1]:7"),
            ("[::1]:7", "[::1]:7"),
            ("[fe80::1%3]:7", "[fe80::1%3]:7"),
        ] {
            let peer = Peer::from(address.parse::<SocketAddr>().expect(address));
            assert_eq!(peer.to_string(), shown);
        }
        assert_eq!(Peer::Local.canonical(), Peer::Local);
    }
}
