//! Alignments of protein sequences in FASTA format.

use super::table::{Format, Table, Values, at_line};
use super::text::lines;
use crate::error::{Error, Result};

/// The gap and the twenty amino acids.
pub(super) const ALPHABET: &str = "-ACDEFGHIKLMNPQRSTVWY";

/// One sample a sequence, 21 letters. Lower case counts as upper case; `.` is a gap, and so are the ambiguous letters
/// `B J O U X Z`, which leave open what stands there.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Table> {
    let (mut values, mut samples, mut sites, mut from) = (Vec::new(), 0usize, None, 0);
    let mut header = 0;
    let mut close = |values: &[u8], from: usize, line: usize| -> Result<()> {
        let found = values.len() - from;
        let expected = *sites.get_or_insert(found);
        if found != expected || found == 0 {
            let what = format!("a sequence of {found} letters where the alignment has {expected}; align the sequences");
            return Err(at_line(name, line, what));
        }
        Ok(())
    };
    for (line, text) in lines(bytes) {
        if text.starts_with(b">") {
            if samples > 0 {
                close(&values, from, header)?;
            }
            (samples, from, header) = (samples + 1, values.len(), line);
            continue;
        }
        if samples == 0 {
            return Err(at_line(name, line, "a sequence without a header line that starts with '>'"));
        }
        for (column, &b) in text.iter().enumerate() {
            let letter = match b.to_ascii_uppercase() {
                b'.' | b'B' | b'J' | b'O' | b'U' | b'X' | b'Z' => b'-',
                b'*' | b' ' => continue,
                other => other,
            };
            let Some(symbol) = ALPHABET.bytes().position(|a| a == letter) else {
                let found = char::from(b).escape_default();
                return Err(at_line(
                    name,
                    line,
                    format!("column {}: '{found}' is no amino acid; give letters or -", column + 1),
                ));
            };
            values.push(symbol as u8);
        }
    }
    if samples == 0 {
        return Err(Error::Empty { what: format!("{name}: the alignment") });
    }
    close(&values, from, header)?;
    let sites = values.len() / samples;
    let mut table = Table::new(name, Format::Fasta, samples, vec![sites], Values::Bytes(values))?;
    table.alphabet = Some(ALPHABET.to_owned());
    Ok(table)
}
