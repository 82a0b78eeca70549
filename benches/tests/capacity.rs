//! Small clusters in virtual time: the same seed gives the same numbers, and each limit can be the first to break.

#![allow(clippy::expect_used, reason = "a test should fail where its assumption does")]

use drupe_benches::capacity::{Options, Run, Step};

const SMALL: &str = "--hosts 3 --connections 300 --rooms 30 --members 10 --rate 300 --seconds 2 --quiet-seconds 0 --outage-ms 500 --one-way-us 1000";

fn run(more: &str) -> Step {
    let words = SMALL.split(' ').chain(more.split(' ').filter(|word| !word.is_empty()));
    Run::new(Options::parse(words).expect("well formed")).step()
}

#[test]
fn nothing_breaks_while_each_part_does_less_than_it_can() {
    let step = run("");
    assert_eq!(step.passed, []);
    assert!((299.0..=300.0).contains(&step.publishes), "{step}");
    // Ten members of each room on three hosts.
    assert!((890.0..=900.0).contains(&step.broker_deliveries), "{step}");
    assert!((990.0..=1_000.0).contains(&step.host_deliveries), "{step}");
    assert!((0.001..0.01).contains(&step.wait_max), "{step}");
    let repair = step.repair.as_ref().expect("a restart");
    assert!(repair.fills >= 90 && repair.filled > 0 && repair.refused > 0, "{repair:?}");
    assert!(repair.seconds.expect("in time") < 10.0, "{repair:?}");
    assert_eq!((step.refused, step.unknown, step.links_lost), (0, 0, 0));
}

#[test]
fn the_seed_alone_decides_the_numbers() {
    let of_seed = |seed: u64, threads: u64| run(&format!("--seed {seed} --threads {threads} --hosts 9"));
    let step = of_seed(3, 1);
    assert_eq!(step, of_seed(3, 2));
    assert_ne!(step, of_seed(4, 2));
}

#[test]
fn quiet_rooms_are_compared_with_the_broker() {
    // A round looks at all 30 rooms of a host each second, and one of them has had a message.
    let step = run("--rate 1 --quiet-seconds 31");
    assert!(step.commands > 15.0, "{step}");
}

#[test]
fn the_rate_rises_from_step_to_step() {
    let words = SMALL.split(' ').chain(["--growth", "50"]);
    let mut run = Run::new(Options::parse(words).expect("well formed"));
    assert_eq!([run.step().rate, run.step().rate, run.step().rate], [300, 450, 675]);
}

#[test]
fn each_limit_can_be_the_first_to_break() {
    for (more, part, what) in [
        ("--broker-kept 250", "the broker's processor", "1.2"),
        ("--broker-deliveries 800", "the broker's processor", "of it to send to hosts"),
        ("--broker-network 300000", "the broker's network", "of 300.000 KB/s"),
        ("--core-deliveries 900", "the processors of a host", "messages/s to members of 900"),
        ("--core-deliveries 450 --cores 2", "the processors of a host", "messages/s to members of 900"),
        ("--host-network 200000", "the network of a host", "of 200.000 KB/s"),
        ("--bytes 100000 --one-way-us 500000", "the queue of a link", "messages refused, because 8."),
        ("--bytes 20000 --broker-unread 100 --repair-seconds 5", "the broker's output", "it closed"),
        ("--one-way-us 3000000 --rate 1 --seconds 12 --lease-ms 60000", "the answers of the broker", "links lost"),
        ("--lease-ms 4000 --seconds 6", "the leases", "a lease was renewed after 5."),
        ("--keep 1", "the histories", "too_old"),
        ("--repair-seconds 0", "the repair", "not all rooms were live 0 s after"),
    ] {
        let step = run(more);
        let first = step.passed.first().unwrap_or_else(|| panic!("{more} breaks nothing: {step}"));
        assert_eq!(first.part, part, "{more}: {step}");
        assert!(first.what.contains(what), "{more}: {first}");
    }
}
