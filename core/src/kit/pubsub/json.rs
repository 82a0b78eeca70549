//! JSON that is written piece by piece.

use crate::base::text::json_string;
use alloc::string::String;

/// A JSON object, written field by field.
#[derive(Debug)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".into())
    }

    /// Adds a field with this JSON.
    pub(super) fn raw(mut self, name: &str, json: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        json_string(name, &mut self.0);
        self.0.push(':');
        self.0.push_str(json);
        self
    }

    pub(super) fn text(self, name: &str, text: &str) -> Self {
        let mut json = String::with_capacity(text.len() + 2);
        json_string(text, &mut json);
        self.raw(name, &json)
    }

    pub(super) fn number(self, name: &str, number: u64) -> Self {
        self.raw(name, &alloc::format!("{number}"))
    }

    /// Adds a field that is true, if it is.
    pub(super) fn flag(self, name: &str, is_set: bool) -> Self {
        if is_set { self.raw(name, "true") } else { self }
    }

    /// Adds a field with this JSON, if there is any.
    pub(super) fn optional(self, name: &str, json: Option<&str>) -> Self {
        match json {
            Some(json) => self.raw(name, json),
            None => self,
        }
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Returns a JSON array of these values.
pub(super) fn array(values: impl Iterator<Item = String>) -> String {
    let mut json = String::from("[");
    for value in values {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&value);
    }
    json.push(']');
    json
}
