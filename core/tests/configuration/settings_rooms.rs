//! The settings of rooms that remember their messages.

use drupe_core::history::Keep;
use drupe_core::settings::{Resolved, Sources};
use drupe_core::{Home, Presence, RoomOptions};
use std::time::Duration;

/// A configuration with this content of the key `rooms`.
fn sources(rooms: &str) -> Sources {
    let text = format!("listeners: {{ a: {{ address: '127.0.0.1:1', app: echo }} }}\nrooms:\n  {rooms}\n");
    Sources::new().file("drupe.yaml", &text)
}

fn good(sources: &Sources) -> Resolved {
    sources.resolve().unwrap_or_else(|problems| panic!("{problems}"))
}

fn warned(sources: &Sources) -> String {
    good(sources).warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn rules_by_name_and_prefix_reach_the_machine() {
    let text = "{ history_max: 8MiB, recover_max: 50, options: { 'news*': { messages_max: 200, bytes_max: 2MiB, age_max: 1h, \
        key_window: 0s, presence: names, gap_notices: false, positions: false }, news.eu: {}, news.test: { home: none } } }";
    let resolved = good(&sources(text));
    let memory = &resolved.plan.config.memory;
    assert_eq!((memory.bytes_max, memory.recover_max), (8 << 20, 50));
    let all = Keep::messages(200).bytes(2 << 20).age(Some(Duration::from_secs(3600))).key_window(Duration::ZERO);
    assert_eq!(
        memory.options("news"),
        Some(&RoomOptions::new("news*", all).tells_gaps(false).positions(false).presence(Presence::Names))
    );
    assert_eq!(memory.options("news.eu"), Some(&RoomOptions::new("news.eu", Keep::messages(100))), "the defaults");
    assert_eq!(memory.options("news.test"), None);
    assert_eq!(memory.rooms.iter().filter(|options| options.home == Home::None).count(), 1);
    assert_eq!(memory.options("lobby"), None);
    let explained = resolved.explain();
    let line = "rooms.options.news*.messages_max: 200 # drupe.yaml:3";
    assert!(explained.lines().any(|known| known == line), "{explained}");
}

#[test]
fn rules_are_merged_from_layers() {
    let base = sources("options: { 'news*': { messages_max: 7 }, Lobby: {} }");
    let more =
        base.clone().environment([("DRUPE_ROOMS__OPTIONS__LOBBY__AGE_MAX", "1h"), ("DRUPE_ROOMS__RECOVER_MAX", "5")]);
    let more = more.set("rooms.options.news*.bytes_max", "1KiB").set("rooms.options", "{ x.y: { messages_max: 3 } }");
    let memory = good(&more).plan.config.memory;
    assert_eq!(memory.options("Lobby").and_then(|options| options.keep.age), Some(Duration::from_secs(3600)));
    let news = memory.options("news").expect("a rule").keep;
    assert_eq!((news.messages, news.bytes, memory.recover_max), (7, 1024, 5));
    assert_eq!(memory.options("x.y").map(|options| options.keep.messages), Some(3));
    let without = good(&base.clone().set("rooms.options.news*", "null"));
    assert_eq!(without.plan.config.memory.rooms.len(), 1);
    let changes = good(&base).changes(&without);
    assert!(changes.contains(&"rooms.options.news*.messages_max: 7 -> (gone)".to_string()), "{changes:?}");
}

#[test]
fn room_errors_name_key_and_remedy() {
    for (rooms, words) in [
        ("options: { '': {} }", "drupe.yaml:3: rooms.options.: it is empty: write the name of a room, a prefix"),
        ("options: { 'a*b': {} }", "rooms.options.a*b: a * stands only at the end"),
        ("options: { 'a**': {} }", "rooms.options.a**: a * stands only at the end"),
        ("options: { 'a': {}, 'a': {} }", "drupe.yaml:3: the key \"a\" is there twice"),
        ("options: { *: {} }", "put text that begins with * in quotes"),
        (
            "{ name_max: 3B, options: { news: {} } }",
            "rooms.options.news: no room can have such a name: it is longer than rooms.name_max (3B)",
        ),
        ("options: [news]", "rooms.options: it takes keys with values"),
        ("options: { news: 7 }", "rooms.options.news: "),
        (
            "options: { news: { message_max: 7 } }",
            "rooms.options.news.message_max: there is no such key; did you mean messages_max?",
        ),
        ("options: { news.eu: { messages_max: many } }", "drupe.yaml:3: rooms.options.news.eu.messages_max: "),
        (
            "options: { news: { home: redis } }",
            "rooms.options.news.home: unknown variant `redis`, expected one of `none`, `memory`, `shared`",
        ),
        ("options: { news: { age_max: 0s } }", "rooms.options.news.age_max: \"0s\" is not a time above zero"),
        (
            "options: { news: { home: none, age_max: 1h } }",
            "rooms.options.news.age_max: it has no effect, because home is none: remove it, or set home to memory",
        ),
        ("options: { news: { home: none, gap_notices: true } }", "rooms.options.news.gap_notices: it has no effect"),
        (
            "options: { news: { bytes_max: 0B } }",
            "rooms.options.news.bytes_max: these rooms could send no message: raise it to at least",
        ),
        (
            "{ history_max: 0B, options: { news: {} } }",
            "rooms.history_max: these rooms could send no message: raise it to at least",
        ),
        (
            "{ history_max: 1MiB, options: { news: { bytes_max: 2MiB } } }",
            "rooms.options.news.bytes_max: it must be at most rooms.history_max (1MiB): lower it, or raise rooms.history_max",
        ),
        (
            "options: { news: { bytes_max: 4GiB } }",
            "rooms.options.news.bytes_max: it must be at most rooms.history_max (64MiB)",
        ),
        (
            "{ history_max: 9GiB, options: { news: { bytes_max: 4GiB } } }",
            "rooms.options.news.bytes_max: it must be less than 4GiB",
        ),
        (
            "options: { news: { messages_max: 10000000 } }",
            "rooms.options.news.messages_max: 10000000 messages, even empty ones, need ",
        ),
        ("{ history_max: 128B, options: { news: {} } }", "rooms.history_max: 100 messages, even empty ones, need "),
    ] {
        let problems = sources(rooms).resolve().map(|_| ()).expect_err(rooms).to_string();
        assert!(problems.contains(words), "{rooms}\n{words}\n{problems}");
    }
    let shared = sources("{ history_max: 1MiB, options: { news: { bytes_max: 512KiB } } }");
    good(&shared.clone().set("workers", "2"));
    let problems = shared.set("workers", "4").resolve().map(|_| ()).expect_err("too much for one worker").to_string();
    let words = "it must be at most 256KiB, which each of the 4 workers has of rooms.history_max";
    assert!(problems.contains(words), "{problems}");
}

#[test]
fn default_size_of_a_history_follows_the_memory_of_a_worker() {
    let bytes = |sources: &Sources| good(sources).plan.config.memory.options("news").map(|options| options.keep.bytes);
    assert_eq!(bytes(&sources("options: { news: {} }")), Some(1 << 20));
    assert_eq!(bytes(&sources("{ history_max: 512KiB, options: { news: {} } }")), Some(512 << 10));
    assert_eq!(bytes(&sources("options: { news: {} }").set("workers", "255")), Some((64 << 20) / 255));
}

#[test]
fn room_settings_without_effect_cause_warnings() {
    for (rooms, words) in [
        ("history_max: 1MiB", "drupe.yaml:3: rooms.history_max: it has no effect: no room has a home; add the rooms"),
        ("recover_max: 7", "rooms.recover_max: it has no effect: no room has a home"),
        (
            "{ recover_max: 101, options: { news: {} } }",
            "rooms.recover_max: it is never reached: no room keeps more than 100",
        ),
        (
            "options: { news: { home: none } }",
            "rooms.options.news: it has no effect: without it, these rooms have no home",
        ),
        ("options: { news: {}, 'news*': { home: none } }", "rooms.options.news*: it has no effect: without it"),
        (
            "options: { news: { messages_max: 0, age_max: 1h } }",
            "rooms.options.news.age_max: it has no effect: messages_max is 0",
        ),
        (
            "options: { news: { bytes_max: 7KiB } }",
            "rooms.options.news.bytes_max: a message of limits.peer.message_max (64KiB) does not fit",
        ),
    ] {
        let warnings = warned(&sources(rooms));
        assert!(warnings.contains(words), "{rooms}\n{words}\n{warnings}");
    }
    for rooms in [
        "options: {}",
        "{ recover_max: 100, history_max: 2MiB, options: { news: {} } }",
        "options: { 'news*': {}, 'news.test*': { home: none }, news.test: {} }",
        "options: { 'news*': {}, news: { home: none } }",
        "options: { news: { messages_max: 0 } }",
    ] {
        assert_eq!(warned(&sources(rooms)), "", "{rooms}");
    }
}
