//! An order followed with bonds kept small.

use std::collections::BTreeSet;

use super::plan::CompressedPlan;
use super::settings::{Compressed, Timing};
use super::sites::Sites;
use super::truncate::Surroundings;
use crate::error::{Error, Result};
use crate::linalg::Truncation;
use crate::network::{Contracted, ContractionTree, Network, Plan};
use crate::scalar::{LogScaled, Scalar};
use crate::tensor::{Leg, Tensor};

/// The result of an approximate contraction, and what was lost on the way.
#[derive(Debug, Clone)]
pub struct Approximate<T: Scalar> {
    /// The result.
    pub value: Contracted<T>,
    /// `sum of sqrt(discarded weight)` over all truncations: an estimate of the relative error, zero if nothing was
    /// dropped.
    ///
    /// A discarded weight is the share of the squared norm that a truncation takes from the tensors of its gauge, what is
    /// outside of them being taken as orthonormal (for [`Gauge::Messages`](super::Gauge), from the pair alone). The
    /// estimate adds its roots as if all pulled the same way and the whole network were as sensitive as these tensors. It
    /// is no bound: for partition functions, whose surroundings favour the large singular values, it is mostly far above
    /// the true error; for a value that is small by cancellation it may be below.
    pub error: f64,
    /// How many bonds were truncated, with or without loss.
    pub compressions: usize,
    /// The largest discarded weight of one truncation.
    pub largest_weight: f64,
}

impl<T: Scalar> Approximate<T> {
    /// The number that a network without open legs is.
    ///
    /// # Errors
    /// [`Error::Leg`] if there are open legs.
    pub fn scalar(&self) -> Result<LogScaled<T>> {
        self.value.scalar()
    }
}

impl<T: Scalar> Network<T> {
    /// The result of contracting all tensors in the order of the plan, bonds being truncated as the settings say.
    ///
    /// Before two tensors are contracted, their bonds to others that are too large are truncated (or as soon as they have
    /// grown, [`Timing::Early`]), each within the surroundings that the [`Gauge`](super::Gauge) takes into account. The
    /// exponent of every intermediate is kept apart, so a value far beyond the range of `T` comes out right. Open legs
    /// are never truncated. With bonds that are never too large the result is exact.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ansatz::{Seed, network::{Compressed, Equation, Network, Planner}};
    /// let wheel = Equation::parse("hab,hbc,hcd,hde,hea->", &[[3, 4, 4]; 5])?;
    /// let network = Network::<f64>::random(&wheel, Seed(2))?;
    /// let plan = Planner::new().search_compressed(&wheel, 64, Duration::from_secs(1), Seed(1))?;
    /// let all = network.contract_compressed(&plan, &Compressed::new(64))?;    // more than it has: exact
    /// let exact = network.contract(&Planner::new().search(&wheel, Duration::from_secs(1), Seed(1))?)?.scalar()?;
    /// assert!((all.scalar()?.ln_abs() - exact.ln_abs()).abs() < 1e-10 && all.error < 1e-12);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if the plan is for another pattern or other dimensions, [`Error::Setting`] for a truncation that
    /// makes no sense, [`Error::NotFinite`] if a tensor holds NaN or infinity, [`Error::Memory`] if a result does not fit
    /// into memory.
    pub fn contract_compressed(&self, plan: &CompressedPlan, settings: &Compressed) -> Result<Approximate<T>> {
        settings.check()?;
        let equation = self.equation()?;
        if !plan.is_for(&equation) {
            let (found, expected) = (plan.equation().to_string(), equation.to_string());
            return Err(Error::Shape { what: "a plan for another network".into(), found, expected });
        }
        let (truncation, gauge, timing) = settings.parts();
        let mut sites = Sites::new(self)?;
        let surroundings = Surroundings::new(&sites, gauge)?;
        let (grown, lost) = (BTreeSet::new(), Lost::default());
        let mut run = Run { sites: &mut sites, surroundings, truncation, grown, lost };
        for (step, &(a, b)) in plan.tree().pairs().iter().enumerate() {
            if timing == Timing::Late {
                run.compress_around(a, Some(b))?;
                run.compress_around(b, Some(a))?;
            }
            let now = plan.tree().leaves() + step;
            let fused = run.sites.contract(a, b)?;
            run.grown.extend(fused.iter().map(|&other| (other.min(now), other.max(now))));
            run.surroundings.contracted(run.sites, a, b, now, &fused)?;
            if timing == Timing::Early {
                run.compress_around(now, None)?;
            }
        }
        let Lost { sum, largest, count } = run.lost;
        let value = self.finished(sites.tensor(plan.tree().root())?, sites.ln_scale)?;
        Ok(Approximate { value, error: sum, compressions: count, largest_weight: largest })
    }

    /// The last tensor with the names, roles, order and repetitions of the open legs.
    pub(super) fn finished(&self, last: &Tensor<T>, ln_scale: f64) -> Result<Contracted<T>> {
        let equation = self.equation()?;
        let (mut legs, mut own): (Vec<Leg>, Vec<String>) = (Vec::new(), Vec::new());
        for (leg, &i) in self.open().iter().zip(equation.output()) {
            if legs.iter().all(|other| other.name() != leg.name()) {
                legs.push(leg.clone());
                own.push(format!("o{i}"));
            }
        }
        let tensor = Tensor::from_array(legs, last.clone().into_array(&own)?)?;
        let whole = Network::build(vec![tensor], self.open(), self.ln_scale() + ln_scale)?;
        whole.contract(&Plan::new(&whole.equation()?, &ContractionTree::new(1, Vec::new())?, &[])?)
    }
}

/// What truncations have dropped.
#[derive(Default)]
struct Lost {
    sum: f64,
    largest: f64,
    count: usize,
}

struct Run<'a, T: Scalar> {
    sites: &'a mut Sites<T>,
    surroundings: Surroundings<T>,
    truncation: &'a Truncation,
    /// Bonds made of several, which a cutoff may shorten.
    grown: BTreeSet<(usize, usize)>,
    lost: Lost,
}

impl<T: Scalar> Run<'_, T> {
    /// Truncates the bonds of a tensor that are too large, but not the one to `except`.
    fn compress_around(&mut self, number: usize, except: Option<usize>) -> Result<()> {
        if self.truncation.is_none() {
            return Ok(());
        }
        for other in self.sites.neighbours(number) {
            if Some(other) == except {
                continue;
            }
            let key = (number.min(other), number.max(other));
            let limit = self.truncation.bond_limit().unwrap_or(usize::MAX);
            let large = self.sites.bond_dim(number, other)? > limit;
            let by_cutoff = Truncation::none().max_bond(limit) != *self.truncation;
            if !(large || by_cutoff && self.grown.contains(&key)) {
                continue;
            }
            self.grown.remove(&key);
            let weight = self.surroundings.truncate(self.sites, number, other, self.truncation)?;
            self.lost.sum += weight.sqrt();
            self.lost.largest = self.lost.largest.max(weight);
            self.lost.count += 1;
        }
        Ok(())
    }
}
