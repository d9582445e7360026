//! Circuits that prepare a matrix product state.

mod exact;
mod layers;
mod overlap;
mod sweep;

use ndarray::Array3;
use num_complex::Complex64;

use crate::chain::Mps;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

pub use exact::prepare;
pub use layers::{LayeredPreparation, Layers};

/// The state in double precision, of norm one, each bond as small as its neighbours allow, the centre at site 0.
fn qubits_of<T: Scalar>(state: &Mps<T>) -> Result<Mps<Complex64>> {
    if let Some((site, d)) = state.dims().into_iter().enumerate().find(|&(_, d)| d != 2) {
        let what = format!("site {site} has {d} levels: a circuit has sites of 2; recode the data in bits");
        return Err(Error::Circuit { what });
    }
    let tensors: Vec<Array3<Complex64>> = state.tensors().iter().map(|a| a.mapv(Scalar::to_c64)).collect();
    let mut wide = Mps::new(tensors)?;
    // There and back: no bond is more than twice the one beside it.
    wide.move_centre(wide.sites() - 1)?;
    wide.move_centre(0)?;
    wide.normalise()?;
    let phase = state.factor().phase().to_c64() * wide.factor().phase().conj();
    wide.scale(phase.into());
    Ok(wide)
}
