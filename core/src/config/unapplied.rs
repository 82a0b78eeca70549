use alloc::collections::BTreeSet;
use core::fmt;

/// What an operator configured that is no part of a [`Config`](crate::Config), such as who may come in, and that nobody has
/// said to apply yet. A server refuses to start, or to go on, with a configuration that has some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unapplied(BTreeSet<Part>);

/// What a server does beside the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Part {
    /// Nobody is let in who has not shown who they are.
    Authentication,
    /// The page and the API that show who is connected.
    Monitor,
    /// More threads than one serve.
    Workers,
    /// What the relay puts each message into.
    Envelope,
    /// What peers are told first, and what stands before what they type.
    Greeting,
    /// Which application each listener is for.
    Apps,
    /// What is logged, how and where.
    Log,
}

impl Unapplied {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What there is.
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
            Self::Envelope => "envelope",
            Self::Greeting => "welcome and prompt of listeners",
            Self::Apps => "app of listeners",
            Self::Log => "log",
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
