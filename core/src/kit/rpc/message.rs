//! Parsing and formatting of requests and responses (JSON-RPC 2.0 sections 4 and 5).

use super::RpcError;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Maximum length of an id in bytes, including the quotes of a string.
const ID_MAX_BYTES: usize = 256;

/// The id of a request: a string, a number or null.
///
/// It is kept in its JSON form, so that the response repeats it exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Id(Box<str>);

impl Id {
    /// Returns the `null` id, for the response to a request without a readable id.
    pub(super) fn null() -> Self {
        Self("null".into())
    }

    fn new(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        let is_scalar =
            text.starts_with(['"', '-']) || text.starts_with(|c: char| c.is_ascii_digit()) || text == "null";
        (is_scalar && text.len() <= ID_MAX_BYTES).then(|| Self(text.into()))
    }

    pub(crate) fn as_number(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

/// A parsed message, or a parsed member of a batch.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    /// A request, or a notification if it has no id.
    Request { id: Option<Id>, method: String, params: Option<&'a RawValue> },
    /// A response to a request that this side sent.
    Response { id: Id, result: Result<&'a RawValue, RpcError> },
    /// Neither a valid request nor a valid response.
    Invalid { id: Id, why: &'static str },
}

/// The content of a message: one request or response, or a batch.
pub(crate) enum Message<'a> {
    One(Parsed<'a>),
    Batch(Vec<Parsed<'a>>),
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Deserializes a member so that `null` differs from a missing member.
fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Message<'a> {
    /// Parses a message that holds one request or response, or a batch.
    ///
    /// # Errors
    /// If it is not JSON, or is a batch that is empty or has more than `batch_max` members.
    pub(crate) fn parse(text: &'a str, batch_max: usize) -> Result<Self, RpcError> {
        let parse_error = |_| RpcError::new(RpcError::PARSE_ERROR, "Parse error");
        if !text.trim_start().starts_with('[') {
            let raw: &RawValue = serde_json::from_str(text).map_err(parse_error)?;
            return Ok(Self::One(Parsed::new(raw)));
        }
        let members: Vec<&RawValue> = serde_json::from_str(text).map_err(parse_error)?;
        match members.len() {
            0 => Err(RpcError::invalid_request("a batch must have at least one member")),
            many if many > batch_max => {
                Err(RpcError::invalid_request(&format!("a batch must have at most {batch_max} members, not {many}")))
            }
            _ => Ok(Self::Batch(members.into_iter().map(Parsed::new).collect())),
        }
    }
}

impl<'a> Parsed<'a> {
    fn new(raw: &'a RawValue) -> Self {
        let invalid = |why| Self::Invalid { id: Id::null(), why };
        if !raw.get().starts_with('{') {
            return invalid("a request must be an object");
        }
        let Ok(members) = serde_json::from_str::<Members<'_>>(raw.get()) else {
            return invalid("a member occurs more than once");
        };
        let id = match members.id.map(Id::new) {
            Some(None) => return invalid("an id must be a string of at most 254 bytes, a number or null"),
            Some(Some(id)) => Some(id),
            None => None,
        };
        let invalid = |why| Self::Invalid { id: id.clone().unwrap_or_else(Id::null), why };
        if members.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
            return invalid("`jsonrpc` must be \"2.0\"");
        }
        let Some(method) = members.method else {
            return match (id.clone(), members.result, members.error) {
                (Some(id), Some(result), None) => Self::Response { id, result: Ok(result) },
                (Some(id), None, Some(error)) => {
                    let error = serde_json::from_str(error.get());
                    Self::Response {
                        id,
                        result: Err(error.unwrap_or_else(|_| RpcError::new(0, "malformed error object"))),
                    }
                }
                _ => invalid("`method` is missing"),
            };
        };
        let Ok(method) = serde_json::from_str::<String>(method.get()) else {
            return invalid("`method` must be a string");
        };
        if members.params.is_some_and(|params| !params.get().starts_with(['{', '['])) {
            return invalid("`params` must be an object or an array");
        }
        Self::Request { id, method, params: members.params }
    }
}

/// Formats a request, or a notification if `id` is `None`. `params` is JSON.
pub(crate) fn request(id: Option<u64>, method: &str, params: Option<&str>) -> String {
    let id = id.map_or_else(String::new, |id| format!(",\"id\":{id}"));
    let mut text = format!("{{\"jsonrpc\":\"2.0\"{id},\"method\":\"");
    crate::base::text::json_escape(method, &mut text);
    text.push('"');
    if let Some(params) = params {
        text += ",\"params\":";
        text += params;
    }
    text.push('}');
    text
}

/// Formats a response. `result` is the result as JSON, or an error.
pub(super) fn response(id: &Id, result: &Result<String, RpcError>) -> String {
    let Id(id) = id;
    match result {
        Ok(result) => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"),
        Err(error) => {
            let error = serde_json::to_string(error).unwrap_or_else(|error| error.to_string());
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}")
        }
    }
}
