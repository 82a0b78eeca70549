/// The error returned when TLS cannot begin on an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeginTlsError {
    /// The connection is not open, or was not dialled.
    #[error("TLS can only be begun on an open connection of a dial")]
    NoDial,
    /// The dial does not begin TLS when asked, or its TLS settings are missing or pending.
    #[error("the dial has no loaded TLS settings, or its tls_start is not WhenAsked")]
    NotConfigured,
    /// TLS has begun already.
    #[error("TLS has begun already")]
    Again,
    /// Earlier output is not written yet, so it is unclear what would be encrypted.
    #[error("earlier output is not written yet; begin TLS when the server has answered it")]
    UnsentOutput,
    /// Unencrypted input is buffered and not handled yet.
    #[error("the server sent unexpected input before TLS; an attacker may have inserted it, so close the connection")]
    EarlyInput,
}
