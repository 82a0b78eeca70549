//! Configuration values in text form: durations, sizes, rates, networks and file modes.

use super::words::{OR_NEVER, quoted};
use crate::base::{Network, whole_millis};
use crate::config::Rate;
use crate::config::SocketAccess;
use crate::wire::MessageSize;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration: a number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "one value is all that it is")]
pub struct Span(pub Duration);

/// A duration above zero, in the form of [`Span`].
///
/// Zero would refuse every peer or loop for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "one value is all that it is")]
pub struct Timeout(pub Duration);

/// A number of bytes: a number and `B`, `KiB`, `MiB` or `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "one value is all that it is")]
pub struct Size(pub u64);

/// A rate and a burst: `100/s`, `30/60s burst 10`, `4MiB/s`.
///
/// Without `burst`, the burst equals the units of the rate, or twice that if its time is one
/// second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateText {
    rate: Rate,
    /// The units, seconds and burst of the rate, for its text form.
    numbers: (u32, u32, u32),
    /// Whether the text form has sizes, such as `4MiB`, instead of plain numbers.
    is_in_bytes: bool,
}

/// An optional value; `never`, `unlimited`, `off` and `null` mean none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "one value is all that it is")]
pub struct Maybe<T>(pub Option<T>);

/// A network, such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "one value is all that it is")]
pub struct NetworkText(pub Network);

/// The permissions of a file, in octal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "one value is all that it is")]
pub struct ModeText(pub u32);

/// An error for text that does not have the expected form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError {
    text: String,
    expected: &'static str,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not {}", quoted(&self.text), self.expected)
    }
}

const SPAN: &str = "a time such as 500ms, 30s, 5m, 2h or 1d, at most 36500d";
const TIMEOUT: &str = "a time above zero, such as 500ms, 30s, 5m, 2h or 1d, and at most 36500d";
/// The longest duration, in milliseconds: 36,500 days. Longer ones are probably mistakes.
const MILLIS_MAX: u64 = 36_500 * 86_400_000;
const SIZE: &str = "a size such as 512B, 64KiB, 4MiB or 1GiB";
const RATE: &str = "a rate such as 100/s, 30/60s burst 10 or 4MiB/s";
const RATE_ALWAYS: &str =
    "a rate such as 100/s or 30/60s burst 10: there is always a limit here, and a higher rate allows more";
const MODE: &str = "a mode in quotes, such as '660' or '0600', at most '777'";
const NETWORK: &str = "a network such as 10.0.0.0/8, or an address";

const SPANS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Parses a number with a unit, and multiplies it by the factor of the unit.
fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a number in the largest unit that divides it.
fn write_number(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = |(_, factor): &&(&str, u64)| value.is_multiple_of(*factor) && (value > 0 || *factor == 1);
    let (unit, factor) = units.iter().find(fits).copied().unwrap_or(("", 1));
    write!(f, "{}{unit}", value / factor)
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { text: text.to_string(), expected: SPAN };
        let millis = number(text, &SPANS).filter(|millis| *millis <= MILLIS_MAX);
        millis.map(|millis| Self(Duration::from_millis(millis))).ok_or_else(wrong)
    }
}

impl FromStr for Timeout {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let span = text.parse::<Span>().ok().filter(|span| !span.0.is_zero());
        span.map(|span| Self(span.0)).ok_or_else(|| UnitError { text: text.to_string(), expected: TIMEOUT })
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span(self.0).fmt(f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_number(f, whole_millis(self.0), &SPANS)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        number(text, &SIZES).map(Self).ok_or_else(|| UnitError { text: text.to_string(), expected: SIZE })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_number(f, self.0, &SIZES)
    }
}

impl From<MessageSize> for Size {
    fn from(size: MessageSize) -> Self {
        Self(size.get() as u64)
    }
}

impl RateText {
    /// Creates a rate of `units` in `seconds`, with this burst. Returns `None` if one of them is 0.
    pub(super) fn new(units: u32, seconds: u32, burst: u32) -> Option<Self> {
        let rate = Rate::per(units, seconds, burst).ok()?;
        Some(Self { rate, numbers: (units, seconds, burst), is_in_bytes: false })
    }

    /// Creates a rate of `bytes` in a second, with this burst, whose text form has sizes.
    pub(super) fn of_bytes(bytes: u32, burst: u32) -> Option<Self> {
        Self::new(bytes, 1, burst).map(|rate| Self { is_in_bytes: true, ..rate })
    }

    /// Creates a rate for a default. It is 5 in 5 minutes if one of the numbers is 0.
    pub(super) const fn of(units: u32, seconds: u32, burst: u32) -> Self {
        match Rate::per(units, seconds, burst) {
            Ok(rate) => Self { rate, numbers: (units, seconds, burst), is_in_bytes: false },
            Err(_) => Self { rate: Rate::WRONG_PROOFS, numbers: (5, 300, 5), is_in_bytes: false },
        }
    }

    /// Returns the rate.
    #[must_use]
    pub const fn get(self) -> Rate {
        self.rate
    }

    fn parse(text: &str) -> Option<Self> {
        let (rate, burst) = text.split_once(" burst ").map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let (units, time) = rate.trim().split_once('/')?;
        let count = |text: &str| {
            let text = text.trim();
            let units = text.parse::<u64>().ok().or_else(|| number(text, &SIZES))?;
            u32::try_from(units).ok()
        };
        let is_in_bytes = units.trim().ends_with(|last: char| !last.is_ascii_digit());
        let (units, time) = (count(units)?, time.trim());
        // The number of one unit of time may be left out.
        let is_one = time.starts_with(|first: char| first.is_ascii_alphabetic());
        let millis = if is_one { number(&format!("1{time}"), &SPANS)? } else { number(time, &SPANS)? };
        let seconds = u32::try_from(millis / 1_000).ok().filter(|_| millis.is_multiple_of(1_000))?;
        let burst = match burst {
            Some(burst) => count(burst)?,
            None if seconds == 1 => units.saturating_mul(2),
            None => units,
        };
        Self::new(units, seconds, burst).map(|rate| Self { is_in_bytes, ..rate })
    }
}

impl FromStr for RateText {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        // For keys without a limit, `Maybe` accepts these words.
        let expected = if text == "null" || NONE.contains(&text) { RATE_ALWAYS } else { RATE };
        Self::parse(text).ok_or_else(|| UnitError { text: text.to_string(), expected })
    }
}

impl fmt::Display for RateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, seconds, burst) = self.numbers;
        let count = |units: u32| if self.is_in_bytes { Size(units.into()).to_string() } else { units.to_string() };
        let time = Span(Duration::from_secs(seconds.into())).to_string();
        let one = time.strip_prefix('1').filter(|unit| unit.starts_with(|first: char| first.is_ascii_alphabetic()));
        write!(f, "{}/{} burst {}", count(units), one.unwrap_or(&time), count(burst))
    }
}

impl FromStr for NetworkText {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.parse().map(Self).map_err(|_| UnitError { text: text.to_string(), expected: NETWORK })
    }
}

impl fmt::Display for NetworkText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ModeText {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { text: text.to_string(), expected: MODE };
        SocketAccess::parse_mode(text).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for ModeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0{:03o}", self.0)
    }
}

/// A visitor for values in text form.
struct Written<T>(&'static str, core::marker::PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        "null".parse().map_err(E::custom)
    }
}

macro_rules! written {
    ($($name:ident, $expected:ident, $example:literal, $pattern:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Written($expected, core::marker::PhantomData))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $expected, "examples": [$example] })
            }
        }
    )*};
}

written! {
    Span, SPAN, "30s", "^[0-9]+ *(ms|s|m|h|d)$";
    Timeout, TIMEOUT, "30s", "^0*[1-9][0-9]* *(ms|s|m|h|d)$";
    Size, SIZE, "64KiB", "^[0-9]+ *(B|KiB|MiB|GiB)$";
    RateText, RATE, "100/s", "^[0-9]+ *[A-Za-z]*/([0-9]+ *)?(s|m|h|d)( burst [0-9]+ *[A-Za-z]*)?$";
    ModeText, MODE, "0660", "^[0-7]+$";
    NetworkText, NETWORK, "10.0.0.0/8", "^[0-9a-fA-F.:]+(/[0-9]+)?$";
}

const NONE: [&str; 3] = ["never", "unlimited", "off"];

impl<'de, T: DeserializeOwned> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.is_null() || value.as_str().is_some_and(|text| NONE.contains(&text)) {
            return Ok(Self(None));
        }
        serde_json::from_value(value)
            .map(|value| Self(Some(value)))
            .map_err(|error| D::Error::custom(format!("{error}{OR_NEVER}")))
    }
}

impl<T: Serialize> Serialize for Maybe<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str("never"),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Maybe<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Maybe{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<T>(), { "enum": ["never", "unlimited", "off", null] }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_parse_and_print_in_their_greatest_unit() {
        for (text, written) in
            [("90s", "90s"), ("120 s", "2m"), ("1d", "1d"), ("36h", "36h"), ("0s", "0ms"), ("250ms", "250ms")]
        {
            assert_eq!(text.parse::<Span>().expect(text).to_string(), written);
        }
        for (text, written) in
            [("64KiB", "64KiB"), ("1024 B", "1KiB"), ("1536B", "1536B"), ("0B", "0B"), ("2GiB", "2GiB")]
        {
            assert_eq!(text.parse::<Size>().expect(text).to_string(), written);
        }
        for (text, written) in [
            ("100/s", "100/s burst 200"),
            ("100/1s burst 7", "100/s burst 7"),
            ("30/60s", "30/m burst 30"),
            ("30/m", "30/m burst 30"),
            ("30/1m burst 5", "30/m burst 5"),
            ("30/10m", "30/10m burst 30"),
            ("5/h burst 9", "5/h burst 9"),
            ("4MiB/s burst 8388608", "4MiB/s burst 8MiB"),
            ("1000B/s", "1000B/s burst 2000B"),
            ("1024/s", "1024/s burst 2048"),
        ] {
            let rate: RateText = text.parse().expect(text);
            assert_eq!(rate.to_string(), written);
            assert_eq!(written.parse(), Ok(rate));
        }
    }

    #[test]
    fn missing_and_unknown_units_are_refused() {
        for text in [
            "30",
            "30 seconds",
            "-1s",
            "1.5s",
            "s",
            "",
            "99999999999999999999s",
            "999999999999999999d",
            "36501d",
            "300000000000h",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert!("0ms".parse::<Timeout>().is_err() && "0d".parse::<Timeout>().is_err());
        assert_eq!(
            ("1ms".parse().ok(), "36500d".parse().ok()),
            (Some(Timeout(Duration::from_millis(1))), Some(Timeout(Duration::from_secs(36_500 * 86_400))))
        );
        for text in ["64", "64KB", "64k", "KiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        for text in ["100", "0/s", "100/500ms", "100/ms", "100/", "100/s burst 0", "100/s burst", "5GiB/s"] {
            assert!(text.parse::<RateText>().is_err(), "{text}");
        }
        let error = serde_json::from_str::<Maybe<Span>>("30").expect_err("no unit").to_string();
        assert!(error.contains("a time such as 500ms, 30s, 5m, 2h or 1d, at most 36500d; or never"), "{error}");
        assert_eq!(serde_json::from_str::<Maybe<Span>>("\"never\"").expect("good"), Maybe(None));
    }
}
