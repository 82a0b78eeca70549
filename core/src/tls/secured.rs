//! The result of a TLS handshake.

use crate::base::setters;
use alloc::string::String;

/// The result of a TLS handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Secured {
    /// The negotiated TLS version, such as `TLSv1.3`.
    pub version: String,
    /// The server name that the peer requested (RFC 6066 section 3), if any.
    pub server_name: Option<String>,
    /// The negotiated ALPN protocol (RFC 7301), if any.
    pub protocol: Option<String>,
    /// The user that the peer's valid client certificate names, if any.
    ///
    /// It is the first subject alternative name, or else the common name.
    pub user: Option<String>,
    /// Whether the handshake resumed an earlier session (RFC 8446 section 2.2).
    pub resumed: bool,
}

setters!(Secured {
    version: String,
    server_name: Option<String>,
    protocol: Option<String>,
    user: Option<String>,
    resumed: bool,
});
