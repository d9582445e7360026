//! Writing measurement records.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use ndarray::{Array2, ArrayD, IxDyn};
use ndarray_npy::WriteNpyExt;
use num_complex::Complex64;
use serde_json::{Value, json};

use super::atomic::write_atomically;
use crate::data::SHOTS_VERSION;
use crate::error::{Error, Result, quoted};
use crate::tomography::{Measurement, ProcessShots, Shots};

/// Writes a record by the ending of the name: `.json`, `.npz`, `.txt` (setting, outcome and count parted by blanks), or `.csv`, which is
/// also what a name without an ending gets.
///
/// # Errors
/// [`Error::Setting`] for another ending;
/// [`Error::Format`] if the format cannot hold the record: text in columns has one letter a site, an archive sites of one
/// dimension; [`Error::Io`] if the file cannot be written, which is then left as it was.
pub fn write_shots(path: &Path, shots: &Shots) -> Result<()> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("json") => write_atomically(path, |out| json_to(out, shots)),
        Some("npz") => {
            let bytes = archive(shots)?;
            write_atomically(path, |out| out.write_all(&bytes))
        }
        Some("txt") => {
            let fits = |row| !(shots.setting_text(row).contains(' ') || shots.outcome_text(row).contains(' '));
            if !(custom(shots).is_empty() && shots.dims().iter().all(|&d| d == 2) && (0..shots.rows()).all(fits)) {
                let what = "text in columns has a letter and a digit for each qubit; write .csv or .json".to_owned();
                return Err(Error::Format { what });
            }
            write_atomically(path, |out| {
                (0..shots.rows()).try_for_each(|row| {
                    writeln!(out, "{} {} {}", shots.setting_text(row), shots.outcome_text(row), shots.counts()[row])
                })
            })
        }
        None | Some("csv") => write_atomically(path, |out| csv_to(out, shots)),
        Some(other) => Err(unknown(other)),
    }
}

fn unknown(ending: &str) -> Error {
    Error::setting("the ending of a file of records", format!(".{}", quoted(ending)), "give .csv, .json, .npz or .txt")
}

/// Writes a record of a channel: CSV with a column for the inputs, or by another ending of the name as [`write_shots`].
///
/// # Errors
/// As [`write_shots`].
pub fn write_process_shots(path: &Path, record: &ProcessShots) -> Result<()> {
    let shots = record.shots();
    match path.extension().and_then(|e| e.to_str()) {
        None | Some("csv") => {}
        Some("json" | "npz" | "txt") => return write_shots(path, shots),
        Some(other) => return Err(unknown(other)),
    }
    write_atomically(path, |out| {
        comments_to(out, shots)?;
        writeln!(out, "input,setting,outcome,count")?;
        let n = record.sites();
        for row in 0..shots.rows() {
            let names: Vec<String> =
                shots.setting(row).iter().map(|&m| shots.measurements()[m as usize].token()).collect();
            let outcome = shots.outcome(row);
            let inputs = names.iter().zip(outcome).take(n).map(|(name, o)| prepared(name, *o));
            let numbers = outcome[n..].iter().map(u8::to_string);
            let texts = [words(inputs), words(names[n..].iter().cloned()), words(numbers)];
            writeln!(out, "{},{}", texts.join(","), shots.counts()[row])?;
        }
        Ok(())
    })
}

/// Letters side by side, or words parted by blanks.
fn words(list: impl Iterator<Item = String>) -> String {
    let list: Vec<String> = list.collect();
    list.join(if list.iter().all(|w| w.chars().count() == 1) { "" } else { " " })
}

/// How the state of an element is written as an input.
fn prepared(name: &str, outcome: u8) -> String {
    match (name, outcome) {
        ("X", 0) => "+".into(),
        ("X", 1) => "-".into(),
        ("Y", 0) => "r".into(),
        ("Y", 1) => "l".into(),
        ("Z", level) => level.to_string(),
        (name, 0) if name.contains(':') => name.into(),
        (name, outcome) => format!("{name}/{outcome}"),
    }
}

/// Definitions of the measurements that have no letter of their own.
fn custom(shots: &Shots) -> BTreeMap<String, Value> {
    let pair = |x: &Complex64| json!([x.re, x.im]);
    let rows = |m: &Array2<Complex64>| -> Value {
        m.rows().into_iter().map(|r| r.iter().map(pair).collect::<Value>()).collect::<Value>()
    };
    let defined = shots.measurements().iter().filter_map(|m| match m {
        Measurement::Other(povm) => {
            Some((povm.name().to_owned(), json!({ "povm": povm.effects().iter().map(rows).collect::<Vec<_>>() })))
        }
        _ => None,
    });
    defined.collect()
}

fn comments_to(out: &mut dyn Write, shots: &Shots) -> io::Result<()> {
    writeln!(out, "# ansatz-shots {SHOTS_VERSION}")?;
    if shots.dims().iter().any(|&d| d != 2) {
        let dims: Vec<String> = shots.dims().iter().map(usize::to_string).collect();
        writeln!(out, "# dims {}", dims.join(" "))?;
    }
    for (name, definition) in custom(shots) {
        writeln!(out, "# measurement {name} {definition}")?;
    }
    Ok(())
}

fn csv_to(out: &mut dyn Write, shots: &Shots) -> io::Result<()> {
    comments_to(out, shots)?;
    writeln!(out, "setting,outcome,count")?;
    for row in 0..shots.rows() {
        writeln!(out, "{},{},{}", shots.setting_text(row), shots.outcome_text(row), shots.counts()[row])?;
    }
    Ok(())
}

fn json_to(out: &mut dyn Write, shots: &Shots) -> io::Result<()> {
    writeln!(out, "{{\"format\": \"ansatz-shots\", \"version\": {SHOTS_VERSION}, \"dims\": {},", json!(shots.dims()))?;
    let custom = custom(shots);
    if !custom.is_empty() {
        writeln!(out, " \"measurements\": {},", json!(custom))?;
    }
    writeln!(out, " \"records\": [")?;
    for row in 0..shots.rows() {
        let comma = if row + 1 < shots.rows() { "," } else { "" };
        writeln!(out, "  {}{comma}", json!([shots.setting_text(row), shots.outcome_text(row), shots.counts()[row]]))?;
    }
    writeln!(out, "]}}")
}

/// Arrays as [`crate::data::read_shots`] reads them.
fn archive(shots: &Shots) -> Result<Vec<u8>> {
    let (rows, sites) = (shots.rows(), shots.sites());
    let d = shots.dims()[0];
    if shots.dims().iter().any(|&e| e != d) {
        return Err(Error::Format {
            what: "an archive of arrays has sites of one dimension; write .csv or .json".into(),
        });
    }
    let failed = |e: String| Error::Format { what: format!("an array of the record: {e}") };
    let mut members: Vec<(&str, Vec<u8>)> = Vec::new();
    let npy = |array: &dyn Fn(&mut Vec<u8>) -> std::result::Result<(), ndarray_npy::WriteNpyError>| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        array(&mut bytes).map_err(|e| failed(e.to_string()))?;
        Ok(bytes)
    };
    members.push(("version", npy(&|b| ndarray::arr1(&[SHOTS_VERSION]).write_npy(b))?));
    let outcomes = Array2::from_shape_fn((rows, sites), |(r, s)| shots.outcome(r)[s]);
    members.push(("outcomes", npy(&|b| outcomes.write_npy(b))?));
    members.push(("counts", npy(&|b| ndarray::ArrayView1::from(shots.counts()).write_npy(b))?));
    let table = shots.measurements();
    let angles: Option<Vec<(f64, f64)>> = table
        .iter()
        .map(|m| match m {
            Measurement::Angles { theta, phi } => Some((*theta, *phi)),
            _ => None,
        })
        .collect();
    if let Some(angles) = angles {
        let of = |r: usize, s: usize| angles[shots.setting(r)[s] as usize];
        let array = ArrayD::from_shape_fn(IxDyn(&[rows, sites, 2]), |i| {
            let (theta, phi) = of(i[0], i[1]);
            if i[2] == 0 { theta } else { phi }
        });
        members.push(("angles", npy(&|b| array.write_npy(b))?));
        return Ok(zipped(&members));
    }
    let letter = |m: &Measurement| [Measurement::X, Measurement::Y, Measurement::Z].iter().position(|p| p == m);
    let paulis: Option<Vec<usize>> = if d == 2 { table.iter().map(letter).collect() } else { None };
    let number = |r: usize, s: usize| -> u32 {
        let m = shots.setting(r)[s];
        paulis.as_ref().map_or(m, |p| p[m as usize] as u32)
    };
    let settings = Array2::from_shape_fn((rows, sites), |(r, s)| number(r, s));
    members.push(("settings", npy(&|b| settings.write_npy(b))?));
    if paulis.is_none() {
        let most = table.iter().map(|m| m.outcomes(d)).max().unwrap_or(1);
        let effects = table.iter().map(|m| m.effects(d)).collect::<Result<Vec<_>>>()?;
        let array = ArrayD::from_shape_fn(IxDyn(&[table.len(), most, d, d]), |i| {
            effects[i[0]].get(i[1]).map_or_else(Complex64::default, |e| e[[i[2], i[3]]])
        });
        members.push(("effects", npy(&|b| array.write_npy(b))?));
    }
    Ok(zipped(&members))
}

/// Members, stored as they are, in a zip archive.
fn zipped(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let name = format!("{name}.npy");
        let mut checksum = flate2::Crc::new();
        checksum.update(bytes);
        let size = (bytes.len() as u32).to_le_bytes();
        // Version 2.0, no flags, stored, 1 January 1980.
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 33, 0][..], &checksum.sum().to_le_bytes(), &size, &size].concat();
        let length = (name.len() as u16).to_le_bytes();
        let at = (archive.len() as u32).to_le_bytes();
        archive.extend([b"PK\x03\x04", common.as_slice(), &length, &[0, 0], name.as_bytes(), bytes].concat());
        let rest = [&length[..], &[0; 12], &at, name.as_bytes()].concat();
        directory.extend([b"PK\x01\x02", &[20, 0][..], common.as_slice(), &rest].concat());
    }
    let count = (members.len() as u16).to_le_bytes();
    let (size, at) = ((directory.len() as u32).to_le_bytes(), (archive.len() as u32).to_le_bytes());
    archive.extend(directory);
    archive.extend([b"PK\x05\x06", &[0; 4][..], &count, &count, &size, &at, &[0, 0]].concat());
    archive
}
