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
/// list alone; text with a real and an imaginary part on each line.
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
        let mut amplitudes = Vec::new();
        for (line, text) in lines(&bytes) {
            if text.starts_with(b"#") {
                continue;
            }
            let text = std::str::from_utf8(text).map_err(|_| at_line(name, line, "no text (UTF-8)"))?;
            let words: Vec<&str> =
                text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty()).collect();
            let numbers = words.iter().map(|w| w.parse::<f64>().ok()).collect::<Option<Vec<f64>>>();
            match numbers.as_deref() {
                Some(&[re]) => amplitudes.push(Complex64::new(re, 0.0)),
                Some(&[re, im]) => amplitudes.push(Complex64::new(re, im)),
                _ => return Err(at_line(name, line, "expected a real and an imaginary part")),
            }
        }
        DenseState::Vector(amplitudes)
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
