//! Fits of chains: pure and locally purified.

use super::compiled::Compiled;
use super::dense::DENSE_FIT_LIMIT;
use super::density::dimension;
use super::few_sites::MOST_AMPLITUDES;
use super::likelihood::{Sites, log_probabilities, loss};
use super::objective::Objective;
use super::optimise::{Adam, Lbfgs, lbfgs};
use super::preservation::Preservation;
use super::readout::Readout;
use super::shots::Shots;
use super::start::best_start;
use super::state::Lpdo;
use super::sweep::{Improve, Rows, sweeps};
use super::symmetry::Symmetry;
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
    /// Random starts; the best after a few steps goes on. A pure state of eight sites and more has a third of them, the first
    /// by growing records.
    pub starts: usize,
    /// L-BFGS stops where the loss falls by less than this over ten iterations, nats per shot.
    pub fall: f64,
    /// The exponent `beta` of a hedged likelihood `L det(rho)^beta` (Blume-Kohout, PRL 105, 200504, 2010); 0 is maximum likelihood. To
    /// eight qubits, by L-BFGS, of chains whose purification allows for full rank.
    pub hedge: f64,
    /// The exponent `a` of a prior `exp(-a R)`, `R = sum over sites of ln |A_j|^2 - ln tr rho`; 0 is maximum likelihood. In the gauge where
    /// it is least, `R` of two sites is the Renyi entropy of order 1/2: it is small where Schmidt values fall off quickly.
    pub shrink: f64,
    /// What the state is taken to have: the fit is to the record together with its images.
    pub symmetries: Vec<Symmetry>,
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
            starts: if purification == 1 { 12 } else { 2 },
            fall: 1e-8,
            hedge: 0.0,
            shrink: 0.0,
            symmetries: Vec::new(),
            readout: None,
            seed: Seed(1),
        }
    }

    /// Whether sites of these levels are few enough, for this purification, for a hedged likelihood.
    #[must_use]
    pub fn can_hedge(&self, dims: &[usize]) -> bool {
        let d = dimension(dims);
        let amplitudes = dims.iter().fold(d, |a, _| a.saturating_mul(self.purification));
        d <= DENSE_FIT_LIMIT && amplitudes <= MOST_AMPLITUDES
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
        for (name, value) in [("fall", self.fall), ("hedge", self.hedge), ("shrink", self.shrink)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::setting(name, value, "give a number from 0 up"));
            }
        }
        if self.hedge > 0.0 && self.optimiser != Optimiser::Lbfgs {
            return Err(Error::setting("hedge", self.hedge, "a hedged likelihood is for L-BFGS; give 0 or take lbfgs"));
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
/// [`Error::Setting`] for impossible settings or a symmetry that the record cannot have, [`Error::Shape`] if `start` has other sites; what a factorisation can meet.
pub fn fit_chain(
    shots: &Shots,
    settings: &ChainSettings,
    start: Option<&Lpdo>,
    watch: &mut dyn FnMut(f64) -> bool,
) -> Result<ChainFit> {
    let readout = settings.readout.as_ref();
    if settings.symmetries.is_empty() {
        return fit_compiled(&Compiled::new(shots, readout)?, settings, None, start, watch);
    }
    if readout.is_some() {
        let expected = "sites may have unlike errors of the detector; give a symmetry or these errors, not both";
        return Err(Error::setting("symmetry", settings.symmetries[0].name(), expected));
    }
    let mut data = Compiled::new(&Symmetry::all(&settings.symmetries, shots)?, None)?;
    // Images are no more evidence against a prior.
    data.total = shots.total() as f64;
    let fit = fit_compiled(&data, settings, None, start, watch)?;
    Ok(ChainFit { nll: nll(&fit.state, shots, None)?, ..fit })
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
    let mut objective = Objective::new(data, bond, &kraus, settings.hedge)?;
    objective.preservation = preservation;
    objective.shrink = settings.shrink / data.total;
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
                let improve = Improve::Lbfgs(6);
                let begin = Mps::new(sites.tensors.clone())?;
                let chain = sweeps(begin, &Rows::all(data), settings.sweeps, improve, &truncation, &mut |v| {
                    let on = tell(v) && last - v > 1e-5;
                    last = v;
                    on
                })?;
                sites = sites_of(&Lpdo::pure(chain)?);
            }
            if settings.optimiser == Optimiser::Lbfgs && going.get() {
                minimise(&mut sites, &objective, settings.iterations, settings.fall, &mut tell)?;
            }
        }
    }
    let state = state_of(&sites, &data.dims)?;
    let nll = mean_nll(&sites_of(&state), data);
    Ok(ChainFit { state, nll, curve })
}

/// L-BFGS on all sites; the gauge is made canonical now and then, which keeps the problem well conditioned.
pub(super) fn minimise(
    sites: &mut Sites,
    objective: &Objective,
    iterations: usize,
    fall: f64,
    tell: &mut dyn FnMut(f64) -> bool,
) -> Result<f64> {
    let mut left = iterations;
    let mut value = f64::INFINITY;
    while left > 0 {
        let settings = Lbfgs { iterations: left.min(200), memory: 20, fall, gradient: 1e-8 };
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
        let settled = count < settings.iterations || value - reached < fall;
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
