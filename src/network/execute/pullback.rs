//! The steps of a pass forward and back with their memory, to be run any number of times.

use std::sync::{Mutex, PoisonError};

use super::actions::Compiled;
use super::budget::Budget;
use super::compiled::TEAM_WORK;
use super::contraction::program_for;
use super::kernel::{self, Memory};
use super::leaves::Leaves;
use super::program::once;
use super::reverse::reverse;
use super::sliced::{Accumulator, zeros};
use super::{Contracted, handed_out, primed};
use crate::error::{Error, Result};
use crate::network::network::diagonal;
use crate::network::{Gradient, Network, Plan};
use crate::parallel::{map, with_team};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Tensor};

/// The passes forward and back by a plan ([`Backward`](crate::network::Backward)), whose steps, orders of axes and places
/// in memory are found, for tensors of the shapes it was compiled for. It keeps its memory from one run to the next.
///
/// ```
/// use ansatz::Seed;
/// use ansatz::network::{Backward, ContractionTree, Equation, Network, Plan};
/// let equation = Equation::parse("ab,bc,ca->", &[[8, 8]; 3])?;
/// let plan = Plan::new(&equation, &ContractionTree::new(3, vec![(0, 1), (3, 2)])?, &[])?;
/// let network = Network::<f64>::random(&equation, Seed(1))?;
/// let compiled = Backward::new().compile(&network, &plan)?;
/// for seed in 2..5 {
///     let other = Network::<f64>::random(&equation, Seed(seed))?;
///     assert_eq!(compiled.gradient(&other)?.value(), other.gradient(&plan)?.value());
/// }
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug)]
pub struct CompiledGradient<T: Scalar> {
    budget: Budget,
    compiled: Compiled,
    slices: u64,
    /// The names of the indices.
    names: Vec<String>,
    dims: Vec<u64>,
    sliced: Vec<usize>,
    /// For each tensor its legs as they lie in memory.
    orders: Vec<Vec<Leg>>,
    open: Vec<Leg>,
    /// The indices of the result and of each derivative, sliced ones first.
    results: Vec<Vec<usize>>,
    /// Memory of runs that are over.
    idle: Mutex<Vec<Vec<T>>>,
}

/// The result of the network, and what belongs to its tensors, in order.
type Made<T> = (Contracted<T>, Vec<Contracted<T>>);

impl<T: Scalar> CompiledGradient<T> {
    /// With at most so many elements of intermediates kept.
    pub(in crate::network) fn new(network: &Network<T>, plan: &Plan, budget: Budget, keep: u64) -> Result<Self> {
        let forward = program_for(network, plan)?;
        let equation = plan.equation();
        let sliced = plan.sliced().to_vec();
        let program = reverse(&forward, equation.tensors(), once(equation.output()), &sliced, keep)?;
        // A part of a derivative belongs to one value of every sliced index of the tensor, also of those that it has alone.
        let ordered = |(place, &value): (usize, &usize)| {
            let whole = if place == 0 { equation.output() } else { forward.values[place - 1].as_slice() };
            let first = sliced.iter().filter(|i| whole.contains(i));
            first.chain(program.indices(value).iter().filter(|i| !sliced.contains(i))).copied().collect()
        };
        Ok(CompiledGradient {
            budget,
            results: program.outputs.iter().enumerate().map(ordered).collect(),
            compiled: program.compile(&sliced, false, true),
            slices: plan.slices(),
            names: equation.names().to_vec(),
            dims: equation.dims().to_vec(),
            sliced,
            orders: network.tensors().map(|tensor| tensor.memory_order().cloned().collect()).collect(),
            open: network.open().to_vec(),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Multiplications of both passes, over all slices.
    #[must_use]
    pub fn multiplications(&self) -> f64 {
        self.compiled.flops * self.slices as f64
    }

    /// The most that is allocated by one thread for elements, beside the tensors of the network: intermediates,
    /// cotangents and derivatives. `u64::MAX` beyond any memory.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.bytes(1, 0)
    }

    fn bytes(&self, workers: u64, copied: u64) -> u64 {
        let count = |indices: &[usize], all: bool| {
            let there = indices.iter().filter(|i| all || !self.sliced.contains(i));
            there.fold(1_u64, |product, &i| product.saturating_mul(self.dims[i]))
        };
        let sum = |all: bool| self.results.iter().fold(0_u64, |sum, list| sum.saturating_add(count(list, all)));
        let (part, total) = (sum(false), sum(true));
        // While derivatives are handed out, the last is there twice; the seed is as large as the result.
        let more = copied.saturating_add(total).saturating_add(total);
        let elements = self.compiled.peak().saturating_add(part).saturating_mul(workers).saturating_add(more);
        elements.saturating_mul(T::KIND.bytes() as u64)
    }

    /// The threads that may work at slices with so many elements of tensors copied.
    pub(in crate::network) fn check(&self, copied: u64) -> Result<u64> {
        let mut workers = (rayon::current_num_threads() as u64).min(self.slices).max(1);
        while workers > 1 && !self.budget.allows(self.bytes(workers, copied)) {
            workers -= 1;
        }
        let needed = self.bytes(workers, copied);
        if self.budget.allows(needed) && needed < isize::MAX as u64 {
            return Ok(workers);
        }
        Err(Error::Memory {
            what: format!("the gradient by this plan of {} slices", self.slices),
            needed,
            ceiling: self.budget.limit().unwrap_or(isize::MAX as u64),
            way_out: "allow more, or give a plan with more slices".into(),
        })
    }

    /// The value of a network without open legs and its derivatives by all tensors.
    ///
    /// # Errors
    /// [`Error::Leg`] if there are open legs; else as [`pullback`](Self::pullback).
    pub fn gradient(&self, network: &Network<T>) -> Result<Gradient<T>> {
        if let Some(leg) = self.open.first() {
            let what = format!("the gradient of a network with open leg {leg}: give a cotangent to Backward::pullback");
            return Err(Error::Leg { what });
        }
        let (value, found) = self.run(network, vec![T::one()], 0)?;
        // The derivatives of a holomorphic function, of which the pass makes conj(dZ/dA).
        let conj = |d: Contracted<T>| Contracted {
            tensor: if T::IS_COMPLEX { d.tensor.conj() } else { d.tensor },
            ln_scale: d.ln_scale,
        };
        Ok(Gradient {
            value: value.scalar()?,
            derivatives: found.into_iter().map(conj).collect(),
            multiplications: self.multiplications(),
        })
    }

    /// The result `V` of a network, and the gradients of a real loss by all its tensors, given that by `V`, as
    /// [`Backward::pullback`](crate::network::Backward::pullback).
    ///
    /// # Errors
    /// [`Error::Shape`] if a tensor has other legs than that in its place when this was compiled; [`Error::Leg`] if the
    /// cotangent has other legs than the result; [`Error::NotFinite`] if a tensor, the cotangent or a result holds NaN
    /// or infinity; [`Error::Memory`] if the system refuses the memory, or copies of tensors do not fit into the budget.
    pub fn pullback(&self, network: &Network<T>, cotangent: &Tensor<T>) -> Result<Made<T>> {
        let legs = primed(&self.open);
        if legs.len() != cotangent.legs().len() || !legs.iter().all(|leg| cotangent.legs().contains(leg)) {
            let what =
                format!("the cotangent, {cotangent}, of a network whose result has the legs {legs:?}: they differ");
            return Err(Error::Leg { what });
        }
        // Where a result lies on a diagonal, so does what counts of the cotangent.
        let names: Vec<&str> = self.open.iter().map(Leg::name).collect();
        let plain = diagonal(cotangent.clone().into_array(&legs)?, &names)?;
        let mut seed: Vec<T> = plain.view_in_order(plain.legs())?.iter().copied().collect();
        let exponent = kernel::rescale(&mut seed)
            .ok_or_else(|| Error::NotFinite { what: format!("the cotangent, {cotangent}, of a network") })?;
        self.run(network, seed, exponent)
    }

    fn run(&self, network: &Network<T>, seed: Vec<T>, exponent: i64) -> Result<Made<T>> {
        let room = |copied: u64| self.check(copied).map(|_| ());
        let loaded = Leaves::load(network.tensors(), Some(&self.orders), room)?;
        let threads = self.check(loaded.copied)?;
        let one = [T::one()];
        let mut leaves = loaded.slices();
        let mut exponents = loaded.exponents.clone();
        if leaves.len() == 1 {
            // One tensor is multiplied by the number one.
            leaves.push(&one);
            exponents.push(0);
        }
        leaves.push(&seed);
        exponents.push(exponent);
        let totals = if self.sliced.is_empty() {
            let mut work = self.idle().pop().unwrap_or_default();
            let mut run = || self.compiled.run(&leaves, &exponents, &[], &mut work);
            let found = if self.compiled.flops >= TEAM_WORK { with_team(run) } else { run() };
            self.idle().push(work);
            found?
        } else {
            self.sum(&leaves, &exponents, threads)?
        };
        self.dressed(network, totals)
    }

    /// The sum of all slices, added in their order.
    fn sum(&self, leaves: &[&[T]], exponents: &[i64], threads: u64) -> Result<Vec<(Vec<T>, i64)>> {
        let count = |indices: &[usize]| indices.iter().map(|&i| self.dims[i] as usize).product::<usize>();
        let totals = self.results.iter().map(|list| Accumulator::new(count(list)));
        let mut totals = totals.collect::<Result<Vec<_>>>()?;
        // For each result the distance of its parts, for each sliced index.
        let strides = self.results.iter().map(|list| {
            let stride = |i: &usize| list.iter().position(|j| j == i).map_or(0, |place| count(&list[place + 1..]));
            self.sliced.iter().map(stride).collect::<Vec<_>>()
        });
        let strides: Vec<Vec<usize>> = strides.collect();
        let values = |mut number: u64| {
            let mut values = vec![0; self.sliced.len()];
            for (value, &i) in values.iter_mut().zip(&self.sliced).rev() {
                *value = (number % self.dims[i]) as usize;
                number /= self.dims[i];
            }
            values
        };
        let mut rooms: Vec<Vec<T>> = Vec::new();
        rooms.resize_with(threads as usize, || self.idle().pop().unwrap_or_default());
        self.idle().clear();
        let mut rounds = || -> Result<()> {
            let mut next = 0;
            while next < self.slices {
                let tasks: Vec<_> = (next..self.slices).zip(&mut rooms).collect();
                next += tasks.len() as u64;
                let found = map(tasks, |(number, work)| {
                    let slice = values(number);
                    self.compiled.run(leaves, exponents, &slice, work).map(|parts| (slice, parts))
                });
                for found in found {
                    let (slice, parts) = found?;
                    for ((total, (part, exponent)), strides) in totals.iter_mut().zip(&parts).zip(&strides) {
                        let at = slice.iter().zip(strides).map(|(value, stride)| value * stride).sum();
                        total.add(part, *exponent, at);
                    }
                    // After each, whatever the number of threads.
                    totals.iter_mut().try_for_each(Accumulator::settle)?;
                }
            }
            Ok(())
        };
        let outcome = if threads > 1 { with_team(rounds) } else { rounds() };
        self.idle().extend(rooms);
        outcome?;
        Ok(totals.into_iter().map(|total| (total.elements, total.exponent.unwrap_or(0))).collect())
    }

    /// Results with their legs.
    fn dressed(&self, network: &Network<T>, totals: Vec<(Vec<T>, i64)>) -> Result<Made<T>> {
        let ln_scale = |exponent: i64| exponent as f64 * std::f64::consts::LN_2 + network.ln_scale();
        let names = |list: &[usize]| list.iter().map(|&i| self.names[i].as_str()).collect::<Vec<_>>();
        let mut totals = totals.into_iter().zip(&self.results);
        let ((elements, exponent), list) = totals.next().ok_or_else(missing)?;
        let value =
            Contracted { tensor: handed_out(elements, &names(list), &self.open)?, ln_scale: ln_scale(exponent) };
        let mut derivatives = Vec::with_capacity(self.orders.len());
        for (((elements, exponent), list), tensor) in totals.zip(network.tensors()) {
            let legs = names(list).into_iter().filter_map(|name| tensor.legs().iter().find(|leg| leg.name() == name));
            let mut found = Tensor::new(legs.cloned().collect::<Vec<_>>(), elements)?;
            // What was summed over before anything else has the same derivative for all its values.
            let lone: Vec<Leg> = tensor.legs().iter().filter(|leg| !found.has_leg(leg)).cloned().collect();
            if !lone.is_empty() {
                found = found.expand(&lone)?;
            }
            derivatives.push(Contracted { tensor: found.permute(tensor.legs())?, ln_scale: ln_scale(exponent) });
        }
        Ok((value, derivatives))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Vec<T>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing() -> Error {
    Error::Format { what: "a pass back over a plan without a result".into() }
}

impl Compiled {
    /// Runs a program of which everything is done in each slice: every value asked for, in the order in which its
    /// indices were given, those that are sliced left out, and the power of two by which it is to be multiplied.
    /// `leaves` are the elements in the order of their indices, `exponents` the powers of two by which they are to be
    /// multiplied, `work` the memory of an earlier run or none. That the whole fits into memory has been checked.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a result is not finite, [`Error::Memory`] if the system refuses the memory,
    /// [`Error::Shape`] if a leaf has another size.
    pub(super) fn run<T: Scalar>(
        &self,
        leaves: &[&[T]],
        exponents: &[i64],
        slice: &[usize],
        work: &mut Vec<T>,
    ) -> Result<Vec<(Vec<T>, i64)>> {
        if work.len() != self.work as usize {
            *work = Vec::new();
            *work = zeros(self.work as usize)?;
        }
        let mut scales = vec![0; self.values];
        scales.iter_mut().zip(exponents).for_each(|(scale, &exponent)| *scale = exponent);
        Memory { leaves, kept: &[], work, slice, exponents: &mut scales }.slice(self)?;
        let mut results = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            let mut elements = zeros(output.loops.iter().map(|run| run.len).product())?;
            let found = output.source.within(leaves, &[], work, slice)?;
            kernel::copy(found, &output.loops, &mut elements);
            results.push((elements, scales[output.value]));
        }
        Ok(results)
    }
}
