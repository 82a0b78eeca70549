//! Settings for outgoing connections, as a part of an application's section.

use super::declare::{choices, settings};
use crate::settings::formats::PATH;
use alloc::string::String;
use alloc::vec::Vec;

settings! {
    /// TLS of an outgoing connection. It applies if the address has TLS, such as `tls://`.
    ClientTlsSettings {
        /// A PEM file of the authorities that issue the server's certificate; if empty, those of the system.
        #[schemars(extend("format" = PATH))]
        ca: String = String::new();
        /// SHA-256 fingerprints of trusted certificates, whatever their issuers, names and dates.
        /// `openssl x509 -fingerprint -sha256` prints one.
        pins: Vec<String> = Vec::new();
        /// Whether to trust every certificate. An attacker on the network can then read and change everything.
        insecure: bool = false;
        /// The name or IP address that the certificate must be for; if empty, the host of the address.
        server_name: String = String::new();
        /// The PEM file of the certificate to show to a server that requests one.
        #[schemars(extend("format" = PATH))]
        certificate: String = String::new();
        /// The PEM file of the private key of `certificate`.
        #[schemars(extend("format" = PATH))]
        key: String = String::new();
        /// The ALPN protocols, in order of preference.
        protocols: Vec<String> = Vec::new();
    }
}

choices! {
    /// The order in which an outgoing connection tries its addresses.
    OrderChoice {
        /// As they are listed.
        #[default]
        InOrder = "in_order",
        /// In a new random order each time.
        Random = "random",
    }
}
