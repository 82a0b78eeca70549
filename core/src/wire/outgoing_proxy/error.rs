use alloc::string::String;

/// The error for an outgoing proxy that cannot be used.
///
/// It never shows a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutgoingProxyError {
    /// The scheme is unknown.
    #[error("a proxy begins with http://, socks5:// or socks5h://")]
    Scheme,
    /// The scheme is `https`: TLS to the proxy itself.
    #[error(
        "TLS to the proxy (https://) is not supported: use http://, which also carries connections with TLS, or a \
         local program that adds TLS, such as stunnel"
    )]
    Tls,
    /// The address is not `HOST:PORT`, or text follows it.
    #[error(
        "{0:?} is not the address of a proxy: it is HOST:PORT, with a port from 1 to 65535, an IPv6 address in \
         brackets, and no path"
    )]
    Address(String),
    /// A percent sign without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("the user and the password of a proxy are percent-encoded UTF-8: write % as %25, @ as %40 and / as %2F")]
    Escape,
    /// The user is empty, too long or has characters that cannot be sent. The number is the maximum.
    #[error("the user of a proxy has 1 to {0} bytes without control characters, and no colon with http://")]
    User(usize),
    /// The password is too long or has control characters. The number is the maximum.
    #[error("the password of a proxy has at most {0} bytes, and no control characters")]
    Password(usize),
}
