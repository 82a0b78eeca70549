//! The page of channels for operators, on listeners with the API.

use super::session::Session;
use crate::base::ListenerId;
use crate::handler::Hub;
use crate::web::escaped;
use crate::wire::Protocol;
use crate::wire::http::{HttpResponse, Request};

/// The path, the media type and the text of each file. The page asks its user for the key, and calls the API.
const FILES: [(&str, &str, &str); 3] = [
    ("/channels", "text/html; charset=utf-8", include_str!("page/channels.html")),
    ("/channels.js", "text/javascript; charset=utf-8", include_str!("page/channels.js")),
    ("/channels.css", "text/css; charset=utf-8", include_str!("page/channels.css")),
];

/// Responds to a request for a file of the page. Returns whether the request was for one.
pub(super) fn asked(hub: &mut Hub<'_, Session>, listener: ListenerId, request: &Request) -> bool {
    let Some((_, kind, text)) = FILES.iter().find(|(path, ..)| *path == request.path()) else { return false };
    let has_api = hub
        .listener(listener)
        .is_some_and(|listen| matches!(&listen.protocol, Protocol::Http(http) if http.api.is_some()));
    let is_read = matches!(request.method(), "GET" | "HEAD");
    let title = escaped(&hub.config().pages.title);
    has_api && is_read && hub.respond(HttpResponse::new(*kind, text.replace("%TITLE%", &title))).is_ok()
}
