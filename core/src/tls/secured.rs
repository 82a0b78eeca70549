//! What a TLS handshake has agreed on.

use crate::base::setters;
use alloc::string::String;

/// The result of a TLS handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Secured {
    /// The version, such as `TLSv1.3`.
    pub version: String,
    /// The requested server name (RFC 6066 section 3).
    pub server_name: Option<String>,
    /// The negotiated ALPN protocol (RFC 7301).
    pub protocol: Option<String>,
    /// The user of a valid client certificate, if one was requested.
    ///
    /// It is the first subject alternative name, or else the common name.
    pub user: Option<String>,
    /// Whether an earlier session was resumed (RFC 8446 section 2.2).
    pub resumed: bool,
}

setters!(Secured {
    version: String,
    server_name: Option<String>,
    protocol: Option<String>,
    user: Option<String>,
    resumed: bool,
});
