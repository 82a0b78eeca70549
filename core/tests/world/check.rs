//! What was said and heard, compared.

use crate::Run;
use crate::swarm::Feature;
use drupe_core::{ConnId, Reason};
use std::collections::BTreeMap;

/// Everybody hears what was sent to them, in order: nothing else, nothing twice, and all of it but what a slow peer may miss.
pub(crate) fn heard(run: &Run) {
    let mut sent: BTreeMap<ConnId, &Vec<String>> = BTreeMap::new();
    run.world.handlers().for_each(|hall| sent.extend(hall.sent.iter().map(|(conn, texts)| (*conn, texts))));
    for (conn, session, is_steady) in sessions(run) {
        let empty = Vec::new();
        let sent = sent.get(&conn).copied().unwrap_or(&empty);
        let heard: Vec<&str> = session.heard.iter().filter_map(|text| message(text)).collect();
        let may_skip = !is_steady && run.swarm.has(Feature::Policies);
        let mut rest = sent.iter();
        for (place, text) in heard.iter().enumerate() {
            let before = rest.clone();
            let found =
                if may_skip { rest.any(|next| next == text) } else { rest.next().is_some_and(|next| next == text) };
            assert!(
                found,
                "{conn} hears what it is sent, in order: message {place} is {text:?} and should be {:?} of {session:?}",
                before.clone().next()
            );
        }
        let is_whole = is_steady && run.world.reason(conn) == Some(Reason::Shutdown);
        assert!(
            !is_whole || rest.len() == 0,
            "{conn} hears everything to the end: {} messages are missing, the first is {:?}",
            rest.len(),
            rest.next()
        );
    }
}

/// What peers say arrives, in order: nothing else, and all of it if they ended in good order.
pub(crate) fn received(run: &Run) {
    let mut received: BTreeMap<ConnId, &Vec<String>> = BTreeMap::new();
    run.world.handlers().for_each(|hall| received.extend(hall.received.iter().map(|(conn, texts)| (*conn, texts))));
    let drops = run.swarm.has(Feature::Rates) && run.swarm.has(Feature::Drops);
    for (conn, session, is_steady) in sessions(run) {
        let empty = Vec::new();
        let received = received.get(&conn).copied().unwrap_or(&empty);
        let mut rest = session.said.iter();
        for (place, text) in received.iter().enumerate() {
            let before = rest.clone();
            let found =
                if drops { rest.any(|next| next == text) } else { rest.next().is_some_and(|next| next == text) };
            assert!(
                found,
                "what {conn} says arrives in order: message {place} is {text:?} and should be {:?} of {session:?}",
                before.clone().next()
            );
        }
        let is_whole = is_steady && !drops && run.world.reason(conn) == Some(Reason::PeerClosed);
        assert!(
            !is_whole || rest.len() == 0,
            "what {conn} said before it ended arrives: {} messages are missing, the first is {:?}",
            rest.len(),
            rest.next()
        );
    }
}

/// Nobody came in without what their listener asks for.
pub(crate) fn nobody_is_a_stranger(run: &Run) {
    for hall in run.world.handlers() {
        assert!(hall.strangers.is_empty(), "who is let in has shown a certificate: {:?} has not", hall.strangers);
    }
}

/// All connections that were opened by peers who say nothing but messages, with their sessions.
fn sessions(run: &Run) -> impl Iterator<Item = (ConnId, &drupe_core::sim::Session, bool)> {
    let exact = run.exact.iter().enumerate().filter(|(_, exact)| **exact).map(|(peer, _)| peer);
    exact.flat_map(move |peer| {
        // Of each that was refused there is a session and no connection.
        let sessions = run.world.actor(peer).sessions().iter().filter(|session| !session.was_refused);
        let conns = run.world.connections(peer).iter().copied();
        conns.zip(sessions).map(move |(conn, session)| (conn, session, run.world.is_steady(peer)))
    })
}

/// A message of the application, without a prompt before it; `None` for what the server says itself.
fn message(text: &str) -> Option<&str> {
    let mut text = text;
    while let Some(rest) = text.strip_prefix("> ").or_else(|| text.strip_prefix("password: ")) {
        text = rest;
    }
    let is_ours = ["all ", "side ", "other ", "echo ", "many ", "big ", "each ", "bye;"]
        .iter()
        .any(|verb| text.starts_with(verb));
    (is_ours && text.ends_with(';')).then_some(text)
}

/// A promise without the numbers in it.
pub(crate) fn kind(promise: &str) -> String {
    let words = promise.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty() && *part != ".");
    words.collect::<Vec<_>>().join("N").chars().take(150).collect()
}
