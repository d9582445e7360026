//! The means of the search by themselves, for those who come with an order of their own or want one kind alone.

use std::time::{Duration, Instant};

use super::equation::Equation;
use super::order::{Bare, Family, Graph, Schedule, State, Subsets, anneal, reconfigure, start};
use super::plan::Plan;
use super::planner::Planner;
use crate::error::{Error, Result};
use crate::random::Seed;

/// Leaves of the subtrees that [`Planner::refine`] makes anew.
const WIDTH: usize = 8;
/// More leaves than this take too long.
const WIDEST: usize = 14;
/// Sweeps of the first annealing of a refinement; each one is half as long again as the one before.
const SWEEPS: f64 = 48.0;

impl Planner {
    /// The plain greedy order: next are always the two whose result is smallest against what vanishes. It takes
    /// milliseconds for thousands of tensors, and is often good on trees and sparse networks. No limit of memory is kept.
    ///
    /// # Errors
    /// [`Error::Setting`] for an objective that makes no sense, [`Error::Room`] for more tensors and indices than can be
    /// planned.
    pub fn greedy(&self, equation: &Equation) -> Result<Plan> {
        self.start(equation, Family::Greedy, 0, Seed(0))
    }

    /// A greedy order with Boltzmann noise, fixed by `seed`: each seed has a temperature of its own, and another weight
    /// of what vanishes. The best of a hundred is much better than the plain one on dense networks.
    ///
    /// # Errors
    /// As [`greedy`](Self::greedy).
    pub fn random_greedy(&self, equation: &Equation, seed: Seed) -> Result<Plan> {
        self.start(equation, Family::Greedy, 1, seed)
    }

    /// An order by recursive bisection of the network, fixed by `seed`: a good start on lattices, random graphs and
    /// codes.
    ///
    /// # Errors
    /// As [`greedy`](Self::greedy).
    pub fn partition(&self, equation: &Equation, seed: Seed) -> Result<Plan> {
        self.start(equation, Family::Bisected, 0, seed)
    }

    /// Simulated annealing of the order of a plan, from the inverse temperature `beta` (in powers of two of the cost) to
    /// 10, for so many sweeps over the tree. The sliced indices stay as they are. The plan is never worse than before.
    ///
    /// # Errors
    /// As [`greedy`](Self::greedy); [`Error::Setting`] for a temperature that is no positive number.
    pub fn anneal(&self, plan: &Plan, beta: f64, sweeps: usize, seed: Seed) -> Result<Plan> {
        if !(beta > 0.0 && beta.is_finite()) {
            return Err(Error::setting("beta", beta, "give a positive inverse temperature"));
        }
        self.changed(plan, |state| {
            let schedule = Schedule { from: beta, to: beta.max(10.0), sweeps, limit: f64::INFINITY, penalty: 0.0 };
            anneal(state, &schedule, &mut seed.stream("annealing", 0), None);
        })
    }

    /// Every subtree of up to `width` leaves is replaced by the best one, until that gains nothing; 8 leaves take
    /// milliseconds, each one more three times as long. The sliced indices stay as they are.
    ///
    /// # Errors
    /// As [`greedy`](Self::greedy); [`Error::Setting`] for a width below 3 or above 14.
    pub fn reconfigure(&self, plan: &Plan, width: usize) -> Result<Plan> {
        if !(3..=WIDEST).contains(&width) {
            return Err(Error::setting("width", width, "give from 3 to 14 leaves of a subtree"));
        }
        self.changed(plan, |state| {
            reconfigure(state, width, f64::INFINITY, &mut Subsets::default(), None);
        })
    }

    /// A better order than that of `plan`, which may come from elsewhere: it is annealed again and again, for longer each
    /// time, and its subtrees are put in order, until `time` is up or the rounds of the planner are done. The sliced
    /// indices stay as they are. The plan is never worse than before.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ansatz::{Seed, network::{ContractionTree, Equation, Plan, Planner}};
    /// let ring = Equation::parse("ab,bc,cd,de,ea->", &[[8, 8]; 5])?;
    /// let path = [vec![0, 2], vec![0, 1], vec![0, 1], vec![0, 1]];
    /// let poor = Plan::new(&ring, &ContractionTree::from_path(5, &path)?, &[])?;
    /// let good = Planner::new().rounds(2).refine(&poor, Duration::from_secs(1), Seed(1))?;
    /// assert!(good.cost().log2_flops < poor.cost().log2_flops);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`greedy`](Self::greedy).
    pub fn refine(&self, plan: &Plan, time: Duration, seed: Seed) -> Result<Plan> {
        let deadline = Instant::now().checked_add(time);
        self.changed(plan, |state| {
            let mut room = Subsets::default();
            reconfigure(state, WIDTH, f64::INFINITY, &mut room, deadline);
            let mut best = (state.total(), state.bare.clone());
            for round in 0..self.most_rounds().unwrap_or(usize::MAX) {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    break;
                }
                // Warm and cool in turns: the one finds other trees, the other better ones of this kind.
                let from = [3.0, 1.0, 6.0][round % 3];
                let sweeps = (SWEEPS * 1.5_f64.powi(round.min(40) as i32)) as usize;
                let schedule = Schedule { from, to: 10.0, sweeps, limit: f64::INFINITY, penalty: 0.0 };
                anneal(state, &schedule, &mut seed.stream("refinement", round as u64), deadline);
                reconfigure(state, WIDTH, f64::INFINITY, &mut room, deadline);
                if state.total() < best.0 {
                    best = (state.total(), state.bare.clone());
                } else {
                    *state = State::new(state.graph, state.objective, best.1.clone());
                }
            }
        })
    }

    fn start(&self, equation: &Equation, family: Family, number: u64, seed: Seed) -> Result<Plan> {
        self.what().check()?;
        Graph::check(equation)?;
        let graph = Graph::new(equation, &[], true);
        let bare = start(&graph, family, number, seed, self.what(), &mut Subsets::default(), None);
        Plan::new(equation, &bare.tree(), &[])
    }

    /// The plan after a change of its tree, if that is an improvement.
    fn changed(&self, plan: &Plan, change: impl FnOnce(&mut State)) -> Result<Plan> {
        self.what().check()?;
        if plan.tree().leaves() < 3 {
            return Ok(plan.clone());
        }
        let graph = Graph::new(plan.equation(), plan.sliced(), true);
        let mut state = State::new(&graph, self.what(), Bare::new(plan.tree()));
        let before = state.total();
        change(&mut state);
        if state.total() < before {
            Plan::new(plan.equation(), &state.bare.tree(), plan.sliced())
        } else {
            Ok(plan.clone())
        }
    }
}
