//! Guards: what may not reach the backend.

use ndarray::{Array2, ArrayView2};
use num_complex::{Complex32, Complex64};

use super::{Op, backend, matmul, svd};
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};

/// The backend that was compiled in, with its version where it tells.
#[must_use]
pub fn backend_name() -> String {
    backend::name()
}

/// Whether OpenBLAS is older than the processor and has fallen back on kernels for one of long ago; products then take three
/// to eight times as long.
///
/// Which kernels are taken is decided when OpenBLAS is loaded, from the environment variable `OPENBLAS_CORETYPE`:
/// [`fitting_kernels`] says what to give.
#[must_use]
pub fn kernels_are_old() -> bool {
    const OLD: [&str; 9] =
        ["prescott", "core2", "penryn", "dunnington", "atom", "nehalem", "sandybridge", "barcelona", "generic"];
    let loaded = backend::kernels().map(|name| name.to_ascii_lowercase());
    loaded.is_some_and(|name| OLD.contains(&name.as_str())) && !fitting_kernels().is_empty()
}

/// Values of `OPENBLAS_CORETYPE` whose instructions this processor has, the fastest first; none if there is nothing to
/// choose.
#[must_use]
pub fn fitting_kernels() -> &'static [&'static str] {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        if has!("avx2") && has!("fma") {
            let wide = has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl") && has!("avx512cd");
            return if wide { &["SkylakeX", "Haswell"] } else { &["Haswell"] };
        }
    }
    &[]
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

/// Multiplies and factorises small known matrices of every type, and compares.
///
/// Old builds of OpenBLAS compute wrong results on processors they do not know; a program that is about to work for
/// hours does well to find out first. Takes a few milliseconds.
///
/// # Errors
/// [`Error::Factorisation`] if the backend's answer is wrong.
pub fn self_check() -> Result<()> {
    checked::<f32>(1e-4)?;
    checked::<f64>(1e-10)?;
    checked::<Complex32>(1e-4)?;
    checked::<Complex64>(1e-10)
}

fn checked<T: Scalar>(tolerance: f64) -> Result<()> {
    let far = |x: T, y: Complex64| -> f64 { Complex64::norm(x.to_c64() - y) };
    // Fixed full-rank matrices without structure that a kernel could exploit.
    let known = |rows: usize, cols: usize| {
        Array2::from_shape_fn((rows, cols), |(i, j)| {
            let x = |shift: usize| ((i * 131 + j * 71 + i * j * 17 + shift) % 1009) as f64 / 1009.0 - 0.5;
            T::from_parts(x(0), x(500))
        })
    };
    // Kernels of their own for small products, for edges, and for each of the orders.
    for (m, k, n) in [(5, 3, 7), (96, 96, 96), (33, 130, 65)] {
        let wrong = || Err(Error::Factorisation { routine: "self-check of gemm", rows: m, cols: n, code: -1 });
        let (a, b) = (known(m, k), known(k, n));
        let plain = |i: usize, j: usize| (0..k).map(|l| a[[i, l]].to_c64() * b[[l, j]].to_c64()).sum::<Complex64>();
        let (a_t, b_t) = (a.t().as_standard_layout().into_owned(), b.t().as_standard_layout().into_owned());
        let products = [
            matmul(&a.view(), Op::None, &b.view(), Op::None),
            matmul(&a_t.view(), Op::Transpose, &b.view(), Op::None),
            matmul(&a.view(), Op::None, &b_t.view(), Op::Transpose),
        ];
        for product in products {
            for (i, j) in [(0, 0), (m / 3, n - 1), (m - 1, n - 1), (m - 2, n / 2)] {
                if !(far(product[[i, j]], plain(i, j)) < tolerance) {
                    return wrong();
                }
            }
        }
    }
    const N: usize = 64;
    let a = known(N, N);
    let f = svd(&a.view())?;
    let mut us = f.u.clone();
    us.columns_mut().into_iter().zip(&f.s).for_each(|(mut c, &s)| c.iter_mut().for_each(|x| *x *= T::from_real(s)));
    let back = matmul(&us.view(), Op::None, &f.vt.view(), Op::None);
    let near = back.iter().zip(&a).all(|(&x, y)| far(x, y.to_c64()) < tolerance);
    if near { Ok(()) } else { Err(Error::Factorisation { routine: "self-check of svd", rows: N, cols: N, code: -1 }) }
}

/// `max |x|`, zero for an empty matrix.
pub(super) fn largest<T: Scalar>(a: &ArrayView2<T>) -> f64 {
    a.iter().fold(0.0, |m: f64, x| m.max(x.abs().to_f64()))
}
