use crate::base::ProxyFault;
use alloc::vec::Vec;

/// The progress of a [`ProxyHandshake`](super::ProxyHandshake).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the caller must handle each")]
pub enum HandshakeProgress {
    /// The answer of the proxy is incomplete.
    Reading,
    /// The proxy has connected. The bytes that follow come from the host.
    Done,
    /// The connection failed.
    Failed(ProxyFault),
}

/// The result of passing received bytes to a protocol.
pub(super) struct Step {
    /// The number of bytes that belong to the answer, at most those received.
    pub(super) used: usize,
    pub(super) progress: HandshakeProgress,
    /// Bytes to send.
    pub(super) output: Vec<u8>,
}

impl Step {
    pub(super) const fn failed(fault: ProxyFault) -> Self {
        Self { used: 0, progress: HandshakeProgress::Failed(fault), output: Vec::new() }
    }

    pub(super) const fn reading() -> Self {
        Self { used: 0, progress: HandshakeProgress::Reading, output: Vec::new() }
    }
}
