//! The host and port that a proxy is asked to connect to.

use crate::base::ProxyFault;
use core::net::{IpAddr, Ipv6Addr};

/// The host and port of an address `HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// An IP address, or the name.
    pub(super) host: Result<IpAddr, &'a str>,
    pub(super) port: u16,
}

/// Maximum length of a host name: that of a SOCKS5 request (RFC 1928 section 4).
const NAME_MAX_BYTES: usize = 255;

impl<'a> Target<'a> {
    /// Parses `HOST:PORT`. An IPv6 address is in brackets.
    ///
    /// No character of a name can end or change the line of an HTTP request.
    pub(super) fn parse(address: &'a str) -> Result<Self, ProxyFault> {
        let (host, port) = address.rsplit_once(':').ok_or(ProxyFault::BadTarget)?;
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_number && *port > 0).ok_or(ProxyFault::BadTarget)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                let ip: Option<Ipv6Addr> = rest.strip_suffix(']').and_then(|ip| ip.parse().ok());
                Ok(ip.ok_or(ProxyFault::BadTarget)?.into())
            }
            None => host.parse().map(IpAddr::V4).map_err(|_| host),
        };
        match host {
            Err(name) if !is_name(name) => Err(ProxyFault::BadTarget),
            host => Ok(Self { host, port }),
        }
    }
}

fn is_name(host: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_graphic() && !b"/?#@[]:\\\"<>%".contains(&byte);
    (1..=NAME_MAX_BYTES).contains(&host.len()) && host.bytes().all(is_fine)
}
