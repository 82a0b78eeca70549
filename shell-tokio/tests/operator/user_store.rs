//! The store of users: the command `user`, registration, tokens of the server, and restarts.

#![allow(clippy::panic, clippy::expect_used, clippy::print_stderr, reason = "a test fails where its assumption does")]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

use crate::support::{Directory, Program, program_path, read};
use crate::{connect, text};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// A configuration with the store `users.db` in the directory of the test.
fn config(more: &str) -> String {
    format!(
        "workers: 2\nlisteners: {{ a: {{ address: '127.0.0.1:0', protocol: tcp, app: echo }} }}\n\
         authentication:\n  enabled: true\n  store: users.db\n  iterations: 4096\n  dialogue: true\n  \
         failures_per_address: 99/1s burst 99\n  {more}\n"
    )
}

const OPEN: &str = "registration: true\n  registrations_per_address: 99/1s burst 99\n  issue_tokens: 5m";
const PASSWORD: &str = "correct horse";
const WRONG: &str = "wrong user name or password";

/// Runs the program with this input. Returns its exit code, and what it printed.
fn run(directory: &Directory, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut command = Command::new(program_path());
    command.args(arguments).current_dir(&directory.0).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it was built");
    // A command that needs no input may have ended.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it exits");
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// Sends lines on a new connection. Returns the first of these words that the peer receives, or all that it received.
fn ask(program: &Program, lines: &str, words: &[&str]) -> String {
    ask_on(&mut BufReader::new(connect(program.port_of(0))), lines, words)
}

fn ask_on(peer: &mut BufReader<TcpStream>, lines: &str, words: &[&str]) -> String {
    peer.get_mut().write_all(lines.as_bytes()).expect("sent");
    let mut heard = String::new();
    while peer.read_line(&mut heard).is_ok_and(|bytes| bytes > 0) {
        if let Some(found) = words.iter().find(|words| heard.contains(**words)) {
            return (*found).to_owned();
        }
    }
    heard
}

fn log_in(program: &Program, user: &str, password: &str) -> bool {
    let inside = format!("you are {user}");
    ask(program, &format!("{user}\n{password}\n"), &[&inside, WRONG]) == inside
}

#[test]
fn command_changes_the_users_of_a_running_server() {
    let directory = Directory::new("user-command");
    let program = Program::configured(&directory.0, &config(""), 1, |_| {});
    let user = |arguments: &[&str], input: &str| run(&directory, &[&["user"], arguments].concat(), input);
    let ok = |words: &str| (Some(0), format!("{words}\n"));
    assert!(!log_in(&program, "ann", PASSWORD));
    let added = user(&["add", "ann", "--scope", "a", "--scope", "b", "--config", "drupe.yaml"], "correct horse\n");
    assert_eq!(added, ok("the user ann was added"));
    assert!(log_in(&program, "ann", PASSWORD) && !log_in(&program, "ann", "another"));
    assert_eq!(user(&["passwd", "ann", "--store", "users.db"], "battery\n"), ok("the user ann has a new password"));
    assert!(log_in(&program, "ann", "battery") && !log_in(&program, "ann", PASSWORD));
    assert_eq!(
        user(&["scopes", "ann", "--store", "users.db", "--scope", "c"], ""),
        ok("the user ann has the scopes c")
    );
    assert_eq!(user(&["add", "bob", "--store", "users.db"], "staple\n"), ok("the user bob was added"));
    let (code, listed) = user(&["list", "--store", "users.db"], "");
    let rows: Vec<Vec<_>> = listed.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
    assert_eq!((code, rows.len(), &rows[0][..]), (Some(0), 3, &["NAME", "SCOPES", "CREATED"][..]), "{listed}");
    assert_eq!([&rows[1][..2], &rows[2][..2]], [["ann", "c"], ["bob", "-"]], "{listed}");
    assert!(rows[1][2].starts_with("20") && rows[1][2].ends_with('Z'), "{listed}");
    let json = user(&["list", "--json", "--config", "drupe.yaml"], "").1;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json[0]["name"], &json[0]["scopes"][0], &json[1]["name"]),
        (&"ann".into(), &"c".into(), &"bob".into())
    );
    let mut open = BufReader::new(connect(program.port_of(0)));
    assert_eq!(ask_on(&mut open, "ann\nbattery\n", &["you are ann", WRONG]), "you are ann");
    assert_eq!(user(&["remove", "ann", "--store", "users.db"], ""), ok("the user ann was removed"));
    assert!(!log_in(&program, "ann", "battery") && log_in(&program, "bob", "staple"));
    // A connection that is open already stays.
    assert_eq!(ask_on(&mut open, "still here\n", &["still here"]), "still here");
    // None of this is secret, and nothing secret is in the log.
    let log = read(&directory.0.join("log"));
    assert!(log.contains("authentication.store: 0 users in ") && !log.contains("battery"), "{log}");
}

#[test]
fn command_errors_name_the_remedy() {
    let directory = Directory::new("user-errors");
    std::fs::write(directory.0.join("drupe.yaml"), config("users: { root: { password: x } }")).expect("written");
    std::fs::write(directory.0.join("other.yaml"), "workers: 1").expect("written");
    let user = |arguments: &str, input: &str| {
        let arguments: Vec<_> = ["user"].into_iter().chain(arguments.split(' ')).collect();
        run(&directory, &arguments, input)
    };
    assert_eq!(user("add ann --config drupe.yaml", "x\n").0, Some(0));
    let mode = std::fs::metadata(directory.0.join("users.db")).expect("created").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for (arguments, input, words) in [
        ("list", "", "which store? Give --store FILE, or --config FILE"),
        ("list --config other.yaml", "", "set authentication.store, or give --store FILE"),
        ("list --store none.db", "", "none.db: there is no such file"),
        ("remove ann --store none/users.db", "", "create the directory first"),
        ("list --store drupe.yaml", "", "drupe.yaml: it is not a database"),
        ("add ann --store users.db", "y\n", "there is a user ann already"),
        ("add Ann --store users.db", "y\n", "the name Ann looks like that of the user ann"),
        ("add root --config drupe.yaml", "y\n", "the configuration has the user root"),
        ("add create --store users.db", "y\n", "create can't be the name of a user"),
        ("add a/b --store users.db", "y\n", "a/b can't be the name of a user"),
        ("add bob --store users.db", "\n", "the password is empty"),
        ("add bob --store users.db", "", "the password is empty"),
        ("add bob --store users.db", "x\u{7}y\n", "prohibited"),
        ("add bob --store users.db --iterations 1", "x\n", "iterations"),
        ("passwd bob --store users.db", "x\n", "there is no user bob"),
        ("passwd Ann --store users.db", "x\n", "there is no user Ann; did you mean ann?"),
        ("remove bob --store users.db", "", "there is no user bob"),
        ("scopes bob --store users.db", "", "there is no user bob"),
    ] {
        let (code, said) = user(arguments, input);
        assert!(code == Some(1) && said.contains(words), "{arguments}: {said}");
    }
    let (code, said) = run(&directory, &["user", "scopes", "ann", "--store", "users.db", "--scope", "a b"], "");
    assert!(code == Some(2) && said.contains("without spaces"), "{said}");
    assert!(!directory.0.join("none.db").exists());
}

#[test]
fn registered_user_logs_in_after_the_server_was_killed() {
    let directory = Directory::new("user-registers");
    let text = config(&format!("users: {{ root: {{ password: x }} }}\n  {OPEN}"));
    let program = Program::configured(&directory.0, &text, 1, |_| {});
    let answers = ["you are ", "this name is taken"];
    let create = |program: &Program, name: &str| ask(program, &format!("create {name} {PASSWORD}\n"), &answers);
    let json = |program: &Program, name: &str| {
        let line = format!("{{\"type\":\"register\",\"user\":\"{name}\",\"password\":\"{PASSWORD}\"}}\n");
        ask(program, &line, &["\"auth_ok\"", "\"name_taken\""])
    };
    assert_eq!([create(&program, "ann"), json(&program, "bob")], ["you are ", "\"auth_ok\""]);
    for name in ["ann", "Ann", "\u{430}nn", "bob", "root", "Root"] {
        assert_eq!([create(&program, name), json(&program, name)], ["this name is taken", "\"name_taken\""], "{name}");
    }
    let refused = ask(&program, "create carol short\n", &["at least 8 characters", "you are"]);
    assert_eq!(refused, "at least 8 characters");
    directory.wait_for("log", "the user bob has registered", 1);
    program.signal("-KILL");
    assert_eq!(program.wait(), None);
    let program = Program::configured(&directory.0, &text, 1, |_| {});
    for name in ["ann", "bob"] {
        assert!(log_in(&program, name, PASSWORD) && !log_in(&program, name, "x"), "{name}");
    }
    // The user of the configuration has no entry in the store.
    assert!(log_in(&program, "root", "x") && !log_in(&program, "root", PASSWORD));
    assert_eq!(create(&program, "ann"), "this name is taken");
    directory.wait_for("log", "authentication.store: 2 users in ", 1);
    let log = read(&directory.0.join("log"));
    assert!(!log.contains(PASSWORD), "{log}");
}

#[test]
fn issued_token_logs_in_elsewhere_and_after_a_restart() {
    let directory = Directory::new("user-token");
    let program = Program::configured(&directory.0, &config(OPEN), 1, |_| {});
    let mut peer = BufReader::new(connect(program.port_of(0)));
    let line = format!("{{\"type\":\"register\",\"user\":\"ann\",\"password\":\"{PASSWORD}\"}}\n");
    assert_eq!(ask_on(&mut peer, &line, &["\"auth_ok\""]), "\"auth_ok\"");
    peer.get_mut().write_all(b"{\"type\":\"token\"}\n").expect("sent");
    let mut answer = String::new();
    while !answer.contains("\"token\"") {
        answer.clear();
        assert!(peer.read_line(&mut answer).expect("a line") > 0);
    }
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["expires_in"], 300);
    let token = answer["token"].as_str().expect("a token").to_owned();
    let try_token = |program: &Program, token: &str| {
        ask(program, &format!("/auth {token}\n"), &["you are ann", "tokens are not accepted here", "not well formed"])
    };
    assert_eq!(try_token(&program, &token), "you are ann");
    assert_ne!(try_token(&program, &token[..token.len() - 4]), "you are ann");
    program.signal("-TERM");
    drop(peer);
    assert_eq!(program.wait(), Some(0));
    let program = Program::configured(&directory.0, &config(OPEN), 1, |_| {});
    assert_eq!(try_token(&program, &token), "you are ann");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    // Another store has another secret.
    std::fs::remove_file(directory.0.join("users.db")).expect("there");
    let program = Program::configured(&directory.0, &config(OPEN), 1, |_| {});
    assert_ne!(try_token(&program, &token), "you are ann");
}

#[test]
fn store_that_cannot_be_used_is_an_error_at_its_key() {
    let directory = Directory::new("user-damaged");
    let file = directory.0.join("users.db");
    let prepared = run(&directory, &["user", "add", "ann", "--store", "users.db"], "x\n");
    assert_eq!(prepared.0, Some(0), "{}", prepared.1);
    let mut damaged = std::fs::read(&file).expect("there");
    damaged[4_096..].fill(0xa5);
    for (content, store, words) in [
        (damaged, "users.db", "it is damaged"),
        (b"no database".repeat(100), "users.db", "it is not a database"),
        (Vec::new(), "none/users.db", "create the directory first"),
        (Vec::new(), ".", "it is a directory or a device"),
    ] {
        std::fs::write(&file, content).expect("written");
        let text = config("").replace("users.db", store);
        std::fs::write(directory.0.join("drupe.yaml"), text).expect("written");
        for arguments in [["check", "drupe.yaml"], ["--config", "drupe.yaml"]] {
            let (code, said) = run(&directory, &arguments, "");
            let is_blamed = said.contains("drupe.yaml:5: authentication.store: ") && said.contains(words);
            assert!(code == Some(1) && is_blamed, "{words}: {said}");
        }
    }
    // A check creates no store.
    std::fs::remove_file(&file).expect("there");
    std::fs::write(directory.0.join("drupe.yaml"), config("")).expect("written");
    assert_eq!(run(&directory, &["check", "drupe.yaml"], "").0, Some(0));
    assert!(!file.exists());
}

#[test]
fn reload_warns_that_another_store_needs_a_restart() {
    let directory = Directory::new("user-reload");
    let program = Program::configured(&directory.0, &config(OPEN), 1, |_| {});
    let registered = ask(&program, &format!("create ann {PASSWORD}\n"), &["you are ann"]);
    assert_eq!(registered, "you are ann");
    // The iterations take effect at once.
    let text = config("").replace("users.db", "others.db").replace("4096", "5000");
    std::fs::write(directory.0.join("drupe.yaml"), text).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "reloaded; listening on", 1);
    let log = read(&directory.0.join("log"));
    for key in ["store", "registration", "issue_tokens"] {
        let mut lines = log.lines().filter(|line| line.contains(&format!("changed: authentication.{key}: ")));
        let line = lines.next().unwrap_or_else(|| panic!("{key}: {log}"));
        assert!(line.contains("WARN") && line.ends_with("(after a restart)"), "{line}");
    }
    assert!(log_in(&program, "ann", PASSWORD) && !directory.0.join("others.db").exists());
    assert_eq!(ask(&program, &format!("create bob {PASSWORD}\n"), &["you are bob"]), "you are bob");
    // A name that nobody has looks like that of the newest users.
    let first = |name: &str| {
        ask(&program, &format!("/auth scram n,,n={name},r=0123456789abcdefghijkl\n"), &["i=4096", "i=5000"])
    };
    assert_eq!(["ann", "bob", "carol"].map(first), ["i=4096", "i=5000", "i=5000"]);
}
