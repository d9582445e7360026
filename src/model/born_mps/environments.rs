//! Products of site matrices from one end of the chain, one row for each prefix or suffix class.

use ndarray::{Array2, ArrayView2, ArrayView3, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::classes::Level;
use crate::linalg::{Op, gemm};
use crate::scalar::{Real, Scalar};

/// Rows `[classes, bond]`, each scaled to a largest entry of order one, with the logarithm of its scale.
#[derive(Debug, Clone)]
pub(super) struct Environment<T> {
    pub rows: Array2<T>,
    pub ln_scale: Vec<f64>,
}

/// Which end of the chain an environment comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Rows a task works on; fixed, so that results do not depend on the number of threads.
const CHUNK: usize = 256;
/// Multiplications below which a task list is worked off by the calling thread.
pub(super) const PARALLEL_FROM: usize = 1 << 20;

impl<T: Scalar> Environment<T> {
    /// Beyond the end of the chain.
    pub fn edge() -> Self {
        Environment { rows: Array2::ones((1, 1)), ln_scale: vec![0.0] }
    }

    /// The environment with one site more: row `c` is `parent(c) A[symbol(c)]`.
    ///
    /// `tensor` is `[left, symbol, right]`; `level` describes the classes of the result, which is written into
    /// `buffer`.
    pub fn advance(&self, level: &Level, tensor: &ArrayView3<T>, side: Side, buffer: Vec<T>) -> Self {
        let (dl, dim, dr) = tensor.dim();
        let (inner, outer, op) = if side == Side::Left { (dl, dr, Op::None) } else { (dr, dl, Op::Transpose) };
        let mut rows = shaped(buffer, (level.len(), outer));
        let mut ln_scale = vec![0.0; level.len()];
        let mut tasks = Vec::new();
        let mut rest = rows.view_mut();
        let mut rest_ln: &mut [f64] = &mut ln_scale;
        for symbol in 0..dim {
            let (mut from, to) = (level.start[symbol], level.start[symbol + 1]);
            while from < to {
                let count = CHUNK.min(to - from);
                let (head, tail) = rest.split_at(Axis(0), count);
                let (ln, tail_ln) = rest_ln.split_at_mut(count);
                tasks.push((symbol, &level.parent[from..from + count], head, ln));
                (rest, rest_ln) = (tail, tail_ln);
                from += count;
            }
        }
        let work = |gathered: &mut Vec<T>, (symbol, parents, mut out, ln): Task<T>| {
            let matrix = tensor.slice(s![.., symbol, ..]);
            let all = self.rows.view();
            let input = listed(&all, parents, gathered);
            gemm(T::one(), &input, Op::None, &matrix, op, T::zero(), &mut out);
            for ((mut row, ln), &parent) in out.rows_mut().into_iter().zip(ln).zip(parents) {
                *ln = self.ln_scale[parent as usize] + rescale(row.as_slice_mut().unwrap_or(&mut []));
            }
        };
        if level.len() * inner * outer < PARALLEL_FROM {
            let mut gathered = Vec::new();
            tasks.into_iter().for_each(|task| work(&mut gathered, task));
        } else {
            tasks.into_par_iter().for_each_init(Vec::new, work);
        }
        Environment { rows, ln_scale }
    }
}

type Task<'a, T> = (usize, &'a [u32], ArrayViewMut2<'a, T>, &'a mut [f64]);

/// A matrix whose elements are about to be written, in memory that has been used before.
fn shaped<T: Scalar>(mut buffer: Vec<T>, shape: (usize, usize)) -> Array2<T> {
    buffer.resize(shape.0 * shape.1, T::zero());
    Array2::from_shape_vec(shape, buffer).unwrap_or_else(|_| Array2::zeros(shape))
}

/// Scales by a power of two, so that nothing is rounded; returns the logarithm of what was divided out.
fn rescale<T: Scalar>(row: &mut [T]) -> f64 {
    let square = Real::to_f64(squares(row));
    // Rows of ordinary size are left alone; what overflows or vanishes here is seen at the amplitude.
    if !(square > 0.0 && square.is_finite()) || (1.0 / 256.0..256.0).contains(&square) {
        return 0.0;
    }
    let exponent = (0.5 * square.log2()).round();
    let factor = T::Real::of((-exponent).exp2());
    if !num_traits::Float::is_normal(factor) {
        return 0.0;
    }
    row.iter_mut().for_each(|x| *x = x.scale(factor));
    exponent * std::f64::consts::LN_2
}

/// `sum |x|^2`, in eight sums that need not wait for one another.
pub(super) fn squares<T: Scalar>(row: &[T]) -> T::Real {
    let mut sums = [T::Real::of(0.0); 8];
    let mut chunks = row.chunks_exact(8);
    for chunk in &mut chunks {
        for j in 0..8 {
            sums[j] += chunk[j].abs_sq();
        }
    }
    let rest: T::Real = chunks.remainder().iter().map(|x| x.abs_sq()).sum();
    (sums[0] + sums[4]) + (sums[1] + sums[5]) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

/// The listed rows as a matrix: where they stand if they are neighbours, else copied into `buffer`.
pub(super) fn listed<'a, T: Scalar>(
    from: &'a ArrayView2<T>,
    rows: &[u32],
    buffer: &'a mut Vec<T>,
) -> ArrayView2<'a, T> {
    if let (Some(&first), Some(&last)) = (rows.first(), rows.last()) {
        let range = first as usize..last as usize + 1;
        if range.len() == rows.len() && rows.windows(2).all(|w| w[1] == w[0] + 1) {
            return from.slice(s![range, ..]);
        }
    }
    let width = from.ncols();
    buffer.clear();
    buffer.reserve(rows.len() * width);
    for &row in rows {
        match from.row(row as usize).to_slice() {
            Some(slice) => buffer.extend_from_slice(slice),
            None => buffer.extend(from.row(row as usize)),
        }
    }
    ArrayView2::from_shape((rows.len(), width), buffer).unwrap_or_else(|_| from.slice(s![..0, ..]))
}
