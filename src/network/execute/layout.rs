//! A program with its memory: the order of the axes of every value, the matrices that every step reads, and the place of
//! every block in one stretch of memory.
//!
//! The axes of a value lie in the order in which they go: those that live longest run slowest, those that the next step
//! sums over run fastest, so that the next step finds its matrix where it stands. Of the two orders of a product (rows
//! first or columns first) the one is taken in which the reader's groups are split less.

use super::arena::{Block, assign};
use super::program::Program;
use crate::linalg::{LONGEST, Run, Scattered};
use crate::scalar::Kind;

/// An index of a value and how far its values lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    index: usize,
    stride: usize,
}

/// A loop over an index of two memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Both {
    pub len: usize,
    pub left: usize,
    pub right: usize,
}

/// Where a block of elements is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// The memory of a leaf.
    Leaf(usize),
    /// What is computed once for all slices.
    Kept(usize),
    /// The memory of a slice.
    Work(usize),
}

/// Elements to be read: where they are, and how far they begin after it for each sliced index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub home: Home,
    pub len: usize,
    /// The number of the sliced index, and its stride.
    pub shifts: Vec<(usize, usize)>,
}

/// Copies elements into another order, summing over some indices.
#[derive(Debug, Clone)]
pub(super) struct Gather {
    pub from: Source,
    pub to: Home,
    pub len: usize,
    /// The first slowest.
    pub loops: Vec<Run>,
    pub sums: Vec<Run>,
}

/// A pile of matrix products `[m, k] x [k, n]`, one for each value of the loops; the results lie one after the other.
#[derive(Debug, Clone)]
pub(super) struct Product {
    pub left: Source,
    pub right: Source,
    pub conj: (bool, bool),
    pub to: Home,
    pub len: usize,
    pub pile: Vec<Both>,
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub left_strides: (usize, usize),
    pub right_strides: (usize, usize),
    /// Where the elements are, if the factors are read where they lie.
    pub scattered: Option<Box<Scattered>>,
    /// The values, for their exponents.
    pub values: (usize, usize, usize),
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    Gather(Gather),
    Product(Product),
}

/// A result: where it is, and its indices as they lie in memory, slowest first, those of dimension one left out.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub value: usize,
    pub source: Source,
    pub order: Vec<usize>,
    /// How its elements are read in the order in which its indices were given.
    pub loops: Vec<Run>,
}

/// A program ready to be run.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(super) values: usize,
    pub(super) leaves: usize,
    /// What is done once.
    pub(super) before: Vec<Action>,
    /// What is done for each slice.
    pub(super) body: Vec<Action>,
    pub(super) outputs: Vec<Output>,
    /// Elements that are kept over all slices, those that are alive while they are made, and those of one slice.
    pub(super) kept: u64,
    pub(super) making: u64,
    pub(super) work: u64,
    /// Multiplications of one slice.
    pub(super) flops: f64,
    /// The dimensions of the sliced indices.
    pub(super) sliced: Vec<u64>,
    /// Whether everything fits into numbers of this machine.
    pub(super) fits: bool,
}

const NEVER: usize = usize::MAX;

/// What an index is at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Kept,
    Summed,
    Free,
    /// On one operand alone and not on the result.
    Lone,
}

/// A value while the program is laid out.
#[derive(Debug, Clone)]
struct Laid {
    axes: Vec<Axis>,
    shifts: Vec<(usize, usize)>,
    /// The block, or `None` for a leaf where it stands.
    block: Option<usize>,
    len: u64,
}

/// A block with the list of actions to which it belongs.
#[derive(Debug, Clone, Copy)]
struct Room {
    len: u64,
    once: bool,
    birth: usize,
    death: usize,
    /// Made once and read in every slice.
    kept: bool,
}

/// An operand as a step reads it.
struct Reading {
    pile: Vec<usize>,
    rows: Run,
    cols: Run,
}

/// An operand as a step reads it that needs no matrix.
struct Loose {
    pile: Vec<usize>,
    rows: Vec<Run>,
    cols: Vec<Run>,
}

struct Layout<'a> {
    program: &'a Program,
    dims: Vec<u64>,
    slot_dims: Vec<u64>,
    hoist: bool,
    /// Whether a value depends on a sliced index.
    varies: Vec<bool>,
    /// For each value the step at which each of its indices goes, in the order of its list.
    closes: Vec<Vec<usize>>,
    /// The first step that reads a value.
    reader: Vec<usize>,
    laid: Vec<Laid>,
    rooms: Vec<Room>,
    before: Vec<(Draft, bool)>,
    body: Vec<(Draft, bool)>,
    fits: bool,
}

/// An action whose places are blocks still.
#[derive(Debug, Clone)]
enum Draft {
    Gather { from: Spot, to: usize, loops: Vec<Run>, sums: Vec<Run>, len: u64 },
    Product { left: Spot, right: Spot, to: usize, product: Box<Product> },
}

#[derive(Debug, Clone)]
struct Spot {
    /// A block, or a leaf.
    block: Option<usize>,
    leaf: usize,
    len: u64,
    shifts: Vec<(usize, usize)>,
}

impl Compiled {
    pub(super) fn new(program: &Program, sliced: &[usize], hoist: bool) -> Self {
        let hoist = hoist && !sliced.is_empty();
        let mut layout = Layout::new(program, sliced, hoist);
        let mut flops = 0.0;
        for step in 0..program.steps.len() {
            flops += layout.step(step);
        }
        layout.finish(sliced, flops)
    }

    /// Number of slices; `u64::MAX` if there are more.
    pub(crate) fn slices(&self) -> u64 {
        self.sliced.iter().fold(1, |product, &dim| product.saturating_mul(dim))
    }

    /// Elements alive at once when one slice is done after the other, beside the leaves; `u64::MAX` if there are more.
    pub(crate) fn peak(&self) -> u64 {
        if !self.fits {
            return u64::MAX;
        }
        self.making.max(self.kept.saturating_add(self.work))
    }

    /// Bytes alive at once for one run, beside the leaves.
    #[allow(dead_code)]
    pub(crate) fn peak_bytes(&self, kind: Kind) -> u64 {
        self.peak().saturating_mul(kind.bytes() as u64)
    }
}

fn product_of(dims: &[u64], indices: impl IntoIterator<Item = usize>) -> u64 {
    indices.into_iter().fold(1_u64, |product, i| product.saturating_mul(dims[i]))
}

/// Loops, the first slowest, with neighbours that memory lets count as one put together.
fn merged(loops: impl IntoIterator<Item = Run>) -> Vec<Run> {
    let mut merged: Vec<Run> = Vec::new();
    for run in loops {
        match merged.last_mut() {
            Some(last) if last.stride == run.len.saturating_mul(run.stride) => {
                *last = Run { len: last.len.saturating_mul(run.len), ..run };
            }
            _ => merged.push(run),
        }
    }
    merged
}

/// The places of all values of some indices.
fn places(loops: &[Run]) -> Vec<usize> {
    loops.iter().fold(vec![0], |places, run| {
        places.iter().flat_map(|&at| (0..run.len).map(move |i| at + i * run.stride)).collect()
    })
}

/// Multiplications up to which a product is not worth the preparations of BLAS.
const LIGHT: usize = 1 << 20;
/// Multiplications up to which those of a pile are plain loops.
const PILED: usize = 64;
/// Multiplications from which a product with a vector goes through a matrix in the order of memory.
const LONG: usize = 1 << 12;
/// The least dimension up to which to copy a factor costs more than BLAS gains.
const COPIED: usize = 64;
/// The least dimension up to which a product is bound by memory.
const THIN: usize = 16;

/// Whether a product reads its factors where they lie, whatever the order; else they are matrices for BLAS.
fn loosely(m: usize, k: usize, n: usize, piled: bool, as_matrices: impl Fn() -> bool) -> bool {
    let work = m.saturating_mul(k).saturating_mul(n);
    if k > LONGEST || work == usize::MAX || (piled && work <= PILED) {
        return false;
    }
    if m.min(n) == 1 && work > LONG {
        return !as_matrices();
    }
    work <= LIGHT || k <= THIN || m.min(n) <= THIN || (m.min(n).min(2 * k) <= COPIED && !as_matrices())
}

impl<'a> Layout<'a> {
    fn new(program: &'a Program, sliced: &[usize], hoist: bool) -> Self {
        let count = program.values.len();
        let mut dims = program.dims.clone();
        let mut varies: Vec<bool> =
            program.values[..program.leaves].iter().map(|leaf| leaf.iter().any(|i| sliced.contains(i))).collect();
        for pair in &program.steps {
            varies.push(varies[pair.left.value] || varies[pair.right.value]);
        }
        if !hoist {
            varies.fill(true);
        }
        let mut fits = true;
        let mut laid = Vec::with_capacity(count);
        for leaf in &program.values[..program.leaves] {
            let mut stride = 1_u64;
            let (mut axes, mut shifts) = (Vec::with_capacity(leaf.len()), Vec::new());
            for &index in leaf.iter().rev() {
                let step = usize::try_from(stride).unwrap_or(usize::MAX);
                match sliced.iter().position(|&s| s == index) {
                    Some(slot) => shifts.push((slot, step)),
                    None if dims[index] > 1 => axes.push(Axis { index, stride: step }),
                    None => {}
                }
                stride = stride.saturating_mul(dims[index]);
            }
            axes.reverse();
            fits &= stride < isize::MAX as u64;
            laid.push(Laid { axes, shifts, block: None, len: stride });
        }
        sliced.iter().for_each(|&i| dims[i] = 1);
        let mut reader = vec![NEVER; count];
        let mut closes: Vec<Vec<usize>> = program.values.iter().map(|value| vec![NEVER; value.len()]).collect();
        let mut at = vec![NEVER; dims.len()];
        for (step, pair) in program.steps.iter().enumerate().rev() {
            let out = program.leaves + step;
            program.values[out].iter().zip(&closes[out]).for_each(|(&i, &close)| at[i] = close);
            let on_out = |i: usize| program.values[out].contains(&i);
            for value in [pair.left.value, pair.right.value] {
                reader[value] = step;
                let list = &program.values[value];
                for (place, &i) in list.iter().enumerate() {
                    closes[value][place] = if on_out(i) { at[i] } else { step };
                }
            }
        }
        Layout {
            program,
            slot_dims: sliced.iter().map(|&i| program.dims[i]).collect(),
            dims,
            hoist,
            varies,
            closes,
            reader,
            laid,
            rooms: Vec::new(),
            before: Vec::new(),
            body: Vec::new(),
            fits,
        }
    }

    /// Lays out one step; its multiplications, if it is done in every slice.
    fn step(&mut self, step: usize) -> f64 {
        let pair = self.program.steps[step].clone();
        let out = self.program.leaves + step;
        let (mut left, mut right) = (pair.left, pair.right);
        let class = |on: &[usize], other: &[usize]| -> Vec<(usize, Class)> {
            let result = &self.program.values[out];
            let class = |&i: &usize| match (other.contains(&i), result.contains(&i)) {
                (true, true) => (i, Class::Kept),
                (true, false) => (i, Class::Summed),
                (false, true) => (i, Class::Free),
                (false, false) => (i, Class::Lone),
            };
            on.iter().filter(|&&i| self.dims[i] > 1).map(class).collect()
        };
        let values = &self.program.values;
        let mut classes =
            [class(&values[left.value], &values[right.value]), class(&values[right.value], &values[left.value])];
        // Which of the two free groups comes first in the result: what the reader sums is to be last.
        if self.better_swapped(step, &classes) {
            std::mem::swap(&mut left, &mut right);
            classes.swap(0, 1);
        }
        let group = |this: &Self, side: usize, value: usize, class: Class| -> Vec<usize> {
            let of = |i: usize| classes[side].iter().any(|&(j, c)| i == j && c == class);
            this.laid[value].axes.iter().map(|axis| axis.index).filter(|&i| of(i)).collect()
        };
        let lone: [Vec<usize>; 2] = [group(self, 0, left.value, Class::Lone), group(self, 1, right.value, Class::Lone)];
        let mut frees = [group(self, 0, left.value, Class::Free), group(self, 1, right.value, Class::Free)];
        // A leaf is put into the order that serves the steps to come, unless it is far larger than the result.
        let size = product_of(&self.dims, self.program.values[out].iter().copied());
        let small_leaf =
            |this: &Self, value: usize| value < this.program.leaves && this.laid_len(value) <= size.saturating_mul(4);
        for (free, value) in frees.iter_mut().zip([left.value, right.value]) {
            if small_leaf(self, value) {
                self.sort(value, free);
            }
        }
        // The order of the indices that both have, as one of the two has them: the one for which less is copied.
        let mut pile = group(self, 0, left.value, Class::Kept);
        self.sort(left.value, &mut pile);
        let mut best: Option<(u64, Vec<usize>)> = None;
        for summed in [group(self, 0, left.value, Class::Summed), group(self, 1, right.value, Class::Summed)] {
            let mut cost = 0_u64;
            if !lone[0].is_empty() || self.read(left.value, &[], &frees[0], &summed).is_none() {
                cost = cost.saturating_add(self.laid_len(left.value));
            }
            if !lone[1].is_empty() || self.read(right.value, &[], &summed, &frees[1]).is_none() {
                cost = cost.saturating_add(self.laid_len(right.value));
            }
            if best.as_ref().is_none_or(|best| cost < best.0) {
                best = Some((cost, summed));
            }
        }
        let summed = best.map(|best| best.1).unwrap_or_default();
        if self.read(left.value, &[], &frees[0], &summed).is_none() {
            self.sort(left.value, &mut frees[0]);
        }
        if self.read(right.value, &[], &summed, &frees[1]).is_none() {
            self.sort(right.value, &mut frees[1]);
        }
        let once = self.hoist && !self.varies[out];
        let length = |indices: &[usize]| indices.iter().fold(1_usize, |n, &i| n.saturating_mul(self.len_of(i)));
        let (m, k, n) = (length(&frees[0]), length(&summed), length(&frees[1]));
        let as_matrices = |this: &Self| {
            this.read(left.value, &pile, &frees[0], &summed).is_some()
                && this.read(right.value, &pile, &summed, &frees[1]).is_some()
        };
        let loose = loosely(m, k, n, !pile.is_empty(), || as_matrices(self));
        let left_spot;
        let right_spot;
        let (left_pile, right_pile);
        let (mut left_strides, mut right_strides) = ((0, 0), (0, 0));
        let mut scattered = None;
        if loose {
            let (spot, a) = self.loose(left.value, &pile, &frees[0], &summed, &lone[0], once);
            left_spot = spot;
            let (spot, b) = self.loose(right.value, &pile, &summed, &frees[1], &lone[1], once);
            right_spot = spot;
            (left_pile, right_pile) = (a.pile, b.pile);
            // A vector is made along its elements, whichever factor they come from.
            let (rows, left, right, cols) =
                if n == 1 { (b.cols, b.rows, a.cols, a.rows) } else { (a.rows, a.cols, b.rows, b.cols) };
            let shape = Scattered { rows, cols, left: places(&left), right: places(&right) };
            scattered = Some(Box::new(shape));
        } else {
            let (spot, a) = self.ready(left.value, &pile, &frees[0], &summed, &lone[0], once);
            left_spot = spot;
            let (spot, b) = self.ready(right.value, &pile, &summed, &frees[1], &lone[1], once);
            right_spot = spot;
            (left_pile, right_pile) = (a.pile, b.pile);
            left_strides = (a.rows.stride, a.cols.stride);
            right_strides = (b.rows.stride, b.cols.stride);
        }
        let turned = loose && n == 1;
        let order: Vec<usize> = [pile.as_slice(), &frees[0], &frees[1]].concat();
        let len = product_of(&self.dims, order.iter().copied());
        self.fits &= len < isize::MAX as u64;
        let block = self.room(len, once);
        let mut below = 1_usize;
        let mut axes: Vec<Axis> = Vec::with_capacity(order.len());
        for &index in order.iter().rev() {
            axes.push(Axis { index, stride: below });
            below = below.saturating_mul(self.len_of(index));
        }
        axes.reverse();
        self.laid.push(Laid { axes, shifts: Vec::new(), block: Some(block), len });
        let mut loops: Vec<Both> = Vec::new();
        for (place, &i) in pile.iter().enumerate() {
            let next = Both { len: self.len_of(i), left: left_pile[place], right: right_pile[place] };
            match loops.last_mut() {
                Some(last)
                    if last.left == next.left.saturating_mul(next.len)
                        && last.right == next.right.saturating_mul(next.len) =>
                {
                    *last = Both { len: last.len.saturating_mul(next.len), ..next };
                }
                _ => loops.push(next),
            }
        }
        let (mut left_spot, mut right_spot) = (left_spot, right_spot);
        if turned {
            std::mem::swap(&mut left, &mut right);
            std::mem::swap(&mut left_spot, &mut right_spot);
            loops.iter_mut().for_each(|run| std::mem::swap(&mut run.left, &mut run.right));
        }
        let product = Product {
            left: NOWHERE,
            right: NOWHERE,
            conj: (left.conj, right.conj),
            to: Home::Work(0),
            len: usize::try_from(len).unwrap_or(usize::MAX),
            pile: loops,
            m,
            k,
            n,
            left_strides,
            right_strides,
            scattered,
            values: (left.value, right.value, out),
        };
        let draft = Draft::Product { left: left_spot, right: right_spot, to: block, product: Box::new(product) };
        self.act(draft, once);
        if once { 0.0 } else { len as f64 * k as f64 }
    }

    fn len_of(&self, index: usize) -> usize {
        usize::try_from(self.dims[index]).unwrap_or(usize::MAX)
    }

    fn laid_len(&self, value: usize) -> u64 {
        product_of(&self.dims, self.laid[value].axes.iter().map(|axis| axis.index))
    }

    /// Puts indices of a value in the order in which they go, the last to go first.
    fn sort(&self, value: usize, indices: &mut [usize]) {
        let list = &self.program.values[value];
        let closes = &self.closes[value];
        let key = |i: usize| list.iter().position(|&j| i == j).map_or(0, |place| closes[place]);
        indices.sort_by_key(|&i| (std::cmp::Reverse(key(i)), i));
    }

    /// Whether the free indices of the right operand are to come before those of the left in the result.
    fn better_swapped(&self, step: usize, classes: &[Vec<(usize, Class)>; 2]) -> bool {
        let out = self.program.leaves + step;
        let reader = self.reader[out];
        let closes = |i: usize| {
            let place = self.program.values[out].iter().position(|&j| i == j);
            place.map_or(NEVER, |place| self.closes[out][place])
        };
        if reader == NEVER {
            // The order that was asked for.
            let first = self.program.values[out].iter().find_map(|i| {
                let on = |side: usize| classes[side].iter().any(|&(j, c)| j == *i && c == Class::Free);
                if on(0) { Some(false) } else { on(1).then_some(true) }
            });
            return first.unwrap_or(false);
        }
        let sums = |side: usize| {
            let free = classes[side].iter().filter(|(_, class)| *class == Class::Free).map(|free| free.0);
            let (mut summed, mut left) = (0.0, 0.0);
            for i in free {
                let log = (self.dims[i] as f64).ln();
                if closes(i) == reader { summed += log } else { left += log }
            }
            (summed, left)
        };
        let ((left_sums, left_stays), (right_sums, right_stays)) = (sums(0), sums(1));
        // [stays | sums] with one side pure in either way is read in place.
        let in_order = left_sums == 0.0 || right_stays == 0.0;
        let swapped = right_sums == 0.0 || left_stays == 0.0;
        if in_order != swapped { swapped } else { left_sums - left_stays > right_sums - right_stays }
    }

    /// How memory holds a value as matrices, if it does.
    fn read(&self, value: usize, pile: &[usize], rows: &[usize], cols: &[usize]) -> Option<Reading> {
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
    fn ready(
        &mut self,
        value: usize,
        pile: &[usize],
        rows: &[usize],
        cols: &[usize],
        lone: &[usize],
        once: bool,
    ) -> (Spot, Reading) {
        let laid = self.laid[value].clone();
        let leaf = value.min(self.program.leaves);
        if lone.is_empty()
            && let Some(reading) = self.read(value, pile, rows, cols)
        {
            let spot = Spot { block: laid.block, leaf, len: laid.len, shifts: laid.shifts };
            if let Some(block) = laid.block {
                self.touch(block, once);
            }
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
        if let Some(block) = laid.block {
            self.touch(block, here);
        }
        let from = Spot { block: laid.block, leaf, len: laid.len, shifts: from_shifts };
        self.act(Draft::Gather { from, to, loops, sums, len }, here);
        self.touch(to, once);
        (Spot { block: Some(to), leaf, len, shifts: new_shifts }, reading)
    }

    /// An operand whose elements are read where they lie, copied only where indices are summed on it alone.
    fn loose(
        &mut self,
        value: usize,
        pile: &[usize],
        rows: &[usize],
        cols: &[usize],
        lone: &[usize],
        once: bool,
    ) -> (Spot, Loose) {
        if !lone.is_empty() {
            let (spot, reading) = self.ready(value, pile, rows, cols, lone, once);
            return (spot, Loose { pile: reading.pile, rows: vec![reading.rows], cols: vec![reading.cols] });
        }
        let laid = self.laid[value].clone();
        let stride = |i: usize| laid.axes.iter().find(|axis| axis.index == i).map_or(1, |axis| axis.stride);
        let runs = |indices: &[usize]| merged(indices.iter().map(|&i| Run { len: self.len_of(i), stride: stride(i) }));
        let reading = Loose { pile: pile.iter().map(|&i| stride(i)).collect(), rows: runs(rows), cols: runs(cols) };
        if let Some(block) = laid.block {
            self.touch(block, once);
        }
        let leaf = value.min(self.program.leaves);
        (Spot { block: laid.block, leaf, len: laid.len, shifts: laid.shifts }, reading)
    }

    fn now(&self, once: bool) -> usize {
        if once { self.before.len() } else { self.body.len() }
    }

    fn room(&mut self, len: u64, once: bool) -> usize {
        let now = self.now(once);
        self.rooms.push(Room { len, once, birth: now, death: now, kept: false });
        self.rooms.len() - 1
    }

    /// A block is read by the action that comes next in a list.
    fn touch(&mut self, block: usize, once: bool) {
        let now = self.now(once);
        let room = &mut self.rooms[block];
        if room.once && !once {
            room.kept = true;
        } else {
            room.death = room.death.max(now);
        }
    }

    fn act(&mut self, draft: Draft, once: bool) {
        // What was read or made by this action lives until it is done.
        let blocks: Vec<usize> = match &draft {
            Draft::Gather { from, to, .. } => from.block.into_iter().chain([*to]).collect(),
            Draft::Product { left, right, to, .. } => left.block.into_iter().chain(right.block).chain([*to]).collect(),
        };
        for block in blocks {
            self.touch(block, once);
        }
        if once { self.before.push((draft, true)) } else { self.body.push((draft, false)) }
    }

    fn finish(mut self, sliced: &[usize], flops: f64) -> Compiled {
        let end = self.body.len();
        for &value in &self.program.outputs {
            if let Some(block) = self.laid[value].block {
                let room = &mut self.rooms[block];
                if room.once { room.kept = true } else { room.death = end }
            }
        }
        // What is kept comes first, one block after the other.
        let mut places = vec![0_u64; self.rooms.len()];
        let mut kept = 0_u64;
        for (place, room) in places.iter_mut().zip(&self.rooms).filter(|(_, room)| room.kept) {
            *place = kept;
            kept = kept.saturating_add(room.len);
        }
        let single = match self.program.outputs[..] {
            [value] => self.laid[value].block,
            _ => None,
        };
        let mut region = |once: bool| {
            let members: Vec<usize> =
                (0..self.rooms.len()).filter(|&b| self.rooms[b].once == once && !self.rooms[b].kept).collect();
            let blocks: Vec<Block> = members
                .iter()
                .map(|&b| Block { len: self.rooms[b].len, birth: self.rooms[b].birth, death: self.rooms[b].death })
                .collect();
            let first = single.and_then(|block| members.iter().position(|&b| b == block));
            let (found, end) = assign(&blocks, first);
            members.iter().zip(found).for_each(|(&b, place)| places[b] = place);
            end
        };
        let (temporary, work) = (region(true), region(false));
        let making = kept.saturating_add(temporary);
        let fits = self.fits && making < isize::MAX as u64 && work < isize::MAX as u64;
        let number = |x: u64| usize::try_from(x).unwrap_or(usize::MAX);
        // While what is kept is made, all lies in one stretch, what is kept in front.
        let home = |block: usize, once: bool| {
            let room = &self.rooms[block];
            match (room.kept, once) {
                (true, true) => Home::Work(number(places[block])),
                (true, false) => Home::Kept(number(places[block])),
                (false, true) => Home::Work(number(kept.saturating_add(places[block]))),
                (false, false) => Home::Work(number(places[block])),
            }
        };
        let source = |spot: &Spot, once: bool| Source {
            home: spot.block.map_or(Home::Leaf(spot.leaf), |block| home(block, once)),
            len: number(spot.len),
            shifts: spot.shifts.clone(),
        };
        let action = |(draft, once): &(Draft, bool)| match draft {
            Draft::Gather { from, to, loops, sums, len } => Action::Gather(Gather {
                from: source(from, *once),
                to: home(*to, *once),
                len: number(*len),
                loops: loops.clone(),
                sums: sums.clone(),
            }),
            Draft::Product { left, right, to, product } => Action::Product(Product {
                left: source(left, *once),
                right: source(right, *once),
                to: home(*to, *once),
                ..(**product).clone()
            }),
        };
        let outputs = self.program.outputs.iter().map(|&value| {
            let laid = &self.laid[value];
            let spot = Spot {
                block: laid.block,
                leaf: value.min(self.program.leaves),
                len: laid.len,
                shifts: laid.shifts.clone(),
            };
            let listed = self.program.values[value].iter();
            let axis = |&i: &usize| laid.axes.iter().find(|axis| axis.index == i);
            let loops = listed.filter_map(axis).map(|axis| Run { len: self.len_of(axis.index), stride: axis.stride });
            Output {
                value,
                source: source(&spot, false),
                order: laid.axes.iter().map(|axis| axis.index).collect(),
                loops: loops.collect(),
            }
        });
        let outputs = outputs.collect();
        Compiled {
            values: self.program.values.len(),
            leaves: self.program.leaves,
            before: self.before.iter().map(action).collect(),
            body: self.body.iter().map(action).collect(),
            outputs,
            kept,
            making,
            work,
            flops,
            sliced: sliced.iter().map(|&i| self.program.dims[i]).collect(),
            fits,
        }
    }
}

const NOWHERE: Source = Source { home: Home::Work(0), len: 0, shifts: Vec::new() };
