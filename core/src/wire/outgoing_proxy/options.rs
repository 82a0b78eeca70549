//! A proxy for outgoing connections: its protocol, address and credentials.

use super::error::OutgoingProxyError;
use super::target::Target;
use alloc::string::{String, ToString};
use core::fmt;

/// A proxy for outgoing connections, with its address and credentials.
///
/// Parses from text, such as `http://USER:PASSWORD@HOST:PORT`. `Debug` hides the password, and
/// `Display` shows only the scheme and the address.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingProxy {
    pub(super) protocol: ProxyProtocol,
    pub(super) address: String,
    pub(super) credentials: Option<Credentials>,
}

/// The protocol of an outgoing proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// `CONNECT` of HTTP/1.1 (RFC 9110 section 9.3.6), with Basic credentials (RFC 7617) if any are
    /// set. The first request contains them, so the proxy need not ask for them.
    HttpConnect,
    /// SOCKS version 5 (RFC 1928), with a user name and a password (RFC 1929) if any are set.
    Socks5,
}

/// The user and the password for a proxy.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl OutgoingProxy {
    /// The port if the text form has none, for both protocols, as in curl.
    pub const PORT_DEFAULT: u16 = 1080;

    /// Creates a proxy without credentials. `address` is `HOST:PORT`, which the shell resolves.
    ///
    /// # Errors
    /// [`OutgoingProxyError::Address`] if `address` is not `HOST:PORT`.
    pub fn new(protocol: ProxyProtocol, address: impl Into<String>) -> Result<Self, OutgoingProxyError> {
        let address = address.into();
        Target::parse(&address).map_err(|_| OutgoingProxyError::Address(address.clone()))?;
        Ok(Self { protocol, address, credentials: None })
    }

    /// Sets the user and the password.
    ///
    /// # Errors
    /// If the user is empty, if one of them has control characters, or if it is too long: more than
    /// 255 bytes with SOCKS5, or more than 1,024 with HTTP. With HTTP, also if the user has a
    /// colon.
    pub fn credentials(self, user: &str, password: &str) -> Result<Self, OutgoingProxyError> {
        self.protocol.check(user, password)?;
        let credentials = Credentials { user: user.to_string(), password: password.to_string() };
        Ok(Self { credentials: Some(credentials), ..self })
    }

    /// Returns the protocol of the proxy.
    #[must_use]
    pub const fn protocol(&self) -> ProxyProtocol {
        self.protocol
    }

    /// Returns the address of the proxy as `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the user for the proxy, if credentials are set.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        Some(&self.credentials.as_ref()?.user)
    }
}

impl ProxyProtocol {
    /// Returns the scheme in the text form of a proxy. `socks5h` means the same as `socks5`.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::HttpConnect => "http",
            Self::Socks5 => "socks5",
        }
    }

    pub(super) fn check(self, user: &str, password: &str) -> Result<(), OutgoingProxyError> {
        let length_max = match self {
            Self::HttpConnect => 1_024,
            Self::Socks5 => 255,
        };
        let is_colon = |c: char| c == ':' && self == Self::HttpConnect;
        if user.is_empty() || user.len() > length_max || user.contains(|c: char| c.is_control() || is_colon(c)) {
            return Err(OutgoingProxyError::User(length_max));
        }
        if password.len() > length_max || password.contains(char::is_control) {
            return Err(OutgoingProxyError::Password(length_max));
        }
        Ok(())
    }
}

impl fmt::Debug for OutgoingProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, address, credentials: _ } = self;
        let mut shown = f.debug_struct("OutgoingProxy");
        shown.field("protocol", protocol).field("address", address);
        if let Some(user) = self.user() {
            shown.field("user", &user);
        }
        shown.finish_non_exhaustive()
    }
}

impl fmt::Display for OutgoingProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.protocol.scheme(), self.address)
    }
}
