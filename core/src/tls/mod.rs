//! TLS for the listeners and the outgoing connections of every wire (RFC 8446 and RFC 5246).
//!
//! On a listener with [`Tls`], the machine decrypts received bytes and encrypts output. Handshakes
//! and ciphers are those of [rustls](https://docs.rs/rustls), which also does no I/O. Wires,
//! limits, metrics and traces above TLS work on decrypted bytes. A trace of a TLS server is
//! therefore readable, and can be replayed with [`Tls::external`].
//!
#![cfg_attr(
    feature = "tls",
    doc = r#"
```no_run
use drupe_core::tls::{CertificateFiles, TicketKeys, TlsFiles, rustls};
use drupe_core::{Config, Listen};
use std::sync::Arc;

let certificate = CertificateFiles::new("cert.pem", "key.pem");
let files = TlsFiles::default().certificates(vec![certificate]);
// The program chooses the ciphers. Here: rustls with its feature `ring`.
let provider = Arc::new(rustls::crypto::ring::default_provider());
let tickets = TicketKeys::new(rustls::crypto::ring::Ticketer::new);
let listen: Listen = "telnet://0.0.0.0:992".parse()?;
let config = Config::listening([listen.tls(Some(files.load(&provider, &tickets)?))]);
# Ok::<(), Box<dyn std::error::Error>>(())
```

An outgoing connection with [`ClientTls`] begins with a TLS handshake, and verifies the server. A
handshake that fails is a failed attempt to connect; `Failure::TlsHandshake` says why.

```no_run
use drupe_core::Dial;
use drupe_core::tls::{ClientTlsFiles, Roots, rustls};
use std::sync::Arc;

let provider = Arc::new(rustls::crypto::ring::default_provider());
let files = ClientTlsFiles::new(Roots::File("authorities.pem".into()));
let mut dial: Dial = "tls://example.org:7000".parse()?;
// An address cannot name roots, so those of `tls://` and `wss://` are loaded here.
dial.fill_tls(|| files.load(&provider))?;
# Ok::<(), Box<dyn std::error::Error>>(())
```
"#
)]

mod begin_error;
#[cfg(feature = "tls")]
mod certificates;
mod client;
#[cfg(feature = "tls")]
mod client_files;
#[cfg(feature = "tls")]
mod fault;
#[cfg(feature = "tls")]
mod pinned;
mod secured;
#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls")]
mod tickets;

pub use crate::base::fingerprint;
pub use begin_error::BeginTlsError;
#[cfg(feature = "tls")]
pub use certificates::{CertificateFiles, ClientCertificates, TlsError, TlsFiles, Validity};
pub use client::ClientTls;
#[cfg(feature = "tls")]
pub use client_files::{ClientTlsFiles, Roots};
#[cfg(feature = "tls")]
pub use rustls;
pub use secured::Secured;
#[cfg(feature = "tls")]
pub(crate) use session::{Progress, TlsSession};
#[cfg(feature = "tls")]
pub use tickets::TicketKeys;

use crate::base::UnixTime;
#[cfg(feature = "tls")]
use alloc::sync::Arc;
use core::time::Duration;
#[cfg(feature = "tls")]
use rustls::server::danger::ClientCertVerifier;

/// TLS settings of a listener.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Time limit for a handshake, from the opening of the connection. With zero, none succeeds.
    pub handshake_timeout: Duration,
    /// The earliest expiry time of the server's certificates, if known.
    pub expires_at: Option<UnixTime>,
    spoken: Spoken,
}

/// The component that terminates TLS.
#[derive(Clone, Debug)]
enum Spoken {
    /// A component between the network and the machine.
    Elsewhere,
    /// No component: the certificates are not loaded yet, and all connections are refused.
    #[cfg(feature = "settings")]
    Nobody,
    /// The machine, with the client-certificate verifier if it requests client certificates.
    #[cfg(feature = "tls")]
    Here(Arc<rustls::ServerConfig>, Option<Arc<dyn ClientCertVerifier>>),
}

impl Tls {
    /// Default time limit for a handshake: 10 s.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// Creates settings for TLS that a component between network and machine terminates.
    ///
    /// That component reports handshakes with [`Machine::secured`](crate::Machine::secured). For
    /// replays, and for embedders with their own TLS.
    #[must_use]
    pub const fn external() -> Self {
        Self { handshake_timeout: Self::HANDSHAKE_TIMEOUT, expires_at: None, spoken: Spoken::Elsewhere }
    }

    /// Creates TLS settings from a rustls configuration that requests no client certificates.
    ///
    /// rustls resumes a session without requesting a client certificate, and without verifying the
    /// earlier one again. If you request client certificates, use [`verified`](Self::verified) or
    /// disable resumption.
    #[cfg(feature = "tls")]
    #[must_use]
    pub const fn new(config: Arc<rustls::ServerConfig>) -> Self {
        Self::verified(config, None)
    }

    /// Creates TLS settings from a rustls configuration and its client-certificate verifier.
    ///
    /// Resumed sessions are verified again. A peer without a required certificate is refused, and
    /// so is one whose certificate is no longer valid.
    #[cfg(feature = "tls")]
    #[must_use]
    pub const fn verified(config: Arc<rustls::ServerConfig>, verifier: Option<Arc<dyn ClientCertVerifier>>) -> Self {
        let spoken = Spoken::Here(config, verifier);
        Self { handshake_timeout: Self::HANDSHAKE_TIMEOUT, expires_at: None, spoken }
    }

    /// Creates settings for TLS whose certificates are not loaded yet.
    #[cfg(feature = "settings")]
    pub(crate) const fn pending(handshake_timeout: Duration) -> Self {
        Self { handshake_timeout, expires_at: None, spoken: Spoken::Nobody }
    }

    /// Returns `true` if the machine terminates TLS itself.
    #[must_use]
    pub const fn is_spoken_here(&self) -> bool {
        match &self.spoken {
            #[cfg(feature = "tls")]
            Spoken::Here(..) => true,
            _ => false,
        }
    }

    /// Creates the TLS session of a connection.
    ///
    /// Returns `None` if the machine does not terminate TLS, or if the configuration is unusable.
    #[cfg(feature = "tls")]
    pub(crate) fn session(&self) -> Option<TlsSession> {
        match &self.spoken {
            Spoken::Elsewhere => None,
            #[cfg(feature = "settings")]
            Spoken::Nobody => None,
            Spoken::Here(config, verifier) => TlsSession::new(config, verifier.as_ref()),
        }
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.spoken, &other.spoken) {
            (Spoken::Elsewhere, Spoken::Elsewhere) => true,
            #[cfg(feature = "settings")]
            (Spoken::Nobody, Spoken::Nobody) => true,
            #[cfg(feature = "tls")]
            (Spoken::Here(ours, _), Spoken::Here(theirs, _)) => Arc::ptr_eq(ours, theirs),
            #[cfg(feature = "tls")]
            _ => false,
        };
        same && self.handshake_timeout == other.handshake_timeout && self.expires_at == other.expires_at
    }
}

impl Eq for Tls {}
