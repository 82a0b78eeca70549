//! The queued segments of a connection, except the last one.

use super::segment::{NO_LOG, Segment};
use crate::base::work;
use alloc::collections::{BTreeMap, VecDeque};

/// Segments in order, with an index to find those of one room without scanning all.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Segments, with gaps between them. Neither the first nor the last is a gap.
    segments: VecDeque<Segment>,
    /// The number of the first segment. The others are numbered consecutively.
    first: u64,
    /// Number of gaps: empty segments in place of segments removed from the middle.
    gaps: usize,
    /// Per room, a segment number below which no segment has skippable messages of the room.
    searched: BTreeMap<u32, u64>,
    /// The position behind the begun bytes at the front, if known.
    begun: Option<Begun>,
}

/// The position behind the first `bytes` bytes: in segment `number`, after `held` of its bytes.
#[derive(Clone, Copy, Debug)]
struct Begun {
    bytes: u32,
    number: u64,
    held: u32,
}

/// Number of indexed rooms at which outdated entries are removed from the index.
const SEARCHED_MAX: usize = 128;
/// Number of gaps up to which the segments are never compacted.
const GAPS_MAX: usize = 64;

const GAP: Segment = Segment { log: NO_LOG, start: 0, end: 0, room: 0 };

impl Earlier {
    pub(super) const fn new() -> Self {
        Self { segments: VecDeque::new(), first: 0, gaps: 0, searched: BTreeMap::new(), begun: None }
    }

    /// Returns the number of segments, without gaps.
    pub(super) fn len(&self) -> usize {
        self.segments.len() - self.gaps
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Segment> + '_ {
        self.segments.iter().copied().filter(|segment| !segment.is_empty())
    }

    pub(super) fn into_segments(self) -> impl Iterator<Item = Segment> {
        self.segments.into_iter().filter(|segment| !segment.is_empty())
    }

    pub(super) fn push_back(&mut self, segment: Segment) {
        self.segments.push_back(segment);
    }

    /// Removes and returns the last segment, whose number may be reused.
    pub(super) fn pop_back(&mut self) -> Option<Segment> {
        let segment = self.segments.pop_back();
        while self.segments.back().is_some_and(|segment| segment.is_empty()) {
            self.segments.pop_back();
            self.gaps -= 1;
        }
        let end = self.first + self.segments.len() as u64;
        self.searched.values_mut().for_each(|number| *number = end.min(*number));
        self.begun = None;
        segment
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Segment> {
        self.begun = None;
        self.segments.front_mut()
    }

    pub(super) fn pop_front(&mut self) {
        self.begun = None;
        self.first += u64::from(self.segments.pop_front().is_some());
        while self.segments.front().is_some_and(|segment| segment.is_empty()) {
            self.segments.pop_front();
            self.first += 1;
            self.gaps -= 1;
        }
    }

    /// Returns the first segment of a room that reaches beyond the `begun` bytes at the front.
    ///
    /// The result is its index, the segment, and how many of those bytes it has.
    pub(super) fn oldest(&mut self, room: u32, begun: u32) -> Option<(usize, Segment, u32)> {
        let (mut place, held) = self.behind(begun);
        if held > 0 {
            let segment = *self.segments.get(place)?;
            if segment.room == room {
                return Some((place, segment, held));
            }
            place += 1;
        }
        let searched = self.searched.get(&room).map_or(0, |number| number.saturating_sub(self.first));
        place = place.max(usize::try_from(searched).unwrap_or(usize::MAX));
        let belongs_to = |segment: &&Segment| segment.room == room && !segment.is_empty();
        while self.segments.get(place).is_some_and(|segment| !belongs_to(&segment)) {
            work::step(1);
            place += 1;
        }
        if self.searched.len() >= SEARCHED_MAX {
            self.searched.retain(|_, number| *number > self.first);
        }
        self.searched.insert(room, self.first + place.min(self.segments.len()) as u64);
        Some((place, *self.segments.get(place)?, 0))
    }

    /// Returns the index of the first segment that reaches beyond the first `bytes` bytes.
    ///
    /// The result also says how many of those bytes the segment has.
    fn behind(&mut self, bytes: u32) -> (usize, u32) {
        if let Some(begun) = self.begun.filter(|begun| begun.bytes == bytes) {
            return (usize::try_from(begun.number - self.first).unwrap_or(usize::MAX), begun.held);
        }
        let (mut place, mut held) = (0, bytes);
        while held > 0
            && let Some(segment) = self.segments.get(place).filter(|segment| segment.len() <= held)
        {
            work::step(1);
            held -= segment.len();
            place += 1;
        }
        self.begun = Some(Begun { bytes, number: self.first + place as u64, held });
        (place, held)
    }

    /// Replaces the segment at an index with the rest of it, after its front was skipped.
    ///
    /// The rest is not empty.
    pub(super) fn shorten(&mut self, place: usize, rest: Segment) {
        if let Some(segment) = self.segments.get_mut(place) {
            *segment = rest;
        }
    }

    /// Splits the segment at an index into its begun front and `rest`, which may be empty.
    pub(super) fn split(&mut self, place: usize, front: Segment, rest: Segment) {
        self.begun = None;
        self.shorten(place, front);
        if !rest.is_empty() {
            self.segments.insert(place + 1, rest);
        }
    }

    /// Inserts a segment before the one at an index, behind all begun bytes.
    pub(super) fn insert(&mut self, place: usize, segment: Segment) {
        self.begun = None;
        self.searched.remove(&segment.room);
        if let Some(before) = place.checked_sub(1).and_then(|place| self.segments.get_mut(place))
            && before.is_empty()
        {
            *before = segment;
            self.gaps -= 1;
            return;
        }
        work::step(place.min(self.segments.len() - place));
        self.segments.insert(place, segment);
    }

    /// Removes the segment at an index.
    pub(super) fn remove(&mut self, place: usize) {
        if place == 0 {
            return self.pop_front();
        }
        if place + 1 == self.segments.len() {
            self.pop_back();
            return;
        }
        if let Some(segment) = self.segments.get_mut(place) {
            *segment = GAP;
            self.gaps += 1;
        }
        if self.gaps > GAPS_MAX && self.gaps > self.segments.len() / 2 {
            work::step(self.segments.len());
            self.segments.retain(|segment| !segment.is_empty());
            self.gaps = 0;
            self.searched.clear();
            self.begun = None;
        }
    }

    #[cfg(feature = "sim")]
    pub(super) fn gaps_are_counted(&self) -> bool {
        let is_gap = |segment: Option<&Segment>| segment.is_some_and(|segment| segment.is_empty());
        let gaps = self.segments.iter().filter(|segment| segment.is_empty()).count();
        gaps == self.gaps && !is_gap(self.segments.front()) && !is_gap(self.segments.back())
    }
}
