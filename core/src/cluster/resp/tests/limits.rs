//! Each bound, at its value and one beyond.

use super::super::bounds::{DEPTH_MAX, DIGITS_LINE_MAX, ELEMENTS_MAX, NUMBER_LINE_MAX, REPLY_MAX, TEXT_LINE_MAX};
use super::*;
use crate::base::work::steps_of;
use std::format;

fn fault(bound: usize, stream: &str) -> Option<RespError> {
    let (replies, fault) = decode(bound, &[stream.as_bytes()]);
    let split: Vec<&[u8]> = stream.as_bytes().chunks(3).collect();
    assert_eq!(shown(&decode(bound, &split)), shown(&(replies, fault.clone())), "in pieces of three bytes");
    fault
}

#[test]
fn length_of_a_line_is_bounded_by_its_type() {
    for (kind, filler, max) in [
        ('+', "x", TEXT_LINE_MAX),
        ('-', "x", TEXT_LINE_MAX),
        (',', "0", DIGITS_LINE_MAX),
        ('(', "0", DIGITS_LINE_MAX),
        (':', "0", NUMBER_LINE_MAX),
        ('*', "0", NUMBER_LINE_MAX),
        ('%', "0", NUMBER_LINE_MAX),
    ] {
        assert_eq!(fault(REPLY_MAX, &format!("{kind}{}\r\n", filler.repeat(max))), None, "{kind}");
        let too_long = Some(RespError::LineTooLong { kind: TypeByte(kind as u8), max });
        assert_eq!(fault(REPLY_MAX, &format!("{kind}{}\r\n", filler.repeat(max + 1))), too_long, "{kind}");
        // Without its end, too.
        assert_eq!(fault(REPLY_MAX, &format!("{kind}{}", filler.repeat(max + 1))), too_long, "{kind}");
    }
    for kind in ['#', '_'] {
        let too_long = Some(RespError::LineTooLong { kind: TypeByte(kind as u8), max: NUMBER_LINE_MAX });
        assert_eq!(fault(REPLY_MAX, &format!("{kind}{}", "t".repeat(NUMBER_LINE_MAX + 1))), too_long, "{kind}");
    }
}

#[test]
fn length_of_a_reply_is_bounded() {
    let max = 100;
    let too_long = Some(RespError::ReplyTooLong { max });
    for kind in ['$', '!'] {
        // A type, two digits, and two line ends.
        assert_eq!(fault(max, &format!("{kind}93\r\n{}\r\n", "x".repeat(93))), None);
        assert_eq!(fault(max, &format!("{kind}94\r\n")), too_long);
        assert_eq!(fault(max, &format!("{kind}100\r\n")), too_long);
        for declared in ["101", "9999999999", "18446744073709551615", "99999999999999999999"] {
            let bytes = declared.parse().unwrap_or(usize::MAX);
            assert_eq!(fault(max, &format!("{kind}{declared}\r\n")), Some(RespError::TextTooLong { bytes, max }));
        }
    }
    assert_eq!(fault(max, &format!("+{}\r\n", "x".repeat(97))), None);
    assert_eq!(fault(max, &format!("+{}\r\n", "x".repeat(98))), too_long);
    assert_eq!(fault(max, &format!("+{}", "x".repeat(98))), too_long);
    // The texts of one reply, and its attributes, count together. What is still to come needs room.
    assert_eq!(fault(max, &format!("*2\r\n+{}\r\n+{}\r\n", "x".repeat(80), "y".repeat(10))), None);
    assert_eq!(fault(max, &format!("*2\r\n+{}\r\n+{}\r\n", "x".repeat(80), "y".repeat(11))), too_long);
    assert_eq!(fault(max, &format!("*2\r\n+{}", "x".repeat(91))), too_long);
    assert_eq!(fault(max, "*2\r\n$86\r\n"), None);
    assert_eq!(fault(max, "*2\r\n$87\r\n"), too_long);
    assert_eq!(fault(max, &format!("|1\r\n+{}\r\n_\r\n+{}\r\n", "x".repeat(80), "y".repeat(7))), None);
    assert_eq!(fault(max, &format!("|1\r\n+{}\r\n_\r\n+{}\r\n", "x".repeat(80), "y".repeat(8))), too_long);
    assert_eq!(fault(max, &"|0\r\n".repeat(25)), too_long);
    // No reply is that short.
    for bound in 0..3 {
        assert_eq!(fault(bound, "_\r\n"), Some(RespError::ReplyTooLong { max: bound }));
    }
    assert_eq!(fault(3, "_\r\n_\r\n"), None);
}

#[test]
fn count_of_an_aggregate_is_checked_against_the_rest_of_the_reply() {
    let max = 100;
    for (kind, each) in [('*', 1), ('~', 1), ('>', 1), ('%', 2), ('|', 2)] {
        // A header of five bytes, elements of at least three, and for an attribute the reply itself.
        let most = (max - 5 - if kind == '|' { 3 } else { 0 }) / 3 / each;
        assert_eq!(fault(max, &format!("{kind}{most}\r\n")), None, "{kind}");
        for count in [most + 1, 99, usize::MAX / 2 + 1, usize::MAX] {
            let kind = TypeByte(kind as u8);
            let too_large = Some(RespError::CountTooLarge { kind, count, max });
            assert_eq!(fault(max, &format!("{}{count}\r\n", char::from(kind.0))), too_large);
        }
    }
    // What outer aggregates still need is subtracted.
    assert_eq!(fault(max, "*20\r\n*11\r\n"), None);
    let too_large = Some(RespError::CountTooLarge { kind: TypeByte(b'*'), count: 12, max });
    assert_eq!(fault(max, "*20\r\n*12\r\n"), too_large);
}

#[test]
fn number_of_elements_is_bounded() {
    let too_many = Some(RespError::TooManyElements { max: ELEMENTS_MAX });
    let header = format!("*{ELEMENTS_MAX}\r\n");
    assert_eq!(decode(REPLY_MAX, &[header.as_bytes()]), (Vec::new(), None));
    assert_eq!(fault(REPLY_MAX, &format!("*{}\r\n", ELEMENTS_MAX + 1)), too_many);
    assert_eq!(fault(REPLY_MAX, &format!("%{}\r\n", ELEMENTS_MAX / 2 + 1)), too_many);
    assert_eq!(fault(REPLY_MAX, &format!("*2\r\n*{}\r\n", ELEMENTS_MAX - 1)), too_many);
    assert_eq!(fault(REPLY_MAX, &format!("|1\r\n_\r\n_\r\n*{}\r\n", ELEMENTS_MAX - 1)), too_many);
    // The next reply counts anew.
    let (replies, fault) = decode(REPLY_MAX, &[header.as_bytes(), &b"_\r\n".repeat(ELEMENTS_MAX), header.as_bytes()]);
    assert_eq!((replies.len(), fault), (1, None));
}

#[test]
fn depth_is_bounded() {
    let too_deep = Some(RespError::TooDeep { max: DEPTH_MAX });
    for header in ["*1\r\n", "~1\r\n", "%1\r\n_\r\n"] {
        let deepest = header.repeat(DEPTH_MAX);
        let (replies, fault) = decode_any_split(REPLY_MAX, format!("{deepest}_\r\n").as_bytes());
        assert_eq!((replies.len(), fault), (1, None));
        assert_eq!(decode(REPLY_MAX, &[format!("{deepest}*0\r\n").as_bytes()]).1, too_deep);
        assert_eq!(decode(REPLY_MAX, &[format!("{deepest}|0\r\n").as_bytes()]).1, too_deep);
    }
    assert_eq!(fault(REPLY_MAX, &"|1\r\n".repeat(DEPTH_MAX + 1)), too_deep);
    // Attributes beside each other are not nested.
    assert_eq!(fault(REPLY_MAX, &format!("{}_\r\n", "|1\r\n_\r\n_\r\n".repeat(20))), None);
}

#[test]
fn replies_that_nobody_takes_end_the_link() {
    let mut decoder = ReplyDecoder::new(10);
    decoder.push(&b"_\r\n".repeat(4));
    decoder.push(b"_\r\n");
    assert_eq!(decoder.next(), Err(RespError::NotRead { max: 10 }));
    assert_eq!(decoder.held(), 0);
}

/// Returns the steps for a stream in pieces of this length.
fn steps(stream: &[u8], piece: usize) -> u64 {
    let pieces: Vec<&[u8]> = stream.chunks(piece).collect();
    let ((replies, fault), steps) = steps_of(|| decode(REPLY_MAX, &pieces));
    assert_eq!((replies.len(), fault), (1, None));
    steps
}

#[test]
fn work_is_linear_in_the_bytes_however_small_the_pieces() {
    let text = format!("$1000000\r\n{}\r\n", "x".repeat(1_000_000));
    let list = format!("*100000\r\n{}", "$1\r\na\r\n".repeat(100_000));
    let line = format!("+{}\r\n", "x".repeat(TEXT_LINE_MAX));
    let lists = format!("*30000\r\n{}", "%1\r\n+key\r\n|0\r\n*2\r\n:1\r\n,1.5\r\n".repeat(30_000));
    for stream in [text, list, line, lists] {
        let bytes = stream.len() as u64;
        let whole = steps(stream.as_bytes(), stream.len());
        for piece in [1, 2, 7, 1_000] {
            let split = steps(stream.as_bytes(), piece);
            // Each byte is scanned once, but a CR at the end of a piece twice; and it is parsed once.
            assert!(split <= 3 * bytes, "{split} steps for {bytes} bytes in pieces of {piece}");
            assert!(split <= whole + bytes / piece as u64 + 1, "{split} steps in pieces of {piece}, {whole} at once");
        }
        assert!(whole <= 2 * bytes, "{whole} steps for {bytes} bytes");
    }
}
