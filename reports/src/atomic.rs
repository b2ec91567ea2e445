//! A whole file or none.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Writes a file so that a reader, or a run killed in between, finds the former file or the new one, never a part.
///
/// Missing directories are made. What is no plain file (`/dev/stdout`, a FIFO) is written to and never replaced.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    write_with(path, |mut file| file.write_all(content))
}

/// The same for content that is made while it is written.
pub(crate) fn write_with<R>(path: &Path, fill: impl FnOnce(&File) -> io::Result<R>) -> io::Result<R> {
    let path = resolved(path);
    if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        return fill(&fs::OpenOptions::new().write(true).open(&path)?);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let unfinished = beside(&path)?;
    let done = filled(&unfinished, fill).and_then(|result| fs::rename(&unfinished, &path).map(|()| result));
    if done.is_err() {
        let _ = fs::remove_file(&unfinished); // the first error is the one to tell
    }
    done
}

/// Where a symbolic link leads, so that the link stays.
fn resolved(path: &Path) -> PathBuf {
    if path.is_symlink() { fs::canonicalize(path).unwrap_or_else(|_| path.into()) } else { path.into() }
}

/// A name next to the file: only within one file system is renaming atomic.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    Ok(path.with_file_name(hidden))
}

fn filled<R>(path: &Path, write: impl FnOnce(&File) -> io::Result<R>) -> io::Result<R> {
    let file = File::create(path)?;
    let result = write(&file)?;
    file.sync_all()?;
    Ok(result)
}
