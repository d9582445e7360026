//! What is printed, and where pictures go.

use std::io::Write;
use std::path::Path;

use crate::error::Result;
use crate::io::write_atomically;

/// To standard output. A reader that has gone away is no error of ours.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// To standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}

/// One JSON object on standard output.
pub(super) fn print_json(value: &serde_json::Value) {
    print(&value.to_string());
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
