//! The flags of `drupe client` for the HTTP request of a WebSocket.

use super::wire::{is_websocket, refuse};
use clap::Args;
use drupe_core::{Dial, DialProtocol};
use std::sync::Arc;

/// The flags of `drupe client` for WebSocket.
#[derive(Args)]
#[command(next_help_heading = "WebSocket")]
pub(crate) struct HandshakeArguments {
    /// Send this header field with the request, such as 'Authorization: Bearer TOKEN'; may be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Send this Origin, as the browser does for a page
    #[arg(long, value_name = "ORIGIN", value_parser = value)]
    origin: Option<String>,
    /// Offer this subprotocol; may be given several times, preferred first; the client prints the server's choice
    #[arg(long, value_name = "NAME", value_parser = subprotocol)]
    subprotocol: Vec<String>,
}

/// Fields that `--header` cannot set, in lower case, each with the reason or the option to use.
const RESERVED: [(&str, &str); 12] = [
    ("host", "the address sets it"),
    ("origin", "use --origin"),
    ("upgrade", "the handshake sets it"),
    ("connection", "the handshake sets it"),
    ("sec-websocket-key", "the handshake sets it"),
    ("sec-websocket-version", "the handshake sets it"),
    ("sec-websocket-accept", "only a server sends it"),
    ("sec-websocket-protocol", "use --subprotocol"),
    ("sec-websocket-extensions", "the handshake sets it"),
    ("content-length", "the request has no body"),
    ("transfer-encoding", "the request has no body"),
    ("trailer", "the request has no body"),
];

impl HandshakeArguments {
    /// Checks that the address is that of a WebSocket if there are flags for one.
    pub(crate) fn check(&self, dial: &Dial) -> Result<(), clap::Error> {
        for (is_used, option) in [
            (!self.header.is_empty(), "--header"),
            (self.origin.is_some(), "--origin"),
            (!self.subprotocol.is_empty(), "--subprotocol"),
        ] {
            if is_used && !is_websocket(dial) {
                return Err(refuse(option, dial, "only ws:// and wss:// begin with an HTTP request"));
            }
        }
        Ok(())
    }

    pub(crate) fn apply(&self, dial: &mut Dial) {
        if let DialProtocol::WebSocket(handshake) = &mut dial.protocol {
            let handshake = Arc::make_mut(handshake);
            handshake.fields.clone_from(&self.header);
            handshake.origin.clone_from(&self.origin);
            handshake.subprotocols.clone_from(&self.subprotocol);
        }
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, text) = text.split_once(':').ok_or("a header field is NAME: VALUE")?;
    if !is_token(name) {
        return Err(format!("{name:?} is not the name of a header field (RFC 9110): letters, digits and -"));
    }
    if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| name.eq_ignore_ascii_case(reserved)) {
        return Err(format!("{name} can't be set: {why}"));
    }
    Ok((name.to_owned(), value(text)?))
}

/// Checks the value of a header field. Control characters would end it, and begin another.
fn value(text: &str) -> Result<String, String> {
    let text = text.trim_matches([' ', '\t']);
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("the value of a header field can't contain {c:?}")),
        None => Ok(text.to_owned()),
    }
}

fn subprotocol(text: &str) -> Result<String, String> {
    if is_token(text) {
        Ok(text.to_owned())
    } else {
        Err("a subprotocol is a name without spaces or commas".to_owned())
    }
}

/// Returns `true` for a token of RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_a_name_and_a_value_that_cannot_inject_another() {
        let field = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(header("Authorization: Bearer a:b "), field("Authorization", "Bearer a:b"));
        assert_eq!(header("X-Empty:"), field("X-Empty", ""));
        for (text, words) in [
            ("Authorization", "NAME: VALUE"),
            (": x", "not the name of a header field"),
            ("A B: x", "not the name of a header field"),
            ("A\r\nB: x", "not the name of a header field"),
            ("A: x\r\nHost: evil", "can't contain '\\r'"),
            ("A: x\ny", "can't contain '\\n'"),
            ("A: x\0", "can't contain '\\0'"),
            ("hOST: evil", "hOST can't be set: the address sets it"),
            ("Origin: x", "use --origin"),
            ("Sec-WebSocket-Protocol: x", "use --subprotocol"),
            ("Content-Length: 5", "the request has no body"),
        ] {
            let error = header(text).expect_err(text);
            assert!(error.contains(words), "{text:?}: {error}");
        }
        assert!(value("https://a\r\nX: y").is_err() && subprotocol("a, b").is_err() && subprotocol("").is_err());
        assert_eq!(subprotocol("chat.v1"), Ok("chat.v1".to_owned()));
    }
}
