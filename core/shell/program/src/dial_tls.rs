//! Loads the TLS files of outgoing connections in applications' sections.

use drupe_core::settings::ClientTlsSettings;
use drupe_core::tls::{ClientTls, Roots, TlsError};
use rustls::crypto::{CryptoProvider, ring};
use std::sync::Arc;

/// Loads the TLS settings of an outgoing connection.
pub(crate) fn load(settings: &ClientTlsSettings) -> Result<ClientTls, String> {
    let provider = Arc::new(ring::default_provider());
    let files = settings.files(|| system_roots(&provider)).map_err(|error| error.to_string())?;
    let tls = files.load(&provider).map_err(|error| error.to_string())?;
    let server_name = Some(settings.server_name.clone()).filter(|name| !name.is_empty());
    Ok(tls.server_name(server_name))
}

#[cfg(feature = "client")]
fn system_roots(provider: &Arc<CryptoProvider>) -> Result<Roots, TlsError> {
    drupe_shell::platform_roots(provider)
}

#[cfg(not(feature = "client"))]
fn system_roots(_: &Arc<CryptoProvider>) -> Result<Roots, TlsError> {
    let words =
        "this program does not know the authorities of the system: set ca or pins, or build it with the feature client";
    Err(TlsError::Setup(words.into()))
}
