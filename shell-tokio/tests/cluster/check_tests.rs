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

/// The history, one second for each entry.
fn history(start: Instant, whats: Vec<What>) -> Vec<Seen> {
    let seconds = (0..).map(Duration::from_secs);
    whats.into_iter().zip(seconds).map(|(what, second)| Seen { at: start + second, what }).collect()
}

/// The ledger of messages 1 to 9, sent after the beginning of the history.
fn ledger(start: Instant) -> Vec<Acknowledged> {
    let entry =
        |offset| Acknowledged { id: (1, offset), position: at(7, offset), sent_at: start + Duration::from_millis(1) };
    (1..10).map(entry).collect()
}

fn checked(whats: Vec<What>) -> Result<Found, String> {
    let start = Instant::now();
    check(&history(start, whats), &ledger(start))
}

#[test]
fn checker_accepts_good_histories() {
    let good = vec![What::New(at(7, 2)), message(3), message(4), message(5), What::Recovered(at(7, 5)), message(6)];
    assert_eq!(checked(good), Ok(Found { delivered: 4, gaps: 0, lost_under_gaps: 0 }));
    let gap = |position| What::Gap(position, "rewritten".into());
    let told = vec![What::New(at(7, 2)), message(3), gap(Some(at(7, 6))), message(7), gap(None), message(9)];
    assert_eq!(checked(told), Ok(Found { delivered: 3, gaps: 2, lost_under_gaps: 0 }));
    let other = What::Message(at(8, 1), (1, 20));
    let lost = vec![What::New(at(7, 8)), message(9), What::NotRecovered(at(8, 0), "other_epoch".into()), other];
    assert_eq!(checked(lost), Ok(Found { delivered: 2, gaps: 1, lost_under_gaps: 0 }));
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
        (vec![What::Message(at(7, 3), (1, 4)), What::Message(at(7, 4), (1, 3))], "which is that of (1, 3)"),
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
fn checker_finds_a_lost_message_whose_place_another_took_without_a_gap() {
    // The broker lost (1, 4), and gave its offset to (2, 1).
    let another = What::Message(Position { epoch: 7, offset: 4, mark: 1 }, (2, 1));
    let silent = vec![What::New(at(7, 2)), message(3), another.clone()];
    assert!(
        checked(silent).expect_err("a silent loss").contains("(1, 4) at 7.4.2c0 was lost, and (2, 1) took its place")
    );
    let gap = What::Gap(Some(at(7, 3)), "rewritten".into());
    let told = vec![What::New(at(7, 2)), message(3), gap, another];
    assert_eq!(checked(told), Ok(Found { delivered: 2, gaps: 1, lost_under_gaps: 1 }));
}

#[test]
fn checker_finds_members_with_another_order() {
    let start = Instant::now();
    let of = |ids: [Id; 2]| history(start, vec![What::Message(at(7, 1), ids[0]), What::Message(at(7, 2), ids[1])]);
    let (one, other) = (of([(1, 1), (2, 1)]), of([(2, 1), (1, 1)]));
    assert_eq!(check_order([&one[..], &one[..]].into_iter()), Ok(()));
    assert!(check_order([&one[..], &other[..]].into_iter()).is_err());
}
