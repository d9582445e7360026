//! Whether the system would give so much memory at all, asked before a size that a user chose is taken at its word.

use crate::error::{Error, Result};

/// Asks the system for room for `count` values of `T`, and gives it back.
///
/// # Errors
/// [`Error::Memory`] if it refuses, or `count` is `None` because it is beyond any number.
pub(crate) fn check_room<T>(what: impl FnOnce() -> String, count: Option<usize>, way_out: &str) -> Result<()> {
    if count.is_some_and(|count| Vec::<T>::new().try_reserve_exact(count).is_ok()) {
        return Ok(());
    }
    Err(Error::Memory {
        what: what(),
        needed: count.map_or(u64::MAX, |count| (count as u64).saturating_mul(size_of::<T>() as u64)),
        ceiling: isize::MAX as u64,
        way_out: format!("the system refused them: {way_out}"),
    })
}
