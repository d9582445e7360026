//! The order of the axes of every value of a program, and the matrices that every step reads.
//!
//! The axes of a value lie in the order in which they go: those that live longest run slowest, those that the next step
//! sums over run fastest, so that the next step finds its matrix where it stands. Of the two orders of a product (rows
//! first or columns first) the one is taken in which the reader's groups are split less.

use super::actions::{Both, Compiled, Home, Product, Source};
use super::program::{Members, Program};
use super::reading::Wanted;
use crate::linalg::{LONGEST, Run, Scattered};

/// An index of a value and how far its values lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    pub index: usize,
    pub stride: usize,
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
pub(super) struct Laid {
    pub axes: Vec<Axis>,
    pub shifts: Vec<(usize, usize)>,
    /// The block, or `None` for a leaf where it stands.
    pub block: Option<usize>,
    pub len: u64,
}

/// A block, and whether it is made once for all slices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub len: u64,
    pub once: bool,
}

pub(super) struct Layout<'a> {
    pub program: &'a Program,
    pub dims: Vec<u64>,
    pub slot_dims: Vec<u64>,
    pub hoist: bool,
    /// Whether a value depends on a sliced index.
    pub varies: Vec<bool>,
    /// For each value the step at which each of its indices goes, in the order of its list.
    closes: Vec<Vec<usize>>,
    /// The first step that reads a value.
    reader: Vec<usize>,
    /// The multiplications of every step that is done in each slice.
    pub flops: Vec<f64>,
    pub laid: Vec<Laid>,
    pub rooms: Vec<Room>,
    pub before: Vec<Draft>,
    /// Each with the step to which it belongs.
    pub body: Vec<(Draft, usize)>,
    pub fits: bool,
}

/// An action whose places are blocks still.
#[derive(Debug, Clone)]
pub(super) enum Draft {
    Gather { from: Spot, to: usize, loops: Vec<Run>, sums: Vec<Run>, len: u64 },
    Product { left: Spot, right: Spot, to: usize, product: Box<Product> },
}

#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// A block, or a leaf.
    pub block: Option<usize>,
    pub leaf: usize,
    pub len: u64,
    pub shifts: Vec<(usize, usize)>,
}

impl Compiled {
    pub(super) fn new(program: &Program, sliced: &[usize], hoist: bool, at_once: bool) -> Self {
        let hoist = hoist && !sliced.is_empty();
        let mut layout = Layout::new(program, sliced, hoist);
        (0..program.steps.len()).for_each(|step| layout.step(step));
        layout.finish(sliced, at_once)
    }
}

pub(super) fn product_of(dims: &[u64], indices: impl IntoIterator<Item = usize>) -> u64 {
    indices.into_iter().fold(1_u64, |product, i| product.saturating_mul(dims[i]))
}

/// Loops, the first slowest, with neighbours that memory lets count as one put together.
pub(super) fn merged(loops: impl IntoIterator<Item = Run>) -> Vec<Run> {
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
            let on_out = Members::of(&program.values[out]);
            for value in [pair.left.value, pair.right.value] {
                reader[value] = step;
                let list = &program.values[value];
                for (place, &i) in list.iter().enumerate() {
                    closes[value][place] = if on_out.has(i) { at[i] } else { step };
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
            flops: Vec::new(),
            before: Vec::new(),
            body: Vec::new(),
            fits,
        }
    }

    fn step(&mut self, step: usize) {
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
        let wanted = [
            Wanted { pile: &pile, rows: &frees[0], cols: &summed, lone: &lone[0], once },
            Wanted { pile: &pile, rows: &summed, cols: &frees[1], lone: &lone[1], once },
        ];
        if loose {
            let (spot, a) = self.loose(left.value, wanted[0]);
            left_spot = spot;
            let (spot, b) = self.loose(right.value, wanted[1]);
            right_spot = spot;
            (left_pile, right_pile) = (a.pile, b.pile);
            // A vector is made along its elements, whichever factor they come from.
            let (rows, left, right, cols) =
                if n == 1 { (b.cols, b.rows, a.cols, a.rows) } else { (a.rows, a.cols, b.rows, b.cols) };
            let shape = Scattered { rows, cols, left: places(&left), right: places(&right) };
            scattered = Some(Box::new(shape));
        } else {
            let (spot, a) = self.ready(left.value, wanted[0]);
            left_spot = spot;
            let (spot, b) = self.ready(right.value, wanted[1]);
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
        self.flops.push(if once { 0.0 } else { len as f64 * k as f64 });
    }

    pub fn len_of(&self, index: usize) -> usize {
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

    pub fn room(&mut self, len: u64, once: bool) -> usize {
        self.rooms.push(Room { len, once });
        self.rooms.len() - 1
    }

    /// The next action, of the step that is being laid out.
    pub fn act(&mut self, draft: Draft, once: bool) {
        if once { self.before.push(draft) } else { self.body.push((draft, self.flops.len())) }
    }
}

const NOWHERE: Source = Source { home: Home::Work(0), len: 0, shifts: Vec::new() };
