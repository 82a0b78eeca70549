//! The text of a test that replays a recording.

use drupe_core::ConnId;
use drupe_core::trace::Recording;
use std::path::Path;
use std::time::Duration;

/// Returns the text of a test that replays the recording, up to a time and for the bytes to one connection if they are
/// given.
pub(crate) fn test(file: &Path, recording: &Recording, until: Option<Duration>, connection: Option<ConnId>) -> String {
    let name = file.file_name().map_or_else(|| "recording".into(), |name| name.to_string_lossy());
    let shards = recording.shards.len();
    let (mut names, mut before, mut cut) = (vec!["Config", "Machine", "Shard"], String::new(), "");
    let mut each = "    for recorded in &recording.shards {\n";
    if let Some(connection) = connection {
        names.push("ConnId");
        before = format!("    let conn: ConnId = \"{connection}\".parse().expect(\"a connection\");\n");
        each = "    // Other connections of its worker are replayed too: what they sent may be the cause.\n    \
                for recorded in recording.shards.iter().filter(|recorded| recorded.shard == conn.shard()) {\n";
    }
    if let Some(until) = until {
        names.push("Time");
        let nanos = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        before = format!("{before}    let last = Time::from_nanos({});\n", grouped(nanos));
        cut = "        let recorded = recorded.until(last);\n";
    }
    names.sort_unstable();
    let names = names.join(", ");
    let found = match connection {
        None => {
            "        assert_eq!(replayed.first, None);\n        \
             for (conn, bytes) in &replayed.transcript.written {\n            \
             println!(\"{conn}: {}\", String::from_utf8_lossy(bytes));\n        }\n"
        }
        Some(_) => {
            "        assert_eq!(replayed.first_of(conn), None);\n        \
             for write in replayed.writes.iter().filter(|write| write.conn == conn) {\n            \
             println!(\"{}\", String::from_utf8_lossy(replayed.bytes(write)));\n        }\n"
        }
    };
    format!(
        r#"// Put the recording beside this file.
use drupe_core::app::Chat;
use drupe_core::trace::{{Recording, seed}};
use drupe_core::{{{names}}};

#[test]
fn recorded_run_is_repeated() {{
    let recording = Recording::parse(include_str!({name:?})).expect("a recording");
{before}{each}{cut}        assert_eq!(recorded.obstacle(), None);
        // Give it the listeners and limits of the recorded server, and its handler in place of the chat.
        let listeners = ["tcp://127.0.0.1:7000".parse().expect("an address")];
        let config = Config::listening(listeners).seed(seed(&recorded.facts));
        let shard = Shard::new(recorded.shard, {shards}).expect("a shard of the recording");
        let mut machine = Machine::shard(config, Chat::default(), shard);
        let replayed = recorded.compare(&mut machine, []).expect("facts that this version reads");
        // The bytes are those of the recorded run, and lines are numbered as in the recording. Replace this by what the
        // machine should have done.
{found}    }}
}}
"#
    )
}

/// Returns a number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

    use super::*;

    const RECORDING: &str = include_str!("../tests/recorded/chat.recording");

    /// The files are compiled and run by the test `recorded`, so that what operators get does so too.
    #[test]
    fn printed_tests_are_those_that_the_test_recorded_runs() {
        let recording = Recording::parse(RECORDING).expect("a recording");
        let file = Path::new("somewhere/chat.recording");
        let (until, conn) = (Duration::from_secs(2), "1:0.1".parse().expect("a connection"));
        for (until, conn, expected) in [
            (None, None, include_str!("../tests/recorded/whole.rs")),
            (Some(until), None, include_str!("../tests/recorded/beginning.rs")),
            (Some(until), Some(conn), include_str!("../tests/recorded/connection.rs")),
        ] {
            assert_eq!(test(file, &recording, until, conn), expected);
        }
    }

    #[test]
    fn times_are_written_as_rust_groups_their_digits() {
        let texts = [0, 999, 1_000, 12_345_678, u64::MAX].map(grouped);
        assert_eq!(texts, ["0", "999", "1_000", "12_345_678", "18_446_744_073_709_551_615"]);
    }
}
