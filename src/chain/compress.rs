//! Compression, with the loss of the whole chain stated and, where asked, kept below a budget.

use crate::scalar::{Real, Scalar};

/// What a compression lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Compression {
    /// `|dropped|^2 / |psi|^2` at each bond, in order of the chain; their sum is the whole loss.
    pub discarded: Vec<f64>,
    /// A bound on `|psi - phi| / |psi|` for the state `psi` before and `phi` after, rounding included.
    pub bound: f64,
}

impl Compression {
    /// `rounding` is the relative error that rounding alone may cause.
    pub(super) fn new(discarded: Vec<f64>, rounding: f64) -> Self {
        let bound = discarded.iter().sum::<f64>().sqrt() + rounding;
        Compression { discarded, bound }
    }

    /// `|psi - phi| / |psi|` but for rounding.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.discarded.iter().sum::<f64>().sqrt()
    }

    /// `|<psi|phi>|^2 / (<psi|psi> <phi|phi>)` but for rounding.
    #[must_use]
    pub fn fidelity(&self) -> f64 {
        (1.0 - self.discarded.iter().sum::<f64>()).max(0.0)
    }
}

/// Relative error by rounding of factorisations in a row, each amplified by its condition.
pub(super) fn rounding<T: Scalar>(conditions: impl IntoIterator<Item = f64>) -> f64 {
    // A factorisation errs by a few units in the last place; errors of different steps add like independent ones.
    let unit = 16.0 * <T::Real as num_traits::Float>::epsilon().to_f64();
    unit * conditions.into_iter().map(|c| c * c).sum::<f64>().sqrt()
}
