//! `ansatz fit`: training.

mod options;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

pub(super) use options::Fit;
use options::{Method, Model};

use super::Exit;
use super::fit_circuit::Given;
use super::info::entropies;
use super::output::{Late, complain, folder, number, print, print_json, writable, write_png, write_text};
use super::source::tiles;
use super::training::{Training, on_signal};
use crate::data::split;
use crate::error::{Error, Place, Result};
use crate::for_kind;
use crate::io::{
    AnyAdamRun, AnyBornMps, AnyRun, CheckpointKeeper, Extra, load_adam_checkpoint, load_checkpoint, save_model,
};
use crate::model::{Batch, BornMps, GenerativeModel};
use crate::random::Seed;
use crate::report::{JsonLines, Progress, Table, chain_profile, loss_curve, montage, time_in_words};
use crate::train::{EarlyStopping, Interrupt, Keeper, Observer, Observers, Outcome, Stop, TimeLimit, best_smoothing};

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
