//! Compares the histories of dials with the reference model, and sent words with received ones.

use super::Run;
use super::app::Happened;
use super::draw::{Kind, Place, end_of, kind_of};
use super::ends::End;
use super::model::{Model, may_close, may_fail};
use super::server::Lie;
use drupe_core::sim::Attempt;
use drupe_core::{ConnId, Dial, DialId, Failure, Reason, Time};
use std::collections::BTreeMap;

/// Checks that the attempts of each dial, and its end, follow its options.
pub(crate) fn dials(run: &Run) {
    for (shard, app) in run.world.handlers().enumerate() {
        let attempts = |dial: DialId| {
            run.world
                .attempts()
                .iter()
                .filter(move |attempt| usize::from(attempt.shard) == shard && attempt.dial == dial)
        };
        for (begun, id, happened) in &app.log {
            let Happened::Dialled(dial) = happened else { continue };
            let events = app.log.iter().filter(|(_, other, event)| other == id && event != happened);
            let events: Vec<_> = events.map(|(at, _, event)| (*at, event)).collect();
            let tries: Vec<_> = attempts(*id).collect();
            if let Err(wrong) = follow(dial, *begun, app.drains_since, &tries, &events) {
                let Dial { address, others, order, backoff, .. } = &**dial;
                panic!(
                    "the attempts of a dial follow its options: {wrong}: {id:?} of shard {shard}: {address}, {others:?}, \
                     {order:?}, {backoff:?}, {events:#?}, {tries:#?}"
                );
            }
        }
    }
}

/// Compares the history of one dial with the model.
fn follow(
    dial: &Dial,
    begun: Time,
    drains_since: Option<Time>,
    attempts: &[&Attempt],
    events: &[(Time, &Happened)],
) -> Result<(), String> {
    let mut model = Model::new(dial, begun);
    let mut attempts = attempts.iter().peekable();
    for (at, event) in events {
        // An attempt comes before the event that ends it, and after those that caused it.
        let ends = matches!(event, Happened::Opened(_) | Happened::Failed(..));
        while let Some(attempt) = attempts.next_if(|attempt| attempt.began < *at || ends && model.is_due(*at)) {
            model.tried(attempt)?;
        }
        let is_over = matches!(event, Happened::Ended | Happened::Failed(_, None));
        if matches!(event, Happened::Cancelled) || is_over && drains_since.is_some_and(|since| since <= *at) {
            // An attempt that begins at this time is cancelled at once.
            let late = attempts.find(|attempt| attempt.began > *at);
            return late.map_or(Ok(()), |late| Err(format!("{late:?} begins after the dial has ended")));
        }
        model.happened(*at, event)?;
        if model.is_unsure {
            return Ok(());
        }
    }
    attempts.try_for_each(|attempt| model.tried(attempt))
}

/// Checks that a drain keeps the links that it should, until all other connections have ended.
pub(crate) fn kept(run: &Run) {
    for app in run.world.handlers().filter(|_| run.is_calm) {
        let deadline = app.drains_since.map(|since| since + run.world.config().drain.deadline);
        let early = app.lost_early.iter().find(|(at, _)| deadline.is_none_or(|deadline| *at < deadline));
        assert!(early.is_none(), "a drain keeps a link while others are open: {early:?} ends before {deadline:?}");
    }
}

/// A connection of a dial, or the attempt in which it failed.
struct Ended {
    kind: Kind,
    lie: Lie,
    is_steady: bool,
    is_pair: bool,
}

/// Checks that each attempt and each connection ends with the reason that its server caused.
pub(crate) fn ends_of_connections(run: &Run) {
    if !run.is_calm {
        return;
    }
    let known = connections(run);
    for (shard, app) in run.world.handlers().enumerate() {
        let drains = |at: Time| app.drains_since.is_some_and(|since| since <= at);
        for attempt in run.world.attempts().iter().filter(|attempt| usize::from(attempt.shard) == shard) {
            let Some((conn, _)) = attempt.connected else { continue };
            let ended = &known[&conn];
            let next = |(_, dial, event): &&(Time, DialId, Happened)| {
                *dial == attempt.dial
                    && matches!(event, Happened::Failed(..) | Happened::Opened(_) | Happened::Cancelled)
            };
            let since = attempt.ended.expect("it connected");
            let place = app.log.iter().position(|(_, _, event)| *event == Happened::Opened(conn));
            if place.is_some() {
                continue;
            }
            let first = app.log.iter().filter(|(at, ..)| *at >= since).find(next);
            if let Some((at, _, Happened::Failed(failure, _))) = first {
                let fits = may_fail(ended.kind.speech, ended.kind.secrecy, ended.lie, *failure)
                    || drains(*at)
                    // The other side waits for a free peer, and may have timed out.
                    || ended.is_pair && matches!(failure, Failure::TimedOut | Failure::Reset | Failure::Handshake)
                    || !ended.is_steady;
                assert!(fits, "each server has its failure: {:?} is {failure} for {attempt:?}", ended.lie);
            }
        }
        for (place, (at, dial, event)) in app.log.iter().enumerate() {
            let Happened::Closed(conn, reason, _) = event else { continue };
            let ended = &known[conn];
            let next = app.log[place + 1..].iter().find(|(_, other, _)| other == dial);
            let failed = next.filter(|(then, ..)| then == at).map(|(.., event)| event);
            let asked = |(_, _, event): &(Time, DialId, Happened)| matches!(event, Happened::Asked(other, Ok(())) if other == conn);
            let has_asked = app.log[..place].iter().any(asked);
            let fits = match failed {
                Some(Happened::Failed(failure, _)) if has_asked => {
                    may_fail(ended.kind.speech, ended.kind.secrecy, ended.lie, *failure)
                }
                _ => may_close(ended.kind.speech, ended.lie, *reason),
            };
            let is_known = *reason == Reason::Application || drains(*at) || ended.is_pair || !ended.is_steady;
            assert!(
                fits || is_known,
                "each server has its reason: {conn} with {:?} is {reason}, {failed:?}",
                ended.lie
            );
        }
    }
}

/// Returns the facts about each connection of a dial.
fn connections(run: &Run) -> BTreeMap<ConnId, Ended> {
    let connected = run.world.attempts().iter().filter_map(|attempt| Some((attempt, attempt.connected?)));
    let known = connected.map(|(attempt, (conn, peer))| {
        let place = run.world.connections(peer).iter().position(|other| *other == conn).expect("it has it");
        let lie = match run.world.actor(peer) {
            End::Server(server) => server.lies[place],
            _ => None,
        };
        let is_pair = matches!(end_of(&attempt.address), Place::Listener(_));
        let kind = kind_of(attempt.address.split('.').next().unwrap_or_default());
        (conn, Ended { kind, lie, is_steady: run.world.is_steady(peer), is_pair })
    });
    known.collect()
}

/// Checks that good servers receive each word once and in order, because they send each back.
pub(crate) fn words(run: &Run) {
    let known = connections(run);
    for app in run.world.handlers() {
        for (conn, heard) in &app.heard {
            let ended = &known[conn];
            let said = app.said.get(conn).map(Vec::as_slice).unwrap_or_default();
            if ended.lie.is_none() {
                // Limits may drop messages that arrive too fast.
                let mut rest = said.iter();
                let is_in_order = heard.iter().all(|word| rest.any(|said| said == word));
                let is_whole = is_in_order && (!run.is_calm || said.starts_with(heard));
                assert!(is_whole, "each word comes back once, in order: {conn}: {said:?}, {heard:?}");
            }
        }
    }
}

/// Checks that peers of listeners lose nothing, whatever the links do.
pub(crate) fn peers(run: &Run) {
    if !run.is_calm {
        return;
    }
    for peer in &run.peers {
        let End::Peer(client) = run.world.actor(*peer) else { continue };
        let sessions = client.sessions().iter().filter(|session| !session.was_refused);
        for (conn, session) in run.world.connections(*peer).iter().zip(sessions) {
            let is_whole =
                session.heard == session.said || run.drains_early && session.said.starts_with(&session.heard);
            assert!(is_whole, "{conn} gets each of its messages back: {session:?}");
            // A client that is not ready may leave again.
            let reason = run.world.reason(*conn);
            let stays = reason == Some(Reason::Shutdown) || session.said.is_empty();
            assert!(stays, "{conn} stays until the drain: {reason:?}");
        }
    }
}

/// The situations that the worlds have reached. The check fails if the swarm misses one.
#[derive(Default)]
pub(crate) struct Reached {
    failures: BTreeMap<String, u32>,
    reasons: BTreeMap<Reason, u32>,
    words: usize,
    asked: u32,
    pairs: u32,
    late: u32,
}

impl Reached {
    pub(crate) fn count(&mut self, run: &Run) {
        for app in run.world.handlers() {
            for (.., event) in &app.log {
                match event {
                    Happened::Failed(failure, _) => *self.failures.entry(failure.to_string()).or_default() += 1,
                    Happened::Closed(_, reason, _) => *self.reasons.entry(*reason).or_default() += 1,
                    Happened::Asked(_, Ok(())) => self.asked += 1,
                    _ => {}
                }
            }
            self.words += app.heard.values().map(Vec::len).sum::<usize>();
        }
        for attempt in run.world.attempts() {
            let is_pair = matches!(end_of(&attempt.address), Place::Listener(_));
            self.pairs += u32::from(is_pair && attempt.connected.is_some());
            self.late += u32::from(attempt.ended.is_some() && attempt.connected.is_none() && attempt.failed.is_none());
        }
    }

    pub(crate) fn check(&self) {
        let expected = [
            "refused",
            "unreachable",
            "timed_out",
            "reset",
            "handshake",
            "rejected_302",
            "rejected_503",
            "not_tls",
            "name_mismatch",
            "other",
        ];
        for failure in expected {
            let count = self.failures.get(failure).copied().unwrap_or(0);
            assert!(count > 5, "{failure} came {count} times in {:?}", self.failures);
        }
        for reason in [Reason::PeerClosed, Reason::Application, Reason::Shutdown, Reason::MessageTooLarge] {
            let count = self.reasons.get(&reason).copied().unwrap_or(0);
            assert!(count > 5, "{reason} came {count} times in {:?}", self.reasons);
        }
        let counts = [self.asked, self.pairs, self.late, u32::try_from(self.words).expect("it fits")];
        assert!(counts.iter().all(|count| *count > 200), "asked, pairs, late results, words: {counts:?}");
    }
}
