//! Pairs that may as well be contracted at once: those whose result is no larger than one of the two.

use super::graph::{Graph, bits_of, has};
use super::state::Bare;

/// A graph with some pairs contracted, and how.
pub(crate) struct Reduced {
    pub graph: Graph,
    /// What each tensor of the smaller graph is made of: a node of `made`.
    roots: Vec<u32>,
    /// Inner nodes over the tensors of the larger graph, children before parents.
    made: Vec<[u32; 2]>,
    tensors: usize,
}

/// Absorbs tensors whose indices, but for those that vanish, a neighbour has as well: scalars, vectors, matrices, and
/// factors on the same indices. Each goes to the smallest neighbour that takes it.
pub(crate) fn reduce(graph: &Graph) -> Reduced {
    let (n, words) = (graph.tensors, graph.words);
    let mut sets: Vec<Vec<u64>> = (0..n).map(|t| graph.legs(t).to_vec()).collect();
    let mut on = graph.holders.clone();
    let mut alive = vec![true; n];
    let mut made = Vec::new();
    let mut waiting: Vec<u32> = (0..n as u32).rev().collect();
    let mut queued = vec![true; n];
    // Matrices wait until nothing else fits: a vector may still come that makes a vector of one, and costs less.
    let mut matrices: Vec<u32> = Vec::new();
    while let Some((t, patient)) = waiting.pop().map(|t| (t, true)).or_else(|| matrices.pop().map(|t| (t, false))) {
        if patient {
            queued[t as usize] = false;
        }
        if !alive[t as usize] {
            continue;
        }
        let mut near: Vec<u32> = Vec::new();
        for bit in bits_of(&sets[t as usize]) {
            near.extend(on[bit].iter().filter(|&&u| u != t));
        }
        near.sort_unstable();
        near.dedup();
        let (mut best, mut waits): (Option<(f64, u32, Vec<u64>)>, bool) = (None, false);
        for u in near {
            let (a, b) = (&sets[t as usize], &sets[u as usize]);
            let mut result: Vec<u64> = (0..words).map(|w| a[w] | b[w]).collect();
            for (w, word) in result.iter_mut().enumerate() {
                let mut shared = a[w] & b[w] & !graph.output[w];
                while shared != 0 {
                    let bit = shared.trailing_zeros();
                    if on[64 * w + bit as usize].len() == 2 {
                        *word &= !(1 << bit);
                    }
                    shared &= shared - 1;
                }
            }
            let within = |set: &[u64]| result.iter().zip(set).all(|(r, s)| r & !s == 0);
            let new = graph.size(&result);
            // A matrix may change one index for another; what is left is as large as the neighbour was.
            let matrix = graph.size(b) + 1e-9 >= new && bits_of(a).count() <= 2;
            let fits = within(a) || within(b);
            waits |= matrix && !fits && patient;
            if fits || (matrix && !patient) {
                let cost = graph.size_by(|w| a[w] | b[w]);
                if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                    best = Some((cost, u, result));
                }
            }
        }
        let Some((_, u, result)) = best else {
            if waits {
                matrices.push(t);
            }
            continue;
        };
        let node = sets.len() as u32;
        for old in [t, u] {
            alive[old as usize] = false;
            for bit in bits_of(&sets[old as usize]) {
                on[bit].retain(|&other| other != old);
            }
        }
        for bit in bits_of(&result) {
            // Neighbours may fit now.
            for &other in &on[bit] {
                if !std::mem::replace(&mut queued[other as usize], true) {
                    waiting.push(other);
                }
            }
            on[bit].push(node);
        }
        debug_assert!(bits_of(&result).all(|bit| has(&sets[t as usize], bit) || has(&sets[u as usize], bit)));
        sets.push(result);
        alive.push(true);
        queued.push(true);
        waiting.push(node);
        made.push([t, u]);
    }
    let mut roots: Vec<u32> = (0..sets.len() as u32).filter(|&t| alive[t as usize]).collect();
    // In the order of the tensors of which they mainly consist, for the order given may be that of a circuit.
    let mut main: Vec<(u32, u32)> =
        (0..n as u32).map(|t| (bits_of(graph.legs(t as usize)).count() as u32, t)).collect();
    for &[t, u] in &made {
        let (a, b) = (main[t as usize], main[u as usize]);
        main.push(if (a.0, std::cmp::Reverse(a.1)) >= (b.0, std::cmp::Reverse(b.1)) { a } else { b });
    }
    roots.sort_by_key(|&t| main[t as usize].1);
    let left: Vec<&[u64]> = roots.iter().map(|&t| sets[t as usize].as_slice()).collect();
    Reduced { graph: graph.of_sets(&left, &graph.output), roots, made, tensors: n }
}

impl Reduced {
    /// An order of the smaller graph as one of the larger.
    pub(crate) fn expand(&self, bare: &Bare) -> Bare {
        let mut children = self.made.clone();
        let mut number = self.roots.clone();
        number.resize(bare.nodes(), 0);
        for node in bare.upwards() {
            let [a, b] = bare.of(node).unwrap_or_default();
            children.push([number[a as usize], number[b as usize]]);
            number[node as usize] = (self.tensors + children.len() - 1) as u32;
        }
        Bare { leaves: self.tensors, children, root: number[bare.root as usize] }
    }
}
