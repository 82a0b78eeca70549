//! What was said and heard, compared.

use crate::Run;
use crate::swarm::Feature;
use drupe_core::kit::layer::Layered;
use drupe_core::{ConnId, Reason};
use std::collections::BTreeMap;

/// Everybody hears what was sent to them, in order: nothing else, nothing twice, and all of it but what a slow peer may miss.
pub(crate) fn heard(run: &Run) {
    let mut sent: BTreeMap<ConnId, &Vec<String>> = BTreeMap::new();
    run.world
        .handlers()
        .map(Layered::inner)
        .for_each(|hall| sent.extend(hall.sent.iter().map(|(conn, texts)| (*conn, texts))));
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
            "{conn} hears everything to the end: {} messages are missing, the first is {:?} of {session:?}",
            rest.len(),
            rest.next()
        );
    }
}

/// What peers say arrives, in order: nothing else, and all of it if they ended in good order.
pub(crate) fn received(run: &Run) {
    let mut received: BTreeMap<ConnId, &Vec<String>> = BTreeMap::new();
    run.world
        .handlers()
        .map(Layered::inner)
        .for_each(|hall| received.extend(hall.received.iter().map(|(conn, texts)| (*conn, texts))));
    let drops = run.swarm.has(Feature::Rates) && run.swarm.has(Feature::Drops);
    for (conn, session, is_steady) in sessions(run) {
        let empty = Vec::new();
        let received = received.get(&conn).copied().unwrap_or(&empty);
        // What proves who somebody is goes no further.
        let said: Vec<&String> = session.said.iter().filter(|text| !text.starts_with("/auth ")).collect();
        let mut rest = said.into_iter();
        for (place, text) in received.iter().enumerate() {
            // Nothing that somebody says goes further before it is proven who they are.
            let may_miss = drops || run.logins.is_some() && place == 0;
            let before = rest.clone();
            let is_unfinished = place + 1 == received.len() && session.unfinished.as_ref() == Some(text);
            let found = if is_unfinished && !rest.clone().any(|next| next == text) {
                true
            } else if may_miss {
                rest.any(|next| next == text)
            } else {
                rest.next().is_some_and(|next| next == text)
            };
            assert!(
                found,
                "what {conn} says arrives in order: message {place} is {text:?} and should be {:?} of {session:?}",
                before.clone().next()
            );
        }
        let is_known = run.logins.is_none() || !received.is_empty();
        let is_whole = is_steady && is_known && !drops && run.world.reason(conn) == Some(Reason::PeerClosed);
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
    for hall in run.world.handlers().map(Layered::inner) {
        assert!(hall.strangers.is_empty(), "who is let in has shown a certificate: {:?} has not", hall.strangers);
    }
}

/// What is asked for over HTTP is answered as the listener is configured.
pub(crate) fn answers(run: &Run) {
    if run.swarm.has(Feature::Garbage) || run.swarm.has(Feature::Drops) || run.swarm.has(Feature::Reloads) {
        return;
    }
    for (peer, listener) in run.http.iter().enumerate().filter_map(|(peer, listener)| Some((peer, listener.as_ref()?)))
    {
        let mut words = listener.split(' ');
        let (Some("web"), monitor, metrics) = (words.next(), words.next(), words.next()) else { continue };
        for session in run.world.actor(peer).sessions().iter().filter(|session| !session.was_refused) {
            for (path, status) in session.said.iter().zip(&session.heard) {
                let expected = match path.as_str() {
                    "/monitor" if monitor == Some("true") => "401",
                    "/monitor" => "404",
                    "/monitor.js" if monitor == Some("false") => "404",
                    "/metrics" if metrics == Some("credential") => "401",
                    "/metrics" if metrics == Some("off") => "404",
                    _ => continue,
                };
                // Methods and upgrades that are not known, a server that is full or ends, and a request that took too long.
                let is_other = ["405", "408", "426", "429", "503"].contains(&status.as_str());
                assert!(
                    status == expected || is_other,
                    "what is not configured is not served: {path} is answered {status} at {listener}"
                );
            }
        }
    }
}

/// The same seed is the same world. What TLS sends is another each time, and stands in the trace where it is discarded unread; there
/// what was counted and what arrived are compared.
pub(crate) fn is_same(one: &Run, other: &Run) {
    let received = |run: &Run| run.world.handlers().map(|app| app.inner().received.clone()).collect::<Vec<_>>();
    assert_eq!(received(one), received(other), "the same seed is the same world");
    let counted = [one, other].map(|run| format!("{:?}", run.world.metrics()));
    assert_eq!(counted[0], counted[1], "the same seed counts the same");
    if !one.swarm.has(Feature::Tls) {
        assert_eq!(one.world.traces(), other.world.traces(), "the same seed has the same trace");
    }
}

/// No nonce is used twice, on no shard.
pub(crate) fn nonces(run: &Run) {
    if let Some(logins) = &run.logins {
        let repeated = logins.repeated.borrow();
        assert!(repeated.is_none(), "a nonce is used once: {repeated:?} came twice");
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
    let prompts = ["> ", "user: ", "password: "];
    while let Some(rest) = prompts.iter().find_map(|prompt| text.strip_prefix(prompt)) {
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
