//! Reverse SSH tunnels on tokio, and what is the same on every shell.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unreachable,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]

mod shell {
    pub(crate) use drupe_tokio::{Remote, Server, core};

    pub(crate) fn run<H: core::Handler>(server: Server<H>) -> core::Metrics
    where
        H::Note: Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let tunnels = tokio::spawn(drupe_tokio::tunnel::serve(&server.remote()));
            let metrics = server.run().await.expect("a reactor");
            tunnels.await.expect("no panic");
            metrics
        })
    }
}

#[path = "support/skipped.rs"]
mod skipped;
mod ssh;
mod tunnelled;

use drupe_tokio::core::outbound::Marks;
use drupe_tokio::core::tunnel::{Jump, Passphrase, Ssh, TunnelFailure, TunnelState};
use drupe_tokio::core::{Config, Listen, Reason};
use skipped::skip;
use ssh::SshServer;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};
use tunnelled::{MUCH_BYTES, PATIENCE, Peer, Running, port, run, tunnel};

fn lines(server: &SshServer) -> Config {
    let mut config = Config::listening(["tcp://127.0.0.1:0?tunnel=edge".parse::<Listen>().expect("well formed")]);
    config.tunnels = vec![tunnel(server)];
    config
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn works(running: &Running) {
    let mut peer = Peer::connect(port(&running.until_up(), 0));
    peer.send(b"hello\n");
    assert_eq!(peer.line(), format!("{} hello", peer.own_address()));
}

#[test]
fn a_server_that_is_stopped_is_noticed_and_dialled_anew() {
    let Some(server) = SshServer::open("") else { return };
    let mut config = lines(&server);
    config.tunnels[0].keep_alive.interval = Duration::from_millis(200);
    config.tunnels[0].keep_alive.count_max = 2;
    let running = run(config);
    works(&running);
    let peer = Peer::connect(port(&running.until_up(), 0));
    let stopped = Instant::now();
    assert!(server.signal("-STOP") > 0);
    let silent = running.until("silent", |status| {
        status.last_error.as_ref().is_some_and(|(failure, _)| *failure == TunnelFailure::Silent)
    });
    // Not before it was asked as often as it should be; how soon after is a matter of the machine.
    assert!(stopped.elapsed() >= Duration::from_millis(400), "{silent}");
    assert_eq!(running.next_end(), Reason::PeerClosed, "of the first peer");
    assert_eq!(running.next_end(), Reason::TunnelLost);
    // Those that are stopped stay so; another is started for who connects anew.
    works(&running);
    server.signal("-CONT");
    drop(peer);
    running.end();
}

/// The first failure of an attempt, in words.
fn failure(server: &SshServer, change: impl FnOnce(&mut Ssh)) -> (TunnelFailure, String) {
    let mut config = lines(server);
    change(&mut config.tunnels[0].ssh);
    let running = run(config);
    let status = running.until("refused", |status| status.last_error.is_some());
    let slow = matches!(status.state, TunnelState::Waiting(at) if at.as_nanos() > 200_000_000_000);
    let (failure, words) = status.last_error.expect("it failed");
    assert_eq!(slow, failure.needs_somebody(), "{words}");
    running.end();
    (failure, words)
}

/// What is wrong, how it is called, words that are said, and how it comes about.
type Case<'a> = (&'a str, TunnelFailure, &'a [&'a str], Box<dyn FnOnce(&mut Ssh)>);

#[test]
fn whatever_is_wrong_has_words_of_its_own() {
    for server in SshServer::each() {
        let public = |name: &str| std::fs::read_to_string(server.path(name)).expect("written");
        let name = format!("[{}]:{}", server.address.ip(), server.address.port());
        let write = |file: &str, text: String| {
            std::fs::write(server.path(file), text).expect("written");
            vec![server.path(file)]
        };
        let cases: Vec<Case<'_>> = vec![
            ("changed", TunnelFailure::HostKey, &["HAS CHANGED", "changed:1", "SHA256:", "ssh-keygen -R"], {
                let files = write("changed", format!("{name} {}", public("other.pub")));
                Box::new(|ssh| ssh.known_hosts = files)
            }),
            ("unknown", TunnelFailure::HostKey, &["is not known", "ssh-keyscan"], {
                let files = write("unknown", format!("other.example {}", public("host.pub")));
                Box::new(|ssh| ssh.known_hosts = files)
            }),
            ("revoked", TunnelFailure::HostKey, &["is revoked at"], {
                let files =
                    write("revoked", format!("{name} {}\n@revoked * {}", public("host.pub"), public("host.pub")));
                Box::new(|ssh| ssh.known_hosts = files)
            }),
            ("no file", TunnelFailure::HostKey, &["known_hosts", "/none can't be read"], {
                let files = vec![server.path("none")];
                Box::new(|ssh| ssh.known_hosts = files)
            }),
            ("wrong key", TunnelFailure::Authentication, &["does not let", "/other (SHA256:", "authorized_keys"], {
                let key = Some(server.path("other"));
                Box::new(|ssh| ssh.key_path = key)
            }),
            ("loose key", TunnelFailure::PrivateKey, &["(its mode is 0644): chmod 600", "check_key_permissions"], {
                std::fs::copy(server.path("id"), server.path("loose")).expect("copied");
                std::fs::set_permissions(server.path("loose"), std::fs::Permissions::from_mode(0o644)).expect("ours");
                let key = Some(server.path("loose"));
                Box::new(|ssh| ssh.key_path = key)
            }),
            ("no key", TunnelFailure::PrivateKey, &["/none can't be read: No such file"], {
                let key = Some(server.path("none"));
                Box::new(|ssh| ssh.key_path = key)
            }),
            (
                "no name",
                TunnelFailure::Network,
                &["can't be reached"],
                Box::new(|ssh| ssh.host = "no.such.invalid".into()),
            ),
            ("no SSH", TunnelFailure::Network, &["through the host before"], {
                let jump = Jump { user: None, host: server.address.ip().to_string(), port: server.address.port() };
                Box::new(|ssh| {
                    ssh.jumps = vec![jump];
                    (ssh.host, ssh.port) = ("127.0.0.1".into(), 1);
                })
            }),
        ];
        for (what, expected, words, change) in cases {
            let (failure, said) = failure(&server, change);
            assert!(failure == expected && words.iter().all(|words| said.contains(words)), "{what}: {failure}: {said}");
        }
        // What is loose may be allowed to be, and a new host to be new.
        let mut config = lines(&server);
        config.tunnels[0].ssh.key_path = Some(server.path("loose"));
        config.tunnels[0].ssh.check_key_permissions = false;
        config.tunnels[0].ssh.known_hosts = vec![server.path("learned")];
        config.tunnels[0].ssh.accept_new = true;
        let running = run(config);
        works(&running);
        running.end();
        assert_eq!(public("learned"), public("known_hosts"));
    }
}

#[test]
fn nobody_who_does_not_speak_ssh_is_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = SshServer::russh();
    let mut config = lines(&server);
    config.tunnels[0].ssh.host = "127.0.0.1".into();
    config.tunnels[0].ssh.port = silent.local_addr().expect("bound").port();
    config.tunnels[0].connect_timeout = Duration::from_millis(100);
    let running = run(config);
    let status = running.until("too late", |status| status.last_error.is_some());
    assert_eq!(status.last_error.expect("it failed").0, TunnelFailure::TimedOut);
    // The attempt that was given up is gone, with its socket.
    let (mut stream, _) = silent.accept().expect("it came");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stream, &mut said).expect("it ends");
    assert!(said.starts_with("SSH-2.0-drupe_"), "{said}");
    running.end();
}

#[test]
fn a_port_that_is_taken_is_reported_and_got_once_it_is_free() {
    for server in SshServer::each() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let wanted = taken.local_addr().expect("bound");
        let mut config = lines(&server);
        config.listeners.push(format!("tcp://{wanted}?tunnel=edge").parse().expect("well formed"));
        let running = run(config);
        let status =
            running.until("degraded", |status| status.state == TunnelState::Degraded && status.forwards[0].bound);
        let (failure, words) = status.last_error.clone().expect("it was refused");
        assert_eq!(failure, TunnelFailure::Forward);
        assert!(words.contains(&format!("does not listen at {wanted}")) && words.contains("PermitListen"), "{words}");
        // The rest serves meanwhile.
        let mut peer = Peer::connect(port(&status, 0));
        peer.send(b"hello\n");
        assert!(peer.line().ends_with(" hello"));
        drop(taken);
        let status = running.until_up();
        assert_eq!(port(&status, 1), wanted);
        running.end();
    }
}

#[test]
fn keys_may_be_encrypted_certified_or_the_agents() {
    let Some(server) = SshServer::open("") else { return };
    let keygen = |arguments: &[&str]| {
        let status = Command::new("ssh-keygen").args(arguments).stdout(std::process::Stdio::null()).status();
        assert!(status.expect("it comes with OpenSSH").success());
    };
    let with = |change: &dyn Fn(&mut Ssh)| {
        let mut config = lines(&server);
        change(&mut config.tunnels[0].ssh);
        drupe_tokio::tunnel::check(&config.tunnels[0].ssh).expect("all is there");
        let running = run(config);
        works(&running);
        running.end();
    };
    // Encrypted.
    let locked = server.path("locked");
    std::fs::copy(server.path("id"), &locked).expect("copied");
    keygen(&["-q", "-p", "-P", "", "-N", "open sesame", "-f", &locked]);
    with(&|ssh| {
        ssh.key_path = Some(locked.clone());
        ssh.key_passphrase = Some(Passphrase("open sesame".into()));
    });
    for (passphrase, words) in [(None, "is encrypted: set ssh_key_passphrase_file"), (Some("x"), "can't be deciphered")]
    {
        let mut ssh = lines(&server).tunnels[0].ssh.clone();
        ssh.key_path = Some(locked.clone());
        ssh.key_passphrase = passphrase.map(|passphrase| Passphrase(passphrase.into()));
        let error = drupe_tokio::tunnel::check(&ssh).expect_err("it is not open");
        assert!(error.failure == TunnelFailure::PrivateKey && error.words.contains(words), "{error}");
    }
    // An ECDSA key, certified by an authority that the server trusts, with the certificate beside it.
    let ecdsa = server.path("ecdsa");
    keygen(&["-q", "-t", "ecdsa", "-N", "", "-f", &ecdsa]);
    keygen(&["-q", "-s", &server.path("ca"), "-I", "drupe", "-n", &server.user, &server.path("ecdsa.pub")]);
    with(&|ssh| ssh.key_path = Some(ecdsa.clone()));
    // A host that shows a certificate, where only its authority is known.
    keygen(&[
        "-q",
        "-s",
        &server.path("ca"),
        "-I",
        "host",
        "-h",
        "-n",
        &server.address.ip().to_string(),
        &server.path("host.pub"),
    ]);
    let config = std::fs::read_to_string(server.path("sshd_config")).expect("written");
    std::fs::write(server.path("sshd_config"), format!("HostCertificate {}\n{config}", server.path("host-cert.pub")))
        .expect("written");
    let authority = std::fs::read_to_string(server.path("ca.pub")).expect("written");
    std::fs::write(server.path("authorities"), format!("@cert-authority [127.*]:* {authority}")).expect("written");
    with(&|ssh| ssh.known_hosts = vec![server.path("authorities")]);
    // The agent's.
    let socket = server.path("agent");
    let agent = Command::new("ssh-agent").args(["-D", "-a", &socket]).stdout(std::process::Stdio::null()).spawn();
    let mut agent = agent.expect("it comes with OpenSSH");
    let add = || Command::new("ssh-add").arg("-q").arg(server.path("id")).env("SSH_AUTH_SOCK", &socket).output();
    let began = Instant::now();
    while !add().expect("it comes with OpenSSH").status.success() {
        assert!(began.elapsed() < PATIENCE, "the agent listens");
        std::thread::yield_now();
    }
    with(&|ssh| (ssh.key_path, ssh.agent_socket) = (None, Some(socket.clone())));
    agent.kill().expect("it was started");
    agent.wait().expect("it was started");
}

#[test]
fn a_tunnel_goes_through_other_hosts() {
    for first in SshServer::each() {
        for second in SshServer::each() {
            let jump = |server: &SshServer| Jump {
                user: Some(server.user.clone()),
                host: server.address.ip().to_string(),
                port: server.address.port(),
            };
            let third = SshServer::russh();
            let all: String = [&first, &second, &third]
                .map(|server| std::fs::read_to_string(server.path("known_hosts")).expect("written"))
                .concat();
            // One key opens all of them.
            let id = std::fs::read_to_string(third.path("id.pub")).expect("written");
            std::fs::write(third.path("known_hosts"), all).expect("written");
            let mut hops = Vec::new();
            for server in [&first, &second] {
                let mut known =
                    std::fs::OpenOptions::new().append(true).open(server.path("authorized_keys")).expect("written");
                known.write_all(id.as_bytes()).expect("written");
                hops.push(jump(server));
            }
            let mut config = lines(&third);
            config.tunnels[0].ssh.jumps = hops;
            let running = run(config);
            works(&running);
            running.end();
        }
    }
}

#[test]
fn what_nobody_asked_for_is_refused() {
    let server = SshServer::russh();
    let running = run(lines(&server));
    let address = port(&running.until_up(), 0);
    let handle = server.mischief().handle();
    let bound = u32::from(address.port());
    runtime().block_on(async {
        let opened = handle.channel_open_forwarded_tcpip("127.0.0.1", bound + 1, "203.0.113.9", 1).await;
        assert!(opened.is_err(), "another port");
        let opened = handle.channel_open_forwarded_tcpip("10.0.0.1", bound, "203.0.113.9", 1).await;
        assert!(opened.is_err(), "another address");
        assert!(handle.channel_open_forwarded_streamlocal("/run/x.sock").await.is_err(), "a socket");
        assert!(handle.channel_open_direct_tcpip("127.0.0.1", 22, "203.0.113.9", 1).await.is_err(), "a way in");
        assert!(handle.channel_open_session().await.is_err(), "a shell");
        assert!(handle.channel_open_agent().await.is_err(), "our keys");
        assert!(handle.channel_open_x11("203.0.113.9", 1).await.is_err(), "our screen");
        // Even this one is only believed as far as an address goes.
        let opened = handle.channel_open_forwarded_tcpip("127.0.0.1", bound, "who knows", 70_000).await;
        let mut channel = opened.expect("ours");
        channel.data(&b"hello\n"[..]).await.expect("taken");
        assert!(matches!(channel.wait().await, Some(russh::ChannelMsg::Data { data }) if data == "0.0.0.0:0 hello\n"));
    });
    let counted = running.metrics().tunnels[0].clone();
    assert_eq!((counted.channels_refused, counted.channels), (7, 1));
    works(&running);
    running.end();
}

#[test]
fn a_flood_of_channels_meets_the_limits() {
    const FLOOD: usize = 10_000;
    let server = SshServer::russh();
    let mut config = lines(&server);
    config.connections.total = 500;
    config.connections.per_address = 20;
    let running = run(config);
    let address = port(&running.until_up(), 0);
    let handle = server.mischief().handle();
    let held = runtime().block_on(async {
        let mut opening = tokio::task::JoinSet::new();
        for number in 0..FLOOD {
            let handle = handle.clone();
            let ip = format!("203.0.113.{}", number % 10);
            opening.spawn(async move {
                handle.channel_open_forwarded_tcpip("127.0.0.1", address.port().into(), ip, 1).await.ok()
            });
        }
        let mut open = Vec::new();
        while let Some(opened) = opening.join_next().await {
            open.extend(opened.expect("no panic"));
        }
        open
    });
    let metrics = running.metrics();
    let (open, refused) = (metrics.open, metrics.refused.get(Reason::AddressFull));
    drop(held);
    // Ten addresses, twenty connections each.
    assert!(open <= 200 && refused > 0, "{open} open, {refused} refused");
    running.until("of use", |status| status.state == TunnelState::Up);
    works(&running);
    running.end();
}

#[test]
fn one_that_is_not_served_stops_nobody_else() {
    for server in SshServer::each() {
        let mut config = lines(&server);
        config.tunnels[0].ssh.ahead_max_bytes = 2 << 20;
        // A line a minute: whoever says more waits.
        config.rates.messages = drupe_tokio::core::limit::Rate::per(1, 60, 1).ok();
        let running = run(config);
        let address = port(&running.until_up(), 0);
        let mut greedy = Peer::connect(address);
        greedy.send(b"one\n");
        assert!(greedy.line().ends_with(" one"));
        // Below what may be ahead it waits, however long.
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        greedy.send(&line.repeat(512));
        let mut beside = BTreeSet::new();
        for _ in 0..20 {
            let mut peer = Peer::connect(address);
            peer.send(b"two\n");
            beside.insert(peer.line());
        }
        assert_eq!(beside.len(), 20);
        // Above it, it is over, and it alone.
        let mut flood = greedy;
        let sent = std::thread::spawn(move || {
            for _ in 0..64 {
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| flood.send(&line.repeat(256)))).is_err() {
                    break;
                }
            }
            flood.rest()
        });
        let mut reasons = Vec::new();
        while reasons.last() != Some(&Reason::RateLimited) {
            reasons.push(running.next_end());
        }
        assert!(reasons[..reasons.len() - 1].iter().all(|reason| *reason == Reason::PeerClosed), "{reasons:?}");
        drop(sent.join());
        assert_eq!(running.until_up().connected, 1);
        running.end();
    }
}

#[test]
fn those_who_go_in_the_middle_take_nobody_with_them() {
    for server in SshServer::each() {
        let mut config = lines(&server).unlimited();
        config.outbound.marks = Marks::new(1 << 20, 2 << 20, 64 << 20).expect("in order");
        let running = run(config);
        let address = port(&running.until_up(), 0);
        for _ in 0..2 {
            let mut peers: Vec<_> = (0..64).map(|_| Peer::connect(address)).collect();
            peers.iter_mut().for_each(|peer| peer.send(b"much\n"));
            assert_eq!(peers[0].exactly(1), b"x");
            drop(peers);
            works(&running);
        }
        assert_eq!(running.until_up().connected, 1);
        running.end();
    }
}

#[test]
fn keys_are_renewed_while_everybody_talks() {
    const PEERS: usize = 8;
    const LINES: usize = 512;
    let Some(server) = SshServer::open("RekeyLimit 1M\nLogLevel DEBUG1") else { return };
    let running = run(lines(&server).unlimited());
    let address = port(&running.until_up(), 0);
    let talk = move || {
        let mut peer = Peer::connect(address);
        let line = [&[b'x'; (8 << 10) - 1][..], b"\n"].concat();
        let mut writer = peer.another();
        let write = std::thread::spawn({
            let line = line.clone();
            move || (0..LINES).for_each(|_| writer.write_all(&line).expect("it is taken"))
        });
        (0..LINES).for_each(|number| assert!(peer.exactly(line.len()) == line, "line {number}"));
        write.join().expect("no panic");
    };
    let talks: Vec<_> = (0..PEERS).map(|_| std::thread::spawn(talk)).collect();
    talks.into_iter().for_each(|talk| talk.join().expect("unharmed"));
    let log = std::fs::read_to_string(server.path("sshd.log")).expect("written");
    let renewed = log.matches("SSH2_MSG_NEWKEYS sent").count();
    assert!(renewed > 10, "{renewed} times");
    assert_eq!(running.until_up().connected, 1, "it is the same connection");
    running.end();
}

#[test]
fn those_who_do_not_read_stop_nobody_else() {
    const SLOW: usize = 24;
    // russh's server itself stops for everybody while one of its channels is not read.
    let Some(server) = SshServer::open("") else { return };
    let mut config = lines(&server);
    config.outbound.marks = Marks::new(1 << 20, 2 << 20, 64 << 20).expect("in order");
    let running = run(config);
    let address = port(&running.until_up(), 0);
    let mut slow: Vec<_> = (0..SLOW).map(|_| Peer::connect(address)).collect();
    slow.iter_mut().for_each(|peer| peer.send(b"much\n"));
    let mut peer = Peer::connect(address);
    let (mut queued, mut same) = (u64::MAX, 0);
    // Until nothing moves any more but this one.
    while same < 20 {
        peer.send(b"beside\n");
        assert!(peer.line().ends_with(" beside"));
        let before = std::mem::replace(&mut queued, running.metrics().queued_bytes);
        same = if before == queued { same + 1 } else { 0 };
    }
    assert!(queued > (SLOW << 20) as u64, "{queued} bytes are left of {}", SLOW * MUCH_BYTES);
    // Whoever reads gets it all.
    let mut first = slow.swap_remove(0);
    assert_eq!(first.exactly(MUCH_BYTES).len(), MUCH_BYTES);
    drop((first, peer, slow));
    assert_eq!(running.end().tunnels[0].connected, 1);
}

/// A tunnel to the last server through the one before.
fn through(jump: &SshServer, server: &SshServer) -> Config {
    let known = |name: &str| [jump, server].map(|server| std::fs::read_to_string(server.path(name)).expect("written"));
    std::fs::write(server.path("all_hosts"), known("known_hosts").concat()).expect("written");
    std::fs::write(jump.path("authorized_keys"), known("id.pub").concat()).expect("written");
    let mut config = lines(server);
    config.tunnels[0].ssh.known_hosts = vec![server.path("all_hosts")];
    config.tunnels[0].ssh.jumps =
        vec![Jump { user: Some(jump.user.clone()), host: jump.address.ip().to_string(), port: jump.address.port() }];
    config
}

#[test]
fn a_host_on_the_way_that_is_taken_down_is_noticed_at_once() {
    for mut jump in SshServer::each() {
        let server = SshServer::russh();
        let mut config = through(&jump, &server);
        // Not by asking.
        config.tunnels[0].keep_alive.interval = Duration::from_secs(1000);
        let running = run(config);
        works(&running);
        assert_eq!(running.next_end(), Reason::PeerClosed);
        let peer = Peer::connect(port(&running.until_up(), 0));
        running.until_counted(|metrics| metrics.tunnels[0].channels > 0);
        jump.take_down();
        assert_eq!(running.next_end(), Reason::TunnelLost);
        jump.bring_back();
        running.until("up again", |status| status.state == TunnelState::Up && status.connected == 2);
        works(&running);
        drop(peer);
        running.end();
    }
}

#[test]
fn a_dead_server_behind_a_living_host_is_noticed() {
    // A host that has something to say all the time.
    let Some(jump) = SshServer::open("ClientAliveInterval 1") else { return };
    let Some(server) = SshServer::open("") else { return };
    let mut config = through(&jump, &server);
    config.tunnels[0].keep_alive.interval = Duration::from_secs(2);
    config.tunnels[0].keep_alive.count_max = 1;
    let running = run(config);
    works(&running);
    assert!(server.signal("-STOP") > 0);
    let is_silent = |failure: &TunnelFailure| *failure == TunnelFailure::Silent;
    running.until("silent", |status| status.last_error.as_ref().is_some_and(|(failure, _)| is_silent(failure)));
    server.signal("-CONT");
    running.end();
}
