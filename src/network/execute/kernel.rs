//! The steps of a program on plain memory: copies in another order, piles of matrix products, and the scale of results.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

use super::actions::{Action, Both, Branch, Compiled, Gather, Home, Product, Source};
use crate::error::{Error, Result};
use crate::linalg::{Op, Run, Scattered, gemm_parallel, largest_bits, multiply_scattered, wide};
use crate::parallel::{each, map};
use crate::scalar::{Kind, Scalar};
use crate::tensor::{Step, permuted};

/// Multiplications below which a plain loop is faster than a call to BLAS.
const TINY: usize = 256;
/// Results whose largest element is within these powers of two are left as they are.
pub(super) const COMFORTABLE: i32 = 24;
/// Elements up to which a copy is made by plain loops.
const SMALL: usize = 256;
/// Multiplications, or elements moved, from which a step without a large matrix is spread over threads.
const SPREAD: usize = 1 << 19;
/// Pieces into which such a step is cut, whatever the number of threads.
const PIECES: usize = 8;
/// Rows of such a piece, if there are so many.
const LINES: usize = 32;

/// The memory that the steps of a slice see.
pub(super) struct Memory<'a, T> {
    pub leaves: &'a [&'a [T]],
    pub kept: &'a [T],
    pub work: &'a mut [T],
    /// The values of the sliced indices.
    pub slice: &'a [usize],
    /// For each value the power of two by which it is to be multiplied.
    pub exponents: &'a mut [i64],
}

impl<T: Scalar> Memory<'_, T> {
    /// All that is done for a slice.
    pub(super) fn slice(&mut self, compiled: &Compiled) -> Result<()> {
        if !compiled.branches.is_empty() {
            self.branches(&compiled.branches, compiled.leaves)?;
        }
        self.run(&compiled.body, compiled.leaves)
    }

    /// Branches at once, each in its stretch of the memory.
    fn branches(&mut self, branches: &[Branch], leaves: usize) -> Result<()> {
        let Memory { leaves: elements, kept, slice, exponents, .. } = self;
        let (elements, kept, slice, before) = (*elements, *kept, *slice, &**exponents);
        let mut rest = &mut *self.work;
        let mut tasks = Vec::with_capacity(branches.len());
        for branch in branches {
            let (own, behind) = std::mem::take(&mut rest).split_at_mut_checked(branch.len).ok_or_else(misplaced)?;
            rest = behind;
            tasks.push((branch, own));
        }
        let found = map(tasks, |(branch, work)| -> Result<i64> {
            let mut exponents = before.to_vec();
            Memory { leaves: elements, kept, work, slice, exponents: &mut exponents }.run(&branch.actions, leaves)?;
            Ok(exponents.get(branch.value).copied().unwrap_or_default())
        });
        for (branch, found) in branches.iter().zip(found) {
            let found = found?;
            if let Some(exponent) = self.exponents.get_mut(branch.value) {
                *exponent = found;
            }
        }
        Ok(())
    }

    pub(super) fn run(&mut self, actions: &[Action], leaves: usize) -> Result<()> {
        for action in actions {
            match action {
                Action::Gather(gather) => self.gather(gather)?,
                Action::Product(product) => self.product(product, leaves)?,
            }
        }
        Ok(())
    }

    fn gather(&mut self, gather: &Gather) -> Result<()> {
        let shift = gather.from.shift(self.slice);
        let (from, out) = match gather.from.home {
            Home::Work(at) => {
                let (out, from, _) = split(self.work, gather.to, gather.len, Some(at..at + gather.from.len), None)?;
                (from.unwrap_or_default(), out)
            }
            Home::Leaf(leaf) => {
                let out = split(self.work, gather.to, gather.len, None, None)?.0;
                (self.leaves.get(leaf).copied().ok_or_else(misplaced)?, out)
            }
            Home::Kept(at) => {
                let out = split(self.work, gather.to, gather.len, None, None)?.0;
                (self.kept.get(at..at + gather.from.len).ok_or_else(misplaced)?, out)
            }
        };
        let from = from.get(shift..).ok_or_else(misplaced)?;
        if gather.sums.is_empty() {
            copy(from, &gather.loops, out);
        } else {
            let mut slots = out.iter_mut();
            runs(&gather.loops, 0, &mut |at| {
                let mut sum = T::zero();
                runs(&gather.sums, at, &mut |at| sum += from[at]);
                if let Some(slot) = slots.next() {
                    *slot = sum;
                }
            });
        }
        Ok(())
    }

    fn product(&mut self, product: &Product, leaves: usize) -> Result<()> {
        let (left_shift, right_shift) = (product.left.shift(self.slice), product.right.shift(self.slice));
        let range = |source: &Source| match source.home {
            Home::Work(at) => Some(at..at + source.len),
            _ => None,
        };
        let (left, right) = (range(&product.left), range(&product.right));
        let (out, in_left, in_right) = split(self.work, product.to, product.len, left, right)?;
        let (leaf, kept) = (self.leaves, self.kept);
        let elsewhere = |source: &Source| match source.home {
            Home::Leaf(number) => leaf.get(number).copied(),
            Home::Kept(at) => kept.get(at..at + source.len),
            Home::Work(_) => None,
        };
        let left = in_left.or_else(|| elsewhere(&product.left)).and_then(|a| a.get(left_shift..));
        let right = in_right.or_else(|| elsewhere(&product.right)).and_then(|b| b.get(right_shift..));
        let (Some(left), Some(right)) = (left, right) else { return Err(misplaced()) };
        let largest = multiply(product, left, right, out)?;
        let (l, r, value) = product.values;
        let power = rescale_from(out, largest).ok_or_else(|| Error::NotFinite {
            what: format!("the result of step {} of a contraction", value.saturating_sub(leaves)),
        })?;
        self.exponents[value] = self.exponents[l] + self.exponents[r] + power;
        Ok(())
    }
}

impl Source {
    /// How far behind its place it begins, for these values of the sliced indices.
    fn shift(&self, slice: &[usize]) -> usize {
        self.shifts.iter().map(|&(slot, stride)| slice.get(slot).map_or(0, |value| value * stride)).sum()
    }

    /// The elements.
    pub(super) fn within<'a, T>(
        &self,
        leaves: &[&'a [T]],
        kept: &'a [T],
        work: &'a [T],
        slice: &[usize],
    ) -> Result<&'a [T]> {
        let whole = match self.home {
            Home::Leaf(leaf) => leaves.get(leaf).copied(),
            Home::Kept(at) => kept.get(at..at + self.len),
            Home::Work(at) => work.get(at..at + self.len),
        };
        whole.and_then(|whole| whole.get(self.shift(slice)..)).ok_or_else(misplaced)
    }
}

fn misplaced() -> Error {
    Error::Shape {
        what: "the memory of a contraction".into(),
        found: "tensors of other sizes".into(),
        expected: "those of the plan".into(),
    }
}

type Parts<'a, T> = (&'a mut [T], Option<&'a [T]>, Option<&'a [T]>);

/// The place of a result and what is read, all in one stretch of memory.
fn split<T>(
    work: &mut [T],
    to: Home,
    len: usize,
    left: Option<Range<usize>>,
    right: Option<Range<usize>>,
) -> Result<Parts<'_, T>> {
    let Home::Work(at) = to else { return Err(misplaced()) };
    let out = at..at + len;
    let parts: Option<Parts<'_, T>> = match (left, right) {
        (None, None) => work.get_mut(out).map(|out| (out, None, None)),
        (Some(left), None) => work.get_disjoint_mut([out, left]).ok().map(|[out, left]| (out, Some(&*left), None)),
        (None, Some(right)) => work.get_disjoint_mut([out, right]).ok().map(|[out, right]| (out, None, Some(&*right))),
        (Some(left), Some(right)) if left == right => work.get_disjoint_mut([out, left]).ok().map(|[out, both]| {
            let both: &[T] = both;
            (out, Some(both), Some(both))
        }),
        (Some(left), Some(right)) => {
            work.get_disjoint_mut([out, left, right]).ok().map(|[out, left, right]| (out, Some(&*left), Some(&*right)))
        }
    };
    parts.ok_or_else(misplaced)
}

/// Calls with the offset of every combination of values, the last index fastest.
fn runs(loops: &[Run], at: usize, f: &mut impl FnMut(usize)) {
    match loops {
        [] => f(at),
        [last] => (0..last.len).for_each(|i| f(at + i * last.stride)),
        [first, rest @ ..] => (0..first.len).for_each(|i| runs_dyn(rest, at + i * first.stride, f)),
    }
}

/// The recursion, kept apart from the loop it ends in.
fn runs_dyn(loops: &[Run], at: usize, f: &mut impl FnMut(usize)) {
    runs(loops, at, f);
}

/// Calls with both offsets of every combination of values, the last index fastest.
#[inline(always)]
fn pairs(loops: &[Both], left: usize, right: usize, f: &mut impl FnMut(usize, usize)) {
    match *loops {
        [] => f(left, right),
        [a] => (0..a.len).for_each(|i| f(left + i * a.left, right + i * a.right)),
        [a, b] => {
            for i in 0..a.len {
                let (left, right) = (left + i * a.left, right + i * a.right);
                (0..b.len).for_each(|j| f(left + j * b.left, right + j * b.right));
            }
        }
        _ => many_pairs(loops, left, right, f),
    }
}

fn many_pairs(loops: &[Both], left: usize, right: usize, f: &mut impl FnMut(usize, usize)) {
    match loops {
        [first, rest @ ..] => {
            (0..first.len).for_each(|i| many_pairs(rest, left + i * first.left, right + i * first.right, f))
        }
        [] => f(left, right),
    }
}

/// Copies elements into the order of the loops.
pub(super) fn copy<T: Scalar>(from: &[T], loops: &[Run], out: &mut [T]) {
    if out.len() <= SMALL {
        let Some((last, outer)) = loops.split_last() else {
            out.iter_mut().zip(from).for_each(|(x, &y)| *x = y);
            return;
        };
        let mut rest = out;
        runs(outer, 0, &mut |at| {
            let (row, below) = std::mem::take(&mut rest).split_at_mut(last.len);
            rest = below;
            if last.stride == 1 {
                row.copy_from_slice(&from[at..at + last.len]);
            } else {
                row.iter_mut().zip(from[at..].iter().step_by(last.stride)).for_each(|(x, &y)| *x = y);
            }
        });
        return;
    }
    let steps = |loops: &[Run]| loops.iter().map(|run| Step { len: run.len, stride: run.stride }).collect::<Vec<_>>();
    match loops.split_first() {
        Some((first, rest)) if out.len() >= SPREAD && first.len > 1 => {
            let below = out.len() / first.len;
            let group = first.len.div_ceil(PIECES);
            let tasks: Vec<_> = out.chunks_mut(group * below).enumerate().collect();
            each(tasks, |(piece, out)| {
                let order = [steps(&[Run { len: out.len() / below, ..*first }]), steps(rest)].concat();
                permuted(&from[piece * group * first.stride..], &order, out);
            });
        }
        _ => permuted(from, &steps(loops), out),
    }
}

/// The products of a step; the largest part of any element of the result, as bits.
fn multiply<T: Scalar>(product: &Product, left: &[T], right: &[T], out: &mut [T]) -> Result<u64> {
    let Product { m, k, n, .. } = *product;
    let each_one = m * k * n;
    // A pile of small products is spread over threads; a large one spreads by itself.
    match product.pile.split_first() {
        Some((first, rest)) if first.len > 1 && out.len().saturating_mul(k) >= SPREAD && each_one < SPREAD => {
            let below = out.len() / first.len;
            let group = first.len.div_ceil(PIECES);
            let tasks: Vec<_> = out.chunks_mut(group * below).enumerate().collect();
            let found = map(tasks, |(piece, out)| {
                let from = piece * group;
                let part: Vec<Both> =
                    std::iter::once(Both { len: out.len() / below, ..*first }).chain(rest.iter().copied()).collect();
                pile(product, &part, &left[from * first.left..], &right[from * first.right..], out)
            });
            found.into_iter().try_fold(0, |largest, found| Ok(largest.max(found?)))
        }
        _ => pile(product, &product.pile, left, right, out),
    }
}

/// One product of factors that are read where they lie, a large one by several threads.
fn scattered<T: Scalar>(product: &Product, shape: &Scattered, left: &[T], right: &[T], out: &mut [T]) -> Result<u64> {
    let conj = product.conj;
    // The slowest index of the result: of the rows, if there is more than one.
    let (by_rows, slowest) = match (shape.rows.first(), shape.cols.first()) {
        (Some(run), _) if run.len > 1 => (true, Some(run)),
        (_, run) => (false, run),
    };
    match slowest.filter(|run| run.len > 1 && out.len().saturating_mul(product.k) >= SPREAD) {
        Some(&run) => {
            let below = out.len() / run.len;
            // Each piece gathers the right factor anew, for rows that are worth it.
            let pieces = if by_rows {
                (shape.rows.iter().map(|run| run.len).product::<usize>() / LINES).clamp(1, PIECES)
            } else {
                PIECES
            };
            let group = run.len.div_ceil(pieces);
            let tasks: Vec<_> = out.chunks_mut(group * below).enumerate().collect();
            let found = map(tasks, |(piece, out)| {
                let part = |runs: &[Run]| {
                    let rest = runs.iter().skip(1).copied();
                    std::iter::once(Run { len: out.len() / below, ..run }).chain(rest).collect()
                };
                let mut shape = shape.clone();
                let at = piece * group * run.stride;
                let (left, right) = if by_rows {
                    shape.rows = part(&shape.rows);
                    (left.get(at..), Some(right))
                } else {
                    shape.cols = part(&shape.cols);
                    (Some(left), right.get(at..))
                };
                multiply_scattered(&shape, left?, right?, conj, out)
            });
            found.into_iter().try_fold(0, |largest, found| Some(largest.max(found?))).ok_or_else(misplaced)
        }
        None => multiply_scattered(shape, left, right, conj, out).ok_or_else(misplaced),
    }
}

/// The products of a pile, one after the other.
fn pile<T: Scalar>(product: &Product, loops: &[Both], left: &[T], right: &[T], out: &mut [T]) -> Result<u64> {
    let Product { m, k, n, .. } = *product;
    if let Some(shape) = &product.scattered {
        let mut blocks = out.chunks_exact_mut(m * n);
        let mut largest = Ok(0);
        pairs(loops, 0, 0, &mut |l, r| {
            let Some(block) = blocks.next() else { return };
            let (Some(a), Some(b)) = (left.get(l..), right.get(r..)) else {
                largest = Err(misplaced());
                return;
            };
            let found = scattered(product, shape, a, b, block);
            match (&mut largest, found) {
                (Ok(largest), Ok(found)) => *largest = (*largest).max(found),
                (_, Err(error)) => largest = Err(error),
                _ => {}
            }
        });
        return largest;
    }
    if m * k * n <= TINY || k == 1 {
        let (cl, cr) = product.conj;
        // Two loops without a test for the conjugate, and one with.
        if T::IS_COMPLEX && (cl || cr) {
            let pick = |conj: bool, x: T| if conj { x.conj() } else { x };
            small(product, loops, left, right, out, |x| pick(cl, x), |y| pick(cr, y));
        } else {
            wide(
                #[inline(always)]
                || small(product, loops, left, right, out, |x| x, |y| y),
            );
        }
        return Ok(largest_bits(out));
    }
    let ((a_rows, a_cols), (b_rows, b_cols)) = (product.left_strides, product.right_strides);
    let op = |conj: bool| if conj { Op::Conj } else { Op::None };
    let mut blocks = out.chunks_exact_mut(m * n);
    pairs(loops, 0, 0, &mut |l, r| {
        let a = ArrayView2::from_shape((m, k).strides((a_rows, a_cols)), &left[l..]);
        let b = ArrayView2::from_shape((k, n).strides((b_rows, b_cols)), &right[r..]);
        let c = blocks.next().and_then(|block| ArrayViewMut2::from_shape((m, n), block).ok());
        if let (Ok(a), Ok(b), Some(mut c)) = (a, b, c) {
            gemm_parallel(T::one(), &a, op(product.conj.0), &b, op(product.conj.1), T::zero(), &mut c);
        }
    });
    Ok(largest_bits(out))
}

/// Products that are too small for BLAS.
#[inline(always)]
fn small<T: Scalar>(
    product: &Product,
    loops: &[Both],
    left: &[T],
    right: &[T],
    out: &mut [T],
    cl: impl Fn(T) -> T + Copy,
    cr: impl Fn(T) -> T + Copy,
) {
    let Product { m, k, n, .. } = *product;
    let ((a_rows, a_cols), (b_rows, b_cols)) = (product.left_strides, product.right_strides);
    if m * k * n == 1 {
        let Some((last, outer)) = loops.split_last() else {
            out[0] = cl(left[0]) * cr(right[0]);
            return;
        };
        let mut lines = out.chunks_exact_mut(last.len);
        pairs(outer, 0, 0, &mut |l, r| {
            let Some(line) = lines.next() else { return };
            if last.left == 1 && last.right == 1 {
                let (a, b) = (&left[l..l + line.len()], &right[r..r + line.len()]);
                for ((x, &a), &b) in line.iter_mut().zip(a).zip(b) {
                    *x = cl(a) * cr(b);
                }
            } else {
                for (i, x) in line.iter_mut().enumerate() {
                    *x = cl(left[l + i * last.left]) * cr(right[r + i * last.right]);
                }
            }
        });
        return;
    }
    let mut blocks = out.chunks_exact_mut(m * n);
    pairs(loops, 0, 0, &mut |l, r| {
        let Some(block) = blocks.next() else { return };
        let (a, b) = (&left[l..], &right[r..]);
        for (i, row) in block.chunks_exact_mut(n).enumerate() {
            let a = &a[i * a_rows..];
            if b_cols == 1 || n == 1 {
                let factor = cl(a[0]);
                row.iter_mut().zip(b).for_each(|(x, &y)| *x = factor * cr(y));
                for p in 1..k {
                    let factor = cl(a[p * a_cols]);
                    row.iter_mut().zip(&b[p * b_rows..]).for_each(|(x, &y)| *x += factor * cr(y));
                }
            } else if k == 1 {
                let factor = cl(a[0]);
                row.iter_mut().enumerate().for_each(|(j, x)| *x = factor * cr(b[j * b_cols]));
            } else {
                // The columns of the right operand are contiguous.
                for (j, x) in row.iter_mut().enumerate() {
                    let b = &b[j * b_cols..];
                    let mut sum = cl(a[0]) * cr(b[0]);
                    for p in 1..k {
                        sum += cl(a[p * a_cols]) * cr(b[p * b_rows]);
                    }
                    *x = sum;
                }
            }
        }
    });
}

/// The power of two of the largest part of any element; `None` if one is not finite.
pub(super) fn largest_power<T: Scalar>(elements: &[T]) -> Option<i32> {
    power_of::<T>(largest_bits(elements))
}

/// The power of two of a number given by its bits without the sign, zero for zero; `None` if it is not finite.
fn power_of<T: Scalar>(bits: u64) -> Option<i32> {
    let single = matches!(T::KIND, Kind::F32 | Kind::C32);
    let (exponent, infinite) = if single { (bits >> 23, 0xff) } else { (bits >> 52, 0x7ff) };
    match exponent {
        // Zero, or below the normal range.
        0 if bits == 0 => Some(0),
        0 => {
            let value = if single { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) };
            Some(value.log2().floor() as i32)
        }
        exponent if exponent >= infinite => None,
        exponent => Some(exponent as i32 - (infinite as i32 >> 1)),
    }
}

/// Brings the largest element near one, unless it is near enough; the power of two that was taken out, or `None` if an
/// element is not finite.
pub(super) fn rescale<T: Scalar>(elements: &mut [T]) -> Option<i64> {
    let largest = largest_bits(elements);
    rescale_from(elements, largest)
}

/// [`rescale`] for elements of which the largest is known.
fn rescale_from<T: Scalar>(elements: &mut [T], largest: u64) -> Option<i64> {
    let power = power_of::<T>(largest)?;
    if power.abs() <= COMFORTABLE {
        return Some(0);
    }
    scale_down(elements, power);
    Some(i64::from(power))
}

/// Divides by a power of two.
pub(super) fn scale_down<T: Scalar>(elements: &mut [T], power: i32) {
    // In two steps: the inverse of a power near the end of the range is none.
    let half = T::from_f64(f64::from(-power / 2).exp2());
    let rest = T::from_f64(f64::from(-power + power / 2).exp2());
    elements.iter_mut().for_each(|x| *x = *x * half * rest);
}
