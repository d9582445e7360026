//! Fits of channels.

use ndarray::Array2;
use num_complex::Complex64;

use super::super::chain_fit::{ChainSettings, Optimiser, fit_compiled, mean_nll, sites_of};
use super::super::dense::DENSE_FIT_LIMIT;
use super::super::density::{dense_dimension, of_eigenvalues, partial_trace};
use super::super::preservation::Preservation;
use super::super::products::Products;
use super::super::readout::Readout;
use super::channel::{Process, interleaved};
use super::record::ProcessShots;
use crate::error::{Error, Result};
use crate::linalg::{Op, matmul};

/// Settings of [`fit_process`].
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessSettings {
    /// Of the chain; purification 1 is a single Kraus operator, a unitary.
    pub chain: ChainSettings,
    /// The deviation of the trace ([`Process::deviation`]) at which it counts as preserved.
    pub tolerance: f64,
}

impl ProcessSettings {
    /// A chain of this bond and purification, the trace preserved to `1e-4`.
    #[must_use]
    pub fn new(bond: usize, purification: usize) -> Self {
        ProcessSettings { chain: ChainSettings::new(bond, purification), tolerance: 1e-4 }
    }
}

/// What came of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessFit {
    /// The channel.
    pub process: Process,
    /// Negative log-likelihood per shot given input and setting, nats.
    pub nll: f64,
    /// How far the trace is from being preserved, [`Process::deviation`]; above the tolerance only if the fit was ended early.
    pub deviation: f64,
    /// The loss, penalty included, after each iteration.
    pub curve: Vec<f64>,
}

/// Largest weight of the penalty.
const HEAVIEST: f64 = 1e9;

/// Fits a channel to a record by maximum likelihood.
///
/// The loss is that of the Choi state plus `weight |T - 1|^2 / d`, `T = tr_out J`; the weight grows tenfold until the trace is preserved to
/// the tolerance, each fit going on from the one before. `watch` is told the loss and ends the fit by `false`.
///
/// # Errors
/// As [`super::super::fit_chain`]; [`Error::Setting`] for a tolerance below `1e-7`, which rounding does not allow, or one that is not met.
pub fn fit_process(
    record: &ProcessShots,
    settings: &ProcessSettings,
    start: Option<&Process>,
    watch: &mut dyn FnMut(f64) -> bool,
) -> Result<ProcessFit> {
    if !(settings.tolerance >= 1e-7) {
        let expected = "give 1e-7 or more: rounding leaves 1e-8";
        return Err(Error::setting("tolerance", settings.tolerance, expected));
    }
    if settings.chain.optimiser != Optimiser::Lbfgs {
        return Err(Error::setting("optimiser", "other than lbfgs", "a channel is fitted by L-BFGS"));
    }
    if start.is_some_and(|s| s.inputs() != record.inputs()) {
        return Err(Error::shape("the channel to start from: inputs", start.map(Process::inputs), record.inputs()));
    }
    let data = record.compiled(settings.chain.readout.as_ref())?;
    let preservation = Preservation { inputs: record.inputs().to_vec() };
    let mut going = true;
    let mut curve = Vec::new();
    let mut chain = settings.chain.clone();
    let mut weight = 1.0;
    let mut state = start.map(|s| s.choi().clone());
    loop {
        let keep = Some((weight, preservation.clone()));
        let fit = fit_compiled(&data, &chain, keep, state.as_ref(), &mut |value| {
            going = watch(value);
            going
        })?;
        curve.extend(fit.curve);
        let process = Process::new(fit.state, record.inputs())?;
        let deviation = process.deviation()?;
        if deviation <= settings.tolerance || !going {
            let nll = mean_nll(&sites_of(process.choi()), &data) - ln_levels(record);
            return Ok(ProcessFit { process, nll, deviation, curve });
        }
        weight *= 10.0;
        if weight > HEAVIEST {
            let expected =
                format!("the trace is preserved to {deviation:.1e} only; give that or more, or more iterations");
            return Err(Error::setting("tolerance", format!("{:.1e}", settings.tolerance), expected));
        }
        chain.bond = chain.bond.max(process.choi().chain().bonds().into_iter().max().unwrap_or(1));
        state = Some(process.choi().clone());
    }
}

/// `ln d`, with `d` the levels of all inputs: `p = d tr(Omega rho_J)` in place of `tr(Omega rho_J)`.
fn ln_levels(record: &ProcessShots) -> f64 {
    record.inputs().iter().map(|&d| (d as f64).ln()).sum()
}

/// Negative log-likelihood per shot of a channel, given input and setting, nats.
///
/// # Errors
/// [`Error::Shape`] if the sites differ.
pub fn process_nll(process: &Process, record: &ProcessShots, readout: Option<&Readout>) -> Result<f64> {
    if process.inputs() != record.inputs() || process.outputs() != record.outputs() {
        let found = (process.inputs().to_vec(), process.outputs());
        return Err(Error::shape("a channel: inputs and outputs", found, (record.inputs(), record.outputs())));
    }
    Ok(mean_nll(&sites_of(process.choi()), &record.compiled(readout)?) - ln_levels(record))
}

/// A dense estimate of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseProcessFit {
    /// The channel.
    pub process: Process,
    /// Negative log-likelihood per shot given input and setting, nats.
    pub nll: f64,
    /// Iterations that it took.
    pub iterations: usize,
}

/// The maximum of the likelihood among all channels, to four qubits, by the iteration `J -> L^-1 R J R L^-1` with
/// `L = sqrt(tr_out(R J R))`, which preserves the trace at every step (Fiurášek and Hradil, PRA 63, 020101, 2001).
///
/// # Errors
/// [`Error::Setting`] beyond four qubits; what an eigensolver can meet.
pub fn fit_process_dense(record: &ProcessShots, readout: Option<&Readout>) -> Result<DenseProcessFit> {
    let data = record.compiled(readout)?;
    let dimension = dense_dimension(&data.dims)?;
    if dimension > DENSE_FIT_LIMIT {
        let expected = format!("at most {DENSE_FIT_LIMIT} (4 qubits) for a dense fit of a channel; fit a chain");
        return Err(Error::setting("dimension of the Choi state", dimension, expected));
    }
    let products = Products::new(&data.dims, &data.index, &data.elements)?;
    let (inputs, outputs) = (record.inputs(), record.outputs());
    let d: usize = inputs.iter().product();
    let e: usize = outputs.iter().product();
    let places = interleaved(inputs, outputs)?;
    // Sites parted into inputs and outputs, as the Choi state has them.
    let legs: Vec<usize> = inputs.iter().zip(outputs).flat_map(|(&i, &o)| [i, o]).collect();
    let keep: Vec<bool> = (0..legs.len()).map(|k| k % 2 == 0).collect();
    let mut choi = Array2::<Complex64>::eye(dimension).mapv(|x| x / dimension as f64);
    let mut values: Vec<f64> = Vec::new();
    for _ in 0..20_000 {
        let p = products.expectations(&products.coordinates(&choi));
        let value = -data.weights.iter().zip(&p).map(|(w, p)| w * p.ln()).sum::<f64>();
        if !value.is_finite() {
            return Err(Error::NotFinite { what: "the likelihood of a channel".into() });
        }
        values.push(value);
        if values.len() > 20 && values[values.len() - 21] - value < 1e-10 {
            break;
        }
        let ratios: Vec<f64> = data.weights.iter().zip(&p).map(|(w, p)| w / p).collect();
        let r = products.matrix(&products.combination(&ratios))?;
        let half = matmul(&r.view(), Op::None, &choi.view(), Op::None);
        let raw = matmul(&half.view(), Op::None, &r.view(), Op::None);
        let traced = partial_trace(&raw.view(), &legs, &keep)?;
        let root = of_eigenvalues(&traced.view(), |x| 1.0 / (d as f64 * x.max(1e-300)).sqrt())?;
        let mut wide = Array2::<Complex64>::zeros((dimension, dimension));
        for i in 0..d {
            for j in 0..d {
                (0..e).for_each(|o| wide[[places[i * e + o], places[j * e + o]]] = root[[i, j]]);
            }
        }
        let left = matmul(&wide.view(), Op::None, &raw.view(), Op::None);
        let next = matmul(&left.view(), Op::None, &wide.view(), Op::None);
        choi = Array2::from_shape_fn(next.dim(), |(i, j)| (next[[i, j]] + next[[j, i]].conj()) / 2.0);
    }
    let trace: f64 = choi.diag().iter().map(|x| x.re).sum();
    choi.mapv_inplace(|x| x / trace);
    let process = Process::new(super::super::Lpdo::from_density(&choi, &data.dims)?, inputs)?;
    let nll = values.last().copied().unwrap_or(f64::NAN) - ln_levels(record);
    Ok(DenseProcessFit { process, nll, iterations: values.len() })
}
