//! Rows of records as they are read, whatever the format.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::table::at_line;
use super::super::text::lines;
use super::SHOTS_VERSION;
use super::json::measurement;
use crate::error::{Error, Result, quoted};
use crate::tomography::{Collector, MAX_SITES, Measurement, Shots};

/// Rows as they come in, one record.
pub(super) struct Reader {
    defined: BTreeMap<String, Measurement>,
    pub(super) dims: Option<Vec<usize>>,
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
    pub(super) fn beside(&self) -> Self {
        Reader { defined: self.defined.clone(), dims: self.dims.clone(), ..Reader::new() }
    }

    pub(super) fn define(&mut self, name: &str, value: &Value) -> Result<(), String> {
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
fn comment(reader: &mut Reader, text: &str) -> Result<(), String> {
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
    let mark = [',', ';'].into_iter().find(|&mark| text.contains(mark)).unwrap_or('\t');
    text.split(mark).map(|f| f.trim().trim_matches('"').trim()).collect()
}

/// Goes through the lines of a text: `reader` takes comments that mean something, `row` is told of all other lines. A fault gets its line.
pub(super) fn each_line(
    name: &str,
    bytes: &[u8],
    reader: &mut Reader,
    mut row: impl FnMut(&mut Reader, &str) -> Result<(), String>,
) -> Result<()> {
    for (line, text) in lines(bytes) {
        let text = utf8(name, line, text)?;
        let told = if text.starts_with('#') { comment(reader, text) } else { row(reader, text) };
        told.map_err(|what| at_line(name, line, what))?;
    }
    Ok(())
}

/// Where columns stand by their names, whatever the case.
pub(super) struct Columns {
    pub input: Option<usize>,
    pub setting: Option<usize>,
    pub outcome: Option<usize>,
    pub count: Option<usize>,
    /// How many columns there are.
    pub width: usize,
}

impl Columns {
    pub(super) fn named(fields: &[&str]) -> Self {
        let find = |names: &[&str]| fields.iter().position(|f| names.iter().any(|n| f.eq_ignore_ascii_case(n)));
        Columns {
            input: find(&["input", "inputs", "preparation", "prepared"]),
            setting: find(&["setting", "settings", "basis", "bases"]),
            outcome: find(&["outcome", "outcomes", "result", "bits", "bitstring"]),
            count: find(&["count", "counts", "shots"]),
            width: fields.len(),
        }
    }

    /// That a line has as many columns as the first.
    pub(super) fn check(&self, found: usize) -> Result<(), String> {
        let width = self.width;
        if found == width { Ok(()) } else { Err(format!("{found} columns where the first line has {width}")) }
    }
}
