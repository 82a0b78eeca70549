//! Authentication messages: proofs from peers, and the responses to them.

use super::MessageError;
use crate::base::{ConnId, Outgoing, Representation};
use crate::handler::Hub;
use alloc::borrow::Cow;
use alloc::format;
use serde::{Deserialize, Serialize};

/// A proof that a peer sent: a token, a SCRAM message, or a user name and password, unparsed.
pub(super) enum Proof<'a> {
    Token(Cow<'a, str>),
    Scram(Cow<'a, str>),
    Password { user: Cow<'a, str>, password: Cow<'a, str> },
}

/// Parses a message as a proof. Returns `None` for any other message.
pub(super) fn proof(text: &str) -> Option<Proof<'_>> {
    #[derive(Deserialize)]
    struct Auth<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        token: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        scram: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        user: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        password: Option<Cow<'a, str>>,
    }
    let text = text.trim();
    if let Some(words) = text.strip_prefix("/auth ") {
        let words = words.trim();
        return Some(match words.strip_prefix("scram ") {
            Some(message) => Proof::Scram(message.trim().into()),
            None => Proof::Token(words.into()),
        });
    }
    // A cheap check first: most messages of authenticated peers are not proofs.
    if !text.starts_with('{') || !text.contains("\"auth\"") {
        return None;
    }
    match serde_json::from_str(text).ok()? {
        Auth { kind, .. } if kind != "auth" => None,
        Auth { token: Some(token), scram: None, password: None, .. } => Some(Proof::Token(token)),
        Auth { token: None, scram: Some(scram), password: None, .. } => Some(Proof::Scram(scram)),
        Auth { token: None, scram: None, user: Some(user), password: Some(password), .. } => {
            Some(Proof::Password { user, password })
        }
        _ => None,
    }
}

/// A response to a proof, serializable as JSON.
#[derive(Serialize)]
pub(super) struct Response<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scram: Option<&'a str>,
}

impl<'a> Response<'a> {
    pub(super) fn of(kind: &'a str) -> Self {
        Self { kind, user: None, scram: None }
    }
}

pub(super) fn respond<C>(hub: &mut Hub<'_, C>, conn: ConnId, response: &Response<'_>) {
    let json = serde_json::to_string(response).unwrap_or_default();
    let lines = response.scram.map(|scram| format!("scram {scram}")).into_iter();
    let user = response.user.map(|user| format!("notice: you are {}", crate::base::text::escape_hidden(user)));
    for (number, text) in lines.chain(user).enumerate() {
        // A program gets one JSON message; a person gets a line for each part.
        if number == 0 || hub.representation(conn) == Representation::Text {
            hub.send(conn, Outgoing::Negotiated { json: &json, text: &text });
        }
    }
}

pub(super) fn refuse<C>(hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
    MessageError::new("unauthorized", reason).tell(Some("auth"), None, |message| hub.send(conn, message));
}
