//! Whether the system would give so much memory at all, asked before a size that a user chose is taken at its word.

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
