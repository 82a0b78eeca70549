use super::Role;
use sha1::{Digest, Sha1};

/// Generator of a client's masking keys and handshake nonces (RFC 6455 sections 5.3 and 4.1).
///
/// They are hashes of a seed and a counter, so a server cannot compute the seed or the next value
/// from those that it has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masks {
    seed: u64,
    count: u64,
}

impl Masks {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// Returns the masking key of the next frame to send, or `None` for a server.
    pub(crate) fn next(&mut self, role: Role) -> Option<[u8; 4]> {
        if role == Role::Server {
            return None;
        }
        self.hash().first_chunk().copied()
    }

    /// Returns the value that the next `Sec-WebSocket-Key` encodes.
    pub(crate) fn nonce(&mut self) -> [u8; 16] {
        self.hash().first_chunk().copied().unwrap_or_default()
    }

    fn hash(&mut self) -> [u8; 20] {
        let mut hash = Sha1::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.count.to_be_bytes());
        self.count += 1;
        hash.finalize().into()
    }
}
