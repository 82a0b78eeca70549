//! Reading a folder of static files.

use super::files::{Files, FilesError, FilesProblem};
use crate::base::files::read;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::fs;
use std::path::{Path, PathBuf};

impl Files {
    /// Reads the files of a folder and of its subfolders.
    ///
    /// Names that begin with a dot are left out, except `.well-known`. Links inside of the folder
    /// are followed.
    ///
    /// # Errors
    /// If a limit is exceeded, a link leads out of the folder, or something is neither a file nor a
    /// folder, or cannot be read.
    pub fn load(folder: &Path) -> Result<Self, FilesError> {
        let shown = folder.to_string_lossy().into_owned();
        let root = fs::canonicalize(folder).map_err(|error| unreadable(folder, &error))?;
        let mut loaded = Self::new().folder(shown);
        // A stack instead of recursion; its entries count as files until they are read.
        let mut open: Vec<(PathBuf, String, usize)> = [(root.clone(), String::new(), 0)].into();
        let mut folders = 0;
        while let Some((place, path, depth)) = open.pop() {
            let wrong = |problem| FilesError { path: place.to_string_lossy().into_owned(), problem };
            folders += 1;
            if folders > Self::COUNT_MAX {
                return Err(wrong(FilesProblem::Count));
            }
            if depth > Self::DEPTH_MAX {
                return Err(wrong(FilesProblem::Depth));
            }
            for (count, entry) in fs::read_dir(&place).map_err(|error| unreadable(&place, &error))?.enumerate() {
                if count > Self::COUNT_MAX {
                    return Err(wrong(FilesProblem::Count));
                }
                let entry = entry.map_err(|error| unreadable(&place, &error))?.path();
                let wrong = |problem| FilesError { path: entry.to_string_lossy().into_owned(), problem };
                let name = entry.file_name().and_then(|name| name.to_str());
                let name = name.ok_or_else(|| wrong(FilesProblem::Path("its name is not UTF-8")))?;
                if name.starts_with('.') && name != ".well-known" {
                    continue;
                }
                let real = fs::canonicalize(&entry).map_err(|error| unreadable(&entry, &error))?;
                if !real.starts_with(&root) {
                    return Err(wrong(FilesProblem::Outside));
                }
                let kind = fs::metadata(&real).map_err(|error| unreadable(&entry, &error))?.file_type();
                let path = format!("{path}/{name}");
                if kind.is_dir() {
                    open.push((real, path, depth + 1));
                } else if kind.is_file() {
                    let body = read(&real, Self::FILE_MAX_BYTES).map_err(|error| match error.kind() {
                        std::io::ErrorKind::InvalidData => wrong(FilesProblem::FileSize),
                        _ => unreadable(&entry, &error),
                    })?;
                    loaded = loaded.file(&path, body).map_err(|error| wrong(error.problem))?;
                } else {
                    return Err(wrong(FilesProblem::Special));
                }
            }
        }
        Ok(loaded)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> FilesError {
    FilesError { path: path.to_string_lossy().into_owned(), problem: FilesProblem::Unreadable(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::files::Found;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    /// A temporary folder of one test, which is removed when the value is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("drupe-files-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("site/docs")).expect("it can be created");
            fs::write(path.join("site/docs/index.html"), "docs").expect("written");
            fs::write(path.join("secret"), "secret").expect("written");
            Self(path)
        }

        fn site(&self) -> PathBuf {
            self.0.join("site")
        }

        fn problem(&self) -> FilesProblem {
            Files::load(&self.site()).expect_err("it can't be served").problem
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn folder_is_read_without_hidden_files() {
        let folder = Folder::new("hidden");
        let site = folder.site();
        for name in [".env", ".git", "app.js"] {
            fs::write(site.join(name), name).expect("written");
        }
        fs::create_dir(site.join(".well-known")).expect("created");
        fs::write(site.join(".well-known/security.txt"), "x").expect("written");
        symlink(site.join("app.js"), site.join("link.js")).expect("linked");
        let files = Files::load(&site).expect("it can be served");
        let is_there = |path: &str| matches!(files.find(path), Found::File(_));
        for path in ["/docs/", "/app.js", "/link.js", "/.well-known/security.txt"] {
            assert!(is_there(path), "{path}");
        }
        assert!(!is_there("/.env") && !is_there("/.git"));
        assert!(files.is_loaded() && !Files::pending("x").is_loaded());
    }

    #[test]
    fn links_that_leave_the_folder_are_refused() {
        for (name, target) in [("file", "secret"), ("folder", ""), ("absolute", "/etc/hostname")] {
            let folder = Folder::new(name);
            symlink(folder.0.join(target), folder.site().join("link")).expect("linked");
            assert_eq!(folder.problem(), FilesProblem::Outside, "{name}");
        }
        // The name of another folder may begin with the name of this one.
        let folder = Folder::new("prefix");
        fs::create_dir(folder.0.join("site-secret")).expect("created");
        symlink(folder.0.join("site-secret"), folder.site().join("link")).expect("linked");
        assert_eq!(folder.problem(), FilesProblem::Outside);
    }

    #[test]
    fn special_large_and_endless_content_is_refused() {
        let folder = Folder::new("special");
        let _socket = UnixListener::bind(folder.site().join("socket")).expect("bound");
        assert_eq!(folder.problem(), FilesProblem::Special);
        let folder = Folder::new("large");
        fs::write(folder.site().join("x"), vec![0; Files::FILE_MAX_BYTES + 1]).expect("written");
        assert_eq!(folder.problem(), FilesProblem::FileSize);
        // A folder that contains itself.
        let folder = Folder::new("endless");
        symlink(folder.site(), folder.site().join("loop")).expect("linked");
        assert!(matches!(folder.problem(), FilesProblem::Depth | FilesProblem::Count));
        let folder = Folder::new("missing");
        let missing = Files::load(&folder.0.join("none")).expect_err("it is not there").to_string();
        assert!(missing.contains("none") && missing.contains("can't be read"), "{missing}");
    }
}
