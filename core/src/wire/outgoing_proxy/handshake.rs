//! The client's side of the handshake with a proxy, without I/O.

use super::connect::Connect;
use super::options::{OutgoingProxy, ProxyProtocol};
use super::progress::{HandshakeProgress, Step};
use super::socks::Socks;
use super::target::Target;
use crate::base::ProxyFault;
use alloc::vec::Vec;
use core::fmt;

/// The client's handshake with a proxy, which requests a connection to a host.
///
/// The caller writes [`take_output`](Self::take_output), and feeds what the proxy sends to
/// [`receive`](Self::receive), until the [`progress`](Self::progress) is not
/// [`Reading`](HandshakeProgress::Reading). It repeats that after each call of `receive`, and
/// limits the time.
///
/// The handshake keeps at most 8 KiB of the answer. Any split of the answer gives the same result.
pub struct ProxyHandshake {
    protocol: Protocol,
    output: Vec<u8>,
    progress: HandshakeProgress,
}

enum Protocol {
    HttpConnect(Connect),
    Socks5(Socks),
}

impl ProxyHandshake {
    /// Begins a handshake that requests a connection to `target`, which is `HOST:PORT`.
    ///
    /// # Errors
    /// [`ProxyFault::BadTarget`] if `target` is not `HOST:PORT`, or its host is neither an IP
    /// address nor a name of at most 255 printable ASCII characters.
    pub fn new(proxy: &OutgoingProxy, target: &str) -> Result<Self, ProxyFault> {
        let parsed = Target::parse(target)?;
        let credentials = proxy.credentials.as_ref();
        let (protocol, output) = match proxy.protocol {
            ProxyProtocol::HttpConnect => {
                let (connect, request) = Connect::begin(target, credentials);
                (Protocol::HttpConnect(connect), request)
            }
            ProxyProtocol::Socks5 => {
                let (socks, greeting) = Socks::begin(parsed, credentials);
                (Protocol::Socks5(socks), greeting)
            }
        };
        Ok(Self { protocol, output, progress: HandshakeProgress::Reading })
    }

    /// Removes and returns the bytes to send to the proxy now, often none.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Handles bytes from the proxy. Returns how many of them belong to its answer.
    ///
    /// The others follow the answer and belong to the next protocol. There are none unless the
    /// handshake is [done](HandshakeProgress::Done).
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        if self.progress != HandshakeProgress::Reading {
            return 0;
        }
        let Step { used, mut progress, output } = match &mut self.protocol {
            Protocol::HttpConnect(connect) => connect.receive(bytes),
            Protocol::Socks5(socks) => socks.receive(bytes),
        };
        self.output.extend_from_slice(&output);
        if progress == HandshakeProgress::Done && !self.output.is_empty() {
            // The proxy answered a request that is not sent yet, so these bytes are not its answer.
            progress = HandshakeProgress::Failed(ProxyFault::NotProxy);
        }
        self.progress = progress;
        match progress {
            HandshakeProgress::Done => used,
            HandshakeProgress::Reading | HandshakeProgress::Failed(_) => bytes.len(),
        }
    }

    /// Returns the progress of the handshake.
    #[must_use]
    pub const fn progress(&self) -> HandshakeProgress {
        self.progress
    }
}

impl fmt::Debug for ProxyHandshake {
    /// Hides the output, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyHandshake").field("progress", &self.progress).finish_non_exhaustive()
    }
}
