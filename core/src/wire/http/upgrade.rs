//! The server's checks in the WebSocket handshake (RFC 6455 section 4.2).

use super::authority::Scheme;
use super::head::Request;
use super::status::{Refused, Status};
use super::{Http, Origins};
use crate::base::Reason;
use crate::wire::websocket::Deflate;
use alloc::string::String;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The GUID that is appended to the key before hashing (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// The negotiated values of an accepted upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    pub(crate) accept: String,
    pub(crate) subprotocol: Option<String>,
    pub(crate) deflate: Option<(Deflate, String)>,
}

/// Checks an upgrade request (RFC 6455 section 4.2.1) and negotiates its options.
pub(crate) fn check(
    request: &Request,
    http: &Http,
    is_monitor: bool,
    scheme: Option<Scheme>,
) -> Result<Upgrade, Refused> {
    let bad = |why| Err(Refused::new(Status::BAD_REQUEST, Reason::BadRequest, why));
    if request.method != "GET" {
        return bad("the upgrade to WebSocket requires GET");
    }
    if !request.fields.has_token("connection", "upgrade") {
        return bad("Connection does not contain upgrade");
    }
    if !is_monitor && http.path.as_deref().is_some_and(|path| path != request.path()) {
        return Err(Refused::new(Status::NOT_FOUND, Reason::NotFound, "there is no WebSocket at this path"));
    }
    if request.fields.value("sec-websocket-version") != Some("13") {
        return Err(Refused::new(
            Status::UPGRADE_REQUIRED,
            Reason::BadRequest,
            "only WebSocket version 13 is supported",
        ));
    }
    let key = request.fields.value("sec-websocket-key").unwrap_or_default();
    if STANDARD.decode(key).map(|key| key.len()) != Ok(KEY_BYTES) {
        return bad("Sec-WebSocket-Key is not 16 bytes in base64");
    }
    check_origin(request, if is_monitor { &Origins::Same } else { &http.origins }, scheme)?;
    let offered = || request.fields.values("sec-websocket-protocol").flat_map(|value| value.split(',')).map(str::trim);
    let subprotocol = http.subprotocols.iter().find(|ours| offered().any(|offer| offer == ours.as_str())).cloned();
    // No limit on the size of messages applies to a byte stream, so inflating it is unbounded.
    let deflate = if http.deflate && http.telnet.is_none() {
        Deflate::accept(request.fields.values("sec-websocket-extensions"))
    } else {
        None
    };
    Ok(Upgrade { accept: accept(key), subprotocol, deflate })
}

/// Checks the origin of a request that a page sends. Requests without an origin pass.
pub(crate) fn check_origin(request: &Request, origins: &Origins, scheme: Option<Scheme>) -> Result<(), Refused> {
    if request.fields.values("origin").count() > 1 {
        return Err(Refused::new(Status::BAD_REQUEST, Reason::BadRequest, "there is more than one Origin field"));
    }
    if request.fields.value("origin").is_some_and(|origin| !origins.allow(origin, request.host(), scheme)) {
        let why = "pages of this origin may not connect (websocket.origins)";
        return Err(Refused::new(Status::FORBIDDEN, Reason::OriginRefused, why));
    }
    Ok(())
}

/// Returns the `Sec-WebSocket-Accept` that proves that the server read the key.
pub(crate) fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}
