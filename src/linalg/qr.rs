//! Orthogonal-triangular factorisations.

use ndarray::{Array2, ArrayView2};

use super::{backend, check};
use crate::error::Result;
use crate::scalar::Scalar;

/// Row-major elements of a matrix in any layout.
pub(super) fn row_major<T: Scalar>(a: &ArrayView2<T>) -> Vec<T> {
    a.iter().copied().collect()
}

/// A matrix from row-major elements whose number the caller has fixed.
pub(super) fn matrix<T: Scalar>(rows: usize, cols: usize, data: Vec<T>) -> Array2<T> {
    debug_assert_eq!(data.len(), rows * cols);
    Array2::from_shape_vec((rows, cols), data).unwrap_or_else(|_| Array2::zeros((rows, cols)))
}

/// Thin QR: `A [m, n] = Q [m, k] R [k, n]`, `k = min(m, n)`, `Q^H Q = 1`, `R` upper triangular.
///
/// # Errors
/// [`crate::Error::Empty`] or [`crate::Error::NotFinite`] for a matrix that is empty or not finite.
pub fn qr<T: Scalar>(a: &ArrayView2<T>) -> Result<(Array2<T>, Array2<T>)> {
    check::guard("qr", a)?;
    let (m, n) = a.dim();
    let k = m.min(n);
    let (q, r) = backend::qr(row_major(a), m, n)?;
    Ok((matrix(m, k, q), matrix(k, n, r)))
}

/// `R [k, n]` of the thin QR of `A [m, n]` alone: `R^H R = A^H A`, at less than half the price of both factors.
///
/// # Errors
/// As [`qr`].
pub fn triangle<T: Scalar>(a: &ArrayView2<T>) -> Result<Array2<T>> {
    check::guard("qr", a)?;
    let (m, n) = a.dim();
    Ok(matrix(m.min(n), n, backend::triangle(row_major(a), m, n)?))
}

/// Thin LQ: `A [m, n] = L [m, k] Q [k, n]`, `k = min(m, n)`, `Q Q^H = 1`, `L` lower triangular.
///
/// # Errors
/// [`crate::Error::Empty`] or [`crate::Error::NotFinite`] for a matrix that is empty or not finite.
pub fn lq<T: Scalar>(a: &ArrayView2<T>) -> Result<(Array2<T>, Array2<T>)> {
    check::guard("lq", a)?;
    let (m, n) = a.dim();
    let k = m.min(n);
    let (l, q) = backend::lq(row_major(a), m, n)?;
    Ok((matrix(m, k, l), matrix(k, n, q)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::{Op, matmul};
    use crate::{Error, Seed};
    use num_complex::{Complex32, Complex64};

    fn holds<T: Scalar>(tolerance: f64) {
        let mut stream = Seed(1).stream("qr", 0);
        for (m, n) in [(1, 1), (5, 3), (3, 5), (40, 17), (4, 4)] {
            let mut a = Array2::from_shape_simple_fn((m, n), || T::normal(&mut stream));
            // Rank deficient as well: the last column repeats the first.
            for repeat in [false, true] {
                if repeat {
                    let first = a.column(0).to_owned();
                    a.column_mut(n - 1).assign(&first);
                }
                let far = |x: &Array2<T>, y: &Array2<T>| (x - y).iter().map(|d| d.to_c64().norm()).fold(0.0, f64::max);
                let (q, r) = qr(&a.view()).unwrap();
                assert!(far(&matmul(&q.view(), Op::None, &r.view(), Op::None), &a) < tolerance);
                let k = m.min(n);
                assert!(far(&matmul(&q.view(), Op::Adjoint, &q.view(), Op::None), &Array2::eye(k)) < tolerance);
                assert!(r.indexed_iter().all(|((i, j), x)| i <= j || *x == T::zero()));
                assert!(far(&triangle(&a.view()).unwrap(), &r) < tolerance);
                let (l, p) = lq(&a.view()).unwrap();
                assert!(far(&matmul(&l.view(), Op::None, &p.view(), Op::None), &a) < tolerance);
                assert!(far(&matmul(&p.view(), Op::None, &p.view(), Op::Adjoint), &Array2::eye(k)) < tolerance);
                assert!(l.indexed_iter().all(|((i, j), x)| i >= j || *x == T::zero()));
            }
        }
    }

    #[test]
    fn factors_are_orthonormal_triangular_and_multiply_to_the_matrix() {
        holds::<f32>(1e-4);
        holds::<f64>(1e-12);
        holds::<Complex32>(1e-4);
        holds::<Complex64>(1e-12);
    }

    #[test]
    fn nan_and_empty_are_refused() {
        assert!(matches!(qr(&Array2::<f64>::zeros((0, 4)).view()), Err(Error::Empty { .. })));
        assert!(matches!(lq(&Array2::from_elem((2, 2), f64::NAN).view()), Err(Error::NotFinite { .. })));
    }
}
