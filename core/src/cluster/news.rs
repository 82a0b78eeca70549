//! News of names, as hosts tell them to each other over the broker.

use super::broker::{Change, NamesNews};
use super::names::host_of;
use alloc::sync::Arc;

/// Reads news: the host, the versions before and after, and if one name has changed, `+` or `-` and its length. The
/// content is that name, and the information about it.
pub(super) fn read(words: &str, content: &[u8]) -> Option<(u64, NamesNews)> {
    let mut words = words.split(' ');
    let (host, before, after) = (host_of(words.next()?.as_bytes())?, words.next()?, words.next()?);
    let versions = (before.parse().ok()?, after.parse().ok()?);
    let change = match words.next() {
        None => None,
        Some(what) => {
            let (name, about) = content.split_at_checked(words.next()?.parse().ok()?)?;
            let name: Arc<str> = core::str::from_utf8(name).ok()?.into();
            Some(Change { name, info: info(about).ok()?, is_present: what == "+" })
        }
    };
    Some((host, NamesNews { versions, change }))
}

/// The error of an answer with other parts than expected.
pub(super) struct Unreadable;

/// Reads the information about a name: nothing, or text after a letter.
pub(super) fn info(bytes: &[u8]) -> Result<Option<Arc<str>>, Unreadable> {
    match bytes.split_first() {
        None => Ok(None),
        Some((b'i', info)) => core::str::from_utf8(info).map(|info| Some(info.into())).map_err(|_| Unreadable),
        Some(_) => Err(Unreadable),
    }
}
