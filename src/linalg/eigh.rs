//! Eigenvalues of Hermitian matrices.

use ndarray::{Array2, ArrayView2};

use super::qr::{matrix, row_major};
use super::{backend, check};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// `A = V diag(values) V^H`.
#[derive(Debug, Clone)]
pub struct Eigh<T: Scalar> {
    /// Eigenvalues, smallest first.
    pub values: Vec<T::Real>,
    /// Eigenvectors as columns, `[n, n]`.
    pub vectors: Array2<T>,
}

/// Eigenvalues and eigenvectors of a Hermitian matrix, by divide and conquer; only the lower triangle is read.
///
/// # Errors
/// [`Error::Shape`] if the matrix is not square, [`Error::Empty`] or [`Error::NotFinite`] if it is empty or not finite,
/// [`Error::Factorisation`] if the iteration does not converge.
pub fn eigh<T: Scalar>(a: &ArrayView2<T>) -> Result<Eigh<T>> {
    let n = square("eigh", a)?;
    let (values, vectors) = backend::eigh(row_major(a), n)?;
    Ok(Eigh { values, vectors: matrix(n, n, vectors) })
}

/// The size of a square, finite matrix with at least one row.
pub(super) fn square<T: Scalar>(what: &str, a: &ArrayView2<T>) -> Result<usize> {
    check::guard(what, a)?;
    if a.nrows() != a.ncols() {
        return Err(Error::shape(format!("{what}: the matrix"), a.dim(), "a square"));
    }
    Ok(a.nrows())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::linalg::{Op, matmul};
    use crate::scalar::Real;
    use num_complex::{Complex32, Complex64};

    fn holds<T: Scalar>(tolerance: f64) {
        let mut stream = Seed(4).stream("eigh", 0);
        for n in [1, 2, 7, 40] {
            let b = Array2::<T>::from_shape_simple_fn((n, n), || T::normal(&mut stream));
            let a = &b + &b.t().mapv(T::conj);
            let mut lower = a.clone();
            lower.indexed_iter_mut().filter(|((i, j), _)| i < j).for_each(|(_, x)| *x = T::from_f64(99.0));
            let Eigh { values, vectors } = eigh(&lower.view()).unwrap();
            assert!(values.windows(2).all(|w| w[0] <= w[1]));
            let av = matmul(&a.view(), Op::None, &vectors.view(), Op::None);
            let mut vl = vectors.clone();
            vl.columns_mut().into_iter().zip(&values).for_each(|(mut c, &l)| c.mapv_inplace(|x| x.scale(l)));
            assert!((&av - &vl).iter().all(|x| Real::to_f64(x.abs()) < tolerance));
            let gram = matmul(&vectors.view(), Op::Adjoint, &vectors.view(), Op::None);
            assert!((&gram - &Array2::eye(n)).iter().all(|x| Real::to_f64(x.abs()) < tolerance));
        }
    }

    #[test]
    fn eigenvectors_are_orthonormal_and_only_the_lower_triangle_is_read() {
        holds::<f32>(3e-4);
        holds::<f64>(1e-11);
        holds::<Complex32>(3e-4);
        holds::<Complex64>(1e-11);
    }

    #[test]
    fn pauli_y_has_eigenvalues_of_both_signs() {
        let i = Complex64::new(0.0, 1.0);
        let y = ndarray::array![[0.0 * i, -i], [i, 0.0 * i]];
        let values = eigh(&y.view()).unwrap().values;
        assert!((values[0] + 1.0).abs() < 1e-15 && (values[1] - 1.0).abs() < 1e-15);
    }
}
