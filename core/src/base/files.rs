//! Bounded reading of files that the operator names: configurations, certificates, keys, secrets.
//!
//! Needs the feature `files`.
//!
//! Each file is read up to a limit, and only if it is a regular file or a pipe. A device has no
//! end, and opening a pipe without a writer would block for ever. A pipe, such as bash's `<(decrypt
//! secret)`, is read until its writer closes it, or until it delivers no byte for [`PIPE_WAIT`].

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use std::fs::{File, FileType};
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// Maximum size of a configuration, certificate or key file: 16 MiB.
pub const TEXT_MAX_BYTES: usize = 16 << 20;
/// Maximum size of a file that holds a secret: 64 KiB.
pub const SECRET_MAX_BYTES: usize = 64 << 10;
/// Maximum wait for the next bytes of a pipe.
pub const PIPE_WAIT: Duration = Duration::from_secs(5);

/// Reads a file of at most `max_bytes` bytes.
///
/// # Errors
/// If the file cannot be opened or read, is longer than that, or is neither a regular file nor a
/// pipe; or if nothing is written to the pipe for [`PIPE_WAIT`].
pub fn read(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let kind = file.metadata()?.file_type();
    let bytes = if kind.is_file() {
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
        bytes
    } else if let Some(bytes) = read_pipe(&mut file, kind, max_bytes)? {
        bytes
    } else if path == Path::new("/dev/null") {
        Vec::new()
    } else {
        let what = if kind.is_dir() { "a directory" } else { "a device or a socket" };
        return Err(Error::new(ErrorKind::InvalidInput, format!("it is {what}, and not a file")));
    };
    if bytes.len() > max_bytes {
        return Err(Error::new(ErrorKind::InvalidData, format!("it is longer than {} KiB", max_bytes >> 10)));
    }
    Ok(bytes)
}

/// Reads a UTF-8 file of at most [`TEXT_MAX_BYTES`], and removes a leading byte order mark.
///
/// # Errors
/// As [`read`], or if the file is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    text(read(path, TEXT_MAX_BYTES)?)
}

/// Returns the first line of a UTF-8 file of at most [`SECRET_MAX_BYTES`], trimmed.
///
/// If it begins with five dashes, as in PEM and in credentials of NATS, all lines are returned.
///
/// # Errors
/// As [`read`], or if the file is not UTF-8.
pub fn read_secret(path: &Path) -> io::Result<String> {
    let text = text(read(path, SECRET_MAX_BYTES)?)?;
    let first = text.lines().next().unwrap_or_default().trim();
    Ok(if first.starts_with("-----") { text } else { first.to_owned() })
}

fn text(mut bytes: Vec<u8>) -> io::Result<String> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    // The error must not contain the bytes: they may be secret.
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Opens a file without blocking on a pipe, and without acquiring a controlling terminal.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Reads a pipe until the last writer closes it, or until more than `max_bytes` bytes arrived.
///
/// Returns `None` if the file is not a pipe.
#[cfg(unix)]
fn read_pipe(pipe: &mut File, kind: FileType, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    if !std::os::unix::fs::FileTypeExt::is_fifo(&kind) {
        return Ok(None);
    }
    let wait = Timespec::try_from(PIPE_WAIT).map_err(Error::other)?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while bytes.len() <= max_bytes {
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&wait)) {
            Ok(0) => return Err(Error::new(ErrorKind::TimedOut, "no data arrives on this pipe")),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match pipe.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(bytes))
}

#[cfg(not(unix))]
fn read_pipe(_: &mut File, _: FileType, _: usize) -> io::Result<Option<Vec<u8>>> {
    Ok(None)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use rustix::fs::Mode;
    use std::io::Write;
    use std::path::PathBuf;
    use std::thread;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("drupe-files-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).expect("a directory");
            Self(path)
        }

        fn file(&self, bytes: &[u8]) -> PathBuf {
            let path = self.0.join("file");
            std::fs::write(&path, bytes).expect("written");
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn read_refuses_a_file_longer_than_its_limit() {
        let folder = Folder::new("bound");
        let path = folder.file(b"12345");
        assert_eq!(read(&path, 5).expect("it fits"), b"12345");
        assert_eq!(read(&path, 4).expect_err("too long").to_string(), "it is longer than 0 KiB");
        assert_eq!(read(&folder.0.join("none"), 5).expect_err("none").kind(), ErrorKind::NotFound);
    }

    #[test]
    fn read_refuses_devices_and_directories() {
        assert_eq!(read_text(Path::new("/dev/null")).expect("nothing"), "");
        for (path, words) in [("/dev/zero", "a device"), ("/dev/tty", ""), ("/", "a directory")] {
            let error = read(Path::new(path), 5).expect_err(path).to_string();
            assert!(error.contains(words), "{path}: {error}");
        }
    }

    #[test]
    fn read_secret_strips_byte_order_mark_and_whitespace() {
        let folder = Folder::new("mark");
        for bytes in ["\u{feff}hunter2\nrest", "hunter2", " hunter2\t\r\nrest"] {
            assert_eq!(read_secret(&folder.file(bytes.as_bytes())).expect("good"), "hunter2", "{bytes:?}");
        }
        assert_eq!(read_text(&folder.file("\u{feff}a\u{feff}".as_bytes())).expect("good"), "a\u{feff}");
        let error = read_secret(&folder.file(b"hunter\xff")).expect_err("no text").to_string();
        assert_eq!(error, "it is not UTF-8");
    }

    #[test]
    fn read_drains_a_pipe_and_fails_without_a_writer() {
        let folder = Folder::new("pipe");
        let path = folder.0.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from_raw_mode(0o600)).expect("made");
        let writer = {
            let path = path.clone();
            // Opening blocks until there is a reader.
            thread::spawn(move || {
                let mut pipe = std::fs::OpenOptions::new().write(true).open(path).expect("opened");
                pipe.write_all(b"one\n").expect("read");
                pipe.write_all(&[b'x'; 10_000]).expect("read");
            })
        };
        assert_eq!(read_text(&path).expect("good").len(), 10_004);
        writer.join().expect("it ends");
        assert_eq!(read(&path, 5).expect_err("nobody").to_string(), "no data arrives on this pipe");
    }
}
