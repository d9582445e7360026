//! Files that are there whole, or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Writes a file by way of a temporary one in the same directory, which is synced and then renamed.
///
/// Whenever the process ends, `path` holds what it held before or all that was written. A link is followed. What is no
/// regular file (`/dev/stdout`, a pipe) is written directly.
///
/// # Errors
/// [`Error::Io`] with the path; the temporary file is removed and `path` is as it was.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "write", source };
    if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        let file = File::options().write(true).open(path).map_err(failed)?;
        return fill(&file, write).map_err(failed);
    }
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let (file, temporary) = beside(&target).map_err(failed)?;
    let written = fill(&file, write).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, &target));
    drop(file);
    if let Err(source) = written {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        return Err(failed(source));
    }
    // Not every file system can sync a directory; the file itself is safe.
    let _ = File::open(directory(&target)).and_then(|d| d.sync_all());
    Ok(())
}

fn fill(file: &File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = BufWriter::with_capacity(1 << 16, file);
    write(&mut buffer)?;
    buffer.flush()
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file in the directory of `path`, under a name that no other process or thread uses.
fn beside(path: &Path) -> io::Result<(File, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    loop {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let temporary = directory(path).join(hidden);
        match File::options().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            // Left behind by a process that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
