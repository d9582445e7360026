//! Which settings to measure next.

use super::chain_fit::log_likelihoods;
use super::density::dimension;
use super::measurement::Measurement;
use super::readout::Readout;
use super::shots::{Collector, Shots};
use super::simulate::{Noise, Settings, simulate};
use super::state::Lpdo;
use crate::error::{Error, Result};
use crate::parallel;
use crate::random::Seed;

/// Outcomes of a setting that are summed over one by one; beyond, they are drawn.
const MOST_OUTCOMES: usize = 1 << 10;
/// Outcomes that are drawn of each state.
const DRAWN: u64 = 256;

/// A setting and what a shot of it is expected to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct NextSetting {
    /// A measurement for each site.
    pub setting: Vec<Measurement>,
    /// Expected information about which state is the true one, nats a shot.
    pub information: f64,
}

/// Ranks settings by what one shot of them is expected to tell about which of some equally likely states is the true one, the most telling
/// first: the mutual information of outcome and state (Lindley, Ann. Math. Stat. 27, 986, 1956; Huszár and Houlsby, PRA 85, 052120, 2012)
///
/// ```text
///   I = (1/K) sum over states k and outcomes x of p_k(x) ln(p_k(x) / p(x)),   p = mean of the p_k
/// ```
///
/// The states are what the records so far leave open, such as the repetitions of a bootstrap
/// ([`Bootstrap::states`](super::Bootstrap::states)). Settings of more than 1024 outcomes are judged by outcomes drawn from the states.
///
/// # Errors
/// [`Error::Empty`] without candidates, [`Error::Setting`] for fewer than two states, [`Error::Shape`] if sites differ.
pub fn next_settings(
    states: &[Lpdo],
    candidates: &[Vec<Measurement>],
    readout: Option<&Readout>,
    seed: Seed,
) -> Result<Vec<NextSetting>> {
    if candidates.is_empty() {
        return Err(Error::Empty { what: "the list of settings to choose from".into() });
    }
    let Some(first) = states.first().filter(|_| states.len() > 1) else {
        return Err(Error::setting("states", states.len(), "give at least 2: what the records leave open"));
    };
    for state in states {
        if state.dims() != first.dims() {
            return Err(Error::shape("states to choose settings by: levels of the sites", state.dims(), first.dims()));
        }
    }
    for setting in candidates {
        if setting.len() != first.sites() {
            return Err(Error::shape("a setting, in sites", setting.len(), first.sites()));
        }
    }
    let numbered: Vec<(usize, &Vec<Measurement>)> = candidates.iter().enumerate().collect();
    let judged = parallel::map(numbered, |(number, setting)| {
        let information = information(states, setting, readout, seed.derive("next setting", number as u64))?;
        Ok(NextSetting { setting: setting.clone(), information })
    });
    let mut list = judged.into_iter().collect::<Result<Vec<_>>>()?;
    // Equal ones stay in the order in which they were given.
    list.sort_by(|a, b| b.information.total_cmp(&a.information));
    Ok(list)
}

fn information(states: &[Lpdo], setting: &[Measurement], readout: Option<&Readout>, seed: Seed) -> Result<f64> {
    let dims = states[0].dims();
    let several: Vec<usize> = setting.iter().zip(dims).map(|(m, &d)| m.outcomes(d)).collect();
    let all = dimension(&several);
    let count = states.len() as f64;
    // ln p_k - ln p, from the logarithms of all p_k.
    let gain = |lns: &[Vec<f64>], k: usize, row: usize| {
        let most = lns.iter().map(|l| l[row]).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = lns.iter().map(|l| (l[row] - most).exp()).sum();
        lns[k][row] - most - (sum / count).ln()
    };
    let of = |shots: &Shots| -> Result<Vec<Vec<f64>>> {
        states.iter().map(|state| log_likelihoods(state, shots, readout)).collect()
    };
    if all <= MOST_OUTCOMES {
        let mut collector = Collector::new(dims)?;
        let numbers = setting.iter().map(|m| collector.measurement(m)).collect::<Result<Vec<u32>>>()?;
        let mut outcome = vec![0u8; dims.len()];
        for code in 0..all {
            let mut rest = code;
            for (o, &n) in outcome.iter_mut().zip(&several).rev() {
                *o = (rest % n) as u8;
                rest /= n;
            }
            collector.push(&numbers, &outcome, 1)?;
        }
        let lns = of(&collector.finish()?)?;
        let mut sum = 0.0;
        for k in 0..states.len() {
            // p ln p -> 0 where an outcome is impossible.
            sum += (0..all).filter(|&x| lns[k][x] > -700.0).map(|x| lns[k][x].exp() * gain(&lns, k, x)).sum::<f64>();
        }
        return Ok(sum / count);
    }
    let noise = Noise { depolarising: 0.0, readout: readout.cloned() };
    let mut sum = 0.0;
    for (k, state) in states.iter().enumerate() {
        let given = Settings::Given(vec![setting.to_vec()]);
        let shots = simulate(state, &given, DRAWN, &noise, seed.derive("outcomes", k as u64))?;
        let lns = of(&shots)?;
        sum += (0..shots.rows()).map(|row| shots.counts()[row] as f64 * gain(&lns, k, row)).sum::<f64>();
    }
    Ok(sum / (count * DRAWN as f64))
}
