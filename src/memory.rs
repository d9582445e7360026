//! Whether the system would give so much memory at all, asked before a size that a user chose is taken at its word; how it
//! gives it; and amounts of it as people write them.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Asks the system for room for `count` values of `T`, and gives it back.
///
/// # Errors
/// [`Error::Room`] if it refuses, or `count` is `None` because it is beyond any number.
pub(crate) fn check_room<T>(what: impl FnOnce() -> String, count: Option<usize>, way_out: &str) -> Result<()> {
    let mut probe = Vec::<T>::new();
    let granted = count.is_some_and(|count| probe.try_reserve_exact(count).is_ok());
    // Unused, it would be optimised away, and with it the answer.
    std::hint::black_box(&probe);
    if granted {
        return Ok(());
    }
    let needed = count.map_or_else(
        || "more bytes than can be counted".into(),
        |count| format!("{:.1} GB", count as f64 * size_of::<T>() as f64 / 1e9),
    );
    Err(Error::Room { what: what(), needed, way_out: way_out.into() })
}

/// A number of bytes, with or without a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    /// In the unit that leaves one to three digits before the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 1000 {
            return write!(f, "{} bytes", self.0);
        }
        let (mut value, mut unit) = (self.0 as f64 / 1e3, 0);
        while value >= 999.5 && unit + 1 < units.len() {
            value /= 1e3;
            unit += 1;
        }
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        write!(f, "{value:.digits$} {}", units[unit])
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong =
            || format!("'{text}' is no amount of memory: give bytes, or a number with kB, MB, GB, KiB, MiB, GiB");
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let value: f64 = digits.trim().parse().map_err(|_| wrong())?;
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "t" | "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => 1024.0 * 1024.0,
            "gib" => 1024.0 * 1024.0 * 1024.0,
            "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return Err(wrong()),
        };
        let bytes = value * unit;
        if bytes >= 1.0 && bytes < u64::MAX as f64 { Ok(Bytes(bytes as u64)) } else { Err(wrong()) }
    }
}

/// Bytes from which large pages are asked for.
#[cfg(target_os = "linux")]
const LARGE: usize = 1 << 22;

/// Asks the system to back a large stretch of memory that has not been touched yet with large pages: fewer are faulted in,
/// and permuted reads find their addresses translated. A hint, and nothing elsewhere than on Linux.
pub(crate) fn ask_for_large_pages<T>(memory: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 1 << 16;
        let bytes = size_of_val(memory);
        let start = memory.as_mut_ptr() as usize;
        let from = start.next_multiple_of(PAGE);
        let len = (start + bytes).saturating_sub(from);
        if bytes >= LARGE {
            // SAFETY: the stretch lies within memory that is borrowed mutably, and its contents do not change. What comes
            // of it does not matter.
            unsafe { libc::madvise(from as *mut libc::c_void, len, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_read_with_and_without_units() {
        for (text, bytes) in
            [("4GiB", 4 << 30), ("500MB", 500_000_000), ("1.5 kib", 1536), ("77", 77), ("1e6", 1_000_000)]
        {
            let read: std::result::Result<Bytes, String> = text.parse();
            // `1e6` would be read as a unit of its own, and is refused.
            assert_eq!(read.ok(), (text != "1e6").then_some(Bytes(bytes)), "{text}");
        }
        for text in ["", "GiB", "4 apples", "-1", "0", "nan", "1e30GiB", "99999999999TiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
    #[test]
    fn amounts_of_memory_are_written_in_the_unit_that_fits() {
        let texts = [
            (7, "7 bytes"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_700, "1.00 MB"),
            (4 << 30, "4.29 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (bytes, text) in texts {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
