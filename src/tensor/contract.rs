//! Joining two tensors: matrix products over the legs they share.
//!
//! The legs of a tensor `A` fall into those that are kept for both (batch), those that are summed and those that are
//! free, and so do those of `B`. For each value of the batch legs the contraction is one matrix product
//! `[free of A, summed] x [summed, free of B]`. Free legs are taken in the order in which they lie in memory, and the
//! summed ones in the order of the operand that is dearer to copy, so that most operands are read where they stand; the
//! order of the legs of the result is put right without touching its elements.

use std::cmp::Reverse;

use ndarray::ArrayViewMut2;

use super::layout::{self, Matrices, offsets};
use super::leg::Role;
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::linalg::{Op, gemm_parallel};
use crate::scalar::Scalar;

/// Multiplications below which a plain loop is faster than a call to BLAS.
const TINY: usize = 128;

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
    let mut joint = Joint::new(a, b);
    for (i, leg) in a.legs().iter().enumerate() {
        if let Some(j) = b.legs().iter().position(|other| leg.same_name(other)) {
            joint.add(i, j, leg.role() == Role::Batch)?;
        }
    }
    joint.product()
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
    let mut joint = Joint::new(a, b);
    for (&i, &j) in summed_a.iter().zip(&summed_b) {
        joint.add(i, j, false)?;
    }
    for i in a.other_axes(&summed_a) {
        let leg = &a.legs()[i];
        let shared = b.legs().iter().position(|other| leg.same_name(other)).filter(|j| !summed_b.contains(j));
        match shared {
            Some(j) if leg.role() == Role::Batch => joint.add(i, j, true)?,
            Some(_) => {
                let what = format!("{leg} is on both {a} and {b} and in no pair: pair it or rename one of them");
                return Err(Error::Leg { what });
            }
            None => {}
        }
    }
    joint.product()
}

/// Two tensors and which of their axes belong together.
struct Joint<'a, T: Scalar> {
    a: &'a Tensor<T>,
    b: &'a Tensor<T>,
    /// The pairs that are kept, then those that are summed.
    pairs: Vec<(usize, usize)>,
    kept: usize,
}

impl<'a, T: Scalar> Joint<'a, T> {
    fn new(a: &'a Tensor<T>, b: &'a Tensor<T>) -> Self {
        Joint { a, b, pairs: Vec::with_capacity(a.legs().len().min(b.legs().len())), kept: 0 }
    }

    fn add(&mut self, i: usize, j: usize, keep: bool) -> Result<()> {
        let (a, b) = (self.a, self.b);
        if let Some(why) = a.legs()[i].mismatch(&b.legs()[j]) {
            return Err(Error::Leg { what: format!("contraction of {a} with {b}: {why}") });
        }
        if keep {
            self.pairs.insert(self.kept, (i, j));
            self.kept += 1;
        } else {
            self.pairs.push((i, j));
        }
        Ok(())
    }

    fn product(mut self) -> Result<Tensor<T>> {
        let (a, b) = (self.a, self.b);
        // The result as it will lie in memory: rows and columns are the free axes from the slowest on.
        let mut rows: Vec<usize> = (0..a.legs().len()).filter(|i| self.pairs.iter().all(|p| p.0 != *i)).collect();
        let mut cols: Vec<usize> = (0..b.legs().len()).filter(|j| self.pairs.iter().all(|p| p.1 != *j)).collect();
        layout::sort_by_memory(a, &mut rows);
        layout::sort_by_memory(b, &mut cols);
        self.order_summed(&rows, &cols);
        let (kept, summed) = self.pairs.split_at(self.kept);
        let (a_kept, b_kept): (Vec<_>, Vec<_>) = kept.iter().copied().unzip();
        let (a_summed, b_summed): (Vec<_>, Vec<_>) = summed.iter().copied().unzip();

        let mut legs = Vec::with_capacity(kept.len() + rows.len() + cols.len());
        legs.extend(a_kept.iter().chain(&rows).map(|&axis| a.legs()[axis].clone()));
        legs.extend(cols.iter().map(|&axis| b.legs()[axis].clone()));
        let left = Matrices::read(a, &a_kept, &rows, &a_summed)?;
        let right = Matrices::read(b, &b_kept, &b_summed, &cols)?;
        let mut out = layout::zeroed(&legs)?;
        multiply(&left, &right, &mut out)?;
        let result = Tensor::from_parts(legs, out)?;

        // Back to the order of the operands, without touching an element.
        if rows.is_sorted() && cols.is_sorted() {
            return Ok(result);
        }
        let (first_row, first_col) = (kept.len(), kept.len() + rows.len());
        let mut order: Vec<usize> = (0..first_col + cols.len()).collect();
        order[first_row..first_col].sort_by_key(|&place| rows[place - first_row]);
        order[first_col..].sort_by_key(|&place| cols[place - first_col]);
        Ok(result.with_axes(&order))
    }

    /// Puts the summed pairs into the order for which the fewest elements have to be copied.
    fn order_summed(&mut self, rows: &[usize], cols: &[usize]) {
        let (a, b) = (self.a, self.b);
        let summed = &mut self.pairs[self.kept..];
        summed.sort_by_key(|pair| Reverse(a.data.strides()[pair.0]));
        if summed.is_sorted_by_key(|pair| Reverse(b.data.strides()[pair.1])) {
            return;
        }
        let mut by_b = summed.to_vec();
        by_b.sort_by_key(|pair| Reverse(b.data.strides()[pair.1]));
        let copied = |pairs: &[(usize, usize)]| {
            let (a_summed, b_summed): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let a_copied = if layout::in_place(a, rows, &a_summed).is_some() { 0 } else { a.elements() };
            let b_copied = if layout::in_place(b, &b_summed, cols).is_some() { 0 } else { b.elements() };
            a_copied + b_copied
        };
        if copied(&by_b) < copied(summed) {
            summed.copy_from_slice(&by_b);
        }
    }
}

/// One matrix product for each value of the pile, added one after the other to the zeros in `out`.
fn multiply<T: Scalar>(left: &Matrices<T>, right: &Matrices<T>, out: &mut [T]) -> Result<()> {
    let (m, k, n) = (left.rows.len, left.cols.len, right.cols.len);
    let pile = merged_pairs(left.pile.iter().zip(&right.pile).map(|(l, r)| (l.len, l.stride, r.stride)));
    if m * k * n == 1 {
        multiply_elements(left.from(0), right.from(0), pile, out);
        return Ok(());
    }
    for (block, (at_left, at_right)) in out.chunks_exact_mut(m * n).zip(offsets(pile)) {
        if m * k * n <= TINY {
            multiply_tiny(left, left.from(at_left), right, right.from(at_right), block);
            continue;
        }
        let mut c = ArrayViewMut2::from_shape((m, n), block)
            .map_err(|_| Error::shape("a block of the result", m * n, (m, n)))?;
        gemm_parallel(T::one(), &left.at(at_left)?, Op::None, &right.at(at_right)?, Op::None, T::zero(), &mut c);
    }
    Ok(())
}

/// Indices with their steps in two memories, neighbours put together where both allow.
fn merged_pairs(steps: impl Iterator<Item = (usize, usize, usize)>) -> Vec<(usize, usize, usize)> {
    let mut merged: Vec<(usize, usize, usize)> = Vec::new();
    for (len, left, right) in steps.filter(|step| step.0 > 1) {
        match merged.last_mut() {
            Some(last) if (last.1, last.2) == (len * left, len * right) => *last = (last.0 * len, left, right),
            _ => merged.push((len, left, right)),
        }
    }
    merged
}

/// The product element by element, where nothing but the pile is left.
fn multiply_elements<T: Scalar>(a: &[T], b: &[T], mut pile: Vec<(usize, usize, usize)>, out: &mut [T]) {
    let (len, left, right) = pile.pop().unwrap_or((1, 1, 1));
    for (run, (at_left, at_right)) in out.chunks_exact_mut(len).zip(offsets(pile)) {
        let (a, b) = (a[at_left..].iter().step_by(left), b[at_right..].iter().step_by(right));
        run.iter_mut().zip(a.zip(b)).for_each(|(x, (&a, &b))| *x = a * b);
    }
}

fn multiply_tiny<T: Scalar>(left: &Matrices<T>, a: &[T], right: &Matrices<T>, b: &[T], out: &mut [T]) {
    let n = right.cols.len;
    for (i, row) in out.chunks_exact_mut(n).enumerate() {
        for l in 0..left.cols.len {
            let factor = a[i * left.rows.stride + l * left.cols.stride];
            let b = &b[l * right.rows.stride..];
            if right.cols.stride == 1 {
                row.iter_mut().zip(b).for_each(|(x, &y)| *x += factor * y);
            } else {
                row.iter_mut().zip(b.iter().step_by(right.cols.stride)).for_each(|(x, &y)| *x += factor * y);
            }
        }
    }
}
