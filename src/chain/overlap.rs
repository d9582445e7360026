//! Inner products and amplitudes.

use ndarray::Array3;

use super::Mps;
use super::mps::flat;
use super::small::{multiply, multiply_adjoint};
use crate::error::{Error, Result};
use crate::scalar::{LogScaled, Real, Scalar};

impl<T: Scalar> Mps<T> {
    /// `<self|other>`, the first argument conjugated.
    ///
    /// ```text
    ///    +--[B0]--[B1]--[B2]--+      other
    ///    |    |     |     |   |
    ///    +--[A0*]-[A1*]-[A2*]-+      self
    /// ```
    ///
    /// Costs `O(sites d D^3)`; two buffers, no allocation at each site.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sites differ in number or dimension.
    pub fn inner(&self, other: &Self) -> Result<LogScaled<T>> {
        self.check_same_dims(other)?;
        Ok(self.factor.conj() * other.factor * overlap(&self.tensors, &other.tensors))
    }

    /// `<psi|psi>`, contracted in full: the gauge is not used.
    #[must_use]
    pub fn norm_squared(&self) -> LogScaled<T::Real> {
        let bare = overlap(&self.tensors, &self.tensors);
        LogScaled::exp(bare.ln_abs()) * self.factor.abs().powi(2)
    }

    /// The amplitude of one configuration, one symbol a site.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of sites, [`Error::Symbol`] for a symbol beyond the dimension of its site.
    pub fn amplitude<V: Copy + Into<usize>>(&self, configuration: &[V]) -> Result<LogScaled<T>> {
        if configuration.len() != self.sites() {
            return Err(Error::shape("a configuration, in sites", configuration.len(), self.sites()));
        }
        let mut vector = vec![T::one()];
        let mut next = vec![T::zero(); self.max_bond()];
        let mut ln = 0.0;
        for (site, (a, &symbol)) in self.tensors.iter().zip(configuration).enumerate() {
            let (symbol, (_, d, r)) = (symbol.into(), a.dim());
            if symbol >= d {
                return Err(Error::Symbol { sample: 0, site, found: symbol, dim: d });
            }
            next.clear();
            next.resize(r, T::zero());
            for (&weight, block) in vector.iter().zip(flat(a).chunks_exact(d * r)) {
                let row = &block[symbol * r..(symbol + 1) * r];
                next.iter_mut().zip(row).for_each(|(o, &x)| *o += weight * x);
            }
            std::mem::swap(&mut vector, &mut next);
            ln += tame(&mut vector);
        }
        Ok(self.factor * LogScaled::new(vector[0], ln))
    }
}

/// `sum conj(A) B` over all configurations, for chains with the same site dimensions.
fn overlap<T: Scalar>(bra: &[Array3<T>], ket: &[Array3<T>]) -> LogScaled<T> {
    let size = |f: fn((usize, usize, usize)) -> usize, chain: &[Array3<T>]| {
        chain.iter().map(|a| f(a.dim())).max().unwrap_or(1)
    };
    let rows = size(|(l, _, _)| l, bra);
    // Environment [bra bond, ket bond], and its product with one site of the ket.
    let mut environment = vec![T::zero(); rows * size(|(l, _, _)| l, ket)];
    let mut half = vec![T::zero(); rows * size(|(_, d, r)| d * r, ket)];
    environment[0] = T::one();
    let mut ln = 0.0;
    for (a, b) in bra.iter().zip(ket) {
        let ((la, d, ra), (lb, _, rb)) = (a.dim(), b.dim());
        let half = &mut half[..la * d * rb];
        multiply((la, lb, d * rb), &environment[..la * lb], flat(b), half);
        let next = &mut environment[..ra * rb];
        multiply_adjoint((ra, la * d, rb), flat(a), half, next);
        ln += tame(next);
    }
    LogScaled::new(environment[0], ln)
}

/// Multiplies by a power of two where the entries leave a comfortable range; the logarithm of what was taken out.
#[inline]
pub(super) fn tame<T: Scalar>(entries: &mut [T]) -> f64 {
    let zero = T::Real::of(0.0);
    let largest = entries.iter().fold(zero, |m, x| {
        let (re, im) = (x.re(), x.im());
        let size = if T::IS_COMPLEX { re * re + im * im } else { re * re };
        if size > m { size } else { m }
    });
    // Squares: 2^±32 stands for entries of 2^±16.
    if largest > T::Real::of(2.0_f64.powi(-32)) && largest < T::Real::of(2.0_f64.powi(32)) {
        return 0.0;
    }
    tame_far(entries)
}

#[cold]
fn tame_far<T: Scalar>(entries: &mut [T]) -> f64 {
    let largest = super::mps::largest(entries);
    if largest == 0.0 || !largest.is_finite() {
        return 0.0;
    }
    let exponent = largest.log2().round() as i32;
    for part in [exponent / 2, exponent - exponent / 2] {
        let shrink = T::Real::of(2f64.powi(-part));
        entries.iter_mut().for_each(|x| *x = x.scale(shrink));
    }
    f64::from(exponent) * std::f64::consts::LN_2
}
