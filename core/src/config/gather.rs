use core::time::Duration;

/// How long a worker rests between two turns in which it sends messages to rooms. Default: not at all.
///
/// A *turn* handles everything that is ready, and then writes once to each connection. The more messages one turn
/// handles, the less each delivery costs. So with several publishers it saves much of the processor's time to
/// collect messages before a turn. In exchange, every message on the same worker may arrive later by this time,
/// including echoes and direct messages. A worker rests only after a turn that sent to rooms.
///
/// A shell obeys [`Machine::rests_until`](crate::Machine::rests_until).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gather {
    micros: u16,
}

impl Gather {
    /// No rest.
    pub const OFF: Self = Self { micros: 0 };

    /// The longest rest, in microseconds.
    pub const MICROS_MAX: u16 = 500;

    /// Creates a rest of this number of microseconds. With 0, a worker does not rest.
    ///
    /// # Errors
    /// Above 500.
    pub const fn from_micros(micros: u64) -> Result<Self, GatherError> {
        if micros > Self::MICROS_MAX as u64 {
            return Err(GatherError { micros });
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is at most 500")]
        Ok(Self { micros: micros as u16 })
    }

    /// Returns the duration of the rest. Zero: no rest.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.micros as u64)
    }

    pub(crate) const fn is_off(self) -> bool {
        self.micros == 0
    }
}

/// The error returned for a rest that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rest has at most 500 microseconds, not {micros}")]
#[non_exhaustive]
pub struct GatherError {
    /// The requested number of microseconds.
    pub micros: u64,
}
