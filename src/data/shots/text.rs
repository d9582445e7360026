//! Records as text: CSV, columns, outcomes and settings in two files.

use std::collections::BTreeMap;

use super::super::table::at_line;
use super::super::text::lines;
use super::Records;
use super::reader::{Columns, Reader, count, each_line, fields, utf8};
use crate::error::{Error, Result, quoted};

/// Distinct groups of one file.
const MOST_GROUPS: usize = 1 << 16;

/// Columns by name (setting, outcome, count; all others name the record), or in this order where there is no header.
pub(super) fn csv(name: &str, bytes: &[u8]) -> Result<Records> {
    let mut columns: Option<Columns> = None;
    let mut groups: Vec<(String, Reader)> = Vec::new();
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    each_line(name, bytes, &mut Reader::new(), |definitions, text| {
        let fields = fields(text);
        let columns = match &mut columns {
            Some(columns) => columns,
            none => {
                let named = Columns::named(&fields);
                if named.setting.is_some() && named.outcome.is_some() {
                    let again = |i: usize| fields[..i].iter().any(|f| f.eq_ignore_ascii_case(fields[i]));
                    if let Some(i) = (0..fields.len()).find(|&i| again(i)) {
                        return Err(format!("two columns '{}'; give each a name of its own", quoted(fields[i])));
                    }
                    *none = Some(named);
                    return Ok(());
                }
                let found = fields.len();
                if !(2..=3).contains(&found) {
                    return Err(format!("{found} columns without names; give a header with setting, outcome, count"));
                }
                // This line is a row already.
                let third = (found == 3).then_some(2);
                none.insert(Columns { input: None, setting: Some(0), outcome: Some(1), count: third, width: found })
            }
        };
        columns.check(fields.len())?;
        let mine = [columns.setting, columns.outcome, columns.count];
        let of = |column: Option<usize>| column.and_then(|c| fields.get(c)).copied().unwrap_or_default();
        let others = fields.iter().enumerate().filter(|(i, _)| !mine.contains(&Some(*i))).map(|(_, f)| *f);
        let group = others.collect::<Vec<_>>().join("/");
        let at = match numbers.get(&group) {
            Some(&at) => at,
            None => {
                if groups.len() == MOST_GROUPS {
                    return Err(format!(
                        "more than {MOST_GROUPS} records in one file; name the columns setting, outcome, count"
                    ));
                }
                numbers.insert(group.clone(), groups.len());
                groups.push((group, definitions.beside()));
                groups.len() - 1
            }
        };
        let n = if columns.count.is_some() { count(of(columns.count))? } else { 1 };
        groups[at].1.row(of(columns.setting), of(columns.outcome), n)
    })?;
    if groups.is_empty() {
        return Err(Error::Empty { what: format!("{name}: the measurement record (no shots in it)") });
    }
    let groups = groups.into_iter().map(|(group, reader)| Ok((group, reader.finish(name)?)));
    Ok(Records { groups: groups.collect::<Result<_>>()? })
}

/// `YXXY 1010`, with a count behind it or not.
pub(super) fn columns(name: &str, bytes: &[u8]) -> Result<Records> {
    let mut reader = Reader::new();
    let mut first = true;
    each_line(name, bytes, &mut reader, |reader, text| {
        if std::mem::take(&mut first) {
            let named = Columns::named(&text.split_whitespace().collect::<Vec<_>>());
            if (named.setting, named.outcome) == (Some(0), Some(1)) {
                return Ok(());
            }
        }
        let mut words = text.split_whitespace();
        let (Some(setting), Some(outcome), n, None) = (words.next(), words.next(), words.next(), words.next()) else {
            return Err("expected a setting and an outcome, as 'XYZ 010', and a count or none".into());
        };
        reader.row(setting, outcome, n.map_or(Ok(1), count)?)
    })?;
    reader.finish(name).map(Records::single)
}

/// Outcomes in one file and settings in another, line by line; without settings all are Z.
pub(super) fn split_files(name: &str, outcomes: &[u8], bases_name: &str, bases: &[u8]) -> Result<Records> {
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
    reader.finish(name).map(Records::single)
}
