//! Samples as lines of text.

use super::table::{Format, Table, Values, at_line};
use crate::error::{Error, Result, quoted};

/// The lines that hold something, with their numbers from 1.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    bytes.split(|&b| b == b'\n').enumerate().map(|(i, l)| (i + 1, l.trim_ascii())).filter(|(_, l)| !l.is_empty())
}

/// Integers separated by commas, semicolons or white space.
pub(super) fn csv(name: &str, bytes: &[u8]) -> Result<Table> {
    let (mut values, mut samples, mut sites) = (Vec::new(), 0, None);
    for (line, text) in lines(bytes) {
        if text.starts_with(b"#") {
            continue;
        }
        let marked = text.iter().any(|b| matches!(b, b',' | b';'));
        let separates = move |b: &u8| if marked { matches!(b, b',' | b';') } else { b.is_ascii_whitespace() };
        // Gone through again rather than stored: a line may be the whole file.
        let fields = || text.split(separates).map(<[u8]>::trim_ascii).filter(|f| marked || !f.is_empty());
        let found = fields().count();
        // A first line in which nothing is a number holds the names of the columns.
        if samples == 0 && sites.is_none() && fields().all(|f| number(f).is_none()) {
            sites = Some(found);
            continue;
        }
        let expected = *sites.get_or_insert(found);
        if found != expected {
            let why = format!("{found} values where the lines before have {expected}; give all lines as many");
            return Err(at_line(name, line, why));
        }
        for (column, field) in fields().enumerate() {
            let value = symbol(field).map_err(|why| at_line(name, line, format!("column {}: {why}", column + 1)))?;
            values.push(value);
        }
        samples += 1;
    }
    finish(name, Format::Csv, samples, sites, values)
}

fn number(field: &[u8]) -> Option<f64> {
    std::str::from_utf8(field).ok()?.trim_matches('"').parse().ok()
}

fn symbol(field: &[u8]) -> Result<u8, String> {
    let shown = || quoted(&String::from_utf8_lossy(&field[..field.len().min(20)]));
    match number(field) {
        Some(x) if x.fract() == 0.0 && (0.0..=255.0).contains(&x) => Ok(x as u8),
        Some(_) => Err(format!("{} is no symbol (an integer from 0 to 255); code values as integers from 0", shown())),
        None => Err(format!("'{}' is not a number; code categories as integers from 0", shown())),
    }
}

/// Strings of zeros and ones; blanks between them are skipped.
pub(super) fn bits(name: &str, bytes: &[u8]) -> Result<Table> {
    let (mut values, mut samples, mut sites) = (Vec::new(), 0, None);
    for (line, text) in lines(bytes) {
        let before = values.len();
        for (column, &b) in text.iter().enumerate() {
            match b {
                b'0' | b'1' => values.push(b - b'0'),
                b' ' | b'\t' | b',' => {}
                _ => {
                    let found = char::from(b).escape_default();
                    return Err(at_line(
                        name,
                        line,
                        format!("column {}: '{found}' where 0 or 1 is read; give --format", column + 1),
                    ));
                }
            }
        }
        let found = values.len() - before;
        let expected = *sites.get_or_insert(found);
        if found != expected {
            return Err(at_line(
                name,
                line,
                format!("{found} bits where the lines before have {expected}; give all lines as many"),
            ));
        }
        samples += 1;
    }
    finish(name, Format::Bits, samples, sites, values)
}

fn finish(name: &str, format: Format, samples: usize, sites: Option<usize>, values: Vec<u8>) -> Result<Table> {
    match sites {
        Some(sites) => Table::new(name, format, samples, vec![sites], Values::Bytes(values)),
        None => Err(Error::Empty { what: format!("{name}: the data set (no line holds a sample)") }),
    }
}
