use drupe_core::Listen;

/// A protocol, and what a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wire {
    /// Lines over TCP.
    Lines,
    /// Telnet in line mode.
    Telnet,
    /// WebSocket without compression.
    WebSocket,
    /// WebSocket with compressed messages (RFC 7692), each compressed alone.
    Deflate,
    /// Telnet with a compressed stream of output.
    Mccp2,
}

impl Wire {
    /// All wires.
    pub const ALL: [Self; 5] = [Self::Lines, Self::Telnet, Self::WebSocket, Self::Deflate, Self::Mccp2];

    /// Returns the name for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Telnet => "telnet",
            Self::WebSocket => "WebSocket",
            Self::Deflate => "WebSocket, deflate",
            Self::Mccp2 => "telnet, MCCP2",
        }
    }

    /// Returns `true` if output is compressed.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        matches!(self, Self::Deflate | Self::Mccp2)
    }

    /// Returns a listener for it.
    ///
    /// # Panics
    /// Never: its text is well formed.
    #[must_use]
    pub fn listen(self) -> Listen {
        let text = match self {
            Self::Lines => "tcp://127.0.0.1:1",
            Self::Telnet => "telnet://127.0.0.1:1",
            Self::WebSocket | Self::Deflate => "ws://127.0.0.1:1",
            Self::Mccp2 => "telnet://127.0.0.1:1?compress=yes",
        };
        text.parse().expect("well formed")
    }

    /// Returns what a client sends first.
    #[must_use]
    pub const fn opening(self) -> &'static [u8] {
        match self {
            Self::Lines | Self::Telnet => b"",
            // RFC 6455, section 1.2.
            Self::WebSocket => {
                b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            }
            Self::Deflate => {
                b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            }
            // IAC DO COMPRESS2.
            Self::Mccp2 => b"\xff\xfd\x56",
        }
    }

    /// Returns a message as a client sends it. The text has no line ending.
    #[must_use]
    pub fn message(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Lines => [text, b"\n"].concat(),
            Self::Telnet | Self::Mccp2 => [text, b"\r\n"].concat(),
            Self::WebSocket | Self::Deflate => {
                // RFC 6455, section 5.2: a final text frame with a mask.
                let mask = [1, 2, 3, 4];
                let length = u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes();
                let length = match text.len() {
                    0..126 => vec![0x80 | length[7]],
                    126..65_536 => [&[0x80 | 0x7e], &length[6..]].concat(),
                    _ => [&[0x80 | 0x7f], &length[..]].concat(),
                };
                let masked = text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
                [0x81].into_iter().chain(length).chain(mask).chain(masked).collect()
            }
        }
    }
}
