//! The HTTP API of channels and the monitor on several hosts.

use super::cluster::NOW;
use super::{Broker, Hosts, SECOND, on_each_broker};
use drupe_core::http::{Credential, Http};
use drupe_core::kit::auth::{Claims, TokenKey, Tokens};
use drupe_core::kit::pubsub::{PubSub, PubSubOptions};
use drupe_core::wire::Protocol;
use drupe_core::{Address, Config, ConnId, Listen};
use serde_json::{Value, json};

const API_KEY: &str = "0123456789abcdef";

fn key() -> TokenKey {
    TokenKey::hs256(&[7; 32]).expect("long enough")
}

fn start(broker: Broker, shards: &[u8]) -> Hosts<PubSub> {
    let http = Http::default().api(Credential::new(API_KEY).ok()).body_max_bytes(1 << 20);
    let api = Listen::new(Address::Tcp("127.0.0.1:2".parse().expect("an address")), Protocol::Http(http.into()));
    let config = Config::listening(["tcp://127.0.0.1:1".parse().expect("an address"), api]).unlimited();
    let options = PubSubOptions::default().tokens(Some(Tokens::new(key())));
    Hosts::start(broker, shards, &config, move || PubSub::new(options.clone(), ()))
}

fn client(all: &mut Hosts<PubSub>, host: usize, user: &str) -> ConnId {
    let token = key().sign(&Claims::of(user).exp(Some(NOW + 3_600))).expect("it signs");
    let conn = all.hosts[host].connect_from(1);
    let told = all.told(host, conn, &json!({ "id": 1, "connect": { "token": token } }).to_string());
    assert!(told[0].contains("\"client\":"), "{told:?}");
    conn
}

/// Calls a method, and returns the answer once it is there.
fn call(all: &mut Hosts<PubSub>, host: usize, method: &str, body: &Value) -> Value {
    let (conn, body) = (all.hosts[host].connect(1, "192.0.2.99:9"), body.to_string());
    let head = format!("POST /api/{method} HTTP/1.1\r\nHost: a\r\nX-API-Key: {API_KEY}\r\n");
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    all.hosts[host].send(conn, request.as_bytes());
    all.deliver();
    for _ in 0..30 {
        if let Some(answer) = all.hosts[host].take_lines(conn).last() {
            return serde_json::from_str(answer).expect("JSON");
        }
        all.pass(SECOND / 10);
    }
    panic!("no answer");
}

#[test]
fn users_are_disconnected_and_workers_listed_on_all_hosts() {
    on_each_broker(|broker| {
        let mut all = start(broker, &[2, 3]);
        let ann: Vec<_> = [0, 0, 1, 1].map(|host| (host, client(&mut all, host, "ann"))).into();
        let bob = client(&mut all, 1, "bob");
        for host in [0, 1] {
            let answer = call(&mut all, host, "info", &json!({}));
            let nodes = answer["result"]["nodes"].as_array().expect("a list");
            let clients = nodes.iter().filter_map(|node| node["num_clients"].as_u64()).sum::<u64>();
            assert_eq!((nodes.len(), clients), (5, 5), "{answer}");
        }
        let ended = call(&mut all, 0, "disconnect", &json!({ "user": "ann" }));
        assert_eq!(ended, json!({ "result": { "connections": 4, "hosts": 2, "hosts_known": 2 } }));
        assert!(ann.iter().all(|(host, conn)| all.hosts[*host].is_over(*conn)));
        assert!(!all.hosts[1].is_over(bob));
        // A host that has crashed does not answer.
        all.crash(1);
        let ended = call(&mut all, 0, "disconnect", &json!({ "user": "bob" }));
        assert_eq!(ended, json!({ "result": { "connections": 0, "hosts": 1, "hosts_known": 2 } }));
    });
}
