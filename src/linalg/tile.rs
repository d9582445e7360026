//! Tiles of a matrix product that are held in registers.
//!
//! Complex numbers are taken as pairs of real ones: `a b` is made of `re(a) b` and `im(a) b`, two rows of real products that
//! are put together when a tile is stored, so that nothing is taken apart before.

use crate::scalar::{Real, Scalar};

/// The real number behind a pointer `at` elements on.
///
/// # Safety
/// As for reading the pointer.
#[inline(always)]
unsafe fn read<R: Copy>(pointer: *const R, at: usize) -> R {
    // SAFETY: promised by the caller.
    unsafe { *pointer.add(at) }
}

/// What a tile reads: for each of `k` values of the summed index how far it lies from the first, in elements.
pub(super) struct Inner<'a> {
    pub left: &'a [usize],
    pub right: &'a [usize],
}

/// Rows that are summed up in registers, and stored. `W` counts real numbers.
///
/// # Safety
/// `left` points to the first element of each row, `right` to the first column; with all offsets of `inner` they, and the
/// `W` real numbers behind each of `right`, are live memory. `out` points to `M` rows `below` elements apart, of which the
/// first `cols` elements may be written.
#[inline(always)]
pub(super) unsafe fn tile<T: Scalar, const M: usize, const W: usize, const FUSED: bool>(
    inner: &Inner<'_>,
    left: [*const T; M],
    right: *const T,
    conj: (bool, bool),
    out: *mut T,
    below: usize,
    cols: usize,
) {
    let parts = if T::IS_COMPLEX { 2 } else { 1 };
    let zero = <T::Real as num_traits::Zero>::zero();
    let left = left.map(<*const T>::cast::<T::Real>);
    let right = right.cast::<T::Real>();
    let out = out.cast::<T::Real>();
    let mut re = [[zero; W]; M];
    let mut im = [[zero; W]; M];
    for (&a_at, &b_at) in inner.left.iter().zip(inner.right) {
        let mut b = [zero; W];
        for (j, b) in b.iter_mut().enumerate() {
            // SAFETY: promised by the caller.
            *b = unsafe { read(right, parts * b_at + j) };
        }
        for i in 0..M {
            // SAFETY: promised by the caller.
            let a = unsafe { read(left[i], parts * a_at) };
            for j in 0..W {
                re[i][j] = sum::<T::Real, FUSED>(a, b[j], re[i][j]);
            }
        }
        if T::IS_COMPLEX {
            for i in 0..M {
                // SAFETY: promised by the caller.
                let a = unsafe { read(left[i], 2 * a_at + 1) };
                for j in 0..W {
                    im[i][j] = sum::<T::Real, FUSED>(a, b[j], im[i][j]);
                }
            }
        }
    }
    let count = parts * cols;
    for i in 0..M {
        let mut row = re[i];
        if T::IS_COMPLEX {
            // (x + iy)(u + iv) = (xu - yv) + i (xv + yu), with signs where a conjugate is meant.
            let one = <T::Real as num_traits::One>::one();
            let y = if conj.0 { -one } else { one };
            let v = if conj.1 { -one } else { one };
            for j in 0..W / 2 {
                row[2 * j] = re[i][2 * j] - y * v * im[i][2 * j + 1];
                row[2 * j + 1] = v * re[i][2 * j + 1] + y * im[i][2 * j];
            }
        }
        // SAFETY: promised by the caller.
        unsafe {
            let to = out.add(parts * i * below);
            if count == W {
                for (j, &x) in row.iter().enumerate() {
                    *to.add(j) = x;
                }
            } else {
                for (j, &x) in row.iter().enumerate().take(count) {
                    *to.add(j) = x;
                }
            }
        }
    }
}

#[inline(always)]
fn sum<R: Real, const FUSED: bool>(a: R, b: R, c: R) -> R {
    if FUSED { a.mul_add(b, c) } else { c + a * b }
}
