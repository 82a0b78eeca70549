/// Checks the passwords of users.
pub trait Passwords: Send + Sync + 'static {
    /// Returns `true` if this is the password of the user. It may block: it runs on a thread for that.
    ///
    /// An unknown user should take as long as a known one.
    fn check(&self, user: &str, password: &str) -> bool;
}
