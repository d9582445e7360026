//! Joining two tensors: matrix products over the legs they share.
//!
//! The legs of a tensor `A` fall into those that are kept for both (batch), those that are summed and those that are
//! free, and so do those of `B`. For each value of the batch legs the contraction is one matrix product
//! `[free of A, summed] x [summed, free of B]`. Free legs are taken in the order in which they lie in memory, and the
//! summed ones in the order of the operand that is dearer to copy, so that most operands are read where they stand; the
//! order of the legs of the result is put right without touching its elements.

use ndarray::ArrayViewMut2;

use super::layout::{self, Matrices, offsets};
use super::leg::{Leg, Role};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::linalg::{Op, gemm_parallel};
use crate::scalar::Scalar;

/// Multiplications below which a plain loop is faster than a call to BLAS.
const TINY: usize = 32;

/// The sum over all legs that two tensors share by name.
///
/// A shared leg of [`Role::Batch`] is not summed but kept: the result has, for each of its values, the contraction of
/// the two slices. Tensors that share nothing give the outer product. The legs of the result are the kept ones, what is
/// left of `a` and what is left of `b`, each in the order of the operand.
///
/// # Errors
/// [`Error::Leg`] if two legs of the same name differ in dimension or role; [`Error::Memory`] if the result does not fit
/// into memory.
pub fn contract<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    let mut joint = Joint::default();
    for (i, leg) in a.legs().iter().enumerate() {
        if let Some(j) = b.legs().iter().position(|other| leg.same_name(other)) {
            joint.add(a, b, (i, j), leg.role() == Role::Batch)?;
        }
    }
    joint.product(a, b)
}

/// The sum over the named pairs of legs, the first of each on `a` and the second on `b`, whatever their roles are as
/// long as they agree.
///
/// Legs of [`Role::Batch`] that both have and that are in no pair are kept as in [`contract`]. No other name may be left
/// on both.
///
/// # Errors
/// As [`contract`]; [`Error::Leg`] also if a leg is unknown or in two pairs, or a name would occur twice on the result.
pub fn contract_pairs<T: Scalar, S: AsRef<str>>(a: &Tensor<T>, b: &Tensor<T>, pairs: &[(S, S)]) -> Result<Tensor<T>> {
    let summed_a = a.axes(&pairs.iter().map(|(first, _)| first).collect::<Vec<_>>())?;
    let summed_b = b.axes(&pairs.iter().map(|(_, second)| second).collect::<Vec<_>>())?;
    let mut joint = Joint::default();
    for (&i, &j) in summed_a.iter().zip(&summed_b) {
        joint.add(a, b, (i, j), false)?;
    }
    for i in a.other_axes(&summed_a) {
        let leg = &a.legs()[i];
        let shared = b.legs().iter().position(|other| leg.same_name(other)).filter(|j| !summed_b.contains(j));
        match shared {
            Some(j) if leg.role() == Role::Batch => joint.add(a, b, (i, j), true)?,
            Some(_) => {
                let what = format!("{leg} is on both {a} and {b} and in no pair: pair it or rename one of them");
                return Err(Error::Leg { what });
            }
            None => {}
        }
    }
    joint.product(a, b)
}

/// Which axes of two tensors belong together.
#[derive(Default)]
struct Joint {
    kept: Vec<(usize, usize)>,
    summed: Vec<(usize, usize)>,
}

impl Joint {
    fn add<T: Scalar>(&mut self, a: &Tensor<T>, b: &Tensor<T>, (i, j): (usize, usize), keep: bool) -> Result<()> {
        if let Some(why) = a.legs()[i].mismatch(&b.legs()[j]) {
            return Err(Error::Leg { what: format!("contraction of {a} with {b}: {why}") });
        }
        if keep {
            self.kept.push((i, j))
        } else {
            self.summed.push((i, j))
        }
        Ok(())
    }

    fn product<T: Scalar>(self, a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
        let Joint { kept, summed } = self;
        let (a_used, b_used): (Vec<_>, Vec<_>) = kept.iter().chain(&summed).copied().unzip();
        let (a_free, b_free) = (a.other_axes(&a_used), b.other_axes(&b_used));

        // The result as it will lie in memory: a_rows and b_cols are the free axes from the slowest on.
        let a_rows = layout::in_memory_order(a, a_free.clone());
        let b_cols = layout::in_memory_order(b, b_free.clone());
        let (a_summed, b_summed) = summed_order(a, b, &a_rows, &b_cols, summed);
        let (a_kept, b_kept): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
        let legs: Vec<Leg> = a_kept
            .iter()
            .chain(&a_rows)
            .map(|&axis| &a.legs()[axis])
            .chain(b_cols.iter().map(|&axis| &b.legs()[axis]))
            .cloned()
            .collect();

        let left = Matrices::read(a, &a_kept, &a_rows, &a_summed)?;
        let right = Matrices::read(b, &b_kept, &b_summed, &b_cols)?;
        let mut out = layout::zeroed(&legs)?;
        multiply(&left, &right, &mut out)?;
        let result = Tensor::from_parts(legs, out)?;

        if a_rows == a_free && b_cols == b_free {
            return Ok(result);
        }
        let rank = |sorted: &[usize], axis| sorted.iter().position(|&other| other == axis).unwrap_or_default();
        let order: Vec<usize> = (0..a_kept.len())
            .chain(a_free.iter().map(|&axis| a_kept.len() + rank(&a_rows, axis)))
            .chain(b_free.iter().map(|&axis| a_kept.len() + a_rows.len() + rank(&b_cols, axis)))
            .collect();
        Ok(result.with_axes(&order))
    }
}

/// The summed axes in the order for which the fewest elements have to be copied.
fn summed_order<T: Scalar>(
    a: &Tensor<T>,
    b: &Tensor<T>,
    a_rows: &[usize],
    b_cols: &[usize],
    summed: Vec<(usize, usize)>,
) -> (Vec<usize>, Vec<usize>) {
    let (mut by_a, mut by_b) = (summed.clone(), summed);
    by_a.sort_by_key(|pair| std::cmp::Reverse(a.data.strides()[pair.0]));
    by_b.sort_by_key(|pair| std::cmp::Reverse(b.data.strides()[pair.1]));
    if by_a == by_b {
        return by_a.into_iter().unzip();
    }
    let copied = |pairs: &[(usize, usize)]| {
        let (a_summed, b_summed): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let a_copied = if layout::in_place(a, a_rows, &a_summed).is_some() { 0 } else { a.elements() };
        let b_copied = if layout::in_place(b, &b_summed, b_cols).is_some() { 0 } else { b.elements() };
        a_copied + b_copied
    };
    let best = if copied(&by_a) <= copied(&by_b) { by_a } else { by_b };
    best.into_iter().unzip()
}

/// One matrix product for each value of the pile, written one after the other into `out`.
fn multiply<T: Scalar>(left: &Matrices<T>, right: &Matrices<T>, out: &mut [T]) -> Result<()> {
    let (m, k, n) = (left.rows.len, left.cols.len, right.cols.len);
    let tiny = m * k * n <= TINY;
    let pile = left.pile.iter().zip(&right.pile).map(|(l, r)| (l.len, l.stride, r.stride)).collect();
    for (block, (at_left, at_right)) in out.chunks_exact_mut(m * n).zip(offsets(pile)) {
        if tiny {
            multiply_tiny(left, left.from(at_left), right, right.from(at_right), block);
            continue;
        }
        let mut c = ArrayViewMut2::from_shape((m, n), block)
            .map_err(|_| Error::shape("a block of the result", m * n, (m, n)))?;
        gemm_parallel(T::one(), &left.at(at_left)?, Op::None, &right.at(at_right)?, Op::None, T::zero(), &mut c);
    }
    Ok(())
}

fn multiply_tiny<T: Scalar>(left: &Matrices<T>, a: &[T], right: &Matrices<T>, b: &[T], out: &mut [T]) {
    for (i, row) in out.chunks_exact_mut(right.cols.len).enumerate() {
        for (j, x) in row.iter_mut().enumerate() {
            let term =
                |l| a[i * left.rows.stride + l * left.cols.stride] * b[l * right.rows.stride + j * right.cols.stride];
            *x = (0..left.cols.len).map(term).sum();
        }
    }
}
