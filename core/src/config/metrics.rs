use crate::base::setters;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Labels of the metrics, and maximum lengths of the lists of recent errors and durations.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsOptions {
    /// Labels that every series at `/metrics` has. Default: none.
    pub labels: MetricLabels,
    /// Maximum number of recent errors that are kept, from 0 to 1,000. Default: 100.
    ///
    /// Larger values count as 1,000; with 0, none are kept.
    pub errors_kept: u32,
    /// Maximum length of each list of durations, from 0 to 1,000. Default: 100.
    ///
    /// The lists hold the connections that ended last, those that lasted longest, and the longest
    /// work. Larger values count as 1,000; with 0, none are kept.
    pub durations_kept: u32,
}

setters!(MetricsOptions { labels: MetricLabels, errors_kept: u32, durations_kept: u32 });

impl Default for MetricsOptions {
    /// Returns options without labels, with lists of at most 100 entries.
    fn default() -> Self {
        Self { labels: MetricLabels::default(), errors_kept: 100, durations_kept: 100 }
    }
}

impl MetricsOptions {
    pub(crate) fn errors_max(&self) -> usize {
        self.errors_kept.min(KEPT_MAX) as usize
    }

    pub(crate) fn durations_max(&self) -> usize {
        self.durations_kept.min(KEPT_MAX) as usize
    }
}

/// Labels that an operator chooses for all series, such as the environment or the zone.
///
/// ```
/// use drupe_core::MetricLabels;
///
/// let labels = MetricLabels::new([("env", "prod"), ("zone", "a")])?;
/// assert_eq!(labels.iter().collect::<Vec<_>>(), [("env", "prod"), ("zone", "a")]);
/// assert!(MetricLabels::new([("reason", "x")]).is_err());
/// # Ok::<(), drupe_core::MetricLabelError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricLabels(Arc<[(String, String)]>);

/// The error returned for invalid labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricLabelError {
    /// The name is not a valid label name.
    #[error("{0:?} is no label name; use letters, digits and _, and begin with a letter")]
    Name(String),
    /// The name is reserved, because the server uses it or Prometheus adds it.
    #[error("the server or Prometheus sets the label {0}; choose another name")]
    Reserved(String),
    /// The name occurs twice.
    #[error("the label {0} occurs twice")]
    Twice(String),
    /// The name or the value is longer than 128 bytes.
    #[error("the name and the value of the label {0} may have at most {LENGTH_MAX} bytes each")]
    Long(String),
    /// There are more than 16 labels.
    #[error("there may be at most {COUNT_MAX} labels, not {0}")]
    TooMany(usize),
}

impl MetricLabels {
    /// Creates labels from names and values.
    ///
    /// A name has ASCII letters, digits and underscores, and begins with a letter.
    ///
    /// # Errors
    /// If a name is invalid, occurs twice or is used by the server, or if a limit is exceeded: 16
    /// labels, with names and values of 128 bytes.
    pub fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, MetricLabelError> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, value) in labels {
            let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if name.len() > LENGTH_MAX || value.len() > LENGTH_MAX {
                return Err(MetricLabelError::Long(name.chars().take(32).collect()));
            }
            if !is_name {
                return Err(MetricLabelError::Name(name.into()));
            }
            if RESERVED.contains(&name) {
                return Err(MetricLabelError::Reserved(name.into()));
            }
            if found.iter().any(|(known, _)| known == name) {
                return Err(MetricLabelError::Twice(name.into()));
            }
            found.push((name.into(), value.into()));
        }
        if found.len() > COUNT_MAX { Err(MetricLabelError::TooMany(found.len())) } else { Ok(Self(found.into())) }
    }

    /// Returns the pairs of name and value, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns `true` if there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reserved label names: those of the server's own series, and those that Prometheus adds.
const RESERVED: [&str; 7] = ["le", "reason", "endpoint", "tunnel", "error", "instance", "job"];
const COUNT_MAX: usize = 16;
const LENGTH_MAX: usize = 128;
const KEPT_MAX: u32 = 1_000;
