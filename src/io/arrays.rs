//! Arrays and text for other programs.

use std::path::Path;

use ndarray_npy::WriteNpyExt;

use super::write_atomically;
use crate::error::Result;
use crate::model::Batch;

/// Writes `.npy`: `[samples, sites]`, `u8`.
///
/// # Errors
/// [`crate::Error::Io`] if the file cannot be written; it is then left as it was.
pub fn write_npy_symbols(path: &Path, batch: &Batch<u8>) -> Result<()> {
    write_atomically(path, |out| batch.view().write_npy(out).map_err(std::io::Error::other))
}

/// Writes `.npy`: `[n]`, `f64`.
///
/// # Errors
/// [`crate::Error::Io`] if the file cannot be written; it is then left as it was.
pub fn write_npy_reals(path: &Path, values: &[f64]) -> Result<()> {
    write_atomically(path, |out| ndarray::ArrayView1::from(values).write_npy(out).map_err(std::io::Error::other))
}

/// Writes symbols by the ending of the name: `.npy`, `.csv`, or text, one sample a line, with letters where an alphabet
/// is given.
///
/// # Errors
/// [`crate::Error::Io`] if the file cannot be written; it is then left as it was.
pub fn write_symbols(path: &Path, batch: &Batch<u8>, alphabet: Option<&str>) -> Result<()> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => write_npy_symbols(path, batch),
        Some("csv") => write_atomically(path, |out| out.write_all(text(batch, None, ",").as_bytes())),
        _ => write_atomically(path, |out| out.write_all(text(batch, alphabet, "").as_bytes())),
    }
}

/// One sample a line; numbers beyond 9 are parted by blanks.
#[must_use]
pub fn text(batch: &Batch<u8>, alphabet: Option<&str>, separator: &str) -> String {
    let letters: Vec<char> = alphabet.unwrap_or("").chars().collect();
    let wide = letters.is_empty() && batch.view().iter().any(|&v| v > 9);
    let separator = if wide && separator.is_empty() { " " } else { separator };
    let mut lines = String::new();
    for row in batch.view().rows() {
        let symbols: Vec<String> =
            row.iter().map(|&v| letters.get(usize::from(v)).map_or_else(|| v.to_string(), char::to_string)).collect();
        lines.push_str(&symbols.join(separator));
        lines.push('\n');
    }
    lines
}
