//! Some sites given, the others drawn or summed out, exactly, for any choice of sites.
//!
//! What lies to the right of a site is summed up in a positive matrix, kept as a factor `X` with `R = X X^H`:
//!
//! ```text
//!   R_k = sum over the free v_k of  A_k[v_k] R_k+1 A_k[v_k]^H,        p(v_k | left, given) ~ w R_k+1 w^H,   w = v A_k[v_k]
//! ```
//!
//! With the centre at site 0 the matrix is the identity wherever all sites to the right are free, and a given suffix is a
//! single column, so completing half of an image costs no more than scoring it.

use ndarray::{Array2, ArrayView3, s};
use rand::RngExt;
use rayon::prelude::*;

use super::BornMps;
use super::environments::squares;
use crate::error::{Error, Result};
use crate::linalg::{Op, gemm, lq, matmul};
use crate::model::{Batch, Conditional, GenerativeModel, Marginal};
use crate::random::Seed;
use crate::scalar::{Real, Scalar};

/// `R = X X^H exp(2 ln)`, or the identity.
#[derive(Debug, Clone)]
enum Right<T> {
    Identity,
    Factor { x: Array2<T>, ln: f64 },
}

impl<T: Scalar> Right<T> {
    /// The factor one site further to the left; `symbol` if the site is given.
    fn extend(&self, tensor: &ArrayView3<T>, symbol: Option<usize>) -> Result<Self> {
        let (dl, d, _) = tensor.dim();
        let symbols: Vec<usize> = match (self, symbol) {
            (Right::Identity, None) => return Ok(Right::Identity),
            (_, Some(symbol)) => vec![symbol],
            (_, None) => (0..d).collect(),
        };
        let mut ln = 0.0;
        let mut blocks = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            let a = tensor.slice(s![.., symbol, ..]);
            blocks.push(match self {
                Right::Identity => a.to_owned(),
                Right::Factor { x, ln: scale } => {
                    ln = *scale;
                    matmul(&a, Op::None, &x.view(), Op::None)
                }
            });
        }
        let views: Vec<_> = blocks.iter().map(|b| b.view()).collect();
        let joined =
            ndarray::concatenate(ndarray::Axis(1), &views).map_err(|e| Error::Format { what: e.to_string() })?;
        // X X^H = L L^H for X = L Q: never more columns than rows.
        let mut x = if joined.ncols() > dl { lq(&joined.view())?.0 } else { joined };
        let norm = norm_of(&x);
        if norm > 0.0 {
            x.mapv_inplace(|v| v.scale(T::Real::of(1.0 / norm)));
        }
        Ok(Right::Factor { x, ln: ln + norm.ln() })
    }

    /// `ln (w R w^H)` of each row of `w`, nats.
    fn weights(&self, w: &Array2<T>) -> Vec<f64> {
        let (ln, product) = match self {
            Right::Identity => (0.0, w.clone()),
            Right::Factor { x, ln } => (*ln, matmul(&w.view(), Op::None, &x.view(), Op::None)),
        };
        product
            .rows()
            .into_iter()
            .map(|r| Real::to_f64(r.as_slice().map_or(T::Real::of(0.0), squares)).ln() + 2.0 * ln)
            .collect()
    }
}

fn norm_of<T: Scalar>(x: &Array2<T>) -> f64 {
    // Scaled by the largest, so that no square vanishes.
    let largest = x.iter().fold(0.0_f64, |m, v| m.max(Real::to_f64(v.abs())));
    if largest == 0.0 {
        return 0.0;
    }
    largest * x.iter().map(|v| (Real::to_f64(v.abs()) / largest).powi(2)).sum::<f64>().sqrt()
}

impl<T: Scalar> BornMps<T> {
    fn check_evidence(&self, evidence: &[Option<u8>]) -> Result<()> {
        let dims = self.dims();
        if evidence.len() != dims.len() {
            return Err(Error::shape("the evidence, in sites", evidence.len(), dims.len()));
        }
        for (site, (given, &dim)) in evidence.iter().zip(&dims).enumerate() {
            if let Some(symbol) = given
                && usize::from(*symbol) >= dim
            {
                return Err(Error::Symbol { sample: 0, site, found: usize::from(*symbol), dim });
            }
        }
        Ok(())
    }

    /// The sums over all that lies to the right of each cut; entry `k` takes in the sites from `k` on.
    fn rights(tensors: &[ndarray::Array3<T>], evidence: &[Option<u8>]) -> Result<Vec<Right<T>>> {
        let sites = tensors.len();
        let mut rights = vec![Right::Identity; sites + 1];
        for site in (0..sites).rev() {
            rights[site] = rights[site + 1].extend(&tensors[site].view(), evidence[site].map(usize::from))?;
        }
        Ok(rights)
    }
}

impl<T: Scalar> Marginal for BornMps<T> {
    fn log_marginal(&self, evidence: &[Option<u8>]) -> Result<f64> {
        self.check_evidence(evidence)?;
        let state = self.right_canonical()?;
        let rights = Self::rights(state.tensors(), evidence)?;
        // Rounding may leave a hair more than everything.
        Ok(rights[0].weights(&Array2::ones((1, 1)))[0].min(0.0))
    }
}

impl<T: Scalar> Conditional for BornMps<T> {
    fn sample_given(&self, evidence: &[Option<u8>], count: usize, seed: Seed) -> Result<Batch<u8>> {
        if count == 0 {
            return Err(Error::setting("count", 0, "draw at least one sample"));
        }
        self.check_evidence(evidence)?;
        let state = self.right_canonical()?;
        let tensors = state.tensors();
        let rights = Self::rights(tensors, evidence)?;
        if rights[0].weights(&Array2::ones((1, 1)))[0] == f64::NEG_INFINITY {
            // The first site from which on nothing is left, whatever came before it.
            let dead = |r: &Right<T>| matches!(r, Right::Factor { x, .. } if norm_of(x) == 0.0);
            return Err(Error::Impossible { site: rights.iter().rposition(dead).unwrap_or(0) });
        }
        // One row at a time is a matrix product of one row: what a row becomes depends on nothing but its own stream.
        let rows: Vec<Vec<u8>> = (0..count as u64)
            .into_par_iter()
            .map(|i| {
                let mut stream = seed.stream("conditional sample", i);
                let mut v = Array2::<T>::ones((1, 1));
                let mut row = Vec::with_capacity(tensors.len());
                for (site, tensor) in tensors.iter().enumerate() {
                    let candidates: Vec<usize> = match evidence[site] {
                        Some(symbol) => vec![usize::from(symbol)],
                        None => (0..tensor.dim().1).collect(),
                    };
                    let mut all = Array2::zeros((candidates.len(), tensor.dim().2));
                    for (mut w, &symbol) in all.rows_mut().into_iter().zip(&candidates) {
                        let mut w = w.view_mut().insert_axis(ndarray::Axis(0));
                        let a = tensor.slice(s![.., symbol, ..]);
                        gemm(T::one(), &v.view(), Op::None, &a, Op::None, T::zero(), &mut w);
                    }
                    let chosen = if candidates.len() == 1 {
                        0
                    } else {
                        pick(&rights[site + 1].weights(&all), stream.random()).ok_or(Error::Impossible { site })?
                    };
                    row.push(candidates[chosen] as u8);
                    v = all.slice(s![chosen..=chosen, ..]).to_owned();
                    let norm = norm_of(&v);
                    if !(norm > 0.0 && norm.is_finite()) {
                        return Err(Error::Impossible { site });
                    }
                    v.mapv_inplace(|x| x.scale(T::Real::of(1.0 / norm)));
                }
                Ok(row)
            })
            .collect::<Result<_>>()?;
        Batch::from_rows(&rows)
    }

    fn conditional_log_prob(&self, batch: &Batch<u8>, given: &[bool]) -> Result<Vec<f64>> {
        if given.len() != self.sites() {
            return Err(Error::shape("the mask of given sites", given.len(), self.sites()));
        }
        let joint = self.log_prob(batch)?;
        if !given.contains(&true) {
            return Ok(joint);
        }
        let state = self.right_canonical()?;
        let conditional = |(sample, joint): (usize, &f64)| -> Result<f64> {
            let evidence: Vec<Option<u8>> =
                batch.row(sample).iter().zip(given).map(|(&v, &g)| g.then_some(v)).collect();
            let rights = Self::rights(state.tensors(), &evidence)?;
            let marginal = rights[0].weights(&Array2::ones((1, 1)))[0].min(0.0);
            if marginal == f64::NEG_INFINITY {
                let site = given.iter().position(|&g| g).unwrap_or(0);
                return Err(Error::Impossible { site }.at(crate::error::Place::Sample(sample)));
            }
            Ok((joint - marginal).min(0.0))
        };
        joint.par_iter().enumerate().map(conditional).collect()
    }
}

/// The index that `u` in `[0, 1)` picks from weights given by their logarithms; never one of weight zero.
fn pick(ln: &[f64], u: f64) -> Option<usize> {
    let largest = ln.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return None;
    }
    let weights: Vec<f64> = ln.iter().map(|l| (l - largest).exp()).collect();
    let mut left = u * weights.iter().sum::<f64>();
    let mut last = None;
    for (i, &w) in weights.iter().enumerate() {
        if w > 0.0 {
            last = Some(i);
            if left < w {
                break;
            }
            left -= w;
        }
    }
    last
}
