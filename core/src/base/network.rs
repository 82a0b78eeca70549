use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// An IP network: an address and a prefix length (CIDR, RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The error returned for a malformed network, or a prefix length that is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address, or ADDRESS/BITS with at most 32 bits for IPv4 and 128 for IPv6")]
#[non_exhaustive]
pub struct NetworkError;

impl Network {
    /// Creates the network of all addresses that share the first `bits` bits with `address`.
    ///
    /// # Errors
    /// If the address has fewer bits.
    pub const fn new(address: IpAddr, bits: u8) -> Result<Self, NetworkError> {
        // An IPv4-mapped address counts as its IPv4 address, as for peers.
        if let (IpAddr::V6(_), v4 @ IpAddr::V4(_), 96..=128) = (address, address.to_canonical(), bits) {
            return Ok(Self { address: v4, bits: bits - 96 });
        }
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits <= most { Ok(Self { address, bits }) } else { Err(NetworkError) }
    }

    /// Returns `true` if the network contains `address`.
    ///
    /// An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) counts as its IPv4 address.
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

#[cfg(feature = "settings")]
impl Network {
    /// Returns `true` if the network contains every address of `other`.
    pub(crate) fn includes(self, other: Self) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }

    /// Returns `true` if the network contains every address of its IP version.
    pub(crate) const fn includes_all_of_its_kind(self) -> bool {
        self.bits == 0
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn network_contains_addresses_that_share_its_prefix() {
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
}
