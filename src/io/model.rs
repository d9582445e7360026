//! One model in a file.

use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use ndarray::Array3;
use num_complex::{Complex32, Complex64};

use super::atomic::write_atomically;
use super::header::{self, Content};
use super::tensor_file::{self, TensorFile, Texts, damaged};
use super::{AnyBornMps, Extra};
use crate::chain::Mps;
use crate::error::{Error, Place, Result, quoted};
use crate::model::GenerativeModel;
use crate::model::born_mps::BornMps;
use crate::scalar::{Kind, Scalar};

/// The name under which Born machines on a chain are stored.
pub(super) const BORN_MPS: &str = "born-mps";

/// How a model is read, by its name.
struct Reader {
    name: &'static str,
    read: fn(&TensorFile) -> Result<AnyBornMps>,
}

/// Every model that can be read; a new one is a line.
const READERS: &[Reader] = &[Reader { name: BORN_MPS, read: read_any_born_mps }];

/// Writes a model, or leaves what was there.
///
/// The same model and `extra` give the same bytes.
///
/// # Errors
/// [`Error::Shape`] if the shape in `extra` is not one of the model's sites, [`Error::Io`] if the file cannot be written.
pub fn save_model<T: Scalar>(path: &Path, model: &BornMps<T>, extra: &Extra) -> Result<()> {
    let mut texts = header::texts(Content::Model, BORN_MPS, T::KIND);
    texts.insert("extra".into(), extra.to_json(model.sites())?);
    let tensors = describe("", model, &mut texts);
    write_atomically(path, |out: &mut dyn Write| tensor_file::write(out, &texts, &tensors))
}

/// Reads a model: the one that was saved, bit for bit.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] at [`Place::File`] if it is no model or is damaged.
pub fn load_model(path: &Path) -> Result<(AnyBornMps, Extra)> {
    model_from_bytes(&header::read(path)?, path)
}

/// Reads a model from the bytes of a file; `name` is told in errors.
///
/// # Errors
/// [`Error::Format`] at [`Place::File`] if the bytes are no model or are damaged.
pub fn model_from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<(AnyBornMps, Extra)> {
    parse(bytes).map_err(|e| e.at(Place::File(name.as_ref().to_path_buf())))
}

fn parse(bytes: &[u8]) -> Result<(AnyBornMps, Extra)> {
    let file = TensorFile::parse(bytes)?;
    header::check(&file, Content::Model)?;
    let name = file.text("model")?;
    let reader = READERS.iter().find(|r| r.name == name).ok_or_else(|| unknown_model(name))?;
    let model = (reader.read)(&file)?;
    let extra = Extra::from_json(file.text("extra")?, model.sites())?;
    Ok((model, extra))
}

/// That a model of this name cannot be read, and which can.
pub(super) fn unknown_model(name: &str) -> Error {
    let known = READERS.iter().map(|r| r.name).collect::<Vec<_>>().join(", ");
    let this = env!("CARGO_PKG_VERSION");
    Error::Format {
        what: format!("model \"{}\" is not one that ansatz {this} reads ({known}); use a newer ansatz", quoted(name)),
    }
}

fn read_any_born_mps(file: &TensorFile) -> Result<AnyBornMps> {
    Ok(match header::kind(file)? {
        Kind::F32 => read_born_mps::<f32>(file, "")?.into(),
        Kind::F64 => read_born_mps::<f64>(file, "")?.into(),
        Kind::C32 => read_born_mps::<Complex32>(file, "")?.into(),
        Kind::C64 => read_born_mps::<Complex64>(file, "")?.into(),
    })
}

/// The tensors of a model with their names, all of which begin with `prefix`; what is not numbers goes into `texts`.
pub(super) fn describe<'a, T: Scalar>(
    prefix: &str,
    model: &'a BornMps<T>,
    texts: &mut Texts,
) -> Vec<(String, &'a Array3<T>)> {
    let state = model.state();
    texts.insert(format!("{prefix}sites"), state.sites().to_string());
    // A Born machine always has a centre.
    texts.insert(format!("{prefix}centre"), state.centre().unwrap_or_default().to_string());
    state.tensors().iter().enumerate().map(|(site, tensor)| (site_name(prefix, site), tensor)).collect()
}

/// The model whose tensors begin with `prefix`.
pub(super) fn read_born_mps<T: Scalar>(file: &TensorFile, prefix: &str) -> Result<BornMps<T>> {
    let sites: usize = number(file, &format!("{prefix}sites"))?;
    let centre: usize = number(file, &format!("{prefix}centre"))?;
    if centre >= sites {
        return Err(damaged(format!("{prefix}centre is {centre}, of {sites} sites counted from 0")));
    }
    // Grows with the tensors that are there: the number of sites is only what the file says.
    let mut tensors = Vec::new();
    let mut bond = 1;
    for site in 0..sites {
        let name = site_name(prefix, site);
        let tensor = file.tensor::<T>(&name)?;
        let (l, d, r) = tensor.dim();
        let right = if site + 1 == sites { 1 } else { r };
        if (l, r) != (bond, right) {
            return Err(damaged(format!("tensor {name} has shape {:?}, expected {:?}", [l, d, r], [bond, d, right])));
        }
        // More columns than rows are no isometry; found out here, because the check below takes the square of them.
        if (site < centre && r > l * d) || (site > centre && l > d * r) {
            return Err(damaged(format!("tensor {name} of shape {:?} is not an isometry", [l, d, r])));
        }
        bond = r;
        tensors.push(tensor);
    }
    let state = Mps::new(tensors)?.assume_centre(centre).map_err(|e| damaged(e.to_string()))?;
    BornMps::from_normalised(state).map_err(|error| match error {
        Error::Setting { .. } => damaged(format!("{prefix}state is not of norm 1")),
        other => damaged(other.to_string()),
    })
}

pub(super) fn site_name(prefix: &str, site: usize) -> String {
    format!("{prefix}site.{site:04}")
}

fn number<N: FromStr>(file: &TensorFile, key: &str) -> Result<N> {
    let text = file.text(key)?;
    text.parse().map_err(|_| damaged(format!("{key} is \"{}\", expected a whole number", quoted(text))))
}
