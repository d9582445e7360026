//! What is printed, and where pictures go.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::io::write_atomically;

/// To standard output. A reader that has gone away is no error of ours; a full disk is.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(end)).and_then(|()| out.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Io { path: "standard output".into(), action: "write", source })
        }
        _ => Ok(()),
    }
}

/// To standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}

/// One JSON object on standard output.
pub(super) fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&value.to_string())
}

/// A number for JSON, which has no infinity.
pub(super) fn number(x: f64) -> serde_json::Value {
    if x.is_finite() { x.into() } else { x.to_string().into() }
}

pub(super) fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomically(path, |out| out.write_all(text.as_bytes()))
}

pub(super) fn write_png(path: &Path, picture: &image::RgbImage) -> Result<()> {
    let bytes = crate::report::encode_png(picture)?;
    write_atomically(path, |out| out.write_all(&bytes))
}

/// That a file of this name can be made, before hours are spent on what goes into it.
pub(super) fn writable(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "write", source };
    let found = std::fs::metadata(folder).map_err(failed)?;
    if !found.is_dir() {
        return Err(failed(std::io::ErrorKind::NotADirectory.into()));
    }
    if found.permissions().readonly() {
        return Err(failed(std::io::ErrorKind::PermissionDenied.into()));
    }
    if path.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    Ok(())
}

/// That a folder of this name is there or can be made.
pub(super) fn folder(path: &Path) -> Result<()> {
    // The empty path, above the first part of a relative one, is the current folder.
    let nearest = path.ancestors().find(|p| p.as_os_str().is_empty() || p.exists());
    if nearest.is_some_and(|p| !p.as_os_str().is_empty() && !p.is_dir()) {
        let source = ErrorKind::NotADirectory.into();
        return Err(Error::Io { path: path.to_path_buf(), action: "create", source });
    }
    Ok(())
}

/// A file that is opened when something is first written to it: until then what was there stays.
pub(super) struct Late {
    path: PathBuf,
    append: bool,
    file: Option<File>,
}

impl Late {
    /// Adds to the file, or else takes its place.
    pub(super) fn new(path: &Path, append: bool) -> Self {
        Late { path: path.to_path_buf(), append, file: None }
    }
}

impl Write for Late {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut options = File::options();
                options.create(true).append(self.append).write(!self.append).truncate(!self.append);
                none.insert(options.open(&self.path)?)
            }
        };
        file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}
