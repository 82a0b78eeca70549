use super::request_line;

/// The first bytes of a stream, by which an HTTP request is recognized.
///
/// A wire whose messages are pieces of a request cannot recognize it in one message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StreamStart {
    bytes: [u8; request_line::DISTINCT_BYTES],
    count: u8,
}

impl StreamStart {
    /// Adds consumed bytes, of which only the first nine of the stream are stored.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let free = self.bytes.iter_mut().skip(usize::from(self.count));
        for (place, byte) in free.zip(bytes) {
            *place = *byte;
            self.count += 1;
        }
    }

    /// Returns whether the stream begins with an HTTP request, or `None` if that is not clear yet.
    pub(super) fn is_http(&self) -> Option<bool> {
        request_line::begins_request(self.bytes.get(..usize::from(self.count)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_recognized_from_any_split_of_its_first_bytes() {
        for (stream, is_http) in [
            (&b"GET / HTTP/1.1\r\n"[..], Some(true)),
            (b"OPTIONS * HTTP/1.1\r\n", Some(true)),
            (b"CONNECT host:80 HTTP/1.1\r\n", Some(true)),
            (b"GET it", Some(false)),
            (b"hello, this is no request", Some(false)),
            (b"POS", None),
            (b"POST ", None),
            (b"", None),
        ] {
            for piece in 1..=stream.len().max(1) {
                let mut start = StreamStart::default();
                stream.chunks(piece).for_each(|bytes| start.push(bytes));
                assert_eq!(start.is_http(), is_http, "{} by {piece}", stream.escape_ascii());
            }
        }
    }
}
