//! Matrix products.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

use super::backend;
use crate::parallel::each;
use crate::scalar::Scalar;

/// What is done to a factor before it is multiplied; nothing is copied for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `A`
    None,
    /// `A^T`
    Transpose,
    /// `A^H`
    Adjoint,
    /// `conj(A)`
    Conj,
}

/// A factor as the backend sees it: the operation turned into strides and a flag.
pub(super) struct Factor<T> {
    pub ptr: *const T,
    pub rows: usize,
    pub cols: usize,
    pub row_stride: isize,
    pub col_stride: isize,
    pub conj: bool,
}

impl<T: Scalar> Factor<T> {
    fn new(a: &ArrayView2<T>, op: Op) -> Self {
        let (rows, cols) = a.dim();
        let (rs, cs) = (a.strides()[0], a.strides()[1]);
        let conj = T::IS_COMPLEX && matches!(op, Op::Adjoint | Op::Conj);
        let ptr = a.as_ptr();
        match op {
            Op::None | Op::Conj => Factor { ptr, rows, cols, row_stride: rs, col_stride: cs, conj },
            Op::Transpose | Op::Adjoint => Factor { ptr, rows: cols, cols: rows, row_stride: cs, col_stride: rs, conj },
        }
    }
}

/// Whether rows are contiguous and do not overlap. The stride of an axis of length one means nothing.
pub(super) fn is_row_major(rows: usize, cols: usize, rs: isize, cs: isize) -> bool {
    (cols <= 1 || cs == 1) && (rows <= 1 || rs >= cols.max(1) as isize)
}

/// Whether BLAS can read or write the matrix where it stands.
fn is_blas_layout(rows: usize, cols: usize, rs: isize, cs: isize) -> bool {
    is_row_major(rows, cols, rs, cs) || is_row_major(cols, rows, cs, rs)
}

/// `C <- alpha op(A) op(B) + beta C`, on the calling thread.
///
/// Matrices with unit stride in either direction are used where they stand, whatever the operation.
///
/// # Panics
/// If the shapes do not fit.
pub fn gemm<T: Scalar>(
    alpha: T,
    a: &ArrayView2<T>,
    op_a: Op,
    b: &ArrayView2<T>,
    op_b: Op,
    beta: T,
    c: &mut ArrayViewMut2<T>,
) {
    let owned_a;
    let owned_b;
    let plain = |v: &ArrayView2<T>| is_blas_layout(v.nrows(), v.ncols(), v.strides()[0], v.strides()[1]);
    let a = if plain(a) {
        a.view()
    } else {
        owned_a = a.as_standard_layout();
        owned_a.view()
    };
    let b = if plain(b) {
        b.view()
    } else {
        owned_b = b.as_standard_layout();
        owned_b.view()
    };
    let (fa, fb) = (Factor::new(&a, op_a), Factor::new(&b, op_b));
    assert!(
        fa.cols == fb.rows && c.nrows() == fa.rows && c.ncols() == fb.cols,
        "gemm: ({} x {}) ({} x {}) into {:?}",
        fa.rows,
        fa.cols,
        fb.rows,
        fb.cols,
        c.dim()
    );
    if c.is_empty() {
        return;
    }
    if fa.cols == 0 {
        c.mapv_inplace(|x| if beta == T::zero() { T::zero() } else { beta * x });
        return;
    }
    let (rs, cs) = (c.strides()[0], c.strides()[1]);
    if is_blas_layout(c.nrows(), c.ncols(), rs, cs) {
        // SAFETY: the pointers and strides come from live views of the stated shapes, C is borrowed mutably, and both
        // layouts were checked.
        unsafe { backend::gemm(alpha, &fa, &fb, beta, c.as_mut_ptr(), rs, cs) };
    } else {
        let mut dense = Array2::zeros(c.dim());
        dense.assign(c);
        let (rs, cs) = (dense.strides()[0], dense.strides()[1]);
        // SAFETY: as above, into a matrix of our own.
        unsafe { backend::gemm(alpha, &fa, &fb, beta, dense.as_mut_ptr(), rs, cs) };
        c.assign(&dense);
    }
}

/// `op(A) op(B)`, on the calling thread.
///
/// # Panics
/// If the shapes do not fit.
#[must_use]
pub fn matmul<T: Scalar>(a: &ArrayView2<T>, op_a: Op, b: &ArrayView2<T>, op_b: Op) -> Array2<T> {
    let rows = if matches!(op_a, Op::None | Op::Conj) { a.nrows() } else { a.ncols() };
    let cols = if matches!(op_b, Op::None | Op::Conj) { b.ncols() } else { b.nrows() };
    let mut c = Array2::zeros((rows, cols));
    gemm(T::one(), a, op_a, b, op_b, T::zero(), &mut c.view_mut());
    c
}

/// Operations below which entering the thread pool costs more than it gives.
const PARALLEL_FROM: usize = 1 << 17;

/// [`gemm`] over the threads of the pool, for a product that is large and alone.
///
/// The rows of `C` are cut into panels by the shape only, so the result does not depend on the number of threads.
///
/// # Panics
/// If the shapes do not fit.
pub fn gemm_parallel<T: Scalar>(
    alpha: T,
    a: &ArrayView2<T>,
    op_a: Op,
    b: &ArrayView2<T>,
    op_b: Op,
    beta: T,
    c: &mut ArrayViewMut2<T>,
) {
    let (rows, cols) = c.dim();
    let inner = if matches!(op_a, Op::None | Op::Conj) { a.ncols() } else { a.nrows() };
    let by_rows = matches!(op_a, Op::None | Op::Conj);
    let panels = (rows / 24).min(4);
    if rows.saturating_mul(cols).saturating_mul(inner) < PARALLEL_FROM || panels < 2 {
        return gemm(alpha, a, op_a, b, op_b, beta, c);
    }
    let height = rows.div_ceil(panels);
    let axis = Axis(usize::from(!by_rows));
    let tasks: Vec<_> = c.axis_chunks_iter_mut(Axis(0), height).zip(a.axis_chunks_iter(axis, height)).collect();
    each(tasks, |(mut c, a)| gemm(alpha, &a, op_a, b, op_b, beta, &mut c));
}

/// The lower triangle of `A^H A`, in double precision for every `T`; what stands above it means nothing.
///
/// Spread over the threads of the pool where it is large; the result does not depend on their number.
#[must_use]
pub fn gram<T: Scalar>(a: &ArrayView2<T>) -> Array2<T::Wide> {
    let (rows, n) = a.dim();
    // Double precision as it stands, if in standard layout.
    let in_place = a.as_slice().filter(|_| T::KIND == T::Wide::KIND).map(bytemuck::cast_slice::<T, T::Wide>);
    let widened;
    let wide = match in_place.and_then(|x| ArrayView2::from_shape((rows, n), x).ok()) {
        Some(view) => view,
        None => {
            widened = a.mapv(T::widen);
            widened.view()
        }
    };
    let mut c = Array2::zeros((n, n));
    let work = |c: &mut ArrayViewMut2<T::Wide>, from: usize, to: usize| {
        let (left, right) = (wide.slice(s![.., from..to]), wide.slice(s![.., ..to]));
        let (one, zero) = (T::Wide::from_f64(1.0), T::Wide::from_f64(0.0));
        gemm(one, &left, Op::Adjoint, &right, Op::None, zero, &mut c.slice_mut(s![.., ..to]));
    };
    if rows * n * n < PARALLEL_FROM || n < 2 * GRAM_PANEL {
        work(&mut c.view_mut(), 0, n);
        return c;
    }
    let panels = (n / GRAM_PANEL).min(8);
    let height = n.div_ceil(panels);
    // The longest panel first, so that the threads end together.
    let mut tasks: Vec<_> = c.axis_chunks_iter_mut(Axis(0), height).enumerate().collect();
    tasks.reverse();
    let run = |(i, mut c): (usize, ArrayViewMut2<T::Wide>)| {
        let to = i * height + c.nrows();
        work(&mut c, i * height, to);
    };
    each(tasks, run);
    c
}

/// Rows of a Gram matrix that one task makes.
const GRAM_PANEL: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use ndarray::Array2;
    use num_complex::{Complex32, Complex64};

    fn random<T: Scalar>(rows: usize, cols: usize, index: u64) -> Array2<T> {
        let mut stream = Seed(3).stream("gemm", index);
        Array2::from_shape_simple_fn((rows, cols), || T::normal(&mut stream))
    }

    fn obvious<T: Scalar>(a: &ArrayView2<T>, b: &ArrayView2<T>) -> Array2<T> {
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| (0..a.ncols()).map(|k| a[[i, k]] * b[[k, j]]).sum())
    }

    fn applied<T: Scalar>(a: &ArrayView2<T>, op: Op) -> Array2<T> {
        match op {
            Op::None => a.to_owned(),
            Op::Transpose => a.t().to_owned(),
            Op::Adjoint => a.t().mapv(T::conj),
            Op::Conj => a.mapv(T::conj),
        }
    }

    fn agrees<T: Scalar>(tolerance: f64) {
        let ops = [Op::None, Op::Transpose, Op::Adjoint, Op::Conj];
        for (m, k, n) in [(1, 1, 1), (3, 4, 5), (1, 7, 2), (6, 1, 6), (17, 9, 13)] {
            for op_a in ops {
                for op_b in ops {
                    let flip = |op| matches!(op, Op::Transpose | Op::Adjoint);
                    let (ar, ac) = if flip(op_a) { (k, m) } else { (m, k) };
                    let (br, bc) = if flip(op_b) { (n, k) } else { (k, n) };
                    // Wide storage, so that layouts with gaps, transposed ones and strided ones all occur.
                    let (wide_a, wide_b) = (random::<T>(2 * ar, 2 * ac, 1), random::<T>(2 * bc, 2 * br, 2));
                    for stride in [1, 2] {
                        let a = wide_a.slice(s![..ar, ..;stride]);
                        let a = a.slice(s![.., ..ac]);
                        let b = wide_b.t();
                        let b = b.slice(s![..br, ..bc]);
                        let expected = obvious(&applied(&a, op_a).view(), &applied(&b, op_b).view());
                        let worst =
                            |c: &Array2<T>| (c - &expected).iter().map(|x| x.to_c64().norm()).fold(0.0, f64::max);
                        assert!(worst(&matmul(&a, op_a, &b, op_b)) < tolerance);
                        // Into a transposed C, with beta.
                        let mut c = Array2::<T>::zeros((n, m)).reversed_axes();
                        gemm(T::from_f64(0.5), &a, op_a, &b, op_b, T::zero(), &mut c.view_mut());
                        gemm(T::from_f64(0.5), &a, op_a, &b, op_b, T::one(), &mut c.view_mut());
                        assert!(worst(&c) < tolerance);
                        let mut wide_c = Array2::<T>::zeros((2 * m, 2 * n));
                        let mut c = wide_c.slice_mut(s![..;2, ..;2]);
                        gemm(T::one(), &a, op_a, &b, op_b, T::zero(), &mut c);
                        assert!(worst(&c.to_owned()) < tolerance);
                    }
                }
            }
        }
    }

    #[test]
    fn products_agree_with_the_sum_over_indices() {
        agrees::<f32>(1e-4);
        agrees::<f64>(1e-12);
        agrees::<Complex32>(1e-4);
        agrees::<Complex64>(1e-12);
    }

    fn gram_agrees<T: Scalar>(tolerance: f64) {
        for (rows, n) in [(1, 1), (5, 3), (3, 5), (200, 101), (64, 130)] {
            let a = random::<T>(rows, n, 4);
            let expected = obvious(&a.t().mapv(T::conj).view(), &a.view());
            let found = gram(&a.view());
            for (i, j) in (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                assert!((found[[i, j]].to_c64() - expected[[i, j]].to_c64()).norm() < tolerance, "{rows} {n} {i} {j}");
            }
        }
    }

    #[test]
    fn gram_matrices_agree_with_products() {
        gram_agrees::<f32>(1e-3);
        gram_agrees::<f64>(1e-11);
        gram_agrees::<Complex32>(1e-3);
        gram_agrees::<Complex64>(1e-11);
    }

    #[test]
    fn an_empty_sum_is_zero() {
        let (a, b) = (Array2::<f64>::zeros((2, 0)), Array2::<f64>::zeros((0, 3)));
        let mut c = Array2::from_elem((2, 3), f64::NAN);
        gemm(1.0, &a.view(), Op::None, &b.view(), Op::None, 0.0, &mut c.view_mut());
        assert!(c.iter().all(|&x| x == 0.0));
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (a, b) = (random::<f64>(300, 200, 1), random::<f64>(200, 190, 2));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut c = Array2::zeros((300, 190));
            pool.install(|| gemm_parallel(1.0, &a.view(), Op::None, &b.view(), Op::None, 0.0, &mut c.view_mut()));
            c
        };
        let one = run(1);
        assert_eq!(one, run(3));
        let plain = matmul(&a.view(), Op::None, &b.view(), Op::None);
        assert!((&one - &plain).iter().all(|x| x.abs() < 1e-11));
    }
}
