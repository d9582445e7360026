//! Reading dense states: vectors of amplitudes and density matrices.

use ndarray::Array2;
use num_complex::Complex64;
use serde_json::Value;

use super::npy;
use super::shots::{complex, matrix};
use super::table::{at_line, broken, contents, unpacked};
use super::text::lines;
use crate::error::{Error, Result, quoted};

/// A dense state as it was read.
#[derive(Debug, Clone, PartialEq)]
pub enum DenseState {
    /// Amplitudes, the last site running fastest.
    Vector(Vec<Complex64>),
    /// A density matrix.
    Matrix(Array2<Complex64>),
}

/// Reads a vector or a density matrix: `.npy`; JSON, `{"vector": [[re, im], ..]}` or `{"matrix": [[[re, im], ..], ..]}` or the
/// list alone; text: a real and an imaginary part on each line, or a matrix of more than two rows line by line, real or with both parts of
/// each entry side by side. Complex numbers may be written as numpy writes them, `(0.5-0.5j)`.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Format`] or [`Error::Empty`], naming file and line, if it is not what it
/// should be.
pub fn read_dense_state(path: &str) -> Result<DenseState> {
    dense_state_from_bytes(path, &contents(path)?)
}

/// As [`read_dense_state`], from bytes; `name` stands in errors.
///
/// # Errors
/// As [`read_dense_state`].
pub fn dense_state_from_bytes(name: &str, bytes: &[u8]) -> Result<DenseState> {
    let bytes = unpacked(name, bytes)?;
    let state = if bytes.starts_with(b"\x93NUMPY") {
        let (shape, values) = npy::numbers(name, &bytes)?;
        match *shape.as_slice() {
            [_] => DenseState::Vector(values),
            [n, 1] | [1, n] if n > 1 => DenseState::Vector(values),
            [n, m] if n == m => {
                DenseState::Matrix(Array2::from_shape_vec((n, n), values).map_err(|e| broken(name, e))?)
            }
            _ => return Err(broken(name, format!("an array of shape {shape:?}; give a vector or a square matrix"))),
        }
    } else if bytes.trim_ascii_start().first().is_some_and(|b| matches!(b, b'{' | b'[')) {
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|e| broken(name, format!("not JSON: {}", quoted(&e.to_string()))))?;
        let body = value.get("vector").or_else(|| value.get("matrix")).unwrap_or(&value);
        let list = body.as_array().map(|l| l.iter().map(complex).collect::<Option<Vec<_>>>());
        match (list, matrix(body)) {
            (_, Some(m)) if value.get("vector").is_none() && m.nrows() == m.ncols() => DenseState::Matrix(m),
            (Some(Some(v)), _) => DenseState::Vector(v),
            _ => return Err(broken(name, "expected a list of amplitudes [re, im], or a square matrix of them")),
        }
    } else {
        text_state(name, &bytes)?
    };
    let (count, finite) = match &state {
        DenseState::Vector(v) => (v.len(), v.iter().all(|x| x.re.is_finite() && x.im.is_finite())),
        DenseState::Matrix(m) => (m.len(), m.iter().all(|x| x.re.is_finite() && x.im.is_finite())),
    };
    if count == 0 {
        return Err(Error::Empty { what: format!("{name}: the state") });
    }
    if !finite {
        return Err(Error::NotFinite { what: format!("{name}: the state") });
    }
    Ok(state)
}

/// A number as it is written, or a complex one as numpy writes it; whether it was complex.
fn entry(word: &str) -> Option<(Complex64, bool)> {
    let inner = word.strip_prefix('(').and_then(|w| w.strip_suffix(')')).unwrap_or(word);
    let Some(both) = inner.strip_suffix('j') else {
        return inner.parse().ok().map(|re| (Complex64::new(re, 0.0), false));
    };
    // The sign of the imaginary part is the last one that is not that of an exponent.
    let signs =
        both.char_indices().skip(1).filter(|&(i, c)| matches!(c, '+' | '-') && !both[..i].ends_with(['e', 'E']));
    let cut = signs.last().map_or(0, |(i, _)| i);
    let re = if cut == 0 { 0.0 } else { both[..cut].parse().ok()? };
    Some((Complex64::new(re, both[cut..].parse().ok()?), true))
}

/// A vector or a matrix in lines of text.
fn text_state(name: &str, bytes: &[u8]) -> Result<DenseState> {
    let mut rows: Vec<Vec<Complex64>> = Vec::new();
    let mut parted = true;
    for (line, text) in lines(bytes) {
        if text.starts_with(b"#") {
            continue;
        }
        let text = std::str::from_utf8(text).map_err(|_| at_line(name, line, "no text (UTF-8)"))?;
        let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
        let entries = words.map(entry).collect::<Option<Vec<_>>>();
        let entries = entries.ok_or_else(|| at_line(name, line, "expected numbers, a real and an imaginary part"))?;
        parted &= entries.iter().all(|(_, complex)| !complex);
        let row: Vec<Complex64> = entries.into_iter().map(|(value, _)| value).collect();
        if let Some(first) = rows.first().filter(|first| first.len() != row.len()) {
            return Err(at_line(name, line, format!("{} numbers where the first line has {}", row.len(), first.len())));
        }
        rows.push(row);
    }
    let joined = |row: &Vec<Complex64>| row.chunks_exact(2).map(|p| Complex64::new(p[0].re, p[1].re)).collect();
    let (n, columns) = (rows.len(), rows.first().map_or(0, Vec::len));
    if parted && (columns == 2 || (n > 1 && columns == 2 * n)) {
        rows = rows.iter().map(joined).collect();
    }
    let entries = rows.concat();
    if entries.len() == n {
        return Ok(DenseState::Vector(entries));
    }
    Array2::from_shape_vec((n, n), entries).map(DenseState::Matrix).map_err(|_| {
        let found = format!("{n} lines of {columns} numbers");
        broken(name, format!("{found}: expected a real and an imaginary part on each line, or a square matrix"))
    })
}

/// Reads real matrices, such as confusion matrices of detectors: a JSON list of lists of rows.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] naming it if it is not what it should be.
pub fn read_real_matrices(path: &str) -> Result<Vec<Array2<f64>>> {
    let bytes = contents(path)?;
    let fault = |what: String| broken(path, what);
    let list: Vec<Vec<Vec<f64>>> = serde_json::from_slice(&unpacked(path, &bytes)?)
        .map_err(|e| fault(format!("expected a JSON list of matrices: {}", quoted(&e.to_string()))))?;
    let matrix = |(i, rows): (usize, Vec<Vec<f64>>)| {
        let shape = (rows.len(), rows.first().map_or(0, Vec::len));
        let entries = if rows.iter().all(|r| r.len() == shape.1) { rows.concat() } else { Vec::new() };
        Array2::from_shape_vec(shape, entries).map_err(|_| fault(format!("matrix {i} has rows of unlike length")))
    };
    list.into_iter().enumerate().map(matrix).collect()
}
