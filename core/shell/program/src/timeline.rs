//! A recording as text: what happened, when and on which connection.

use crate::quoted;
use drupe_core::ConnId;
use drupe_core::trace::{Recording, opened};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::time::Duration;

/// Maximum number of connections that are listed in one line.
const LISTED_MAX: usize = 16;
/// Maximum number of connections that the error for an unknown one names.
const NAMED_MAX: usize = 5;

/// Which part of a recording is shown.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Only what happened up to this time after the start.
    pub(crate) until: Option<Duration>,
    /// Only this connection.
    pub(crate) connection: Option<ConnId>,
    /// Only lines whose bytes contain this.
    pub(crate) find: Option<String>,
}

/// What the replay wrote at a `wrote` line.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) bytes: Vec<u8>,
    /// Whether the bytes were others than recorded.
    pub(crate) is_other: bool,
}

/// What the replay wrote, by the number of the line in the recording.
pub(crate) type Writes = HashMap<u32, Replayed>;

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
    /// The number of the line in the file.
    number: u32,
    at: u64,
    shard: u8,
    words: &'r str,
    conn: Option<ConnId>,
    /// Whether the fact opened the connection, so that its words do not have it.
    opens: bool,
}

/// One line of the timeline: a fact, or several that differ only in their connection.
struct Shown<'r> {
    at: u64,
    shard: u8,
    what: &'r str,
    conns: BTreeSet<ConnId>,
    detail: String,
}

/// Returns an error if the recording has no such connection.
pub(crate) fn check(recording: &Recording, connection: ConnId) -> Result<(), String> {
    let known: BTreeSet<_> = lines(recording).into_iter().filter_map(|line| line.conn).collect();
    if known.contains(&connection) {
        return Ok(());
    }
    let named: Vec<_> = known.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let others = match known.len() {
        0 => "no connection".into(),
        count if count > NAMED_MAX => format!("{} and {} more", named.join(", "), count - NAMED_MAX),
        _ => named.join(", "),
    };
    Err(format!("the recording has no connection {connection}; it has {others}"))
}

/// Writes the selected facts of all shards in the order of their times, and a line for each connection.
pub(crate) fn write(
    output: &mut dyn Write,
    recording: &Recording,
    selection: &Selection,
    writes: &Writes,
) -> io::Result<()> {
    for shard in recording.shards.iter().filter(|shard| shard.dropped > 0) {
        writeln!(output, "worker {}: the first {} lines were dropped", shard.shard, shard.dropped)?;
    }
    let is_wanted = |line: &Line<'_>| {
        selection.until.is_none_or(|until| u128::from(line.at) <= until.as_nanos())
            && selection.connection.is_none_or(|wanted| line.conn == Some(wanted))
    };
    let (mut found, mut others, mut unknown) = (Vec::new(), 0_u64, 0_u64);
    let (mut connections, mut has_found) = (BTreeMap::<ConnId, Summary>::new(), BTreeSet::new());
    for line in lines(recording).into_iter().filter(is_wanted) {
        if let Some(conn) = line.conn {
            connections.entry(conn).or_insert_with(|| Summary { first: line.at, ..Summary::default() }).add(&line);
        }
        let is_found = selection.find.as_ref().is_none_or(|wanted| line.has(wanted.as_bytes(), writes));
        if is_found {
            has_found.extend(line.conn);
            found.push(line);
        } else {
            others += 1;
            unknown += u64::from(line.what() == "wrote" && !writes.contains_key(&line.number));
        }
    }
    for Shown { at, shard, what, conns, detail } in merged(&found, writes) {
        writeln!(output, "{:>14} s  {shard}  {what}{}{detail}", seconds(at), listed(&conns))?;
    }
    if let Some(wanted) = &selection.find {
        writeln!(output, "{others} other facts do not have {}", quoted::shown(wanted.as_bytes()))?;
        if unknown > 0 {
            writeln!(output, "the bytes of {unknown} of them are not known, because they were not replayed")?;
        }
        connections.retain(|conn, _| has_found.contains(conn));
    }
    for (conn, Summary { first, last, received, wrote, end }) in connections {
        let end = end.unwrap_or_else(|| "open".into());
        let (first, last) = (seconds(first), seconds(last));
        writeln!(output, "{conn}: from {first} to {last} s, received {received} B, wrote {wrote} B, {end}")?;
    }
    Ok(())
}

/// Merges lines of one time, one worker and one kind that differ only in their connection.
fn merged<'r>(lines: &[Line<'r>], writes: &Writes) -> Vec<Shown<'r>> {
    let mut all = Vec::<Shown<'r>>::new();
    // The places of the lines that others may join, by what they have after the connection.
    let mut places = HashMap::<String, usize>::new();
    for line in lines {
        let (what, detail) = (line.what(), line.detail(writes));
        if all.last().is_none_or(|last| (last.at, last.shard, last.what) != (line.at, line.shard, what)) {
            places.clear();
        }
        let conn = line.conn.filter(|_| !line.opens);
        let same = conn.and_then(|conn| Some((conn, all.get_mut(*places.get(&detail)?)?)));
        if same.is_some_and(|(conn, same)| same.conns.insert(conn)) {
            continue;
        }
        if conn.is_some() {
            places.insert(detail.clone(), all.len());
        }
        all.push(Shown { at: line.at, shard: line.shard, what, conns: conn.into_iter().collect(), detail });
    }
    all
}

/// Returns connections as words, each after a space.
fn listed(conns: &BTreeSet<ConnId>) -> String {
    let named: Vec<_> = conns.iter().take(LISTED_MAX).map(|conn| format!(" {conn}")).collect();
    let named = named.join(",");
    if conns.len() > LISTED_MAX { format!("{named} and {} more", conns.len() - LISTED_MAX) } else { named }
}

impl<'r> Line<'r> {
    fn what(&self) -> &'r str {
        self.words.split(' ').next().unwrap_or_default()
    }

    /// Returns the words after the name of the fact and its connection.
    fn after_conn(&self) -> &'r str {
        let has_conn = self.conn.is_some() && !self.opens;
        let rest = self.words.split_once(' ').map_or("", |(_, rest)| rest);
        if has_conn { rest.split_once(' ').map_or("", |(_, rest)| rest) } else { rest }
    }

    /// Returns what the timeline has after the name of the fact and its connection, with a space before it.
    fn detail(&self, writes: &Writes) -> String {
        let detail = match self.after_conn() {
            "" => String::new(),
            rest => format!(" {}", quoted::cut(rest)),
        };
        match (writes.get(&self.number), self.conn.filter(|_| self.opens)) {
            (Some(Replayed { bytes, is_other }), _) => {
                let mark = if *is_other { " (other bytes than recorded)" } else { "" };
                format!("{detail} {}{mark}", quoted::shown(bytes))
            }
            (None, Some(conn)) => format!("{detail} as {conn}"),
            (None, None) => detail,
        }
    }

    /// Returns whether the bytes that the fact received or wrote contain `wanted`.
    fn has(&self, wanted: &[u8], writes: &Writes) -> bool {
        match writes.get(&self.number) {
            Some(replayed) => quoted::contains(&replayed.bytes, wanted),
            None => quoted::has(self.words, wanted),
        }
    }
}

impl Summary {
    fn add(&mut self, line: &Line<'_>) {
        self.last = line.at;
        let detail = line.after_conn();
        match line.what() {
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
    match detail.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => quoted::length(inner),
        None => detail.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0),
    }
}

fn lines(recording: &Recording) -> Vec<Line<'_>> {
    let mut lines = Vec::<Line<'_>>::new();
    for shard in &recording.shards {
        // The connection is in the line after the fact that opened it.
        let mut last_is_shown = false;
        for (line, number) in shard.facts.lines().zip(shard.line.saturating_add(1)..) {
            if let Some(conn) = opened(line) {
                if let Some(last) = lines.last_mut().filter(|_| last_is_shown) {
                    (last.conn, last.opens) = (Some(conn), true);
                }
                continue;
            }
            let Some((at, words)) = line.trim_start_matches("# ").split_once(' ') else { continue };
            let Ok(at) = at.parse() else { continue };
            let mut all_words = words.split(' ');
            // Turns, timers and what workers count for each other say little to people.
            let what = all_words.next().unwrap_or_default();
            last_is_shown = !matches!(what, "turn_ended" | "elapsed" | "takes_jobs" | "counted" | "rooms_counted");
            if last_is_shown {
                let conn = all_words.next().and_then(|word| word.parse().ok());
                lines.push(Line { number, at, shard: shard.shard, words, conn, opens: false });
            }
        }
    }
    // Facts of one time stay in the order of their shards.
    lines.sort_by_key(|line| line.at);
    lines
}

/// Returns nanoseconds as seconds with six decimals.
pub(crate) fn seconds(nanos: u64) -> String {
    format!("{}.{:06}", nanos / 1_000_000_000, nanos % 1_000_000_000 / 1_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

    use super::*;

    const TEXT: &str = "drupe recording 1\nversion 1\nwhy x\nshard 0 0\nseed 1\n0 started\n\
        1000000 accepted 0 127.0.0.1:4000\n# opened 0.1\n1000000 accepted 0 127.0.0.1:4001\n# opened 0.2\n\
        1500000 received 0.1 \"h\\xffi\\n\"\n# sum 0.1 00000000\n1500000 wrote 0.1 6\n\
        1500000 wrote 0.2 6\n1500000 wrote 0.3 7\n1500000 wrote 0.4 6\n1500000 turn_ended\n\
        2000000000 ended 0.1\nshard 1 5\n1000 received 1:0.1 concealed 9\nend 0\n";

    fn recording() -> Recording {
        Recording::parse(TEXT).expect("good")
    }

    fn written_by(writes: &Writes, selection: &Selection) -> String {
        let mut output = Vec::new();
        write(&mut output, &recording(), selection, writes).expect("memory");
        String::from_utf8(output).expect("text")
    }

    fn conn(text: &str) -> ConnId {
        text.parse().expect("a connection")
    }

    /// What a replay wrote in the lines that begin so.
    fn replayed(all: &[(&str, &str, bool)]) -> Writes {
        let of = |(begin, bytes, is_other): &(&str, &str, bool)| {
            let place = TEXT.lines().position(|line| line.starts_with(begin)).expect("it is there");
            let number = u32::try_from(place).expect("a short text") + 1;
            (number, Replayed { bytes: bytes.as_bytes().to_vec(), is_other: *is_other })
        };
        all.iter().map(of).collect()
    }

    #[test]
    fn facts_of_all_workers_are_shown_in_their_order() {
        let all = written_by(&Writes::new(), &Selection::default());
        let expected = "worker 1: the first 5 lines were dropped\n      0.000000 s  0  started\n";
        assert!(all.starts_with(expected), "{all}");
        assert!(all.contains("      0.000001 s  1  received 1:0.1 concealed 9\n"), "{all}");
        assert!(!all.contains("turn_ended") && !all.contains("opened"), "{all}");
        let sums = "0.1: from 0.001000 to 2.000000 s, received 4 B, wrote 6 B, the peer ended it\n\
            0.2: from 0.001000 to 0.001500 s, received 0 B, wrote 6 B, open\n\
            0.3: from 0.001500 to 0.001500 s, received 0 B, wrote 7 B, open\n\
            0.4: from 0.001500 to 0.001500 s, received 0 B, wrote 6 B, open\n\
            1:0.1: from 0.000001 to 0.000001 s, received 9 B, wrote 0 B, open\n";
        assert!(all.ends_with(sums), "{all}");
    }

    #[test]
    fn time_and_connection_choose_what_is_shown() {
        let until = Some(Duration::from_secs(1));
        let early = written_by(&Writes::new(), &Selection { until, connection: Some(conn("0.1")), find: None });
        assert!(early.contains("accepted 0 127.0.0.1:4000 as 0.1\n") && !early.contains("4001"), "{early}");
        assert!(early.contains("wrote 0.1 6") && !early.contains("ended"), "{early}");
        assert!(!early.contains("1:0.1") && early.ends_with("wrote 6 B, open\n"), "{early}");
    }

    #[test]
    fn writes_have_the_bytes_of_the_replay_and_equal_ones_are_one_line() {
        let numbers_alone = written_by(&Writes::new(), &Selection::default());
        assert!(numbers_alone.contains("wrote 0.1, 0.2, 0.4 6\n"), "{numbers_alone}");
        let writes = replayed(&[
            ("1500000 wrote 0.1", "hello\n", false),
            ("1500000 wrote 0.2", "hello\n", false),
            ("1500000 wrote 0.3", "hello!\n", false),
            ("1500000 wrote 0.4", "hallo\n", true),
        ]);
        let all = written_by(&writes, &Selection::default());
        let lines: Vec<_> = all.lines().filter(|line| line.contains("  wrote ")).collect();
        let expected = [
            "      0.001500 s  0  wrote 0.1, 0.2 6 \"hello\\n\"",
            "      0.001500 s  0  wrote 0.3 7 \"hello!\\n\"",
            "      0.001500 s  0  wrote 0.4 6 \"hallo\\n\" (other bytes than recorded)",
        ];
        assert_eq!(lines, expected, "{all}");
    }

    #[test]
    fn text_is_found_in_what_was_received_and_written() {
        let writes = replayed(&[("1500000 wrote 0.1", "oh, hi\n", false)]);
        let find = |text: &str| written_by(&writes, &Selection { find: Some(text.into()), ..Selection::default() });
        let found = find("i\n");
        let expected = "worker 1: the first 5 lines were dropped\n\
            \u{20}     0.001500 s  0  received 0.1 \"h\\xffi\\n\"\n\
            \u{20}     0.001500 s  0  wrote 0.1 6 \"oh, hi\\n\"\n\
            8 other facts do not have \"i\\n\"\n\
            the bytes of 3 of them are not known, because they were not replayed\n\
            0.1: from 0.001000 to 2.000000 s, received 4 B, wrote 6 B, the peer ended it\n";
        assert_eq!(found, expected);
        assert!(find("received").contains("\n10 other facts"), "the names of facts are no bytes");
    }

    #[test]
    fn unknown_connection_is_an_error_that_names_a_few() {
        assert_eq!(check(&recording(), conn("1:0.1")), Ok(()));
        let words = "the recording has no connection 7.7; it has 0.1, 0.2, 0.3, 0.4, 1:0.1";
        assert_eq!(check(&recording(), conn("7.7")), Err(words.into()));
        let more = TEXT.replace("2000000000 ended 0.1\n", "2 ended 0.8\n3 ended 0.9\n");
        let more = Recording::parse(&more).expect("good");
        let words = "the recording has no connection 7.7; it has 0.1, 0.2, 0.3, 0.4, 0.8 and 2 more";
        assert_eq!(check(&more, conn("7.7")), Err(words.into()));
        let none = Recording::parse("drupe recording 1\nversion 1\nwhy x\nend 0\n").expect("good");
        let words = "the recording has no connection 7.7; it has no connection";
        assert_eq!(check(&none, conn("7.7")), Err(words.into()));
    }

    #[test]
    fn long_lists_of_connections_are_cut() {
        let conns: BTreeSet<_> = (0..1_000).map(|index| conn(&format!("{index}.1"))).collect();
        assert!(listed(&conns).ends_with(" 14.1, 15.1 and 984 more"), "{}", listed(&conns));
        assert_eq!(listed(&conns.into_iter().take(2).collect()), " 0.1, 1.1");
    }
}
