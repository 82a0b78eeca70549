use alloc::vec::Vec;

/// Reserves room for `more` bytes: doubles the capacity, but exceeds `max` only if needed.
pub(crate) fn grow(buffer: &mut Vec<u8>, more: usize, max: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        let target = needed.max(2 * buffer.capacity()).min(needed.max(max));
        buffer.reserve_exact(target - buffer.len());
    }
}
