//! Simulated SSH servers that disconnect, fall silent, refuse logins, or hold ports too long.

use crate::base::{ListenerId, Random, Time};
use crate::tunnel::LinkId;
use alloc::collections::BTreeMap;
use core::time::Duration;

/// How an SSH server behaves at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// It serves everything.
    Well,
    /// Dials fail, and open connections break.
    Away,
    /// It accepts connections but sends nothing.
    Silent,
    /// It refuses every login.
    Unfriendly,
}

/// A simulated SSH server.
#[derive(Debug)]
pub(super) struct SshServer {
    pub(super) mood: Mood,
    pub(super) link: Option<LinkId>,
    /// Whether the machine has logged in.
    pub(super) connected: bool,
    /// Since when a logged-in connection receives nothing.
    pub(super) silent_since: Option<Time>,
    pub(super) bound: BTreeMap<ListenerId, u32>,
    /// Until when a lost session still holds the ports.
    pub(super) held_until: Time,
    pub(super) answered: u32,
    /// When the last login was refused.
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

    /// Forgets a link that has ended. The server holds its ports for `hold`.
    pub(super) fn lose(&mut self, now: Time, hold: Duration) {
        if self.connected {
            // The server has not yet detected that the client is gone.
            self.held_until = now + hold;
        }
        (self.link, self.connected, self.silent_since, self.answered) = (None, false, None, 0);
        self.bound.clear();
    }
}
