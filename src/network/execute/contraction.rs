//! A contraction with its settings: memory, progress, the part of the slices that is done.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::budget::Budget;
use super::kernel::{self, COMFORTABLE, Memory};
use super::layout::Compiled;
use super::program::Program;
use super::sliced::{Accumulator, SlicedSum, zeros};
use super::{Contracted, on_diagonal};
use crate::error::{Error, Result};
use crate::network::{ContractionTree, Equation, Network, Plan};
use crate::parallel::{each, with_team};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Tensor};

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

/// Multiplications that slices are put together to, so that a thread works for a while.
const GROUP_WORK: f64 = (1 << 22) as f64;
/// Elements up to which a thread may hold a sum of its own.
const GROUP_ELEMENTS: u64 = 1 << 12;
/// More elements than the plain way by this part may be taken to compute only once what is the same in all slices.
const HOIST_SHARE: u64 = 8;

/// A program with the order in which its slices are done.
struct Prepared {
    compiled: Compiled,
    hoist: bool,
    /// The sliced indices, open ones first.
    sliced: Vec<usize>,
    /// Number of combinations of the open ones, and of the others.
    outer: u64,
    inner: u64,
    /// Slices that are added up before the sum is; a group has one value of the open indices.
    group: u64,
    /// Elements of the result of a slice, and of all.
    part: u64,
    total: u64,
    /// Elements of a result with repeated open indices.
    spread: u64,
}

impl Prepared {
    fn new(program: &Program, plan: &Plan, hoist: bool) -> Self {
        let equation = plan.equation();
        let is_open = |i: &usize| equation.output().contains(i);
        let (open, closed): (Vec<usize>, Vec<usize>) = plan.sliced().iter().partition(|i| is_open(i));
        let count = |indices: &[usize]| indices.iter().fold(1_u64, |n, &i| n.saturating_mul(equation.dims()[i]));
        let (outer, inner) = (count(&open), count(&closed));
        let sliced = [open, closed].concat();
        let compiled = program.compile(&sliced, hoist);
        let part = compiled
            .outputs
            .first()
            .map_or(1, |output| output.order.iter().fold(1_u64, |n, &i| n.saturating_mul(equation.dims()[i])));
        let repeated = (1..equation.output().len()).any(|k| equation.output()[..k].contains(&equation.output()[k]));
        // Some groups are left for other threads, whatever their number.
        let wanted = (GROUP_WORK / compiled.flops.max(1.0)).clamp(1.0, 65536.0) as u64;
        let group = if part > GROUP_ELEMENTS { 1 } else { wanted.min(inner.div_ceil(16)).max(1) };
        Prepared {
            compiled,
            hoist,
            sliced,
            outer,
            inner,
            group,
            part,
            total: part.saturating_mul(outer),
            spread: if repeated { count(equation.output()) } else { 0 },
        }
    }

    fn is_sliced(&self) -> bool {
        !self.sliced.is_empty()
    }

    /// Elements alive at once with so many threads at the slices.
    fn elements(&self, workers: u64) -> u64 {
        if !self.compiled.fits {
            return u64::MAX;
        }
        let last = self.total.saturating_add(self.spread.saturating_mul(2));
        if !self.is_sliced() {
            return self.compiled.peak().max(if self.spread > 0 { last } else { 0 });
        }
        let own = if self.group > 1 { self.part } else { 0 };
        let slices = self.compiled.work.saturating_add(own).saturating_mul(workers);
        // A sum that goes on from a file is there from the start.
        let once = self.compiled.making.saturating_add(self.total);
        once.max(self.compiled.kept.saturating_add(self.total).saturating_add(slices)).max(last)
    }

    fn groups_inside(&self) -> u64 {
        self.inner.div_ceil(self.group)
    }

    fn groups(&self) -> u64 {
        self.outer.saturating_mul(self.groups_inside())
    }

    /// The number of slices in the first so many groups.
    fn slices_in(&self, groups: u64) -> u64 {
        let (open, inside) = (groups / self.groups_inside(), groups % self.groups_inside());
        open.saturating_mul(self.inner).saturating_add(inside.saturating_mul(self.group).min(self.inner))
    }
}

/// The program of a plan over leaves whose indices lie in the given orders.
fn program_of(equation: &Equation, tree: &ContractionTree, leaves: Vec<Vec<usize>>) -> Result<Program> {
    let mut holders = vec![0_usize; equation.indices()];
    leaves.iter().flatten().for_each(|&i| holders[i] += 1);
    let mut open: Vec<usize> = Vec::new();
    for &i in equation.output() {
        if !open.contains(&i) {
            open.push(i);
            holders[i] += 1;
        }
    }
    let mut leaves = leaves;
    let single = tree.pairs().is_empty();
    if single {
        // One tensor is multiplied by the number one.
        leaves.push(Vec::new());
    }
    let mut program = Program::new(equation.dims(), leaves)?;
    let own = [(0, 1)];
    let pairs = if single { &own[..] } else { tree.pairs() };
    for (step, &(a, b)) in pairs.iter().enumerate() {
        let (left, right) = (&program.values[a], &program.values[b]);
        let mut out: Vec<usize> = Vec::with_capacity(left.len() + right.len());
        for &i in left {
            let shared = right.contains(&i);
            // Something else has it: it is kept, and one tensor less has it from now on.
            if holders[i] > if shared { 2 } else { 1 } {
                holders[i] -= usize::from(shared);
                out.push(i);
            }
        }
        out.extend(right.iter().filter(|i| !left.contains(i) && holders[**i] > 1));
        if step + 1 == pairs.len() {
            out = open.clone();
        }
        program.push(a, b, out)?;
    }
    let last = program.values.len() - 1;
    program.output(last)?;
    Ok(program)
}

/// The indices of each tensor, each once, in the order of the equation.
fn plain_leaves(equation: &Equation) -> Vec<Vec<usize>> {
    let once = |input: &Vec<usize>| {
        let mut once: Vec<usize> = Vec::with_capacity(input.len());
        input.iter().for_each(|i| {
            if !once.contains(i) {
                once.push(*i)
            }
        });
        once
    };
    equation.inputs().iter().map(once).collect()
}

/// The way in which a plan is done without a limit of memory: what is the same in all slices is computed once where that
/// takes little more memory.
fn usual(program: &Program, plan: &Plan) -> Prepared {
    let plain = Prepared::new(program, plan, false);
    if !plain.is_sliced() {
        return plain;
    }
    let hoisted = Prepared::new(program, plan, true);
    let (least, more) = (plain.elements(1), hoisted.elements(1));
    if more <= least.saturating_add(least / HOIST_SHARE) { hoisted } else { plain }
}

/// Elements alive at once when a plan is done by one thread on tensors in standard layout; `u64::MAX` beyond any memory.
pub(in crate::network) fn peak_elements(plan: &Plan) -> Result<u64> {
    let program = program_of(plan.equation(), plan.tree(), plain_leaves(plan.equation()))?;
    Ok(usual(&program, plan).elements(1))
}

/// The tensors of a network as a program reads them.
struct Leaves<'a, T> {
    plain: Vec<&'a [T]>,
    /// Those of which a rescaled copy was made.
    copies: Vec<(usize, Vec<T>)>,
    exponents: Vec<i64>,
}

impl<'a, T: Scalar> Leaves<'a, T> {
    fn slices(&'a self) -> Vec<&'a [T]> {
        let mut slices = self.plain.clone();
        self.copies.iter().for_each(|(leaf, copy)| slices[*leaf] = copy);
        slices
    }
}

/// The number one, a leaf of every program of a single tensor.
fn one<T: Scalar>() -> Vec<T> {
    vec![T::one()]
}

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

    /// The result of contracting all tensors of `network`; its legs are the open ones, in order. An open leg that is
    /// listed twice has a prime on the name of its second occurrence.
    ///
    /// # Errors
    /// As [`Network::contract`]; [`Error::Memory`] if the plan does not fit into the budget, with the number of slices
    /// that would do.
    pub fn run<T: Scalar>(&self, network: &Network<T>) -> Result<Contracted<T>> {
        let task = Task::new(self, network)?;
        if task.prepared.is_sliced() {
            let mut sum = task.start(0)?;
            task.advance(&mut sum, u64::MAX, &mut |_| Ok(ControlFlow::Continue(())))?;
            return task.finish(sum.total.elements, sum.total.exponent.unwrap_or(0));
        }
        let (elements, exponent) = task.whole()?;
        task.finish(elements, exponent)
    }

    /// A sum over slices of which none is done.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn start<T: Scalar>(&self, network: &Network<T>) -> Result<SlicedSum<T>> {
        let task = Task::new(self, network)?;
        task.start(task.fingerprint())
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
        let task = Task::new(self, network)?;
        task.check(sum)?;
        task.advance(sum, self.most, watch)
    }

    /// The result of the slices that are in `sum`: the whole one if it [is complete](SlicedSum::is_complete).
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn finish<T: Scalar>(&self, network: &Network<T>, sum: SlicedSum<T>) -> Result<Contracted<T>> {
        let task = Task::new(self, network)?;
        task.check(&sum)?;
        task.finish(sum.total.elements, sum.total.exponent.unwrap_or(0))
    }
}

/// A contraction of one network.
struct Task<'a, T: Scalar> {
    network: &'a Network<T>,
    plan: &'a Plan,
    prepared: Prepared,
    leaves: Leaves<'a, T>,
    one: Vec<T>,
    workers: u64,
    open: Vec<Leg>,
}

impl<'a, T: Scalar> Task<'a, T> {
    fn new(contraction: &Contraction<'a>, network: &'a Network<T>) -> Result<Self> {
        let (plan, budget) = (contraction.plan, contraction.budget);
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
        let program = program_of(plan.equation(), plan.tree(), orders)?;
        let kind = T::KIND;
        let bytes = |elements: u64| elements.saturating_mul(kind.bytes() as u64);
        let (leaves, copied) = leaves(network, |copied| {
            if budget.allows(bytes(copied)) { Ok(()) } else { Err(budget.refusal(plan, kind, bytes(copied))) }
        })?;
        let needs = |prepared: &Prepared, workers: u64| bytes(prepared.elements(workers).saturating_add(copied));
        let mut prepared = usual(&program, plan);
        if budget.limit().is_some() && prepared.is_sliced() {
            // What fits decides, not what it costs beside the other way.
            let other = Prepared::new(&program, plan, !prepared.hoist);
            let fits = |prepared: &Prepared| budget.allows(needs(prepared, 1));
            if fits(&other) && (other.hoist || !fits(&prepared)) {
                prepared = other;
            }
        }
        let mut workers = (rayon::current_num_threads() as u64).min(prepared.groups()).max(1);
        if !prepared.is_sliced() {
            workers = 1;
        }
        while workers > 1 && !budget.allows(needs(&prepared, workers)) {
            workers -= 1;
        }
        let needed = needs(&prepared, workers);
        if !budget.allows(needed) {
            return Err(budget.refusal(plan, kind, needed));
        }
        if needed >= isize::MAX as u64 {
            return Err(Error::Memory {
                what: "the contraction by this plan".into(),
                needed,
                ceiling: isize::MAX as u64,
                way_out: "slice more indices".into(),
            });
        }
        let mut open: Vec<Leg> = Vec::new();
        for leg in network.open() {
            if open.iter().all(|other| other.name() != leg.name()) {
                open.push(leg.clone());
            }
        }
        Ok(Task { network, plan, prepared, leaves, one: one(), workers, open })
    }

    fn slices(&self) -> Vec<&[T]> {
        let mut slices = self.leaves.slices();
        slices.push(&self.one);
        slices
    }

    fn exponents(&self) -> Vec<i64> {
        let mut exponents = self.leaves.exponents.clone();
        exponents.resize(self.prepared.compiled.values, 0);
        exponents
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
    fn check(&self, sum: &SlicedSum<T>) -> Result<()> {
        if sum.fingerprint == self.fingerprint()
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
    fn whole(&self) -> Result<(Vec<T>, i64)> {
        let compiled = &self.prepared.compiled;
        let (leaves, mut exponents) = (self.slices(), self.exponents());
        let mut work: Vec<T> = zeros(compiled.work as usize)?;
        let mut memory = Memory { leaves: &leaves, kept: &[], work: &mut work, slice: &[], exponents: &mut exponents };
        memory.run(&compiled.body, compiled.leaves)?;
        // The result is in front.
        work.truncate(self.prepared.part as usize);
        work.shrink_to_fit();
        Ok((work, exponents.last().copied().unwrap_or_default()))
    }

    fn start(&self, fingerprint: u64) -> Result<SlicedSum<T>> {
        let total = Accumulator::new(self.prepared.total as usize)?;
        Ok(SlicedSum { fingerprint, done: 0, slices: self.prepared.compiled.slices(), total, multiplications: 0.0 })
    }

    fn advance(&self, sum: &mut SlicedSum<T>, most: u64, watch: &mut SliceObserver<'_, T>) -> Result<()> {
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
            let (elements, exponent) = self.whole()?;
            sum.total = Accumulator { elements, exponent: Some(exponent) };
            sum.done = 1;
            sum.multiplications += prepared.compiled.flops;
            return watch(sum).map(|_| ());
        }
        let (leaves, mut exponents) = (self.slices(), self.exponents());
        let kept = self.before(&leaves, &mut exponents)?;
        let mut workers = Vec::new();
        for _ in 0..self.workers {
            workers.push(Worker::new(self, &exponents)?);
        }
        let mut rounds = || -> Result<()> {
            while next < prepared.groups() && sum.done < most {
                let tasks: Vec<_> = (next..prepared.groups()).zip(&mut workers).collect();
                let begun = tasks.len() as u64;
                each(tasks, |(group, worker)| worker.outcome = worker.group(self, group, &leaves, &kept));
                for (worker, group) in workers.iter_mut().zip(next..next + begun) {
                    std::mem::replace(&mut worker.outcome, Ok(()))?;
                    let at = (group / prepared.groups_inside()).saturating_mul(prepared.part) as usize;
                    if prepared.group > 1 {
                        if let Some(exponent) = worker.own.exponent {
                            sum.total.add(&worker.own.elements, exponent, at);
                        }
                    } else {
                        let (part, exponent) = worker.result(self, &leaves, &kept)?;
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
        if self.workers > 1 { with_team(rounds) } else { rounds() }
    }

    /// The group that begins with this slice.
    fn group_of(&self, slice: u64) -> u64 {
        let prepared = &self.prepared;
        let (open, inside) = (slice / prepared.inner, slice % prepared.inner);
        open.saturating_mul(prepared.groups_inside()).saturating_add(inside / prepared.group)
    }

    /// Roles, order and repetitions of the open legs.
    fn finish(&self, elements: Vec<T>, exponent: i64) -> Result<Contracted<T>> {
        let ln_scale = exponent as f64 * std::f64::consts::LN_2 + self.network.ln_scale();
        let names = self.plan.equation().names();
        let order = self.prepared.compiled.outputs.first().map(|output| output.order.as_slice()).unwrap_or_default();
        let mut legs: Vec<Leg> = Vec::with_capacity(self.open.len());
        let first = self.prepared.sliced.iter().chain(order).map(|&i| names[i].as_str());
        let rest = self.open.iter().map(Leg::name);
        for name in first.chain(rest) {
            let leg = self.open.iter().find(|leg| leg.name() == name);
            legs.extend(leg.filter(|leg| legs.iter().all(|other| other.name() != leg.name())).cloned());
        }
        let mut tensor = Tensor::new(legs, elements)?;
        for leg in &self.open {
            tensor = tensor.with_role(leg, leg.role())?;
        }
        tensor = tensor.permute(&self.open)?;
        if self.open.len() < self.network.open().len() {
            tensor = on_diagonal(&tensor, self.network.open())?;
        }
        Ok(Contracted { tensor, ln_scale })
    }

    /// Of all that decides the sum over slices.
    fn fingerprint(&self) -> u64 {
        let mut hash = Hash::new();
        hash.bytes(self.plan.to_json().to_string().as_bytes());
        hash.bytes(T::KIND.name().as_bytes());
        hash.word(u64::from(self.prepared.hoist));
        hash.word(self.network.ln_scale().to_bits());
        for tensor in self.network.tensors() {
            tensor.memory_order().for_each(|leg| hash.bytes(leg.name().as_bytes()));
            hash.bytes(bytemuck::cast_slice(tensor.memory()));
        }
        hash.0
    }
}

/// A thread at the slices.
struct Worker<T> {
    work: Vec<T>,
    exponents: Vec<i64>,
    own: Accumulator<T>,
    slice: Vec<usize>,
    outcome: Result<()>,
}

impl<T: Scalar> Worker<T> {
    fn new(task: &Task<'_, T>, exponents: &[i64]) -> Result<Self> {
        let prepared = &task.prepared;
        let own = if prepared.group > 1 { prepared.part as usize } else { 0 };
        Ok(Worker {
            work: zeros(prepared.compiled.work as usize)?,
            exponents: exponents.to_vec(),
            own: Accumulator::new(own)?,
            slice: vec![0; prepared.sliced.len()],
            outcome: Ok(()),
        })
    }

    /// The slices of one group.
    fn group(&mut self, task: &Task<'_, T>, group: u64, leaves: &[&[T]], kept: &[T]) -> Result<()> {
        let prepared = &task.prepared;
        let (open, inside) = (group / prepared.groups_inside(), group % prepared.groups_inside());
        let from = inside * prepared.group;
        let to = (from + prepared.group).min(prepared.inner);
        self.own.clear();
        for number in from..to {
            self.run(task, open * prepared.inner + number, leaves, kept)?;
            if prepared.group > 1 {
                let Worker { work, exponents, own, slice, .. } = self;
                let Some(output) = prepared.compiled.outputs.first() else { continue };
                own.add(output.source.within(leaves, kept, work, slice)?, exponents[output.value], 0);
            }
        }
        Ok(())
    }

    /// One slice by its number.
    fn run(&mut self, task: &Task<'_, T>, mut number: u64, leaves: &[&[T]], kept: &[T]) -> Result<()> {
        let compiled = &task.prepared.compiled;
        for (value, &dim) in self.slice.iter_mut().zip(&compiled.sliced).rev() {
            *value = (number % dim) as usize;
            number /= dim;
        }
        let Worker { work, exponents, slice, .. } = self;
        Memory { leaves, kept, work, slice, exponents }.run(&compiled.body, compiled.leaves)
    }

    /// The result of the last slice.
    fn result<'b>(&'b mut self, task: &Task<'_, T>, leaves: &[&'b [T]], kept: &'b [T]) -> Result<(&'b [T], i64)> {
        let Worker { work, exponents, slice, .. } = self;
        let Some(output) = task.prepared.compiled.outputs.first() else { return Ok((&[], 0)) };
        let exponent = exponents[output.value];
        Ok((output.source.within(leaves, kept, work, slice)?, exponent))
    }
}

/// The elements of all tensors, and rescaled copies of those far from one; `room` is asked before a copy is made.
fn leaves<T: Scalar>(network: &Network<T>, room: impl Fn(u64) -> Result<()>) -> Result<(Leaves<'_, T>, u64)> {
    let mut found = Leaves { plain: Vec::new(), copies: Vec::new(), exponents: Vec::new() };
    let mut copied = 0_u64;
    for (number, tensor) in network.tensors().enumerate() {
        let memory = tensor.memory();
        let power = kernel::largest_power(memory)
            .ok_or_else(|| Error::NotFinite { what: format!("{tensor} within a contraction") })?;
        found.plain.push(memory);
        let far = power.abs() > COMFORTABLE;
        found.exponents.push(if far { i64::from(power) } else { 0 });
        if far {
            copied = copied.saturating_add(memory.len() as u64);
            room(copied)?;
            let mut copy: Vec<T> = zeros(memory.len())?;
            copy.copy_from_slice(memory);
            kernel::scale_down(&mut copy, power);
            found.copies.push((number, copy));
        }
    }
    Ok((found, copied))
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

/// Whether two equations differ only in indices that a tensor has twice.
pub(in crate::network) fn same_contraction(one: &Equation, two: &Equation) -> bool {
    let plain = |e: &Equation| {
        let named = |indices: &[usize], once: bool| {
            let mut names: Vec<(&str, u64)> = Vec::new();
            for &i in indices {
                let index = (e.names()[i].as_str(), e.dims()[i]);
                if !once || !names.contains(&index) {
                    names.push(index);
                }
            }
            names.into_iter().map(|(name, dim)| (name.to_owned(), dim)).collect::<Vec<_>>()
        };
        let inputs: Vec<_> = e.inputs().iter().map(|input| named(input, true)).collect();
        (inputs, named(e.output(), false))
    };
    plain(one) == plain(two)
}
