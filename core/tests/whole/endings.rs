//! Connections that are ended on all hosts.

use super::{Desk, Hosts, SECOND, config, on_each_broker};
use drupe_core::{Command, ConnId, EndTarget, Reason};

/// Returns whether the connections are over.
fn over(all: &Hosts<Desk>, conns: &[(usize, ConnId)]) -> Vec<bool> {
    conns.iter().map(|(host, conn)| all.hosts[*host].is_over(*conn)).collect()
}

#[test]
fn a_user_is_ended_on_all_shards_and_hosts_and_counted() {
    on_each_broker(|broker| {
        for asker in 0..3 {
            let mut all = Hosts::start(broker, &[2, 3, 1], &config(), Desk::default);
            let conns: Vec<_> = [0, 0, 1, 1, 1, 2].map(|host| (host, all.hosts[host].connect_from(1))).into();
            for (number, (host, conn)) in conns.iter().enumerate() {
                all.told(*host, *conn, if number % 2 == 0 { "as ann" } else { "as bob" });
            }
            let operator = all.hosts[asker].connect_from(9);
            let answer = all.told(asker, operator, "kick ann");
            assert_eq!(answer, ["3 connections ended; 3 of 3 hosts answered"]);
            assert_eq!(over(&all, &conns), [true, false, true, false, true, false]);
            assert_eq!(all.told(asker, operator, "kick ann"), ["0 connections ended; 3 of 3 hosts answered"]);
            assert_eq!(
                all.told(asker, operator, "kick_from 192.0.2.1"),
                ["3 connections ended; 3 of 3 hosts answered"]
            );
            assert_eq!(over(&all, &conns), [true; 6]);
            assert!(!all.hosts[asker].is_over(operator), "another address stays");
        }
    });
}

#[test]
fn an_operator_kicks_a_user_everywhere() {
    on_each_broker(|broker| {
        let mut all = Hosts::start(broker, &[2, 2], &config(), Desk::default);
        let conns: Vec<_> = [0, 1].map(|host| (host, all.hosts[host].connect_from(1))).into();
        for (host, conn) in &conns {
            all.told(*host, *conn, "as ann");
        }
        let now = all.hosts[0].now;
        all.hosts[0].machines[0].command(now, &Command::KickEverywhere { target: EndTarget::user("ann") });
        all.deliver();
        assert_eq!(over(&all, &conns), [true, true]);
        assert_eq!(all.hosts.iter().map(|host| host.total(Reason::Kicked)).sum::<u64>(), 2);
    });
}

#[test]
fn a_host_that_does_not_answer_is_waited_for_two_seconds_and_a_gone_one_not_at_all() {
    on_each_broker(|broker| {
        let mut all = Hosts::start(broker, &[1, 2], &config(), Desk::default);
        let (ann, operator) = (all.hosts[0].connect_from(1), all.hosts[0].connect_from(9));
        all.told(0, ann, "as ann");
        all.crash(1);
        assert!(all.told(0, operator, "kick ann").is_empty(), "the other host may answer");
        assert!(all.hosts[0].is_over(ann));
        all.pass(3 * SECOND);
        assert_eq!(all.hosts[0].take_lines(operator), ["1 connections ended; 1 of 2 hosts answered"]);
        // Its lease expires.
        all.pass(25 * SECOND);
        assert_eq!(all.told(0, operator, "kick ann"), ["0 connections ended; 1 of 1 hosts answered"]);
    });
}

#[test]
fn without_a_link_a_host_ends_its_own_at_once() {
    on_each_broker(|broker| {
        let mut all = Hosts::start(broker, &[2, 1], &config(), Desk::default);
        let conns: Vec<_> = [0, 1].map(|host| (host, all.hosts[host].connect_from(1))).into();
        for (host, conn) in &conns {
            all.told(*host, *conn, "as ann");
        }
        let operator = all.hosts[0].connect_from(9);
        all.cut[0] = true;
        all.deliver();
        assert_eq!(all.told(0, operator, "kick ann"), ["1 connections ended; 1 of 2 hosts answered"]);
        assert_eq!(over(&all, &conns), [true, false]);
    });
}
