//! One nats-server: it is killed, stopped, cut off, or something else is at its address.

use super::case_hosts::kill_a_host;
use super::case_kills::Kills;
use super::case_network::{UNANSWERED, be_slow, cuts, partition, stop};
use super::case_strangers::{expect_of, read_all, server};
use super::host::Broker;
use super::nats::{Kept, NatsServer, is_there};
use super::redis::{RedisServer, are_installed};
use super::stage::Stage;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

/// What a host logs if the peer waits for it, as other servers do.
const SILENT: &str = "the server sent nothing within 5 s; a NATS server sends INFO first";
/// What a host logs if the peer begins with something else.
const NO_NATS: &str = "the peer does not speak the NATS protocol: it did not begin with INFO";

#[test]
fn killed_nats_server_that_loses_all_is_one_gap_in_each_room() {
    if !is_there() {
        return;
    }
    let mut nats = NatsServer::start("all-lost", "");
    let at = Broker::nats(nats.address());
    let stage = Stage::start("nats: all lost", [&at, &at, &at]);
    nats.kill();
    nats.restart(Kept::Nothing);
    stage.wait_for_more(100);
    let outcome = stage.finish();
    // Each member was in two rooms.
    assert_eq!(outcome.found.gaps, 48, "one gap for each member and room: {outcome:?}");
}

#[test]
fn killed_nats_server_that_loses_a_part_is_a_gap_in_each_room() {
    if !is_there() {
        return;
    }
    let mut nats = NatsServer::start("part-lost", "");
    let at = Broker::nats(nats.address());
    let stage = Stage::start("nats: part lost", [&at, &at, &at]);
    nats.save();
    // These are lost.
    stage.wait_for_more(60);
    nats.kill();
    nats.restart(Kept::Saved);
    stage.wait_for_more(200);
    let outcome = stage.finish();
    assert!(outcome.found.gaps >= 48, "each member has a gap in each room: {outcome:?}");
}

#[test]
fn killed_nats_server_that_keeps_its_files_leaves_no_silent_gap() {
    if !is_there() {
        return;
    }
    let mut nats = NatsServer::start("nothing-lost", "");
    let at = Broker::nats(nats.address());
    let stage = Stage::start("nats: nothing lost", [&at, &at, &at]);
    for _ in 0..2 {
        nats.kill();
        nats.restart(Kept::All);
        stage.wait_for_more(100);
    }
    let outcome = stage.finish();
    // Messages that were only in its memory when it was killed are lost.
    assert!(outcome.found.gaps <= outcome.found.not_received.max(1) * 48, "{outcome:?}");
}

#[test]
fn kills_of_a_nats_server_at_random_moments_leave_no_silent_gap() {
    if !is_there() {
        return;
    }
    let mut nats = NatsServer::start("kills", "");
    let at = Broker::nats(nats.address());
    let stage = Stage::start("nats: kills", [&at, &at, &at]);
    let mut kept = Kept::Nothing;
    Kills::new().run("nats: kills", stage, |random| {
        match random.below(5) {
            0 => {
                nats.save();
                kept = Kept::Saved;
            }
            1 => {
                nats.save();
                std::thread::sleep(Duration::from_millis(random.below(200)));
                kept = Kept::Saved;
            }
            2 => kept = Kept::Nothing,
            _ => kept = Kept::All,
        }
        nats.kill();
        std::thread::sleep(Duration::from_millis(random.below(100)));
        nats.restart(kept);
    });
}

#[test]
fn partition_on_the_way_to_a_nats_server_is_repaired() {
    if !is_there() {
        return;
    }
    let nats = NatsServer::start("to-broker", "");
    partition("nats: to the broker", nats.port, Broker::nats, |ways| &ways.to_broker);
}

#[test]
fn partition_on_the_way_from_a_nats_server_is_repaired() {
    if !is_there() {
        return;
    }
    let nats = NatsServer::start("from-broker", "");
    partition("nats: from the broker", nats.port, Broker::nats, |ways| &ways.to_host);
}

#[test]
fn links_to_a_nats_server_that_end_within_messages_are_repaired() {
    if !is_there() {
        return;
    }
    let nats = NatsServer::start("cuts", "");
    cuts("nats: cuts", nats.port, Broker::nats);
}

#[test]
fn stopped_nats_server_is_given_up_and_nothing_comes_twice() {
    if !is_there() {
        return;
    }
    let nats = NatsServer::start("stopped", "");
    let at = Broker::nats(nats.address());
    let stage = Stage::start("nats: stopped", [&at, &at, &at]);
    stop(
        stage,
        |name| nats.signal(name),
        |host| {
            host.wait_for_log(UNANSWERED, 1);
            host.wait_for_log("broker down", 2);
        },
    );
}

#[test]
fn slow_host_that_a_nats_server_cuts_is_alone_with_it() {
    if !is_there() {
        return;
    }
    let nats = NatsServer::start("slow", "max_pending: 4MB\nwrite_deadline: '2s'\n");
    let at = Broker::nats(nats.address());
    let stage = Stage::start("nats: slow host", [&at, &at, &at]);
    be_slow(stage, || nats.log().matches("Slow Consumer").count());
}

#[test]
fn names_of_a_killed_host_leave_a_nats_server_once_and_come_back_with_it() {
    if !is_there() {
        return;
    }
    let nats = NatsServer::start("people", "");
    kill_a_host("nats: killed host", &Broker::nats(nats.address()));
}

#[test]
fn http_server_is_no_nats_server() {
    let address = server(|mut stream| {
        let _ = stream.read(&mut [0; 1_024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let _ = stream.shutdown(Shutdown::Write);
        read_all(stream);
    });
    expect_of(&Broker::nats(address), SILENT);
}

#[test]
fn ssh_server_is_no_nats_server() {
    let address = server(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
        read_all(stream);
    });
    expect_of(&Broker::nats(address), NO_NATS);
}

#[test]
fn redis_server_is_no_nats_server() {
    if are_installed() {
        let redis = RedisServer::start("no-nats", &["--save", ""]);
        expect_of(&Broker::nats(redis.address()), SILENT);
    }
}

#[test]
fn nats_server_is_no_redis_server() {
    if is_there() {
        let nats = NatsServer::start("no-redis", "");
        expect_of(&Broker::At(nats.address()), "the peer does not speak the Redis protocol: it sent 'I' first");
    }
}

#[test]
fn nats_server_with_a_password_that_nobody_gave_is_named() {
    if is_there() {
        let nats = NatsServer::start_guarded("guarded", "authorization { user: ann, password: secret }");
        expect_of(&Broker::nats(nats.address()), "the broker refused to serve this host: Authorization Violation");
    }
}

#[test]
fn nats_server_without_jetstream_is_named() {
    if is_there() {
        let nats = NatsServer::start_guarded("no-jetstream", "jetstream: disabled");
        expect_of(&Broker::nats(nats.address()), "JetStream is not enabled");
    }
}
