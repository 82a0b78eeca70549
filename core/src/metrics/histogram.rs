/// Number of buckets.
pub(super) const BUCKETS: usize = 40;

/// A histogram with buckets at powers of two.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    count: u64,
    sum: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], count: 0, sum: 0 }
    }
}

impl Histogram {
    pub(super) fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.buckets.iter_mut().chain([&mut self.count, &mut self.sum])
    }

    pub(crate) fn record(&mut self, value: u64) {
        let bucket = (u64::BITS - value.saturating_sub(1).leading_zeros()) as usize;
        self.buckets[if value == 0 { 0 } else { bucket.min(BUCKETS - 1) }] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Returns the number of recorded values.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the sum of all recorded values. Saturates.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// Returns the buckets: ascending upper bounds (1, 2, 4, ...), each with its number of values.
    ///
    /// A bucket holds the values above the previous bound and up to its own. The last one, 2^39,
    /// also holds all greater values.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets.iter().enumerate().map(|(power, &count)| (1 << power, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_uses_the_first_bucket_that_fits_the_value() {
        for (value, bound) in [(0, 1), (1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (1025, 2048), (u64::MAX, 1 << 39)] {
            let mut histogram = Histogram::default();
            histogram.record(value);
            let found = histogram.buckets().find(|&(_, count)| count == 1).map(|(bound, _)| bound);
            assert_eq!(found, Some(bound), "{value}");
        }
    }
}
