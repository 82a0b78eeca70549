use super::Secured;
use super::fault::failure_of;
use crate::base::Failure;
use crate::base::text::neutralize;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use rustls::pki_types::ServerName;
use rustls::server::danger::ClientCertVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, Connection, HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection,
};
use std::io::{Read, Write};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Maximum number of received bytes that are stored until TLS may start.
const HELD_MAX_BYTES: usize = 128 << 10;

/// The TLS session of one connection, as server or client: decrypts input and encrypts output.
pub(crate) struct TlsSession {
    connection: Connection,
    check: Option<Check>,
    /// Input received before TLS may start.
    held: Vec<u8>,
    /// Encrypted output. The first `written` bytes are already written.
    outgoing: Vec<u8>,
    written: usize,
    /// Number of plain bytes that the pending output contains.
    sealed: usize,
    is_secured: bool,
    /// The failure that made TLS unusable, if there was one.
    failure: Option<Failure>,
    has_closed: bool,
    peer_has_closed: bool,
}

/// The verifier for the client certificates of resumed sessions, and its clock.
struct Check {
    verifier: Arc<dyn ClientCertVerifier>,
    time: Arc<dyn TimeProvider>,
}

/// TLS events in received bytes: the end of the handshake and `close_notify`.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The result of the handshake, if these bytes completed it.
    pub(crate) secured: Option<Secured>,
    /// Whether the peer sent `close_notify` (RFC 8446 section 6.1).
    pub(crate) closed: bool,
}

impl TlsSession {
    /// Creates a session. Returns `None` if the configuration is unusable.
    pub(super) fn new(config: &Arc<ServerConfig>, verifier: Option<&Arc<dyn ClientCertVerifier>>) -> Option<Self> {
        let time = &config.time_provider;
        let check = verifier.map(|verifier| Check { verifier: Arc::clone(verifier), time: Arc::clone(time) });
        Some(Self::of(ServerConnection::new(Arc::clone(config)).ok()?.into(), check))
    }

    /// Creates the session of a client, whose first message is output at once.
    ///
    /// Returns `None` if the name is neither a host name nor an IP address.
    pub(super) fn of_client(config: &Arc<ClientConfig>, name: &str) -> Option<Self> {
        let name = ServerName::try_from(String::from(name)).ok()?;
        let mut session = Self::of(ClientConnection::new(Arc::clone(config), name).ok()?.into(), None);
        session.take_outgoing();
        Some(session)
    }

    fn of(connection: Connection, check: Option<Check>) -> Self {
        Self {
            connection,
            check,
            held: Vec::new(),
            outgoing: Vec::new(),
            written: 0,
            sealed: 0,
            is_secured: false,
            failure: None,
            has_closed: false,
            peer_has_closed: false,
        }
    }

    /// Stores received bytes until TLS may start. TLS fails if there are too many.
    pub(crate) fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        if self.held.len() > HELD_MAX_BYTES {
            self.failure.get_or_insert(Failure::Tls);
        }
    }

    /// Decrypts the stored and the received bytes, and appends the plain bytes to `plain`.
    pub(crate) fn receive(&mut self, bytes: &[u8], plain: &mut Vec<u8>) -> Progress {
        let held = core::mem::take(&mut self.held);
        let mut progress = Progress::default();
        for mut rest in [&held[..], bytes] {
            while !rest.is_empty() && !self.has_failed() && !progress.closed {
                self.process(&mut rest, plain, &mut progress);
            }
        }
        self.take_outgoing();
        progress
    }

    fn process(&mut self, rest: &mut &[u8], plain: &mut Vec<u8>, progress: &mut Progress) {
        let read = self.connection.read_tls(rest);
        let state = self.connection.process_new_packets();
        let state = match (read, state) {
            (Ok(1..), Ok(state)) => state,
            (_, result) => {
                // Complete records before the failure are served, but only after a completed
                // handshake.
                if self.is_secured {
                    let _ = self.connection.reader().read_to_end(plain);
                }
                let is_client = matches!(self.connection, Connection::Client(_));
                let has_begun = self.connection.protocol_version().is_some();
                let named = result.err().filter(|_| is_client).map(|error| failure_of(&error, has_begun));
                self.failure = Some(named.unwrap_or(Failure::Tls));
                return;
            }
        };
        let is_new = !self.is_secured && !self.connection.is_handshaking();
        if is_new && !self.admits() {
            self.failure = Some(Failure::Tls);
            return;
        }
        let start = plain.len();
        plain.resize(start + state.plaintext_bytes_to_read(), 0);
        let taken = self.connection.reader().read(&mut plain[start..]).unwrap_or(0);
        plain.truncate(start + taken);
        progress.closed = state.peer_has_closed();
        self.peer_has_closed |= progress.closed;
        if is_new {
            self.is_secured = true;
            progress.secured = Some(self.secured());
        }
    }

    /// Returns `true` if the session satisfies the client-certificate policy.
    ///
    /// A full handshake has verified the certificate. A resumed one has not, and its ticket may be
    /// old or from another listener.
    fn admits(&self) -> bool {
        let (Some(check), true) = (&self.check, self.is_resumed()) else { return true };
        match self.connection.peer_certificates().and_then(<[_]>::split_first) {
            None => !check.verifier.client_auth_mandatory(),
            Some((own, between)) => check
                .time
                .current_time()
                .is_some_and(|now| check.verifier.verify_client_cert(own, between, now).is_ok()),
        }
    }

    fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn secured(&self) -> Secured {
        let version = match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLS",
        };
        let protocol = self.connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        // Only a client's certificate names a user.
        let (server_name, certificate) = match &self.connection {
            Connection::Server(server) => {
                (server.server_name().map(ToString::to_string), server.peer_certificates().and_then(<[_]>::first))
            }
            Connection::Client(_) => (None, None),
        };
        Secured {
            version: version.to_string(),
            server_name,
            protocol,
            user: certificate.and_then(|certificate| subject(certificate)),
            resumed: self.is_resumed(),
        }
    }

    /// Returns `true` if plain bytes can be encrypted now.
    ///
    /// The handshake must be complete, the session usable, and all earlier output written.
    pub(crate) fn takes_more(&self) -> bool {
        self.is_secured && !self.has_failed() && !self.has_closed && self.outgoing.is_empty()
    }

    /// Encrypts `plain` and appends the result to the output.
    pub(crate) fn seal(&mut self, plain: &[u8]) {
        if !plain.is_empty() {
            if self.connection.writer().write_all(plain).is_err() {
                self.failure.get_or_insert(Failure::Tls);
            }
            self.sealed += plain.len();
            self.take_outgoing();
        }
    }

    /// Appends `close_notify` to the output, unless it was sent or TLS is unusable.
    pub(crate) fn close(&mut self) {
        if !core::mem::replace(&mut self.has_closed, true) && self.is_secured && !self.has_failed() {
            self.connection.send_close_notify();
            self.take_outgoing();
        }
    }

    /// Returns `true` if no plain bytes can be encrypted: TLS is closed, failed or not established.
    pub(crate) const fn has_said_all(&self) -> bool {
        self.has_closed || self.has_failed() || !self.is_secured
    }

    fn take_outgoing(&mut self) {
        while self.connection.wants_write() && self.connection.write_tls(&mut self.outgoing).is_ok() {}
    }

    /// Returns the encrypted output that is not yet written.
    pub(crate) fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.written..]
    }

    /// Records that `bytes` further bytes of the output were written.
    ///
    /// Returns the number of plain bytes in the output once all of it is written, and 0 before.
    pub(crate) fn wrote(&mut self, bytes: usize) -> usize {
        self.written = (self.written + bytes).min(self.outgoing.len());
        if self.written < self.outgoing.len() {
            return 0;
        }
        self.outgoing = Vec::new();
        self.written = 0;
        core::mem::take(&mut self.sealed)
    }

    /// Returns `true` if input that ends now is truncated: the peer has not sent `close_notify`.
    pub(crate) const fn is_cut_off(&self) -> bool {
        self.is_secured && !self.has_failed() && !self.peer_has_closed
    }

    /// Returns `true` if TLS failed: the connection is unusable once its alert is written.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Returns the failure that made TLS unusable, if there was one.
    pub(crate) const fn failure(&self) -> Option<Failure> {
        self.failure
    }
}

impl core::fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TlsSession")
    }
}

/// Returns a certificate's first subject alternative name, or else its common name.
///
/// Names with a NUL or other invisible characters are rejected, because they could look like
/// another name. RFC 5280 sections 4.2.1.6 and 4.1.2.6.
fn subject(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let alternative = certificate.subject_alternative_name().ok().flatten().and_then(|names| {
        names.value.general_names.iter().find_map(|name| match name {
            GeneralName::RFC822Name(name) | GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).into()),
            _ => None,
        })
    });
    let common = || certificate.subject().iter_common_name().next()?.as_str().ok().map(Into::into);
    alternative.or_else(common).filter(|name: &String| !name.is_empty() && neutralize(name) == name.as_str())
}
