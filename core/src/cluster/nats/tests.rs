//! A link and what a server sends to it, step by step.

use super::NatsLink;
use crate::base::Time;
use crate::cluster::broker::{Answer, Heard, Request};
use crate::cluster::fault::{LinkFault, Refused};
use crate::config::{BrokerLogin, Nats, NatsLogin};
use crate::history::{Keep, Marks};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

const NOW: Time = Time::START;
const INFO: &str = r#"INFO {"version":"2.9.10","headers":true,"max_payload":1000,"nonce":"n"}"#;

struct Peer(NatsLink<u32>);

impl Peer {
    fn new(options: &Nats, has_tls: bool) -> Self {
        Self(NatsLink::new(NOW, options, (&"d".into(), 7), has_tls, Marks::new(1)))
    }

    /// A link that works.
    fn up() -> Self {
        let mut peer = Self::new(&Nats::default(), false);
        peer.says(INFO);
        peer.says("PONG");
        for number in [1, 2] {
            peer.answers(number, r#"{"type":"x"}"#);
        }
        assert!(matches!(peer.heard()[..], [Heard::Up]));
        peer.sent();
        peer
    }

    fn says(&mut self, line: &str) {
        self.0.received(NOW, format!("{line}\r\n").as_bytes());
    }

    /// Answers the call with this number.
    fn answers(&mut self, number: u64, payload: &str) {
        let subject = format!("_INBOX.d_0000000000000007.{number}");
        self.says(&format!("MSG {subject} 1 {}\r\n{payload}", payload.len()));
    }

    /// Answers the call with this number with a status.
    fn answers_with(&mut self, number: u64, status: &str) {
        let subject = format!("_INBOX.d_0000000000000007.{number}");
        let headers = format!("NATS/1.0 {status}\r\n\r\n");
        self.says(&format!("HMSG {subject} 1 {0} {0}\r\n{headers}", headers.len()));
    }

    fn sent(&mut self) -> String {
        String::from_utf8(self.0.take_output()).expect("text")
    }

    fn heard(&mut self) -> Vec<Heard<u32>> {
        core::iter::from_fn(|| self.0.next_heard()).collect()
    }

    fn fault(&mut self) -> Option<LinkFault> {
        self.heard().into_iter().find_map(|heard| match heard {
            Heard::Fault(fault) => Some(fault),
            _ => None,
        })
    }

    fn answer(&mut self) -> Option<Answer> {
        self.heard().into_iter().find_map(|heard| match heard {
            Heard::Answered { answer, .. } => Some(answer),
            _ => None,
        })
    }
}

fn publish(text: &str) -> Request {
    Request::Publish {
        room: "r".into(),
        key: None,
        keep: Keep::messages(3),
        epoch: 5,
        mark: 6,
        data: text.as_bytes().into(),
    }
}

#[test]
fn greeting_logs_in_and_creates_the_streams() {
    let login = Some(NatsLogin::User(BrokerLogin::new("ann\"", "hush")));
    let mut peer = Peer::new(&Nats::default().login(login), false);
    assert_eq!(peer.sent(), "");
    peer.says(INFO);
    let sent = peer.sent();
    assert!(sent.starts_with("CONNECT {\"verbose\":false,") && sent.ends_with("}\r\nPING\r\n"), "{sent}");
    assert!(sent.contains(r#""name":"drupe-0000000000000007","user":"ann\"","pass":"hush"}"#), "{sent}");
    peer.says("+OK");
    peer.says("PING");
    assert_eq!(peer.sent(), "PONG\r\n");
    peer.says("PONG");
    let sent = peer.sent();
    for part in [
        "SUB _INBOX.d_0000000000000007.* 1\r\n",
        "SUB d.a 2\r\n",
        "SUB d.p.0000000000000007 3\r\n",
        "PUB $JS.API.STREAM.CREATE.d_NAMES _INBOX.d_0000000000000007.1 ",
        "PUB $JS.API.STREAM.CREATE.d_LEASES _INBOX.d_0000000000000007.2 ",
    ] {
        assert!(sent.contains(part), "{part} in {sent}");
    }
    peer.answers(1, "{}");
    assert!(!peer.0.is_up());
    peer.answers(2, "{}");
    assert!(peer.0.is_up() && peer.heard() == [Heard::Up]);
}

#[test]
fn servers_of_no_use_are_faults_with_a_name() {
    let info = |fields: &str| format!("INFO {{{fields}}}");
    for (line, expected) in [
        (info(r#""version":"2.8.4","headers":true"#), LinkFault::TooOld { found: "2.8.4".into(), needed: "NATS 2.9" }),
        (info(r#""headers":true"#), LinkFault::TooOld { found: String::new(), needed: "NATS 2.9" }),
        (info(r#""version":"2.9.0""#), LinkFault::NoHeaders),
        (info(r#""version":"2.9.0","headers":true,"tls_required":true"#), LinkFault::NeedsTls),
        (info(r#""version":"2.9.0","headers":true,"ldm":true"#), LinkFault::Leaving),
        ("INFO {".into(), LinkFault::Unexpected("INFO")),
        ("INFO".into(), LinkFault::Nats(super::codec::NatsError::NotNats)),
    ] {
        let mut peer = Peer::new(&Nats::default(), false);
        peer.says(&line);
        assert_eq!((peer.fault(), peer.sent()), (Some(expected), String::new()), "{line}");
    }
    for (error, expected) in [
        ("'Authorization Violation'", "Authorization Violation"),
        ("'maximum connections exceeded'", "maximum connections exceeded"),
    ] {
        let mut peer = Peer::new(&Nats::default(), false);
        peer.says(INFO);
        peer.says(&format!("-ERR {error}"));
        assert_eq!(peer.fault(), Some(LinkFault::Refused(expected.into())));
    }
}

#[test]
fn login_is_sent_over_tls_only_if_tls_is_configured() {
    let options = Nats::default().login(Some(NatsLogin::Token("hush".into())));
    let mut peer = Peer::new(&options, true);
    peer.says(INFO);
    assert_eq!((peer.fault(), peer.sent()), (Some(LinkFault::NoTls), String::new()));
    for offer in ["tls_available", "tls_required"] {
        let mut peer = Peer::new(&options, true);
        peer.says(&format!(r#"INFO {{"version":"2.9.10","headers":true,"{offer}":true}}"#));
        assert_eq!(peer.heard(), [Heard::BeginTls]);
        assert!(peer.sent().contains("\"auth_token\":\"hush\""));
    }
    // TLS has begun already.
    let mut peer = Peer::new(&options.is_tls_first(true), true);
    peer.says(INFO);
    assert!(peer.heard().is_empty() && peer.sent().contains("hush"));
}

#[test]
#[cfg(feature = "auth")]
fn nkey_signs_the_nonce() {
    let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    let mut peer = Peer::new(&Nats::default().login(Some(NatsLogin::Nkey(seed.into()))), false);
    peer.says(INFO);
    let sent = peer.sent();
    let public = "\"nkey\":\"UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4\",\"sig\":\"";
    assert!(sent.contains(public) && !sent.contains(seed), "{sent}");
    for (login, info, expected) in [
        (NatsLogin::Nkey("SUx".into()), INFO, LinkFault::BadSeed),
        (NatsLogin::Nkey(seed.into()), r#"INFO {"version":"2.9.1","headers":true}"#, LinkFault::NoNonce),
        (NatsLogin::Jwt { jwt: "ey".into(), seed: "x".into() }, INFO, LinkFault::BadSeed),
    ] {
        let mut peer = Peer::new(&Nats::default().login(Some(login)), false);
        peer.says(info);
        assert_eq!((peer.fault(), peer.sent()), (Some(expected), String::new()));
    }
}

#[test]
fn silence_ends_a_link_at_each_step() {
    let late = NOW + Duration::from_secs(5);
    let mut peer = Peer::new(&Nats::default(), false);
    assert_eq!(peer.0.deadline(), Some(late));
    peer.0.elapsed(late);
    assert_eq!(peer.fault(), Some(LinkFault::Silent));
    let mut peer = Peer::new(&Nats::default(), false);
    peer.says(INFO);
    peer.0.elapsed(late);
    assert_eq!(peer.fault(), Some(LinkFault::Unanswered));
    let mut peer = Peer::up();
    peer.0.request(NOW, Request::Lease { is_new: true }, 1);
    peer.0.elapsed(late);
    assert_eq!(peer.fault(), Some(LinkFault::Unanswered));
    // Nothing is asked for, so the server is asked whether it is there.
    let mut peer = Peer::up();
    let quiet = NOW + Duration::from_secs(10);
    assert_eq!(peer.0.deadline(), Some(quiet));
    peer.0.elapsed(quiet);
    assert_eq!((peer.sent(), peer.fault()), ("PING\r\n".into(), None));
    peer.0.elapsed(quiet + Duration::from_secs(5));
    assert_eq!(peer.fault(), Some(LinkFault::Unanswered));
}

#[test]
fn jetstream_that_is_not_there_is_a_fault() {
    for answer in [None, Some(r#"{"error":{"code":503,"err_code":10076,"description":"JetStream not enabled"}}"#)] {
        let mut peer = Peer::new(&Nats::default(), false);
        peer.says(INFO);
        peer.says("PONG");
        match answer {
            None => peer.answers_with(1, "503"),
            Some(payload) => peer.answers(1, payload),
        }
        assert_eq!(peer.fault(), Some(LinkFault::NoJetStream));
    }
}

#[test]
fn stream_with_another_configuration_is_updated_or_a_fault() {
    let other = r#"{"error":{"code":400,"err_code":10058,"description":"stream name already in use"}}"#;
    let mut peer = Peer::new(&Nats::default(), false);
    peer.says(INFO);
    peer.says("PONG");
    peer.sent();
    peer.answers(1, other);
    assert!(peer.sent().starts_with("PUB $JS.API.STREAM.UPDATE.d_NAMES _INBOX.d_0000000000000007.3 "));
    peer.answers(3, r#"{"error":{"code":500,"description":"storage can not change"}}"#);
    let text = "stream name already in use; storage can not change".into();
    assert_eq!(peer.fault(), Some(LinkFault::OtherStream { name: "d_NAMES".into(), text }));
}

#[test]
fn addresses_are_bounded_and_checked() {
    let many: Vec<String> = (1..=100).map(|port| format!("\"10.0.0.1:{port}\"")).collect();
    let mut peer = Peer::up();
    peer.says(&format!(r#"INFO {{"connect_urls":["nats://h:1","h","::1:4",7,{}]}}"#, many.join(",")));
    let [Heard::Addresses(addresses)] = &peer.heard()[..] else { panic!("no addresses") };
    assert_eq!((addresses.len(), &*addresses[0], &*addresses[63]), (64, "10.0.0.1:1", "10.0.0.1:64"));
    peer.says(r#"INFO {"connect_urls":["h:1"],"ldm":true}"#);
    assert_eq!(peer.heard(), [Heard::Addresses(["h:1".to_string()].into()), Heard::Fault(LinkFault::Leaving)]);
}

/// A link over which the first message to a room waits for its stream.
fn publishing() -> Peer {
    let mut peer = Peer::up();
    peer.0.request(NOW, publish("one"), 1);
    assert!(peer.sent().starts_with("PUB $JS.API.STREAM.CREATE.d_ROOMS_3_0_300 "));
    peer.answers(4, "{}");
    assert!(peer.sent().starts_with("PUB $JS.API.STREAM.MSG.GET.d_ROOMS_3_0_300 "));
    peer
}

#[test]
fn first_message_to_a_room_waits_for_its_epoch_and_later_ones_keep_their_order() {
    let mut peer = publishing();
    peer.0.request(NOW, publish("two"), 2);
    assert_eq!(peer.sent(), "");
    // The room is empty. The epoch begins with a message without content.
    peer.answers(6, r#"{"error":{"code":404,"err_code":10037,"description":"no message found"}}"#);
    let sent = peer.sent();
    assert!(sent.starts_with("HPUB d.h.3_0_300.cg ") && sent.contains(" -\r\n"), "{sent}");
    assert!(sent.contains("Nats-Expected-Last-Subject-Sequence: 0\r\n"), "{sent}");
    peer.answers(8, r#"{"stream":"d_ROOMS_3_0_300","seq":1}"#);
    let sent = peer.sent();
    assert!(sent.find("one").expect("sent") < sent.find("two").expect("sent"), "{sent}");
    peer.answers(9, r#"{"stream":"d_ROOMS_3_0_300","seq":2}"#);
    let Some(Answer::Published { position, is_repeated: false }) = peer.answer() else { panic!("not published") };
    assert_eq!((position.offset, position.mark), (2, 6));
}

#[test]
fn errors_about_one_request_leave_the_link_open() {
    let refused = |text: &str| Some(Answer::Refused(Refused(text.into())));
    let mut peer = publishing();
    let text = "Permissions Violation for Publish to \"$JS.API.STREAM.MSG.GET.d_ROOMS_3_0_300\"";
    peer.says(&format!("-ERR '{text}'"));
    assert_eq!(peer.answer(), refused(text));
    // Another request asks again.
    peer.0.request(NOW, publish("x"), 2);
    assert!(peer.sent().contains("MSG.GET"));
    let mut peer = Peer::up();
    peer.0.request(NOW, Request::Lease { is_new: true }, 1);
    peer.answers_with(4, "503");
    assert_eq!(peer.answer(), refused("no server keeps this now (no responders)"));
    peer.says("-ERR 'Invalid Subject'");
    assert_eq!(peer.fault(), None);
    peer.says("-ERR 'Slow Consumer'");
    assert_eq!(peer.fault(), Some(LinkFault::Refused("Slow Consumer".into())));
}

#[test]
fn message_that_is_too_long_for_the_server_is_not_sent() {
    let mut peer = publishing();
    peer.answers(6, r#"{"message":{"subject":"s","seq":3,"hdrs":"TkFUUy8xLjANCkRydXBlOiA1IDcNCg0K","time":"2026-11-27T22:00:00Z"}}"#);
    peer.sent();
    peer.0.request(NOW, publish(&"x".repeat(1_000)), 2);
    let Some(Answer::Refused(Refused(text))) = peer.answer() else { panic!("not refused") };
    assert_eq!((&*text, peer.sent()), ("longer than the server allows (max_payload 1000 bytes)", String::new()));
}

#[test]
fn link_that_ends_returns_all_requests_in_their_order() {
    let mut peer = publishing();
    peer.0.request(NOW, publish("two"), 2);
    peer.0.request(NOW, Request::Lease { is_new: true }, 3);
    peer.0.request(NOW, publish("three"), 4);
    let room: Arc<str> = "other".into();
    peer.0.request(NOW, Request::Top { room, keep: Keep::messages(9) }, 5);
    let purposes: Vec<u32> = peer.0.end().into_iter().map(|(_, purpose)| purpose).collect();
    assert_eq!(purposes, [1, 2, 3, 4, 5]);
}

#[test]
fn what_waits_for_answers_is_bounded_and_counted() {
    let mut peer = publishing();
    peer.0.payload_max = 1 << 20;
    assert!(!peer.0.is_full());
    for number in 0..9 {
        peer.0.request(NOW, publish(&"x".repeat(1 << 20)[..(1 << 20) - 200]), number);
    }
    assert!(peer.0.is_full());
    peer.answers(6, r#"{"error":{"code":404,"err_code":10037,"description":"no message found"}}"#);
    let number = peer.0.number;
    peer.answers(number, r#"{"stream":"s","seq":1}"#);
    for number in number + 1..=peer.0.number {
        peer.answers(number, r#"{"stream":"s","seq":2}"#);
    }
    assert_eq!((peer.0.waiting_bytes, peer.0.calls.len()), (0, 0));
}
