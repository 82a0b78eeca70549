//! The values of `format` with which the JSON schema marks keys.

/// The schema's `format` for keys that take paths.
pub(super) const PATH: &str = "path";
/// The schema's `format` for keys that take addresses, which may contain paths.
pub(super) const ADDRESS: &str = "address";
/// The schema's `format` for keys that take secrets.
pub(super) const SECRET: &str = "password";
