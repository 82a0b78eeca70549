use crate::base::text::json_string;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// An event with its fields: see [`Hub::send_event`](crate::Hub::send_event).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamEvent<'a> {
    /// The name of the event. Empty, which is the default: `message`.
    pub name: &'a str,
    /// The position of the stream after this event (`id`). Default: unchanged.
    pub position: Option<&'a str>,
    /// Time after which an `EventSource` that lost the connection comes back, in whole milliseconds. Default:
    /// unchanged.
    pub retry: Option<Duration>,
    /// The data, which should be JSON.
    ///
    /// Without data, an `EventSource` takes over the position and the time, but emits no event.
    pub data: Option<&'a str>,
}

impl<'a> StreamEvent<'a> {
    /// Creates an event with this data.
    #[must_use]
    pub fn new(data: &'a str) -> Self {
        Self { data: Some(data), ..Self::default() }
    }

    /// Sets the name.
    #[must_use]
    pub const fn name(mut self, name: &'a str) -> Self {
        self.name = name;
        self
    }

    /// Sets the position of the stream after this event.
    #[must_use]
    pub const fn position(mut self, position: Option<&'a str>) -> Self {
        self.position = position;
        self
    }

    /// Sets the time after which a client that lost the connection comes back.
    #[must_use]
    pub const fn retry(mut self, retry: Option<Duration>) -> Self {
        self.retry = retry;
        self
    }

    /// Writes the event in the format of an `EventSource`.
    pub(super) fn write_fields(&self, out: &mut Vec<u8>) {
        if let Some(retry) = self.retry {
            out.extend_from_slice(format!("retry: {}\n", retry.as_millis()).as_bytes());
        }
        if !self.name.is_empty() {
            field("event", self.name, out);
        }
        if let Some(position) = self.position {
            field("id", position, out);
        }
        if let Some(data) = self.data {
            lines(data).for_each(|line| field("data", line, out));
        }
        out.push(b'\n');
    }

    /// Writes the event as a JSON object on a line.
    pub(super) fn write_line(&self, out: &mut Vec<u8>) {
        let mut json = String::from("{");
        let text = |name: &str, value: &str, json: &mut String| {
            json.push_str(if json.len() > 1 { ",\"" } else { "\"" });
            json.push_str(name);
            json.push_str("\":");
            json.push_str(value);
        };
        let string = |value: &str| {
            let mut json = String::new();
            json_string(value, &mut json);
            json
        };
        if !self.name.is_empty() {
            text("event", &string(self.name), &mut json);
        }
        if let Some(position) = self.position {
            text("position", &string(position), &mut json);
        }
        if let Some(retry) = self.retry {
            text("retry", &format!("{}", retry.as_millis()), &mut json);
        }
        if let Some(data) = self.data {
            text("data", data, &mut json);
        }
        json.push('}');
        line(&json, out);
    }
}

/// Writes a field on a line, without the characters that would end the line or make a browser ignore the field.
fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\0') || name == "data" && *byte == b'\0'));
    out.push(b'\n');
}

/// Writes text on a line. Its line breaks become spaces.
pub(super) fn line(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.push(b'\n');
}

/// Returns the lines of a text, which end with CR LF, LF or CR. There is at least one.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(end) = text.find(['\r', '\n']) else { return Some(text) };
        let (line, behind) = text.split_at(end);
        rest = behind.strip_prefix("\r\n").or_else(|| behind.get(1..));
        Some(line)
    })
}
