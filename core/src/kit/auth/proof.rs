//! What peers and the layer say to each other.

use super::MessageError;
use crate::base::{ConnId, Outgoing, Representation};
use crate::handler::Hub;
use alloc::borrow::Cow;
use alloc::format;
use serde::{Deserialize, Serialize};

/// A proof, as it came.
pub(super) enum Proof<'a> {
    Token(Cow<'a, str>),
    Scram(Cow<'a, str>),
}

/// What a message proves something with, if it is of that kind.
pub(super) fn proof(text: &str) -> Option<Proof<'_>> {
    #[derive(Deserialize)]
    struct Auth<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        token: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        scram: Option<Cow<'a, str>>,
    }
    let text = text.trim();
    if let Some(words) = text.strip_prefix("/auth ") {
        let words = words.trim();
        return Some(match words.strip_prefix("scram ") {
            Some(message) => Proof::Scram(message.trim().into()),
            None => Proof::Token(words.into()),
        });
    }
    // Most messages of who is known are something else, and longer.
    if !text.starts_with('{') || !text.contains("\"auth\"") {
        return None;
    }
    match serde_json::from_str(text).ok()? {
        Auth { kind, token: Some(token), scram: None } if kind == "auth" => Some(Proof::Token(token)),
        Auth { kind, token: None, scram: Some(scram) } if kind == "auth" => Some(Proof::Scram(scram)),
        _ => None,
    }
}

/// What a peer is told.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scram: Option<&'a str>,
}

impl<'a> Told<'a> {
    pub(super) fn of(kind: &'a str) -> Self {
        Self { kind, user: None, scram: None }
    }
}

pub(super) fn tell<C: Default>(hub: &mut Hub<'_, C>, conn: ConnId, told: &Told<'_>) {
    let json = serde_json::to_string(told).unwrap_or_default();
    let lines = told.scram.map(|scram| format!("scram {scram}")).into_iter();
    let user = told.user.map(|user| format!("notice: you are {}", crate::base::text::escape_hidden(user)));
    for (number, text) in lines.chain(user).enumerate() {
        // The program gets one message, the person a line for each.
        if number == 0 || hub.representation(conn) == Representation::Text {
            hub.send(conn, Outgoing::Negotiated { json: &json, text: &text });
        }
    }
}

pub(super) fn refuse<C: Default>(hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
    MessageError::new("unauthorized", reason).tell(Some("auth"), |message| hub.send(conn, message));
}
