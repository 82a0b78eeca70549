//! The exit codes of `drupe client`.

use drupe_core::Reason;

/// The result of `drupe client`, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The input was sent, and one side closed the connection cleanly, or enough messages arrived.
    Ended = 0,
    /// There was no connection, the login failed, or the output could not be written.
    Failed = 1,
    /// The connection broke, input was not sent, or too few messages arrived.
    Broken = 3,
    /// The time limit passed before the messages arrived.
    TimedOut = 4,
}

impl Outcome {
    /// Returns the outcome of a connection that ended for `reason`.
    pub(crate) const fn of(reason: Reason) -> Self {
        match reason {
            Reason::PeerClosed | Reason::Application | Reason::Shutdown => Self::Ended,
            _ => Self::Broken,
        }
    }
}
