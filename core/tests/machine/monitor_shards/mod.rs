//! The monitor on servers of several shards.
//!
//! Watchers of one, two and four machines must see the same, in whatever order messages arrive.

mod bounds;

use super::cluster::Cluster;
use drupe_core::app::Relay;
use drupe_core::http::{Credential, Http};
use drupe_core::kit::layer::{Layered, Within};
use drupe_core::kit::monitor::{LogTail, Monitor, MonitorLimits};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::wire::Protocol;
use drupe_core::{Address, Config, ConnId, Listen, Reason};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CREDENTIAL: &str = "0123456789abcdef";
const LINES: u32 = 0;
const WEB: u32 = 1;
/// Longer than the interval, and any number of steps.
const LONG: Duration = Duration::from_secs(1);

/// A server with a monitor on each shard, and its peers in the order in which they connected.
struct Server {
    cluster: Cluster<Layered<Monitor, Relay>>,
    peers: Vec<ConnId>,
    log: LogTail,
    audit: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(shards: u8, seed: u64, limits: MonitorLimits) -> Self {
        let http = Http::default().monitor(Credential::new(CREDENTIAL).ok()).ping(None);
        let web = Listen::new(Address::Tcp(([127, 0, 0, 1], 2).into()), Protocol::Http(http.into()));
        let config = Config::listening([Listen::lines(([127, 0, 0, 1], 1).into()), web]).unlimited();
        let (log, audit) = (LogTail::default(), Arc::new(Mutex::new(Vec::new())));
        let handler = || {
            let audit = Arc::clone(&audit);
            let add = move |line: &str| Mutex::lock(&audit).expect("no panic").push(line.to_owned());
            Relay::default().within(Monitor::new(limits, log.clone()).audit(add))
        };
        let cluster = Cluster::start(&config, shards, seed, handler);
        Self { cluster, peers: Vec::new(), log, audit }
    }

    /// Connects a peer whose address tells its number.
    fn connect(&mut self) -> ConnId {
        let conn = self.cluster.connect(LINES, &format!("192.0.2.{}:{}", self.peers.len() % 200, self.peers.len() + 1));
        self.peers.push(conn);
        conn
    }

    /// Connects a watcher, which has received nothing yet.
    fn watcher(&mut self) -> ConnId {
        let conn = self.cluster.connect(WEB, &format!("127.0.0.1:{}", self.peers.len() + 1));
        self.peers.push(conn);
        let request = format!(
            "GET /monitor HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Authorization: Bearer {CREDENTIAL}\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        self.cluster.send(conn, request.as_bytes());
        conn
    }

    /// Connects watchers until one is on this shard, and returns it.
    fn watcher_on(&mut self, shard: u8) -> ConnId {
        loop {
            let conn = self.watcher();
            if conn.shard() == shard {
                self.cluster.deliver_all();
                return conn;
            }
            // A session takes its place, so that the next shard is the one with the fewest.
            self.cluster.reset(conn);
            self.cluster.deliver_all();
            self.connect();
        }
    }

    fn command(&mut self, watcher: ConnId, command: &Value) {
        let mut bytes = Vec::new();
        frame(Opcode::Text, command.to_string().as_bytes(), Some([1, 2, 3, 4]), &mut bytes);
        self.cluster.send(watcher, &bytes);
    }

    fn say(&mut self, conn: ConnId, line: &str) {
        self.cluster.send(conn, format!("{line}\n").as_bytes());
    }

    /// Returns the messages that a watcher received since the last call.
    fn told(&mut self, watcher: ConnId) -> Vec<Value> {
        let bytes = self.cluster.received.remove(&watcher).unwrap_or_default();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").filter(|_| bytes.starts_with(b"HTTP"));
        let (mut rest, mut messages) = (&bytes[end.map_or(0, |end| end + 4)..], Vec::new());
        while let [_, length, ..] = *rest {
            let (length, header) = match length {
                126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
                127 => {
                    (usize::try_from(u64::from_be_bytes(rest[2..10].try_into().expect("eight"))).expect("short"), 10)
                }
                length => (usize::from(length), 2),
            };
            messages.extend(serde_json::from_slice::<Value>(&rest[header..header + length]).ok());
            rest = &rest[header + length..];
        }
        messages
    }

    /// Returns the last message of a kind that a watcher received since the last call.
    fn last(&mut self, watcher: ConnId, kind: &str) -> Option<Value> {
        self.told(watcher).into_iter().rfind(|message| message["type"] == kind)
    }

    /// Returns the response to a command, once all messages have arrived: its status or its error.
    fn answer(&mut self, watcher: ConnId, command: &Value) -> String {
        self.told(watcher);
        self.command(watcher, command);
        self.cluster.deliver_all();
        let is_answer =
            |message: &Value| matches!(message["type"].as_str(), Some("action_response" | "watch_response"));
        let told = self.told(watcher);
        let answers: Vec<_> = told.into_iter().filter(is_answer).collect();
        assert_eq!(answers.len(), 1, "{command}: {answers:?}");
        answers[0]["error"].as_str().or_else(|| answers[0]["status"].as_str()).expect("words").to_owned()
    }

    /// Replaces ids by the number of the peer, and removes what depends on the time or on the shard.
    fn comparable(&self, mut message: Value) -> Option<String> {
        if let Some(sessions) = message.get_mut("sessions").and_then(Value::as_array_mut) {
            let ids: Vec<ConnId> = sessions.iter().map(|one| id(&one["id"])).collect();
            assert!(ids.is_sorted(), "{ids:?}");
            sessions.sort_by_key(|session| self.number(&session["id"]));
        }
        if message["type"] == "stats" {
            message = json!({ "type": "stats", "watchers": message["watchers"], "draining": message["draining"] });
        }
        self.rename(&mut message);
        (message["type"] != "recent").then(|| message.to_string())
    }

    fn number(&self, text: &Value) -> Option<usize> {
        let conn = text.as_str()?.parse::<ConnId>().ok()?;
        self.peers.iter().position(|peer| *peer == conn)
    }

    fn rename(&self, value: &mut Value) {
        match value {
            Value::Array(list) => list.iter_mut().for_each(|value| self.rename(value)),
            Value::Object(map) => {
                map.retain(|key, _| key != "start_time");
                map.values_mut().for_each(|value| self.rename(value));
            }
            value => {
                if let Some(number) = self.number(value) {
                    *value = format!("peer {number}").into();
                }
            }
        }
    }

    /// Returns the number of messages between monitors so far.
    fn exchanged(&self) -> usize {
        self.cluster.exchanged.len()
    }
}

fn id(text: &Value) -> ConnId {
    text.as_str().and_then(|text| text.parse().ok()).expect("an id")
}

fn limits() -> MonitorLimits {
    MonitorLimits::default().interval(Duration::from_millis(100))
}

fn watch(conn: ConnId) -> Value {
    json!({ "type": "watch_session", "session_id": conn.to_string() })
}

fn kick(conn: ConnId) -> Value {
    json!({ "type": "kick", "session_id": conn.to_string() })
}

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Watcher,
    Say(prop::sample::Index),
    Reset(prop::sample::Index),
    Watch(prop::sample::Index, prop::sample::Index),
    Stop(prop::sample::Index),
    Kick(prop::sample::Index, prop::sample::Index),
    Pass,
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<prop::sample::Index>;
    prop_oneof![
        4 => Just(Step::Connect),
        2 => Just(Step::Watcher),
        4 => who().prop_map(Step::Say),
        1 => who().prop_map(Step::Reset),
        4 => (who(), who()).prop_map(|(watcher, who)| Step::Watch(watcher, who)),
        1 => who().prop_map(Step::Stop),
        1 => (who(), who()).prop_map(|(watcher, who)| Step::Kick(watcher, who)),
        3 => Just(Step::Pass),
    ]
}

impl Server {
    fn step(&mut self, step: &Step, watchers: &mut Vec<ConnId>) {
        let pick = |list: &[ConnId], who: &prop::sample::Index| (!list.is_empty()).then(|| *who.get(list));
        self.cluster.now = self.cluster.now + Duration::from_millis(1);
        match step {
            Step::Connect => {
                self.connect();
            }
            Step::Watcher => watchers.push(self.watcher()),
            Step::Say(who) => {
                if let Some(conn) = pick(&self.peers, who).filter(|conn| !watchers.contains(conn)) {
                    self.say(conn, &format!("words of {}", self.number(&conn.to_string().into()).expect("a peer")));
                }
            }
            Step::Reset(who) => pick(&self.peers, who).into_iter().for_each(|conn| self.cluster.reset(conn)),
            Step::Watch(watcher, who) => {
                if let (Some(watcher), Some(conn)) = (pick(watchers, watcher), pick(&self.peers, who)) {
                    self.command(watcher, &watch(conn));
                }
            }
            Step::Stop(watcher) => {
                let stop = json!({ "type": "stop_watching", "session_id": "0.0" });
                pick(watchers, watcher).into_iter().for_each(|watcher| self.command(watcher, &stop));
            }
            Step::Kick(watcher, who) => {
                if let (Some(watcher), Some(conn)) = (pick(watchers, watcher), pick(&self.peers, who)) {
                    self.command(watcher, &kick(conn));
                }
            }
            Step::Pass => self.cluster.pass(LONG),
        }
    }

    /// Ends all watchers, and checks that the shards have forgotten them.
    fn end_watchers(&mut self, watchers: &[ConnId]) {
        watchers.iter().for_each(|watcher| self.cluster.reset(*watcher));
        self.cluster.deliver_all();
        let before = self.exchanged();
        let conn = self.connect();
        let open: Vec<_> = self.peers.iter().copied().filter(|conn| !watchers.contains(conn)).collect();
        open.iter().for_each(|conn| self.say(*conn, "unseen"));
        self.cluster.pass(LONG);
        self.cluster.reset(conn);
        self.cluster.pass(LONG);
        assert_eq!(self.exchanged(), before, "nobody watches");
        self.cluster.recount();
    }
}

/// Returns what every watcher is told at each step, and what the last `recent` and counters are.
fn seen(shards: u8, seed: u64, steps: &[Step]) -> Vec<Vec<String>> {
    let mut server = Server::new(shards, seed, limits());
    let (mut watchers, mut seen) = (Vec::new(), Vec::new());
    for step in steps {
        server.step(step, &mut watchers);
        server.cluster.deliver_all();
        for watcher in &watchers {
            let told = server.told(*watcher);
            // What happens at the same moment is told in any order.
            let mut told: Vec<_> = told.into_iter().filter_map(|message| server.comparable(message)).collect();
            told.sort();
            seen.push(told);
        }
    }
    watchers.push(server.watcher());
    (0..4).for_each(|_| server.cluster.pass(LONG));
    for watcher in &watchers {
        let told = server.told(*watcher);
        let last = |kind: &str| told.iter().rfind(|message| message["type"] == kind).cloned().unwrap_or_default();
        let (metrics, recent) = (last("stats")["metrics"].clone(), last("recent"));
        let counters = ["open", "opened", "ended", "messages_in"].map(|name| metrics[name].to_string());
        let mut shown: Vec<_> = ["errors", "connections_longest"]
            .iter()
            .flat_map(|list| recent[list].as_array().into_iter().flatten())
            .map(ToString::to_string)
            .collect();
        shown.sort();
        // Watchers of the other shards have received the same before.
        seen.push(counters.to_vec());
        if *watcher == watchers[watchers.len() - 1] {
            seen.push(shown);
        }
    }
    server.end_watchers(&watchers);
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn watchers_see_the_same_on_any_number_of_shards(steps in prop::collection::vec(step(), 1..40), seed: u64) {
        let alone = seen(1, seed, &steps);
        for shards in [2, 4] {
            prop_assert_eq!(&seen(shards, seed, &steps), &alone, "{} shards", shards);
        }
    }

    /// Messages arrive late, and between any two steps.
    #[test]
    fn late_messages_tell_each_end_once_and_leave_nothing_behind(
        steps in prop::collection::vec((step(), any::<bool>()), 1..60),
        seed: u64,
    ) {
        let mut server = Server::new(4, seed, limits());
        let mut watchers = Vec::new();
        for (step, delivers) in &steps {
            server.step(step, &mut watchers);
            if *delivers {
                server.cluster.deliver_some();
            }
        }
        server.cluster.pass(LONG);
        server.cluster.pass(LONG);
        let open = |server: &Server, conn: &ConnId| !watchers.contains(conn) && !server.cluster.is_over(*conn);
        let expected: BTreeSet<ConnId> = server.peers.iter().filter(|conn| open(&server, conn)).copied().collect();
        for watcher in watchers.clone() {
            if server.cluster.is_over(watcher) {
                continue;
            }
            let told = server.told(watcher);
            let ended: Vec<_> = told.iter().filter(|message| message["type"] == "session_ended").collect();
            let once: BTreeSet<_> = ended.iter().map(|message| id(&message["session"]["id"])).collect();
            prop_assert_eq!(once.len(), ended.len(), "an end is told once");
            prop_assert!(once.is_disjoint(&expected));
            let list = told.iter().rfind(|message| message["type"] == "active_sessions").expect("a list");
            let listed: BTreeSet<_> = list["sessions"].as_array().expect("a list").iter().map(|one| id(&one["id"])).collect();
            prop_assert_eq!((&listed, list["total"].as_u64()), (&expected, Some(expected.len() as u64)));
            let watching = told.iter().filter(|message| message["type"] == "watch_response" && message["status"] == "success");
            let watched: BTreeSet<_> = watching.map(|message| id(&message["session_id"])).collect();
            let said = told.iter().filter(|message| matches!(message["type"].as_str(), Some("client_input" | "server_message")));
            for message in said {
                prop_assert!(watched.contains(&id(&message["session_id"])), "it watches none but {:?}", watched);
            }
        }
        server.end_watchers(&watchers);
    }
}

#[test]
fn watcher_sees_and_controls_sessions_of_another_shard() {
    let mut server = Server::new(2, 0, limits());
    let watcher = server.watcher_on(0);
    let conn = std::iter::repeat_with(|| server.connect()).find(|conn| conn.shard() == 1).expect("every second");
    server.cluster.deliver_all();
    let told = server.told(watcher);
    assert_eq!(told[0]["type"], "hello");
    let started = told.iter().rfind(|message| message["type"] == "session_started").expect("it is told");
    assert_eq!(started["session"]["id"], conn.to_string());
    assert_eq!(server.answer(watcher, &watch(conn)), "success");
    server.say(conn, "hello");
    server.say(conn, r#"{"password":"x"}"#);
    server.cluster.deliver_all();
    let said: Vec<_> = server.told(watcher).iter().map(|message| message["data"]["text"].clone()).collect();
    assert_eq!(said, ["hello", r#"{"password":"(secret)"}"#]);
    assert_eq!(server.answer(watcher, &kick("1:9.9".parse().expect("an id"))), "Session not found");
    assert_eq!(server.answer(watcher, &watch("1:9.9".parse().expect("an id"))), "Session not found");
    assert_eq!(server.answer(watcher, &kick("7:0.0".parse().expect("an id"))), "Session not found", "no such shard");
    assert_eq!(server.answer(watcher, &watch(conn)), "success");
    assert_eq!(server.answer(watcher, &kick(conn)), "success");
    assert!(server.cluster.is_over(conn));
    assert_eq!(server.cluster.machines[1].metrics().ended.get(Reason::Kicked), 1);
    let commands = server.audit.lock().expect("no panic").len();
    assert_eq!(commands, 6, "each command is written once");
}

#[test]
fn may_watch_and_may_act_hold_for_sessions_of_other_shards() {
    let mut server = Server::new(2, 0, limits().may_act(false).may_watch(false));
    let watcher = server.watcher_on(0);
    let conn = std::iter::repeat_with(|| server.connect()).find(|conn| conn.shard() == 1).expect("every second");
    server.cluster.deliver_all();
    let before = server.exchanged();
    assert_eq!(server.answer(watcher, &watch(conn)), "watching is disabled on this monitor");
    for action in [kick(conn), json!({ "type": "drain" }), json!({ "type": "release", "address": "192.0.2.1" })] {
        assert_eq!(server.answer(watcher, &action), "actions are disabled on this monitor");
    }
    assert!(!server.cluster.is_over(conn) && server.exchanged() == before);
}

#[test]
fn quarantine_release_and_reset_work_from_any_shard() {
    for shard in 0..3 {
        let mut server = Server::new(3, 0, limits());
        let watcher = server.watcher_on(shard);
        let theirs: Vec<_> =
            (0..6).map(|port| server.cluster.connect(LINES, &format!("198.51.100.1:{}", port + 1))).collect();
        let (neighbour, all) = (server.connect(), theirs.iter().map(|conn| conn.shard()).collect::<BTreeSet<_>>());
        assert_eq!(all.len(), 3);
        let quarantine = |address: &str| json!({ "type": "quarantine", "address": address });
        assert_eq!(server.answer(watcher, &quarantine("127.0.0.1")), "own_address");
        assert_eq!(server.answer(watcher, &quarantine("198.51.100.1")), "success");
        assert!(theirs.iter().all(|conn| server.cluster.is_over(*conn)), "shard {shard}");
        assert!(!server.cluster.is_over(neighbour) && !server.cluster.is_over(watcher));
        server.cluster.pass(LONG);
        let listed = server.last(watcher, "quarantine").expect("there is one");
        assert_eq!(listed["addresses"][0]["address"], "198.51.100.1");
        let release = json!({ "type": "release", "address": "198.51.100.1" });
        assert_eq!(server.answer(watcher, &release), "success");
        assert_eq!(server.answer(watcher, &release), "the address is not in quarantine");
        server.cluster.pass(LONG);
        let told = server.told(watcher);
        let find = |kind: &str| told.iter().find(|message| message["type"] == kind);
        assert_eq!(find("quarantine").expect("once more")["addresses"], json!([]));
        server.cluster.reset(neighbour);
        server.cluster.pass(LONG);
        let recent = server.last(watcher, "recent").expect("an error");
        assert!(recent["connections_recent"].as_array().expect("a list").len() >= 7, "{recent}");
        assert_eq!(server.answer(watcher, &json!({ "type": "reset_metrics" })), "success");
        server.cluster.pass(LONG);
        assert_eq!(server.last(watcher, "recent").expect("it has changed")["connections_recent"], json!([]));
    }
}

#[test]
fn drain_from_any_shard_drains_all() {
    let mut server = Server::new(3, 0, limits());
    let (watcher, other) = (server.watcher_on(2), server.watcher_on(0));
    let conns: Vec<_> = (0..6).map(|_| server.connect()).collect();
    server.cluster.deliver_all();
    assert_eq!(server.answer(watcher, &json!({ "type": "drain" })), "success");
    assert!(server.cluster.machines.iter().all(drupe_core::Machine::is_draining));
    for _ in 0..100 {
        server.cluster.pass(LONG);
    }
    assert!(conns.iter().chain([&watcher, &other]).all(|conn| server.cluster.is_over(*conn)));
    assert!(server.cluster.machines.iter().all(drupe_core::Machine::is_drained));
}
