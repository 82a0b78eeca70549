use super::Gap;

/// Whether a new member of a room has missed messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// The member gave no position.
    New,
    /// The member received all messages after its position.
    #[non_exhaustive]
    Recovered {
        /// The number of these messages.
        messages: usize,
    },
    /// Messages may be missing, and the member received none of them.
    NotRecovered(Gap),
}
