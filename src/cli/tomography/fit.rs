//! `ansatz tomography fit`.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::pictures::pictures;
use super::warnings::warnings;
use super::{Detector, Exit, RecordsFrom, observables, state};
use crate::cli::output::{folder, number, print, print_json, writable, write_text};
use crate::cli::training::on_signal;
use crate::error::{Error, Place, Result};
use crate::io::{Extra, load_lpdo, save_lpdo};
use crate::random::Seed;
use crate::report::Table;
use crate::tomography::{
    Bootstrap, ChainSettings, DenseMethod, Estimate, Estimator, Free, Goodness, Lpdo, Optimiser, PurityTest, Questions,
    Replica, Shots, choose, divisions, goodness, nll, quantities, spreads,
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
    /// Exponent of a prior that falls with entanglement; 0 is maximum likelihood.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    shrink: f64,
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

/// Where settings have too few shots for their outcomes.
const NO_VERDICT: &str = "too few shots for the outcomes of single settings to be tested; judge by the held-out loss and a parametric bootstrap";
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
        let start = self.start.as_deref().map(|path| load_lpdo(path).map(|s| s.0)).transpose()?;
        let stopped = on_signal()?;
        let clock = Instant::now();
        let mut warnings = warnings(&shots)?;
        let mut estimator = self.estimator(&shots, start.as_ref())?;
        let held_out = if self.held_out > 0.0 && shots.total() >= 10 { self.held_out } else { 0.0 };
        let mut tried = Vec::new();
        let mut purity = None;
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
            };
            let choice = choose(&shots, settings, free, &mut || !stopped.load(Ordering::Relaxed))?;
            (*settings, tried, purity) = (choice.settings, choice.tried, choice.purity);
        }
        let mut watch = |_: f64| !stopped.load(Ordering::Relaxed);
        let parts = if held_out > 0.0 { divisions(&shots, held_out, Seed(self.seed))? } else { Vec::new() };
        let nll_held_out = if let Some((_, held)) = tried.iter().find(|(b, _)| Some(*b) == bond_of(&estimator)) {
            Some(*held)
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
        self.tell(
            &estimator,
            &estimate,
            &shots,
            &values,
            &replicas,
            good.as_ref(),
            nll_held_out,
            &nll_target,
            &tried,
            purity,
            &warnings,
            seconds,
        )?;
        Ok(if stopped.load(Ordering::Relaxed) { Exit::Interrupted } else { Exit::Done })
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
        settings.shrink = self.shrink;
        let d = shots.dims().iter().fold(1usize, |d, &n| d.saturating_mul(n));
        let full_rank = shots.dims().iter().all(|&levels| levels <= purification);
        let chosen = self.bond.is_none() && start.is_none() && settings.optimiser == Optimiser::Lbfgs;
        settings.hedge = match self.hedge {
            Some(beta) => beta,
            None if chosen && full_rank && d <= HEDGED => HEDGE,
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

    #[allow(clippy::too_many_arguments)]
    fn tell(
        &self,
        estimator: &Estimator,
        estimate: &Estimate,
        shots: &Shots,
        values: &[(String, f64)],
        replicas: &[Replica],
        good: Option<&Goodness>,
        nll_held_out: Option<f64>,
        nll_target: &[(&str, &str, Option<f64>)],
        tried: &[(usize, f64)],
        purity: Option<PurityTest>,
        warnings: &[String],
        seconds: f64,
    ) -> Result<()> {
        let bars = if replicas.len() > 1 { spreads(values, replicas) } else { Vec::new() };
        if self.json {
            let mut object = json!({
                "model": format!("{:?}", self.model).to_lowercase(), "sites": shots.sites(), "shots": shots.total(),
                "settings": shots.by_setting().len(), "nll": number(estimate.nll),
                "nll_held_out": nll_held_out.map(number), "bond": bond_of(estimator),
                "bonds": estimate.state.chain().bonds(), "purification": estimate.state.purification(),
                "parameters": estimate.parameters, "warnings": warnings, "seconds": number(seconds),
                "hedge": hedge_of(estimator), "pure_test": purity.map(|p| json!({
                    "gain": number(p.gain), "expected": number(p.expected), "replicas": p.replicas, "pure": p.pure() })),
                "bonds_tried": tried.iter().map(|(b, v)| json!([b, number(*v)])).collect::<Vec<_>>(),
            });
            values.iter().for_each(|(name, value)| object[name] = number(*value));
            nll_target.iter().for_each(|(name, _, value)| object[*name] = json!(value.map(number)));
            let bars = bars.iter().map(|s| {
                (
                    s.name.clone(),
                    json!({ "deviation": number(s.deviation), "low": number(s.low), "high": number(s.high) }),
                )
            });
            object["error_bars"] = serde_json::Value::Object(bars.collect());
            object["repetitions"] = json!(replicas.len());
            if let Some(g) = good {
                let worst: Vec<_> = g
                    .residuals
                    .iter()
                    .take(5)
                    .map(
                        |r| json!({ "setting": r.setting, "shots": r.shots, "g2": number(r.g2), "degrees": r.degrees }),
                    )
                    .collect();
                object["goodness"] =
                    json!({ "g2": number(g.g2), "degrees": g.degrees, "sigma": number(g.z), "worst": worst });
                object["verdict"] = json!(g.verdict);
            } else {
                object["verdict"] = json!(NO_VERDICT);
            }
            return print_json(&object);
        }
        let mut table = Table::new(["", "value", "+-", "68 % interval"]);
        let plain = |table: &mut Table, name: &str, value: String| {
            table.row([name.to_owned(), value]);
        };
        plain(&mut table, "NLL (nats per shot)", format!("{:.6}", estimate.nll));
        if let Some(held) = nll_held_out {
            plain(&mut table, "held-out NLL", format!("{held:.6}"));
        }
        for (_, name, value) in nll_target {
            plain(&mut table, name, value.map_or("-".into(), |v| format!("{v:.6}")));
        }
        for (i, (name, value)) in values.iter().enumerate() {
            let bar = bars.get(i).map(|s| [format!("{:.6}", s.deviation), format!("[{:.6}, {:.6}]", s.low, s.high)]);
            let [deviation, interval] = bar.unwrap_or_default();
            table.row([name.replace('_', " "), format!("{value:.6}"), deviation, interval]);
        }
        plain(&mut table, "bonds", format!("{:?}", estimate.state.chain().bonds()));
        let mut text = table.to_string();
        for (bond, held) in tried {
            text += &format!("bond {bond}: held-out NLL {held:.6}\n");
        }
        if let Some(p) = purity {
            let what = if p.pure() { "a pure state is taken" } else { "a mixed state is taken" };
            text += &format!(
                "mixed instead of pure: 2 ln of the likelihoods' ratio {:.1}, by chance {:.1}; {what}\n",
                p.gain, p.expected
            );
        }
        if let Some(beta) = hedge_of(estimator).filter(|&beta| beta > 0.0) {
            text += &format!("hedged likelihood, exponent {beta}; --hedge 0 is maximum likelihood\n");
        }
        if let Some(g) = good {
            text += &format!("G2 = {:.1} at {} degrees of freedom; {}\n", g.g2, g.degrees, g.verdict);
        } else {
            text += &format!("{NO_VERDICT}\n");
        }
        for warning in warnings {
            text += &format!("warning: {warning}\n");
        }
        text += &format!("{} shots in {} settings, {seconds:.2} s\n", shots.total(), shots.by_setting().len());
        print(&text)
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn bond_of(estimator: &Estimator) -> Option<usize> {
    match estimator {
        Estimator::Chain(settings) => Some(settings.bond),
        Estimator::Dense(..) => None,
    }
}

fn hedge_of(estimator: &Estimator) -> Option<f64> {
    match estimator {
        Estimator::Chain(settings) => Some(settings.hedge),
        Estimator::Dense(..) => None,
    }
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
