//! Functions of matrices and linear systems.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use super::eigh::square;
use super::qr::{matrix, row_major};
use super::{Op, backend, check, gemm, matmul, svd};
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};

/// Polar decomposition `A = W P`: `W [m, n]` an isometry (`W^H W = 1` for `m >= n`, `W W^H = 1` otherwise), `P [n, n]`
/// Hermitian and positive semidefinite.
///
/// `W = U V^H` and `P = V diag(s) V^H` from the SVD: `W` is the isometry nearest to `A`.
///
/// # Errors
/// As [`svd`].
pub fn polar<T: Scalar>(a: &ArrayView2<T>) -> Result<(Array2<T>, Array2<T>)> {
    let f = svd(a)?;
    let w = matmul(&f.u.view(), Op::None, &f.vt.view(), Op::None);
    let mut sv = f.vt.clone();
    sv.rows_mut().into_iter().zip(&f.s).for_each(|(mut r, &s)| r.mapv_inplace(|x| x.scale(s)));
    Ok((w, matmul(&f.vt.view(), Op::Adjoint, &sv.view(), Op::None)))
}

/// The lower triangular `L` with `A = L L^H`; only the lower triangle of `A` is read.
///
/// # Errors
/// [`Error::Factorisation`] if `A` is not positive definite; as [`super::eigh`] otherwise.
pub fn cholesky<T: Scalar>(a: &ArrayView2<T>) -> Result<Array2<T>> {
    let n = square("cholesky", a)?;
    Ok(matrix(n, n, backend::cholesky(row_major(a), n)?))
}

/// `X <- X L^-H` in place, for `X [m, n]` in standard layout and `L [n, n]` lower triangular.
///
/// With the Cholesky factor of a Gram matrix `X^H X = L L^H` it orthonormalises the columns of `X`.
///
/// # Errors
/// [`Error::Shape`] if the shapes do not fit or `X` is not in standard layout.
pub fn solve_right_adjoint<T: Scalar>(l: &ArrayView2<T>, x: &mut ArrayViewMut2<T>) -> Result<()> {
    let n = square("triangular solve", l)?;
    if x.ncols() != n || !x.is_standard_layout() {
        return Err(Error::shape("triangular solve: the right-hand side, in columns", x.ncols(), n));
    }
    if x.nrows() > 0 {
        let (rows, l) = (x.nrows(), l.as_standard_layout());
        // SAFETY: X is dense and row-major, L dense, row-major and square of the same size.
        unsafe { backend::solve_right_adjoint(l.as_ptr(), x.as_mut_ptr(), rows, n) };
    }
    Ok(())
}

/// `X` with `A X = B`, for `A [n, n]` and `B [n, r]`, by LU with partial pivoting.
///
/// # Errors
/// [`Error::Factorisation`] if `A` is singular, [`Error::Shape`], [`Error::Empty`] or [`Error::NotFinite`] for input
/// that does not fit.
pub fn solve<T: Scalar>(a: &ArrayView2<T>, b: &ArrayView2<T>) -> Result<Array2<T>> {
    let n = square("solve", a)?;
    check::guard("solve, right-hand side", b)?;
    if b.nrows() != n {
        return Err(Error::shape("solve: the right-hand side, in rows", b.nrows(), n));
    }
    let x = matrix(n, b.ncols(), backend::solve(row_major(a), row_major(b), n, b.ncols())?);
    // A pivot that is merely tiny passes the LU; what it makes of the solution does not pass here.
    if x.iter().all(|v| v.is_finite()) {
        Ok(x)
    } else {
        Err(Error::Factorisation { routine: "solve (singular matrix)", rows: n, cols: n, code: 0 })
    }
}

/// The `X` of least norm that minimises `|A X - B|`, by SVD; singular values up to `cutoff` times the largest count as
/// zero (0 keeps all that are not exactly zero). Returns the rank as well.
///
/// # Errors
/// As [`svd`]; [`Error::Shape`] if `A` and `B` differ in rows, [`Error::Setting`] for a cutoff that is not in `[0, 1)`.
pub fn lstsq<T: Scalar>(a: &ArrayView2<T>, b: &ArrayView2<T>, cutoff: f64) -> Result<(Array2<T>, usize)> {
    if !(0.0..1.0).contains(&cutoff) {
        return Err(Error::setting("cutoff", cutoff, "give a number in [0, 1)"));
    }
    check::guard("lstsq, right-hand side", b)?;
    if b.nrows() != a.nrows() {
        return Err(Error::shape("lstsq: the right-hand side, in rows", b.nrows(), a.nrows()));
    }
    let f = svd(a)?;
    let floor = T::Real::of(cutoff * f.s.first().map_or(0.0, |&s| Real::to_f64(s)));
    let rank = f.s.iter().take_while(|&&s| s > floor).count();
    let mut y = matmul(&f.u.view(), Op::Adjoint, b, Op::None);
    for (i, mut row) in y.rows_mut().into_iter().enumerate() {
        let factor = if i < rank { T::Real::of(1.0) / f.s[i] } else { T::Real::of(0.0) };
        row.mapv_inplace(|x| x.scale(factor));
    }
    Ok((matmul(&f.vt.view(), Op::Adjoint, &y.view(), Op::None), rank))
}

/// `exp(A)` by scaling and squaring with a Padé approximant of order 13 (Higham, SIAM J. Matrix Anal. 26, 1179, 2005).
///
/// # Errors
/// [`Error::Shape`], [`Error::Empty`] or [`Error::NotFinite`] for a matrix that is not square, empty or not finite, and
/// [`Error::NotFinite`] if the exponential overflows.
pub fn expm<T: Scalar>(a: &ArrayView2<T>) -> Result<Array2<T>> {
    const B: [f64; 14] = [
        64_764_752_532_480_000.0,
        32_382_376_266_240_000.0,
        7_771_770_303_897_600.0,
        1_187_353_796_428_800.0,
        129_060_195_264_000.0,
        10_559_470_521_600.0,
        670_442_572_800.0,
        33_522_128_640.0,
        1_323_241_920.0,
        40_840_800.0,
        960_960.0,
        16_380.0,
        182.0,
        1.0,
    ];
    const THETA: f64 = 5.371_920_351_148_152;
    let n = square("expm", a)?;
    let norm =
        a.columns().into_iter().map(|c| c.iter().map(|x| Real::to_f64(x.abs())).sum::<f64>()).fold(0.0, f64::max);
    let squarings = if norm > THETA { (norm / THETA).log2().ceil() as i32 } else { 0 };
    // exp of anything beyond this overflows every type; without the bound a huge norm would square for ever.
    if squarings > 1024 {
        return Err(Error::NotFinite { what: "expm: the result".into() });
    }
    let scaled = a.mapv(|x| x.scale(T::Real::of(0.5_f64.powi(squarings))));
    let product = |x: &Array2<T>, y: &Array2<T>| matmul(&x.view(), Op::None, &y.view(), Op::None);
    let (a2, eye) = (product(&scaled, &scaled), Array2::<T>::eye(n));
    let a4 = product(&a2, &a2);
    let a6 = product(&a4, &a2);
    // Divided by the constant term, so that single precision does not overflow.
    let b = |i: usize| T::from_f64(B[i] / B[0]);
    let combine = |top: [usize; 3], low: [usize; 4]| {
        let high = &a6 * b(top[0]) + &a4 * b(top[1]) + &a2 * b(top[2]);
        product(&a6, &high) + &a6 * b(low[0]) + &a4 * b(low[1]) + &a2 * b(low[2]) + &eye * b(low[3])
    };
    let u = product(&scaled, &combine([13, 11, 9], [7, 5, 3, 1]));
    let v = combine([12, 10, 8], [6, 4, 2, 0]);
    let mut result = solve(&(&v - &u).view(), &(&v + &u).view())?;
    for _ in 0..squarings {
        let mut next = Array2::zeros((n, n));
        gemm(T::one(), &result.view(), Op::None, &result.view(), Op::None, T::zero(), &mut next.view_mut());
        result = next;
    }
    if result.iter().all(|x| x.is_finite()) {
        Ok(result)
    } else {
        Err(Error::NotFinite { what: "expm: the result".into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use num_complex::{Complex32, Complex64};

    fn random<T: Scalar>(rows: usize, cols: usize, index: u64) -> Array2<T> {
        let mut stream = Seed(6).stream("functions", index);
        Array2::from_shape_simple_fn((rows, cols), || T::normal(&mut stream))
    }

    fn near<T: Scalar>(a: &Array2<T>, b: &Array2<T>, tolerance: f64) {
        let worst = (a - b).iter().map(|d| d.to_c64().norm()).fold(0.0, f64::max);
        assert!(worst < tolerance, "{worst}");
    }

    fn holds<T: Scalar>(tolerance: f64) {
        let product = |x: &Array2<T>, op: Op, y: &Array2<T>| matmul(&x.view(), op, &y.view(), Op::None);
        let a = random::<T>(9, 4, 0);
        let (w, p) = polar(&a.view()).unwrap();
        near(&product(&w, Op::None, &p), &a, tolerance);
        near(&product(&w, Op::Adjoint, &w), &Array2::eye(4), tolerance);

        let gram = product(&a, Op::Adjoint, &a);
        let l = cholesky(&gram.view()).unwrap();
        near(&matmul(&l.view(), Op::None, &l.view(), Op::Adjoint), &gram, tolerance);
        let mut q = a.clone();
        solve_right_adjoint(&l.view(), &mut q.view_mut()).unwrap();
        near(&product(&q, Op::Adjoint, &q), &Array2::eye(4), tolerance);

        let (m, b) = (random::<T>(5, 5, 1), random::<T>(5, 3, 2));
        near(&product(&m, Op::None, &solve(&m.view(), &b.view()).unwrap()), &b, 10.0 * tolerance);

        // The least-squares residual is orthogonal to the range.
        let b = random::<T>(9, 2, 3);
        let (x, rank) = lstsq(&a.view(), &b.view(), 0.0).unwrap();
        assert_eq!(rank, 4);
        near(&product(&a, Op::Adjoint, &(product(&a, Op::None, &x) - &b)), &Array2::zeros((4, 2)), tolerance);

        // exp of a Hermitian matrix from its eigenvalues, large enough to need squaring.
        let h = (&m + &m.t().mapv(T::conj)) * T::from_f64(2.0);
        let e = super::super::eigh(&h.view()).unwrap();
        let mut scaled = e.vectors.clone();
        let largest = Real::to_f64(num_traits::Float::exp(e.values[4]));
        scaled
            .columns_mut()
            .into_iter()
            .zip(&e.values)
            .for_each(|(mut c, &v)| c.mapv_inplace(|x| x.scale(num_traits::Float::exp(v))));
        let expected = matmul(&scaled.view(), Op::None, &e.vectors.view(), Op::Adjoint);
        near(&expm(&h.view()).unwrap(), &expected, 10.0 * tolerance * largest);
    }

    #[test]
    fn identities_hold_in_every_precision() {
        holds::<f32>(2e-4);
        holds::<f64>(1e-12);
        holds::<Complex32>(2e-4);
        holds::<Complex64>(1e-12);
    }

    #[test]
    fn a_rotation_is_the_exponential_of_its_generator() {
        let x = 0.7_f64;
        let g = ndarray::array![[0.0, -x], [x, 0.0]];
        near(&expm(&g.view()).unwrap(), &ndarray::array![[x.cos(), -x.sin()], [x.sin(), x.cos()]], 1e-15);
        near(&expm(&Array2::<f64>::zeros((3, 3)).view()).unwrap(), &Array2::eye(3), 1e-15);
    }

    #[test]
    fn singular_and_overflowing_input_is_an_error() {
        let singular = Array2::<f64>::ones((2, 2));
        assert!(solve(&singular.view(), &singular.view()).is_err());
        assert!(matches!(cholesky(&(-&singular).view()), Err(Error::Factorisation { .. })));
        assert!(matches!(expm(&Array2::from_elem((1, 1), 1e300).view()), Err(Error::NotFinite { .. })));
        assert!(expm(&Array2::<f64>::zeros((2, 3)).view()).is_err());
    }

    #[test]
    fn least_squares_of_a_rank_deficient_matrix_takes_the_shortest_solution() {
        let a = ndarray::array![[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]];
        let b = ndarray::array![[2.0], [2.0], [5.0]];
        let (x, rank) = lstsq(&a.view(), &b.view(), 1e-12).unwrap();
        assert_eq!(rank, 1);
        near(&x, &ndarray::array![[1.0], [1.0]], 1e-14);
    }
}
