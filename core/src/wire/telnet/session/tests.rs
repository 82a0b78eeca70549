//! Tests of the editor and screen against naive models, and of two connected sessions.

use crate::wire::Budget;
use crate::wire::telnet::{InputMode, Session, Side, Telnet, option};
use crate::wire::{DecodeBuffer, Item};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Creates a session in character mode on a screen of `columns` columns.
fn typing(columns: u8) -> Session {
    let mut session = Session::new(Telnet { mode: InputMode::Character, ..Telnet::default() });
    hear(&mut session, &[255, 253, 1, 255, 253, 3, 255, 251, 31, 255, 250, 31, 0, columns, 0, 24, 255, 240]);
    drop(session.replies());
    session
}

/// Feeds `bytes` to a session. Returns the items that it yields, as text, and its output.
fn hear(session: &mut Session, bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    let (mut bytes, mut buffer, mut at) = (bytes.to_vec(), DecodeBuffer::default(), 0);
    let (mut told, mut sent) = (vec![], vec![]);
    while at < bytes.len() || session.is_ahead() {
        let decoded = session.decode(&mut bytes[at..], &mut buffer, &Budget::default()).expect("within the budget");
        at += decoded.used;
        told.extend(decoded.item.map(|item| match item {
            Item::Message(payload) => payload.as_str().expect("text").to_string(),
            other => format!("{other:?}"),
        }));
        let replies = session.replies().unwrap_or_default();
        sent.extend([replies.control, replies.output].concat());
    }
    (told, sent)
}

/// A minimal terminal: rows of cells, each with a cluster or nothing.
struct Terminal {
    columns: usize,
    rows: Vec<Vec<String>>,
    row: usize,
    column: usize,
}

impl Terminal {
    fn new(columns: usize) -> Self {
        Self { columns, rows: vec![vec![]], row: 0, column: 0 }
    }

    fn show(&mut self, bytes: &[u8]) {
        let text = String::from_utf8(bytes.to_vec()).expect("complete characters").replace('\0', "");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            if let Some(sequence) = rest.strip_prefix("\u{1b}[") {
                let end = sequence.find(|c: char| c.is_ascii_alphabetic()).expect("a final byte");
                let count = sequence[..end].parse::<usize>().unwrap_or(1);
                match &sequence[end..=end] {
                    "A" => self.row = self.row.checked_sub(count).expect("not above the screen"),
                    "B" => self.go_down(count),
                    "C" => self.column = (self.column + count).min(self.columns - 1),
                    "J" => {
                        self.rows.truncate(self.row + 1);
                        self.rows[self.row].truncate(self.column);
                    }
                    "m" => {}
                    other => panic!("an unknown sequence {other}"),
                }
                rest = &sequence[end + 1..];
            } else {
                // CR LF is one grapheme cluster.
                let cluster = rest.graphemes(true).next().expect("not empty");
                let cluster = if cluster == "\r\n" { "\r" } else { cluster };
                match cluster {
                    "\r" => self.column = 0,
                    "\n" => self.go_down(1),
                    _ => self.put(cluster),
                }
                rest = &rest[cluster.len()..];
            }
        }
    }

    fn go_down(&mut self, count: usize) {
        self.row += count;
        if self.rows.len() <= self.row {
            self.rows.resize(self.row + 1, vec![]);
        }
    }

    fn put(&mut self, cluster: &str) {
        let width = cluster.width();
        if self.column + width > self.columns {
            self.go_down(1);
            self.column = 0;
        }
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + width), " ".into());
        for place in 0..width {
            row[self.column + place] = if place == 0 { cluster.into() } else { String::new() };
        }
        self.column += width;
    }

    fn all_rows(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.concat().trim_end().to_string()).collect()
    }

    fn text(&self) -> Vec<String> {
        let mut rows = self.all_rows();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }
}

/// Returns the rows that a terminal of `columns` columns shows for `text`.
fn wrapped(columns: usize, text: &str) -> Vec<String> {
    let mut terminal = Terminal::new(columns);
    terminal.show(text.as_bytes());
    terminal.all_rows()
}

/// Reference model of the input line: the clusters before and after the cursor.
#[derive(Clone, Debug, Default)]
struct Model {
    before: Vec<String>,
    after: Vec<String>,
}

impl Model {
    fn line(&self) -> String {
        [self.before.concat(), self.after.concat()].concat()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Type(&'static str),
    Left,
    Right,
    Home,
    End,
    Backspace,
    Delete,
    KillBefore,
    KillAfter,
    Word,
    Message(&'static str),
    Prompt(&'static str),
    Enter,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = || prop::sample::select(vec!["a", "b c", "ü", "漢", "👩\u{200d}👩\u{200d}👧", "e\u{301}", " ", "xyzzy"]);
    let step = prop_oneof![
        8 => text().prop_map(Step::Type),
        2 => Just(Step::Left),
        1 => Just(Step::Right),
        1 => Just(Step::Home),
        1 => Just(Step::End),
        3 => Just(Step::Backspace),
        1 => Just(Step::Delete),
        1 => Just(Step::KillBefore),
        1 => Just(Step::KillAfter),
        1 => Just(Step::Word),
        3 => prop::sample::select(vec!["news", "漢字 are wide", "a longer piece of news than fits"]).prop_map(Step::Message),
        1 => prop::sample::select(vec!["> ", "\u{1b}[1mname\u{1b}[0m: ", "漢: "]).prop_map(Step::Prompt),
        1 => Just(Step::Enter),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// After every key and message, the screen shows all messages and lines, complete and in order.
    ///
    /// The input line is below the messages, and the cursor is at the right position.
    #[test]
    fn screen_agrees_with_a_naive_model(columns in 8..30u8, steps in steps()) {
        let mut session = typing(columns);
        let columns = usize::from(columns);
        let (mut terminal, mut model, mut prompt) = (Terminal::new(columns), Model::default(), "");
        let mut expected: Vec<String> = vec![];
        for (number, step) in steps.iter().enumerate() {
            let mut told = vec![];
            let key: &[u8] = match step {
                Step::Type(text) => text.as_bytes(),
                Step::Left => b"\x1b[D",
                Step::Right => b"\x1bOC",
                Step::Home => b"\x01",
                Step::End => b"\x1b[4~",
                Step::Backspace => b"\x7f",
                Step::Delete => b"\x1b[3~",
                Step::KillBefore => b"\x15",
                Step::KillAfter => b"\x0b",
                Step::Word => b"\x17",
                Step::Enter => b"\r",
                Step::Message(_) | Step::Prompt(_) => b"",
            };
            let sent = match step {
                Step::Message(text) => {
                    session.render(format!("{text}\r\n").as_bytes());
                    expected.extend(wrapped(columns, text));
                    session.replies().unwrap_or_default().output
                }
                Step::Prompt(text) => {
                    prompt = *text;
                    session.prompt(text, false);
                    session.replies().unwrap_or_default().output
                }
                _ => {
                    let (words, sent) = hear(&mut session, key);
                    told = words;
                    sent
                }
            };
            let Model { before, after } = &mut model;
            match step {
                Step::Type(text) => {
                    // The text may join the cluster before it.
                    let joined = [before.concat().as_str(), text].concat();
                    *before = joined.graphemes(true).map(String::from).collect();
                }
                Step::Left => after.splice(..0, before.pop()).for_each(drop),
                Step::Right => {
                    if !after.is_empty() {
                        before.push(after.remove(0));
                    }
                }
                Step::Home => {
                    before.append(after);
                    core::mem::swap(before, after);
                }
                Step::End => before.append(after),
                Step::Backspace => drop(before.pop()),
                Step::Delete => drop(after.splice(..after.len().min(1), [])),
                Step::KillBefore => before.clear(),
                Step::KillAfter => after.clear(),
                Step::Word => {
                    while before.last().is_some_and(|cluster| cluster == " ") {
                        before.pop();
                    }
                    while before.last().is_some_and(|cluster| cluster != " ") {
                        before.pop();
                    }
                }
                Step::Enter => {
                    let line = core::mem::take(&mut model).line();
                    expected.extend(wrapped(columns, &[visible(prompt), line.as_str()].concat()));
                    prompt = "";
                    prop_assert_eq!(&told, &[line]);
                }
                Step::Message(_) | Step::Prompt(_) => {}
            }
            terminal.show(&without_commands(&sent));
            let typed = [visible(prompt), &model.line()].concat();
            let mut all = expected.clone();
            all.extend(wrapped(columns, &typed));
            while all.last().is_some_and(String::is_empty) {
                all.pop();
            }
            prop_assert_eq!(terminal.text(), all, "after step {}", number);
            let mut until = Terminal::new(columns);
            until.show([visible(prompt), &model.before.concat()].concat().as_bytes());
            let column = if until.column >= columns { 0 } else { until.column };
            prop_assert_eq!(terminal.column, column, "the cursor after step {}", number);
        }
    }

    /// Two servers connected to each other by mistake stop sending, whatever options are on.
    #[test]
    fn two_connected_sessions_stop_negotiating(
        asked in prop::collection::vec((any::<bool>(), any::<bool>(), 0..=255u8), 0..60),
        modes in any::<[bool; 2]>(),
    ) {
        let mode = |keys: bool| if keys { InputMode::Character } else { InputMode::Line };
        let config = |keys| Telnet { mode: mode(keys), gmcp: true, msdp: true, ..Telnet::default() };
        let mut ends = [Session::new(config(modes[0])), Session::new(config(modes[1]))];
        for (who, us, option) in asked {
            // Compressed output cannot be told from plain output, and the other options are not
            // states.
            if !matches!(option, option::MCCP2 | option::MCCP3 | option::TM | option::LOGOUT) {
                ends[usize::from(who)].enable_option(if us { Side::Us } else { Side::Him }, option);
            }
        }
        let mut lines: [Vec<u8>; 2] = Default::default();
        for (end, line) in ends.iter_mut().zip(&mut lines) {
            let replies = end.replies().unwrap_or_default();
            line.extend([replies.control, replies.output].concat());
        }
        for round in 0.. {
            prop_assert!(round < 100, "the negotiation does not end");
            if lines.iter().all(Vec::is_empty) {
                break;
            }
            let (first, second) = (core::mem::take(&mut lines[0]), core::mem::take(&mut lines[1]));
            lines[1].extend(hear(&mut ends[1], &first).1);
            lines[0].extend(hear(&mut ends[0], &second).1);
        }
        for option in 0..=255 {
            prop_assert_eq!(ends[0].is_on(Side::Us, option), ends[1].is_on(Side::Him, option), "option {}", option);
            prop_assert_eq!(ends[1].is_on(Side::Us, option), ends[0].is_on(Side::Him, option), "option {}", option);
        }
    }
}

fn visible(prompt: &str) -> &str {
    prompt.trim_start_matches("\u{1b}[1m").strip_suffix("\u{1b}[0m: ").map_or(prompt, |_| "name: ")
}

fn without_commands(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes.iter();
    let mut text = vec![];
    while let Some(&byte) = rest.next() {
        if byte == 255 {
            rest.next();
        } else {
            text.push(byte);
        }
    }
    text
}
