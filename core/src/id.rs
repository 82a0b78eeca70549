use core::fmt;
use core::str::FromStr;

/// Names one connection for as long as the machine lives.
///
/// The index is small and used again after the connection is gone, so a shell may keep its sockets in
/// a plain vector; the generation tells the connections of one index apart. A fact about a connection
/// that is over is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    index: u32,
    generation: u32,
}

impl ConnId {
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// The place in a table of connections: dense, from 0, used again after the connection's end.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    pub(crate) const fn slot(self) -> u32 {
        self.index
    }

    pub(crate) const fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// The text is not `INDEX.GENERATION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a connection is written INDEX.GENERATION, for example 3.1")]
pub struct ConnIdError;

impl FromStr for ConnId {
    type Err = ConnIdError;

    fn from_str(text: &str) -> Result<Self, ConnIdError> {
        let (index, generation) = text.split_once('.').ok_or(ConnIdError)?;
        Ok(Self {
            index: index.parse().map_err(|_| ConnIdError)?,
            generation: generation.parse().map_err(|_| ConnIdError)?,
        })
    }
}

/// The place of a listener in [`Config::listeners`](crate::Config::listeners).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

impl ListenerId {
    /// The place as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names one outgoing connection that the application asked for, over all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u32);

/// How a connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// It was accepted.
    Listener(ListenerId),
    /// The application asked for it.
    Dial(DialId),
}
