//! A plan: an order, the indices that are sliced, and what it all costs.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Value, json};

use super::cost::{Cost, Objective};
use super::equation::Equation;
use super::execute::peak_elements;
use super::order::{Bare, Graph, State};
use super::tree::ContractionTree;
use crate::error::{Error, Result};
use crate::scalar::Kind;

/// The format that [`Plan::to_json`] writes.
const FORMAT: u64 = 1;

/// How a network is contracted: a value that can be looked at, stored and used for any tensors of the same shapes.
///
/// A sliced index is not summed over within a contraction; the contraction is done once for each of its values, with
/// smaller tensors, and the results are added (or put side by side, if the index is open).
///
/// ```
/// use ansatz::network::{ContractionTree, Equation, Plan};
/// let chain = Equation::parse("ab,bc,cd->ad", &[&[2, 4], &[4, 4], &[4, 8]])?;
/// let plan = Plan::new(&chain, &ContractionTree::new(3, vec![(0, 1), (3, 2)])?, &[])?;
/// // 2 4 4 multiplications and then 2 4 8; the larger result has 2 8 elements.
/// assert!((plan.cost().log2_flops - 96f64.log2()).abs() < 1e-12 && plan.cost().log2_size == 4.0);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    equation: Equation,
    tree: ContractionTree,
    sliced: Vec<usize>,
    cost: Cost,
    /// Elements alive at once at the most: the number of which the cost has the logarithm.
    peak: u64,
    steps: Vec<Step>,
}

/// What one step of a plan costs, in one slice; logarithms to base 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Multiplications.
    pub log2_flops: f64,
    /// Elements of the result.
    pub log2_size: f64,
}

impl Plan {
    /// The plan of `tree`, with the indices of these numbers sliced. Of the orders of steps that the tree allows, the
    /// plan takes one in which the dearer side of every node is made first.
    ///
    /// # Errors
    /// [`Error::Shape`] if the tree has another number of tensors than the equation, [`Error::Setting`] if a sliced
    /// index does not exist or is named twice, [`Error::Room`] for more tensors and indices than can be planned.
    pub fn new(equation: &Equation, tree: &ContractionTree, sliced: &[usize]) -> Result<Self> {
        if tree.leaves() != equation.tensors() {
            return Err(Error::shape("the tensors of a contraction order", tree.leaves(), equation.tensors()));
        }
        Graph::check(equation)?;
        let mut named = vec![false; equation.indices()];
        for &index in sliced {
            if index >= equation.indices() || std::mem::replace(&mut named[index], true) {
                return Err(Error::setting("sliced index", index, "name indices of the network, each once"));
            }
        }
        let graph = Graph::new(equation, sliced, false);
        let mut state = State::new(&graph, Objective::Flops, Bare::new(tree));
        let leaf_copies = copied_leaves(equation, sliced);
        let tree = frugal(&state, &leaf_copies);
        state = State::new(&graph, Objective::Flops, Bare::new(&tree));
        let log2_slices = sliced.iter().map(|&i| (equation.dims()[i] as f64).log2()).fold(0.0, |sum, log| sum + log);
        let steps: Vec<Step> = (tree.leaves()..tree.leaves() + tree.pairs().len())
            .map(|n| Step { log2_flops: state.flops[n], log2_size: state.size[n] })
            .collect();
        let cost = Cost {
            log2_flops: state.total_flops() + log2_slices,
            log2_write: super::order::log2_sum(steps.iter().map(|step| step.log2_size)) + log2_slices,
            log2_size: state.largest(),
            log2_peak: 0.0,
            log2_slices,
        };
        let mut plan = Plan { equation: equation.clone(), tree, sliced: sliced.to_vec(), cost, peak: 0, steps };
        plan.peak = peak_elements(&plan)?;
        plan.cost.log2_peak = (plan.peak.max(1) as f64).log2();
        Ok(plan)
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

    /// The numbers of the sliced indices.
    #[must_use]
    pub fn sliced(&self) -> &[usize] {
        &self.sliced
    }

    /// The cost of the whole contraction.
    #[must_use]
    pub fn cost(&self) -> &Cost {
        &self.cost
    }

    /// `log2` of how many times the multiplications of the same order without slices are done; zero for no slices.
    #[must_use]
    pub fn log2_overhead(&self) -> f64 {
        if self.sliced.is_empty() {
            return 0.0;
        }
        let graph = Graph::new(&self.equation, &[], false);
        let whole = State::new(&graph, Objective::Flops, Bare::new(&self.tree)).total_flops();
        // Of a single tensor nothing is multiplied.
        if whole.is_finite() { self.cost.log2_flops - whole } else { 0.0 }
    }

    /// The cost of each step of the order, within one slice.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Number of slices; `u64::MAX` if there are more.
    #[must_use]
    pub fn slices(&self) -> u64 {
        self.sliced.iter().fold(1_u64, |product, &i| product.saturating_mul(self.equation.dims()[i]))
    }

    /// Bytes that are alive at once at the most, beside the tensors of the network, for elements of this kind, when one
    /// thread contracts tensors in standard layout; `u64::MAX` if there are more than can be. Every buffer for elements
    /// is counted: intermediates, copies in another order, what is kept over slices, the sum over slices, the result.
    ///
    /// Tensors whose largest element is beyond `2^24` or below `2^-24` are copied as well. Each further thread that works
    /// at slices takes a workspace of its own; under a [`Budget`](super::Budget) there are as many as fit.
    #[must_use]
    pub fn peak_bytes(&self, kind: Kind) -> u64 {
        self.peak.saturating_mul(kind.bytes() as u64)
    }

    /// As JSON: the equation, the pairs of the order, the names of the sliced indices and the cost.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = self.equation.to_json();
        let sliced: Vec<&str> = self.sliced.iter().map(|&i| self.equation.names()[i].as_str()).collect();
        json["format"] = FORMAT.into();
        json["path"] = json!(self.tree.pairs());
        json["sliced"] = json!(sliced);
        json["cost"] = serde_json::to_value(self.cost).unwrap_or_default();
        json
    }

    /// From JSON that [`to_json`](Self::to_json) wrote. The cost is computed again.
    ///
    /// # Errors
    /// [`Error::Format`] for text that is no plan; as [`Equation::from_json`], [`ContractionTree::new`] and
    /// [`Plan::new`] otherwise.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self> {
        #[derive(serde::Deserialize)]
        struct Stored {
            format: u64,
            path: Vec<(usize, usize)>,
            sliced: Vec<String>,
        }
        let stored: Stored = serde_json::from_slice(text.as_ref())
            .map_err(|e| Error::Format { what: format!("no JSON of a contraction plan: {e}") })?;
        if stored.format != FORMAT {
            let what = format!("a contraction plan of format {}: this program reads format {FORMAT}", stored.format);
            return Err(Error::Format { what });
        }
        let equation = Equation::from_json(text)?;
        let numbers: HashMap<&str, usize> =
            equation.names().iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
        let sliced = stored.sliced.iter().map(|name| {
            numbers.get(name.as_str()).copied().ok_or_else(|| Error::Format {
                what: format!("the contraction plan slices index '{}', which no tensor has", name.escape_debug()),
            })
        });
        let sliced = sliced.collect::<Result<Vec<_>>>()?;
        let tree = ContractionTree::new(equation.tensors(), stored.path)?;
        Self::new(&equation, &tree, &sliced)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { log2_flops, log2_write, log2_size, log2_peak, .. } = self.cost;
        write!(
            f,
            "{} tensors: 2^{log2_flops:.2} multiplications, 2^{log2_write:.2} elements written, largest intermediate \
             2^{log2_size:.2}, at most 2^{log2_peak:.2} elements at once, {} slices",
            self.tree.leaves(),
            self.slices()
        )
    }
}

/// Elements that are copied before the first step for each tensor: those that are sliced, and those of which a diagonal
/// or a sum is taken. The others are used where they stand.
pub(super) fn copied_leaves(equation: &Equation, sliced: &[usize]) -> Vec<bool> {
    let mut count = vec![0_usize; equation.indices()];
    equation.inputs().iter().flatten().for_each(|&i| count[i] += 1);
    let (mut open, mut cut) = (vec![false; equation.indices()], vec![false; equation.indices()]);
    equation.output().iter().for_each(|&i| open[i] = true);
    sliced.iter().for_each(|&i| cut[i] = true);
    // The last tensor in which an index was met.
    let mut met = vec![usize::MAX; equation.indices()];
    let mut copied = Vec::with_capacity(equation.tensors());
    for (tensor, input) in equation.inputs().iter().enumerate() {
        let changes =
            |&i: &usize| std::mem::replace(&mut met[i], tensor) == tensor || cut[i] || (count[i] == 1 && !open[i]);
        copied.push(input.iter().any(changes));
    }
    copied
}

/// The elements of the two operands of a step, in any order of memory, and of what becomes of them.
fn workspace(a: f64, b: f64, result: f64) -> f64 {
    // Both operands may have to be copied. A result that is rescaled is there twice, when the operands are gone.
    (a + b + result).max(2.0 * result)
}

/// `log2` of the least that is alive at once when the steps of a tree are done in a good order, copies of the network's
/// tensors left out.
pub(super) fn frugal_peak(state: &State) -> f64 {
    peak_with(state, &vec![false; state.bare.leaves])
}

/// As [`frugal_peak`], with copies of these tensors of the network.
pub(super) fn peak_with(state: &State, leaf_copies: &[bool]) -> f64 {
    let root = state.bare.root as usize;
    schedule(state, leaf_copies).1.get(root).map_or(0.0, |peak| peak.log2())
}

/// The same tree with its steps in an order in which less is alive at once.
fn frugal(state: &State, leaf_copies: &[bool]) -> ContractionTree {
    let bare = &state.bare;
    let second_first = schedule(state, leaf_copies).0;
    ContractionTree::from_children(bare.leaves, &bare.children, bare.root as usize, |node| second_first[node])
}

/// For each node whether its second child is to be made first, and how many elements are alive at once below it.
fn schedule(state: &State, leaf_copies: &[bool]) -> (Vec<bool>, Vec<f64>) {
    let bare = &state.bare;
    let elements = |node: u32| state.size[node as usize].exp2();
    let held = |node: u32| match leaf_copies.get(node as usize) {
        Some(false) => 0.0,
        _ => elements(node),
    };
    let mut peak: Vec<f64> = (0..bare.nodes() as u32).map(held).collect();
    let mut second_first = vec![false; bare.nodes()];
    for node in bare.upwards() {
        let Some([a, b]) = bare.of(node) else { continue };
        let below = [peak[a as usize], peak[b as usize]];
        let sizes = [elements(a), elements(b), elements(node)];
        (peak[node as usize], second_first[node as usize]) = joint_peak(below, [held(a), held(b)], sizes);
    }
    (second_first, peak)
}

/// What is alive at once at the most until two nodes are contracted, and whether the second is better made first: from
/// the peaks below the two, what each holds, and the elements of the two and of their result.
pub(super) fn joint_peak([pa, pb]: [f64; 2], [ha, hb]: [f64; 2], [a, b, result]: [f64; 3]) -> (f64, bool) {
    let (first, second) = (pa.max(ha + pb), pb.max(hb + pa));
    let own = ha + hb + workspace(a, b, result);
    (first.min(second).max(own), second < first)
}
