use super::*;
use crate::base::Payload;
use crate::wire::{Budget, DecodeBuffer, DecodeError, Encoder, Encoding, Wire};
use alloc::string::String;
use alloc::vec;
use proptest::prelude::*;

/// An event as a browser emits it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    name: String,
    id: String,
    data: String,
}

/// Parses a complete stream, step by step as in section 9.2.6 of the HTML standard. Returns the events, the last
/// position and the last time to wait.
fn parse(stream: &[u8]) -> (Vec<Seen>, String, Option<u64>) {
    let text = core::str::from_utf8(stream).expect("UTF-8").replace("\r\n", "\n").replace('\r', "\n");
    assert!(text.is_empty() || text.ends_with('\n'), "an incomplete line");
    let (mut seen, mut id, mut last_id, mut retry) = (Vec::new(), String::new(), String::new(), None);
    let (mut name, mut data) = (String::new(), String::new());
    for line in text.split_terminator('\n') {
        if line.is_empty() {
            last_id.clone_from(&id);
            if !data.is_empty() {
                data.pop();
                seen.push(Seen { name: name.clone(), id: last_id.clone(), data: data.clone() });
            }
            name.clear();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value.into(),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') => id = value.into(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => retry = value.parse().ok(),
            _ => {}
        }
    }
    (seen, last_id, retry)
}

fn written(format: EventFormat, event: &StreamEvent<'_>) -> String {
    let mut out = Vec::new();
    format.write(event, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

/// Returns a text that is on one line of a field.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect()
}

/// Text with all that could end a line, a field or an event.
const TEXT: &str = "(\r\n|\r|\n|\0|:| |data|id: 1|event|\u{feff}|\u{e4}|\\PC){0,12}";

proptest! {
    #[test]
    fn browser_sees_the_events_that_were_written(
        events in prop::collection::vec((TEXT, prop::option::of(TEXT), prop::option::of(TEXT), prop::option::of(0..9u64)), 0..6)
    ) {
        let (mut out, mut expected, mut id, mut wait) = (Vec::new(), Vec::new(), String::new(), None);
        for (name, position, data, retry) in &events {
            let event = StreamEvent { data: data.as_deref(), ..StreamEvent::default() };
            let event = event.name(name).position(position.as_deref()).retry(retry.map(Duration::from_millis));
            out.extend_from_slice(EventFormat::EventSource.keep_alive());
            EventFormat::EventSource.write(&event, &mut out);
            id = position.as_deref().map_or(id, one_line);
            wait = retry.or(wait);
            if let Some(data) = data {
                let data = data.replace("\r\n", "\n").replace('\r', "\n");
                expected.push(Seen { name: one_line(name), id: id.clone(), data });
            }
        }
        prop_assert_eq!(parse(&out), (expected, id, wait));
    }

    #[test]
    fn message_is_one_event_or_one_line(text in TEXT) {
        let mut encoder = Encoder::default();
        let mut out = Vec::new();
        encoder.encode(Encoding::Events(EventFormat::EventSource), Payload::Text(&text), &mut out).expect("text");
        let data = text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(parse(&out).0, vec![Seen { data, ..Seen::default() }]);
        out.clear();
        encoder.encode(Encoding::Events(EventFormat::JsonLines), Payload::Text(&text), &mut out).expect("text");
        prop_assert_eq!(out.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count(), 1);
        prop_assert_eq!(out, [text.replace(['\r', '\n'], " ").as_bytes(), b"\n"].concat());
    }
}

#[test]
fn events_are_written_as_documented() {
    let full = StreamEvent::new("{\n}").name("join").position(Some("7.1.2f")).retry(Some(Duration::from_secs(2)));
    for (event, fields, line) in [
        (StreamEvent::new("1"), "data: 1\n\n", "{\"data\":1}\n"),
        (StreamEvent::new(""), "data: \n\n", "{\"data\":}\n"),
        (StreamEvent::default(), "\n", "{}\n"),
        (
            full,
            "retry: 2000\nevent: join\nid: 7.1.2f\ndata: {\ndata: }\n\n",
            "{\"event\":\"join\",\"position\":\"7.1.2f\",\"retry\":2000,\"data\":{ }}\n",
        ),
        (
            StreamEvent::default().name("a\r\nid: 9").position(Some("1\0")),
            "event: aid: 9\nid: 1\n\n",
            "{\"event\":\"a\\r\\nid: 9\",\"position\":\"1\\u0000\"}\n",
        ),
    ] {
        assert_eq!(written(EventFormat::EventSource, &event), fields);
        assert_eq!(written(EventFormat::JsonLines, &event), line);
    }
}

#[test]
fn binary_messages_are_refused_unless_they_are_text() {
    for format in [EventFormat::EventSource, EventFormat::JsonLines] {
        let (mut out, mut encoder) = (b"before".to_vec(), Encoder::default());
        let error = encoder.encode(Encoding::Events(format), Payload::Binary(&[0xff]), &mut out);
        assert_eq!((error, &*out), (Err(EncodeError::NotText), &b"before"[..]));
        assert_eq!(encoder.encode(Encoding::Events(format), Payload::Binary(b"1"), &mut out), Ok(()));
    }
}

#[test]
fn input_is_discarded_up_to_a_limit_and_keep_alives_follow() {
    let mut decoder = Wire::Events(Events::default().format(EventFormat::JsonLines)).decoder();
    let (mut buffer, budget) = (DecodeBuffer::default(), Budget::default());
    for _ in 0..16 {
        let mut input = vec![b'\n'; 1 << 10];
        let decoded = decoder.decode(&mut input, &mut buffer, &budget).expect("within the limit");
        assert_eq!((decoded.used, decoded.cost, decoded.units, decoded.item), (1 << 10, 1 << 10, 0, None));
    }
    assert_eq!(decoder.finish(&mut buffer, &budget), Ok(None));
    let mut more = [b'x'];
    let error = decoder.decode(&mut more, &mut buffer, &budget);
    assert_eq!(error, Err(DecodeError::TooLarge { max: 16 << 10 }));
    assert_eq!(decoder.replies(true), None);
    if let crate::wire::Decoder::Events(events) = &mut decoder {
        events.keep_alive();
    }
    assert_eq!(decoder.replies(true).map(|replies| replies.control), Some(b"{}\n".to_vec()));
    assert_eq!(decoder.replies(true), None);
}
