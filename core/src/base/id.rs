use core::fmt;
use core::str::FromStr;

/// Identifier of a connection, unique for as long as the machine lives.
///
/// The index is small and reused after the connection is gone, so a shell can keep its sockets in a
/// vector. The generation distinguishes connections with the same index. The machine ignores facts
/// about connections that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// The shard number in the highest eight bits, and the index in the other 24.
    place: u32,
    generation: u32,
}

const INDEX_BITS: u32 = 24;
const INDEX_MAX: u32 = (1 << INDEX_BITS) - 1;

impl ConnId {
    /// Maximum number of connections per shard.
    pub(crate) const PER_SHARD_MAX: u32 = INDEX_MAX;

    pub(crate) const fn new(shard: u8, index: u32, generation: u32) -> Self {
        Self { place: (shard as u32) << INDEX_BITS | index & INDEX_MAX, generation }
    }

    /// Returns the number of the [shard](crate::Shard) that holds the connection.
    #[must_use]
    pub const fn shard(self) -> u8 {
        (self.place >> INDEX_BITS) as u8
    }

    /// Returns the connection's slot in its shard's table, from 0. Slots are dense and reused.
    #[must_use]
    pub const fn index(self) -> usize {
        self.slot() as usize
    }

    /// Returns the [`index`](Self::index) as a `u32`.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.place & INDEX_MAX
    }

    /// Returns the id of the previous connection with the same index.
    pub(crate) const fn predecessor(self) -> Self {
        Self { generation: self.generation.wrapping_sub(1), ..self }
    }

    /// Returns the id as one number, for [`from_bits`](Self::from_bits).
    pub(crate) const fn to_bits(self) -> u64 {
        (self.place as u64) << 32 | self.generation as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "each half fits")]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self { place: (bits >> 32) as u32, generation: bits as u32 }
    }

    pub(crate) const fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shard() > 0 {
            write!(f, "{}:", self.shard())?;
        }
        write!(f, "{}.{}", self.slot(), self.generation)
    }
}

/// The error returned when a text is not `INDEX.GENERATION` or `SHARD:INDEX.GENERATION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a connection is written INDEX.GENERATION, for example 3.1, or SHARD:INDEX.GENERATION")]
#[non_exhaustive]
pub struct ConnIdError;

impl FromStr for ConnId {
    type Err = ConnIdError;

    fn from_str(text: &str) -> Result<Self, ConnIdError> {
        let (shard, place) = text.split_once(':').unwrap_or(("0", text));
        let (index, generation) = place.split_once('.').ok_or(ConnIdError)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| ConnIdError);
        let index = number(index).ok().filter(|index| *index <= INDEX_MAX).ok_or(ConnIdError)?;
        Ok(Self::new(shard.parse().map_err(|_| ConnIdError)?, index, number(generation)?))
    }
}

/// Identifier of a listener, unique for as long as the machine lives.
///
/// The id of an initial listener is its index in [`Config::listeners`](crate::Config::listeners).
///
/// Listeners that a [reconfiguration](crate::Machine::reconfigured) adds get ids that were never
/// used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub(crate) u32);

impl ListenerId {
    /// Creates the id of the listener with this index.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// Returns the listener's index as a `u32`, for tables of the shell.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Returns the listener's index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Identifier of a dial: an outgoing connection with all its attempts and reconnections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub(crate) u32);

impl DialId {
    /// Creates the id of the dial with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the dial's number. Dials are numbered in the order of their requests.
    ///
    /// In a server of several [applications](crate::app::Apps), each has its own numbers: its index
    /// is the highest of the four bytes.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Creates the id of a dial of one of several applications.
    pub(crate) const fn of_app(app: u8, number: u32) -> Self {
        Self((app as u32) << 24 | number & 0xff_ffff)
    }

    /// Returns the index of the application that dialled.
    pub(crate) const fn app(self) -> u8 {
        (self.0 >> 24) as u8
    }
}

/// Origin of a connection: the listener that accepted it, or the application's dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Origin {
    /// A listener accepted the connection.
    Listener(ListenerId),
    /// The application dialled the connection.
    Dial(DialId),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(listener) => write!(f, "listener {}", listener.0),
            Self::Dial(dial) => write!(f, "dial {}", dial.0),
        }
    }
}
