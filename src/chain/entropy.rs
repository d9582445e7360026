//! Schmidt values and the entropies of cuts.

use super::Mps;
use super::mps::{left_matrix, right_matrix};
use crate::error::{Error, Place, Result};
use crate::linalg::singular_values;
use crate::scalar::{Real, Scalar};

/// Entanglement entropy, in nats, of a cut with Schmidt values `schmidt` `[bond]`.
///
/// `S = -sum p ln p` with `p = s^2 / sum s^2`, so the state need not be normalised; a zero value adds nothing.
///
/// # Errors
/// [`Error::NotFinite`] if a value is NaN or infinite, or if all are zero.
///
/// ```
/// let ghz = ansatz::chain::entanglement_entropy(&[0.5, 0.5])?;   // equal weights, whatever the norm
/// assert!((ghz - 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), ansatz::Error>(())
/// ```
pub fn entanglement_entropy(schmidt: &[f64]) -> Result<f64> {
    let terms = probabilities(schmidt)?.into_iter().filter(|&p| p > 0.0).map(|p| -p * p.ln());
    Ok(terms.sum::<f64>().max(0.0))
}

/// Rényi entropy of order `alpha`, in nats, of a cut with Schmidt values `schmidt` `[bond]`.
///
/// `S_alpha = ln(sum p^alpha) / (1 - alpha)` with `p = s^2 / sum s^2`; `alpha = 1` is the entanglement entropy and
/// `alpha = inf` the min-entropy `-ln max p`.
///
/// # Errors
/// [`Error::Setting`] if `alpha` is not above 0; [`Error::NotFinite`] as [`entanglement_entropy`].
pub fn renyi_entropy(schmidt: &[f64], alpha: f64) -> Result<f64> {
    if alpha.is_nan() || alpha <= 0.0 {
        return Err(Error::setting("alpha", alpha, "give an order above 0 (infinity is allowed)"));
    }
    // So near to 1 the quotient has no digits left, and the entropies agree in all of them.
    if (alpha - 1.0).abs() < 1e-8 {
        return entanglement_entropy(schmidt);
    }
    let p = probabilities(schmidt)?;
    let largest = p.iter().copied().fold(0.0, f64::max);
    if alpha.is_infinite() {
        return Ok((-largest.ln()).max(0.0));
    }
    // Relative to the largest, so that a high power does not vanish.
    let sum: f64 = p.iter().filter(|&&x| x > 0.0).map(|x| (x / largest).powf(alpha)).sum();
    Ok(((sum.ln() + alpha * largest.ln()) / (1.0 - alpha)).max(0.0))
}

fn probabilities(schmidt: &[f64]) -> Result<Vec<f64>> {
    let largest = schmidt.iter().fold(0.0_f64, |m, s| m.max(s.abs()));
    if largest == 0.0 || schmidt.iter().any(|s| !s.is_finite()) {
        return Err(Error::NotFinite { what: "Schmidt values (or their normalisation: all are zero)".into() });
    }
    // Scaled by the largest, so that a square neither overflows nor vanishes.
    let squares: Vec<f64> = schmidt.iter().map(|s| (s / largest).powi(2)).collect();
    let norm: f64 = squares.iter().sum();
    Ok(squares.into_iter().map(|q| q / norm).collect())
}

impl<T: Scalar> Mps<T> {
    /// The Schmidt values across `bond` (between sites `bond` and `bond + 1`), largest first, `sum s^2 = 1`.
    ///
    /// Moves the canonical centre to the bond.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such bond, [`Error::NotFinite`] if the state is zero.
    pub fn schmidt_values(&mut self, bond: usize) -> Result<Vec<f64>> {
        self.check_bond(bond)?;
        // Whichever of its two sites is nearer.
        let site = if self.left > bond { bond + 1 } else { bond };
        self.move_centre(site)?;
        let a = &self.tensors[site];
        let values = singular_values(&if site == bond { left_matrix(a) } else { right_matrix(a) });
        let values: Vec<f64> = values.map_err(|e| e.at(Place::Bond(bond)))?.iter().map(|s| s.to_f64()).collect();
        let norm = super::mps::norm_of(&values);
        if norm == 0.0 || self.factor.is_zero() {
            return Err(Error::NotFinite { what: "Schmidt values of a state of norm zero".into() });
        }
        Ok(values.into_iter().map(|s| s / norm).collect())
    }

    /// Entanglement entropy across `bond`, in nats, of the normalised state.
    ///
    /// # Errors
    /// As [`schmidt_values`](Self::schmidt_values).
    pub fn entanglement_entropy(&mut self, bond: usize) -> Result<f64> {
        entanglement_entropy(&self.schmidt_values(bond)?)
    }

    /// Rényi entropy of order `alpha` across `bond`, in nats, of the normalised state.
    ///
    /// # Errors
    /// As [`schmidt_values`](Self::schmidt_values) and [`renyi_entropy`].
    pub fn renyi_entropy(&mut self, bond: usize, alpha: f64) -> Result<f64> {
        renyi_entropy(&self.schmidt_values(bond)?, alpha)
    }

    /// Entanglement entropy, in nats, across every bond, in one sweep.
    ///
    /// # Errors
    /// As [`schmidt_values`](Self::schmidt_values).
    pub fn entropies(&mut self) -> Result<Vec<f64>> {
        (0..self.sites() - 1).map(|bond| self.entanglement_entropy(bond)).collect()
    }
}
