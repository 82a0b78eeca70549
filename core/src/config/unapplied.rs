use alloc::collections::BTreeSet;
use core::fmt;

/// The set of [parts](Part) of a configuration that no component has applied yet.
///
/// Components outside the machine apply these parts, such as authentication. A server refuses to
/// start or reload while any are left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unapplied(BTreeSet<Part>);

/// A group of settings that a component outside the machine applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Part {
    /// Authentication of peers.
    Authentication,
    /// The monitor: the page and the API that show connections.
    Monitor,
    /// The number of worker threads, if more than one.
    Workers,
    /// The welcome message and the prompt.
    Greeting,
    /// The application of each listener.
    Apps,
    /// Sections of applications, if a value differs from its default.
    Sections,
    /// Logging: content, format and destination.
    Log,
    /// The flight recorder.
    Recorder,
}

impl Unapplied {
    /// Returns `true` if nothing is left to apply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the parts that are left to apply.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        self.0.iter().copied()
    }

    #[cfg(feature = "settings")]
    pub(crate) fn add(&mut self, part: Part) {
        self.0.insert(part);
    }

    #[cfg(feature = "settings")]
    pub(crate) fn remove(&mut self, part: Part) {
        self.0.remove(&part);
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authentication => "authentication",
            Self::Monitor => "monitor",
            Self::Workers => "workers",
            Self::Greeting => "welcome and prompt of listeners",
            Self::Apps => "app of listeners",
            Self::Sections => "sections of applications",
            Self::Log => "log",
            Self::Recorder => "recorder",
        })
    }
}

impl fmt::Display for Unapplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, number) in self.0.iter().zip(0..) {
            write!(f, "{}{part}", if number > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
