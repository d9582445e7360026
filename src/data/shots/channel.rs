//! Reading records of a channel (`docs/tomography.md`).

use super::super::table::{contents, unpacked};
use super::super::text::lines;
use super::reader::{Columns, Reader, count, each_line, fields};
use super::shots_from_bytes;
use crate::error::{Error, Place, Result, quoted};
use crate::tomography::{ProcessShots, Shots};

/// Reads a record of a channel: CSV with a column `input` beside `setting`, `outcome` and `count`, or text in columns `0+r XYZ 010`, with a
/// count behind it or not. Any other record is taken as [`ProcessShots`] has it: the first half of the sites are inputs.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Format`] or [`Error::Empty`] if it is not what it should be.
pub fn read_process_shots(path: &str) -> Result<ProcessShots> {
    process_shots_from_bytes(path, &contents(path)?)
}

/// Reads a record of a channel from bytes; `name` stands in errors.
///
/// # Errors
/// As [`read_process_shots`].
pub fn process_shots_from_bytes(name: &str, bytes: &[u8]) -> Result<ProcessShots> {
    let bytes = unpacked(name, bytes)?;
    let first = lines(&bytes).find(|(_, l)| !l.starts_with(b"#")).map(|(_, l)| l).unwrap_or_default();
    let named = Columns::named(&fields(std::str::from_utf8(first).unwrap_or_default()));
    let shots = if bytes.starts_with(b"PK") || first.starts_with(b"{") {
        plain(name, &bytes)?
    } else if named.input.is_some() {
        if named.setting.is_none() || named.outcome.is_none() {
            return Err(Error::Format {
                what: format!("{name}: a header with 'input' needs the columns setting and outcome as well"),
            });
        }
        rows(name, &bytes, true, &named)?
    } else if first.contains(&b',') || first.contains(&b';') {
        plain(name, &bytes)?
    } else {
        let words: Vec<&[u8]> = first.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).collect();
        let width = words.len();
        let number = |w: Option<&[u8]>| w.is_some_and(|w| w.iter().all(u8::is_ascii_digit));
        // Three words may be a setting, an outcome and a count as well; then the second is a number.
        if width == 4 || width == 3 && !number(words.get(1).copied()) {
            let count = (width == 4).then_some(3);
            rows(name, &bytes, false, &Columns { input: Some(0), setting: Some(1), outcome: Some(2), count, width })?
        } else {
            plain(name, &bytes)?
        }
    };
    ProcessShots::new(shots).map_err(|e| e.at(Place::File(name.into())))
}

fn plain(name: &str, bytes: &[u8]) -> Result<Shots> {
    shots_from_bytes(name, bytes, None)?.choose(None).map_err(|e| e.at(Place::File(name.into())))
}

/// Rows with columns of input, setting and outcome, and of a count or not.
fn rows(name: &str, bytes: &[u8], header: bool, columns: &Columns) -> Result<Shots> {
    let mut reader = Reader::new();
    let mut first = header;
    each_line(name, bytes, &mut reader, |reader, text| {
        if std::mem::take(&mut first) {
            return Ok(());
        }
        let fields: Vec<&str> = if header { fields(text) } else { text.split_whitespace().collect() };
        columns.check(fields.len())?;
        let of = |column: Option<usize>| column.and_then(|c| fields.get(c)).copied().unwrap_or_default();
        let [input, setting, outcome] = [columns.input, columns.setting, columns.outcome].map(of);
        let n = if columns.count.is_some() { count(of(columns.count))? } else { 1 };
        let (mut settings, mut outcomes) = (Vec::new(), Vec::new());
        let inputs = tokens(input);
        for (site, token) in inputs.iter().enumerate() {
            let (m, o) = prepared(token).map_err(|what| format!("input of site {site}: {what}"))?;
            settings.push(m);
            outcomes.push(o);
        }
        let (after, seen) = (tokens(setting), tokens(outcome));
        if inputs.len() != after.len() || after.len() != seen.len() {
            return Err(format!(
                "input '{}' has {} sites, setting '{}' has {}, outcome '{}' has {}; give one of each a site",
                quoted(input),
                inputs.len(),
                quoted(setting),
                after.len(),
                quoted(outcome),
                seen.len()
            ));
        }
        settings.extend(after);
        outcomes.extend(seen);
        reader.row(&settings.join(" "), &outcomes.join(" "), n)
    })?;
    reader.finish(name)
}

/// Words, or letters side by side.
fn tokens(text: &str) -> Vec<String> {
    if text.contains(char::is_whitespace) {
        text.split_whitespace().map(str::to_owned).collect()
    } else if text.contains([':', '/']) {
        vec![text.to_owned()]
    } else {
        text.chars().map(String::from).collect()
    }
}

/// The measurement and the outcome that an input is written as: a digit is a level; `+`, `-`, `r`, `l` are the eigenstates of X and Y;
/// `NAME/OUTCOME` is any element, `theta:phi` a direction.
fn prepared(token: &str) -> Result<(String, String), String> {
    Ok(match token {
        "+" => ("X".into(), "0".into()),
        "-" => ("X".into(), "1".into()),
        "r" | "i" => ("Y".into(), "0".into()),
        "l" | "j" => ("Y".into(), "1".into()),
        _ => {
            if token.bytes().all(|b| b.is_ascii_digit()) {
                ("Z".into(), token.into())
            } else if let Some((name, outcome)) = token.split_once('/') {
                (name.into(), outcome.into())
            } else if let Some(name) = token.strip_suffix('+') {
                (name.into(), "0".into())
            } else if let Some(name) = token.strip_suffix('-') {
                (name.into(), "1".into())
            } else if token.contains(':') {
                (token.into(), "0".into())
            } else {
                return Err(format!(
                    "'{}' is no state; there are 0, 1, +, -, r and l (the eigenstates of Y), X+ .. Z- and NAME/OUTCOME parted by blanks",
                    quoted(token)
                ));
            }
        }
    })
}
