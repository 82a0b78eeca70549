//! Settings of a cluster: the URL of the broker, its secrets, and the rooms that hosts share.

use drupe_core::broker::{BrokerLogin, Engine, NatsLogin, Sentinel, WithoutBroker};
use drupe_core::history::Keep;
use drupe_core::settings::{Catalog, ClientTlsSettings, PubSubSettings, Resolved, Sources};
use drupe_core::tls::ClientTls;
use drupe_core::{Cluster, Config, Dial, Home, Presence, RoomOptions};

const LISTENER: &str = "listeners: { a: { address: '127.0.0.1:1' } }\n";

fn load(tls: &ClientTlsSettings) -> Result<ClientTls, String> {
    match tls.ca.as_str() {
        "" | "/etc/good.pem" => Ok(ClientTls::external().server_name(Some(tls.server_name.clone()))),
        other => Err(format!("can't read {other}: there is no such file")),
    }
}

fn file(cluster: &str) -> Sources {
    let text = format!("{LISTENER}cluster: {cluster}\n");
    Sources::new().file("/etc/drupe.yaml", &text).client_tls_from(load)
}

fn good(sources: &Sources) -> Resolved {
    sources.resolve().unwrap_or_else(|problems| panic!("{problems}"))
}

fn cluster(sources: &Sources) -> Cluster {
    good(sources).plan.config.cluster.expect("there is one")
}

fn wrong(sources: &Sources) -> String {
    sources.resolve().map(|_| ()).expect_err("it is wrong").to_string()
}

#[test]
fn cluster_is_one_line_or_keys() {
    let expected = Cluster::redis("127.0.0.1:6379");
    for text in [
        "redis://127.0.0.1:6379",
        "redis://127.0.0.1",
        "valkey://127.0.0.1/",
        "'redis://127.0.0.1:6379/0'",
        "{ url: 'redis://127.0.0.1', prefix: drupe, without_broker: refuse }",
    ] {
        assert_eq!(cluster(&file(text)), expected, "{text}");
    }
    let of_keys = cluster(&file("{ url: 'redis://127.0.0.1', prefix: 'game:1', without_broker: local }"));
    assert_eq!(of_keys, expected.clone().prefix("game:1".into()).without_broker(WithoutBroker::Local));
    // Each layer can add keys to the one line of another.
    let line = file("redis://127.0.0.1").set("cluster.prefix", "x");
    assert_eq!(cluster(&line), expected.clone().prefix("x".into()));
    let line = Sources::new().environment([("DRUPE_CLUSTER", "redis://127.0.0.1")]);
    assert_eq!(cluster(&line), expected);
    assert_eq!(
        cluster(&line.clone().environment([("DRUPE_CLUSTER__PREFIX", "x")])),
        expected.clone().prefix("x".into())
    );
    assert_eq!(cluster(&file("redis://other").set("cluster", "redis://127.0.0.1")), expected);
    assert_eq!(good(&file("redis://h").set("cluster", "null")).plan.config.cluster, None);
    assert_eq!(good(&Sources::new()).plan.config.cluster, None);
}

#[test]
fn url_names_addresses_login_and_master() {
    let redis = |sources: &Sources| {
        let cluster = cluster(sources);
        let Engine::Redis(redis) = cluster.engine else { panic!("another engine") };
        (*cluster.dial, redis.login, redis.sentinel)
    };
    let login = |user: &str, password: &str| Some(BrokerLogin::new(user, password));
    let plain = |address: &str| Dial::lines(address);
    let tls = |address: &str| Dial::lines(address).tls(Some(ClientTls::external().server_name(Some(String::new()))));
    let sentinel = || Some(Sentinel::new("mymaster"));
    for (url, expected) in [
        ("redis://h", (plain("h:6379"), None, None)),
        ("redis://[::1]", (plain("[::1]:6379"), None, None)),
        ("redis://[::1]:7", (plain("[::1]:7"), None, None)),
        ("redis://a:1,b,c:3", (plain("a:1").others(vec!["b:6379".into(), "c:3".into()]), None, None)),
        ("redis://:hush@h", (plain("h:6379"), login("default", "hush"), None)),
        ("redis://ann:hush@h:7", (plain("h:7"), login("ann", "hush"), None)),
        ("redis://a%40n:%3A%2f%C3%A4%25@h", (plain("h:6379"), login("a@n", ":/\u{e4}%"), None)),
        ("redis://ann:a:b@c@h", (plain("h:6379"), login("ann", "a:b@c"), None)),
        ("rediss://h", (tls("h:6379"), None, None)),
        ("valkeys://h", (tls("h:6379"), None, None)),
        ("redis+sentinel://h/mymaster", (plain("h:26379"), None, sentinel())),
        (
            "rediss+sentinel://:hush@h:7,[::1]/mymaster",
            (tls("h:7").others(vec!["[::1]:26379".into()]), login("default", "hush"), sentinel()),
        ),
    ] {
        assert_eq!(redis(&file(&format!("'{url}'"))), expected, "{url}");
    }
    let of_sentinel = file("{ url: 'redis+sentinel://h/mymaster', sentinel_user: s, sentinel_password: t }");
    assert_eq!(redis(&of_sentinel).2, Some(Sentinel::new("mymaster").login(login("s", "t"))));
    let of_sentinel = of_sentinel.set("cluster.sentinel_user", "");
    assert_eq!(redis(&of_sentinel).2, Some(Sentinel::new("mymaster").login(login("default", "t"))));
    assert_eq!(redis(&file("{ url: 'redis://ann@h', password: hush }")).1, login("ann", "hush"));
    assert_eq!(redis(&file("{ url: 'redis://h', password: hush }")).1, login("default", "hush"));
}

#[test]
fn cluster_errors_name_key_and_remedy_without_passwords() {
    let long = "x".repeat(65);
    let many = format!("'redis://{}'", vec!["h"; 65].join(","));
    for (cluster, words) in [
        ("7", "/etc/drupe.yaml:2: cluster.url: the URL of a broker is text"),
        ("[redis]", "/etc/drupe.yaml:2: cluster: it takes keys with values"),
        ("{ prefix: x }", "cluster.url: it needs the address of the broker, such as redis://127.0.0.1:6379"),
        ("{ urk: x }", "cluster.urk: there is no such key; did you mean url?"),
        ("hush", "/etc/drupe.yaml:2: cluster.url: a URL of a broker begins with redis://"),
        ("'http://h'", "cluster.url: \"http\" is unknown; a URL of a broker begins with redis://"),
        ("'Redis://h'", "cluster.url: \"Redis\" is unknown"),
        ("'ann:hush://h'", "cluster.url: a URL of a broker begins with redis://"),
        ("'nats://h/x'", "cluster.url: a URL of NATS has nothing after its addresses"),
        ("{ url: 'nats://h', prefix: a.b }", "cluster.prefix: for NATS, it consists of ASCII letters, digits, - and _"),
        ("{ url: 'nats://h', replicas: 6 }", "cluster.replicas: 6 is not from 1 to 5"),
        ("{ url: 'nats://h', tls_first: true }", "cluster.tls_first: cluster.url has no TLS; use tls://"),
        ("{ url: 'nats://h', tls: { ca: x } }", "cluster.tls: cluster.url has no TLS; use tls://"),
        ("{ url: 'nats://h', nkey: hush }", "cluster.nkey: the seed of a user's NKEY begins with SU"),
        ("{ url: 'nats://h', credentials: hush }", "cluster.credentials: it has no JWT and seed"),
        ("{ url: 'nats://hush@h', nkey: SUhush }", "cluster.nkey: cluster.url has a login as well"),
        ("{ url: 'nats://ann:hush@h', password: hush }", "cluster.password: cluster.url has a login as well"),
        ("{ url: 'nats://h', nkey: SUhush, credentials: hush }", "cluster.credentials: there is another login as well"),
        ("{ url: 'nats://h', sentinel_user: s }", "cluster.sentinel_user: it has no effect, because cluster.url"),
        (
            "{ url: 'redis://h', replicas: 3 }",
            "cluster.replicas: it has no effect, because cluster.url is not one of NATS",
        ),
        (
            "{ url: 'redis://h', nkey: SUhush }",
            "cluster.nkey: it has no effect, because cluster.url is not one of NATS",
        ),
        ("'redis://'", "cluster.url: address 1 has no host"),
        ("'redis://:6379'", "cluster.url: address 1 has no host"),
        ("'redis://:hush@'", "cluster.url: address 1 has no host"),
        ("'redis://a,,b'", "cluster.url: address 2 has no host"),
        ("'redis://h:x'", "cluster.url: address 1 has no port from 1 to 65535 after its host"),
        ("'redis://h:'", "cluster.url: address 1 has no port from 1 to 65535"),
        ("'redis://h:0'", "cluster.url: address 1 has no port from 1 to 65535"),
        ("'redis://h:+7'", "cluster.url: address 1 has no port from 1 to 65535"),
        ("'redis://h:65536'", "cluster.url: address 1 has no port from 1 to 65535"),
        ("'redis://[::1'", "cluster.url: address 1 has no ] after its IPv6 address"),
        ("'redis://[hush]'", "cluster.url: address 1 has no IPv6 address between [ and ]"),
        ("'redis://::1'", "cluster.url: address 1 has several colons; write an IPv6 address in brackets"),
        ("'redis://h us'", "cluster.url: address 1 has a host with a character"),
        ("'redis://ann@h'", "cluster.url: there is a user without a password: write USER:PASSWORD@"),
        ("'redis://ann:@h'", "cluster.url: the password after the user is empty"),
        ("'redis://@h'", "cluster.url: there is neither a user nor a password before the @"),
        ("'redis://ann:%hush@h'", "cluster.url: in the user or the password, a % is not followed by two hexadecimal"),
        ("'redis://ann:%ff@h'", "cluster.url: in the user or the password, a % is not followed by two hexadecimal"),
        ("'redis://ann:hu/sh@h'", "cluster.url: write / as %2F, and @ as %40"),
        ("'redis://ann:hu#sh@h'", "cluster.url: a URL of a broker has no part after ? or #"),
        ("'redis://h?db=1'", "cluster.url: a URL of a broker has no part after ? or #"),
        ("'redis://h/1'", "cluster.url: only the database 0 is used"),
        (&many, "cluster.url: it has 65 addresses; at most 64 are allowed"),
        ("'redis+sentinel://h'", "cluster.url: it needs the name of the master after the addresses"),
        ("'redis+sentinel://h/'", "cluster.url: it needs the name of the master after the addresses"),
        ("'redis+sentinel://h/a/b'", "cluster.url: the name of the master consists of letters, digits"),
        ("{ url: 'redis://:hush@h', password: hush }", "cluster.password: cluster.url has a password as well"),
        ("{ url: 'redis://h', sentinel_user: s }", "cluster.sentinel_user: it has no effect, because cluster.url"),
        ("{ url: 'redis://h', sentinel_password: hush }", "cluster.sentinel_password: it has no effect"),
        ("{ url: 'redis+sentinel://h/m', sentinel_user: s }", "cluster.sentinel_user: it needs a password"),
        ("{ url: 'redis://h', prefix: '' }", "cluster.prefix: it is empty"),
        (&format!("{{ url: 'redis://h', prefix: {long} }}"), "cluster.prefix: it has 65 bytes; at most 64 are allowed"),
        ("{ url: 'redis://h', prefix: 'a b' }", "cluster.prefix: it consists of ASCII letters, digits and signs"),
        ("{ url: 'redis://h', prefix: 'a{b}' }", "cluster.prefix: it consists of ASCII letters, digits and signs"),
        ("{ url: 'redis://h', prefix: \u{e4} }", "cluster.prefix: it consists of ASCII letters, digits and signs"),
        ("{ url: 'redis://h', without_broker: queue }", "cluster.without_broker: unknown variant"),
        ("{ url: 'redis://h', tls: { ca: x } }", "cluster.tls: cluster.url has no TLS; use rediss://"),
        ("{ url: 'rediss://h', tls: { ca: x } }", "cluster.tls: can't read /etc/x: there is no such file"),
        ("{ url: 'rediss://h', tls: { ca: x, insecure: true } }", "cluster.tls: ca, pins and insecure exclude"),
        ("{ url: 'rediss://h', tls: { pins: [x] } }", "cluster.tls.pins: pin 1 is not a SHA-256 fingerprint"),
        ("{ url: 'rediss://h', tls: { key: x } }", "cluster.tls.key: it needs a certificate"),
    ] {
        let problems = wrong(&file(cluster));
        assert!(problems.contains(words) && !problems.contains("hush"), "{cluster}\n{words}\n{problems}");
    }
    let unloaded = Sources::new().file("drupe.yaml", "cluster: rediss://h\n");
    assert!(wrong(&unloaded).contains("cluster.url: this program does not load TLS files"));
}

#[test]
fn url_of_nats_has_a_user_or_a_token() {
    let nats = |keys: &str| {
        let cluster = cluster(&file(keys));
        let Engine::Nats(nats) = cluster.engine else { panic!("another engine") };
        (cluster.dial.address, nats.login)
    };
    let token = |token: &str| Some(NatsLogin::Token(token.into()));
    let user = || Some(NatsLogin::User(BrokerLogin::new("ann", "hush")));
    let jwt = NatsLogin::Jwt { jwt: "ey".into(), seed: "SUx".into() };
    let creds = "\"-----BEGIN NATS USER JWT-----\\ney\\n------END NATS USER JWT------\\n\\n\
                 -----BEGIN USER NKEY SEED-----\\nSUx\\n------END USER NKEY SEED------\\n\"";
    for (keys, address, login) in [
        ("'nats://h'", "h:4222", None),
        ("'nats://[::1]:7'", "[::1]:7", None),
        ("'nats://hush@h'", "h:4222", token("hush")),
        ("'nats://:hush@h'", "h:4222", token("hush")),
        ("'nats://ann:hush@h'", "h:4222", user()),
        ("{ url: 'nats://ann@h', password: hush }", "h:4222", user()),
        ("{ url: 'nats://h', password: hush }", "h:4222", token("hush")),
        ("{ url: 'nats://h', nkey: SUx }", "h:4222", Some(NatsLogin::Nkey("SUx".into()))),
        (&format!("{{ url: 'nats://h', credentials: {creds} }}"), "h:4222", Some(jwt)),
    ] {
        assert_eq!(nats(keys), (address.into(), login), "{keys}");
    }
    let resolved = good(&file("'nats://hush@h'"));
    let explained = format!("{} {:?} {:?}", resolved.explain(), resolved.settings, resolved.plan);
    assert!(explained.contains("nats://:(secret)@h") && !explained.contains("hush"), "{explained}");
}

#[test]
fn password_of_the_broker_is_never_shown() {
    let of_url = file("'redis://ann:hush@h'");
    let resolved = good(&of_url);
    let explained = resolved.explain();
    assert!(explained.contains("cluster.url: \"redis://ann:(secret)@h\" # /etc/drupe.yaml:2"), "{explained}");
    let other = good(&of_url.clone().set("cluster.url", "redis://ann:hush2@h"));
    let changes = resolved.changes(&other).join("\n");
    let line = "cluster.url: \"redis://ann:(secret)@h\" -> \"redis://ann:(secret)@h\" (after a restart)";
    assert!(changes.contains(line), "{changes}");
    for text in [explained, changes, format!("{:?} {:?}", resolved.settings, resolved.plan)] {
        assert!(!text.contains("hush"), "{text}");
    }
    // An `@` in the password that is not encoded does not end it.
    let explained = good(&file("'redis://ann:hush@hush@h'")).explain();
    assert!(explained.contains("\"redis://ann:(secret)@h\""), "{explained}");
}

#[test]
fn limits_of_shared_rooms_with_nats_wait_for_a_restart() {
    let rooms = "rooms: { options: { a: { messages_max: 5 }, b: { home: memory, messages_max: 5 } } }";
    for (url, waits) in [("nats://h", true), ("redis://h", false)] {
        let sources = Sources::new().file("drupe.yaml", &format!("cluster: '{url}'\n{rooms}"));
        let before = good(&sources);
        let changes = |key: &str, value: &str| before.changes(&good(&sources.clone().set(key, value))).join("\n");
        for (key, value) in [("messages_max", "6"), ("age_max", "5m"), ("key_window", "7m")] {
            let shared = changes(&format!("rooms.options.a.{key}"), value);
            assert_eq!(shared.ends_with("(after a restart)"), waits, "{url}: {shared}");
            let own = changes(&format!("rooms.options.b.{key}"), value);
            assert!(own.contains(key) && !own.contains("(after a restart)"), "{url}: {own}");
        }
        let presence = changes("rooms.options.a.presence", "names");
        assert!(!presence.contains("(after a restart)"), "{url}: {presence}");
    }
}

#[test]
fn secrets_of_the_broker_are_read_from_files() {
    let read = |path: &str| Ok(format!("hush of {path}"));
    let keys = "{ url: 'redis+sentinel://ann@h/m', password_file: one, sentinel_password_file: /two }";
    let resolved = good(&file(keys).secrets_from(read));
    let Engine::Redis(redis) = resolved.plan.config.cluster.clone().expect("there is one").engine else { panic!("no") };
    assert_eq!(redis.login, Some(BrokerLogin::new("ann", "hush of /etc/one")));
    let sentinel = Sentinel::new("m").login(Some(BrokerLogin::new("default", "hush of /two")));
    assert_eq!(redis.sentinel, Some(sentinel));
    let explained = resolved.explain();
    assert!(explained.contains("cluster.password: (secret) # ") && !explained.contains("hush"), "{explained}");
    for (keys, words) in [
        ("{ url: 'redis://h', password: hush, password_file: one }", "cluster.password_file: cluster.password is set"),
        ("{ url: 'redis://:hush@h', password_file: one }", "cluster.password_file: cluster.url has a password as well"),
    ] {
        let problems = wrong(&file(keys).secrets_from(read));
        assert!(problems.contains(words) && !problems.contains("hush"), "{problems}");
    }
}

/// The configuration of a program with `pubsub`.
fn config(rest: &str) -> Config {
    let catalog = Catalog::new("drupe").app("chat").app("pubsub").section::<PubSubSettings>();
    let text = format!("{LISTENER}{rest}");
    good(&Sources::of(catalog).file("drupe.yaml", &text)).plan.config
}

#[test]
fn cluster_shares_all_rooms_but_those_with_another_home() {
    const ROOMS: &str = "rooms: { options: { news: {}, own: { home: memory }, off*: { home: none } } }\n";
    let both = config(&format!("{ROOMS}cluster: redis://h\n"));
    let home = |config: &Config, room: &str| config.memory.options(room).map(|options| options.home);
    assert_eq!(home(&both, "news"), Some(Home::Shared));
    assert_eq!(home(&both, "own"), Some(Home::Memory));
    assert_eq!(home(&both, "off.1"), None);
    let other = both.memory.options("other").expect("it is shared").clone();
    // Members get the bare messages, and are told of gaps.
    assert_eq!((other.home, other.positions, other.tells_gaps), (Home::Shared, false, true));
    assert_eq!((other.keep.messages, other.keep.bytes, other.presence), (0, 4 << 20, Presence::Off));
    let alone = config(ROOMS);
    assert_eq!((home(&alone, "news"), home(&alone, "other")), (Some(Home::Memory), None));
    let all = config("rooms: { options: { '*': { home: none } } }\ncluster: redis://h\n");
    assert_eq!(home(&all, "other"), None, "the operator's options of all rooms replace the default");
    let all = config("rooms: { options: { '*': { messages_max: 7 } } }\ncluster: redis://h\n");
    assert_eq!(all.memory.options("other"), Some(&RoomOptions::new("*", Keep::messages(7)).home(Home::Shared)));
}

#[test]
fn cluster_shares_channels_without_a_history() {
    let of_pubsub = |rest: &str| {
        let channels = "pubsub: { allow_anonymous: true, without_namespace: { history_size: 3, history_ttl: 1m }, \
                        namespaces: { plain: {} } }\n";
        let rooms = config(&format!("{channels}{rest}")).memory.rooms;
        rooms.into_iter().filter(|options| options.app.is_some()).collect::<Vec<_>>()
    };
    let (alone, shared) = (of_pubsub(""), of_pubsub("cluster: redis://h\n"));
    assert_eq!(alone.len(), shared.len());
    for (alone, shared) in alone.iter().zip(&shared) {
        assert_eq!(shared.home, Home::Shared);
        if alone.home == Home::None {
            assert!(!shared.positions && shared.tells_gaps == alone.tells_gaps && shared.keep.messages == 0);
        } else {
            assert_eq!(*shared, alone.clone().home(Home::Shared));
        }
    }
    assert!(alone.iter().any(|options| options.home == Home::None));
}

#[test]
fn shared_rooms_limit_single_messages() {
    let rooms = "rooms: { options: { news: { bytes_max: 5MiB } } }\n";
    good(&Sources::new().file("drupe.yaml", rooms));
    let problems = wrong(&Sources::new().file("drupe.yaml", &format!("{rooms}cluster: redis://h\n")));
    assert!(problems.contains("rooms.options.news.bytes_max: in a cluster it is the limit of a single message"));
    let own = rooms.replace("5MiB", "5MiB, home: memory");
    good(&Sources::new().file("drupe.yaml", &format!("{own}cluster: redis://h\n")));
}

#[test]
fn reload_keeps_cluster_and_homes() {
    const ROOMS: &str = "pubsub: { allow_anonymous: true }\nrooms: { options: { news: {} } }\n";
    let plan = |rest: &str| {
        let catalog = Catalog::new("drupe").app("chat").app("pubsub").section::<PubSubSettings>();
        good(&Sources::of(catalog).file("drupe.yaml", &format!("{LISTENER}{ROOMS}{rest}"))).plan
    };
    let (alone, one, other) = (plan(""), plan("cluster: redis://one\n"), plan("cluster: redis://other\n"));
    for running in [&alone, &one] {
        for newer in [&alone, &one, &other] {
            let mut newer = newer.clone();
            newer.keep_cluster(&running.config);
            assert_eq!(newer.config.cluster, running.config.cluster);
            assert_eq!(newer.config.memory, running.config.memory);
        }
    }
}

#[test]
fn cluster_settings_that_are_risky_cause_warnings() {
    const CLEAR: &str = "the password crosses the network in the clear";
    let warnings = |sources: &Sources| {
        let warnings = good(sources).warnings;
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for (url, is_warned) in [
        ("redis://:hush@h", true),
        ("redis://:hush@127.0.0.1,10.0.0.5", true),
        ("redis://:hush@127.0.0.1,localhost:7,[::1]", false),
        ("redis://h", false),
        ("rediss://:hush@h", false),
    ] {
        let production = file(&format!("'{url}'")).profile("production");
        let words = warnings(&production);
        assert_eq!(words.contains(CLEAR), is_warned, "{url}: {words}");
        assert!(!words.contains("hush") && !warnings(&file(&format!("'{url}'"))).contains(CLEAR), "{words}");
    }
    let long = file("redis://h").set("limits.peer.message_max", "5MiB").set("outbound.max", "9MiB");
    assert!(warnings(&long).contains("limits.peer.message_max: a message above 4MiB does not fit"));
    assert_eq!(warnings(&file("redis://h")), "");
}

#[test]
fn changes_of_a_cluster_need_a_restart() {
    const AFTER: &str = " (after a restart)";
    let rooms = |rooms: &str, cluster: &str| {
        let text = format!("{LISTENER}rooms: {{ options: {{ {rooms} }} }}\n{cluster}");
        good(&Sources::new().file("drupe.yaml", &text))
    };
    let one = "cluster: redis://one\n";
    let changes = rooms("", one).changes(&rooms("", ""));
    assert!(changes.iter().all(|line| line.starts_with("cluster.") && line.ends_with("-> (gone) (after a restart)")));
    let changes = rooms("", "").changes(&rooms("", one));
    assert!(!changes.is_empty() && changes.iter().all(|line| line.starts_with("cluster.") && line.ends_with(AFTER)));
    for (before, after, line) in [
        ("a: {}", "a: { home: memory }", "rooms.options.a.home: \"shared\" -> \"memory\""),
        ("a: { home: memory }", "a: {}", "rooms.options.a.home: \"memory\" -> \"shared\""),
        ("", "a: { home: none }", "rooms.options.a.home: (none) -> \"none\""),
        ("a: { home: none }", "", "rooms.options.a.home: \"none\" -> (gone)"),
    ] {
        for cluster in [one, ""] {
            let changes = rooms(before, cluster).changes(&rooms(after, cluster));
            let expected = format!("{line}{}", if cluster.is_empty() { "" } else { AFTER });
            assert!(changes.contains(&expected), "{expected}: {changes:?}");
        }
    }
    let changes = rooms("", one).changes(&rooms("a: {}", one));
    assert!(!changes.iter().any(|line| line.ends_with(AFTER)), "the room is shared before and after: {changes:?}");
}
