//! A recording as text: what happened, when and on which connection, and a test that replays it.

use drupe_core::ConnId;
use drupe_core::trace::Recording;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// What the recording has about one connection.
#[derive(Default)]
struct Summary {
    first: u64,
    last: u64,
    received: u64,
    wrote: u64,
    end: Option<String>,
}

/// A fact of a recording.
struct Line<'r> {
    at: u64,
    shard: u8,
    words: &'r str,
    conn: Option<ConnId>,
}

/// Writes the facts of all shards in the order of their times, and a line for each connection.
pub(crate) fn write(
    output: &mut dyn Write,
    recording: &Recording,
    until: Option<Duration>,
    connection: Option<ConnId>,
) -> io::Result<()> {
    for shard in recording.shards.iter().filter(|shard| shard.dropped > 0) {
        writeln!(output, "worker {}: the first {} lines were dropped", shard.shard, shard.dropped)?;
    }
    let is_wanted = |line: &Line<'_>| {
        until.is_none_or(|until| u128::from(line.at) <= until.as_nanos())
            && connection.is_none_or(|wanted| line.conn == Some(wanted))
    };
    let mut connections = BTreeMap::<ConnId, Summary>::new();
    for line in lines(recording).into_iter().filter(is_wanted) {
        writeln!(output, "{:>14} s  {}  {}", seconds(line.at), line.shard, line.words)?;
        if let Some(conn) = line.conn {
            connections.entry(conn).or_insert_with(|| Summary { first: line.at, ..Summary::default() }).add(&line);
        }
    }
    for (conn, Summary { first, last, received, wrote, end }) in connections {
        let end = end.unwrap_or_else(|| "open".into());
        let (first, last) = (seconds(first), seconds(last));
        writeln!(output, "{conn}: from {first} to {last} s, received {received} B, wrote {wrote} B, {end}")?;
    }
    Ok(())
}

impl Summary {
    fn add(&mut self, line: &Line<'_>) {
        self.last = line.at;
        let (what, rest) = line.words.split_once(' ').unwrap_or((line.words, ""));
        let detail = rest.split_once(' ').map_or("", |(_, detail)| detail);
        match what {
            "received" => self.received += length(detail),
            "wrote" => self.wrote += detail.parse().unwrap_or(0),
            "ended" | "truncated" => self.end = Some("the peer ended it".into()),
            "failed" => self.end = Some(format!("failed: {detail}")),
            _ => {}
        }
    }
}

/// Returns the number of bytes in a quoted text, or after the word for concealed ones.
fn length(detail: &str) -> u64 {
    let Some(quoted) = detail.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return detail.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    };
    let (mut count, mut rest) = (0, quoted.as_bytes());
    while let [first, after @ ..] = rest {
        let escaped = match (first, after.first()) {
            (b'\\', Some(b'x')) => 3,
            (b'\\', Some(_)) => 1,
            _ => 0,
        };
        rest = after.get(escaped..).unwrap_or_default();
        count += 1;
    }
    count
}

fn lines(recording: &Recording) -> Vec<Line<'_>> {
    let of_shard = recording.shards.iter().flat_map(|shard| {
        shard.facts.lines().filter_map(|line| {
            let (at, words) = line.trim_start_matches("# ").split_once(' ')?;
            let at = at.parse().ok()?;
            let conn = words.split(' ').nth(1).and_then(|word| word.parse().ok());
            // Turns, timers and what workers count for each other say little to people.
            let what = words.split(' ').next().unwrap_or_default();
            let is_shown = !matches!(what, "turn_ended" | "elapsed" | "takes_jobs" | "counted" | "rooms_counted");
            is_shown.then_some(Line { at, shard: shard.shard, words, conn })
        })
    });
    let mut lines: Vec<_> = of_shard.collect();
    // Facts of one time stay in the order of their shards.
    lines.sort_by_key(|line| line.at);
    lines
}

/// Returns nanoseconds as seconds with six decimals.
pub(crate) fn seconds(nanos: u64) -> String {
    format!("{}.{:06}", nanos / 1_000_000_000, nanos % 1_000_000_000 / 1_000)
}

/// Returns the text of a test that replays the recording.
pub(crate) fn test(file: &Path, recording: &Recording) -> String {
    let name = file.file_name().map_or_else(|| "recording".into(), |name| name.to_string_lossy());
    let shards = recording.shards.len();
    format!(
        r#"// Put the recording beside this file.
use drupe_core::app::Chat;
use drupe_core::trace::{{Recording, compare, seed}};
use drupe_core::{{Config, Machine, Shard}};

#[test]
fn recorded_run_is_repeated() {{
    let recording = Recording::parse(include_str!("{name}")).expect("a recording");
    for recorded in &recording.shards {{
        assert_eq!(recorded.obstacle(), None);
        // Give it the listeners and limits of the recorded server, and its handler in place of the chat.
        let listeners = ["tcp://127.0.0.1:7000".parse().expect("an address")];
        let config = Config::listening(listeners).seed(seed(&recorded.facts));
        let shard = Shard::new(recorded.shard, {shards}).expect("a shard of the recording");
        let mut machine = Machine::shard(config, Chat::default(), shard);
        let replayed = compare(&recorded.facts, &mut machine, []).expect("facts that this version reads");
        // The bytes are those of the recorded run. Replace this by what the machine should have done.
        assert_eq!(replayed.first, None);
        for (conn, bytes) in &replayed.transcript.written {{
            println!("{{conn}}: {{}}", String::from_utf8_lossy(bytes));
        }}
    }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

    use super::*;

    const TEXT: &str = "drupe recording 1\nversion 1\nwhy x\nshard 0 0\nseed 1\n0 started\n\
        1500000 received 0.1 \"h\\xffi\\n\"\n# sum 0.1 00000000\n1500000 wrote 0.1 6\n1500000 turn_ended\n\
        2000000000 ended 0.1\nshard 1 5\n1000 received 1:0.1 concealed 9\nend 0\n";

    fn written(until: Option<u64>, connection: Option<&str>) -> String {
        let recording = Recording::parse(TEXT).expect("good");
        let connection = connection.map(|text| text.parse().expect("a connection"));
        let mut output = Vec::new();
        write(&mut output, &recording, until.map(Duration::from_secs), connection).expect("memory");
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn facts_of_all_workers_are_shown_in_their_order() {
        let all = written(None, None);
        let expected = "worker 1: the first 5 lines were dropped\n      0.000000 s  0  started\n";
        assert!(all.starts_with(expected), "{all}");
        assert!(all.contains("      0.000001 s  1  received 1:0.1 concealed 9\n"), "{all}");
        assert!(!all.contains("turn_ended"), "{all}");
        let sums = "0.1: from 0.001500 to 2.000000 s, received 4 B, wrote 6 B, the peer ended it\n\
            1:0.1: from 0.000001 to 0.000001 s, received 9 B, wrote 0 B, open\n";
        assert!(all.ends_with(sums), "{all}");
    }

    #[test]
    fn time_and_connection_choose_what_is_shown() {
        let early = written(Some(1), Some("0.1"));
        assert!(early.contains("wrote 0.1 6") && !early.contains("ended"), "{early}");
        assert!(!early.contains("1:0.1") && early.ends_with("wrote 6 B, open\n"), "{early}");
    }
}
