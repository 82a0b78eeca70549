//! TLS settings of outgoing connections, loaded from files.

use super::ClientTls;
use super::certificates::{CertificateFiles, TlsError, certificates};
use super::pinned::Pinned;
use crate::base::setters;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;

/// TLS settings of outgoing connections: the roots, a client certificate, ALPN and versions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientTlsFiles {
    /// Which certificates of servers are trusted.
    pub roots: Roots,
    /// The certificate that the client shows to servers that request one, if any.
    pub certificate: Option<CertificateFiles>,
    /// The ALPN protocols, in order of preference (RFC 7301).
    pub protocols: Vec<String>,
    /// Whether to refuse TLS 1.2 and accept only TLS 1.3.
    pub only_1_3: bool,
}

setters!(ClientTlsFiles {
    certificate: Option<CertificateFiles>,
    protocols: Vec<String>,
    only_1_3: bool,
});

/// Which certificates of servers are trusted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Roots {
    /// Those that the authorities in this PEM file have issued.
    File(PathBuf),
    /// Those with one of these SHA-256 fingerprints, whoever has issued them.
    ///
    /// The fingerprint is that of the whole certificate in DER, as
    /// `openssl x509 -fingerprint -sha256` prints it. Names and dates are not checked.
    Pinned(Vec<[u8; 32]>),
    /// Every certificate. An attacker who redirects the connection can read and change everything.
    Unverified,
    /// Those that this verifier accepts, such as that of the operating system.
    Verifier(Arc<dyn ServerCertVerifier>),
}

impl ClientTlsFiles {
    /// Creates settings with these roots, without a client certificate and without ALPN.
    #[must_use]
    pub const fn new(roots: Roots) -> Self {
        Self { roots, certificate: None, protocols: Vec::new(), only_1_3: false }
    }

    /// Reads the files, and creates TLS settings from them.
    ///
    /// # Errors
    /// The first invalid file.
    pub fn load(&self, provider: &Arc<CryptoProvider>) -> Result<ClientTls, TlsError> {
        let setup = |error: &dyn fmt::Display| TlsError::Setup(error.to_string());
        let versions: &[_] = if self.only_1_3 { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
        let builder = builder.with_protocol_versions(versions).map_err(|error| setup(&error))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(self.verifier(provider)?);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let certified = files.certified(provider)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(ClientTls::new(Arc::new(config)))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        match &self.roots {
            Roots::Verifier(verifier) => Ok(Arc::clone(verifier)),
            Roots::Pinned(fingerprints) => Ok(Arc::new(Pinned::new(Some(fingerprints.clone()), provider))),
            Roots::Unverified => Ok(Arc::new(Pinned::new(None, provider))),
            Roots::File(path) => {
                let mut roots = RootCertStore::empty();
                let setup = |error: &dyn fmt::Display| TlsError::Setup(error.to_string());
                for authority in certificates(path)? {
                    roots.add(authority).map_err(|error| setup(&error))?;
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
                let verifier = verifier.build().map_err(|error| setup(&error))?;
                Ok(verifier)
            }
        }
    }
}
