//! Singular value decompositions.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::qr::{matrix, row_major};
use super::{Op, Truncation, backend, check, eigh, matmul, qr};
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};

/// `A [m, n] = U diag(s) V^H`, thin: `k = min(m, n)`.
#[derive(Debug, Clone)]
pub struct Svd<T: Scalar> {
    /// Left singular vectors, `[m, k]`, orthonormal columns.
    pub u: Array2<T>,
    /// Singular values, largest first.
    pub s: Vec<T::Real>,
    /// `V^H`, `[k, n]`, orthonormal rows.
    pub vt: Array2<T>,
}

/// A thin SVD cut to its leading part.
#[derive(Debug, Clone)]
pub struct TruncatedSvd<T: Scalar> {
    /// Left singular vectors, `[m, kept]`.
    pub u: Array2<T>,
    /// The kept singular values, largest first; not renormalised.
    pub s: Vec<T::Real>,
    /// `V^H`, `[kept, n]`.
    pub vt: Array2<T>,
    /// `sum of dropped s^2 / sum of all s^2`, in `[0, 1]`.
    pub discarded_weight: f64,
}

/// Thin singular value decomposition.
///
/// Divide and conquer first (`gesdd`); where that does not converge, QR iteration (`gesvd`), and then the eigenvalues of
/// the Gram matrix, each step said in the log.
///
/// # Errors
/// [`Error::Empty`] or [`Error::NotFinite`] for a matrix that is empty or not finite, [`Error::Factorisation`] if no
/// route converges.
pub fn svd<T: Scalar>(a: &ArrayView2<T>) -> Result<Svd<T>> {
    check::guard("svd", a)?;
    let (m, n) = a.dim();
    let k = m.min(n);
    let finite = |(u, s, vt): (Vec<T>, Vec<T::Real>, Vec<T>)| {
        let sound = s.iter().all(|x| Scalar::is_finite(*x));
        sound.then(|| Svd { u: matrix(m, k, u), s, vt: matrix(k, n, vt) })
    };
    match backend::svd_divide(row_major(a), m, n).map(finite) {
        Ok(Some(svd)) => return Ok(svd),
        outcome => tracing::warn!(rows = m, cols = n, error = ?outcome.err(), "gesdd failed, trying QR iteration"),
    }
    match backend::svd_iterate(row_major(a), m, n).map(finite) {
        Ok(Some(svd)) => return Ok(svd),
        outcome => tracing::warn!(rows = m, cols = n, error = ?outcome.err(), "gesvd failed, trying the Gram matrix"),
    }
    svd_gram(a).map_err(|_| Error::Factorisation { routine: "svd", rows: m, cols: n, code: 0 })
}

/// SVD by the eigenvalues of `A^H A` (or `A A^H`, whichever is smaller): half the digits for small values, but it
/// always converges.
fn svd_gram<T: Scalar>(a: &ArrayView2<T>) -> Result<Svd<T>> {
    let (m, n) = a.dim();
    if m < n {
        let Svd { u, s, vt } = svd_gram(&a.t())?;
        return Ok(Svd { u: vt.reversed_axes(), s, vt: u.reversed_axes() });
    }
    let scale = check::largest(a);
    if scale == 0.0 {
        let eye = Array2::eye(n);
        let mut u = Array2::zeros((m, n));
        u.diag_mut().fill(T::one());
        return Ok(Svd { u, s: vec![T::Real::of(0.0); n], vt: eye });
    }
    let scaled = a.mapv(|x| x.scale(T::Real::of(1.0 / scale)));
    let gram = matmul(&scaled.view(), Op::Adjoint, &scaled.view(), Op::None);
    let eig = eigh(&gram.view())?;
    let v = eig.vectors.slice(s![.., ..;-1]).to_owned();
    let av = matmul(&scaled.view(), Op::None, &v.view(), Op::None);
    // QR of A V orthonormalises columns of vanishing norm as well; |R_ii| are the singular values.
    let (mut q, r) = qr(&av.view())?;
    let mut values = Vec::with_capacity(n);
    for i in 0..n {
        let d = r[[i, i]];
        let size = d.abs();
        if size > T::Real::of(0.0) {
            let phase = d.scale(T::Real::of(1.0) / size);
            q.column_mut(i).mapv_inplace(|x| x * phase);
        }
        values.push(size * T::Real::of(scale));
    }
    // Values near rounding come out of the QR in any order.
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| Real::to_f64(values[j]).total_cmp(&Real::to_f64(values[i])));
    Ok(Svd {
        u: q.select(Axis(1), &order),
        s: order.iter().map(|&i| values[i]).collect(),
        vt: v.select(Axis(1), &order).t().mapv(T::conj),
    })
}

/// Singular values alone, largest first.
///
/// # Errors
/// As [`svd`].
pub fn singular_values<T: Scalar>(a: &ArrayView2<T>) -> Result<Vec<T::Real>> {
    Ok(svd(a)?.s)
}

/// Thin SVD, cut as `truncation` says.
///
/// # Errors
/// As [`svd`] and [`Truncation::apply`].
pub fn truncated_svd<T: Scalar>(a: &ArrayView2<T>, truncation: &Truncation) -> Result<TruncatedSvd<T>> {
    truncation.validate()?;
    let Svd { u, mut s, vt } = svd(a)?;
    let cut = truncation.apply(&s)?;
    s.truncate(cut.kept);
    let (u, vt) = if cut.kept < vt.nrows() {
        (u.slice(s![.., ..cut.kept]).to_owned(), vt.slice(s![..cut.kept, ..]).to_owned())
    } else {
        (u, vt)
    };
    Ok(TruncatedSvd { u, s, vt, discarded_weight: cut.discarded_weight })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use num_complex::{Complex32, Complex64};

    fn distance<T: Scalar>(a: &Array2<T>, b: &Array2<T>) -> f64 {
        (a - b).iter().map(|d| d.to_c64().norm()).fold(0.0, f64::max)
    }

    fn rebuilt<T: Scalar>(f: &Svd<T>) -> Array2<T> {
        let mut us = f.u.clone();
        us.columns_mut().into_iter().zip(&f.s).for_each(|(mut c, &s)| c.mapv_inplace(|x| x.scale(s)));
        matmul(&us.view(), Op::None, &f.vt.view(), Op::None)
    }

    fn is_svd<T: Scalar>(f: &Svd<T>, a: &Array2<T>, tolerance: f64) {
        assert!(distance(&rebuilt(f), a) < tolerance);
        let k = f.s.len();
        assert!(distance(&matmul(&f.u.view(), Op::Adjoint, &f.u.view(), Op::None), &Array2::eye(k)) < tolerance);
        assert!(distance(&matmul(&f.vt.view(), Op::None, &f.vt.view(), Op::Adjoint), &Array2::eye(k)) < tolerance);
        assert!(f.s.windows(2).all(|w| w[0] >= w[1]) && f.s[k - 1] >= T::Real::of(0.0));
    }

    fn holds<T: Scalar>(tolerance: f64) {
        let mut stream = Seed(2).stream("svd", 0);
        for (m, n) in [(1, 1), (6, 2), (2, 6), (30, 30), (50, 21)] {
            let a = Array2::<T>::from_shape_simple_fn((m, n), || T::normal(&mut stream));
            let f = svd(&a.view()).unwrap();
            is_svd(&f, &a, tolerance);
            is_svd(&svd(&a.t()).unwrap(), &a.t().to_owned(), tolerance);
            let g = svd_gram(&a.view()).unwrap();
            is_svd(&g, &a, tolerance);
            assert!(f.s.iter().zip(&g.s).all(|(&x, &y)| Real::to_f64(x - y).abs() < tolerance));
        }
    }

    #[test]
    fn both_routes_give_orthonormal_factors_of_the_matrix() {
        holds::<f32>(2e-4);
        holds::<f64>(1e-12);
        holds::<Complex32>(2e-4);
        holds::<Complex64>(1e-12);
    }

    #[test]
    fn rank_deficient_and_zero_matrices_have_full_factors() {
        let a = Array2::from_shape_fn((8, 5), |(i, j)| (i + 1) as f64 * (j + 1) as f64);
        for a in [a, Array2::zeros((8, 5))] {
            is_svd(&svd(&a.view()).unwrap(), &a, 1e-11);
            is_svd(&svd_gram(&a.view()).unwrap(), &a, 1e-5);
        }
    }

    #[test]
    fn truncation_loses_what_it_says() {
        let mut stream = Seed(5).stream("svd", 1);
        let a = Array2::<f64>::from_shape_simple_fn((12, 9), || f64::normal(&mut stream));
        let f = truncated_svd(&a.view(), &Truncation::none().max_bond(4)).unwrap();
        let lost = &rebuilt(&Svd { u: f.u.clone(), s: f.s.clone(), vt: f.vt.clone() }) - &a;
        let share = lost.iter().map(|x| x * x).sum::<f64>() / a.iter().map(|x| x * x).sum::<f64>();
        assert!((share - f.discarded_weight).abs() < 1e-14);
        assert_eq!((f.u.dim(), f.vt.dim()), ((12, 4), (4, 9)));
    }

    #[test]
    fn infinities_and_empty_matrices_never_reach_the_backend() {
        for n in [4, 64] {
            let mut a = Array2::<f64>::eye(n);
            a[[1, 2]] = f64::INFINITY;
            assert!(matches!(svd(&a.view()), Err(Error::NotFinite { .. })));
        }
        assert!(matches!(svd(&Array2::<Complex64>::zeros((0, 4)).view()), Err(Error::Empty { .. })));
    }
}
