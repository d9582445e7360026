//! Any fit, and what is told of its state.

use super::chain_fit::{ChainSettings, fit_chain, nll};
use super::dense::{DENSE_FIT_LIMIT, DenseMethod, fit_dense};
use super::density::{self, dimension};
use super::observables::pauli_sum;
use super::readout::Readout;
use super::shots::Shots;
use super::state::Lpdo;
use crate::circuit::PauliSum;
use crate::error::Result;

/// How a state is estimated.
#[derive(Debug, Clone, PartialEq)]
pub enum Estimator {
    /// A pure or a purified chain.
    Chain(ChainSettings),
    /// A dense density matrix.
    Dense(DenseMethod, Option<Readout>),
}

/// An estimated state.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The state; a linear inversion that is not positive is projected.
    pub state: Lpdo,
    /// Negative log-likelihood per shot of the records it was fitted to, nats.
    pub nll: f64,
    /// The loss as it fell, where it is an iteration that tells.
    pub curve: Vec<f64>,
    /// Real parameters that the fit was free to choose, gauge not counted.
    pub parameters: usize,
}

impl Estimator {
    /// Estimates the state behind a record; a chain may go on from `start`.
    ///
    /// # Errors
    /// As [`fit_chain`] and [`fit_dense`].
    pub fn estimate(
        &self,
        shots: &Shots,
        start: Option<&Lpdo>,
        watch: &mut dyn FnMut(f64) -> bool,
    ) -> Result<Estimate> {
        match self {
            Estimator::Chain(settings) => {
                let fit = fit_chain(shots, settings, start, watch)?;
                let parameters = parameters(&fit.state);
                Ok(Estimate { state: fit.state, nll: fit.nll, curve: fit.curve, parameters })
            }
            Estimator::Dense(method, readout) => {
                let fit = fit_dense(shots, *method, readout.as_ref())?;
                let rho = match method {
                    DenseMethod::LinearInversion => density::project(&fit.rho.view())?,
                    _ => fit.rho,
                };
                let state = Lpdo::from_density(&rho, shots.dims())?;
                let d: usize = shots.dims().iter().product();
                let value = if fit.nll.is_finite() { fit.nll } else { nll(&state, shots, readout.as_ref())? };
                Ok(Estimate { state, nll: value, curve: Vec::new(), parameters: d * d - 1 })
            }
        }
    }

    /// Errors of the detector that the fit takes into account.
    #[must_use]
    pub fn readout(&self) -> Option<&Readout> {
        match self {
            Estimator::Chain(settings) => settings.readout.as_ref(),
            Estimator::Dense(_, readout) => readout.as_ref(),
        }
    }
}

/// Real parameters of a chain: entries less the gauge of bonds and purification legs, and the norm; no more than a density matrix has. Where
/// all amplitudes are real, as of a record that tells nothing of phases, half as many.
pub(super) fn parameters(state: &Lpdo) -> usize {
    let parts = if state.chain().tensors().iter().flatten().all(|x| x.im == 0.0) { 1 } else { 2 };
    let bonds: usize = state.chain().bonds().iter().map(|b| parts * b * b).sum();
    let purification: usize =
        state.purification().iter().map(|k| if parts == 1 { k * (k - 1) / 2 } else { k * k }).sum();
    let free = (parts * state.chain().parameters()).saturating_sub(bonds + purification + usize::from(parts == 1));
    let d = dimension(state.dims());
    free.min(d.saturating_mul(d) - 1).max(1)
}

/// What is asked of a state beside purity and entropies.
#[derive(Debug, Clone, Copy, Default)]
pub struct Questions<'a> {
    /// The state that was meant.
    pub target: Option<&'a Lpdo>,
    /// Sums of Pauli operators, of qubits; their values are called as they are written.
    pub observables: &'a [PauliSum],
}

impl<'a> Questions<'a> {
    /// How near the state is to this one.
    #[must_use]
    pub fn target(state: &'a Lpdo) -> Self {
        Questions { target: Some(state), observables: &[] }
    }
}

/// What is told of a state, by name: `purity`, `entropy` (nats) and `negativity` of the middle cut up to eight qubits, `fidelity` and
/// `trace_distance` with a target where there is one (the latter up to eight qubits), and observables.
///
/// # Errors
/// As [`Lpdo::fidelity`] and [`pauli_sum`].
pub fn quantities(state: &Lpdo, asked: &Questions) -> Result<Vec<(String, f64)>> {
    let dense = dimension(state.dims()) <= DENSE_FIT_LIMIT;
    let rho = if dense { Some(state.density()?) } else { None };
    let mut list = Vec::new();
    let purity = match &rho {
        Some(rho) => density::purity(&rho.view()),
        None => state.purity()?,
    };
    list.push(("purity".to_owned(), purity));
    if let Some(rho) = &rho {
        list.push(("entropy".into(), density::entropy(&rho.view())?));
        if state.sites() > 1 {
            list.push(("negativity".into(), density::negativity(&rho.view(), state.dims(), state.sites() / 2)?));
        }
    }
    if let Some(target) = asked.target {
        list.push(("fidelity".into(), state.fidelity(target)?));
        if let Some(rho) = &rho {
            list.push(("trace_distance".into(), density::trace_distance(&rho.view(), &target.density()?.view())?));
        }
    }
    for observable in asked.observables {
        list.push((observable.to_string(), pauli_sum(state, observable)?));
    }
    Ok(list)
}
