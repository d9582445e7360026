//! Small aligned tables for people.

use std::fmt;

use unicode_width::UnicodeWidthStr;

/// A table of text with a header: columns of numbers are aligned right, all others left.
///
/// ```
/// use ansatz::report::Table;
/// let mut table = Table::new(["model", "nll (nats)"]);
/// table.row(["Chow-Liu tree", "139.2"]);
/// table.row(["Born machine", "98.75"]);
/// assert_eq!(table.to_string(), "\
/// model          nll (nats)
/// -------------  ----------
/// Chow-Liu tree       139.2
/// Born machine        98.75
/// ");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names and no row yet.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Table { header: one_line(header), rows: Vec::new() }
    }

    /// Adds a row; where cells are missing they are left blank, cells beyond the header get columns without a name.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        self.rows.push(one_line(cells));
        self
    }
}

fn one_line<S: Into<String>>(cells: impl IntoIterator<Item = S>) -> Vec<String> {
    cells.into_iter().map(|cell| cell.into().replace(char::is_control, " ")).collect()
}

/// A number, or a mark for one that is missing.
fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok() || matches!(cell, "-" | "–" | "—")
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).fold(self.header.len(), usize::max);
        fn cell(row: &[String], column: usize) -> &str {
            row.get(column).map_or("", String::as_str)
        }
        let layout: Vec<(usize, bool)> = (0..columns)
            .map(|column| {
                let below = self.rows.iter().map(|row| cell(row, column));
                let width =
                    below.clone().map(UnicodeWidthStr::width).fold(cell(&self.header, column).width(), usize::max);
                let mut filled = below.filter(|text| !text.is_empty()).peekable();
                (width, filled.peek().is_some() && filled.all(is_number))
            })
            .collect();
        let rule: Vec<String> = layout.iter().map(|&(width, _)| "-".repeat(width)).collect();
        for row in [&self.header, &rule].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (column, &(width, right)) in layout.iter().enumerate() {
                let text = cell(row, column);
                // By hand: the formatter's padding counts characters, not columns of the terminal.
                let blank = " ".repeat(width.saturating_sub(text.width()));
                let gap = if column == 0 { "" } else { "  " };
                line += &if right { format!("{gap}{blank}{text}") } else { format!("{gap}{text}{blank}") };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_words_left() {
        let mut table = Table::new(["bond", "S", "note"]);
        table.row(["0", "0.69", "a"]).row(["100", "-", "bc"]).row(["7", "1e-3"]);
        let lines = ["bond     S  note", "----  ----  ----", "   0  0.69  a", " 100     -  bc", "   7  1e-3", ""];
        assert_eq!(table.to_string(), lines.join("\n"));
    }

    #[test]
    fn wide_and_combining_characters_do_not_shift_a_column() {
        let mut table = Table::new(["state", "S"]);
        table.row(["量子", "1"]).row(["e\u{301}tat", "2"]).row(["two\nlines", "3"]);
        let text = table.to_string();
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().all(|line| line.width() == "two lines  1".width()), "{text}");
    }

    #[test]
    fn a_table_without_rows_or_columns_is_still_a_table() {
        assert_eq!(Table::new(["a", "b"]).to_string(), "a  b\n-  -\n");
        assert_eq!(Table::new(Vec::<String>::new()).to_string(), "\n\n");
        let mut ragged = Table::new(["a"]);
        ragged.row(["x", "extra"]);
        assert_eq!(ragged.to_string(), "a\n-  -----\nx  extra\n");
    }
}
