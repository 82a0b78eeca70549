use super::key_text::AuthorizedKeys;
use drupe_core::wire::ssh::SshServer;
use std::sync::Arc;

/// Who may log in at a listener, and where refused requests are logged.
pub(super) struct Rules {
    pub(super) server: SshServer,
    pub(super) keys: AuthorizedKeys,
    pub(super) log: Arc<dyn Fn(&str) + Send + Sync>,
}
