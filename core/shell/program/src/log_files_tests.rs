#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

use super::*;
use std::path::Path;

/// A directory that is removed with the value.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("drupe-log-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("created");
        Self(path)
    }

    fn open(&self, keep: u32) -> SizedLog {
        SizedLog::open(&self.0.display().to_string(), "a", keep, 100).expect("opened")
    }

    /// Returns the names of the files, sorted.
    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(&self.0).expect("a directory").flatten();
        let mut names: Vec<_> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).expect(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes lines of 10 bytes.
fn write(log: &mut SizedLog, numbers: std::ops::Range<u32>) {
    numbers.for_each(|number| log.write_all(format!("line {number:04}\n").as_bytes()).expect("written"));
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("line {number:04}\n")).collect()
}

#[test]
fn rotation_by_size_keeps_every_line_in_order_and_so_many_files() {
    let directory = Directory::new("sizes");
    let mut log = directory.open(4);
    write(&mut log, 0..35);
    assert_eq!(directory.names(), ["a.1.log", "a.2.log", "a.3.log", "a.log"]);
    for (name, numbers) in [("a.3.log", 0..10), ("a.2.log", 10..20), ("a.1.log", 20..30), ("a.log", 30..35)] {
        assert_eq!(directory.text(name), lines(numbers), "{name}");
    }
    // After a restart, the current file goes on.
    let mut log = directory.open(4);
    write(&mut log, 35..41);
    assert_eq!((directory.text("a.3.log"), directory.text("a.log")), (lines(10..20), lines(40..41)));
    // A line that is longer than a file gets one of its own.
    log.write_all(&[b'x'; 300]).expect("written");
    write(&mut log, 41..42);
    assert_eq!((directory.text("a.1.log").len(), directory.text("a.log")), (300, lines(41..42)));
    // Fewer are kept from now on.
    drop(directory.open(2));
    assert_eq!(directory.names(), ["a.1.log", "a.log"]);
}

#[test]
fn failed_rotation_loses_no_line_and_no_older_file() {
    let directory = Directory::new("fails");
    let mut log = directory.open(3);
    write(&mut log, 0..30);
    let blocked = |name: &str| directory.0.join(name);
    let older = || (directory.text("a.2.log"), directory.text("a.1.log"));
    assert_eq!(older(), (lines(0..10), lines(10..20)));
    // The new file cannot be created.
    fs::create_dir(blocked("a.next.log")).expect("created");
    write(&mut log, 30..60);
    assert_eq!((older(), directory.text("a.log")), ((lines(0..10), lines(10..20)), lines(20..60)));
    fs::remove_dir(blocked("a.next.log")).expect("removed");
    write(&mut log, 60..63);
    assert_eq!(older(), (lines(10..20), lines(20..60)), "it is tried again after an eighth of the size");
    assert_eq!(directory.text("a.log"), lines(60..63));
    // An older file cannot be renamed, because a directory has its name.
    fs::remove_file(blocked("a.2.log")).expect("removed");
    fs::create_dir(blocked("a.2.log")).expect("created");
    write(&mut log, 63..90);
    assert_eq!((directory.text("a.1.log"), directory.text("a.log")), (lines(20..60), lines(60..90)));
}

#[test]
fn file_that_an_operator_removed_or_truncated_goes_on() {
    let directory = Directory::new("removed");
    let mut log = directory.open(3);
    write(&mut log, 0..5);
    fs::remove_file(directory.0.join("a.log")).expect("removed");
    write(&mut log, 5..12);
    assert_eq!(directory.names(), ["a.log"]);
    assert_eq!(directory.text("a.log"), lines(10..12));
    truncate(&directory.0.join("a.log"));
    write(&mut log, 12..13);
    assert_eq!(directory.text("a.log"), lines(12..13));
}

fn truncate(path: &Path) {
    drop(File::create(path).expect("truncated"));
}
