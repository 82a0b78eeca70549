use crate::base::lazy_box::{HasEmpty, LazyBox};
use crate::base::work;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

/// Received bytes of a connection that wait to be decoded.
///
/// Serving from the front moves the rest only occasionally, so serving little by little costs no
/// more than serving everything at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    /// Number of bytes at the front that were decoded already.
    served: usize,
}

impl Held {
    /// Removes the first `bytes` bytes, which have been decoded.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.served = (self.served + bytes).min(self.bytes.len());
        if 2 * self.served > self.bytes.len() {
            work::step(self.len());
            self.bytes.drain(..self.served);
            self.served = 0;
        }
    }

    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        work::step(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.served..).unwrap_or_default()
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.served..).unwrap_or_default()
    }
}

impl HasEmpty for Held {
    const EMPTY: &'static Self = &Self { bytes: Vec::new(), served: 0 };
}

impl LazyBox<Held> {
    /// Stores `rest`, or frees the memory if `rest` is empty.
    pub(crate) fn keep(&mut self, rest: Held) {
        self.set((!rest.is_empty()).then_some(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn held_agrees_with_a_byte_queue(steps in prop::collection::vec((any::<bool>(), 0..200usize), 0..60)) {
            let (mut held, mut model, mut next) = (Held::default(), Vec::new(), 0_u8);
            for (comes, count) in steps {
                if comes {
                    let bytes: Vec<u8> = (0..count).map(|_| { next = next.wrapping_add(1); next }).collect();
                    held.extend_from_slice(&bytes);
                    model.extend_from_slice(&bytes);
                } else {
                    held.consume(count);
                    model.drain(..count.min(model.len()));
                }
                prop_assert_eq!(&*held, &model[..]);
                prop_assert!(held.bytes.len() <= 2 * model.len());
            }
        }
    }

    #[test]
    fn held_consumes_single_bytes_in_linear_time() {
        let mut held = Held::default();
        held.extend_from_slice(&[0; 10_000]);
        let ((), steps) = work::steps_of(|| (0..10_000).for_each(|_| held.consume(1)));
        assert!(held.is_empty() && steps <= 10_000, "{steps}");
    }
}
