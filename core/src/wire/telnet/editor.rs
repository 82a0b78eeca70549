//! Input line that the server edits: text, cursor and history, independent of the screen.

use super::Key;
use crate::base::work;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use unicode_segmentation::GraphemeCursor;

/// Longest grapheme cluster, in bytes. It bounds the cost of stacked combining marks.
const CLUSTER_MAX_BYTES: usize = 64;
const HISTORY_MAX_LINES: usize = 50;
const HISTORY_MAX_BYTES: usize = 4096;

/// The effect of a key on the input line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edited {
    /// The key had no effect.
    Nothing,
    /// A new grapheme cluster was added at the end of the line.
    Appended,
    /// The line or the cursor has changed in any way other than `Appended`.
    Changed,
    /// The peer asked to clear the screen.
    Cleared,
    /// The peer completed the line.
    Entered,
    /// The peer pressed Control-C.
    Interrupted,
    /// The peer pressed Control-D on an empty line.
    EndOfFile,
}

/// The error returned when a key would make the line longer than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Line editor: two stacks of grapheme clusters (UAX #29) that meet at the cursor, and a history.
///
/// The cost of most keys depends only on the length of one cluster. [`cost`](Editor::cost) returns
/// the cost of the others.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    left: Clusters,
    /// Clusters from the cursor on; the cluster at the cursor is on top of the stack.
    right: Clusters,
    history: VecDeque<Clusters>,
    history_bytes: usize,
    /// Index of the history line that is shown, and the line that the peer had typed before.
    recalled: Option<(usize, Clusters)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Clusters {
    text: String,
    /// Length of each cluster, in bytes.
    lengths: Vec<u8>,
}

impl Editor {
    /// Applies a key to the line and returns the effect. Rejects typing beyond `max` bytes.
    ///
    /// Lines of the history that are longer, because the limit was higher, are skipped.
    pub(crate) fn key(&mut self, key: Key, max: usize) -> Result<Edited, TooLong> {
        Ok(match key {
            Key::Char(c) => return self.insert(c, max),
            // The width of a tab depends on the terminal.
            Key::Tab => return self.insert(' ', max),
            Key::Enter => Edited::Entered,
            Key::Backspace => changed(self.left.pop()),
            Key::Ctrl('d') if self.left.is_empty() && self.right.is_empty() => Edited::EndOfFile,
            Key::Delete | Key::Ctrl('d') => changed(self.right.pop()),
            Key::Left | Key::Ctrl('b') => changed(self.left.pass_to(&mut self.right)),
            Key::Right | Key::Ctrl('f') => changed(self.right.pass_to(&mut self.left)),
            Key::Home | Key::Ctrl('a') => changed(all(|| self.left.pass_to(&mut self.right))),
            Key::End | Key::Ctrl('e') => changed(all(|| self.right.pass_to(&mut self.left))),
            Key::Ctrl('u') => changed(self.left.clear()),
            Key::Ctrl('k') => changed(self.right.clear()),
            Key::Ctrl('w') => changed(self.erase_word()),
            Key::Ctrl('l') => Edited::Cleared,
            Key::Up | Key::Ctrl('p') => self.recall_older(max),
            Key::Down | Key::Ctrl('n') => self.recall_newer(max),
            Key::Ctrl('c') => Edited::Interrupted,
            _ => Edited::Nothing,
        })
    }

    /// Returns how many bytes, at most, a key moves or copies, or 0 if at most one cluster moves.
    ///
    /// `max` is the longest line, in bytes.
    pub(crate) fn cost(&self, key: Key, max: usize) -> usize {
        match key {
            Key::Home | Key::Ctrl('a') => self.left.text.len(),
            Key::End | Key::Ctrl('e') => self.right.text.len(),
            Key::Up | Key::Ctrl('p') => self.bytes() + self.older(max).map_or(0, |place| self.history_line(place)),
            Key::Down | Key::Ctrl('n') => self.bytes() + self.newer(max).map_or(0, |place| self.history_line(place)),
            _ => 0,
        }
    }

    /// Returns the cost of drawing: 1 per byte, and 4 more per byte beyond the first of a cluster.
    ///
    /// Drawing a multi-byte character requires a look-up of its width.
    pub(crate) fn drawing_cost(&self) -> usize {
        let clusters = self.left.lengths.len() + self.right.lengths.len();
        self.bytes() + 4 * (self.bytes() - clusters)
    }

    fn history_line(&self, place: usize) -> usize {
        self.history.get(place).map_or(0, |line| line.text.len())
    }

    fn insert(&mut self, c: char, max: usize) -> Result<Edited, TooLong> {
        if c.is_control() {
            return Ok(Edited::Nothing);
        }
        if self.bytes() + c.len_utf8() > max {
            return Err(TooLong);
        }
        // A combining mark changes the cluster before it, which is already on the screen.
        let joined = self.left.push(c);
        Ok(if self.right.is_empty() && !joined { Edited::Appended } else { Edited::Changed })
    }

    fn erase_word(&mut self) -> bool {
        let spaces = all(|| self.left.top() == Some(" ") && self.left.pop());
        let word = all(|| self.left.top().is_some_and(|top| top != " ") && self.left.pop());
        spaces || word
    }

    /// Returns the text before the cursor.
    pub(crate) fn before(&self) -> &str {
        &self.left.text
    }

    /// Returns the grapheme clusters before the cursor, first to last.
    pub(crate) fn clusters_before(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.left.text.as_str();
        self.left.lengths.iter().map(move |&length| {
            let (cluster, behind) = rest.split_at(usize::from(length));
            rest = behind;
            cluster
        })
    }

    /// Returns the grapheme clusters from the cursor on, first to last.
    pub(crate) fn clusters_after(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.right.text.as_str();
        self.right.lengths.iter().rev().map(move |&length| {
            let (before, cluster) = rest.split_at(rest.len() - usize::from(length));
            rest = before;
            cluster
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.right.is_empty()
    }

    fn bytes(&self) -> usize {
        self.left.text.len() + self.right.text.len()
    }

    /// Empties the line and returns its text. If `remembered`, may add the text to the history.
    ///
    /// The history leaves out blank lines, repetitions of its last line, and lines over its limit.
    pub(crate) fn take(&mut self, remembered: bool) -> String {
        let line = self.take_clusters();
        self.recalled = None;
        if remembered && !line.text.trim().is_empty() && self.history.back().is_none_or(|last| last.text != line.text) {
            self.remember(&line);
        }
        line.text
    }

    fn take_clusters(&mut self) -> Clusters {
        all(|| self.right.pass_to(&mut self.left));
        core::mem::take(&mut self.left)
    }

    pub(crate) fn clear(&mut self) {
        self.left.clear();
        self.right.clear();
        self.recalled = None;
    }

    fn remember(&mut self, line: &Clusters) {
        if line.text.len() > HISTORY_MAX_BYTES {
            return;
        }
        self.history.push_back(line.clone());
        self.history_bytes += line.text.len();
        while self.history.len() > HISTORY_MAX_LINES || self.history_bytes > HISTORY_MAX_BYTES {
            self.history_bytes -= self.history.pop_front().map_or(0, |oldest| oldest.text.len());
        }
    }

    /// Returns the history index of the next older line of at most `max` bytes, if any.
    fn older(&self, max: usize) -> Option<usize> {
        let end = self.recalled.as_ref().map_or(self.history.len(), |&(place, _)| place);
        (0..end).rfind(|&place| self.history_line(place) <= max)
    }

    /// Returns the history index of the next newer line of at most `max` bytes.
    ///
    /// The history's length means the typed line. `None` if the typed line is shown already.
    fn newer(&self, max: usize) -> Option<usize> {
        let &(place, _) = self.recalled.as_ref()?;
        let mut newer = place + 1..self.history.len();
        newer.find(|&place| self.history_line(place) <= max).or(Some(self.history.len()))
    }

    fn recall_older(&mut self, max: usize) -> Edited {
        let Some(place) = self.older(max) else { return Edited::Nothing };
        let shown = self.take_clusters();
        let typed = self.recalled.take().map_or(shown, |(_, typed)| typed);
        self.left = self.history.get(place).cloned().unwrap_or_default();
        self.recalled = Some((place, typed));
        Edited::Changed
    }

    fn recall_newer(&mut self, max: usize) -> Edited {
        let Some(place) = self.newer(max) else { return Edited::Nothing };
        let typed = self.recalled.take().map(|(_, typed)| typed).unwrap_or_default();
        self.clear();
        match self.history.get(place).cloned() {
            Some(line) => {
                self.left = line;
                self.recalled = Some((place, typed));
            }
            None => self.left = typed,
        }
        Edited::Changed
    }
}

impl Clusters {
    /// Appends a character. Returns `true` if it joined the top cluster.
    fn push(&mut self, c: char) -> bool {
        let top = self.lengths.last().map_or(0, |&length| usize::from(length));
        work::step(1);
        let begin = self.text.len() - top;
        let plain = c.is_ascii() && top <= 1;
        self.text.push(c);
        let whole = &self.text[begin..];
        let joins = top > 0 && !plain && whole.len() <= CLUSTER_MAX_BYTES && !is_boundary(whole, top);
        if joins {
            self.lengths.pop();
        }
        let length = if joins { whole.len() } else { c.len_utf8() };
        self.lengths.push(u8::try_from(length).unwrap_or(u8::MAX));
        joins
    }

    fn top(&self) -> Option<&str> {
        self.lengths.last().map(|&length| &self.text[self.text.len() - usize::from(length)..])
    }

    fn pop(&mut self) -> bool {
        work::step(1);
        let Some(length) = self.lengths.pop() else { return false };
        self.text.truncate(self.text.len() - usize::from(length));
        true
    }

    fn pass_to(&mut self, other: &mut Self) -> bool {
        let Some(&length) = self.lengths.last() else { return false };
        let begin = self.text.len() - usize::from(length);
        work::step(usize::from(length));
        other.text.push_str(&self.text[begin..]);
        other.lengths.push(length);
        self.pop()
    }

    fn clear(&mut self) -> bool {
        let any = !self.is_empty();
        *self = Self::default();
        any
    }

    fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }
}

/// Returns `true` if a cluster ends at byte `at` of `text`; the bytes before must be one cluster.
///
/// The two characters around `at` usually decide, so the cluster's length hardly affects the cost.
fn is_boundary(text: &str, at: usize) -> bool {
    work::step(4);
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0) != Ok(false)
}

/// Calls `step` until it returns `false`. Returns `true` if any call returned `true`.
fn all(mut step: impl FnMut() -> bool) -> bool {
    let mut any = false;
    while step() {
        any = true;
    }
    any
}

const fn changed(any: bool) -> Edited {
    if any { Edited::Changed } else { Edited::Nothing }
}
