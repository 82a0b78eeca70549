//! Two hosts on one Redis server, with a Centrifuge client that moves between them.

use crate::redis::{RedisServer, are_installed};
use crate::support::{Client, Directory, Program};
use std::path::Path;

/// The settings of each host. The port is replaced.
const SETTINGS: &str = "\
profile: development
workers: 2
listeners:
  web: { address: '127.0.0.1:WEB', protocol: websocket, app: pubsub, websocket: { path: /connection/websocket } }
pubsub:
  allow_anonymous: true
  ping_interval: 1s
  pong_timeout: 4s
  namespaces:
    moved:
      history_size: 1000
      history_ttl: 60s
      force_recovery: true
      allow_subscribe_for_client: true
      allow_subscribe_for_anonymous: true
      allow_publish_for_client: true
      allow_publish_for_anonymous: true
";

/// The hosts of the cluster, which are started again at their ports.
struct Hosts {
    directory: Directory,
    redis: RedisServer,
    running: [Option<Program>; 2],
    ports: [u16; 2],
}

impl Hosts {
    fn start() -> Self {
        let redis = RedisServer::start("moves", &["--save", ""]);
        let directory = Directory::new("pubsub-moves");
        let mut hosts = Self { directory, redis, running: [None, None], ports: [0; 2] };
        for at in 0..2 {
            hosts.start_one(at);
            hosts.ports[at] = hosts.running[at].as_ref().expect("it runs").port_of(0);
        }
        hosts
    }

    fn start_one(&mut self, at: usize) {
        let text = SETTINGS.replace("WEB", &self.ports[at].to_string());
        let text = format!("cluster: redis://{}\n{text}", self.redis.address());
        let directory = self.directory.0.join(at.to_string());
        std::fs::create_dir_all(&directory).expect("it can be written");
        self.running[at] = Some(Program::configured(&directory, &text, 1, |_| {}));
    }

    /// Does what a script asks for. Returns `false` at its end.
    fn obey(&mut self, words: &str) -> bool {
        let (verb, at) = words.split_once(' ').unwrap_or((words, "0"));
        let at: usize = at.parse().expect("a number");
        match verb {
            "good" => return false,
            "kill" => self.running[at] = None,
            "drain" => {
                let program = self.running[at].take().expect("it runs");
                program.signal("-TERM");
                assert_eq!(program.wait(), Some(0));
            }
            "start" => self.start_one(at),
            _ => panic!("{words}"),
        }
        true
    }
}

#[test]
fn javascript_client_moves_between_hosts_and_misses_nothing() {
    if !are_installed() || !super::has_javascript_client() {
        return;
    }
    let mut hosts = Hosts::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pubsub_clients/moves.mjs").display().to_string();
    let [first, second] = hosts.ports.map(|port| port.to_string());
    let mut client = Client::start("node", &[&script, &first, &second]).expect("it is installed");
    loop {
        let words = client.hear();
        // It says nothing more if it has failed.
        if words.is_empty() || !hosts.obey(&words) {
            assert!(!words.is_empty(), "the script has failed");
            return;
        }
        client.say("go\n");
    }
}
