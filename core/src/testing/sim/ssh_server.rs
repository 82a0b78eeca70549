//! Simulated SSH servers that disconnect, fall silent, refuse logins, or hold ports too long.

use crate::base::{ListenerId, Random, Time};
use crate::tunnel::LinkId;
use alloc::collections::BTreeMap;
use core::time::Duration;

/// The current behaviour of an SSH server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// The server works normally.
    Well,
    /// Dials fail, and open connections break.
    Away,
    /// The server accepts connections but sends nothing.
    Silent,
    /// The server refuses every login.
    Unfriendly,
}

/// A simulated SSH server.
#[derive(Debug)]
pub(super) struct SshServer {
    pub(super) mood: Mood,
    pub(super) link: Option<LinkId>,
    /// Whether the machine is logged in.
    pub(super) connected: bool,
    /// Time since which the server has sent nothing on a logged-in connection.
    pub(super) silent_since: Option<Time>,
    pub(super) bound: BTreeMap<ListenerId, u32>,
    /// Time until which a lost session still holds the ports.
    pub(super) held_until: Time,
    pub(super) answered: u32,
    /// Time of the last login, if the server refused it.
    pub(super) refused_at: Option<Time>,
}

impl Default for SshServer {
    fn default() -> Self {
        Self {
            mood: Mood::Well,
            link: None,
            connected: false,
            silent_since: None,
            bound: BTreeMap::new(),
            held_until: Time::START,
            answered: 0,
            refused_at: None,
        }
    }
}

impl SshServer {
    pub(super) fn change_mood(&mut self, random: &mut Random) {
        self.mood = match random.below(400) {
            0..4 => Mood::Away,
            4..7 => Mood::Silent,
            7..8 => Mood::Unfriendly,
            8..40 => Mood::Well,
            _ => return,
        };
    }

    /// Forgets a link that has ended. If it was logged in, its ports stay bound for `hold`.
    pub(super) fn lose(&mut self, now: Time, hold: Duration) {
        if self.connected {
            // The server has not yet detected that the client is gone.
            self.held_until = now + hold;
        }
        (self.link, self.connected, self.silent_since, self.answered) = (None, false, None, 0);
        self.bound.clear();
    }
}
