//! Reading measurement records (`docs/tomography.md` has the formats).

mod archive;
mod channel;
mod json;
mod reader;
mod text;

use super::table::{contents, unpacked};
use super::text::lines;
use crate::error::{Error, Result, quoted};
use crate::tomography::Shots;

pub use channel::{process_shots_from_bytes, read_process_shots};
pub(super) use json::{complex, matrix};
use reader::{Columns, fields};

/// The version of the format of records that is written; it is read as well.
pub const SHOTS_VERSION: u64 = 1;
/// The records of one file: one, or several with names.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// Name and record, in order of first occurrence; a single record may have the name `""`.
    pub groups: Vec<(String, Shots)>,
}

impl Records {
    fn single(shots: Shots) -> Self {
        Records { groups: vec![(String::new(), shots)] }
    }

    /// The record of this name, or the only one.
    ///
    /// # Errors
    /// [`Error::Setting`] that lists the names, if there is no such record, or no name was given and there are several.
    pub fn choose(self, name: Option<&str>) -> Result<Shots> {
        let names: Vec<String> = self.groups.iter().take(20).map(|(n, _)| quoted(n)).collect();
        let single = self.groups.len() == 1;
        let found = self.groups.into_iter().find(|(n, _)| name.map_or(single, |name| n == name));
        found.map(|(_, shots)| shots).ok_or_else(|| {
            let expected = if single && names.iter().all(String::is_empty) {
                "the file has one record, without a name; leave #NAME out".to_owned()
            } else {
                format!("the file has {}; choose one by FILE#NAME", names.join(", "))
            };
            Error::setting("record", name.map_or_else(|| "not chosen".into(), quoted), expected)
        })
    }
}

/// Reads records from a file; `FILE#NAME` is one of several. `bases` is a second file with the settings, one a line, where
/// the first has outcomes alone.
///
/// # Errors
/// [`Error::Io`] if a file cannot be read; [`Error::Format`] or [`Error::Empty`], naming file and line, if it is not what it
/// should be.
pub fn read_shots(source: &str, bases: Option<&str>) -> Result<Records> {
    let (path, group) = match source.rsplit_once('#') {
        Some((path, group)) if !std::path::Path::new(source).exists() => (path, Some(group)),
        _ => (source, None),
    };
    let bytes = contents(path)?;
    let bases = bases.map(|path| Ok::<_, Error>((path, contents(path)?))).transpose()?;
    let records = shots_from_bytes(path, &bytes, bases.as_ref().map(|(name, bytes)| (*name, bytes.as_slice())))?;
    match group {
        None => Ok(records),
        Some(name) => Ok(Records { groups: vec![(name.to_owned(), records.choose(Some(name))?)] }),
    }
}

/// Reads records from bytes; `name` stands in errors. `bases` are the name and the bytes of a file of settings.
///
/// # Errors
/// As [`read_shots`].
pub fn shots_from_bytes(name: &str, bytes: &[u8], bases: Option<(&str, &[u8])>) -> Result<Records> {
    let bytes = unpacked(name, bytes)?;
    // Spreadsheets put a mark in front of text in UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if let Some((bases_name, bases)) = bases {
        return text::split_files(name, bytes, bases_name, &unpacked(bases_name, bases)?);
    }
    if bytes.starts_with(b"PK") {
        return archive::archive(name, bytes);
    }
    let first = lines(bytes).find(|(_, l)| !l.starts_with(b"#")).map(|(_, l)| l).unwrap_or_default();
    if first.starts_with(b"{") {
        json::json(name, bytes)
    } else if first.iter().any(|&b| b == b',' || b == b';') || tabular(first) {
        text::csv(name, bytes)
    } else if first.first().is_some_and(u8::is_ascii_alphabetic) {
        text::columns(name, bytes)
    } else {
        text::split_files(name, bytes, "", b"")
    }
}

/// Whether a line has names of columns parted by tabs.
fn tabular(line: &[u8]) -> bool {
    let named = |text| Columns::named(&fields(text));
    std::str::from_utf8(line)
        .is_ok_and(|t| t.contains('\t') && named(t).setting.is_some() && named(t).outcome.is_some())
}
