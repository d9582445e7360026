//! Which gates are done in one pass over the state.
//!
//! A state beyond the cache is worked at in blocks that fit into it. A block holds all values of some positions: the lowest
//! ones, so that it is made of long runs of memory, and a few others. A pass takes every gate that can be done within such
//! blocks, out of order where gates share no qubit. Controls and diagonal gates need not be within: a block knows the values
//! of the positions it does not hold.

use super::compile::Op;
use super::kernel::{Local, apply};
use crate::parallel;
use crate::scalar::Real;

/// Positions of a block: 2^15 complex numbers in double precision are half a megabyte.
const BLOCK: usize = 15;
/// The lowest of them, which are always there.
const RUN: usize = 10;

/// Whether a state is worked at in more than one block.
pub(super) fn is_large(qubits: usize) -> bool {
    qubits > BLOCK
}

/// One pass: the positions of a block, ascending, and gates by number.
#[derive(Debug)]
pub(super) struct Stage {
    positions: Vec<usize>,
    pub ops: Vec<usize>,
}

/// Parts gates into passes.
pub(super) fn plan(ops: &[Op], qubits: usize) -> Vec<Stage> {
    if !is_large(qubits) {
        return vec![Stage { positions: (0..qubits).collect(), ops: (0..ops.len()).collect() }];
    }
    let mut stages = Vec::new();
    let (mut left, mut next): (Vec<usize>, usize) = (Vec::new(), 0);
    while !left.is_empty() || next < ops.len() {
        let mut held: Vec<bool> = (0..qubits).map(|position| position < RUN).collect();
        let mut count = RUN;
        let (mut blocked, mut blocked_count) = (vec![false; qubits], 0);
        let (mut taken, mut over) = (Vec::new(), Vec::new());
        let mut waiting = std::mem::take(&mut left).into_iter();
        loop {
            let number = match waiting.next() {
                Some(number) => number,
                None if next < ops.len() && blocked_count < qubits => {
                    next += 1;
                    next - 1
                }
                None => break,
            };
            let op = &ops[number];
            let more = op.needed().iter().filter(|&&position| !held[position]).count();
            if op.positions().all(|position| !blocked[position]) && count + more <= BLOCK {
                op.needed().iter().for_each(|&position| held[position] = true);
                count += more;
                taken.push(number);
            } else {
                for position in op.positions() {
                    blocked_count += usize::from(!blocked[position]);
                    blocked[position] = true;
                }
                over.push(number);
            }
        }
        left = over;
        // What is not needed is filled up from below, for longer runs.
        for position in held.iter_mut().filter(|held| !**held).take(BLOCK - count) {
            *position = true;
        }
        let positions = (0..qubits).filter(|&position| held[position]).collect();
        stages.push(Stage { positions, ops: taken });
    }
    stages
}

/// Runs of memory that make up a block, real and imaginary.
pub(super) type Block<'a, T> = Vec<(&'a mut [T], &'a mut [T])>;

/// How a pass sees a state.
pub(super) struct Layout {
    /// The bit of a block at which a position is, if the block holds it.
    pub bit_of: Vec<Option<usize>>,
    /// Runs of memory have `2^low` amplitudes.
    low: usize,
    held: usize,
    free: Vec<usize>,
}

impl Layout {
    pub(super) fn new(stage: &Stage, qubits: usize) -> Self {
        let mut bit_of = vec![None; qubits];
        stage.positions.iter().enumerate().for_each(|(bit, &position)| bit_of[position] = Some(bit));
        let low = stage.positions.iter().enumerate().take_while(|(bit, position)| bit == *position).count();
        let (held, free): (Vec<usize>, Vec<usize>) = (low..qubits).partition(|&position| bit_of[position].is_some());
        Layout { bit_of, low, held: held.len(), free }
    }

    /// The blocks of a state, each with the index at which it begins.
    pub(super) fn blocks<'a, T>(&self, re: &'a mut [T], im: &'a mut [T]) -> Vec<(usize, Block<'a, T>)> {
        // Runs come in the order of memory, so those of a block come in the order of its bits.
        let free = &self.free;
        let gather =
            |index: usize| free.iter().enumerate().fold(0, |b, (i, &position)| b | (index >> position & 1) << i);
        let mut blocks: Vec<(usize, Block<'_, T>)> = Vec::new();
        for block in 0..1_usize << free.len() {
            let index = free.iter().enumerate().fold(0, |x, (i, &position)| x | (block >> i & 1) << position);
            blocks.push((index, Vec::with_capacity(1 << self.held)));
        }
        let runs = re.chunks_mut(1 << self.low).zip(im.chunks_mut(1 << self.low));
        for (number, run) in runs.enumerate() {
            blocks[gather(number << self.low)].1.push(run);
        }
        blocks
    }

    /// Has something done to a block as one piece of memory.
    pub(super) fn with<T: Real, R>(
        &self,
        block: &mut Block<'_, T>,
        (scratch_re, scratch_im): &mut (Vec<T>, Vec<T>),
        work: impl FnOnce(&mut [T], &mut [T]) -> R,
    ) -> R {
        if let [(re, im)] = block.as_mut_slice() {
            return work(re, im);
        }
        scratch_re.clear();
        scratch_im.clear();
        for (re, im) in block.iter() {
            scratch_re.extend_from_slice(re);
            scratch_im.extend_from_slice(im);
        }
        let result = work(scratch_re, scratch_im);
        for (i, (re, im)) in block.iter_mut().enumerate() {
            re.copy_from_slice(&scratch_re[i << self.low..][..1 << self.low]);
            im.copy_from_slice(&scratch_im[i << self.low..][..1 << self.low]);
        }
        result
    }
}

/// Does one pass over `[2^qubits]` amplitudes.
pub(super) fn run<T: Real>(stage: &Stage, ops: &[Op], re: &mut [T], im: &mut [T]) {
    let layout = Layout::new(stage, re.len().trailing_zeros() as usize);
    let work = |(index, mut block): (usize, Block<'_, T>), scratch: &mut (Vec<T>, Vec<T>)| {
        let place = |position: usize| layout.bit_of[position].ok_or(index >> position & 1 == 1);
        let gates = stage.ops.iter().filter_map(|&number| ops[number].localised::<T>(place));
        let gates: Vec<Local<T>> = gates.collect();
        if !gates.is_empty() {
            layout.with(&mut block, scratch, |re, im| gates.iter().for_each(|gate| apply(re, im, gate)));
        }
    };
    let blocks = layout.blocks(re, im);
    parallel::each_with(blocks, || (Vec::new(), Vec::new()), |scratch, block| work(block, scratch));
}
