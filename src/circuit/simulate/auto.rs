//! Which engine a circuit is given to.

use num_complex::Complex;

use super::clifford::CliffordSimulator;
use super::contract::ContractSimulator;
use super::density::DensityMatrix;
use super::mps::MpsSimulator;
use super::program::is_simple;
use super::purified::PurifiedSimulator;
use super::state::State;
use super::statevector::Statevector;
use super::{Method, Simulator};
use crate::circuit::circuit::Circuit;
use crate::circuit::instruction::Operation;
use crate::circuit::parameter::without_value;
use crate::error::Result;
use crate::scalar::{Real, Scalar};

/// What is wanted of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// So many shots.
    Shots(usize),
    /// One amplitude.
    Amplitude,
    /// Expectations of observables.
    Expectation,
}

/// The engine for a circuit, and why.
pub struct Choice {
    /// The engine.
    pub simulator: Box<dyn Simulator>,
    /// Its name.
    pub method: Method,
    /// The costs that were compared, in words.
    pub why: String,
    /// Seconds it is predicted to take, where that was worked out.
    pub seconds: Option<f64>,
}

/// Seconds for one amplitude and one gate, on one thread of the machine on which this was measured; only ratios count.
const PER_AMPLITUDE: f64 = 0.4e-9;
/// A statevector that is done sooner than this, in seconds, needs no other engine.
const SOON: f64 = 2e-3;
/// Seconds that a matrix product state may take where there is no statevector.
const LONG: f64 = 600.0;
/// The share of a statevector's time that may be spent to find out how a matrix product state does.
const TRIAL: f64 = 0.4;

/// Picks the engine for a circuit by predicted cost.
///
/// Clifford circuits go to the tableau. Of the others, the cost of the statevector is known beforehand, that of a matrix
/// product state is found out by running it for at most a share of the statevector's time, so a wrong turn costs no more than
/// that share; a right one is not run again. What neither can do goes to exact contraction. Expectations under noise go to the density
/// matrix, of more than 12 qubits to a locally purified chain.
///
/// ```
/// use ansatz::circuit::{Circuit, Method, Task, choose};
/// let mut ghz = Circuit::new(80)?;
/// ghz.h(0)?.t(0)?;
/// for q in 1..80 {
///     ghz.cx(q - 1, q)?;
/// }
/// let choice = choose::<f64>(&ghz, Task::Shots(100))?;
/// assert_eq!(choice.method, Method::Mps);
/// # Ok::<(), ansatz::Error>(())
/// ```
///
/// # Errors
/// [`crate::Error::Circuit`] for a symbol without a value.
pub fn choose<T: Real>(circuit: &Circuit, task: Task) -> Result<Choice>
where
    Complex<T>: Scalar<Real = T>,
{
    if let Some(symbol) = circuit.symbols().into_iter().next() {
        return Err(without_value(&symbol));
    }
    let (n, shots) = (circuit.num_qubits(), if let Task::Shots(shots) = task { shots } else { 0 });
    let noisy = circuit.instructions().iter().any(|i| matches!(i.operation, Operation::Channel { .. }));
    let made = |simulator: Box<dyn Simulator>, why: String, seconds: Option<f64>| {
        let method = simulator.method();
        Ok(Choice { simulator, method, why, seconds })
    };
    if noisy && task == Task::Expectation && n > super::density::MAX_QUBITS {
        let why = format!("an expectation of {n} qubits under noise needs a locally purified chain");
        return made(Box::<PurifiedSimulator<T>>::default(), why, None);
    }
    if noisy && task == Task::Expectation {
        return made(
            Box::new(DensityMatrix::<T>::new()),
            "an expectation under noise needs a density matrix".into(),
            None,
        );
    }
    let gates = circuit.instructions().iter().filter(|i| matches!(i.operation, Operation::Gate { .. })).count();
    let simple = is_simple(circuit);
    let runs = if simple { 1.0 } else { shots.max(1) as f64 };
    let dense = 2f64.powi(n.min(2000) as i32);
    let work = |gates: usize| 1e-5 + (gates as f64 + 2.0) * dense * PER_AMPLITUDE;
    let fits = State::<T>::check(n, 1).is_ok();
    let statevector = fits.then(|| runs * work(gates));
    if !(fits && statevector.is_some_and(|s| s < SOON))
        && task != Task::Amplitude
        && CliffordSimulator::check(circuit).is_ok()
    {
        return made(Box::new(CliffordSimulator::new()), "every gate is Clifford".into(), None);
    }
    if let Some(seconds) = statevector.filter(|&s| s < SOON) {
        return made(Box::new(Statevector::<T>::new()), format!("a statevector takes {seconds:.1e} s"), Some(seconds));
    }
    let limit = statevector.map_or(LONG, |s| TRIAL * s / runs);
    let mut mps = MpsSimulator::<T>::new();
    let trial = mps.trial(circuit, limit);
    let in_words = statevector.map_or_else(
        || format!("a statevector of {n} qubits does not fit into memory"),
        |s| format!("a statevector takes about {s:.1e} s"),
    );
    if let Ok((seconds, parameters)) = trial {
        // Each shot goes over all elements.
        let seconds = runs * seconds + shots as f64 * parameters as f64 * 2e-9;
        if statevector.is_none_or(|s| seconds < s) {
            let why = format!("a matrix product state takes about {seconds:.1e} s, {in_words}");
            return made(Box::new(mps), why, Some(seconds));
        }
    }
    let why = format!("{in_words}, and a matrix product state longer");
    if fits {
        return made(Box::new(Statevector::<T>::new()), why, statevector);
    }
    made(Box::<ContractSimulator<T>>::default(), why, None)
}
