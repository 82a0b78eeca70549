//! The quarantine of all hosts.

use super::{Desk, Hosts, SECOND, config, on_each_broker};
use drupe_core::limit::QuarantineLimits;
use drupe_core::{Command, Config, ListenerId};
use std::time::Duration;

fn limits(seconds: u64) -> Config {
    let limits = QuarantineLimits::default().cool_down(Duration::from_secs(seconds));
    config().quarantine(limits)
}

/// Returns which hosts refuse a new connection from this address.
fn refuse(all: &mut Hosts<Desk>, address: &str) -> Vec<bool> {
    let peer = address.parse().expect("an address");
    let refuses = all.hosts.iter_mut().map(|host| {
        let now = host.now;
        match host.machines[0].dispatched(now, ListenerId::new(0), peer) {
            Ok(shard) => {
                host.machines[usize::from(shard)].adopted(now, ListenerId::new(0), peer);
                false
            }
            Err(_) => true,
        }
    });
    refuses.collect()
}

fn quarantine(all: &mut Hosts<Desk>, host: usize, address: &str) {
    let now = all.hosts[host].now;
    let address = address.parse().expect("an address");
    all.hosts[host].machines[0].command(now, &Command::Quarantine { address });
}

#[test]
fn all_hosts_refuse_an_address_for_the_time_that_is_left() {
    on_each_broker(|broker| {
        let mut all = Hosts::start(broker, &[1, 3], &limits(60), Desk::default);
        for (host, address) in [(0, "192.0.2.7"), (1, "2001:db8::1")] {
            quarantine(&mut all, host, address);
        }
        all.pass(SECOND);
        let (v4, v6) = ("192.0.2.7:9", "[2001:db8::5]:9");
        assert_eq!((refuse(&mut all, v4), refuse(&mut all, v6)), (vec![true, true], vec![true, true]));
        // A host that joins later learns them.
        all.add(2, &limits(60), &Desk::default);
        all.pass(30 * SECOND);
        assert_eq!((refuse(&mut all, v4), refuse(&mut all, v6)), (vec![true; 3], vec![true; 3]));
        all.pass(30 * SECOND);
        assert_eq!((refuse(&mut all, v4), refuse(&mut all, v6)), (vec![false; 3], vec![false; 3]));
    });
}

#[test]
fn a_release_holds_on_all_hosts() {
    on_each_broker(|broker| {
        let mut all = Hosts::start(broker, &[2, 1], &limits(60), Desk::default);
        quarantine(&mut all, 0, "192.0.2.7");
        all.pass(SECOND);
        let now = all.hosts[1].now;
        let address = "192.0.2.7".parse().expect("an address");
        all.hosts[1].machines[0].command(now, &Command::Release { address });
        all.deliver();
        assert_eq!(refuse(&mut all, "192.0.2.7:9"), [false, false]);
    });
}

#[test]
fn hosts_without_a_link_exchange_their_quarantines_later() {
    on_each_broker(|broker| {
        let mut all = Hosts::start(broker, &[2, 1, 1], &limits(60), Desk::default);
        all.cut[0] = true;
        all.deliver();
        quarantine(&mut all, 0, "192.0.2.1");
        quarantine(&mut all, 1, "192.0.2.2");
        all.pass(SECOND);
        let of = |all: &mut Hosts<Desk>| (refuse(all, "192.0.2.1:9"), refuse(all, "192.0.2.2:9"));
        assert_eq!(of(&mut all), (vec![true, false, false], vec![false, true, true]));
        all.cut[0] = false;
        all.pass(20 * SECOND);
        assert_eq!(of(&mut all), (vec![true; 3], vec![true; 3]));
    });
}

#[test]
fn more_addresses_than_fit_in_one_message_are_told() {
    on_each_broker(|broker| {
        let mut all = Hosts::start(broker, &[1, 1], &limits(600), Desk::default);
        for number in 0..1_200_u32 {
            quarantine(&mut all, 0, &std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string());
        }
        all.pass(3 * SECOND);
        let told = all.hosts[1].machines[0].metrics().quarantined;
        assert_eq!(told, 1_200);
        all.add(2, &limits(600), &Desk::default);
        all.pass(20 * SECOND);
        assert_eq!(all.hosts[2].machines[0].metrics().quarantined, 1_200);
    });
}
