//! The derivatives of a contraction by all its tensors, in one pass back over the plan.

use std::collections::HashMap;

use super::execute::{Contracted, Scaled, join, primed, rescaled, summed};
use super::network::{Network, diagonal};
use super::plan::Plan;
use super::slices::{Sum, next_slice, plan_slices, sliced_legs};
use crate::error::{Error, Result};
use crate::scalar::{LogScaled, Scalar};
use crate::tensor::{Leg, Role, Tensor};

/// How a pass back over a plan is done: how many bytes of intermediates may be kept for it.
///
/// The pass goes through the steps of the plan from the last to the first. At a step `C = A B` the cotangent of `A` is
/// that of `C` contracted with `B`, so that each step is done three times in all, once forward and twice back. It needs
/// the intermediates of the pass forward. What is beyond the limit is dropped and computed again, from the point in the
/// middle of the steps in question, in the middle of what is left of them, and so on: with `n` intermediates of which
/// `m` fit, about `log2(n / m) / 2` more passes forward.
#[derive(Debug, Clone)]
pub struct Backward {
    bytes: u64,
}

impl Default for Backward {
    fn default() -> Self {
        Backward::new()
    }
}

/// The value of a network without open legs and its derivatives.
#[derive(Debug, Clone)]
pub struct Gradient<T: Scalar> {
    value: LogScaled<T>,
    derivatives: Vec<Contracted<T>>,
    multiplications: f64,
}

impl<T: Scalar> Gradient<T> {
    /// The value `Z`.
    #[must_use]
    pub fn value(&self) -> LogScaled<T> {
        self.value
    }

    /// `dZ/dA` for each tensor `A`, with its legs, in order, and a power of `e` apart. `Z` is a product of all tensors,
    /// so a complex `Z` is holomorphic in each: these are its complex derivatives, nothing is conjugated, and
    /// `dZ = sum (dZ/dA) dA`.
    #[must_use]
    pub fn derivatives(&self) -> &[Contracted<T>] {
        &self.derivatives
    }

    /// The gradient of `ln |Z|` by each tensor: `(dZ/dA) / Z` where numbers are real, and `conj((dZ/dA) / Z) / 2 =
    /// d ln |Z| / d conj(A)` where they are complex, the convention of [`autodiff`](crate::autodiff). It is of the
    /// order of one over `A`, however large or small `Z` is.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if `Z` is zero, or if a gradient does not fit into `T`.
    pub fn ln_abs(&self) -> Result<Vec<Tensor<T>>> {
        if self.value.is_zero() {
            return Err(Error::NotFinite { what: "the logarithm of a network whose value is zero".into() });
        }
        let half = if T::IS_COMPLEX { 0.5 } else { 1.0 };
        let mut gradients = Vec::with_capacity(self.derivatives.len());
        for derivative in &self.derivatives {
            let factor = LogScaled::new(T::from_f64(half), derivative.ln_scale) / self.value;
            let scaled = Contracted { tensor: derivative.tensor.clone(), ln_scale: factor.ln_abs() };
            let phase = factor.phase();
            let gradient = scaled.into_tensor()?.map(|x| (x * phase).conj());
            if !gradient.is_finite() {
                return Err(Error::NotFinite { what: format!("the gradient of ln |Z| by {gradient}") });
            }
            gradients.push(gradient);
        }
        Ok(gradients)
    }

    /// Multiplications that were done, forward, back and again.
    #[must_use]
    pub fn multiplications(&self) -> f64 {
        self.multiplications
    }
}

impl<T: Scalar> Network<T> {
    /// The value of a network without open legs, and its derivatives by all tensors in one pass back over the plan, for
    /// about three times the multiplications of [`contract`](Self::contract). [`Backward`] has the pass with a limit to
    /// its memory, and for networks with open legs.
    ///
    /// Of a tensor that was given with an index twice, the network holds the diagonal, and the derivative is by that.
    ///
    /// ```
    /// use ansatz::network::{Network, Planner};
    /// use ansatz::{Leg, Seed, Tensor};
    /// // Z = sum_ij a_i b_ij c_j, so that dZ/db_ij = a_i c_j and d ln Z / db_ij = a_i c_j / Z.
    /// let a = Tensor::new([Leg::bond("i", 2)], vec![1.0, 2.0])?;
    /// let b = Tensor::new([Leg::bond("i", 2), Leg::bond("j", 2)], vec![1.0, 2.0, 3.0, 4.0])?;
    /// let c = Tensor::new([Leg::bond("j", 2)], vec![5.0, 1.0])?;
    /// let network = Network::from_tensors(vec![a, b, c])?;
    /// let plan = Planner::new().search(&network.equation()?, std::time::Duration::from_secs(1), Seed(1))?;
    /// let gradient = network.gradient(&plan)?;
    /// let by_b = gradient.derivatives()[1].clone().into_tensor()?;
    /// assert_eq!(by_b.get(&[("i", 1), ("j", 0)])?, 10.0);
    /// let by_b = &gradient.ln_abs()?[1];
    /// assert!((by_b.get(&[("i", 1), ("j", 0)])? - 10.0_f64 / 45.0).abs() < 1e-15);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`contract`](Self::contract); [`Error::Leg`] if there are open legs.
    pub fn gradient(&self, plan: &Plan) -> Result<Gradient<T>> {
        Backward::new().gradient(self, plan)
    }
}

impl Backward {
    /// All intermediates are kept.
    #[must_use]
    pub fn new() -> Self {
        Backward { bytes: u64::MAX }
    }

    /// At most so many bytes of intermediates are kept for the pass back, where the plan allows: one intermediate for
    /// each halving of the steps is always kept. The operands, the cotangents and the result of the step that is being
    /// done are not counted, nor are the derivatives.
    #[must_use]
    pub fn keep_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// As [`Network::gradient`].
    ///
    /// # Errors
    /// As [`Network::gradient`].
    pub fn gradient<T: Scalar>(&self, network: &Network<T>, plan: &Plan) -> Result<Gradient<T>> {
        if let Some(leg) = network.open().first() {
            let what = format!("the gradient of a network with open leg {leg}: give a cotangent to Backward::pullback");
            return Err(Error::Leg { what });
        }
        let made = self.pass(network, plan, &Tensor::scalar(T::one()))?;
        let value = made.value.scalar()?;
        Ok(Gradient { value, derivatives: made.derivatives, multiplications: made.multiplications })
    }

    /// The result `V` of a network, and the gradients of a real loss by all its tensors, given the gradient `cotangent`
    /// of the loss by `V`: from `dL/d conj(V)` to `dL/d conj(A)`, or from `dL/dV` to `dL/dA` where numbers are real.
    ///
    /// The cotangent has the legs of the result, in any order, a leg that is open twice with a prime.
    ///
    /// # Errors
    /// As [`Network::contract`]; [`Error::Leg`] if the cotangent has other legs than the result;
    /// [`Error::NotFinite`] if it is not finite.
    pub fn pullback<T: Scalar>(
        &self,
        network: &Network<T>,
        plan: &Plan,
        cotangent: &Tensor<T>,
    ) -> Result<(Contracted<T>, Vec<Contracted<T>>)> {
        // The chain rule conjugates what the cotangent passes: conj(sum conj(g) dV/dA).
        let made = self.pass(network, plan, &cotangent.conj())?;
        let conj = |d: Contracted<T>| Contracted { tensor: d.tensor.conj(), ln_scale: d.ln_scale };
        Ok((made.value, made.derivatives.into_iter().map(conj).collect()))
    }

    /// The result and `sum_open cotangent dV/dA` for every tensor `A`.
    fn pass<T: Scalar>(&self, network: &Network<T>, plan: &Plan, cotangent: &Tensor<T>) -> Result<Made<T>> {
        network.fits(plan)?;
        let (open, sliced) = (network.open_once(), sliced_legs(plan));
        let seed = seed(network, cotangent)?;
        let tree = Tree::new(network, plan, &open)?;
        let mut multiplications = 0.0;
        let mut slice = |fixed: &[(&str, usize)]| -> Result<(Scaled<T>, Vec<Scaled<T>>)> {
            let seed = Scaled { tensor: selected(&seed.tensor, fixed)?, exponent: seed.exponent };
            let mut pass = Pass::new(&tree, fixed)?;
            pass.part(tree.root(), &mut HashMap::from([(tree.root(), seed)]), self.bytes, true)?;
            multiplications += pass.multiplications;
            let result = pass.take(tree.root())?;
            let all = pass.derivatives.into_iter().enumerate().map(|(leaf, found)| found.ok_or_else(|| absent(leaf)));
            Ok((result, all.collect::<Result<_>>()?))
        };
        let (result, found) = if sliced.is_empty() {
            slice(&[])?
        } else {
            let mut total = Sum::new(&open, &sliced)?;
            let sums = tree.leaves.iter().map(|leaf| Sum::new(leaf.tensor.legs(), &sliced));
            let mut sums = sums.collect::<Result<Vec<_>>>()?;
            let mut values = vec![0; sliced.len()];
            loop {
                let fixed: Vec<(&str, usize)> = sliced.iter().map(Leg::name).zip(values.iter().copied()).collect();
                let (result, found) = slice(&fixed)?;
                total.add(&result, &values)?;
                for (sum, part) in sums.iter_mut().zip(&found) {
                    sum.add(part, &values)?;
                }
                if !next_slice(&mut values, &sliced) {
                    break (total.total()?, sums.into_iter().map(Sum::total).collect::<Result<_>>()?);
                }
            }
        };
        let value = network.finish(result.tensor, result.exponent, &open)?;
        let mut derivatives = Vec::with_capacity(found.len());
        for (Scaled { tensor: mut found, exponent }, tensor) in found.into_iter().zip(network.tensors()) {
            // What was summed over before anything else has the same derivative for all its values.
            let lone: Vec<Leg> = tensor.legs().iter().filter(|leg| !found.has_leg(leg)).cloned().collect();
            found = found.expand(&lone)?;
            for leg in tensor.legs() {
                found = found.with_role(leg, leg.role())?;
            }
            let ln_scale = exponent as f64 * std::f64::consts::LN_2 + network.ln_scale();
            derivatives.push(Contracted { tensor: found.permute(tensor.legs())?, ln_scale });
        }
        Ok(Made { value, derivatives, multiplications })
    }
}

struct Made<T: Scalar> {
    value: Contracted<T>,
    derivatives: Vec<Contracted<T>>,
    multiplications: f64,
}

/// The cotangent with the open legs, each once: where a result lies on a diagonal, so does what counts of it.
fn seed<T: Scalar>(network: &Network<T>, cotangent: &Tensor<T>) -> Result<Scaled<T>> {
    let legs = primed(network.open());
    if legs.len() != cotangent.legs().len() || !legs.iter().all(|leg| cotangent.legs().contains(leg)) {
        let what = format!("the cotangent, {cotangent}, of a network whose result has the legs {legs:?}: they differ");
        return Err(Error::Leg { what });
    }
    let names: Vec<&str> = network.open().iter().map(Leg::name).collect();
    rescaled(diagonal(cotangent.clone().into_array(&legs)?, &names)?, 0)
}

fn selected<T: Scalar>(tensor: &Tensor<T>, fixed: &[(&str, usize)]) -> Result<Tensor<T>> {
    let mut tensor = tensor.clone();
    for &(name, value) in fixed {
        if tensor.has_leg(name) {
            tensor = tensor.select(name, value)?;
        }
    }
    Ok(tensor)
}

/// The tree of a plan with the indices of every node, within one slice.
struct Tree<'a, T: Scalar> {
    plan: &'a Plan,
    /// The tensors, lone indices summed over.
    leaves: Vec<Scaled<T>>,
    legs: Vec<Vec<Leg>>,
}

impl<'a, T: Scalar> Tree<'a, T> {
    fn new(network: &Network<T>, plan: &'a Plan, open: &[Leg]) -> Result<Self> {
        let mut holders: HashMap<&str, usize> = HashMap::new();
        let all = network.tensors().flat_map(Tensor::legs).chain(open);
        all.for_each(|leg| *holders.entry(leg.name()).or_insert(0) += 1);
        let (mut leaves, mut legs) = (Vec::new(), Vec::new());
        for tensor in network.tensors() {
            let mut ready = tensor.clone();
            for leg in tensor.legs() {
                if holders.get(leg.name()) == Some(&1) && !plan_slices(plan, leg.name()) {
                    ready = summed(&ready, leg)?;
                } else {
                    ready = ready.with_role(leg, Role::Bond)?;
                }
            }
            legs.push(ready.legs().iter().filter(|leg| !plan_slices(plan, leg.name())).cloned().collect::<Vec<_>>());
            leaves.push(rescaled(ready, 0)?);
        }
        for &(a, b) in plan.tree().pairs() {
            let (one, two): (&[Leg], &[Leg]) = (&legs[a], &legs[b]);
            let mut result: Vec<Leg> = Vec::with_capacity(one.len() + two.len());
            for leg in one {
                if !two.contains(leg) {
                    result.push(leg.clone());
                } else if let Some(count) = holders.get_mut(leg.name()).filter(|count| **count > 2) {
                    // Something else has it: one tensor less from now on.
                    *count -= 1;
                    result.push(leg.clone());
                }
            }
            result.extend(two.iter().filter(|leg| !one.contains(leg)).cloned());
            legs.push(result);
        }
        Ok(Tree { plan, leaves, legs })
    }

    fn root(&self) -> usize {
        self.plan.tree().root()
    }

    fn children(&self, node: usize) -> Option<(usize, usize)> {
        self.plan.tree().children(node)
    }

    /// Multiplications of the step that makes `node`, and of each of the two that lead back.
    fn multiplications(&self, node: usize) -> f64 {
        let Some((a, b)) = self.children(node) else { return 0.0 };
        let (one, two) = (&self.legs[a], &self.legs[b]);
        let all = one.iter().chain(two.iter().filter(|leg| !one.contains(leg)));
        all.map(|leg| leg.dim() as f64).product()
    }

    fn bytes(&self, node: usize) -> u64 {
        let elements = self.legs[node].iter().fold(1_u64, |product, leg| product.saturating_mul(leg.dim() as u64));
        elements.saturating_mul(size_of::<T>() as u64)
    }
}

/// One pass over one slice.
struct Pass<'t, 'a, T: Scalar> {
    tree: &'t Tree<'a, T>,
    /// The tensors of this slice, and the intermediates that are kept.
    values: Vec<Option<Scaled<T>>>,
    derivatives: Vec<Option<Scaled<T>>>,
    multiplications: f64,
}

impl<'t, 'a, T: Scalar> Pass<'t, 'a, T> {
    fn new(tree: &'t Tree<'a, T>, fixed: &[(&str, usize)]) -> Result<Self> {
        let mut values = Vec::with_capacity(tree.legs.len());
        for leaf in &tree.leaves {
            values.push(Some(Scaled { tensor: selected(&leaf.tensor, fixed)?, exponent: leaf.exponent }));
        }
        values.resize_with(tree.legs.len(), || None);
        let derivatives = tree.leaves.iter().map(|_| None).collect();
        Ok(Pass { tree, values, derivatives, multiplications: 0.0 })
    }

    fn take(&mut self, node: usize) -> Result<Scaled<T>> {
        self.values.get_mut(node).and_then(Option::take).ok_or_else(|| absent(node))
    }

    /// The nodes below `node` that are not there, in the order in which they can be made.
    fn below(&self, node: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut stack: Vec<usize> = self.tree.children(node).into_iter().flat_map(|(a, b)| [a, b]).collect();
        while let Some(node) = stack.pop() {
            if self.values[node].is_none() {
                found.push(node);
                stack.extend(self.tree.children(node).into_iter().flat_map(|(a, b)| [a, b]));
            }
        }
        // A node has a higher number than what it is made of.
        found.sort_unstable();
        found
    }

    /// Derivatives of all tensors below `node`, from the cotangent of that node, which is in `ends`. What is kept below
    /// it counts as a tensor: its cotangent is left in `ends`. With `whole`, the value of the node is left in its place.
    ///
    /// Where what is to be kept does not fit, the node in the middle is made first and kept alone: the steps above it
    /// are done, and then those below it.
    fn part(&mut self, node: usize, ends: &mut HashMap<usize, Scaled<T>>, bytes: u64, whole: bool) -> Result<()> {
        let below = self.below(node);
        let needed = below.iter().fold(0_u64, |sum, &n| sum.saturating_add(self.tree.bytes(n)));
        if needed <= bytes || below.is_empty() {
            return self.steps(node, &below, ends, whole);
        }
        let middle = self.middle(&below);
        self.make(middle)?;
        self.part(node, ends, bytes.saturating_sub(self.tree.bytes(middle)), whole)?;
        // The value went where it was needed; those below it have not been made.
        self.part(middle, ends, bytes, false)
    }

    /// The node with about half of the others below it; of several the one with the fewest elements.
    fn middle(&self, below: &[usize]) -> usize {
        let mut inner: HashMap<usize, usize> = HashMap::new();
        for &node in below {
            let made: usize = self
                .tree
                .children(node)
                .map_or(0, |(a, b)| [a, b].iter().filter_map(|child| inner.get(child)).sum::<usize>());
            inner.insert(node, made + 1);
        }
        let half = below.len().div_ceil(2);
        let off = |node: &usize| inner.get(node).map_or(usize::MAX, |&count| count.abs_diff(half));
        let near = below.len() / 4;
        let good = below.iter().filter(|node| off(node) <= near).min_by_key(|&&node| self.tree.bytes(node));
        good.or_else(|| below.iter().min_by_key(|node| off(node))).copied().unwrap_or_default()
    }

    /// Makes the value of `node` and keeps nothing else that was not there.
    fn make(&mut self, node: usize) -> Result<()> {
        let below = self.below(node);
        for &made in below.iter().chain([&node]) {
            self.forward(made)?;
            for child in self.tree.children(made).into_iter().flat_map(|(a, b)| [a, b]) {
                if below.binary_search(&child).is_ok() {
                    self.values[child] = None;
                }
            }
        }
        Ok(())
    }

    fn forward(&mut self, node: usize) -> Result<()> {
        let tree = self.tree;
        let Some((a, b)) = tree.children(node) else { return Ok(()) };
        let (Some(one), Some(two)) = (&self.values[a], &self.values[b]) else { return Err(absent(node)) };
        let result = join(&one.tensor, &two.tensor, |leg| tree.legs[node].contains(leg))?;
        let result = rescaled(result, one.exponent + two.exponent)?;
        self.values[node] = Some(result);
        self.multiplications += tree.multiplications(node);
        Ok(())
    }

    /// All steps below `node` forward, and then back.
    fn steps(&mut self, node: usize, below: &[usize], ends: &mut HashMap<usize, Scaled<T>>, whole: bool) -> Result<()> {
        let tree = self.tree;
        for &made in below {
            self.forward(made)?;
        }
        if whole {
            self.forward(node)?;
        }
        for step in [node].into_iter().chain(below.iter().rev().copied()) {
            let cotangent = ends.remove(&step).ok_or_else(|| absent(step))?;
            let Some((a, b)) = tree.children(step) else {
                self.derivatives[step] = Some(cotangent);
                continue;
            };
            for (child, other) in [(a, b), (b, a)] {
                let Some(value) = &self.values[other] else { return Err(absent(other)) };
                // What the other one left on the result is summed, what both have and the result has is kept.
                let passed = join(&cotangent.tensor, &value.tensor, |leg| tree.legs[child].contains(leg))?;
                let passed = rescaled(passed, cotangent.exponent + value.exponent)?;
                self.multiplications += tree.multiplications(step);
                match self.derivatives.get_mut(child) {
                    Some(place) => *place = Some(passed),
                    None => drop(ends.insert(child, passed)),
                }
            }
            for child in [a, b] {
                if child >= tree.leaves.len() {
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
