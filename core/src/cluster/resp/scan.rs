//! Finds the end of a reply in a stream, without keeping or parsing it.

use super::bounds::{DEPTH_MAX, ELEMENT_MIN, ELEMENTS_MAX, line_max};
use super::error::{RespError, TypeByte};
use crate::base::work;
use alloc::vec::Vec;

/// Finds where a reply ends, and checks its bounds as soon as they are declared.
///
/// It continues where it stopped, so the work for a reply is linear in its length, however small the pieces are. Whether
/// and how it fails depends on the bytes alone, not on the pieces.
#[derive(Debug)]
pub(super) struct Scan {
    /// Maximum length of a reply, in bytes.
    bound: usize,
    /// Number of bytes of the reply that are scanned.
    position: usize,
    state: State,
    /// The aggregates that have elements left, outermost first. At most [`DEPTH_MAX`].
    open: Vec<Open>,
    /// Number of elements that are declared and have not begun.
    owed: usize,
    /// Number of elements that were declared so far.
    elements: usize,
    /// Whether a reply was complete before this one.
    has_scanned_reply: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A type comes next.
    Type,
    /// In a line of type `kind`, whose first byte after the type is at `start`.
    Line { kind: u8, start: usize },
    /// In a text of type `kind`. CR LF must be at `end`.
    Text { kind: u8, end: usize },
}

/// An aggregate that has elements left.
#[derive(Debug)]
struct Open {
    left: usize,
    is_attribute: bool,
}

/// Whether a step of the scan has ended the reply.
#[derive(PartialEq)]
enum Progress {
    Continues,
    Complete,
}

impl Scan {
    /// Starts at the begin of a stream. `bound`: maximum length of a reply, in bytes.
    pub(super) fn new(bound: usize) -> Self {
        let state = State::Type;
        Self { bound, position: 0, state, open: Vec::new(), owed: 1, elements: 0, has_scanned_reply: false }
    }

    /// Continues in `buffer`, which begins with the reply. Returns the reply's length once it is complete.
    ///
    /// The next call then begins another reply. `None`: more bytes are needed.
    pub(super) fn resume(&mut self, buffer: &[u8]) -> Result<Option<usize>, RespError> {
        loop {
            let progress = match self.state {
                State::Type => {
                    let Some(&kind) = buffer.get(self.position) else { return Ok(None) };
                    self.begin_element(kind)?;
                    Progress::Continues
                }
                State::Line { kind, start } => {
                    let Some(line) = self.find_line(buffer, kind, start)? else { return Ok(None) };
                    self.end_line(kind, line)?
                }
                State::Text { kind, end } => {
                    let after = end.saturating_add(2);
                    let Some(behind) = buffer.get(end..after) else { return Ok(None) };
                    if behind != b"\r\n" {
                        return Err(RespError::MissingLineEnd(TypeByte(kind)));
                    }
                    work::step(2);
                    self.position = after;
                    self.end_element()
                }
            };
            if progress == Progress::Complete {
                let length = self.position;
                (self.position, self.state, self.owed, self.elements) = (0, State::Type, 1, 0);
                self.has_scanned_reply = true;
                return Ok(Some(length));
            }
        }
    }

    /// Accepts the type of a reply or an element.
    fn begin_element(&mut self, kind: u8) -> Result<(), RespError> {
        let shown = TypeByte(kind);
        match kind {
            b'>' if !self.open.is_empty() => return Err(RespError::MisplacedPush),
            b'+' | b'-' | b':' | b'$' | b'*' | b'_' | b'#' | b',' | b'(' | b'!' | b'=' | b'%' | b'~' | b'>' => {
                self.owed = self.owed.saturating_sub(1);
            }
            // It comes before an element, and is none.
            b'|' => {}
            b';' | b'.' => return Err(RespError::Streamed(shown)),
            _ if self.has_scanned_reply || self.position > 0 => return Err(RespError::UnknownType(shown)),
            // An alert, or a handshake.
            0x15 | 0x16 => return Err(RespError::Tls),
            _ => return Err(RespError::NotRedis(shown)),
        }
        work::step(1);
        self.position = self.position.saturating_add(1);
        self.state = State::Line { kind, start: self.position };
        Ok(())
    }

    /// Looks for the end of a line. Returns the line without its type and its end.
    fn find_line<'b>(&mut self, buffer: &'b [u8], kind: u8, start: usize) -> Result<Option<&'b [u8]>, RespError> {
        let max = line_max(kind);
        let room = self.room_after(start)?;
        // The line and its CR.
        let longest = start.saturating_add(max.min(room)).saturating_add(1);
        let end = longest.min(buffer.len());
        let unseen = buffer.get(self.position..end).unwrap_or_default();
        let Some(offset) = memchr::memchr2(b'\r', b'\n', unseen) else {
            work::step(unseen.len());
            self.position = end.max(self.position);
            if end < longest {
                return Ok(None);
            }
            return Err(if room < max {
                self.too_long()
            } else {
                RespError::LineTooLong { kind: TypeByte(kind), max }
            });
        };
        work::step(offset.saturating_add(1));
        let line_end = self.position.saturating_add(offset);
        self.position = line_end;
        match (buffer.get(line_end), buffer.get(line_end.saturating_add(1))) {
            (Some(b'\r'), None) => Ok(None),
            (Some(b'\r'), Some(b'\n')) => {
                self.position = line_end.saturating_add(2);
                Ok(buffer.get(start..line_end))
            }
            _ => Err(RespError::LoneLineEnd(TypeByte(kind))),
        }
    }

    /// Accepts a line of this type, which says everything of the element or how much follows.
    fn end_line(&mut self, kind: u8, line: &[u8]) -> Result<Progress, RespError> {
        let shown = TypeByte(kind);
        let has_length = matches!(kind, b'$' | b'!' | b'=');
        let has_count = matches!(kind, b'*' | b'~' | b'>' | b'%' | b'|');
        if !has_length && !has_count {
            return Ok(self.end_element());
        }
        let length = match line {
            b"?" => return Err(RespError::Streamed(shown)),
            b"-1" if matches!(kind, b'$' | b'*') => return Ok(self.end_element()),
            b"-1" => return Err(RespError::NullNotAllowed(shown)),
            digits => decimal(digits).ok_or(RespError::BadLength(shown))?,
        };
        if has_length { self.begin_text(kind, length) } else { self.begin_aggregate(kind, length) }
    }

    /// Accepts the declared length of a text.
    fn begin_text(&mut self, kind: u8, bytes: usize) -> Result<Progress, RespError> {
        if bytes > self.bound {
            return Err(RespError::TextTooLong { bytes, max: self.bound });
        }
        if bytes > self.room_after(self.position)? {
            return Err(self.too_long());
        }
        if kind == b'=' && bytes < 4 {
            return Err(RespError::Malformed);
        }
        self.state = State::Text { kind, end: self.position.saturating_add(bytes) };
        Ok(Progress::Continues)
    }

    /// Accepts the declared count of an aggregate.
    fn begin_aggregate(&mut self, kind: u8, count: usize) -> Result<Progress, RespError> {
        let (is_attribute, is_pairs) = (kind == b'|', matches!(kind, b'%' | b'|'));
        let left = if is_pairs { count.saturating_mul(2) } else { count };
        self.owed = self.owed.saturating_add(left);
        self.elements = self.elements.saturating_add(left);
        if self.owed.saturating_mul(ELEMENT_MIN).saturating_add(self.position) > self.bound {
            return Err(RespError::CountTooLarge { kind: TypeByte(kind), count, max: self.bound });
        }
        if self.elements > ELEMENTS_MAX {
            return Err(RespError::TooManyElements { max: ELEMENTS_MAX });
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(RespError::TooDeep { max: DEPTH_MAX });
        }
        self.state = State::Type;
        if left > 0 {
            self.open.push(Open { left, is_attribute });
            return Ok(Progress::Continues);
        }
        Ok(if is_attribute { Progress::Continues } else { self.end_element() })
    }

    /// Counts an element that is complete, and closes the aggregates that it completes.
    fn end_element(&mut self) -> Progress {
        self.state = State::Type;
        while let Some(open) = self.open.last_mut() {
            open.left = open.left.saturating_sub(1);
            if open.left > 0 {
                return Progress::Continues;
            }
            let is_attribute = open.is_attribute;
            self.open.pop();
            // The element that it describes is still to come.
            if is_attribute {
                return Progress::Continues;
            }
        }
        Progress::Complete
    }

    /// Returns how long a line or a text that begins at `start` may be, so that its CR LF and all that is owed still fit.
    fn room_after(&self, start: usize) -> Result<usize, RespError> {
        let rest = self.owed.saturating_mul(ELEMENT_MIN).saturating_add(2);
        self.bound.checked_sub(start.saturating_add(rest)).ok_or_else(|| self.too_long())
    }

    fn too_long(&self) -> RespError {
        RespError::ReplyTooLong { max: self.bound }
    }
}

/// Parses a length. Returns `None` if it is empty or has anything but digits. A value that does not fit is `usize::MAX`.
fn decimal(digits: &[u8]) -> Option<usize> {
    let is_decimal = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_decimal.then(|| {
        let value = |sum: usize, digit: &u8| sum.saturating_mul(10).saturating_add(usize::from(digit & 0x0f));
        digits.iter().fold(0, value)
    })
}
