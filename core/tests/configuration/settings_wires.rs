//! Settings of raw bytes, delimited messages and codecs.

use drupe_core::settings::{Catalog, Resolved, Sources};
use drupe_core::testing::Netstrings;
use drupe_core::wire::{Custom, Delimited, Delimiter, InvalidUtf8, Protocol, Raw, RawMode, Wire};
use serde_json::Value;

/// Sources of a program with a codec.
fn with_codec() -> Catalog {
    Catalog::default().codec(netstrings())
}

fn listener(rest: &str) -> Sources {
    Sources::of(with_codec()).file("drupe.yaml", &format!("listeners: {{ a: {{ address: '127.0.0.1:1', {rest} }} }}\n"))
}

fn good(sources: &Sources) -> Resolved {
    sources.resolve().unwrap_or_else(|problems| panic!("{problems}"))
}

fn netstrings() -> Custom {
    Custom::new(&Netstrings).expect("a good name")
}

#[test]
fn raw_delimited_and_custom_wires_are_configured() {
    let delimited = |bytes, policy| {
        let delimiter = Delimiter::new(bytes).expect("short");
        Wire::Delimited(Delimited::default().delimiter(delimiter).invalid_utf8(policy))
    };
    for (text, wire) in [
        ("protocol: raw", Wire::Raw(Raw::default())),
        ("protocol: raw, raw: { mode: keys }", Wire::Raw(Raw::default().mode(RawMode::Keys))),
        ("protocol: delimited", delimited(b"\0", InvalidUtf8::Reject)),
        (r#"protocol: delimited, delimited: { delimiter: "\0" }"#, delimited(b"\0", InvalidUtf8::Reject)),
        (
            "protocol: delimited, delimited: { delimiter: '%0D%0A', invalid: bytes }",
            delimited(b"\r\n", InvalidUtf8::Bytes),
        ),
        ("protocol: custom, codec: netstrings", Wire::Custom(netstrings())),
    ] {
        let resolved = good(&listener(text));
        let listen = &resolved.plan.config.listeners[0];
        assert_eq!((&listen.protocol, listen.notices), (&Protocol::Spoken(wire), false), "{text}");
    }
    let resolved = good(&listener("protocol: raw, notices: true, refuse_http: false"));
    let listen = &resolved.plan.config.listeners[0];
    assert!(listen.notices && !listen.refuses_http);
}

#[test]
fn mistakes_in_the_settings_of_wires_are_named() {
    for (text, words) in [
        ("protocol: raw, raw: { mode: line }", "listeners.a.raw.mode"),
        ("protocol: tcp, raw: { mode: keys }", "listeners.a.raw: it has no effect on tcp: it is for raw"),
        ("protocol: raw, lines: {}", "listeners.a.lines: it has no effect on raw: it is for tcp, auto"),
        ("protocol: delimited, delimited: { delimiter: '' }", "a delimiter has 1 to 8 bytes, not 0"),
        ("protocol: delimited, delimited: { delimiter: '123456789' }", "a delimiter has 1 to 8 bytes, not 9"),
        ("protocol: delimited, delimited: { delimiter: '%x' }", "two hexadecimal digits must follow each %"),
        ("protocol: custom", "listeners.a.codec: protocol: custom needs a codec: netstrings"),
        ("protocol: custom, codec: netstring", "listeners.a.codec: \"netstring\" is not one of netstrings"),
        ("protocol: tcp, codec: netstrings", "listeners.a.codec: it has no effect on tcp: it is for custom"),
    ] {
        let problems = listener(text).resolve().map(|_| ()).expect_err(text).to_string();
        assert!(problems.contains(words), "{problems}");
    }
    let text = "listeners: { a: { address: '127.0.0.1:1', protocol: custom, codec: x } }\n";
    let problems = Sources::new().file("drupe.yaml", text).resolve().map(|_| ()).expect_err("no codecs").to_string();
    assert!(problems.contains("this program has no codecs"), "{problems}");
}

#[test]
fn schema_has_the_names_of_registered_codecs() {
    let names = |schema: &str| {
        let schema: Value = serde_json::from_str(schema).expect("JSON");
        schema["$defs"]["ListenerSettings"]["properties"]["codec"]["enum"].clone()
    };
    assert_eq!(names(&with_codec().schema()), serde_json::json!(["", "netstrings"]));
    assert!(names(&Catalog::default().schema()).is_null());
}
