//! Contracting a network by a plan.
//!
//! A plan becomes a [`Program`]: numbered steps over lists of indices. Compiling it lays out the memory of all its values
//! and the matrices that each step reads; running it does nothing but copies and matrix products on plain memory.

mod actions;
mod arena;
mod branches;
mod budget;
mod compiled;
mod contraction;
mod kernel;
mod layout;
mod leaves;
mod pairwise;
mod place;
mod prepared;
mod program;
mod pullback;
mod reading;
mod reverse;
mod sliced;
mod worker;

pub use budget::Budget;
pub use compiled::CompiledContraction;
pub use contraction::{Contraction, SliceObserver};
pub(super) use pairwise::{join, rescaled, summed};
pub(super) use prepared::peak_elements;
pub use pullback::CompiledGradient;
pub(crate) use sliced::Accumulator;
pub use sliced::SlicedSum;

use ndarray::IxDyn;

use super::network::Network;
use super::plan::Plan;
use crate::error::Result;
use crate::scalar::{LogScaled, Scalar};
use crate::tensor::{Leg, Tensor};

/// The result of a contraction: a tensor times a power of `e` that floating point need not hold.
#[derive(Debug, Clone)]
pub struct Contracted<T: Scalar> {
    pub(super) tensor: Tensor<T>,
    pub(super) ln_scale: f64,
}

impl<T: Scalar> Contracted<T> {
    /// The tensor without the factor.
    #[must_use]
    pub fn mantissa(&self) -> &Tensor<T> {
        &self.tensor
    }

    /// `ln` of the factor.
    #[must_use]
    pub fn ln_scale(&self) -> f64 {
        self.ln_scale
    }

    /// The number that a network without open legs is.
    ///
    /// # Errors
    /// [`Error::Leg`](crate::Error::Leg) if there are open legs.
    pub fn scalar(&self) -> Result<LogScaled<T>> {
        Ok(LogScaled::new(self.tensor.to_scalar()?, self.ln_scale))
    }

    /// The tensor times the factor; elements that do not fit into `T` are infinite or zero.
    ///
    /// # Errors
    /// Never for a result of a contraction.
    pub fn into_tensor(self) -> Result<Tensor<T>> {
        if self.ln_scale == 0.0 {
            return Ok(self.tensor);
        }
        Ok(self.tensor.map(|x| LogScaled::new(x, self.ln_scale).value()))
    }
}

impl<T: Scalar> Network<T> {
    /// The result of contracting all tensors as the plan says; its legs are the open ones, in order. An open leg that is
    /// listed twice has a prime on the name of its second occurrence.
    ///
    /// The exponent of every intermediate is kept apart, so a value far beyond the range of `T` comes out right. This is
    /// [`Contraction`] without limits.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the plan is for another pattern or other dimensions,
    /// [`Error::NotFinite`](crate::Error::NotFinite) if a tensor holds NaN or infinity,
    /// [`Error::Memory`](crate::Error::Memory) if a result does not fit into memory.
    pub fn contract(&self, plan: &Plan) -> Result<Contracted<T>> {
        Contraction::new(plan).run(self)
    }

    /// The result of contracting all tensors within so much memory, by the best plan that `time` finds; indices are
    /// sliced where that is needed.
    ///
    /// # Errors
    /// As [`contract`](Self::contract) and [`Planner::search`](super::Planner::search);
    /// [`Error::Memory`](crate::Error::Memory) if no slicing keeps within the budget.
    pub fn contract_within(
        &self,
        budget: Budget,
        time: std::time::Duration,
        seed: crate::random::Seed,
    ) -> Result<Contracted<T>> {
        let planner = super::Planner::new();
        let planner = budget.limit().map_or(planner.clone(), |bytes| planner.max_bytes(bytes, T::KIND));
        let plan = planner.search(&self.equation()?, time, seed)?;
        Contraction::new(&plan).budget(budget).run(self)
    }
}

/// A result from its elements: the indices of these names as they lie in memory, slowest first, those that are not open
/// left out, with the roles, the order and the repetitions of the open legs.
fn handed_out<T: Scalar>(elements: Vec<T>, names: &[&str], listed: &[Leg]) -> Result<Tensor<T>> {
    let mut open: Vec<&Leg> = Vec::with_capacity(listed.len());
    for leg in listed {
        if open.iter().all(|other| other.name() != leg.name()) {
            open.push(leg);
        }
    }
    let mut legs: Vec<Leg> = Vec::with_capacity(open.len());
    for name in names.iter().copied().chain(open.iter().map(|leg| leg.name())) {
        let leg = open.iter().find(|leg| leg.name() == name);
        legs.extend(leg.filter(|leg| legs.iter().all(|other| other.name() != leg.name())).map(|&leg| leg.clone()));
    }
    let tensor = Tensor::new(legs, elements)?.permute(&open)?;
    if open.len() < listed.len() { on_diagonal(&tensor, listed) } else { Ok(tensor) }
}

/// The legs of a result: a name that is there again has a prime, or several.
pub(super) fn primed(open: &[Leg]) -> Vec<Leg> {
    let mut legs: Vec<Leg> = Vec::with_capacity(open.len());
    for leg in open {
        let mut name = leg.name().to_owned();
        while legs.iter().any(|other| other.name() == name) {
            name.push('\'');
        }
        legs.push(leg.renamed(name));
    }
    legs
}

/// Spreads a tensor over the diagonal of legs that are listed more than once.
pub(super) fn on_diagonal<T: Scalar>(tensor: &Tensor<T>, open: &[Leg]) -> Result<Tensor<T>> {
    let legs = primed(open);
    let place = |leg: &Leg| tensor.legs().iter().position(|other| other.name() == leg.name()).unwrap_or_default();
    let source: Vec<usize> = open.iter().map(place).collect();
    let mut out = Tensor::<T>::zeros(legs.clone())?.into_array(&legs)?;
    for (index, &value) in tensor.view_in_order(tensor.legs())?.indexed_iter() {
        let place: Vec<usize> = source.iter().map(|&axis| index[axis]).collect();
        if let Some(slot) = out.get_mut(IxDyn(&place)) {
            *slot = value;
        }
    }
    Tensor::from_array(legs, out)
}
