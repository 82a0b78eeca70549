use super::*;
use crate::base::Backoff;
use crate::config::AddressOrder;

#[test]
fn only_a_stable_connection_resets_dial_attempts() {
    let backoff = Backoff { jitter_percent: 0, attempts_max: Some(3), ..Backoff::default() };
    let mut dials = Dials::default();
    let id =
        dials.add(Time::START, Dial { backoff: Some(backoff), ..Dial::lines("example:1") }, 0, &mut Random::new(1));
    let (conn, mut random) = (ConnId::new(0, 0, 1), Random::new(1));
    assert_eq!(dials.disconnected(id, Time::from_secs(0), &mut random), Some(Time::from_secs(1)));
    assert_eq!(dials.wanted().count(), 0);
    assert_eq!(dials.take_overdue(Time::from_secs(1)), None);
    assert_eq!(dials.wanted().collect::<Vec<_>>(), [(id, "example:1")]);
    dials.connected(id, conn, Some(Time::from_secs(1)));
    assert_eq!(dials.disconnected(id, Time::from_secs(2), &mut random), Some(Time::from_secs(4)));
    assert_eq!(dials.take_overdue(Time::from_secs(4)), None);
    dials.connected(id, conn, Some(Time::from_secs(4)));
    assert_eq!(dials.disconnected(id, Time::from_secs(34), &mut random), Some(Time::from_secs(35)));
    assert_eq!(dials.take_overdue(Time::from_secs(35)), None);
    assert_eq!(dials.disconnected(id, Time::from_secs(35), &mut random), Some(Time::from_secs(37)));
    assert_eq!(dials.take_overdue(Time::from_secs(37)), None);
    assert_eq!(dials.disconnected(id, Time::from_secs(37), &mut random), None);
    assert_eq!(dials.next(), None);
}

#[test]
fn new_addresses_begin_a_round_after_the_attempt_in_progress() {
    let backoff = Some(Backoff { jitter_percent: 0, ..Backoff::default() });
    let addresses = || Vec::from(["x:1", "y:1", "z:1"].map(String::from));
    for waits in [false, true] {
        let (mut dials, mut random) = (Dials::default(), Random::new(1));
        let id = dials.add(Time::START, Dial { backoff, ..Dial::lines("a:1") }, 0, &mut random);
        if !waits {
            assert!(dials.set_addresses(id, addresses(), &mut random));
        }
        assert_eq!(dials.disconnected(id, Time::START, &mut random), Some(Time::from_secs(1)));
        if waits {
            assert!(dials.set_addresses(id, addresses(), &mut random));
        }
        let mut now = Time::from_secs(1);
        for expected in ["x:1", "y:1", "z:1"] {
            assert_eq!(dials.take_overdue(now), None);
            assert_eq!(dials.wanted().collect::<Vec<_>>(), [(id, expected)]);
            now = dials.disconnected(id, now, &mut random).expect("another attempt");
        }
    }
}

#[test]
fn addresses_that_come_while_a_dial_waits_are_tried_in_a_random_order_too() {
    let first: BTreeSet<String> = (0..50)
        .map(|seed| {
            let (mut dials, mut random) = (Dials::default(), Random::new(seed));
            let dial = Dial::lines("a:1").backoff(Some(Backoff::default())).order(AddressOrder::Random);
            let id = dials.add(Time::START, dial, 0, &mut random);
            let at = dials.disconnected(id, Time::START, &mut random).expect("another attempt");
            dials.set_addresses(id, Vec::from(["x:1", "y:1", "z:1"].map(String::from)), &mut random);
            dials.take_overdue(at);
            dials.wanted().map(|(_, address)| String::from(address)).collect()
        })
        .collect();
    assert_eq!(first.len(), 3, "{first:?}");
}

#[test]
fn dials_report_when_an_attempt_must_begin_or_end() {
    let named = |dials: &mut Dials| core::iter::from_fn(|| dials.next_changed()).collect::<Vec<_>>();
    let mut dials = Dials::default();
    let backoff = Some(Backoff { jitter_percent: 0, ..Backoff::default() });
    let [one, two] = ["a:1", "b:1"]
        .map(|address| dials.add(Time::START, Dial { backoff, ..Dial::lines(address) }, 0, &mut Random::new(1)));
    assert_eq!(named(&mut dials), [one, two]);
    // The shell knows that it connected. Then the connection is lost, and another attempt
    // begins.
    let mut random = Random::new(1);
    dials.connected(one, ConnId::new(0, 0, 1), Some(Time::START));
    named(&mut dials);
    assert_eq!(dials.disconnected(one, Time::from_secs(2), &mut random), Some(Time::from_secs(3)));
    assert_eq!((named(&mut dials), dials.next()), (Vec::new(), Some(Time::from_secs(3))));
    assert_eq!((dials.take_overdue(Time::from_secs(3)), named(&mut dials)), (None, [one].into()));
    // An attempt that timed out must be stopped.
    assert_eq!(dials.take_overdue(Time::from_secs(30)), Some(two));
    assert_eq!(dials.disconnected(two, Time::from_secs(30), &mut random), Some(Time::from_secs(31)));
    assert_eq!((named(&mut dials), dials.get_if_wanted(two).is_some()), ([two].into(), false));
    dials.remove(one);
    assert_eq!((named(&mut dials), dials.get_if_wanted(one).is_some()), ([one].into(), false));
    assert_eq!(dials.take_overdue(Time::from_secs(31)), None);
    named(&mut dials);
    dials.close();
    assert_eq!((named(&mut dials), dials.next()), ([two].into(), None));
}
