use alloc::sync::Arc;
use core::any::Any;
use core::fmt;

/// The SSH server of a listener, which the shell knows and the core only passes on.
///
/// It is part of the configuration, so that a reload replaces it like a certificate.
#[derive(Clone, Default)]
pub struct SshHost(Option<Arc<dyn Any + Send + Sync>>);

impl SshHost {
    /// Wraps the SSH server of a shell.
    #[must_use]
    pub fn new(server: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(server)))
    }

    /// Returns the SSH server, if there is one of this type.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }

    /// Returns `true` if there is an SSH server.
    #[must_use]
    pub const fn is_loaded(&self) -> bool {
        self.0.is_some()
    }
}

impl PartialEq for SshHost {
    /// Returns `true` for the same SSH server, or none on both sides.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for SshHost {}

impl fmt::Debug for SshHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_loaded() { "SshHost(loaded)" } else { "SshHost(none)" })
    }
}
