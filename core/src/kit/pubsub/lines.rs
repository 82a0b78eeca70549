//! Commands of people, on lines and telnet.

use super::answer::Answer;
use super::codes::{Failed, Refusal};
use super::command::{Connect, History, Publish, Subscribe};
use super::hooks::Hooks;
use super::service::{PubSub, fail, reply};
use super::session::Session;
use super::subscribing::{Begin, Begun};
use crate::base::{ConnId, Reason};
use crate::handler::Hub;
use alloc::borrow::Cow;
use alloc::string::String;

const HELP: &str =
    "* /sub CHANNEL, /unsub CHANNEL, /pub CHANNEL TEXT, /who CHANNEL, /history CHANNEL, /connect TOKEN, /quit";

/// The number of each command of a person, whose answers need none.
const ID: u32 = 1;

/// Begins the session of a person: with the name from authentication, or as an anonymous client.
pub(super) fn begin<K: Hooks>(app: &mut PubSub<K>, hub: &mut Hub<'_, Session>, conn: ConnId) {
    if let Ok(admitted) = app.admit(hub, conn, &Connect::default()) {
        app.admitted(hub, conn, admitted);
    }
}

/// Runs the command in a line.
pub(super) fn said<K: Hooks>(app: &mut PubSub<K>, hub: &mut Hub<'_, Session>, conn: ConnId, line: &str) {
    if let Some(session) = hub.context(conn)
        && session.is_asking()
    {
        if !app.keep_command(session, line) {
            hub.end(conn, Reason::Application);
        }
        return;
    }
    if hub.context(conn).is_some_and(|session| session.client.is_empty() && session.asking.is_some()) {
        // The backend has answered who the person is.
        begin(app, hub, conn);
    }
    let (verb, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let rest = rest.trim();
    let is_known = hub.context(conn).is_some_and(|session| !session.client.is_empty());
    let needs_name = matches!(verb, "/sub" | "/unsub" | "/pub" | "/who" | "/history");
    if needs_name && !is_known {
        hub.send(conn, "* first give a token: /connect TOKEN");
        return;
    }
    if needs_name && rest.is_empty() {
        hub.send(conn, HELP);
        return;
    }
    let done = match verb {
        "/sub" => {
            let asked = Subscribe { channel: rest.into(), join_leave: true, ..Subscribe::default() };
            app.subscribe(hub, conn, ID, &asked)
        }
        "/unsub" => Ok(Some(app.unsubscribe(hub, conn, rest))),
        "/pub" => publish(app, hub, conn, rest),
        "/who" => app.presence(hub, conn, ID, rest, false),
        "/history" => {
            let asked = History { channel: rest.into(), limit: -1, ..History::default() };
            app.history(hub, conn, ID, &asked)
        }
        "/connect" => connect(app, hub, conn, rest),
        "/quit" => {
            hub.end(conn, Reason::Application);
            Ok(None)
        }
        _ => {
            hub.send(conn, HELP);
            Ok(None)
        }
    };
    match done {
        Ok(Some(answer)) => reply(hub, conn, ID, &answer),
        Ok(None) => {}
        Err(Failed::Waits) => {
            if let Some(session) = hub.context(conn) {
                app.keep_command(session, line);
            }
        }
        Err(failed) => fail(hub, conn, ID, &failed),
    }
}

fn publish<K: Hooks>(
    app: &mut PubSub<K>,
    hub: &mut Hub<'_, Session>,
    conn: ConnId,
    rest: &str,
) -> Result<Option<Answer>, Failed> {
    let (channel, text) = rest.split_once(' ').ok_or(Refusal::BAD_REQUEST)?;
    let data = serde_json::value::to_raw_value(text).map_err(|_| Refusal::BAD_REQUEST)?;
    app.publish(hub, conn, ID, &Publish { channel: Cow::Borrowed(channel), data: Some(&data) })
}

/// Gives a person the name in a token, unless it has one, or is in a channel under none.
fn connect<K: Hooks>(
    app: &mut PubSub<K>,
    hub: &mut Hub<'_, Session>,
    conn: ConnId,
    token: &str,
) -> Result<Option<Answer>, Failed> {
    let is_nobody = |session: &mut Session| session.user.is_empty() && session.subscriptions.is_empty();
    if token.is_empty() || !hub.context(conn).is_some_and(is_nobody) {
        return Err(Refusal::BAD_REQUEST.into());
    }
    let admitted = app.admit(hub, conn, &Connect { token: token.into(), ..Connect::default() })?;
    let channels: alloc::vec::Vec<String> = app.admitted(hub, conn, admitted).into_keys().collect();
    for channel in channels {
        // The token allows these channels. The person gets a line for any other error.
        match app.begin(hub, conn, Begin::of_person(ID, &channel)) {
            Ok(Begun::Live(subscribed)) => reply(hub, conn, ID, &Answer::Subscribed(subscribed)),
            Ok(Begun::Waits) => {}
            Err(refusal) => fail(hub, conn, ID, &refusal.into()),
        }
    }
    Ok(Some(Answer::Done("connect")))
}
