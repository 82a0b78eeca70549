/// Returns the path of a Unix socket's address, `unix://PATH` or `unix://@NAME`.
///
/// Other addresses are `HOST:PORT`, where no host has a slash.
pub(crate) fn socket_path(address: &str) -> Option<&str> {
    address.strip_prefix("unix://")
}
