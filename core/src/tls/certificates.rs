use super::tickets::{Clients, Policy};
use super::{TicketKeys, Tls};
use crate::base::setters;
use crate::base::{UnixTime, files};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// TLS settings of a listener: certificate files, client certificates, ALPN and versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The paths of the server's certificates and of their private keys.
    ///
    /// A peer gets the first one that matches its requested server name (RFC 6066 section 3). If
    /// none matches, or it requests no name, it gets the first one.
    pub certificates: Vec<CertificateFiles>,
    /// The client-certificate policy: none, optional or required.
    pub clients: ClientCertificates,
    /// The ALPN protocols, in order of preference (RFC 7301).
    ///
    /// A peer that offers only others is refused; a peer that offers none is not.
    pub protocols: Vec<String>,
    /// Whether to refuse TLS 1.2 and accept only TLS 1.3.
    pub only_1_3: bool,
}

setters!(TlsFiles {
    certificates: Vec<CertificateFiles>,
    clients: ClientCertificates,
    protocols: Vec<String>,
    only_1_3: bool,
});

/// The paths of the PEM files of one certificate and of its private key (RFC 7468).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateFiles {
    /// The path of the certificate file: the certificate, followed by its chain.
    pub certificate: PathBuf,
    /// The path of the private key file: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// The client-certificate policy of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// No client certificate is requested.
    #[default]
    None,
    /// A client certificate is optional. If present, an authority in this file must have issued it.
    Optional(PathBuf),
    /// A client certificate is required. An authority in this file must have issued it.
    Required(PathBuf),
}

/// The path of a certificate file, and the validity period of its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validity {
    /// The path of the certificate file.
    pub path: PathBuf,
    /// Index in the server's [certificates](TlsFiles::certificates). `None` for client authorities.
    pub certificate: Option<usize>,
    /// The start of the validity period.
    pub from: UnixTime,
    /// The end of the validity period.
    pub until: UnixTime,
}

/// The error returned when TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or its content is invalid.
    #[error("can't read {what} in {path}: {cause}")]
    File {
        /// The expected content of the file, such as `a private key`.
        what: &'static str,
        /// The path of the file.
        path: String,
        /// The cause of the failure, as text.
        cause: String,
    },
    /// No certificate is configured.
    #[error("TLS needs at least one certificate")]
    NoCertificate,
    /// The key does not match the certificate, or its type is not supported.
    #[error("the key in {key} does not match the certificate in {certificate}: {cause}")]
    Key {
        /// The path of the key file.
        key: String,
        /// The path of the certificate file.
        certificate: String,
        /// The cause of the failure, as text.
        cause: String,
    },
    /// Any other failure, with its cause.
    #[error("TLS can't be set up: {0}")]
    Setup(String),
}

impl TlsFiles {
    /// Reads the certificate and key files, and creates TLS settings from them.
    ///
    /// # Errors
    /// The first invalid file.
    pub fn load(&self, provider: &Arc<CryptoProvider>, tickets: &TicketKeys) -> Result<Tls, TlsError> {
        let mut keys = Vec::new();
        for files in &self.certificates {
            keys.push(files.load(provider)?);
        }
        let resolver = ByName::new(keys).ok_or(TlsError::NoCertificate)?;
        let setup = |error: &dyn fmt::Display| TlsError::Setup(error.to_string());
        let versions: &[_] = if self.only_1_3 { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
        let builder = builder.with_protocol_versions(versions).map_err(|error| setup(&error))?;
        let (verifier, clients) = self.clients.load(provider)?;
        let builder = match &verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        };
        let expires_at = resolver.expires_at;
        let policy = Policy { clients, server: resolver.all.iter().map(Named::identity).collect() };
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.ticketer = tickets.of(policy).map_err(|error| setup(&error))?;
        Ok(Tls { expires_at, ..Tls::verified(Arc::new(config), verifier) })
    }
}

impl TlsFiles {
    /// Reads the validity periods of the server's certificates and of the client authorities.
    ///
    /// Of several authorities, the one that expires last counts.
    ///
    /// # Errors
    /// The first invalid file.
    pub fn validity(&self) -> Result<Vec<Validity>, TlsError> {
        let mut found = Vec::new();
        for (files, number) in self.certificates.iter().zip(0..) {
            let path = &files.certificate;
            let dates = certificates(path)?.first().map(|first| dates(first, path)).transpose()?;
            found.extend(dates.map(|(from, until)| Validity {
                path: path.clone(),
                certificate: Some(number),
                from,
                until,
            }));
        }
        if let ClientCertificates::Optional(path) | ClientCertificates::Required(path) = &self.clients {
            let all = certificates(path)?.iter().map(|one| dates(one, path)).collect::<Result<Vec<_>, _>>()?;
            let longest = all.into_iter().max_by_key(|(_, until)| *until);
            found.extend(longest.map(|(from, until)| Validity { path: path.clone(), certificate: None, from, until }));
        }
        Ok(found)
    }
}

/// Returns the start and the end of a certificate's validity period.
fn dates(certificate: &CertificateDer<'_>, path: &Path) -> Result<(UnixTime, UnixTime), TlsError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| file("a certificate", path, &"it is not well formed"))?;
    let time = |seconds| UnixTime::from_secs(u64::try_from(seconds).unwrap_or_default());
    Ok((time(parsed.validity().not_before.timestamp()), time(parsed.validity().not_after.timestamp())))
}

impl ClientCertificates {
    /// Creates the client-certificate verifier, if any, and the matching policy for ticket keys.
    fn load(&self, provider: &Arc<CryptoProvider>) -> Result<(Option<Arc<dyn ClientCertVerifier>>, Clients), TlsError> {
        let (Self::Optional(authorities) | Self::Required(authorities)) = self else {
            return Ok((None, Clients::None));
        };
        let (mut roots, mut known) = (RootCertStore::empty(), BTreeSet::new());
        for certificate in certificates(authorities)? {
            known.insert(certificate.to_vec());
            roots.add(certificate).map_err(|error| file("an authority", authorities, &error))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let (verifier, clients) = match self {
            Self::Required(_) => (verifier, Clients::Required(known)),
            _ => (verifier.allow_unauthenticated(), Clients::Optional(known)),
        };
        let verifier = verifier.build().map_err(|error| TlsError::Setup(error.to_string()))?;
        Ok((Some(verifier), clients))
    }
}

setters!(CertificateFiles { certificate: PathBuf, key: PathBuf });

impl CertificateFiles {
    /// Creates a pair of the paths of a certificate file and of its key file.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key: key.into() }
    }

    /// Reads the certificate with its chain and its key, and checks that they match.
    pub(super) fn certified(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        self.load(provider).map(|named| Arc::unwrap_or_clone(named.certified))
    }

    fn load(&self, provider: &CryptoProvider) -> Result<Named, TlsError> {
        let chain = certificates(&self.certificate)?;
        let blame_key = |error: &dyn fmt::Display| file("a private key", &self.key, error);
        let pem = read(&self.key).map_err(|error| blame_key(&error))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| blame_key(&error))?;
        let blame = |error: &dyn fmt::Display| TlsError::Key {
            key: self.key.display().to_string(),
            certificate: self.certificate.display().to_string(),
            cause: error.to_string(),
        };
        let first = chain.first().cloned();
        let key = provider.key_provider.load_private_key(key).map_err(|error| blame(&error))?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|error| blame(&error))?;
        let parsed = first.as_ref().map(|first| X509Certificate::from_der(first));
        let Some(Ok((_, parsed))) = &parsed else {
            return Err(file("a certificate", &self.certificate, &"it is not well formed"));
        };
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.iter().filter_map(dns_name).collect());
        let expires_at = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        let expires_at = UnixTime::from_secs(expires_at);
        Ok(Named { names: names.unwrap_or_default(), expires_at, certified: Arc::new(certified) })
    }
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    }
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let blame = |error: &dyn fmt::Display| file("a certificate", path, error);
    let pem = read(path).map_err(|error| blame(&error))?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|error| blame(&error))?;
    if chain.is_empty() { Err(blame(&"there is none")) } else { Ok(chain) }
}

/// Reads a PEM file and removes a byte order mark, which would hide its first line.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut pem = files::read(path, files::TEXT_MAX_BYTES)?;
    if pem.starts_with("\u{feff}".as_bytes()) {
        pem.drain(.."\u{feff}".len());
    }
    Ok(pem)
}

fn file(what: &'static str, path: &Path, cause: &dyn fmt::Display) -> TlsError {
    TlsError::File { what, path: path.display().to_string(), cause: cause.to_string() }
}

#[derive(Debug)]
struct Named {
    names: Vec<String>,
    expires_at: UnixTime,
    certified: Arc<CertifiedKey>,
}

impl Named {
    /// Returns the DNS names in the certificate, or the certificate itself if it has none.
    ///
    /// Names stay the same when the certificate is renewed.
    fn identity(&self) -> BTreeSet<Vec<u8>> {
        if self.names.is_empty() {
            return self.certified.cert.first().map(|certificate| certificate.to_vec()).into_iter().collect();
        }
        self.names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }
}

/// A certificate resolver that selects by the requested server name.
#[derive(Debug)]
struct ByName {
    all: Box<[Named]>,
    expires_at: Option<UnixTime>,
}

impl ByName {
    fn new(all: Vec<Named>) -> Option<Self> {
        let expires_at = all.iter().map(|named| named.expires_at).min()?;
        Some(Self { all: all.into(), expires_at: Some(expires_at) })
    }

    fn find(&self, name: &str) -> Option<&Named> {
        let name = name.to_ascii_lowercase();
        // A wildcard matches one label (RFC 6125 section 6.4.3).
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let exact = |named: &&Named| named.names.contains(&name);
        let wild = |named: &&Named| {
            named.names.iter().any(|known| known.strip_prefix("*.").is_some_and(|rest| Some(rest) == parent))
        };
        self.all.iter().find(exact).or_else(|| self.all.iter().find(wild))
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        let found = name.and_then(|name| self.find(name)).or_else(|| self.all.first());
        found.map(|named| Arc::clone(&named.certified))
    }
}
