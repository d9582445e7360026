//! Simulation of noise by a locally purified chain.

use std::marker::PhantomData;

use ndarray::Array2;
use num_complex::{Complex, Complex64};
use rand::RngExt;

use super::fuse::{Fused, fuse};
use super::mps::dense;
use super::operator::operator;
use super::program::{Placed, Program};
use super::{Method, Sampler, Simulator, check_marginal};
use crate::chain::{Purified, Toward, operator_as};
use crate::circuit::circuit::Circuit;
use crate::circuit::instruction::Operation;
use crate::circuit::matrix::Matrix;
use crate::circuit::pauli::PauliSum;
use crate::error::{Error, Result};
use crate::linalg::Truncation;
use crate::random::Seed;
use crate::scalar::{LogScaled, Real, Scalar};

/// A fidelity below which a warning goes to the log.
const LOW: f64 = 0.99;
/// Kraus legs beyond which a state is refused: levels and leg of a site are drawn as one byte.
const MAX_LEG: usize = 128;
/// Bonds beyond which a state is refused.
const MAX_BOND: usize = 4096;

/// Simulates noise by a locally purified chain: many qubits, as long as the state is little entangled and not too mixed.
///
/// Every qubit has a Kraus leg beside its bonds, which a channel makes larger; both are cut by singular values with the
/// state canonical around them, and the shares that are kept multiply up to an estimate of a bound on the fidelity. So one run
/// gives what trajectories need many for. Measurements may only end the way of their qubit, and nothing may depend on them.
///
/// ```
/// use std::sync::Arc;
/// use ansatz::circuit::{Channel, Circuit, PurifiedSimulator, Simulator};
/// let mut circuit = Circuit::new(30)?;
/// circuit.h(0)?;
/// let noise = Arc::new(Channel::phase_flip(0.01)?);
/// for q in 1..30 {
///     circuit.cx(q - 1, q)?.channel(&noise, &[q])?;
/// }
/// let coherence = (0..30).map(|q| format!("X{q}")).collect::<Vec<_>>().join(" ");
/// let value = PurifiedSimulator::<f64>::new().expectation(&circuit, &coherence.parse()?)?;
/// assert!((value - 0.98_f64.powi(29)).abs() < 1e-10);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PurifiedSimulator<T> {
    bonds: Truncation,
    legs: Truncation,
    precision: PhantomData<T>,
}

/// What a locally purified chain came to at the end of a circuit.
#[derive(Debug, Clone)]
pub struct PurifiedRun<T>
where
    Complex<T>: Scalar,
{
    /// The state, of trace 1; site `i` is qubit `i`.
    pub state: Purified<Complex<T>>,
    /// The product of the shares that all cuts have kept: an estimate of a lower bound on the fidelity.
    pub fidelity_estimate: f64,
    /// The share of the trace that cuts of bonds have dropped.
    pub discarded_bonds: f64,
    /// The share of the trace that cuts of Kraus legs have dropped.
    pub discarded_legs: f64,
    /// The largest bond on the way.
    pub max_bond: usize,
    /// The largest Kraus leg on the way, once cut.
    pub max_leg: usize,
}

impl<T: Real> Default for PurifiedSimulator<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Real> PurifiedSimulator<T> {
    /// Without limits: only singular values that are rounding are dropped.
    #[must_use]
    pub fn new() -> Self {
        let rounding = if size_of::<T>() == 4 { 1e-6 } else { 1e-13 };
        let truncation = Truncation::none().cutoff(rounding);
        PurifiedSimulator { bonds: truncation, legs: truncation, precision: PhantomData }
    }

    /// With bonds of at most `max_bond`.
    #[must_use]
    pub fn max_bond(mut self, max_bond: usize) -> Self {
        self.bonds = self.bonds.max_bond(max_bond);
        self
    }

    /// With Kraus legs of at most `max_leg`.
    #[must_use]
    pub fn max_leg(mut self, max_leg: usize) -> Self {
        self.legs = self.legs.max_bond(max_leg);
        self
    }

    /// Cut bonds and Kraus legs in these ways.
    #[must_use]
    pub fn truncation(mut self, bonds: Truncation, legs: Truncation) -> Self {
        (self.bonds, self.legs) = (bonds, legs);
        self
    }
}

/// A state on its way.
struct Chain<T>
where
    Complex<T>: Scalar,
{
    run: PurifiedRun<T>,
    bonds: Truncation,
    legs: Truncation,
}

impl<T: Real> Chain<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn gates(&mut self, gates: &mut Vec<Placed<'_>>, qubits: usize) -> Result<()> {
        for gate in fuse(&std::mem::take(gates), qubits)? {
            match &gate {
                Fused::Whole { qubits, matrix } => match qubits[..] {
                    // A phase of the whole changes no mixed state.
                    [] => {}
                    [q] => self.run.state.apply_unitary(q, &dense(matrix))?,
                    [a, b] if a.abs_diff(b) == 1 => {
                        let matrix = if a < b { dense(matrix) } else { dense(&matrix.reordered(&[1, 0])) };
                        let dropped = self.run.state.apply_pair(a.min(b), &matrix, &self.bonds, Toward::Right)?;
                        self.note(1.0 - dropped, true)?;
                    }
                    _ => self.long(&gate)?,
                },
                Fused::Controlled { .. } => self.long(&gate)?,
            }
        }
        Ok(())
    }

    fn long(&mut self, gate: &Fused) -> Result<()> {
        let (first, tensors) = operator::<Complex<T>>(gate, |q| q)?;
        let kept = self.run.state.apply_operator(first, &tensors, &self.bonds)?;
        self.note(kept, true)
    }

    fn channel(&mut self, kraus: &[Matrix], qubits: &[usize]) -> Result<()> {
        match *qubits {
            [q] => {
                let operators: Vec<_> = kraus.iter().map(dense).collect();
                let dropped = self.run.state.apply_channel(q, &operators, &self.legs)?;
                self.note(1.0 - dropped, false)
            }
            [a, b] => {
                // Far apart, one of them is brought beside the other and back.
                let (low, high) = (a.min(b), a.max(b));
                let swap = exchange();
                for bond in (low + 1..high).rev() {
                    let dropped = self.run.state.apply_pair(bond, &swap, &self.bonds, Toward::Left)?;
                    self.note(1.0 - dropped, true)?;
                }
                let of = |k: &Matrix| if a < b { dense(k) } else { dense(&k.reordered(&[1, 0])) };
                let operators: Vec<_> = kraus.iter().map(of).collect();
                let dropped = self.run.state.apply_to_pair(low, &operators, &self.bonds, Toward::Right)?;
                self.note(1.0 - dropped, true)?;
                let mut kept = 1.0;
                for site in [low + 1, low] {
                    kept *= 1.0 - self.run.state.cut_leg(site, &self.legs)?;
                }
                self.note(kept, false)?;
                for bond in low + 1..high {
                    let dropped = self.run.state.apply_pair(bond, &swap, &self.bonds, Toward::Right)?;
                    self.note(1.0 - dropped, true)?;
                }
                Ok(())
            }
            _ => Err(Error::Circuit { what: format!("channel on {} qubits: give 1 or 2", qubits.len()) }),
        }
    }

    /// Takes note of what a cut has kept.
    fn note(&mut self, kept: f64, bond: bool) -> Result<()> {
        let run = &mut self.run;
        let kept = kept.clamp(0.0, 1.0);
        run.fidelity_estimate *= kept;
        let lost = if bond { &mut run.discarded_bonds } else { &mut run.discarded_legs };
        *lost = 1.0 - (1.0 - *lost) * kept;
        run.max_bond = run.max_bond.max(run.state.purification().max_bond());
        let leg = run.state.kraus().iter().copied().max().unwrap_or(1);
        // A channel on a pair cuts its bond before its legs.
        run.max_leg = if bond { run.max_leg } else { run.max_leg.max(leg) };
        let (what, found, way_out) = if run.max_bond > MAX_BOND {
            ("a bond", run.max_bond, "set a largest bond")
        } else if !bond && leg > MAX_LEG {
            ("a Kraus leg", leg, "set a largest Kraus leg")
        } else {
            return Ok(());
        };
        let bytes = 16.0 * 2.0 * (run.max_bond as f64).powi(2) * leg as f64 / 1e9;
        Err(Error::Room {
            what: format!("locally purified chain with {what} of {found}"),
            needed: format!("{bytes:.1} GB a site"),
            way_out: way_out.into(),
        })
    }
}

fn exchange<C: Scalar>() -> Array2<C> {
    Array2::from_shape_fn((4, 4), |(i, j)| if (i / 2, i % 2) == (j % 2, j / 2) { C::one() } else { C::zero() })
}

impl<T: Real> PurifiedSimulator<T>
where
    Complex<T>: Scalar<Real = T>,
{
    /// The state at the end of a circuit; measurements that end it are left out.
    ///
    /// # Errors
    /// [`Error::Circuit`] for a symbol without a value, and for a condition or a measurement after which its qubit is used;
    /// [`Error::Setting`] for an impossible truncation; [`Error::Room`] beyond bonds of 4096 or Kraus legs of 128.
    pub fn run(&self, circuit: &Circuit) -> Result<PurifiedRun<T>> {
        self.bonds.validate()?;
        self.legs.validate()?;
        let n = circuit.num_qubits();
        if n == 0 {
            return Err(Error::Empty { what: "circuit (no qubits)".into() });
        }
        let zero = vec![Complex::<T>::from_f64(1.0), Complex::<T>::from_f64(0.0)];
        let run = PurifiedRun {
            state: Purified::product(&vec![zero; n])?,
            fidelity_estimate: 1.0,
            discarded_bonds: 0.0,
            discarded_legs: 0.0,
            max_bond: 1,
            max_leg: 1,
        };
        let mut chain = Chain { run, bonds: self.bonds, legs: self.legs };
        let reset = super::density::reset_operators()?;
        let (mut measured, mut waiting) = (vec![false; n], Vec::new());
        for (number, instruction) in circuit.instructions().iter().enumerate() {
            super::density::check_deferred(number, instruction, &measured, "a locally purified chain")?;
            match &instruction.operation {
                Operation::Gate { gate, qubits } => waiting.push(Placed { number, gate, qubits }),
                Operation::Channel { channel, qubits } => {
                    chain.gates(&mut waiting, n)?;
                    chain.channel(channel.kraus(), qubits)?;
                }
                Operation::Reset { qubit } => {
                    chain.gates(&mut waiting, n)?;
                    chain.channel(&reset, &[*qubit])?;
                }
                Operation::Measure { qubit, .. } => measured[*qubit] = true,
                Operation::Barrier { .. } | Operation::Misread { .. } => {}
            }
        }
        chain.gates(&mut waiting, n)?;
        let mut run = chain.run;
        run.state.move_centre(0)?;
        run.state.normalise()?;
        if run.fidelity_estimate < LOW {
            tracing::warn!(fidelity = run.fidelity_estimate, max_bond = run.max_bond, "the mixed state was cut");
        }
        Ok(run)
    }
}

/// Draws shots of a mixed state.
struct Draws<T>
where
    Complex<T>: Scalar,
{
    run: PurifiedRun<T>,
    program: Program<()>,
    seed: Seed,
}

impl<T: Real> Sampler for Draws<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn width(&self) -> usize {
        self.program.width()
    }

    fn draw(&self, index: u64, bits: &mut [u8]) -> Result<()> {
        let mut stream = self.seed.stream("shot", index);
        let mut all = vec![0; self.program.qubits];
        self.run.state.draw(|| stream.random(), &mut all);
        self.program.read_out(|qubit| all[qubit], bits, &mut stream);
        Ok(())
    }

    fn fidelity_estimate(&self) -> f64 {
        self.run.fidelity_estimate
    }
}

impl<T: Real> Simulator for PurifiedSimulator<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn method(&self) -> Method {
        Method::Purified
    }

    fn sampler(&self, circuit: &Circuit, seed: Seed) -> Result<Box<dyn Sampler>> {
        let run = self.run(circuit)?;
        Ok(Box::new(Draws { run, program: super::density::readings(circuit)?, seed }))
    }

    fn amplitude(&self, _circuit: &Circuit, _bits: &[u8]) -> Result<LogScaled<Complex64>> {
        Err(Error::Circuit { what: "a mixed state has no amplitudes; use another method".into() })
    }

    fn expectation(&self, circuit: &Circuit, observable: &PauliSum) -> Result<f64> {
        observable.check(circuit.num_qubits())?;
        let state = self.run(circuit)?.state;
        let mut total = 0.0;
        for (string, factor) in observable.terms() {
            let word = string.iter().map(|(&q, p)| Ok((q, operator_as::<Complex<T>>(p.name(), 2)?)));
            total += factor * state.expectation(&word.collect::<Result<Vec<_>>>()?)?;
        }
        Ok(total)
    }

    fn marginal(&self, circuit: &Circuit, qubits: &[usize]) -> Result<Vec<f64>> {
        check_marginal(circuit.num_qubits(), qubits)?;
        let mut sites = qubits.to_vec();
        sites.sort_unstable();
        let ordered = self.run(circuit)?.state.marginal(&sites)?;
        let mut marginal = vec![0.0; ordered.len()];
        for (index, p) in ordered.iter().enumerate() {
            let bit = |q: &usize| index >> (sites.len() - 1 - sites.binary_search(q).unwrap_or(0)) & 1;
            marginal[qubits.iter().fold(0, |place, q| place * 2 + bit(q))] = *p;
        }
        Ok(marginal)
    }

    fn fidelity_estimate(&self, circuit: &Circuit) -> Result<f64> {
        Ok(self.run(circuit)?.fidelity_estimate)
    }
}
