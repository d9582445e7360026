//! Fits of chains: pure and locally purified.

use super::compiled::Compiled;
use super::likelihood::{Sites, log_probabilities, loss};
use super::objective::Objective;
use super::optimise::{Adam, Lbfgs, lbfgs};
use super::preservation::Preservation;
use super::readout::Readout;
use super::shots::Shots;
use super::state::Lpdo;
use super::sweep::sweeps;
use crate::chain::Mps;
use crate::error::{Error, Result};
use crate::linalg::Truncation;
use crate::random::{Seed, permutation};

/// How a chain is improved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimiser {
    /// For a pure chain two-site sweeps first, then L-BFGS on all sites; for a purified one L-BFGS on all sites.
    Lbfgs,
    /// Adam on all sites, `batch` rows a step.
    Adam {
        /// Passes over the rows.
        epochs: usize,
        /// Rows a step.
        batch: usize,
        /// The rate; it falls to a hundredth of it along half a cosine.
        rate: f64,
    },
    /// Two-site sweeps alone; of pure chains.
    Sweeps,
}

/// Settings of [`fit_chain`].
#[derive(Debug, Clone, PartialEq)]
pub struct ChainSettings {
    /// Largest bond dimension.
    pub bond: usize,
    /// Purification dimension of each site; 1 for a pure state.
    pub purification: usize,
    /// How.
    pub optimiser: Optimiser,
    /// Iterations of L-BFGS at the most.
    pub iterations: usize,
    /// Two-site sweeps at the most.
    pub sweeps: usize,
    /// Random starts; the best after a few steps goes on.
    pub starts: usize,
    /// Errors of the detector, which the fit takes into account.
    pub readout: Option<Readout>,
    /// Of the start and of mini-batches.
    pub seed: Seed,
}

impl ChainSettings {
    /// A chain of this bond and purification, L-BFGS.
    #[must_use]
    pub fn new(bond: usize, purification: usize) -> Self {
        ChainSettings {
            bond,
            purification,
            optimiser: Optimiser::Lbfgs,
            iterations: 600,
            sweeps: 6,
            // From one start in three, sweeps of few shots of a pure chain end in a poor maximum.
            starts: if purification == 1 { 8 } else { 2 },
            readout: None,
            seed: Seed(1),
        }
    }

    fn validate(&self) -> Result<()> {
        for (name, value) in [("bond", self.bond), ("purification", self.purification), ("starts", self.starts)] {
            if value == 0 {
                return Err(Error::setting(name, 0, "give at least 1"));
            }
        }
        if let Optimiser::Adam { epochs, batch, rate } = self.optimiser {
            if epochs == 0 || batch == 0 {
                return Err(Error::setting("epochs, batch", format!("{epochs}, {batch}"), "give at least 1 of each"));
            }
            if !(rate > 0.0 && rate.is_finite()) {
                return Err(Error::setting("rate", rate, "give a positive number"));
            }
        }
        if self.optimiser == Optimiser::Sweeps && self.purification > 1 {
            return Err(Error::setting("optimiser", "sweeps", "sweeps are for pure chains; take lbfgs or adam"));
        }
        Ok(())
    }
}

/// What came of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainFit {
    /// The state.
    pub state: Lpdo,
    /// Negative log-likelihood per shot, nats.
    pub nll: f64,
    /// The loss after each iteration, sweep or epoch.
    pub curve: Vec<f64>,
}

/// Fits a chain to a record by maximum likelihood, `-sum w ln p(outcome | setting)`.
///
/// `start` is a state to go on from, such as that of an earlier fit to fewer shots. `watch` is told the loss as it falls, and ends the
/// fit by `false`; the state so far is returned.
///
/// # Errors
/// [`Error::Setting`] for impossible settings, [`Error::Shape`] if `start` has other sites; what a factorisation can meet.
pub fn fit_chain(
    shots: &Shots,
    settings: &ChainSettings,
    start: Option<&Lpdo>,
    watch: &mut dyn FnMut(f64) -> bool,
) -> Result<ChainFit> {
    fit_compiled(&Compiled::new(shots, settings.readout.as_ref())?, settings, None, start, watch)
}

/// The same of compiled rows; `preservation` is the weight of a penalty and what it asks for.
pub(super) fn fit_compiled(
    data: &Compiled,
    settings: &ChainSettings,
    preservation: Option<(f64, Preservation)>,
    start: Option<&Lpdo>,
    watch: &mut dyn FnMut(f64) -> bool,
) -> Result<ChainFit> {
    settings.validate()?;
    let mut curve = Vec::new();
    let going = std::cell::Cell::new(true);
    let mut tell = |value: f64| {
        curve.push(value);
        going.set(watch(value));
        going.get()
    };
    let kraus = start.map_or_else(|| vec![settings.purification; data.sites()], |s| s.purification().to_vec());
    let bond = start.map_or(settings.bond, |s| s.chain().bonds().into_iter().max().unwrap_or(1));
    let mut objective = Objective::new(data, bond, &kraus)?;
    objective.preservation = preservation;
    let mut sites = match start {
        Some(state) => {
            if state.dims() != data.dims {
                return Err(Error::shape("the state to start from: levels of the sites", state.dims(), &data.dims));
            }
            sites_of(state)
        }
        None => best_start(&objective, settings)?,
    };
    match settings.optimiser {
        Optimiser::Adam { epochs, batch, rate } => {
            let mut x = sites.flat();
            let mut adam = Adam::new(x.len());
            let steps = data.rows.div_ceil(batch);
            for epoch in 0..epochs {
                let order = permutation(data.rows, &mut settings.seed.stream("tomography epoch", epoch as u64));
                let mut total = 0.0;
                for (step, rows) in order.chunks(batch).enumerate() {
                    let rows: Vec<u32> = rows.iter().map(|&r| r as u32).collect();
                    let l = loss(&sites, data, &rows)?;
                    if !l.value.is_finite() {
                        return Err(Error::Diverged { what: format!("an impossible row in epoch {epoch}"), rate });
                    }
                    total += l.value * rows.iter().map(|&r| data.weights[r as usize]).sum::<f64>();
                    let done = (epoch * steps + step) as f64 / (epochs * steps) as f64;
                    let now = rate * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()));
                    adam.step(&mut x, &l.flat(), now);
                    sites.set(&x);
                }
                if !tell(total) {
                    break;
                }
            }
        }
        _ => {
            let pure = settings.purification == 1 && sites.kraus.iter().all(|&k| k == 1);
            if pure && data.vectors.is_some() && start.is_none() {
                let truncation = Truncation::none().max_bond(settings.bond).cutoff(1e-4);
                let mut last = f64::INFINITY;
                let chain =
                    sweeps(Mps::new(sites.tensors.clone())?, data, settings.sweeps, 6, &truncation, &mut |v| {
                        let on = tell(v) && last - v > 1e-5;
                        last = v;
                        on
                    })?;
                sites = sites_of(&Lpdo::pure(chain)?);
            }
            if settings.optimiser == Optimiser::Lbfgs && going.get() {
                minimise(&mut sites, &objective, settings.iterations, &mut tell)?;
            }
        }
    }
    let state = state_of(&sites, &data.dims)?;
    let nll = mean_nll(&sites_of(&state), data);
    Ok(ChainFit { state, nll, curve })
}

/// L-BFGS on all sites; the gauge is made canonical now and then, which keeps the problem well conditioned.
fn minimise(
    sites: &mut Sites,
    objective: &Objective,
    iterations: usize,
    tell: &mut dyn FnMut(f64) -> bool,
) -> Result<f64> {
    let mut left = iterations;
    let mut value = f64::INFINITY;
    while left > 0 {
        let settings = Lbfgs { iterations: left.min(200), memory: 20, fall: 1e-8, gradient: 1e-8 };
        let mut x = sites.flat();
        let mut probe = sites.clone();
        let mut going = true;
        let mut count = 0;
        let reached = lbfgs(
            &settings,
            &mut x,
            |x| {
                probe.set(x);
                let l = objective.at(&probe)?;
                let g = l.flat();
                Ok((l.value, g))
            },
            |_, v| {
                count += 1;
                going = tell(v);
                going
            },
        )?;
        sites.set(&x);
        let settled = count < settings.iterations || value - reached < 1e-8;
        value = reached;
        left -= count.clamp(1, left);
        if !going || settled {
            break;
        }
        *sites = sites_of(&state_of(sites, &objective.data.dims)?);
    }
    Ok(value)
}

/// The tensors of a state, its norm being 1.
pub(super) fn sites_of(state: &Lpdo) -> Sites {
    Sites { tensors: state.chain().tensors().to_vec(), kraus: state.purification().to_vec() }
}

fn state_of(sites: &Sites, dims: &[usize]) -> Result<Lpdo> {
    Lpdo::new(Mps::new(sites.tensors.clone())?, dims)
}

pub(super) fn mean_nll(sites: &Sites, data: &Compiled) -> f64 {
    -log_probabilities(sites, data).iter().zip(&data.weights).map(|(ln, w)| w * ln).sum::<f64>()
}

/// Of some random starts the one whose loss is lowest after a few steps.
fn best_start(objective: &Objective, settings: &ChainSettings) -> Result<Sites> {
    let data = objective.data;
    let mut best: Option<(f64, Sites)> = None;
    // Amplitudes of one sign, where nothing that was measured tells of phases: the sign can then not be learnt.
    let real = data.vectors.as_ref().is_some_and(|v| v.iter().flatten().all(|x| x.im == 0.0 && x.re >= 0.0));
    for index in 0..settings.starts as u64 {
        let seed = settings.seed.derive("start of tomography", index);
        let pure = settings.purification == 1;
        let bond = if pure { settings.bond.min(2) } else { settings.bond };
        let mut state = Lpdo::random(&data.dims, bond, settings.purification, if pure { 0.4 } else { 0.2 }, seed)?;
        if real && pure {
            let tensors =
                state.chain().tensors().iter().map(|a| a.mapv(|x| num_complex::Complex64::new(x.norm() + 0.05, 0.0)));
            state = Lpdo::new(Mps::new(tensors.collect())?, &data.dims)?;
        }
        let mut sites = sites_of(&state);
        if settings.starts == 1 {
            return Ok(sites);
        }
        let value = if pure && data.vectors.is_some() {
            let truncation = Truncation::none().max_bond(settings.bond).cutoff(1e-4);
            let mut value = f64::INFINITY;
            let chain = sweeps(Mps::new(sites.tensors.clone())?, data, 1, 4, &truncation, &mut |v| {
                value = v;
                true
            })?;
            sites = sites_of(&Lpdo::pure(chain)?);
            value
        } else {
            minimise(&mut sites, objective, 10, &mut |_| true)?
        };
        if best.as_ref().is_none_or(|b| value < b.0) {
            best = Some((value, sites));
        }
    }
    best.map(|b| b.1).ok_or_else(|| Error::setting("starts", 0, "give at least 1"))
}

/// `ln p(outcome | setting)` of every row, nats.
///
/// # Errors
/// [`Error::Shape`] if the record has other sites than the state.
pub fn log_likelihoods(state: &Lpdo, shots: &Shots, readout: Option<&Readout>) -> Result<Vec<f64>> {
    if state.dims() != shots.dims() {
        return Err(Error::shape("a record: levels of the sites", shots.dims(), state.dims()));
    }
    Ok(log_probabilities(&sites_of(state), &Compiled::new(shots, readout)?))
}

/// Negative log-likelihood per shot, nats.
///
/// # Errors
/// As [`log_likelihoods`].
pub fn nll(state: &Lpdo, shots: &Shots, readout: Option<&Readout>) -> Result<f64> {
    let total = shots.total() as f64;
    let lns = log_likelihoods(state, shots, readout)?;
    Ok(-lns.iter().zip(shots.counts()).map(|(ln, &c)| c as f64 / total * ln).sum::<f64>())
}

/// Shots up to which several divisions into training and held-out shots are averaged over, as one decides by chance.
const FEW_SHOTS: u64 = 5000;
/// So many divisions.
const DIVISIONS: u64 = 5;

/// The divisions of a record into training and held-out shots by which [`choose_bond`] judges.
///
/// # Errors
/// As [`Shots::split`].
pub fn divisions(shots: &Shots, held_out: f64, seed: Seed) -> Result<Vec<(Shots, Shots)>> {
    let several = if shots.total() <= FEW_SHOTS { DIVISIONS } else { 1 };
    let division = |number: u64| {
        let seed = if number == 0 { seed } else { seed.derive("division", number) };
        shots.split(held_out, seed)
    };
    (0..several).map(division).collect()
}

/// The bond among `bonds` whose fit to part of the shots predicts the held-out rest best, with the held-out losses: the mean over five
/// random divisions up to 5000 shots, that of one division beyond.
///
/// Tried in order; the search ends after two that are no better than the best.
///
/// # Errors
/// As [`fit_chain`] and [`Shots::split`].
pub fn choose_bond(
    shots: &Shots,
    settings: &ChainSettings,
    bonds: &[usize],
    held_out: f64,
    watch: &mut dyn FnMut(usize, f64) -> bool,
) -> Result<(usize, Vec<(usize, f64)>)> {
    let divisions = divisions(shots, held_out, settings.seed)?;
    let mut tried: Vec<(usize, f64)> = Vec::new();
    let mut best: Option<(usize, f64)> = None;
    let mut worse = 0;
    for &bond in bonds {
        let settings = ChainSettings { bond, ..settings.clone() };
        let losses = crate::parallel::map(divisions.iter().collect(), |(train, valid): &(Shots, Shots)| {
            let fit = fit_chain(train, &settings, None, &mut |_| true)?;
            nll(&fit.state, valid, settings.readout.as_ref())
        });
        let losses = losses.into_iter().collect::<Result<Vec<f64>>>()?;
        let held = losses.iter().sum::<f64>() / losses.len() as f64;
        tried.push((bond, held));
        if best.is_none_or(|b| held < b.1 - 1e-6) {
            best = Some((bond, held));
            worse = 0;
        } else {
            worse += 1;
        }
        if !watch(bond, held) || worse == 2 {
            break;
        }
    }
    let best = best.ok_or_else(|| Error::Empty { what: "the list of bonds to try".into() })?;
    Ok((best.0, tried))
}
