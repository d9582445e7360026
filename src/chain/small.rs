//! Products of small row-major matrices, without thread pool, allocation or call into a library.
//!
//! Up to some eight rows they take no longer than a call of BLAS (measured in `benches/overlap.rs`), and any number of
//! threads may make them at once.

use crate::linalg::{Op, gemm};
use crate::scalar::Scalar;

use super::mps::matrix;
use ndarray::ArrayViewMut2;

/// Whether the loops here are to be taken: bonds up to 8 of sites of dimension 2 (complex numbers: a little less).
fn is_small<T: Scalar>(multiplications: usize) -> bool {
    multiplications <= if T::IS_COMPLEX { 512 } else { 1024 }
}

/// `C [m, n] <- A [m, k] B [k, n]`.
pub(super) fn multiply<T: Scalar>((m, k, n): (usize, usize, usize), a: &[T], b: &[T], c: &mut [T]) {
    if !is_small::<T>(m * k * n) {
        return large(Op::None, (m, k), (k, n), a, b, c);
    }
    for (row, out) in a.chunks_exact(k).zip(c.chunks_exact_mut(n)) {
        combine(row.iter().copied(), b, out);
    }
}

/// `C [m, n] <- A^H B` for `A [k, m]`, `B [k, n]`.
pub(super) fn multiply_adjoint<T: Scalar>((m, k, n): (usize, usize, usize), a: &[T], b: &[T], c: &mut [T]) {
    if !is_small::<T>(m * k * n) {
        return large(Op::Adjoint, (k, m), (k, n), a, b, c);
    }
    for (i, out) in c.chunks_exact_mut(n).enumerate() {
        combine(a[i..].iter().step_by(m).map(|x| x.conj()), b, out);
    }
}

/// `out <- sum_k weight_k row_k` over the rows of `b`, four at a time so that `out` is read and written less often.
#[inline(always)]
fn combine<T: Scalar>(mut weights: impl Iterator<Item = T>, b: &[T], out: &mut [T]) {
    let n = out.len();
    out.fill(T::zero());
    let mut rows = b.chunks_exact(4 * n);
    for four in &mut rows {
        let mut next = || weights.next().unwrap_or_default();
        let w = [next(), next(), next(), next()];
        let (r0, rest) = four.split_at(n);
        let (r1, rest) = rest.split_at(n);
        let (r2, r3) = rest.split_at(n);
        for ((((o, &x0), &x1), &x2), &x3) in out.iter_mut().zip(r0).zip(r1).zip(r2).zip(r3) {
            *o += w[0] * x0 + w[1] * x1 + (w[2] * x2 + w[3] * x3);
        }
    }
    for (w, row) in weights.zip(rows.remainder().chunks_exact(n)) {
        out.iter_mut().zip(row).for_each(|(o, &x)| *o += w * x);
    }
}

fn large<T: Scalar>(op: Op, a_shape: (usize, usize), b_shape: (usize, usize), a: &[T], b: &[T], c: &mut [T]) {
    let rows = if op == Op::None { a_shape.0 } else { a_shape.1 };
    let (a, b) = (matrix(a_shape.0, a_shape.1, a), matrix(b_shape.0, b_shape.1, b));
    if let Ok(mut c) = ArrayViewMut2::from_shape((rows, b_shape.1), c) {
        gemm(T::one(), &a, op, &b, Op::None, T::zero(), &mut c);
    }
}
