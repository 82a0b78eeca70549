//! Folders of the core use only folders below them, and no source file is too long.
//!
//! ARCHITECTURE.md must show the folders in the same order.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails where its assumption does")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folders, lowest first, with what each is for. One may use those before it.
const FOLDERS: &[(&str, &str)] = &[
    ("base", "time, identifiers, peers, messages, reasons"),
    ("history", "the latest messages of rooms, and whether a returning reader has missed any"),
    ("tls", "certificates and sessions beneath every wire"),
    ("wire", "bytes to messages and back: lines, frames, telnet, WebSocket, HTTP heads, PROXY, outgoing proxies"),
    ("tunnel", "options, reports and states of tunnels through SSH"),
    ("config", "the configuration of a machine: addresses, limits, watermarks, outgoing connections"),
    ("metrics", "counters, gauges and histograms, and their text for Prometheus"),
    ("facts", "what a shell reports to a machine, and machines to each other; formatted and parsed as text"),
    ("cluster", "rooms that several hosts share through a broker: the protocols of Redis and NATS"),
    ("web", "what an HTTP listener serves: pages, health checks, metrics"),
    ("state", "connections, rooms, queues, timers, dials, admission: everything but the application"),
    ("handler", "what an application sees: `Handler`, `Event`, `Hub`"),
    ("machine", "facts in, intentions out, and the application in between"),
    ("trace", "runs that are replayed"),
    ("app", "echo, relay, chat"),
    ("kit", "what applications are made of: services, calls, authentication, layers, clients"),
    ("testing", "`TestHub` with its clients, and the simulated world"),
    ("settings", "a configuration from text"),
];

/// A longer file holds more than one decision.
const LINES_MAX: usize = 500;

#[test]
fn folders_import_only_folders_below_them() {
    let uses = uses();
    let known: BTreeSet<&str> = FOLDERS.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = uses.keys().map(String::as_str).collect();
    assert_eq!(found, known, "folders that are there, and those that this test knows");
    for (folder, used) in &uses {
        for (other, place) in used {
            assert!(known.contains(other.as_str()), "{place} imports crate::{other}, which is no folder");
            assert!(level(other) <= level(folder), "{place} imports crate::{other}, which is above crate::{folder}");
        }
    }
}

#[test]
fn architecture_page_lists_the_actual_folders() {
    let path = root().join("../ARCHITECTURE.md");
    let text = fs::read_to_string(&path).expect("ARCHITECTURE.md");
    let (begin, end) = ("<!-- folders: begin -->\n", "<!-- folders: end -->");
    let (before, rest) = text.split_once(begin).expect("where the table begins");
    let (_, after) = rest.split_once(end).expect("where the table ends");
    let fresh = format!("{before}{begin}{}{end}{after}", drawing());
    if env::var_os("DRUPE_UPDATE").is_some() {
        return fs::write(&path, &fresh).expect("it can be written");
    }
    assert!(
        text == fresh,
        "ARCHITECTURE.md is stale; to renew it: DRUPE_UPDATE=1 cargo test -p drupe-core --test layers"
    );
}

#[test]
fn source_files_have_at_most_500_lines() {
    let repository = root().join("..");
    let lengths = files(&repository).into_iter().filter_map(|path| {
        let place = path.strip_prefix(&repository).expect("below").display().to_string();
        let lines = fs::read_to_string(&path).expect("text").lines().count();
        (lines > LINES_MAX).then(|| format!("{place} has {lines} lines"))
    });
    let long: Vec<String> = lengths.collect();
    assert!(long.is_empty(), "a file has {LINES_MAX} lines at most; split by subject: {}", long.join(", "));
}

/// The folders from the highest to the lowest, and what each uses.
fn drawing() -> String {
    let uses = uses();
    let row = |(name, what): &(&str, &str)| {
        let used: BTreeSet<&str> = uses[*name].keys().map(String::as_str).filter(|used| used != name).collect();
        let mut used: Vec<&str> = used.into_iter().collect();
        used.sort_by_key(|used| level(used));
        let used = if used.is_empty() { "nothing".into() } else { format!("`{}`", used.join("` `")) };
        format!("| `{name}` | {what} | {used} |\n")
    };
    let rows: String = FOLDERS.iter().rev().map(row).collect();
    format!("| folder | holds | uses |\n|---|---|---|\n{rows}")
}

fn level(folder: &str) -> Option<usize> {
    FOLDERS.iter().position(|(name, _)| *name == folder)
}

/// By folder: which others its code imports, and one file that does.
fn uses() -> BTreeMap<String, BTreeMap<String, String>> {
    let source = root().join("src");
    let mut uses = BTreeMap::<String, BTreeMap<String, String>>::new();
    for path in files(&source) {
        let place = path.strip_prefix(&source).expect("below").display().to_string();
        let first = place.split('/').next().expect("a name");
        let folder = first.strip_suffix(".rs").unwrap_or(first).to_owned();
        if folder == "lib" || place.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        // Tests may use whatever is public.
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().expect("at least one part");
        let used = uses.entry(folder).or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for rest in line.split("crate::").skip(1) {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                assert!(!name.is_empty(), "{place} imports the crate's root: {line}");
                used.entry(name).or_insert_with(|| place.clone());
            }
        }
    }
    uses
}

/// All source files in a folder and those below it, but not what was built, or what is hidden.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let is_source = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name != "target" && !name.as_encoded_bytes().starts_with(b".")
    };
    let mut paths: Vec<PathBuf> = entries.filter(is_source).map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| is_rust(path))
        .collect()
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
