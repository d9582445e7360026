//! Whether a state explains the records.

use std::collections::HashMap;

use super::chain_fit::log_likelihoods;
use super::density::dimension;
use super::readout::Readout;
use super::shots::{Collector, Shots};
use super::state::Lpdo;
use crate::error::Result;

/// Outcomes of one setting that are looked at one by one.
const MOST_OUTCOMES: usize = 1 << 12;
/// Rows of all settings together.
const MOST_ROWS: usize = 1 << 21;
/// Outcomes for each shot beyond which frequencies tell nothing of single settings.
const MOST_FOR_A_SHOT: u64 = 20;

/// How one setting is explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Residual {
    /// The setting as it is written.
    pub setting: String,
    /// Its shots.
    pub shots: u64,
    /// `2 sum n ln(n / (N p))`.
    pub g2: f64,
    /// Outcomes that are possible, less one.
    pub degrees: usize,
}

/// How all settings are explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Goodness {
    /// The log-likelihood ratio with a model that gives every setting its frequencies: `2 sum n ln(n / (N p))`.
    pub g2: f64,
    /// Degrees of freedom: outcomes less one of every setting, less the parameters of the fit.
    pub degrees: usize,
    /// Its deviation from what is expected, in standard deviations, with the mean and variance of a chi-square variable.
    pub z: f64,
    /// Shots for each outcome, on average; below 5 the chi-square law is rough.
    pub shots_per_outcome: f64,
    /// By setting, the worst explained first.
    pub residuals: Vec<Residual>,
    /// In words.
    pub verdict: String,
}

/// Compares what was seen with what the state says, setting by setting; `None` where settings have too many outcomes to be looked at one
/// by one (more than 4096), or are too many, or have more than 20 outcomes for each shot.
///
/// # Errors
/// As [`log_likelihoods`].
pub fn goodness(state: &Lpdo, shots: &Shots, parameters: usize, readout: Option<&Readout>) -> Result<Option<Goodness>> {
    let sites = shots.sites();
    let groups = shots.by_setting();
    let mut collector = Collector::new(shots.dims())?;
    let numbers = shots.measurements().iter().map(|m| collector.measurement(m)).collect::<Result<Vec<u32>>>()?;
    let mut rows = 0usize;
    let mut sizes = Vec::with_capacity(groups.len());
    for group in &groups {
        let setting = shots.setting(group[0]);
        let several: Vec<usize> =
            setting.iter().zip(shots.dims()).map(|(&m, &d)| shots.measurements()[m as usize].outcomes(d)).collect();
        let all = dimension(&several);
        rows = rows.saturating_add(all);
        if all > MOST_OUTCOMES || rows > MOST_ROWS || rows as u64 > MOST_FOR_A_SHOT.saturating_mul(shots.total()) {
            return Ok(None);
        }
        let setting: Vec<u32> = setting.iter().map(|&m| numbers[m as usize]).collect();
        let mut outcome = vec![0u8; sites];
        for code in 0..all {
            let mut rest = code;
            for site in (0..sites).rev() {
                outcome[site] = (rest % several[site]) as u8;
                rest /= several[site];
            }
            collector.push(&setting, &outcome, 1)?;
        }
        sizes.push(all);
    }
    let everything = collector.finish()?;
    let lns = log_likelihoods(state, &everything, readout)?;
    let mut residuals = Vec::with_capacity(groups.len());
    let mut start = 0;
    for (group, &all) in groups.iter().zip(&sizes) {
        let total: u64 = group.iter().map(|&row| shots.counts()[row]).sum();
        let seen: HashMap<&[u8], u64> = group.iter().map(|&row| (shots.outcome(row), shots.counts()[row])).collect();
        let (mut g2, mut possible) = (0.0, 0usize);
        for (row, &ln) in lns.iter().enumerate().skip(start).take(all) {
            let n = seen.get(everything.outcome(row)).copied().unwrap_or(0);
            // An outcome that is impossible and was not seen is no degree of freedom.
            if n > 0 || ln > -30.0 {
                possible += 1;
            }
            if n > 0 {
                g2 += 2.0 * n as f64 * ((n as f64 / total as f64).ln() - ln);
            }
        }
        start += all;
        residuals.push(Residual {
            setting: shots.setting_text(group[0]),
            shots: total,
            g2,
            degrees: possible.saturating_sub(1),
        });
    }
    let g2: f64 = residuals.iter().map(|r| r.g2).sum();
    let free: usize = residuals.iter().map(|r| r.degrees).sum();
    let degrees = free.saturating_sub(parameters).max(1);
    let z = (g2 - degrees as f64) / (2.0 * degrees as f64).sqrt();
    let shots_per_outcome = shots.total() as f64 / (free + residuals.len()) as f64;
    let excess = |r: &Residual| (r.g2 - r.degrees as f64) / (2.0 * r.degrees.max(1) as f64).sqrt();
    residuals.sort_by(|a, b| excess(b).total_cmp(&excess(a)).then_with(|| a.setting.cmp(&b.setting)));
    let verdict =
        verdict(z, free, parameters, shots_per_outcome, residuals.first().map(|r| (r.setting.clone(), excess(r))));
    Ok(Some(Goodness { g2, degrees, z, shots_per_outcome, residuals, verdict }))
}

fn verdict(z: f64, free: usize, parameters: usize, shots_per_outcome: f64, worst: Option<(String, f64)>) -> String {
    if free <= parameters {
        return "there are no more frequencies than parameters: the records cannot contradict the state; measure more settings".into();
    }
    if shots_per_outcome < 1.0 {
        return format!(
            "{shots_per_outcome:.2} shots for each outcome are too few for a chi-square test; judge by the held-out loss and a parametric bootstrap"
        );
    }
    let rough = if shots_per_outcome < 5.0 { " (rough: fewer than 5 shots for each outcome)" } else { "" };
    let worst = worst.map_or_else(String::new, |(s, e)| format!(", worst in setting {s} ({e:.1} sigma)"));
    if z > 5.0 {
        format!(
            "the state does not explain the records: {z:.1} sigma off{rough}{worst}; drift, detector errors, or too small a bond or purification"
        )
    } else if z > 3.0 {
        format!("the state explains the records poorly: {z:.1} sigma off{rough}{worst}")
    } else if z < -5.0 {
        format!(
            "the records agree better with the state than chance allows ({z:.1} sigma){rough}: are the counts of single shots?"
        )
    } else {
        format!("the state explains the records ({z:+.1} sigma){rough}")
    }
}
