//! Compares what peers and the application sent with what the other side received.

use crate::Run;
use crate::swarm::Feature;
use drupe_core::kit::layer::Layered;
use drupe_core::{ConnId, Reason};
use std::collections::BTreeMap;

/// Checks that each peer received exactly what was sent to it, in order and once.
///
/// A slow peer may miss messages that a slow policy skips. A connection that did not end by the
/// drain may miss messages at its end.
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
                "{conn} receives its messages in order: message {place} is {text:?} and should be {:?} of {session:?}",
                before.clone().next()
            );
        }
        let is_whole = is_steady && !run.may_drop && run.world.reason(conn) == Some(Reason::Shutdown);
        assert!(
            !is_whole || rest.len() == 0,
            "{conn} receives every message: {} messages are missing, the first is {:?} of {session:?}",
            rest.len(),
            rest.next()
        );
    }
}

/// Checks that the application received exactly what each peer sent, in order.
///
/// Messages at the end may be missing if the peer did not end in good order.
pub(crate) fn received(run: &Run) {
    let mut received: BTreeMap<ConnId, &Vec<String>> = BTreeMap::new();
    run.world
        .handlers()
        .map(Layered::inner)
        .for_each(|hall| received.extend(hall.received.iter().map(|(conn, texts)| (*conn, texts))));
    let drops = run.swarm.has(Feature::Rates) && run.swarm.has(Feature::Drops);
    for (conn, session, is_steady) in sessions(run) {
        let empty = Vec::new();
        // The authentication layer does not pass on its own messages. Of single keys, it takes none.
        let is_for_layer = |text: &str| run.logins.as_ref().is_some_and(|logins| logins.takes(text));
        let received = received.get(&conn).copied().unwrap_or(&empty);
        let received: Vec<&String> = received.iter().filter(|text| !is_for_layer(text)).collect();
        let said: Vec<&String> = session.said.iter().filter(|text| !is_for_layer(text)).collect();
        let mut rest = said.into_iter();
        for (place, text) in received.iter().enumerate() {
            // The authentication layer does not pass on messages from before the login.
            let may_miss = drops || run.logins.is_some() && place == 0;
            let before = rest.clone();
            let is_unfinished = place + 1 == received.len() && session.unfinished.as_ref() == Some(*text);
            let found = if is_unfinished && !rest.clone().any(|next| next == *text) {
                true
            } else if may_miss {
                rest.any(|next| next == *text)
            } else {
                rest.next().is_some_and(|next| next == *text)
            };
            assert!(
                found,
                "messages of {conn} arrive in order: message {place} is {text:?} and should be {:?} of {session:?}",
                before.clone().next()
            );
        }
        let is_known = run.logins.is_none() || !received.is_empty();
        let is_whole = is_steady && is_known && !drops && run.world.reason(conn) == Some(Reason::PeerClosed);
        assert!(
            !is_whole || rest.len() == 0,
            "every message of {conn} arrives: {} messages are missing, the first is {:?}",
            rest.len(),
            rest.next()
        );
    }
}

/// Checks that every peer has the client certificate that its listener requires.
pub(crate) fn nobody_is_a_stranger(run: &Run) {
    for hall in run.world.handlers().map(Layered::inner) {
        assert!(
            hall.strangers.is_empty(),
            "a required client certificate is checked: {:?} had none that is valid",
            hall.strangers
        );
    }
}

/// Checks that HTTP responses match the configuration of the listener.
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
                    "/monitor" | "/nothing" => "404",
                    "/monitor.js" if monitor == Some("false") => "404",
                    "/metrics" if metrics == Some("credential") => "401",
                    "/metrics" if metrics == Some("off") => "404",
                    "/app.js" | "/score" | "/slow" => "200",
                    "/%2e%2e/app.js" => "400",
                    _ => continue,
                };
                // Unknown methods and upgrades, refused bodies, a full or draining server, and timeouts.
                let is_other = ["405", "408", "413", "426", "429", "501", "503"].contains(&status.as_str());
                assert!(
                    status == expected || is_other,
                    "only configured paths are served: {path} has the status {status} at {listener}"
                );
            }
        }
    }
}

/// Checks that two runs of one seed are the same.
///
/// Encrypted bytes differ in each run, and a trace contains those that the machine discards unread.
/// So with TLS, traces are not compared.
pub(crate) fn is_same(one: &Run, other: &Run) {
    let received = |run: &Run| run.world.handlers().map(|app| app.inner().received.clone()).collect::<Vec<_>>();
    assert_eq!(received(one), received(other), "runs of the same seed receive the same messages");
    let counted = [one, other].map(|run| format!("{:?}", run.world.metrics()));
    assert_eq!(counted[0], counted[1], "runs of the same seed have the same metrics");
    if !one.swarm.has(Feature::Tls) {
        assert_eq!(one.world.traces(), other.world.traces(), "runs of the same seed have the same trace");
    }
}

/// Checks that no nonce is used twice on the whole server.
pub(crate) fn nonces(run: &Run) {
    if let Some(logins) = &run.logins {
        let repeated = logins.repeated.borrow();
        assert!(repeated.is_none(), "a nonce is used once: {repeated:?} came twice");
    }
}

/// Checks that each request to the home of a room was answered once.
pub(crate) fn homes_answer_once(run: &Run) {
    for hall in run.world.handlers().map(Layered::inner) {
        let wrong: Vec<_> = hall.homes().not_once().collect();
        assert!(wrong.is_empty(), "each request to a home is answered once: {wrong:?}");
    }
}

/// The connections of peers that send only messages: the session, and whether the link is steady.
fn sessions(run: &Run) -> impl Iterator<Item = (ConnId, &drupe_core::sim::Session, bool)> {
    let exact = run.exact.iter().enumerate().filter(|(_, exact)| **exact).map(|(peer, _)| peer);
    exact.flat_map(move |peer| {
        // A refused connection has a session but no `ConnId`.
        let sessions = run.world.actor(peer).sessions().iter().filter(|session| !session.was_refused);
        let conns = run.world.connections(peer).iter().copied();
        conns.zip(sessions).map(move |(conn, session)| (conn, session, run.world.is_steady(peer)))
    })
}

/// A message of the application, without preceding prompts. `None` for notices of the server.
fn message(text: &str) -> Option<&str> {
    let mut text = text;
    // On raw connections, nothing separates what the operator publishes from what follows.
    let prompts = ["> ", "user: ", "password: ", crate::hall::OPERATOR];
    let notice = |text: &'_ str| {
        let gap = text.strip_prefix("notice: messages in ")?;
        gap.find(')').map(|end| text.len() - gap.len() + end + 1)
    };
    while let Some(rest) =
        prompts.iter().find_map(|prompt| text.strip_prefix(prompt)).or_else(|| text.get(notice(text)?..))
    {
        text = rest;
    }
    let is_ours = ["all ", "side ", "other ", "echo ", "many ", "big ", "each ", "bye;"]
        .iter()
        .any(|verb| text.starts_with(verb));
    (is_ours && text.ends_with(';')).then_some(text)
}

/// The first 150 characters of a guarantee, with each number replaced by `N`.
pub(crate) fn kind(promise: &str) -> String {
    let words = promise.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty() && *part != ".");
    words.collect::<Vec<_>>().join("N").chars().take(150).collect()
}
