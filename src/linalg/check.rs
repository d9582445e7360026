//! Guards: what may not reach the backend.

use ndarray::ArrayView2;

use super::{Op, backend, matmul, svd};
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};

/// The backend that was compiled in, with its version where it tells.
#[must_use]
pub fn backend_name() -> String {
    backend::name()
}

/// Refuses an empty or non-finite matrix.
pub(super) fn guard<T: Scalar>(what: &str, a: &ArrayView2<T>) -> Result<()> {
    if a.is_empty() {
        return Err(Error::Empty { what: format!("{what}: the {} x {} matrix", a.nrows(), a.ncols()) });
    }
    if all_finite(a) {
        Ok(())
    } else {
        Err(Error::NotFinite { what: format!("{what}: the {} x {} matrix", a.nrows(), a.ncols()) })
    }
}

fn all_finite<T: Scalar>(a: &ArrayView2<T>) -> bool {
    match a.as_slice_memory_order() {
        // 0 * x is NaN exactly where x is not finite; a sum vectorises where a test of each element does not.
        Some(slice) => slice.chunks(1024).all(|c| c.iter().fold(T::zero(), |s, &x| s + x * T::zero()).is_finite()),
        None => a.iter().all(|x| x.is_finite()),
    }
}

/// Multiplies and factorises a small known matrix, and compares.
///
/// Old builds of OpenBLAS compute wrong results on processors they do not know; a program that is about to work for
/// hours does well to find out first. Takes about a millisecond.
///
/// # Errors
/// [`Error::Factorisation`] if the backend's answer is wrong.
pub fn self_check() -> Result<()> {
    const N: usize = 96;
    // A fixed full-rank matrix without structure that a kernel could exploit.
    let a = ndarray::Array2::from_shape_fn((N, N), |(i, j)| {
        let x = ((i * 131 + j * 71 + i * j * 17) % 1009) as f64 / 1009.0;
        x - 0.5
    });
    let wrong = |routine| Error::Factorisation { routine, rows: N, cols: N, code: -1 };
    let product = matmul(&a.view(), Op::None, &a.view(), Op::Transpose);
    for (i, j) in [(0, 0), (5, 90), (95, 95), (33, 64)] {
        let plain: f64 = (0..N).map(|k| a[[i, k]] * a[[j, k]]).sum();
        if !((product[[i, j]] - plain).abs() < 1e-10) {
            return Err(wrong("self-check of gemm"));
        }
    }
    let f = svd(&a.view())?;
    let mut us = f.u.clone();
    us.columns_mut().into_iter().zip(&f.s).for_each(|(mut c, &s)| c *= s);
    let back = matmul(&us.view(), Op::None, &f.vt.view(), Op::None);
    let worst = (&back - &a).iter().fold(0.0_f64, |m, x| if x.is_nan() { f64::INFINITY } else { m.max(x.abs()) });
    if worst < 1e-10 { Ok(()) } else { Err(wrong("self-check of svd")) }
}

/// `max |x|`, zero for an empty matrix.
pub(super) fn largest<T: Scalar>(a: &ArrayView2<T>) -> f64 {
    a.iter().fold(0.0, |m: f64, x| m.max(x.abs().to_f64()))
}
