//! Random marks and epochs.

use super::position::Position;
use core::hash::Hasher;
#[expect(deprecated, reason = "the standard library has no other hash with a key in `core`")]
use core::hash::SipHasher;

/// A source of marks and epochs.
///
/// Peers see them, so they come from a function with a secret key (SipHash): unlike the numbers of
/// [`Random`](crate::Random), they reveal none of the others.
#[derive(Debug)]
pub(crate) struct Marks {
    key: u64,
    count: u64,
}

impl Marks {
    pub(crate) const fn new(key: u64) -> Self {
        Self { key, count: 0 }
    }

    /// Returns the next random number, which is neither 0 nor [`Position::ANY_MARK`].
    pub(crate) fn next(&mut self) -> u64 {
        self.count += 1;
        #[expect(deprecated, reason = "see above")]
        let mut hasher = SipHasher::new_with_keys(self.key, self.key.rotate_left(32) ^ 0x6d61_726b);
        hasher.write_u64(self.count);
        hasher.finish().clamp(1, Position::ANY_MARK - 1)
    }
}
