//! A pass back over a contraction as a program: its result, and the derivatives by all leaves.

use std::collections::HashMap;

use super::program::{Operand, Program};
use crate::error::{Error, Result};

/// Steps forward and back for a program of a tree, with a further leaf behind the others: the cotangent of the result,
/// whose indices lie in memory in the order `seed`. Asked for are the result and then, for each of the first `tensors`
/// leaves, what `conj` of the derivative of the result by it makes of the cotangent; an index that a leaf alone has is
/// left out, all of its values having the same.
///
/// At a step `C = A B` the cotangent of `A` is that of `C` times `conj(B)`. At most `keep` elements of intermediates,
/// sliced indices not counted, are kept for it, but for one for each halving of the steps; others are made again.
///
/// # Errors
/// [`Error::Format`] if the program is not a tree; [`Error::Shape`] if the cotangent has other indices than the result.
pub(in crate::network) fn reverse(
    forward: &Program,
    tensors: usize,
    seed: Vec<usize>,
    sliced: &[usize],
    keep: u64,
) -> Result<Program> {
    let leaves = forward.leaves;
    let mut lists = forward.values[..leaves].to_vec();
    lists.push(seed);
    let program = Program::new(&forward.dims, lists)?;
    let mut values: Vec<Option<usize>> = (0..leaves).map(Some).collect();
    values.resize(forward.values.len(), None);
    let mut pass = Pass { forward, sliced, program, values, derivatives: vec![None; leaves] };
    let root = forward.values.len() - 1;
    pass.part(root, &mut HashMap::from([(root, leaves)]), keep, true)?;
    let result = pass.values[root].ok_or_else(|| absent(root))?;
    pass.program.output(result)?;
    for leaf in 0..tensors {
        let derivative = pass.derivatives[leaf].ok_or_else(|| absent(leaf))?;
        pass.program.output(derivative)?;
    }
    Ok(pass.program)
}

struct Pass<'a> {
    forward: &'a Program,
    sliced: &'a [usize],
    program: Program,
    /// For each value of the contraction the one of the program that holds it, if it is there.
    values: Vec<Option<usize>>,
    derivatives: Vec<Option<usize>>,
}

impl Pass<'_> {
    fn children(&self, node: usize) -> Option<(usize, usize)> {
        let pair = self.forward.steps.get(node.checked_sub(self.forward.leaves)?)?;
        Some((pair.left.value, pair.right.value))
    }

    fn elements(&self, node: usize) -> u64 {
        let unsliced = self.forward.values[node].iter().filter(|i| !self.sliced.contains(i));
        unsliced.fold(1_u64, |product, &i| product.saturating_mul(self.forward.dims[i]))
    }

    /// The nodes below `node` that are not there, in the order in which they can be made.
    fn below(&self, node: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut stack: Vec<usize> = self.children(node).into_iter().flat_map(|(a, b)| [a, b]).collect();
        while let Some(node) = stack.pop() {
            if self.values[node].is_none() {
                found.push(node);
                stack.extend(self.children(node).into_iter().flat_map(|(a, b)| [a, b]));
            }
        }
        // A node has a higher number than what it is made of.
        found.sort_unstable();
        found
    }

    /// Derivatives of all leaves below `node`, from the cotangent of that node, which is in `ends`. What is kept below
    /// it counts as a leaf: its cotangent is left in `ends`. With `whole`, the value of the node is left in its place.
    ///
    /// Where what is to be kept does not fit, the node in the middle is made first and kept alone: the steps above it
    /// are done, and then those below it.
    fn part(&mut self, node: usize, ends: &mut HashMap<usize, usize>, keep: u64, whole: bool) -> Result<()> {
        let below = self.below(node);
        let needed = below.iter().fold(0_u64, |sum, &n| sum.saturating_add(self.elements(n)));
        if needed <= keep || below.is_empty() {
            return self.steps(node, &below, ends, whole);
        }
        let middle = self.middle(&below);
        self.make(middle)?;
        self.part(node, ends, keep.saturating_sub(self.elements(middle)), whole)?;
        // The value went where it was needed; those below it have not been made.
        self.part(middle, ends, keep, false)
    }

    /// The node with about half of the others below it; of several the one with the fewest elements.
    fn middle(&self, below: &[usize]) -> usize {
        let mut inner: HashMap<usize, usize> = HashMap::new();
        for &node in below {
            let made: usize = self
                .children(node)
                .map_or(0, |(a, b)| [a, b].iter().filter_map(|child| inner.get(child)).sum::<usize>());
            inner.insert(node, made + 1);
        }
        let half = below.len().div_ceil(2);
        let off = |node: &usize| inner.get(node).map_or(usize::MAX, |&count| count.abs_diff(half));
        let near = below.len() / 4;
        let good = below.iter().filter(|node| off(node) <= near).min_by_key(|&&node| self.elements(node));
        good.or_else(|| below.iter().min_by_key(|node| off(node))).copied().unwrap_or_default()
    }

    /// Makes the value of `node` and keeps nothing else that was not there.
    fn make(&mut self, node: usize) -> Result<()> {
        let below = self.below(node);
        for &made in below.iter().chain([&node]) {
            self.forward(made)?;
        }
        below.iter().for_each(|&made| self.values[made] = None);
        Ok(())
    }

    fn forward(&mut self, node: usize) -> Result<()> {
        let Some((a, b)) = self.children(node) else { return Ok(()) };
        let (Some(one), Some(two)) = (self.values[a], self.values[b]) else { return Err(absent(node)) };
        self.values[node] = Some(self.program.push(one, two, self.forward.values[node].clone())?);
        Ok(())
    }

    /// All steps below `node` forward, and then back.
    fn steps(&mut self, node: usize, below: &[usize], ends: &mut HashMap<usize, usize>, whole: bool) -> Result<()> {
        for &made in below {
            self.forward(made)?;
        }
        if whole {
            self.forward(node)?;
        }
        for step in [node].into_iter().chain(below.iter().rev().copied()) {
            let cotangent = ends.remove(&step).ok_or_else(|| absent(step))?;
            let Some((a, b)) = self.children(step) else {
                self.derivatives[step] = Some(cotangent);
                continue;
            };
            for (child, other) in [(a, b), (b, a)] {
                let value = self.values[other].ok_or_else(|| absent(other))?;
                // What the other one left on the result is summed, what both have and the result has is kept.
                let there =
                    |i: &&usize| self.program.indices(cotangent).contains(i) || self.forward.values[other].contains(i);
                let list: Vec<usize> = self.forward.values[child].iter().filter(there).copied().collect();
                let passed = self.program.push(cotangent, Operand::conj(value), list)?;
                match self.derivatives.get_mut(child) {
                    Some(place) => *place = Some(passed),
                    None => drop(ends.insert(child, passed)),
                }
            }
            for child in [a, b] {
                if child >= self.forward.leaves {
                    self.values[child] = None;
                }
            }
        }
        Ok(())
    }
}

/// A value that a step needs and that is not there: the tree is not one.
fn absent(node: usize) -> Error {
    Error::Format { what: format!("the plan uses number {node} when it is not there") }
}
