//! Perfect sampling: independent configurations, one site after the other, by matrix products over many rows.
//!
//! With the canonical centre at site 0 every later tensor is an isometry from the right, so that what lies to the right
//! of a site sums to the identity and the weight of a symbol is the norm of one vector
//! (Ferris and Vidal, Phys. Rev. B 85, 165146, 2012):
//!
//! ```text
//!   w_s = v A[s],      p(s | symbols so far) = |w_s|^2 / |v|^2,      sum_s |w_s|^2 = |v|^2
//! ```
//!
//! The sum rule spares most of the branches. Of two symbols `a`, `b` either weight gives the other: with the uniform
//! number `u` of the row, `a` is taken if `u |v|^2 < |w_a|^2`, and `b` if `u |v|^2 >= |v|^2 - |w_b|^2`. So the branch which
//! `u` makes likely is computed first, and the other one only for the rows in which it was the wrong one. Of more symbols
//! the likelier are tried first. Rows whose symbols agree so far share their vector as long as there are few such classes.

use std::borrow::Cow;

use ndarray::{Array2, Array3, ArrayView3};
use rayon::prelude::*;

use super::BornMps;
use super::block::{self, Block};
use crate::chain::Mps;
use crate::error::{Error, Result};
use crate::model::Batch;
use crate::random::Seed;
use crate::scalar::{Real, Scalar};

impl<T: Scalar> BornMps<T> {
    /// The state with its centre at site 0: itself, where it stands so already.
    pub(super) fn right_canonical(&self) -> Result<Cow<'_, Mps<T>>> {
        if self.state().centre() == Some(0) {
            return Ok(Cow::Borrowed(self.state()));
        }
        let mut state = self.state().clone();
        state.move_centre(0)?;
        Ok(Cow::Owned(state))
    }

    /// Samples and their log-probabilities, from one pass.
    pub(super) fn draw(&self, count: usize, seed: Seed) -> Result<(Batch<u8>, Vec<f64>)> {
        let state = self.right_canonical()?;
        let (rows, ln_p) = Sampler::new(views(state.tensors())).draw(count, seed)?;
        Ok((Batch::new(rows)?, ln_p))
    }
}

/// The tensors of a chain, where they stand.
pub(super) fn views<T>(tensors: &[Array3<T>]) -> Vec<ArrayView3<'_, T>> {
    tensors.iter().map(|tensor| tensor.view()).collect()
}

/// A right-canonical chain of norm one, ready to be drawn from.
pub(super) struct Sampler<'a, T> {
    pub(super) tensors: Vec<ArrayView3<'a, T>>,
    /// The symbols of each site, those which are probably likelier first.
    pub(super) order: Vec<Vec<u8>>,
    /// The probable share of the first of two symbols.
    pub(super) first_share: Vec<f64>,
}

impl<'a, T: Scalar> Sampler<'a, T> {
    /// Takes the tensors `[left, symbol, right]` of a state of norm one whose centre is site 0.
    pub fn new(tensors: Vec<ArrayView3<'a, T>>) -> Self {
        let (mut order, mut first_share) = (Vec::with_capacity(tensors.len()), Vec::with_capacity(tensors.len()));
        // A guess at the marginals: the left environments without their off-diagonal elements. It decides what is
        // computed first, not what is drawn.
        let mut diagonal = vec![T::Real::of(1.0)];
        for a in &tensors {
            let (_, d, r) = a.dim();
            let mut squares = vec![T::Real::of(0.0); d * r];
            for (&weight, block) in diagonal.iter().zip(a.as_slice().unwrap_or_default().chunks_exact(d * r)) {
                squares.iter_mut().zip(block).for_each(|(sum, x)| *sum += weight * x.abs_sq());
            }
            let shares: Vec<f64> = squares.chunks_exact(r).map(|c| c.iter().map(|x| Real::to_f64(*x)).sum()).collect();
            let total: f64 = shares.iter().sum();
            let mut symbols: Vec<u8> = (0..d).map(|symbol| symbol as u8).collect();
            if d > 2 {
                symbols.sort_by(|&a, &b| shares[usize::from(b)].total_cmp(&shares[usize::from(a)]));
            }
            order.push(symbols);
            first_share.push(if d == 2 { shares[0] / total } else { 1.0 });
            // Of sum one again, so that nothing drifts.
            let shrink = T::Real::of(1.0 / total);
            diagonal = (0..r).map(|b| squares.iter().skip(b).step_by(r).copied().sum::<T::Real>() * shrink).collect();
        }
        Sampler { tensors, order, first_share }
    }

    /// `count` rows and their log-probabilities, nats; row `i` depends on `seed` and `i` only.
    pub fn draw(&self, count: usize, seed: Seed) -> Result<(Array2<u8>, Vec<f64>)> {
        if count == 0 {
            return Err(Error::setting("count", count, "draw at least one sample"));
        }
        let sites = self.tensors.len();
        let (mut rows, mut ln_p) = (Array2::zeros((count, sites)), vec![0.0; count]);
        let out = rows.as_slice_mut().unwrap_or_default();
        out.par_chunks_mut(block::ROWS * sites).zip(ln_p.par_chunks_mut(block::ROWS)).enumerate().for_each_init(
            || Block::new(&self.tensors),
            |block, (number, (rows, ln_p))| block.draw(self, number, seed, rows, ln_p),
        );
        if let Some(sample) = ln_p.iter().position(|l| !l.is_finite()) {
            return Err(Error::NotFinite { what: format!("the log-probability of the drawn sample {sample}") });
        }
        Ok((rows, ln_p))
    }
}
