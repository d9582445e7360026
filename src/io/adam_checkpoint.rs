//! A run of Adam in a file, so that it can go on as if it had never stopped.

use std::io::Write;
use std::path::Path;

use ndarray::{Array3, ArrayD, Ix3};
use num_complex::{Complex32, Complex64};

use super::atomic::write_atomically;
use super::checkpoint::{ADAM, check_method, json};
use super::header::{self, Content};
use super::model::{BORN_MPS, describe, read_born_mps, site_name, unknown_model};
use super::tensor_file::{self, TensorFile, damaged};
use super::{AnyAdamRun, CheckpointKeeper, Extra};
use crate::error::{Error, Place, Result};
use crate::model::GenerativeModel;
use crate::model::born_mps::BornMps;
use crate::scalar::{Kind, Real, Scalar};
use crate::train::{Adam, AdamProgress, AdamRun, AdamState, Keeper};

/// Writes all that decides how a run goes on, or leaves what was there.
///
/// # Errors
/// [`Error::Shape`] if the shape in `extra` is not one of the model's sites or the state is not one of site tensors,
/// [`Error::Io`] if the file cannot be written.
pub fn save_adam_checkpoint<T: Scalar>(path: &Path, run: &AdamRun<BornMps<T>>, extra: &Extra) -> Result<()> {
    let mut texts = header::texts(Content::Checkpoint, BORN_MPS, T::KIND);
    let json = |e: serde_json::Error| Error::Format { what: format!("the run: {e}") };
    texts.insert("method".into(), ADAM.into());
    texts.insert("settings".into(), serde_json::to_string(&run.settings).map_err(json)?);
    texts.insert("progress".into(), serde_json::to_string(&run.progress).map_err(json)?);
    texts.insert("extra".into(), extra.to_json(run.best.sites())?);
    let state = [("parameter", &run.state.parameters), ("first", &run.state.first), ("second", &run.state.second)];
    let mut owned = Vec::new();
    for (list, arrays) in state {
        for (site, array) in arrays.iter().enumerate() {
            let tensor = array.view().into_dimensionality::<Ix3>();
            let wrong = |_| Error::shape(format!("{list} {site}"), array.shape(), "[left, site, right]");
            owned.push((site_name(&format!("{list}."), site), tensor.map_err(wrong)?.to_owned()));
        }
    }
    let mut tensors: Vec<(String, &Array3<T>)> = owned.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
    tensors.extend(describe("best.", &run.best, &mut texts));
    write_atomically(path, |out: &mut dyn Write| tensor_file::write(out, &texts, &tensors))
}

/// Reads a run that goes on bit for bit as the one that was saved.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] at [`Place::File`] if it is no checkpoint of Adam or is
/// damaged.
pub fn load_adam_checkpoint(path: &Path) -> Result<(AnyAdamRun, Extra)> {
    adam_checkpoint_from_bytes(&header::read(path)?, path)
}

/// Reads a run from the bytes of a file; `name` is told in errors.
///
/// # Errors
/// [`Error::Format`] at [`Place::File`] if the bytes are no checkpoint of Adam or are damaged.
pub fn adam_checkpoint_from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<(AnyAdamRun, Extra)> {
    parse(bytes).map_err(|e| e.at(Place::File(name.as_ref().to_path_buf())))
}

fn parse(bytes: &[u8]) -> Result<(AnyAdamRun, Extra)> {
    let file = TensorFile::parse(bytes)?;
    header::check(&file, Content::Checkpoint)?;
    let name = file.text("model")?;
    if name != BORN_MPS {
        return Err(unknown_model(name));
    }
    check_method(&file, ADAM)?;
    Ok(match header::kind(&file)? {
        Kind::F32 => into_any(read::<f32>(&file)?),
        Kind::F64 => into_any(read::<f64>(&file)?),
        Kind::C32 => into_any(read::<Complex32>(&file)?),
        Kind::C64 => into_any(read::<Complex64>(&file)?),
    })
}

fn into_any<R: Into<AnyAdamRun>>((run, extra): (R, Extra)) -> (AnyAdamRun, Extra) {
    (run.into(), extra)
}

fn read<T: Scalar>(file: &TensorFile) -> Result<(AdamRun<BornMps<T>>, Extra)> {
    let best = read_born_mps::<T>(file, "best.")?;
    let dims = best.dims();
    let parameters = list::<T>(file, "parameter", dims.len())?;
    let mut bond = 1;
    for (site, (array, &dim)) in parameters.iter().zip(&dims).enumerate() {
        let right = if site + 1 == dims.len() { 1 } else { array.shape()[2] };
        if array.shape() != [bond, dim, right] {
            let expected = [bond, dim, right];
            return Err(damaged(format!("parameter {site} has shape {:?}, expected {expected:?}", array.shape())));
        }
        bond = right;
    }
    let (first, second) = (list::<T>(file, "first", dims.len())?, list::<T>(file, "second", dims.len())?);
    for (site, array) in parameters.iter().enumerate() {
        if first[site].shape() != array.shape() || second[site].shape() != array.shape() {
            return Err(damaged(format!("the moments of site {site} are not shaped like its parameters")));
        }
    }
    if second.iter().flatten().any(|v| v.re().to_f64() < 0.0 || v.im().to_f64() != 0.0) {
        return Err(damaged("a mean square is negative or not real".into()));
    }
    let settings: Adam = json(file, "settings")?;
    settings.validate().map_err(|e| damaged(format!("settings: {e}")))?;
    let progress: AdamProgress = json(file, "progress")?;
    let most = u32::MAX as usize;
    if progress.epoch > most || progress.batch > most || progress.steps > u64::from(u32::MAX) {
        return Err(damaged("the progress of the run is out of range".into()));
    }
    let extra = Extra::from_json(file.text("extra")?, best.sites())?;
    Ok((AdamRun { settings, state: AdamState { parameters, first, second }, best, progress }, extra))
}

fn list<T: Scalar>(file: &TensorFile, name: &str, sites: usize) -> Result<Vec<ArrayD<T>>> {
    (0..sites).map(|site| Ok(file.tensor::<T>(&site_name(&format!("{name}."), site))?.into_dyn())).collect()
}

impl<T: Scalar> Keeper<AdamRun<BornMps<T>>> for CheckpointKeeper {
    fn due(&mut self) -> bool {
        self.is_due()
    }

    fn keep(&mut self, run: &AdamRun<BornMps<T>>) -> Result<()> {
        save_adam_checkpoint(self.path(), run, self.extra())?;
        self.kept();
        Ok(())
    }
}
