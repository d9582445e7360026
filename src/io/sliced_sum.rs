//! A sum over slices in a file, so that a long contraction can go on as if it had never stopped.

use std::io::Write;
use std::path::Path;

use ndarray::Array3;

use super::atomic::write_atomically;
use super::header::{self, Content};
use super::tensor_file::{self, TensorFile, damaged};
use crate::error::{Error, Place, Result, quoted};
use crate::network::{Accumulator, SlicedSum};
use crate::scalar::Scalar;

/// What such a file names in place of a model.
const CONTRACTION: &str = "contraction";

/// Writes a sum over slices, or leaves what was there.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save_sliced_sum<T: Scalar>(path: &Path, sum: &SlicedSum<T>) -> Result<()> {
    let mut texts = header::texts(Content::Checkpoint, CONTRACTION, T::KIND);
    let exponent = sum.total.exponent.map_or("none".into(), |exponent| exponent.to_string());
    for (key, text) in [
        ("fingerprint", format!("{:016x}", sum.fingerprint)),
        ("done", sum.done.to_string()),
        ("slices", sum.slices.to_string()),
        ("exponent", exponent),
    ] {
        texts.insert(key.into(), text);
    }
    let shape = (1, 1, sum.total.elements.len());
    let total = Array3::from_shape_vec(shape, sum.total.elements.clone())
        .map_err(|_| Error::shape("a sum over slices", sum.total.elements.len(), shape))?;
    write_atomically(path, |out: &mut dyn Write| tensor_file::write(out, &texts, &[("total".into(), &total)]))
}

/// Reads a sum over slices that goes on bit for bit as the one that was saved.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] at [`Place::File`] if it holds no such sum, one of other
/// numbers, or is damaged.
pub fn load_sliced_sum<T: Scalar>(path: &Path) -> Result<SlicedSum<T>> {
    sliced_sum_from_bytes(&header::read(path)?, path)
}

/// Reads a sum over slices from the bytes of a file; `name` is told in errors.
///
/// # Errors
/// As [`load_sliced_sum`].
pub fn sliced_sum_from_bytes<T: Scalar>(bytes: &[u8], name: impl AsRef<Path>) -> Result<SlicedSum<T>> {
    parse(bytes).map_err(|e| e.at(Place::File(name.as_ref().to_path_buf())))
}

fn parse<T: Scalar>(bytes: &[u8]) -> Result<SlicedSum<T>> {
    let file = TensorFile::parse(bytes)?;
    header::check(&file, Content::Checkpoint)?;
    let model = file.text("model")?;
    if model != CONTRACTION {
        let what = format!("a run of {}, not of a contraction; go on with it by `ansatz fit --resume`", quoted(model));
        return Err(Error::Format { what });
    }
    let kind = header::kind(&file)?;
    if kind != T::KIND {
        let what = format!("a sum over slices of {kind}, where {} is asked for: give --scalar {kind}", T::KIND);
        return Err(Error::Format { what });
    }
    let number = |key: &str| -> Result<u64> {
        let text = file.text(key)?;
        text.parse().map_err(|_| damaged(format!("{key} is \"{}\", expected a number", quoted(text))))
    };
    let (done, slices) = (number("done")?, number("slices")?);
    if done > slices {
        return Err(damaged(format!("{done} of {slices} slices are done")));
    }
    let text = file.text("fingerprint")?;
    let fingerprint = u64::from_str_radix(text, 16)
        .map_err(|_| damaged(format!("fingerprint is \"{}\", expected 16 digits", quoted(text))))?;
    let exponent = match file.text("exponent")? {
        "none" => None,
        text => match text.parse::<i64>() {
            // Far from where sums of exponents would end.
            Ok(exponent) if exponent.unsigned_abs() < 1 << 60 => Some(exponent),
            _ => return Err(damaged(format!("exponent is \"{}\", expected a number", quoted(text)))),
        },
    };
    let elements = file.tensor::<T>("total")?.into_iter().collect();
    Ok(SlicedSum { fingerprint, done, slices, total: Accumulator { elements, exponent }, multiplications: 0.0 })
}
