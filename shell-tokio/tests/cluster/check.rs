//! Compares what members received with what the broker acknowledged.
//!
//! The deliveries of a member to one room form *runs*: a run ends only with a gap, or with a subscription that was not
//! recovered. Within a run, each message must follow the one before it. A run must have each message that was sent after
//! the run began, and acknowledged before another message of the run was sent. Whether the broker still has that message
//! does not matter: if it has lost it, the member must have been told of a gap.
//!
//! The gap may come after later messages in one case: no broker has the message any more, and the member's host never
//! had it. Then only the host of the publisher can know, and it tells the others once it has read the room's history. That
//! the broker lost the message is proved by its numbers: a later message has no higher one.
//!
//! With some brokers, rooms share their numbers, so that numbers only rise. There, hosts give epochs: a message may be
//! acknowledged in an epoch that another host knows to be over.

use super::record::{Acknowledged, Id, Position, Seen, What};
use std::collections::HashMap;
use std::time::Instant;

/// What the checker found in a good history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) delivered: usize,
    /// Number of gaps, and of subscriptions that were not recovered.
    pub(crate) gaps: usize,
    /// Number of acknowledged messages that this member did not receive.
    pub(crate) not_received: usize,
    /// Number of these that the broker lost, and whose gap came only after later messages.
    pub(crate) told_late: usize,
}

impl Found {
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            gaps: self.gaps + other.gaps,
            not_received: self.not_received + other.not_received,
            told_late: self.told_late + other.told_late,
        }
    }
}

/// Deliveries without a gap.
struct Run {
    started_at: Instant,
    /// The position before the first message. `None`: the next message tells it.
    start: Option<Position>,
    last: Option<Position>,
    ids: Vec<Id>,
    has_holes: bool,
}

impl Run {
    fn new(started_at: Instant, start: Option<Position>, has_holes: bool) -> Self {
        Self { started_at, start, last: start, ids: Vec::new(), has_holes }
    }

    fn add(&mut self, position: Position, id: Id) -> Result<(), String> {
        let start = *self.start.get_or_insert(Position { offset: position.offset.saturating_sub(1), ..position });
        let last = self.last.unwrap_or(start);
        let is_next = position.offset == last.offset + 1 || self.has_holes && position.offset > last.offset;
        if position.epoch != last.epoch || !is_next {
            return Err(format!("{id:?} at {} came after {}, without a gap", position.text(), last.text()));
        }
        self.last = Some(position);
        self.ids.push(id);
        Ok(())
    }
}

/// Checks what one member received of one room. `ledger`: the acknowledged messages of that room, in any order. `all`:
/// those of all rooms, if rooms share their numbers.
pub(crate) fn check(seen: &[Seen], ledger: &[Acknowledged], all: Option<&[Acknowledged]>) -> Result<Found, String> {
    let (mut found, has_holes) = (Found::default(), all.is_some());
    let (runs, places) = runs(seen, &mut found, has_holes)?;
    found.delivered = places.len();
    let sent_at: HashMap<Id, Instant> = ledger.iter().map(|entry| (entry.id, entry.sent_at)).collect();
    let last_sent: Vec<Option<Instant>> =
        runs.iter().map(|run| run.ids.iter().filter_map(|id| sent_at.get(id)).max().copied()).collect();
    for missing in ledger {
        let (id, position) = (missing.id, missing.position);
        match places.get(&id) {
            Some(place) if *place == position => continue,
            Some(place) if has_holes && (place.offset, place.mark) == (position.offset, position.mark) => continue,
            Some(place) => return Err(format!("{id:?} came at {}, not at {}", place.text(), position.text())),
            None => found.not_received += 1,
        }
        let is_within = |place: &usize| {
            runs[*place].started_at < missing.sent_at && last_sent[*place].is_some_and(|last| last > missing.told_at)
        };
        let Some(number) = (0..runs.len()).find(is_within) else { continue };
        let told_at = runs.get(number + 1).map(|next| next.started_at);
        if told_at.is_some_and(|until| is_lost(missing, until, all.unwrap_or(ledger))) {
            found.told_late += 1;
        } else {
            return Err(format!("{id:?} at {} is missing in run {number}, without a gap", position.text()));
        }
    }
    Ok(found)
}

/// Returns `true` if the numbers prove that the broker lost a message before some time.
fn is_lost(missing: &Acknowledged, until: Instant, numbers: &[Acknowledged]) -> bool {
    let is_later = |entry: &&Acknowledged| entry.sent_at > missing.told_at && entry.told_at < until;
    numbers.iter().filter(is_later).any(|entry| entry.position.offset <= missing.position.offset)
}

fn runs(seen: &[Seen], found: &mut Found, has_holes: bool) -> Result<(Vec<Run>, HashMap<Id, Position>), String> {
    let (mut runs, mut places): (Vec<Run>, _) = (Vec::new(), HashMap::new());
    for Seen { at, what } in seen {
        match what {
            What::New(_) if !runs.is_empty() => return Err("a second subscription without a position".into()),
            What::New(position) => runs.push(Run::new(*at, Some(*position), has_holes)),
            What::Recovered(position) => {
                let Some(run) = runs.last_mut() else { continue };
                // A position also moves on without a message.
                let is_last = |last: Position| last == *position || has_holes && last.offset < position.offset;
                if run.last.is_some_and(|last| !is_last(last)) {
                    return Err(format!("recovered at {}, but the last was {:?}", position.text(), run.last));
                }
                run.last = run.last.and(Some(*position));
            }
            What::NotRecovered(position, _) => {
                found.gaps += 1;
                runs.push(Run::new(*at, Some(*position), has_holes));
            }
            What::Gap(position, _) => {
                found.gaps += 1;
                runs.push(Run::new(*at, *position, has_holes));
            }
            What::Message(position, id) => {
                let run = runs.last_mut().ok_or_else(|| format!("{id:?} came before the subscription"))?;
                run.add(*position, *id)?;
                if places.insert(*id, *position).is_some() {
                    return Err(format!("{id:?} came twice"));
                }
            }
        }
    }
    Ok((runs, places))
}

/// Checks that all members received the same message at each position.
pub(crate) fn check_order<'s>(members: impl Iterator<Item = &'s [Seen]>) -> Result<(), String> {
    let mut known: HashMap<Position, Id> = HashMap::new();
    for seen in members {
        for Seen { what, .. } in seen {
            let What::Message(position, id) = what else { continue };
            let first = *known.entry(*position).or_insert(*id);
            if first != *id {
                return Err(format!("{first:?} and {id:?} came at {}", position.text()));
            }
        }
    }
    Ok(())
}
