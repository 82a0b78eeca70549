//! TLS settings of outgoing connections.

#[cfg(feature = "tls")]
use super::TlsSession;
#[cfg(feature = "tls")]
use crate::base::socket_path;
use alloc::string::String;
#[cfg(feature = "tls")]
use alloc::sync::Arc;

/// TLS settings of an outgoing connection: see [`Dial::tls`](crate::Dial::tls).
///
/// Settings that are loaded from [`ClientTlsFiles`](super::ClientTlsFiles) have a session cache of their
/// own. So a session is resumed only with the same roots and the same client certificate.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// The name for which the server's certificate must be, a host name or an IP address.
    ///
    /// It is sent to the server too (RFC 6066 section 3). `None`: the host of the address. A Unix
    /// socket has none: without a name, each attempt fails with
    /// [`NameMismatch`](crate::TlsFault::NameMismatch).
    pub server_name: Option<String>,
    spoken: Spoken,
}

/// The component that speaks TLS.
#[derive(Clone, Debug)]
enum Spoken {
    /// A component between the network and the machine.
    Elsewhere,
    /// No component: the roots are not loaded yet, and all attempts fail.
    Nobody,
    /// The machine.
    #[cfg(feature = "tls")]
    Here(Arc<rustls::ClientConfig>),
}

impl ClientTls {
    /// Creates settings for TLS that a component between network and machine speaks.
    ///
    /// That component reports handshakes with [`Machine::secured`](crate::Machine::secured). For
    /// replays, and for embedders with their own TLS.
    #[must_use]
    pub const fn external() -> Self {
        Self { server_name: None, spoken: Spoken::Elsewhere }
    }

    /// Creates settings for TLS whose roots are not loaded yet.
    ///
    /// Those of a parsed `tls://` or `wss://` address. Until [`Dial::fill_tls`](crate::Dial::fill_tls)
    /// loads the roots, each attempt fails with [`Failure::Tls`](crate::Failure::Tls).
    #[must_use]
    pub const fn pending() -> Self {
        Self { server_name: None, spoken: Spoken::Nobody }
    }

    /// Returns `true` if the roots are not loaded yet, so that each attempt fails.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self.spoken, Spoken::Nobody)
    }

    /// Creates settings from a rustls configuration.
    #[cfg(feature = "tls")]
    #[must_use]
    pub const fn new(config: Arc<rustls::ClientConfig>) -> Self {
        Self { server_name: None, spoken: Spoken::Here(config) }
    }

    /// Sets [`server_name`](#structfield.server_name).
    #[must_use]
    pub fn server_name(self, server_name: Option<String>) -> Self {
        Self { server_name, ..self }
    }

    /// Returns `true` if the machine speaks TLS itself.
    #[cfg(feature = "tls")]
    pub(crate) const fn is_spoken_here(&self) -> bool {
        matches!(self.spoken, Spoken::Here(_))
    }

    /// Creates the TLS session of a connection to `address`, which is `HOST:PORT`.
    ///
    /// Returns `None` if the machine does not speak TLS, or without a valid name.
    #[cfg(feature = "tls")]
    pub(crate) fn session(&self, address: &str) -> Option<TlsSession> {
        match &self.spoken {
            Spoken::Elsewhere | Spoken::Nobody => None,
            Spoken::Here(config) => {
                let name = self.server_name.as_deref().or_else(|| host(address))?;
                TlsSession::of_client(config, name)
            }
        }
    }
}

/// Returns the host of an address `HOST:PORT`, without the brackets of an IPv6 address.
///
/// A Unix socket has no host.
#[cfg(feature = "tls")]
fn host(address: &str) -> Option<&str> {
    if socket_path(address).is_some() {
        return None;
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
}

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.spoken, &other.spoken) {
            (Spoken::Elsewhere, Spoken::Elsewhere) | (Spoken::Nobody, Spoken::Nobody) => true,
            #[cfg(feature = "tls")]
            (Spoken::Here(ours), Spoken::Here(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        };
        same && self.server_name == other.server_name
    }
}

impl Eq for ClientTls {}
