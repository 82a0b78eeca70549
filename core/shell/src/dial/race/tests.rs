use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn address(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

fn v4(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 7))
}

fn v6(number: u16) -> SocketAddr {
    SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 7))
}

fn actions(race: &mut Race, now: Time) -> Vec<RaceAction> {
    std::iter::from_fn(|| race.next_action(now)).collect()
}

fn at(millis: u64) -> Time {
    Time::START + Duration::from_millis(millis)
}

#[test]
fn families_alternate_beginning_with_the_first() {
    for (given, expected) in [
        (vec![], vec![]),
        (vec![v4(1), v4(2)], vec![v4(1), v4(2)]),
        (vec![v6(1), v6(2), v4(1), v4(2)], vec![v6(1), v4(1), v6(2), v4(2)]),
        (vec![v4(1), v6(1), v6(2), v6(3)], vec![v4(1), v6(1), v6(2), v6(3)]),
        (vec![v6(1), v6(1), v4(1), v6(1)], vec![v6(1), v4(1)]),
    ] {
        assert_eq!(interleave(given), expected);
    }
    let many = interleave((1..100).map(v6).chain([v4(1)]));
    assert_eq!((many.len(), many[1]), (ADDRESSES_MAX, v4(1)), "the other family is not crowded out");
}

#[test]
fn next_address_follows_after_the_delay_or_at_once_after_a_failure() {
    let mut race = Race::new([v6(1), v6(2), v4(1)]);
    assert_eq!(actions(&mut race, at(0)), [RaceAction::Connect(0, v6(1))]);
    assert_eq!((actions(&mut race, at(249)), race.deadline()), (vec![], Some(at(250))));
    assert_eq!(actions(&mut race, at(250)), [RaceAction::Connect(1, v4(1))]);
    race.failed(0, io::ErrorKind::ConnectionRefused.into());
    assert_eq!(actions(&mut race, at(251)), [RaceAction::Connect(2, v6(2))]);
    assert_eq!(race.deadline(), None, "all are tried");
    assert!(race.connected(1) && !race.connected(0));
    assert_eq!(actions(&mut race, at(252)), [RaceAction::Cancel(2)]);
    assert!(!race.is_lost());
}

#[test]
fn oldest_silent_attempt_is_cancelled_for_the_next_address() {
    let mut race = Race::new((1..7).map(v4));
    let begun: Vec<_> = (0..4).flat_map(|number| actions(&mut race, at(250 * number))).collect();
    assert_eq!(begun.len(), IN_FLIGHT_MAX);
    assert_eq!((actions(&mut race, at(1_999)), race.deadline()), (vec![], Some(at(2_000))));
    assert_eq!(actions(&mut race, at(2_000)), [RaceAction::Cancel(0), RaceAction::Connect(4, v4(5))]);
    assert_eq!(race.deadline(), Some(at(2_250)));
    assert_eq!(actions(&mut race, at(2_250)), [RaceAction::Cancel(1), RaceAction::Connect(5, v4(6))]);
    assert_eq!(race.deadline(), None);
    (2..6).for_each(|number| race.failed(number, io::ErrorKind::NetworkUnreachable.into()));
    assert!(race.is_lost());
    assert_eq!(race.into_error().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn most_telling_error_is_reported() {
    let (refused, silent) = (io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut);
    let (unreachable, other) = (io::ErrorKind::NetworkUnreachable, io::ErrorKind::AddrNotAvailable);
    for (errors, expected) in [
        (&[unreachable, refused, silent][..], refused),
        (&[refused, unreachable], refused),
        (&[other, unreachable], unreachable),
        (&[unreachable, silent], silent),
        (&[silent, io::ErrorKind::ConnectionReset], io::ErrorKind::ConnectionReset),
        (&[], io::ErrorKind::NotFound),
    ] {
        let mut race = Race::new((0..).zip(errors).map(|(number, _)| v4(number)));
        for (number, &error) in errors.iter().enumerate() {
            assert_eq!(race.next_action(at(0)).map(|_| ()), Some(()));
            race.failed(number, error.into());
        }
        assert!(race.is_lost());
        assert_eq!(race.into_error().kind(), expected);
    }
    // EMFILE: no descriptor is left, whatever the others say.
    let mut race = Race::new([v4(1), v4(2)]);
    race.next_action(at(0));
    race.failed(0, io::Error::from_raw_os_error(24));
    race.next_action(at(0));
    race.failed(1, refused.into());
    assert_eq!(race.into_error().raw_os_error(), Some(24));
}

/// How an attempt ends: after this many milliseconds, or never.
#[derive(Clone, Copy, Debug)]
enum End {
    Connects(u64),
    Fails(u64),
    Silent,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![(0..4_000_u64).prop_map(End::Connects), (0..4_000_u64).prop_map(End::Fails), Just(End::Silent)]
}

/// The attempts that begin, those that are cancelled, and the one that wins.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    begun: Vec<(u64, SocketAddr)>,
    cancelled: BTreeSet<usize>,
    won: Option<usize>,
}

const END: u64 = 40_000;

/// The naive model: checks every attempt in every millisecond.
fn model(addresses: &[SocketAddr], ends: &[End]) -> Log {
    let mut log = Log::default();
    let mut failed = BTreeSet::new();
    for now in 0..END {
        let open = |log: &Log, failed: &BTreeSet<usize>| -> Vec<usize> {
            (0..log.begun.len()).filter(|number| !failed.contains(number) && !log.cancelled.contains(number)).collect()
        };
        let mut credit = 0_usize;
        for number in open(&log, &failed) {
            let age = now - log.begun[number].0;
            match ends[number] {
                End::Connects(after) if after == age => {
                    log.won = Some(number);
                    log.cancelled.extend(open(&log, &failed).into_iter().filter(|&other| other != number));
                    return log;
                }
                End::Fails(after) if after == age => {
                    failed.insert(number);
                    credit += 1;
                }
                _ => {}
            }
        }
        // An attempt may end in the millisecond in which it begins.
        while log.begun.len() < addresses.len() {
            let flying = open(&log, &failed);
            let last = log.begun.last().map(|&(at, _)| at);
            if !(flying.is_empty() || credit > 0 || last.is_none_or(|last| now - last >= 250)) {
                break;
            }
            if flying.len() >= IN_FLIGHT_MAX {
                if now - log.begun[flying[0]].0 < 2_000 {
                    break;
                }
                log.cancelled.insert(flying[0]);
            }
            credit = credit.saturating_sub(1);
            let number = log.begun.len();
            log.begun.push((now, addresses[number]));
            match ends[number] {
                End::Connects(0) => {
                    log.won = Some(number);
                    log.cancelled.extend(open(&log, &failed).into_iter().filter(|&other| other != number));
                    return log;
                }
                End::Fails(0) => {
                    failed.insert(number);
                    credit += 1;
                }
                _ => {}
            }
        }
    }
    log
}

/// A run of the race, from deadline to deadline.
fn run(addresses: &[SocketAddr], ends: &[End]) -> Log {
    let (mut race, mut log) = (Race::new(addresses.iter().copied()), Log::default());
    let mut open: Vec<(usize, u64)> = Vec::new();
    let mut now = 0;
    while now < END {
        while let Some(action) = race.next_action(at(now)) {
            match action {
                RaceAction::Connect(number, address) => {
                    assert_eq!(number, log.begun.len());
                    log.begun.push((now, address));
                    open.push((number, now));
                    assert!(open.len() <= IN_FLIGHT_MAX);
                    match ends[number] {
                        End::Connects(0) => assert!(race.connected(number)),
                        End::Fails(0) => race.failed(number, io::ErrorKind::ConnectionRefused.into()),
                        _ => continue,
                    }
                    open.pop();
                    log.won = if matches!(ends[number], End::Connects(_)) { Some(number) } else { None };
                }
                RaceAction::Cancel(number) => {
                    assert!(log.cancelled.insert(number));
                    open.retain(|&(other, _)| other != number);
                }
            }
        }
        if log.won.is_some() {
            break;
        }
        assert!(race.deadline().is_none_or(|deadline| deadline > at(now)), "nothing is left to do now");
        let after = |number: usize| match ends[number] {
            End::Connects(after) | End::Fails(after) => Some(after),
            End::Silent => None,
        };
        let ending = open.iter().filter_map(|&(number, began)| Some((began + after(number)?, number))).min();
        let deadline = race.deadline().map(|deadline| deadline.as_nanos() / 1_000_000);
        now = match (ending, deadline) {
            (Some((at, _)), Some(deadline)) => at.min(deadline),
            (Some((at, _)), None) | (None, Some(at)) => at,
            (None, None) => break,
        };
        for (number, began) in open.clone() {
            if log.won.is_none() && after(number) == Some(now - began) {
                open.retain(|&(other, _)| other != number);
                match ends[number] {
                    End::Connects(_) => {
                        assert!(race.connected(number));
                        log.won = Some(number);
                    }
                    _ => race.failed(number, io::ErrorKind::ConnectionRefused.into()),
                }
            }
        }
    }
    if log.won.is_none() {
        let silent = open.len();
        assert_eq!(race.is_lost(), silent == 0);
        assert_eq!(log.begun.len(), addresses.len(), "every address is tried");
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn race_matches_a_naive_model(count in 0..12_u8, ends in proptest::collection::vec(end(), 12)) {
        let addresses: Vec<_> = (0..count).map(v4).collect();
        prop_assert_eq!(run(&addresses, &ends), model(&addresses, &ends));
    }

    #[test]
    fn order_keeps_each_family_and_has_every_address_once(
        picks in proptest::collection::vec((any::<bool>(), 0..30_u8), 0..60),
    ) {
        let pick = |&(six, number): &(bool, u8)| if six { v6(number.into()) } else { v4(number) };
        let given: Vec<_> = picks.iter().map(pick).collect();
        let ordered = interleave(given.iter().copied());
        let distinct: BTreeSet<_> = given.iter().collect();
        prop_assert_eq!(ordered.len(), distinct.len().min(ADDRESSES_MAX));
        prop_assert_eq!(ordered.iter().collect::<BTreeSet<_>>().len(), ordered.len());
        prop_assert_eq!(ordered.first(), given.first());
        for six in [false, true] {
            let mut expected: Vec<_> = Vec::new();
            for address in given.iter().filter(|address| address.is_ipv6() == six) {
                if !expected.contains(address) {
                    expected.push(*address);
                }
            }
            let found: Vec<_> = ordered.iter().copied().filter(|address| address.is_ipv6() == six).collect();
            prop_assert_eq!(&expected[..found.len()], &found[..]);
        }
    }
}

#[test]
fn addresses_that_differ_in_their_ports_are_different() {
    let two = [address("192.0.2.1:1"), address("192.0.2.1:2")];
    assert_eq!(interleave(two), two);
}
