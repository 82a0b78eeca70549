//! A certificate authority and its certificates, shared by the TLS tests.

use drupe_core::testing::TestHub;
use drupe_core::tls::{CertificateFiles, ClientCertificates, TicketKeys, Tls, TlsError, TlsFiles};
use drupe_core::{ConnId, Event, Handler, Hub, NoNote};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An authority, and a directory with what it signed.
pub(crate) struct World {
    authority: CertifiedIssuer<'static, KeyPair>,
    pub(crate) directory: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("drupe-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("good");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        std::fs::write(directory.join("ca.pem"), authority.pem()).expect("written");
        Self { authority, directory }
    }

    fn signed(&self, names: &[&str], common: &str) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("good");
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.authority).expect("signed"), key)
    }

    /// A certificate for these names and its key, written down.
    pub(crate) fn files(&self, names: &[&str]) -> CertificateFiles {
        let (certificate, key) = self.signed(names, "server");
        let stem = names.first().unwrap_or(&"none").replace('*', "wild");
        let files = CertificateFiles::new(
            self.directory.join(format!("{stem}.pem")),
            self.directory.join(format!("{stem}.key")),
        );
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        files
    }

    /// A certificate of the authority with these parameters and its key, written down.
    pub(crate) fn files_of(&self, params: &CertificateParams, stem: &str) -> CertificateFiles {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.authority).expect("signed");
        let path = |ending: &str| self.directory.join(format!("{stem}.{ending}"));
        let files = CertificateFiles::new(path("pem"), path("key"));
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        files
    }

    pub(crate) fn load(files: &TlsFiles) -> Result<Tls, TlsError> {
        files.load(&Arc::new(ring::default_provider()), &TicketKeys::new(ring::Ticketer::new))
    }

    /// What a listener needs to be these names.
    pub(crate) fn tls(&self, names: &[&str]) -> Tls {
        let files = TlsFiles::default().certificates(vec![self.files(names)]);
        Self::load(&files).expect("good files")
    }

    /// What a listener of these names needs that asks peers for certificates.
    pub(crate) fn asking(&self, clients: ClientCertificates, tickets: &TicketKeys) -> Tls {
        let files = TlsFiles::default().certificates(vec![self.files(&["localhost"])]).clients(clients);
        files.load(&Arc::new(ring::default_provider()), tickets).expect("good files")
    }

    /// The file with the authority's certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// What a client believes.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("good");
        roots
    }

    /// A client with a certificate of this name, if any, that offers these protocols.
    pub(crate) fn client(&self, identity: Option<&str>, protocols: &[&str]) -> Arc<ClientConfig> {
        self.client_of(identity, protocols, rustls::ALL_VERSIONS)
    }

    /// A client whose certificate has these alternative names.
    pub(crate) fn client_named(&self, names: Vec<SanType>, common: &str) -> Arc<ClientConfig> {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("good");
        params.subject_alt_names = names;
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.authority).expect("signed");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS).expect("known");
        let builder = builder.with_root_certificates(self.roots());
        Arc::new(builder.with_client_auth_cert(vec![CertificateDer::from(certificate)], key).expect("good"))
    }

    /// A client that believes this authority, with a certificate of another.
    pub(crate) fn client_of_other(
        &self,
        other: &Self,
        identity: &str,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_protocol_versions(&[version]).expect("known").with_root_certificates(self.roots());
        let (certificate, key) = other.signed(&[], identity);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        Arc::new(builder.with_client_auth_cert(vec![CertificateDer::from(certificate)], key).expect("good"))
    }

    /// The same as [`client`](Self::client), of these versions of TLS.
    pub(crate) fn client_of(
        &self,
        identity: Option<&str>,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_protocol_versions(versions).expect("known").with_root_certificates(self.roots());
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (certificate, key) = self.signed(&[], name);
                let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
                builder.with_client_auth_cert(vec![CertificateDer::from(certificate)], key).expect("good")
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A client, and how far it has read what the server wrote.
pub(crate) struct Client {
    pub(crate) tls: ClientConnection,
    pub(crate) conn: ConnId,
    pub(crate) seen: usize,
    pub(crate) text: Vec<u8>,
    pub(crate) error: Option<rustls::Error>,
    /// So many bytes go at a time.
    pub(crate) piece: usize,
    pub(crate) has_closed: bool,
}

impl Client {
    pub(crate) fn new(config: &Arc<ClientConfig>, name: &'static str, conn: ConnId) -> Self {
        let tls = ClientConnection::new(Arc::clone(config), ServerName::try_from(name).expect(name)).expect("good");
        Self { tls, conn, seen: 0, text: Vec::new(), error: None, piece: usize::MAX, has_closed: false }
    }

    /// Both sides speak until neither has anything to say.
    pub(crate) fn turn<H: Handler<Note = NoNote>>(&mut self, hub: &mut TestHub<H>) {
        loop {
            let mut out = Vec::new();
            while self.tls.wants_write() {
                self.tls.write_tls(&mut out).expect("a vector");
            }
            for piece in out.chunks(self.piece) {
                hub.send(self.conn, piece);
            }
            let fresh = hub.received(self.conn)[self.seen..].to_vec();
            self.seen += fresh.len();
            let mut rest = &fresh[..];
            while !rest.is_empty() && self.error.is_none() {
                self.tls.read_tls(&mut rest).expect("a slice");
                match self.tls.process_new_packets() {
                    Ok(state) => self.has_closed |= state.peer_has_closed(),
                    Err(error) => self.error = Some(error),
                }
                let mut buffer = [0; 4096];
                while let Ok(bytes @ 1..) = self.tls.reader().read(&mut buffer) {
                    self.text.extend_from_slice(&buffer[..bytes]);
                }
            }
            if out.is_empty() && fresh.is_empty() {
                return;
            }
        }
    }

    pub(crate) fn say<H: Handler<Note = NoNote>>(&mut self, hub: &mut TestHub<H>, text: &str) {
        self.tls.writer().write_all(text.as_bytes()).expect("room");
        self.turn(hub);
    }

    pub(crate) fn heard(&self) -> &str {
        std::str::from_utf8(&self.text).expect("text")
    }
}

/// Answers each message with the name of the user that sent it.
pub(crate) struct WhoAmI;

impl Handler for WhoAmI {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Message { conn, .. } = event {
            let user = hub.identity(conn).map_or("nobody".into(), |identity| identity.user.to_string());
            hub.send(conn, &user);
        }
    }
}
