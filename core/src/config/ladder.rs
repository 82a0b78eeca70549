use crate::base::setters;
use core::time::Duration;

/// Penalties for a connection that exceeds its rate, by number of strikes.
///
/// Each message that arrives over the rate is a strike, and so is each part of such a message. A
/// step applies from its number of strikes on; of all steps that apply, the severest is taken.
/// `None` disables a step. Strikes count from 1; 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ladder {
    /// The strike at which the peer is warned, if [notices](crate::Listen::notices) are enabled.
    ///
    /// It is warned again where `drop` begins.
    pub warn: Option<u32>,
    /// First strike at which reading pauses until the rate conforms again.
    ///
    /// Nothing is lost: TCP slows the peer down.
    pub pause: Option<u32>,
    /// First strike at which messages over the rate are discarded and counted.
    pub drop: Option<u32>,
    /// First strike at which the connection is closed.
    pub close: Option<u32>,
    /// First strike at which the connection is closed and its address is refused for the cool-down.
    pub quarantine: Option<u32>,
    /// Time without a strike after which the count of strikes restarts.
    ///
    /// With zero, only strikes at the same moment add up; with [`Duration::MAX`], strikes are never
    /// forgiven.
    pub forgive_after: Duration,
}

setters!(Ladder {
    warn: Option<u32>,
    pause: Option<u32>,
    drop: Option<u32>,
    close: Option<u32>,
    quarantine: Option<u32>,
    forgive_after: Duration,
});

impl Default for Ladder {
    /// Returns a ladder that warns at the first strike, pauses from it on, and discards nothing.
    ///
    /// `forgive_after` is 60 s.
    fn default() -> Self {
        Self {
            warn: Some(1),
            pause: Some(1),
            drop: None,
            close: None,
            quarantine: None,
            forgive_after: Duration::from_secs(60),
        }
    }
}

/// Treatment of a received message under the rate limits, from the mildest to the severest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Action {
    /// The message is processed.
    Serve,
    /// The message is processed, then reading stops until the rate conforms.
    Pause,
    /// The message is discarded.
    Drop,
    /// The connection is closed.
    Close,
    /// The connection is closed and its address is refused for the cool-down.
    Quarantine,
}

impl Action {
    /// Returns `true` if the message is processed, not discarded.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::Serve | Self::Pause)
    }
}

impl Ladder {
    /// Returns the severest action that applies at `strikes` strikes.
    #[must_use]
    pub fn action(&self, strikes: u32) -> Action {
        let steps = [
            (self.quarantine, Action::Quarantine),
            (self.close, Action::Close),
            (self.drop, Action::Drop),
            (self.pause, Action::Pause),
        ];
        let applies = |&(from, _): &(Option<u32>, Action)| from.is_some_and(|from| strikes >= from);
        steps.into_iter().find(applies).map_or(Action::Serve, |(_, action)| action)
    }

    /// Returns `true` if the peer is warned at exactly `strikes` strikes.
    pub(crate) fn tells(&self, strikes: u32) -> bool {
        let begins_at = |step: Option<u32>| step.is_some_and(|from| strikes == from.max(1));
        begins_at(self.warn) || begins_at(self.drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladder_takes_the_severest_step_that_applies() {
        let ladder = Ladder {
            warn: Some(1),
            pause: Some(2),
            drop: Some(4),
            close: Some(6),
            quarantine: Some(8),
            ..Ladder::default()
        };
        for (strikes, action) in [
            (1, Action::Serve),
            (2, Action::Pause),
            (3, Action::Pause),
            (4, Action::Drop),
            (6, Action::Close),
            (8, Action::Quarantine),
            (u32::MAX, Action::Quarantine),
        ] {
            assert_eq!(ladder.action(strikes), action, "{strikes} strikes");
        }
        let off = Ladder { warn: None, pause: None, ..Ladder::default() };
        assert_eq!(off.action(u32::MAX), Action::Serve);
    }
}
