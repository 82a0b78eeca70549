//! Whether a page of a history follows a position without a gap. Pure decisions.

use super::broker::{Message, Page, Previous};
use crate::history::{Gap, Keep, Position};
use core::time::Duration;

/// Returns the messages of a page after a position, if none is missing between.
///
/// The page begins at the offset of the position, or later if the broker does not keep that message. It may end before
/// the last message of the room. Messages name the mark or the offset of the one before, depending on the engine.
pub(super) fn follow(
    page: &Page,
    since: Position,
    age: Option<Duration>,
) -> Result<impl Iterator<Item = &Message>, Gap> {
    let top = page.top.filter(|top| top.epoch == since.epoch).ok_or(Gap::OtherEpoch)?;
    let is_same = |mark: u64| mark == since.mark || since.mark == Position::ANY_MARK;
    if since.offset > top.offset || since.offset == top.offset && !is_same(top.mark) {
        return Err(Gap::Rewritten);
    }
    let mut known = (since.offset == 0).then_some(since.mark);
    let mut last = None;
    for message in &page.messages {
        let offset = message.position.offset;
        if offset < since.offset {
            continue;
        }
        if offset == since.offset {
            known = Some(message.position.mark);
            continue;
        }
        if age.is_some_and(|age| is_old(message, page.now, age)) {
            return Err(Gap::TooOld);
        }
        let before = last.map_or((since.offset, known), |(offset, mark)| (offset, Some(mark)));
        match message.previous {
            Previous::Mark(_) if before.0.checked_add(1) != Some(offset) => return Err(Gap::TooOld),
            Previous::Mark(mark) if before.1.is_some_and(|known| known != mark) => return Err(Gap::Rewritten),
            // The message after the position names its mark, if the broker does not keep the message there.
            Previous::Mark(mark) => known = known.or(Some(mark)),
            // Without the message at the position, nothing names its mark.
            Previous::Offset(previous) if previous == before.0 && before.1.is_some() => {}
            Previous::Offset(_) | Previous::Unknown => return Err(Gap::TooOld),
        }
        last = Some((offset, message.position.mark));
    }
    if last.is_none() && since.offset < top.offset {
        return Err(Gap::TooOld);
    }
    if known.is_some_and(|mark| !is_same(mark)) {
        return Err(Gap::Rewritten);
    }
    Ok(page.messages.iter().filter(move |message| message.position.offset > since.offset))
}

/// Returns `true` if a position contradicts the history: the broker has lost what it published.
pub(super) fn is_contradicted(since: Position, why: Gap) -> bool {
    why == Gap::Rewritten && since.mark != Position::ANY_MARK
}

/// Returns `true` if a page from a position on shows that the broker has lost a message that it had kept later.
pub(super) fn is_lost(kept: Position, since: Position, page: &Page) -> bool {
    let Some(top) = page.top.filter(|top| top.epoch == since.epoch) else { return false };
    if kept.epoch != since.epoch {
        // The broker had begun another epoch, and has returned from it.
        return true;
    }
    if kept.offset <= since.offset {
        return false;
    }
    let mut positions = page.messages.iter().map(|message| message.position).chain([top]);
    if kept.offset > top.offset || positions.any(|found| found.offset == kept.offset && found.mark != kept.mark) {
        return true;
    }
    // If offsets have holes, the message may be gone without another one in its place.
    let mut offsets = page.messages.iter().map(|message| message.position.offset);
    let (first, has_later) = (offsets.clone().next(), offsets.clone().any(|offset| offset > kept.offset));
    has_later && first.is_some_and(|first| first < kept.offset) && offsets.all(|offset| offset != kept.offset)
}

/// Returns `true` if the broker has lost the message at a position. The page begins there or before, and lacks the message
/// although the history has space for it. The epoch does not matter: offsets rise from each one to the next, unless the
/// broker has lost all.
///
/// Offsets with holes need this. Without holes, each message names the mark of its predecessor, and [`follow`] compares it.
pub(super) fn is_gone(since: Position, page: &Page, keep: Keep) -> bool {
    let later = || page.messages.iter().skip_while(|message| message.position.offset < since.offset);
    let is_of_history = |message: &Message| {
        // One without content has begun an epoch, or has removed all messages before it.
        message.position.offset > since.offset
            && message.data.is_some()
            && !matches!(message.previous, Previous::Mark(_))
    };
    let is_whole = page.messages.last().map(|message| message.position) == page.top;
    let has_room = u32::try_from(later().count()).is_ok_and(|count| (1..keep.messages).contains(&count));
    is_whole && has_room && later().all(is_of_history)
}

/// Returns `true` if a message is as old as `age` or older. The time is that of the broker.
pub(super) fn is_old(message: &Message, now: u64, age: Duration) -> bool {
    u128::from(now.saturating_sub(message.at)) >= age.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use bytes::Bytes;

    /// A page of epoch 7 whose message at each offset has the mark 100 + offset.
    fn page(offsets: core::ops::RangeInclusive<u64>, top: u64) -> Page {
        let message = |offset| Message {
            position: Position::new(7, offset, 100 + offset),
            previous: Previous::Mark(if offset == 1 { 0 } else { 99 + offset }),
            at: offset * 1_000,
            data: Some(Bytes::new()),
        };
        let top = Position::new(7, top, if top == 0 { 0 } else { 100 + top });
        Page { top: Some(top), now: 10_000, messages: offsets.map(message).collect(), is_above: false }
    }

    /// No offsets.
    fn none() -> core::ops::RangeInclusive<u64> {
        let (first, last) = (1, 0);
        first..=last
    }

    fn offsets(page: &Page, since: (u64, u64, u64), age: Option<u64>) -> Result<Vec<u64>, Gap> {
        let since = Position::new(since.0, since.1, since.2);
        follow(page, since, age.map(Duration::from_secs))
            .map(|found| found.map(|message| message.position.offset).collect())
    }

    #[test]
    fn page_follows_a_position_or_says_why_not() {
        let any = Position::ANY_MARK;
        for (page, since, age, expected) in [
            // With the message at the position, and with the one after it.
            (page(3..=5, 5), (7, 3, 103), None, Ok([4, 5].to_vec())),
            (page(4..=5, 5), (7, 3, 103), None, Ok([4, 5].to_vec())),
            (page(3..=5, 5), (7, 3, any), None, Ok([4, 5].to_vec())),
            (page(1..=2, 2), (7, 0, 0), None, Ok([1, 2].to_vec())),
            // Nothing is missing.
            (page(5..=5, 5), (7, 5, 105), None, Ok(Vec::new())),
            (page(none(), 5), (7, 5, 105), None, Ok(Vec::new())),
            (page(none(), 0), (7, 0, 0), None, Ok(Vec::new())),
            // A part of what follows.
            (page(3..=4, 9), (7, 3, 103), None, Ok([4].to_vec())),
            // Another message is at the position, or before the one after it.
            (page(3..=5, 5), (7, 3, 1), None, Err(Gap::Rewritten)),
            (page(4..=5, 5), (7, 3, 1), None, Err(Gap::Rewritten)),
            (page(none(), 5), (7, 5, 1), None, Err(Gap::Rewritten)),
            (page(1..=2, 2), (7, 0, 1), None, Err(Gap::Rewritten)),
            // The position is beyond the end.
            (page(3..=5, 5), (7, 6, 106), None, Err(Gap::Rewritten)),
            (page(3..=5, 5), (7, u64::MAX, any), None, Err(Gap::Rewritten)),
            // Not kept any more.
            (page(5..=6, 6), (7, 3, 103), None, Err(Gap::TooOld)),
            (page(none(), 6), (7, 3, 103), None, Err(Gap::TooOld)),
            (page(3..=5, 5), (7, 3, 103), Some(6), Err(Gap::TooOld)),
            (page(3..=5, 5), (7, 3, 103), Some(7), Ok([4, 5].to_vec())),
            // Another epoch.
            (page(3..=5, 5), (8, 3, 103), None, Err(Gap::OtherEpoch)),
            (Page { top: None, ..page(none(), 0) }, (7, 3, 103), None, Err(Gap::OtherEpoch)),
        ] {
            assert_eq!(offsets(&page, since, age), expected, "{since:?} in {page:?}");
        }
    }

    /// A page as NATS has it: the message at each offset has the mark 100 + offset, and names the offset before it.
    fn page_with_holes(offsets: &[u64], top: u64) -> Page {
        let mut previous = Previous::Unknown;
        let message = |offset: &u64| Message {
            position: Position::new(7, *offset, 100 + offset),
            previous: core::mem::replace(&mut previous, Previous::Offset(*offset)),
            at: offset * 1_000,
            data: Some(Bytes::new()),
        };
        let messages = offsets.iter().map(message).collect();
        Page { top: Some(Position::new(7, top, 100 + top)), now: 20_000, messages, is_above: false }
    }

    #[test]
    fn page_with_holes_follows_only_from_a_message_that_is_kept() {
        let any = Position::ANY_MARK;
        for (page, since, age, expected) in [
            (page_with_holes(&[3, 7, 9], 9), (7, 3, 103), None, Ok([7, 9].to_vec())),
            (page_with_holes(&[3, 7, 9], 9), (7, 3, any), None, Ok([7, 9].to_vec())),
            (page_with_holes(&[3, 7], 9), (7, 3, 103), None, Ok([7].to_vec())),
            (page_with_holes(&[9], 9), (7, 9, 109), None, Ok(Vec::new())),
            (page_with_holes(&[], 9), (7, 9, 109), None, Ok(Vec::new())),
            // The message at the position is not kept, so what came after it is not known.
            (page_with_holes(&[7, 9], 9), (7, 3, 103), None, Err(Gap::TooOld)),
            (page_with_holes(&[7, 9], 9), (7, 0, 0), None, Err(Gap::TooOld)),
            (page_with_holes(&[3], 9), (7, 3, 103), None, Err(Gap::TooOld)),
            (page_with_holes(&[], 9), (7, 3, 103), None, Err(Gap::TooOld)),
            (page_with_holes(&[3, 7, 9], 9), (7, 3, 103), Some(13), Err(Gap::TooOld)),
            (page_with_holes(&[3, 7, 9], 9), (7, 3, 103), Some(14), Ok([7, 9].to_vec())),
            // Another message is there, or the position is beyond the end.
            (page_with_holes(&[3, 7, 9], 9), (7, 3, 1), None, Err(Gap::Rewritten)),
            (page_with_holes(&[9], 9), (7, 9, 1), None, Err(Gap::Rewritten)),
            (page_with_holes(&[], 9), (7, 12, 112), None, Err(Gap::Rewritten)),
            (page_with_holes(&[3, 7, 9], 9), (8, 3, 103), None, Err(Gap::OtherEpoch)),
        ] {
            assert_eq!(offsets(&page, since, age), expected, "{since:?} in {page:?}");
        }
        let mut holed = page_with_holes(&[3, 7, 9], 9);
        holed.messages.remove(1);
        assert_eq!(offsets(&holed, (7, 3, 103), None), Err(Gap::TooOld));
    }

    #[test]
    fn message_that_is_gone_is_lost_if_the_history_has_space_for_it() {
        let since = Position::new(7, 5, 105);
        for (offsets, top, messages_max, expected) in [
            (&[7, 9][..], 9, 3, true),
            (&[3, 7, 9], 9, 3, true),
            // It may have been removed for a later one.
            (&[7, 9], 9, 2, false),
            // It is there, or the rest may be somewhere else.
            (&[5, 7, 9], 9, 5, false),
            (&[7], 9, 5, false),
            (&[], 9, 5, false),
            // It begins again with lower offsets.
            (&[2, 3], 3, 5, false),
        ] {
            let page = page_with_holes(offsets, top);
            assert_eq!(is_gone(since, &page, Keep::messages(messages_max)), expected, "{offsets:?}");
        }
        let mut removed = page_with_holes(&[7, 9], 9);
        removed.messages[0].data = None;
        assert!(!is_gone(since, &removed, Keep::messages(5)), "somebody has removed it");
        assert!(!is_gone(since, &page(7..=9, 9), Keep::messages(5)), "marks decide");
    }

    #[test]
    fn message_that_is_gone_between_others_is_lost() {
        let (since, page) = (Position::new(7, 3, 103), page_with_holes(&[3, 7, 9], 9));
        for (kept, expected) in [
            ((7, 7, 107), false),
            ((7, 9, 109), false),
            ((7, 3, 1), false),
            ((7, 8, 108), true),
            ((7, 7, 1), true),
            ((7, 9, 1), true),
            ((7, 10, 110), true),
            ((6, 7, 107), true),
        ] {
            let kept = Position::new(kept.0, kept.1, kept.2);
            assert_eq!(is_lost(kept, since, &page), expected, "{kept}");
        }
        // Behind a part of the history, it may still be there.
        let part = page_with_holes(&[3, 7], 9);
        assert!(!is_lost(Position::new(7, 8, 108), since, &part));
    }

    #[test]
    fn hole_inside_a_page_is_a_gap() {
        let mut holed = page(3..=6, 6);
        holed.messages.remove(2);
        assert_eq!(offsets(&holed, (7, 3, 103), None), Err(Gap::TooOld));
        let mut foreign = page(3..=6, 6);
        foreign.messages[2].previous = Previous::Mark(1);
        assert_eq!(offsets(&foreign, (7, 3, 103), None), Err(Gap::Rewritten));
    }
}
