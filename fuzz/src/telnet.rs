use crate::memory::peak_of;
use drupe_core::telnet::{Options, Parser, Piece, Side, Verb};
use std::collections::VecDeque;

/// Parses any bytes as a telnet stream, with any limit and in any pieces.
///
/// # Panics
/// If the split changes the result, or the parser keeps more than the limit.
pub fn telnet_parser(data: &[u8]) {
    let [max, piece, stream @ ..] = data else { return };
    let max = usize::from(*max);
    let whole = pieces(stream, stream.len().max(1), max);
    assert_eq!(whole, pieces(stream, 1, max));
    assert_eq!(whole, pieces(stream, usize::from(*piece).max(1), max));
}

/// Returns the parsed pieces as text, with adjacent data joined.
fn pieces(stream: &[u8], length: usize, max: usize) -> Vec<(String, Vec<u8>)> {
    let mut parser = Parser::new(max);
    let mut pieces: Vec<(String, Vec<u8>)> = Vec::new();
    for input in stream.chunks(length) {
        let mut at = 0;
        while at < input.len() {
            let mut found = None;
            let peak = peak_of(|| {
                let (used, piece) = parser.parse(&input[at..]);
                found = Some(match piece {
                    None => (used, None, 0),
                    Some(Piece::Data(data)) => (used, Some(("data".to_owned(), data.to_vec())), data.len()),
                    Some(Piece::Command(command)) => (used, Some((format!("{command:?}"), Vec::new())), 64),
                    Some(Piece::Negotiation(verb, option)) => {
                        (used, Some((format!("{verb:?} {option}"), Vec::new())), 64)
                    }
                    Some(Piece::Subnegotiation { option, content }) => {
                        (used, Some((format!("sub {option}"), content.to_vec())), content.len() + 64)
                    }
                    Some(other) => panic!("{other:?} is new: check it here"),
                });
            });
            let (used, piece, ours) = found.expect("it was parsed");
            assert!(used > 0, "no progress");
            assert!(peak <= isize::try_from(2 * max + ours + 256).expect("small"), "{peak} bytes for a limit of {max}");
            at += used;
            match (piece, pieces.last_mut()) {
                (Some((kind, data)), Some((last, before))) if kind == "data" && last == "data" => before.extend(data),
                (Some(piece), _) => pieces.push(piece),
                (None, _) => {}
            }
        }
    }
    pieces
}

/// Lets two sides request any options at any time, and delivers their commands in any order.
///
/// # Panics
/// If they do not agree in the end, or never stop sending.
pub fn telnet_options(data: &[u8]) {
    let mut ends = [Options::new(), Options::new()];
    let mut lines: [VecDeque<[u8; 3]>; 2] = Default::default();
    // Number of requests for each option. After too many, a side no longer answers, so that both
    // may disagree.
    let mut asked = [0; 8];
    let mut hear = |ends: &mut [Options; 2], lines: &mut [VecDeque<[u8; 3]>; 2], who: usize| {
        let Some([_, verb, option]) = lines[1 - who].pop_front() else { return false };
        let verb = [Verb::Will, Verb::Wont, Verb::Do, Verb::Dont][usize::from(verb - 251)];
        asked[usize::from(option)] =
            u8::from(matches!(verb, Verb::Will | Verb::Do)).saturating_add(asked[usize::from(option)]);
        lines[who].extend(ends[who].received(verb, option).say);
        true
    };
    for &byte in data {
        let (who, side) = (usize::from(byte & 1), if byte & 2 == 0 { Side::Us } else { Side::Him });
        let option = byte >> 5;
        match byte >> 2 & 7 {
            0 | 1 => lines[who].extend(ends[who].enable(side, option)),
            2 => lines[who].extend(ends[who].disable(side, option)),
            3 => ends[who].allow(side, option),
            _ => drop(hear(&mut ends, &mut lines, who)),
        }
    }
    let mut left = 100 + 10 * data.len();
    while hear(&mut ends, &mut lines, 0) | hear(&mut ends, &mut lines, 1) {
        left = left.checked_sub(1).expect("they stop sending");
    }
    for (option, asked) in (0..8).zip(asked) {
        for (mine, his) in [(Side::Us, Side::Him), (Side::Him, Side::Us)] {
            if asked <= Options::CHANGES_MAX {
                assert_eq!(ends[0].is_on(mine, option), ends[1].is_on(his, option), "they disagree on {option}");
                let waits = ends[0].is_pending(mine, option) || ends[1].is_pending(his, option);
                assert!(!waits, "a request for {option} stays unanswered");
            }
        }
    }
}
