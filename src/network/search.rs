//! The portfolio: many starts, the better of them annealed, the best of those annealed longer, and again.

use std::time::Instant;

use super::cost::Objective;
use super::equation::Equation;
use super::order::{
    Allowance, Bare, Exact, Family, Graph, Joins, MOST, Outcome, Schedule, State, Subsets, anneal, reconfigure, reduce,
    start,
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
/// What one move of annealing takes, in multiplications.
const MOVE: f64 = 100.0;

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
    /// A tree of the smaller graph.
    bare: Bare,
}

impl Search<'_> {
    fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The best trees that were found, the best first; empty only for a network without tensors.
    pub(super) fn run(&self) -> Vec<Bare> {
        let whole = Graph::new(self.equation, &[], true);
        let smaller = reduce(&whole);
        let graph = &smaller.graph;
        let mut room = Subsets::default();
        let mut best = if graph.tensors <= EXACT {
            // Measured from a greedy order, so that powers of two stay within range.
            let bare = start(graph, Family::Greedy, 0, self.seed, self.objective, &mut room);
            let shift = State::new(graph, self.objective, bare.clone()).total();
            let exact = if shift.is_finite() { room.best_tree(graph, self.objective, shift) } else { None };
            vec![exact.unwrap_or(bare)]
        } else {
            Rounds { search: self, graph, room: &mut room, elite: Vec::new(), work: 0.0 }.run()
        };
        for (place, bare) in best.iter_mut().enumerate() {
            *bare = smaller.expand(bare);
            // Only the first is certain to be used.
            if place == 0 {
                let mut state = State::new(&whole, self.objective, bare.clone());
                reconfigure(&mut state, FINAL_WIDTH, f64::INFINITY, &mut room, self.grace());
                *bare = state.bare;
            }
        }
        best
    }

    /// The last touches may take a twentieth of a second longer than was asked for.
    fn grace(&self) -> Option<Instant> {
        self.deadline.map(|deadline| deadline + std::time::Duration::from_millis(50))
    }
}

struct Rounds<'a> {
    search: &'a Search<'a>,
    graph: &'a Graph,
    room: &'a mut Subsets,
    elite: Vec<Candidate>,
    /// Multiplications that could have been done meanwhile.
    work: f64,
}

impl Rounds<'_> {
    fn run(&mut self) -> Vec<Bare> {
        let mut idle = 0;
        for round in 0..self.search.rounds.unwrap_or(usize::MAX) {
            let before = self.best();
            if !self.round(round) {
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
        let pool = 8 + 2 * round.min(20) as u64;
        let mut chosen = Vec::new();
        for family in Family::ALL {
            let mut starts = Vec::new();
            for index in 0..pool {
                if self.search.late() && !(self.elite.is_empty() && chosen.is_empty() && starts.is_empty()) {
                    break;
                }
                let number = round as u64 * 64 + index;
                let bare = start(self.graph, family, number, self.search.seed, self.search.objective, self.room);
                let score = self.score(&bare);
                starts.push(Candidate { score, warmth: family.warmth(), bare });
            }
            starts.sort_by(|a, b| a.score.total_cmp(&b.score));
            starts.truncate(KEPT);
            if round == 0 {
                // Without annealing first: it is quick, and enough for what is easy.
                if starts.first().cloned().is_some_and(|first| !self.improve(first, 0, 0)) {
                    return false;
                }
            }
            chosen.extend(starts);
        }
        for (number, candidate) in chosen.into_iter().enumerate() {
            if !self.improve(candidate, sweeps, (round * 64 + number) as u64) {
                return false;
            }
        }
        for (best, longer) in [(4, 4), (2, 16)] {
            let again: Vec<Candidate> = self.elite.iter().take(best).cloned().collect();
            for (number, candidate) in again.into_iter().enumerate() {
                if !self.improve(candidate, sweeps * longer, (round * 64 + 16 * longer + number) as u64) {
                    return false;
                }
            }
        }
        true
    }

    /// Anneals a candidate, puts its subtrees in order and ranks it; `false` once the search has to end.
    fn improve(&mut self, candidate: Candidate, sweeps: usize, number: u64) -> bool {
        if self.search.late() && !self.elite.is_empty() {
            return false;
        }
        let mut state = State::new(self.graph, self.search.objective, candidate.bare);
        if sweeps > 0 {
            let limit = self.search.limit.unwrap_or(f64::INFINITY);
            let schedule = Schedule { from: candidate.warmth, to: 10.0, sweeps, limit, penalty: 0.5 };
            let mut stream = self.search.seed.stream("annealing", number);
            anneal(&mut state, &schedule, &mut stream, self.search.deadline);
            self.work += MOVE * (sweeps * state.bare.children.len()) as f64;
        }
        let deadline = self.search.grace();
        reconfigure(&mut state, WIDTH, f64::INFINITY, self.room, deadline);
        self.work += 1e5 * state.bare.children.len() as f64;
        let score = self.score(&state.bare);
        let worst = self.elite.iter().position(|other| other.score > score).unwrap_or(self.elite.len());
        if self.elite.iter().all(|other| other.bare != state.bare) {
            // What has been annealed once is not to be melted again.
            let warmth = (1.5 * candidate.warmth).clamp(1.0, 6.0);
            self.elite.insert(worst, Candidate { score, warmth, bare: state.bare.clone() });
            self.elite.truncate(2 * KEPT);
        }
        let flops = State::new(self.graph, self.search.objective, self.elite[0].bare.clone()).total_flops();
        !self.search.late() && self.work < self.search.patience * flops.exp2()
    }

    /// What is to be small. The second number of the objective decides among equals.
    fn score(&mut self, bare: &Bare) -> f64 {
        let state = State::new(self.graph, self.search.objective, bare.clone());
        let (total, largest) = (state.total(), state.largest());
        let charged = match self.search.limit {
            // Each factor of two above the limit takes two slices; that costs a little more than nothing.
            Some(limit) => 0.3 * (largest - limit).max(0.0),
            None => 0.0,
        };
        charged
            + match self.search.objective {
                Objective::Size => largest + 1e-3 * state.total_flops(),
                Objective::Peak => frugal_peak(&state) + 1e-3 * state.total_flops(),
                _ => total + 1e-3 * largest,
            }
    }
}
