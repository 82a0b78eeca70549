//! Segments: the ranges of logs of which queues consist.

/// The `log` of a segment that refers to no log.
pub(super) const NO_LOG: u32 = u32::MAX;

/// A range of bytes in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) log: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Tag of the room whose slow policy may skip these messages, or `PRIVATE` or `RAW`.
    pub(super) room: u32,
}

impl Segment {
    pub(super) const fn len(self) -> u32 {
        self.end - self.start
    }

    pub(super) const fn is_empty(self) -> bool {
        self.end == self.start
    }
}

/// The last segment of a connection, which grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) log: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) room: u32,
    /// Limit up to which the end may move without a check of the watermarks.
    pub(super) cap: u32,
}

impl Default for Tail {
    fn default() -> Self {
        Self { log: NO_LOG, start: 0, end: 0, room: 0, cap: u32::MAX }
    }
}

impl From<Segment> for Tail {
    fn from(segment: Segment) -> Self {
        let Segment { log, start, end, room } = segment;
        Self { log, start, end, room, cap: u32::MAX }
    }
}

impl Tail {
    pub(super) const fn len(&self) -> u32 {
        self.end - self.start
    }

    pub(super) const fn segment(&self) -> Segment {
        Segment { log: self.log, start: self.start, end: self.end, room: self.room }
    }

    /// Returns `true` if `next` follows directly in the same log and room.
    pub(super) const fn touches(&self, next: &Segment) -> bool {
        self.end == next.start && self.log == next.log && self.room == next.room
    }

    /// Returns `true` if the tail can grow by `next` without a check of the watermarks.
    pub(super) const fn extends_to(&self, next: &Segment) -> bool {
        self.touches(next) && next.end <= self.cap
    }
}
