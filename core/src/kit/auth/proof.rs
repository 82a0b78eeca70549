//! Authentication messages: proofs and requests of peers, and the responses to them.

use super::MessageError;
use crate::base::{ConnId, Outgoing, Representation};
use crate::handler::Hub;
use crate::kit::rpc::{self, RpcError};
use crate::wire::http::Request;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// A message to the layer: a proof, not checked yet, or a request.
pub(super) enum Proof<'a> {
    Token(Cow<'a, str>),
    Scram(Cow<'a, str>),
    Password {
        user: Cow<'a, str>,
        password: Cow<'a, str>,
    },
    /// A request to register this user.
    Registration {
        user: Cow<'a, str>,
        password: Cow<'a, str>,
    },
    /// A request for a new token.
    Issue,
}

/// Parses a message to the layer. Returns `None` for any other message.
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
    if !text.starts_with('{') || !KINDS.iter().any(|kind| text.contains(kind)) {
        return None;
    }
    match serde_json::from_str(text).ok()? {
        Auth { kind, token: None, scram: None, user: Some(user), password: Some(password) } if kind == "register" => {
            Some(Proof::Registration { user, password })
        }
        Auth { kind, token: None, scram: None, user: None, password: None } if kind == "token" => Some(Proof::Issue),
        Auth { kind, .. } if kind != "auth" => None,
        Auth { token: Some(token), scram: None, password: None, .. } => Some(Proof::Token(token)),
        Auth { token: None, scram: Some(scram), password: None, .. } => Some(Proof::Scram(scram)),
        Auth { token: None, scram: None, user: Some(user), password: Some(password), .. } => {
            Some(Proof::Password { user, password })
        }
        _ => None,
    }
}

/// The types of the messages to the layer, as they appear in JSON.
const KINDS: [&str; 3] = ["\"auth\"", "\"register\"", "\"token\""];

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

/// Returns the error response to the JSON-RPC calls in a message, or `None` for other messages.
///
/// A caller recognizes a response by the id of its call, and would wait for it.
pub(super) fn refused_call(text: &str, reason: &'static str) -> Option<String> {
    if !text.contains("\"jsonrpc\"") {
        return None;
    }
    rpc::refusal(text, &RpcError::new(RpcError::UNAUTHORIZED, reason))
}

/// Sends a peer the reason why it was not registered.
pub(super) fn refuse_registration<C>(hub: &mut Hub<'_, C>, conn: ConnId, error: &MessageError) {
    error.tell(Some("register"), None, |message| hub.send(conn, message));
}

/// Sends a peer the token that it requested, and its lifetime.
pub(super) fn send_token<C>(hub: &mut Hub<'_, C>, conn: ConnId, token: &str, lifetime_secs: u64) {
    #[derive(Serialize)]
    struct Issued<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        token: &'a str,
        expires_in: u64,
    }
    let json = serde_json::to_string(&Issued { kind: "token", token, expires_in: lifetime_secs }).unwrap_or_default();
    hub.send(conn, Outgoing::Negotiated { json: &json, text: &format!("token {token}") });
}

pub(super) fn refuse_token<C>(hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
    MessageError::new("unauthorized", reason).tell(Some("token"), None, |message| hub.send(conn, message));
}

/// Returns the token in the header field `Authorization: Bearer TOKEN` (RFC 6750 section 2.1).
pub(super) fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.field("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
