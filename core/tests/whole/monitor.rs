//! The monitor of one host: it lists all hosts, and its actions hold on all of them.

use super::{Broker, Desk, Hosts, SECOND, on_each_broker};
use drupe_core::http::{Credential, Http};
use drupe_core::kit::layer::{Layered, Within};
use drupe_core::kit::monitor::{LogTail, Monitor, MonitorLimits};
use drupe_core::wire::Protocol;
use drupe_core::{Address, Config, ConnId, Listen};
use serde_json::Value;

const CREDENTIAL: &str = "0123456789abcdef";

type All = Hosts<Layered<Monitor, Desk>>;

fn start(broker: Broker, shards: &[u8]) -> All {
    let http = Http::default().monitor(Credential::new(CREDENTIAL).ok());
    let web = Listen::new(Address::Tcp("127.0.0.1:2".parse().expect("an address")), Protocol::Http(http.into()));
    let config = Config::listening(["tcp://127.0.0.1:1".parse().expect("an address"), web]).unlimited();
    Hosts::start(broker, shards, &config, || {
        Desk::default().within(Monitor::new(MonitorLimits::default(), LogTail::default()))
    })
}

fn watcher(all: &mut All, host: usize, from: &str) -> ConnId {
    let conn = all.hosts[host].connect(1, from);
    let request = format!(
        "GET /monitor HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer \
         {CREDENTIAL}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    all.hosts[host].send(conn, request.as_bytes());
    all.deliver();
    let answer = all.hosts[host].received.remove(&conn).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", answer.escape_ascii());
    conn
}

/// Sends a command, and returns what the watcher is told within two seconds.
fn command(all: &mut All, (host, conn): (usize, ConnId), text: &str) -> Vec<Value> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).expect("short"), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    all.hosts[host].send(conn, &frame);
    all.pass(2 * SECOND);
    let received = all.hosts[host].received.remove(&conn).unwrap_or_default();
    let (mut rest, mut messages) = (&received[..], Vec::new());
    while let [_, length, ..] = *rest {
        let (length, header) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            length => (usize::from(length), 2),
        };
        messages.extend(serde_json::from_slice::<Value>(&rest[header..header + length]).ok());
        rest = &rest[header + length..];
    }
    messages
}

/// Returns the last message of a type.
fn last<'a>(messages: &'a [Value], kind: &str) -> &'a Value {
    messages.iter().rfind(|message| message["type"] == kind).expect(kind)
}

#[test]
fn monitor_lists_all_hosts_and_acts_on_them() {
    on_each_broker(|broker| {
        let mut all = start(broker, &[2, 1, 3]);
        let conns: Vec<_> = [0, 1, 2].map(|host| (host, all.hosts[host].connect_from(7))).into();
        for (host, conn) in &conns {
            all.told(*host, *conn, "as ann");
        }
        // Watchers of the same address stay.
        let watchers = [0, 1].map(|host| (host, watcher(&mut all, host, "192.0.2.7:5")));
        all.pass(8 * SECOND);
        for (number, watcher) in watchers.iter().enumerate() {
            let told = command(&mut all, *watcher, r#"{"type":"stop_watching","session_id":"0.0"}"#);
            let hosts = last(&told, "hosts")["hosts"].as_array().expect("a list").clone();
            let own: Vec<_> = hosts.iter().map(|host| host["is_own"] == true).collect();
            assert_eq!(own, [true, false, false]);
            let workers: u64 = hosts.iter().filter_map(|host| host["workers"].as_u64()).sum();
            assert_eq!((workers, hosts[0]["workers"].as_u64()), (6, Some([2, 1][number])));
            assert!(hosts.iter().all(|host| host["connections"].as_u64() > Some(0) && host["is_linked"] == true));
        }
        let told = command(&mut all, watchers[0], r#"{"type":"kick_user","user":"ann"}"#);
        let answer = last(&told, "action_response");
        assert_eq!(
            (&answer["connections"], &answer["hosts"], &answer["hosts_known"]),
            (&3.into(), &3.into(), &3.into()),
            "{answer}"
        );
        assert!(conns.iter().all(|(host, conn)| all.hosts[*host].is_over(*conn)));
        let conns: Vec<_> = [0, 1, 2].map(|host| (host, all.hosts[host].connect_from(7))).into();
        let told = command(&mut all, watchers[1], r#"{"type":"quarantine","address":"192.0.2.7","force":true}"#);
        let answer = last(&told, "action_response");
        assert_eq!((&answer["connections"], &answer["hosts"]), (&3.into(), &3.into()), "{answer}");
        assert!(conns.iter().all(|(host, conn)| all.hosts[*host].is_over(*conn)));
        for (host, conn) in watchers {
            assert!(!all.hosts[host].is_over(conn));
            assert_eq!(all.hosts[host].machines[0].metrics().quarantined, 1);
        }
    });
}
