//! What is configured and not applied does not start, for who uses the library as for the program; and sockets that are files,
//! or have a name only, are as the configuration says.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]

use drupe_tokio::Server;
use drupe_tokio::core::app::Echo;
use drupe_tokio::core::settings::{Plan, Sources};
use drupe_tokio::core::tls::{TicketKeys, rustls};
use drupe_tokio::core::{Address, Config, Listen, Part};
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

fn plan(text: &str) -> Plan {
    Sources::new().file("drupe.yaml", text).resolve().unwrap_or_else(|problems| panic!("{problems}")).plan
}

fn refused(config: Config) -> String {
    Server::bind(config, Echo).map(|_| ()).expect_err("it must not start").to_string()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("drupe-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn certificate(&self) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
        std::fs::write(self.0.join("cert.pem"), params.self_signed(&key).expect("signed").pem()).expect("written");
        std::fs::write(self.0.join("key.pem"), key.serialize_pem()).expect("written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn server_refuses_to_start_with_unloaded_tls() {
    let folder = Folder::new("applied");
    folder.certificate();
    let text = "listeners: { a: { address: '127.0.0.1:0', app: echo, tls: { certificates: [{ certificate: cert.pem, key: key.pem }], handshake_timeout: 7s } } }\n";
    let name = folder.0.join("drupe.yaml").display().to_string();
    let mut plan = Sources::new().file(&name, text).resolve().expect("good").plan;
    plan.applies([Part::Apps]);
    let words = refused(plan.config.clone());
    assert!(words.starts_with("can't listen at tls://127.0.0.1:0") && words.contains("Plan::load_tls"), "{words}");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tickets = TicketKeys::new(rustls::crypto::ring::Ticketer::new);
    plan.load_tls(|files| files.load(&provider, &tickets)).expect("good files");
    assert_eq!(plan.config.listeners[0].tls.as_ref().expect("loaded").handshake_timeout.as_secs(), 7);
    Server::bind(plan.config, Echo).expect("all of it is applied");
    // What is wrong with the files is told with the key.
    std::fs::remove_file(folder.0.join("key.pem")).expect("there");
    let mut plan = Sources::new().file(&name, text).resolve().expect("good").plan;
    let (key, error) = plan.load_tls(|files| files.load(&provider, &tickets)).expect_err("no key");
    assert!(key == "listeners.a.tls" && error.to_string().contains("key.pem"), "{key}: {error}");
    assert!(!refused(plan.config).is_empty());
}

#[tokio::test]
async fn server_refuses_to_start_with_unapplied_parts() {
    let listener = "listeners: { a: { address: '127.0.0.1:0', protocol: websocket } }\n";
    let users = "authentication: { enabled: true, users: { ann: { password: x } } }\n";
    let monitor = "listeners: { a: { address: '127.0.0.1:0', protocol: websocket, websocket: { monitor: true } } }\nmonitor: { credential: 0123456789abcdef }\n";
    for (text, part, words) in [
        (listener.to_string() + users, Part::Authentication, "authentication"),
        (monitor.to_string(), Part::Monitor, "monitor"),
        (listener.replace("websocket }", "websocket, app: echo }") + "workers: 2\n", Part::Workers, "workers"),
        (listener.to_string() + "relay: { envelope: json }\n", Part::Sections, "sections"),
        (listener.replace("websocket }", "websocket, welcome: hi }"), Part::Greeting, "welcome"),
        (listener.replace("websocket }", "websocket, app: relay }"), Part::Apps, "app of listeners"),
        (listener.to_string() + "log: { level: debug }\n", Part::Log, "log"),
        (listener.to_string() + "recorder: { directory: /tmp }\n", Part::Recorder, "recorder"),
    ] {
        let mut plan = plan(&text);
        let refusal = refused(plan.config.clone());
        assert!(refusal.contains("nothing applies it") && refusal.contains(words), "{text}{refusal}");
        plan.applies([part, Part::Apps]);
        Server::bind(plan.config, Echo).unwrap_or_else(|error| panic!("{text}{error}"));
    }
    let mut plan = plan(&(listener.to_string() + users));
    assert!(plan.take_authentication().is_some(), "it is for a layer");
    Server::bind(plan.config, Echo).expect("taken");
    // What nobody configured is in nobody's way, whatever the profile says of logs.
    for profile in ["development", "production", "testing"] {
        let sources = Sources::new().file("drupe.yaml", listener).profile(profile);
        Server::bind(sources.resolve().expect("good").plan.config, Echo).expect("nothing beside it");
    }
}

#[tokio::test]
async fn reload_refuses_unapplied_parts() {
    let server = Server::bind(Config::listening(["tcp://127.0.0.1:0".parse().expect("good")]), Echo).expect("a port");
    let remote = server.remote();
    let running = tokio::spawn(server.run());
    let users = "listeners: { a: { address: '127.0.0.1:0' } }\nauthentication: { enabled: true, shared_password: x }\n";
    let (send, outcome) = mpsc::channel();
    remote
        .reconfigure(plan(users).config, move |result| drop(send.send(result.map_err(|error| error.to_string()))))
        .expect("it runs");
    let outcome = tokio::task::spawn_blocking(move || outcome.recv()).await.expect("no panic").expect("told");
    assert!(outcome.expect_err("refused").contains("nothing applies it: authentication"));
    remote.drain().expect("it runs");
    running.await.expect("no panic").expect("it ended well");
}

#[tokio::test]
async fn unix_socket_file_has_its_mode_and_group_when_bound() {
    let folder = Folder::new("socket");
    let group = std::fs::metadata(&folder.0).expect("there").gid();
    for (mode, expected) in [("600", 0o600), ("0666", 0o666), ("000", 0)] {
        let path = folder.0.join("a.sock");
        let address = format!("unix://{}?mode={mode}&group={group}", path.display());
        let server = Server::bind(Config::listening([address.parse().expect("good")]), Echo).expect("bound");
        let found = std::fs::metadata(&path).expect("there");
        assert_eq!((found.permissions().mode() & 0o777, found.gid()), (expected, group), "{mode}");
        drop(server);
        assert!(!path.exists(), "it goes with its listener");
    }
    let text = format!(
        "listeners: {{ a: {{ address: 'unix:{}', socket: {{ mode: 0640, group: no_such_group_here }} }} }}\n",
        folder.0.join("b.sock").display()
    );
    let plan = plan(&text);
    assert_eq!(plan.config.listeners[0].socket.mode, Some(0o640));
    let words = refused(plan.config);
    assert!(words.contains("there is no group \"no_such_group_here\""), "{words}");
    assert!(!folder.0.join("b.sock").exists(), "nothing is left behind");
}

#[tokio::test]
async fn abstract_socket_creates_no_file() {
    let name = format!("drupe-test-{}", std::process::id());
    let listen: Listen = format!("unix://@{name}").parse().expect("good");
    assert_eq!(listen.address, Address::Unix(format!("@{name}")));
    let server = Server::bind(Config::listening([listen]), Echo).expect("bound");
    assert_eq!(server.addresses(), [format!("unix://@{name}")]);
    let remote = server.remote();
    let running = tokio::spawn(server.run());
    let heard = tokio::task::spawn_blocking({
        let name = name.clone();
        move || {
            let address = SocketAddr::from_abstract_name(name).expect("short");
            let mut stream = UnixStream::connect_addr(&address).expect("it listens");
            stream.write_all(b"hello\n").expect("sent");
            let mut heard = [0; 6];
            stream.read_exact(&mut heard).expect("it answers");
            heard
        }
    });
    assert_eq!(&heard.await.expect("no panic"), b"hello\n");
    assert!(!std::path::Path::new(&format!("@{name}")).exists());
    remote.drain().expect("it runs");
    running.await.expect("no panic").expect("it ended well");
}
