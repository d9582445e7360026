//! A run in a file, so that it can go on as if it had never stopped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use num_complex::{Complex32, Complex64};
use serde::de::DeserializeOwned;

use super::atomic::write_atomically;
use super::header::{self, Content};
use super::model::{BORN_MPS, describe, read_born_mps, unknown_model};
use super::tensor_file::{self, TensorFile, damaged};
use super::{AnyRun, Extra};
use crate::error::{Error, Place, Result, quoted};
use crate::model::GenerativeModel;
use crate::model::born_mps::BornMps;
use crate::scalar::{Kind, Scalar};
use crate::train::{Keeper, Progress, Run, TwoSite};

/// Writes all that decides how a run goes on, or leaves what was there.
///
/// # Errors
/// [`Error::Shape`] if the shape in `extra` is not one of the model's sites, [`Error::Io`] if the file cannot be written.
pub fn save_checkpoint<T: Scalar>(path: &Path, run: &Run<BornMps<T>>, extra: &Extra) -> Result<()> {
    let mut texts = header::texts(Content::Checkpoint, BORN_MPS, T::KIND);
    let json = |e: serde_json::Error| Error::Format { what: format!("the run: {e}") };
    texts.insert("settings".into(), serde_json::to_string(&run.settings).map_err(json)?);
    texts.insert("progress".into(), serde_json::to_string(&run.progress).map_err(json)?);
    texts.insert("extra".into(), extra.to_json(run.current.sites())?);
    let mut tensors = Vec::new();
    let mut written: Vec<(&str, &BornMps<T>)> = Vec::new();
    for (name, model) in [("current", &run.current), ("good", &run.good), ("best", &run.best)] {
        // Between sweeps two or all three are one model.
        if let Some((twin, _)) = written.iter().find(|(_, other)| same_bits(model, other)) {
            texts.insert(name.into(), (*twin).into());
            continue;
        }
        texts.insert(name.into(), name.into());
        tensors.extend(describe(&format!("{name}."), model, &mut texts));
        written.push((name, model));
    }
    write_atomically(path, |out: &mut dyn Write| tensor_file::write(out, &texts, &tensors))
}

/// Reads a run that goes on bit for bit as the one that was saved.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] at [`Place::File`] if it is no checkpoint or is damaged.
pub fn load_checkpoint(path: &Path) -> Result<(AnyRun, Extra)> {
    checkpoint_from_bytes(&header::read(path)?, path)
}

/// Reads a run from the bytes of a file; `name` is told in errors.
///
/// # Errors
/// [`Error::Format`] at [`Place::File`] if the bytes are no checkpoint or are damaged.
pub fn checkpoint_from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<(AnyRun, Extra)> {
    parse(bytes).map_err(|e| e.at(Place::File(name.as_ref().to_path_buf())))
}

fn parse(bytes: &[u8]) -> Result<(AnyRun, Extra)> {
    let file = TensorFile::parse(bytes)?;
    header::check(&file, Content::Checkpoint)?;
    let name = file.text("model")?;
    if name != BORN_MPS {
        return Err(unknown_model(name));
    }
    check_method(&file, SWEEPS)?;
    Ok(match header::kind(&file)? {
        Kind::F32 => into_any(read::<f32>(&file)?),
        Kind::F64 => into_any(read::<f64>(&file)?),
        Kind::C32 => into_any(read::<Complex32>(&file)?),
        Kind::C64 => into_any(read::<Complex64>(&file)?),
    })
}

fn into_any<R: Into<AnyRun>>((run, extra): (R, Extra)) -> (AnyRun, Extra) {
    (run.into(), extra)
}

fn read<T: Scalar>(file: &TensorFile) -> Result<(Run<BornMps<T>>, Extra)> {
    let current = model(file, "current", &[])?;
    let good = model(file, "good", &[("current", &current)])?;
    let best = model(file, "best", &[("current", &current), ("good", &good)])?;
    if good.dims() != current.dims() || best.dims() != current.dims() {
        return Err(damaged("the models of the run have different sites".into()));
    }
    let settings: TwoSite = json(file, "settings")?;
    settings.validate().map_err(|e| damaged(format!("settings: {e}")))?;
    let progress: Progress = json(file, "progress")?;
    check(&progress)?;
    let extra = Extra::from_json(file.text("extra")?, current.sites())?;
    Ok((Run { settings, current, good, best, progress }, extra))
}

/// The model `name` of the run, which may be one of those `read` before.
fn model<T: Scalar>(file: &TensorFile, name: &str, read: &[(&str, &BornMps<T>)]) -> Result<BornMps<T>> {
    let stored = file.text(name)?;
    if stored == name {
        return read_born_mps(file, &format!("{name}."));
    }
    let twin = read.iter().find(|(other, _)| *other == stored);
    twin.map(|(_, model)| (*model).clone())
        .ok_or_else(|| damaged(format!("{name} is \"{}\", which is no model of the run", quoted(stored))))
}

/// That no counter is near its end and the rate is one.
fn check(progress: &Progress) -> Result<()> {
    let most = u32::MAX as usize;
    let counters = [progress.sweep, progress.step, progress.next_batch, progress.sweep_batch, progress.setbacks];
    if counters.iter().any(|&n| n > most) || !(progress.rate_factor >= 0.0 && progress.rate_factor <= 1.0) {
        return Err(damaged("the progress of the run is out of range".into()));
    }
    Ok(())
}

/// The method of a run where its file names none.
const SWEEPS: &str = "sweeps";
/// As a file names the method of a run of Adam.
pub(super) const ADAM: &str = "adam";

/// That the run is one of this method.
pub(super) fn check_method(file: &TensorFile, method: &str) -> Result<()> {
    let found = file.find("method").unwrap_or(SWEEPS);
    if found == method {
        return Ok(());
    }
    let found = quoted(found);
    Err(Error::Format { what: format!("a run of method {found}, not {method}; go on with it by `--method {found}`") })
}

pub(super) fn json<V: DeserializeOwned>(file: &TensorFile, key: &str) -> Result<V> {
    serde_json::from_str(file.text(key)?).map_err(|e| {
        let what = format!("metadata {key}: {}", quoted(&e.to_string()));
        // Good JSON with fields that are missing or unknown is more likely of another version than damaged.
        if e.is_data() { header::of_another_build(file, &what) } else { damaged(what) }
    })
}

/// Equality of every bit: zero and minus zero, equal as numbers, are not the same run.
fn same_bits<T: Scalar>(a: &BornMps<T>, b: &BornMps<T>) -> bool {
    let (a, b) = (a.state(), b.state());
    a == b
        && a.tensors()
            .iter()
            .zip(b.tensors())
            .all(|(x, y)| x.iter().zip(y).all(|(x, y)| bytemuck::bytes_of(x) == bytemuck::bytes_of(y)))
}

/// Stores a run in a file every so many bonds (steps, for Adam), or after so long.
#[derive(Debug)]
pub struct CheckpointKeeper {
    path: PathBuf,
    every_bonds: Option<usize>,
    every: Option<Duration>,
    extra: Extra,
    bonds: usize,
    last: Instant,
}

impl CheckpointKeeper {
    /// Writes to `path` after `every_bonds` bonds and whenever `every` has passed, whichever comes first; with neither,
    /// never.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, every_bonds: Option<usize>, every: Option<Duration>, extra: Extra) -> Self {
        CheckpointKeeper { path: path.into(), every_bonds, every, extra, bonds: 0, last: Instant::now() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn extra(&self) -> &Extra {
        &self.extra
    }

    pub(super) fn is_due(&mut self) -> bool {
        self.bonds += 1;
        self.every_bonds.is_some_and(|n| self.bonds >= n) || self.every.is_some_and(|t| self.last.elapsed() >= t)
    }

    /// Counts from now, so that a slow disk does not take up all the time.
    pub(super) fn kept(&mut self) {
        (self.bonds, self.last) = (0, Instant::now());
    }
}

impl<T: Scalar> Keeper<Run<BornMps<T>>> for CheckpointKeeper {
    fn due(&mut self) -> bool {
        self.is_due()
    }

    fn keep(&mut self, run: &Run<BornMps<T>>) -> Result<()> {
        save_checkpoint(&self.path, run, &self.extra)?;
        self.kept();
        Ok(())
    }
}
