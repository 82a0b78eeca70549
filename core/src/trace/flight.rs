use super::recording::{Recording, ShardRecording};
use crate::facts::record::Recorder;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Maximum number of configurations that are kept, the first one among them.
const CONFIGURATIONS_MAX: usize = 32;
/// The number of parts in which a shard's facts are dropped.
const PARTS: usize = 16;

/// Keeps the last facts of all machines of a server in memory, within a bound, until they are needed.
///
/// It is cheap enough to run always, but not free: each fact is written as a line of text.
///
/// ```
/// use drupe_core::trace::{FlightRecorder, Recording};
/// use drupe_core::{Config, Machine, Time, app::Echo};
///
/// let flight = FlightRecorder::new(8 << 20);
/// let mut machine = Machine::new(Config::default(), Echo);
/// machine.record(flight.recorder(0));
/// machine.started(Time::START);
/// let recording = flight.recording("0.1.0", "something was wrong");
/// assert!(recording.shards[0].facts.contains("0 started"));
/// assert_eq!(Recording::parse(&recording.text())?.why, "something was wrong");
/// # Ok::<(), drupe_core::trace::RecordingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FlightRecorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    shards: Mutex<BTreeMap<u8, Arc<Mutex<Ring>>>>,
    configurations: Mutex<Vec<String>>,
}

impl FlightRecorder {
    /// Creates a recorder that keeps at most `bytes_max` bytes for each shard, and at least the last line.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared { bytes_max, shards: Mutex::default(), configurations: Mutex::default() }))
    }

    /// Returns a recorder for the machine of a shard, which omits notes and, where the handler holds them, secrets.
    ///
    /// A recording in which a note is missing cannot be replayed: see [`Obstacle::Note`](super::Obstacle::Note). A second
    /// recorder for a shard takes the place of the first one.
    #[must_use]
    pub fn recorder<N>(&self, shard: u8) -> Recorder<N> {
        Recorder::without_notes(self.sink(shard)).with_sums()
    }

    /// Returns a [`recorder`](Self::recorder) that also writes notes, as text.
    ///
    /// A replay parses them again, so the text of each note must be one that `FromStr` understands.
    #[must_use]
    pub fn recorder_with_notes<N: fmt::Display>(&self, shard: u8) -> Recorder<N> {
        Recorder::new(self.sink(shard)).with_sums()
    }

    /// Adds a shard. Returns a function that keeps its lines.
    fn sink(&self, shard: u8) -> impl FnMut(&str) + Send + use<> {
        let ring = Arc::new(Mutex::new(Ring::new(self.0.bytes_max)));
        locked(&self.0.shards).insert(shard, Arc::clone(&ring));
        move |line| locked(&ring).put(line)
    }

    /// Notes the configuration of the start or of a reload, as text. If there are many, the second one is dropped.
    pub fn configured(&self, text: impl Into<String>) {
        let mut all = locked(&self.0.configurations);
        if all.len() >= CONFIGURATIONS_MAX {
            all.remove(1);
        }
        all.push(text.into());
    }

    /// Returns what is kept, with the version of the program and the reason why it is wanted.
    #[must_use]
    pub fn recording(&self, version: &str, why: &str) -> Recording {
        let shards = locked(&self.0.shards).clone();
        let shards = shards.into_iter().map(|(shard, ring)| {
            let (facts, dropped) = locked(&ring).text();
            ShardRecording { shard, dropped, facts, line: 0 }
        });
        Recording {
            version: version.into(),
            why: why.into(),
            configurations: locked(&self.0.configurations).clone(),
            shards: shards.collect(),
            is_edited: false,
        }
    }
}

/// The last lines of one machine.
#[derive(Debug)]
struct Ring {
    bytes_max: usize,
    parts: VecDeque<Part>,
    bytes: usize,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Part {
    text: String,
    lines: u64,
}

impl Ring {
    const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, parts: VecDeque::new(), bytes: 0, dropped: 0 }
    }

    fn put(&mut self, line: &str) {
        let part_max = self.bytes_max / PARTS;
        self.bytes += line.len();
        if self.parts.back().is_none_or(|part| part.text.len() + line.len() > part_max) {
            let mut text = String::new();
            while self.bytes > self.bytes_max
                && let Some(oldest) = self.parts.pop_front()
            {
                self.bytes -= oldest.text.len();
                self.dropped += oldest.lines;
                text = oldest.text;
            }
            text.clear();
            // A line that is longer than a part must not keep its memory.
            text.shrink_to(part_max);
            self.parts.push_back(Part { text, lines: 0 });
        }
        if let Some(part) = self.parts.back_mut() {
            part.text.push_str(line);
            part.lines += 1;
        }
    }

    /// Returns all lines, and the number of those that were dropped before.
    fn text(&self) -> (String, u64) {
        (self.parts.iter().map(|part| &*part.text).collect(), self.dropped)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ring_keeps_the_last_lines_within_its_bound(
            bytes_max in 0_usize..2_000,
            lengths in proptest::collection::vec(0_usize..300, 0..200),
        ) {
            let mut ring = Ring::new(bytes_max);
            let lines: Vec<_> = lengths.iter().map(|length| format!("{}\n", "x".repeat(*length))).collect();
            for line in &lines {
                ring.put(line);
            }
            let (text, dropped) = ring.text();
            let kept: String = lines[usize::try_from(dropped).expect("small")..].concat();
            prop_assert_eq!(&text, &kept);
            let longest = lines.iter().map(String::len).max().unwrap_or(0);
            prop_assert!(text.len() <= bytes_max.max(longest) + bytes_max / PARTS, "{} of {}", text.len(), bytes_max);
            prop_assert!(!text.is_empty() || lines.is_empty());
            // Not more than one part too many is dropped.
            let all: usize = lines.iter().map(String::len).sum();
            prop_assert!(dropped == 0 || all > bytes_max);
        }
    }
}
