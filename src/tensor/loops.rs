//! Loops over the elements of one or two tensors, in the order of memory.

use super::layout::{self, Step, offsets};
use super::leg::Leg;
use super::tensor::Tensor;
use crate::error::Result;
use crate::linalg::wide;
use crate::parallel::each;
use crate::scalar::{Kind, Scalar};

/// Elements that one task of a costly function takes.
const TASK: usize = 1 << 14;
/// Runs below this length are not worth a list of where they are.
const LONG: usize = 64;
/// Elements below which the thread pool is not entered.
const PARALLEL_FROM: usize = 1 << 16;

impl<T: Scalar> Tensor<T> {
    /// Other elements in the places of these, given in the order of memory.
    pub(super) fn with_memory(&self, data: Vec<T>) -> Result<Self> {
        let mut order: Vec<usize> = (0..self.legs.len()).collect();
        layout::sort_by_memory(self, &mut order);
        let legs: Vec<Leg> = order.iter().map(|&axis| self.legs[axis].clone()).collect();
        let tensor = Tensor::from_parts(legs, data)?;
        if order.is_sorted() {
            return Ok(tensor);
        }
        let mut back: Vec<usize> = (0..order.len()).collect();
        back.sort_unstable_by_key(|&place| order[place]);
        Ok(tensor.with_axes(&back))
    }

    /// The axes in the order of memory, and how `small`, whose legs are all legs of `self`, is gone through along them: steps
    /// from run to run, and within a run.
    fn runs_beside(&self, small: &Self) -> (Vec<usize>, Vec<Step>, Step) {
        let strides = self.legs.iter().map(|leg| {
            let axis = small.legs.iter().position(|other| other == leg);
            axis.map_or(0, |axis| small.data.strides()[axis].unsigned_abs())
        });
        let strides: Vec<usize> = strides.collect();
        let mut order: Vec<usize> = (0..self.legs.len()).collect();
        layout::sort_by_memory(self, &mut order);
        // Neighbours in the memory of the larger one, put together where that of the smaller one allows.
        let mut steps: Vec<Step> = Vec::with_capacity(order.len());
        for step in order.iter().map(|&axis| Step { len: self.legs[axis].dim(), stride: strides[axis] }) {
            match steps.last_mut() {
                _ if step.len == 1 => {}
                Some(last) if last.stride == step.len * step.stride => {
                    *last = Step { len: last.len * step.len, stride: step.stride };
                }
                _ => steps.push(step),
            }
        }
        let run = steps.pop().unwrap_or(Step { len: 1, stride: 1 });
        (order, steps, run)
    }

    /// `f` of the elements of `self` and those of `small`, whose legs are all legs of `self`.
    pub(super) fn zip_repeated(&self, small: &Self, f: impl Fn(T, T) -> T + Sync) -> Result<Self> {
        let (order, steps, run) = self.runs_beside(small);
        if run.stride > 1 && small.elements() == self.elements() {
            // The same elements in another order: copied into this one block by block, no line fetched for one element.
            let names: Vec<&Leg> = order.iter().map(|&axis| &self.legs[axis]).collect();
            let axes: Vec<usize> = names.iter().map(|leg| small.axis(leg.name())).collect::<Result<_>>()?;
            let copy = layout::gathered(small, &axes)?;
            return self.with_memory(zipped(self.memory(), &copy, &f));
        }
        let (large, small) = (self.memory(), small.memory());
        let along = |out: &mut [T], row: &[T], at: usize| match run.stride {
            0 => {
                let y = small[at];
                out.iter_mut().zip(row).for_each(|(z, &x)| *z = f(x, y));
            }
            1 => out.iter_mut().zip(row.iter().zip(&small[at..])).for_each(|(z, (&x, &y))| *z = f(x, y)),
            stride => {
                let column = small[at..].iter().step_by(stride);
                out.iter_mut().zip(row.iter().zip(column)).for_each(|(z, (&x, &y))| *z = f(x, y));
            }
        };
        let mut out = vec![T::zero(); large.len()];
        if large.len() < PARALLEL_FROM || run.len < LONG {
            wide(
                #[inline(always)]
                || {
                    let rows = out.chunks_exact_mut(run.len).zip(large.chunks_exact(run.len));
                    rows.zip(starts(&steps)).for_each(|((out, row), at)| along(out, row, at));
                },
            );
            return self.with_memory(out);
        }
        // Several runs to a task, or a long one in pieces.
        let piece = run.len.min(TASK);
        let mut pieces = pieces(&mut out, large, piece, run, &steps);
        let tasks: Vec<_> = pieces.chunks_mut((TASK / piece).max(1)).collect();
        each(tasks, |pieces| {
            wide(
                #[inline(always)]
                || pieces.iter_mut().for_each(|(out, row, at)| along(out, row, *at)),
            );
        });
        self.with_memory(out)
    }

    /// A real function of every element that single precision can compute in double precision, as a loop without
    /// branches; `other` for all other types.
    pub(crate) fn map_single(&self, f: impl Fn(f64) -> f64 + Sync, other: impl Fn(T) -> T) -> Result<Self> {
        if T::KIND != Kind::F32 {
            return Ok(self.map(other));
        }
        let source: &[f32] = bytemuck::cast_slice(self.memory());
        let mut out = vec![T::zero(); source.len()];
        let target: &mut [f32] = bytemuck::cast_slice_mut(&mut out);
        let run = |(out, source): (&mut [f32], &[f32])| {
            wide(
                #[inline(always)]
                || out.iter_mut().zip(source).for_each(|(y, &x)| *y = f(f64::from(x)) as f32),
            );
        };
        if source.len() < PARALLEL_FROM {
            run((target, source));
        } else {
            each(target.chunks_mut(TASK).zip(source.chunks(TASK)).collect(), run);
        }
        self.with_memory(out)
    }
}

/// Where each run begins in the memory of the smaller tensor.
fn starts(steps: &[Step]) -> impl Iterator<Item = usize> + use<> {
    offsets(steps.iter().map(|step| (step.len, step.stride, 0)).collect()).map(|(at, _)| at)
}

/// A piece of a run: where it goes, its elements, and where those beside it begin.
type Piece<'a, T> = (&'a mut [T], &'a [T], usize);

/// Runs in pieces.
fn pieces<'a, T>(out: &'a mut [T], large: &'a [T], piece: usize, run: Step, steps: &[Step]) -> Vec<Piece<'a, T>> {
    let mut pieces = Vec::with_capacity(large.len() / piece + 1);
    let rows = out.chunks_exact_mut(run.len).zip(large.chunks_exact(run.len));
    for ((out, row), at) in rows.zip(starts(steps)) {
        for (i, (out, row)) in out.chunks_mut(piece).zip(row.chunks(piece)).enumerate() {
            pieces.push((out, row, at + i * piece * run.stride));
        }
    }
    pieces
}

/// `f` of two slices of the same length.
#[inline]
fn zipped<T: Scalar>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> Vec<T> {
    wide(
        #[inline(always)]
        || a.iter().zip(b).map(|(&x, &y)| f(x, y)).collect(),
    )
}
