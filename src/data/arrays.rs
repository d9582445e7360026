//! Numbered arrays of numbers in a file, real or complex: the tensors of a network.

use std::borrow::Cow;
use std::path::Path;

use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use super::npy::{HEADER, Header, header, real};
use super::table::{broken, contents, listed, too_long};
use super::zip::{Member, Refusal, members};
use crate::error::{Error, Result, quoted};
use crate::scalar::{Kind, Scalar};

/// An `.npz` archive with the arrays `0` to `n - 1`, or an `.npy` file with one array. What stands before the number in a
/// name does not matter, so `numpy.savez(file, *arrays)` makes such a file (`arr_0`, `arr_1`, ...).
///
/// Nothing is unpacked before it is asked for.
#[derive(Debug)]
pub struct NumberedArrays {
    name: String,
    bytes: Vec<u8>,
    kinds: Vec<Kind>,
}

impl NumberedArrays {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; as [`from_bytes`](Self::from_bytes).
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = contents(&name)?;
        Self::from_bytes(&name, bytes)
    }

    /// From the bytes of a file; `name` stands in errors.
    ///
    /// # Errors
    /// [`Error::Format`] if they are neither `.npz` nor `.npy`, or hold arrays of other things than numbers, or the
    /// numbers in their names are not 0, 1, 2, ...; [`Error::Empty`] for no arrays.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self> {
        let mut arrays = NumberedArrays { name: name.to_owned(), bytes, kinds: Vec::new() };
        let mut kinds = Vec::new();
        for (title, member) in arrays.in_order()? {
            let start = match &member {
                Some(member) => Cow::Owned(member.start(HEADER).map_err(|why| arrays.damaged(&why))?),
                None => Cow::Borrowed(arrays.bytes.as_slice()),
            };
            let header = header(&start).map_err(|why| broken(&array_name(name, &title), why))?;
            kinds.push(kind(&header));
        }
        arrays.kinds = kinds;
        Ok(arrays)
    }

    /// How many arrays there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there are none; never so for a file that was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The narrowest kind of numbers that holds all of them: complex if one array is, of double precision if one is that,
    /// or holds integers of more than two bytes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kinds.iter().copied().fold(Kind::F32, wider)
    }

    /// The arrays in the order of their numbers, which are to have these shapes.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of arrays or another shape, [`Error::Format`] for complex numbers where `T` is
    /// real and for files that are cut short or damaged, [`Error::NotFinite`] for NaN and infinity, all naming the array.
    pub fn arrays<T: Scalar>(&self, shapes: &[Vec<usize>]) -> Result<Vec<ArrayD<T>>> {
        if self.kinds.len() != shapes.len() {
            let what = format!("the number of arrays in {}", quoted(&self.name));
            return Err(Error::shape(what, self.kinds.len(), shapes.len()));
        }
        let mut arrays = Vec::with_capacity(shapes.len());
        for ((title, member), shape) in self.in_order()?.into_iter().zip(shapes) {
            let name = array_name(&self.name, &title);
            let unpacked;
            let bytes = match member {
                Some(member) => {
                    let start = member.start(HEADER).map_err(|why| self.damaged(&why))?;
                    shaped(&name, &start, shape)?;
                    // As much as the shape needs at 16 bytes an element, and no more.
                    let elements = shape.iter().fold(16u64, |p, &n| p.saturating_mul(n as u64));
                    let most = elements.saturating_add(HEADER);
                    unpacked = member.whole(most).map_err(|refusal| match refusal {
                        Refusal::TooLong => too_long(&name, most, "give arrays of the shapes of the network"),
                        Refusal::Damaged(why) => self.damaged(&why),
                    })?;
                    &unpacked
                }
                None => &self.bytes,
            };
            arrays.push(array(&name, bytes, shape)?);
        }
        Ok(arrays)
    }

    fn damaged(&self, why: &str) -> Error {
        broken(&self.name, format!("not a readable .npz archive ({}); write it again", quoted(why)))
    }

    /// Titles and members by number; no member for an array that stands alone.
    fn in_order(&self) -> Result<Vec<(String, Option<Member<'_>>)>> {
        if self.bytes.is_empty() {
            return Err(Error::Empty { what: format!("{}: the file", quoted(&self.name)) });
        }
        if self.bytes.starts_with(b"\x93NUMPY") {
            return Ok(vec![("0".into(), None)]);
        }
        if !self.bytes.starts_with(b"PK") {
            return Err(broken(&self.name, "neither .npz nor .npy; write it with numpy.savez(file, *arrays)"));
        }
        let mut found: Vec<(String, Option<Member<'_>>)> = Vec::new();
        for member in members(&self.bytes).map_err(|why| self.damaged(&why))? {
            let member = member.map_err(|why| self.damaged(&why))?;
            let title = member.name.strip_suffix(".npy").unwrap_or(&member.name).to_owned();
            found.push((title, Some(member)));
        }
        in_order(&self.name, found)
    }
}

/// Arrays in the order of the numbers that their titles end with, which are to be 0, 1, 2, ...
///
/// # Errors
/// [`Error::Format`] if they are not, [`Error::Empty`] for no arrays.
pub(crate) fn in_order<A>(file: &str, arrays: Vec<(String, A)>) -> Result<Vec<(String, A)>> {
    if arrays.is_empty() {
        return Err(Error::Empty { what: format!("{}: the list of its arrays", quoted(file)) });
    }
    let mut numbered = Vec::with_capacity(arrays.len());
    for (title, array) in arrays {
        let text = title.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let Ok(number) = title[text..].parse::<usize>() else {
            let what = format!("array '{}' has no number; name the arrays 0, 1, 2, ...", quoted(&title));
            return Err(broken(file, what));
        };
        numbered.push((number, title, array));
    }
    numbered.sort_by_key(|(number, ..)| *number);
    let count = numbered.len();
    if let Some((place, (_, title, _))) = numbered.iter().enumerate().find(|(place, (number, ..))| place != number) {
        let title = quoted(title);
        let what = format!("no array {place}, but '{title}'; the {count} arrays are to be numbered from 0");
        return Err(broken(file, what));
    }
    Ok(numbered.into_iter().map(|(_, title, array)| (title, array)).collect())
}

fn array_name(file: &str, title: &str) -> String {
    format!("{file}#{}", quoted(title))
}

/// The narrowest kind that holds what an array has.
fn kind(header: &Header) -> Kind {
    match (header.kind, header.width) {
        (b'c', 8) => Kind::C32,
        (b'c', _) => Kind::C64,
        (b'f', 4) | (_, 1 | 2) => Kind::F32,
        _ => Kind::F64,
    }
}

/// The narrowest kind that holds the numbers of both.
pub(crate) fn wider(a: Kind, b: Kind) -> Kind {
    let double = [a, b].iter().any(|kind| matches!(kind, Kind::F64 | Kind::C64));
    let complex = [a, b].iter().any(|kind| matches!(kind, Kind::C32 | Kind::C64));
    match (double, complex) {
        (false, false) => Kind::F32,
        (true, false) => Kind::F64,
        (false, true) => Kind::C32,
        (true, true) => Kind::C64,
    }
}

/// The header of an array that has the shape.
fn shaped(name: &str, bytes: &[u8], shape: &[usize]) -> Result<Header> {
    let h = header(bytes).map_err(|why| broken(name, why))?;
    if h.shape != shape {
        return Err(Error::shape(name, &h.shape, shape));
    }
    Ok(h)
}

fn array<T: Scalar>(name: &str, bytes: &[u8], shape: &[usize]) -> Result<ArrayD<T>> {
    let h = shaped(name, bytes, shape)?;
    if h.kind == b'c' && !T::IS_COMPLEX {
        return Err(broken(name, format!("complex numbers, which {} does not hold; choose c32 or c64", T::KIND)));
    }
    let data = &bytes[h.data..];
    if shape.iter().try_fold(h.width, |p: usize, &n| p.checked_mul(n)) != Some(data.len()) {
        let (width, found) = (h.width, data.len());
        let what = format!("{found} bytes for shape {} of {width}-byte values; write it again", listed(shape));
        return Err(broken(name, what));
    }
    let part = |chunk: &[u8]| real(chunk, if h.kind == b'c' { b'f' } else { h.kind }, h.big_endian);
    let element = |chunk: &[u8]| {
        let (re, im) = chunk.split_at(if h.kind == b'c' { h.width / 2 } else { h.width });
        T::from_parts(part(re), if im.is_empty() { 0.0 } else { part(im) })
    };
    let elements: Vec<T> = data.chunks_exact(h.width).map(element).collect();
    if let Some(at) = elements.iter().position(|x| !x.is_finite()) {
        return Err(Error::NotFinite { what: format!("entry {at} of {name}, as {}", T::KIND) });
    }
    ArrayD::from_shape_vec(IxDyn(shape).set_f(h.fortran), elements).map_err(|_| Error::shape(name, &h.shape, shape))
}
