//! `ansatz tomography fit`.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::pictures::pictures;
use super::told::Told;
use super::warnings::{blind, warnings};
use super::{Detector, Exit, RecordsFrom, observables, state};
use crate::cli::output::{folder, number, writable, write_text};
use crate::cli::training::on_signal;
use crate::error::{Error, Place, Result};
use crate::io::{Extra, load_lpdo, save_lpdo};
use crate::random::Seed;
use crate::tomography::density::dimension;
use crate::tomography::{
    Bootstrap, ChainSettings, DenseMethod, Estimate, Estimator, Free, Lpdo, Optimiser, Questions, Replica, Shots,
    Symmetry, choose, divisions, goodness, nll, quantities, spreads,
};

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum ModelName {
    /// A pure state as a matrix product state.
    Mps,
    /// A mixed state as a locally purified chain.
    Lpdo,
    /// A dense density matrix, to eight qubits.
    Dense,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum MethodName {
    /// Maximum likelihood by projected gradients.
    Ml,
    /// Maximum likelihood by the R rho R iteration.
    Rrr,
    /// Projected least squares.
    Pls,
    /// Hedged likelihood, exponent 1/2.
    Hedged,
}

impl MethodName {
    pub(super) fn method(self) -> DenseMethod {
        match self {
            MethodName::Ml => DenseMethod::MaximumLikelihood,
            MethodName::Rrr => DenseMethod::RRhoR,
            MethodName::Pls => DenseMethod::ProjectedLeastSquares,
            MethodName::Hedged => DenseMethod::Hedged { beta: 0.5 },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum OptimiserName {
    Lbfgs,
    Adam,
    Sweeps,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum SymmetryName {
    None,
    Mirror,
    Flip,
}

impl SymmetryName {
    fn symmetry(self) -> Option<Symmetry> {
        match self {
            SymmetryName::None => None,
            SymmetryName::Mirror => Some(Symmetry::Mirror),
            SymmetryName::Flip => Some(Symmetry::Flip),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum BootstrapName {
    Parametric,
    Resampling,
}

#[derive(Debug, Args)]
pub(super) struct Fit {
    #[command(flatten)]
    records: RecordsFrom,
    /// What is fitted.
    #[arg(long, value_enum, default_value = "lpdo")]
    model: ModelName,
    /// Largest bond dimension; without it the one that predicts held-out shots best.
    #[arg(long)]
    bond: Option<usize>,
    /// Purification dimension of each site, of a mixed state; without it 2, or 1 where a pure state explains the shots as well.
    #[arg(long)]
    purification: Option<usize>,
    /// Exponent of the determinant in a hedged likelihood, of a mixed chain to eight qubits; 0 is maximum likelihood. Without it 0 where
    /// --bond is given, else 0.1 to six qubits.
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    hedge: Option<f64>,
    /// Exponent of a prior that falls with entanglement; 0 is maximum likelihood. Without it 0, or where the bond of a pure state of few
    /// sites or settings is chosen, what predicts held-out shots best.
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    shrink: Option<f64>,
    /// What the state is taken to be left as it is by: `mirror` (the last site first), `flip` (X at every qubit), or `none`; may be given
    /// twice. Without it none, or with the prior what predicts held-out shots better by two standard errors.
    #[arg(long, value_enum)]
    symmetry: Vec<SymmetryName>,
    /// How a dense state is estimated.
    #[arg(long, value_enum, default_value = "ml")]
    method: MethodName,
    /// How a chain is improved.
    #[arg(long, value_enum, default_value = "lbfgs")]
    optimiser: OptimiserName,
    /// Iterations of L-BFGS at the most.
    #[arg(long, default_value_t = 600)]
    iterations: usize,
    /// Epochs of Adam.
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Rows of a step of Adam.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Rate of Adam at the start.
    #[arg(long, default_value_t = 0.02)]
    rate: f64,
    /// Random starts, of which the best after a few steps goes on; without it 12 for a pure state and 2 for a mixed one.
    #[arg(long)]
    starts: Option<usize>,
    /// Share of the shots that is held out for `nll_held_out`; 0 holds none out.
    #[arg(long, default_value_t = 0.1)]
    held_out: f64,
    /// Go on from a state that was fitted to fewer shots.
    #[arg(long, value_name = "STATE.ansatz")]
    start: Option<PathBuf>,
    /// The state that was meant: a model, a circuit, a vector or density matrix (.npy, .json, text in columns).
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// A sum of Pauli operators whose value is told, as 'Z0 Z1 - 0.5*X2'; may be given many times.
    #[arg(long, value_name = "SUM", allow_hyphen_values = true)]
    observable: Vec<String>,
    #[command(flatten)]
    detector: Detector,
    /// Error bars from so many repetitions.
    #[arg(long, default_value_t = 0, value_name = "N")]
    bootstrap: u64,
    /// How the records of the repetitions are drawn.
    #[arg(long, value_enum, default_value = "parametric")]
    bootstrap_kind: BootstrapName,
    /// Keep the repetitions here, and go on with those that are there.
    #[arg(long, value_name = "FILE.json", requires = "bootstrap")]
    bootstrap_file: Option<PathBuf>,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the state.
    #[arg(long, value_name = "STATE.ansatz")]
    out: Option<PathBuf>,
    /// Write pictures into this folder.
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The exponent of a hedged likelihood where the size of a mixed chain is chosen: it takes two thirds of what 1/2 gains in fidelity with
/// the truth, and stays within 0.003 of the maximum of the likelihood.
const HEDGE: f64 = 0.1;
/// Dimension up to which it is.
const HEDGED: usize = 1 << 6;

impl Fit {
    pub(super) fn run(self) -> Result<Exit> {
        [&self.out, &self.bootstrap_file].into_iter().flatten().try_for_each(|p| writable(p))?;
        if let Some(path) = &self.report {
            folder(path)?;
        }
        if !(0.0..1.0).contains(&self.held_out) {
            return Err(Error::setting("held-out", self.held_out, "give a number from 0 up and below 1"));
        }
        let shots = self.records.read()?;
        let target = self.target.as_deref().map(|path| state(path, Some(shots.dims()))).transpose()?;
        if let (Some(target), Some(path)) = (&target, &self.target)
            && target.dims() != shots.dims()
        {
            let error = Error::shape("the target: levels of the sites", target.dims(), shots.dims());
            return Err(error.at(Place::File(path.clone())));
        }
        let observables = observables(&self.observable, &shots)?;
        let asked = Questions { target: target.as_ref(), observables: &observables };
        let mut start = self.start.as_deref().map(|path| load_lpdo(path).map(|s| s.0)).transpose()?;
        let stopped = on_signal()?;
        let clock = Instant::now();
        let mut warnings = warnings(&shots)?;
        warnings.extend(self.without_meaning());
        let mut estimator = self.estimator(&shots, start.as_ref())?;
        warnings.extend(estimator.readout().and_then(blind));
        let held_out = if self.held_out > 0.0 && shots.total() >= 10 { self.held_out } else { 0.0 };
        let (mut tried, mut chosen, mut purity) = (Vec::new(), None, None);
        if let Estimator::Chain(settings) = &mut estimator
            && start.is_none()
        {
            if self.bond.is_none() && held_out == 0.0 {
                settings.bond = 4;
                warnings.push("nothing is held out to choose a bond by: 4 is taken; give --bond".into());
            }
            let free = Free {
                bond: (self.bond.is_none() && held_out > 0.0).then_some(held_out),
                purification: self.purification.is_none(),
                prior: self.shrink.is_none() && self.symmetry.is_empty(),
            };
            let choice = choose(&shots, settings, free, &mut || !stopped.load(Ordering::Relaxed))?;
            (*settings, tried, chosen, purity) = (choice.settings, choice.tried, choice.held_out, choice.purity);
            start = choice.start;
        }
        let mut watch = |_: f64| !stopped.load(Ordering::Relaxed);
        let parts = if held_out > 0.0 { divisions(&shots, held_out, Seed(self.seed))? } else { Vec::new() };
        let nll_held_out = if chosen.is_some() {
            chosen
        } else {
            let mut losses = Vec::new();
            for (train, valid) in &parts {
                let fit = estimator.estimate(train, start.as_ref(), &mut watch)?;
                losses.push(nll(&fit.state, valid, estimator.readout())?);
            }
            mean(&losses)
        };
        let estimate = estimator.estimate(&shots, start.as_ref(), &mut watch)?;
        let seconds = clock.elapsed().as_secs_f64();
        if let Some(out) = &self.out {
            let mut extra = Extra { data: Some(self.records.shots.clone()), ..Extra::default() };
            extra.other.insert("nll".into(), number(estimate.nll));
            save_lpdo(out, &estimate.state, &extra)?;
        }
        let values = quantities(&estimate.state, &asked)?;
        // What the state that was meant makes of the same shots.
        let mut nll_target = Vec::new();
        if let Some(target) = &target {
            let of = |shots: &Shots| nll(target, shots, estimator.readout());
            nll_target.push(("nll_target", "NLL of the target", Some(of(&shots)?)));
            let held = parts.iter().map(|(_, valid)| of(valid)).collect::<Result<Vec<_>>>()?;
            nll_target.push(("nll_target_held_out", "held-out NLL of the target", mean(&held)));
        }
        let good = goodness(&estimate.state, &shots, estimate.parameters, estimator.readout())?;
        let mut replicas = Vec::new();
        if self.bootstrap > 0 {
            replicas = self.repeat(&estimator, &estimate, &shots, &asked, &mut || stopped.load(Ordering::Relaxed))?;
            if (replicas.len() as u64) < self.bootstrap {
                warnings.push(format!("interrupted after {} of {} repetitions", replicas.len(), self.bootstrap));
            }
        }
        if let Some(folder) = &self.report {
            pictures(folder, &estimate, good.as_ref())?;
        }
        Told {
            model: self.model.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned()),
            estimator: &estimator,
            estimate: &estimate,
            shots: &shots,
            bars: if replicas.len() > 1 { spreads(&values, &replicas) } else { Vec::new() },
            values: &values,
            repetitions: replicas.len(),
            good: good.as_ref(),
            nll_held_out,
            nll_target: &nll_target,
            tried: &tried,
            purity,
            warnings: &warnings,
            seconds,
        }
        .print(self.json)?;
        Ok(if stopped.load(Ordering::Relaxed) { Exit::Interrupted } else { Exit::Done })
    }

    /// Options that say nothing of the model that was asked for, as a warning.
    fn without_meaning(&self) -> Option<String> {
        let chain = self.model != ModelName::Dense;
        let odd = [
            ("--bond", self.bond.is_some() && !chain),
            ("--purification", self.purification.is_some_and(|k| k > 1) && self.model != ModelName::Lpdo),
            ("--hedge", self.hedge.is_some() && !chain),
            ("--shrink", self.shrink.is_some() && !chain),
            ("--symmetry", !self.symmetry.is_empty() && !chain),
            ("--start", self.start.is_some() && !chain),
            ("--method", self.method != MethodName::Ml && chain),
        ];
        let names: Vec<&str> = odd.into_iter().filter(|o| o.1).map(|o| o.0).collect();
        let model = self.model.to_possible_value()?;
        (!names.is_empty())
            .then(|| format!("{} not used: it says nothing of --model {}", names.join(", "), model.get_name()))
    }

    fn estimator(&self, shots: &Shots, start: Option<&Lpdo>) -> Result<Estimator> {
        let readout = self.detector.readout(shots.sites())?;
        if self.model == ModelName::Dense {
            return Ok(Estimator::Dense(self.method.method(), readout));
        }
        let purification = match (self.model, start) {
            (_, Some(state)) => state.purification().iter().copied().max().unwrap_or(1),
            (ModelName::Mps, None) => 1,
            _ => self.purification.unwrap_or(2),
        };
        let mut settings = ChainSettings::new(self.bond.unwrap_or(4), purification);
        settings.optimiser = match self.optimiser {
            OptimiserName::Lbfgs => Optimiser::Lbfgs,
            OptimiserName::Adam => Optimiser::Adam { epochs: self.epochs, batch: self.batch, rate: self.rate },
            OptimiserName::Sweeps => Optimiser::Sweeps,
        };
        settings.iterations = self.iterations;
        settings.starts = self.starts.unwrap_or(settings.starts);
        settings.shrink = self.shrink.unwrap_or(0.0);
        for symmetry in self.symmetry.iter().filter_map(|s| s.symmetry()) {
            if !settings.symmetries.contains(&symmetry) {
                settings.symmetries.push(symmetry);
            }
        }
        let d = dimension(shots.dims());
        let full_rank = shots.dims().iter().all(|&levels| levels <= purification);
        let chosen = self.bond.is_none() && start.is_none() && settings.optimiser == Optimiser::Lbfgs;
        settings.hedge = match self.hedge {
            Some(beta) => beta,
            None if chosen && full_rank && d <= HEDGED && settings.can_hedge(shots.dims()) => HEDGE,
            None => 0.0,
        };
        (settings.readout, settings.seed) = (readout, Seed(self.seed));
        Ok(Estimator::Chain(settings))
    }

    /// All repetitions, those of the file included; fewer if interrupted.
    fn repeat(
        &self,
        estimator: &Estimator,
        estimate: &Estimate,
        shots: &Shots,
        asked: &Questions,
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Replica>> {
        let kind = match self.bootstrap_kind {
            BootstrapName::Parametric => Bootstrap::Parametric,
            BootstrapName::Resampling => Bootstrap::Resampling,
        };
        // What a repetition depends on: files of another run are not gone on with.
        let names: Vec<String> = quantities(&estimate.state, asked)?.into_iter().map(|q| q.0).collect();
        let key = json!({ "version": 1, "kind": kind, "seed": self.seed, "nll": number(estimate.nll), "shots": shots.total(), "names": names });
        let mut replicas: Vec<Replica> = Vec::new();
        if let Some(path) = self.bootstrap_file.as_deref().filter(|p| p.exists()) {
            replicas = stored(path, &key)?;
        }
        let block = 2 * rayon::current_num_threads() as u64;
        while (replicas.len() as u64) < self.bootstrap && !interrupted() {
            let from = replicas.len() as u64;
            let count = block.min(self.bootstrap - from);
            replicas.extend(kind.replicas(estimator, estimate, shots, asked, Seed(self.seed), from, count)?);
            if let Some(path) = &self.bootstrap_file {
                write_text(path, &json!({ "run": key, "replicas": replicas }).to_string())?;
            }
        }
        replicas.truncate(usize::try_from(self.bootstrap).unwrap_or(usize::MAX));
        Ok(replicas)
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Repetitions in a file, if it is of the same run.
fn stored(path: &Path, key: &serde_json::Value) -> Result<Vec<Replica>> {
    let fault = |what: &str| Error::Format { what: what.into() }.at(Place::File(path.into()));
    let file = crate::io::circuit::text(path)?;
    let value: serde_json::Value =
        serde_json::from_str(&file).map_err(|_| fault("not a file of repetitions; give another name"))?;
    if value.get("run") != Some(key) {
        return Err(fault("repetitions of another fit, seed or target; give another name"));
    }
    let list = value.get("replicas").cloned().unwrap_or_default();
    let replicas: Vec<Replica> =
        serde_json::from_value(list).map_err(|_| fault("its repetitions are damaged; give another name"))?;
    let width = key.get("names").and_then(|n| n.as_array()).map_or(0, Vec::len);
    let sound = replicas.iter().enumerate().all(|(i, r)| r.number == i as u64 && r.values.len() == width);
    if sound { Ok(replicas) } else { Err(fault("its repetitions are damaged; give another name")) }
}
