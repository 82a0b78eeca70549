//! A line that is edited on the server: text, cursor, history. Nothing here knows what a screen is.

use super::Key;
use crate::work;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use unicode_segmentation::UnicodeSegmentation;

/// A cluster is cut after so many bytes, so that stacked marks cost no more than a line.
const CLUSTER_MAX_BYTES: usize = 64;
const HISTORY_MAX_LINES: usize = 50;
const HISTORY_MAX_BYTES: usize = 4096;

/// What a key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edited {
    /// Nothing that can be seen.
    Nothing,
    /// Text was added at the very end.
    Appended,
    /// The line or the cursor is another.
    Changed,
    /// The screen should be cleared.
    Cleared,
    /// The line is complete.
    Entered,
    /// Control-C.
    Interrupted,
    /// Control-D on an empty line.
    EndOfFile,
}

/// The line would be longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Two stacks of grapheme clusters (UAX #29) that face each other at the cursor: every key costs what one
/// cluster costs, however long the line is.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    left: Clusters,
    /// The cluster at the cursor is on top.
    right: Clusters,
    history: VecDeque<String>,
    history_bytes: usize,
    /// The line of the history that is shown, and what was typed before it was looked for.
    recalled: Option<(usize, String)>,
}

#[derive(Debug, Default)]
struct Clusters {
    text: String,
    /// The length of each cluster in bytes.
    lengths: Vec<u8>,
}

impl Editor {
    /// Applies a key. The line grows to at most `max` bytes.
    pub(crate) fn key(&mut self, key: Key, max: usize) -> Result<Edited, TooLong> {
        Ok(match key {
            Key::Char(c) => return self.insert(c, max),
            // A tab would be as wide as it likes.
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
            Key::Ctrl('w') | Key::Alt('\u{7f}') => changed(self.erase_word()),
            Key::Ctrl('l') => Edited::Cleared,
            Key::Up | Key::Ctrl('p') => self.recall_older(),
            Key::Down | Key::Ctrl('n') => self.recall_newer(),
            Key::Ctrl('c') => Edited::Interrupted,
            _ => Edited::Nothing,
        })
    }

    fn insert(&mut self, c: char, max: usize) -> Result<Edited, TooLong> {
        if c.is_control() {
            return Ok(Edited::Nothing);
        }
        if self.bytes() + c.len_utf8() > max {
            return Err(TooLong);
        }
        // A mark that joins what is before it changes what is on the screen already.
        let joined = self.left.push(c);
        Ok(if self.right.is_empty() && !joined { Edited::Appended } else { Edited::Changed })
    }

    fn erase_word(&mut self) -> bool {
        let spaces = all(|| self.left.top() == Some(" ") && self.left.pop());
        let word = all(|| self.left.top().is_some_and(|top| top != " ") && self.left.pop());
        spaces || word
    }

    /// What is before the cursor.
    pub(crate) fn before(&self) -> &str {
        &self.left.text
    }

    /// The clusters before the cursor, in order.
    pub(crate) fn clusters_before(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.left.text.as_str();
        self.left.lengths.iter().map(move |&length| {
            let (cluster, behind) = rest.split_at(usize::from(length));
            rest = behind;
            cluster
        })
    }

    /// The clusters from the cursor on, in order.
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

    /// Empties the line and hands out what was in it; `remembered` if it may be recalled.
    pub(crate) fn take(&mut self, remembered: bool) -> String {
        all(|| self.right.pass_to(&mut self.left));
        self.recalled = None;
        self.left.lengths = Vec::new();
        let line = core::mem::take(&mut self.left.text);
        if remembered && !line.trim().is_empty() && self.history.back() != Some(&line) {
            self.remember(&line);
        }
        line
    }

    pub(crate) fn clear(&mut self) {
        self.left.clear();
        self.right.clear();
        self.recalled = None;
    }

    fn remember(&mut self, line: &str) {
        if line.len() > HISTORY_MAX_BYTES {
            return;
        }
        self.history.push_back(line.into());
        self.history_bytes += line.len();
        while self.history.len() > HISTORY_MAX_LINES || self.history_bytes > HISTORY_MAX_BYTES {
            self.history_bytes -= self.history.pop_front().map_or(0, |oldest| oldest.len());
        }
    }

    fn recall_older(&mut self) -> Edited {
        let place = self.recalled.as_ref().map_or(self.history.len(), |&(place, _)| place);
        let Some(place) = place.checked_sub(1) else { return Edited::Nothing };
        let typed = match self.recalled.take() {
            Some((_, typed)) => typed,
            None => self.take(false),
        };
        let line = self.history.get(place).cloned().unwrap_or_default();
        self.show(&line);
        self.recalled = Some((place, typed));
        Edited::Changed
    }

    fn recall_newer(&mut self) -> Edited {
        let Some((place, typed)) = self.recalled.take() else { return Edited::Nothing };
        match self.history.get(place + 1).cloned() {
            Some(line) => {
                self.show(&line);
                self.recalled = Some((place + 1, typed));
            }
            None => self.show(&typed),
        }
        Edited::Changed
    }

    fn show(&mut self, line: &str) {
        self.clear();
        for c in line.chars() {
            self.left.push(c);
        }
    }
}

impl Clusters {
    /// True if the character joined the cluster on top.
    fn push(&mut self, c: char) -> bool {
        let top = self.lengths.last().map_or(0, |&length| usize::from(length));
        work::step(1 + top);
        let begin = self.text.len() - top;
        let plain = c.is_ascii() && self.text[begin..].is_ascii();
        self.text.push(c);
        let whole = &self.text[begin..];
        let joins = top > 0 && !plain && whole.len() <= CLUSTER_MAX_BYTES && whole.graphemes(true).nth(1).is_none();
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

/// Repeats as long as something is done; true if anything was.
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
