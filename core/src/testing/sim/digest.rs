//! Digests for comparing a run with its replay.

/// A digest of a byte sequence: FNV-1a (Fowler, Noll and Vo), 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    pub(super) fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    /// Mixes in the first `bytes` bytes of `slices`.
    pub(super) fn mix_first<'a>(&mut self, mut bytes: usize, slices: impl Iterator<Item = &'a [u8]>) {
        for slice in slices {
            let take = slice.len().min(bytes);
            self.mix(&slice[..take]);
            bytes -= take;
        }
    }
}
