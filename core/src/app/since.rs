use crate::history::Position;
use crate::wire::http::Request;

/// Returns the position in the query of a WebSocket's request, as `?since=POSITION`.
pub(super) fn since_of(request: Option<&Request>) -> Option<Position> {
    request?.query("since")?.parse().ok()
}
