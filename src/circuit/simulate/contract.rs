//! Simulation by exact contraction of networks.

use std::collections::{BTreeSet, HashMap};
use std::marker::PhantomData;
use std::sync::Mutex;
use std::time::Duration;

use num_complex::{Complex, Complex64};

use super::adjoint::{Gradient, turned};
use super::program::{Placed, Program, is_simple};
use super::register::pick;
use super::weave::{Weave, light_cone, tensor_entries};
use super::{Method, Sampler, Simulator, check_bits, check_marginal};
use crate::circuit::circuit::Circuit;
use crate::circuit::instruction::Operation;
use crate::circuit::matrix::Matrix;
use crate::circuit::pauli::{Pauli, PauliString, PauliSum};
use crate::error::{Error, Result};
use crate::network::{Budget, Contraction, Network, Plan, Planner, Simplify};
use crate::random::Seed;
use crate::scalar::{LogScaled, Real, Scalar};

/// Open qubits of a batch of amplitudes.
const MAX_BATCH: usize = 24;
/// Qubits that are drawn at once.
const GROUP: usize = 8;
/// The longest search for a plan.
const PATIENCE: Duration = Duration::from_secs(30);
/// `log2` of the multiplications beyond which a contraction is refused.
const MAX_WORK: f64 = 45.0;

/// Simulates by contracting networks exactly: amplitudes, batches of them, marginals and expectations within the light cone
/// of what is asked, and shots qubit by qubit from conditional probabilities.
///
/// Diagonal gates and controls are hyperedges. Plans are searched for with a fixed seed, and sliced to the budget.
#[derive(Debug, Clone, Copy)]
pub struct ContractSimulator<T> {
    budget: Budget,
    rounds: usize,
    precision: PhantomData<T>,
}

impl<T: Real> Default for ContractSimulator<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Real> ContractSimulator<T> {
    /// With 2 GiB for a contraction.
    #[must_use]
    pub fn new() -> Self {
        ContractSimulator { budget: Budget::bytes(2 << 30), rounds: 2, precision: PhantomData }
    }

    /// What a contraction may take.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Rounds of the search for plans.
    #[must_use]
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds.max(1);
        self
    }
}

/// The gates of a circuit that has a single final state.
fn gates(circuit: &Circuit) -> Result<Vec<Placed<'_>>> {
    if !is_simple(circuit) {
        Program::new(circuit, |_| Ok(()))?.check_single()?;
    }
    let mut gates = Vec::new();
    for (number, instruction) in circuit.instructions().iter().enumerate() {
        if let Operation::Gate { gate, qubits } = &instruction.operation {
            gates.push(Placed { number, gate, qubits });
        }
    }
    Ok(gates)
}

impl<T: Real> ContractSimulator<T>
where
    Complex<T>: Scalar<Real = T>,
{
    /// A plan for a network, refused if it is too much work.
    fn plan(&self, network: &Network<Complex<T>>) -> Result<Plan> {
        let planner = Planner::new().rounds(self.rounds);
        let planner = match self.budget.limit() {
            Some(bytes) => planner.max_bytes(bytes, <Complex<T> as Scalar>::KIND),
            None => planner,
        };
        let plan = planner.search(&network.equation()?, PATIENCE, Seed(1))?;
        let work = plan.cost().log2_flops;
        if work > MAX_WORK {
            let what = format!(
                "exact contraction of this circuit takes 2^{work:.1} multiplications in the best order found, more than \
                 2^{MAX_WORK}; ask for fewer qubits, or use the mps method with a largest bond"
            );
            return Err(Error::Circuit { what });
        }
        Ok(plan)
    }

    fn contracted(&self, network: &Network<Complex<T>>, order: &[String]) -> Result<(Vec<Complex64>, f64)> {
        let network = network.simplify(&Simplify::all())?;
        let plan = self.plan(&network)?;
        self.by_plan(&network, &plan, order)
    }

    /// The elements in the order of the open indices, and the logarithm of a factor in front.
    fn by_plan(&self, network: &Network<Complex<T>>, plan: &Plan, order: &[String]) -> Result<(Vec<Complex64>, f64)> {
        let result = Contraction::new(plan).budget(self.budget).run(network)?;
        let elements = result.mantissa().clone().into_array(order)?;
        Ok((elements.iter().map(|z| z.to_c64()).collect(), result.ln_scale()))
    }

    /// The network of an amplitude with the qubits left open for which there is no bit; names of the open indices.
    fn ket(&self, circuit: &Circuit, bits: &[Option<u8>]) -> Result<(Network<Complex<T>>, Vec<String>)> {
        let mut weave = Weave::<T>::new(circuit.num_qubits(), 'k');
        for placed in gates(circuit)? {
            weave.gate(&placed, false)?;
        }
        let mut open = Vec::new();
        for (qubit, bit) in bits.iter().enumerate() {
            let end = weave.end(qubit)?;
            match bit {
                Some(bit) => weave.vector(&end, unit(*bit))?,
                None => open.push(end),
            }
        }
        Ok((Network::with_open(weave.tensors, &open)?, open))
    }

    /// Amplitudes of all values of the qubits for which `bits` has `None`, `[2^open]`, the first of them most significant.
    ///
    /// ```
    /// use ansatz::circuit::{Circuit, ContractSimulator};
    /// let mut ghz = Circuit::new(60)?;
    /// ghz.h(0)?;
    /// for q in 1..60 {
    ///     ghz.cx(q - 1, q)?;
    /// }
    /// let mut bits = vec![Some(1); 60];
    /// bits[7] = None;
    /// let amplitudes = ContractSimulator::<f64>::new().amplitudes(&ghz, &bits)?;
    /// assert!(amplitudes[0].value().norm() < 1e-15 && (amplitudes[1].value().re - 0.5f64.sqrt()).abs() < 1e-12);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Simulator::amplitude`]; [`Error::Circuit`] beyond 24 open qubits.
    pub fn amplitudes(&self, circuit: &Circuit, bits: &[Option<u8>]) -> Result<Vec<LogScaled<Complex64>>> {
        let given: Vec<u8> = bits.iter().map(|bit| bit.unwrap_or(0)).collect();
        check_bits(circuit, &given)?;
        let open = bits.iter().filter(|bit| bit.is_none()).count();
        if open > MAX_BATCH {
            return Err(Error::Circuit { what: format!("amplitudes of {open} open qubits: at most {MAX_BATCH}") });
        }
        let (network, open) = self.ket(circuit, bits)?;
        let (elements, ln) = self.contracted(&network, &open)?;
        Ok(elements.into_iter().map(|z| LogScaled::new(z, ln)).collect())
    }

    /// `<psi| P |psi>` within the light cone of `P`.
    fn string(&self, circuit: &Circuit, gates: &[Placed<'_>], string: &PauliString) -> Result<f64> {
        let on: Vec<usize> = string.keys().copied().collect();
        if on.is_empty() {
            return Ok(1.0);
        }
        let cone = light_cone(gates, &on, circuit.num_qubits());
        let mut pair = Pair::<T>::new(circuit.num_qubits());
        pair.add(&cone)?;
        let network = pair.closed(&cone, &on, |ket| {
            string.iter().try_for_each(|(&q, p)| ket.matrix(&[], &pauli_matrix(*p), &[q], false))
        })?;
        let (value, ln) = self.contracted(&network, &[])?;
        Ok(value.first().map_or(0.0, |z| z.re) * ln.exp())
    }

    /// The expectation of an observable with `values` for the symbols of a circuit, and the derivatives by them, from the
    /// derivatives of each term's network by its tensors (one pass back over its plan).
    ///
    /// # Errors
    /// As [`Simulator::expectation`]; [`Error::Circuit`] for a symbol without a value.
    pub fn gradient(&self, circuit: &Circuit, values: &[(&str, f64)], observable: &PauliSum) -> Result<Gradient> {
        observable.check(circuit.num_qubits())?;
        let (symbols, values) = circuit.values(values)?;
        let gates = gates(circuit)?;
        let mut gradient = Gradient { value: 0.0, derivatives: vec![0.0; symbols.len()], symbols };
        for (string, factor) in observable.terms() {
            let on: Vec<usize> = string.keys().copied().collect();
            if on.is_empty() {
                gradient.value += factor;
                continue;
            }
            let cone = light_cone(&gates, &on, circuit.num_qubits());
            let mut pair = Pair::<T>::new(circuit.num_qubits());
            // The tensor of the ket that each derivative belongs to.
            let mut places = Vec::new();
            for placed in &cone {
                let turned = turned(placed.gate, &gradient.symbols, &values).map_err(|e| placed.at(e))?;
                let controls = placed.gate.controls();
                pair.bra.matrix(&controls, &turned.matrix, placed.qubits, true).map_err(|e| placed.at(e))?;
                // A matrix may be diagonal at these values by accident.
                let diagonal = turned.matrix.as_diagonal().is_some()
                    && turned.derivatives.iter().all(|(_, d)| d.as_diagonal().is_some());
                let made = pair.ket.place(&controls, &turned.matrix, placed.qubits, false, diagonal);
                made.map_err(|e| placed.at(e))?;
                for (chain, derivative) in turned.derivatives {
                    let legs = pair.ket.tensors.last().map(|t| t.legs().to_vec()).unwrap_or_default();
                    let entries = tensor_entries(&derivative, &controls, diagonal, Complex64::ZERO);
                    places.push((pair.ket.tensors.len() - 1, chain, legs, entries));
                }
            }
            let network = pair.closed(&cone, &on, |ket| {
                string.iter().try_for_each(|(&q, p)| ket.matrix(&[], &pauli_matrix(*p), &[q], false))
            })?;
            let plan = self.plan(&network)?;
            let found = network.gradient(&plan)?;
            gradient.value += factor * found.value().value().to_c64().re;
            for (place, chain, legs, entries) in places {
                let derivative = found.derivatives()[place].clone().into_tensor()?.into_array(&legs)?;
                let slope: f64 = derivative.iter().zip(&entries).map(|(d, e)| 2.0 * (d.to_c64() * e).re).sum();
                chain.iter().for_each(|&(i, by)| gradient.derivatives[i] += factor * by * slope);
            }
        }
        Ok(gradient)
    }

    /// The network of probabilities of `group`, open, with the qubits `before` open too, everything else traced out.
    fn probabilities(
        &self,
        circuit: &Circuit,
        gates: &[Placed<'_>],
        on: &[usize],
    ) -> Result<(Network<Complex<T>>, Vec<String>)> {
        let cone = light_cone(gates, on, circuit.num_qubits());
        let mut pair = Pair::<T>::new(circuit.num_qubits());
        pair.add(&cone)?;
        pair.tied(&cone, on)?;
        let open = on.iter().map(|&q| pair.ket.end(q)).collect::<Result<Vec<_>>>()?;
        Ok((pair.network(&open)?, open))
    }
}

/// A state and its conjugate.
struct Pair<T: Real>
where
    Complex<T>: Scalar,
{
    ket: Weave<T>,
    bra: Weave<T>,
}

impl<T: Real> Pair<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn new(qubits: usize) -> Self {
        Pair { ket: Weave::new(qubits, 'k'), bra: Weave::new(qubits, 'b') }
    }

    fn add(&mut self, cone: &[&Placed<'_>]) -> Result<()> {
        for placed in cone {
            self.ket.gate(placed, false)?;
            self.bra.gate(placed, true)?;
        }
        Ok(())
    }

    /// Joins the two at the ends of all qubits that were touched.
    fn tied(&mut self, cone: &[&Placed<'_>], on: &[usize]) -> Result<()> {
        let touched: BTreeSet<usize> = cone.iter().flat_map(|p| p.qubits).chain(on).copied().collect();
        for qubit in touched {
            let end = self.ket.end(qubit)?;
            self.bra.tie(qubit, &end)?;
        }
        Ok(())
    }

    fn network(mut self, open: &[String]) -> Result<Network<Complex<T>>> {
        self.ket.tensors.append(&mut self.bra.tensors);
        Network::with_open(self.ket.tensors, open)
    }

    /// With an operator in between, and nothing open.
    fn closed(
        mut self,
        cone: &[&Placed<'_>],
        on: &[usize],
        operator: impl FnOnce(&mut Weave<T>) -> Result<()>,
    ) -> Result<Network<Complex<T>>> {
        operator(&mut self.ket)?;
        self.tied(cone, on)?;
        self.network(&[])
    }
}

fn unit(bit: u8) -> [Complex64; 2] {
    if bit == 0 { [Complex64::ONE, Complex64::ZERO] } else { [Complex64::ZERO, Complex64::ONE] }
}

fn pauli_matrix(pauli: Pauli) -> Matrix {
    let (o, one) = ((0.0, 0.0), (1.0, 0.0));
    match pauli {
        Pauli::X => Matrix::of(&[o, one, one, o]),
        Pauli::Y => Matrix::of(&[o, (0.0, -1.0), (0.0, 1.0), o]),
        Pauli::Z => Matrix::of(&[one, o, o, (-1.0, 0.0)]),
    }
}

impl<T: Real> Simulator for ContractSimulator<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn method(&self) -> Method {
        Method::Contract
    }

    fn sampler(&self, circuit: &Circuit, seed: Seed) -> Result<Box<dyn Sampler>> {
        let gates = gates(circuit)?;
        let program = Program::new(circuit, |_| Ok(()))?;
        let wanted: Vec<usize> = if program.measures {
            let mut on: Vec<usize> = program.outcome.iter().flatten().copied().collect();
            on.sort_unstable();
            on.dedup();
            on
        } else {
            (0..circuit.num_qubits()).collect()
        };
        let mut groups = Vec::new();
        for start in (0..wanted.len()).step_by(GROUP) {
            let on = &wanted[..(start + GROUP).min(wanted.len())];
            let (network, names) = self.probabilities(circuit, &gates, on)?;
            // What is known of earlier qubits differs from shot to shot, so it comes after the simplification.
            let network = network.simplify(&Simplify::all())?;
            let (known, open) = names.split_at(start);
            let mut group = Group { network, known: known.to_vec(), open: open.to_vec(), plan: None };
            let plan = self.plan(&group.given(&vec![0; start])?)?;
            group.plan = Some(plan);
            groups.push(group);
        }
        Ok(Box::new(Conditionals { simulator: *self, groups, wanted, program, seed, memory: Mutex::default() }))
    }

    fn amplitude(&self, circuit: &Circuit, bits: &[u8]) -> Result<LogScaled<Complex64>> {
        check_bits(circuit, bits)?;
        let bits: Vec<Option<u8>> = bits.iter().map(|&bit| Some(bit)).collect();
        let amplitudes = self.amplitudes(circuit, &bits)?;
        Ok(amplitudes.first().copied().unwrap_or_else(LogScaled::zero))
    }

    fn expectation(&self, circuit: &Circuit, observable: &PauliSum) -> Result<f64> {
        observable.check(circuit.num_qubits())?;
        let gates = gates(circuit)?;
        let mut sum = 0.0;
        for (string, factor) in observable.terms() {
            sum += factor * self.string(circuit, &gates, string)?;
        }
        Ok(sum)
    }

    fn marginal(&self, circuit: &Circuit, qubits: &[usize]) -> Result<Vec<f64>> {
        check_marginal(circuit.num_qubits(), qubits)?;
        if qubits.is_empty() {
            return Ok(vec![1.0]);
        }
        let (network, open) = self.probabilities(circuit, &gates(circuit)?, qubits)?;
        Ok(normalised(&self.contracted(&network, &open)?.0))
    }
}

fn normalised(weights: &[Complex64]) -> Vec<f64> {
    let weights: Vec<f64> = weights.iter().map(|z| z.re.max(0.0)).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// Probabilities of some qubits, given all before them.
struct Group<T: Real>
where
    Complex<T>: Scalar,
{
    network: Network<Complex<T>>,
    known: Vec<String>,
    open: Vec<String>,
    plan: Option<Plan>,
}

impl<T: Real> Group<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn given(&self, bits: &[u8]) -> Result<Network<Complex<T>>> {
        let mut weave = Weave::<T>::new(0, 'p');
        for (name, &bit) in self.known.iter().zip(bits) {
            weave.vector(name, unit(bit))?;
        }
        let tensors = self.network.tensors().cloned().chain(weave.tensors).collect();
        Network::with_open(tensors, &self.open)
    }
}

/// Shots qubit by qubit; what a prefix leads to is remembered.
struct Conditionals<T: Real>
where
    Complex<T>: Scalar,
{
    simulator: ContractSimulator<T>,
    groups: Vec<Group<T>>,
    wanted: Vec<usize>,
    program: Program<()>,
    seed: Seed,
    memory: Mutex<HashMap<Vec<u8>, Vec<f64>>>,
}

/// Prefixes that are remembered.
const MEMORY: usize = 1 << 14;

impl<T: Real> Conditionals<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn shares(&self, group: &Group<T>, prefix: &[u8]) -> Result<Vec<f64>> {
        let locked = |e: std::sync::PoisonError<_>| e.into_inner();
        if let Some(shares) = self.memory.lock().unwrap_or_else(locked).get(prefix) {
            return Ok(shares.clone());
        }
        let network = group.given(prefix)?;
        let Some(plan) = &group.plan else { return Ok(Vec::new()) };
        let shares = normalised(&self.simulator.by_plan(&network, plan, &group.open)?.0);
        let mut memory = self.memory.lock().unwrap_or_else(|e| e.into_inner());
        if memory.len() < MEMORY {
            memory.insert(prefix.to_vec(), shares.clone());
        }
        Ok(shares)
    }
}

impl<T: Real> Sampler for Conditionals<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn width(&self) -> usize {
        self.program.width()
    }

    fn draw(&self, index: u64, bits: &mut [u8]) -> Result<()> {
        let mut stream = self.seed.stream("shot", index);
        let mut found: Vec<u8> = Vec::with_capacity(self.wanted.len());
        for group in &self.groups {
            let shares = self.shares(group, &found)?;
            let Some(chosen) = pick(&shares, &mut stream) else {
                return Err(Error::NotFinite { what: "probabilities of a conditional".into() });
            };
            let width = group.open.len();
            found.extend((0..width).map(|i| (chosen >> (width - 1 - i) & 1) as u8));
        }
        self.program.read_out(|qubit| self.wanted.binary_search(&qubit).map_or(0, |i| found[i]), bits, &mut stream);
        Ok(())
    }

    fn fidelity_estimate(&self) -> f64 {
        1.0
    }
}
