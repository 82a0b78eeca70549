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
let tickets = Tickets::new(rustls::crypto::ring::Ticketer::new);
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
mod tickets;

#[cfg(feature = "tls")]
pub use certificates::{CertificateFiles, ClientCertificates, TlsError, TlsFiles, Validity};
#[cfg(feature = "tls")]
pub use rustls;
#[cfg(feature = "tls")]
pub(crate) use session::{Progress, TlsSession};
#[cfg(feature = "tls")]
pub use tickets::Tickets;

use crate::base::UnixTime;
use alloc::string::String;
#[cfg(feature = "tls")]
use alloc::sync::Arc;
use core::time::Duration;
#[cfg(feature = "tls")]
use rustls::server::danger::ClientCertVerifier;

/// TLS at a listener.
#[derive(Clone, Debug)]
pub struct Tls {
    /// How long a handshake may take, from the opening of the connection. With zero none succeeds.
    pub handshake_timeout: Duration,
    /// When the first of the server's certificates expires, if that is known.
    pub expires_at: Option<UnixTime>,
    spoken: Spoken,
}

/// Who speaks TLS.
#[derive(Clone, Debug)]
enum Spoken {
    /// Whoever stands between the network and the machine.
    Elsewhere,
    /// Nobody yet: the certificates are not loaded, and nobody comes in.
    #[cfg(feature = "settings")]
    Nobody,
    /// The machine, and what checks the certificates of peers if they are asked for some.
    #[cfg(feature = "tls")]
    Here(Arc<rustls::ServerConfig>, Option<Arc<dyn ClientCertVerifier>>),
}

impl Tls {
    /// How long a handshake may take unless it is said otherwise.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// TLS that somebody else speaks, between the network and the machine, who tells that it is agreed on with
    /// [`Machine::secured`](crate::Machine::secured): for replays, and for who drives a machine and has TLS already.
    #[must_use]
    pub const fn elsewhere() -> Self {
        Self { handshake_timeout: Self::HANDSHAKE_TIMEOUT, expires_at: None, spoken: Spoken::Elsewhere }
    }

    /// TLS by a configuration of rustls that does not ask peers for certificates, or does and resumes no sessions.
    ///
    /// rustls takes a session up again without asking for the certificate, and without checking the one that was shown then.
    /// Where peers are asked for certificates, use [`verified`](Self::verified).
    #[cfg(feature = "tls")]
    #[must_use]
    pub const fn new(config: Arc<rustls::ServerConfig>) -> Self {
        Self::verified(config, None)
    }

    /// TLS by a configuration of rustls and the verifier that it was made with. Resumed sessions are held to what the verifier
    /// says now: a peer without a certificate is refused where one is required, and so is one whose certificate is not good any
    /// more.
    #[cfg(feature = "tls")]
    #[must_use]
    pub const fn verified(config: Arc<rustls::ServerConfig>, verifier: Option<Arc<dyn ClientCertVerifier>>) -> Self {
        let spoken = Spoken::Here(config, verifier);
        Self { handshake_timeout: Self::HANDSHAKE_TIMEOUT, expires_at: None, spoken }
    }

    /// TLS whose certificates are not loaded yet.
    #[cfg(feature = "settings")]
    pub(crate) const fn pending(handshake_timeout: Duration) -> Self {
        Self { handshake_timeout, expires_at: None, spoken: Spoken::Nobody }
    }

    /// Whether the machine speaks it itself.
    #[must_use]
    pub const fn is_spoken_here(&self) -> bool {
        match &self.spoken {
            #[cfg(feature = "tls")]
            Spoken::Here(..) => true,
            _ => false,
        }
    }

    /// A connection's own; `None` if it is spoken elsewhere, or by a configuration that can't serve anybody.
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
