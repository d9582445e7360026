//! What is printed, and where pictures go.

use std::io::{ErrorKind, Write};
use std::path::Path;

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
