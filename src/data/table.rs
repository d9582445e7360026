//! A data set as it was read, and how its format is found.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use super::{digits, fasta, idx, npy, text};
use crate::error::{Error, Place, Result};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// NumPy arrays: `.npy`, or the first array with samples in an `.npz` (`file.npz#name` for another).
    Npy,
    /// The IDX format of MNIST.
    Idx,
    /// Integers separated by commas, semicolons or white space, one sample a line; a first line of names is skipped.
    Csv,
    /// Strings of digits 0 and 1, one sample a line.
    Bits,
    /// Aligned protein sequences.
    Fasta,
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "npy" | "npz" => Ok(Format::Npy),
            "idx" => Ok(Format::Idx),
            "csv" => Ok(Format::Csv),
            "bits" => Ok(Format::Bits),
            "fasta" => Ok(Format::Fasta),
            _ => Err(Error::setting("format", name, "give npy, idx, csv, bits or fasta")),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Npy => "npy",
            Format::Idx => "idx",
            Format::Csv => "csv",
            Format::Bits => "bits",
            Format::Fasta => "fasta",
        })
    }
}

/// The values of a table, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// Integers that fit a symbol.
    Bytes(Vec<u8>),
    /// Anything else; finite.
    Reals(Vec<f64>),
}

/// A data set as it was read: `samples` rows of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) samples: usize,
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
    pub(super) alphabet: Option<String>,
}

impl Table {
    /// A table, if it has a sample and a site and as many values as its shape says.
    pub(super) fn new(name: &str, format: Format, samples: usize, shape: Vec<usize>, values: Values) -> Result<Self> {
        let sites = shape.iter().try_fold(1usize, |p, &n| p.checked_mul(n));
        let count = match &values {
            Values::Bytes(v) => v.len(),
            Values::Reals(v) => v.len(),
        };
        if count == 0 {
            let shape = listed(&shape);
            return Err(Error::Empty { what: format!("{name}: the data set ({samples} samples of shape {shape})") });
        }
        if sites.and_then(|s| s.checked_mul(samples)) != Some(count) {
            return Err(Error::shape(
                format!("{name}, in values"),
                count,
                format_args!("{samples} x {}", listed(&shape)),
            ));
        }
        Ok(Table { name: name.to_owned(), format, samples, shape, values, alphabet: None })
    }

    /// Where it came from.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The format it had.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The shape of one sample, such as `[28, 28]`; sites are counted through it in C order.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of sites of one sample.
    #[must_use]
    pub fn sites(&self) -> usize {
        self.shape.iter().product()
    }

    /// The letter each symbol stands for, where samples are sequences.
    #[must_use]
    pub fn alphabet(&self) -> Option<&str> {
        self.alphabet.as_deref()
    }
}

/// Unpacked bytes beyond which any compressed file is refused, and bytes of a pipe beyond which it is.
const DECODED: u64 = 4 << 30;
/// Unpacked bytes up to which none is.
const SMALL: u64 = 64 << 20;
/// In between, how many times its size a file may unpack to. Deflate can do a thousand, real data hardly a hundred.
const RATIO: u64 = 256;

/// What a file of so many bytes may unpack to.
fn allowance(size: usize) -> u64 {
    (size as u64).saturating_mul(RATIO).clamp(SMALL, DECODED)
}

/// Reads a data set: a file, or the digits that come with the crate as `digits`, `digits:train` or `digits:test`.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Format`], [`Error::Empty`] or [`Error::Shape`], naming file and
/// row, if it is not what it should be.
pub fn read(source: &str, format: Option<Format>) -> Result<Table> {
    if let Some(table) = digits::table(source)? {
        return Ok(table);
    }
    let (path, member) = match source.rsplit_once('#') {
        Some((path, member)) if !Path::new(source).exists() => (path, Some(member)),
        _ => (source, None),
    };
    parse(path, &contents(path)?, format, member)
}

/// The bytes of a file or a pipe.
pub(super) fn contents(path: &str) -> Result<Vec<u8>> {
    let failed = |source| Error::Io { path: path.into(), action: "read", source };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if endless(about.file_type()) {
        return Err(broken(path, "a device, not a file; give a file or a pipe"));
    }
    let (mut bytes, most) = (Vec::new(), if about.is_file() { u64::MAX } else { DECODED });
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(too_long(path, most, "give a file"));
    }
    Ok(bytes)
}

/// Whether reading may never come to an end.
#[cfg(unix)]
fn endless(kind: std::fs::FileType) -> bool {
    use std::os::unix::fs::FileTypeExt;
    kind.is_char_device() || kind.is_block_device()
}

#[cfg(not(unix))]
fn endless(_: std::fs::FileType) -> bool {
    false
}

/// Reads a data set from bytes; `name` tells the format where `format` does not, and stands in errors.
///
/// # Errors
/// As [`read`].
pub fn parse_bytes(name: &str, bytes: &[u8], format: Option<Format>) -> Result<Table> {
    parse(name, bytes, format, None)
}

fn parse(name: &str, bytes: &[u8], format: Option<Format>, member: Option<&str>) -> Result<Table> {
    if bytes.is_empty() {
        return Err(Error::Empty { what: format!("{name}: the file") });
    }
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let most = allowance(bytes.len());
    let decoded;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        decoded = gunzip(name, bytes, most)?;
        &decoded
    } else if plain.len() < name.len() {
        return Err(Error::Format {
            what: format!("{name}: not gzip data although the name says so; rename or recompress it"),
        });
    } else {
        bytes
    };
    if bytes.is_empty() {
        return Err(Error::Empty { what: format!("{name}: the file") });
    }
    let format = match format {
        Some(format) => format,
        None => guess(plain, bytes),
    };
    if let Some(member) = member
        && !(format == Format::Npy && bytes.starts_with(b"PK"))
    {
        return Err(broken(
            name,
            format!("not an .npz archive, which '#{member}' chooses an array of; leave that away"),
        ));
    }
    match format {
        Format::Npy => npy::parse(name, bytes, member, most),
        Format::Idx => idx::parse(name, bytes),
        Format::Csv => text::csv(name, bytes),
        Format::Bits => text::bits(name, bytes),
        Format::Fasta => fasta::parse(name, bytes),
    }
}

/// The bytes as they are, or without the gzip about them.
pub(super) fn unpacked<'a>(name: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        Cow::Owned(gunzip(name, bytes, allowance(bytes.len()))?)
    } else {
        Cow::Borrowed(bytes)
    };
    if bytes.is_empty() { Err(Error::Empty { what: format!("{name}: the file") }) } else { Ok(bytes) }
}

fn gunzip(name: &str, bytes: &[u8], most: u64) -> Result<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut reader = flate2::bufread::MultiGzDecoder::new(bytes).take(most + 1);
    reader.read_to_end(&mut decoded).map_err(|e| Error::Format {
        what: format!("{name}: broken gzip data ({e}); the file is truncated or damaged, fetch it again"),
    })?;
    if decoded.len() as u64 > most {
        return Err(too_long(name, most, "decompress it by hand if it is what it should be"));
    }
    Ok(decoded)
}

/// That a file gives more bytes than `most`.
pub(super) fn too_long(name: &str, most: u64, way_out: &str) -> Error {
    let what = format!("{name}, unpacked as far as that,");
    Error::Memory { what, needed: most + 1, ceiling: most, way_out: way_out.into() }
}

fn guess(name: &str, bytes: &[u8]) -> Format {
    let lower = name.to_ascii_lowercase();
    if bytes.starts_with(b"\x93NUMPY") || bytes.starts_with(b"PK\x03\x04") {
        return Format::Npy;
    }
    if bytes.len() >= 4 && bytes[..2] == [0, 0] && (8..=14).contains(&bytes[2]) && (1..=8).contains(&bytes[3]) {
        return Format::Idx;
    }
    for (ending, format) in [
        (".npy", Format::Npy),
        (".npz", Format::Npy),
        ("-ubyte", Format::Idx),
        (".idx", Format::Idx),
        (".csv", Format::Csv),
        (".tsv", Format::Csv),
        (".bits", Format::Bits),
        (".fasta", Format::Fasta),
        (".fa", Format::Fasta),
        (".afa", Format::Fasta),
    ] {
        if lower.ends_with(ending) {
            return format;
        }
    }
    if bytes.starts_with(b">") {
        return Format::Fasta;
    }
    // A first line of nothing but zeros and ones, unseparated, is a string of bits.
    let first = bytes.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).find(|l| !l.is_empty()).unwrap_or(&[]);
    let run = first.split(|&b| b == b' ').map(<[u8]>::len).max().unwrap_or(0);
    if run > 1 && first.iter().all(|b| matches!(b, b'0' | b'1' | b' ')) { Format::Bits } else { Format::Csv }
}

/// A shape for an error, in one short line.
pub(super) fn listed(shape: &[usize]) -> String {
    let more = if shape.len() > 8 { ", .." } else { "" };
    let shown: Vec<String> = shape.iter().take(8).map(usize::to_string).collect();
    format!("[{}{more}]", shown.join(", "))
}

/// An error at a line of text, counted from 1.
pub(super) fn at_line(name: &str, line: usize, what: impl fmt::Display) -> Error {
    Error::Format { what: format!("{name}, line {line}: {what}") }
}

/// An error of the file as a whole.
pub(super) fn broken(name: &str, what: impl fmt::Display) -> Error {
    Error::Format { what: format!("{what}") }.at(Place::File(name.into()))
}
