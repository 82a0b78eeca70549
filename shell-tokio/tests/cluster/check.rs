//! Compares what members received with what the broker acknowledged.
//!
//! The deliveries of a member to one room form *runs*: a run ends only with a gap, or with a subscription that was not
//! recovered. Within a run, each message must follow the one before it, and each acknowledged message at an offset of
//! the run must have been delivered. A message that the broker acknowledged and lost is not at its offset any more. It
//! must lie under a gap too: no run that had begun before the message was sent may pass its offset.

use super::record::{Acknowledged, Id, Position, Seen, What};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

/// What the checker found in a good history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) delivered: usize,
    /// Number of gaps, and of subscriptions that were not recovered.
    pub(crate) gaps: usize,
    /// Number of acknowledged messages that the broker lost, and that lie under a gap of this member.
    pub(crate) lost_under_gaps: usize,
}

impl Found {
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            gaps: self.gaps + other.gaps,
            lost_under_gaps: self.lost_under_gaps + other.lost_under_gaps,
        }
    }
}

/// Deliveries without a gap.
struct Run {
    started_at: Instant,
    /// The position before the first message. `None`: the next message tells it.
    start: Option<Position>,
    last: Option<Position>,
    messages: BTreeMap<u64, (u64, Id)>,
}

impl Run {
    fn new(started_at: Instant, start: Option<Position>) -> Self {
        Self { started_at, start, last: start, messages: BTreeMap::new() }
    }

    fn add(&mut self, position: Position, id: Id) -> Result<(), String> {
        let start = *self.start.get_or_insert(Position { offset: position.offset.saturating_sub(1), ..position });
        let last = self.last.unwrap_or(start);
        if position.epoch != last.epoch || position.offset != last.offset + 1 {
            return Err(format!("{id:?} at {} came after {}, without a gap", position.text(), last.text()));
        }
        self.last = Some(position);
        self.messages.insert(position.offset, (position.mark, id));
        Ok(())
    }
}

/// Checks what one member received of one room. `ledger`: the acknowledged messages of that room, in any order.
pub(crate) fn check(seen: &[Seen], ledger: &[Acknowledged]) -> Result<Found, String> {
    let mut found = Found::default();
    let (runs, ids) = runs(seen, &mut found)?;
    found.delivered = ids.len();
    let mut at: HashMap<(u64, u64), Vec<&Acknowledged>> = HashMap::new();
    for entry in ledger {
        at.entry((entry.position.epoch, entry.position.offset)).or_default().push(entry);
    }
    for run in &runs {
        let Some(last) = run.last else { continue };
        for (offset, (mark, id)) in &run.messages {
            for entry in at.get(&(last.epoch, *offset)).into_iter().flatten() {
                if entry.position.mark == *mark {
                    if entry.id != *id {
                        return Err(format!(
                            "{id:?} came at {}, which is that of {:?}",
                            entry.position.text(),
                            entry.id
                        ));
                    }
                } else if ids.contains(&entry.id) {
                    return Err(format!("{:?} was not delivered at {}", entry.id, entry.position.text()));
                } else if entry.sent_at > run.started_at {
                    let place = entry.position.text();
                    return Err(format!("{:?} at {place} was lost, and {id:?} took its place without a gap", entry.id));
                } else {
                    found.lost_under_gaps += 1;
                }
            }
        }
    }
    Ok(found)
}

fn runs(seen: &[Seen], found: &mut Found) -> Result<(Vec<Run>, HashSet<Id>), String> {
    let (mut runs, mut ids): (Vec<Run>, _) = (Vec::new(), HashSet::new());
    for Seen { at, what } in seen {
        match what {
            What::New(_) if !runs.is_empty() => return Err("a second subscription without a position".into()),
            What::New(position) => runs.push(Run::new(*at, Some(*position))),
            What::Recovered(position) => {
                let last = runs.last().and_then(|run| run.last);
                if last.is_some_and(|last| last != *position) {
                    return Err(format!("recovered at {}, but the last was {last:?}", position.text()));
                }
            }
            What::NotRecovered(position, _) => {
                found.gaps += 1;
                runs.push(Run::new(*at, Some(*position)));
            }
            What::Gap(position, _) => {
                found.gaps += 1;
                runs.push(Run::new(*at, *position));
            }
            What::Message(position, id) => {
                let run = runs.last_mut().ok_or_else(|| format!("{id:?} came before the subscription"))?;
                run.add(*position, *id)?;
                if !ids.insert(*id) {
                    return Err(format!("{id:?} came twice"));
                }
            }
        }
    }
    Ok((runs, ids))
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
