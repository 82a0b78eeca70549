//! TLS beneath every wire (RFC 8446 and RFC 5246).
//!
//! A machine whose listener has [`Tls`] speaks TLS there: what it is told is received is deciphered before it is looked at, and
//! what it shows to be written is enciphered. The handshake and the ciphers are those of [rustls](https://docs.rs/rustls), which
//! does no I/O either. Everything behind TLS (wires, limits, metrics, traces) is told and counted as it is without it: in
//! deciphered bytes, so a trace of a server that speaks TLS can be read, and replayed with [`Tls::elsewhere`].
//!
#![cfg_attr(
    feature = "tls",
    doc = r#"
```no_run
use drupe_core::tls::{CertificateFiles, Tickets, TlsFiles, rustls};
use drupe_core::{Config, Listen};
use std::sync::Arc;

let certificate = CertificateFiles { certificate: "cert.pem".into(), key: "key.pem".into() };
let files = TlsFiles { certificates: vec![certificate], ..TlsFiles::default() };
// Which ciphers there are is for the program to choose: rustls with its feature `ring`, here.
let provider = Arc::new(rustls::crypto::ring::default_provider());
let tickets = Tickets::new(rustls::crypto::ring::Ticketer::new()?);
let listen: Listen = "telnet://0.0.0.0:992".parse()?;
let config = Config::listening([Listen { tls: Some(files.load(&provider, &tickets)?), ..listen }]);
# Ok::<(), Box<dyn std::error::Error>>(())
```
"#
)]

#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod session;

#[cfg(feature = "tls")]
pub use certificates::{CertificateFiles, ClientCertificates, Tickets, TlsError, TlsFiles};
#[cfg(feature = "tls")]
pub use rustls;
#[cfg(feature = "tls")]
pub(crate) use session::{Progress, TlsSession};

use crate::UnixTime;
use alloc::string::String;
use core::time::Duration;

/// TLS at a listener.
#[derive(Clone, Debug)]
pub struct Tls {
    /// How long a handshake may take, from the opening of the connection.
    pub handshake_timeout: Duration,
    /// When the first of the server's certificates expires, if that is known.
    pub expires_at: Option<UnixTime>,
    #[cfg(feature = "tls")]
    pub(crate) config: Option<alloc::sync::Arc<rustls::ServerConfig>>,
}

impl Tls {
    /// How long a handshake may take unless it is said otherwise.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// TLS that somebody else speaks, between the network and the machine, who tells that it is agreed on with
    /// [`Machine::secured`](crate::Machine::secured): for replays, and for who drives a machine and has TLS already.
    #[must_use]
    pub const fn elsewhere() -> Self {
        Self {
            handshake_timeout: Self::HANDSHAKE_TIMEOUT,
            expires_at: None,
            #[cfg(feature = "tls")]
            config: None,
        }
    }

    /// TLS by a configuration of rustls.
    #[cfg(feature = "tls")]
    #[must_use]
    pub const fn new(config: alloc::sync::Arc<rustls::ServerConfig>) -> Self {
        Self { handshake_timeout: Self::HANDSHAKE_TIMEOUT, expires_at: None, config: Some(config) }
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(feature = "tls")]
        let same = match (&self.config, &other.config) {
            (Some(ours), Some(theirs)) => alloc::sync::Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        };
        #[cfg(not(feature = "tls"))]
        let same = true;
        same && self.handshake_timeout == other.handshake_timeout && self.expires_at == other.expires_at
    }
}

impl Eq for Tls {}

/// What a handshake agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secured {
    /// The version, such as `TLSv1.3`.
    pub version: String,
    /// The name that the peer asked for (RFC 6066 section 3).
    pub server_name: Option<String>,
    /// The protocol that was agreed on (RFC 7301).
    pub protocol: Option<String>,
    /// Whose certificate the peer showed, if it was asked for one and it is good: the first name of the subject alternative
    /// names, or else the common name.
    pub user: Option<String>,
    /// Whether an earlier session was resumed (RFC 8446 section 2.2).
    pub resumed: bool,
}
