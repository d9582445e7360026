//! Records and definitions of measurements as JSON.

use ndarray::Array2;
use num_complex::Complex64;
use serde_json::Value;

use super::super::table::broken;
use super::reader::{Reader, count};
use super::{Records, SHOTS_VERSION};
use crate::error::{Result, quoted};
use crate::tomography::Measurement;

/// `{"format": "ansatz-shots", "version": 1, "dims": [..], "measurements": {..}, "records": [[setting, outcome, count], ..]}`
pub(super) fn json(name: &str, bytes: &[u8]) -> Result<Records> {
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
    reader.finish(name).map(Records::single)
}

/// `{"basis": rows}`, `{"povm": [matrix, ..]}` or `{"angles": [theta, phi]}`; a complex number is `[re, im]` or a number.
pub(super) fn measurement(name: &str, value: &Value) -> Result<Measurement, String> {
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

pub(in super::super) fn complex(value: &Value) -> Option<Complex64> {
    match value {
        Value::Number(x) => Some(Complex64::new(x.as_f64()?, 0.0)),
        Value::Array(pair) if pair.len() == 2 => Some(Complex64::new(pair[0].as_f64()?, pair[1].as_f64()?)),
        _ => None,
    }
}

/// Rows of complex numbers, all as long.
pub(in super::super) fn matrix(value: &Value) -> Option<Array2<Complex64>> {
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
