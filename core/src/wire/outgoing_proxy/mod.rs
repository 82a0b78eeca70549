//! Proxies for outgoing connections: HTTP `CONNECT` and SOCKS5, as a client.
//!
//! [`Proxies`](super::Proxies) is for the other direction: proxies before this server, which report
//! the addresses of its clients.
//!
//! [`Dial::proxy`](crate::Dial::proxy) and [`Ssh::proxy`](crate::tunnel::Ssh::proxy) set the proxy
//! of a dial and of a tunnel. Code that does its own networking uses [`ProxyHandshake`]: it feeds
//! it the bytes of the proxy, and sends the bytes that it returns.
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
