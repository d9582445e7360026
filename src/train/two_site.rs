//! Two-site sweeps: the loop that improves a model bond by bond.

use std::ops::ControlFlow;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::outcome::any_float;
use super::{BondReport, Observer, Outcome, Schedule, Stop, SweepReport};
use crate::error::{Error, Result};
use crate::linalg::Truncation;
use crate::model::{Batch, BondSweeper, Direction, GenerativeModel, Smooth, Splitting, Step, SweepSetup, Sweepable};
use crate::parallel::with_team;
use crate::random::Seed;

/// The settings of a run of two-site sweeps. Schedules have one entry for each sweep; the last one repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoSite {
    /// Sweeps in all; each passes every bond to the left and back.
    pub sweeps: usize,
    /// Length of a gradient step.
    pub rate: Schedule<f64>,
    /// The most singular values a bond keeps.
    pub max_bond: Schedule<usize>,
    /// The fewest it keeps, whatever the cutoff.
    pub min_bond: Schedule<usize>,
    /// Singular values up to this share of the largest are dropped.
    pub cutoff: Schedule<f64>,
    /// Gradient steps at a bond before it is cut, each on the next mini-batch.
    pub steps: Schedule<usize>,
    /// Parts the training data are dealt into.
    pub mini_batches: Schedule<usize>,
    /// How the gradient becomes a direction.
    pub direction: Direction,
    /// How the merged tensor is parted.
    pub splitting: Splitting,
    /// When a sweep raises the training loss by more than this many nats, it is taken back.
    #[serde(with = "any_float")]
    pub rise: f64,
    /// What the rate is multiplied by when a sweep is taken back; in `(0, 1)`.
    pub decay: f64,
    /// The run has converged when a sweep improves the training loss by less than this many nats; 0 never stops.
    #[serde(with = "any_float")]
    pub min_improvement: f64,
    /// Amplitude by which models are smoothed before they are judged by held-out samples; 0 leaves them as they are.
    // Not in the first checkpoints, where models were judged as they were.
    #[serde(default)]
    pub smoothing: f64,
    /// Bytes that samples, models and environments may take; without it, all environments are kept.
    pub memory: Option<u64>,
    /// Decides how the data are dealt into mini-batches.
    pub seed: Seed,
}

impl TwoSite {
    /// Full-batch sweeps with norm-scaled steps of length 0.005 and a cutoff of 1e-7, the bond growing to `max_bond`.
    #[must_use]
    pub fn new(sweeps: usize, max_bond: usize) -> Self {
        TwoSite {
            sweeps,
            rate: Schedule::constant(5e-3),
            max_bond: Schedule::constant(max_bond),
            min_bond: Schedule::constant(1),
            cutoff: Schedule::constant(1e-7),
            steps: Schedule::constant(1),
            mini_batches: Schedule::constant(1),
            direction: Direction::NormScaled,
            splitting: Splitting::Warm,
            rise: 0.0,
            decay: 0.5,
            min_improvement: 0.0,
            smoothing: 0.0,
            memory: None,
            seed: Seed(1),
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that makes no sense.
    pub fn validate(&self) -> Result<()> {
        if let Some(bad) = self.rate.entries().find(|r| !(**r > 0.0 && r.is_finite())) {
            return Err(Error::setting("rate", bad, "give a finite number above 0"));
        }
        let counts = [
            ("bond", &self.max_bond),
            ("min-bond", &self.min_bond),
            ("steps", &self.steps),
            ("mini-batches", &self.mini_batches),
        ];
        for (name, schedule) in counts {
            if schedule.entries().any(|&n| n == 0) {
                return Err(Error::setting(name, 0, "give at least 1"));
            }
        }
        let longest = [self.max_bond.entries().count(), self.min_bond.entries().count(), self.cutoff.entries().count()];
        for sweep in 0..longest.into_iter().max().unwrap_or(1) {
            self.truncation(sweep).validate()?;
        }
        if !(self.decay > 0.0 && self.decay < 1.0) {
            return Err(Error::setting("decay", self.decay, "give a number between 0 and 1"));
        }
        check_smoothing(self.smoothing)?;
        for (name, value) in [("rise", self.rise), ("min-improvement", self.min_improvement)] {
            if !(value >= 0.0) {
                return Err(Error::setting(name, value, "give a number of nats, at least 0"));
            }
        }
        Ok(())
    }

    fn truncation(&self, sweep: usize) -> Truncation {
        let (max, min) = (*self.max_bond.at(sweep), *self.min_bond.at(sweep));
        Truncation::none().max_bond(max).min_bond(min).cutoff(*self.cutoff.at(sweep))
    }

    /// The largest bond dimension that the schedule comes to.
    #[must_use]
    pub fn largest_bond(&self) -> usize {
        self.max_bond.entries().copied().max().unwrap_or(1)
    }
}

/// What a run has come to besides its models: all that decides how it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Sweeps completed or taken back.
    pub sweep: usize,
    /// Bonds passed of the sweep that is going on.
    pub step: usize,
    /// What the rates of the schedule are multiplied by.
    pub rate_factor: f64,
    /// The mini-batch that comes next.
    pub next_batch: usize,
    /// Largest discarded weight of the sweep that is going on.
    #[serde(with = "any_float")]
    pub discarded_weight: f64,
    /// Training loss of the last good model, nats, once it is known.
    #[serde(with = "any_float::option")]
    pub good_nll: Option<f64>,
    /// Loss the best model is best by, nats.
    #[serde(with = "any_float::option")]
    pub best_score: Option<f64>,
    /// Sweeps taken back one after another.
    pub setbacks: usize,
    /// The mini-batch that came next when the sweep began.
    pub sweep_batch: usize,
    /// Reports of all sweeps so far.
    pub history: Vec<SweepReport>,
}

/// A run of [`TwoSite`] sweeps: its settings, its models, its progress. Stored whole, it goes on bit for bit.
#[derive(Debug, Clone)]
pub struct Run<M> {
    /// The settings; more sweeps may be added to a finished run.
    pub settings: TwoSite,
    /// The model as the sweeps have left it, perhaps in the middle of one.
    pub current: M,
    /// The model at the start of the sweep that is going on: what is gone back to when that fails.
    pub good: M,
    /// The model with the lowest held-out loss (training loss where nothing is held out) at the end of a sweep.
    pub best: M,
    /// Where the run stands.
    pub progress: Progress,
}

/// Stores a run `R` while it goes on.
pub trait Keeper<R>: Send {
    /// Whether the run should be stored now; asked after each bond, or step.
    fn due(&mut self) -> bool;

    /// Stores it.
    ///
    /// # Errors
    /// If it cannot be stored; this ends the run.
    fn keep(&mut self, run: &R) -> Result<()>;
}

impl<R> Keeper<R> for () {
    fn due(&mut self) -> bool {
        false
    }

    fn keep(&mut self, _run: &R) -> Result<()> {
        Ok(())
    }
}

/// A keeper where there is one.
impl<R, K: Keeper<R>> Keeper<R> for Option<K> {
    fn due(&mut self) -> bool {
        self.as_mut().is_some_and(Keeper::due)
    }

    fn keep(&mut self, run: &R) -> Result<()> {
        self.as_mut().map_or(Ok(()), |keeper| keeper.keep(run))
    }
}

/// Sweeps taken back one after another, after which the run has converged, or failed if it has never completed one.
const SETBACKS: usize = 12;

impl<M: Sweepable> Run<M> {
    /// A run that has not started.
    ///
    /// # Errors
    /// As [`TwoSite::validate`].
    pub fn new(model: M, settings: TwoSite) -> Result<Self> {
        settings.validate()?;
        let progress = Progress {
            sweep: 0,
            step: 0,
            rate_factor: 1.0,
            next_batch: 0,
            discarded_weight: 0.0,
            good_nll: None,
            best_score: None,
            setbacks: 0,
            sweep_batch: 0,
            history: Vec::new(),
        };
        Ok(Run { settings, current: model.clone(), good: model.clone(), best: model, progress })
    }

    /// Sweeps until the schedule ends or an observer asks to stop; then the best model is in [`best`](Self::best).
    ///
    /// A run that was stopped, stored or not, goes on where it stood. When a sweep raises the training loss, meets a
    /// sample without amplitude or leaves the finite numbers, the last good model is taken up again at a lower rate.
    ///
    /// # Errors
    /// [`Error::Diverged`] if lower rates do not help either, with the cause; whatever the observers, the keeper or the
    /// data raise. The last good model is in [`good`](Self::good) whatever happens.
    pub fn fit(
        &mut self,
        train: &Batch<u8>,
        valid: Option<&Batch<u8>>,
        watch: &mut dyn Observer,
        keeper: &mut dyn Keeper<Self>,
    ) -> Result<Outcome> {
        self.settings.validate()?;
        with_team(|| self.fit_with_team(train, valid, watch, keeper))
    }

    fn fit_with_team(
        &mut self,
        train: &Batch<u8>,
        valid: Option<&Batch<u8>>,
        watch: &mut dyn Observer,
        keeper: &mut dyn Keeper<Self>,
    ) -> Result<Outcome> {
        let start = Instant::now();
        let mut dealt = 0;
        let mut sweeper: Option<M::Sweeper> = None;
        while self.progress.sweep < self.settings.sweeps {
            let parts = *self.settings.mini_batches.at(self.progress.sweep);
            if dealt != parts {
                // Freed before the next one is made: both would not fit under the ceiling.
                drop(sweeper.take());
                dealt = parts;
            }
            let sweeper = match &mut sweeper {
                Some(sweeper) => sweeper,
                none => none.insert(self.sweeper(train, parts)?),
            };
            match self.sweep(sweeper, watch, keeper) {
                Ok(Some(stop)) => {
                    self.current = sweeper.model()?;
                    self.progress.next_batch = sweeper.next_batch();
                    return Ok(self.outcome(stop));
                }
                Ok(None) => {}
                // Before the first step there is nothing a lower rate could change.
                Err(error) if recoverable(&error) && (self.progress.sweep, self.progress.step) != (0, 0) => {
                    self.set_back(sweeper, &error)?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            if let Some(stop) = self.close_sweep(sweeper, valid, start, watch)? {
                return Ok(self.outcome(stop));
            }
        }
        Ok(self.outcome(Stop::ScheduleEnded))
    }

    /// Bytes that samples, models and environments will probably take, and those that they take at the most.
    ///
    /// # Errors
    /// If the data do not fit the model, or the ceiling is too low.
    pub fn memory(&self, train: &Batch<u8>) -> Result<(u64, u64)> {
        let settings = &self.settings;
        let sweeper = self.sweeper(train, *settings.mini_batches.at(self.progress.sweep))?;
        let sweeps = self.progress.sweep..settings.sweeps.max(self.progress.sweep + 1);
        let limits: Vec<_> = sweeps.map(|sweep| (*settings.min_bond.at(sweep), *settings.max_bond.at(sweep))).collect();
        Ok((sweeper.expected_bytes(&limits), sweeper.bytes()))
    }

    fn sweeper(&self, train: &Batch<u8>, mini_batches: usize) -> Result<M::Sweeper> {
        let (seed, memory, max_bond) = (self.settings.seed, self.settings.memory, self.settings.largest_bond());
        let min_bond = self.settings.min_bond.entries().copied().max().unwrap_or(1);
        let setup = SweepSetup { mini_batches, seed, max_bond, min_bond, memory };
        let mut sweeper = self.current.sweeper(train, &setup)?;
        sweeper.set_next_batch(self.progress.next_batch);
        Ok(sweeper)
    }

    /// The bonds that are left of one sweep.
    fn sweep(
        &mut self,
        sweeper: &mut M::Sweeper,
        watch: &mut dyn Observer,
        keeper: &mut dyn Keeper<Self>,
    ) -> Result<Option<Stop>> {
        let settings = &self.settings;
        let sweep = self.progress.sweep;
        let step = Step {
            rate: settings.rate.at(sweep) * self.progress.rate_factor,
            truncation: settings.truncation(sweep),
            direction: settings.direction,
            steps: *settings.steps.at(sweep),
            splitting: settings.splitting,
        };
        if self.progress.step == 0 {
            sweeper.begin()?;
            self.progress.discarded_weight = 0.0;
        }
        let plan = sweeper.plan();
        while let Some(&(bond, toward)) = plan.get(self.progress.step) {
            let update = sweeper.update(bond, toward, &step)?;
            if !update.nll.is_finite() {
                return Err(Error::NotFinite { what: format!("the loss at bond {bond}") });
            }
            self.progress.step += 1;
            self.progress.discarded_weight = self.progress.discarded_weight.max(update.discarded_weight);
            let report = BondReport {
                bond,
                kept: update.kept,
                discarded_weight: update.discarded_weight,
                nll: Some(update.nll),
            };
            if keeper.due() {
                self.current = sweeper.model()?;
                self.progress.next_batch = sweeper.next_batch();
                keeper.keep(self)?;
            }
            if let ControlFlow::Break(stop) = watch.bond(sweep, self.progress.step, plan.len(), &report)? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    /// Judges a completed sweep: kept or taken back, best or not.
    fn close_sweep(
        &mut self,
        sweeper: &mut M::Sweeper,
        valid: Option<&Batch<u8>>,
        start: Instant,
        watch: &mut dyn Observer,
    ) -> Result<Option<Stop>> {
        let train_nll = match sweeper.nll() {
            Ok(nll) if nll.is_finite() => nll,
            Ok(_) => {
                let error = Error::NotFinite { what: "the training loss".into() };
                self.set_back(sweeper, &error)?;
                return Ok(None);
            }
            Err(error) => {
                self.set_back(sweeper, &error)?;
                return Ok(None);
            }
        };
        let previous = self.progress.good_nll;
        let rate = self.settings.rate.at(self.progress.sweep) * self.progress.rate_factor;
        let discarded_weight = self.progress.discarded_weight;
        let rose = previous.is_some_and(|good| train_nll > good + self.settings.rise);
        if rose {
            self.progress.sweep += 1;
            self.take_back(sweeper)?;
        } else {
            self.progress.sweep += 1;
            self.progress.step = 0;
            self.progress.setbacks = 0;
            self.progress.good_nll = Some(train_nll);
            self.progress.next_batch = sweeper.next_batch();
            self.progress.sweep_batch = self.progress.next_batch;
            self.good = sweeper.model()?;
            self.current = self.good.clone();
        }
        // What was taken back is not held against the held-out data.
        let valid_nll = match valid {
            Some(batch) if !rose => Some(self.good.smoothed(self.settings.smoothing)?.nll(batch)?),
            Some(_) => self.progress.history.last().and_then(|r| r.valid_nll),
            None => None,
        };
        let bonds = self.good.bond_dimensions();
        let report = SweepReport {
            sweep: self.progress.sweep,
            sweeps: self.settings.sweeps,
            train_nll: if rose { previous.unwrap_or(train_nll) } else { train_nll },
            valid_nll,
            max_bond: bonds.iter().copied().max().unwrap_or(1),
            mean_bond: bonds.iter().sum::<usize>() as f64 / bonds.len().max(1) as f64,
            rate,
            discarded_weight,
            seconds: start.elapsed().as_secs_f64(),
        };
        if !rose && self.progress.best_score.is_none_or(|best| report.score() < best) {
            self.progress.best_score = Some(report.score());
            self.best = self.good.clone();
        }
        self.progress.history.push(report);
        if let ControlFlow::Break(stop) = watch.sweep(&report)? {
            return Ok(Some(stop));
        }
        let settled = !rose
            && self.settings.min_improvement > 0.0
            && previous.is_some_and(|good| good - train_nll < self.settings.min_improvement);
        Ok((settled || self.progress.setbacks >= SETBACKS).then_some(Stop::Converged))
    }

    /// After an error: the last good model at a lower rate, as often as makes sense.
    fn set_back(&mut self, sweeper: &mut M::Sweeper, error: &Error) -> Result<()> {
        let rate = self.settings.rate.at(self.progress.sweep) * self.progress.rate_factor;
        tracing::warn!(%error, rate, "the sweep is taken back and tried at a lower rate");
        self.take_back(sweeper)?;
        if self.progress.setbacks >= SETBACKS {
            return Err(Error::Diverged { what: error.to_string(), rate });
        }
        Ok(())
    }

    fn take_back(&mut self, sweeper: &mut M::Sweeper) -> Result<()> {
        self.progress.setbacks += 1;
        self.progress.rate_factor *= self.settings.decay;
        self.progress.step = 0;
        self.progress.next_batch = self.progress.sweep_batch;
        self.current = self.good.clone();
        sweeper.reset(&self.good)?;
        sweeper.set_next_batch(self.progress.sweep_batch);
        Ok(())
    }

    fn outcome(&self, stop: Stop) -> Outcome {
        Outcome::new(self.progress.history.clone(), stop)
    }
}

/// The model smoothed by the one of `amounts` that serves `valid` best, with that amount and the mean negative
/// log-likelihood, nats. The first of equal ones wins.
///
/// # Errors
/// As [`Smooth::smoothed`] and [`GenerativeModel::nll`]; [`Error::Empty`] without amounts.
pub fn best_smoothing<M>(model: &M, valid: &Batch<u8>, amounts: &[f64]) -> Result<(M, f64, f64)>
where
    M: GenerativeModel<Value = u8> + Smooth,
{
    let mut best: Option<(M, f64, f64)> = None;
    for &amount in amounts {
        let smoothed = model.smoothed(amount)?;
        let nll = smoothed.nll(valid)?;
        if best.as_ref().is_none_or(|(_, _, least)| nll < *least) {
            best = Some((smoothed, amount, nll));
        }
    }
    best.ok_or_else(|| Error::Empty { what: "the list of smoothing amounts".into() })
}

pub(super) fn check_smoothing(amount: f64) -> Result<()> {
    if (0.0..1.0).contains(&amount) {
        return Ok(());
    }
    Err(Error::setting("smoothing", amount, "give an amplitude in [0, 1)"))
}

/// Whether a smaller step may avoid the error.
pub(super) fn recoverable(error: &Error) -> bool {
    matches!(error.root(), Error::ZeroAmplitude { .. } | Error::NotFinite { .. } | Error::Factorisation { .. })
}
