//! Replays every committed corpus on stable Rust.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails where its assumption does")]

use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for file in files {
        let path = file.expect("a folder can be read").path();
        run(&fs::read(&path).expect("a file can be read"));
        count += 1;
    }
    assert!(count >= 20, "the corpus has only {count} inputs");
}

#[test]
fn line() {
    replay("line", drupe_fuzz::line);
}

#[test]
fn length() {
    replay("length", drupe_fuzz::length);
}

#[test]
fn delimited() {
    replay("delimited", drupe_fuzz::delimited);
}

#[test]
fn codec() {
    replay("codec", drupe_fuzz::codec);
}

#[test]
fn machine() {
    replay("machine", drupe_fuzz::machine);
}

#[test]
fn telnet_parser() {
    replay("telnet_parser", drupe_fuzz::telnet_parser);
}

#[test]
fn telnet_options() {
    replay("telnet_options", drupe_fuzz::telnet_options);
}

#[test]
fn telnet_session() {
    replay("telnet_session", drupe_fuzz::telnet_session);
}

#[test]
fn telnet_client() {
    replay("telnet_client", drupe_fuzz::telnet_client);
}

#[test]
fn telnet_editor() {
    replay("telnet_editor", drupe_fuzz::telnet_editor);
}

#[test]
fn http() {
    replay("http", drupe_fuzz::http);
}

#[test]
fn websocket() {
    replay("websocket", drupe_fuzz::websocket);
}

#[test]
fn websocket_frames() {
    replay("websocket_frames", drupe_fuzz::websocket_frames);
}

#[test]
fn listen() {
    replay("listen", drupe_fuzz::listen);
}

#[test]
fn kit() {
    replay("kit", drupe_fuzz::kit);
}

#[test]
fn machine_extremes() {
    replay("machine_extremes", drupe_fuzz::machine_extremes);
}

#[test]
fn settings() {
    replay("settings", drupe_fuzz::settings);
}

#[test]
fn scram() {
    replay("scram", drupe_fuzz::scram);
}

#[test]
fn token() {
    replay("token", drupe_fuzz::token);
}

#[test]
fn calls() {
    replay("calls", drupe_fuzz::calls);
}

#[test]
fn pubsub() {
    replay("pubsub", drupe_fuzz::pubsub);
}

#[test]
fn proxy() {
    replay("proxy", drupe_fuzz::proxy);
}

#[test]
fn outgoing_proxy() {
    replay("outgoing_proxy", drupe_fuzz::outgoing_proxy);
}

#[test]
fn traces() {
    replay("traces", drupe_fuzz::traces);
}

#[test]
fn tls() {
    replay("tls", drupe_fuzz::tls);
}

#[test]
fn known_hosts() {
    replay("known_hosts", drupe_fuzz::known_hosts);
}

#[test]
fn dial() {
    replay("dial", drupe_fuzz::dial);
}

#[test]
fn monitor() {
    replay("monitor", drupe_fuzz::monitor);
}

#[test]
fn nats() {
    replay("nats", drupe_fuzz::nats);
}

#[test]
fn resp() {
    replay("resp", drupe_fuzz::resp);
}

#[test]
fn ssh_keys() {
    replay("ssh_keys", drupe_fuzz::ssh_keys);
}

#[test]
fn ssh_course() {
    replay("ssh_course", drupe_fuzz::ssh_course);
}
