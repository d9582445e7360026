//! Orders that take one index after the other: all tensors that have it are contracted, the index whose result is small
//! first. That is how graphical models are summed (Koller and Friedman, Probabilistic Graphical Models, 2009, chapter 9),
//! and where indices are shared by many tensors it finds what pairs do not show.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use rand::RngExt;

use super::graph::{Graph, bits_of, has};
use super::state::Bare;
use crate::random::Stream;

/// How the next index is chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    /// Weight of the largest tensor that vanishes against the result, in powers of two.
    pub relief: f64,
    /// Temperature of the choice, in powers of two.
    pub temperature: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Ranked {
    cost: f64,
    bit: u32,
    /// The state of the index for which the cost was found.
    age: u32,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.cost.total_cmp(&other.cost).then(self.bit.cmp(&other.bit)).then(self.age.cmp(&other.age))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

struct Elimination<'g> {
    graph: &'g Graph,
    /// The set of each living node; empty once it is used.
    sets: Vec<Vec<u64>>,
    size: Vec<f64>,
    on: Vec<Vec<u32>>,
    age: Vec<u32>,
    heap: BinaryHeap<Reverse<Ranked>>,
    children: Vec<[u32; 2]>,
}

/// An order by elimination of indices; after `deadline` what is left is taken as it comes.
pub(crate) fn eliminate(graph: &Graph, choice: Choice, stream: &mut Stream, deadline: Option<Instant>) -> Bare {
    let n = graph.tensors;
    let sets: Vec<Vec<u64>> = (0..n).map(|t| graph.legs(t).to_vec()).collect();
    let size = sets.iter().map(|set| graph.size(set)).collect();
    let (on, age) = (graph.holders.clone(), vec![0; graph.holders.len()]);
    let children = Vec::with_capacity(n.saturating_sub(1));
    let mut state = Elimination { graph, sets, size, on, age, heap: BinaryHeap::new(), children };
    for bit in 0..graph.holders.len() {
        state.rank(bit, choice, stream);
    }
    let mut late = false;
    while let Some(Reverse(next)) = state.heap.pop() {
        let bit = next.bit as usize;
        if next.age != state.age[bit] || state.on[bit].len() < 2 {
            continue;
        }
        let joined = state.contract(bit);
        late = late || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let touched: Vec<usize> = bits_of(&state.sets[joined as usize]).collect();
        for bit in touched {
            if late {
                // Whatever comes next stays in the queue as it was.
                if state.on[bit].len() > 1 {
                    let (cost, age) = (0.0, state.age[bit]);
                    state.heap.push(Reverse(Ranked { cost, bit: bit as u32, age }));
                }
            } else {
                state.age[bit] += 1;
                state.rank(bit, choice, stream);
            }
        }
    }
    state.finish()
}

impl Elimination<'_> {
    /// Puts an index into the queue with what its elimination costs.
    fn rank(&mut self, bit: usize, choice: Choice, stream: &mut Stream) {
        let on = &self.on[bit];
        if on.len() < 2 {
            return;
        }
        let union = self.graph.size_by(|w| on.iter().fold(0, |all, &t| all | self.sets[t as usize][w]));
        let largest = on.iter().map(|&t| self.size[t as usize]).fold(0.0, f64::max);
        let open = has(&self.graph.output, bit);
        let mut cost = union - if open { 0.0 } else { self.graph.log_dims[bit] } - choice.relief * largest;
        if choice.temperature > 0.0 {
            let u: f64 = stream.random();
            cost += choice.temperature * (-(u.max(f64::MIN_POSITIVE)).ln()).ln();
        }
        self.heap.push(Reverse(Ranked { cost, bit: bit as u32, age: self.age[bit] }));
    }

    /// Contracts all tensors that have an index, the two with the smallest result first.
    fn contract(&mut self, bit: usize) -> u32 {
        while self.on[bit].len() > 2 {
            let on = self.on[bit].clone();
            // Of many, only the smallest are compared.
            let mut near = on;
            near.sort_by(|&p, &q| self.size[p as usize].total_cmp(&self.size[q as usize]).then(p.cmp(&q)));
            near.truncate(8);
            let mut best = (f64::INFINITY, near[0], near[1]);
            for (place, &a) in near.iter().enumerate() {
                for &b in &near[place + 1..] {
                    let (p, q) = (&self.sets[a as usize], &self.sets[b as usize]);
                    let size = self.graph.size_by(|w| p[w] | q[w]);
                    if size < best.0 {
                        best = (size, a, b);
                    }
                }
            }
            self.join(best.1, best.2);
        }
        match self.on[bit][..] {
            [a, b] => self.join(a, b),
            _ => self.on[bit].first().copied().unwrap_or(0),
        }
    }

    fn join(&mut self, a: u32, b: u32) -> u32 {
        let node = self.sets.len() as u32;
        let (p, q) = (std::mem::take(&mut self.sets[a as usize]), std::mem::take(&mut self.sets[b as usize]));
        let mut set: Vec<u64> = p.iter().zip(&q).map(|(p, q)| p | q).collect();
        for (w, slot) in set.iter_mut().enumerate() {
            let mut bits = *slot;
            while bits != 0 {
                let low = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let on = &mut self.on[64 * w + low];
                on.retain(|&other| other != a && other != b);
                if on.is_empty()
                    && !has(&self.graph.output, 64 * w + low)
                    && has(&p, 64 * w + low)
                    && has(&q, 64 * w + low)
                {
                    *slot &= !(1 << low);
                } else {
                    on.push(node);
                }
            }
        }
        self.size.push(self.graph.size(&set));
        self.sets.push(set);
        self.children.push([a, b]);
        node
    }

    /// What is left shares nothing, the two smallest first.
    fn finish(mut self) -> Bare {
        let mut heap: BinaryHeap<Reverse<Ranked>> = BinaryHeap::new();
        for (node, set) in self.sets.iter().enumerate() {
            if !set.is_empty() {
                heap.push(Reverse(Ranked { cost: self.size[node], bit: node as u32, age: 0 }));
            }
        }
        while let (Some(Reverse(a)), Some(Reverse(b))) = (heap.pop(), heap.pop()) {
            let node = self.join(a.bit, b.bit);
            heap.push(Reverse(Ranked { cost: self.size[node as usize], bit: node, age: 0 }));
        }
        Bare { leaves: self.graph.tensors, root: (self.sets.len() - 1) as u32, children: self.children }
    }
}
