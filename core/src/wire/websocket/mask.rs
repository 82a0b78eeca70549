use super::Role;
use sha1::{Digest, Sha1};

/// What a client's frames are masked with: a fresh key for each, which nobody can foretell who does not know the seed
/// (RFC 6455 section 5.3).
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
        let mut hash = Sha1::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.count.to_be_bytes());
        self.count += 1;
        hash.finalize().first_chunk().copied()
    }
}
