//! The portfolio: many starts, the better of them annealed, the best of those annealed longer, and again.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::cost::Objective;
use super::equation::Equation;
use super::order::{
    Allowance, Bare, Exact, Family, Graph, Joins, MOST, Outcome, Schedule, State, Subsets, anneal, reconfigure, reduce,
    sliced_cost, start,
};
use super::plan::{copied_leaves, frugal_peak, peak_with};
use crate::error::{Error, Result};
use crate::random::Seed;

/// Up to so many tensors, the best of all orders is found.
const EXACT: usize = 14;
/// Leaves of the subtrees that are made anew after annealing, and in the end.
const WIDTH: usize = 8;
const FINAL_WIDTH: usize = 10;
/// Sweeps of the first annealing of the first round.
const SWEEPS: usize = 48;
/// Orders of each family that are annealed in a round.
const KEPT: usize = 4;
/// More tensors than this make a network large: annealing comes before the best orders of small parts.
const LARGE: usize = 600;
/// What one move of annealing takes, in multiplications.
const MOVE: f64 = 100.0;

/// Candidates that are annealed before the search looks whether it has done enough.
const BATCH: usize = 4;

/// What a search is to do and when it is to stop.
pub(super) struct Search<'a> {
    pub equation: &'a Equation,
    pub objective: Objective,
    pub seed: Seed,
    pub deadline: Option<Instant>,
    pub rounds: Option<usize>,
    /// The search ends once it has done this times the work of the contraction.
    pub patience: f64,
    /// `log2` of the elements that a result may have; then trees are compared as they are when sliced.
    pub limit: Option<f64>,
}

/// Up to so many tensors, outer products are tried as well as everything else.
const ALL_JOINS: usize = 14;
/// What the best of all orders may take: half a minute, half a gigabyte.
const WHOLE: Allowance = Allowance { pairs: 6_000_000_000, sets: 4_000_000, deadline: None };

/// The best of all orders, if that can be known.
pub(super) fn best_of_all(equation: &Equation, objective: Objective) -> Result<Bare> {
    let graph = Graph::new(equation, &[], true);
    let n = graph.tensors;
    let too_large = || Error::Room {
        what: format!("the best order of these {n} tensors"),
        needed: "a table of more than 4 million parts of the network, or of more pairs than can be tried".into(),
        way_out: "use `search`, which finds a good one".into(),
    };
    if n > MOST {
        return Err(too_large());
    }
    let (deadline, limit) = (None, None);
    let search = Search { equation, objective, seed: Seed(0), deadline, rounds: Some(1), patience: 1.0, limit };
    let known = search.run().into_iter().next();
    let Some(known) = known else {
        return Err(Error::Empty { what: "the list of tensors of a network".into() });
    };
    let joins = if n <= ALL_JOINS { Joins::All } else { Joins::Connected };
    let copied = copied_leaves(equation, &[]);
    let state = State::new(&graph, objective, known.clone());
    let bound = match objective {
        Objective::Size => state.largest(),
        Objective::Peak => peak_with(&state, &copied),
        _ => state.total(),
    };
    let mut best = match Exact::new(&graph, objective, joins, &copied, bound).best(&WHOLE) {
        Outcome::Better(tree) => tree,
        Outcome::Bound => known,
        Outcome::Unknown => return Err(too_large()),
    };
    if objective == Objective::Size {
        // The fewest multiplications of all orders that are as small.
        let state = State::new(&graph, objective, best.clone());
        let exact = Exact::new(&graph, Objective::Flops, joins, &copied, state.total_flops());
        match exact.within(state.largest()).best(&WHOLE) {
            Outcome::Better(tree) => best = tree,
            Outcome::Bound => {}
            Outcome::Unknown => return Err(too_large()),
        }
    }
    Ok(best)
}

#[derive(Clone)]
struct Candidate {
    score: f64,
    /// The inverse temperature at which it is annealed next.
    warmth: f64,
    family: Family,
    /// A tree of the smaller graph.
    bare: Bare,
}

impl Search<'_> {
    fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The best trees that were found, the best first; empty only for a network without tensors.
    pub(super) fn run(&self) -> Vec<Bare> {
        let begun = Instant::now();
        let whole = Graph::new(self.equation, &[], true);
        let smaller = reduce(&whole);
        // On a large network, what comes in the end takes about as long as this did.
        let deadline = self.deadline.map(|deadline| deadline.checked_sub(begun.elapsed()).unwrap_or(deadline));
        let search = Search { deadline, ..*self };
        let graph = &smaller.graph;
        let mut room = Subsets::default();
        let mut best = if graph.tensors <= EXACT {
            // Measured from a greedy order, so that powers of two stay within range.
            let bare = start(graph, Family::Greedy, 0, self.seed, self.objective, &mut room, None);
            let shift = State::new(graph, self.objective, bare.clone()).total();
            let exact = if shift.is_finite() { room.best_tree(graph, self.objective, shift) } else { None };
            vec![exact.unwrap_or(bare)]
        } else {
            Rounds { search: &search, graph, elite: Vec::new(), work: 0.0, known: false }.run()
        };
        for (place, bare) in best.iter_mut().enumerate() {
            *bare = smaller.expand(bare);
            // Only the first is certain to be used.
            if place == 0 && !search.past_grace() {
                let mut state = State::new(&whole, self.objective, bare.clone());
                reconfigure(&mut state, FINAL_WIDTH, f64::INFINITY, &mut room, search.grace());
                *bare = state.bare;
            }
        }
        best
    }

    /// The last touches may take a little longer than was asked for.
    fn grace(&self) -> Option<Instant> {
        self.deadline.map(|deadline| deadline + Duration::from_millis(30))
    }

    fn past_grace(&self) -> bool {
        self.grace().is_some_and(|grace| Instant::now() >= grace)
    }
}

struct Rounds<'a> {
    search: &'a Search<'a>,
    graph: &'a Graph,
    elite: Vec<Candidate>,
    /// Multiplications that could have been done meanwhile.
    work: f64,
    /// The first of the elite is known to be the best of all.
    known: bool,
}

/// A candidate that is to be annealed: for how many sweeps, and with which random stream.
type Task = (Candidate, usize, u64);

impl Rounds<'_> {
    fn run(&mut self) -> Vec<Bare> {
        let mut idle = 0;
        for round in 0..self.search.rounds.unwrap_or(usize::MAX) {
            let before = self.best();
            if !self.round(round) || self.known {
                break;
            }
            idle = if self.best() < before - 1e-6 { 0 } else { idle + 1 };
            // As good as certain that there is nothing better to be found.
            if idle >= 6 && self.search.patience.is_finite() {
                break;
            }
        }
        self.elite.iter().map(|best| best.bare.clone()).collect()
    }

    fn best(&self) -> f64 {
        self.elite.first().map_or(f64::INFINITY, |best| best.score)
    }

    /// One round; `false` once the search has to end.
    fn round(&mut self, round: usize) -> bool {
        // Each round anneals longer than the one before, by half.
        let sweeps = (SWEEPS as f64 * 1.5_f64.powi(round.min(40) as i32)) as usize;
        if round == 0 {
            // Without annealing first: it is quick, and enough for what is easy.
            let large = self.graph.tensors > LARGE;
            let first = self.starts(0, if large { 2 } else { 1 });
            if large {
                // Where even the small parts take long, other orders come first.
                first.into_iter().for_each(|candidate| self.rank(candidate));
            } else if !self.improve(first.into_iter().map(|candidate| (candidate, 0, 0)).collect()) {
                return false;
            }
        }
        if self.exact(round) {
            return false;
        }
        let mut chosen = Vec::new();
        let pool = 8 + 2 * round.min(20) as u64;
        let mut all = self.starts(round, pool);
        for family in Family::ALL {
            let of_family = all.extract_if(.., |candidate| candidate.family == family);
            let mut of_family: Vec<Candidate> = of_family.collect();
            of_family.sort_by(|a, b| a.score.total_cmp(&b.score));
            of_family.truncate(KEPT);
            chosen.extend(of_family);
        }
        // The best first, for the time may not be enough for all.
        chosen.sort_by(|a, b| a.score.total_cmp(&b.score));
        let numbered = |(number, candidate)| (candidate, sweeps, (round * 64 + number) as u64);
        if !self.improve(chosen.into_iter().enumerate().map(numbered).collect()) {
            return false;
        }
        for (best, longer) in [(4, 4), (2, 16)] {
            let again = self.elite.iter().take(best).cloned().enumerate();
            let numbered =
                |(number, candidate)| (candidate, sweeps * longer, (round * 64 + 16 * longer + number) as u64);
            if !self.improve(again.map(numbered).collect()) {
                return false;
            }
        }
        true
    }

    /// The first `pool` orders of each family in this round, or as many as there is time for.
    fn starts(&self, round: usize, pool: u64) -> Vec<Candidate> {
        let wanted: Vec<(u64, Family)> =
            (0..pool).flat_map(|index| Family::ALL.map(|family| (index, family))).collect();
        let none = self.elite.is_empty();
        let make = |(place, &(index, family)): (usize, &(u64, Family))| {
            // Something has to be there.
            if self.search.late() && !(none && place == 0) {
                return None;
            }
            let Search { seed, objective, deadline, .. } = *self.search;
            let number = round as u64 * 64 + index;
            let bare = start(self.graph, family, number, seed, objective, &mut Subsets::default(), deadline);
            Some(Candidate { score: self.score(&bare), warmth: family.warmth(), family, bare })
        };
        wanted.par_iter().enumerate().with_max_len(1).filter_map(make).collect()
    }

    /// The best of all orders, if it can be found quickly; whether it was.
    fn exact(&mut self, round: usize) -> bool {
        let objective = self.search.objective;
        let plain = matches!(objective, Objective::Flops | Objective::Write | Objective::Combined { .. });
        let Some(best) = self.elite.first().filter(|_| plain && self.search.limit.is_none()) else { return false };
        if self.graph.tensors > MOST || round > 4 {
            return false;
        }
        let bound = State::new(self.graph, objective, best.bare.clone()).total();
        // More and more of it, as the search goes on.
        let pairs = 10_000_000 << (2 * round);
        let allowance = Allowance { pairs, sets: 1 << (16 + round), deadline: self.search.deadline };
        self.work += pairs as f64;
        match Exact::new(self.graph, objective, Joins::Connected, &[], bound).best(&allowance) {
            Outcome::Better(bare) => {
                let (score, family) = (self.score(&bare), best.family);
                if score < self.best() {
                    self.elite.insert(0, Candidate { score, warmth: 4.0, family, bare });
                }
                self.known = true;
            }
            Outcome::Bound => self.known = true,
            Outcome::Unknown => {}
        }
        self.known
    }

    /// Anneals candidates, puts their subtrees in order and ranks them; `false` once the search has to end.
    ///
    /// Those of a batch are independent of each other and may be done by several threads; whether there is to be
    /// another batch is decided between two.
    fn improve(&mut self, tasks: Vec<Task>) -> bool {
        for batch in tasks.chunks(BATCH) {
            let none = self.elite.is_empty();
            let one = |(place, task): (usize, &Task)| {
                if self.search.late() && !(none && place == 0) { None } else { Some(self.improved(task)) }
            };
            let done: Vec<Candidate> = batch.par_iter().enumerate().with_max_len(1).filter_map(one).collect();
            for (_, sweeps, _) in batch {
                let nodes = self.graph.tensors.saturating_sub(1) as f64;
                self.work += (MOVE * *sweeps as f64 + 1e5) * nodes;
            }
            done.into_iter().for_each(|candidate| self.rank(candidate));
            let Some(best) = self.elite.first() else { return false };
            let flops = State::new(self.graph, self.search.objective, best.bare.clone()).total_flops();
            if self.search.late() || self.work >= self.search.patience * flops.exp2() {
                return false;
            }
        }
        true
    }

    fn improved(&self, (candidate, sweeps, number): &Task) -> Candidate {
        let mut state = State::new(self.graph, self.search.objective, candidate.bare.clone());
        if *sweeps > 0 {
            let limit = self.search.limit.unwrap_or(f64::INFINITY);
            let schedule = Schedule { from: candidate.warmth, to: 10.0, sweeps: *sweeps, limit, penalty: 0.5 };
            let mut stream = self.search.seed.stream("annealing", *number);
            anneal(&mut state, &schedule, &mut stream, self.search.deadline);
        }
        reconfigure(&mut state, WIDTH, f64::INFINITY, &mut Subsets::default(), self.search.deadline);
        // What has been annealed once is not to be melted again.
        let warmth = (1.5 * candidate.warmth).clamp(1.0, 6.0);
        Candidate { score: self.score(&state.bare), warmth, family: candidate.family, bare: state.bare }
    }

    fn rank(&mut self, candidate: Candidate) {
        let place = self.elite.iter().position(|other| other.score > candidate.score).unwrap_or(self.elite.len());
        if self.elite.iter().all(|other| other.bare != candidate.bare) {
            self.elite.insert(place, candidate);
            self.elite.truncate(2 * KEPT);
        }
    }

    /// What is to be small. The second number of the objective decides among equals.
    fn score(&self, bare: &Bare) -> f64 {
        let state = State::new(self.graph, self.search.objective, bare.clone());
        let largest = state.largest();
        match (self.search.limit, self.search.objective) {
            // As they are when sliced.
            (Some(limit), _) => sliced_cost(&state, limit) + 1e-3 * largest,
            (None, Objective::Size) => largest + 1e-3 * state.total_flops(),
            (None, Objective::Peak) => frugal_peak(&state) + 1e-3 * state.total_flops(),
            (None, _) => state.total() + 1e-3 * largest,
        }
    }
}
