use super::replay::{Comparison, compare};
use crate::base::{ConnId, Time};
use crate::config::Config;
use crate::facts::record::{CONCEALED, OPENED, TraceError, WITHOUT_TEXT};
use crate::handler::Handler;
use crate::machine::Machine;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::str::FromStr;

/// The first line of a recording, before the number of its format.
const FIRST: &str = "drupe recording ";
/// The format that this version reads and writes.
const FORMAT: &str = "1";

/// What a [`FlightRecorder`](super::FlightRecorder) wrote: the last facts of each shard, and the configurations.
///
/// Its text has one line for each part:
///
/// ```text
/// drupe recording 1
/// version 0.1.0
/// why SIGUSR1
/// configuration
/// | workers: 2
/// shard 0 0
/// seed 7
/// 0 started
/// 1000000 accepted 0 127.0.0.1:40000
/// # opened 0.1
/// # sum 0.1 4f9f2cab
/// 1500000 wrote 0.1 6
/// end 5a1e9f0c3b7d2846
/// ```
///
/// The lines of a configuration begin with `|`; there is one configuration for the start and for each
/// reload. `shard` has the number of the shard and the number of its first lines that were dropped,
/// because newer ones took their place. The facts are those of a [trace](super). `# opened` has the
/// connection that the fact before it opened. `# sum` has the checksum of the bytes that the next fact
/// says were written. `end` has a checksum of all lines before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// The version of the program that wrote it.
    pub version: String,
    /// Why it was written.
    pub why: String,
    /// The configurations as text: that of the start, and that of each reload.
    pub configurations: Vec<String>,
    /// The shards of the server, by number.
    pub shards: Vec<ShardRecording>,
    /// Whether the text was changed after it was written.
    pub is_edited: bool,
}

/// The last facts of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardRecording {
    /// The number of the shard, from 0.
    pub shard: u8,
    /// Number of lines that were dropped before the first one.
    pub dropped: u64,
    /// The facts: a [trace](super).
    pub facts: String,
    /// The number of the line before the first fact.
    pub line: u32,
}

/// Why a text is no recording that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The first line is another one.
    #[error("line 1: this is no recording: expected `drupe recording`")]
    Other,
    /// Another version of this library wrote it.
    #[error("line 1: the recording has format {found}, and this version reads format 1")]
    Format {
        /// The format of the recording.
        found: String,
    },
    /// The last line is missing, so that facts may be missing too.
    #[error("line {line}: the recording is cut: it ends without `end`")]
    Cut {
        /// The number of the last line.
        line: u32,
    },
    /// A line is not what belongs there.
    #[error("line {line} of the recording: expected {expected}")]
    Line {
        /// The number of the line, from 1.
        line: u32,
        /// What belongs there.
        expected: &'static str,
    },
}

/// Why the facts of a shard cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// The first lines were dropped, because newer ones took their place.
    #[error("its first {count} lines were dropped, because newer ones took their place")]
    Dropped {
        /// The number of lines.
        count: u64,
    },
    /// A [note](crate::Handler::Note) is missing: the recorder could not write it as text.
    #[error(
        "line {line} of the recording: a note for the application is missing, because it cannot be written as text"
    )]
    Note {
        /// The number of its line in the recording, from 1.
        line: u32,
    },
    /// What peers sent is omitted, or what notes have, because the application may receive secrets.
    #[error("it omits what peers sent, because an application may receive secrets")]
    Secrets,
}

impl Recording {
    /// Reads the text of a recording.
    ///
    /// # Errors
    /// If it is none, is cut, or has another format.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let mut lines = text.lines().zip(1..).peekable();
        let (first, _) = lines.next().ok_or(RecordingError::Other)?;
        let found = first.strip_prefix(FIRST).ok_or(RecordingError::Other)?;
        if found != FORMAT {
            return Err(RecordingError::Format { found: found.chars().take(20).collect() });
        }
        let mut word = |name: &'static str, expected| match lines.next() {
            Some((line, number)) => {
                line.strip_prefix(name).map(ToOwned::to_owned).ok_or(RecordingError::Line { line: number, expected })
            }
            None => Err(RecordingError::Cut { line: 1 }),
        };
        let version = word("version ", "`version` and the version of the program")?;
        let why = word("why ", "`why` and the reason")?;
        let (mut configurations, mut shards) = (Vec::<String>::new(), Vec::<ShardRecording>::new());
        let mut last = 3;
        for (line, number) in lines {
            last = number;
            if let Some(sum) = line.strip_prefix("end ") {
                let before = line.as_ptr() as usize - text.as_ptr() as usize;
                let is_edited = text.get(..before).map(sum_of_text).as_deref() != Some(sum);
                return Ok(Self { version, why, configurations, shards, is_edited });
            }
            if line == "configuration" {
                configurations.push(String::new());
            } else if let (Some(value), Some(all), true) =
                (line.strip_prefix("| "), configurations.last_mut(), shards.is_empty())
            {
                all.push_str(value);
                all.push('\n');
            } else if let Some(words) = line.strip_prefix("shard ") {
                const EXPECTED: &str = "`shard`, its number and the number of dropped lines";
                let numbers = words.split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                let (shard, dropped) = numbers.ok_or(RecordingError::Line { line: number, expected: EXPECTED })?;
                shards.push(ShardRecording { shard, dropped, facts: String::new(), line: number });
            } else if let Some(shard) = shards.last_mut() {
                shard.facts.push_str(line);
                shard.facts.push('\n');
            } else {
                return Err(RecordingError::Line { line: number, expected: "`configuration`, `|` or `shard`" });
            }
        }
        Err(RecordingError::Cut { line: last })
    }

    /// Returns the text of the recording.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{FIRST}{FORMAT}\nversion {}\nwhy {}\n", one_line(&self.version), one_line(&self.why));
        // Writing to a string cannot fail.
        for configuration in &self.configurations {
            text.push_str("configuration\n");
            for line in configuration.lines() {
                let _ = writeln!(text, "| {line}");
            }
        }
        for ShardRecording { shard, dropped, facts, .. } in &self.shards {
            let _ = writeln!(text, "shard {shard} {dropped}");
            text.push_str(facts);
        }
        let sum = sum_of_text(&text);
        let _ = writeln!(text, "end {sum}");
        text
    }
}

impl ShardRecording {
    /// Returns why these facts cannot be replayed, or `None` if they can.
    ///
    /// An obstacle that every recording of the program would have comes before one that a setting removes.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        if self.dropped > 0 {
            return Some(Obstacle::Dropped { count: self.dropped });
        }
        // `TIME received CONNECTION concealed BYTES` and `# TIME noted concealed`.
        let omitted = |line: &str| line.split(' ').nth(3).is_some_and(|word| [CONCEALED, WITHOUT_TEXT].contains(&word));
        let mut lines =
            self.facts.lines().zip(self.line.saturating_add(1)..).filter(|(line, _)| omitted(line)).peekable();
        lines.peek()?;
        let note = lines.find(|(line, _)| line.ends_with(WITHOUT_TEXT));
        Some(note.map_or(Obstacle::Secrets, |(_, line)| Obstacle::Note { line }))
    }

    /// Replays the facts on a new machine as [`compare`] does. The numbers of lines are those of the recording.
    ///
    /// # Errors
    /// As [`compare`].
    pub fn compare<H: Handler>(
        &self,
        machine: &mut Machine<H>,
        reloads: impl IntoIterator<Item = Config>,
    ) -> Result<Comparison, TraceError>
    where
        H::Note: FromStr,
    {
        let in_recording = |line: u32| line.saturating_add(self.line);
        let found = compare(&self.facts, machine, reloads);
        let mut found = found.map_err(|error| TraceError { line: in_recording(error.line), ..error })?;
        found.first.iter_mut().for_each(|first| first.line = in_recording(first.line));
        found.writes.iter_mut().for_each(|write| write.line = in_recording(write.line));
        Ok(found)
    }

    /// Returns the recording without the facts after this time.
    #[must_use]
    pub fn until(&self, last: Time) -> Self {
        let is_later = |line: &str| {
            let time = line.trim_start_matches("# ").split(' ').next();
            time.and_then(|time| time.parse().ok()).is_some_and(|nanos: u64| nanos > last.as_nanos())
        };
        // Facts are in the order of their times.
        let kept = self.facts.split_inclusive('\n').take_while(|line| !is_later(line));
        Self { facts: kept.collect(), ..self.clone() }
    }
}

/// Returns the connection that the fact before this line of a recording opened, if the line says so.
#[must_use]
pub fn opened(line: &str) -> Option<ConnId> {
    line.strip_prefix(OPENED)?.parse().ok()
}

fn one_line(text: &str) -> String {
    text.chars().map(|found| if found.is_control() { ' ' } else { found }).collect()
}

/// FNV-1a with 64 bits.
fn sum_of_text(text: &str) -> String {
    let add = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn recording() -> Recording {
        let facts = "seed 7\n0 started\n# sum 0.1 4f9f2cab\n1500000 wrote 0.1 6\n".to_string();
        Recording {
            version: "0.1.0".into(),
            why: "SIGUSR1".into(),
            configurations: vec!["workers: 2\nlisten: x\n".into(), String::new()],
            shards: vec![ShardRecording { shard: 0, dropped: 0, facts, line: 8 }],
            is_edited: false,
        }
    }

    #[test]
    fn recordings_are_written_and_read() {
        let recording = recording();
        assert_eq!(Recording::parse(&recording.text()), Ok(recording.clone()));
        assert_eq!(recording.shards[0].obstacle(), None);
    }

    #[test]
    fn what_is_no_recording_is_named() {
        let text = recording().text();
        let format = RecordingError::Format { found: "2".into() };
        let line = |line, expected| RecordingError::Line { line, expected };
        for (text, expected) in [
            (String::new(), RecordingError::Other),
            ("GET / HTTP/1.1".into(), RecordingError::Other),
            (text.replace("recording 1", "recording 2"), format),
            (text.replace("version ", "v "), line(2, "`version` and the version of the program")),
            (text.replace("why ", "w "), line(3, "`why` and the reason")),
            (text.replace("configuration\n", ""), line(4, "`configuration`, `|` or `shard`")),
            (text.replace("shard 0 0", "shard 0"), line(8, "`shard`, its number and the number of dropped lines")),
            (text[..text.len() - 30].into(), RecordingError::Cut { line: 12 }),
            (text[..60].into(), RecordingError::Cut { line: 5 }),
        ] {
            assert_eq!(Recording::parse(&text), Err(expected), "{text}");
        }
        let edited = Recording::parse(&text.replace("wrote 0.1 6", "wrote 0.1 7"));
        assert!(edited.is_ok_and(|recording| recording.is_edited));
    }

    #[test]
    fn facts_that_are_not_all_there_are_no_trace() {
        let mut recording = recording();
        recording.shards[0].dropped = 3;
        assert_eq!(recording.shards[0].obstacle(), Some(Obstacle::Dropped { count: 3 }));
        let of = |facts: String| ShardRecording { shard: 0, dropped: 0, facts, line: 8 }.obstacle();
        let (concealed, note) = (format!("0 received 0.1 {CONCEALED} 5\n"), format!("# 7 noted {WITHOUT_TEXT}\n"));
        assert_eq!(of(concealed.clone()), Some(Obstacle::Secrets));
        assert_eq!(of(format!("# 7 noted {CONCEALED}\n")), Some(Obstacle::Secrets));
        assert_eq!(of(format!("{concealed}{note}{note}")), Some(Obstacle::Note { line: 10 }));
        // What peers send does not look like it.
        assert_eq!(of(format!("0 received 0.1 \"{CONCEALED}\"\n0 noted \"a b {WITHOUT_TEXT}\"\n")), None);
    }
}
