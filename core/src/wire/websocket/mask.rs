use super::Role;
use sha1::{Digest, Sha1};

/// What a client draws that its server reads: a fresh key to mask each frame with (RFC 6455 section 5.3), and the nonce of each
/// handshake (section 4.1). Hashed, so that nobody can compute the next one, or the seed, from those that were seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masks {
    seed: u64,
    count: u64,
}

impl Masks {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// The key of the next frame that this end sends; a server sends its frames plain.
    pub(crate) fn next(&mut self, role: Role) -> Option<[u8; 4]> {
        if role == Role::Server {
            return None;
        }
        self.hash().first_chunk().copied()
    }

    /// What the next `Sec-WebSocket-Key` encodes.
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
