//! faer: linear algebra in Rust alone.
//!
//! The functions take and give what those of the OpenBLAS backend do: dense row-major elements. faer is told to work on
//! one thread; which thread asks makes no difference to the result.

use std::sync::Once;

use faer::linalg::matmul::matmul_with_conj;
use faer::linalg::solvers::{Llt, PartialPivLu, Qr, SelfAdjointEigen, Solve, Svd};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place_with_conj;
use faer::{Accum, Conj, MatMut, MatRef, Par, Side};
use num_complex::{Complex32, Complex64};

use super::gemm::Factor;
use crate::error::{Error, Result};
use crate::scalar::{Kind, Scalar};

pub(super) fn name() -> String {
    "faer (pure Rust)".to_owned()
}

/// faer takes what the processor has.
pub(super) fn kernels() -> Option<String> {
    None
}

/// The solvers ask a global setting for the number of threads.
fn enter() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| faer::set_global_parallelism(Par::Seq));
}

/// The block with `$x` standing for the concrete type that `T` is.
macro_rules! dispatch {
    ($t:ty, $x:ident => $body:expr) => {
        match <$t>::KIND {
            Kind::F32 => {
                type $x = f32;
                $body
            }
            Kind::F64 => {
                type $x = f64;
                $body
            }
            Kind::C32 => {
                type $x = Complex32;
                $body
            }
            Kind::C64 => {
                type $x = Complex64;
                $body
            }
        }
    };
}

/// The same elements under the name their type has here. `A` and `B` are one type wherever this is called.
fn cast<A: bytemuck::Pod, B: bytemuck::Pod>(values: Vec<A>) -> Vec<B> {
    bytemuck::allocation::cast_vec(values)
}

fn row_major<T: bytemuck::Pod, X: bytemuck::Pod>(m: MatRef<'_, X>) -> Vec<T> {
    let mut values = Vec::with_capacity(m.nrows() * m.ncols());
    for i in 0..m.nrows() {
        values.extend((0..m.ncols()).map(|j| m[(i, j)]));
    }
    cast::<X, T>(values)
}

fn failed(routine: &'static str, rows: usize, cols: usize) -> Error {
    Error::Factorisation { routine, rows, cols, code: -1 }
}

/// `C <- alpha A B + beta C`.
///
/// # Safety
/// The factors and `c` with its strides describe live memory, and `c` is not shared.
pub(super) unsafe fn gemm<T: Scalar>(
    alpha: T,
    a: &Factor<T>,
    b: &Factor<T>,
    beta: T,
    c: *mut T,
    row_stride: isize,
    col_stride: isize,
) {
    let conj = |f: &Factor<T>| if f.conj { Conj::Yes } else { Conj::No };
    dispatch!(T, X => {
        // SAFETY: promised by the caller; X is T by its kind.
        let (lhs, rhs, mut dst) = unsafe {
            (
                MatRef::from_raw_parts(a.ptr.cast::<X>(), a.rows, a.cols, a.row_stride, a.col_stride),
                MatRef::from_raw_parts(b.ptr.cast::<X>(), b.rows, b.cols, b.row_stride, b.col_stride),
                MatMut::from_raw_parts_mut(c.cast::<X>(), a.rows, b.cols, row_stride, col_stride),
            )
        };
        let one_element = |x: T| bytemuck::cast::<T, X>(x);
        let accumulate = if beta == T::zero() {
            Accum::Replace
        } else {
            if beta != T::one() {
                let beta = one_element(beta);
                for j in 0..dst.ncols() {
                    for i in 0..dst.nrows() {
                        dst[(i, j)] *= beta;
                    }
                }
            }
            Accum::Add
        };
        matmul_with_conj(dst, accumulate, lhs, conj(a), rhs, conj(b), one_element(alpha), Par::Seq);
    });
}

/// `X <- X L^-H`, `X [m, n]` and `L [n, n]` row-major.
///
/// # Safety
/// Both pointers address dense matrices of these shapes, and `x` is not shared.
pub(super) unsafe fn solve_right_adjoint<T: Scalar>(l: *const T, x: *mut T, m: usize, n: usize) {
    dispatch!(T, X => {
        // X L^-H = Y means conj(L) Y^T = X^T: a lower triangular system for the transpose, which is a change of strides.
        // SAFETY: promised by the caller; X is T by its kind.
        let (l, x) = unsafe {
            (
                MatRef::from_raw_parts(l.cast::<X>(), n, n, n as isize, 1),
                MatMut::from_raw_parts_mut(x.cast::<X>(), n, m, 1, n as isize),
            )
        };
        solve_lower_triangular_in_place_with_conj(l, Conj::Yes, x, Par::Seq);
    });
}

type SvdParts<T> = (Vec<T>, Vec<<T as Scalar>::Real>, Vec<T>);

/// SVD: bidiagonalisation and divide and conquer.
pub(super) fn svd_divide<T: Scalar>(a: Vec<T>, rows: usize, cols: usize) -> Result<SvdParts<T>> {
    enter();
    dispatch!(T, X => {
        let a: Vec<X> = cast(a);
        let f = Svd::new_thin(MatRef::from_row_major_slice(&a, rows, cols)).map_err(|_| failed("svd", rows, cols))?;
        let k = rows.min(cols);
        let s: Vec<T::Real> = (0..k).map(|i| real_part::<T, X>(f.S()[i])).collect();
        let vh = f.V().adjoint().to_owned();
        Ok((row_major::<T, X>(f.U()), s, row_major::<T, X>(vh.as_ref())))
    })
}

/// The real part of an element that is known to be real.
fn real_part<T: Scalar, X: bytemuck::Pod>(x: X) -> T::Real {
    bytemuck::cast::<X, T>(x).re()
}

/// SVD once more, of the triangular factor of a QR decomposition: another matrix with the same singular values, on which
/// an iteration that failed may well converge.
pub(super) fn svd_iterate<T: Scalar>(a: Vec<T>, rows: usize, cols: usize) -> Result<SvdParts<T>> {
    if rows < cols {
        return Err(failed("svd", rows, cols));
    }
    let (q, r) = qr(a, rows, cols)?;
    let (u, s, vh) = svd_divide(r, cols, cols)?;
    let mut product = vec![T::zero(); rows * cols];
    let factor = |data: &Vec<T>, rows: usize| Factor {
        ptr: data.as_ptr(),
        rows,
        cols,
        row_stride: cols as isize,
        col_stride: 1,
        conj: false,
    };
    // SAFETY: dense matrices of our own.
    unsafe { gemm(T::one(), &factor(&q, rows), &factor(&u, cols), T::zero(), product.as_mut_ptr(), cols as isize, 1) };
    Ok((product, s, vh))
}

/// `A = Q R`, thin, all row-major.
pub(super) fn qr<T: Scalar>(a: Vec<T>, rows: usize, cols: usize) -> Result<(Vec<T>, Vec<T>)> {
    enter();
    dispatch!(T, X => {
        let a: Vec<X> = cast(a);
        let f = Qr::new(MatRef::from_row_major_slice(&a, rows, cols));
        let (q, thin) = (f.compute_thin_Q(), f.thin_R());
        let mut r = row_major::<T, X>(thin);
        // What stands below the diagonal belongs to the reflections.
        for i in 0..thin.nrows() {
            r[i * cols..i * cols + i.min(cols)].fill(T::zero());
        }
        Ok((row_major::<T, X>(q.as_ref()), r))
    })
}

/// `R` of `A = Q R`, thin, row-major.
pub(super) fn triangle<T: Scalar>(a: Vec<T>, rows: usize, cols: usize) -> Result<Vec<T>> {
    enter();
    dispatch!(T, X => {
        let a: Vec<X> = cast(a);
        let f = Qr::new(MatRef::from_row_major_slice(&a, rows, cols));
        let mut r = row_major::<T, X>(f.thin_R());
        // What stands below the diagonal belongs to the reflections.
        (1..rows.min(cols)).for_each(|i| r[i * cols..i * cols + i].fill(T::zero()));
        Ok(r)
    })
}

/// `A = L Q`, thin, all row-major.
pub(super) fn lq<T: Scalar>(a: Vec<T>, rows: usize, cols: usize) -> Result<(Vec<T>, Vec<T>)> {
    let k = rows.min(cols);
    let transposed = |m: &[T], rows: usize, cols: usize| -> Vec<T> {
        (0..cols).flat_map(|j| (0..rows).map(move |i| i * cols + j)).map(|at| m[at]).collect()
    };
    // A^T = Q' R' gives A = R'^T Q'^T.
    let (q, r) = qr(transposed(&a, rows, cols), cols, rows)?;
    Ok((transposed(&r, k, rows), transposed(&q, cols, k)))
}

/// Eigenvalues and row-major eigenvectors (as columns) of a Hermitian matrix, lower triangle.
pub(super) fn eigh<T: Scalar>(a: Vec<T>, n: usize) -> Result<(Vec<T::Real>, Vec<T>)> {
    enter();
    dispatch!(T, X => {
        let a: Vec<X> = cast(a);
        let f = SelfAdjointEigen::new(MatRef::from_row_major_slice(&a, n, n), Side::Lower)
            .map_err(|_| failed("eigh", n, n))?;
        let values = (0..n).map(|i| real_part::<T, X>(f.S()[i])).collect();
        Ok((values, row_major::<T, X>(f.U())))
    })
}

/// The row-major lower Cholesky factor.
pub(super) fn cholesky<T: Scalar>(a: Vec<T>, n: usize) -> Result<Vec<T>> {
    enter();
    dispatch!(T, X => {
        let a: Vec<X> = cast(a);
        let f = Llt::new(MatRef::from_row_major_slice(&a, n, n), Side::Lower).map_err(|_| failed("cholesky", n, n))?;
        let mut l = row_major::<T, X>(f.L());
        for i in 0..n {
            l[i * n + i + 1..(i + 1) * n].fill(T::zero());
        }
        Ok(l)
    })
}

/// The row-major solution of `A X = B`, `X` and `B` `[n, r]`.
pub(super) fn solve<T: Scalar>(a: Vec<T>, b: Vec<T>, n: usize, r: usize) -> Result<Vec<T>> {
    enter();
    dispatch!(T, X => {
        let (a, b): (Vec<X>, Vec<X>) = (cast(a), cast(b));
        let f = PartialPivLu::new(MatRef::from_row_major_slice(&a, n, n));
        let pivots = f.U();
        // An exact zero among the pivots: the matrix is singular, and the solution would be infinite.
        if (0..n).any(|i| bytemuck::cast::<X, T>(pivots[(i, i)]) == T::zero()) {
            return Err(failed("lu (singular matrix)", n, n));
        }
        let x = f.solve(MatRef::from_row_major_slice(&b, n, r));
        Ok(row_major::<T, X>(x.as_ref()))
    })
}
