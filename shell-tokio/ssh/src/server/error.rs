use std::fmt;
use std::path::Path;

/// The error for a file of an SSH listener that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeError {
    /// The path of the file. Empty if the error concerns no file.
    pub path: String,
    /// The number of the line, from 1, if the error concerns one.
    pub line: Option<usize>,
    /// What is wrong, and how to fix it.
    pub words: String,
    /// Whether the error concerns the host key.
    pub is_host_key: bool,
}

impl ServeError {
    pub(super) fn new(path: &Path, words: impl Into<String>) -> Self {
        Self { path: path.display().to_string(), line: None, words: words.into(), is_host_key: false }
    }

    pub(super) fn host_key(path: &Path, words: impl Into<String>) -> Self {
        Self { is_host_key: true, ..Self::new(path, words) }
    }

    pub(super) fn at(path: &Path, line: usize, words: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::new(path, words) }
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, words, .. } = self;
        match line {
            Some(line) => write!(f, "{path}:{line}: {words}"),
            None if path.is_empty() => f.write_str(words),
            None => write!(f, "{path}: {words}"),
        }
    }
}

impl std::error::Error for ServeError {}
