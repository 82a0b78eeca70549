//! What the README says about the core is so.

#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

use drupe_core::Reason;

const README: &str = include_str!("../../README.md");

#[test]
fn the_table_of_reasons_is_complete() {
    for reason in Reason::ALL {
        let cells = format!("| {} | `{reason}` |", reason.number());
        assert!(README.contains(&cells), "{cells} is missing");
    }
    let rows = README.lines().filter(|line| line.starts_with("| 1")).count();
    let of_peers = Reason::ALL.iter().filter(|reason| reason.number() < 200).count();
    assert!(rows <= of_peers + 1, "the README has reasons that there are not");
}

#[test]
fn the_defaults_are_those_of_the_code() {
    let config = drupe_core::Config::default();
    assert_eq!(config.budget.message_max_bytes.get(), 64 << 10);
    assert_eq!(config.budget.message_deadline.as_secs(), 60);
    assert_eq!(config.rates.messages, drupe_core::limit::Rate::new(1_000, 2_000).ok());
    assert_eq!(config.rates.bytes, drupe_core::limit::Rate::new(4 << 20, 8 << 20).ok());
    assert_eq!(config.outbound.marks.max(), 1 << 20);
    assert_eq!(config.outbound.write_deadline.as_secs(), 30);
    assert_eq!(config.outbound.drain_min_bytes_per_second.get(), 4 << 10);
    assert_eq!((config.connections.total, config.connections.per_address), (10_000, 256));
    for words in [
        "messages of 64 KiB, 1,000 messages and 4 MiB a second",
        "60 s from a message's first byte to its last",
        "1 MiB queued",
        "30 s and 4 KiB a second",
        "10,000 connections, 256 from one",
    ] {
        assert!(README.contains(words), "the README should say: {words}");
    }
}

#[test]
fn a_shell_is_about_300_lines_and_so_is_the_driver_that_all_share() {
    let lines = |files: &[&str]| files.iter().map(|file| file.lines().count()).sum::<usize>();
    for (shell, files) in [
        ("the driver", &[include_str!("../src/shell/driver/mod.rs")][..]),
        (
            "tokio",
            &[
                include_str!("../../shell-tokio/src/lib.rs"),
                include_str!("../../shell-tokio/src/run.rs"),
                include_str!("../../shell-tokio/src/sockets.rs"),
                include_str!("../../shell-tokio/src/stream.rs"),
            ],
        ),
        (
            "smol",
            &[
                include_str!("../../shell-smol/src/lib.rs"),
                include_str!("../../shell-smol/src/run.rs"),
                include_str!("../../shell-smol/src/sockets.rs"),
                include_str!("../../shell-smol/src/stream.rs"),
            ],
        ),
        (
            "mio",
            &[
                include_str!("../../shell-mio/src/lib.rs"),
                include_str!("../../shell-mio/src/run.rs"),
                include_str!("../../shell-mio/src/sockets.rs"),
            ],
        ),
    ] {
        assert!(lines(files) < 400, "{shell} has {} lines", lines(files));
    }
}

#[test]
fn from_one_shell_to_another_it_is_one_line() {
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
