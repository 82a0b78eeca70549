//! TLS of outgoing connections with the certificates that the operating system trusts.

use drupe_core::tls::rustls::{Error, crypto::CryptoProvider};
use drupe_core::tls::{Roots, TlsError};
use rustls_platform_verifier::Verifier;
use std::sync::Arc;

/// Returns roots that trust what the operating system trusts.
///
/// On macOS, the system verifies each certificate. Elsewhere, this function reads the certificates
/// of the system's authorities, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
///
/// ```no_run
/// use drupe_core::Dial;
/// use drupe_core::tls::{ClientTlsFiles, rustls};
/// use drupe_shell::platform_roots;
/// use std::sync::Arc;
///
/// let provider = Arc::new(rustls::crypto::ring::default_provider());
/// let mut dial: Dial = "tls://example.org:7000".parse()?;
/// dial.fill_tls(|| ClientTlsFiles::new(platform_roots(&provider)?).load(&provider))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the system has no certificates of authorities, or they cannot be read.
pub fn platform_roots(provider: &Arc<CryptoProvider>) -> Result<Roots, TlsError> {
    let verifier = Verifier::new(Arc::clone(provider)).map_err(|error| {
        let cause = match error {
            Error::General(words) => words,
            error => error.to_string(),
        };
        let remedy = "install the system's certificates of authorities, or name a file of them in SSL_CERT_FILE";
        TlsError::Setup(format!("{cause}; {remedy}"))
    })?;
    Ok(Roots::Verifier(Arc::new(verifier)))
}
