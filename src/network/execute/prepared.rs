//! A program with the way in which its slices are done.

use super::actions::Compiled;
use super::program::{Members, Program, once};
use crate::error::Result;
use crate::network::{ContractionTree, Equation, Plan};

/// Multiplications that slices are put together to, so that a thread works for a while.
const GROUP_WORK: f64 = (1 << 22) as f64;
/// Elements up to which a thread may hold a sum of its own.
const GROUP_ELEMENTS: u64 = 1 << 12;
/// More elements than the plain way by this part may be taken to compute only once what is the same in all slices.
const HOIST_SHARE: u64 = 8;

/// A program with the order in which its slices are done.
#[derive(Debug)]
pub(super) struct Prepared {
    pub compiled: Compiled,
    pub hoist: bool,
    /// The sliced indices, open ones first.
    pub sliced: Vec<usize>,
    /// Number of combinations of the open ones, and of the others.
    pub outer: u64,
    pub inner: u64,
    /// Slices that are added up before the sum is; a group has one value of the open indices.
    pub group: u64,
    /// Elements of the result of a slice, and of all.
    pub part: u64,
    pub total: u64,
    /// Elements of a result with repeated open indices.
    spread: u64,
}

impl Prepared {
    pub fn new(program: &Program, plan: &Plan, hoist: bool) -> Self {
        Prepared::with(program, plan, hoist, true)
    }

    /// One step after the other, in the least memory.
    pub fn serial(program: &Program, plan: &Plan) -> Self {
        Prepared::with(program, plan, false, false)
    }

    fn with(program: &Program, plan: &Plan, hoist: bool, at_once: bool) -> Self {
        let equation = plan.equation();
        let is_open = |i: &usize| equation.output().contains(i);
        let (open, closed): (Vec<usize>, Vec<usize>) = plan.sliced().iter().partition(|i| is_open(i));
        let count = |indices: &[usize]| indices.iter().fold(1_u64, |n, &i| n.saturating_mul(equation.dims()[i]));
        let (outer, inner) = (count(&open), count(&closed));
        let sliced = [open, closed].concat();
        let compiled = program.compile(&sliced, hoist, at_once);
        let part = compiled
            .outputs
            .first()
            .map_or(1, |output| output.order.iter().fold(1_u64, |n, &i| n.saturating_mul(equation.dims()[i])));
        let repeated = once(equation.output()).len() < equation.output().len();
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

    pub fn is_sliced(&self) -> bool {
        !self.sliced.is_empty()
    }

    /// Elements alive at once with so many threads at the slices.
    pub fn elements(&self, workers: u64) -> u64 {
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

    pub fn groups_inside(&self) -> u64 {
        self.inner.div_ceil(self.group)
    }

    pub fn groups(&self) -> u64 {
        self.outer.saturating_mul(self.groups_inside())
    }

    /// The number of slices in the first so many groups.
    pub fn slices_in(&self, groups: u64) -> u64 {
        let (open, inside) = (groups / self.groups_inside(), groups % self.groups_inside());
        open.saturating_mul(self.inner).saturating_add(inside.saturating_mul(self.group).min(self.inner))
    }
}

/// The program of a plan over leaves whose indices lie in the given orders.
pub(super) fn program_of(equation: &Equation, tree: &ContractionTree, leaves: Vec<Vec<usize>>) -> Result<Program> {
    let mut holders = vec![0_usize; equation.indices()];
    leaves.iter().flatten().for_each(|&i| holders[i] += 1);
    let open = once(equation.output());
    open.iter().for_each(|&i| holders[i] += 1);
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
        let (on_left, on_right) = (Members::of(left), Members::of(right));
        for &i in left {
            let shared = on_right.has(i);
            // Something else has it: it is kept, and one tensor less has it from now on.
            if holders[i] > if shared { 2 } else { 1 } {
                holders[i] -= usize::from(shared);
                out.push(i);
            }
        }
        out.extend(right.iter().filter(|i| !on_left.has(**i) && holders[**i] > 1));
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
    equation.inputs().iter().map(|input| once(input)).collect()
}

/// The way in which a plan is done without a limit of memory: what is the same in all slices is computed once where that
/// takes little more memory.
pub(super) fn usual(program: &Program, plan: &Plan) -> Prepared {
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
/// Whether two equations differ only in indices that a tensor has twice.
pub(super) fn same_contraction(one: &Equation, two: &Equation) -> bool {
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
