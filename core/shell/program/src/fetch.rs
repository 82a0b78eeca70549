//! Fetching a set of public keys over HTTP: bounded in size and time, without redirects.

use drupe_core::files;
use drupe_core::kit::auth::KEY_SET_MAX_BYTES;
use drupe_core::settings::KeySetUrl;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
use std::sync::Arc;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// Maximum size of the head of a response, in bytes.
const HEAD_MAX_BYTES: usize = 32 << 10;

/// Checks the file of the authorities, if one is configured. Sends no request.
pub(crate) fn check(source: &KeySetUrl) -> Result<(), String> {
    if source.authorities.is_empty() { Ok(()) } else { authorities(source).map(drop) }
}

/// Fetches the text of a key set, at most 1 MiB.
///
/// An HTTPS proxy in the environment (`HTTPS_PROXY`) is used, except for a URL on this machine.
pub(crate) fn fetch(source: &KeySetUrl, provider: &Arc<CryptoProvider>) -> Result<Vec<u8>, String> {
    let config = Agent::config_builder()
        .https_only(!source.is_local)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(source.timeout))
        .max_response_header_size(HEAD_MAX_BYTES)
        .accept("application/jwk-set+json, application/json")
        .user_agent("drupe");
    let config = if source.is_local {
        config.proxy(None)
    } else {
        let roots = RootCerts::new_with_certs(&authorities(source)?);
        let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(roots);
        config.tls_config(tls.unversioned_rustls_crypto_provider(Arc::clone(provider)).build())
    };
    let agent: Agent = config.build().new_agent();
    let mut response = agent.get(&source.url).call().map_err(|error| error.to_string())?;
    let status = response.status();
    if status.is_redirection() {
        return Err(format!("the server redirects ({}), which is not followed; set the final URL", status.as_u16()));
    }
    if status.as_u16() != 200 {
        return Err(format!("the server answers {status}"));
    }
    let limit = KEY_SET_MAX_BYTES as u64;
    response.body_mut().with_config().limit(limit).read_to_vec().map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => format!("the key set is longer than {} KiB", limit >> 10),
        error => error.to_string(),
    })
}

/// Returns the certificates of the authorities: those of the file, or those of the system.
fn authorities(source: &KeySetUrl) -> Result<Vec<Certificate<'static>>, String> {
    let path = &source.authorities;
    let (found, place) = if path.is_empty() {
        // Certificates of the system that can't be read are as good as absent.
        (rustls_native_certs::load_native_certs().certs, "the system's certificates")
    } else {
        let blame = |words: String| format!("can't read jwks_authorities {path}: {words}");
        let pem = files::read(Path::new(path), files::TEXT_MAX_BYTES).map_err(|error| blame(error.to_string()))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        (found.map_err(|error| blame(error.to_string()))?, &**path)
    };
    if found.is_empty() {
        return Err(format!("there is no certificate of an authority in {place}; set jwks_authorities"));
    }
    Ok(found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}
