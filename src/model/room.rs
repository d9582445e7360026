//! Numbers that a user gives and memory follows.

use crate::error::{Error, Result};

/// That the system has memory for `bytes`, where `None` is more than can be counted: a number too large is to be an
/// error, and an allocation that fails ends the program.
///
/// # Errors
/// [`Error::Setting`] of `name`, found to be `found`.
pub(super) fn room(name: &'static str, found: usize, bytes: Option<usize>) -> Result<()> {
    let mut probe = Vec::<u8>::new();
    let granted = bytes.is_some_and(|bytes| probe.try_reserve_exact(bytes).is_ok());
    // Unused, it would be optimised away, and with it the answer.
    std::hint::black_box(&probe);
    if granted {
        return Ok(());
    }
    let needed = bytes.map_or_else(String::new, |bytes| format!(" ({:.1} GB)", bytes as f64 / 1e9));
    Err(Error::setting(name, found, format!("that needs more memory{needed} than there is; give less")))
}
