//! Parting a merged tensor into an isometry and a centre of bounded rank.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

use super::environments::squares;
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, cholesky, gemm_parallel, gram, qr, solve_right_adjoint, truncated_svd};
use crate::scalar::{Kind, Real, Scalar};

/// `M [m, n] = Q [m, kept] Z [kept, n]` up to what was discarded; the columns of `Q` are orthonormal.
pub(super) struct Split<T> {
    pub q: Array2<T>,
    /// Not renormalised.
    pub z: Array2<T>,
    /// Share of `|M|^2` that `Q Z` lacks.
    pub discarded_weight: f64,
}

/// By the truncated singular value decomposition: the best split there is.
pub(super) fn exact<T: Scalar>(m: &ArrayView2<T>, truncation: &Truncation) -> Result<Split<T>> {
    let f = truncated_svd(m, truncation)?;
    let mut z = f.vt;
    z.rows_mut().into_iter().zip(&f.s).for_each(|(mut row, &s)| row.mapv_inplace(|x| x.scale(s)));
    Ok(Split { q: f.u, z, discarded_weight: f.discarded_weight })
}

/// By one block subspace iteration from the row space of `guess [rank, n]`; `weight` is `|M|^2`.
///
/// After one gradient step `M` is close to a matrix with the row space of `guess`: `Y = M guess^H` spans nearly its
/// leading left singular vectors, `Q = orth(Y)`, and `Z = Q^H M` is the best right factor for that `Q`. It costs two
/// products and an orthonormalisation instead of a singular value decomposition (Halko, Martinsson, Tropp, SIAM Rev. 53,
/// 217, 2011). What `Q Z` lacks is measured, not estimated. Directions below the cutoff are dropped. Where the rank could
/// grow and something above the cutoff would be lost, the answer is `None`: the rank has to be found anew.
pub(super) fn warm<T: Scalar>(
    m: &ArrayView2<T>,
    guess: &ArrayView2<T>,
    weight: f64,
    truncation: &Truncation,
) -> Result<Option<Split<T>>> {
    let rank = guess.nrows();
    let mut y = Array2::zeros((m.nrows(), rank));
    gemm_parallel(T::one(), m, Op::None, guess, Op::Adjoint, T::zero(), &mut y.view_mut());
    let Some(q) = orthonormal(&y)? else { return Ok(None) };
    let mut z = Array2::zeros((q.ncols(), m.ncols()));
    gemm_parallel(T::one(), &q.view(), Op::Adjoint, m, Op::None, T::zero(), &mut z.view_mut());
    let weights: Vec<f64> = z.rows().into_iter().map(|row| square(&row)).collect();
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let floor = truncation.relative_cutoff().powi(2) * largest;
    let keep: Vec<usize> = (0..z.nrows()).filter(|&i| weights[i] > floor).collect();
    let kept: f64 = keep.iter().map(|&i| weights[i]).sum();
    if !(weight > 0.0 && weight.is_finite() && kept.is_finite()) {
        return Err(Error::NotFinite { what: "the merged tensor".into() });
    }
    let (q, z) = if keep.len() < z.nrows() { (q.select(Axis(1), &keep), z.select(Axis(0), &keep)) } else { (q, z) };
    let full = truncation.bond_limit().is_some_and(|limit| rank >= limit);
    let single = <T::Real as Scalar>::KIND == Kind::F32;
    let lost = if full || !single {
        weight - kept
    } else {
        // A difference of weights in single precision would hide whatever is smaller than a thousandth of the norm.
        let mut rest = m.to_owned();
        gemm_parallel(-T::one(), &q.view(), Op::None, &z.view(), Op::None, T::one(), &mut rest.view_mut());
        sum_of_squares(&rest.view())
    };
    let discarded_weight = (lost / weight).clamp(0.0, 1.0);
    let negligible = (truncation.relative_cutoff().powi(2) * rank as f64).max(8.0 * f64::EPSILON);
    if !full && discarded_weight > negligible {
        return Ok(None);
    }
    Ok(Some(Split { q, z, discarded_weight }))
}

fn square<T: Scalar>(row: &ArrayView1<T>) -> f64 {
    Real::to_f64(row.as_slice().map_or_else(|| row.iter().map(|x| x.abs_sq()).sum(), squares))
}

pub(super) fn sum_of_squares<T: Scalar>(m: &ArrayView2<T>) -> f64 {
    // One sum for each row, so that single precision keeps its digits.
    m.rows().into_iter().map(|row| square(&row)).sum()
}

/// Rows of a triangular solve that one task does.
const PANEL: usize = 64;
const PARALLEL_FROM: usize = 1 << 17;

/// An orthonormal basis of the columns of `y`, those of largest norm first; vanishing ones are left out.
///
/// Cholesky factors of Gram matrices orthonormalise at the speed of matrix products. Columns are scaled to norm one and
/// taken in descending order, which is what keeps the first Gram matrix definite; it is made in double precision, so that
/// single precision gets by without reflections too (Yamazaki, Tomov, Dongarra, SIAM J. Sci. Comput. 37, C307, 2015). A
/// second round removes what rounding left. Where that fails, Householder reflections. `None` if nothing is left.
fn orthonormal<T: Scalar>(y: &Array2<T>) -> Result<Option<Array2<T>>> {
    let products = gram(&y.view());
    let norms: Vec<f64> = products.diag().iter().map(|x| x.re()).collect();
    let most = norms.iter().fold(0.0_f64, |m, &x| m.max(x));
    if norms.iter().any(|x| !x.is_finite()) {
        return Err(Error::NotFinite { what: "the merged tensor".into() });
    }
    let unit = Real::to_f64(<T::Real as num_traits::Float>::epsilon());
    let mut order: Vec<usize> = (0..y.ncols()).filter(|&j| norms[j] > unit * unit * most).collect();
    order.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
    if order.is_empty() {
        return Ok(None);
    }
    let n = order.len();
    let sizes: Vec<f64> = order.iter().map(|&j| norms[j].sqrt()).collect();
    let mut scaled = Array2::zeros((n, n));
    for (i, mut row) in scaled.rows_mut().into_iter().enumerate() {
        for (j, x) in row.iter_mut().enumerate().take(i + 1) {
            let (a, b) = (order[i], order[j]);
            let product = if a >= b { products[[a, b]] } else { products[[b, a]].conj() };
            *x = product.scale(1.0 / (sizes[i] * sizes[j]));
        }
    }
    if let Some((mut l, pivot)) = factor(&scaled) {
        l.rows_mut().into_iter().zip(&sizes).for_each(|(mut row, &f)| row.mapv_inplace(|x| x.scale(f)));
        let mut q = Array2::zeros((y.nrows(), n));
        solve(&l, &mut q, Some((y, &order)))?;
        // Columns far from dependent come out orthonormal to rounding.
        if pivot >= 0.1 {
            return Ok(Some(q));
        }
        // Twice is enough (Giraud, Langou, Rozloznik, 2005); a third round is for a first matrix that was nearly singular.
        for _ in 0..2 {
            let products = gram(&q.view());
            let off = distance_from_identity(&products);
            if off <= 32.0 * unit {
                return Ok(Some(q));
            }
            let Some((l, _)) = factor(&products) else { break };
            solve(&l, &mut q, None)?;
            // What rounding leaves of a small distance is smaller still: no need to look again.
            if off < 0.1 {
                return Ok(Some(q));
            }
        }
    }
    if y.nrows() < n {
        return Ok(None);
    }
    let mut scaled = y.select(Axis(1), &order);
    scaled.columns_mut().into_iter().zip(&sizes).for_each(|(mut column, &size)| {
        column.mapv_inplace(|x| x.scale(T::Real::of(1.0 / size)));
    });
    Ok(Some(qr(&scaled.view())?.0))
}

/// The Cholesky factor with its smallest pivot, unless the matrix is singular to rounding.
fn factor<W: Scalar<Real = f64>>(gram: &Array2<W>) -> Option<(Array2<W>, f64)> {
    let l = cholesky(&gram.view()).ok()?;
    let pivot = l.diag().iter().fold(f64::INFINITY, |m, x| m.min(x.abs()));
    (pivot * pivot >= 1e3 * f64::EPSILON).then_some((l, pivot))
}

/// `Q <- Y L^-H`, with the columns of another matrix, in the order stated, for `Y` if there is one, else `Q` itself.
fn solve<T: Scalar>(l: &Array2<T::Wide>, q: &mut Array2<T>, from: Option<(&Array2<T>, &[usize])>) -> Result<()> {
    let l = l.mapv(T::narrow);
    let (rows, n) = q.dim();
    let work = |(start, mut panel): (usize, ArrayViewMut2<T>)| {
        if let Some((y, order)) = from {
            for (mut to, from) in panel.rows_mut().into_iter().zip(y.rows().into_iter().skip(start)) {
                to.iter_mut().zip(order).for_each(|(to, &j)| *to = from[j]);
            }
        }
        solve_right_adjoint(&l.view(), &mut panel)
    };
    let panels = q.axis_chunks_iter_mut(Axis(0), PANEL).enumerate().map(|(i, panel)| (i * PANEL, panel));
    if rows * n * n < PARALLEL_FROM {
        panels.into_iter().try_for_each(work)
    } else {
        panels.collect::<Vec<_>>().into_par_iter().with_max_len(1).map(work).collect()
    }
}

fn distance_from_identity<W: Scalar<Real = f64>>(gram: &Array2<W>) -> f64 {
    let mut largest = 0.0_f64;
    for (i, row) in gram.rows().into_iter().enumerate() {
        for (j, &x) in row.iter().enumerate().take(i + 1) {
            let x = if i == j { x - W::one() } else { x };
            largest = largest.max(x.abs_sq());
        }
    }
    largest.sqrt()
}
