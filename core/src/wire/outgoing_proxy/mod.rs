//! Proxies for outgoing connections: HTTP `CONNECT` and SOCKS5, as a client.
//!
//! Do not confuse them with the proxies before this server that report their clients' addresses:
//! those are [`Proxies`](super::Proxies).
//!
//! A [`Dial`](crate::Dial) has its [proxy](crate::Dial::proxy), and a [tunnel](crate::tunnel) its
//! own. What does its own networking uses [`ProxyHandshake`]: it is fed the bytes of the proxy, and
//! returns those to send.
//!
//! ```
//! use drupe_core::wire::outgoing_proxy::{HandshakeProgress, OutgoingProxy, ProxyHandshake};
//!
//! let proxy: OutgoingProxy = "http://proxy.example.org:3128".parse()?;
//! let mut handshake = ProxyHandshake::new(&proxy, "example.org:443").expect("HOST:PORT");
//! let request = handshake.take_output();
//! assert!(request.starts_with(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n"));
//!
//! // The bytes after the answer belong to the next protocol.
//! let used = handshake.receive(b"HTTP/1.1 200 OK\r\n\r\nhello");
//! assert_eq!((used, handshake.progress()), (19, HandshakeProgress::Done));
//! # Ok::<(), drupe_core::wire::outgoing_proxy::OutgoingProxyError>(())
//! ```

mod connect;
mod error;
mod handshake;
mod options;
mod parse;
mod progress;
mod socks;
mod target;

pub use error::OutgoingProxyError;
pub use handshake::ProxyHandshake;
pub use options::{OutgoingProxy, ProxyProtocol};
pub use progress::HandshakeProgress;

#[cfg(test)]
mod tests;
