use super::*;
use crate::app::Relay;
use crate::base::{ListenerId, UnixTime};
use crate::config::{Config, Listen, RoomMemory, RoomOptions};
use crate::facts::Command;
use crate::history::Keep;
use crate::kit::layer::Within;
use crate::testing::TestHub;
use crate::tunnel::{LinkId, Ssh, Tunnel, TunnelFailure, TunnelId, TunnelReport};
use crate::wire::Protocol;
use crate::wire::http::{Credential, Http};
use alloc::format;
use alloc::sync::Arc;

const CREDENTIAL: &str = "0123456789abcdef";

type World = TestHub<crate::kit::layer::Layered<Monitor, Relay>>;

fn config() -> Config {
    let http = Http { monitor: Credential::new(CREDENTIAL).ok(), ping: None, ..Http::default() };
    let web = Listen::new(crate::config::Address::Tcp(([127, 0, 0, 1], 0).into()), Protocol::Http(Arc::new(http)));
    let mut lines = Listen::lines(([127, 0, 0, 1], 0).into());
    lines.name = "lines".into();
    Config::listening([lines, web])
}

fn world(limits: MonitorLimits) -> (World, LogTail) {
    let log = LogTail::default();
    let monitor = Monitor::new(limits, log.clone());
    (TestHub::with_config(config(), Relay::default().within(monitor)), log)
}

fn ask<H: Handler>(hub: &mut TestHub<H>, path: &str, fields: &str) -> ConnId {
    let conn = hub.try_connect(ListenerId(1), "127.0.0.1:9".parse().expect("good")).expect("let in");
    hub.send(
        conn,
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{fields}\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        .as_bytes(),
    );
    conn
}

fn watcher<H: Handler>(hub: &mut TestHub<H>) -> ConnId {
    ask(hub, "/monitor", &format!("Authorization: Bearer {CREDENTIAL}\r\n"))
}

/// Returns the messages that a watcher received since the last call, one per frame.
fn told<H: Handler>(hub: &mut TestHub<H>, conn: ConnId) -> Vec<Value> {
    let received = hub.received(conn).to_vec();
    let start = memchr::memmem::find(&received, b"\r\n\r\n").map_or(0, |end| end + 4);
    let (mut rest, mut messages) = (&received[start..], Vec::new());
    while let [_, length, ..] = *rest {
        let (length, header) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            length => (usize::from(length), 2),
        };
        messages.extend(serde_json::from_slice::<Value>(&rest[header..header + length]).ok());
        rest = &rest[header + length..];
    }
    hub.clear();
    messages
}

fn say<H: Handler>(hub: &mut TestHub<H>, conn: ConnId, text: &str) {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).expect("short"), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    hub.send(conn, &frame);
}

fn types(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["type"].as_str()).collect()
}

#[test]
fn monitor_requires_the_credential_and_limits_guesses() {
    let (mut hub, _) = world(MonitorLimits::default());
    for fields in ["", "Authorization: Bearer wrong-wrong-wrong\r\n", "Authorization: Basic eDp5\r\n"] {
        let conn = ask(&mut hub, "/monitor", fields);
        let answer = String::from_utf8_lossy(hub.received(conn)).into_owned();
        assert!(
            answer.starts_with("HTTP/1.1 401 Unauthorized") && answer.contains("WWW-Authenticate: Basic"),
            "{answer}"
        );
        assert!(hub.is_closed(conn));
    }
    assert_eq!(hub.machine().metrics().authentication_failures, 2, "a request without credentials is not a failure");
    for _ in 0..3 {
        ask(&mut hub, "/monitor", "Authorization: Bearer wrong-wrong-wrong\r\n");
    }
    let conn = watcher(&mut hub);
    let answer = String::from_utf8_lossy(hub.received(conn)).into_owned();
    assert!(answer.starts_with("HTTP/1.1 429"), "the address is refused after five failures: {answer}");
    hub.advance(Duration::from_secs(60));
    let conn = watcher(&mut hub);
    assert_eq!(types(&told(&mut hub, conn)), ["hello", "history", "active_sessions"]);
    let conn = ask(&mut hub, "/monitor", "Authorization: Basic eDowMTIzNDU2Nzg5YWJjZGVm\r\n");
    assert_eq!(types(&told(&mut hub, conn)), ["hello", "history", "active_sessions"]);
}

#[test]
fn watcher_is_told_its_address_and_the_samples_that_were_taken_before_it_came() {
    let (mut hub, _) = world(MonitorLimits::default());
    let start = 1_800_000_000_000_u64;
    hub.set_clock(UnixTime::from_millis(start));
    hub.advance(Duration::from_secs(10));
    let ann = hub.connect();
    hub.line(ann, "hello");
    let watcher = watcher(&mut hub);
    let first = told(&mut hub, watcher);
    assert_eq!(types(&first), ["hello", "history", "active_sessions"]);
    assert_eq!(first[0]["address"], "127.0.0.1");
    let [hour, day] = [0, 1].map(|series| &first[1]["series"][series]["samples"]);
    let sample = |at| json!([at, 0, 0, 0, 0, 0, 0]);
    assert_eq!((hour, day), (&json!([sample(start), sample(start + 10_000)]), &json!([sample(start)])));
    hub.advance(Duration::from_secs(10));
    let later = told(&mut hub, watcher);
    let news: Vec<_> = later.iter().filter(|message| message["type"] == "history").collect();
    let sample = &news[0]["series"][0]["samples"][0];
    // The open connections are those of the table, without that of the watcher.
    assert_eq!((news.len(), &sample[0], &sample[1], &sample[3]), (1, &(start + 20_000).into(), &1.into(), &1.into()));
    assert_eq!(news[0]["series"][1]["samples"], json!([]));
}

#[test]
fn watcher_receives_session_starts_ends_and_messages() {
    let (mut hub, log) = world(MonitorLimits::default());
    let ann = hub.connect();
    let watcher = watcher(&mut hub);
    let first = told(&mut hub, watcher);
    assert_eq!(first[2]["sessions"][0]["id"], ann.to_string());
    assert_eq!(first[2]["sessions"][0]["listener"], "lines");
    let bob = hub.connect();
    let started = told(&mut hub, watcher);
    assert_eq!((types(&started), &started[0]["session"]["is_newest"]), (vec!["session_started"], &Value::Bool(true)));
    say(&mut hub, watcher, &format!(r#"{{"type":"watch_session","session_id":"{bob}"}}"#));
    assert_eq!(told(&mut hub, watcher)[0]["status"], "success");
    hub.line(bob, "hello");
    hub.line(ann, r#"{"password":"x"}"#);
    let said = told(&mut hub, watcher);
    assert_eq!(types(&said), ["client_input", "server_message"]);
    assert_eq!((&said[0]["data"]["text"], &said[0]["data"]["bytes"]), (&"hello".into(), &5.into()));
    assert_eq!(said[1]["data"]["text"], r#"{"password":"(secret)"}"#);
    log.push("a line");
    hub.advance(Duration::from_secs(1));
    assert_eq!(types(&told(&mut hub, watcher)), ["log", "active_sessions", "stats"]);
    say(&mut hub, watcher, &format!(r#"{{"type":"stop_watching","session_id":"{bob}"}}"#));
    hub.line(bob, "unseen");
    assert_eq!(types(&told(&mut hub, watcher)), ["watch_response"]);
    say(&mut hub, watcher, r#"{"type":"watch_session","session_id":"9.9"}"#);
    assert_eq!(told(&mut hub, watcher)[0]["error"], "Session not found");
    say(&mut hub, watcher, &format!(r#"{{"type":"watch_session","session_id":"{watcher}"}}"#));
    assert_eq!(told(&mut hub, watcher)[0]["error"], "Session not found", "a watcher cannot be watched");
    hub.end(bob);
    let ended = told(&mut hub, watcher);
    assert_eq!((types(&ended), &ended[0]["reason"]), (vec!["session_ended"], &"peer_closed".into()));
    assert_eq!(ended[0]["session"]["status"], "disconnected");
}

#[test]
fn watchers_that_may_act_have_recordings_written() {
    for (may_act, has_recorder, errors) in [
        (true, true, [Value::Null, "a recording is being written".into()]),
        (true, false, ["this server has no recorder", "this server has no recorder"].map(Value::from)),
        (
            false,
            true,
            ["actions are disabled on this monitor", "actions are disabled on this monitor"].map(Value::from),
        ),
    ] {
        let mut monitor = Monitor::new(MonitorLimits::default().may_act(may_act), LogTail::default());
        if has_recorder {
            let mut is_busy = false;
            monitor = monitor.recorder(move || {
                let was_busy = core::mem::replace(&mut is_busy, true);
                if was_busy { Err("a recording is being written".into()) } else { Ok(()) }
            });
        }
        let mut hub = TestHub::with_config(config(), Relay::default().within(monitor));
        let watcher = watcher(&mut hub);
        assert_eq!(told(&mut hub, watcher)[0]["may_record"], may_act && has_recorder);
        for error in errors {
            say(&mut hub, watcher, r#"{"type":"record"}"#);
            assert_eq!(told(&mut hub, watcher)[0]["error"], error);
        }
    }
}

#[test]
fn watcher_actions_require_permission() {
    for may_act in [true, false] {
        let (mut hub, _) = world(MonitorLimits { may_act, ..MonitorLimits::default() });
        let (ann, watcher) = (hub.connect(), watcher(&mut hub));
        told(&mut hub, watcher);
        let status = if may_act { "success" } else { "error" };
        say(&mut hub, watcher, r#"{"type":"quarantine","address":"192.0.2.1"}"#);
        say(&mut hub, watcher, r#"{"type":"release","address":"192.0.2.1"}"#);
        say(&mut hub, watcher, &format!(r#"{{"type":"kick","session_id":"{ann}"}}"#));
        let answers = told(&mut hub, watcher);
        let done: Vec<_> = answers.iter().filter(|message| message["type"] == "action_response").collect();
        assert!(done.len() == 3 && done.iter().all(|message| message["status"] == status), "{done:?}");
        assert_eq!((hub.is_closed(ann), hub.ended(Reason::Kicked)), (may_act, u64::from(may_act)));
        say(&mut hub, watcher, r#"{"type":"drain"}"#);
        assert_eq!(hub.machine().is_draining(), may_act);
        say(&mut hub, watcher, r#"{"type":"dance"}"#);
    }
    let (mut hub, _) = world(MonitorLimits { may_watch: false, watchers_max: 1, ..MonitorLimits::default() });
    let (ann, one) = (hub.connect(), watcher(&mut hub));
    say(&mut hub, one, &format!(r#"{{"type":"watch_session","session_id":"{ann}"}}"#));
    assert_eq!(told(&mut hub, one).last().expect("an answer")["error"], "watching is disabled on this monitor");
    let other = watcher(&mut hub);
    assert!(hub.is_closed(other) && hub.ended(Reason::ListenerFull) == 1);
}

#[test]
fn monitor_shows_chat_names_and_watcher_count() {
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default());
    let mut hub = TestHub::with_config(config(), crate::app::Chat::default().within(monitor));
    let (ann, watcher) = (hub.connect(), watcher(&mut hub));
    let name =
        |told: &[Value]| told.iter().find_map(|told| told["sessions"].get(0).map(|session| session["name"].clone()));
    assert_eq!(name(&told(&mut hub, watcher)), Some("guest1".into()));
    hub.line(ann, "/nick ann");
    hub.advance(Duration::from_secs(1));
    let later = told(&mut hub, watcher);
    assert_eq!(name(&later), Some("ann".into()));
    let stats = later.iter().find(|told| told["type"] == "stats").expect("every second");
    assert_eq!((&stats["watchers"], &stats["metrics"]["open"]), (&1.into(), &2.into()));
}

#[test]
fn monitor_quarantine_closes_peers_and_own_address_needs_force() {
    let (mut hub, _) = world(MonitorLimits::default());
    let connect =
        |hub: &mut World, peer: &str| hub.try_connect(ListenerId(0), peer.parse().expect("good")).expect("let in");
    let theirs = [connect(&mut hub, "192.0.2.1:5"), connect(&mut hub, "192.0.2.1:6")];
    let mapped = connect(&mut hub, "[::ffff:192.0.2.1]:7");
    let (neighbor, other) = (connect(&mut hub, "127.0.0.1:5"), connect(&mut hub, "192.0.2.2:5"));
    let watcher = watcher(&mut hub);
    told(&mut hub, watcher);
    let answer = |hub: &mut World, command: &str| {
        say(hub, watcher, command);
        let answers = told(hub, watcher).into_iter().filter(|message| message["type"] == "action_response");
        answers.map(|answer| (answer["status"].clone(), answer["error"].clone())).next_back().expect("an answer")
    };
    let done = (Value::from("success"), Value::Null);
    assert_eq!(answer(&mut hub, r#"{"type":"quarantine","address":"192.0.2.1"}"#), done);
    assert!(theirs.into_iter().chain([mapped]).all(|conn| hub.is_closed(conn)));
    assert_eq!(hub.ended(Reason::Quarantined), 3);
    let refused = answer(&mut hub, r#"{"type":"quarantine","address":"127.0.0.1"}"#);
    assert_eq!(refused, ("error".into(), "own_address".into()));
    assert!(![neighbor, other, watcher].into_iter().any(|conn| hub.is_closed(conn)));
    assert_eq!(answer(&mut hub, r#"{"type":"quarantine","address":"127.0.0.1","force":true}"#), done);
    assert_eq!([neighbor, other, watcher].map(|conn| hub.is_closed(conn)), [true, false, false]);
}

#[test]
fn slow_watcher_skips_messages_without_slowing_the_session() {
    let (mut hub, _) = world(MonitorLimits::default());
    let (ann, bob, watcher) = (hub.connect(), hub.connect(), watcher(&mut hub));
    say(&mut hub, watcher, &format!(r#"{{"type":"watch_session","session_id":"{bob}"}}"#));
    told(&mut hub, watcher);
    hub.set_writable(watcher, 0);
    for n in 0..2_000 {
        hub.line(ann, &format!("{n} {}", "z".repeat(200)));
    }
    assert_eq!(hub.lines(bob).len(), 2_000);
    assert!(!hub.is_closed(watcher) && hub.machine().metrics().queued_bytes < 200_000);
    hub.set_writable(watcher, usize::MAX);
    hub.advance(Duration::from_secs(1));
    let messages = told(&mut hub, watcher);
    let skipped = messages.iter().find(|message| message["type"] == "watch_skipped").expect("it is told");
    let seen = messages.iter().filter(|message| message["type"] == "server_message").count() as u64;
    assert_eq!(skipped["count"].as_u64().expect("a number") + seen, 2_000);
    hub.command(&Command::Drain);
}

/// Answers each message with many, more than are copied for watchers at a time.
struct Flood;

impl Handler for Flood {
    type Context = ();
    type Note = crate::handler::NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        if let Event::Message { conn, .. } = event {
            for _ in 0..300 {
                hub.send(conn, "x");
            }
        }
    }
}

#[test]
fn watchers_are_told_only_of_messages_of_their_own_session_that_were_skipped() {
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default());
    let mut hub = TestHub::with_config(config(), Flood.within(monitor));
    let (quiet, loud) = (hub.connect(), hub.connect());
    let watchers = [quiet, loud, loud].map(|session| {
        let watcher = watcher(&mut hub);
        say(&mut hub, watcher, &format!(r#"{{"type":"watch_session","session_id":"{session}"}}"#));
        watcher
    });
    hub.clear();
    hub.line(loud, "go");
    hub.advance(Duration::from_secs(1));
    let skipped = watchers.map(|watcher| {
        let text = String::from_utf8_lossy(hub.received(watcher)).into_owned();
        let seen = text.matches("server_message").count();
        (seen, text.contains(&format!("{{\"count\":{},", 300 - seen)), text.contains("watch_skipped"))
    });
    assert_eq!(skipped, [(0, false, false), (256, true, true), (256, true, true)]);
}

#[test]
fn monitor_stats_show_tunnel_states() {
    let (hub, log) = world(MonitorLimits::default());
    let mut config = hub.machine().config().clone();
    config.listeners.push("tcp://127.0.0.1:0?tunnel=edge".parse().expect("well formed"));
    config.listeners[2].name = "far".into();
    config.tunnels = [Tunnel::new("edge", Ssh::new("edge.example", "drupe", "known_hosts"))].into();
    let monitor = Monitor::new(MonitorLimits::default(), log);
    let mut hub = TestHub::with_config(config, Relay::default().within(monitor));
    let link = LinkId { tunnel: TunnelId(0), attempt: 1 };
    let watcher = watcher(&mut hub);
    told(&mut hub, watcher);
    let tunnel = |hub: &mut World| {
        hub.advance(Duration::from_secs(1));
        told(hub, watcher).into_iter().find(|told| told["type"] == "stats").expect("it is told")["tunnels"][0].clone()
    };
    let before = tunnel(&mut hub);
    assert_eq!(
        (&before["name"], &before["state"], &before["last_error"]),
        (&"edge".into(), &"connecting".into(), &Value::Null)
    );
    hub.tunnel_reported(link, &TunnelReport::Connected);
    hub.tunnel_reported(link, &TunnelReport::Bound { listener: ListenerId(2), port: 7000 });
    let up = tunnel(&mut hub);
    let expected = json!([{ "listener": "far", "at": "127.0.0.1:7000", "bound": true }]);
    assert_eq!((&up["state"], &up["forwards"], &up["connected"]), (&"up".into(), &expected, &1.into()));
    let words = "nobody answers".to_string();
    hub.tunnel_reported(link, &TunnelReport::Failed { failure: TunnelFailure::HostKey, words });
    let waiting = tunnel(&mut hub);
    let expected = json!({ "failure": "host_key", "words": "nobody answers" });
    assert_eq!((&waiting["state"], &waiting["last_error"]), (&"waiting".into(), &expected));
    assert_eq!(waiting["retry_in_seconds"], 299);
}

#[test]
fn monitor_stats_show_histories_of_rooms() {
    let rooms = vec![RoomOptions::new("relay", Keep::messages(5))];
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default());
    let with_home = config().memory(RoomMemory::default().rooms(rooms));
    let mut hub: World = TestHub::with_config(with_home, Relay::default().within(monitor));
    let ann = hub.connect();
    hub.line(ann, "hello");
    let watcher = watcher(&mut hub);
    told(&mut hub, watcher);
    hub.advance(Duration::from_secs(1));
    let stats = told(&mut hub, watcher).into_iter().find(|told| told["type"] == "stats").expect("every second");
    let metrics = &stats["metrics"];
    assert_eq!((&metrics["room_histories"], &metrics["room_gaps"]), (&1.into(), &0.into()));
    assert!(metrics["room_histories_bytes"].as_u64().is_some_and(|bytes| bytes > 100), "{metrics}");
    assert_eq!((&metrics["room_recovered"], &metrics["room_not_recovered"]), (&0.into(), &0.into()));
}

#[test]
fn monitor_shows_and_resets_recent_errors() {
    let (mut hub, _) = world(MonitorLimits::default());
    let conn = watcher(&mut hub);
    let peer = hub.connect();
    hub.advance(Duration::from_secs(2));
    hub.fail(peer, crate::base::Failure::Reset);
    told(&mut hub, conn);
    hub.advance(Duration::from_secs(1));
    let recent = |messages: &[Value]| messages.iter().find(|told| told["type"] == "recent").cloned();
    let first = told(&mut hub, conn);
    let shown = recent(&first).expect("there was an error");
    assert_eq!((&shown["errors"][0]["reason"], &shown["errors"][0]["peer"]), (&"reset".into(), &"127.0.0.0/24".into()));
    let longest = &shown["connections_longest"][0];
    assert_eq!((&longest["duration_ms"], &longest["wire"]), (&2_000.into(), &"lines".into()));
    let stats = first.iter().find(|told| told["type"] == "stats").expect("every second");
    assert_eq!(stats["uptime_seconds"], 3);
    hub.advance(Duration::from_secs(1));
    assert_eq!(recent(&told(&mut hub, conn)), None, "nothing has changed");
    let late = watcher(&mut hub);
    assert_eq!(recent(&told(&mut hub, late)), Some(shown));
    say(&mut hub, conn, r#"{"type":"reset_metrics"}"#);
    hub.advance(Duration::from_secs(1));
    let cleared = recent(&told(&mut hub, conn)).expect("it has changed");
    assert_eq!((&cleared["errors"], &cleared["connections_longest"]), (&json!([]), &json!([])));
    assert_eq!(hub.machine().metrics().ended.get(Reason::Reset), 1, "counters stay");
}
