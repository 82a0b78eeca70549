//! JSON objects of backends, field by field, so that an error names the field.

use super::codes::{Refusal, bad};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The fields of an object. A field that is `null` counts as absent.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    /// Reads an object. `None`: the text is not a JSON object.
    pub(super) fn of(json: &'a str) -> Option<Self> {
        // Otherwise, `null` would be an object without fields.
        let is_object = json.trim_ascii_start().starts_with('{');
        is_object.then(|| serde_json::from_str(json).ok()).flatten().map(Self)
    }

    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.get()).filter(|json| *json != "null")
    }

    /// Reads a field. `None`: it is absent.
    ///
    /// # Errors
    /// If the field has another type. `what` names the expected one.
    fn read<T: Deserialize<'a>>(&self, name: &str, what: &str) -> Result<Option<T>, Refusal> {
        let read = |json| serde_json::from_str(json).map_err(|_| wrong(name, what));
        self.raw(name).map(read).transpose()
    }

    /// Returns a text, which is empty if the field is absent.
    pub(super) fn text(&self, name: &str) -> Result<String, Refusal> {
        Ok(self.read(name, "a string")?.unwrap_or_default())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        self.read(name, "a number from 0 on")
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i32>, Refusal> {
        self.read(name, "an integer of 32 bits")
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.read(name, "true or false")?.unwrap_or_default())
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Refusal> {
        Ok(self.read(name, "an array of strings")?.unwrap_or_default())
    }

    /// Returns an object whose fields are strings.
    pub(super) fn named_texts(&self, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
        Ok(self.read(name, "an object of strings")?.unwrap_or_default())
    }

    /// Returns the epoch and the offset in an object.
    pub(super) fn position(&self, name: &str) -> Result<Option<(String, u64)>, Refusal> {
        match self.object(name)? {
            Some(found) => Ok(Some((found.text("epoch")?, found.number("offset")?.unwrap_or(0)))),
            None => Ok(None),
        }
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, Refusal> {
        self.raw(name).map(|json| Self::of(json).ok_or_else(|| wrong(name, "an object"))).transpose()
    }

    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, Refusal> {
        let all: Vec<&RawValue> = self.read(name, "an array of objects")?.unwrap_or_default();
        all.into_iter().map(|one| Self::of(one.get()).ok_or_else(|| wrong(name, "an array of objects"))).collect()
    }

    /// Returns the name and the value of the only field. `None`: there are more, or none.
    pub(super) fn only(&self) -> Option<(&str, &'a str)> {
        let mut fields = self.0.iter();
        let first = fields.next().map(|(name, value)| (&**name, value.get()));
        first.filter(|_| fields.next().is_none())
    }
}

/// Returns the error 107 for a field that is not `what`.
pub(super) fn wrong(name: &str, what: &str) -> Refusal {
    bad(&format!("{name} must be {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_errors_name_them() {
        let fields = Fields::of(r#"{"a":"x","b":null,"c":[1],"d":{"e":true},"f":-1}"#).expect("an object");
        assert_eq!(fields.text("a"), Ok("x".into()));
        assert_eq!((fields.text("b"), fields.flag("g")), (Ok(String::new()), Ok(false)));
        assert_eq!(fields.text("c").map_err(|error| error.message), Err("bad request: c must be a string".into()));
        assert!(fields.object("d").is_ok_and(|found| found.is_some_and(|d| d.flag("e") == Ok(true))));
        assert_eq!((fields.number("f").map_err(|error| error.code), fields.integer("f")), (Err(107), Ok(Some(-1))));
        for none in ["null", "[]", "1", "{", "{\"a\":1} x", ""] {
            assert!(Fields::of(none).is_none(), "{none}");
        }
    }
}
