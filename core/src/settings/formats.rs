//! The formats by which the schema marks keys.

/// The schema's `format` of paths.
pub(super) const PATH: &str = "path";
/// The schema's `format` of addresses, which may contain paths.
pub(super) const ADDRESS: &str = "address";
/// The schema's `format` of secrets.
pub(super) const SECRET: &str = "password";
