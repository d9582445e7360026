//! Plans for contraction with bounded bonds, and the search for them.

use std::fmt;

use super::cost::Model;
use super::orders::Order;
use super::settings::check_bond;
use crate::error::{Error, Result};
use crate::network::{ContractionTree, Equation};

/// What a contraction with bounded bonds is expected to cost; logarithms to base 2.
///
/// Every bond that is truncated is taken to come out at the bound. Multiplications include the factorisations of the two
/// tensors at a bond that is truncated, and not those of a gauge.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CompressedCost {
    /// Multiplications.
    pub log2_flops: f64,
    /// Elements of the largest tensor.
    pub log2_size: f64,
    /// Elements alive at once, those of the network included.
    pub log2_peak: f64,
    /// Bonds that are truncated.
    pub compressions: usize,
}

/// An order for a contraction with bounded bonds, step by step, and its modelled cost.
///
/// Unlike in a [`Plan`](crate::network::Plan), the order of the steps is part of it: bonds between tensors grow when
/// both have grown.
#[derive(Debug, Clone, PartialEq)]
pub struct CompressedPlan {
    equation: Equation,
    tree: ContractionTree,
    max_bond: usize,
    cost: CompressedCost,
}

impl CompressedPlan {
    /// The steps of `tree`, with bonds of at most `max_bond`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the tree has another number of tensors than the equation, [`Error::Setting`] for a bond of
    /// zero.
    pub fn new(equation: &Equation, tree: &ContractionTree, max_bond: usize) -> Result<Self> {
        check_bond(max_bond)?;
        if tree.leaves() != equation.tensors() {
            return Err(Error::shape("the tensors of a contraction order", tree.leaves(), equation.tensors()));
        }
        let mut order = Order::new(&Model::new(equation, max_bond));
        for &(a, b) in tree.pairs() {
            order.contract(a, b);
        }
        Ok(Self::of(equation, tree.clone(), max_bond, &order.model))
    }

    /// The plan whose steps the model was led through.
    pub(super) fn of(equation: &Equation, tree: ContractionTree, max_bond: usize, model: &Model) -> Self {
        let cost = CompressedCost {
            log2_flops: model.flops.max(1.0).log2(),
            log2_size: model.largest.log2(),
            log2_peak: model.peak.log2(),
            compressions: model.compressions,
        };
        CompressedPlan { equation: equation.clone(), tree, max_bond, cost }
    }

    /// The pattern that the plan is for.
    #[must_use]
    pub fn equation(&self) -> &Equation {
        &self.equation
    }

    /// The order.
    #[must_use]
    pub fn tree(&self) -> &ContractionTree {
        &self.tree
    }

    /// The bond for which it was made; it may be followed with another.
    #[must_use]
    pub fn max_bond(&self) -> usize {
        self.max_bond
    }

    /// The modelled cost.
    #[must_use]
    pub fn cost(&self) -> &CompressedCost {
        &self.cost
    }

    /// Whether the plan fits a network of this pattern.
    pub(super) fn is_for(&self, equation: &Equation) -> bool {
        // The network holds the diagonal of a tensor that has an index twice.
        let plain = |e: &Equation| {
            let named = |input: &Vec<usize>| {
                let mut names: Vec<(String, u64)> = Vec::new();
                for &i in input {
                    let index = (e.names()[i].clone(), e.dims()[i]);
                    if !names.contains(&index) {
                        names.push(index);
                    }
                }
                names
            };
            let output: Vec<String> = e.output().iter().map(|&i| e.names()[i].clone()).collect();
            (e.inputs().iter().map(named).collect::<Vec<_>>(), output)
        };
        self.equation == *equation || plain(&self.equation) == plain(equation)
    }
}

impl fmt::Display for CompressedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CompressedCost { log2_flops, log2_size, log2_peak, compressions } = self.cost;
        write!(
            f,
            "{} tensors with bonds up to {}: 2^{log2_flops:.2} multiplications, largest tensor 2^{log2_size:.2}, at most \
             2^{log2_peak:.2} elements at once, {compressions} truncations",
            self.tree.leaves(),
            self.max_bond
        )
    }
}
