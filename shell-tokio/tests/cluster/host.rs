//! A host: a process of this program that serves shared rooms, on one of the shells.

use crate::cluster::record::{Shared, locked};
use crate::support::Directory;
use drupe_tokio::core::app::Chat;
use drupe_tokio::core::kit::{App, Cx, RoomRules, Router, Service};
use drupe_tokio::core::{ClusterAnswer, EndTarget, Event, Identity, NoNote, Reason};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const SHELLS: [&str; 3] = ["tokio", "mio", "smol"];

/// A room whose name begins so knows the names of its members.
pub(crate) const PEOPLE: &str = "people";

/// How hosts find the broker.
#[derive(Clone, Debug)]
pub(crate) enum Broker {
    /// `HOST:PORT`
    At(String),
    /// `HOST:PORT` of a Sentinel that knows the master `main`.
    Sentinel(String),
    /// `HOST:PORT[,HOST:PORT]` of nats-servers, and on how many of them each stream is.
    Nats(String, u8),
}

impl Broker {
    /// Returns a nats-server that is alone.
    pub(crate) const fn nats(address: String) -> Self {
        Self::Nats(address, 1)
    }

    /// Returns `true` if the rooms of a cluster share their numbers, so that each room has holes.
    pub(crate) const fn has_holes(&self) -> bool {
        matches!(self, Self::Nats(..))
    }

    /// Returns the one line that makes a host a part of a cluster.
    fn setting(&self) -> String {
        match self {
            Self::At(address) => format!("cluster: redis://{address}\n"),
            Self::Sentinel(address) => format!("cluster: redis+sentinel://{address}/main\n"),
            Self::Nats(addresses, replicas) => {
                format!("cluster: {{ url: 'nats://{addresses}', replicas: {replicas} }}\n")
            }
        }
    }
}

/// The rest of the configuration of each host.
const SETTINGS: &str = "\
workers: 2
listeners:
  hall: { address: '127.0.0.1:0', protocol: length, app: hall }
  talk: { address: '127.0.0.1:0', protocol: tcp, app: chat }
rooms:
  recover_max: 10000
  history_max: 1GiB
  options:
    '*': { messages_max: 20000, age_max: 1h }
    'people*': { presence: names }
limits:
  connections_per_address_max: 10000
  peer: { message_max: 1MiB, messages: never, bytes: never }
outbound: { low: 8MiB, high: 16MiB, max: 64MiB }
drain: { window: 0s }
";

/// A running host.
pub(crate) struct Host {
    child: Child,
    _directory: Directory,
    pub(crate) port: u16,
    /// The port of the chat.
    pub(crate) chat: u16,
    log: Shared<String>,
}

impl Host {
    pub(crate) fn start(shell: &str, broker: &Broker) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let directory = Directory::new(&format!("host-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let file = directory.0.join("hall.yaml");
        std::fs::write(&file, broker.setting() + SETTINGS).expect("written");
        let mut child = Command::new(std::env::current_exe().expect("it runs"))
            .args(["--ignored", "--exact", "--nocapture", "cluster::host::process"])
            .env("DRUPE_TEST_HOST", shell)
            .env("HALL_CONFIG", &file)
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
        let mut port_of = |scheme: &str| loop {
            let Some(Ok(line)) = lines.next() else { panic!("{shell} does not start: {}", locked(&log)) };
            if let Some((_, address)) = line.split_once(&format!("listening on {scheme}://")) {
                let digits = address.rsplit(':').next().and_then(|rest| rest.split(['?', '/']).next());
                break digits.and_then(|port| port.parse().ok()).expect("a port");
            }
        };
        let (port, chat) = (port_of("length"), port_of("tcp"));
        // What it still prints must not block it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, _directory: directory, port, chat, log }
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

    /// Returns its resident memory in KiB. 0 where the system does not tell.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    }

    /// Returns the last lines of its log.
    pub(crate) fn last_lines(&self) -> String {
        let log = locked(&self.log);
        let from = log.lines().count().saturating_sub(8);
        log.lines().skip(from).map(|line| format!("port {}: {line}\n", self.port)).collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill is everywhere").success());
    }

    /// Ends it as an operator does. Returns whether it succeeded.
    pub(crate) fn drain(self) -> bool {
        self.begin_drain();
        self.has_ended_well()
    }

    pub(crate) fn begin_drain(&self) {
        self.signal("-TERM");
    }

    /// Waits until it has ended, after [`begin_drain`](Self::begin_drain).
    pub(crate) fn has_ended_well(mut self) -> bool {
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

/// The name of a member, which hosts of tests believe.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Login {
    name: String,
}

struct Hall;

impl App for Hall {
    type Context = ();
    type Note = NoNote;
}

fn service() -> Service<Hall> {
    let router = Router::new().on("login", |_, cx: &mut Cx<'_, Hall>, Login { name }| {
        let conn = cx.conn();
        cx.hub.identify(conn, Identity::user(&name));
    });
    let router = router.on("kick", |_, cx: &mut Cx<'_, Hall>, Login { name }| {
        cx.hub.end_everywhere(EndTarget::user(name), Reason::Kicked);
    });
    let router = router.on("claim", |_, cx: &mut Cx<'_, Hall>, Login { name }| {
        cx.hub.claim(&name, Duration::from_secs(60));
    });
    Service::new(Hall).router(router).rooms(RoomRules::all_open()).room_messages().on_other(|_, _, event| {
        let mut log = std::io::stderr();
        let _ = match event {
            Event::Broker { is_up, why, .. } => {
                let words = if is_up { "broker up" } else { "broker down" };
                writeln!(log, "{words} {}", why.unwrap_or_default())
            }
            Event::ClusterAnswered { answer: ClusterAnswer::Ended(ended), .. } => writeln!(log, "{ended}"),
            Event::ClusterAnswered { answer: ClusterAnswer::Claimed(claim), .. } => {
                writeln!(log, "claimed {}", claim.name())
            }
            _ => Ok(()),
        };
    })
}

/// The body of a host's process.
#[test]
#[ignore = "only hosts of other tests run it"]
fn process() {
    let name = "hall";
    let code = match std::env::var("DRUPE_TEST_HOST").as_deref() {
        Ok("tokio") => {
            drupe_tokio::program(name).app(name, |_| service()).app("chat", |_| Chat::default()).run_from([name])
        }
        Ok("mio") => {
            drupe_mio::program(name).app(name, |_| service()).app("chat", |_| Chat::default()).run_from([name])
        }
        Ok("smol") => {
            drupe_smol::program(name).app(name, |_| service()).app("chat", |_| Chat::default()).run_from([name])
        }
        _ => return,
    };
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}

/// Starts one host on each shell.
pub(crate) fn start_all(brokers: [&Broker; 3]) -> Vec<Host> {
    SHELLS.iter().zip(brokers).map(|(shell, broker)| Host::start(shell, broker)).collect()
}

/// The ports of hosts, which tests change when hosts start anew.
pub(crate) type Ports = Arc<Mutex<Vec<u16>>>;
