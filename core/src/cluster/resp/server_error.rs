//! Errors that a broker reports.

use crate::base::text::neutralize;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;

/// Maximum length of the text that is kept, in bytes.
pub(super) const TEXT_MAX: usize = 200;

/// An error that a broker reports instead of a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ServerError {
    kind: ServerErrorKind,
    text: Box<str>,
}

/// What an error means for the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerErrorKind {
    /// `MOVED`: another node of the cluster has the slot.
    Moved,
    /// `ASK`: another node of the cluster is taking over the slot.
    Ask,
    /// `TRYAGAIN`: the keys of the command are on two nodes, while the slot moves.
    TryAgain,
    /// `CLUSTERDOWN`: no node serves the slot, or the cluster has no majority.
    ClusterDown,
    /// `READONLY`: the broker is a replica.
    ReadOnly,
    /// `LOADING`: the broker loads its data after a start.
    Loading,
    /// `NOSCRIPT`: the broker has not cached the script.
    NoScript,
    /// `NOPERM`: the user may not run the command, or use the key or the channel.
    NoPermission,
    /// `NOAUTH`: the link is not authenticated.
    NoAuth,
    /// `WRONGPASS`: the user or the password is wrong.
    WrongPass,
    /// `OOM`: the broker has no memory left for writes.
    OutOfMemory,
    /// `MISCONF`: the broker cannot write its data to the disk, and therefore refuses writes.
    Misconfigured,
    /// `MASTERDOWN`: the broker is a replica that has lost its master.
    MasterDown,
    /// `BUSY`: a script has been running for too long.
    Busy,
    /// `NOREPLICAS`: fewer replicas than `min-replicas-to-write` are connected, so writes are refused.
    TooFewReplicas,
    /// `WRONGTYPE`: the key holds another kind of value, so something else uses the same name.
    WrongType,
    /// The broker does not know the command: it is too old, or the command was renamed.
    UnknownCommand,
    /// Anything else.
    Other,
}

impl ServerError {
    /// Classifies the text of an error, and keeps the first [`TEXT_MAX`] bytes without control characters.
    pub(super) fn new(text: &[u8]) -> Self {
        let beginning = text.get(..TEXT_MAX).unwrap_or(text);
        let readable = String::from_utf8_lossy(beginning);
        let neutral = neutralize(&readable);
        let end = (0..=TEXT_MAX.min(neutral.len())).rev().find(|&end| neutral.is_char_boundary(end)).unwrap_or(0);
        let text = neutral.get(..end).unwrap_or_default().to_owned().into_boxed_str();
        Self { kind: ServerErrorKind::of(&readable), text }
    }

    /// Returns what the error means.
    pub(crate) fn kind(&self) -> ServerErrorKind {
        self.kind
    }

    /// Returns the beginning of the text, at most 200 bytes, without control characters.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl ServerErrorKind {
    /// Classifies by the first word, and an `ERR` by what follows.
    fn of(text: &str) -> Self {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "ERR" => Self::of_generic(rest),
            // Redis 6 names the line of a script before the error that `redis.pcall` returns.
            "@user_script:" => Self::wrapped(rest),
            word => Self::of_word(word),
        }
    }

    fn of_word(word: &str) -> Self {
        match word {
            "MOVED" => Self::Moved,
            "ASK" => Self::Ask,
            "TRYAGAIN" => Self::TryAgain,
            "CLUSTERDOWN" => Self::ClusterDown,
            "READONLY" => Self::ReadOnly,
            "LOADING" => Self::Loading,
            "NOSCRIPT" => Self::NoScript,
            "NOPERM" => Self::NoPermission,
            "NOAUTH" => Self::NoAuth,
            "WRONGPASS" => Self::WrongPass,
            "OOM" => Self::OutOfMemory,
            "MISCONF" => Self::Misconfigured,
            "MASTERDOWN" => Self::MasterDown,
            "BUSY" => Self::Busy,
            "NOREPLICAS" => Self::TooFewReplicas,
            "WRONGTYPE" => Self::WrongType,
            _ => Self::Other,
        }
    }

    /// Classifies what follows `ERR`.
    fn of_generic(text: &str) -> Self {
        let begins_with = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
        if begins_with(&["unknown command", "Unknown Redis command called from", "Unknown command called from"]) {
            return Self::UnknownCommand;
        }
        // A script of a user who may not do what the script does: Redis 7.0, and later versions.
        if begins_with(&["The user executing the script can't ", "ACL failure in script: "]) {
            return Self::NoPermission;
        }
        // Redis 6 names the script and the line before the error that `redis.call` raises.
        if begins_with(&["Error running script"]) { Self::wrapped(text) } else { Self::Other }
    }

    /// Classifies by the first known word of a text, with or without the `-` of an error.
    fn wrapped(text: &str) -> Self {
        if text.contains("Unknown Redis command called from") {
            return Self::UnknownCommand;
        }
        let kinds = text.split(' ').map(|word| Self::of_word(word.strip_prefix('-').unwrap_or(word)));
        kinds.into_iter().find(|kind| *kind != Self::Other).unwrap_or(Self::Other)
    }
}
