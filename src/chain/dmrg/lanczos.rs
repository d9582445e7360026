//! The lowest eigenvector of a Hermitian map, by the Lanczos recursion.

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::linalg::eigh;
use crate::scalar::{Real, Scalar};

/// A Ritz pair.
#[derive(Debug, Clone)]
pub(super) struct Ritz<T> {
    pub value: f64,
    /// Of norm one.
    pub vector: Vec<T>,
    /// How often the map was applied.
    pub products: usize,
}

/// The lowest Ritz pair of `apply` in the Krylov space of `start`.
///
/// Stops at `max_vectors` vectors, or when the norm of the residual is below `reduce` times its first value or below
/// `floor` times the modulus of the eigenvalue. Each new vector is orthogonalised against all before it.
///
/// # Errors
/// [`Error::NotFinite`] if the start is zero, or the map gives NaN or infinity.
pub(super) fn lanczos<T: Scalar>(
    mut apply: impl FnMut(&[T], &mut [T]),
    mut start: Vec<T>,
    (reduce, floor): (f64, f64),
    max_vectors: usize,
) -> Result<Ritz<T>> {
    let bad = || Error::NotFinite { what: "a vector of the Lanczos recursion (zero, NaN or infinite)".into() };
    let size = norm(&start);
    if size == 0.0 || !size.is_finite() {
        return Err(bad());
    }
    divide(&mut start, size);
    let (mut basis, mut diagonal, mut beside): (Vec<Vec<T>>, Vec<f64>, Vec<f64>) = (vec![start], vec![], vec![]);
    loop {
        let k = basis.len();
        let mut next = vec![T::zero(); basis[0].len()];
        apply(&basis[k - 1], &mut next);
        diagonal.push(dot(&basis[k - 1], &next).re().to_f64());
        // Twice, because once leaves what the first subtraction itself has rounded.
        for _ in 0..2 {
            for v in &basis {
                let overlap = dot(v, &next);
                next.iter_mut().zip(v).for_each(|(x, &y)| *x -= overlap * y);
            }
        }
        let length = norm(&next);
        if !length.is_finite() || !diagonal[k - 1].is_finite() {
            return Err(bad());
        }
        let tridiagonal = Array2::from_shape_fn((k, k), |(i, j)| match i.abs_diff(j) {
            0 => diagonal[i],
            1 => beside[i.min(j)],
            _ => 0.0,
        });
        let pairs = eigh(&tridiagonal.view())?;
        let (value, weights) = (pairs.values[0], pairs.vectors.column(0));
        let residual = length * weights[k - 1].abs();
        let first = if k == 1 { length } else { beside[0] };
        let done = residual <= floor * value.abs() || k > 1 && residual <= reduce * first;
        if done || k >= max_vectors || k >= basis[0].len() {
            let mut vector = vec![T::zero(); basis[0].len()];
            for (v, &w) in basis.iter().zip(weights) {
                let w = T::Real::of(w);
                vector.iter_mut().zip(v).for_each(|(x, &y)| *x += y.scale(w));
            }
            let size = norm(&vector);
            divide(&mut vector, size);
            return Ok(Ritz { value, vector, products: k });
        }
        beside.push(length);
        divide(&mut next, length);
        basis.push(next);
    }
}

/// `<a|b>`, in eight sums side by side and in pieces, so that single precision does not lose digits over long vectors.
pub(super) fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    let piece = |(a, b): (&[T], &[T])| {
        let mut sums = [T::zero(); 8];
        let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
        let tail: T = a.remainder().iter().zip(b.remainder()).map(|(x, &y)| x.conj() * y).sum();
        for (x, y) in a.zip(b) {
            (0..8).for_each(|k| sums[k] += x[k].conj() * y[k]);
        }
        sums.into_iter().sum::<T>() + tail
    };
    a.chunks(512).zip(b.chunks(512)).map(piece).sum()
}

fn norm<T: Scalar>(a: &[T]) -> f64 {
    super::super::mps::norm_of(a)
}

fn divide<T: Scalar>(a: &mut [T], by: f64) {
    let factor = T::Real::of(1.0 / by);
    a.iter_mut().for_each(|x| *x = x.scale(factor));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use num_complex::{Complex32, Complex64};

    fn finds_the_lowest<T: Scalar>(tolerance: f64) {
        let mut stream = Seed(1).stream("lanczos", 0);
        for n in [1, 2, 30] {
            let b = Array2::<T>::from_shape_simple_fn((n, n), || T::normal(&mut stream));
            let h = &b + &b.t().mapv(T::conj);
            let exact = eigh(&h.view()).unwrap().values[0].to_f64();
            let start: Vec<T> = (0..n).map(|_| T::normal(&mut stream)).collect();
            let apply = |x: &[T], y: &mut [T]| {
                for (row, y) in h.rows().into_iter().zip(y) {
                    *y = row.iter().zip(x).map(|(&a, &b)| a * b).sum();
                }
            };
            let found = lanczos(apply, start.clone(), (0.0, 1e-15), 40).unwrap();
            assert!((found.value - exact).abs() < tolerance, "{} {exact}", found.value);
            let mut image = vec![T::zero(); n];
            apply(&found.vector, &mut image);
            let residual = image.iter().zip(&found.vector).map(|(&y, &x)| (y - x * T::from_f64(exact)).abs().to_f64());
            assert!(residual.fold(0.0, f64::max) < 10.0 * tolerance);
            let few = lanczos(apply, start, (0.0, 0.0), 3).unwrap();
            assert!(few.value >= exact - tolerance && few.products <= 3);
        }
    }

    #[test]
    fn the_lowest_eigenvalue_of_small_matrices_is_found() {
        finds_the_lowest::<f32>(2e-4);
        finds_the_lowest::<f64>(1e-12);
        finds_the_lowest::<Complex32>(2e-4);
        finds_the_lowest::<Complex64>(1e-12);
    }

    #[test]
    fn an_eigenvector_is_recognised_at_once_and_bad_starts_are_refused() {
        let twice = |x: &[f64], y: &mut [f64]| y.iter_mut().zip(x).for_each(|(y, x)| *y = -2.0 * x);
        let found = lanczos(twice, vec![1.0, 2.0, 3.0], (0.1, 1e-12), 9).unwrap();
        assert!(found.products == 1 && (found.value + 2.0).abs() < 1e-15);
        assert!(lanczos(twice, vec![0.0; 3], (0.1, 1e-12), 9).is_err());
        assert!(lanczos(|_: &[f64], y: &mut [f64]| y.fill(f64::NAN), vec![1.0; 3], (0.1, 1e-12), 9).is_err());
    }
}
