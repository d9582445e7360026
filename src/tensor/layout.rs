//! Memory: how many elements fit, and how the elements of a tensor are read as matrices.

use std::borrow::Cow;

use ndarray::{ArrayView2, ShapeBuilder};

use super::leg::Leg;
use super::permute::permuted;
use super::tensor::{Tensor, describe};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Number of elements of a tensor with these legs; an error if no memory could hold it.
pub(super) fn elements<'a>(legs: impl IntoIterator<Item = &'a Leg>) -> Result<usize> {
    legs.into_iter().try_fold(1_usize, |product, leg| product.checked_mul(leg.dim())).ok_or_else(|| Error::Memory {
        what: "a tensor with so many elements".into(),
        needed: u64::MAX,
        ceiling: isize::MAX as u64,
        way_out: "make its legs smaller or slice them".into(),
    })
}

/// Zeros for a tensor with these legs; an error, not an abort, where the system refuses the memory.
pub(super) fn zeroed<T: Scalar>(legs: &[Leg]) -> Result<Vec<T>> {
    let count = elements(legs)?;
    let mut data = Vec::new();
    if data.try_reserve_exact(count).is_err() {
        return Err(Error::Memory {
            what: format!("tensor {}", describe(legs)),
            needed: (count as u64).saturating_mul(size_of::<T>() as u64),
            ceiling: isize::MAX as u64,
            way_out: "the system refused them: make its legs smaller or slice them".into(),
        });
    }
    data.resize(count, T::zero());
    Ok(data)
}

/// The elements with the axes in another order, the last one running fastest.
pub(super) fn gathered<T: Scalar>(tensor: &Tensor<T>, axes: &[usize]) -> Result<Vec<T>> {
    let mut out = zeroed(&tensor.legs)?;
    permuted(tensor.memory(), &steps(tensor, axes), &mut out);
    Ok(out)
}

/// Length and stride of an axis. The stride of an axis of length 1 means nothing, and is made to pass for one.
fn step<T: Scalar>(tensor: &Tensor<T>, axis: usize) -> Step {
    Step { len: tensor.legs[axis].dim(), stride: tensor.data.strides()[axis].unsigned_abs().max(1) }
}

fn steps<T: Scalar>(tensor: &Tensor<T>, axes: &[usize]) -> Vec<Step> {
    axes.iter().map(|&axis| step(tensor, axis)).collect()
}

/// An index: how many values it takes, and how far in memory they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub len: usize,
    pub stride: usize,
}

/// `steps`, the first slowest, with neighbours that memory lets count as one put together, and those of length 1
/// left out.
pub(super) fn merged(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let mut merged: Vec<Step> = Vec::new();
    for step in steps.into_iter().filter(|step| step.len > 1) {
        match merged.last_mut() {
            Some(last) if last.stride == step.len * step.stride => {
                *last = Step { len: last.len * step.len, stride: step.stride };
            }
            _ => merged.push(step),
        }
    }
    merged
}

/// Several axes read as one index, the first slowest; `None` if memory does not hold them so.
pub(super) fn fused<T: Scalar>(tensor: &Tensor<T>, axes: &[usize]) -> Option<Step> {
    let mut fused = Step { len: 1, stride: 1 };
    for &axis in axes {
        let step = step(tensor, axis);
        if fused.len == 1 {
            fused = step;
        } else if fused.stride == step.len * step.stride {
            fused = Step { len: fused.len * step.len, stride: step.stride };
        } else if step.len > 1 {
            return None;
        }
    }
    Some(fused)
}

/// Puts `axes` into the order of memory, slowest first.
pub(super) fn sort_by_memory<T: Scalar>(tensor: &Tensor<T>, axes: &mut [usize]) {
    let strides = tensor.data.strides();
    axes.sort_by_key(|&axis| std::cmp::Reverse(strides[axis]));
}

/// Rows and columns, if BLAS can read the matrix where it stands: unit stride in one direction.
pub(super) fn in_place<T: Scalar>(tensor: &Tensor<T>, rows: &[usize], cols: &[usize]) -> Option<(Step, Step)> {
    let (rows, cols) = (fused(tensor, rows)?, fused(tensor, cols)?);
    let unit = |step: Step| step.len <= 1 || step.stride == 1;
    (unit(rows) || unit(cols)).then_some((rows, cols))
}

/// A tensor read as a pile of matrices, one for each value of its `pile` axes; copied only where it has to be.
pub(super) struct Matrices<'a, T: Scalar> {
    data: Cow<'a, [T]>,
    pub rows: Step,
    pub cols: Step,
    /// One step for each pile axis.
    pub pile: Vec<Step>,
}

impl<'a, T: Scalar> Matrices<'a, T> {
    pub(super) fn read(tensor: &'a Tensor<T>, pile: &[usize], rows: &[usize], cols: &[usize]) -> Result<Self> {
        if let Some((rows, cols)) = in_place(tensor, rows, cols) {
            return Ok(Matrices { data: Cow::Borrowed(tensor.memory()), rows, cols, pile: steps(tensor, pile) });
        }
        // What runs fastest now runs fastest in the copy as well: whole runs are copied, not single elements.
        let fastest = |axes: &[usize]| {
            let strides = steps(tensor, axes).into_iter().filter(|step| step.len > 1).map(|step| step.stride);
            strides.min().unwrap_or(usize::MAX)
        };
        let by_rows = fastest(cols) <= fastest(rows);
        let (slow, fast) = if by_rows { (rows, cols) } else { (cols, rows) };
        let data = gathered(tensor, &[pile, slow, fast].concat())?;

        let count = |axes: &[usize]| axes.iter().map(|&axis| tensor.legs[axis].dim()).product::<usize>();
        let (row_count, col_count) = (count(rows), count(cols));
        let (row_stride, col_stride) = if by_rows { (col_count, 1) } else { (1, row_count) };
        let mut below = row_count * col_count;
        let mut pile = steps(tensor, pile);
        for step in pile.iter_mut().rev() {
            step.stride = below;
            below *= step.len;
        }
        Ok(Matrices {
            data: Cow::Owned(data),
            rows: Step { len: row_count, stride: row_stride },
            cols: Step { len: col_count, stride: col_stride },
            pile,
        })
    }

    /// The elements from the matrix at `offset` on.
    pub(super) fn from(&self, offset: usize) -> &[T] {
        &self.data[offset..]
    }

    /// The matrix at `offset`, a sum of steps of the pile.
    pub(super) fn at(&self, offset: usize) -> Result<ArrayView2<'_, T>> {
        let (rows, cols) = (self.rows, self.cols);
        let shape = (rows.len, cols.len).strides((rows.stride, cols.stride));
        ArrayView2::from_shape(shape, self.from(offset))
            .map_err(|_| Error::shape("a matrix within a tensor", rows, cols))
    }
}

impl<T: Scalar> Tensor<T> {
    /// The elements in the order of memory.
    pub(crate) fn memory(&self) -> &[T] {
        // A tensor has no gaps, so there always is such a slice.
        self.data.as_slice_memory_order().unwrap_or_default()
    }

    /// The legs in the order of memory, slowest first.
    pub(crate) fn memory_order(&self) -> impl Iterator<Item = &Leg> {
        let mut axes: Vec<usize> = (0..self.legs.len()).collect();
        sort_by_memory(self, &mut axes);
        axes.into_iter().map(|axis| &self.legs[axis])
    }
}

/// Runs over all values of several indices, the last fastest, and yields the sums of their steps in two memories.
pub(super) fn offsets(steps: Vec<(usize, usize, usize)>) -> impl Iterator<Item = (usize, usize)> {
    let mut index = vec![0; steps.len()];
    let mut next = Some((0, 0));
    std::iter::from_fn(move || {
        let now = next?;
        let (mut a, mut b) = now;
        next = None;
        for (value, &(len, step_a, step_b)) in index.iter_mut().zip(&steps).rev() {
            *value += 1;
            a += step_a;
            b += step_b;
            if *value < len {
                next = Some((a, b));
                break;
            }
            a -= step_a * len;
            b -= step_b * len;
            *value = 0;
        }
        Some(now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_elements_than_memory_is_an_error() {
        for dims in [[1 << 40, 1 << 40], [1 << 30, 1 << 31]] {
            let legs = [Leg::site("a", dims[0]), Leg::site("b", dims[1])];
            assert!(matches!(Tensor::<f64>::zeros(legs), Err(Error::Memory { .. })));
        }
    }

    #[test]
    fn axes_are_one_index_where_memory_allows() {
        let legs = [("a", 2), ("b", 1), ("c", 3), ("d", 4)].map(|(name, dim)| Leg::site(name, dim));
        let t = Tensor::<f64>::zeros(legs).unwrap();
        assert_eq!(fused(&t, &[0, 1, 2]), Some(Step { len: 6, stride: 4 }));
        assert_eq!(fused(&t, &[2, 3, 1]), Some(Step { len: 12, stride: 1 }));
        assert_eq!(fused(&t, &[1]), Some(Step { len: 1, stride: 12 }));
        assert_eq!(fused(&t, &[]).map(|s| s.len), Some(1));
        assert_eq!(fused(&t, &[0, 3]), None);
        assert_eq!(fused(&t, &[3, 2]), None);
    }

    #[test]
    fn offsets_run_over_every_index_once() {
        let all: Vec<_> = offsets(vec![(2, 10, 1), (3, 1, 7)]).collect();
        assert_eq!(all, [(0, 0), (1, 7), (2, 14), (10, 1), (11, 8), (12, 15)]);
        assert_eq!(offsets(Vec::new()).collect::<Vec<_>>(), [(0, 0)]);
    }
}
