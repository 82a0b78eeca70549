//! A minimal terminal: rows of characters, and a cursor.
//!
//! It understands the control sequences (ECMA-48) that the server's line editor sends, and the few
//! others that simple output needs.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Distance between two tab stops, in columns.
const TAB: usize = 8;

pub(super) struct Screen {
    columns: usize,
    rows: Vec<Row>,
    row: usize,
    /// The cursor's column. It equals `columns` if the next character goes to the next row.
    column: usize,
    escape: Option<String>,
    /// The lines that were shown before the screen was last cleared.
    earlier: Vec<String>,
}

#[derive(Clone, Default)]
struct Row {
    cells: Vec<char>,
    /// Whether the line continues in the next row.
    goes_on: bool,
}

impl Screen {
    pub(super) fn new(columns: u16) -> Self {
        let columns = usize::from(columns.max(1));
        Self { columns, rows: alloc::vec![Row::default()], row: 0, column: 0, escape: None, earlier: Vec::new() }
    }

    /// Shows a character, or executes a control character or sequence.
    pub(super) fn put(&mut self, c: char) -> Result<(), String> {
        if let Some(mut escape) = self.escape.take() {
            escape.push(c);
            let is_whole = escape.len() > 1 && matches!(c, '@'..='~');
            if !escape.starts_with('[') {
                return Err(format!("an unknown escape sequence: {escape:?}"));
            }
            if !is_whole {
                self.escape = Some(escape);
                return Ok(());
            }
            return self.control(&escape);
        }
        match c {
            '\u{1b}' => self.escape = Some(String::new()),
            '\u{7}' => {}
            '\r' => self.column = 0,
            '\u{8}' => self.column = self.column.saturating_sub(1),
            '\t' => self.column = ((self.column / TAB + 1) * TAB).min(self.columns - 1),
            '\n' => self.go_to_row(self.row + 1),
            c if c.is_control() => return Err(format!("an unknown control character: {c:?}")),
            c => {
                if self.column >= self.columns {
                    self.rows[self.row].goes_on = true;
                    self.column = 0;
                    self.go_to_row(self.row + 1);
                }
                let cells = &mut self.rows[self.row].cells;
                if cells.len() <= self.column {
                    cells.resize(self.column + 1, ' ');
                }
                cells[self.column] = c;
                self.column += 1;
            }
        }
        Ok(())
    }

    fn go_to_row(&mut self, row: usize) {
        self.row = row;
        if self.rows.len() <= row {
            self.rows.resize(row + 1, Row::default());
        }
    }

    fn control(&mut self, sequence: &str) -> Result<(), String> {
        let last = sequence.chars().next_back().unwrap_or_default();
        let number = sequence.get(1..sequence.len() - 1).unwrap_or_default();
        let count = number.parse::<usize>().ok();
        match (last, count) {
            ('A', Some(count)) => self.row = self.row.saturating_sub(count),
            ('B', Some(count)) => self.row = (self.row + count).min(self.rows.len() - 1),
            ('D', Some(count)) => self.column = self.column.saturating_sub(count),
            ('C', Some(count)) => self.column = (self.column + count).min(self.columns - 1),
            ('J', None) if number.is_empty() => {
                self.rows.truncate(self.row + 1);
                self.rows[self.row].cells.truncate(self.column);
                self.rows[self.row].goes_on = false;
                if self.column == 0 && self.row > 0 {
                    self.rows[self.row - 1].goes_on = false;
                }
            }
            ('K', None) if number.is_empty() => self.rows[self.row].cells.truncate(self.column),
            ('J', Some(2)) => {
                self.earlier = self.lines();
                (self.rows, self.row) = (alloc::vec![Row::default()], 0);
            }
            ('H', None) if number.is_empty() => (self.row, self.column) = (0, 0),
            ('m', _) => {}
            _ => return Err(format!("an unknown control sequence: {sequence:?}")),
        }
        Ok(())
    }

    /// Returns the lines that were shown. A line may extend over several rows.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.earlier.clone();
        let mut line = String::new();
        for row in &self.rows {
            line.extend(&row.cells);
            if !row.goes_on {
                lines.push(core::mem::take(&mut line));
            }
        }
        lines
    }

    /// Sets the number of columns for the rows that follow.
    pub(super) fn set_columns(&mut self, columns: u16) {
        self.columns = usize::from(columns.max(1));
    }
}

/// What the typists of the simulated world check.
#[cfg(feature = "sim")]
impl Screen {
    /// Returns `true` if the cursor stands between these texts, and nothing follows them.
    pub(super) fn shows(&self, before: &str, after: &str) -> bool {
        let first = self.row.saturating_sub(before.chars().count() / self.columns + 1);
        let cells: Vec<char> = self.rows[first..self.row].iter().flat_map(|row| self.padded(row)).collect();
        let here = self.padded(&self.rows[self.row]);
        let column = self.column.min(self.columns);
        let text: String = cells.iter().chain(&here[..column]).collect();
        let mut rest: String = here[column..].iter().collect();
        self.rows[self.row + 1..].iter().for_each(|row| rest.extend(self.padded(row)));
        text.ends_with(before) && rest.trim_end_matches(' ') == after.trim_end_matches(' ')
    }

    fn padded(&self, row: &Row) -> Vec<char> {
        let mut cells = row.cells.clone();
        cells.resize(self.columns, ' ');
        cells
    }

    pub(super) fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Returns `true` if the rows from `first` on, or all rows if there are fewer, contain a text.
    pub(super) fn has_shown(&self, text: &str, first: usize) -> bool {
        let rows = self.rows.get(first..).unwrap_or(&self.rows);
        rows.iter().flat_map(|row| &row.cells).collect::<String>().contains(text)
    }

    /// Returns `true` if the cursor is in the first column and no control sequence has begun.
    pub(super) fn is_at_line_start(&self) -> bool {
        self.column == 0 && self.escape.is_none()
    }

    /// Returns a description of the rows around the cursor, for an error text.
    pub(super) fn around(&self) -> String {
        let from = self.row.saturating_sub(2);
        let rows = self.rows[from..].iter().take(6).map(|row| row.cells.iter().collect::<String>());
        format!("{:?} with the cursor at row {}, column {}", rows.collect::<Vec<_>>(), self.row - from, self.column)
    }
}
