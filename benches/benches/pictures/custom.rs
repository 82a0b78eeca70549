//! A measurement in criterion that the benchmarks make themselves.

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter};

/// Values of one unit, for `iter_custom`.
pub(crate) struct Custom(pub(crate) &'static str);

impl Measurement for Custom {
    type Intermediate = ();
    type Value = f64;

    fn start(&self) {}

    /// Only `iter_custom` is used, which does not come here.
    fn end(&self, (): ()) -> f64 {
        f64::NAN
    }

    fn add(&self, one: &f64, other: &f64) -> f64 {
        one + other
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for Custom {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        self.0
    }

    /// Returns the value for each element.
    fn scale_throughputs(&self, _: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        if let Throughput::Elements(elements) = throughput {
            values.iter_mut().for_each(|value| *value /= as_float((*elements).into()));
        }
        self.0
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        self.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "a measured value has less precision")]
pub(crate) fn as_float(value: u128) -> f64 {
    value as f64
}
