//! `ansatz fit`: training.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use num_complex::{Complex32, Complex64};

use super::Exit;
use super::fit_circuit::{CircuitOptions, Given};
use super::info::entropies;
use super::output::{Late, complain, folder, number, print, print_json, writable, write_png, write_text};
use super::source::{Source, tiles};
use super::training::{Training, on_signal};
use crate::data::split;
use crate::error::{Error, Place, Result};
use crate::for_kind;
use crate::io::{
    AnyAdamRun, AnyBornMps, AnyRun, CheckpointKeeper, Extra, load_adam_checkpoint, load_checkpoint, load_model,
    save_model,
};
use crate::model::{Batch, BornMps, Direction, GenerativeModel, Splitting};
use crate::random::Seed;
use crate::report::{JsonLines, Progress, Table, chain_profile, loss_curve, montage, time_in_words};
use crate::train::{
    Adam, AdamRun, EarlyStopping, Interrupt, Keeper, Observer, Observers, Outcome, Run, Schedule, Stop, TimeLimit,
    TwoSite, best_smoothing,
};

/// A schedule on the command line: `10,20,50`, one entry a sweep, the last one repeating.
#[derive(Debug, Clone)]
struct List<T>(Vec<T>);

impl<T: FromStr> FromStr for List<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entry = |e: &str| e.trim().parse().map_err(|_| format!("'{e}' is not a number"));
        text.split(',').map(entry).collect::<Result<_, _>>().map(List)
    }
}

impl<T: Clone> List<T> {
    fn schedule(&self) -> Result<Schedule<T>> {
        Schedule::from_entries(self.0.iter().cloned())
    }
}

/// What was given, or the default.
fn schedule<T: Clone>(given: &Option<List<T>>, default: T) -> Result<Schedule<T>> {
    given.as_ref().map_or_else(|| Ok(Schedule::constant(default)), List::schedule)
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Model {
    /// Matrix-product-state Born machine.
    BornMps,
    /// Quantum circuit Born machine.
    Circuit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Two-site sweeps, at a bond dimension that adapts.
    Sweeps,
    /// Adam over all sites at once, at a fixed bond dimension.
    Adam,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Numbers {
    F32,
    F64,
    C32,
    C64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    /// The gradient itself.
    Plain,
    /// The gradient at a fixed norm.
    NormScaled,
    /// Adam within each bond.
    Adam,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cut {
    /// Full singular value decompositions.
    Exact,
    /// Subspace iteration where it serves.
    Warm,
}

#[derive(Debug, Args)]
pub(super) struct Fit {
    #[command(flatten)]
    source: Source,
    /// The kind of model.
    #[arg(long, value_enum, default_value = "born-mps")]
    model: Model,
    #[command(flatten)]
    circuit: CircuitOptions,
    /// The model file to write: the best model of the run; with --model circuit the circuit, as OpenQASM.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How it is trained. With adam an epoch counts as a sweep, and options about the cutting of bonds are refused.
    #[arg(long, value_enum, default_value = "sweeps")]
    method: Method,
    /// Sweeps in all [default: 10; adam: 100].
    #[arg(long)]
    sweeps: Option<usize>,
    /// Largest bond dimension; a list is a schedule over the sweeps. With adam the one that it is fixed at.
    #[arg(long, default_value = "32", value_name = "N[,N..]")]
    bond: List<usize>,
    /// Smallest bond dimension; above 1 it lets correlations pass sites that are constant in the data [default: 1].
    #[arg(long, value_name = "N[,N..]")]
    min_bond: Option<List<usize>>,
    /// Rate of the gradient steps [default: 0.005; adam: 0.01].
    #[arg(long, value_name = "X[,X..]", allow_negative_numbers = true)]
    rate: Option<List<f64>>,
    /// Singular values up to this share of the largest are dropped [default: 1e-7].
    #[arg(long, value_name = "X[,X..]", allow_negative_numbers = true)]
    cutoff: Option<List<f64>>,
    /// Gradient steps at each bond [default: 1].
    #[arg(long, value_name = "N[,N..]")]
    steps: Option<List<usize>>,
    /// Mini-batches the data are dealt into.
    #[arg(long, default_value = "1", value_name = "N[,N..]")]
    mini_batches: List<usize>,
    /// How the gradient becomes a direction [default: norm-scaled].
    #[arg(long, value_enum)]
    direction: Option<Way>,
    /// How bonds are cut [default: warm].
    #[arg(long, value_enum)]
    splitting: Option<Cut>,
    /// Numbers of the model.
    #[arg(long, value_enum, default_value = "f64")]
    scalar: Numbers,
    /// Bond dimension of the random start [default: 4, or --bond where that is less].
    #[arg(long, value_name = "N")]
    init_bond: Option<usize>,
    /// Start from this model, in its own kind of numbers, instead of a random one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["init_bond", "resume"])]
    start: Option<PathBuf>,
    /// Nats by which a sweep may raise the training loss before it is taken back [default: 0].
    #[arg(long, value_name = "NATS", allow_negative_numbers = true)]
    rise: Option<f64>,
    /// Stop when a sweep improves the training loss by less than this many nats [default: 0].
    #[arg(long, value_name = "NATS", allow_negative_numbers = true)]
    min_improvement: Option<f64>,
    /// Amplitude of each symbol's exchange for any other, so that symbols never seen at a site stay possible. With
    /// held-out data the best of 0 to 0.1 is chosen unless one is given; without, 0.
    #[arg(long, value_name = "AMPLITUDE", allow_negative_numbers = true)]
    smoothing: Option<f64>,
    /// The seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Held-out data, to choose the best model by.
    #[arg(long, value_name = "FILE", conflicts_with = "valid_fraction")]
    valid: Option<String>,
    /// Hold out this share of the data.
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    valid_fraction: Option<f64>,
    /// Stop after so many sweeps without a better held-out loss.
    #[arg(long, value_name = "SWEEPS")]
    patience: Option<usize>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    time_limit: Option<f64>,
    /// Megabytes that the program may take; below what it would, environments are made twice.
    #[arg(long, value_name = "MB")]
    memory: Option<u64>,
    /// Write one JSON line a sweep.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The checkpoint file [default: the model file with .checkpoint added].
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Write the checkpoint every so many bonds; with adam, steps.
    #[arg(long, value_name = "N")]
    checkpoint_bonds: Option<usize>,
    /// Write the checkpoint every so many minutes [default: 5].
    #[arg(long, value_name = "MINUTES", allow_negative_numbers = true)]
    checkpoint_minutes: Option<f64>,
    /// Go on from the checkpoint, with its settings; a larger --sweeps extends the run.
    #[arg(long)]
    resume: bool,
    /// Write pictures into this folder: loss curve, bonds and entropies, samples.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Say what would be done, and the memory it would take, and stop.
    #[arg(long)]
    dry_run: bool,
    /// No progress on standard error.
    #[arg(long)]
    quiet: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The smoothing that models are judged with while they are trained.
pub(super) const TRIAL: f64 = 0.01;
/// The amounts of smoothing that are tried at the end.
pub(super) const SMOOTHING: [f64; 8] = [0.0, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.04, 0.08];

/// Bytes of the program itself, its libraries and their buffers, and what is lost between allocations.
const PROGRAM: u64 = 36 << 20;

/// Sweeps where none are asked for.
const SWEEPS: usize = 10;
/// Steps of a circuit's optimiser where none are asked for.
const CIRCUIT_STEPS: usize = 500;
/// Epochs of Adam where none are asked for.
const EPOCHS: usize = 100;

impl Fit {
    pub fn run(self) -> Result<Exit> {
        if let Model::Circuit = self.model {
            return self.fit_circuit();
        }
        let adam = self.method == Method::Adam;
        if adam {
            self.refuse_what_adam_has_not()?;
            self.adam_settings()?.validate()?;
        } else {
            self.settings()?.validate()?;
        }
        let positive = [("time-limit", self.time_limit), ("checkpoint-minutes", self.checkpoint_minutes)];
        for (name, value) in positive {
            if let Some(value) = value
                && Duration::try_from_secs_f64(value * 60.0).is_err()
            {
                return Err(Error::setting(name, value, "give a length of time"));
            }
        }
        if self.checkpoint_bonds == Some(0) {
            return Err(Error::setting("checkpoint-bonds", 0, "give at least 1"));
        }
        for path in [&self.out, &self.checkpoint, &self.log].into_iter().flatten() {
            writable(path)?;
        }
        self.report.as_deref().map_or(Ok(()), folder)?;
        self.keep_apart()?;
        let (table, batch) = self.source.read()?;
        let dims = table.dims(&batch);
        if !adam && dims.len() < 2 {
            return Err(Error::setting("sites", dims.len(), "sweeps need at least 2; give --method adam"));
        }
        let (train, valid) = match (&self.valid, self.valid_fraction) {
            (Some(path), _) => {
                let (_, valid) = self.source.read_from(path)?;
                valid.check(&dims).map_err(|e| e.at(Place::File(path.into())))?;
                (batch, Some(valid))
            }
            (None, Some(fraction)) => {
                let (train, valid) = split(&batch, fraction, Seed(self.seed))?;
                (train, Some(valid))
            }
            (None, None) => (batch, None),
        };
        let mut extra = Extra {
            data: Some(table.name().to_owned()),
            shape: Some(table.shape().to_vec()),
            alphabet: table.alphabet().map(str::to_owned),
            ..Extra::default()
        };
        extra.other.insert("fingerprint".into(), fingerprint(&train).into());
        if adam {
            let run = if self.resume { self.resumed_adam(&extra)? } else { self.fresh_adam(&dims)? };
            return for_kind!(AnyAdamRun, run, run => self.train(run, &train, valid.as_ref(), extra));
        }
        let run = if self.resume { self.resumed(&extra)? } else { self.fresh(&dims)? };
        for_kind!(AnyRun, run, run => self.train(run, &train, valid.as_ref(), extra))
    }

    fn fit_circuit(&self) -> Result<Exit> {
        let (table, batch) = self.source.read()?;
        let given = Given {
            steps: self.sweeps.unwrap_or(CIRCUIT_STEPS),
            rate: self.rate.as_ref().and_then(|list| list.0.first().copied()),
            seed: self.seed,
            out: self.out.as_deref(),
            json: self.json,
            shape: table.shape(),
        };
        self.circuit.run(&batch, &given)
    }

    /// That no file is written over one that is read, or over another that is written.
    fn keep_apart(&self) -> Result<()> {
        let checkpoint = self.checkpoint_path();
        let written = [("out", &self.out), ("checkpoint", &checkpoint), ("log", &self.log)];
        let read = [Some(&self.source.data), self.valid.as_ref()].into_iter().flatten();
        let read = read.map(|name| Path::new(name.split_once(".npz#").map_or(name.as_str(), |(path, _)| path)));
        let mut taken: Vec<PathBuf> = read.filter_map(|path| path.canonicalize().ok()).collect();
        for (name, path) in written {
            let Some(path) = path else { continue };
            // What is no file, such as /dev/null, may be given twice.
            if path.metadata().is_ok_and(|about| !about.is_file()) {
                continue;
            }
            let folder = path.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
            let there =
                path.canonicalize().or_else(|_| Ok(folder.canonicalize()?.join(path.file_name().unwrap_or_default())));
            let there = there.map_err(|source| Error::Io { path: path.clone(), action: "write", source })?;
            if taken.contains(&there) {
                return Err(Error::setting(
                    name,
                    path.display(),
                    "another option names the same file; give another name",
                ));
            }
            taken.push(there);
        }
        Ok(())
    }

    /// That no option was given that says something of sweeps only: it would be silently without effect.
    fn refuse_what_adam_has_not(&self) -> Result<()> {
        let given = [
            ("min-bond", self.min_bond.is_some()),
            ("cutoff", self.cutoff.is_some()),
            ("steps", self.steps.is_some()),
            ("direction", self.direction.is_some()),
            ("splitting", self.splitting.is_some()),
            ("init-bond", self.init_bond.is_some()),
            ("rise", self.rise.is_some()),
            ("min-improvement", self.min_improvement.is_some()),
            ("memory", self.memory.is_some()),
        ];
        if let Some((name, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(Error::setting(name, "given", "it means nothing to --method adam; leave it away"));
        }
        if self.bond.0.len() > 1 {
            let found = format!("a list of {}", self.bond.0.len());
            return Err(Error::setting("bond", found, "--method adam keeps one bond dimension; give a single number"));
        }
        Ok(())
    }

    fn adam_settings(&self) -> Result<Adam> {
        let epochs = self.sweeps.unwrap_or(EPOCHS);
        Ok(Adam {
            rate: schedule(&self.rate, 0.01)?,
            mini_batches: self.mini_batches.schedule()?,
            smoothing: self.trial_smoothing(),
            seed: Seed(self.seed),
            ..Adam::new(epochs)
        })
    }

    fn fresh_adam(&self, dims: &[usize]) -> Result<AnyAdamRun> {
        let settings = self.adam_settings()?;
        let bond = *self.bond.schedule()?.at(0);
        Ok(for_kind!(AnyBornMps, self.first_model(dims, bond)?, model => AdamRun::new(model, settings)?.into()))
    }

    /// The model that a run begins with: the one that was given, or a random one.
    fn first_model(&self, dims: &[usize], bond: usize) -> Result<AnyBornMps> {
        if let Some(path) = &self.start {
            let (model, _) = load_model(path)?;
            if model.dims() != dims {
                let error = Error::shape("the model, in dimensions of its sites", model.dims().len(), dims.len());
                return Err(error.at(Place::File(path.clone())));
            }
            return Ok(model);
        }
        let seed = Seed(self.seed);
        Ok(match self.scalar {
            Numbers::F32 => BornMps::<f32>::random(dims, bond, seed)?.into(),
            Numbers::F64 => BornMps::<f64>::random(dims, bond, seed)?.into(),
            Numbers::C32 => BornMps::<Complex32>::random(dims, bond, seed)?.into(),
            Numbers::C64 => BornMps::<Complex64>::random(dims, bond, seed)?.into(),
        })
    }

    /// The smoothing that models are judged with while they are trained.
    fn trial_smoothing(&self) -> f64 {
        let held_out = self.valid.is_some() || self.valid_fraction.is_some();
        self.smoothing.unwrap_or(if held_out { TRIAL } else { 0.0 })
    }

    fn settings(&self) -> Result<TwoSite> {
        Ok(TwoSite {
            sweeps: self.sweeps.unwrap_or(SWEEPS),
            rate: schedule(&self.rate, 0.005)?,
            max_bond: self.bond.schedule()?,
            min_bond: schedule(&self.min_bond, 1)?,
            cutoff: schedule(&self.cutoff, 1e-7)?,
            steps: schedule(&self.steps, 1)?,
            mini_batches: self.mini_batches.schedule()?,
            direction: match self.direction {
                Some(Way::Plain) => Direction::Plain,
                Some(Way::NormScaled) | None => Direction::NormScaled,
                Some(Way::Adam) => Direction::Adam,
            },
            splitting: match self.splitting {
                Some(Cut::Exact) => Splitting::Exact,
                Some(Cut::Warm) | None => Splitting::Warm,
            },
            rise: self.rise.unwrap_or(0.0),
            decay: 0.5,
            smoothing: self.trial_smoothing(),
            min_improvement: self.min_improvement.unwrap_or(0.0),
            memory: self.memory.map(|mb| mb.saturating_mul(1_000_000).saturating_sub(PROGRAM)),
            seed: Seed(self.seed),
        })
    }

    fn fresh(&self, dims: &[usize]) -> Result<AnyRun> {
        let settings = self.settings()?;
        // A wider start finds more directions in its first sweeps, and costs little more.
        let bond = self.init_bond.unwrap_or(4.min(*settings.max_bond.at(0)));
        Ok(for_kind!(AnyBornMps, self.first_model(dims, bond)?, model => Run::new(model, settings)?.into()))
    }

    fn checkpoint_path(&self) -> Option<PathBuf> {
        self.checkpoint.clone().or_else(|| {
            // Nothing is put beside a device or a pipe.
            let out = self.out.as_ref().filter(|out| out.metadata().map_or(true, |about| about.is_file()))?;
            let mut name = out.clone().into_os_string();
            name.push(".checkpoint");
            Some(name.into())
        })
    }

    /// The run of the checkpoint, which has to be of the same data.
    fn resumed(&self, extra: &Extra) -> Result<AnyRun> {
        let mut run = self.same_data(load_checkpoint, extra)?;
        let stored: &mut usize = for_kind!(AnyRun, &mut run, run => &mut run.settings.sweeps);
        *stored = self.sweeps.unwrap_or(*stored).max(*stored);
        Ok(run)
    }

    fn resumed_adam(&self, extra: &Extra) -> Result<AnyAdamRun> {
        let mut run = self.same_data(load_adam_checkpoint, extra)?;
        let stored: &mut usize = for_kind!(AnyAdamRun, &mut run, run => &mut run.settings.epochs);
        *stored = self.sweeps.unwrap_or(*stored).max(*stored);
        Ok(run)
    }

    fn same_data<R>(&self, load: fn(&Path) -> Result<(R, Extra)>, extra: &Extra) -> Result<R> {
        let Some(path) = self.checkpoint_path() else {
            return Err(Error::setting("resume", "given", "say from where, by --checkpoint or --out"));
        };
        let (run, stored) = load(&path)?;
        if stored.other.get("fingerprint") != extra.other.get("fingerprint") {
            return Err(Error::Format {
                what: format!("{}: a run on other training data; give the same data options", path.display()),
            });
        }
        Ok(run)
    }

    fn train<R: Training>(
        &self,
        mut run: R,
        train: &Batch<u8>,
        valid: Option<&Batch<u8>>,
        mut extra: Extra,
    ) -> Result<Exit>
    where
        AnyBornMps: From<BornMps<R::Number>>,
        CheckpointKeeper: Keeper<R>,
    {
        if self.dry_run {
            return self.plan(&run, train);
        }
        let start = Instant::now();
        let stopped = on_signal()?;
        let outcome = {
            let mut watch = self.observers(&run, stopped)?;
            let checkpoint = self.checkpoint_path();
            let mut keeper = checkpoint.as_ref().map(|path| {
                let every = Duration::from_secs_f64(60.0 * self.checkpoint_minutes.unwrap_or(5.0));
                CheckpointKeeper::new(path, self.checkpoint_bonds, Some(every), extra.clone())
            });
            let outcome = run.go(train, valid, &mut watch, &mut keeper);
            if let Some(path) = &checkpoint
                && (outcome.is_ok() || self.checkpoint.is_some())
            {
                // So that a finished run can be extended, and a broken one looked at.
                run.save(path, &extra)?;
            }
            outcome.map_err(|e| self.in_all(e))?
        };
        extra.report = outcome.best().copied();
        let amounts = match self.smoothing {
            Some(amount) => vec![amount],
            None if valid.is_some() => SMOOTHING.to_vec(),
            None => vec![0.0],
        };
        let (best, smoothing, nll) = best_smoothing(&run.into_best(), valid.unwrap_or(train), &amounts)?;
        // Where samplers need it: who draws from the file does not have to move it each time.
        let best = best.centred(0)?;
        // Of the model that is written, as `score` will find them.
        let told = match (&extra.report, valid) {
            (Some(report), Some(_)) if smoothing == 0.0 => (report.train_nll, Some(nll)),
            (_, Some(_)) => (best.nll(train)?, Some(nll)),
            (_, None) => (nll, None),
        };
        if let Some(report) = &mut extra.report {
            (report.train_nll, report.valid_nll) = told;
        }
        extra.other.insert("smoothing".into(), smoothing.into());
        if let Some(out) = &self.out {
            save_model(out, &best, &extra)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let model = AnyBornMps::from(best);
        if let Some(folder) = &self.report {
            pictures(folder, &model, &extra, &outcome)?;
        }
        self.tell(&model, &outcome, &extra, told, seconds)?;
        Ok(if outcome.stop == Stop::Interrupted { Exit::Interrupted } else { Exit::Done })
    }

    fn observers(&self, run: &impl Training, stopped: Arc<AtomicBool>) -> Result<Observers<'static>> {
        let mut watch = Observers::new().with(Interrupt(stopped));
        if !self.quiet {
            watch = watch.with(Progress::stderr(run.planned(), !self.json));
        }
        if let Some(log) = &self.log {
            // A resumed run adds to its log.
            watch = watch.with(JsonLines::new(Late::new(log, self.resume), log));
        }
        if let Some(patience) = self.patience {
            let mut early = EarlyStopping::new(patience, 0.0)?;
            for report in run.history() {
                let _ = early.sweep(report)?;
            }
            watch = watch.with(early);
        }
        if let Some(seconds) = self.time_limit {
            watch = watch.with(TimeLimit::new(Duration::from_secs_f64(seconds)));
        }
        Ok(watch)
    }

    /// A ceiling that was too low, told with the program itself counted in, as `--memory` is meant.
    fn in_all(&self, error: Error) -> Error {
        match (error, self.memory) {
            (Error::Memory { what, needed, way_out, .. }, Some(mb)) => {
                let (needed, ceiling) = (needed.saturating_add(PROGRAM), mb.saturating_mul(1_000_000));
                Error::Memory { what, needed, ceiling, way_out }
            }
            (error, _) => error,
        }
    }

    fn plan(&self, run: &impl Training, train: &Batch<u8>) -> Result<Exit> {
        let (expected, most) = run.bytes(train).map_err(|e| self.in_all(e))?;
        let (expected, most) = (expected + PROGRAM, most + PROGRAM);
        if self.json {
            print_json(&serde_json::json!({
                "sites": train.sites(), "samples": train.samples(), "sweeps": run.planned(),
                "max_bond": run.largest_bond(), "peak_bytes": expected, "most_bytes": most,
            }))?;
        } else {
            print(&format!(
                "{} samples of {} sites, {} sweeps, bond up to {}: peak memory about {:.0} MB, {:.0} MB at the most",
                train.samples(),
                train.sites(),
                run.planned(),
                run.largest_bond(),
                expected as f64 / 1e6,
                most as f64 / 1e6
            ))?;
        }
        Ok(Exit::Done)
    }

    fn tell(
        &self,
        model: &AnyBornMps,
        outcome: &Outcome,
        extra: &Extra,
        (train, valid): (f64, Option<f64>),
        seconds: f64,
    ) -> Result<()> {
        let smoothing = extra.other.get("smoothing").cloned().unwrap_or_default();
        let max_bond = model.bonds().into_iter().max().unwrap_or(1);
        let sweeps = outcome.history.len();
        if self.json {
            print_json(&serde_json::json!({
                "train_nll": number(train), "valid_nll": valid.map(number), "seconds": number(seconds),
                "sweeps": sweeps, "max_bond": max_bond, "best_sweep": outcome.best_sweep,
                "parameters": model.parameters(), "smoothing": smoothing, "stop": outcome.stop,
            }))?;
            return Ok(());
        }
        let mut table = Table::new(["", "value"]);
        table.row(["training NLL (nats)".to_owned(), format!("{train:.6}")]);
        if let Some(valid) = valid {
            table.row(["held-out NLL (nats)".to_owned(), format!("{valid:.6}")]);
        }
        table.row(["smoothing".to_owned(), smoothing.to_string()]);
        table.row(["best sweep".to_owned(), format!("{} of {sweeps}", outcome.best_sweep)]);
        table.row(["largest bond".to_owned(), max_bond.to_string()]);
        table.row(["parameters".to_owned(), model.parameters().to_string()]);
        table.row(["time".to_owned(), time_in_words(seconds)]);
        table.row(["stopped because".to_owned(), outcome.stop.to_string()]);
        print(&table.to_string())?;
        if let Some(out) = &self.out {
            complain(&format!("wrote {}", out.display()));
        }
        Ok(())
    }
}

/// Loss curve, chain profile and samples of a finished run.
pub(super) fn pictures(folder: &Path, model: &AnyBornMps, extra: &Extra, outcome: &Outcome) -> Result<()> {
    let failed = |e| Error::Io { path: folder.to_path_buf(), action: "create", source: e };
    std::fs::create_dir_all(folder).map_err(failed)?;
    write_text(&folder.join("loss.svg"), &loss_curve(&outcome.history, &[], None)?)?;
    write_text(&folder.join("chain.svg"), &chain_profile(&model.bonds(), &entropies(model)?)?)?;
    let samples = model.sample(64, Seed(1))?;
    write_png(&folder.join("samples.png"), &montage(&samples, &tiles(extra, &model.dims())?)?)
}

/// A number that tells one training set from another (FNV-1a).
fn fingerprint(batch: &Batch<u8>) -> String {
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ batch.sites() as u64;
    let hash = batch.view().iter().fold(start, |h, &v| (h ^ u64::from(v)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}
