//! The error of an SSH connection that could not be established.

use drupe_core::tunnel::TunnelFailure;

/// The error of an SSH connection that could not be established.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
#[non_exhaustive]
pub struct LinkError {
    /// The kind of failure.
    pub failure: TunnelFailure,
    /// A description for the operator: what failed, where, and how to fix it.
    pub words: String,
}

impl LinkError {
    pub(super) fn new(failure: TunnelFailure, words: impl Into<String>) -> Self {
        Self { failure, words: words.into() }
    }
}
