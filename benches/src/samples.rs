//! Medians and ranges of repeated measurements.

/// The samples of one quantity.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a sample.
    pub fn add(&mut self, sample: f64) {
        self.0.push(sample);
        self.0.sort_by(f64::total_cmp);
    }

    /// Returns the median.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.at(50)
    }

    /// Returns the sample below which this percentage of the others lie.
    #[must_use]
    pub fn at(&self, percent: usize) -> f64 {
        let place = (self.0.len().saturating_sub(1) * percent + 50) / 100;
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }

    /// Returns the median and the range of the middle 80 %, each multiplied by `scale`.
    #[must_use]
    pub fn text(&self, scale: f64, decimals: usize) -> String {
        let [low, middle, high] = [10, 50, 90].map(|percent| self.at(percent) * scale);
        format!("{middle:.decimals$} ({low:.decimals$} to {high:.decimals$})")
    }

    /// Returns the median and the range of the middle 80 % of ratios, to stand in brackets after another value.
    #[must_use]
    pub fn ratio(&self) -> String {
        let [low, middle, high] = [10, 50, 90].map(|percent| self.at(percent));
        format!("{middle:.2}, {low:.2} to {high:.2}")
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut sorted: Vec<_> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) const fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn a_median_comes_with_the_range_of_the_middle_80_percent() {
        let samples: Samples = [5, 1, 4, 2, 3, 11, 10, 9, 8, 7, 6].into_iter().map(f64::from).collect();
        assert_eq!(samples.text(10.0, 1), "60.0 (20.0 to 100.0)");
    }
}
