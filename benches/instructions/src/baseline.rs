//! The committed counts, and what a new count means.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A count may be above the baseline by this part of it.
const GROWTH_MAX: f64 = 0.03;

/// The counts of one compiler.
#[derive(Debug, PartialEq)]
pub(crate) struct Baseline {
    compiler: String,
    counts: BTreeMap<String, f64>,
}

/// A count beside that of the baseline.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// At most 3 % more or less. With the change in percent.
    Same(f64),
    Fewer(f64),
    More(f64),
    /// The baseline has no such case.
    Unknown,
}

impl Baseline {
    pub(crate) const fn new(compiler: String) -> Self {
        Self { compiler, counts: BTreeMap::new() }
    }

    pub(crate) fn compiler(&self) -> &str {
        &self.compiler
    }

    pub(crate) fn insert(&mut self, case: &str, count: f64) {
        self.counts.insert(case.into(), count);
    }

    pub(crate) fn judge(&self, case: &str, count: f64) -> Verdict {
        let Some(before) = self.counts.get(case) else { return Verdict::Unknown };
        let growth = count / before - 1.0;
        let percent = growth * 100.0;
        if growth > GROWTH_MAX {
            Verdict::More(percent)
        } else if growth < -GROWTH_MAX {
            Verdict::Fewer(percent)
        } else {
            Verdict::Same(percent)
        }
    }
}

impl Verdict {
    pub(crate) const fn is_good(&self) -> bool {
        matches!(self, Self::Same(_) | Self::Fewer(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(percent) => write!(f, "{percent:+.1} %"),
            Self::Fewer(percent) => write!(f, "{percent:+.1} %; the baseline can be lowered with `--update`"),
            Self::More(percent) => write!(f, "{percent:+.1} %: MORE THAN 3 %"),
            Self::Unknown => f.write_str("NOT IN THE BASELINE"),
        }
    }
}

/// The compiler in the first line, then a case and its count in each line.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.compiler)?;
        self.counts.iter().try_for_each(|(case, count)| writeln!(f, "{case} {count:.1}"))
    }
}

impl FromStr for Baseline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let mut baseline = Self::new(lines.next().ok_or("the baseline is empty")?.into());
        for line in lines {
            let count = line.split_once(' ').and_then(|(case, count)| Some((case, count.parse::<f64>().ok()?)));
            let (case, count) =
                count.filter(|(_, count)| *count > 0.0).ok_or_else(|| format!("not a count: {line}"))?;
            baseline.insert(case, count);
        }
        Ok(baseline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline() -> Baseline {
        "rustc 1.0\nlines 100.0\n".parse().expect("a baseline")
    }

    #[test]
    fn only_more_than_three_percent_is_growth() {
        for (count, is_good) in
            [(50.0, true), (97.0, true), (100.0, true), (102.9, true), (103.1, false), (200.0, false)]
        {
            assert_eq!(baseline().judge("lines", count).is_good(), is_good, "{count}");
        }
        assert_eq!(baseline().judge("frames", 1.0), Verdict::Unknown);
        assert!(!Verdict::Unknown.is_good());
    }

    #[test]
    fn baseline_is_read_as_it_was_written() {
        assert_eq!(baseline().to_string().parse(), Ok(baseline()));
    }

    #[test]
    fn malformed_baseline_names_its_line() {
        for line in ["lines", "lines many", "lines 0", "lines -1"] {
            assert_eq!(format!("rustc 1.0\n{line}\n").parse::<Baseline>(), Err(format!("not a count: {line}")));
        }
        assert!("".parse::<Baseline>().is_err());
    }
}
