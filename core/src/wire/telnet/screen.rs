//! The input line on the peer's screen: tracking of the cursor, drawing and erasing.

use super::editor::Editor;
use crate::base::work;
use alloc::string::String;
use core::fmt::Write;
use unicode_width::UnicodeWidthStr;

/// State of the input line on the peer's screen.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// Cursor position relative to the start of the line; `None` if the line is not on the screen.
    cursor: Option<Place>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    row: u32,
    column: u32,
}

/// The content of the input line to draw, and the properties of the terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) prompt: &'a str,
    /// The input to draw; `None` if it is hidden.
    pub(crate) line: Option<&'a Editor>,
    pub(crate) columns: u16,
    /// Whether the terminal cannot move the cursor back, and therefore cannot erase.
    pub(crate) dumb: bool,
}

impl Screen {
    pub(crate) const fn is_drawn(&self) -> bool {
        self.cursor.is_some()
    }

    /// Records that the prompt is on the screen, although this struct did not draw it.
    pub(crate) fn assume_drawn(&mut self) {
        self.cursor = Some(Place::default());
    }

    /// Erases the line if it is drawn. On a dumb terminal, starts a new row instead.
    pub(crate) fn erase(&mut self, dumb: bool, out: &mut String) {
        let Some(cursor) = self.cursor.take() else { return };
        if dumb {
            return out.push_str("\r\n");
        }
        up(cursor.row, out);
        out.push_str("\r\x1b[J");
    }

    /// Draws the line, after erasing any earlier drawing of it.
    pub(crate) fn draw(&mut self, view: View<'_>, out: &mut String) {
        // Erase all of the line: a wide character that wraps to the next row leaves a gap.
        self.erase(view.dumb, out);
        let (columns, mut place) = (u32::from(view.columns.max(1)), Place::default());
        out.push_str(view.prompt);
        place.pass_text(columns, &visible(view.prompt));
        let mut cursor = place;
        if let Some(line) = view.line {
            out.push_str(line.before());
            line.clusters_before().for_each(|cluster| place.pass(columns, cluster));
            cursor = place;
            for cluster in line.clusters_after() {
                out.push_str(cluster);
                place.pass(columns, cluster);
            }
        }
        place.settle(columns, out);
        cursor.wrap(columns);
        if !view.dumb && cursor != place {
            up(place.row - cursor.row, out);
            out.push('\r');
            if cursor.column > 0 {
                let _ = write!(out, "\x1b[{}C", cursor.column);
            }
        }
        self.cursor = Some(cursor);
    }

    /// Draws the text from byte `from` on, which was added at the end of a drawn line.
    pub(crate) fn append(&mut self, view: View<'_>, from: usize, out: &mut String) {
        let (Some(line), Some(mut cursor)) = (view.line, self.cursor) else { return };
        let columns = u32::from(view.columns.max(1));
        let added = line.before().get(from..).unwrap_or_default();
        out.push_str(added);
        cursor.pass_text(columns, added);
        cursor.settle(columns, out);
        self.cursor = Some(cursor);
    }

    /// Leaves the line on the screen, appends `words`, and moves the cursor below the line.
    pub(crate) fn leave(&mut self, view: View<'_>, words: &str, out: &mut String) {
        let cursor = self.cursor.take().unwrap_or_default();
        let (columns, mut end) = (u32::from(view.columns.max(1)), cursor);
        if let Some(line) = view.line {
            line.clusters_after().for_each(|cluster| end.pass(columns, cluster));
            end.wrap(columns);
        }
        // On a dumb terminal, the cursor is at the end of the line.
        if end.row > cursor.row && !view.dumb {
            let _ = write!(out, "\x1b[{}B", end.row - cursor.row);
        }
        out.push_str(words);
        // If the line fills its last row, the cursor is below it already.
        let is_below = end.column == 0 && end.row > 0 && words.is_empty();
        out.push_str(if is_below { "\r" } else { "\r\n" });
    }
}

impl Place {
    /// Advances the position over text on a screen of `columns` columns.
    fn pass_text(&mut self, columns: u32, text: &str) {
        use unicode_segmentation::UnicodeSegmentation;
        work::step(text.len());
        if text.is_ascii() {
            text.as_bytes().iter().for_each(|_| self.pass_width(columns, 1));
        } else {
            text.graphemes(true).for_each(|cluster| self.pass(columns, cluster));
        }
    }

    /// Advances the position over a grapheme cluster on a screen of `columns` columns.
    fn pass(&mut self, columns: u32, cluster: &str) {
        let width = if cluster.len() == 1 { 1 } else { cluster.width() };
        work::step(cluster.len());
        self.pass_width(columns, u32::try_from(width).unwrap_or(0));
    }

    /// Advances the position by `width` columns, in the next row if this row has too little room.
    fn pass_width(&mut self, columns: u32, width: u32) {
        let width = width.min(columns);
        if self.column + width > columns {
            *self = Self { row: self.row + 1, column: 0 };
        }
        self.column += width;
    }

    /// Starts the next row if the current row is full.
    ///
    /// Terminals differ in where the cursor is after the last column.
    fn settle(&mut self, columns: u32, out: &mut String) {
        if self.column >= columns {
            out.push_str("\r\n");
        }
        self.wrap(columns);
    }

    fn wrap(&mut self, columns: u32) {
        if self.column >= columns {
            *self = Self { row: self.row + 1, column: 0 };
        }
    }
}

fn up(rows: u32, out: &mut String) {
    if rows > 0 {
        let _ = write!(out, "\x1b[{rows}A");
    }
}

/// Returns a prompt without control characters and control sequences (ECMA-48), such as colours.
fn visible(prompt: &str) -> String {
    let mut rest = prompt.chars();
    let mut text = String::new();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' && rest.as_str().starts_with('[') {
            rest.next();
            rest.find(|c| matches!(c, '@'..='~'));
        } else if !c.is_control() {
            text.push(c);
        }
    }
    text
}
