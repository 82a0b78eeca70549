//! Configurations: layers, errors, and the effect of every key.

use crate::settings_ssh::SSH_EFFECTS;
use drupe_core::settings::{Catalog, Resolved, Sources};
use drupe_core::testing::Netstrings;
use drupe_core::tls::ClientTls;
use drupe_core::wire::{Custom, Protocol};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

fn file(text: &str) -> Sources {
    Sources::new().file("drupe.yaml", text)
}

fn good(sources: &Sources) -> Resolved {
    sources.resolve().unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn later_layers_override_earlier_ones_and_explain_says_so() {
    let text = "profile: production\nlisteners:\n  chat:\n    address: 127.0.0.1:7000\nlimits:\n  connections_max: 5\n";
    let sources = file(text)
        .file("more.yaml", "limits: { peer: { idle: 5m } }")
        .environment([("DRUPE_LIMITS__PEER__IDLE", "7m"), ("PATH", "/bin"), ("DRUPE_TEST_X", "1")])
        .set("limits.peer.idle", "9m")
        .set("listeners.chat.allow", "[10.0.0.0/8, 192.0.2.1]");
    let resolved = good(&sources);
    let config = &resolved.plan.config;
    assert_eq!((config.connections.total, config.peer.idle), (5, Some(Duration::from_secs(540))));
    assert_eq!(config.peer.silence, Some(Duration::from_secs(300)), "of the profile");
    assert_eq!(config.listeners[0].allow.len(), 2);
    let explained = resolved.explain();
    for line in [
        "profile: \"production\" # drupe.yaml:1",
        "limits.connections_max: 5 # drupe.yaml:6",
        "limits.peer.idle: \"9m\" # --set limits.peer.idle",
        "limits.peer.silence: \"5m\" # profile production",
        "limits.peer.message_max: \"64KiB\" # default",
        "listeners.chat.address: \"127.0.0.1:7000\" # drupe.yaml:4",
    ] {
        assert!(explained.lines().any(|known| known == line), "{line}\n{explained}");
    }
}

#[test]
fn default_listeners_exist_only_in_development() {
    let listeners = good(&Sources::new()).plan.config.listeners;
    let names: Vec<_> = listeners.iter().map(|listen| listen.bound(&listen.address)).collect();
    assert_eq!(names, ["tcp://127.0.0.1:8024", "telnet://127.0.0.1:8023", "ws://127.0.0.1:8025"]);
    let Protocol::Http(http) = &listeners[2].protocol else { panic!("web") };
    let hosts: Vec<_> = http.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["localhost", "127.0.0.1", "[::1]"]);
    let problems = Sources::new().profile("production").resolve().expect_err("nowhere").to_string();
    assert!(problems.contains("listeners: there are no listeners; add one"), "{problems}");
}

#[test]
fn settings_errors_name_place_and_remedy() {
    let listener = |rest: &str| format!("listeners:\n  a:\n    address: 127.0.0.1:0\n    {rest}\n");
    let tunnel = |rest: &str| {
        format!(
            "listeners:\n  a: {{ forward: {{ tunnel: e }} }}\ntunnels:\n  e: {{ ssh_host: h, ssh_user: u,\n    {rest} }}\n"
        )
    };
    for (text, words) in [
        ("limits:\n  peer:\n    idel: 5m\n".to_string(), "drupe.yaml:3: limits.peer.idel: there is no such key; did you mean idle?"),
        ("limitz: {}\n".into(), "drupe.yaml:1: limitz: there is no such key; did you mean limits?"),
        ("limits:\n  peer:\n    idle: 30\n".into(), "drupe.yaml:3: limits.peer.idle: invalid type: integer `30`, expected a time above zero, such as 500ms, 30s, 5m, 2h or 1d, and at most 36500d; or never"),
        ("limits:\n  peer:\n    message_max: 64kb\n".into(), "drupe.yaml:3: limits.peer.message_max: \"64kb\" is not a size such as 512B, 64KiB, 4MiB or 1GiB"),
        ("workers: 0\n".into(), "drupe.yaml:1: workers: invalid value: integer `0`, expected a number from 1 to 255"),
        ("profile: staging\n".into(), "drupe.yaml:1: profile: unknown variant `staging`, expected one of `development`, `production`, `testing`"),
        ("limits: [1]\n".into(), "drupe.yaml:1: limits: it takes keys with values"),
        ("limits:\n  peer: {idle: 1m\n".into(), "drupe.yaml:"),
        ("- a\n".into(), "drupe.yaml:1: a configuration consists of keys with values"),
        ("a: 1\na: 2\n".into(), "drupe.yaml:2: "),
        (listener("protocol: gopher"), "drupe.yaml:4: listeners.a.protocol: unknown variant `gopher`"),
        (listener("telnet: { gmcp: true }"), "drupe.yaml:4: listeners.a.telnet: it has no effect on tcp: it is for telnet, ws+telnet, auto"),
        (listener("address: localhost"), "drupe.yaml:4: "),
        ("listeners: { a: { address: 'example.org:80' } }\n".into(), "listeners.a.address: \"example.org:80\" is not an address and a port"),
        ("listeners: { a: { address: '127.0.0.1:80' }, b: { address: '127.0.0.1:80' } }\n".into(), "listeners.b.address: listeners.a has the same address"),
        ("listeners: { 'a b': { address: '127.0.0.1:80' } }\n".into(), "a name consists of letters, digits and _"),
        (listener("tls: {}"), "listeners.a.tls.certificates: TLS needs a certificate"),
        (listener("proxy_protocol: { trusted: [0.0.0.0/0] }"), "listeners.a.proxy_protocol.trusted: any peer could claim any address"),
        (listener("proxy_protocol: {}"), "listeners.a.proxy_protocol.trusted: no proxy is trusted"),
        (listener("protocol: websocket\n    websocket: { monitor: true }"), "websocket.monitor: it needs monitor.credential"),
        (listener("protocol: websocket\n    websocket: { ping: 5m }\nlimits: { peer: { silence: 1m } }"), "listeners.a.websocket.ping: a peer must be pinged before"),
        (listener("protocol: websocket\n    websocket: { origins: ['https://example.org/chat'] }"), "listeners.a.websocket.origins: \"https://example.org/chat\" is not an origin: an origin has no user and no path; write https://example.org"),
        (listener("protocol: websocket\n    websocket: { origins: ['https://*.example.org'] }"), "wildcards are not supported; list each name"),
        (listener("protocol: websocket\n    websocket: { origins: ['https://bücher.example'] }"), "write the name as browsers send it, in ASCII (xn--...)"),
        (listener("protocol: websocket\n    websocket: { origins: ['wss://example.org'] }"), "an origin has the scheme of the page; write https://example.org"),
        (listener("protocol: websocket\n    websocket: { origins: [same, 'https://example.org'] }"), "listeners.a.websocket.origins: \"same\" is not an origin: it must be the only entry"),
        (listener("protocol: websocket\n    websocket: { hosts: ['https://example.org'] }"), "listeners.a.websocket.hosts: "),
        (listener("protocol: websocket\n    websocket: { hosts: ['*.example.org'] }"), "wildcards are not supported; list each name"),
        (listener("protocol: websocket\n    websocket: { hosts: ['::1'] }"), "write an IPv6 address in brackets, such as [::1]"),
        (listener("protocol: websocket\n    websocket: { path: '/chat?x' }"), "listeners.a.websocket.path: a path must not contain ? or #"),
        ("listeners: { a: { address: 'mounted:a b' } }\n".into(), "listeners.a.address: the name of a mount has 1 to 64 ASCII letters"),
        ("listeners: { a: { address: 'mounted:a', proxy_protocol: { trusted: [10.0.0.0/8] } } }\n".into(), "listeners.a.address: the other server of a mount has already handled TLS"),
        ("listeners: { a: { address: 'mounted:a' }, b: { address: 'mounted:a' } }\n".into(), "listeners.a has the same address"),
        (listener("protocol: websocket\n    websocket: { path: chat }"), "listeners.a.websocket.path: a path must begin with /"),
        (listener("protocol: websocket\n    websocket: { subprotocols: ['chat v1'] }"), "listeners.a.websocket.subprotocols: "),
        (listener("protocol: websocket\n    websocket: { api: true }"), "websocket.api: it needs api.key"),
        ("api: { key: long enough for one }\n".into(), "api.key: no listener uses it"),
        ("api: { key: short }\n".into(), "api.key: a credential must have at least 16 characters"),
        (listener("protocol: websocket\n    websocket: { metrics: credential }"), "listeners.a.websocket.metrics: it needs monitor.metrics_credential, or monitor.credential"),
        ("monitor: { metrics_credential: long enough for one }\n".into(), "monitor.metrics_credential: no listener uses it"),
        (listener("protocol: websocket\n    websocket: { metrics: credential, monitor: true }\nmonitor: { credential: 0123456789abcdef, metrics_credential: 0123456789abcdef }"),
            "monitor.metrics_credential: it equals monitor.credential"),
        (listener("protocol: websocket\n    websocket: { metrics: credential }\nmonitor: { credential: 0123456789abcdef, metrics_credential: fedcba9876543210 }"),
            "monitor.credential: no listener uses it"),
        (listener("protocol: websocket\n    refuse_http: false"), "listeners.a.refuse_http: it has no effect on websocket"),
        ("monitor: { credential: short }\n".into(), "monitor.credential: a credential must have at least 16 characters"),
        ("monitor: { credential: long enough for one }\n".into(), "monitor.credential: no listener uses it"),
        ("authentication: { enabled: true }\n".into(), "authentication.enabled: no peer could authenticate"),
        ("authentication: { users: { ann: { password: secret } } }\n".into(), "authentication.enabled: there are users"),
        ("authentication: { enabled: true, tokens: { hs256_secret: short } }\n".into(), "authentication.tokens.hs256_secret: "),
        ("authentication: { enabled: true, tokens: { jwks_file: a, jwks_url: 'https://a/' } }\n".into(), "authentication.tokens: it takes exactly one of"),
        ("authentication: { enabled: true, tokens: { jwks_url: 'http://example.org/' } }\n".into(), "authentication.tokens.jwks_url: keys in the clear"),
        ("authentication: { enabled: true, tokens: { jwks_url: 'https://ann:x@a/' } }\n".into(), "authentication.tokens.jwks_url: it must not contain a user name"),
        ("authentication: { enabled: true, tokens: { jwks_url: 'https://a/', jwks_timeout: 2m } }\n".into(), "authentication.tokens.jwks_timeout: it must be at most 1m, not 2m"),
        ("authentication: { enabled: true, tokens: { jwks_file: a, jwks_authorities: b } }\n".into(), "authentication.tokens.jwks_authorities: there is no jwks_url"),
        ("authentication: { enabled: true, tokens: { jwks_file: a, scopes_claim: '' } }\n".into(), "authentication.tokens.scopes_claim: it is empty"),
        ("authentication: { enabled: true, tokens: {} }\n".into(), "authentication.tokens: it takes exactly one of"),
        ("authentication: { enabled: true, shared_password: x, dialogue: true }\nlisteners: { a: { address: '0.0.0.0:23', protocol: telnet } }\n".into(),
            "drupe.yaml:2: listeners.a.address: passwords would cross the network in the clear: set listeners.a.tls"),
        ("profile: production\nlisteners: { a: { address: '127.0.0.1:1', protocol: websocket, websocket: { origins: ['*'] } } }\n".into(), "listeners.a.websocket.origins: any page could connect"),
        (listener("protocol: websocket\n    websocket: { body_max: 17MiB }"), "listeners.a.websocket.body_max: it must be at most 16MiB"),
        ("limits: { early_drop: { begin: 9, full: 3 } }\n".into(), "limits.early_drop: it needs authentication.enabled"),
        ("drain: { window: 1m }\n".into(), "drain.window: it must be at most drain.deadline"),
        ("outbound: { low: 2MiB }\n".into(), "outbound.low: it must be at most outbound.high (256KiB)"),
        ("log: { targets: { everything: debug } }\n".into(), "log.targets.everything: unknown target; the targets are connections"),
        ("tunnels: { e: {} }\n".into(), "drupe.yaml:1: tunnels.e.ssh_host: it needs the name or address of the SSH server"),
        ("tunnels: { e: { ssh_host: h, ssh_user: u } }\n".into(), "tunnels.e: no listener uses it; set forward of a listener"),
        ("tunnels: { e: { ssh_port: 70000 } }\n".into(), "tunnels.e.ssh_port: invalid value: integer `70000`, expected a number from 0 to 65535"),
        (tunnel("known_hosts: []"), "drupe.yaml:5: tunnels.e.known_hosts: it needs at least one file of known hosts"),
        (tunnel("proxy_jump: [a, 'b:x']"), "tunnels.e.proxy_jump[1]: \"b:x\" is not [USER@]HOST[:PORT]"),
        (tunnel("ssh_key_passphrase: x"), "tunnels.e.ssh_key_passphrase: it needs a key: set ssh_key_path"),
        (tunnel("ssh_key_passphrase_file: /x"), "tunnels.e.ssh_key_passphrase_file: this program does not read secrets from files"),
        (tunnel("keep_alive_interval: 10ms"), "tunnels.e.keep_alive_interval: it must be at least 100ms"),
        (tunnel("reconnect: { backoff: 2m }"), "tunnels.e.reconnect.backoff: it must be at most reconnect.cap"),
        (tunnel("reconnect: { attempts: 0 }"), "tunnels.e.reconnect.attempts: it must be 1 or more, or unlimited"),
        ("listeners: { a: { forward: { tunnel: f } } }\ntunnels: { e: {} }\n".into(), "listeners.a.forward.tunnel: there is no tunnel \"f\" in tunnels: {e}"),
        (listener("forward: { tunnel: e }"), "listeners.a.address: forward is set as well"),
        (tunnel("ssh_port: 22").replace("{ tunnel: e }", "{ tunnel: e, remote_bind_host: '*' }") + "authentication: { enabled: true, shared_password: x, dialogue: true }\n",
            "listeners.a.forward: passwords would cross the network in the clear"),
        ("limits: { peer: { idle_warning: 1m } }\n".into(), "limits.peer.idle_warning: it must be less than limits.peer.idle"),
    ] {
        let problems = file(&text).resolve().map(|_| ()).expect_err(&text).to_string();
        assert!(problems.contains(words), "{text}\n{words}\n{problems}");
    }
    let problems = Sources::new().environment([("DRUPE_LIMITS__PEER__IDEL", "5m")]).resolve().expect_err("no key");
    assert_eq!(
        problems.to_string(),
        "DRUPE_LIMITS__PEER__IDEL: limits.peer.idel: there is no such key; did you mean idle?"
    );
    let problems = Sources::new().set("drain.window", "soon").resolve().expect_err("no time").to_string();
    assert!(problems.starts_with("--set drain.window: drain.window: \"soon\" is not a time"), "{problems}");
}

/// A value other than the default for every key: what stands before the arrow must be there for it to have a meaning.
const EFFECTS: &str = "
workers=2
relay.envelope=json
profile=testing
limits.dry_run=true
limits.connections_max=7
limits.connections_per_address_max=7
limits.arrivals_per_address=7/60s
limits.exempt=[10.0.0.0/8]
limits.early_drop.begin=7 <- authentication.enabled=true; authentication.shared_password=x
limits.early_drop.full=7000 <- authentication.enabled=true; authentication.shared_password=x
limits.accept_backoff=7s
limits.tickets_per_connection_max=7
limits.tickets_max=7
limits.peer.message_max=7KiB
limits.peer.message_deadline=7s
limits.peer.messages_per_turn=7
limits.peer.messages=7/s
limits.peer.bytes=unlimited
limits.peer.ladder.warn=7
limits.peer.ladder.pause=7
limits.peer.ladder.drop=7
limits.peer.ladder.close=7
limits.peer.ladder.quarantine=7
limits.peer.ladder.forgive_after=7s
limits.peer.idle=7m
limits.peer.idle_warning=7s <- limits.peer.idle=7m
limits.peer.silence=7m
limits.peer.lifetime=7m
outbound.low=7KiB
outbound.high=99KiB
outbound.max=7MiB
outbound.write_deadline=7s
outbound.drain_min=7B
outbound.slow_policy=keep_latest
outbound.gather_micros=7
quarantine.cool_down=7s
quarantine.addresses_max=7
rooms.rooms_max=7
rooms.per_connection_max=7
rooms.name_max=7B
rooms.history_max=7MiB
rooms.recover_max=7
rooms.options.news*.home=none <- rooms.options.*.messages_max=7
rooms.options.news*.messages_max=7
rooms.options.news*.bytes_max=7KiB
rooms.options.news*.age_max=7m
rooms.options.news*.key_window=7s
rooms.options.news*.presence=counts
rooms.options.news*.gap_notices=false
rooms.options.news*.positions=false
cluster.url=redis://h
cluster.prefix=x <- cluster=redis://h
cluster.name=x <- cluster=redis://h
cluster.without_broker=local <- cluster=redis://h
cluster.password=x <- cluster=redis://h
cluster.sentinel_user=x <- cluster=redis+sentinel://h/m; cluster.sentinel_password=y
cluster.sentinel_password=x <- cluster=redis+sentinel://h/m
cluster.nkey=SUx <- cluster=nats://h
cluster.credentials=-----BEGIN NATS USER JWT----- x -----BEGIN USER NKEY SEED----- y <- cluster=nats://h
cluster.replicas=3 <- cluster=nats://h
cluster.storage=memory <- cluster=nats://h
cluster.stream_max=7MiB <- cluster=nats://h
cluster.tls_first=true <- cluster=tls://h
cluster.tls.ca=x <- cluster=rediss://h
cluster.tls.pins=[0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef] <- cluster=rediss://h
cluster.tls.insecure=true <- cluster=rediss://h
cluster.tls.server_name=x <- cluster=rediss://h
cluster.tls.certificate=x <- cluster=rediss://h; cluster.tls.certificate=y; cluster.tls.key=y
cluster.tls.key=x <- cluster=rediss://h; cluster.tls.certificate=y; cluster.tls.key=y
cluster.tls.protocols=[x] <- cluster=rediss://h
closing.flush=7s
closing.linger=7s
closing.discard_max=7B
drain.grace=7s
drain.window=7s
drain.closes_per_second=7
drain.deadline=7s
drain.retry_after=7s
authentication.enabled=true <- authentication.shared_password=x
authentication.users.ann.password=x <- authentication.enabled=true
authentication.users.ann.keys=[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti] <- authentication.enabled=true; authentication.users.ann.password=x
authentication.users.ann.scopes=[a] <- authentication.enabled=true; authentication.users.ann.password=x
authentication.users.ann.password_hash=SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= <- authentication.enabled=true
authentication.shared_password_hash=SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= <- authentication.enabled=true
authentication.shared_password=x <- authentication.enabled=true; authentication.users.ann.password=x
authentication.tokens.hs256_secret=0123456789abcdef0123456789abcdef <- authentication.enabled=true
authentication.tokens.ed25519_public=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef <- authentication.enabled=true
authentication.tokens.jwks_file=x <- authentication.enabled=true
authentication.tokens.jwks_url=https://id.example.org/jwks <- authentication.enabled=true
authentication.tokens.jwks_authorities=x <- authentication.enabled=true; authentication.tokens.jwks_url=https://id.example.org/jwks
authentication.tokens.jwks_refresh=7s <- authentication.enabled=true; authentication.tokens.jwks_url=https://id.example.org/jwks
authentication.tokens.jwks_refresh_min=7s <- authentication.enabled=true; authentication.tokens.jwks_url=https://id.example.org/jwks
authentication.tokens.jwks_timeout=7s <- authentication.enabled=true; authentication.tokens.jwks_url=https://id.example.org/jwks
authentication.tokens.scopes_claim=x <- authentication.enabled=true; authentication.tokens.hs256_secret=0123456789abcdef0123456789abcdef
authentication.tokens.issuer=x <- authentication.enabled=true; authentication.tokens.hs256_secret=0123456789abcdef0123456789abcdef
authentication.tokens.audience=x <- authentication.enabled=true; authentication.tokens.hs256_secret=0123456789abcdef0123456789abcdef
authentication.tokens.leeway=7s <- authentication.enabled=true; authentication.tokens.hs256_secret=0123456789abcdef0123456789abcdef
authentication.tokens.single_use_max=7 <- authentication.enabled=true; authentication.tokens.hs256_secret=0123456789abcdef0123456789abcdef
authentication.store=/x <- authentication.enabled=true; authentication.users.ann.password=x
authentication.registration=true <- authentication.enabled=true; authentication.store=/x
authentication.registrations_per_address=7/60s <- authentication.enabled=true; authentication.store=/x; authentication.registration=true
authentication.password_chars_min=7 <- authentication.enabled=true; authentication.store=/x; authentication.registration=true
authentication.token_path=/x <- authentication.enabled=true; authentication.shared_password=x; authentication.issue_tokens=7s
authentication.issue_tokens=7s <- authentication.enabled=true; authentication.shared_password=x
authentication.token_in_query=true <- authentication.enabled=true; authentication.tokens.hs256_secret=0123456789abcdef0123456789abcdef
authentication.dialogue=true <- authentication.enabled=true; authentication.shared_password=x
authentication.allow_plaintext=true <- authentication.enabled=true; authentication.shared_password=x
authentication.duplicates=refuse_new <- authentication.enabled=true; authentication.shared_password=x
authentication.deadline=7s <- authentication.enabled=true; authentication.shared_password=x
authentication.tries=7 <- authentication.enabled=true; authentication.shared_password=x
authentication.failures_per_address=7/60s <- authentication.enabled=true; authentication.shared_password=x
authentication.failures_per_user=7/60s <- authentication.enabled=true; authentication.shared_password=x
authentication.iterations=7000 <- authentication.enabled=true; authentication.shared_password=x
monitor.credential=0123456789abcdef0 <- listeners.a.protocol=websocket; listeners.a.websocket.monitor=true; monitor.credential=0123456789abcdef
monitor.metrics_credential=0123456789abcdef0 <- listeners.a.protocol=websocket; listeners.a.websocket.metrics=credential; monitor.metrics_credential=0123456789abcdef
api.key=0123456789abcdef0 <- listeners.a.protocol=websocket; listeners.a.websocket.api=true; api.key=0123456789abcdef
monitor.watchers_max=7 <- listeners.a.protocol=websocket; listeners.a.websocket.monitor=true; monitor.credential=0123456789abcdef
monitor.interval=7s <- listeners.a.protocol=websocket; listeners.a.websocket.monitor=true; monitor.credential=0123456789abcdef
monitor.may_act=false <- listeners.a.protocol=websocket; listeners.a.websocket.monitor=true; monitor.credential=0123456789abcdef
monitor.may_watch=false <- listeners.a.protocol=websocket; listeners.a.websocket.monitor=true; monitor.credential=0123456789abcdef
metrics.labels.env=prod
metrics.errors_kept=7
metrics.durations_kept=7
log.level=debug
log.targets.connections=debug
log.format=json
log.repeats=7/60s
log.file.directory=/tmp
log.file.prefix=x <- log.file.directory=/tmp
log.file.rotation=hourly <- log.file.directory=/tmp
log.file.keep=9 <- log.file.directory=/tmp
log.file.size_max=1MiB <- log.file.directory=/tmp; log.file.rotation=size
log.omit_fields=[peer]
log.console=true
recorder.directory=/tmp
recorder.memory=1MiB <- recorder.directory=/tmp
recorder.keep=9 <- recorder.directory=/tmp
recorder.verbatim=true <- recorder.directory=/tmp
recorder.above=1GiB <- recorder.directory=/tmp
recorder.stuck_after=3s <- recorder.directory=/tmp
listeners.a.address=127.0.0.1:1
listeners.a.protocol=telnet
listeners.a.app=echo
listeners.a.socket.mode=0600 <- listeners.a.address=unix:/x
listeners.a.socket.group=x <- listeners.a.address=unix:/x
listeners.a.connections_max=7
listeners.a.welcome=hi
listeners.a.prompt=hi
listeners.a.half_open=true
listeners.a.notices=false
listeners.a.refuse_http=false
listeners.a.lines.ending=crlf
listeners.a.lines.invalid=bytes
listeners.a.length.prefix=u8 <- listeners.a.protocol=length
listeners.a.raw.mode=keys <- listeners.a.protocol=raw
listeners.a.delimited.delimiter=%0D%0A <- listeners.a.protocol=delimited
listeners.a.delimited.invalid=bytes <- listeners.a.protocol=delimited
listeners.a.codec=netstrings <- listeners.a.protocol=custom
listeners.a.telnet.mode=keys <- listeners.a.protocol=telnet
listeners.a.telnet.charset=ibm437 <- listeners.a.protocol=telnet
listeners.a.telnet.invalid=bytes <- listeners.a.protocol=telnet
listeners.a.telnet.probe=false <- listeners.a.protocol=telnet
listeners.a.telnet.gmcp=true <- listeners.a.protocol=telnet
listeners.a.telnet.msdp=true <- listeners.a.protocol=telnet
listeners.a.telnet.compress=true <- listeners.a.protocol=telnet
listeners.a.telnet.keep_alive=7s <- listeners.a.protocol=telnet
listeners.a.wait=7ms <- listeners.a.protocol=auto
listeners.a.websocket.path=/x <- listeners.a.protocol=websocket
listeners.a.websocket.origins=['https://example.org'] <- listeners.a.protocol=websocket
listeners.a.websocket.hosts=[x] <- listeners.a.protocol=websocket
listeners.a.websocket.subprotocols=[x] <- listeners.a.protocol=websocket
listeners.a.websocket.deflate=false <- listeners.a.protocol=websocket
listeners.a.websocket.ping=7s <- listeners.a.protocol=websocket
listeners.a.websocket.timeout=7s <- listeners.a.protocol=websocket
listeners.a.websocket.body_max=64KiB <- listeners.a.protocol=websocket
listeners.a.websocket.page=false <- listeners.a.protocol=websocket
listeners.a.websocket.files=site <- listeners.a.protocol=websocket
listeners.a.websocket.metrics=off <- listeners.a.protocol=websocket
listeners.a.websocket.monitor=true <- listeners.a.protocol=websocket; monitor.credential=0123456789abcdef; listeners.b.protocol=websocket; listeners.b.address=127.0.0.1:2; listeners.b.websocket.monitor=true
listeners.a.websocket.api=true <- listeners.a.protocol=websocket; api.key=0123456789abcdef; listeners.b.protocol=websocket; listeners.b.address=127.0.0.1:2; listeners.b.websocket.api=true
listeners.a.tls.certificates=[{certificate: a, key: b}]
listeners.a.tls.clients=required <- listeners.a.tls.certificates=[{certificate: a, key: b}]; listeners.a.tls.authorities=c; listeners.a.tls.clients=optional
listeners.a.tls.authorities=c <- listeners.a.tls.certificates=[{certificate: a, key: b}]; listeners.a.tls.authorities=d; listeners.a.tls.clients=optional
listeners.a.tls.protocols=[x] <- listeners.a.tls.certificates=[{certificate: a, key: b}]
listeners.a.tls.only_1_3=true <- listeners.a.tls.certificates=[{certificate: a, key: b}]
listeners.a.tls.handshake_timeout=7s <- listeners.a.tls.certificates=[{certificate: a, key: b}]
listeners.a.proxy_protocol.trusted=[10.0.0.0/8]
listeners.a.proxy_protocol.timeout=7s <- listeners.a.proxy_protocol.trusted=[10.0.0.0/8]
listeners.a.forwarded.trusted=[10.0.0.0/8] <- listeners.a.protocol=websocket
listeners.a.forwarded.field=forwarded <- listeners.a.protocol=websocket; listeners.a.forwarded.trusted=[10.0.0.0/8]
listeners.a.allow=[10.0.0.0/8]
listeners.a.deny=[10.0.0.0/8]
listeners.a.limits.idle=7m
listeners.a.forward.tunnel=e <- listeners.a.address=; tunnels.e.ssh_host=h; tunnels.e.ssh_user=u
listeners.a.forward.remote_bind_host=* <- listeners.a.address=; listeners.a.forward.tunnel=e; tunnels.e.ssh_host=h; tunnels.e.ssh_user=u
listeners.a.forward.remote_bind_port=7 <- listeners.a.address=; listeners.a.forward.tunnel=e; tunnels.e.ssh_host=h; tunnels.e.ssh_user=u
listeners.a.forward.remote_bind_path=/x <- listeners.a.address=; listeners.a.forward.tunnel=e; tunnels.e.ssh_host=h; tunnels.e.ssh_user=u
";

/// The same of a tunnel that has what it needs.
const TUNNEL_EFFECTS: &str = "
ssh_host=x
ssh_port=7
ssh_user=x
ssh_key_path=/x
ssh_key_passphrase=x <- ssh_key_path=/x
ssh_certificate_path=/x <- ssh_key_path=/x
ssh_agent_socket=/x
check_key_permissions=false
known_hosts=[/x]
accept_new=true
proxy_jump=[x@y:7]
proxy=socks5://x:7
proxy_user=x <- proxy=http://y
proxy_password=x <- proxy=http://y; tunnels.e.proxy_user=z
connect_timeout=7s
keep_alive_interval=7s
keep_alive_count_max=7
reconnect.attempts=7
reconnect.backoff=7s
reconnect.factor=7
reconnect.cap=7s
reconnect.jitter_percent=7
reconnect.stable_after=7s
reconnect.refused_wait=7s
close_timeout=7s
ahead_max=7KiB
";

/// What is read elsewhere than in the plan, and tested there.
const ELSEWHERE: &str = "api.key_file authentication.shared_password_file \
    authentication.tokens.hs256_secret_file authentication.users.*.password_file cluster.credentials_file \
    cluster.nkey_file cluster.password_file cluster.sentinel_password_file monitor.credential_file \
    monitor.metrics_credential_file tunnels.*.proxy_password_file tunnels.*.ssh_key_passphrase_file";

#[test]
fn every_settings_key_has_an_effect() {
    let mut shown = BTreeSet::new();
    let of_tunnel = |line: &str| {
        let (key, before) = line.split_once(" <- ").unwrap_or((line, ""));
        let needed = "listeners.a.address=; listeners.a.forward.tunnel=e; tunnels.e.ssh_host=h; tunnels.e.ssh_user=u";
        let before = if before.is_empty() { String::new() } else { format!("; tunnels.e.{before}") };
        format!("tunnels.e.{key} <- {needed}{before}")
    };
    let own = EFFECTS.lines().chain(SSH_EFFECTS.lines()).map(ToString::to_string);
    let tunnels = TUNNEL_EFFECTS.lines().filter(|line| !line.is_empty()).map(of_tunnel);
    for line in own.chain(tunnels).filter(|line| !line.is_empty()) {
        let line = line.as_str();
        let (key, before) = line.split_once(" <- ").unwrap_or((line, ""));
        let (key, value) = key.split_once('=').expect(line);
        let codec = Custom::new(&Netstrings).expect("a good name");
        let sources = Sources::of(Catalog::default().codec(codec)).set("listeners.a.address", "127.0.0.1:0");
        // What is loaded differs if a setting does.
        let mut sources =
            sources.client_tls_from(|tls| Ok(ClientTls::external().server_name(Some(format!("{tls:?}")))));
        for (key, value) in before.split("; ").filter_map(|pair| pair.split_once('=')) {
            sources = sources.set(key, value);
        }
        // Without it some make no sense, which is no plan either.
        let without = sources.resolve().ok().map(|resolved| resolved.plan);
        let with = sources.set(key, value).resolve().unwrap_or_else(|problems| panic!("{line}: {problems}"));
        assert_ne!(without, Some(with.plan), "{key} has no effect");
        shown.insert(general(key));
    }
    let schema: Value = serde_json::from_str(&Catalog::default().schema()).expect("JSON");
    let mut keys = BTreeSet::new();
    collect(&schema, &schema, "", &mut keys);
    // The limits of a listener are made as those of all are.
    keys.retain(|key| !key.starts_with("listeners.*.limits.") && ELSEWHERE.split(' ').all(|other| other != *key));
    shown.retain(|key| !key.starts_with("listeners.*.limits."));
    assert_eq!(shown, keys, "a key is not shown to have an effect");
}

/// The key with `*` in place of names that are chosen.
fn general(key: &str) -> String {
    let mut parts: Vec<_> = key.split('.').collect();
    match &mut parts[..] {
        ["listeners" | "tunnels", name, ..]
        | ["authentication", "users", name, ..]
        | ["rooms", "options", name, _]
        | ["log", "targets", name]
        | ["metrics", "labels", name] => {
            *name = "*";
        }
        _ => {}
    }
    parts.join(".")
}

/// Every key that has none below it.
fn collect(root: &Value, part: &Value, path: &str, keys: &mut BTreeSet<String>) {
    let named = [&part["$ref"], &part["anyOf"][0]["$ref"]].into_iter().find_map(Value::as_str);
    if let Some(name) = named.and_then(|name| name.strip_prefix("#/$defs/")) {
        return collect(root, &root["$defs"][name], path, keys);
    }
    let join = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    if let Some(properties) = part["properties"].as_object() {
        properties.iter().for_each(|(key, part)| collect(root, part, &join(key), keys));
    } else if part["additionalProperties"].is_object() {
        collect(root, &part["additionalProperties"], &join("*"), keys);
    } else {
        keys.insert(path.to_string());
    }
}

#[test]
fn environment_values_stay_text_and_null_removes_a_key() {
    let base = || {
        file(
            "listeners:\n  a: { address: '127.0.0.1:1' }\n  b: { address: '127.0.0.1:2' }\nauthentication: { enabled: true, users: { ann: { password: x } } }\n",
        )
    };
    for password in ["hunter2 #1", "12345678", "true", "x: y", "~"] {
        let resolved = good(&base().environment([("DRUPE_AUTHENTICATION__SHARED_PASSWORD", password)]));
        assert_eq!(resolved.settings.authentication.shared_password.reveal(), password);
    }
    let without = good(&base().environment([("DRUPE_LISTENERS__A", "null")]));
    assert_eq!(without.settings.listeners.keys().collect::<Vec<_>>(), ["b"]);
    let empty = base().environment([("DRUPE_LIMITS__PEER__MESSAGES", "")]).resolve().expect_err("empty").to_string();
    assert_eq!(
        empty,
        "DRUPE_LIMITS__PEER__MESSAGES: limits.peer.messages: it is empty; remove the variable, or set it to never"
    );
    good(&base().environment([("DRUPE_PORT", "tcp://10.0.0.1:80"), ("DRUPE_SERVICE_HOST", "10.0.0.1")]));
    let changes = good(&base()).changes(&good(&base().set("log.format", "json").set("log.level", "warn")));
    assert_eq!(changes, ["log.format: \"human\" -> \"json\" (after a restart)", "log.level: \"info\" -> \"warn\""]);
}
