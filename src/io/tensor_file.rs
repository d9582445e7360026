//! The safetensors container: eight bytes of length, a JSON header, numbers.
//!
//! The header is written here rather than by the `safetensors` crate because that one puts the metadata in a different
//! order each time; the same model is to give the same bytes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use ndarray::Array3;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde_json::json;

use crate::error::{Error, Result, quoted};
use crate::scalar::{Kind, Scalar};

/// Text by key.
pub(super) type Texts = BTreeMap<String, String>;

/// The largest header that is read: what every reader of safetensors allows.
const MAX_HEADER: u64 = 100_000_000;

/// A tensor file in memory, its header checked: every tensor lies within the bytes.
pub(super) struct TensorFile<'a> {
    header: Metadata,
    numbers: &'a [u8],
}

impl<'a> TensorFile<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let length = header_length(bytes, bytes.len() as u64)?;
        let (Some(text), Some(numbers)) = (bytes.get(8..8 + length), bytes.get(8 + length..)) else {
            return Err(truncated(8 + length as u64, bytes.len() as u64));
        };
        // Not `SafeTensors::deserialize`, whose sum of offset and header overflows for offsets near 2^64.
        let header: Metadata = serde_json::from_slice(text)
            .map_err(|e| damaged(format!("not a safetensors header ({})", quoted(&e.to_string()))))?;
        let (needed, found) = (header.data_len(), numbers.len());
        if needed > found {
            return Err(truncated(needed as u64, found as u64));
        }
        if needed < found {
            return Err(damaged(format!("{} bytes follow the last tensor", found - needed)));
        }
        Ok(TensorFile { header, numbers })
    }

    /// The text stored under `key`.
    pub(super) fn text(&self, key: &str) -> Result<&str> {
        self.find(key).ok_or_else(|| damaged(format!("the metadata have no {key:?}")))
    }

    pub(super) fn find(&self, key: &str) -> Option<&str> {
        Some(self.header.metadata().as_ref()?.get(key)?.as_str())
    }

    /// A site tensor `[left, site, right]`, every number of it finite.
    pub(super) fn tensor<T: Scalar>(&self, name: &str) -> Result<Array3<T>> {
        let info = self.header.info(name).ok_or_else(|| damaged(format!("tensor {name} is missing")))?;
        let (dtype, shape) = self.layout::<T>(name, info)?;
        let bytes = self.numbers.get(info.data_offsets.0..info.data_offsets.1).unwrap_or_default();
        // The header has been checked: as many bytes as the shape says. Only `T` counts from here on.
        let mut numbers = vec![T::zero(); bytes.len() / T::KIND.bytes()];
        let target = bytemuck::cast_slice_mut::<T, u8>(&mut numbers);
        if target.len() != bytes.len() {
            return Err(damaged(format!("tensor {name} has {} bytes", bytes.len())));
        }
        target.copy_from_slice(bytes);
        to_native(target, dtype);
        if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
            return Err(damaged(format!("tensor {name} holds NaN or infinity at entry {at}")));
        }
        Array3::from_shape_vec(shape, numbers).map_err(|_| damaged(format!("tensor {name} has shape {:?}", info.shape)))
    }

    /// The names of the tensors, in the order of the alphabet.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.header.tensors().into_keys().collect();
        names.sort();
        names
    }

    /// Type and shape of a tensor.
    pub(super) fn about(&self, name: &str) -> Option<(Dtype, &[usize])> {
        self.header.info(name).map(|info| (info.dtype, info.shape.as_slice()))
    }

    /// The bytes of a tensor; none if it is not there.
    pub(super) fn bytes(&self, name: &str) -> &'a [u8] {
        let range = self.header.info(name).map(|info| info.data_offsets.0..info.data_offsets.1);
        range.and_then(|range| self.numbers.get(range)).unwrap_or_default()
    }

    /// The dtype and the shape in numbers of `T`.
    fn layout<T: Scalar>(&self, name: &str, info: &TensorInfo) -> Result<(Dtype, [usize; 3])> {
        let dtype = dtype(T::KIND);
        if info.dtype != dtype {
            let found = info.dtype;
            return Err(damaged(format!("tensor {name} holds {found}, scalar {} is stored as {dtype}", T::KIND)));
        }
        match (info.shape.as_slice(), T::IS_COMPLEX) {
            (&[l, d, r], false) | (&[l, d, r, 2], true) if l > 0 && d > 0 && r > 0 => Ok((dtype, [l, d, r])),
            _ => {
                let expected = if T::IS_COMPLEX { "[left, site, right, 2]" } else { "[left, site, right]" };
                Err(damaged(format!("tensor {name} has shape {:?}, expected {expected}, none of them 0", info.shape)))
            }
        }
    }
}

/// Writes texts and named tensors; the same input gives the same bytes.
pub(super) fn write<T: Scalar>(out: &mut dyn Write, texts: &Texts, tensors: &[(String, &Array3<T>)]) -> io::Result<()> {
    // A map in order of its keys: "__metadata__" comes before any tensor, whose names begin with a small letter.
    let mut header = BTreeMap::from([("__metadata__", json!(texts))]);
    let mut end = 0;
    for (name, tensor) in tensors {
        let (l, d, r) = tensor.dim();
        let shape = if T::IS_COMPLEX { vec![l, d, r, 2] } else { vec![l, d, r] };
        let start = end;
        end += tensor.len() * T::KIND.bytes();
        header
            .insert(name, json!({ "dtype": dtype(T::KIND).to_string(), "shape": shape, "data_offsets": [start, end] }));
    }
    let mut header = serde_json::to_vec(&header)?;
    // So that the numbers start at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > MAX_HEADER {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the header would be larger than safetensors allows"));
    }
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, tensor) in tensors {
        let numbers = tensor.as_standard_layout();
        let bytes = bytemuck::cast_slice::<T, u8>(numbers.as_slice().unwrap_or_default());
        if cfg!(target_endian = "little") {
            out.write_all(bytes)?;
        } else {
            let mut swapped = bytes.to_vec();
            to_native(&mut swapped, dtype(T::KIND));
            out.write_all(&swapped)?;
        }
    }
    Ok(())
}

/// Length of the header of a file of `size` bytes that starts with `start`; by it a file that is no tensor file is known
/// before all of it is read.
pub(super) fn header_length(start: &[u8], size: u64) -> Result<usize> {
    let Some((length, rest)) = start.split_first_chunk::<8>() else {
        return Err(foreign(format!("it has {size} bytes")));
    };
    let length = u64::from_le_bytes(*length);
    if rest.first() != Some(&b'{') || !(2..=MAX_HEADER).contains(&length) {
        return Err(foreign("it does not begin as one".into()));
    }
    if length > size - 8 {
        return Err(truncated(8 + length, size));
    }
    usize::try_from(length).map_err(|_| foreign("its header is too large".into()))
}

fn truncated(needed: u64, found: u64) -> Error {
    damaged(format!("cut short: {needed} bytes announced, {found} found"))
}

fn foreign(found: String) -> Error {
    Error::Format { what: format!("not a model file (safetensors): {found}; give a file that `ansatz fit` wrote") }
}

/// What is wrong with the content, and the way out.
pub(super) fn damaged(what: String) -> Error {
    Error::Format { what: format!("{what}; the file is damaged, take another copy or fit the model again") }
}

/// Complex numbers are stored as pairs of reals: readers know no complex double.
fn dtype(kind: Kind) -> Dtype {
    match kind {
        Kind::F32 | Kind::C32 => Dtype::F32,
        Kind::F64 | Kind::C64 => Dtype::F64,
    }
}

/// From the little endian of the file to the order of this machine, or back.
fn to_native(bytes: &mut [u8], dtype: Dtype) {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(if dtype == Dtype::F32 { 4 } else { 8 }).for_each(<[u8]>::reverse);
    }
}
