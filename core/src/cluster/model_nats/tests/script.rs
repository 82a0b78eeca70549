//! What both servers are sent.

use super::{ask, publish};
use std::format;
use std::string::String;
use std::vec::Vec;

/// Subscriptions, and messages without streams.
pub(super) const LIVE: &[&str] = &[
    "CONNECT {\"verbose\":false,\"protocol\":1,\"headers\":true,\"no_responders\":true}\r\nPING\r\n",
    "SUB i.* 1\r\n",
    "SUB l.> 2\r\n",
    "SUB a 3\r\nSUB a.* 4\r\nPUB a 1\r\nx\r\n",
    "PUB a.b 1\r\nx\r\nPUB a.b.c 1\r\nx\r\nPING\r\n",
    "PUB a.b reply 2\r\nxy\r\n",
    "HPUB a 12 13\r\nNATS/1.0\r\n\r\nx\r\n",
    "HPUB a reply 18 18\r\nNATS/1.0\r\nA: b\r\n\r\n\r\n",
    "UNSUB 4\r\nPUB a.b 1\r\nx\r\nPING\r\n",
    "UNSUB 3 3\r\nPUB a 1\r\nx\r\nPING\r\n",
    "UNSUB 77\r\nPING\r\n",
    "PUB nobody i.x 1\r\nx\r\n",
    "PUB nobody 1\r\nx\r\nPING\r\n",
    "SUB a..b 9\r\nSUB .a 9\r\nSUB a. 9\r\nSUB a.>.b 9\r\n",
    "SUB w 5\r\nSUB w 6\r\nUNSUB 5 2\r\nPUB w 1\r\n1\r\n",
    "PUB w 1\r\n2\r\n",
    "PUB w 1\r\n3\r\n",
];

/// What ends a connection, or does nothing. Each comes over a connection of its own.
pub(super) const STRANGE: &[&str] = &[
    "GET / HTTP/1.1\r\n\r\n",
    "FOO\r\n",
    "SUB a 1\r\nPUB a 2000000\r\n",
    "SUB a 1\r\nPUB a 1\r\nxyz\r\n",
    "SUB a 1\r\nPUB a\r\n",
    "SUB a 1\r\nHPUB a 20 10\r\n0123456789\r\n",
    "SUB \r\n",
    "CONNECT {bad}\r\n",
    "ping\r\n",
    "CONNECT {\"verbose\":false,\"echo\":false}\r\nSUB a 1\r\nPUB a 1\r\nx\r\nPING\r\n",
    "CONNECT {\"verbose\":true}\r\nSUB a 1\r\nUNSUB 1\r\nPUB a 1\r\nx\r\nPING\r\n",
];

const ROOMS: &str = r#""name":"S","subjects":["h.>"],"storage":"file","discard":"old","max_msgs_per_subject":3,
 "max_age":60000000000,"duplicate_window":2000000000,"republish":{"src":"h.>","dest":"l.>"}"#;

/// Streams and consumers.
pub(super) fn streams() -> Vec<String> {
    let mut steps = Vec::new();
    create(&mut steps);
    store(&mut steps);
    get(&mut steps);
    consume(&mut steps);
    remove(&mut steps);
    purge(&mut steps);
    steps
}

fn create(steps: &mut Vec<String>) {
    for (call, body) in [
        ("INFO", String::new()),
        ("STREAM.INFO.S", String::new()),
        ("STREAM.CREATE.S", "{bad".into()),
        ("STREAM.CREATE.S", format!("{{{ROOMS}}}").replace("60000000000", "1000000000")),
        ("STREAM.CREATE.S", format!("{{{ROOMS},\"num_replicas\":3}}")),
        ("STREAM.CREATE.T", format!("{{{ROOMS}}}")),
        ("STREAM.CREATE.S", format!("{{{ROOMS}}}")),
        ("STREAM.CREATE.S", format!("{{{ROOMS}}}")),
        ("STREAM.CREATE.S", format!("{{{ROOMS}}}").replace("60000000000", "61000000000")),
        ("STREAM.CREATE.T", r#"{"name":"T","subjects":["h.a"]}"#.into()),
        ("STREAM.CREATE.M", r#"{"name":"M","subjects":["m.*.*"],"storage":"memory","max_msgs_per_subject":1,"max_bytes":200,"allow_direct":true,"republish":{"src":"m.*.*","dest":"l.m.>","headers_only":true}}"#.into()),
        ("STREAM.CREATE.M", r#"{"name":"M","subjects":["m.*.*"],"storage":"memory","max_msgs_per_subject":1,"max_bytes":200,"allow_direct":true,"republish":{"src":"m.>","dest":"l.m.>","headers_only":true}}"#.into()),
        ("STREAM.CREATE.R", r#"{"name":"R","subjects":["r.*.*"],"storage":"memory","allow_rollup_hdrs":true,"republish":{"src":"r.*.*","dest":"l.r.{{wildcard(1)}}"}}"#.into()),
        ("STREAM.CREATE.R", r#"{"name":"R","subjects":["r.*.*"],"storage":"memory","allow_rollup_hdrs":true,"republish":{"src":"r.*.*","dest":"l.r.{{wildcard(2)}}.{{wildcard(1)}}"}}"#.into()),
        ("STREAM.CREATE.Q", r#"{"name":"Q","subjects":["q.n.*.*","q.v.*.*"],"storage":"memory","republish":{"src":"q.v.*.*","dest":"l.q.$1.{{wildcard(2)}}"}}"#.into()),
        ("STREAM.CREATE.N", r#"{"name":"N","subjects":["n"],"max_msg_size":10,"discard":"new","max_msgs":2}"#.into()),
        ("STREAM.INFO.S", String::new()),
        ("STREAM.INFO.S", r#"{"subjects_filter":">"}"#.into()),
        ("STREAM.FOO.S", String::new()),
        ("CONSUMER.MSG.NEXT.S.none", r#"{"batch":1,"no_wait":true}"#.into()),
    ] {
        steps.push(ask(call, &body));
    }
}

fn store(steps: &mut Vec<String>) {
    for (subject, headers, payload) in [
        ("h.c.a", "Nats-Msg-Id: k1\nM: m1\n", "one"),
        ("h.c.a", "Nats-Msg-Id: k1\nM: m1\n", "one"),
        ("h.c.a", "M: m2\n", "two"),
        ("h.c.b", "", "x"),
        ("h.c.b", "", "x2"),
        ("h.c.a", "Nats-Expected-Last-Subject-Sequence: 1\n", "three"),
        ("h.c.a", "Nats-Expected-Last-Subject-Sequence: 2\n", "three"),
        ("h.c.c", "Nats-Expected-Last-Subject-Sequence: 0\n", "c"),
        ("h.c.c", "Nats-Expected-Last-Subject-Sequence: 0\n", "c"),
        ("h.c.c", "Nats-Expected-Last-Sequence: 9\n", "c"),
        ("h.c.c", "Nats-Expected-Stream: T\n", "c"),
        ("h.c.c", "Nats-Rollup: sub\n", "c"),
        ("h.c.a", "M: m4\n", "four"),
        ("h.c.a", "", ""),
        ("h.<>&", "", "odd"),
        ("m.a.b", "", "1"),
        ("m.a.b", "H: 1\n", "22"),
        ("m.a.c", "", "3"),
        ("m.a", "", "nobody"),
        ("n", "", "12345678901"),
        ("r.a.b", "", "1"),
        ("r.a.b", "", "2"),
        ("r.a.c", "", "3"),
        ("r.a.b", "Nats-Rollup: sub\n", "4"),
        ("r.a.c", "Nats-Rollup: sub\nNats-Expected-Last-Subject-Sequence: 1\n", "4"),
        ("q.v.a.b", "", "1"),
        ("q.n.a.b", "", "1"),
    ] {
        steps.push(publish(subject, "i.a", headers, payload));
    }
    steps.push([publish("h.c.d", "", "", "without an answer"), ask("STREAM.INFO.M", "")].concat());
}

fn get(steps: &mut Vec<String>) {
    for body in [
        r#"{"seq":4}"#,
        r#"{"seq":1}"#,
        r#"{"seq":900}"#,
        r#"{"last_by_subj":"h.c.a"}"#,
        r#"{"last_by_subj":"h.c.z"}"#,
        r#"{"last_by_subj":"h.*.b"}"#,
        r#"{"seq":2,"next_by_subj":"h.c.a"}"#,
        r#"{"seq":1,"last_by_subj":"h.c.a"}"#,
        "{}",
        "{bad",
    ] {
        steps.push(ask("STREAM.MSG.GET.S", body));
    }
    steps.push(ask("STREAM.MSG.GET.X", r#"{"seq":1}"#));
    steps.push(ask("STREAM.INFO.S", r#"{"subjects_filter":"h.c.*"}"#));
    steps.push(ask("STREAM.INFO.R", r#"{"subjects_filter":">"}"#));
    steps.push(ask("DIRECT.GET.M", r#"{"last_by_subj":"m.a.b"}"#));
    steps.push(ask("DIRECT.GET.M", r#"{"last_by_subj":"m.a.z"}"#));
    steps.push(ask("DIRECT.GET.M", r#"{"seq":3}"#));
    steps.push(ask("DIRECT.GET.M.m.a.c", ""));
}

fn consume(steps: &mut Vec<String>) {
    for number in 0..6 {
        steps.push(publish("h.d.a", "i.a", &format!("M: {number}\n"), &format!("m{number}")));
        steps.push(publish("h.d.b", "i.a", "", "n"));
    }
    let config = |fields: &str| {
        format!(
            r#"{{"stream_name":"S","config":{{{fields},"ack_policy":"none","inactive_threshold":20000000000,"mem_storage":true}}}}"#
        )
    };
    let from = |name: &str, from: u64| {
        config(&format!(
            r#""name":"{name}","deliver_policy":"by_start_sequence","opt_start_seq":{from},"filter_subject":"h.d.a""#
        ))
    };
    let last = |name: &str, filter: &str| {
        let fields = r#""deliver_policy":"last_per_subject","headers_only":true,"num_replicas":1"#;
        config(&format!(r#""name":"{name}",{fields},"filter_subject":"{filter}""#))
    };
    for (call, body) in [
        ("CREATE.S.c1", from("c1", 1)),
        ("CREATE.S.c1", from("c1", 1)),
        ("CREATE.S.c2.h.d.a", from("c2", 18)),
        ("CREATE.S.c2.h.d.b", from("c2", 18)),
        ("CREATE.S.c3", from("c3", 900)),
        ("CREATE.S", config(r#""deliver_policy":"by_start_sequence","opt_start_seq":2,"filter_subject":"h.d.a""#)),
        ("CREATE.S", "{}".into()),
        ("CREATE.X.c1", from("c1", 1).replace(r#""S""#, r#""X""#)),
        ("CREATE.S.c4", last("c4", "h.d.*")),
        ("CREATE.S.c5", last("c5", "h.d.z")),
        ("CREATE.S.c6", last("c6", "x.y")),
        ("CREATE.S.c7", config(r#""name":"c7""#)),
        ("CREATE.S.c8", config(r#""name":"c8","deliver_policy":"new""#)),
        ("MSG.NEXT.S.c1", r#"{"batch":2,"no_wait":true}"#.into()),
        ("MSG.NEXT.S.c1", r#"{"batch":5,"no_wait":true}"#.into()),
        ("MSG.NEXT.S.c1", r#"{"batch":5,"no_wait":true}"#.into()),
        ("MSG.NEXT.S.c2", r#"{"batch":20,"no_wait":true,"max_bytes":12}"#.into()),
        ("MSG.NEXT.S.c2", r#"{"batch":20,"no_wait":true,"max_bytes":120}"#.into()),
        ("MSG.NEXT.S.c3", r#"{"batch":20,"no_wait":true}"#.into()),
        ("MSG.NEXT.S.c4", r#"{"batch":20,"no_wait":true}"#.into()),
        ("MSG.NEXT.S.c5", r#"{"batch":20,"no_wait":true}"#.into()),
        ("MSG.NEXT.S.c7", r#"{"batch":30,"no_wait":true}"#.into()),
        ("DELETE.S.c7", String::new()),
        ("DELETE.S.c7", String::new()),
        ("MSG.NEXT.S.c7", r#"{"batch":30,"no_wait":true}"#.into()),
        ("MSG.NEXT.S.c8", r#"{"batch":1}"#.into()),
        ("MSG.NEXT.S.c8", r#"{"batch":3,"expires":1000000000000}"#.into()),
    ] {
        steps.push(ask(&["CONSUMER.", call].concat(), &body));
    }
    steps.push(publish("h.e", "i.a", "", "waited for"));
    steps.push(publish("h.e", "i.a", "", "waited for"));
    steps.push(ask("CONSUMER.DELETE.S.c8", ""));
}

/// The server does not notice that messages are removed which it has counted.
fn remove(steps: &mut Vec<String>) {
    let config = r#"{"stream_name":"S","config":{"ack_policy":"none","filter_subject":"h.g","mem_storage":true}}"#;
    let next = r#"{"batch":9,"no_wait":true}"#;
    let next_within = r#"{"batch":9,"no_wait":true,"expires":1000000000000}"#;
    steps.push(publish("h.g", "i.a", "", "1"));
    steps.push(publish("h.g", "i.a", "", "2"));
    for name in ["d1", "d2"] {
        steps.push(ask(&format!("CONSUMER.CREATE.S.{name}"), config));
    }
    for number in 0..4 {
        steps.push(publish("h.g", "i.a", "", &format!("more {number}")));
    }
    steps.push(ask("CONSUMER.MSG.NEXT.S.d1", next_within));
    steps.push(ask("STREAM.PURGE.S", r#"{"filter":"h.g"}"#));
    steps.push(ask("CONSUMER.MSG.NEXT.S.d2", next));
    steps.push(publish("h.g", "i.a", "", "last"));
    steps.push(ask("CONSUMER.DELETE.S.d2", ""));
}

fn purge(steps: &mut Vec<String>) {
    for (call, body) in [
        ("PURGE.S", r#"{"filter":"h.d.a","keep":1}"#),
        ("PURGE.S", r#"{"filter":"h.d.b","seq":20}"#),
        ("PURGE.S", r#"{"filter":"h.z"}"#),
        ("INFO.S", r#"{"subjects_filter":"h.d.*"}"#),
        ("MSG.DELETE.S", r#"{"seq":900}"#),
        ("PURGE.S", ""),
        ("INFO.S", ""),
    ] {
        steps.push(ask(&["STREAM.", call].concat(), body));
    }
    steps.push(publish("h.c.a", "i.a", "", "again"));
    steps.push(publish("h.c.a", "i.a", "Nats-Expected-Last-Subject-Sequence: 0\n", "again"));
    steps.push(ask("STREAM.DELETE.S", ""));
    steps.push(ask("STREAM.DELETE.S", ""));
    steps.push(publish("h.c.a", "i.a", "", "nobody"));
}
