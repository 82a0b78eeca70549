//! The flight recorder: a recording of a running program, and what `replay` says of it.

use super::{connect, drupe, text};
use crate::support::{Directory, Program, program_path, read};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const CHAT: &str = "workers: 2\nlisteners: { a: { address: '127.0.0.1:0', protocol: tcp } }\n";

fn configuration(directory: &Directory, more: &str) -> String {
    let recordings = directory.0.join("recordings");
    let _ = std::fs::create_dir(&recordings);
    format!("{CHAT}recorder: {{ directory: '{}'{more} }}\n", recordings.display())
}

/// Two members on two workers talk. Then the program is asked for a recording.
fn talk(program: &Program) {
    let mut members = [0, 1].map(|_| BufReader::new(connect(program.port_of(0))));
    let mut wait_for = |member: usize, words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(members[member].read_line(&mut line).expect("it answers") > 0, "{words:?} never came");
        }
    };
    wait_for(0, "came to lobby");
    wait_for(1, "came to lobby");
    members[1].get_mut().write_all(b"hello everybody\n").expect("sent");
    let mut line = String::new();
    while !line.contains("hello everybody") {
        line.clear();
        assert!(members[0].read_line(&mut line).expect("it answers") > 0);
    }
    program.signal("-USR1");
}

fn wait_for_log(directory: &Directory, words: &str) {
    let since = Instant::now();
    while !read(&directory.0.join("log")).contains(words) {
        assert!(since.elapsed() < Duration::from_secs(60), "{words:?} was not logged");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn recordings(directory: &Directory) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.0.join("recordings")).expect("a directory");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn record(directory: &Directory, more: &str) -> PathBuf {
    let program = Program::configured(&directory.0, &configuration(directory, more), 1, |_| {});
    talk(&program);
    wait_for_log(directory, "recording written to");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    let [recording] = &recordings(directory)[..] else { panic!("one recording") };
    recording.clone()
}

fn replay(recording: &Path, directory: &Directory, more: &[&str]) -> (bool, String) {
    let mut command = Command::new(program_path());
    command.arg("replay").arg(recording).arg("--config").arg(directory.0.join("drupe.yaml")).args(more);
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    (status.success(), format!("{}{}", text(&stdout), text(&stderr)))
}

#[test]
fn recording_of_two_workers_is_shown_and_repeated() {
    let directory = Directory::new("recorder");
    let recording = record(&directory, ", verbatim: true");
    let (is_same, shown) = replay(&recording, &directory, &[]);
    assert!(is_same, "{shown}");
    assert!(shown.contains("written because of: SIGUSR1") && shown.contains(r#""hello everybody\n""#), "{shown}");
    for worker in ["worker 0: replayed; all ", "worker 1: replayed; all "] {
        assert!(shown.contains(worker), "{shown}");
    }
    let (_, one) = replay(&recording, &directory, &["--connection", "1:0.1", "--until", "60"]);
    assert!(one.contains("  1:0.1: from ") || one.contains("\n1:0.1: from "), "{one}");
    assert!(!one.contains("\n0.1: from "), "{one}");
    assert!(one.contains(" as 1:0.1\n") && one.contains(" wrote 1:0.1 "), "{one}");
    let (_, found) = replay(&recording, &directory, &["--find", "hello everybody"]);
    let has = |words: &str| found.lines().any(|line| line.contains(words) && line.contains("hello everybody"));
    assert!(has(" received ") && has(" wrote ") && found.contains(" other facts do not have "), "{found}");
    let (is_good, words) = replay(&recording, &directory, &["--connection", "7.7"]);
    assert!(!is_good && words.contains("has no connection 7.7; it has 0.1, 1:0.1"), "{words}");
    let (is_good, test) = replay(&recording, &directory, &["--test"]);
    assert!(is_good && test.contains("#[test]") && test.contains("include_str!(\"drupe-"), "{test}");
    let (is_good, test) = replay(&recording, &directory, &["--test", "--connection", "1:0.1", "--until", "60"]);
    assert!(is_good && test.contains("\"1:0.1\".parse()") && test.contains("60_000_000_000"), "{test}");
    let (is_good, words) = replay(&recording, &directory, &["--test", "--connection", "7.7"]);
    assert!(!is_good && words.contains("has no connection 7.7"), "{words}");
    let (is_good, words) = replay(&recording, &directory, &["--test", "--find", "hello"]);
    assert!(!is_good && words.contains("cannot be used with"), "{words}");
}

#[test]
fn end_of_the_program_leaves_no_part_of_a_recording() {
    let directory = Directory::new("recorder-ends");
    let program = Program::configured(&directory.0, &configuration(&directory, ", verbatim: true"), 1, |_| {});
    talk(&program);
    // The recording may not have begun, or be half written.
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    let parts: Vec<_> = recordings(&directory)
        .into_iter()
        .filter(|path| path.extension().is_none_or(|end| end != "recording"))
        .collect();
    assert!(parts.is_empty(), "{parts:?}");
}

#[test]
fn recording_that_cannot_be_repeated_says_why() {
    let directory = Directory::new("recorder-others");
    let recording = record(&directory, "");
    let (is_good, shown) = replay(&recording, &directory, &[]);
    let has_input = shown.lines().any(|line| line.contains(" received ") && line.contains("hello everybody"));
    assert!(is_good && shown.contains("not replayed: it omits what peers sent") && !has_input, "{shown}");
    let original = read(&recording);
    let other = recording.with_extension("other");
    for (changed, more, words) in [
        (original[..original.len() / 2].to_owned(), &[][..], "the recording is cut: it ends without `end`"),
        (original.replacen("recording 1", "recording 2", 1), &[], "has format 2, and this version reads format 1"),
        (original.replacen("version 0", "version 7", 1), &[], "not replayed: version 7"),
        ("GET / HTTP/1.1\n".into(), &[], "line 1: this is no recording"),
        (original.clone(), &["--set", "limits.peer.idle=7s"], "recorded: limits.peer.idle"),
        (
            original.clone(),
            &["--reloaded", "x.yaml"],
            "was reloaded 0 times, and 1 configurations of reloads are given",
        ),
    ] {
        std::fs::write(&other, changed).expect("written");
        let (is_good, shown) = replay(&other, &directory, more);
        assert!(!is_good && shown.contains(words), "{words}: {shown}");
    }
    std::fs::write(&other, original.replacen("room_opened", "room_closed", 1)).expect("written");
    let (_, shown) = replay(&other, &directory, &[]);
    assert!(shown.contains("the file was changed after it was written"), "{shown}");
    let (is_good, shown) = replay(Path::new("/nowhere"), &directory, &[]);
    assert!(!is_good && shown.contains("can't read /nowhere"), "{shown}");
}

#[test]
fn recording_whose_bytes_differ_is_found() {
    let directory = Directory::new("recorder-differs");
    let recording = record(&directory, ", verbatim: true");
    // What the peer sent, and not what one worker told the other: that one may not have written it yet.
    let changed = read(&recording).replacen("\"hello everybody", "\"hello somebody!", 1);
    std::fs::write(&recording, changed).expect("written");
    let (is_same, shown) = replay(&recording, &directory, &[]);
    assert!(!is_same && shown.contains("other bytes for ") && shown.contains("than recorded"), "{shown}");
    // The line is that of the file: a write, whose connection is the one that is named.
    let (conn, rest) = shown.split_once("other bytes for ").and_then(|(_, rest)| rest.split_once(' ')).expect("words");
    let number = rest.split_once("(line ").and_then(|(_, rest)| rest.split(')').next()).expect("a line");
    let text = read(&recording);
    let line = text.lines().nth(number.parse::<usize>().expect("a number") - 1).expect("it is there");
    assert!(line.contains(&format!(" wrote {conn} ")), "line {number}: {line}");
    assert!(shown.contains("\" (other bytes than recorded)"), "{shown}");
}

#[test]
fn recording_in_which_a_note_is_missing_is_refused() {
    let directory = Directory::new("recorder-notes");
    let recording = record(&directory, ", verbatim: true");
    // As the recorder writes the note of an application.
    let text = read(&recording).replacen("\n0 started\n", "\n0 started\n# 0 noted without_text\n", 1);
    let line = text.lines().position(|line| line.ends_with("without_text")).expect("it is there") + 1;
    std::fs::write(&recording, text).expect("written");
    let (is_good, shown) = replay(&recording, &directory, &[]);
    let words = format!("worker 0: not replayed: line {line} of the recording: a note for the application is missing");
    assert!(!is_good && shown.contains(&words), "{shown}");
}

#[test]
fn recording_over_reloads_is_repeated() {
    let directory = Directory::new("recorder-reloads");
    let text = configuration(&directory, ", verbatim: true");
    let program = Program::configured(&directory.0, &text, 1, |_| {});
    let first = directory.0.join("first.yaml");
    std::fs::write(&first, &text).expect("written");
    let files: Vec<String> = ["second", "third"].map(|name| directory.0.join(name).display().to_string()).into();
    for (number, (file, welcome)) in (1..).zip(files.iter().zip(["good morning", "good evening"])) {
        let newer = text.replace("protocol: tcp", &format!("protocol: tcp, welcome: {welcome}"));
        std::fs::write(file, &newer).expect("written");
        std::fs::write(directory.0.join("drupe.yaml"), newer).expect("written");
        program.signal("-HUP");
        directory.wait_for("log", "reloaded; listening on", number);
        let mut member = BufReader::new(connect(program.port_of(0)));
        let mut line = String::new();
        member.read_line(&mut line).expect("it answers");
        assert_eq!(line.trim_end(), welcome);
    }
    talk(&program);
    wait_for_log(&directory, "recording written to");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    let [recording] = &recordings(&directory)[..] else { panic!("one recording") };
    std::fs::copy(&first, directory.0.join("drupe.yaml")).expect("copied");
    let [second, third] = [&files[0], &files[1]].map(String::as_str);
    let (is_same, shown) = replay(recording, &directory, &["--reloaded", second, "--reloaded", third]);
    assert!(is_same && shown.contains(" reconfigured"), "{shown}");
    for worker in ["worker 0: replayed; all ", "worker 1: replayed; all "] {
        assert!(shown.contains(worker), "{shown}");
    }
    for (more, words) in [
        (&[][..], "was reloaded 2 times, and 0 configurations of reloads are given"),
        (&["--reloaded", third, "--reloaded", second], "the configuration of reload 1 is another one"),
    ] {
        let (is_good, shown) = replay(recording, &directory, more);
        assert!(!is_good && shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn full_disk_leaves_no_half_recording_and_the_server_goes_on() {
    let directory = Directory::new("recorder-disk");
    let text = configuration(&directory, ", verbatim: true");
    // The limit on the size of a file has the error of a full disk: a part is written, and then no more.
    let (script, program) = (directory.0.join("limited"), program_path());
    let limited = format!("#!/bin/sh\ntrap '' XFSZ\nulimit -f 64\nexec {program} \"$@\"\n");
    std::fs::write(&script, limited).expect("written");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
    let program = Program::configured_as(&script, &directory.0, &text, 1, |_| {});
    // More than the limit, in blocks of 512 or 1,024 bytes.
    let mut member = BufReader::new(connect(program.port_of(0)));
    for _ in 0..24 {
        member.get_mut().write_all(format!("{}\n", "x".repeat(3_000)).as_bytes()).expect("sent");
    }
    member.get_mut().write_all(b"the last one\n").expect("sent");
    let mut line = String::new();
    while !line.contains("the last one") {
        line.clear();
        assert!(member.read_line(&mut line).expect("it answers") > 0);
    }
    for count in 1..=2 {
        talk(&program);
        directory.wait_for("log", "can't write a recording to ", count);
    }
    let log = read(&directory.0.join("log"));
    assert!(log.contains("(SIGUSR1): File too large"), "{log}");
    assert!(recordings(&directory).is_empty(), "neither a recording nor a part of one");
    talk(&program);
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn server_goes_on_if_a_recording_cannot_be_written() {
    let directory = Directory::new("recorder-full");
    let program = Program::configured(&directory.0, &configuration(&directory, ""), 1, |_| {});
    std::fs::remove_dir(directory.0.join("recordings")).expect("it is empty");
    talk(&program);
    wait_for_log(&directory, "can't write a recording to ");
    talk(&program);
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn recorder_without_its_directory_is_refused_at_the_start() {
    let directory = Directory::new("recorder-missing");
    let file = directory.0.join("drupe.yaml");
    std::fs::write(&file, format!("{CHAT}recorder: {{ directory: /nowhere/at/all }}\n")).expect("written");
    let output = drupe(&directory.0, &["--config", &file.display().to_string()]);
    let words = text(&output.stderr);
    assert!(
        !output.status.success() && words.contains("recorder.directory: there is no directory /nowhere"),
        "{words}"
    );
}

#[test]
fn process_above_its_bound_writes_one_recording_unasked() {
    let directory = Directory::new("recorder-memory");
    let program = Program::configured(&directory.0, &configuration(&directory, ", above: 1MiB"), 1, |_| {});
    wait_for_log(&directory, "MiB in memory)");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    assert_eq!(recordings(&directory).len(), 1);
}
