//! What records of a state cannot tell.

use crate::error::Result;
use crate::tomography::density::dimension;
use crate::tomography::{DENSE_FIT_LIMIT, Readout, Shots};

/// What the records cannot tell, a line each.
pub(super) fn warnings(shots: &Shots) -> Result<Vec<String>> {
    let mut list = Vec::new();
    let ranks = shots.local_ranks()?;
    let blind: Vec<usize> = (0..shots.sites()).filter(|&s| ranks[s] < shots.dims()[s].pow(2)).collect();
    if let Some(&site) = blind.first() {
        let (found, needed) = (ranks[site], shots.dims()[site].pow(2));
        let mut seen: Vec<String> = Vec::new();
        for row in 0..shots.rows().min(10_000) {
            let token = shots.measurements()[shots.setting(row)[site] as usize].token();
            if !seen.contains(&token) && seen.len() < 8 {
                seen.push(token);
            }
        }
        let more = if blind.len() > 1 { format!(" (and {} sites more)", blind.len() - 1) } else { String::new() };
        let missing: Vec<&str> = ["X", "Y", "Z"].into_iter().filter(|l| !seen.iter().any(|s| s == l)).collect();
        let letters = seen.iter().all(|s| ["X", "Y", "Z"].contains(&s.as_str())) && shots.dims()[site] == 2;
        let add = if letters { format!(" (add settings with {})", missing.join(", ")) } else { String::new() };
        list.push(format!(
            "site {site}{more} is measured in {} only{add}: {found} of the {needed} operators that a complete measurement spans; what the records do not tell is chosen by the fit",
            seen.join(", ")
        ));
    } else {
        // Products of complete measurements at every site: the settings have to be many as well.
        let d = dimension(shots.dims());
        let outcomes: usize = shots.by_setting().len().saturating_mul(d.saturating_sub(1)).saturating_add(1);
        let simple = shots.measurements().iter().all(|m| m.outcomes(2) <= 2);
        if simple && outcomes < d.saturating_mul(d) && d <= DENSE_FIT_LIMIT {
            list.push(format!(
                "{} settings give at most {outcomes} numbers, a general state of these sites has {}: only states with less freedom (pure, or of small bond) are determined; {} settings at least are needed",
                shots.by_setting().len(),
                d * d,
                d + 1
            ));
        }
    }
    if shots.total() < 10 {
        list.push(format!("{} shots: too few to tell anything", shots.total()));
    }
    Ok(list)
}

/// That a detector reads the same whatever the state, where its errors are so large.
pub(super) fn blind(readout: &Readout) -> Option<String> {
    let same =
        |m: &ndarray::Array2<f64>| m.columns().into_iter().all(|c| (&c - &m.column(0)).iter().all(|x| x.abs() < 1e-3));
    let site = readout.matrices().iter().position(same)?;
    Some(format!(
        "site {site}: with these errors the detector reads the same whatever the state; what is fitted there is chosen by chance"
    ))
}
