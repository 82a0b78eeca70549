//! Resolution of relative paths in a configuration file against the folder of the file.

use super::document::{Content, Node};
use super::formats::{ADDRESS, PATH};
use super::schema::resolve;
use alloc::format;
use alloc::string::String;
use serde_json::Value;

/// Returns the folder of a file, judging by its name.
///
/// Returns `None` for files in the working directory, for pipes and for devices.
pub(super) fn folder(name: &str) -> Option<&str> {
    let (folder, _) = name.rsplit_once('/')?;
    let is_pipe = ["/dev/", "/proc/"].iter().any(|place| name.starts_with(place));
    (!is_pipe).then_some(if folder.is_empty() { "/" } else { folder })
}

/// Prefixes the relative paths in a value with `folder`.
pub(super) fn rebase(schema: &Value, part: &Value, folder: &str, node: &mut Node) {
    let part = resolve(schema, part);
    match &mut node.content {
        Content::Map(map) => {
            for (key, node) in map {
                let below = part["properties"].get(&*key).unwrap_or(&part["additionalProperties"]);
                rebase(schema, below, folder, node);
            }
        }
        Content::List(list) => {
            let below = if part["format"] == PATH { &part } else { &part["items"] };
            list.iter_mut().for_each(|node| rebase(schema, below, folder, node));
        }
        Content::Scalar(Value::String(text)) if part["format"] == PATH => *text = joined(folder, text),
        Content::Scalar(Value::String(text)) if part["format"] == ADDRESS => {
            if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.starts_with('@')) {
                *text = format!("unix:{}", joined(folder, path));
            }
        }
        Content::Scalar(_) => {}
    }
}

fn joined(folder: &str, path: &str) -> String {
    if path.is_empty() || path.starts_with('/') || path.starts_with("~/") {
        return path.into();
    }
    format!("{}/{path}", folder.trim_end_matches('/'))
}
