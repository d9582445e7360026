//! Greedy orders: the cheapest pair next, with or without noise.
//!
//! The cost of a pair is `size(result) - alpha (size(a) + size(b))`; with a temperature its signed logarithm is
//! lessened by Gumbel noise, so that a pair is taken with a Boltzmann weight (Gray and Kourtis, Quantum 5, 410, 2021).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use rand::RngExt;

use super::graph::{Graph, bits_of, has};
use super::state::Bare;
use crate::random::Stream;

/// Tensors that share an index are all paired up to this many; of more, each meets the smallest ones.
const CROWD: usize = 16;

/// How a greedy order weighs a pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taste {
    /// Weight of the sizes of the two that vanish.
    pub alpha: f64,
    /// Noise on the logarithm of the cost; zero is the plain greedy order.
    pub temperature: f64,
}

#[derive(Debug, PartialEq)]
struct Candidate {
    cost: f64,
    a: u32,
    b: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cost.total_cmp(&other.cost).then(self.a.cmp(&other.a)).then(self.b.cmp(&other.b))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Greedy<'g> {
    graph: &'g Graph,
    taste: Taste,
    /// Sorted indices of each node; empty once it is used.
    legs: Vec<Vec<u32>>,
    size: Vec<f64>,
    alive: Vec<bool>,
    /// Living nodes that have each index.
    on: Vec<Vec<u32>>,
    heap: BinaryHeap<Reverse<Candidate>>,
    children: Vec<[u32; 2]>,
}

/// A greedy order of all tensors; those that share nothing are joined in the end, the smallest first.
pub(crate) fn greedy(graph: &Graph, taste: Taste, stream: &mut Stream) -> Bare {
    let n = graph.tensors;
    let mut greedy = Greedy {
        graph,
        taste,
        legs: (0..n).map(|t| bits_of(graph.legs(t)).map(|bit| bit as u32).collect()).collect(),
        size: (0..n).map(|t| graph.size(graph.legs(t))).collect(),
        alive: vec![true; n],
        on: graph.holders.clone(),
        heap: BinaryHeap::new(),
        children: Vec::with_capacity(n.saturating_sub(1)),
    };
    greedy.twins();
    for tensor in 0..greedy.legs.len() as u32 {
        if greedy.alive[tensor as usize] {
            greedy.propose(tensor, true, stream);
        }
    }
    while let Some(Reverse(Candidate { a, b, .. })) = greedy.heap.pop() {
        if greedy.alive[a as usize] && greedy.alive[b as usize] {
            let joined = greedy.join(a, b);
            greedy.propose(joined, false, stream);
        }
    }
    greedy.rest();
    Bare { leaves: n, root: (greedy.legs.len() - 1) as u32, children: greedy.children }
}

impl Greedy<'_> {
    /// Tensors with the same indices are multiplied element by element first of all.
    fn twins(&mut self) {
        let mut first = std::collections::HashMap::new();
        for tensor in 0..self.graph.tensors as u32 {
            let key = self.legs[tensor as usize].clone();
            let joined = match first.get(&key) {
                Some(&other) => self.join(other, tensor),
                None => tensor,
            };
            first.insert(key, joined);
        }
    }

    /// The indices that stay when `a` and `b` are contracted.
    fn result(&self, a: u32, b: u32, mut keep: impl FnMut(u32)) {
        let (x, y) = (&self.legs[a as usize], &self.legs[b as usize]);
        let (mut i, mut j) = (0, 0);
        while i < x.len() || j < y.len() {
            match (x.get(i), y.get(j)) {
                (Some(&p), Some(&q)) if p == q => {
                    if self.on[p as usize].len() > 2 || has(&self.graph.output, p as usize) {
                        keep(p);
                    }
                    (i, j) = (i + 1, j + 1);
                }
                (Some(&p), q) if q.is_none_or(|&q| p < q) => {
                    keep(p);
                    i += 1;
                }
                (_, Some(&q)) => {
                    keep(q);
                    j += 1;
                }
                _ => break,
            }
        }
    }

    fn join(&mut self, a: u32, b: u32) -> u32 {
        let node = self.legs.len() as u32;
        let mut legs = Vec::new();
        self.result(a, b, |leg| legs.push(leg));
        for old in [a, b] {
            self.alive[old as usize] = false;
            for leg in std::mem::take(&mut self.legs[old as usize]) {
                self.on[leg as usize].retain(|&other| other != old);
            }
        }
        legs.iter().for_each(|&leg| self.on[leg as usize].push(node));
        self.size.push(legs.iter().map(|&leg| self.graph.log_dims[leg as usize]).sum());
        self.legs.push(legs);
        self.alive.push(true);
        self.children.push([a, b]);
        node
    }

    /// Puts the pairs of `node` with its neighbours into the queue; with `above`, those with a larger number only.
    fn propose(&mut self, node: u32, above: bool, stream: &mut Stream) {
        let mut neighbours: Vec<u32> = Vec::new();
        for &leg in &self.legs[node as usize] {
            let on = &self.on[leg as usize];
            if on.len() <= CROWD {
                neighbours.extend(on.iter().filter(|&&other| other != node && (!above || other > node)));
            } else {
                let mut near: Vec<u32> = on.iter().copied().filter(|&other| other != node).collect();
                near.sort_by(|&p, &q| self.size[p as usize].total_cmp(&self.size[q as usize]).then(p.cmp(&q)));
                neighbours.extend(&near[..CROWD.min(near.len())]);
            }
        }
        neighbours.sort_unstable();
        neighbours.dedup();
        for other in neighbours {
            let mut size = 0.0;
            self.result(node, other, |leg| size += self.graph.log_dims[leg as usize]);
            let gone = self.taste.alpha * (self.size[node as usize].exp2() + self.size[other as usize].exp2());
            let mut cost = size.exp2() - gone;
            if self.taste.temperature > 0.0 {
                let u: f64 = stream.random();
                let gumbel = -(-(u.max(f64::MIN_POSITIVE)).ln()).ln();
                cost = cost.signum() * cost.abs().ln_1p() - self.taste.temperature * gumbel;
            }
            let (a, b) = (node.min(other), node.max(other));
            self.heap.push(Reverse(Candidate { cost, a, b }));
        }
    }

    /// What is left shares nothing: outer products, the two smallest first.
    fn rest(&mut self) {
        let mut heap: BinaryHeap<Reverse<Candidate>> = BinaryHeap::new();
        let ranked = |size: &[f64], node: u32| Reverse(Candidate { cost: size[node as usize], a: node, b: node });
        for node in 0..self.legs.len() as u32 {
            if self.alive[node as usize] {
                heap.push(ranked(&self.size, node));
            }
        }
        while let (Some(Reverse(first)), Some(Reverse(second))) = (heap.pop(), heap.pop()) {
            let joined = self.join(first.a, second.a);
            heap.push(ranked(&self.size, joined));
        }
    }
}
