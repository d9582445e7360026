//! Models in files, of whatever kind.

use std::path::Path;

use crate::error::{Place, Result};
use crate::io::{Extra, load_circuit, load_model};
use crate::model::{BornCircuit, Conditional, GenerativeModel};

/// A model with what its file tells beside it.
pub(super) struct Loaded {
    pub model: Box<dyn Conditional<Value = u8>>,
    /// Symbols of each site.
    pub dims: Vec<usize>,
    pub extra: Extra,
}

impl Loaded {
    /// A circuit from a name that ends in `.qasm` or `.qsim`, a model file from any other.
    pub fn read(path: &Path) -> Result<Self> {
        if is_circuit(path) {
            let model = BornCircuit::of(&load_circuit(path)?).map_err(|e| e.at(Place::File(path.into())))?;
            let dims = vec![2; model.sites()];
            return Ok(Loaded { model: Box::new(model), dims, extra: Extra::default() });
        }
        let (model, extra) = load_model(path)?;
        Ok(Loaded { dims: model.dims(), model: Box::new(model), extra })
    }
}

/// Whether a name is that of a circuit.
pub(super) fn is_circuit(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "qasm" || end == "qsim")
}
