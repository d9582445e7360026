//! Parting a merged tensor into an isometry and a centre of bounded rank.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use super::environments::squares;
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, cholesky, gemm_parallel, qr, solve_right_adjoint, truncated_svd};
use crate::scalar::{Real, Scalar};

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

/// By block subspace iteration from the row space of `guess [rank, n]`.
///
/// After one gradient step `M` is close to a matrix with the row space of `guess`: `Y = M guess^H` spans nearly its
/// leading left singular vectors, `Q = orth(Y)`, and `Z = Q^H M` is the best right factor for that `Q`. Each of
/// `rounds` costs two products and an orthonormalisation instead of a singular value decomposition
/// (Halko, Martinsson, Tropp, SIAM Rev. 53, 217, 2011). What `Q Z` lacks is measured, not estimated:
/// `|M|^2 - |Z|^2`. Directions below the cutoff are dropped. Where the rank could grow and something above the cutoff
/// would be lost, the answer is `None`: the rank has to be found anew.
pub(super) fn warm<T: Scalar>(
    m: &ArrayView2<T>,
    guess: &ArrayView2<T>,
    truncation: &Truncation,
    rounds: usize,
) -> Result<Option<Split<T>>> {
    let (rows, rank) = (m.nrows(), guess.nrows());
    let mut basis = None;
    let mut z = guess.to_owned();
    for round in 0..rounds {
        if round > 0 {
            // An orthonormal basis of the rows of Z keeps the iteration from losing its small directions.
            let Some(t) = orthonormal(z.t().mapv(T::conj))? else { return Ok(None) };
            z = t.t().mapv(T::conj);
        }
        let mut y = Array2::zeros((rows, z.nrows()));
        gemm_parallel(T::one(), m, Op::None, &z.view(), Op::Adjoint, T::zero(), &mut y.view_mut());
        let Some(q) = orthonormal(y)? else { return Ok(None) };
        z = Array2::zeros((q.ncols(), m.ncols()));
        gemm_parallel(T::one(), &q.view(), Op::Adjoint, m, Op::None, T::zero(), &mut z.view_mut());
        basis = Some(q);
    }
    let Some(q) = basis else { return Ok(None) };
    let weights: Vec<f64> = z.rows().into_iter().map(|row| square(&row)).collect();
    let (total, largest) = (sum_of_squares(m), weights.iter().copied().fold(0.0, f64::max));
    let floor = truncation.relative_cutoff().powi(2) * largest;
    let keep: Vec<usize> = (0..z.nrows()).filter(|&i| weights[i] > floor).collect();
    let kept: f64 = keep.iter().map(|&i| weights[i]).sum();
    if !(total > 0.0 && total.is_finite() && kept.is_finite()) {
        return Err(Error::NotFinite { what: "the merged tensor".into() });
    }
    let discarded_weight = ((total - kept) / total).clamp(0.0, 1.0);
    let full = truncation.bond_limit().is_some_and(|limit| rank >= limit);
    let rounding = 8.0 * Real::to_f64(<T::Real as num_traits::Float>::epsilon());
    let negligible = (truncation.relative_cutoff().powi(2) * rank as f64).max(rounding);
    if !full && discarded_weight > negligible {
        return Ok(None);
    }
    let (q, z) = if keep.len() < z.nrows() { (q.select(Axis(1), &keep), z.select(Axis(0), &keep)) } else { (q, z) };
    Ok(Some(Split { q, z, discarded_weight }))
}

fn square<T: Scalar>(row: &ArrayView1<T>) -> f64 {
    Real::to_f64(row.as_slice().map_or_else(|| row.iter().map(|x| x.abs_sq()).sum(), squares))
}

pub(super) fn sum_of_squares<T: Scalar>(m: &ArrayView2<T>) -> f64 {
    // One sum for each row, so that single precision keeps its digits.
    m.rows().into_iter().map(|row| square(&row)).sum()
}

/// An orthonormal basis of the columns of `y`, those of largest norm first; vanishing ones are left out.
///
/// Columns come nearly orthogonal (the gauge is close to the Schmidt basis), so after scaling them to norm one the Gram
/// matrix is well conditioned and a Cholesky factor orthonormalises at the speed of matrix products; a second round
/// removes what rounding left. Where that fails, Householder reflections. `None` if nothing is left.
fn orthonormal<T: Scalar>(y: Array2<T>) -> Result<Option<Array2<T>>> {
    let mut norms = vec![0.0; y.ncols()];
    for row in y.rows() {
        row.iter().zip(&mut norms).for_each(|(x, s)| *s += Real::to_f64(x.abs_sq()));
    }
    let most = norms.iter().fold(0.0_f64, |m, &x| m.max(x));
    if !most.is_finite() {
        return Err(Error::NotFinite { what: "the merged tensor".into() });
    }
    let unit = Real::to_f64(<T::Real as num_traits::Float>::epsilon());
    let mut order: Vec<usize> = (0..y.ncols()).filter(|&j| norms[j] > unit * unit * most).collect();
    order.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
    if order.is_empty() {
        return Ok(None);
    }
    let inverse: Vec<T::Real> = order.iter().map(|&j| T::Real::of(1.0 / norms[j].sqrt())).collect();
    let mut data = Vec::with_capacity(y.nrows() * order.len());
    for row in y.rows() {
        data.extend(order.iter().zip(&inverse).map(|(&j, &f)| row[j].scale(f)));
    }
    let shape = (y.nrows(), order.len());
    let mut y = Array2::from_shape_vec(shape, data).unwrap_or_else(|_| Array2::zeros(shape));
    // Twice is enough (Giraud, Langou, Rozloznik, 2005); a third round is for Gram matrices that were nearly singular.
    for _ in 0..3 {
        let mut gram = Array2::zeros((y.ncols(), y.ncols()));
        gemm_parallel(T::one(), &y.view(), Op::Adjoint, &y.view(), Op::None, T::zero(), &mut gram.view_mut());
        let off = distance_from_identity(&gram);
        if off <= 8.0 * unit {
            return Ok(Some(y));
        }
        let Ok(l) = cholesky(&gram.view()) else { break };
        let pivots = l.diag().iter().fold(f64::INFINITY, |m, x| m.min(Real::to_f64(x.abs())));
        if pivots * pivots < 1e3 * unit {
            break;
        }
        solve_right_adjoint(&l.view(), &mut y.view_mut())?;
        // What rounding leaves of a small distance is smaller still: no need to look again.
        if off < 0.1 {
            return Ok(Some(y));
        }
    }
    if y.nrows() < y.ncols() {
        return Ok(None);
    }
    Ok(Some(qr(&y.view())?.0))
}

fn distance_from_identity<T: Scalar>(gram: &Array2<T>) -> f64 {
    let mut largest = 0.0_f64;
    for (i, row) in gram.rows().into_iter().enumerate() {
        for (j, &x) in row.iter().enumerate() {
            let x = if i == j { x - T::one() } else { x };
            largest = largest.max(Real::to_f64(x.abs_sq()));
        }
    }
    largest.sqrt()
}
