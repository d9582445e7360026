//! How memory holds a value as the matrices that a step wants, and the copies where it does not.

use super::layout::{Draft, Layout, Spot, merged, product_of};
use crate::linalg::Run;

/// What a step wants of an operand: for each value of the indices `pile` a matrix of these rows and columns, summed over the
/// indices `lone`; and whether the step is done once for all slices.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub pile: &'a [usize],
    pub rows: &'a [usize],
    pub cols: &'a [usize],
    pub lone: &'a [usize],
    pub once: bool,
}

/// An operand as a step reads it.
pub(super) struct Reading {
    pub pile: Vec<usize>,
    pub rows: Run,
    pub cols: Run,
}

/// An operand as a step reads it that needs no matrix.
pub(super) struct Loose {
    pub pile: Vec<usize>,
    pub rows: Vec<Run>,
    pub cols: Vec<Run>,
}

impl Layout<'_> {
    /// How memory holds a value as matrices, if it does.
    pub fn read(&self, value: usize, pile: &[usize], rows: &[usize], cols: &[usize]) -> Option<Reading> {
        let axes = &self.laid[value].axes;
        let stride = |i: usize| axes.iter().find(|axis| axis.index == i).map_or(1, |axis| axis.stride);
        let fuse = |indices: &[usize]| -> Option<Run> {
            let mut fused = Run { len: 1, stride: 1 };
            for &i in indices {
                let (len, stride) = (self.len_of(i), stride(i));
                if fused.len == 1 {
                    fused = Run { len, stride };
                } else if fused.stride == len.saturating_mul(stride) {
                    fused = Run { len: fused.len.saturating_mul(len), stride };
                } else {
                    return None;
                }
            }
            Some(fused)
        };
        let (rows, cols) = (fuse(rows)?, fuse(cols)?);
        let unit = |run: Run| run.len == 1 || run.stride == 1;
        // BLAS wants unit stride in one direction, and lines that do not overlap in the other.
        if !unit(rows) && !unit(cols) {
            return None;
        }
        Some(Reading { pile: pile.iter().map(|&i| stride(i)).collect(), rows, cols })
    }

    /// An operand as matrices, copied if memory does not hold it so.
    pub fn ready(&mut self, value: usize, wanted: Wanted<'_>) -> (Spot, Reading) {
        let Wanted { pile, rows, cols, lone, once } = wanted;
        let laid = self.laid[value].clone();
        let leaf = value.min(self.program.leaves);
        if lone.is_empty()
            && let Some(reading) = self.read(value, pile, rows, cols)
        {
            let spot = Spot { block: laid.block, leaf, len: laid.len, shifts: laid.shifts };
            return (spot, reading);
        }
        // A leaf, and whatever is the same in all slices, is copied once, with all values of its sliced indices.
        let early = self.hoist && (value < self.program.leaves || !self.varies[value]);
        let here = once || early;
        let stride = |i: usize| laid.axes.iter().find(|axis| axis.index == i).map_or(1, |axis| axis.stride);
        let fastest = |indices: &[usize]| indices.iter().map(|&i| stride(i)).min().unwrap_or(usize::MAX);
        // What runs fastest now runs fastest in the copy.
        let by_rows = fastest(cols) <= fastest(rows);
        let (slow, fast) = if by_rows { (rows, cols) } else { (cols, rows) };
        let mut loops: Vec<Run> = Vec::new();
        let shifts: Vec<(usize, usize)> = if early { laid.shifts.clone() } else { Vec::new() };
        let slot_dims = self.slot_dims.clone();
        let slot_dim = |slot: usize| usize::try_from(slot_dims[slot]).unwrap_or(usize::MAX);
        loops.extend(shifts.iter().map(|&(slot, stride)| Run { len: slot_dim(slot), stride }));
        loops.extend(pile.iter().chain(slow).chain(fast).map(|&i| Run { len: self.len_of(i), stride: stride(i) }));
        let loops = merged(loops);
        let sums = lone.iter().map(|&i| Run { len: self.len_of(i), stride: stride(i) }).collect();
        let len = loops.iter().fold(1_u64, |product, run| product.saturating_mul(run.len as u64));
        self.fits &= len < isize::MAX as u64;
        let count = |indices: &[usize]| usize::try_from(product_of(&self.dims, indices.iter().copied()));
        let (m, n) = (count(rows).unwrap_or(usize::MAX), count(cols).unwrap_or(usize::MAX));
        let mut below = m.saturating_mul(n);
        let mut pile_strides = vec![0; pile.len()];
        for (stride, &i) in pile_strides.iter_mut().zip(pile).rev() {
            *stride = below;
            below = below.saturating_mul(self.len_of(i));
        }
        let mut new_shifts = Vec::with_capacity(shifts.len());
        for &(slot, _) in shifts.iter().rev() {
            new_shifts.push((slot, below));
            below = below.saturating_mul(slot_dim(slot));
        }
        let (row_stride, col_stride) = if by_rows { (n, 1) } else { (1, m) };
        let reading = Reading {
            pile: pile_strides,
            rows: Run { len: m, stride: row_stride.max(1) },
            cols: Run { len: n, stride: col_stride.max(1) },
        };
        let from_shifts = if early { Vec::new() } else { laid.shifts };
        let to = self.room(len, here);
        let from = Spot { block: laid.block, leaf, len: laid.len, shifts: from_shifts };
        self.act(Draft::Gather { from, to, loops, sums, len }, here);
        (Spot { block: Some(to), leaf, len, shifts: new_shifts }, reading)
    }

    /// An operand whose elements are read where they lie, copied only where indices are summed on it alone.
    pub fn loose(&mut self, value: usize, wanted: Wanted<'_>) -> (Spot, Loose) {
        if !wanted.lone.is_empty() {
            let (spot, reading) = self.ready(value, wanted);
            return (spot, Loose { pile: reading.pile, rows: vec![reading.rows], cols: vec![reading.cols] });
        }
        let laid = self.laid[value].clone();
        let stride = |i: usize| laid.axes.iter().find(|axis| axis.index == i).map_or(1, |axis| axis.stride);
        let runs = |indices: &[usize]| merged(indices.iter().map(|&i| Run { len: self.len_of(i), stride: stride(i) }));
        let Wanted { pile, rows, cols, .. } = wanted;
        let reading = Loose { pile: pile.iter().map(|&i| stride(i)).collect(), rows: runs(rows), cols: runs(cols) };
        let leaf = value.min(self.program.leaves);
        (Spot { block: laid.block, leaf, len: laid.len, shifts: laid.shifts }, reading)
    }
}
