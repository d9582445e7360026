//! The tensors of a network from files that other programs wrote.

use std::path::Path;

use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::Dtype;

use super::tensor_file::TensorFile;
use crate::data::{NumberedArrays, in_order, wider};
use crate::error::{Error, Place, Result, quoted};
use crate::scalar::{Kind, Scalar};

/// The tensors of a network: arrays numbered from 0 in an `.npz` or a `.safetensors` file, or the only one, in an `.npy`
/// file. Names are a number, with or without text in front of it (`0`, `arr_0`, `tensor.0`).
///
/// In safetensors, complex numbers are of type `C64`, or pairs of reals along a last axis of two.
#[derive(Debug)]
pub struct TensorData {
    name: String,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Numpy(NumberedArrays),
    Safetensors { bytes: Vec<u8>, titles: Vec<String> },
}

/// Reads the tensors of a network.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; with the file as place, as [`tensor_data_from_bytes`].
pub fn load_tensor_data(path: &Path) -> Result<TensorData> {
    let bytes = std::fs::read(path).map_err(|e| Error::Io { path: path.into(), action: "read", source: e })?;
    tensor_data_from_bytes(bytes, path)
}

/// From the bytes of a file; `name` stands in errors.
///
/// # Errors
/// [`Error::Format`] if they are none of `.npz`, `.npy` and safetensors, or damaged, or if the arrays are not numbered from
/// 0; [`Error::Empty`] for no arrays.
pub fn tensor_data_from_bytes(bytes: Vec<u8>, name: impl AsRef<Path>) -> Result<TensorData> {
    let path = name.as_ref();
    let name = path.display().to_string();
    let form = if bytes.starts_with(b"PK") || bytes.starts_with(b"\x93NUMPY") {
        Form::Numpy(NumberedArrays::from_bytes(&name, bytes)?)
    } else {
        if bytes.get(8) != Some(&b'{') {
            let what = "none of .npz, .npy and .safetensors; write it with numpy.savez(file, *arrays)".into();
            return Err(Error::Format { what }.at(Place::File(path.into())));
        }
        let names = TensorFile::parse(&bytes).map_err(|e| e.at(Place::File(path.into())))?.names();
        let ordered = in_order(&name, names.into_iter().map(|name| (name, ())).collect())?;
        Form::Safetensors { bytes, titles: ordered.into_iter().map(|(title, ())| title).collect() }
    };
    Ok(TensorData { name, form })
}

impl TensorData {
    /// The arrays in the order of their numbers, which are to have these shapes, and the narrowest kind of numbers that
    /// holds them all: see [`kind`](Self::kind).
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of arrays or another shape, [`Error::Format`] for numbers that `T` does not
    /// hold, [`Error::NotFinite`] for NaN and infinity, all naming the array.
    pub fn arrays<T: Scalar>(&self, shapes: &[Vec<usize>]) -> Result<Vec<ArrayD<T>>> {
        let (bytes, titles) = match &self.form {
            Form::Numpy(arrays) => return arrays.arrays(shapes),
            Form::Safetensors { bytes, titles } => (bytes, titles),
        };
        if titles.len() != shapes.len() {
            let what = format!("the number of arrays in {}", quoted(&self.name));
            return Err(Error::shape(what, titles.len(), shapes.len()));
        }
        let file = TensorFile::parse(bytes)?;
        titles.iter().zip(shapes).map(|(title, shape)| self.tensor(&file, title, shape)).collect()
    }

    /// The narrowest kind of numbers that holds all arrays, which are to have these shapes: complex if one of them is, of
    /// double precision if one of them is.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of arrays; [`Error::Format`] for types that are not read.
    pub fn kind(&self, shapes: &[Vec<usize>]) -> Result<Kind> {
        let (bytes, titles) = match &self.form {
            Form::Numpy(arrays) => return Ok(arrays.kind()),
            Form::Safetensors { bytes, titles } => (bytes, titles),
        };
        let file = TensorFile::parse(bytes)?;
        let mut kind = Kind::F32;
        for (title, shape) in titles.iter().zip(shapes) {
            kind = wider(kind, self.layout(&file, title, shape)?.1);
        }
        Ok(kind)
    }

    fn title(&self, title: &str) -> String {
        format!("{}#{}", quoted(&self.name), quoted(title))
    }

    /// The type of a tensor and the kind of its numbers.
    fn layout(&self, file: &TensorFile<'_>, title: &str, shape: &[usize]) -> Result<(Dtype, Kind)> {
        let (dtype, found) = file.about(title).unwrap_or((Dtype::F32, &[]));
        let pairs = found.len() == shape.len() + 1 && found.last() == Some(&2);
        if found != shape && !(pairs && found.starts_with(shape)) {
            return Err(Error::shape(self.title(title), found, shape));
        }
        let kind = match (dtype, pairs) {
            (Dtype::F32, false) => Kind::F32,
            (Dtype::F64, false) => Kind::F64,
            (Dtype::F32, true) | (Dtype::C64, false) => Kind::C32,
            (Dtype::F64, true) => Kind::C64,
            _ => {
                let what = format!("{}: type {dtype} is not read; store F32, F64 or C64", self.title(title));
                return Err(Error::Format { what });
            }
        };
        Ok((dtype, kind))
    }

    fn tensor<T: Scalar>(&self, file: &TensorFile<'_>, title: &str, shape: &[usize]) -> Result<ArrayD<T>> {
        let (dtype, kind) = self.layout(file, title, shape)?;
        let complex = matches!(kind, Kind::C32 | Kind::C64);
        if complex && !T::IS_COMPLEX {
            let what =
                format!("{}: complex numbers, which {} does not hold; choose c32 or c64", self.title(title), T::KIND);
            return Err(Error::Format { what });
        }
        let parts: Vec<f64> = if dtype == Dtype::F64 {
            let chunks = file.bytes(title).as_chunks::<8>().0;
            chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect()
        } else {
            let chunks = file.bytes(title).as_chunks::<4>().0;
            chunks.iter().map(|chunk| f64::from(f32::from_le_bytes(*chunk))).collect()
        };
        let elements: Vec<T> = if complex {
            parts.as_chunks::<2>().0.iter().map(|&[re, im]| T::from_parts(re, im)).collect()
        } else {
            parts.iter().map(|&re| T::from_parts(re, 0.0)).collect()
        };
        if let Some(at) = elements.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite { what: format!("entry {at} of {}, as {}", self.title(title), T::KIND) });
        }
        let found = elements.len();
        ArrayD::from_shape_vec(IxDyn(shape), elements).map_err(|_| Error::shape(self.title(title), found, shape))
    }
}
