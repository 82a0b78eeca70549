//! The last log lines, which threads write and monitors read.

use crate::base::whole_millis;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Maximum number of lines kept.
const LINES_MAX: usize = 200;

/// A shared buffer through which threads pass log lines to the monitor.
///
/// On a server of several [shards](crate::Shard), the monitors of all shards need clones of the
/// same buffer.
#[derive(Clone, Debug, Default)]
pub struct LogTail(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    /// The last lines, each with its time in milliseconds since 1970.
    last: VecDeque<(u64, String)>,
    /// Number of lines written so far.
    count: u64,
}

impl LogTail {
    /// Adds a line with the current time. Only the last 200 lines are kept.
    pub fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.last.len() >= LINES_MAX {
            lines.last.pop_front();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        lines.last.push_back((whole_millis(since), line.into()));
        lines.count += 1;
    }

    /// Returns the number of lines written so far.
    pub(super) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// Returns the `log` messages of the lines with these numbers that are still kept.
    pub(super) fn messages(&self, numbers: Range<u64>) -> Vec<Value> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = lines.count - lines.last.len() as u64;
        let numbered = (first..).zip(&lines.last).filter(|(number, _)| numbers.contains(number));
        numbered.map(|(_, (at, line))| json!({ "type": "log", "unix_ms": at, "line": line })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn each_reader_gets_each_kept_line_once() {
        let tail = LogTail::default();
        let lines = |numbers| tail.messages(numbers).iter().map(|line| line["line"].clone()).collect::<Vec<_>>();
        assert_eq!((tail.count(), lines(0..9)), (0, Vec::new()));
        (0..3).for_each(|n| tail.push(&format!("{n}")));
        assert_eq!(
            (lines(0..2), lines(2..tail.count()), lines(3..9)),
            (vec!["0".into(), "1".into()], vec!["2".into()], vec![])
        );
        (3..500).for_each(|n| tail.push(&format!("{n}")));
        let kept = lines(0..tail.count());
        assert_eq!((kept.len(), &kept[0], &kept[199]), (LINES_MAX, &"300".into(), &"499".into()));
        assert_eq!(lines(299..301), ["300"], "of those that are gone, none");
    }
}
