//! Each fault of the model.

use super::{CONNECT, Talk, ask, publish, take_operations};
use crate::base::{Random, Time};
use crate::cluster::model_nats::{Login, ModelNats};
use core::time::Duration;
use std::collections::BTreeSet;
use std::string::String;
use std::vec::Vec;

const STREAM: &str =
    r#"{"name":"S","subjects":["h.>"],"max_msgs_per_subject":9,"republish":{"src":"h.>","dest":"l.>"}}"#;

fn talk() -> Talk {
    let mut talk = Talk::new(3);
    let created = talk.say(&[&ask("STREAM.CREATE.S", STREAM), "SUB l.> 2\r\n"].concat());
    assert!(created.contains("did_create"), "{created}");
    talk
}

fn store(talk: &mut Talk, payload: &str) -> Vec<String> {
    let sent = talk.say(&publish("h.a", "i.a", "", payload));
    take_operations(&mut sent.into_bytes())
}

#[test]
fn deaf_and_mute_servers_answer_and_deliver_nothing() {
    let mut talk = talk();
    assert_eq!(store(&mut talk, "one").len(), 2);
    talk.model.faults.is_mute = true;
    assert_eq!(store(&mut talk, "two"), ["MSG i.a 1  23\r\n{\"stream\":\"S\", \"seq\":2}\r\n"]);
    assert_eq!(talk.say("SUB x 3\r\nPUB x 1\r\ny\r\n"), "MSG x 3 1\r\ny\r\n");
    talk.model.faults.is_mute = false;
    talk.model.faults.is_deaf = true;
    assert_eq!(store(&mut talk, "three").len(), 1);
    assert_eq!(talk.say("PUB x 1\r\ny\r\nPING\r\n"), "PONG\r\n");
}

#[test]
fn restored_data_count_again_and_what_came_later_is_lost() {
    let mut talk = talk();
    store(&mut talk, "kept");
    let copy = talk.model.snapshot();
    store(&mut talk, "lost");
    talk.model.restore(copy);
    assert!(store(&mut talk, "after")[1].contains("\"seq\":2}"));
    let lost: Vec<bool> = talk.model.ledger().iter().map(|published| published.was_lost).collect();
    assert_eq!(lost, [false, true, false]);
    assert_eq!(talk.model.last("h.a").map(|(sequence, _)| sequence), Some(2));
}

#[test]
fn emptied_and_flushed_servers_lose_all() {
    let mut talk = talk();
    store(&mut talk, "lost");
    talk.model.empty();
    assert!(store(&mut talk, "first again")[1].contains("\"seq\":1}"));
    talk.model.flush();
    assert_eq!(store(&mut talk, "nobody"), ["HMSG i.a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"]);
    assert!(talk.model.ledger().iter().all(|published| published.was_lost));
}

#[test]
fn restarted_server_has_what_was_in_files_and_knows_its_identifiers() {
    let mut talk = talk();
    talk.say(&ask("STREAM.CREATE.M", r#"{"name":"M","subjects":["m.>"],"storage":"memory"}"#));
    talk.say(&publish("h.a", "i.a", "Nats-Msg-Id: k\n", "one"));
    talk.model.restart();
    assert!(!talk.model.has(talk.client));
    assert_eq!(talk.model.streams().collect::<Vec<_>>(), ["S"]);
    talk.client = talk.model.connect(talk.now);
    talk.say(&[CONNECT, "\r\nSUB i.* 1\r\n"].concat());
    let answer = talk.say(&publish("h.a", "i.a", "Nats-Msg-Id: k\n", "one"));
    assert!(answer.contains("\"seq\":1,\"duplicate\": true"), "{answer}");
}

#[test]
fn full_leaderless_and_forbidding_servers_refuse() {
    let mut talk = talk();
    talk.model.faults.is_full = true;
    let refused = store(&mut talk, "no space").join("");
    assert!(refused.contains("\"err_code\":10023"), "{refused}");
    talk.model.faults.is_full = false;
    talk.model.faults.has_no_leader = true;
    assert_eq!(store(&mut talk, "nobody"), ["HMSG i.a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"]);
    assert_eq!(talk.say(&ask("STREAM.INFO.S", "")), "");
    talk.model.faults.has_no_leader = false;
    talk.model.faults.denied.push("h.>".into());
    assert_eq!(store(&mut talk, "forbidden"), ["-ERR 'Permissions Violation for Publish to \"h.a\"'\r\n"]);
    talk.model.faults.denied.clear();
    talk.model.faults.has_no_jetstream = true;
    assert_eq!(talk.say(&ask("INFO", "")), "HMSG i.a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
}

#[test]
fn consumer_on_a_server_that_is_behind_misses_the_end() {
    let mut talk = talk();
    for payload in ["1", "2", "3"] {
        store(&mut talk, payload);
    }
    talk.model.faults.behind = 1;
    let created = talk.say(&ask("CONSUMER.CREATE.S.c", r#"{"stream_name":"S","config":{"ack_policy":"none"}}"#));
    assert!(created.contains("\"num_pending\":2"), "{created}");
    let page = talk.say(&ask("CONSUMER.MSG.NEXT.S.c", r#"{"batch":9,"no_wait":true}"#));
    let page = take_operations(&mut page.into_bytes());
    assert_eq!(page.len(), 3, "two messages and the end: {page:?}");
    // The interface itself answers from the leader.
    assert!(talk.say(&ask("STREAM.MSG.GET.S", r#"{"last_by_subj":"h.a"}"#)).contains("\"seq\":3"));
}

#[test]
fn late_answers_and_live_messages_come_in_orders_of_their_own() {
    let mut orders = BTreeSet::new();
    for seed in 0..50 {
        let mut talk = talk();
        talk.model.random = Random::new(seed);
        (talk.model.faults.late_ms, talk.model.faults.reorders) = (20, true);
        let messages = ["1", "2"].map(|payload| publish("h.a", "", "", payload)).concat();
        let mut sent = talk.say(&(messages + &ask("STREAM.MSG.GET.S", r#"{"last_by_subj":"h.a"}"#)));
        for _ in 0..21 {
            talk.now = talk.now + Duration::from_millis(1);
            sent.push_str(&talk.hear());
        }
        let operations = take_operations(&mut sent.into_bytes());
        orders.insert(operations.iter().filter_map(|text| text.trim_end().chars().last()).collect::<String>());
    }
    // The last letters of two live messages and of an answer: no order is impossible.
    assert_eq!(orders.len(), 6, "{orders:?}");
}

#[test]
fn consumer_that_nobody_asks_is_forgotten_and_old_messages_go() {
    let mut talk = Talk::new(1);
    talk.say(&ask("STREAM.CREATE.S", r#"{"name":"S","subjects":["h.>"],"max_age":10000000000}"#));
    talk.say(&publish("h.a", "i.a", "", "old"));
    talk.say(&ask("CONSUMER.CREATE.S.c", r#"{"stream_name":"S","config":{"inactive_threshold":2000000000}}"#));
    talk.now = Time::from_secs(2);
    assert!(talk.say(&ask("CONSUMER.DELETE.S.c", "")).contains("consumer not found"));
    assert!(talk.say(&ask("STREAM.MSG.GET.S", r#"{"seq":1}"#)).contains("h.a"));
    talk.now = Time::from_secs(10);
    assert!(talk.say(&ask("STREAM.MSG.GET.S", r#"{"seq":1}"#)).contains("no message found"));
}

#[test]
fn lame_duck_is_announced_and_a_stranger_is_closed() {
    let mut talk = talk();
    talk.model.begin_lame_duck(talk.now);
    assert!(talk.hear().contains("\"ldm\":true"));
    talk.model.ping(talk.now);
    assert_eq!(talk.say("PONG\r\n"), "PING\r\n");
    assert_eq!(talk.say("GET / HTTP/1.1\r\n\r\n"), "-ERR 'Unknown Protocol Operation'\r\n");
    assert!(!talk.model.has(talk.client));
    let mut guarded = ModelNats::new(1, Login::Token("t".into()), 1);
    let client = guarded.connect(Time::START);
    assert!(String::from_utf8_lossy(&guarded.take_output(Time::START, client)).contains("\"auth_required\":true"));
}
