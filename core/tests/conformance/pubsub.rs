//! Channels: clients of the Centrifuge protocol on a WebSocket and with lines of JSON, each with and without TLS, and people
//! on telnet.

use super::{Peer, Running, run, run_sharded, tls};
use crate::shell::core::kit::pubsub::{ChannelRules, Channels, PubSub, PubSubOptions};
use crate::shell::core::websocket::{Opcode, frame};
use crate::shell::core::{Config, Listen, NoNote, RoomMemory};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// The listeners of clients: their addresses, and whether they have TLS. The last one is for people.
const LISTENERS: [(&str, bool); 5] = [
    ("ws://127.0.0.1:0", false),
    ("ws://127.0.0.1:0", true),
    ("tcp://127.0.0.1:0", false),
    ("tcp://127.0.0.1:0", true),
    ("telnet://127.0.0.1:0", false),
];

trait Bytes: Read + Write + Send {}

impl<T: Read + Write + Send> Bytes for T {}

/// A client of the protocol.
struct Client {
    socket: Box<dyn Bytes>,
    is_websocket: bool,
    commands: u32,
}

impl Client {
    fn connect(server: &Running<NoNote>, listener: usize, trusting: &Arc<ClientConfig>) -> Self {
        let stream = stream(server, listener);
        let mut socket: Box<dyn Bytes> = if LISTENERS[listener].1 {
            let name = ServerName::try_from("localhost").expect("a name");
            Box::new(StreamOwned::new(ClientConnection::new(Arc::clone(trusting), name).expect("good"), stream))
        } else {
            Box::new(stream)
        };
        let is_websocket = LISTENERS[listener].0.starts_with("ws");
        if is_websocket {
            let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
            socket.write_all(request.as_bytes()).expect("the server reads");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).expect("the server answers");
                head.push(byte[0]);
            }
            assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        }
        let mut client = Self { socket, is_websocket, commands: 0 };
        let reply = client.ask("connect", "{}");
        assert!(reply.contains("\"connect\":{\"client\":\""), "{reply}");
        client
    }

    /// Sends a command. Returns its number.
    fn say(&mut self, kind: &str, request: &str) -> u32 {
        self.commands += 1;
        let command = format!("{{\"id\":{},\"{kind}\":{request}}}", self.commands);
        let mut bytes = Vec::new();
        if self.is_websocket {
            frame(Opcode::Text, command.as_bytes(), Some([1, 2, 3, 4]), &mut bytes);
        } else {
            bytes = format!("{command}\n").into_bytes();
        }
        self.socket.write_all(&bytes).expect("the server reads");
        self.commands
    }

    /// Sends a command. Returns its reply, before which pushes may come.
    fn ask(&mut self, kind: &str, request: &str) -> String {
        let id = format!("{{\"id\":{},", self.say(kind, request));
        loop {
            let heard = self.hear();
            if heard.starts_with(&id) {
                return heard;
            }
            assert!(heard.starts_with("{\"push\":"), "{heard}");
        }
    }

    fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        if self.is_websocket {
            let mut head = [0; 2];
            self.socket.read_exact(&mut head).expect("the server answers");
            assert_eq!(head[0], 0x81, "a whole text message");
            let length = match head[1] {
                126 => {
                    let mut length = [0; 2];
                    self.socket.read_exact(&mut length).expect("a length");
                    usize::from(u16::from_be_bytes(length))
                }
                length => usize::from(length),
            };
            heard = vec![0; length];
            self.socket.read_exact(&mut heard).expect("a message");
        } else {
            let mut byte = [0];
            while byte != [b'\n'] {
                self.socket.read_exact(&mut byte).expect("the server answers");
                heard.push(byte[0]);
            }
            heard.pop();
        }
        String::from_utf8(heard).expect("text")
    }

    /// Waits for a publication in `news:a`.
    fn hear_publication(&mut self, data: &str, offset: u32) {
        let heard = self.hear();
        let start = format!("{{\"push\":{{\"channel\":\"news:a\",\"pub\":{{\"data\":{data},");
        assert!(heard.starts_with(&start) && heard.contains(&format!("\"offset\":{offset}")), "{heard}");
    }
}

fn stream(server: &Running<NoNote>, listener: usize) -> TcpStream {
    let address = server.addresses[listener].split_once("://").expect("a scheme").1;
    let address = address.split(['/', '?']).next().expect("a host");
    Peer::new(TcpStream::connect(address).expect("the server listens")).0.into_inner()
}

/// Starts a server whose channels keep messages, with one shard or with several.
fn start(is_sharded: bool) -> (Running<NoNote>, Arc<ClientConfig>) {
    let (tls, trusting) = tls::tls();
    let mut rules = ChannelRules::default();
    (rules.allow_subscribe_for_client, rules.allow_subscribe_for_anonymous) = (true, true);
    (rules.allow_publish_for_subscriber, rules.allow_publish_for_anonymous) = (true, true);
    (rules.history_size, rules.history_ttl, rules.force_recovery) = (100, Duration::from_secs(600), true);
    let mut channels = Channels::default();
    channels.namespaces.insert("news".into(), rules);
    let mut config = Config::listening(LISTENERS.map(|(text, _)| text.parse::<Listen>().expect(text))).unlimited();
    for (listen, (_, has_tls)) in config.listeners.iter_mut().zip(LISTENERS) {
        listen.tls = has_tls.then(|| tls.clone());
    }
    let config = config.memory(RoomMemory::default().rooms(channels.rooms()));
    let options = PubSubOptions::default().channels(channels).allow_anonymous(true).ping_interval(Duration::ZERO);
    let make = move || PubSub::new(options.clone(), ());
    let server = if is_sharded { run_sharded(config, make) } else { run(config, make(), None) };
    (server, trusting)
}

/// Returns the text of a field in JSON.
fn field<'a>(json: &'a str, name: &str) -> &'a str {
    let (_, rest) = json.split_once(&format!("\"{name}\":\"")).expect(json);
    rest.split('"').next().expect("text")
}

#[test]
fn clients_of_each_wire_publish_and_recover_beside_people() {
    for is_sharded in [false, true] {
        let (server, trusting) = start(is_sharded);
        let mut person = Peer::new(stream(&server, 4));
        person.send(b"/sub news:a\r\n");
        person.hear("* you see news:a\r\n");
        let mut clients: Vec<Client> = (0..4).map(|listener| Client::connect(&server, listener, &trusting)).collect();
        let mut epoch = String::new();
        for client in &mut clients {
            let reply = client.ask("subscribe", "{\"channel\":\"news:a\"}");
            assert!(reply.contains("\"recoverable\":true") && reply.contains("\"offset\":0"), "{reply}");
            epoch = field(&reply, "epoch").into();
        }
        for (number, data) in [(1, "\"one\""), (2, "{\"two\":[2]}")] {
            clients[number].say("publish", &format!("{{\"channel\":\"news:a\",\"data\":{data}}}"));
            for (listener, client) in clients.iter_mut().enumerate() {
                if listener != number {
                    client.hear_publication(data, u32::try_from(number).expect("small"));
                }
            }
            // The publisher hears it as well, before or after the reply.
            let heard = [clients[number].hear(), clients[number].hear()];
            assert_eq!(heard.iter().filter(|heard| heard.ends_with("\"publish\":{}}")).count(), 1, "{heard:?}");
            assert_eq!(heard.iter().filter(|heard| heard.contains(data)).count(), 1, "{heard:?}");
        }
        person.hear("[news:a] one\r\n");
        person.hear("[news:a] {\"two\":[2]}\r\n");
        person.send(b"/pub news:a hello\r\n");
        person.hear("[news:a] hello\r\n");
        clients.iter_mut().for_each(|client| client.hear_publication("\"hello\"", 3));
        // All are cut, and each comes back for what it missed.
        drop(clients);
        person.send(b"/pub news:a later\r\n");
        person.hear("[news:a] later\r\n");
        for listener in 0..4 {
            let mut client = Client::connect(&server, listener, &trusting);
            let known = format!("{{\"channel\":\"news:a\",\"recover\":true,\"epoch\":\"{epoch}\",\"offset\":2}}");
            let reply = client.ask("subscribe", &known);
            assert!(reply.contains("\"recovered\":true"), "{reply}");
            let positions = [("\"hello\"", 3), ("\"later\"", 4)].map(|(data, offset)| {
                let (at, _) = reply.split_once(&format!("{{\"data\":{data},")).expect(&reply);
                assert!(reply[at.len()..].contains(&format!("\"offset\":{offset}")), "{reply}");
                at.len()
            });
            assert!(positions[0] < positions[1] && reply.matches("\"data\":").count() == 2, "{reply}");
            let forged = known.replace("\"offset\":2", "\"offset\":9");
            assert!(client.ask("unsubscribe", "{\"channel\":\"news:a\"}").contains("\"unsubscribe\":{}"));
            let reply = client.ask("subscribe", &forged);
            assert!(!reply.contains("\"recovered\":true") && reply.contains("\"offset\":4"), "{reply}");
        }
        drop(person);
        server.end();
    }
}
