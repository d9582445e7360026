//! OpenBLAS: CBLAS for products, LAPACK for factorisations.
//!
//! Our matrices are row-major; a row-major `A` read by columns is `A^T`, and every routine below is asked for the
//! factorisation of `A^T` whose parts, read by rows again, are those of `A`. So nothing is transposed in memory.

use std::ffi::{CStr, c_char, c_int};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use lapack_sys as lapack;
use openblas_src as _;

use super::gemm::{Factor, is_row_major};
use crate::error::{Error, Result};
use crate::scalar::{Kind, Real, Scalar};

const ROW_MAJOR: c_int = 101;
const NO_TRANS: c_int = 111;
const TRANS: c_int = 112;
const CONJ_TRANS: c_int = 113;
/// An extension of OpenBLAS to the CBLAS standard.
const CONJ_NO_TRANS: c_int = 114;

macro_rules! gemm_signature {
    ($name:ident, $t:ty, $alpha:ty) => {
        fn $name(
            layout: c_int,
            trans_a: c_int,
            trans_b: c_int,
            m: c_int,
            n: c_int,
            k: c_int,
            alpha: $alpha,
            a: *const $t,
            lda: c_int,
            b: *const $t,
            ldb: c_int,
            beta: $alpha,
            c: *mut $t,
            ldc: c_int,
        );
    };
}
macro_rules! trsm_signature {
    ($name:ident, $t:ty, $alpha:ty) => {
        fn $name(
            layout: c_int,
            side: c_int,
            uplo: c_int,
            trans: c_int,
            diag: c_int,
            m: c_int,
            n: c_int,
            alpha: $alpha,
            a: *const $t,
            lda: c_int,
            b: *mut $t,
            ldb: c_int,
        );
    };
}

use num_complex::{Complex32, Complex64};

// Declared here rather than taken from a crate, whose enums do not know CONJ_NO_TRANS.
unsafe extern "C" {
    gemm_signature!(cblas_sgemm, f32, f32);
    gemm_signature!(cblas_dgemm, f64, f64);
    gemm_signature!(cblas_cgemm, Complex32, *const Complex32);
    gemm_signature!(cblas_zgemm, Complex64, *const Complex64);
    trsm_signature!(cblas_strsm, f32, f32);
    trsm_signature!(cblas_dtrsm, f64, f64);
    trsm_signature!(cblas_ctrsm, Complex32, *const Complex32);
    trsm_signature!(cblas_ztrsm, Complex64, *const Complex64);
    fn openblas_set_num_threads(threads: c_int);
    fn openblas_get_parallel() -> c_int;
    fn openblas_get_config() -> *const c_char;
}

/// One thread inside the library, ours outside; and a lock where the build is not safe to call from several threads.
fn enter() -> Option<MutexGuard<'static, ()>> {
    static SERIAL: OnceLock<Option<Mutex<()>>> = OnceLock::new();
    let lock = SERIAL.get_or_init(|| {
        // SAFETY: plain calls without arguments that could be wrong.
        let parallel = unsafe {
            openblas_set_num_threads(1);
            openblas_get_parallel()
        };
        (parallel == 0).then(|| {
            tracing::warn!("this OpenBLAS is the serial build, which is not thread-safe: calls are made one at a time");
            Mutex::new(())
        })
    });
    lock.as_ref().map(|mutex| mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(super) fn name() -> String {
    // SAFETY: returns a static string.
    let config = unsafe { CStr::from_ptr(openblas_get_config()) };
    config.to_string_lossy().trim().to_owned()
}

/// The processor whose kernels were loaded, as OpenBLAS names it.
pub(super) fn kernels() -> Option<String> {
    unsafe extern "C" {
        fn openblas_get_corename() -> *const c_char;
    }
    // SAFETY: returns a static string.
    let name = unsafe { CStr::from_ptr(openblas_get_corename()) };
    Some(name.to_string_lossy().into_owned())
}

/// A size as LAPACK counts. Matrices beyond 2^31 rows do not fit into any memory these calls are made with.
fn int(n: usize) -> c_int {
    c_int::try_from(n).unwrap_or(c_int::MAX)
}

fn outcome(routine: &'static str, rows: usize, cols: usize, info: c_int) -> Result<()> {
    if info == 0 { Ok(()) } else { Err(Error::Factorisation { routine, rows, cols, code: i64::from(info) }) }
}

/// Runs the block with `$f` bound to the routine of the type `T`.
macro_rules! dispatch {
    ($t:ty, $s:expr, $d:expr, $c:expr, $z:expr) => {
        match <$t>::KIND {
            Kind::F32 => $s,
            Kind::F64 => $d,
            Kind::C32 => $c,
            Kind::C64 => $z,
        }
    };
}

/// `C <- alpha A B + beta C`.
///
/// # Safety
/// The factors and `c` with its strides describe live memory, `c` is not shared, and all three have unit stride in one
/// direction.
pub(super) unsafe fn gemm<T: Scalar>(
    alpha: T,
    a: &Factor<T>,
    b: &Factor<T>,
    beta: T,
    c: *mut T,
    row_stride: isize,
    col_stride: isize,
) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    if !is_row_major(m, n, row_stride, col_stride) {
        // C is column-major: C^T = B^T A^T is row-major.
        let flip = |f: &Factor<T>| Factor {
            ptr: f.ptr,
            rows: f.cols,
            cols: f.rows,
            row_stride: f.col_stride,
            col_stride: f.row_stride,
            conj: f.conj,
        };
        // SAFETY: the same memory, transposed on all sides.
        return unsafe { gemm(alpha, &flip(b), &flip(a), beta, c, col_stride, row_stride) };
    }
    let describe = |f: &Factor<T>| {
        let row_major = is_row_major(f.rows, f.cols, f.row_stride, f.col_stride);
        let (trans, stride, least) =
            if row_major { (NO_TRANS, f.row_stride, f.cols) } else { (TRANS, f.col_stride, f.rows) };
        let lines = if row_major { f.rows } else { f.cols };
        let stride = if lines <= 1 { least.max(1) } else { stride.unsigned_abs() };
        let trans = match (trans, f.conj) {
            (NO_TRANS, true) => CONJ_NO_TRANS,
            (TRANS, true) => CONJ_TRANS,
            (plain, _) => plain,
        };
        (trans, int(stride))
    };
    let ((ta, lda), (tb, ldb)) = (describe(a), describe(b));
    let ldc = if m <= 1 { int(n) } else { int(row_stride.unsigned_abs()) };
    let (m, n, k) = (int(m), int(n), int(k));
    let _lock = enter();
    macro_rules! call {
        ($f:ident, $x:ty, $alpha:expr, $beta:expr) => {
            // SAFETY: promised by the caller; T is $x by its kind.
            unsafe {
                $f(
                    ROW_MAJOR,
                    ta,
                    tb,
                    m,
                    n,
                    k,
                    $alpha,
                    a.ptr.cast::<$x>(),
                    lda,
                    b.ptr.cast::<$x>(),
                    ldb,
                    $beta,
                    c.cast::<$x>(),
                    ldc,
                )
            }
        };
    }
    dispatch!(
        T,
        call!(cblas_sgemm, f32, Real::to_f64(alpha.re()) as f32, Real::to_f64(beta.re()) as f32),
        call!(cblas_dgemm, f64, Real::to_f64(alpha.re()), Real::to_f64(beta.re())),
        call!(cblas_cgemm, Complex32, (&raw const alpha).cast(), (&raw const beta).cast()),
        call!(cblas_zgemm, Complex64, (&raw const alpha).cast(), (&raw const beta).cast())
    );
}

/// `X <- X L^-H`, `X [m, n]` and `L [n, n]` row-major.
///
/// # Safety
/// Both pointers address dense matrices of these shapes, and `x` is not shared.
pub(super) unsafe fn solve_right_adjoint<T: Scalar>(l: *const T, x: *mut T, m: usize, n: usize) {
    const RIGHT: c_int = 142;
    const LOWER: c_int = 122;
    const NON_UNIT: c_int = 131;
    let _lock = enter();
    let one = T::one();
    macro_rules! call {
        ($f:ident, $x:ty, $one:expr) => {
            // SAFETY: promised by the caller.
            unsafe {
                $f(
                    ROW_MAJOR,
                    RIGHT,
                    LOWER,
                    CONJ_TRANS,
                    NON_UNIT,
                    int(m),
                    int(n),
                    $one,
                    l.cast::<$x>(),
                    int(n),
                    x.cast::<$x>(),
                    int(n),
                )
            }
        };
    }
    dispatch!(
        T,
        call!(cblas_strsm, f32, 1.0),
        call!(cblas_dtrsm, f64, 1.0),
        call!(cblas_ctrsm, Complex32, (&raw const one).cast()),
        call!(cblas_ztrsm, Complex64, (&raw const one).cast())
    );
}

/// The workspace a query asked for.
fn workspace<T: Scalar>(answer: T) -> Vec<T> {
    vec![T::zero(); (Real::to_f64(answer.re()) as usize).max(1)]
}

type SvdParts<T> = (Vec<T>, Vec<<T as Scalar>::Real>, Vec<T>);

/// SVD by divide and conquer (`gesdd`).
pub(super) fn svd_divide<T: Scalar>(mut a: Vec<T>, rows: usize, cols: usize) -> Result<SvdParts<T>> {
    let k = rows.min(cols);
    // A^T [cols, rows] = U' S V'^H: U' by columns is V^H by rows, V'^H by columns is U by rows.
    let (m, n, ki) = (int(cols), int(rows), int(k));
    let (mut s, mut vt, mut u) = (vec![T::Real::of(0.0); k], vec![T::zero(); cols * k], vec![T::zero(); k * rows]);
    let mut iwork = vec![0; 8 * k];
    let (job, mut info) = (b'S' as c_char, 0);
    let _lock = enter();
    macro_rules! call {
        ($f:ident, $r:ty $(, $rwork:expr)?) => {{
            let mut query = T::zero();
            for step in 0..2 {
                let mut work = if step == 0 { Vec::new() } else { workspace(query) };
                let (w, lwork) = if step == 0 { (&raw mut query, -1) } else { (work.as_mut_ptr(), int(work.len())) };
                // SAFETY: every array has the length the routine documents; T is the type of the routine.
                unsafe {
                    lapack::$f(
                        &job, &m, &n, a.as_mut_ptr().cast(), &m, s.as_mut_ptr().cast::<$r>(), vt.as_mut_ptr().cast(),
                        &m, u.as_mut_ptr().cast(), &ki, w.cast(), &lwork, $($rwork,)? iwork.as_mut_ptr(), &mut info,
                    );
                }
            }
        }};
    }
    let (small, large) = (k, rows.max(cols));
    let rwork_len = (5 * small * small + 7 * small).max(2 * large * small + 2 * small * small + small).max(1);
    dispatch!(
        T,
        call!(sgesdd_, f32),
        call!(dgesdd_, f64),
        {
            let mut rwork = vec![0f32; rwork_len];
            call!(cgesdd_, f32, rwork.as_mut_ptr())
        },
        {
            let mut rwork = vec![0f64; rwork_len];
            call!(zgesdd_, f64, rwork.as_mut_ptr())
        }
    );
    outcome("gesdd", rows, cols, info)?;
    Ok((u, s, vt))
}

/// SVD by QR iteration (`gesvd`): slower, but it converges where divide and conquer may not.
pub(super) fn svd_iterate<T: Scalar>(mut a: Vec<T>, rows: usize, cols: usize) -> Result<SvdParts<T>> {
    let k = rows.min(cols);
    let (m, n, ki) = (int(cols), int(rows), int(k));
    let (mut s, mut vt, mut u) = (vec![T::Real::of(0.0); k], vec![T::zero(); cols * k], vec![T::zero(); k * rows]);
    let (job, mut info) = (b'S' as c_char, 0);
    let _lock = enter();
    macro_rules! call {
        ($f:ident, $r:ty $(, $rwork:expr)?) => {{
            let mut query = T::zero();
            for step in 0..2 {
                let mut work = if step == 0 { Vec::new() } else { workspace(query) };
                let (w, lwork) = if step == 0 { (&raw mut query, -1) } else { (work.as_mut_ptr(), int(work.len())) };
                // SAFETY: every array has the length the routine documents; T is the type of the routine.
                unsafe {
                    lapack::$f(
                        &job, &job, &m, &n, a.as_mut_ptr().cast(), &m, s.as_mut_ptr().cast::<$r>(),
                        vt.as_mut_ptr().cast(), &m, u.as_mut_ptr().cast(), &ki, w.cast(), &lwork, $($rwork,)? &mut info,
                    );
                }
            }
        }};
    }
    dispatch!(
        T,
        call!(sgesvd_, f32),
        call!(dgesvd_, f64),
        {
            let mut rwork = vec![0f32; 5 * k];
            call!(cgesvd_, f32, rwork.as_mut_ptr())
        },
        {
            let mut rwork = vec![0f64; 5 * k];
            call!(zgesvd_, f64, rwork.as_mut_ptr())
        }
    );
    outcome("gesvd", rows, cols, info)?;
    Ok((u, s, vt))
}

macro_rules! triangular_routine {
    ($T:ty, $steps:expr, $f:ident, $q:ident, $a:expr, $m:expr, $n:expr, $k:expr, $lda:expr, $q_shape:expr) => {{
        let (m, n, k, lda) = (int($m), int($n), int($k), int($lda));
        let mut tau = vec![<$T>::zero(); $k];
        let mut info = 0;
        let mut triangle: Vec<$T> = Vec::new();
        for factor in $steps {
            let mut query = <$T>::zero();
            for step in 0..2 {
                let mut work = if step == 0 { Vec::new() } else { workspace(query) };
                let (w, lwork) = if step == 0 { (&raw mut query, -1) } else { (work.as_mut_ptr(), int(work.len())) };
                // SAFETY: every array has the length the routine documents; T is the type of the routine.
                unsafe {
                    if factor {
                        lapack::$f(
                            &m,
                            &n,
                            $a.as_mut_ptr().cast(),
                            &lda,
                            tau.as_mut_ptr().cast(),
                            w.cast(),
                            &lwork,
                            &mut info,
                        );
                    } else {
                        let (qm, qn) = (int($q_shape.0), int($q_shape.1));
                        lapack::$q(
                            &qm,
                            &qn,
                            &k,
                            $a.as_mut_ptr().cast(),
                            &lda,
                            tau.as_ptr().cast(),
                            w.cast(),
                            &lwork,
                            &mut info,
                        );
                    }
                }
                outcome(stringify!($f), $m, $n, info)?;
            }
            if factor {
                // The same place is for Q, if it is made.
                triangle = if $steps.len() > 1 { $a.clone() } else { std::mem::take(&mut $a) };
            }
        }
        triangle
    }};
}

/// The steps of a [`triangular_routine`]: the triangle, and then the orthonormal factor.
const WITH_Q: [bool; 2] = [true, false];

/// `R` of `A = Q R`, thin, row-major.
pub(super) fn triangle<T: Scalar>(mut a: Vec<T>, rows: usize, cols: usize) -> Result<Vec<T>> {
    let k = rows.min(cols);
    let _lock = enter();
    let mut r = dispatch!(
        T,
        triangular_routine!(T, [true], sgelqf_, sorglq_, a, cols, rows, k, cols, (k, rows)),
        triangular_routine!(T, [true], dgelqf_, dorglq_, a, cols, rows, k, cols, (k, rows)),
        triangular_routine!(T, [true], cgelqf_, cunglq_, a, cols, rows, k, cols, (k, rows)),
        triangular_routine!(T, [true], zgelqf_, zunglq_, a, cols, rows, k, cols, (k, rows))
    );
    r.truncate(k * cols);
    // What stands below the diagonal belongs to the reflections.
    (1..k).for_each(|i| r[i * cols..i * cols + i].fill(T::zero()));
    Ok(r)
}

/// `A = Q R`, thin, all row-major.
pub(super) fn qr<T: Scalar>(mut a: Vec<T>, rows: usize, cols: usize) -> Result<(Vec<T>, Vec<T>)> {
    let k = rows.min(cols);
    let _lock = enter();
    // A^T [cols, rows] = L Q': L by columns is R by rows, Q' by columns is Q by rows.
    let factored = dispatch!(
        T,
        triangular_routine!(T, WITH_Q, sgelqf_, sorglq_, a, cols, rows, k, cols, (k, rows)),
        triangular_routine!(T, WITH_Q, dgelqf_, dorglq_, a, cols, rows, k, cols, (k, rows)),
        triangular_routine!(T, WITH_Q, cgelqf_, cunglq_, a, cols, rows, k, cols, (k, rows)),
        triangular_routine!(T, WITH_Q, zgelqf_, zunglq_, a, cols, rows, k, cols, (k, rows))
    );
    let mut r = vec![T::zero(); k * cols];
    for i in 0..k {
        r[i * cols + i..(i + 1) * cols].copy_from_slice(&factored[i * cols + i..(i + 1) * cols]);
    }
    if k < cols {
        // Q' [k, rows] by columns stands with a leading dimension of `cols`.
        a = (0..rows).flat_map(|i| i * cols..i * cols + k).map(|i| a[i]).collect();
    }
    Ok((a, r))
}

/// `A = L Q`, thin, all row-major.
pub(super) fn lq<T: Scalar>(mut a: Vec<T>, rows: usize, cols: usize) -> Result<(Vec<T>, Vec<T>)> {
    let k = rows.min(cols);
    let _lock = enter();
    // A^T [cols, rows] = Q' R': Q' by columns is Q by rows, R' by columns is L by rows.
    let factored = dispatch!(
        T,
        triangular_routine!(T, WITH_Q, sgeqrf_, sorgqr_, a, cols, rows, k, cols, (cols, k)),
        triangular_routine!(T, WITH_Q, dgeqrf_, dorgqr_, a, cols, rows, k, cols, (cols, k)),
        triangular_routine!(T, WITH_Q, cgeqrf_, cungqr_, a, cols, rows, k, cols, (cols, k)),
        triangular_routine!(T, WITH_Q, zgeqrf_, zungqr_, a, cols, rows, k, cols, (cols, k))
    );
    let mut l = vec![T::zero(); rows * k];
    for i in 0..rows {
        let width = (i + 1).min(k);
        l[i * k..i * k + width].copy_from_slice(&factored[i * cols..i * cols + width]);
    }
    a.truncate(k * cols);
    Ok((l, a))
}

/// Eigenvalues and row-major eigenvectors (as columns) of a Hermitian matrix, lower triangle.
pub(super) fn eigh<T: Scalar>(mut a: Vec<T>, n: usize) -> Result<(Vec<T::Real>, Vec<T>)> {
    let (job, uplo, size) = (b'V' as c_char, b'U' as c_char, int(n));
    let (mut values, mut info) = (vec![T::Real::of(0.0); n], 0);
    let _lock = enter();
    // The lower triangle by rows is the upper one by columns, of A^T = conj(A).
    // Complex routines have a workspace of real numbers too.
    macro_rules! call {
        ($f:ident, $r:ty $(, $real:ident, $real_len:ident)?) => {{
            let (mut query, mut iquery) = (T::zero(), 0);
            $(let mut $real = <$r>::default();)?
            for step in 0..2 {
                let mut work = if step == 0 { Vec::new() } else { workspace(query) };
                let mut iwork: Vec<c_int> = if step == 0 { Vec::new() } else { vec![0; iquery.max(1) as usize] };
                let (w, lwork) = if step == 0 { (&raw mut query, -1) } else { (work.as_mut_ptr(), int(work.len())) };
                let (iw, liwork) =
                    if step == 0 { (&raw mut iquery, -1) } else { (iwork.as_mut_ptr(), int(iwork.len())) };
                $(
                    let mut rwork: Vec<$r> = if step == 0 { Vec::new() } else { workspace($real) };
                    let $real_len = if step == 0 { -1 } else { int(rwork.len()) };
                    let $real = if step == 0 { &raw mut $real } else { rwork.as_mut_ptr() };
                )?
                // SAFETY: every array has the length the routine asked for; T is the type of the routine.
                unsafe {
                    lapack::$f(
                        &job,
                        &uplo,
                        &size,
                        a.as_mut_ptr().cast(),
                        &size,
                        values.as_mut_ptr().cast::<$r>(),
                        w.cast(),
                        &lwork,
                        $($real, &$real_len,)?
                        iw,
                        &liwork,
                        &mut info,
                    );
                }
            }
        }};
    }
    dispatch!(
        T,
        call!(ssyevd_, f32),
        call!(dsyevd_, f64),
        call!(cheevd_, f32, real, real_len),
        call!(zheevd_, f64, real, real_len)
    );
    outcome("heevd", n, n, info)?;
    // Row i holds eigenvector i of conj(A).
    let vectors = (0..n).flat_map(|row| (0..n).map(move |col| col * n + row)).map(|i| a[i].conj()).collect();
    Ok((values, vectors))
}

/// The row-major lower Cholesky factor.
pub(super) fn cholesky<T: Scalar>(mut a: Vec<T>, n: usize) -> Result<Vec<T>> {
    let (uplo, size, mut info) = (b'U' as c_char, int(n), 0);
    let _lock = enter();
    let p = a.as_mut_ptr();
    // SAFETY: a is a dense n x n matrix; T is the type of the routine.
    unsafe {
        dispatch!(
            T,
            lapack::spotrf_(&uplo, &size, p.cast(), &size, &mut info),
            lapack::dpotrf_(&uplo, &size, p.cast(), &size, &mut info),
            lapack::cpotrf_(&uplo, &size, p.cast(), &size, &mut info),
            lapack::zpotrf_(&uplo, &size, p.cast(), &size, &mut info)
        );
    }
    outcome("potrf", n, n, info)?;
    for i in 0..n {
        a[i * n + i + 1..(i + 1) * n].fill(T::zero());
    }
    Ok(a)
}

/// The row-major solution of `A X = B`, `X` and `B` `[n, r]`.
pub(super) fn solve<T: Scalar>(mut a: Vec<T>, b: Vec<T>, n: usize, r: usize) -> Result<Vec<T>> {
    let (trans, size, count, mut info) = (b'T' as c_char, int(n), int(r), 0);
    let mut pivots = vec![0; n];
    let mut x: Vec<T> = (0..r).flat_map(|col| (0..n).map(move |row| row * r + col)).map(|i| b[i]).collect();
    let _lock = enter();
    let (pa, px) = (a.as_mut_ptr(), x.as_mut_ptr());
    macro_rules! call {
        ($factor:ident, $solve:ident) => {
            // SAFETY: dense matrices of the stated sizes; T is the type of the routine.
            unsafe {
                lapack::$factor(&size, &size, pa.cast(), &size, pivots.as_mut_ptr(), &mut info);
                if info == 0 {
                    lapack::$solve(
                        &trans,
                        &size,
                        &count,
                        pa.cast(),
                        &size,
                        pivots.as_ptr(),
                        px.cast(),
                        &size,
                        &mut info,
                    );
                }
            }
        };
    }
    dispatch!(T, call!(sgetrf_, sgetrs_), call!(dgetrf_, dgetrs_), call!(cgetrf_, cgetrs_), call!(zgetrf_, zgetrs_));
    outcome("getrf (singular matrix)", n, n, info)?;
    Ok((0..n).flat_map(|row| (0..r).map(move |col| col * n + row)).map(|i| x[i]).collect())
}
