//! Counters and gauges of the application.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A counter or gauge of the application: see [`Hub::register`](crate::Hub::register).
///
/// Names and labels follow the rules of Prometheus (text format 0.0.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    meta: Arc<Meta>,
    pub(super) value: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Meta {
    name: String,
    help: String,
    is_counter: bool,
    labels: Vec<(String, String)>,
}

/// The id of a registered counter or gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(u16);

/// The error for a counter or gauge that cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metric {name:?}: {problem}")]
#[non_exhaustive]
pub struct SeriesError {
    /// The name of the counter or gauge.
    pub name: String,
    /// The reason why the counter or gauge cannot be registered.
    pub problem: SeriesProblem,
}

/// The reason why a counter or gauge cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesProblem {
    /// The server has started already.
    #[error("register it in Event::Started, so that all shards have the same")]
    Late,
    /// There are [`Series::COUNT_MAX`] series already.
    #[error("there are {} series already", Series::COUNT_MAX)]
    Count,
    /// The name is invalid.
    #[error("a name has 1 to 100 letters, digits, _ or :, and does not begin with a digit, drupe_ or process_")]
    Name,
    /// The name of a counter lacks the suffix `_total`, or that of a gauge has it.
    #[error("the name of a counter ends with _total, and no other does")]
    Suffix,
    /// The help text is too long.
    #[error("the help text has more than 200 bytes")]
    Help,
    /// A label is invalid or duplicate, or there are too many labels.
    #[error(
        "there are at most 8 labels, each once; their names have letters, digits or _ and do not begin with a digit or \
         __, and names and values have at most 100 bytes"
    )]
    Label,
    /// Another series has the same name and labels.
    #[error("another one has the same name and labels")]
    Duplicate,
    /// Another series with this name has another kind, help text or label names.
    #[error("another one of this name has another kind, help text, or other names of labels")]
    Different,
}

impl Series {
    /// Maximum number of series of a server.
    pub const COUNT_MAX: usize = 200;

    /// Creates a counter, which only rises. Its name ends with `_total`.
    #[must_use]
    pub fn counter(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(name.into(), help.into(), true)
    }

    /// Creates a gauge, which may fall.
    #[must_use]
    pub fn gauge(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(name.into(), help.into(), false)
    }

    fn new(name: String, help: String, is_counter: bool) -> Self {
        Self { meta: Arc::new(Meta { name, help, is_counter, labels: Vec::new() }), value: 0 }
    }

    /// Adds a label. Use few values: each combination is a series of its own.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.meta).labels.push((name.into(), value.into()));
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.meta.name
    }

    /// Returns the help text.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.meta.help
    }

    /// Returns `true` for a counter, `false` for a gauge.
    #[must_use]
    pub fn is_counter(&self) -> bool {
        self.meta.is_counter
    }

    /// Returns the labels and their values.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.meta.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the current value.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.value
    }

    /// Returns a copy of the series with the value 0.
    pub(super) fn reset(&self) -> Self {
        Self { value: 0, ..self.clone() }
    }

    fn check(&self) -> Result<(), SeriesProblem> {
        let Meta { name, help, is_counter, labels } = &*self.meta;
        if !is_name(name, true) || name.starts_with("drupe_") || name.starts_with("process_") {
            return Err(SeriesProblem::Name);
        }
        if name.ends_with("_total") != *is_counter {
            return Err(SeriesProblem::Suffix);
        }
        if help.len() > HELP_MAX_BYTES {
            return Err(SeriesProblem::Help);
        }
        let is_good = |(name, value): &(String, String)| {
            is_name(name, false) && !name.starts_with("__") && value.len() <= NAME_MAX_BYTES
        };
        let is_once = |(name, _): &(String, String)| labels.iter().filter(|(other, _)| other == name).count() == 1;
        if labels.len() <= LABELS_MAX && labels.iter().all(|label| is_good(label) && is_once(label)) {
            Ok(())
        } else {
            Err(SeriesProblem::Label)
        }
    }

    /// Returns `true` if two series have the same kind, help text and label names.
    ///
    /// Series with the same name must agree in these.
    fn is_like(&self, other: &Self) -> bool {
        let names = |series: &Self| series.labels().map(|(name, _)| String::from(name)).collect::<Vec<_>>();
        self.help() == other.help() && self.is_counter() == other.is_counter() && names(self) == names(other)
    }
}

/// Validates a series, and adds it with the value 0.
pub(crate) fn register(all: &mut Vec<Series>, series: Series, is_late: bool) -> Result<SeriesId, SeriesError> {
    let mut same = all.iter().filter(|other| other.name() == series.name());
    let problem = match series.check() {
        Err(problem) => Some(problem),
        Ok(()) if is_late => Some(SeriesProblem::Late),
        Ok(()) if all.len() >= Series::COUNT_MAX => Some(SeriesProblem::Count),
        Ok(()) if same.clone().any(|other| other.labels().eq(series.labels())) => Some(SeriesProblem::Duplicate),
        Ok(()) => same.any(|other| !other.is_like(&series)).then_some(SeriesProblem::Different),
    };
    if let Some(problem) = problem {
        return Err(SeriesError { name: series.meta.name.clone(), problem });
    }
    let id = SeriesId(u16::try_from(all.len()).unwrap_or(u16::MAX));
    all.push(Series { value: 0, ..series });
    Ok(id)
}

/// Adds `by` to a counter or gauge. Saturates.
pub(crate) fn increase(all: &mut [Series], id: SeriesId, by: u64) {
    if let Some(series) = all.get_mut(usize::from(id.0)) {
        series.value = series.value.saturating_add(by);
    }
}

/// Sets a gauge. Does nothing to a counter.
pub(crate) fn set(all: &mut [Series], id: SeriesId, value: u64) {
    if let Some(series) = all.get_mut(usize::from(id.0)).filter(|series| !series.meta.is_counter) {
        series.value = value;
    }
}

/// Returns `true` for a valid metric name, or a valid label name, which cannot contain colons.
fn is_name(name: &str, is_metric: bool) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || is_metric && byte == b':';
    name.len() <= NAME_MAX_BYTES
        && name.bytes().all(is_part)
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

const NAME_MAX_BYTES: usize = 100;
const HELP_MAX_BYTES: usize = 200;
const LABELS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn right(result: &str) -> Series {
        Series::counter("quiz_answers_total", "Answers, by \\ result.\nMore.").label("result", result)
    }

    #[test]
    fn series_follow_the_rules_of_prometheus() {
        let mut all = Vec::new();
        register(&mut all, right("right"), false).expect("good");
        let mut problem = |series| register(&mut all, series, false).expect_err("wrong").problem;
        for name in ["", "1x", "a-b", "ü", "drupe_x", "process_x", &"x".repeat(101)] {
            assert_eq!(problem(Series::gauge(name, "")), SeriesProblem::Name, "{name}");
        }
        assert_eq!(problem(Series::gauge("x_total", "")), SeriesProblem::Suffix);
        assert_eq!(problem(Series::counter("x", "")), SeriesProblem::Suffix);
        assert_eq!(problem(Series::gauge("x", "y".repeat(201))), SeriesProblem::Help);
        for label in ["", "a:b", "__x", "1", "ü"] {
            assert_eq!(problem(Series::gauge("x", "").label(label, "")), SeriesProblem::Label, "{label}");
        }
        assert_eq!(problem(Series::gauge("x", "").label("a", "1").label("a", "2")), SeriesProblem::Label);
        assert_eq!(problem(Series::gauge("x", "").label("a", "1".repeat(101))), SeriesProblem::Label);
        let nine = (0..9).fold(Series::gauge("x", ""), |series, number| series.label(alloc::format!("a{number}"), ""));
        assert_eq!(problem(nine), SeriesProblem::Label);
        assert_eq!(problem(right("right")), SeriesProblem::Duplicate);
        assert_eq!(problem(Series::counter("quiz_answers_total", "Other.")), SeriesProblem::Different);
        assert_eq!(problem(right("wrong").label("more", "")), SeriesProblem::Different);
        assert!(register(&mut all, right("wrong"), false).is_ok());
        let late = register(&mut all, Series::gauge("a:b_1", ""), true).expect_err("late");
        assert_eq!(late.problem, SeriesProblem::Late);
        for number in all.len()..Series::COUNT_MAX {
            register(&mut all, Series::gauge(alloc::format!("x{number}"), ""), false).expect("there is room");
        }
        let full = register(&mut all, Series::gauge("x", ""), false).expect_err("full");
        assert_eq!(full.problem, SeriesProblem::Count);
    }

    #[test]
    fn series_are_grouped_and_escaped_and_added_up_over_shards() {
        let mut shards = [Metrics::default(), Metrics::default()];
        for metrics in &mut shards {
            let first = register(&mut metrics.application, right("right"), false).expect("good");
            let gauge =
                register(&mut metrics.application, Series::gauge("quiz_rounds", "Rounds."), false).expect("good");
            let last = register(&mut metrics.application, right("a \"b\"\\\n"), false).expect("good");
            increase(&mut metrics.application, first, 2);
            increase(&mut metrics.application, last, u64::MAX);
            increase(&mut metrics.application, last, 1);
            set(&mut metrics.application, gauge, 7);
            set(&mut metrics.application, first, 0);
        }
        let mut sum = Metrics::default();
        shards.iter().for_each(|shard| sum.add(shard));
        let text = sum.exposition();
        let expected = "# HELP quiz_answers_total Answers, by \\\\ result.\\nMore.\n\
            # TYPE quiz_answers_total counter\n\
            quiz_answers_total{result=\"right\"} 4\n\
            quiz_answers_total{result=\"a \\\"b\\\"\\\\\\n\"} 18446744073709551615\n\
            # HELP quiz_rounds Rounds.\n# TYPE quiz_rounds gauge\nquiz_rounds 14\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
