//! Records as arrays, `.npz`.

use std::collections::BTreeMap;

use ndarray::Array2;
use num_complex::Complex64;

use super::super::table::broken;
use super::super::{npy, zip};
use super::{Records, SHOTS_VERSION};
use crate::error::{Error, Result, quoted};
use crate::tomography::{Collector, MAX_SITES, Measurement};

/// `outcomes` `[rows, sites]`; `settings` `[rows, sites]`, numbers of measurements, or `angles` `[rows, sites, 2]`, or all Z; `counts`
/// `[rows]`; `effects` `[measurements, outcomes, d, d]`, without which settings 0, 1, 2 are X, Y, Z.
pub(super) fn archive(name: &str, bytes: &[u8]) -> Result<Records> {
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
    Ok(Records::single(shots))
}
