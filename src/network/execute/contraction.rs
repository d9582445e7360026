//! A contraction with its settings: memory, progress, the part of the slices that is done.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::Contracted;
use super::budget::Budget;
use super::compiled::CompiledContraction;
use super::leaves::Leaves;
use super::prepared::{Prepared, program_of, same_contraction, usual};
use super::program::Program;
use super::sliced::SlicedSum;
use crate::error::{Error, Result};
use crate::network::{Network, Plan};
use crate::scalar::Scalar;
use crate::tensor::Leg;

/// A contraction by a plan, with what it may take.
///
/// ```
/// use std::ops::ControlFlow;
/// use ansatz::network::{Budget, Contraction, ContractionTree, Equation, Network, Plan};
/// // A ring of three matrices, the index `a` sliced.
/// let equation = Equation::parse("ab,bc,ca->", &[[8, 8]; 3])?;
/// let plan = Plan::new(&equation, &ContractionTree::new(3, vec![(0, 1), (3, 2)])?, &[0])?;
/// let network = Network::<f64>::random(&equation, ansatz::Seed(1))?;
/// let contraction = Contraction::new(&plan).budget(Budget::bytes(1 << 20));
/// let mut sum = contraction.start(&network)?;
/// contraction.advance(&network, &mut sum, &mut |sum| {
///     println!("{} of {}", sum.done(), sum.slices());
///     Ok(ControlFlow::Continue(()))
/// })?;
/// assert!(sum.is_complete());
/// assert_eq!(contraction.finish(&network, sum)?.scalar()?, contraction.run(&network)?.scalar()?);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Contraction<'a> {
    plan: &'a Plan,
    budget: Budget,
    most: u64,
}

/// Told after some slices; to break leaves the sum as it is.
pub type SliceObserver<'a, T> = dyn FnMut(&SlicedSum<T>) -> Result<ControlFlow<()>> + 'a;

impl<'a> Contraction<'a> {
    /// By this plan, without limits.
    #[must_use]
    pub fn new(plan: &'a Plan) -> Self {
        Contraction { plan, budget: Budget::unlimited(), most: u64::MAX }
    }

    /// Takes no more memory than that. So many slices are done at once as fit.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Ends [`advance`](Self::advance) once so many slices are done, for a measurement. Slices are done in groups; the
    /// last one is completed.
    #[must_use]
    pub fn slices(mut self, most: u64) -> Self {
        self.most = most;
        self
    }

    /// The steps, orders of axes and places in memory for tensors like those of `network`: a value to be run on any
    /// number of tensors of the same shapes. Those whose axes lie in memory as these do are read where they stand.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn compile<T: Scalar>(&self, network: &Network<T>) -> Result<CompiledContraction<T>> {
        Ok(self.compiled(network)?.0)
    }

    fn compiled<'b, T: Scalar>(&self, network: &'b Network<T>) -> Result<(CompiledContraction<T>, Leaves<'b, T>)> {
        let (plan, budget) = (self.plan, self.budget);
        let program = program_for(network, plan)?;
        let kind = T::KIND;
        let bytes = |elements: u64| elements.saturating_mul(kind.bytes() as u64);
        let leaves = Leaves::load(network.tensors(), None, |copied| {
            if budget.allows(bytes(copied)) { Ok(()) } else { Err(budget.refusal(plan, kind, bytes(copied))) }
        })?;
        let mut prepared = usual(&program, plan);
        let fits = |prepared: &Prepared| budget.allows(bytes(prepared.elements(1).saturating_add(leaves.copied)));
        if !prepared.is_sliced() {
            if !fits(&prepared) {
                prepared = Prepared::serial(&program, plan);
            }
        } else if budget.limit().is_some() {
            // What fits decides, not what it costs beside the other way.
            let other = Prepared::new(&program, plan, !prepared.hoist);
            if fits(&other) && (other.hoist || !fits(&prepared)) {
                prepared = other;
            }
        }
        let compiled = CompiledContraction::new(plan, budget, self.most, prepared, network);
        compiled.workers(leaves.copied, 0)?;
        Ok((compiled, leaves))
    }

    /// The result of contracting all tensors of `network`; its legs are the open ones, in order. An open leg that is
    /// listed twice has a prime on the name of its second occurrence.
    ///
    /// # Errors
    /// As [`Network::contract`]; [`Error::Memory`] if the plan does not fit into the budget, with the number of slices
    /// that would do.
    pub fn run<T: Scalar>(&self, network: &Network<T>) -> Result<Contracted<T>> {
        let (compiled, leaves) = self.compiled(network)?;
        compiled.run_loaded(&leaves, network.ln_scale(), false)
    }

    /// A sum over slices of which none is done.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn start<T: Scalar>(&self, network: &Network<T>) -> Result<SlicedSum<T>> {
        self.compile(network)?.start(network)
    }

    /// Does the slices that are not in `sum` yet, tells `watch` after every few, and stops where it breaks or where
    /// [`slices`](Self::slices) says. However often it is broken off and gone on with, the sum has the same bits.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`Error::Format`] if the sum is of another plan, other tensors or another budget; those of
    /// `watch`.
    pub fn advance<T: Scalar>(
        &self,
        network: &Network<T>,
        sum: &mut SlicedSum<T>,
        watch: &mut SliceObserver<'_, T>,
    ) -> Result<()> {
        self.compile(network)?.advance(network, sum, watch)
    }

    /// The result of the slices that are in `sum`: the whole one if it [is complete](SlicedSum::is_complete).
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn finish<T: Scalar>(&self, network: &Network<T>, sum: SlicedSum<T>) -> Result<Contracted<T>> {
        self.compile(network)?.finish(network, sum)
    }
}

/// The program of a plan for tensors whose axes lie in memory as those of `network`.
///
/// # Errors
/// [`Error::Shape`] if the plan is for another pattern or other dimensions.
pub(super) fn program_for<T: Scalar>(network: &Network<T>, plan: &Plan) -> Result<Program> {
    let equation = network.equation()?;
    // A tensor of the plan may have an index twice, of which the network holds the diagonal.
    if equation != *plan.equation() && !same_contraction(&equation, plan.equation()) {
        return Err(Error::Shape {
            what: "a plan for another network".into(),
            found: plan.equation().to_string(),
            expected: equation.to_string(),
        });
    }
    let names: HashMap<&str, usize> =
        plan.equation().names().iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let number = |leg: &Leg| names.get(leg.name()).copied().unwrap_or_default();
    let orders = network.tensors().map(|tensor| tensor.memory_order().map(number).collect()).collect();
    program_of(plan.equation(), plan.tree(), orders)
}
