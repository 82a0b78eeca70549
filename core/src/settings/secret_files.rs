//! Secrets that are read from files.

use super::SettingsError;
use super::layers::Layers;
use alloc::format;
use alloc::string::String;

/// A function that returns the first line of a file, or why the file can't be read.
type ReadSecret = fn(&str) -> Result<String, String>;

/// The function that reads secrets, if there is one.
#[derive(Clone, Copy, Default)]
pub(super) struct SecretFiles(pub(super) Option<ReadSecret>);

impl SecretFiles {
    /// Returns the secret `key` in the file that `{key}_file` names, if it names one.
    ///
    /// # Errors
    /// If the secret is set as well, or the file cannot be read or is empty.
    pub(super) fn read(
        self,
        layers: &Layers,
        key: &str,
        is_set: bool,
        file: &str,
    ) -> Result<Option<String>, SettingsError> {
        let blame = |words: String| layers.blame(&format!("{key}_file"), words);
        if file.is_empty() {
            return Ok(None);
        }
        if is_set {
            return Err(blame(format!("{key} is set as well; set only one of them")));
        }
        let read = self.0.ok_or_else(|| blame("this program does not read secrets from files".into()))?;
        let secret = read(file).map_err(|cause| blame(format!("can't read {file}: {cause}")))?;
        if secret.is_empty() {
            return Err(blame(format!("the first line of {file} is empty")));
        }
        Ok(Some(secret))
    }
}
