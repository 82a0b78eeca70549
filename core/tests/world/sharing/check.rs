//! Compares what members heard with what the broker kept.

use super::{Found, Run};
use crate::remembering::{Desk, Heard, Member};
use drupe_core::history::{Position, Recovery};
use drupe_core::sim::BrokerMessage;
use std::collections::{BTreeMap, BTreeSet};

/// Checks each membership of each peer.
pub(super) fn members(run: &Run, found: &mut Found) {
    let ledger = run.broker.messages("drupe");
    found.lost += ledger.iter().filter(|message| message.was_lost).count() as u64;
    let desks: Vec<&Desk> = run.world.handlers().collect();
    for peer in 0..run.peers {
        let client = run.world.actor(peer).client().expect("peers come first");
        let sessions = client.sessions().iter().filter(|session| !session.was_refused);
        for (&conn, session) in run.world.connections(peer).iter().zip(sessions) {
            let desk = desks[usize::from(conn.shard())];
            let mut open: BTreeMap<&str, Story<'_>> = BTreeMap::new();
            for text in &session.heard {
                match Heard::parse(text) {
                    Heard::Asked(number) => {
                        let Some(member) = desk.members.get(number).filter(|member| member.conn == conn) else {
                            continue;
                        };
                        open.insert(&member.room, Story::new(member, found));
                    }
                    Heard::Left(number) => drop(open.remove(&*desk.members[number].room)),
                    heard => {
                        let Some(room) = room_of(&heard) else { continue };
                        if let Some(story) = open.get_mut(room) {
                            story.hear(&ledger, &heard, found);
                        }
                    }
                }
            }
        }
    }
    for desk in desks {
        assert!(desk.strays.is_empty(), "each event names a member or a request: {:?}", desk.strays);
    }
}

fn room_of<'t>(heard: &Heard<'t>) -> Option<&'t str> {
    match heard {
        Heard::Joined { room, .. } | Heard::Message { room, .. } | Heard::Gap { room, .. } => Some(room),
        _ => None,
    }
}

/// What one member has heard so far.
struct Story<'r> {
    member: &'r Member,
    /// The index in the ledger after the last message, if nothing may be missing before the next.
    next: Option<usize>,
    since: Option<Position>,
    seen: BTreeSet<String>,
    /// Whether a gap was told, after which the desk may still say where the member joined.
    had_gap: bool,
}

impl<'r> Story<'r> {
    fn new(member: &'r Member, found: &mut Found) -> Self {
        let has_recovered = matches!(member.joined.first(), Some((_, Recovery::Recovered { .. })));
        found.recovered += u64::from(has_recovered);
        let since = member.since.filter(|_| has_recovered);
        Self { member, next: None, since, seen: BTreeSet::new(), had_gap: false }
    }

    fn hear(&mut self, ledger: &[BrokerMessage], heard: &Heard<'_>, found: &mut Found) {
        match heard {
            Heard::Message { name, .. } => {
                found.messages += 1;
                assert!(self.seen.insert((*name).to_string()), "{name} came twice to {:?}", self.member);
                // Messages of a room that has no home for a while are not in the ledger.
                let Some(at) = ledger.iter().position(|message| is_named(message, name)) else {
                    self.next = None;
                    return;
                };
                if let Some(since) = self.since.take() {
                    self.next = after(ledger, since);
                }
                if let Some(from) = self.next {
                    assert!(at >= from, "{name} came after a later one to {:?}", self.member);
                    let is_missing = |message: &&BrokerMessage| {
                        let is_for_member = !message.except.contains(&self.member.conn);
                        message.room == self.member.room && !message.was_lost && is_for_member
                    };
                    let missing = ledger[from..at].iter().find(is_missing);
                    assert!(missing.is_none(), "{missing:?} is missing before {name} for {:?}", self.member);
                }
                self.next = Some(at + 1);
            }
            Heard::Gap { .. } => {
                found.gaps += 1;
                (self.next, self.since, self.had_gap) = (None, None, true);
            }
            Heard::Joined { position, .. } if self.next.is_none() && self.since.is_none() && !self.had_gap => {
                self.next = position.and_then(|position| after(ledger, position));
            }
            _ => {}
        }
    }
}

fn is_named(message: &BrokerMessage, name: &str) -> bool {
    let payload = message.message.as_outgoing().as_payload(drupe_core::Representation::Text);
    payload.as_str().is_some_and(|text| text.split(' ').nth(2) == Some(name))
}

/// Returns the index after the message at a position.
fn after(ledger: &[BrokerMessage], position: Position) -> Option<usize> {
    let at = ledger.iter().position(|message| message.position.mark == position.mark);
    at.map(|at| at + 1)
}
