//! A contraction compiled for tensors of certain shapes, to be run any number of times.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use super::actions::Home;
use super::budget::Budget;
use super::contraction::SliceObserver;
use super::kernel::Memory;
use super::leaves::Leaves;
use super::prepared::Prepared;
use super::sliced::{Accumulator, SlicedSum, zeros};
use super::worker::Worker;
use super::{Contracted, handed_out};
use crate::error::{Error, Result};
use crate::network::{Network, Plan};
use crate::parallel::{each, with_team};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Tensor};

/// Multiplications from which a contraction has a team of threads.
pub(super) const TEAM_WORK: f64 = (1 << 22) as f64;

/// A [`Contraction`](super::Contraction) whose steps, orders of axes and places in memory are found, for tensors of the
/// shapes it was compiled for. It keeps its memory from one run to the next.
///
/// ```
/// use ansatz::{Leg, Seed, Tensor};
/// use ansatz::network::{Contraction, ContractionTree, Equation, Network, Plan};
/// let equation = Equation::parse("ab,bc,ca->", &[[8, 8]; 3])?;
/// let plan = Plan::new(&equation, &ContractionTree::new(3, vec![(0, 1), (3, 2)])?, &[])?;
/// let network = Network::<f64>::random(&equation, Seed(1))?;
/// let compiled = Contraction::new(&plan).compile(&network)?;
/// for seed in 2..5 {
///     let other = Network::<f64>::random(&equation, Seed(seed))?;
///     assert_eq!(compiled.run(&other)?.scalar()?, other.contract(&plan)?.scalar()?);
///     // The same without a network around the tensors.
///     let tensors: Vec<Tensor<f64>> = other.tensors().cloned().collect();
///     assert_eq!(compiled.run_tensors(&tensors)?.scalar()?, other.contract(&plan)?.scalar()?);
/// }
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug)]
pub struct CompiledContraction<T: Scalar> {
    plan: Plan,
    budget: Budget,
    most: u64,
    prepared: Prepared,
    /// For each tensor its legs as they lie in memory.
    orders: Vec<Vec<Leg>>,
    /// The open legs, as often as they are listed.
    open: Vec<Leg>,
    /// The last leaf of a program of a single tensor.
    one: [T; 1],
    /// Memory of runs that are over.
    idle: Mutex<Vec<Vec<T>>>,
}

impl<T: Scalar> CompiledContraction<T> {
    pub(super) fn new(plan: &Plan, budget: Budget, most: u64, prepared: Prepared, network: &Network<T>) -> Self {
        CompiledContraction {
            plan: plan.clone(),
            budget,
            most,
            prepared,
            orders: network.tensors().map(|tensor| tensor.memory_order().cloned().collect()).collect(),
            open: network.open().to_vec(),
            one: [T::one()],
            idle: Mutex::new(Vec::new()),
        }
    }

    /// The result for the tensors of a network.
    ///
    /// # Errors
    /// [`Error::Shape`] if a tensor has other legs than that in its place when this was compiled;
    /// [`Error::NotFinite`] if a tensor or a result holds NaN or infinity; [`Error::Memory`] if the system refuses the
    /// memory, or copies of tensors in the order compiled for, or scaled ones, do not fit into the budget.
    pub fn run(&self, network: &Network<T>) -> Result<Contracted<T>> {
        self.run_loaded(&self.load(network.tensors())?, network.ln_scale(), true)
    }

    /// The result for these tensors, one for each of those it was compiled for, in their order.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_tensors<'a>(&self, tensors: impl IntoIterator<Item = &'a Tensor<T>>) -> Result<Contracted<T>> {
        self.run_loaded(&self.load(tensors)?, 0.0, true)
    }

    /// Multiplications of one slice, beside those that are done once for all slices.
    #[must_use]
    pub fn multiplications(&self) -> f64 {
        self.prepared.compiled.flops
    }

    /// A sum over slices of which none is done.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn start(&self, network: &Network<T>) -> Result<SlicedSum<T>> {
        self.empty_sum(self.fingerprint(network))
    }

    /// Does the slices that are not in `sum` yet, tells `watch` after every few, and stops where it breaks or where
    /// [`slices`](super::Contraction::slices) says. However often it is broken off and gone on with, the sum has the
    /// same bits.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`Error::Format`] if the sum is of another plan, other tensors or another budget; those of
    /// `watch`.
    pub fn advance(
        &self,
        network: &Network<T>,
        sum: &mut SlicedSum<T>,
        watch: &mut SliceObserver<'_, T>,
    ) -> Result<()> {
        self.check(network, sum)?;
        self.go_on(&self.load(network.tensors())?, sum, self.most, watch)
    }

    /// The result of the slices that are in `sum`: the whole one if it [is complete](SlicedSum::is_complete).
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn finish(&self, network: &Network<T>, sum: SlicedSum<T>) -> Result<Contracted<T>> {
        self.check(network, &sum)?;
        self.result(sum.total.elements, sum.total.exponent.unwrap_or(0), network.ln_scale())
    }

    fn load<'a>(&self, tensors: impl IntoIterator<Item = &'a Tensor<T>>) -> Result<Leaves<'a, T>> {
        let room = |copied: u64| self.workers(copied, 0).map(|_| ());
        Leaves::load(tensors, Some(&self.orders), room)
    }

    /// The threads that may work at slices with so many elements of tensors copied, and `more` beside them.
    pub(super) fn workers(&self, copied: u64, more: u64) -> Result<u64> {
        let bytes = |elements: u64| elements.saturating_mul(T::KIND.bytes() as u64);
        let needs = |workers: u64| bytes(self.prepared.elements(workers).saturating_add(copied).saturating_add(more));
        let mut workers = 1;
        if self.prepared.is_sliced() {
            workers = (rayon::current_num_threads() as u64).min(self.prepared.groups()).max(1);
        }
        while workers > 1 && !self.budget.allows(needs(workers)) {
            workers -= 1;
        }
        let needed = needs(workers);
        if !self.budget.allows(needed) {
            return Err(self.budget.refusal(&self.plan, T::KIND, needed));
        }
        if needed >= isize::MAX as u64 {
            return Err(Error::Memory {
                what: "the contraction by this plan".into(),
                needed,
                ceiling: isize::MAX as u64,
                way_out: "slice more indices".into(),
            });
        }
        Ok(workers)
    }

    /// Runs; with `keep` the memory stays for the next time, if there is room for it beside the result.
    pub(super) fn run_loaded(&self, leaves: &Leaves<'_, T>, ln_scale: f64, keep: bool) -> Result<Contracted<T>> {
        if self.prepared.is_sliced() {
            let mut sum = self.empty_sum(0)?;
            self.go_on(leaves, &mut sum, u64::MAX, &mut |_| Ok(ControlFlow::Continue(())))?;
            return self.result(sum.total.elements, sum.total.exponent.unwrap_or(0), ln_scale);
        }
        let (elements, exponent) = self.whole(leaves, keep)?;
        self.result(elements, exponent, ln_scale)
    }

    fn slices<'b>(&'b self, leaves: &'b Leaves<'_, T>) -> Vec<&'b [T]> {
        let mut slices = leaves.slices();
        slices.push(&self.one);
        slices
    }

    fn exponents(&self, leaves: &Leaves<'_, T>) -> Vec<i64> {
        let mut exponents = leaves.exponents.clone();
        exponents.resize(self.prepared.compiled.values, 0);
        exponents
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Vec<T>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory of a slice: that of a run that is over, or new.
    fn memory(&self) -> Result<Vec<T>> {
        let idle = self.idle().pop();
        idle.map_or_else(|| zeros(self.prepared.compiled.work as usize), Ok)
    }

    /// What is the same in all slices.
    fn before(&self, leaves: &[&[T]], exponents: &mut [i64]) -> Result<Vec<T>> {
        let compiled = &self.prepared.compiled;
        let mut kept: Vec<T> = zeros(compiled.making as usize)?;
        let mut memory = Memory { leaves, kept: &[], work: &mut kept, slice: &[], exponents };
        memory.run(&compiled.before, compiled.leaves)?;
        kept.truncate(compiled.kept as usize);
        kept.shrink_to_fit();
        Ok(kept)
    }

    /// That a sum is one of this contraction.
    fn check(&self, network: &Network<T>, sum: &SlicedSum<T>) -> Result<()> {
        if sum.fingerprint == self.fingerprint(network)
            && sum.slices == self.prepared.compiled.slices()
            && sum.total.elements.len() as u64 == self.prepared.total
        {
            return Ok(());
        }
        let what = "the sum over slices is of another plan, other tensors or another budget: give those with which it was \
                    begun, or begin again";
        Err(Error::Format { what: what.into() })
    }

    /// A contraction without slices: the elements and their exponent.
    fn whole(&self, leaves: &Leaves<'_, T>, keep: bool) -> Result<(Vec<T>, i64)> {
        let compiled = &self.prepared.compiled;
        let part = self.prepared.part;
        let keep = keep && self.workers(leaves.copied, part).is_ok();
        let mut exponents = self.exponents(leaves);
        let mut work = self.memory()?;
        let slices = self.slices(leaves);
        let mut memory = Memory { leaves: &slices, kept: &[], work: &mut work, slice: &[], exponents: &mut exponents };
        // A team costs as much as some hundred thousand multiplications.
        let mut run = || memory.slice(compiled);
        if compiled.flops >= TEAM_WORK {
            with_team(run)?
        } else {
            run()?
        }
        let exponent = exponents.last().copied().unwrap_or_default();
        if keep {
            let result = match compiled.outputs.first() {
                Some(output) => output.source.within(&slices, &[], &work, &[])?.to_vec(),
                None => Vec::new(),
            };
            self.idle().push(work);
            return Ok((result, exponent));
        }
        if let Some(Home::Work(at)) = compiled.outputs.first().map(|output| output.source.home)
            && at > 0
        {
            let end = (at + part as usize).min(work.len());
            work.copy_within(at.min(end)..end, 0);
        }
        work.truncate(part as usize);
        work.shrink_to_fit();
        Ok((work, exponent))
    }

    fn empty_sum(&self, fingerprint: u64) -> Result<SlicedSum<T>> {
        let total = Accumulator::new(self.prepared.total as usize)?;
        Ok(SlicedSum { fingerprint, done: 0, slices: self.prepared.compiled.slices(), total, multiplications: 0.0 })
    }

    fn go_on(
        &self,
        leaves: &Leaves<'_, T>,
        sum: &mut SlicedSum<T>,
        most: u64,
        watch: &mut SliceObserver<'_, T>,
    ) -> Result<()> {
        let prepared = &self.prepared;
        let mut next = self.group_of(sum.done);
        if sum.done > sum.slices || prepared.slices_in(next) != sum.done {
            return Err(Error::Format { what: "the sum over slices ends within a group of slices".into() });
        }
        if sum.done >= most.min(sum.slices) {
            return Ok(());
        }
        if !prepared.is_sliced() {
            // The sum gives way to the result.
            sum.total.elements = Vec::new();
            let (elements, exponent) = self.whole(leaves, false)?;
            sum.total = Accumulator { elements, exponent: Some(exponent) };
            sum.done = 1;
            sum.multiplications += prepared.compiled.flops;
            return watch(sum).map(|_| ());
        }
        let threads = self.workers(leaves.copied, 0)?;
        let mut exponents = self.exponents(leaves);
        let leaves = self.slices(leaves);
        let kept = self.before(&leaves, &mut exponents)?;
        let mut workers = Vec::new();
        for _ in 0..threads {
            workers.push(Worker::new(prepared, self.memory()?, &exponents)?);
        }
        // Beyond the budget of a run with fewer threads nothing is kept.
        self.idle().clear();
        let mut rounds = || -> Result<()> {
            while next < prepared.groups() && sum.done < most {
                let tasks: Vec<_> = (next..prepared.groups()).zip(&mut workers).collect();
                let begun = tasks.len() as u64;
                each(tasks, |(group, worker)| worker.outcome = worker.group(prepared, group, &leaves, &kept));
                for (worker, group) in workers.iter_mut().zip(next..next + begun) {
                    std::mem::replace(&mut worker.outcome, Ok(()))?;
                    let at = (group / prepared.groups_inside()).saturating_mul(prepared.part) as usize;
                    if prepared.group > 1 {
                        if let Some(exponent) = worker.own.exponent {
                            sum.total.add(&worker.own.elements, exponent, at);
                        }
                    } else {
                        let (part, exponent) = worker.result(prepared, &leaves, &kept)?;
                        sum.total.add(part, exponent, at);
                    }
                    sum.total.settle()?;
                    let done = prepared.slices_in(group + 1);
                    sum.multiplications += prepared.compiled.flops * (done - sum.done) as f64;
                    sum.done = done;
                }
                next += begun;
                if watch(sum)?.is_break() {
                    break;
                }
            }
            Ok(())
        };
        let outcome = if threads > 1 { with_team(rounds) } else { rounds() };
        self.idle().extend(workers.into_iter().map(|worker| worker.work));
        outcome
    }

    /// The group that begins with this slice.
    fn group_of(&self, slice: u64) -> u64 {
        let prepared = &self.prepared;
        let (open, inside) = (slice / prepared.inner, slice % prepared.inner);
        open.saturating_mul(prepared.groups_inside()).saturating_add(inside / prepared.group)
    }

    /// Roles, order and repetitions of the open legs.
    fn result(&self, elements: Vec<T>, exponent: i64, ln_scale: f64) -> Result<Contracted<T>> {
        let ln_scale = exponent as f64 * std::f64::consts::LN_2 + ln_scale;
        let names = self.plan.equation().names();
        let order = self.prepared.compiled.outputs.first().map(|output| output.order.as_slice()).unwrap_or_default();
        let first: Vec<&str> = self.prepared.sliced.iter().chain(order).map(|&i| names[i].as_str()).collect();
        Ok(Contracted { tensor: handed_out(elements, &first, &self.open)?, ln_scale })
    }

    /// Of all that decides the sum over slices.
    fn fingerprint(&self, network: &Network<T>) -> u64 {
        let mut hash = Hash::new();
        hash.bytes(self.plan.to_json().to_string().as_bytes());
        hash.bytes(T::KIND.name().as_bytes());
        hash.word(u64::from(self.prepared.hoist));
        hash.word(network.ln_scale().to_bits());
        for tensor in network.tensors() {
            tensor.memory_order().for_each(|leg| hash.bytes(leg.name().as_bytes()));
            hash.bytes(bytemuck::cast_slice(tensor.memory()));
        }
        hash.0
    }
}

/// FNV-1a over words of eight bytes.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 ^= self.0 >> 29;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }
}
