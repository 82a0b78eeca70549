//! A host: a process of this program that serves shared rooms, on one of the shells.

use crate::cluster::record::{Shared, locked};
use drupe_tokio::core::broker::{Engine, Redis, Sentinel};
use drupe_tokio::core::history::Keep;
use drupe_tokio::core::kit::{App, Cx, RoomRules, Router, Service};
use drupe_tokio::core::limit::MessageSize;
use drupe_tokio::core::outbound::{Marks, OutboundLimits};
use drupe_tokio::core::{Cluster, Config, Event, Home, Identity, NoNote, Presence, RoomMemory, RoomOptions};
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroU8;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const SHELLS: [&str; 3] = ["tokio", "mio", "smol"];

/// A room whose name begins so knows the names of its members.
pub(crate) const PEOPLE: &str = "people";

/// Number of messages that a room keeps.
const KEPT: u32 = 20_000;

/// How hosts find the broker.
#[derive(Clone, Debug)]
pub(crate) enum Broker {
    /// `HOST:PORT`
    At(String),
    /// `HOST:PORT` of a Sentinel that knows the master `main`.
    Sentinel(String),
}

/// A running host.
pub(crate) struct Host {
    child: Child,
    pub(crate) port: u16,
    log: Shared<String>,
}

impl Host {
    pub(crate) fn start(shell: &str, broker: &Broker) -> Self {
        let (kind, address) = match broker {
            Broker::At(address) => ("at", address),
            Broker::Sentinel(address) => ("sentinel", address),
        };
        let mut child = Command::new(std::env::current_exe().expect("it runs"))
            .args(["--ignored", "--exact", "--nocapture", "cluster::host::process"])
            .env("DRUPE_HOST", format!("{shell} {kind} {address}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built");
        let log = Shared::<String>::default();
        let (into, errors) = (Arc::clone(&log), BufReader::new(child.stderr.take().expect("piped")));
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                locked(&into).push_str(&(line + "\n"));
            }
        });
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = loop {
            let Some(Ok(line)) = lines.next() else { panic!("{shell} does not start: {}", locked(&log)) };
            if let Some((_, address)) = line.split_once("listening on ") {
                let digits = address.rsplit(':').next().and_then(|rest| rest.split(['?', '/']).next());
                break digits.and_then(|port| port.parse().ok()).expect("a port");
            }
        };
        // What it still prints must not block it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, port, log }
    }

    /// Returns what it has logged about its link to the broker.
    pub(crate) fn log(&self) -> String {
        locked(&self.log).clone()
    }

    /// Waits until its log has these words so often.
    pub(crate) fn wait_for_log(&self, words: &str, count: usize) {
        let since = Instant::now();
        while self.log().matches(words).count() < count {
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "{words:?} was not logged {count} times: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill is everywhere").success());
    }

    /// Ends it as an operator does. Returns whether it succeeded.
    pub(crate) fn drain(mut self) -> bool {
        self.signal("-TERM");
        self.child.wait().expect("it is ours").success()
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Hall;

impl App for Hall {
    type Context = ();
    type Note = NoNote;
}

fn service() -> Service<Hall> {
    let router = Router::new().on("login", |_, cx: &mut Cx<'_, Hall>, name: String| {
        let conn = cx.conn();
        cx.hub.identify(conn, Identity::user(&*name));
    });
    Service::new(Hall).router(router).rooms(RoomRules::all_open()).room_messages().on_other(|_, _, event| {
        if let Event::Broker { is_up, why, .. } = event {
            let words = if is_up { "broker up" } else { "broker down" };
            let _ = writeln!(std::io::stderr(), "{words} {}", why.unwrap_or_default());
        }
    })
}

fn config(kind: &str, address: &str) -> Config {
    let mut cluster = Cluster::redis(address);
    if kind == "sentinel" {
        cluster.engine = Engine::Redis(Redis::default().sentinel(Some(Sentinel::new("main"))));
    }
    let keep = Keep::messages(KEPT).age(Some(Duration::from_secs(3_600)));
    let shared = |rooms: &str| RoomOptions::new(rooms, keep.bytes(1 << 20)).home(Home::Shared);
    let rooms = vec![shared("*"), shared(&format!("{PEOPLE}*")).presence(Presence::Names)];
    let memory = RoomMemory::default().rooms(rooms).recover_max(10_000).bytes_max(1 << 30);
    let marks = Marks::new(8 << 20, 16 << 20, 64 << 20).expect("in order");
    let listen = "length://127.0.0.1:0?prefix=u32be".parse().expect("good");
    let mut config = Config::listening([listen]).memory(memory).cluster(Some(cluster)).unlimited();
    config.peer.budget.message_max_bytes = MessageSize::new(1 << 20).expect("in range");
    config.outbound(OutboundLimits::default().marks(marks))
}

/// The body of a host's process.
#[test]
#[ignore = "only hosts of other tests run it"]
fn process() {
    let Ok(variable) = std::env::var("DRUPE_HOST") else { return };
    let [shell, kind, address] = variable.split(' ').collect::<Vec<_>>()[..] else { panic!("three words") };
    let (config, workers) = (config(kind, address), NonZeroU8::new(2).expect("not 0"));
    let tell = |address: &dyn std::fmt::Display| println!("listening on {address}");
    match shell {
        "tokio" => {
            let server = drupe_tokio::Server::bind_sharded(config, workers, |_| service()).expect("bound");
            let server = server.drain_on_signals().expect("signals");
            server.addresses().iter().for_each(|address| tell(address));
            server.run_blocking().expect("it runs");
        }
        "mio" => {
            let server = drupe_mio::Server::bind_sharded(config, workers, |_| service()).expect("bound");
            let server = server.drain_on_signals().expect("signals");
            server.addresses().iter().for_each(|address| tell(address));
            server.run_blocking().expect("it runs");
        }
        _ => {
            let server = drupe_smol::Server::bind_sharded(config, workers, |_| service()).expect("bound");
            let server = server.drain_on_signals().expect("signals");
            server.addresses().iter().for_each(|address| tell(address));
            server.run_blocking().expect("it runs");
        }
    }
}

/// Starts one host on each shell.
pub(crate) fn start_all(brokers: [&Broker; 3]) -> Vec<Host> {
    SHELLS.iter().zip(brokers).map(|(shell, broker)| Host::start(shell, broker)).collect()
}

/// The ports of hosts, which tests change when hosts start anew.
pub(crate) type Ports = Arc<Mutex<Vec<u16>>>;
