//! The network as the searches see it: one set of bits a tensor, one bit an index.
//!
//! What stays of a pair is decided from sets alone. For a node `v` with children `x` and `y`, where `x` has children `a`
//! and `b`: an index of `a` is open on whatever is made of `a` and `y` if and only if something else has it, that is if
//! it is on `b` or open on `v`. So `legs(a y) = (legs(a) | legs(y)) & (legs(b) | legs(v))`, with hyperedges too.

use crate::error::{Error, Result};
use crate::network::Equation;

/// Indices of one dimension get words of their own from this many on, so that a size is a count of bits.
const OWN_WORDS: usize = 12;

/// An index as a graph is built of it.
#[derive(Clone)]
struct Index {
    log_dim: f64,
    open: bool,
    /// The indices of the equation that it stands for.
    members: Vec<usize>,
    /// The tensors that have it, in order.
    on: Vec<u32>,
}

/// Tensors as sets of indices, packed in words of 64 bits.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    /// Number of tensors.
    pub tensors: usize,
    /// Words of a set.
    pub words: usize,
    /// The sets of all tensors, one after the other; an index that a single tensor has and that is summed over is left
    /// out, for it is summed before anything else.
    legs: Vec<u64>,
    pub output: Vec<u64>,
    /// Whether every index is on two tensors, or on one and in the output: then the indices of a pair are half of what
    /// the two and their result have together.
    pub simple: bool,
    /// `log2` of the dimension of each bit, zero where there is no index.
    pub log_dims: Vec<f64>,
    /// `log2` of the dimension that all bits of a word have; `None` if they differ.
    uniform: Vec<Option<f64>>,
    /// The indices of the equation that a bit stands for: several that run between the same tensors are one bit here.
    pub members: Vec<Vec<usize>>,
    /// The tensors that have each bit.
    pub holders: Vec<Vec<u32>>,
}

impl Graph {
    /// Refuses networks whose sets, one bit for each index in each tensor and each result, take more than a gibibyte.
    pub(crate) fn check(equation: &Equation) -> Result<()> {
        const MOST: usize = 1 << 30;
        let words = equation.indices() / 64 + 12;
        if words.saturating_mul(16).saturating_mul(equation.tensors()) > MOST {
            return Err(Error::Room {
                what: format!("a plan for {} tensors with {} indices", equation.tensors(), equation.indices()),
                needed: "more than a gibibyte for the sets of indices of its steps".into(),
                way_out: "contract parts of the network first".into(),
            });
        }
        Ok(())
    }

    /// The graph of an equation without the indices `sliced`; with `fuse`, indices on the same tensors are one.
    pub(crate) fn new(equation: &Equation, sliced: &[usize], fuse: bool) -> Self {
        let mut indices: Vec<Index> = equation
            .dims()
            .iter()
            .enumerate()
            .map(|(i, &dim)| Index { log_dim: (dim as f64).log2(), open: false, members: vec![i], on: Vec::new() })
            .collect();
        for (tensor, input) in equation.inputs().iter().enumerate() {
            for &i in input {
                if indices[i].on.last() != Some(&(tensor as u32)) {
                    indices[i].on.push(tensor as u32);
                }
            }
        }
        equation.output().iter().for_each(|&i| indices[i].open = true);
        sliced.iter().for_each(|&i| indices[i].on.clear());
        // Indices of dimension one cost nothing, but they connect; they stay.
        indices.retain(|index| index.on.len() > 1 || (index.open && !index.on.is_empty()));
        Self::build(equation.tensors(), indices, fuse)
    }

    /// The graph of tensors made of those of this one, each with its set, the outside being the output.
    pub(crate) fn of_sets(&self, sets: &[&[u64]], output: &[u64]) -> Graph {
        let mut on = vec![Vec::new(); 64 * self.words];
        for (tensor, set) in sets.iter().enumerate() {
            bits_of(set).for_each(|bit| on[bit].push(tensor as u32));
        }
        let index = |(bit, on): (usize, Vec<u32>)| {
            let (open, members) = (has(output, bit), self.members[bit].clone());
            (!on.is_empty()).then_some(Index { log_dim: self.log_dims[bit], open, members, on })
        };
        Self::build(sets.len(), on.into_iter().enumerate().filter_map(index).collect(), true)
    }

    fn build(tensors: usize, indices: Vec<Index>, fuse: bool) -> Self {
        let mut groups: Vec<Index> = Vec::with_capacity(indices.len());
        if fuse {
            let mut seen = std::collections::HashMap::new();
            for index in indices {
                let next = groups.len();
                let group = *seen.entry((index.on.clone(), index.open)).or_insert(next);
                if group < next {
                    groups[group].log_dim += index.log_dim;
                    groups[group].members.extend(index.members);
                } else {
                    groups.push(index);
                }
            }
        } else {
            groups = indices;
        }
        // Sorted by dimension; the sort is stable, so the numbering is that of the equation.
        groups.sort_by(|a, b| a.log_dim.total_cmp(&b.log_dim));
        let mut bits: Vec<Option<Index>> = Vec::new();
        let mut mixed = Vec::new();
        let mut classes = groups.into_iter().peekable();
        while let Some(first) = classes.next() {
            let mut class = vec![first];
            while let Some(next) = classes.next_if(|next| next.log_dim == class[0].log_dim) {
                class.push(next);
            }
            if class.len() >= OWN_WORDS {
                bits.extend(class.into_iter().map(Some));
                bits.resize(bits.len().next_multiple_of(64), None);
            } else {
                mixed.extend(class);
            }
        }
        bits.extend(mixed.into_iter().map(Some));
        let words = bits.len().div_ceil(64).max(1);
        bits.resize(64 * words, None);

        let uniform = |bits: &[Option<Index>]| {
            let mut used = bits.iter().flatten().map(|index| index.log_dim);
            let first = used.next().unwrap_or(0.0);
            used.all(|log| log == first).then_some(first)
        };
        let mut graph = Graph {
            tensors,
            words,
            legs: vec![0; tensors * words],
            output: vec![0; words],
            simple: true,
            uniform: bits.chunks(64).map(uniform).collect(),
            log_dims: Vec::with_capacity(64 * words),
            members: Vec::with_capacity(64 * words),
            holders: Vec::with_capacity(64 * words),
        };
        let nothing = || Index { log_dim: 0.0, open: false, members: Vec::new(), on: Vec::new() };
        for (bit, index) in bits.into_iter().enumerate() {
            let Index { log_dim, open, members, on } = index.unwrap_or_else(nothing);
            for &tensor in &on {
                graph.legs[tensor as usize * words + bit / 64] |= 1 << (bit % 64);
            }
            if open {
                graph.output[bit / 64] |= 1 << (bit % 64);
            }
            graph.simple &= on.is_empty() || on.len() + usize::from(open) == 2;
            graph.log_dims.push(log_dim);
            graph.members.push(members);
            graph.holders.push(on);
        }
        graph
    }

    /// The set of a tensor.
    pub(crate) fn legs(&self, tensor: usize) -> &[u64] {
        &self.legs[tensor * self.words..(tensor + 1) * self.words]
    }

    /// `log2` of the number of elements of a tensor with the indices `set`.
    #[inline(always)]
    pub(crate) fn size(&self, set: &[u64]) -> f64 {
        self.size_by(|w| set[w])
    }

    /// [`size`](Self::size) of a set given word by word.
    #[inline(always)]
    pub(crate) fn size_by(&self, word: impl Fn(usize) -> u64) -> f64 {
        let mut size = 0.0;
        for (w, uniform) in self.uniform.iter().enumerate() {
            let mut bits = word(w);
            match uniform {
                Some(log) => size += f64::from(bits.count_ones()) * log,
                None => {
                    while bits != 0 {
                        size += self.log_dims[64 * w + bits.trailing_zeros() as usize];
                        bits &= bits - 1;
                    }
                }
            }
        }
        size
    }
}

pub(crate) fn has(set: &[u64], bit: usize) -> bool {
    set[bit / 64] >> (bit % 64) & 1 == 1
}

/// The bits that are set.
pub(crate) fn bits_of(set: &[u64]) -> impl Iterator<Item = usize> + '_ {
    set.iter().enumerate().flat_map(|(w, &word)| {
        std::iter::successors((word != 0).then_some(word), |&rest| {
            let rest = rest & (rest - 1);
            (rest != 0).then_some(rest)
        })
        .map(move |rest| 64 * w + rest.trailing_zeros() as usize)
    })
}

/// `log2` of the sum of `2^x`; minus infinity for nothing.
pub(crate) fn log2_sum(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + values.map(|x| (x - largest).exp2()).sum::<f64>().log2()
}
