//! States of tomography in files: the purified chain as a Born machine's, with the levels of its sites beside it.

use std::path::Path;

use ndarray::Array3;
use num_complex::Complex64;
use serde_json::json;

use super::model::{load_model, save_model};
use super::{AnyBornMps, Extra};
use crate::chain::Mps;
use crate::error::{Error, Place, Result};
use crate::for_kind;
use crate::model::born_mps::BornMps;
use crate::scalar::Scalar;
use crate::tomography::{Lpdo, Process};

/// Writes a state: a model file whose sites have site and purification leg fused, `extra.levels` has the former.
///
/// # Errors
/// As [`save_model`].
pub fn save_lpdo(path: &Path, state: &Lpdo, extra: &Extra) -> Result<()> {
    let mut extra = extra.clone();
    extra.other.insert("levels".into(), json!(state.dims()));
    extra.other.insert("purification".into(), json!(state.purification()));
    save_model(path, &BornMps::new(state.chain().clone())?, &extra)
}

/// Reads a state; any Born machine is one, pure.
///
/// # Errors
/// As [`load_model`]; [`Error::Format`] if the levels do not fit.
pub fn load_lpdo(path: &Path) -> Result<(Lpdo, Extra)> {
    let (model, extra) = load_model(path)?;
    let widened = |a: &Array3<_>| a.mapv(|x: Complex64| x);
    let tensors: Vec<Array3<Complex64>> = for_kind!(AnyBornMps, &model, m => m.state().tensors().iter().map(|a| widened(&a.mapv(|x| x.to_c64()))).collect());
    let levels: Option<Vec<usize>> = extra.other.get("levels").and_then(|v| serde_json::from_value(v.clone()).ok());
    let dims = levels.unwrap_or_else(|| model.dims());
    let state = Lpdo::new(Mps::new(tensors)?, &dims);
    state.map(|s| (s, extra)).map_err(|e| Error::Format { what: e.to_string() }.at(Place::File(path.into())))
}

/// Writes a channel: its Choi state as [`save_lpdo`] does, `extra.inputs` has the levels that go in.
///
/// # Errors
/// As [`save_model`].
pub fn save_process(path: &Path, process: &Process, extra: &Extra) -> Result<()> {
    let mut extra = extra.clone();
    extra.other.insert("inputs".into(), json!(process.inputs()));
    save_lpdo(path, process.choi(), &extra)
}

/// Reads a channel.
///
/// # Errors
/// As [`load_lpdo`]; [`Error::Format`] if the file is no channel.
pub fn load_process(path: &Path) -> Result<(Process, Extra)> {
    let (choi, extra) = load_lpdo(path)?;
    let place = |what: String| Error::Format { what }.at(Place::File(path.into()));
    let inputs: Option<Vec<usize>> = extra.other.get("inputs").and_then(|v| serde_json::from_value(v.clone()).ok());
    let inputs = inputs.ok_or_else(|| place("a state, where a channel is needed".into()))?;
    let process = Process::new(choi, &inputs).map_err(|e| place(e.to_string()))?;
    Ok((process, extra))
}
