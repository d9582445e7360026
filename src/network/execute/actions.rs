//! A program with its memory: copies and products of what lies at places of one stretch of memory.

use crate::linalg::{Run, Scattered};

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
    /// What comes first where nothing is sliced, in any order or at once.
    pub(super) branches: Vec<Branch>,
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

/// Steps of an unsliced program that depend on nothing that others of their kind make: done by a thread of their own, in a
/// stretch of memory of their own. The result is in front of it.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub actions: Vec<Action>,
    /// Elements of its stretch. Those of all branches lie one after the other, from the beginning of the memory.
    pub len: usize,
    /// The value that it makes for others.
    pub value: usize,
}

impl Compiled {
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
}
