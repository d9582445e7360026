//! Cutting a local tensor in two.

use ndarray::{Array2, Array3, ArrayView2};

use crate::chain::environments::{Environment, Links, spread};
use crate::chain::mps::{flat, norm_of};
use crate::error::Result;
use crate::linalg::{Op, TruncatedSvd, Truncation, lq, matmul, truncated_svd};
use crate::scalar::{Real, Scalar};

/// A matrix as isometry times carry.
pub(super) struct Split<T> {
    /// `[rows, kept]`, orthonormal columns.
    pub isometry: Array2<T>,
    /// `[kept, cols]`
    pub carry: Array2<T>,
    /// Share of the weight that was dropped.
    pub discarded_weight: f64,
}

/// The best split of `a`, cut as `truncation` says.
pub(super) fn plain<T: Scalar>(a: &ArrayView2<T>, truncation: &Truncation) -> Result<Split<T>> {
    let TruncatedSvd { u, s, mut vt, discarded_weight } = truncated_svd(a, truncation)?;
    vt.rows_mut().into_iter().zip(&s).for_each(|(mut row, &s)| row.mapv_inplace(|x| x.scale(s)));
    Ok(Split { isometry: u, carry: vt, discarded_weight })
}

/// A split whose kept space is chosen with an eye on where the Hamiltonian leads.
///
/// `theta` is `[near bond, site, rest]`. The isometry holds the leading left singular vectors of
/// `[theta | noise * P]`, with `P` all that the operator makes of `theta` on the near block and its site, one set of
/// columns for each channel to the rest, scaled to the norm of `theta`. The carry is the projection of `theta` itself:
/// the noise chooses the space, it does not enter the state.
pub(super) fn expanded<T: Scalar>(
    theta: &Array3<T>,
    near: &Environment<T>,
    links: &Links<T>,
    noise: f64,
    truncation: &Truncation,
) -> Result<Split<T>> {
    let (a, i, rest) = theta.dim();
    let begun = links.passes_identity(&near.identity);
    let half = near.times_ket(links, flat(theta), i * rest, &begun);
    let rows = a * i;
    let plain = ArrayView2::from_shape((rows, rest), flat(theta)).unwrap_or_else(|_| unreachable!("{rows} x {rest}"));
    let pieces: Vec<Vec<T>> =
        (0..links.right).filter(|&w| !begun[w]).map(|w| spread(&half, links, w, a, rest)).collect();
    let sizes: Vec<f64> = pieces.iter().map(|p| norm_of(p)).collect();
    let size = norm_of(&sizes);
    let factor = if size > 0.0 { noise * norm_of(flat(theta)) / size } else { 0.0 };
    let mut wide = Array2::zeros((rows, rest * (1 + pieces.len())));
    wide.slice_mut(ndarray::s![.., ..rest]).assign(&plain);
    for (number, piece) in pieces.iter().enumerate() {
        let piece = ArrayView2::from_shape((rows, rest), piece).unwrap_or_else(|_| unreachable!("{rows} x {rest}"));
        let from = rest * (number + 1);
        let factor = T::Real::of(factor);
        wide.slice_mut(ndarray::s![.., from..from + rest]).zip_mut_with(&piece, |x, &p| *x = p.scale(factor));
    }
    // The left singular vectors are those of the triangular factor, which is small.
    let isometry = truncated_svd(&lq(&wide.view())?.0.view(), truncation)?.u;
    let carry = matmul(&isometry.view(), Op::Adjoint, &plain, Op::None);
    let (kept, all) = (carry.as_slice().map_or(0.0, norm_of), norm_of(flat(theta)));
    let discarded_weight = (1.0 - (kept / all).powi(2)).clamp(0.0, 1.0);
    Ok(Split { isometry, carry, discarded_weight })
}
