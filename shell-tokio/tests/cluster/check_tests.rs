//! The checker finds each kind of wrong history.

use super::check::{Found, check, check_order};
use super::record::{Acknowledged, Id, Position, Seen, What};
use std::time::{Duration, Instant};

const fn at(epoch: u64, offset: u64) -> Position {
    Position { epoch, offset, mark: 100 * epoch + offset }
}

/// A message of publisher 1, whose number is its offset.
fn message(offset: u64) -> What {
    What::Message(at(7, offset), (1, offset))
}

/// The history, 20 ms for each entry, from a time in milliseconds on.
fn history(start: Instant, from: u64, whats: Vec<What>) -> Vec<Seen> {
    let times = (0..).map(|place| start + Duration::from_millis(from + 20 * place));
    whats.into_iter().zip(times).map(|(what, at)| Seen { at, what }).collect()
}

/// The ledger of messages 1 to 9, each sent 10 ms after the one before.
fn ledger(start: Instant) -> Vec<Acknowledged> {
    (1..10).map(|offset| entry(start, (1, offset), at(7, offset), offset * 10)).collect()
}

fn entry(start: Instant, id: Id, position: Position, sent: u64) -> Acknowledged {
    let [sent_at, told_at] = [sent, sent + 5].map(|time| start + Duration::from_millis(time));
    Acknowledged { id, position, sent_at, told_at }
}

/// Checks a history that begins after message 2 was acknowledged.
fn checked(whats: Vec<What>) -> Result<Found, String> {
    let start = Instant::now();
    check(&history(start, 27, whats), &ledger(start), None)
}

#[test]
fn checker_accepts_good_histories() {
    let good = vec![What::New(at(7, 2)), message(3), message(4), message(5), What::Recovered(at(7, 5)), message(6)];
    assert_eq!(checked(good), Ok(Found { delivered: 4, gaps: 0, not_received: 5, told_late: 0 }));
    let gap = |position| What::Gap(position, "rewritten".into());
    let told = vec![What::New(at(7, 2)), message(3), gap(Some(at(7, 6))), message(7), gap(None), message(9)];
    assert_eq!(checked(told), Ok(Found { delivered: 3, gaps: 2, not_received: 6, told_late: 0 }));
    let other = What::Message(at(8, 1), (1, 20));
    let lost = vec![What::New(at(7, 2)), message(3), What::NotRecovered(at(8, 0), "other_epoch".into()), other];
    assert_eq!(checked(lost), Ok(Found { delivered: 2, gaps: 1, not_received: 8, told_late: 0 }));
}

#[test]
fn checker_finds_missing_doubled_swapped_and_foreign_messages() {
    for (whats, words) in [
        (vec![message(3), message(5)], "came after 7.3.2bf, without a gap"),
        (vec![message(4)], "came after 7.2.2be, without a gap"),
        (vec![message(3), message(3)], "came after 7.3.2bf, without a gap"),
        (vec![message(4), message(3)], "came after 7.2.2be, without a gap"),
        (vec![message(3), What::Message(at(7, 4), (1, 3))], "came twice"),
        (vec![message(3), What::Gap(Some(at(7, 2)), String::new()), message(3)], "came twice"),
        (vec![What::Message(at(7, 3), (1, 4)), What::Message(at(7, 4), (1, 3))], "not at 7."),
        (vec![message(3), What::Recovered(at(7, 4))], "recovered at 7.4.2c0"),
        (vec![message(3), What::New(at(7, 4))], "a second subscription"),
        (vec![message(3), What::Message(at(8, 4), (1, 4))], "without a gap"),
    ] {
        let all = [vec![What::New(at(7, 2))], whats].concat();
        let error = checked(all.clone()).expect_err(words);
        assert!(error.contains(words), "{error} in {all:?}");
    }
    assert!(checked(vec![message(3)]).expect_err("no subscription").contains("before the subscription"));
}

#[test]
fn checker_finds_lost_messages_without_a_gap() {
    let start = Instant::now();
    // The broker lost messages 4 to 6, and gave the offset of the first one to another.
    let place = Position { epoch: 7, offset: 4, mark: 1 };
    let another = What::Message(place, (2, 1));
    let ledger = [&ledger(start)[..6], &[entry(start, (2, 1), place, 80)]].concat();
    let silent = history(start, 27, vec![What::New(at(7, 2)), message(3), another.clone()]);
    let error = check(&silent, &ledger, None).expect_err("a silent loss");
    assert!(error.contains("(1, 4) at 7.4.2c0 is missing in run 0"), "{error}");
    let gap = What::Gap(Some(at(7, 3)), "rewritten".into());
    let told = history(start, 27, vec![What::New(at(7, 2)), message(3), gap, another]);
    assert_eq!(check(&told, &ledger, None), Ok(Found { delivered: 2, gaps: 1, not_received: 5, told_late: 0 }));
    // Numbers alone follow each other: the member had messages up to 6, and the broker came back with 3 of them.
    let place = Position { epoch: 7, offset: 7, mark: 1 };
    let again = |number| Position { epoch: 7, offset: 3 + number, mark: number };
    let new = (1..=3).map(|number| entry(start, (2, number), again(number), 80 + number));
    let ledger: Vec<_> = ledger.into_iter().take(6).chain(new).chain([entry(start, (2, 4), place, 95)]).collect();
    let whats = vec![What::New(at(7, 2)), message(3), message(4), message(5), message(6), What::Message(place, (2, 4))];
    let error = check(&history(start, 27, whats), &ledger, None).expect_err("a silent loss");
    assert!(error.contains("(2, 1) at 7.4.1 is missing in run 0"), "{error}");
}

#[test]
fn checker_accepts_a_late_gap_only_for_what_the_numbers_prove_lost() {
    let start = Instant::now();
    // The broker lost message 4, which this member's host never had, and gave its offset to another.
    let place = Position { epoch: 7, offset: 4, mark: 1 };
    let another = entry(start, (2, 1), place, 60);
    let begin = [What::New(at(7, 2)), message(3), What::Message(place, (2, 1))];
    let gap = What::Gap(Some(at(8, 4)), "rewritten".into());
    let told = history(start, 27, [&begin[..], core::slice::from_ref(&gap)].concat());
    let good = [&ledger(start)[..4], &[another]].concat();
    assert_eq!(check(&told, &good, None), Ok(Found { delivered: 2, gaps: 1, not_received: 3, told_late: 1 }));
    let silent = history(start, 27, begin.to_vec());
    // The numbers only rose, or went back after the gap.
    let holed = [What::New(at(7, 2)), message(3), What::Message(at(7, 6), (2, 1)), gap];
    let holed = history(start, 27, holed.to_vec());
    let rose = [&ledger(start)[..4], &[entry(start, (2, 1), at(7, 6), 60)]].concat();
    let went_back = [&rose[..], &[entry(start, (2, 2), place, 100)]].concat();
    for (seen, ledger, all) in
        [(&silent, &good, None), (&holed, &rose, Some(&rose[..])), (&holed, &went_back, Some(&went_back[..]))]
    {
        let error = check(seen, ledger, all).expect_err("a silent loss");
        assert!(error.contains("(1, 4) at 7.4.2c0 is missing in run 0"), "{error}");
    }
}

#[test]
fn checker_accepts_holes_where_rooms_share_their_numbers() {
    let start = Instant::now();
    let checked = |whats: Vec<What>| {
        let all = [vec![What::New(at(7, 2))], whats].concat();
        // Of the messages of this room, these are the only ones.
        let ledger: Vec<_> =
            ledger(start).into_iter().filter(|entry| [4, 7, 9].contains(&entry.position.offset)).collect();
        check(&history(start, 0, all), &ledger, Some(&ledger))
    };
    let good = vec![message(4), What::Recovered(at(7, 5)), message(7), message(9)];
    assert_eq!(checked(good), Ok(Found { delivered: 3, gaps: 0, not_received: 0, told_late: 0 }));
    // Another host knew a later epoch.
    let later = What::Message(Position { epoch: 6, ..at(7, 4) }, (1, 4));
    assert!(checked(vec![later.clone()]).is_err_and(|error| error.contains("without a gap")));
    let gap = What::Gap(Some(Position { epoch: 6, ..at(7, 2) }), "rewritten".into());
    assert_eq!(checked(vec![gap, later]), Ok(Found { delivered: 1, gaps: 1, not_received: 2, told_late: 0 }));
    for (whats, words) in [
        (vec![message(4), message(9)], "(1, 7) at 7.7.2c3 is missing in run 0"),
        (vec![message(7), message(4)], "came after 7.7.2c3, without a gap"),
        (vec![message(7), What::Recovered(at(7, 4))], "recovered at 7.4.2c0"),
        (vec![What::Recovered(at(7, 5)), message(4)], "came after 7.5.2c1, without a gap"),
    ] {
        let error = checked(whats.clone()).expect_err(words);
        assert!(error.contains(words), "{error} in {whats:?}");
    }
}

#[test]
fn checker_finds_members_with_another_order() {
    let start = Instant::now();
    let of = |ids: [Id; 2]| {
        history(start, 0, vec![What::New(at(7, 0)), What::Message(at(7, 1), ids[0]), What::Message(at(7, 2), ids[1])])
    };
    let (one, other) = (of([(1, 1), (2, 1)]), of([(2, 1), (1, 1)]));
    assert_eq!(check_order([&one[..], &one[..]].into_iter()), Ok(()));
    assert!(check_order([&one[..], &other[..]].into_iter()).is_err());
}
