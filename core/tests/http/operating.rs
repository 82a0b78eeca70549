//! Operation in virtual time: reloads, drains, proxies, networks, hosts, dry runs.

use crate::operating_world::{network, peer, upgrade};
use drupe_core::app::{Echo, Relay};
use drupe_core::http::{Credential, Forwarded, ForwardedField, Http};
use drupe_core::limit::{ConnectionLimits, EarlyDrop, Ladder, Rate};
use drupe_core::outbound::Marks;
use drupe_core::telnet::Telnet;
use drupe_core::testing::TestHub;
use drupe_core::wire::{Protocol, Proxies};
use drupe_core::{
    Accepting, Address, Addressee, Command, Config, ConnId, Drain, Event, Handler, Hub, Listen, ListenerId, Machine,
    NoNote, Peer, PeerLimits, Reason, Shard, ShardMessage, Time,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn lines(port: u16) -> Listen {
    Listen::lines(([127, 0, 0, 1], port).into())
}

fn web(http: Http) -> Listen {
    Listen::new(Address::Tcp(([127, 0, 0, 1], 80).into()), Protocol::Http(Arc::new(http)))
}

fn text<H: Handler>(hub: &TestHub<H>, conn: ConnId) -> String {
    String::from_utf8_lossy(hub.received(conn)).into_owned()
}

#[test]
fn reload_keeps_adds_and_retires_listeners() {
    let mut hub = TestHub::with_config(Config::listening([lines(1), lines(2)]), Relay::default());
    let one = hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
    let two = hub.try_connect(ListenerId::new(1), peer("127.0.0.1:9")).expect("let in");
    let newer = Config::listening([lines(3), lines(2)]).idle(Some(secs(30)));
    let new: Vec<_> = hub.machine().new_addresses(&newer).map(|listen| listen.address.clone()).collect();
    assert_eq!(new, [lines(3).address]);
    hub.reconfigure(newer);
    let now: Vec<_> = hub.machine().listeners().map(|(id, listen)| (id.index(), listen.address.clone())).collect();
    assert_eq!(now, [(1, lines(2).address), (2, lines(3).address)]);
    let accepting = [0, 1, 2, 3].map(|id| hub.machine().accepting(ListenerId::new(id)));
    assert_eq!(accepting, [Accepting::Never, Accepting::Now, Accepting::Now, Accepting::Never]);
    assert!(hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).is_err());
    // Who was there stays, also where nobody is let in any more; and what is new holds for them.
    hub.line(one, "hello");
    assert_eq!(hub.lines(two), ["hello"]);
    hub.advance(secs(31));
    assert!(hub.is_closed(one) && hub.is_closed(two) && hub.ended(Reason::Idle) == 2);
    // An address that comes back is a new listener.
    hub.reconfigure(Config::listening([lines(1)]));
    let now: Vec<_> = hub.machine().listeners().map(|(id, _)| id.index()).collect();
    assert_eq!((now, hub.machine().metrics().reloads), (vec![3], 2));
}

#[test]
fn listener_has_its_own_limits_and_a_reload_changes_them() {
    let limits = |idle| PeerLimits::default().idle(idle).lifetime(Some(secs(100)));
    let own = |idle| lines(1).limits(Some(limits(idle)));
    let mut hub = TestHub::with_config(Config::listening([own(Some(secs(10))), lines(2)]), Echo);
    let one = hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
    let two = hub.try_connect(ListenerId::new(1), peer("127.0.0.1:9")).expect("let in");
    hub.reconfigure(Config::listening([own(Some(secs(20))), lines(2)]));
    hub.advance(secs(19));
    assert!(!hub.is_closed(one));
    hub.advance(secs(2));
    assert!(hub.is_closed(one) && hub.ended(Reason::Idle) == 1 && !hub.is_closed(two));
    let three = hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
    for _ in 0..11 {
        hub.advance(secs(10));
        hub.line(three, "x");
    }
    assert!(hub.is_closed(three) && hub.ended(Reason::SessionExpired) == 1, "whatever it does");
}

#[test]
fn drain_of_a_thousand_peers_spreads_closes_with_notices() {
    let drain = Drain::default()
        .grace(secs(5))
        .window(secs(20))
        .closes_per_second(100)
        .deadline(secs(30))
        .retry_after(Some(secs(7)));
    let listeners = [lines(1), web(Http::default().ping(None))];
    let connections = ConnectionLimits::default().per_address(5_000);
    let config = Config::listening(listeners).drain(drain).connections(connections).seed(Some(3));
    let mut hub = TestHub::with_config(config, Relay::default());
    let mut conns: Vec<_> = (0..1_000).map(|_| hub.connect()).collect();
    let socket = hub.try_connect(ListenerId::new(1), peer("127.0.0.1:9")).expect("let in");
    hub.send(socket, &upgrade("/", ""));
    hub.command(&Command::Drain);
    // It is red first, and still lets in.
    let probe = |hub: &mut TestHub<Relay>| {
        let conn = hub.try_connect(ListenerId::new(1), peer("127.0.0.1:9")).ok()?;
        hub.send(conn, b"GET /readyz HTTP/1.0\r\n\r\n");
        Some(text(hub, conn))
    };
    let answer = probe(&mut hub).expect("let in");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 7\r\n"), "{answer}");
    let late = hub.connect();
    hub.line(late, "still served");
    assert_eq!(hub.lines(conns[0]).last().map(String::as_str), Some("still served"));
    conns.push(late);
    hub.advance(secs(5));
    assert!(probe(&mut hub).is_none() && hub.machine().accepting(ListenerId::new(0)) == Accepting::Never);
    // 1,002 at 100 a second.
    let mut closed = Vec::new();
    for _ in 0..10 {
        hub.advance(secs(1));
        closed.push(hub.ended(Reason::Shutdown));
    }
    let each: Vec<_> = closed.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(each.iter().all(|count| (60..150).contains(count)), "{each:?}");
    hub.advance(secs(1));
    assert_eq!((hub.ended(Reason::Shutdown), hub.machine().is_drained()), (1_002, true));
    for conn in conns {
        let told = hub.lines(conn);
        assert!(told.contains(&"notice: the server is shutting down; try again in 7 s".into()), "{told:?}");
        assert_eq!(told.last().map(String::as_str), Some("closing (shutdown): the server is shutting down"));
    }
    let close = [&[0x88, 27, 3, 0xe9][..], b"shutdown; retry after 7 s"].concat();
    assert!(hub.received(socket).ends_with(&close));
}

#[test]
fn second_drain_skips_the_grace_and_window() {
    let drain = Drain::default().grace(secs(60)).window(secs(60)).deadline(secs(90));
    let mut hub = TestHub::with_config(Config::listening([lines(1)]).drain(drain), Echo);
    let conns = [(); 10].map(|()| hub.connect());
    hub.command(&Command::Drain);
    hub.advance(secs(1));
    assert!(
        conns.iter().all(|conn| !hub.is_closed(*conn)) && hub.machine().accepting(ListenerId::new(0)) == Accepting::Now
    );
    hub.command(&Command::Drain);
    hub.advance(secs(1));
    assert!(hub.machine().is_drained() && conns.iter().all(|conn| hub.is_closed(*conn)));
}

/// Drains when it is told something, and remembers how connections ended.
#[derive(Default)]
struct Drainer(Vec<Reason>);

impl Handler for Drainer {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => drop(hub.send(conn, "welcome")),
            Event::Message { .. } => hub.drain(),
            Event::Closed { reason, .. } => self.0.push(reason),
            _ => {}
        }
    }
}

#[test]
fn drain_from_handler_closes_full_peers_at_once() {
    let mut config = Config::listening([lines(1).notices(true)]);
    config.drain.grace = Duration::ZERO;
    config.outbound.marks = Marks::new(4, 8, 16).expect("in order");
    let mut machine = Machine::new(config, Drainer::default());
    machine.started(Time::START);
    let [behind, other] = [1, 2].map(|port| {
        let peer = format!("192.0.2.1:{port}").parse::<Peer>().expect("an address");
        machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in")
    });
    machine.blocked(Time::START, behind);
    machine.received(Time::START, other, &mut b"drain\n".to_vec());
    // There is no room any more for the words that the server is shutting down.
    assert_eq!((&machine.handler().0[..], machine.metrics().open), (&[Reason::SlowConsumer][..], 1));
}

#[test]
fn proxied_client_counts_in_limits_and_may_be_refused() {
    let listen = lines(1).proxies(Some(Proxies::trusting([network("10.0.0.0/8")])));
    let connections = ConnectionLimits::default().per_address(2);
    let mut hub = TestHub::with_config(Config::listening([listen]).connections(connections), Relay::default());
    let refused = hub.try_connect(ListenerId::new(0), peer("192.0.2.9:1")).expect_err("no proxy");
    assert_eq!((refused.reason, refused.farewell.len()), (Reason::AddressRefused, 0));
    let come = |hub: &mut TestHub<Relay>, header: &str| {
        let conn = hub.try_connect(ListenerId::new(0), peer("10.0.0.1:1")).expect("a proxy counts for nobody");
        hub.send(conn, header.as_bytes());
        conn
    };
    let one = come(&mut hub, "PROXY TCP4 192.0.2.1 10.0.0.1 5 6\r\nhello\n");
    let two = come(&mut hub, "PROXY TCP4 192.0.2.1 10.0.0.1 7 8\r\n");
    let three = come(&mut hub, "PROXY TCP4 192.0.2.1 10.0.0.1 9 10\r\n");
    let other = come(&mut hub, "PROXY TCP6 2001:db8::1 ::1 9 10\r\nwords\n");
    let checks = come(&mut hub, "PROXY UNKNOWN\r\n");
    assert_eq!([one, two, three, other, checks].map(|conn| hub.is_closed(conn)), [false, false, true, false, false]);
    assert_eq!(hub.ended(Reason::AddressFull), 1);
    assert_eq!(hub.lines(two), ["words"], "what came with the header is said");
    // A proxy that speaks for itself is let in by its own address, which counts.
    hub.end(checks);
    let bad = come(&mut hub, "GET / HTTP/1.1\r\n\r\n");
    assert!(hub.is_closed(bad) && hub.ended(Reason::BadProxyHeader) == 1 && text(&hub, bad).is_empty());
    let silent = come(&mut hub, "PROXY TCP4 19");
    hub.advance(secs(6));
    assert!(hub.is_closed(silent) && hub.ended(Reason::BadProxyHeader) == 2);
    // Who leaves makes room for the same address again.
    hub.end(one);
    let four = come(&mut hub, "PROXY TCP4 192.0.2.1 10.0.0.1 5 6\r\n");
    assert!(!hub.is_closed(four));
    hub.command(&Command::Quarantine { address: "192.0.2.7".parse().unwrap() });
    let five = come(&mut hub, "PROXY TCP4 192.0.2.7 10.0.0.1 5 6\r\n");
    assert!(hub.is_closed(five) && hub.ended(Reason::Quarantined) == 1);
    hub.command(&Command::Release { address: "192.0.2.7".parse().unwrap() });
    let six = come(&mut hub, "PROXY TCP4 192.0.2.7 10.0.0.1 5 6\r\n");
    assert!(!hub.is_closed(six));
}

/// Says where somebody is.
struct Where;

impl Handler for Where {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Opened { conn, peer, .. } = event {
            hub.send(conn, &format!("you are {peer}"));
        }
    }
}

#[test]
fn x_forwarded_for_sets_the_client_address() {
    let forwarded = Forwarded::new(ForwardedField::XForwardedFor, [network("10.0.0.0/8")]);
    let http = Http::default().forwarded(Some(forwarded));
    let connections = ConnectionLimits::default().per_address(1);
    let mut hub = TestHub::with_config(Config::listening([web(http)]).connections(connections), Where);
    let come = |hub: &mut TestHub<Where>, from: &str, fields: &str| {
        let conn = hub.try_connect(ListenerId::new(0), peer(from)).expect("let in");
        hub.send(conn, &upgrade("/", fields));
        text(hub, conn)
    };
    let heard = come(&mut hub, "10.0.0.1:1", "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n");
    assert!(heard.ends_with("you are 192.0.2.1:0"), "{heard}");
    let heard = come(&mut hub, "10.0.0.1:2", "X-Forwarded-For: 192.0.2.1\r\n");
    assert!(heard.starts_with("HTTP/1.1 429"), "one address has one: {heard}");
    let heard = come(&mut hub, "10.0.0.1:3", "X-Forwarded-For: 192.0.2.2\r\n");
    assert!(heard.ends_with("you are 192.0.2.2:0"), "{heard}");
    let heard = come(&mut hub, "192.0.2.3:4", "X-Forwarded-For: 6.6.6.6\r\n");
    assert!(heard.ends_with("you are 192.0.2.3:4"), "who is no proxy is not believed: {heard}");
}

#[test]
fn first_shard_decides_admission_for_all_shards() {
    let listen = lines(1).proxies(Some(Proxies::trusting([network("10.0.0.0/8")])));
    let connections = ConnectionLimits::default().per_address(1);
    let config = Config::listening([listen]).connections(connections);
    let shard = |n| Machine::shard(config.clone(), Where, Shard::new(n, 2).expect("in range"));
    let mut machines = vec![shard(0), shard(1)];
    let mut messages: VecDeque<(usize, ShardMessage)> = VecDeque::new();
    let mut exchange = |machines: &mut Vec<Machine<Where>>| {
        loop {
            for (from, machine) in machines.iter_mut().enumerate() {
                while let Some((to, message)) = machine.next_shard_message() {
                    let to = match to {
                        Addressee::First => 0,
                        Addressee::Shard(shard) => usize::from(shard),
                        Addressee::Others => 1 - from,
                    };
                    messages.push_back((to, message));
                }
            }
            let Some((to, message)) = messages.pop_front() else { return };
            machines[to].shard_message_received(Time::START, &message);
        }
    };
    let mut ids = Vec::new();
    for n in 0..4 {
        let shard =
            usize::from(machines[0].dispatched(Time::START, ListenerId::new(0), peer("10.0.0.1:1")).expect("a proxy"));
        let id = machines[shard].adopted(Time::START, ListenerId::new(0), peer("10.0.0.1:1"));
        machines[shard].received(
            Time::START,
            id,
            &mut format!("PROXY TCP4 192.0.2.{} 10.0.0.1 5 6\r\nhi\n", n / 2).into_bytes(),
        );
        ids.push(id);
    }
    assert!(ids.iter().any(|id| id.shard() == 1), "some are elsewhere");
    exchange(&mut machines);
    let heard: Vec<_> = ids
        .iter()
        .map(|&id| {
            let intent = machines[usize::from(id.shard())].intent(id);
            intent.map(|intent| intent.transmit.slices().collect::<Vec<_>>().concat()).unwrap_or_default()
        })
        .map(|bytes| String::from_utf8(bytes).expect("text"))
        .collect();
    let let_in = heard.iter().filter(|heard| heard.starts_with("you are 192.0.2.")).count();
    assert_eq!(let_in, 2, "one of each address: {heard:?}");
    let refused: u64 = machines.iter().map(|machine| machine.metrics().ended.get(Reason::AddressFull)).sum();
    assert_eq!(refused, 2);
}

#[test]
fn http_listener_serves_only_configured_hosts() {
    let hosts = ["localhost", "example.org:8025", "[::1]"].map(|host| host.parse().expect("well formed"));
    let http = Http::default().hosts(hosts.into());
    let mut hub = TestHub::with_config(Config::listening([web(http)]), Echo);
    for (host, is_served) in [
        ("localhost", true),
        ("LOCALHOST:8025", true),
        ("example.org:8025", true),
        ("example.org", false),
        ("[::1]:8025", true),
        ("evil.example", false),
        ("localhost.evil.example", false),
    ] {
        let conn = hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
        hub.send(conn, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        let answer = text(&hub, conn);
        let status = if is_served { "HTTP/1.1 200" } else { "HTTP/1.1 421" };
        assert!(answer.starts_with(status), "{host}: {answer}");
    }
}

#[test]
fn monitor_page_needs_credential_and_sets_a_cookie() {
    let http = Http::default().monitor(Credential::new("0123456789abcdef").ok());
    let mut hub = TestHub::with_config(Config::listening([web(http)]).seed(Some(5)), Echo);
    let get = |hub: &mut TestHub<Echo>, path: &str, fields: &str| {
        let conn = hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
        hub.send(conn, format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
        text(hub, conn)
    };
    assert!(get(&mut hub, "/monitor", "").starts_with("HTTP/1.1 401"));
    let page = get(&mut hub, "/monitor", "Authorization: Basic eDowMTIzNDU2Nzg5YWJjZGVm\r\n");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("HttpOnly; SameSite=Strict"), "{page}");
    let cookie =
        page.split("Set-Cookie: ").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie").to_string();
    let again = get(&mut hub, "/monitor", &format!("Cookie: a=b; {cookie}\r\n"));
    assert!(again.starts_with("HTTP/1.1 200"), "{again}");
    let wrong = get(&mut hub, "/monitor", "Cookie: drupe_monitor=x\r\n");
    assert!(wrong.starts_with("HTTP/1.1 401"), "{wrong}");
    for path in ["/monitor.js", "/monitor.css"] {
        assert!(get(&mut hub, path, "").starts_with("HTTP/1.1 200"), "{path} says nothing of anybody");
    }
    let mut bare = TestHub::with_config(Config::listening([web(Http::default())]), Echo);
    assert!(get(&mut bare, "/monitor", "").starts_with("HTTP/1.1 404"));
}

#[test]
fn websocket_binary_frames_carry_telnet() {
    let http = Http::default().telnet(Some(Telnet::default())).ping(Some(secs(30)));
    let listen = web(http).notices(true);
    let mut hub = TestHub::with_config(Config::listening([listen]), Echo);
    let conn = hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
    hub.send(conn, &upgrade("/", ""));
    let received = hub.received(conn);
    assert!(received.ends_with(&[0x82, 3, 255, 253, 24]), "the probe, in a binary frame: {received:?}");
    hub.clear();
    // A line in two messages, and the window's size between them.
    for part in [&b"hel"[..], &[255, 251, 31, 255, 250, 31, 0, 80, 0, 24, 255, 240], b"lo\r\n"] {
        let length = u8::try_from(part.len()).expect("short");
        hub.send(conn, &[&[0x82, 0x80 | length, 0, 0, 0, 0][..], part].concat());
    }
    let received = hub.received(conn).to_vec();
    assert!(received.ends_with(&[&[0x82, 7][..], b"hello\r\n"].concat()), "{received:?}");
    assert_eq!(hub.terminal(conn).map(|terminal| (terminal.columns, terminal.rows)), Some((Some(80), Some(24))));
    hub.clear();
    hub.advance(secs(30));
    assert_eq!(hub.received(conn)[..2], [0x89, 8], "a ping of the WebSocket");
    hub.clear();
    hub.send(conn, &[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]);
    assert!(hub.received(conn).starts_with(&[0x88, 2, 3, 0xe8]) && hub.ended(Reason::PeerClosed) == 1);
}

#[test]
fn dry_run_counts_refusals_without_enforcing() {
    let rate = |units| Rate::new(units, units).ok();
    let mut config = Config::listening([lines(1)]).dry_run(true);
    config.connections.per_address = 1;
    config.peer.rates.messages = rate(1);
    config.peer.rates.ladder = Ladder::default().close(Some(1));
    let mut hub = TestHub::with_config(config, Echo);
    let (one, two) = (hub.connect(), hub.connect());
    (0..10).for_each(|_| hub.line(one, "x"));
    assert_eq!((hub.lines(one).len(), hub.is_closed(two)), (10, false));
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.rate_exceeded, metrics.would_refuse.get(Reason::AddressFull)), (9, 1));
    assert!(metrics.exposition().contains("drupe_connections_would_refuse_total{reason=\"address_full\"} 1"));
}

#[test]
fn authenticated_peers_do_not_count_for_early_drop() {
    struct Login;
    impl Handler for Login {
        type Context = ();
        type Note = NoNote;
        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
            if let Event::Message { conn, .. } = event {
                hub.identify(conn, drupe_core::Identity::user("ann"));
            }
        }
    }
    let mut config = Config::listening([lines(1)]).seed(Some(1));
    config.connections.early_drop = EarlyDrop::new(4, 8).ok();
    let mut hub = TestHub::with_config(config, Login);
    let mut in_order = Vec::new();
    let mut flood = |hub: &mut TestHub<Login>| {
        let mut come = 0;
        for _ in 0..200 {
            if let Ok(conn) = hub.try_connect(ListenerId::new(0), peer("192.0.2.1:1")) {
                in_order.push(conn);
                come += 1;
            }
        }
        (come, in_order.clone())
    };
    let (come, conns) = flood(&mut hub);
    assert_eq!(come, 8, "never more that nobody knows");
    assert_eq!(hub.machine().metrics().refused.get(Reason::ServerBusy), 192);
    conns.iter().for_each(|conn| hub.line(*conn, "me"));
    assert_eq!(flood(&mut hub).0, 8, "who is known does not count");
    conns.iter().for_each(|conn| hub.end(*conn));
    assert_eq!(flood(&mut hub).0, 0, "and who is known and goes makes no room twice");
}
