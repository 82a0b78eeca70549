//! Parsing the words of a command into values of every type.

use super::{Hall, said};
use drupe_core::kit::{Cx, Router, Service};
use drupe_core::testing::TestHub;
use serde::Deserialize;
use std::fmt;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "shown by Debug")]
enum Mode {
    Quiet,
    Loud { volume: u8 },
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Point(i16, i16);

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Level(Option<u8>);

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Spot {
    x: u8,
    y: u8,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Place(Option<Spot>);

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Settings {
    on: bool,
    ratio: f32,
    letter: char,
    mode: Mode,
    size: Option<(u8, u8)>,
    at: Point,
    tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Profile {
    name: String,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

/// What a command of each type is given, as it is shown for debugging.
fn typed() -> TestHub<Service<Hall>> {
    fn show(cx: &mut Cx<'_, Hall>, value: &impl fmt::Debug) {
        cx.reply(&format!("{value:?}"));
    }
    let router = Router::new()
        .on("mode", |_, cx, mode: Mode| show(cx, &mode))
        .on("level", |_, cx, level: Level| show(cx, &level))
        .on("point", |_, cx, point: Point| show(cx, &point))
        .on("place", |_, cx, place: Place| show(cx, &place))
        .on("any", |_, cx, any: serde_json::Value| show(cx, &any))
        .on("anything", |_, cx, _: serde::de::IgnoredAny| show(cx, &"ignored"))
        .on("set", |_, cx, settings: Settings| show(cx, &settings))
        .on("profile", |_, cx, profile: Profile| show(cx, &profile));
    TestHub::new(Service::new(Hall::default()).router(router))
}

#[test]
fn words_deserialize_into_every_type() {
    let mut hub = typed();
    let conn = hub.connect();
    for (line, value) in [
        ("/mode quiet", "Quiet"),
        (r#"/mode {"loud":{"volume":7}}"#, "Loud { volume: 7 }"),
        ("/level", "Level(None)"),
        ("/level 3", "Level(Some(3))"),
        ("/point -1 2", "Point(-1, 2)"),
        (r#"{"type":"place","x":1,"y":2}"#, "Place(Some(Spot { x: 1, y: 2 }))"),
        ("/place 1 2", "Place(Some(Spot { x: 1, y: 2 }))"),
        (
            "/any on=true count=-3 part=0.5 text=x",
            r#"Object {"count": Number(-3), "on": Bool(true), "part": Number(0.5), "text": String("x")}"#,
        ),
        ("/anything at all", "\"ignored\""),
        (
            r#"/set true 0.5 x quiet [3,4] "-1 2" a b "c d""#,
            r#"Settings { on: true, ratio: 0.5, letter: 'x', mode: Quiet, size: Some((3, 4)), at: Point(-1, 2), tags: ["a", "b", "c d"] }"#,
        ),
        (
            "/profile name=7 id=18446744073709551615",
            r#"Profile { name: "7", others: {"id": Number(18446744073709551615)} }"#,
        ),
    ] {
        assert_eq!(said(&mut hub, conn, line), [value], "{line}");
    }
}

#[test]
fn words_of_the_wrong_type_are_refused_with_the_expectation() {
    let mut hub = typed();
    let conn = hub.connect();
    for (line, error) in [
        ("/mode", "mode: an argument is missing"),
        ("/mode noisy", "mode: unknown variant `noisy`, expected `quiet` or `loud`"),
        ("/mode loud", "mode: invalid type: unit variant, expected struct variant"),
        ("/mode {quiet", "mode: expected JSON, not `{quiet`"),
        ("/level 256", "level: expected a whole number from 0 to 255, not `256`"),
        ("/point 1", "point: invalid length 1, expected tuple struct Point with 2 elements"),
        ("/point 1 2 3", "point: unexpected argument `3`"),
        ("/any word", "any: expected name=value, not `word`"),
        ("/set yes", "set: expected true or false, not `yes`"),
        ("/set true much", "set: expected a number, not `much`"),
        ("/set true 1 xy", "set: expected one letter, not `xy`"),
    ] {
        let answer = said(&mut hub, conn, line).concat();
        assert!(
            answer.starts_with("error: ") && answer.contains(error.split_once(": ").expect("two parts").1),
            "{line}: {answer}"
        );
    }
}
