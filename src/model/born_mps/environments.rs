//! Products of site matrices from one end of the chain, one row for each prefix or suffix class.

use ndarray::{Array2, ArrayView2, ArrayView3, ArrayViewMut2, Axis, s};

use super::classes::Level;
use crate::linalg::{Op, gemm, wide};
use crate::parallel::each_with;
use crate::scalar::{Real, Scalar};

/// Rows `[classes, bond]`, each scaled by a power of two to a norm of about one.
#[derive(Debug, Clone)]
pub(super) struct Environment<T> {
    pub rows: Array2<T>,
    /// Each row stands for itself times two to this power.
    pub exponent: Vec<i32>,
}

/// Which end of the chain an environment comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Multiplications below which a task list is worked off by the calling thread.
pub(super) const PARALLEL_FROM: usize = 1 << 16;

/// How many tasks `rows` with so many multiplications in all are dealt into: by the shape alone, so that results do not
/// depend on the number of threads.
pub(super) fn parts_of(multiplications: usize, rows: usize) -> usize {
    let fair = multiplications / (PARALLEL_FROM / 2);
    if multiplications < PARALLEL_FROM { 1 } else { fair.min(4.max(rows / 256)).clamp(1, rows.max(1)) }
}

impl<T: Scalar> Environment<T> {
    /// Beyond the end of the chain.
    pub fn edge() -> Self {
        Environment { rows: Array2::ones((1, 1)), exponent: vec![0] }
    }

    /// The logarithm of what a row has to be multiplied by.
    pub fn ln_scale(&self, row: usize) -> f64 {
        f64::from(self.exponent[row]) * std::f64::consts::LN_2
    }

    /// The environment with one site more: row `c` is `parent(c) A[symbol(c)]`.
    ///
    /// `tensor` is `[left, symbol, right]`; `level` describes the classes of the result, which is written into
    /// `buffers`.
    pub fn advance(&self, level: &Level, tensor: &ArrayView3<T>, side: Side, buffers: Buffers<T>) -> Self {
        let (dl, dim, dr) = tensor.dim();
        let (inner, outer, op) = if side == Side::Left { (dl, dr, Op::None) } else { (dr, dl, Op::Transpose) };
        let (mut rows, mut exponent) = (shaped(buffers.0, (level.len(), outer)), buffers.1);
        exponent.clear();
        exponent.resize(level.len(), 0);
        let parts = parts_of(level.len() * inner * outer, level.len());
        let chunk = level.len().div_ceil(parts).max(1);
        let mut tasks = Vec::with_capacity(dim + parts);
        let mut rest = rows.view_mut();
        let mut rest_exponent: &mut [i32] = &mut exponent;
        for symbol in 0..dim {
            let (mut from, to) = (level.start[symbol], level.start[symbol + 1]);
            while from < to {
                let count = chunk.min(to - from);
                let (head, tail) = rest.split_at(Axis(0), count);
                let (exponent, tail_exponent) = rest_exponent.split_at_mut(count);
                tasks.push((symbol, &level.parent[from..from + count], head, exponent));
                (rest, rest_exponent) = (tail, tail_exponent);
                from += count;
            }
        }
        let work = |gathered: &mut Vec<T>, (symbol, parents, mut out, exponent): Task<T>| {
            let matrix = tensor.slice(s![.., symbol, ..]);
            let all = self.rows.view();
            let input = listed(&all, parents.iter().copied(), gathered);
            gemm(T::one(), &input, Op::None, &matrix, op, T::zero(), &mut out);
            wide(
                #[inline(always)]
                || {
                    for ((mut row, exponent), &parent) in out.rows_mut().into_iter().zip(exponent).zip(parents) {
                        let row = row.as_slice_mut().unwrap_or(&mut []);
                        *exponent = self.exponent[parent as usize] + rescale(row);
                    }
                },
            );
        };
        if parts == 1 {
            let mut gathered = Vec::new();
            tasks.into_iter().for_each(|task| work(&mut gathered, task));
        } else {
            each_with(tasks, Vec::new, work);
        }
        Environment { rows, exponent }
    }

    /// The memory of an environment that is no longer needed.
    pub fn into_buffers(self) -> Buffers<T> {
        (self.rows.into_raw_vec_and_offset().0, self.exponent)
    }
}

/// Memory of rows and exponents, with whatever stood in it.
pub(super) type Buffers<T> = (Vec<T>, Vec<i32>);

type Task<'a, T> = (usize, &'a [u32], ArrayViewMut2<'a, T>, &'a mut [i32]);

/// A matrix whose elements are about to be written, in memory that has been used before.
pub(super) fn shaped<T: Scalar>(mut buffer: Vec<T>, shape: (usize, usize)) -> Array2<T> {
    let count = shape.0 * shape.1;
    // Neither grown by doubling nor much too large: there is one for every site, and a ceiling on them all.
    if !(count..=count + count / 4).contains(&buffer.capacity()) {
        buffer = Vec::with_capacity(count);
    }
    buffer.resize(count, T::zero());
    Array2::from_shape_vec(shape, buffer).unwrap_or_else(|_| Array2::zeros(shape))
}

/// Scales by a power of two, so that nothing is rounded; returns the power that was divided out.
#[inline(always)]
fn rescale<T: Scalar>(row: &mut [T]) -> i32 {
    let square = Real::to_f64(squares(row));
    // Rows of ordinary size are left alone; what overflows or vanishes here is seen at the amplitude.
    if !square.is_normal() || (1.0 / 65536.0..65536.0).contains(&square) {
        return 0;
    }
    let exponent = binary_exponent(square) / 2;
    let factor = T::Real::of(power_of_two(-exponent));
    if !num_traits::Float::is_normal(factor) {
        return 0;
    }
    row.iter_mut().for_each(|x| *x = x.scale(factor));
    exponent
}

/// `e` with `2^e <= x < 2^(e + 1)`, for a positive normal number.
fn binary_exponent(x: f64) -> i32 {
    // Eleven bits, so the cast loses nothing.
    (x.to_bits() >> 52) as i32 - 1023
}

/// `2^e`; zero or infinity where that is out of range.
#[inline]
pub(super) fn power_of_two(e: i32) -> f64 {
    match e {
        -1022..=1023 => f64::from_bits(((e + 1023) as u64) << 52),
        1024.. => f64::INFINITY,
        _ => f64::from(e).exp2(),
    }
}

/// `sum |x|^2`, in eight sums that need not wait for one another.
#[inline(always)]
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
    rows: impl ExactSizeIterator<Item = u32> + Clone,
    buffer: &'a mut Vec<T>,
) -> ArrayView2<'a, T> {
    let count = rows.len();
    if let Some(first) = rows.clone().next()
        && rows.clone().zip(first..).all(|(row, expected)| row == expected)
    {
        let first = first as usize;
        return from.slice(s![first..first + count, ..]);
    }
    let width = from.ncols();
    buffer.clear();
    buffer.reserve(count * width);
    for row in rows {
        match from.row(row as usize).to_slice() {
            Some(slice) => buffer.extend_from_slice(slice),
            None => buffer.extend(from.row(row as usize)),
        }
    }
    ArrayView2::from_shape((count, width), buffer).unwrap_or_else(|_| from.slice(s![..0, ..]))
}
