//! The commands that watchers send to the monitor.

use alloc::format;
use alloc::string::String;
use serde::Deserialize;

/// A command that a watcher sends to the monitor, parsed from JSON.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Command {
    WatchSession {
        session_id: String,
    },
    StopWatching {
        session_id: String,
    },
    Kick {
        session_id: String,
    },
    KickUser {
        user: String,
    },
    Quarantine {
        address: String,
        #[serde(default)]
        force: bool,
    },
    Release {
        address: String,
    },
    ResetMetrics,
    Record,
    Drain,
}

impl Command {
    /// Returns the name of the command, and its session or address, for an audit line.
    pub(super) fn words(&self) -> String {
        let what = match self {
            Self::WatchSession { session_id } | Self::StopWatching { session_id } | Self::Kick { session_id } => {
                session_id
            }
            Self::KickUser { user } => user,
            Self::Quarantine { address, .. } | Self::Release { address } => address,
            Self::ResetMetrics | Self::Record | Self::Drain => "",
        };
        format!("{} {}", self.name(), what.chars().take(64).collect::<String>())
    }

    /// Returns the name of the command, which is the `type` of the message.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::WatchSession { .. } => "watch_session",
            Self::StopWatching { .. } => "stop_watching",
            Self::Kick { .. } => "kick",
            Self::KickUser { .. } => "kick_user",
            Self::Quarantine { .. } => "quarantine",
            Self::Release { .. } => "release",
            Self::ResetMetrics => "reset_metrics",
            Self::Record => "record",
            Self::Drain => "drain",
        }
    }
}
