//! Simulation by a matrix product state.

use std::sync::Arc;

use ndarray::Array2;
use num_complex::{Complex, Complex64};
use rand::RngExt;

use super::fuse::{Fused, fuse};
use super::operator::operator;
use super::program::{Program, Step};
use super::register::{Register, Shooter};
use super::{Method, Sampler, Simulator, check_bits, check_marginal};
use crate::chain::{Mpo, Mps, OpSum, Toward};
use crate::circuit::circuit::Circuit;
use crate::circuit::matrix::Matrix;
use crate::circuit::pauli::PauliSum;
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, matmul};
use crate::random::{Seed, Stream};
use crate::scalar::{LogScaled, Real, Scalar};

/// A fidelity below which a warning goes to the log.
const LOW: f64 = 0.99;

/// Bonds beyond which a state is refused: a matrix of the next cut would take 16 GiB.
const MAX_BOND: usize = 1 << 14;

/// Simulates by a matrix product state whose sites are the qubits in order: hundreds of qubits, as long as no cut between
/// qubits is much entangled.
///
/// Gates of one qubit go into those of two, gates on neighbours are one cut, any other gate is a matrix product operator
/// between its outermost qubits. Every cut is the best one at its bond; the shares that they keep multiply up to an
/// estimate of the fidelity `|<exact|found>|^2` (Zhou, Stoudenmire and Waintal, PRX 10, 041038).
#[derive(Debug, Clone)]
pub struct MpsSimulator<T>
where
    Complex<T>: Scalar,
{
    truncation: Truncation,
    found: Option<Arc<Found<T>>>,
}

/// The state that a trial has found for a circuit.
#[derive(Debug)]
struct Found<T>
where
    Complex<T>: Scalar,
{
    circuit: Circuit,
    chain: Chain<T>,
}

/// What a matrix product state came to at the end of a circuit.
#[derive(Debug, Clone)]
pub struct MpsRun<T>
where
    Complex<T>: Scalar,
{
    /// The state, of norm 1; site `i` is qubit `i`.
    pub state: Mps<Complex<T>>,
    /// The product of the shares that the cuts have kept.
    pub fidelity_estimate: f64,
    /// The largest bond on the way.
    pub max_bond: usize,
}

impl<T: Real> Default for MpsSimulator<T>
where
    Complex<T>: Scalar,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Real> MpsSimulator<T>
where
    Complex<T>: Scalar,
{
    /// Without limit: only singular values that are rounding (below 1e-13 of the largest, 1e-6 in single precision) are
    /// dropped.
    #[must_use]
    pub fn new() -> Self {
        let rounding = if size_of::<T>() == 4 { 1e-6 } else { 1e-13 };
        MpsSimulator { truncation: Truncation::none().cutoff(rounding), found: None }
    }

    /// With bonds of at most `max_bond`.
    #[must_use]
    pub fn max_bond(mut self, max_bond: usize) -> Self {
        (self.truncation, self.found) = (self.truncation.max_bond(max_bond), None);
        self
    }

    /// Cut in this way after each gate.
    #[must_use]
    pub fn truncation(mut self, truncation: Truncation) -> Self {
        (self.truncation, self.found) = (truncation, None);
        self
    }
}

impl<T: Real> MpsSimulator<T>
where
    Complex<T>: Scalar<Real = T>,
{
    /// The state at the end of a circuit; measurements that end it are left out.
    ///
    /// # Errors
    /// [`Error::Circuit`] for a symbol without a value, and if the circuit has noise, measures, resets or has conditions
    /// before its end; [`Error::Setting`] for an impossible truncation; [`Error::Room`] beyond bonds of 16384.
    pub fn run(&self, circuit: &Circuit) -> Result<MpsRun<T>> {
        match self.found(circuit) {
            Some(chain) => chain.finished(),
            None => self.run_watched(circuit, usize::MAX, |_, _| Ok(())),
        }
    }

    /// As [`run`](Self::run); `watch` is told the number of instructions done and the state, after every `every` of them
    /// and at the end. It may look at entropies, and move the centre for it.
    ///
    /// ```
    /// use ansatz::circuit::{Circuit, MpsSimulator};
    /// let mut ghz = Circuit::new(50)?;
    /// ghz.h(0)?;
    /// for q in 1..50 {
    ///     ghz.cx(q - 1, q)?;
    /// }
    /// let mut entropies = Vec::new();
    /// MpsSimulator::<f64>::new().run_watched(&ghz, 10, |_, state| {
    ///     entropies.push(state.entanglement_entropy(24)?);
    ///     Ok(())
    /// })?;
    /// assert!(entropies[0].abs() < 1e-12 && (entropies[4] - 2f64.ln()).abs() < 1e-12);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), and what `watch` returns.
    pub fn run_watched(
        &self,
        circuit: &Circuit,
        every: usize,
        mut watch: impl FnMut(usize, &mut Mps<Complex<T>>) -> Result<()>,
    ) -> Result<MpsRun<T>> {
        let mut state = self.start(circuit)?;
        let every = every.max(1);
        let program = Program::new(circuit, |gates| {
            let parts = gates.chunk_by(|a, b| a.number / every == b.number / every);
            parts.map(|part| fuse(part, circuit.num_qubits())).collect::<Result<Vec<_>>>()
        })?;
        program.check_single()?;
        for (number, part) in program.first.iter().enumerate() {
            state.apply(part)?;
            if number + 1 < program.first.len() {
                watch((number + 1) * every, &mut state.state)?;
            }
        }
        watch(circuit.instructions().len(), &mut state.state)?;
        state.finished()
    }

    /// Runs the gates of a circuit as long as the estimated seconds stay below `limit`: the estimate, and the number of
    /// elements at the end. What was found is kept for the circuit if it ends there.
    pub(super) fn trial(&mut self, circuit: &Circuit, limit: f64) -> Result<(f64, usize)> {
        let mut chain = self.start(circuit)?;
        let program = Program::new(circuit, |gates| fuse(gates, circuit.num_qubits()))?;
        chain.limit = limit;
        chain.apply(&program.first)?;
        for (_, step) in &program.rest {
            // What comes in between differs from shot to shot; the gates alone tell how it will go.
            if let Step::Gates(gates) = step {
                chain.apply(gates)?;
            }
        }
        let tried = (chain.work, chain.state.parameters());
        chain.limit = f64::INFINITY;
        self.found = program.rest.is_empty().then(|| Arc::new(Found { circuit: circuit.clone(), chain }));
        Ok(tried)
    }

    /// What a trial has found for this circuit.
    fn found(&self, circuit: &Circuit) -> Option<Chain<T>> {
        self.found.as_deref().filter(|found| found.circuit == *circuit).map(|found| found.chain.clone())
    }

    fn start(&self, circuit: &Circuit) -> Result<Chain<T>> {
        self.truncation.validate()?;
        if circuit.num_qubits() == 0 {
            return Err(Error::Empty { what: "circuit (no qubits)".into() });
        }
        let zero = vec![Complex::<T>::from_f64(1.0), Complex::<T>::from_f64(0.0)];
        let mut state = Mps::product(&vec![zero; circuit.num_qubits()])?;
        state.move_centre(0)?;
        Ok(self.chain(state))
    }

    /// A state that gates are to be applied to.
    pub(super) fn chain(&self, state: Mps<Complex<T>>) -> Chain<T> {
        Chain { state, truncation: self.truncation, fidelity: 1.0, largest: 1, work: 0.0, limit: f64::INFINITY }
    }

    pub(super) fn cuts(&self) -> &Truncation {
        &self.truncation
    }
}

impl<T: Real> Simulator for MpsSimulator<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn method(&self) -> Method {
        Method::Mps
    }

    fn sampler(&self, circuit: &Circuit, seed: Seed) -> Result<Box<dyn Sampler>> {
        let program = Program::new(circuit, |gates| fuse(gates, circuit.num_qubits()))?;
        Ok(match self.found(circuit) {
            Some(chain) => Box::new(Shooter::after(chain, program, seed)?),
            None => Box::new(Shooter::new(self.start(circuit)?, program, seed)?),
        })
    }

    fn amplitude(&self, circuit: &Circuit, bits: &[u8]) -> Result<LogScaled<Complex64>> {
        check_bits(circuit, bits)?;
        let amplitude = self.run(circuit)?.state.amplitude(bits)?;
        Ok(LogScaled::new(amplitude.phase().to_c64(), amplitude.ln_abs()))
    }

    fn expectation(&self, circuit: &Circuit, observable: &PauliSum) -> Result<f64> {
        observable.check(circuit.num_qubits())?;
        let state = self.run(circuit)?.state;
        if observable.terms().next().is_none() {
            return Ok(0.0);
        }
        let operator: Mpo<Complex<T>> = mpo(observable, &state.dims())?;
        Ok(operator.expectation(&state)?.re().to_f64())
    }

    fn marginal(&self, circuit: &Circuit, qubits: &[usize]) -> Result<Vec<f64>> {
        check_marginal(circuit.num_qubits(), qubits)?;
        marginal(self.run(circuit)?.state, qubits)
    }

    fn fidelity_estimate(&self, circuit: &Circuit) -> Result<f64> {
        Ok(self.run(circuit)?.fidelity_estimate)
    }
}

/// An observable that has terms as an operator.
pub(super) fn mpo<T: Scalar>(observable: &PauliSum, dims: &[usize]) -> Result<Mpo<T>> {
    let mut sum = OpSum::new(dims);
    for (string, factor) in observable.terms() {
        if string.is_empty() {
            sum.add_constant(factor)?;
        } else {
            let word: Vec<_> = string.iter().map(|(&q, p)| (p.name(), q)).collect();
            sum.add(factor, word)?;
        }
    }
    sum.to_mpo()
}

/// Outcomes of some sites, the first one given most significant.
fn marginal<T: Scalar>(mut state: Mps<T>, qubits: &[usize]) -> Result<Vec<f64>> {
    let mut sites: Vec<usize> = qubits.to_vec();
    sites.sort_unstable();
    let Some((&first, &last)) = sites.first().zip(sites.last()) else { return Ok(vec![1.0]) };
    state.move_centre(first)?;
    // By prefix of outcomes, in the order of the sites: `[bra bond, ket bond]` of each.
    let mut prefixes = vec![Array2::<T>::eye(state.tensors()[first].dim().0)];
    for site in first..=last {
        let a = &state.tensors()[site];
        let halves: Vec<Array2<T>> = (0..2).map(|s| a.index_axis(ndarray::Axis(1), s).to_owned()).collect();
        let branch = |x: &Array2<T>, half: &Array2<T>| {
            let right = matmul(&x.view(), Op::None, &half.view(), Op::None);
            matmul(&half.view(), Op::Adjoint, &right.view(), Op::None)
        };
        let kept = sites.binary_search(&site).is_ok();
        prefixes = prefixes
            .iter()
            .flat_map(|x| {
                let [zero, one] = [branch(x, &halves[0]), branch(x, &halves[1])];
                if kept { vec![zero, one] } else { vec![zero + one] }
            })
            .collect();
    }
    let mut marginal = vec![0.0; prefixes.len()];
    for (index, x) in prefixes.iter().enumerate() {
        let bit = |q: &usize| index >> (sites.len() - 1 - sites.binary_search(q).unwrap_or(0)) & 1;
        let place = qubits.iter().fold(0, |place, q| place * 2 + bit(q));
        marginal[place] = x.diag().iter().map(|z| z.re().to_f64()).sum::<f64>().max(0.0);
    }
    let total: f64 = marginal.iter().sum();
    marginal.iter_mut().for_each(|p| *p /= total);
    Ok(marginal)
}

/// A state on its way.
#[derive(Debug, Clone)]
pub(super) struct Chain<T>
where
    Complex<T>: Scalar,
{
    pub state: Mps<Complex<T>>,
    truncation: Truncation,
    fidelity: f64,
    largest: usize,
    /// Estimated seconds so far, and how many there may be.
    work: f64,
    limit: f64,
}

pub(super) fn dense<T: Real>(matrix: &Matrix) -> Array2<Complex<T>>
where
    Complex<T>: Scalar,
{
    let dim = matrix.dim();
    Array2::from_shape_fn((dim, dim), |(i, j)| {
        let z = matrix.get(i, j);
        Complex::<T>::from_parts(z.re, z.im)
    })
}

impl<T: Real> Chain<T>
where
    Complex<T>: Scalar<Real = T>,
{
    /// A gate; `next` is the first site of what comes after it, towards which the centre moves.
    pub(super) fn gate(&mut self, gate: &Fused, next: Option<usize>) -> Result<()> {
        match gate {
            Fused::Whole { qubits, matrix } => match qubits[..] {
                [] => self
                    .state
                    .scale(LogScaled::from(Complex::<T>::from_parts(matrix.entries()[0].re, matrix.entries()[0].im))),
                [q] => self.state.apply_unitary(q, &dense(matrix))?,
                [a, b] if a.abs_diff(b) == 1 => {
                    let matrix = if a < b { dense(matrix) } else { dense(&matrix.reordered(&[1, 0])) };
                    let bond = a.min(b);
                    let toward = if next.is_some_and(|n| n > bond) { Toward::Right } else { Toward::Left };
                    let dropped = self.state.apply_pair(bond, &matrix, &self.truncation, toward)?;
                    self.cut(bond, bond + 1, 1.0 - dropped)?;
                }
                _ => self.long(gate)?,
            },
            Fused::Controlled { .. } => self.long(gate)?,
        }
        Ok(())
    }

    /// Of norm 1, with the centre at the first site.
    fn finished(mut self) -> Result<MpsRun<T>> {
        self.ready()?;
        if self.fidelity < LOW {
            tracing::warn!(fidelity = self.fidelity, max_bond = self.largest, "the state was cut");
        }
        Ok(MpsRun { state: self.state, fidelity_estimate: self.fidelity, max_bond: self.largest })
    }

    fn long(&mut self, gate: &Fused) -> Result<()> {
        let (first, tensors) = operator::<Complex<T>>(gate, |q| q)?;
        let kept = self.state.apply_operator(first, &tensors, &self.truncation)?;
        self.cut(first, first + tensors.len() - 1, kept)
    }

    /// Takes note of what a cut has kept.
    fn cut(&mut self, from: usize, to: usize, kept: f64) -> Result<()> {
        self.fidelity *= kept.min(1.0);
        let bond = self.state.tensors()[from..to].iter().map(|a| a.dim().2).max().unwrap_or(1);
        self.largest = self.largest.max(bond);
        // A singular value decomposition for each cut; measured at 16 to 512 rows.
        self.work += (to - from) as f64 * (1e-5 + 3e-9 * (2.0 * bond as f64).powi(3));
        if self.work > self.limit {
            return Err(Error::Circuit { what: "the matrix product state takes longer than it may".into() });
        }
        if bond > MAX_BOND {
            let bytes = 4.0 * (bond as f64).powi(2) * 16.0 / 1e9;
            return Err(Error::Room {
                what: format!("matrix product state with a bond of {bond}"),
                needed: format!("{bytes:.1} GB for its next cut"),
                way_out: "set a largest bond".into(),
            });
        }
        Ok(())
    }
}

impl<T: Real> Register for Chain<T>
where
    Complex<T>: Scalar<Real = T>,
{
    type Gates = Vec<Fused>;

    fn apply(&mut self, gates: &Vec<Fused>) -> Result<()> {
        for (i, gate) in gates.iter().enumerate() {
            let next = gates[i + 1..].iter().find(|g| g.qubits().len() > 1);
            self.gate(gate, next.and_then(|g| g.qubits().iter().copied().min()))?;
        }
        Ok(())
    }

    fn measure(&mut self, qubit: usize, stream: &mut Stream) -> Result<bool> {
        let density = self.state.density_matrix(qubit..qubit + 1)?;
        let one = density[[1, 1]].re().to_f64().clamp(0.0, 1.0);
        let outcome = stream.random::<f64>() < one;
        let keep = if outcome { one } else { 1.0 - one };
        let mut projection = Array2::zeros((2, 2));
        projection[[usize::from(outcome); 2]] = Complex::<T>::from_f64(1.0 / keep.sqrt());
        self.state.apply_matrix(qubit, &projection)?;
        // The bonds around may carry less now; they are cut when a gate comes to them.
        Ok(outcome)
    }

    fn flip(&mut self, qubit: usize) -> Result<()> {
        let (zero, one) = (Complex::<T>::from_f64(0.0), Complex::<T>::from_f64(1.0));
        let x = Array2::from_shape_fn((2, 2), |(i, j)| if i == j { zero } else { one });
        self.state.apply_unitary(qubit, &x)
    }

    fn apply_matrix(&mut self, matrix: &Matrix, qubits: &[usize]) -> Result<()> {
        if let &[q] = qubits {
            return self.state.apply_matrix(q, &dense(matrix));
        }
        self.gate(&Fused::Whole { qubits: qubits.to_vec(), matrix: matrix.clone() }, None)
    }

    fn density(&mut self, qubits: &[usize]) -> Result<Vec<Complex64>> {
        let density = match *qubits {
            [a, b] if a < b => self.state.density_matrix_of_pair(a, b)?,
            [a, b] => {
                let swap = |i: usize| [0, 2, 1, 3][i];
                let other = self.state.density_matrix_of_pair(b, a)?;
                Array2::from_shape_fn((4, 4), |(i, j)| other[[swap(i), swap(j)]])
            }
            [q] => self.state.density_matrix(q..q + 1)?,
            _ => return Err(Error::Circuit { what: format!("density matrix of {} qubits", qubits.len()) }),
        };
        Ok(density.iter().map(|z| z.to_c64()).collect())
    }

    fn ready(&mut self) -> Result<()> {
        self.state.move_centre(0)?;
        self.state.normalise()?;
        Ok(())
    }

    fn draw(&self, stream: &mut Stream, bits: &mut [u8]) -> Result<()> {
        self.state.draw(|| stream.random(), bits);
        Ok(())
    }

    fn fidelity(&self) -> f64 {
        self.fidelity
    }
}
