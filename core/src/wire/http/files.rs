//! Static files of a listener, in memory.
//!
//! A request's path is a key in a table and never a path in a file system. So no path leaves the
//! folder, an answer needs no I/O and cannot block, and replayed runs serve the same bytes.

use crate::base::setters;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use sha1::{Digest, Sha1};

/// The name of the file that is served for a folder.
const INDEX: &str = "index.html";
/// The default content security policy of files: what a page loads comes from this server.
const POLICY: &str = "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'";

/// The static files of a listener, each with its path.
///
/// A response is queued for its connection like a message, so a file must fit below
/// [`Marks::max`](crate::outbound::Marks::max). Larger files belong on a web server.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Files {
    /// The folder from which the files are read. Empty if there is none.
    pub folder: String,
    /// The value of `Content-Security-Policy` in responses with files. Empty for none.
    pub policy: String,
    table: Arc<BTreeMap<String, File>>,
    bytes: usize,
    /// Whether the folder, if there is one, has been read.
    is_loaded: bool,
}

setters!(Files { folder: String, policy: String });

/// A file with its type and entity tag.
#[derive(PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) content_type: &'static str,
    /// The entity tag, in quotes (RFC 9110 section 8.8.3).
    pub(crate) tag: String,
    pub(crate) body: Vec<u8>,
}

/// The error for a file or folder that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path:?}: {problem}")]
#[non_exhaustive]
pub struct FilesError {
    /// The path of the file or folder.
    pub path: String,
    /// The reason why the file or folder cannot be served.
    pub problem: FilesProblem,
}

/// The reason why a file or folder cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilesProblem {
    /// There are more than [`Files::COUNT_MAX`] files, folders, or entries of one folder.
    #[error("there are more than {} files: serve them from a web server", Files::COUNT_MAX)]
    Count,
    /// The file is longer than [`Files::FILE_MAX_BYTES`].
    #[error("it is longer than {} KiB: serve it from a web server", Files::FILE_MAX_BYTES >> 10)]
    FileSize,
    /// All files together are longer than [`Files::ALL_MAX_BYTES`].
    #[error("all files together are longer than {} MiB: serve them from a web server", Files::ALL_MAX_BYTES >> 20)]
    AllSize,
    /// Folders are nested deeper than [`Files::DEPTH_MAX`].
    #[error("folders are nested deeper than {} levels", Files::DEPTH_MAX)]
    Depth,
    /// No request can have the path.
    #[error("{0}")]
    Path(&'static str),
    /// A symbolic link leads out of the folder.
    #[error("this link leads out of the folder: copy the file into it")]
    Outside,
    /// The entry of the folder is neither a file nor a folder.
    #[error("it is neither a file nor a folder: remove it")]
    Special,
    /// The file or folder cannot be read. The text is the cause.
    #[error("it can't be read: {0}")]
    Unreadable(String),
}

/// The result of looking a path up.
pub(crate) enum Found<'a> {
    File(&'a File),
    /// A folder with an index file, requested without the slash at its end.
    Folder,
    Nothing,
    /// No file can have this path.
    Bad(&'static str),
}

impl Files {
    /// Maximum number of files, and of folders that are read.
    pub const COUNT_MAX: usize = 1_000;
    /// Maximum size of one file: 512 KiB.
    pub const FILE_MAX_BYTES: usize = 512 << 10;
    /// Maximum size of all files together: 16 MiB.
    pub const ALL_MAX_BYTES: usize = 16 << 20;
    /// Maximum depth of folders.
    pub const DEPTH_MAX: usize = 16;

    /// Creates an empty set, to which the program adds files with [`file`](Self::file).
    #[must_use]
    pub fn new() -> Self {
        Self { folder: String::new(), policy: POLICY.to_owned(), table: Arc::default(), bytes: 0, is_loaded: true }
    }

    /// Creates settings for a folder that is not read yet. No server starts with them.
    #[must_use]
    pub fn pending(folder: impl Into<String>) -> Self {
        Self { is_loaded: false, ..Self::new().folder(folder.into()) }
    }

    /// Adds a file at a path such as `/app.js`. The file extension determines the content type.
    ///
    /// `/index.html` and `/docs/index.html` are also served for `/` and `/docs/`.
    ///
    /// # Errors
    /// If no request can have the path, or a limit is exceeded.
    pub fn file(mut self, path: &str, body: impl Into<Vec<u8>>) -> Result<Self, FilesError> {
        let body = body.into();
        let error = |problem| FilesError { path: path.to_owned(), problem };
        check_plain(path).map_err(|why| error(FilesProblem::Path(why)))?;
        if path.ends_with('/') {
            return Err(error(FilesProblem::Path("the path of a file must not end with a slash")));
        }
        if body.len() > Self::FILE_MAX_BYTES {
            return Err(error(FilesProblem::FileSize));
        }
        if self.table.len() >= Self::COUNT_MAX && !self.table.contains_key(path) {
            return Err(error(FilesProblem::Count));
        }
        let replaced = self.table.get(path).map_or(0, |file| file.body.len());
        let bytes = self.bytes - replaced + body.len();
        if bytes > Self::ALL_MAX_BYTES {
            return Err(error(FilesProblem::AllSize));
        }
        let file = File { content_type: content_type(path), tag: tag(&body), body };
        let mut table = Arc::try_unwrap(self.table).unwrap_or_else(|shared| {
            let copied =
                |file: &File| File { content_type: file.content_type, tag: file.tag.clone(), body: file.body.clone() };
            shared.iter().map(|(path, file)| (path.clone(), copied(file))).collect()
        });
        table.insert(path.to_owned(), file);
        (self.table, self.bytes) = (Arc::new(table), bytes);
        Ok(self)
    }

    /// Returns `false` if the files are those of a folder that was not read yet.
    #[must_use]
    pub const fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// Returns the size of the largest file, in bytes.
    #[must_use]
    pub fn largest_bytes(&self) -> usize {
        self.table.values().map(|file| file.body.len()).max().unwrap_or_default()
    }

    /// Looks up the path of a request, percent-encoded as sent.
    pub(crate) fn find(&self, path: &str) -> Found<'_> {
        let plain = match decode(path) {
            Ok(plain) => plain,
            Err(why) => return Found::Bad(why),
        };
        if plain.ends_with('/') {
            return self.table.get(&format!("{plain}{INDEX}")).map_or(Found::Nothing, Found::File);
        }
        match self.table.get(&plain) {
            Some(file) => Found::File(file),
            None if self.table.contains_key(&format!("{plain}/{INDEX}")) => Found::Folder,
            None => Found::Nothing,
        }
    }
}

impl Default for Files {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Files");
        shown.field("folder", &self.folder).field("count", &self.table.len()).field("bytes", &self.bytes);
        shown.field("is_loaded", &self.is_loaded).finish_non_exhaustive()
    }
}

impl File {
    /// Returns `true` if a value of `If-None-Match` names this file (RFC 9110 section 13.1.2).
    ///
    /// The comparison is weak. The tags of files contain no comma.
    pub(crate) fn is_named_by(&self, value: &str) -> bool {
        let mut tags = value.split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag)
    }
}

/// Decodes the percent-encoded path of a request, and checks it.
fn decode(path: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err("a % needs two hexadecimal digits") };
        match u8::try_from(16 * high + low) {
            // Another parser might take it for a separator.
            Ok(b'/' | b'\\') | Err(_) => return Err("the path has an encoded slash"),
            Ok(byte) => bytes.push(byte),
        }
    }
    let plain = String::from_utf8(bytes).map_err(|_| "the path is not UTF-8")?;
    check_plain(&plain)?;
    Ok(plain)
}

/// Checks that a decoded path begins with `/` and has no forbidden characters or parts.
fn check_plain(path: &str) -> Result<(), &'static str> {
    let Some(below) = path.strip_prefix('/') else { return Err("a path must begin with /") };
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return Err("the path has a control character or a backslash");
    }
    let folders = below.strip_suffix('/').unwrap_or(below);
    let has_empty = path.contains("//");
    if has_empty || !folders.is_empty() && folders.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("the path has an empty part, . or ..");
    }
    Ok(())
}

fn tag(body: &[u8]) -> String {
    use core::fmt::Write;
    let mut tag = String::from("\"");
    for byte in Sha1::digest(body) {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

fn content_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let found = CONTENT_TYPES.iter().find(|(known, _)| *known == ending);
    found.map_or("application/octet-stream", |(_, content_type)| content_type)
}

const CONTENT_TYPES: [(&str, &str); 25] = [
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("xml", "application/xml"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("ico", "image/x-icon"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("wasm", "application/wasm"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let files = Files::new().file("/index.html", "<html>").and_then(|files| files.file("/a b/ü.txt", "x"));
        files.and_then(|files| files.file("/docs/index.html", "docs")).expect("good")
    }

    #[test]
    fn paths_find_their_files_and_nothing_else() {
        let files = files();
        let found = |path: &str| match files.find(path) {
            Found::File(file) => String::from_utf8_lossy(&file.body).into_owned(),
            Found::Folder => "folder".into(),
            Found::Nothing => "nothing".into(),
            Found::Bad(_) => "bad".into(),
        };
        for (path, expected) in [
            ("/", "<html>"),
            ("/index.html", "<html>"),
            ("/a%20b/%C3%BC.txt", "x"),
            ("/docs/", "docs"),
            ("/docs", "folder"),
            ("/a%20b", "nothing"),
            ("/a%20b/", "nothing"),
            ("/INDEX.HTML", "nothing"),
            ("/%252e%252e/x", "nothing"),
            ("", "bad"),
            ("index.html", "bad"),
            ("//", "bad"),
            ("//index.html", "bad"),
            ("/docs//index.html", "bad"),
            ("/../index.html", "bad"),
            ("/docs/../index.html", "bad"),
            ("/docs/..", "bad"),
            ("/./index.html", "bad"),
            ("/%2e%2e/index.html", "bad"),
            ("/.%2E/index.html", "bad"),
            ("/docs%2findex.html", "bad"),
            ("/docs%5cindex.html", "bad"),
            ("/docs\\index.html", "bad"),
            ("/index.html%00.txt", "bad"),
            ("/%0a", "bad"),
            // Overlong forms of a dot and a slash, and half a character.
            ("/%c0%ae%c0%ae/x", "bad"),
            ("/docs%c0%afindex.html", "bad"),
            ("/%c3", "bad"),
            ("/%", "bad"),
            ("/%4", "bad"),
            ("/%zz", "bad"),
        ] {
            assert_eq!(found(path), expected, "{path}");
        }
    }

    #[test]
    fn files_have_limits() {
        let problem = |files: Result<Files, FilesError>| files.expect_err("a limit").problem;
        assert_eq!(problem(Files::new().file("/x", vec![0; Files::FILE_MAX_BYTES + 1])), FilesProblem::FileSize);
        let many = (0..Files::COUNT_MAX).try_fold(Files::new(), |files, number| files.file(&format!("/{number}"), ""));
        let many = many.expect("as many as may be");
        assert_eq!(problem(many.clone().file("/x", "")), FilesProblem::Count);
        assert!(many.file("/1", "another").is_ok());
        let count = Files::ALL_MAX_BYTES / Files::FILE_MAX_BYTES;
        let large = vec![0; Files::FILE_MAX_BYTES];
        let large = (0..count).try_fold(Files::new(), |files, number| files.file(&format!("/{number}"), large.clone()));
        let large = large.expect("as much as may be");
        assert_eq!(
            (problem(large.clone().file("/x", "y")), large.largest_bytes()),
            (FilesProblem::AllSize, Files::FILE_MAX_BYTES)
        );
        for path in ["", "x", "/", "/x/", "/../x", "/x//y", "/\n"] {
            assert!(matches!(problem(Files::new().file(path, "")), FilesProblem::Path(_)), "{path}");
        }
    }

    #[test]
    fn entity_tags_compare_weakly() {
        let files = files();
        let Found::File(file) = files.find("/") else { panic!("it is there") };
        let tag = file.tag.clone();
        for (value, expected) in [
            (tag.clone(), true),
            (format!("W/{tag}"), true),
            (format!("\"x\" , {tag}"), true),
            ("*".into(), true),
            (tag.trim_matches('"').into(), false),
            ("\"x\"".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(file.is_named_by(&value), expected, "{value}");
        }
        assert_ne!(tag, tag_of(&files, "/docs/"));
    }

    fn tag_of(files: &Files, path: &str) -> String {
        let Found::File(file) = files.find(path) else { panic!("it is there") };
        file.tag.clone()
    }
}
