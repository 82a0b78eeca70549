//! Results of commands, as JSON for clients and as lines for people.

use super::codes::Refusal;
use super::json::{Object, array};
use super::publication::kept;
use super::session::Grant;
use crate::base::OutgoingBuf;
use crate::base::text::neutralize;
use crate::history::Position;
use crate::kit::compact_json::compact;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A result.
#[derive(Debug)]
pub(super) enum Answer {
    /// Nothing but that it was done.
    Done(&'static str),
    /// The message was published at this position.
    Published(Position),
    /// The JSON of the result.
    Json(&'static str, String),
    Subscribed(Subscribed),
    History {
        messages: Vec<(Position, OutgoingBuf)>,
        top: Position,
    },
    Presence(Vec<(Arc<str>, Arc<str>)>),
    PresenceStats(Vec<(Arc<str>, Arc<str>)>),
}

/// The result of a subscription.
#[derive(Debug)]
pub(super) struct Subscribed {
    pub(super) channel: String,
    pub(super) grant: Grant,
    pub(super) position: Option<Position>,
    /// The offset from which the client wanted to recover.
    pub(super) wanted: Option<u64>,
    pub(super) is_recovered: bool,
    pub(super) missed: Vec<(Position, OutgoingBuf)>,
    /// Data for the client, as JSON.
    pub(super) data: Option<String>,
    /// Seconds until the subscription ends, unless it is refreshed.
    pub(super) ttl: Option<u64>,
}

impl Answer {
    /// Returns the name and the JSON of the result.
    pub(super) fn json(&self) -> (&'static str, String) {
        match self {
            Self::Done(kind) => (kind, "{}".into()),
            Self::Published(_) => ("publish", "{}".into()),
            Self::Json(kind, json) => (kind, json.clone()),
            Self::Subscribed(subscribed) => ("subscribe", subscribed.json()),
            Self::History { messages, top } => {
                let publications = array(messages.iter().map(|(position, message)| kept(*position, message)));
                let result = Object::new().raw("publications", &publications).text("epoch", &epoch_text(*top));
                ("history", result.number("offset", top.offset).end())
            }
            Self::Presence(names) => {
                let all = names.iter().fold(Object::new(), |all, (name, info)| all.raw(name, info));
                ("presence", Object::new().raw("presence", &all.end()).end())
            }
            Self::PresenceStats(names) => {
                let users: BTreeSet<String> = names.iter().map(|(_, info)| user_of(info)).collect();
                let result = Object::new().number("num_clients", names.len() as u64);
                ("presence_stats", result.number("num_users", users.len() as u64).end())
            }
        }
    }

    /// Returns the JSON of the result for a backend, which includes the position of its message.
    pub(super) fn for_backend(&self) -> String {
        match self {
            Self::Published(position) => {
                Object::new().number("offset", position.offset).text("epoch", &epoch_text(*position)).end()
            }
            other => other.json().1,
        }
    }

    /// Returns the lines for a person.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Done(kind) => alloc::vec![format!("* {kind}: done")],
            Self::Published(_) => alloc::vec!["* publish: done".into()],
            Self::Json(kind, json) => alloc::vec![format!("* {kind}: {json}")],
            Self::Subscribed(subscribed) => alloc::vec![format!("* you see {}", neutralize(&subscribed.channel))],
            Self::History { messages, .. } if messages.is_empty() => alloc::vec!["* no message is kept".into()],
            Self::History { messages, .. } => {
                let text = |(_, message): &(Position, OutgoingBuf)| {
                    let payload = message.as_outgoing().as_payload(crate::base::Representation::Text);
                    payload.as_str().unwrap_or_default().to_string()
                };
                messages.iter().map(text).collect()
            }
            Self::Presence(names) | Self::PresenceStats(names) => {
                let users: BTreeSet<String> = names.iter().map(|(_, info)| shown(&user_of(info))).collect();
                let users: Vec<String> = users.into_iter().collect();
                alloc::vec![format!("* {} there: {}", names.len(), users.join(", "))]
            }
        }
    }
}

impl Subscribed {
    pub(super) fn json(&self) -> String {
        let mut result = self.granted();
        if !self.missed.is_empty() {
            let missed = self.missed.iter().map(|(position, message)| kept(*position, message));
            result = result.raw("publications", &array(missed));
        }
        result = result.flag("recovered", self.is_recovered).flag("was_recovering", self.wanted.is_some());
        result = result.optional("data", self.data.as_deref());
        if let Some(ttl) = self.ttl {
            result = result.flag("expires", true).number("ttl", ttl);
        }
        result.end()
    }

    /// Returns the push that tells a client of a subscription by the server.
    pub(super) fn pushed(&self) -> String {
        self.granted().optional("data", self.data.as_deref()).end()
    }

    /// Returns what the subscription includes, and from which position.
    fn granted(&self) -> Object {
        let result = Object::new().flag("recoverable", self.grant.recoverable);
        match self.position.filter(|_| self.grant.recoverable || self.grant.positioned) {
            Some(position) => {
                // Clients advance from there by what they missed.
                let offset = self.wanted.filter(|_| self.is_recovered).unwrap_or(position.offset);
                result.text("epoch", &epoch_text(position)).number("offset", offset).flag("positioned", true)
            }
            None => result,
        }
    }
}

/// Returns the result of a call, from what the application gave.
///
/// # Errors
/// If that is no JSON, or nested so deeply that no client could read it.
pub(super) fn called(given: &str) -> Result<String, Refusal> {
    let is_json = serde_json::from_str::<&RawValue>(given).is_ok();
    let data = compact(given).filter(|_| is_json).ok_or(Refusal::INTERNAL)?;
    Ok(Object::new().raw("data", &data).end())
}

/// Returns the epoch as clients see it, which is never empty.
pub(super) fn epoch_text(position: Position) -> String {
    format!("{:x}", position.epoch)
}

/// Returns the user in what others see of a client.
fn user_of(info: &str) -> String {
    #[derive(Deserialize)]
    struct Info {
        user: String,
    }
    serde_json::from_str::<Info>(info).map(|info| info.user).unwrap_or_default()
}

/// Returns the name of the user in what others see of a client, for people.
pub(super) fn shown_user(info: &str) -> String {
    shown(&user_of(info))
}

fn shown(user: &str) -> String {
    if user.is_empty() { "(anonymous)".into() } else { neutralize(user).to_string() }
}
