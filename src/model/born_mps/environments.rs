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
    /// `tensor` is `[left, symbol, right]`; `level` describes the classes of the result.
    pub fn advance(&self, level: &Level, tensor: &ArrayView3<T>, side: Side) -> Self {
        let (dl, dim, dr) = tensor.dim();
        let (inner, outer, op) = if side == Side::Left { (dl, dr, Op::None) } else { (dr, dl, Op::Transpose) };
        let mut rows = Array2::zeros((level.len(), outer));
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
        let work = |(symbol, parents, mut out, ln): (usize, &[u32], ArrayViewMut2<T>, &mut [f64])| {
            let matrix = tensor.slice(s![.., symbol, ..]);
            let gathered;
            let input = match contiguous(parents) {
                Some(range) => self.rows.slice(s![range, ..]),
                None => {
                    gathered = gather(&self.rows.view(), parents);
                    gathered.view()
                }
            };
            gemm(T::one(), &input, Op::None, &matrix, op, T::zero(), &mut out);
            for ((mut row, ln), &parent) in out.rows_mut().into_iter().zip(ln).zip(parents) {
                *ln = self.ln_scale[parent as usize] + rescale(row.as_slice_mut().unwrap_or(&mut []));
            }
        };
        if level.len() * inner * outer < PARALLEL_FROM {
            tasks.into_iter().for_each(work);
        } else {
            tasks.into_par_iter().for_each(work);
        }
        Environment { rows, ln_scale }
    }
}

/// Scales by a power of two, so that nothing is rounded; returns the logarithm of what was divided out.
fn rescale<T: Scalar>(row: &mut [T]) -> f64 {
    let largest = row.iter().fold(0.0_f64, |m, x| {
        let (re, im) = (Real::to_f64(x.re()).abs(), Real::to_f64(x.im()).abs());
        m.max(re).max(im)
    });
    if !(largest > 0.0 && largest.is_finite()) || (0.25..4.0).contains(&largest) {
        return 0.0;
    }
    let exponent = largest.log2().round();
    let factor = T::Real::of((-exponent).exp2());
    if !num_traits::Float::is_finite(factor) || factor == T::Real::of(0.0) {
        return 0.0;
    }
    row.iter_mut().for_each(|x| *x = x.scale(factor));
    exponent * std::f64::consts::LN_2
}

/// The range that a list of rows is, if it is one.
pub(super) fn contiguous(rows: &[u32]) -> Option<std::ops::Range<usize>> {
    let (&first, &last) = (rows.first()?, rows.last()?);
    let range = first as usize..last as usize + 1;
    (range.len() == rows.len() && rows.windows(2).all(|w| w[1] == w[0] + 1)).then_some(range)
}

/// The listed rows, copied.
pub(super) fn gather<T: Scalar>(from: &ArrayView2<T>, rows: &[u32]) -> Array2<T> {
    let width = from.ncols();
    let mut data = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        data.extend(from.row(row as usize).iter().copied());
    }
    Array2::from_shape_vec((rows.len(), width), data).unwrap_or_else(|_| Array2::zeros((rows.len(), width)))
}
