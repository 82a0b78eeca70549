//! Labels that the application gives connections, for operators.

use crate::base::ConnId;
use crate::base::text::neutralize;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;

/// The labels of connections. An entry is removed when its connection's slot is freed.
#[derive(Debug, Default)]
pub(crate) struct Labels(BTreeMap<ConnId, Box<str>>);

impl Labels {
    pub(crate) fn get(&self, conn: ConnId) -> Option<&str> {
        self.0.get(&conn).map(|label| &**label)
    }

    /// Sets a connection's label, if the connection is open. An empty label removes the old one.
    ///
    /// The label is neutralized and truncated.
    pub(super) fn set(&mut self, conn: ConnId, label: &str, is_open: bool) {
        let kept: String = neutralize(label).chars().take(LABEL_MAX_CHARS).collect();
        if kept.is_empty() {
            self.forget(conn);
        } else if is_open {
            self.0.insert(conn, kept.into());
        }
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        self.0.remove(&conn);
    }
}

/// Maximum length of a label, in characters.
const LABEL_MAX_CHARS: usize = 64;
