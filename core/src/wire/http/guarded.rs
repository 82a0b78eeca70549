//! The parts of an HTTP listener that need a credential of their own.

/// The path of the monitor.
pub(crate) const MONITOR_PATH: &str = "/monitor";
/// The prefix of the paths of the API.
pub(crate) const API_PREFIX: &str = "/api/";

/// A part of a listener to which a credential admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// The path of the monitor.
    Monitor,
    /// The paths of the application's API for programs.
    Api,
}
