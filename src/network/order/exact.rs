//! The best order of a network, by dynamic programming over connected sets of tensors.
//!
//! Sets of tensors are made in the order of their number, each from two smaller ones that share an index, and of each
//! the cheapest way to make it is kept. Whatever costs more than a cap is not made: the cap starts low and is raised
//! until the whole network is reached, at the latest at the cost of an order that is known (Pfeifer, Haegeman and
//! Verstraete, Phys. Rev. E 90, 033315, 2014). On chains, rings and ladders hardly anything is left to be looked at.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

use super::graph::{Graph, bits_of};
use super::state::{Bare, NONE};
use crate::network::cost::Objective;
use crate::network::plan::joint_peak;

/// Which pairs of sets are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joins {
    /// Those that share an index, and whole connected components with each other.
    Connected,
    /// All pairs.
    All,
}

/// What the programme may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Pairs of sets that may be looked at.
    pub pairs: u64,
    /// Sets that may be kept.
    pub sets: usize,
    pub deadline: Option<Instant>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The best tree, cheaper than the bound.
    Better(Bare),
    /// Nothing is cheaper than the bound.
    Bound,
    /// The allowance was used up before that was known.
    Unknown,
}

/// Tensors that fit in a set.
pub(crate) const MOST: usize = 64;
/// Up to so many tensors there is a place for every set.
const DIRECT: usize = 22;
/// Components that may be joined in every order.
const COMPONENTS: usize = 12;
/// The first cap, in powers of two below the bound, and how far it is raised each time.
const FIRST_CAP: f64 = 24.0;
const RAISE: f64 = 4.0;
/// Pairs between two looks at the clock.
const LOOK: u64 = 1 << 16;

/// A set of tensors and the cheapest way to make it.
#[derive(Clone, Copy)]
struct Entry {
    set: u64,
    /// Tensors outside that share an index with the set.
    near: u64,
    /// The cost as a share of the bound.
    cost: f64,
    /// Decides among equal costs: the largest result, or the multiplications.
    second: f64,
    /// `log2` of the elements.
    size: f64,
    /// The two entries of which it is made.
    split: [u32; 2],
}

/// A hash of one number: the sets of one size differ in few bits, which a product spreads.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }
    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

/// The entry of each set.
enum Table {
    /// By the set itself, for few tensors.
    Direct(Vec<u32>),
    Hashed(HashMap<u64, u32, BuildHasherDefault<Spread>>),
}

impl Table {
    fn new(tensors: usize) -> Self {
        match tensors {
            0..=DIRECT => Table::Direct(vec![NONE; 1 << tensors]),
            _ => Table::Hashed(HashMap::default()),
        }
    }

    #[inline(always)]
    fn get(&self, set: u64) -> Option<u32> {
        match self {
            Table::Direct(numbers) => Some(numbers[set as usize]).filter(|&number| number != NONE),
            Table::Hashed(numbers) => numbers.get(&set).copied(),
        }
    }

    fn insert(&mut self, set: u64, number: u32) {
        match self {
            Table::Direct(numbers) => numbers[set as usize] = number,
            Table::Hashed(numbers) => drop(numbers.insert(set, number)),
        }
    }
}

/// The dynamic programme of one network.
pub(crate) struct Exact<'g> {
    graph: &'g Graph,
    objective: Objective,
    joins: Joins,
    /// Whether the copy of a tensor of the network counts for the peak.
    copied: &'g [bool],
    limit: f64,
    /// The tensors that have each bit.
    holders: Vec<u64>,
    /// `log2` of the bound.
    shift: f64,
    entries: Vec<Entry>,
    legs: Vec<u64>,
    table: Table,
    /// The entries of each number of tensors.
    levels: Vec<Vec<u32>>,
    looked: u64,
}

impl<'g> Exact<'g> {
    /// `shift` is `log2` of what a known order costs, the objective being counted as [`best`](Self::best) says.
    pub(crate) fn new(graph: &'g Graph, objective: Objective, joins: Joins, copied: &'g [bool], shift: f64) -> Self {
        let holders = graph.holders.iter().map(|on| on.iter().fold(0, |set, &t| set | 1_u64 << (t % 64))).collect();
        let (entries, legs, table, levels) = (Vec::new(), Vec::new(), Table::Direct(Vec::new()), Vec::new());
        let limit = f64::INFINITY;
        Exact { graph, objective, joins, copied, limit, holders, shift, entries, legs, table, levels, looked: 0 }
    }

    /// No result may have more than `2^limit` elements.
    pub(crate) fn within(mut self, limit: f64) -> Self {
        self.limit = limit;
        self
    }

    /// The order of the least cost: the sum over the steps, or for sizes and peaks the largest of them; `None` in place
    /// of an order if none costs less than the bound.
    pub(crate) fn best(&mut self, allowance: &Allowance) -> Outcome {
        let n = self.graph.tensors;
        if n > MOST || !self.shift.is_finite() || self.components() > COMPONENTS {
            return Outcome::Unknown;
        }
        if n < 2 {
            return Outcome::Bound;
        }
        let mut below = FIRST_CAP;
        loop {
            match self.capped((-below).exp2() * (1.0 + 1e-9), allowance) {
                Some(Some(tree)) => return Outcome::Better(tree),
                Some(None) if below <= 0.0 => return Outcome::Bound,
                Some(None) => below = (below - RAISE).max(0.0),
                None => return Outcome::Unknown,
            }
        }
    }

    fn components(&self) -> usize {
        let mut parts: Vec<u64> = Vec::new();
        let alone = (0..self.graph.tensors).map(|t| 1_u64 << t);
        for set in self.holders.iter().copied().filter(|&set| set != 0).chain(alone) {
            let joined = parts.iter().filter(|&&part| part & set != 0).fold(set, |all, part| all | part);
            parts.retain(|part| part & set == 0);
            parts.push(joined);
        }
        parts.len()
    }

    /// One pass with a cap: the tree, if one was found, or nothing if the allowance is used up.
    #[allow(clippy::option_option)]
    fn capped(&mut self, cap: f64, allowance: &Allowance) -> Option<Option<Bare>> {
        let n = self.graph.tensors;
        self.entries.clear();
        self.legs.clear();
        self.table = Table::new(n);
        self.levels = vec![Vec::new(); n + 1];
        let all = if n == 64 { u64::MAX } else { (1 << n) - 1 };
        for t in 0..n {
            let legs = self.graph.legs(t);
            let near = bits_of(legs).fold(0, |near, bit| near | self.holders[bit]) & !(1 << t);
            let size = self.graph.size(legs);
            let held = self.objective == Objective::Peak && self.copied.get(t) != Some(&false);
            let cost = if held { self.share(size) } else { 0.0 };
            self.legs.extend(legs);
            self.levels[1].push(t as u32);
            self.entries.push(Entry { set: 1 << t, near, cost, second: 0.0, size, split: [0; 2] });
            self.table.insert(1 << t, t as u32);
        }
        for level in 2..=n {
            // Pairs of sets that were made, or all ways to part all sets of this size, whichever are fewer.
            let pairs: f64 = (1..=level / 2)
                .map(|small| self.levels[small].len() as f64 * self.levels[level - small].len() as f64)
                .sum();
            let within = match self.table {
                Table::Direct(_) if pairs > ways(n, level) => self.by_parts(level, cap, allowance),
                _ => self.by_pairs(level, cap, allowance),
            };
            if !within {
                return None;
            }
        }
        let Some(root) = self.table.get(all) else { return Some(None) };
        Some(Some(self.tree(root)))
    }

    /// Whether there is still something left of the allowance, `more` pairs having been looked at.
    fn goes_on(&mut self, more: usize, allowance: &Allowance) -> bool {
        let before = self.looked / LOOK;
        self.looked += more as u64;
        let late = || allowance.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        self.looked <= allowance.pairs
            && self.entries.len() <= allowance.sets
            && (self.looked / LOOK == before || !late())
    }

    /// Joins all pairs of sets that have `level` tensors together; `false` if the allowance is used up.
    fn by_pairs(&mut self, level: usize, cap: f64, allowance: &Allowance) -> bool {
        for small in 1..=level / 2 {
            let (few, many) = (self.levels[small].clone(), self.levels[level - small].clone());
            for (place, &a) in few.iter().enumerate() {
                // Of equal sizes, each pair once.
                let others = if 2 * small == level { &many[place + 1..] } else { &many[..] };
                if !self.goes_on(others.len(), allowance) {
                    return false;
                }
                let first = self.entries[a as usize];
                for &b in others {
                    let second = &self.entries[b as usize];
                    if first.set & second.set == 0 && self.joined(&first, second) {
                        self.join(a, b, level, cap);
                    }
                }
            }
        }
        true
    }

    /// Parts all sets of `level` tensors in all ways; `false` if the allowance is used up.
    fn by_parts(&mut self, level: usize, cap: f64, allowance: &Allowance) -> bool {
        let end = 1_u64 << self.graph.tensors;
        let mut set = (1_u64 << level) - 1;
        while set < end {
            if !self.goes_on(1 << (level - 1), allowance) {
                return false;
            }
            let low = set & set.wrapping_neg();
            let rest = set ^ low;
            let mut part = rest;
            while part != 0 {
                if let (Some(a), Some(b)) = (self.table.get(part), self.table.get(set ^ part))
                    && self.joined(&self.entries[a as usize], &self.entries[b as usize])
                {
                    self.join(a, b, level, cap);
                }
                part = (part - 1) & rest;
            }
            // The next larger number with as many bits.
            let carried = set + low;
            set = carried | ((set ^ carried) / low) >> 2;
        }
        true
    }

    #[inline(always)]
    fn joined(&self, first: &Entry, second: &Entry) -> bool {
        first.near & second.set != 0 || self.joins == Joins::All || (first.near == 0 && second.near == 0)
    }

    /// `2^log` as a share of the bound.
    fn share(&self, log: f64) -> f64 {
        (log - self.shift).exp2()
    }

    fn join(&mut self, a: u32, b: u32, level: usize, cap: f64) {
        let words = self.graph.words;
        let (first, second) = (self.entries[a as usize], self.entries[b as usize]);
        let summed = !matches!(self.objective, Objective::Size | Objective::Peak);
        let below = if summed { first.cost + second.cost } else { first.cost.max(second.cost) };
        if below > cap {
            return;
        }
        let set = first.set | second.set;
        let (at, bt) = (a as usize * words, b as usize * words);
        let (p, q) = (&self.legs[at..at + words], &self.legs[bt..bt + words]);
        let known = self.table.get(set);
        let mut scratch = [0_u64; 8];
        let size = match known {
            Some(known) => self.entries[known as usize].size,
            None => {
                let room = scratch.get_mut(..words);
                let Some(room) = room else { return self.join_wide(a, b, level, cap) };
                self.open(p, q, set, room);
                self.graph.size(room)
            }
        };
        let flops = self.graph.size_by(|w| p[w] | q[w]);
        self.offer(a, b, level, cap, (below, flops, size), known, &scratch);
    }

    /// As [`join`](Self::join), for more words than a small array has.
    fn join_wide(&mut self, a: u32, b: u32, level: usize, cap: f64) {
        let words = self.graph.words;
        let (first, second) = (self.entries[a as usize], self.entries[b as usize]);
        let summed = !matches!(self.objective, Objective::Size | Objective::Peak);
        let below = if summed { first.cost + second.cost } else { first.cost.max(second.cost) };
        let (at, bt) = (a as usize * words, b as usize * words);
        let (p, q) = (&self.legs[at..at + words], &self.legs[bt..bt + words]);
        let mut room = vec![0; words];
        self.open(p, q, first.set | second.set, &mut room);
        let (flops, size) = (self.graph.size_by(|w| p[w] | q[w]), self.graph.size(&room));
        let known = self.table.get(first.set | second.set);
        self.offer(a, b, level, cap, (below, flops, size), known, &room);
    }

    /// The indices of `p` and `q` that something outside of `set` has, or that are open.
    fn open(&self, p: &[u64], q: &[u64], set: u64, room: &mut [u64]) {
        for (w, slot) in room.iter_mut().enumerate() {
            *slot = p[w] | q[w];
            let mut shared = p[w] & q[w] & !self.graph.output[w];
            while shared != 0 {
                let bit = shared.trailing_zeros();
                if self.holders[64 * w + bit as usize] & !set == 0 {
                    *slot &= !(1 << bit);
                }
                shared &= shared - 1;
            }
        }
    }

    /// Keeps the pair if it is the cheapest way so far to make its set.
    #[allow(clippy::too_many_arguments)]
    fn offer(
        &mut self,
        a: u32,
        b: u32,
        level: usize,
        cap: f64,
        (below, flops, size): (f64, f64, f64),
        known: Option<u32>,
        legs: &[u64],
    ) {
        let (first, second) = (self.entries[a as usize], self.entries[b as usize]);
        let largest = first.second.max(second.second).max(self.share(size));
        let flops_share = self.share(flops);
        let (cost, tie) = match self.objective {
            Objective::Flops => (below + flops_share, largest),
            Objective::Write => (below + self.share(size), largest),
            Objective::Combined { factor } => (below + flops_share + factor * self.share(size), largest),
            Objective::Size => (below.max(self.share(size)), first.second + second.second + flops_share),
            Objective::Peak => {
                let held = |id: u32, entry: &Entry| {
                    let leaf = (id as usize) < self.graph.tensors;
                    if leaf && self.copied.get(id as usize) == Some(&false) { 0.0 } else { self.share(entry.size) }
                };
                let sizes = [self.share(first.size), self.share(second.size), self.share(size)];
                let cost = joint_peak([first.cost, second.cost], [held(a, &first), held(b, &second)], sizes).0;
                (cost, first.second + second.second + flops_share)
            }
        };
        if cost > cap || cost.is_nan() || size > self.limit + 1e-9 {
            return;
        }
        let set = first.set | second.set;
        let entry = Entry { set, near: (first.near | second.near) & !set, cost, second: tie, size, split: [a, b] };
        match known {
            Some(known) => {
                let old = &mut self.entries[known as usize];
                // Less than what rounding may feign is no gain.
                let equal = (cost - old.cost).abs() <= 1e-13 * old.cost;
                if (cost < old.cost && !equal) || (equal && tie < old.second) {
                    *old = entry;
                }
            }
            None => {
                let number = self.entries.len() as u32;
                self.entries.push(entry);
                self.legs.extend(&legs[..self.graph.words]);
                self.table.insert(set, number);
                self.levels[level].push(number);
            }
        }
    }

    fn tree(&self, root: u32) -> Bare {
        let n = self.graph.tensors;
        let mut inner = Vec::with_capacity(n - 1);
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            if id as usize >= n {
                inner.push(id);
                stack.extend(self.entries[id as usize].split);
            }
        }
        let number: HashMap<u32, u32> = inner.iter().enumerate().map(|(k, &id)| (id, (n + k) as u32)).collect();
        let id = |id: u32| number.get(&id).copied().unwrap_or(id);
        let children = inner.iter().map(|&node| self.entries[node as usize].split.map(id)).collect();
        Bare { leaves: n, children, root: id(root) }
    }
}

/// The ways to part all sets of `level` of `n` tensors in two.
fn ways(n: usize, level: usize) -> f64 {
    let sets = (0..level).fold(1.0, |sets, k| sets * (n - k) as f64 / (k + 1) as f64);
    sets * (level as f64 - 1.0).exp2()
}
