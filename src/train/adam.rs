//! Adam over all parameters of a model at once, at a fixed size of the model.

use std::ops::ControlFlow;
use std::time::Instant;

use ndarray::{ArrayD, Zip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::outcome::any_float;
use super::two_site::{check_smoothing, recoverable};
use super::{BondReport, Keeper, Observer, Outcome, Schedule, Stop, SweepReport};
use crate::error::{Error, Result};
use crate::model::{Batch, Differentiable};
use crate::random::{Seed, permutation};
use crate::scalar::{Real, Scalar};

/// The settings of a run of Adam (Kingma and Ba, ICLR 2015). Schedules have one entry for each epoch; the last one
/// repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// Passes over the training data.
    pub epochs: usize,
    /// About how far an entry moves in a step.
    pub rate: Schedule<f64>,
    /// Parts the training data are dealt into, anew in each epoch; a step is made on each.
    pub mini_batches: Schedule<usize>,
    /// Share of the mean gradient that outlives a step; in `[0, 1)`.
    pub beta1: f64,
    /// Share of the mean squared gradient that outlives a step; in `[0, 1)`.
    pub beta2: f64,
    /// What is added to the root of the mean squared gradient; above 0.
    pub epsilon: f64,
    /// Amplitude by which models are smoothed before they are judged by held-out samples; 0 leaves them as they are.
    #[serde(default)]
    pub smoothing: f64,
    /// Decides how the data are dealt into mini-batches.
    pub seed: Seed,
}

impl Adam {
    /// Full-batch steps of rate 0.01, with the constants of the paper.
    #[must_use]
    pub fn new(epochs: usize) -> Self {
        Adam {
            epochs,
            rate: Schedule::constant(1e-2),
            mini_batches: Schedule::constant(1),
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            smoothing: 0.0,
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
        if self.mini_batches.entries().any(|&n| n == 0) {
            return Err(Error::setting("mini-batches", 0, "give at least 1"));
        }
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::setting(name, beta, "give a share in [0, 1)"));
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(Error::setting("epsilon", self.epsilon, "give a finite number above 0"));
        }
        check_smoothing(self.smoothing)
    }
}

/// What a run of [`Adam`] has come to besides its numbers: all that decides how it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamProgress {
    /// Epochs completed.
    pub epoch: usize,
    /// Mini-batches seen of the epoch that is going on.
    pub batch: usize,
    /// Steps in all.
    pub steps: u64,
    /// Loss the best model is best by, nats.
    #[serde(with = "any_float::option")]
    pub best_score: Option<f64>,
    /// Reports of all epochs so far.
    pub history: Vec<SweepReport>,
}

/// The numbers that a run of [`Adam`] carries from step to step; three lists of arrays of the same shapes.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamState<T: Scalar> {
    /// The parameters, in whatever gauge the steps have led to.
    pub parameters: Vec<ArrayD<T>>,
    /// Running mean of the gradient.
    pub first: Vec<ArrayD<T>>,
    /// Running mean of the squared modulus of the gradient; real, also where `T` is complex.
    pub second: Vec<ArrayD<T>>,
}

/// A run of [`Adam`]: its settings, its numbers, its best model, its progress. Stored whole, it goes on bit for bit.
#[derive(Debug, Clone)]
pub struct AdamRun<M: Differentiable> {
    /// The settings; more epochs may be added to a finished run.
    pub settings: Adam,
    /// Parameters and moments after the last step.
    pub state: AdamState<M::Number>,
    /// The model with the lowest held-out loss (training loss where nothing is held out) at the end of an epoch; the one
    /// the run began with until an epoch is complete.
    pub best: M,
    /// Where the run stands.
    pub progress: AdamProgress,
}

impl<M: Differentiable> AdamRun<M> {
    /// A run that has not started.
    ///
    /// # Errors
    /// As [`Adam::validate`]; [`Error::NotFinite`] if the parameters of the model cannot be brought to a good size.
    pub fn new(model: M, settings: Adam) -> Result<Self> {
        settings.validate()?;
        let mut parameters = model.parameters();
        model.rescale(&mut parameters)?;
        let zeros = || parameters.iter().map(|a| ArrayD::zeros(a.raw_dim())).collect::<Vec<_>>();
        let state = AdamState { first: zeros(), second: zeros(), parameters };
        let progress = AdamProgress { epoch: 0, batch: 0, steps: 0, best_score: None, history: Vec::new() };
        Ok(AdamRun { settings, state, best: model, progress })
    }

    /// The model as the steps have left it.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the parameters make none.
    pub fn model(&self) -> Result<M> {
        self.best.with_parameters(&self.state.parameters)
    }

    /// Steps until the epochs are over or an observer asks to stop; then the best model is in [`best`](Self::best).
    ///
    /// An epoch is told of as a sweep, a step as a bond. A run that was stopped, stored or not, goes on where it stood.
    ///
    /// # Errors
    /// [`Error::ZeroAmplitude`] and its like if there is no gradient to begin with, [`Error::Diverged`] with the cause if
    /// there is none later; whatever the observers, the keeper or the data raise. Parameters and moments are then those
    /// before the step that failed, and [`best`](Self::best) is kept whatever happens.
    pub fn fit(
        &mut self,
        train: &Batch<u8>,
        valid: Option<&Batch<u8>>,
        watch: &mut dyn Observer,
        keeper: &mut dyn Keeper<Self>,
    ) -> Result<Outcome> {
        self.settings.validate()?;
        // Within the pool from here on, as for sweeps.
        rayon::scope(|_| self.fit_within_pool(train, valid, watch, keeper))
    }

    fn fit_within_pool(
        &mut self,
        train: &Batch<u8>,
        valid: Option<&Batch<u8>>,
        watch: &mut dyn Observer,
        keeper: &mut dyn Keeper<Self>,
    ) -> Result<Outcome> {
        let start = Instant::now();
        while self.progress.epoch < self.settings.epochs {
            let stop = match self.epoch(train, watch, keeper)? {
                Some(stop) => Some(stop),
                None => self.close_epoch(train, valid, start, watch)?,
            };
            if let Some(stop) = stop {
                return Ok(self.outcome(stop));
            }
        }
        Ok(self.outcome(Stop::ScheduleEnded))
    }

    /// The steps that are left of one epoch.
    fn epoch(
        &mut self,
        train: &Batch<u8>,
        watch: &mut dyn Observer,
        keeper: &mut dyn Keeper<Self>,
    ) -> Result<Option<Stop>> {
        let epoch = self.progress.epoch;
        let kept = self.best.bonds().into_iter().max().unwrap_or(1);
        let parts = dealt(train.samples(), &self.settings, epoch);
        while let Some(rows) = parts.get(self.progress.batch) {
            let step = if parts.len() == 1 { self.step(train) } else { self.step(&train.select(rows)?) };
            let nll = step.map_err(|error| self.diverged(error))?;
            self.progress.batch += 1;
            self.progress.steps += 1;
            if keeper.due() {
                keeper.keep(self)?;
            }
            let report = BondReport { bond: 0, kept, discarded_weight: 0.0, nll: Some(nll) };
            if let ControlFlow::Break(stop) = watch.bond(epoch, self.progress.batch, parts.len(), &report)? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    /// One step; the loss of the batch before it, nats.
    fn step(&mut self, batch: &Batch<u8>) -> Result<f64> {
        let (nll, gradient) = self.best.nll_and_gradient(&self.state.parameters, batch)?;
        let settings = &self.settings;
        let (beta1, beta2) = (settings.beta1, settings.beta2);
        let steps = self.progress.steps as f64 + 1.0;
        let rate = settings.rate.at(self.progress.epoch) / (1.0 - beta1.powf(steps));
        let unbias = 1.0 / (1.0 - beta2.powf(steps));
        let real = <M::Number as Scalar>::Real::of;
        let (keep1, add1, keep2, add2) = (real(beta1), real(1.0 - beta1), real(beta2), real(1.0 - beta2));
        let (rate, unbias, epsilon) = (real(rate), real(unbias), real(settings.epsilon));
        // Beside the old ones, which stay if a number leaves the finite ones.
        let mut next = self.state.clone();
        let moments = next.first.par_iter_mut().zip(&mut next.second);
        next.parameters.par_iter_mut().zip(moments).zip(&gradient).for_each(|((a, (m, v)), g)| {
            Zip::from(a).and(m).and(v).and(g).for_each(|a, m, v, &g| {
                *m = m.scale(keep1) + g.scale(add1);
                *v = v.scale(keep2) + Scalar::from_real(g.abs_sq() * add2);
                *a -= m.scale(rate / (num_traits::Float::sqrt(v.re() * unbias) + epsilon));
            });
        });
        // Moments are left as they are: the size of an array changes little in a step, and they forget.
        self.best.rescale(&mut next.parameters)?;
        let lists = [&next.parameters, &next.first, &next.second];
        if lists.into_iter().flatten().any(|a| a.iter().any(|x| !x.is_finite())) {
            return Err(Error::NotFinite { what: "a parameter or its moments, after a step".into() });
        }
        self.state = next;
        Ok(nll)
    }

    /// Before the first step the error itself; afterwards it is the rate that is to blame.
    fn diverged(&self, error: Error) -> Error {
        if self.progress.steps == 0 || !recoverable(&error) {
            return error;
        }
        Error::Diverged { what: error.to_string(), rate: *self.settings.rate.at(self.progress.epoch) }
    }

    /// Judges the model at the end of an epoch.
    fn close_epoch(
        &mut self,
        train: &Batch<u8>,
        valid: Option<&Batch<u8>>,
        start: Instant,
        watch: &mut dyn Observer,
    ) -> Result<Option<Stop>> {
        let judged = || -> Result<_> {
            let model = self.model()?;
            let train_nll = model.nll(train)?;
            let held_out = |batch| model.smoothed(self.settings.smoothing)?.nll(batch);
            let valid_nll = valid.map(held_out).transpose()?;
            Ok((model, train_nll, valid_nll))
        };
        let (model, train_nll, valid_nll) = judged().map_err(|error| self.diverged(error))?;
        let rate = *self.settings.rate.at(self.progress.epoch);
        self.progress.epoch += 1;
        self.progress.batch = 0;
        let bonds = model.bonds();
        let report = SweepReport {
            sweep: self.progress.epoch,
            sweeps: self.settings.epochs,
            train_nll,
            valid_nll,
            max_bond: bonds.iter().copied().max().unwrap_or(1),
            mean_bond: bonds.iter().sum::<usize>() as f64 / bonds.len().max(1) as f64,
            rate,
            discarded_weight: 0.0,
            seconds: start.elapsed().as_secs_f64(),
        };
        if self.progress.best_score.is_none_or(|best| report.score() < best) {
            self.progress.best_score = Some(report.score());
            self.best = model;
        }
        self.progress.history.push(report);
        Ok(match watch.sweep(&report)? {
            ControlFlow::Break(stop) => Some(stop),
            ControlFlow::Continue(()) => None,
        })
    }

    fn outcome(&self, stop: Stop) -> Outcome {
        Outcome::new(self.progress.history.clone(), stop)
    }

    /// Bytes that the samples, the parameters with their moments, the models and a gradient take at the most.
    #[must_use]
    pub fn memory(&self, train: &Batch<u8>) -> u64 {
        let entries: usize = self.state.parameters.iter().map(|a| a.len()).sum();
        // Three lists, three of the step that is made, and two models.
        let lists = (8 * entries * size_of::<M::Number>()) as u64;
        let parts = (*self.settings.mini_batches.at(self.progress.epoch)).clamp(1, train.samples());
        let rows = train.samples().div_ceil(parts);
        let samples = (train.samples() * train.sites() + if parts > 1 { rows * train.sites() } else { 0 }) as u64;
        samples + lists + self.best.gradient_bytes(&self.state.parameters, rows)
    }
}

/// The rows of each mini-batch of an epoch, dealt anew for it.
fn dealt(samples: usize, settings: &Adam, epoch: usize) -> Vec<Vec<usize>> {
    let parts = (*settings.mini_batches.at(epoch)).clamp(1, samples);
    if parts == 1 {
        return vec![(0..samples).collect()];
    }
    let order = permutation(samples, &mut settings.seed.stream("adam mini-batches", epoch as u64));
    // Sizes differ by one at the most.
    (0..parts).map(|part| order[part * samples / parts..(part + 1) * samples / parts].to_vec()).collect()
}
