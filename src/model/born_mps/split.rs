//! Parting a merged tensor into an isometry and a centre of bounded rank.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis};
use rand::RngExt;

use super::environments::squares;
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, cholesky, gemm_parallel, gram, qr, solve_right_adjoint, truncated_svd};
use crate::parallel::map;
use crate::random::Seed;
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
/// products and an orthonormalisation instead of a singular value decomposition. Where the bond may still grow, and there
/// is more than it may grow to, the guess is filled up with random combinations of the rows of `M`, which find what
/// stands out of the rest (Halko, Martinsson, Tropp, SIAM Rev. 53, 217, 2011). What `Q Z` lacks is measured, not
/// estimated. Directions below the cutoff are dropped. Where something above the cutoff would be lost although the bond
/// limit is not reached, the answer is `None`: the rank has to be found anew.
pub(super) fn warm<T: Scalar>(
    m: &ArrayView2<T>,
    guess: &ArrayView2<T>,
    weight: f64,
    truncation: &Truncation,
) -> Result<Option<Split<T>>> {
    let (rows, columns) = m.dim();
    let rank = guess.nrows();
    let limit = truncation.bond_limit().unwrap_or(usize::MAX);
    // A quarter more than the limit: with less the decomposition costs little more, and it finds the rank.
    let grows = rank < limit && rows.min(columns) >= limit.saturating_add(limit / 4);
    let count = if grows { limit } else { rank };
    let mut y = Array2::zeros((rows, count));
    let (mut from_guess, mut from_rest) = y.view_mut().split_at(Axis(1), rank.min(count));
    gemm_parallel(T::one(), m, Op::None, guess, Op::Adjoint, T::zero(), &mut from_guess);
    if grows {
        let rest = sketch(m, guess, limit - rank);
        gemm_parallel(T::one(), m, Op::None, &rest.view(), Op::Adjoint, T::zero(), &mut from_rest);
    }
    let Some(q) = orthonormal(&y)? else { return Ok(None) };
    let mut z = Array2::zeros((q.ncols(), columns));
    gemm_parallel(T::one(), &q.view(), Op::Adjoint, m, Op::None, T::zero(), &mut z.view_mut());
    let weights: Vec<f64> = z.rows().into_iter().map(|row| square(&row)).collect();
    let keep = above_cutoff(&weights, truncation);
    let kept: f64 = keep.iter().map(|&i| weights[i]).sum();
    if !(weight > 0.0 && weight.is_finite() && kept.is_finite()) {
        return Err(Error::NotFinite { what: "the merged tensor".into() });
    }
    if grows && keep.len() < limit {
        return Ok(None);
    }
    let (q, z) = if keep.len() < z.nrows() { (q.select(Axis(1), &keep), z.select(Axis(0), &keep)) } else { (q, z) };
    let full = rank >= limit;
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
    let negligible = (truncation.relative_cutoff().powi(2) * count as f64).max(8.0 * f64::EPSILON);
    // A bond that grows to its limit has to leave something out, or its rank may be smaller.
    if !full && grows != (discarded_weight > negligible) {
        return Ok(None);
    }
    Ok(Some(Split { q, z, discarded_weight }))
}

/// `count` random combinations (with signs as weights) of the rows of `m`, without what lies in the span of the
/// orthonormal rows of `guess`. The same for the same shapes.
fn sketch<T: Scalar>(m: &ArrayView2<T>, guess: &ArrayView2<T>, count: usize) -> Array2<T> {
    let mut stream = Seed(0).stream("sketch", m.nrows() as u64);
    let signs =
        Array2::from_shape_simple_fn((count, m.nrows()), || if stream.random::<bool>() { T::one() } else { -T::one() });
    let mut rows = Array2::zeros((count, m.ncols()));
    gemm_parallel(T::one(), &signs.view(), Op::None, m, Op::None, T::zero(), &mut rows.view_mut());
    let mut known = Array2::zeros((count, guess.nrows()));
    gemm_parallel(T::one(), &rows.view(), Op::None, guess, Op::Adjoint, T::zero(), &mut known.view_mut());
    gemm_parallel(-T::one(), &known.view(), Op::None, guess, Op::None, T::one(), &mut rows.view_mut());
    rows
}

/// The indices, in order, of the weights above the cutoff, and of the largest ones where those are too few.
fn above_cutoff(weights: &[f64], truncation: &Truncation) -> Vec<usize> {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let floor = truncation.relative_cutoff().powi(2) * largest;
    let keep: Vec<usize> = (0..weights.len()).filter(|&i| weights[i] > floor).collect();
    let least = truncation.smallest_bond().min(weights.len());
    if keep.len() >= least {
        return keep;
    }
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&i, &j| weights[j].total_cmp(&weights[i]));
    order.truncate(least);
    order.sort_unstable();
    order
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
const PARALLEL_FROM: usize = 1 << 16;

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
        map(panels.collect(), work).into_iter().collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::matmul;
    use num_complex::Complex64;

    fn random<T: Scalar>(rows: usize, columns: usize, index: u64) -> Array2<T> {
        let mut stream = Seed(5).stream("split", index);
        Array2::from_shape_simple_fn((rows, columns), || T::normal(&mut stream))
    }

    /// A matrix with a decaying spectrum, and the row space of its leading `rank` directions.
    fn example<T: Scalar>(n: usize, rank: usize, tail: f64) -> (Array2<T>, Array2<T>) {
        let (u, v) = (qr(&random::<T>(n, n, 1).view()).unwrap().0, qr(&random::<T>(n, n, 2).view()).unwrap().0);
        let size = |i: usize| 0.9_f64.powi(i as i32) * if i < rank { 1.0 } else { tail };
        let scaled = Array2::from_shape_fn((n, n), |(i, j)| u[[i, j]].scale(T::Real::of(size(j))));
        (matmul(&scaled.view(), Op::None, &v.view(), Op::Adjoint), v.t().slice(ndarray::s![..rank, ..]).mapv(T::conj))
    }

    fn grows<T: Scalar>() {
        let (m, guess) = example::<T>(64, 16, 1e-2);
        let weight = sum_of_squares(&m.view());
        let truncation = Truncation::none().max_bond(32).cutoff(1e-7);
        let split = warm(&m.view(), &guess.view(), weight, &truncation).unwrap().unwrap();
        assert_eq!(split.q.dim(), (64, 32));
        let products = matmul(&split.q.view(), Op::Adjoint, &split.q.view(), Op::None);
        assert!((&products - &Array2::<T>::eye(32)).iter().all(|x| x.to_c64().norm() < 1e-12));
        let lost = &m - &matmul(&split.q.view(), Op::None, &split.z.view(), Op::None);
        assert!((sum_of_squares(&lost.view()) / weight - split.discarded_weight).abs() < 1e-13);
        // Of what lies beyond the guess the best choice keeps 97 %; random combinations find most of that.
        let best = exact(&m.view(), &truncation).unwrap().discarded_weight;
        assert!(split.discarded_weight < 5.0 * best, "{} against {best}", split.discarded_weight);
    }

    #[test]
    fn a_bond_that_grows_to_its_limit_loses_little_more_than_the_best_split() {
        grows::<f64>();
        grows::<Complex64>();
    }

    #[test]
    fn a_rank_below_the_limit_is_left_to_the_decomposition() {
        let (m, guess) = example::<f64>(64, 20, 0.0);
        let weight = sum_of_squares(&m.view());
        let truncation = Truncation::none().max_bond(32).cutoff(1e-7);
        assert!(warm(&m.view(), &guess.slice(ndarray::s![..16, ..]), weight, &truncation).unwrap().is_none());
    }

    #[test]
    fn directions_below_the_cutoff_stay_where_the_smallest_bond_asks_for_them() {
        let weights = [1.0, 1e-20, 1e-3, 1e-18];
        let cut = Truncation::none().cutoff(1e-7);
        assert_eq!(above_cutoff(&weights, &cut), [0, 2]);
        assert_eq!(above_cutoff(&weights, &cut.min_bond(3)), [0, 2, 3]);
    }
}
