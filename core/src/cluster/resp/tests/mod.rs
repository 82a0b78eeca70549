mod commands;
mod errors;
mod limits;
mod oracle;
mod properties;
mod types;

use super::*;
use std::string::{String, ToString};
use std::vec::Vec;

/// Decodes a whole stream. Returns the replies, and the fault that ended it.
fn decode(bound: usize, pieces: &[&[u8]]) -> (Vec<Reply>, Option<RespError>) {
    let (mut decoder, mut replies) = (ReplyDecoder::new(bound), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(fault) => return (replies, Some(fault)),
            }
        }
        assert!(decoder.held() <= bound, "{} bytes are held, the bound is {bound}", decoder.held());
    }
    (replies, None)
}

/// Decodes a stream at once, byte by byte, and in two parts at each place. The outcome must be the same.
fn decode_any_split(bound: usize, stream: &[u8]) -> (Vec<Reply>, Option<RespError>) {
    let whole = decode(bound, &[stream]);
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(shown(&decode(bound, &single)), shown(&whole), "byte by byte: {:?}", String::from_utf8_lossy(stream));
    for place in 0..stream.len() {
        let (front, back) = stream.split_at(place);
        assert_eq!(shown(&decode(bound, &[front, back])), shown(&whole), "split at {place}");
    }
    whole
}

/// Text of an outcome. Unlike values, two results that are not a number have the same text.
fn shown(outcome: &(Vec<Reply>, Option<RespError>)) -> String {
    std::format!("{outcome:?}")
}

fn text(text: &str) -> Reply {
    Reply::Text(text.to_string().into())
}
