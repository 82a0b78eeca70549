//! Tests of arguments as people type them, and of the values that they become.

use crate::kit::service::words::Arguments;
use crate::kit::service::words::usage::usage;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(Arguments::new(text)).map_err(|error| error.to_string())
}

#[derive(Debug, Deserialize, PartialEq)]
struct Move {
    x: i32,
    y: i32,
    note: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Say {
    room: String,
    text: String,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Flat {
    name: String,
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Color {
    Red,
    Green,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Paint {
    color: Color,
    points: Vec<u8>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Ping;

#[test]
fn words_fill_fields_in_order_and_the_last_takes_the_rest() {
    let of = |x, y, note: Option<&str>| Move { x, y, note: note.map(Into::into) };
    assert_eq!(parse("1 -2"), Ok(of(1, -2, None)));
    assert_eq!(parse(" 1   2  over  there "), Ok(of(1, 2, Some("over  there"))));
    assert_eq!(parse("1 2 \"a \\\"b\\\" c\""), Ok(of(1, 2, Some("a \"b\" c"))));
    assert_eq!(parse("\"main hall\" hi all"), Ok(Say { room: "main hall".into(), text: "hi all".into() }));
    let said = |text: &str| Ok(Say { room: "den".into(), text: text.into() });
    assert_eq!(parse("den \"hi\" he said"), said("\"hi\" he said"));
    assert_eq!(parse("den \"oops"), said("\"oops"));
    assert_eq!(parse("green 1 2 3"), Ok(Paint { color: Color::Green, points: [1, 2, 3].into() }));
    assert_eq!(parse("red [4]"), Ok(Paint { color: Color::Red, points: [4].into() }));
    assert_eq!(parse(""), Ok(Ping));
    assert_eq!(parse("hi there"), Ok("hi there".to_string()));
    assert_eq!(parse("1 2 3"), Ok((1, 2, 3)));
    let others = [("a".into(), "b c".into()), ("d".into(), String::new())].into();
    assert_eq!(parse("name=Ann a=\"b c\" d="), Ok(Flat { name: "Ann".into(), others }));
}

#[test]
fn word_errors_name_the_mistake() {
    for (error, expected) in [
        (parse::<Move>("1").err(), "missing field `y`"),
        (parse::<Move>("1 two").err(), "expected a whole number, not `two`"),
        (parse::<Ping>("pong").err(), "unexpected argument `pong`"),
        (parse::<Say>("\"open room").err(), "a closing double quote is missing"),
        (parse::<(u8, u8)>("1 2 3").err(), "unexpected argument `3`"),
        (parse::<Paint>("blue 1").err(), "unknown variant `blue`, expected `red` or `green`"),
        (parse::<Flat>("name=x oops").err(), "expected name=value, not `oops`"),
        (parse::<f64>("NaN").err(), "expected a number, not `NaN`"),
        (parse::<f32>("1e99").err(), "expected a number, not `1e99`"),
    ] {
        assert_eq!(error.as_deref(), Some(expected));
    }
}

#[test]
fn usage_names_the_fields() {
    assert_eq!(
        (usage::<Move>(), usage::<Ping>(), usage::<String>()),
        ("X Y NOTE".into(), String::new(), String::new())
    );
}

proptest! {
    #[test]
    fn quoted_words_round_trip(room in "\\PC{0,20}", text in "\\PC{0,20}") {
        let quote = |word: &str| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
        let said = parse(&format!("{} {}", quote(&room), quote(&text)));
        prop_assert_eq!(said, Ok(Say { room, text }));
    }

    #[test]
    fn word_parser_never_panics(text in "[\\PC\"\\\\ ={\\[]{0,40}") {
        let _ = (parse::<Move>(&text), parse::<Paint>(&text), parse::<Flat>(&text), parse::<Vec<Color>>(&text));
    }
}
