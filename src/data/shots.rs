//! Reading measurement records (`docs/tomography.md` has the formats).

use std::collections::BTreeMap;

use ndarray::Array2;
use num_complex::Complex64;
use serde_json::Value;

use super::table::{at_line, broken, contents, unpacked};
use super::text::lines;
use super::{npy, zip};
use crate::error::{Error, Result, quoted};
use crate::tomography::{Collector, MAX_SITES, Measurement, Shots};

/// The version of the format of records that is written; it is read as well.
pub const SHOTS_VERSION: u64 = 1;
/// Distinct groups of one file.
const MOST_GROUPS: usize = 1 << 16;

/// The records of one file: one, or several with names.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// Name and record, in order of first occurrence; a single record may have the name `""`.
    pub groups: Vec<(String, Shots)>,
}

impl Records {
    /// The record of this name, or the only one.
    ///
    /// # Errors
    /// [`Error::Setting`] that lists the names, if there is no such record, or no name was given and there are several.
    pub fn choose(self, name: Option<&str>) -> Result<Shots> {
        let names: Vec<String> = self.groups.iter().take(20).map(|(n, _)| quoted(n)).collect();
        let single = self.groups.len() == 1;
        let found = self.groups.into_iter().find(|(n, _)| name.map_or(single, |name| n == name));
        found.map(|(_, shots)| shots).ok_or_else(|| {
            let expected = format!("the file has {}; choose one by FILE#NAME", names.join(", "));
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
    if let Some((bases_name, bases)) = bases {
        return split_files(name, &bytes, bases_name, &unpacked(bases_name, bases)?);
    }
    if bytes.starts_with(b"PK") {
        return archive(name, &bytes);
    }
    let first = lines(&bytes).find(|(_, l)| !l.starts_with(b"#")).map(|(_, l)| l).unwrap_or_default();
    if first.starts_with(b"{") {
        json(name, &bytes)
    } else if first.iter().any(|&b| b == b',' || b == b';') {
        csv(name, &bytes)
    } else if first.first().is_some_and(u8::is_ascii_alphabetic) {
        columns(name, &bytes)
    } else {
        split_files(name, &bytes, "", b"")
    }
}

/// Rows as they come in, one record.
pub(super) struct Reader {
    defined: BTreeMap<String, Measurement>,
    dims: Option<Vec<usize>>,
    collector: Option<Collector>,
    setting: Vec<u32>,
    outcome: Vec<u8>,
    /// The setting read last and how it was written: rows of one setting often follow each other.
    last: String,
}

impl Reader {
    pub(super) fn new() -> Self {
        Reader {
            defined: BTreeMap::new(),
            dims: None,
            collector: None,
            setting: Vec::new(),
            outcome: Vec::new(),
            last: String::new(),
        }
    }

    /// A reader with the same definitions and no rows.
    fn beside(&self) -> Self {
        Reader { defined: self.defined.clone(), dims: self.dims.clone(), ..Reader::new() }
    }

    fn define(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let measurement = measurement(name, value)?;
        if self.defined.insert(name.to_owned(), measurement).is_some() {
            return Err(format!("measurement '{}' is defined twice", quoted(name)));
        }
        Ok(())
    }

    fn named(&self, token: &str, site: usize) -> Result<Measurement, String> {
        self.defined.get(token).cloned().or_else(|| Measurement::named(token)).ok_or_else(|| {
            let more: Vec<String> = self.defined.keys().take(8).map(|k| quoted(k)).collect();
            let more = if more.is_empty() { String::new() } else { format!(", {}", more.join(", ")) };
            format!("site {site}: '{}' is no measurement; there are I, X, Y, Z, S (SIC), P (Pauli-6), T (trine), angles as theta:phi{more}", quoted(token))
        })
    }

    pub(super) fn row(&mut self, setting: &str, outcome: &str, count: u64) -> Result<(), String> {
        let fresh = self.last != setting || self.collector.is_none();
        if fresh {
            let tokens: Vec<&str> = if setting.contains(char::is_whitespace) {
                setting.split_whitespace().collect()
            } else if setting.contains(':') || self.defined.contains_key(setting) {
                vec![setting]
            } else {
                setting.char_indices().map(|(at, c)| &setting[at..at + c.len_utf8()]).collect()
            };
            if tokens.is_empty() {
                return Err("the setting is empty; give a letter a site".into());
            }
            if tokens.len() > MAX_SITES {
                return Err(format!("{} sites; at most {MAX_SITES}", tokens.len()));
            }
            let measurements =
                tokens.iter().enumerate().map(|(site, t)| self.named(t, site)).collect::<Result<Vec<_>, _>>()?;
            if self.collector.is_none() {
                let dims = match &self.dims {
                    Some(dims) => dims.clone(),
                    None => measurements.iter().map(|m| m.levels().unwrap_or(2)).collect(),
                };
                self.collector = Some(Collector::new(&dims).map_err(|e| e.to_string())?);
            }
            let Some(collector) = &mut self.collector else { return Err("no record".into()) };
            self.setting.clear();
            for m in &measurements {
                self.setting.push(collector.measurement(m).map_err(|e| e.to_string())?);
            }
            self.last.clear();
            self.last.push_str(setting);
        }
        self.outcome.clear();
        if outcome.contains(char::is_whitespace) {
            for token in outcome.split_whitespace() {
                self.outcome.push(
                    token
                        .parse()
                        .map_err(|_| format!("'{}' is no outcome; give a whole number from 0", quoted(token)))?,
                );
            }
        } else {
            for c in outcome.chars() {
                self.outcome.push(match c {
                    '0'..='9' => c as u8 - b'0',
                    '+' => 0,
                    '-' => 1,
                    _ => {
                        return Err(format!(
                            "'{}' is no outcome; give a digit a site, or numbers parted by blanks",
                            quoted(&c.to_string())
                        ));
                    }
                });
            }
        }
        let Some(collector) = &mut self.collector else { return Err("no record".into()) };
        if self.setting.len() != self.outcome.len() {
            let (s, o) = (self.setting.len(), self.outcome.len());
            return Err(format!(
                "setting '{}' has {s} sites, outcome '{}' has {o}; give one outcome a site",
                quoted(setting),
                quoted(outcome)
            ));
        }
        collector.push(&self.setting, &self.outcome, count).map_err(|e| e.to_string())
    }

    pub(super) fn finish(self, name: &str) -> Result<Shots> {
        let empty = || Error::Empty { what: format!("{name}: the measurement record (no shots in it)") };
        self.collector.ok_or_else(empty)?.finish().map_err(|_| empty())
    }
}

/// A whole number of shots.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let text = text.trim().trim_matches('"');
    if let Ok(n) = text.parse::<u64>() {
        return Ok(n);
    }
    match text.parse::<f64>() {
        Ok(x) if x >= 0.0 && x.fract() == 0.0 && x < 9e15 => Ok(x as u64),
        Ok(_) => {
            Err(format!("count {} is negative or no whole number; give how often the outcome was seen", quoted(text)))
        }
        Err(_) => Err(format!("'{}' is no count; give how often the outcome was seen", quoted(text))),
    }
}

pub(super) fn utf8<'a>(name: &str, line: usize, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| at_line(name, line, "no text (UTF-8)"))
}

/// `# dims 2 3` and `# measurement NAME {...}`; any other comment says nothing.
pub(super) fn comment(reader: &mut Reader, text: &str) -> Result<(), String> {
    let text = text.trim_start_matches('#').trim();
    if let Some(version) = text.strip_prefix("ansatz-shots") {
        let version = version.trim();
        if version.parse::<u64>() != Ok(SHOTS_VERSION) {
            return Err(format!(
                "version '{}' of the records; version {SHOTS_VERSION} is read: use a newer ansatz",
                quoted(version)
            ));
        }
    } else if let Some(list) = text.strip_prefix("dims ") {
        let dims =
            list.split_whitespace().map(|d| d.parse().map_err(|_| format!("'{}' is no number of levels", quoted(d))));
        reader.dims = Some(dims.collect::<Result<Vec<usize>, String>>()?);
    } else if let Some(rest) = text.strip_prefix("measurement ") {
        let (name, body) = rest.trim().split_once(char::is_whitespace).ok_or("a measurement without a definition")?;
        let value = serde_json::from_str(body)
            .map_err(|e| format!("measurement '{}': {}", quoted(name), quoted(&e.to_string())))?;
        reader.define(name, &value)?;
    }
    Ok(())
}

pub(super) fn fields(text: &str) -> Vec<&str> {
    let mark = if text.contains(',') { ',' } else { ';' };
    text.split(mark).map(|f| f.trim().trim_matches('"').trim()).collect()
}

/// Where the setting, the outcome, the count and what names the record stand, and how many columns there are.
type Columns = (usize, usize, Option<usize>, Vec<usize>, usize);

/// Columns by name (setting, outcome, count; all others name the record), or in this order where there is no header.
fn csv(name: &str, bytes: &[u8]) -> Result<Records> {
    let mut first = Reader::new();
    let mut places: Option<Columns> = None;
    let mut groups: Vec<(String, Reader)> = Vec::new();
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for (line, text) in lines(bytes) {
        let text = utf8(name, line, text)?;
        let fault = |what: String| at_line(name, line, what);
        if text.starts_with('#') {
            comment(&mut first, text).map_err(fault)?;
            continue;
        }
        let fields = fields(text);
        let Some((s, o, c, others, width)) = &places else {
            let lower: Vec<String> = fields.iter().map(|f| f.to_ascii_lowercase()).collect();
            let find = |names: &[&str]| lower.iter().position(|f| names.contains(&f.as_str()));
            let s = find(&["setting", "settings", "basis", "bases"]);
            let o = find(&["outcome", "outcomes", "result", "bits", "bitstring"]);
            let c = find(&["count", "counts", "shots"]);
            if let (Some(s), Some(o)) = (s, o) {
                let others = (0..fields.len()).filter(|&i| i != s && i != o && Some(i) != c).collect();
                places = Some((s, o, c, others, fields.len()));
                continue;
            }
            if !(2..=3).contains(&fields.len()) {
                return Err(fault(format!(
                    "{} columns without names; give a header with setting, outcome, count",
                    fields.len()
                )));
            }
            places = Some((0, 1, (fields.len() == 3).then_some(2), Vec::new(), fields.len()));
            // This line is a row already.
            groups.push((String::new(), first.beside()));
            numbers.insert(String::new(), 0);
            let n = fields.get(2).map_or(Ok(1), |t| count(t)).map_err(fault)?;
            groups[0].1.row(fields[0], fields[1], n).map_err(fault)?;
            continue;
        };
        if fields.len() != *width {
            return Err(fault(format!("{} columns where the first line has {width}", fields.len())));
        }
        let group = others.iter().map(|&i| fields[i]).collect::<Vec<_>>().join("/");
        let at = match numbers.get(&group) {
            Some(&at) => at,
            None => {
                if groups.len() == MOST_GROUPS {
                    return Err(fault(format!(
                        "more than {MOST_GROUPS} records in one file; name the columns setting, outcome, count"
                    )));
                }
                numbers.insert(group.clone(), groups.len());
                groups.push((group, first.beside()));
                groups.len() - 1
            }
        };
        let n = c.map_or(Ok(1), |c| count(fields[c])).map_err(fault)?;
        groups[at].1.row(fields[*s], fields[*o], n).map_err(fault)?;
    }
    if groups.is_empty() {
        return Err(Error::Empty { what: format!("{name}: the measurement record (no shots in it)") });
    }
    let groups = groups.into_iter().map(|(group, reader)| Ok((group, reader.finish(name)?)));
    Ok(Records { groups: groups.collect::<Result<_>>()? })
}

/// `YXXY 1010`, with a count behind it or not.
fn columns(name: &str, bytes: &[u8]) -> Result<Records> {
    let mut reader = Reader::new();
    for (line, text) in lines(bytes) {
        let text = utf8(name, line, text)?;
        let fault = |what: String| at_line(name, line, what);
        if text.starts_with('#') {
            comment(&mut reader, text).map_err(fault)?;
            continue;
        }
        let mut words = text.split_whitespace();
        let (Some(setting), Some(outcome), n, None) = (words.next(), words.next(), words.next(), words.next()) else {
            return Err(fault("expected a setting and an outcome, as 'XYZ 010', and a count or none".into()));
        };
        let n = n.map_or(Ok(1), count).map_err(fault)?;
        reader.row(setting, outcome, n).map_err(fault)?;
    }
    Ok(Records { groups: vec![(String::new(), reader.finish(name)?)] })
}

/// Outcomes in one file and settings in another, line by line; without settings all are Z.
fn split_files(name: &str, outcomes: &[u8], bases_name: &str, bases: &[u8]) -> Result<Records> {
    let mut reader = Reader::new();
    let mut settings = lines(bases);
    // Letters side by side are one word, letters parted by blanks as many.
    let joined = |text: &str| -> String { text.split_whitespace().collect::<Vec<_>>().join(" ") };
    for (line, text) in lines(outcomes) {
        let outcome = joined(utf8(name, line, text)?);
        if let Some(bad) = outcome.chars().find(|c| !(c.is_ascii_digit() || *c == ' ')) {
            return Err(at_line(
                name,
                line,
                format!("'{}' is no outcome; give digits, one a site", quoted(&bad.to_string())),
            ));
        }
        let setting = if bases_name.is_empty() {
            let sites = if outcome.contains(' ') { outcome.split(' ').count() } else { outcome.len() };
            "Z".repeat(sites)
        } else {
            let Some((at, text)) = settings.next() else {
                return Err(at_line(
                    name,
                    line,
                    format!("{bases_name} has no setting for it; give as many lines in both"),
                ));
            };
            joined(utf8(bases_name, at, text)?)
        };
        reader.row(&setting, &outcome, 1).map_err(|what| at_line(name, line, what))?;
    }
    if let Some((at, _)) = settings.next() {
        return Err(at_line(bases_name, at, format!("{name} has no outcome for it; give as many lines in both")));
    }
    Ok(Records { groups: vec![(String::new(), reader.finish(name)?)] })
}

/// `{"format": "ansatz-shots", "version": 1, "dims": [..], "measurements": {..}, "records": [[setting, outcome, count], ..]}`
fn json(name: &str, bytes: &[u8]) -> Result<Records> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|e| broken(name, format!("not JSON: {}", quoted(&e.to_string()))))?;
    let fault = |what: String| broken(name, what);
    if let Some(format) = value.get("format")
        && format != "ansatz-shots"
    {
        return Err(fault(format!("format {}, where \"ansatz-shots\" is read", quoted(&format.to_string()))));
    }
    if let Some(version) = value.get("version")
        && version.as_u64() != Some(SHOTS_VERSION)
    {
        return Err(fault(format!(
            "version {}, where {SHOTS_VERSION} is read; use a newer ansatz",
            quoted(&version.to_string())
        )));
    }
    let mut reader = Reader::new();
    if let Some(dims) = value.get("dims") {
        let dims =
            dims.as_array().and_then(|l| l.iter().map(|d| d.as_u64().map(|d| d as usize)).collect::<Option<Vec<_>>>());
        reader.dims = Some(dims.ok_or_else(|| fault("dims: expected a list of whole numbers".into()))?);
    }
    if let Some(definitions) = value.get("measurements") {
        let list = definitions
            .as_object()
            .ok_or_else(|| fault("measurements: expected an object of definitions by name".into()))?;
        for (key, definition) in list {
            reader.define(key, definition).map_err(fault)?;
        }
    }
    let records = value.get("records").and_then(Value::as_array);
    let records = records.ok_or_else(|| fault("no list \"records\" of [setting, outcome, count]".into()))?;
    for (i, record) in records.iter().enumerate() {
        let fault = |what: String| broken(name, format!("record {i}: {what}"));
        let parts = record.as_array().filter(|p| (2..=3).contains(&p.len()));
        let parts = parts.ok_or_else(|| fault("expected [setting, outcome, count]".into()))?;
        let words = |value: &Value| -> Option<String> {
            match value {
                Value::String(text) => Some(text.clone()),
                Value::Array(list) => {
                    let words = list
                        .iter()
                        .map(|v| v.as_str().map(str::to_owned).or_else(|| v.as_u64().map(|n| n.to_string())));
                    words.collect::<Option<Vec<_>>>().map(|w| w.join(" "))
                }
                _ => None,
            }
        };
        let setting = words(&parts[0]).ok_or_else(|| fault("the setting is no text".into()))?;
        let outcome = words(&parts[1]).ok_or_else(|| fault("the outcome is no text".into()))?;
        let n = parts.get(2).map_or(Ok(1), |n| count(&n.to_string())).map_err(fault)?;
        reader.row(&setting, &outcome, n).map_err(fault)?;
    }
    Ok(Records { groups: vec![(String::new(), reader.finish(name)?)] })
}

/// `{"basis": rows}`, `{"povm": [matrix, ..]}` or `{"angles": [theta, phi]}`; a complex number is `[re, im]` or a number.
fn measurement(name: &str, value: &Value) -> Result<Measurement, String> {
    let fault = |what: &str| format!("measurement '{}': {what}", quoted(name));
    let read = if let Some(rows) = value.get("basis") {
        let m = matrix(rows).ok_or_else(|| fault("expected rows of complex numbers, [re, im] each"))?;
        if m.nrows() != m.ncols() {
            return Err(fault("the matrix of a basis is square"));
        }
        Measurement::basis(name, &m)
    } else if let Some(list) = value.get("povm").and_then(Value::as_array) {
        let effects = list.iter().map(matrix).collect::<Option<Vec<_>>>();
        Measurement::povm(name, effects.ok_or_else(|| fault("expected matrices of complex numbers, [re, im] each"))?)
    } else if let Some([theta, phi]) = value.get("angles").and_then(Value::as_array).map(Vec::as_slice) {
        let (Some(theta), Some(phi)) = (theta.as_f64(), phi.as_f64()) else {
            return Err(fault("angles are two numbers"));
        };
        let (half, turn) = (theta / 2.0, Complex64::from_polar(1.0, -phi));
        let one = |x: f64| Complex64::new(x, 0.0);
        let rows = ndarray::array![[one(half.cos()), turn * half.sin()], [one(half.sin()), -turn * half.cos()]];
        Measurement::basis(name, &rows)
    } else {
        return Err(fault("expected {\"basis\": rows}, {\"povm\": matrices} or {\"angles\": [theta, phi]}"));
    };
    read.map_err(|e| e.to_string())
}

pub(super) fn complex(value: &Value) -> Option<Complex64> {
    match value {
        Value::Number(x) => Some(Complex64::new(x.as_f64()?, 0.0)),
        Value::Array(pair) if pair.len() == 2 => Some(Complex64::new(pair[0].as_f64()?, pair[1].as_f64()?)),
        _ => None,
    }
}

/// Rows of complex numbers, all as long.
pub(super) fn matrix(value: &Value) -> Option<Array2<Complex64>> {
    let rows = value.as_array()?;
    let mut entries = Vec::new();
    let mut width = None;
    for row in rows {
        let row = row.as_array()?;
        if *width.get_or_insert(row.len()) != row.len() {
            return None;
        }
        for x in row {
            entries.push(complex(x)?);
        }
    }
    Array2::from_shape_vec((rows.len(), width?), entries).ok()
}

/// `outcomes` `[rows, sites]`; `settings` `[rows, sites]`, numbers of measurements, or `angles` `[rows, sites, 2]`, or all Z; `counts`
/// `[rows]`; `effects` `[measurements, outcomes, d, d]`, without which settings 0, 1, 2 are X, Y, Z.
fn archive(name: &str, bytes: &[u8]) -> Result<Records> {
    let damaged = |why: String| broken(name, format!("not a readable .npz archive ({}); fetch it again", quoted(&why)));
    let mut arrays: BTreeMap<String, (Vec<usize>, Vec<Complex64>)> = BTreeMap::new();
    for member in zip::members(bytes).map_err(damaged)? {
        let member = member.map_err(damaged)?;
        let title = member.name.strip_suffix(".npy").unwrap_or(&member.name).to_owned();
        if !["settings", "outcomes", "counts", "angles", "effects", "version"].contains(&title.as_str())
            || arrays.contains_key(&title)
        {
            continue;
        }
        let data = member.whole(64 * bytes.len() as u64 + (1 << 20)).map_err(|refusal| match refusal {
            zip::Refusal::TooLong => {
                broken(name, format!("array '{}' unpacks to more than 64 times the file", quoted(&title)))
            }
            zip::Refusal::Damaged(why) => damaged(why),
        })?;
        arrays.insert(title.clone(), npy::numbers(&format!("{name}#{title}"), &data)?);
    }
    let fault = |what: String| broken(name, what);
    if let Some((_, version)) = arrays.get("version")
        && version.first().map(|v| v.re) != Some(SHOTS_VERSION as f64)
    {
        return Err(fault(format!("another version than {SHOTS_VERSION}; use a newer ansatz")));
    }
    let whole = |title: &str, x: Complex64, most: f64| -> Result<f64> {
        if x.im == 0.0 && x.re >= 0.0 && x.re.fract() == 0.0 && x.re <= most {
            return Ok(x.re);
        }
        Err(broken(name, format!("array '{title}': {} is no whole number from 0 to {most}", x.re)))
    };
    let Some(([rows, sites], outcomes)) = arrays.get("outcomes").map(|(s, v)| (s.as_slice(), v)) else {
        return Err(fault("no array 'outcomes' of shape [rows, sites]".into()));
    };
    let (rows, sites) = (*rows, *sites);
    if sites == 0 || sites > MAX_SITES {
        return Err(fault(format!("array 'outcomes' has {sites} sites; 1 to {MAX_SITES} are read")));
    }
    let mut table: Vec<Measurement> = vec![Measurement::X, Measurement::Y, Measurement::Z];
    let mut levels = 2;
    if let Some((shape, values)) = arrays.get("effects") {
        let &[count, several, d, e] = shape.as_slice() else {
            return Err(fault("array 'effects': expected shape [measurements, outcomes, d, d]".into()));
        };
        if d != e || !(1..=1 << 20).contains(&count) || several == 0 || !(1..=256).contains(&d) {
            return Err(fault("array 'effects': expected shape [measurements, outcomes, d, d]".into()));
        }
        levels = d;
        table.clear();
        for (m, elements) in values.chunks_exact(several * d * d).enumerate() {
            let effects = elements.chunks_exact(d * d).map(|e| Array2::from_shape_fn((d, d), |(i, j)| e[i * d + j]));
            // Fewer outcomes than others have: the rest of the array is zero.
            let mut effects: Vec<Array2<Complex64>> = effects.collect();
            while effects.last().is_some_and(|e| e.iter().all(|x| *x == Complex64::default())) {
                effects.pop();
            }
            table.push(Measurement::povm(&format!("M{m}"), effects).map_err(|e| fault(e.to_string()))?);
        }
    }
    let fits = |title: &str, shape: &[usize]| -> Result<Option<&Vec<Complex64>>> {
        match arrays.get(title) {
            None => Ok(None),
            Some((found, values)) if found == shape => Ok(Some(values)),
            Some((found, _)) => Err(broken(name, format!("array '{title}' has shape {found:?}, expected {shape:?}"))),
        }
    };
    let settings = fits("settings", &[rows, sites])?;
    let angles = fits("angles", &[rows, sites, 2])?;
    let counts = fits("counts", &[rows])?;
    let mut collector = Collector::new(&vec![levels; sites]).map_err(|e| fault(e.to_string()))?;
    let (mut setting, mut outcome) = (Vec::new(), Vec::new());
    for row in 0..rows {
        setting.clear();
        outcome.clear();
        for site in 0..sites {
            let at = row * sites + site;
            let m = match (settings, angles) {
                (Some(settings), _) => {
                    let m = whole("settings", settings[at], table.len().saturating_sub(1) as f64)? as usize;
                    table[m].clone()
                }
                (None, Some(angles)) => Measurement::Angles { theta: angles[2 * at].re, phi: angles[2 * at + 1].re },
                (None, None) => Measurement::Z,
            };
            setting.push(collector.measurement(&m).map_err(|e| fault(format!("row {row}: {e}")))?);
            outcome.push(whole("outcomes", outcomes[at], 255.0)? as u8);
        }
        let n = counts.map_or(Ok(1.0), |c| whole("counts", c[row], 9e15))?;
        collector.push(&setting, &outcome, n as u64).map_err(|e| fault(format!("row {row}: {e}")))?;
    }
    let shots = collector
        .finish()
        .map_err(|_| Error::Empty { what: format!("{name}: the measurement record (no shots in it)") })?;
    Ok(Records { groups: vec![(String::new(), shots)] })
}
