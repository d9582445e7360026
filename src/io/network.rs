//! Contraction patterns and plans in files.

use std::path::Path;

use crate::error::{Error, Place, Result};
use crate::network::{Equation, Plan};

/// Reads a pattern from JSON `{"inputs": .., "output": .., "size_dict": ..}`, as [`Equation::from_json`].
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; with the file as place, as [`Equation::from_json`].
pub fn load_equation(path: &Path) -> Result<Equation> {
    Equation::from_json(bytes(path)?).map_err(|e| e.at(Place::File(path.into())))
}

/// Reads a plan that [`Plan::to_json`] wrote.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; with the file as place, as [`Plan::from_json`].
pub fn load_plan(path: &Path) -> Result<Plan> {
    Plan::from_json(bytes(path)?).map_err(|e| e.at(Place::File(path.into())))
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::Io { path: path.into(), action: "read", source: e })
}
