//! The statements of the README and of the program's page about the core match the code.

#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

use drupe_core::Reason;
use std::fs;
use std::path::Path;

const README: &str = include_str!("../../README.md");
const PROGRAM: &str = include_str!("../../shell-tokio/docs/program.md");

#[test]
fn program_page_lists_every_close_reason() {
    for reason in Reason::ALL {
        let cells = format!("| {} | `{reason}` |", reason.number());
        assert!(PROGRAM.contains(&cells), "{cells} is missing");
    }
    let number = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse::<u16>().ok();
    let rows = PROGRAM.lines().filter_map(number).filter(|number| (100..200).contains(number)).count();
    let of_peers = Reason::ALL.iter().filter(|reason| reason.number() < 200).count();
    assert_eq!(rows, of_peers, "the page has reasons that do not exist");
}

#[test]
fn program_page_states_the_actual_defaults() {
    let config = drupe_core::Config::default();
    assert_eq!(config.peer.budget.message_max_bytes.get(), 64 << 10);
    assert_eq!(config.peer.budget.message_deadline.as_secs(), 60);
    assert_eq!(config.peer.rates.messages, drupe_core::limit::Rate::new(1_000, 2_000).ok());
    assert_eq!(config.peer.rates.bytes, drupe_core::limit::Rate::new(4 << 20, 8 << 20).ok());
    assert_eq!(config.outbound.marks.max(), 1 << 20);
    assert_eq!(config.outbound.write_deadline.as_secs(), 30);
    assert_eq!(config.outbound.drain_min_bytes_per_second.get(), 4 << 10);
    assert_eq!((config.connections.total, config.connections.per_address), (10_000, 256));
    for words in [
        "messages of up to 64 KiB; 1,000 messages and 4 MiB a second",
        "60 s from the first byte of a message to the last",
        "1 MiB queued",
        "30 s plus the time that the queue takes at 4 KiB a second",
        "10,000 connections, 256 from one",
    ] {
        assert!(one_line(PROGRAM).contains(words), "the page should say: {words}");
    }
}

/// A page without the line breaks of its paragraphs.
fn one_line(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The lines of all files in a folder, but for those of its tests and of other folders in it.
fn lines_in(folder: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files =
        fs::read_dir(&folder).expect("it is part of the repository").map(|entry| entry.expect("readable").path());
    let texts = files
        .filter(|path| path.is_file() && !path.ends_with("tests.rs"))
        .map(|path| fs::read_to_string(path).expect("text"));
    texts.map(|text| text.lines().count()).sum()
}

#[test]
fn shells_and_driver_stay_within_readme_line_counts() {
    // What else tokio's has in folders is SSH and the program.
    for (words, folder, most) in [
        ("The shells for tokio and smol have at most 350 lines each", "../shell-tokio/src", 350),
        ("The shells for tokio and smol have at most 350 lines each", "../shell-smol/src", 350),
        ("The one for mio has at most 200", "../shell-mio/src", 200),
        ("The driver that all shells share has at most 1,000", "shell/src/driver", 1_000),
        ("and the event queue of their sockets 600", "shell/src/poller", 600),
    ] {
        assert!(one_line(README).contains(words), "the README should say: {words}");
        let lines = lines_in(folder);
        assert!(lines > 100 && lines <= most, "{folder} has {lines} lines");
    }
}

#[test]
fn hub_examples_of_shells_differ_by_one_line() {
    let hubs = [
        include_str!("../../shell-tokio/examples/hub.rs"),
        include_str!("../../shell-smol/examples/hub.rs"),
        include_str!("../../shell-mio/examples/hub.rs"),
    ];
    for hub in hubs {
        assert_eq!(hub.lines().count(), hubs[0].lines().count());
        let changed: Vec<&str> =
            hub.lines().zip(hubs[0].lines()).filter(|(a, b)| a != b).map(|(line, _)| line).collect();
        assert!(matches!(changed[..], [] | ["use drupe_smol as drupe;" | "use drupe_mio as drupe;"]), "{changed:?}");
    }
}
