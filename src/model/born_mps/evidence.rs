//! The weight of evidence: some sites given, the others summed out.
//!
//! With the centre at site 0 everything to the right of the last given site sums to the identity. Up to there the left
//! environment is kept as a factor, `rho = Y^H Y`, of as few rows as it has rank: a given site makes `Y A[s]` of it, a
//! free site all `Y A[s]` above one another, reduced by QR. Weights are norms, `|Y|^2`, so that probabilities keep their
//! relative precision down to the square of what amplitudes resolve; with `rho` itself they would lose half the digits.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayView3, Axis, s};
use rayon::prelude::*;

use super::BornMps;
use super::classes::{Position, Samples};
use super::environments::{Environment, Side};
use super::sample::views;
use crate::error::{Error, Result};
use crate::linalg::{Op, matmul, qr};
use crate::model::Batch;
use crate::scalar::{Real, Scalar};

/// `Y` with `rho = exp(2 ln_scale) Y^H Y`, its norm one or zero.
#[derive(Clone)]
pub(super) struct Factor<T> {
    rows: Array2<T>,
    ln_scale: f64,
}

impl<T: Scalar> Factor<T> {
    /// Before the first site.
    pub fn edge() -> Self {
        Factor { rows: Array2::ones((1, 1)), ln_scale: 0.0 }
    }

    fn new(mut rows: Array2<T>, ln_scale: f64) -> Self {
        let norm = frobenius(&rows.view());
        if norm > 0.0 && norm.is_finite() {
            rows.mapv_inplace(|x| x.scale(T::Real::of(1.0 / norm)));
        }
        Factor { rows, ln_scale: ln_scale + norm.ln() }
    }

    /// With one site more, which holds `symbol`.
    pub fn given(&self, tensor: &ArrayView3<T>, symbol: u8) -> Self {
        let matrix = tensor.slice(s![.., usize::from(symbol), ..]);
        Factor::new(matmul(&self.rows.view(), Op::None, &matrix, Op::None), self.ln_scale)
    }

    /// With one site more, which is summed out.
    pub fn free(&self, tensor: &ArrayView3<T>) -> Result<Self> {
        let (l, d, r) = tensor.dim();
        let rows = self.rows.nrows();
        let stacked = matmul(&self.rows.view(), Op::None, &reshape(tensor, (l, d * r)), Op::None);
        let stacked =
            stacked.into_shape_with_order((rows * d, r)).map_err(|e| Error::shape("a stack", e, (rows * d, r)))?;
        let reduced = if rows * d > r && self.possible() { qr(&stacked.view())?.1 } else { stacked };
        Ok(Factor::new(reduced, self.ln_scale))
    }

    /// Whether any weight is left.
    pub fn possible(&self) -> bool {
        self.ln_scale > f64::NEG_INFINITY
    }

    /// `ln tr rho`: of everything to the left, whatever follows.
    pub fn ln_weight(&self) -> f64 {
        2.0 * self.ln_scale
    }

    /// `ln |Y r|^2` for the vector of what follows.
    fn ln_weight_with(&self, right: ArrayView1<T>, ln_right: f64) -> f64 {
        let product = matmul(&self.rows.view(), Op::None, &right.insert_axis(Axis(1)), Op::None);
        2.0 * (frobenius(&product.t()).ln() + self.ln_scale + ln_right)
    }
}

/// A tensor in standard layout as a matrix.
pub(super) fn reshape<'a, T>(tensor: &ArrayView3<'a, T>, shape: (usize, usize)) -> ArrayView2<'a, T> {
    tensor.into_shape_with_order(shape).unwrap_or_else(|_| unreachable!("site tensors are in standard layout"))
}

/// `|M|`, in double precision from row to row.
pub(super) fn frobenius<T: Scalar>(m: &ArrayView2<T>) -> f64 {
    let square = |row: ArrayView1<T>| Real::to_f64(row.iter().map(|x| x.abs_sq()).sum::<T::Real>());
    m.rows().into_iter().map(square).sum::<f64>().sqrt()
}

/// What is asked of many rows at once.
struct Query<'a, T> {
    tensors: Vec<ArrayView3<'a, T>>,
    given: &'a [bool],
    samples: &'a Samples,
    /// The first of the sites that are given all the way to the end, or the site after the last given one.
    end: usize,
    /// Vectors of the sites from `end` on, where they are given, and which of them each distinct row has.
    right: Option<(Environment<T>, Vec<u32>)>,
}

impl<T: Scalar> BornMps<T> {
    /// `ln p(given sites)` of each row, nats; symbols at the other sites are ignored.
    ///
    /// Costs `O(D^2)` a site and row where the given sites come first, `O(D^3)` elsewhere; rows that agree share.
    pub(super) fn ln_marginals(&self, batch: &Batch<u8>, given: &[bool]) -> Result<Vec<f64>> {
        let dims = self.dims();
        batch.check(&dims)?;
        if given.len() != dims.len() {
            return Err(Error::shape("the given sites", given.len(), dims.len()));
        }
        let mut table = batch.view().to_owned();
        for (site, _) in given.iter().enumerate().filter(|(_, given)| !**given) {
            table.column_mut(site).fill(0);
        }
        let (samples, of_row) = Samples::with_rows(&Batch::new(table)?, &dims);
        let ln_p = self.ln_marginals_of(&samples, given)?;
        let result: Vec<f64> = of_row.into_iter().map(|distinct| ln_p[distinct]).collect();
        match result.iter().position(|l| l.is_nan()) {
            Some(sample) => Err(Error::NotFinite { what: format!("the log-marginal of sample {sample}") }),
            // Rounding may leave a hair more than everything.
            None => Ok(result.into_iter().map(|l| l.min(0.0)).collect()),
        }
    }

    fn ln_marginals_of(&self, samples: &Samples, given: &[bool]) -> Result<Vec<f64>> {
        let state = self.right_canonical()?;
        let tensors = views(state.tensors());
        let sites = tensors.len();
        let lead = given.iter().take_while(|g| **g).count();
        let after_last = given.iter().rposition(|g| *g).map_or(0, |last| last + 1);
        let mut position = Position::new(samples);
        if lead == after_last {
            let mut left = Environment::edge();
            for (site, tensor) in tensors.iter().enumerate().take(lead) {
                left = left.advance(samples.prefixes(site + 1), tensor, Side::Left, Default::default());
            }
            position.seek(samples, lead, sites);
            let ln = |&class: &u32| {
                let class = class as usize;
                2.0 * (frobenius(&left.rows.slice(s![class..=class, ..])).ln() + left.ln_scale(class))
            };
            return Ok(position.prefix.iter().map(ln).collect());
        }
        let trail = sites - given.iter().rev().take_while(|g| **g).count();
        let right = (trail < sites).then(|| {
            let mut right = Environment::edge();
            for site in (trail..sites).rev() {
                right = right.advance(samples.suffixes(site), &tensors[site], Side::Right, Default::default());
            }
            position.seek(samples, 0, trail);
            (right, position.suffix.clone())
        });
        let end = if right.is_some() { trail } else { after_last };
        let rows: Vec<usize> = (0..samples.len()).collect();
        Query { tensors, given, samples, end, right }.visit(0, Factor::edge(), &rows)
    }
}

impl<T: Scalar> Query<'_, T> {
    /// Weights of `rows`, which agree on the given sites before `site` and are sorted, in their order.
    fn visit(&self, mut site: usize, mut factor: Factor<T>, rows: &[usize]) -> Result<Vec<f64>> {
        while site < self.end && factor.possible() {
            let tensor = &self.tensors[site];
            if !self.given[site] {
                factor = factor.free(tensor)?;
                site += 1;
                continue;
            }
            let symbol = |row: &usize| self.samples.symbol(*row, site);
            let groups: Vec<&[usize]> = rows.chunk_by(|a, b| symbol(a) == symbol(b)).collect();
            if groups.len() > 1 {
                let visit = |rows: &&[usize]| self.visit(site + 1, factor.given(tensor, symbol(&rows[0])), rows);
                return Ok(groups.par_iter().map(visit).collect::<Result<Vec<_>>>()?.concat());
            }
            factor = factor.given(tensor, symbol(&rows[0]));
            site += 1;
        }
        Ok(match &self.right {
            Some((right, class)) if factor.possible() => {
                let with = |&row: &usize| {
                    let class = class[row] as usize;
                    factor.ln_weight_with(right.rows.row(class), right.ln_scale(class))
                };
                rows.iter().map(with).collect()
            }
            _ => vec![factor.ln_weight(); rows.len()],
        })
    }
}
