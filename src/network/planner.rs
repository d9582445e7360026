//! Searches for plans.

use std::time::{Duration, Instant};

use super::cost::Objective;
use super::equation::Equation;
use super::plan::Plan;
use super::search::{Found, Search};
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::scalar::Kind;

/// How much memory a plan may take.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Memory {
    Unlimited,
    /// `log2` of the elements of the largest result.
    Elements(f64),
    /// All that is alive at once.
    Bytes(u64, Kind),
}

/// A search for good plans: what is to be cheap, and within what limits.
///
/// ```
/// use std::time::Duration;
/// use ansatz::{Seed, network::{Equation, Planner}};
/// // A ring of four matrices: two products of two, 2 * 8^3 multiplications, and the trace of their product, 8^2.
/// let ring = Equation::parse("ab,bc,cd,da->", &[[8, 8]; 4])?;
/// let plan = Planner::new().search(&ring, Duration::from_secs(1), Seed(1))?;
/// assert!((plan.cost().log2_flops - (2.0 * 512.0 + 64f64).log2()).abs() < 1e-12);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Planner {
    objective: Objective,
    memory: Memory,
    rounds: Option<usize>,
    patience: f64,
}

impl Default for Planner {
    fn default() -> Self {
        Self::new()
    }
}

impl Planner {
    /// Few multiplications, whatever the memory.
    #[must_use]
    pub fn new() -> Self {
        Planner { objective: Objective::Flops, memory: Memory::Unlimited, rounds: None, patience: 1.0 }
    }

    /// What is to be small.
    #[must_use]
    pub fn objective(mut self, objective: Objective) -> Self {
        self.objective = objective;
        self
    }

    /// No result may have more than `2^log2_size` elements: indices are sliced until that holds.
    #[must_use]
    pub fn max_log2_size(mut self, log2_size: f64) -> Self {
        self.memory = Memory::Elements(log2_size);
        self
    }

    /// What is alive at once, beside the tensors of the network, may take at most so many bytes for elements of this
    /// kind: indices are sliced until that holds.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64, kind: Kind) -> Self {
        self.memory = Memory::Bytes(bytes, kind);
        self
    }

    /// At most so many rounds of the portfolio. With a limit that is reached before the time is up, the plan depends on
    /// the seed alone.
    #[must_use]
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = Some(rounds);
        self
    }

    /// The search ends before its time once it has done `patience` times the work of the contraction, or has found
    /// nothing better for long; infinite to use all the time. The default is 1.
    #[must_use]
    pub fn patience(mut self, patience: f64) -> Self {
        self.patience = patience;
        self
    }

    /// The best plan found in `time`.
    ///
    /// Few tensors are planned by dynamic programming, exactly. Otherwise greedy, bisected and swept orders are
    /// annealed, subtrees are replaced by the best ones, and the best trees are annealed again, for longer in each
    /// round. What is tried, and in what order, is fixed by the seed; the time decides how far it gets.
    ///
    /// # Errors
    /// [`Error::Setting`] for an objective or limit that makes no sense, [`Error::Memory`] if no slicing keeps within
    /// the memory.
    pub fn search(&self, equation: &Equation, time: Duration, seed: Seed) -> Result<Plan> {
        self.objective.check()?;
        if self.patience.is_nan() {
            return Err(Error::setting("patience", self.patience, "give a number, or infinity"));
        }
        let start = Instant::now();
        let plan = |limit: Option<f64>, seconds: f64| -> Result<Option<Plan>> {
            let search = Search {
                equation,
                objective: self.objective,
                seed,
                deadline: Duration::try_from_secs_f64(seconds).ok().and_then(|time| start.checked_add(time)),
                rounds: self.rounds,
                patience: self.patience,
                limit,
            };
            let Some(Found { bare, sliced, .. }) = search.run() else { return Ok(None) };
            Plan::new(equation, &bare.tree(), &sliced).map(Some)
        };
        let seconds = time.as_secs_f64();
        match self.memory {
            Memory::Unlimited => {
                plan(None, seconds)?.ok_or(Error::Empty { what: "the list of tensors of a network".into() })
            }
            Memory::Elements(limit) if limit.is_nan() => {
                Err(Error::setting("log2_size", limit, "give the logarithm of a number of elements"))
            }
            Memory::Elements(limit) => plan(Some(limit), seconds)?.ok_or_else(|| Error::Memory {
                what: "the smallest result of the contraction".into(),
                needed: 1,
                ceiling: limit.exp2() as u64,
                way_out: "no slicing makes it smaller: raise the limit".into(),
            }),
            Memory::Bytes(bytes, kind) => {
                let elements = (bytes as f64 / kind.bytes() as f64).log2();
                let free = plan(None, 0.5 * seconds)?;
                if let Some(plan) = free.filter(|plan| plan.peak_bytes(kind) <= bytes) {
                    return Ok(plan);
                }
                // The largest result that fits is not known before the plan is: its share of the peak varies.
                let mut least = u64::MAX;
                let mut limit = elements - 1.0;
                while limit > -1.0 {
                    if let Some(found) = plan(Some(limit), 0.5 * seconds + 0.5 * seconds)? {
                        least = least.min(found.peak_bytes(kind));
                        if found.peak_bytes(kind) <= bytes {
                            return Ok(found);
                        }
                    }
                    limit -= 0.5;
                }
                Err(Error::Memory {
                    what: "the contraction, with the indices sliced,".into(),
                    needed: least,
                    ceiling: bytes,
                    way_out: "no slicing keeps within the memory: allow more, or use fewer open indices".into(),
                })
            }
        }
    }
}
