//! Whether the system would give so much memory at all, asked before a size that a user chose is taken at its word; and
//! how it gives it.

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
