//! Error bars: the same fit to records drawn anew.

use super::estimate::{Estimate, Estimator, Questions, quantities};
use super::readout::Readout;
use super::shots::Shots;
use super::simulate::{Noise, Settings, simulate};
use super::state::Lpdo;
use crate::error::Result;
use crate::parallel;
use crate::random::Seed;

/// How records are drawn anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bootstrap {
    /// From the estimated state, in the same settings: right if the model is.
    Parametric,
    /// From the shots themselves, with replacement, within each setting.
    Resampling,
}

/// One repetition: its number, and the quantities of its state in the order of [`quantities`].
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Replica {
    /// It depends on the seed and this number only.
    pub number: u64,
    /// Values.
    pub values: Vec<f64>,
}

/// A quantity over the repetitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Its name.
    pub name: String,
    /// The value of the estimate itself.
    pub value: f64,
    /// Standard deviation over the repetitions.
    pub deviation: f64,
    /// Basic bootstrap interval that holds the truth in 68 % of experiments: `2 value - q84` to `2 value - q16`.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Bootstrap {
    /// Repetitions `from .. from + count` of the fit, over the threads that are there.
    ///
    /// # Errors
    /// As [`Estimator::estimate`].
    #[allow(clippy::too_many_arguments)]
    pub fn replicas(
        self,
        estimator: &Estimator,
        estimate: &Estimate,
        shots: &Shots,
        asked: &Questions,
        seed: Seed,
        from: u64,
        count: u64,
    ) -> Result<Vec<Replica>> {
        let states = self.states(estimator, estimate, shots, seed, from, count)?;
        let told = (from..).zip(states).map(|(number, state)| {
            let values = quantities(&state, asked)?.into_iter().map(|(_, v)| v).collect();
            Ok(Replica { number, values })
        });
        told.collect()
    }

    /// The states of repetitions `from .. from + count`.
    ///
    /// # Errors
    /// As [`Estimator::estimate`].
    pub fn states(
        self,
        estimator: &Estimator,
        estimate: &Estimate,
        shots: &Shots,
        seed: Seed,
        from: u64,
        count: u64,
    ) -> Result<Vec<Lpdo>> {
        let parts = parallel::map((from..from.saturating_add(count)).collect(), |number| {
            let seed = seed.derive("bootstrap", number);
            let drawn = match self {
                Bootstrap::Resampling => shots.resampled(seed)?,
                Bootstrap::Parametric => drawn_again(&estimate.state, shots, estimator.readout(), seed)?,
            };
            Ok(estimator.estimate(&drawn, Some(&estimate.state), &mut |_| true)?.state)
        });
        parts.into_iter().collect()
    }
}

/// Shots of the state in the settings of a record.
pub(super) fn drawn_again(state: &Lpdo, shots: &Shots, readout: Option<&Readout>, seed: Seed) -> Result<Shots> {
    let mut settings = Vec::new();
    for row in 0..shots.rows() {
        let setting: Vec<_> = shots.setting(row).iter().map(|&m| shots.measurements()[m as usize].clone()).collect();
        settings.extend(std::iter::repeat_n(setting, shots.counts()[row] as usize));
    }
    let noise = Noise { depolarising: 0.0, readout: readout.cloned() };
    simulate(state, &Settings::Given(settings), shots.total(), &noise, seed)
}

/// Error bars from repetitions.
#[must_use]
pub fn spreads(values: &[(String, f64)], replicas: &[Replica]) -> Vec<Spread> {
    let spread = |(i, (name, value)): (usize, &(String, f64))| {
        let mut found: Vec<f64> = replicas.iter().filter_map(|r| r.values.get(i).copied()).collect();
        found.sort_by(f64::total_cmp);
        let n = found.len() as f64;
        let mean = found.iter().sum::<f64>() / n;
        let deviation = (found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
        // Between neighbours in proportion.
        let quantile = |q: f64| {
            let at = q * (n - 1.0).max(0.0);
            let (below, share) = (at.floor() as usize, at.fract());
            let pick = |i: usize| found.get(i).or(found.last()).copied().unwrap_or(f64::NAN);
            pick(below) * (1.0 - share) + pick(below + 1) * share
        };
        let (low, high) = (2.0 * value - quantile(0.8413), 2.0 * value - quantile(0.1587));
        Spread { name: name.clone(), value: *value, deviation, low, high }
    };
    values.iter().enumerate().map(spread).collect()
}
