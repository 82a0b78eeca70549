//! The types of the ready-made messages, which are the names of the methods.

pub(super) const SUBSCRIBE: &str = "subscribe";
pub(super) const UNSUBSCRIBE: &str = "unsubscribe";
pub(super) const PUBLISH: &str = "publish";
pub(super) const PRESENCE: &str = "presence";
pub(super) const HISTORY: &str = "history";
