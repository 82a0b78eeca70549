//! The program's logins over real sockets: limits of all workers together, and reloads.

#![allow(clippy::panic, clippy::expect_used, clippy::print_stderr, reason = "a test fails where its assumption does")]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

use crate::support::{Directory, Program, read};
use drupe_tokio::core::kit::auth::{Claims, TokenKey};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn connect(program: &Program) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", program.port_of(0))).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    BufReader::new(stream)
}

fn say(peer: &mut BufReader<TcpStream>, words: &str) {
    peer.get_mut().write_all(words.as_bytes()).expect("sent");
}

/// The next line that has one of these words, or all that came before the end.
fn hear(peer: &mut BufReader<TcpStream>, words: &[&str]) -> String {
    let mut heard = String::new();
    while peer.read_line(&mut heard).is_ok_and(|bytes| bytes > 0) {
        if let Some(found) = words.iter().find(|words| heard.contains(**words)) {
            return (*found).to_owned();
        }
    }
    heard
}

fn token(number: u32) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = Claims::of("ann").exp(Some(now + 3_600)).jti(Some(number.to_string()));
    TokenKey::hs256(KEY.as_bytes()).expect("long enough").sign(&claims).expect("it signs")
}

fn config(authentication: &str) -> String {
    format!(
        "workers: 4\nlisteners: {{ a: {{ address: '127.0.0.1:0', protocol: tcp, app: echo }} }}\n\
         authentication: {{ enabled: true, {authentication} }}\n"
    )
}

#[test]
fn four_workers_share_one_login_failure_limit() {
    let directory = Directory::new("failures");
    let text = config(&format!("tokens: {{ hs256_secret: {KEY} }}, failures_per_address: 3/300s burst 3"));
    let program = Program::configured(&directory.0, &text, 1, |_| {});
    let mut peers: Vec<_> = (0..12).map(|_| connect(&program)).collect();
    peers.iter_mut().for_each(|peer| say(peer, "/auth x\n"));
    let answers = peers.iter_mut().map(|peer| hear(peer, &["not well formed", "too many failures"]));
    let mut answers: Vec<_> = answers.collect();
    answers.sort();
    let expected: Vec<_> = [vec!["not well formed"; 3], vec!["too many failures"; 9]].concat();
    assert_eq!(answers, expected);
    // The log says why each of them failed.
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    let log = read(&directory.0.join("log"));
    let failed = |cause: &str| log.lines().filter(|line| line.contains("login failed") && line.contains(cause)).count();
    assert_eq!((failed("not well formed"), failed("too many failures")), (3, 9), "{log}");
}

#[test]
fn duplicate_login_policy_applies_across_workers() {
    for (duplicates, in_the_end) in [("refuse_new", 1), ("replace_old", 1), ("keep_both", 8)] {
        let directory = Directory::new(duplicates);
        let text = config(&format!(
            "users: {{ ann: {{ password: secret }} }}, iterations: 4096, dialogue: true, duplicates: {duplicates}"
        ));
        let program = Program::configured(&directory.0, &text, 1, |_| {});
        let mut peers: Vec<_> = (0..8).map(|_| connect(&program)).collect();
        // What is said behind the password waits until it is hashed.
        peers.iter_mut().for_each(|peer| say(peer, "ann\nsecret\nhello\n"));
        for peer in &mut peers {
            hear(peer, &["you are ann", "this user is already connected"]);
        }
        // Whoever is out is told that it is over; whoever is in is answered.
        let mut left = 0;
        for mut peer in peers {
            let _ = peer.get_mut().write_all(b"are you there?\n");
            let _ = peer.get_ref().shutdown(std::net::Shutdown::Write);
            left += u32::from(hear(&mut peer, &["are you there?"]) == "are you there?");
        }
        assert_eq!(left, in_the_end, "{duplicates}");
    }
}

#[test]
fn single_use_token_stays_used_over_a_reload() {
    let directory = Directory::new("used");
    let text = config(&format!(
        "tokens: {{ hs256_secret: {KEY}, single_use_max: 100 }}, failures_per_address: 99/1s burst 99"
    ));
    let program = Program::configured(&directory.0, &text, 1, |_| {});
    let answers = ["you are ann", "the token was used before"];
    let try_it = |number| {
        let mut peer = connect(&program);
        say(&mut peer, &format!("/auth {}\n", token(number)));
        hear(&mut peer, &answers)
    };
    assert_eq!(try_it(1), answers[0]);
    // On every worker.
    for _ in 0..8 {
        assert_eq!(try_it(1), answers[1]);
    }
    program.signal("-HUP");
    directory.wait_for("log", "reloaded; listening on", 1);
    for _ in 0..8 {
        assert_eq!(try_it(1), answers[1]);
    }
    assert_eq!(try_it(2), answers[0]);
}

#[test]
fn only_a_successful_reload_changes_passwords() {
    let directory = Directory::new("passwords");
    let authentication = |password: &str| {
        format!(
            "users: {{ ann: {{ password: {password} }} }}, iterations: 4096, dialogue: true, failures_per_address: 99/1s burst 99"
        )
    };
    let program = Program::configured(&directory.0, &config(&authentication("old")), 1, |_| {});
    let answers = ["you are ann", "wrong user name or password"];
    let log_in = |password: &str| {
        let mut peer = connect(&program);
        say(&mut peer, &format!("ann\n{password}\n"));
        hear(&mut peer, &answers)
    };
    assert_eq!([log_in("old"), log_in("new")], answers);
    // A second listener where the first one is: it can't be had, and that shows after all has been prepared.
    let taken = program.port_of(0);
    let file = directory.0.join("drupe.yaml");
    let bad = config(&authentication("new")).replace(
        "app: echo }",
        &format!("app: echo }}, b: {{ address: '127.0.0.1:{taken}', protocol: tcp, app: echo }}"),
    );
    std::fs::write(&file, bad).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "nothing was reloaded", 1);
    assert_eq!([log_in("old"), log_in("new")], answers);
    std::fs::write(&file, config(&authentication("new"))).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "reloaded; listening on", 1);
    assert_eq!([log_in("new"), log_in("old")], answers);
}
