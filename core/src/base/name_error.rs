/// The error for a name that is not among the expected names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of: {0}")]
pub struct NameError(pub(crate) &'static str);
