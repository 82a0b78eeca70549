//! Answers to messages about rooms, and refusals.

use super::kinds::PUBLISH;
use crate::facts::PublishRefusal;
use crate::history::Gap;
use crate::kit::rpc::error::RpcError;
use crate::kit::service::error::MessageError;
use crate::kit::service::rooms::RoomError;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use serde::Serialize;

/// An answer, as JSON for programs and as text for people.
#[derive(Debug)]
pub(in crate::kit) struct RoomReply {
    /// The `type` of the answer to a message.
    kind: &'static str,
    /// A JSON object without a type, which is the result of a call.
    json: String,
    text: String,
}

impl RoomReply {
    pub(super) fn new(kind: &'static str, answer: &(impl Serialize + fmt::Display)) -> Self {
        // The answers have no map with other keys than text, so they are JSON.
        let json = serde_json::to_string(answer).unwrap_or_else(|_| "{}".into());
        Self { kind, json, text: answer.to_string() }
    }

    /// Returns the result of a call, as JSON.
    pub(in crate::kit) fn result(&self) -> String {
        self.json.clone()
    }

    /// Returns the answer to a message, as JSON.
    pub(in crate::kit) fn message(&self) -> String {
        let members = self.json.strip_prefix('{').unwrap_or("}");
        let comma = if members == "}" { "" } else { "," };
        format!("{{\"type\":\"{}\"{comma}{members}", self.kind)
    }

    /// Returns the answer for people.
    pub(in crate::kit) fn text(&self) -> &str {
        &self.text
    }
}

/// Why a message about a room was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kit) struct RoomRefusal {
    code: &'static str,
    reason: String,
}

impl RoomRefusal {
    /// The room did not answer in time.
    pub(in crate::kit) const TIMED_OUT: &'static str = "timed_out";
    /// The message may have been published or not.
    pub(in crate::kit) const UNKNOWN: &'static str = "unknown";

    pub(super) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// Returns the refusal of a message to which the home of the room gave no answer.
    pub(in crate::kit) fn without_answer(kind: &str) -> Self {
        if kind == PUBLISH {
            let words = "the room did not answer, so the message may have been published or not; \
                         repeat it with the same key";
            return Self::new(Self::UNKNOWN, words);
        }
        Self::new(Self::TIMED_OUT, "the room did not answer in time; try again")
    }

    /// Returns the refusal of messages after a position that may be missing.
    pub(super) fn of_gap(gap: Gap) -> Self {
        let words = match gap {
            Gap::NoHistory => "the room has no history",
            Gap::BrokerAway => "the broker that keeps the room cannot be reached; try again later",
            _ => "messages after that position may be missing; omit it to read what is kept",
        };
        Self::new(gap.name(), words)
    }

    /// Returns the error for the sender of a message.
    pub(in crate::kit) fn into_message_error(self) -> MessageError {
        MessageError::new(self.code, self.reason)
    }

    /// Returns the error for the caller of a method.
    pub(in crate::kit) fn into_rpc_error(self) -> RpcError {
        let error = match self.code {
            "forbidden" => return RpcError::new(RpcError::FORBIDDEN, "This is not allowed"),
            Self::TIMED_OUT | Self::UNKNOWN => RpcError::new(RpcError::TIMED_OUT, "There was no result in time"),
            _ => RpcError::new(RpcError::REFUSED, "The room refused this"),
        };
        error.with_data(serde_json::json!({ "code": self.code, "reason": self.reason }))
    }
}

impl From<RoomError> for RoomRefusal {
    fn from(error: RoomError) -> Self {
        let code = if error == RoomError::Forbidden { "forbidden" } else { "refused" };
        Self::new(code, error.to_string())
    }
}

impl From<PublishRefusal> for RoomRefusal {
    fn from(refusal: PublishRefusal) -> Self {
        Self::new("refused", refusal.to_string())
    }
}
