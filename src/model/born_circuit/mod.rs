//! The quantum circuit Born machine.

mod distribution;

use crate::circuit::{Circuit, Operation, Parameter, Statevector};
use crate::error::{Error, Result};
use crate::model::{Batch, ChowLiu, GenerativeModel, Kernel};
use crate::random::Seed;
use rand::RngExt;

/// Which qubits are entangled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entangler {
    /// Each with the next.
    Line,
    /// Each with the ones right of it and below, row by row.
    Grid {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
    /// These pairs, the control first, such as the edges of [`ChowLiu`].
    Pairs(Vec<(usize, usize)>),
}

/// What a circuit Born machine is trained on.
#[derive(Debug, Clone, PartialEq)]
pub enum CircuitLoss {
    /// The maximum mean discrepancy under a kernel.
    Mmd(Kernel),
    /// The mean negative log-likelihood, nats; less the entropy of the data it is the relative entropy.
    Nll,
}

impl CircuitLoss {
    /// The loss of the distribution `p` and its derivatives by it.
    fn of(&self, p: &[f64], target: &[f64]) -> Result<(f64, Vec<f64>)> {
        match self {
            CircuitLoss::Mmd(kernel) => kernel.discrepancy(p, target),
            CircuitLoss::Nll => nll(p, target),
        }
    }
}

/// `p(x) = |<x| U |0>|^2` with layers of rotations `Rz Rx Rz` on every qubit and CNOTs in between.
///
/// `depth + 1` layers of rotations alternate with `depth` of CNOTs. The first `Rz` of the first layer and the last of the
/// last one change no probability and are left out, so there are `(3 depth + 1) qubits` angles. Liu and Wang, PRA 98, 062324
/// (2018).
///
/// ```
/// use ansatz::model::{BornCircuit, CircuitLoss, Distance, Entangler, Kernel};
/// use ansatz::{GenerativeModel, Seed, train::Minimiser};
/// let model = BornCircuit::random(2, 2, &Entangler::Line, Seed(1))?;
/// assert_eq!(model.angles().len(), 14);
/// // A Bell pair.
/// let (target, loss) = ([0.5, 0.0, 0.0, 0.5], CircuitLoss::Mmd(Kernel::new(Distance::Hamming, &[0.5])?));
/// let minimum = Minimiser::Lbfgs { memory: 10 }.run(model.angles(), 200, Seed(1), |angles, _| {
///     model.loss_and_gradient(angles, &target, &loss)
/// })?;
/// assert!(minimum.value < 1e-8);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BornCircuit {
    circuit: Circuit,
    names: Vec<String>,
    angles: Vec<f64>,
}

impl BornCircuit {
    /// A machine with angles drawn uniformly from a full turn.
    ///
    /// # Errors
    /// [`Error::Empty`] for no qubits; [`Error::Setting`] for a pair outside the qubits or of a qubit with itself, or a grid
    /// that does not hold them; [`Error::Circuit`] beyond the instructions of a circuit.
    pub fn random(qubits: usize, depth: usize, entangler: &Entangler, seed: Seed) -> Result<Self> {
        if qubits == 0 {
            return Err(Error::Empty { what: "circuit Born machine (no qubits)".into() });
        }
        let pairs = match entangler {
            Entangler::Line => (1..qubits).map(|q| (q - 1, q)).collect(),
            Entangler::Grid { rows, columns } => {
                if rows.checked_mul(*columns) != Some(qubits) {
                    return Err(Error::setting(
                        "grid",
                        format!("{rows} x {columns}"),
                        format!("there are {qubits} qubits"),
                    ));
                }
                let right = (0..qubits).filter(|q| q % columns + 1 < *columns).map(|q| (q, q + 1));
                right.chain((columns.to_owned()..qubits).map(|q| (q - columns, q))).collect()
            }
            Entangler::Pairs(pairs) => pairs.clone(),
        };
        if let Some(pair) = pairs.iter().find(|(a, b)| a == b || *a >= qubits || *b >= qubits) {
            return Err(Error::setting("pair", format!("{pair:?}"), format!("give two of the {qubits} qubits")));
        }
        let (mut circuit, mut names) = (Circuit::new(qubits)?, Vec::new());
        let mut symbol = || {
            // In the order of their names, which is that of the derivatives.
            names.push(format!("t{:07}", names.len()));
            names.last().map_or_else(Parameter::default, Parameter::symbol)
        };
        for layer in 0..=depth {
            for qubit in 0..qubits {
                if layer > 0 {
                    circuit.rz(symbol(), qubit)?;
                }
                circuit.rx(symbol(), qubit)?;
                if layer < depth {
                    circuit.rz(symbol(), qubit)?;
                }
            }
            if layer < depth {
                pairs.iter().try_for_each(|&(a, b)| circuit.cx(a, b).map(|_| ()))?;
            }
        }
        let mut stream = seed.stream("angles", 0);
        let angles = names.iter().map(|_| stream.random::<f64>() * std::f64::consts::TAU).collect();
        Ok(BornCircuit { circuit, names, angles })
    }

    /// A machine that entangles along the tree of largest mutual information of binary data.
    ///
    /// # Errors
    /// As [`random`](Self::random) and [`ChowLiu::fit`].
    pub fn on_tree_of(data: &Batch<u8>, depth: usize, seed: Seed) -> Result<Self> {
        let tree = ChowLiu::fit(data, &vec![2; data.sites()], 0.0)?;
        Self::random(data.sites(), depth, &Entangler::Pairs(tree.edges()), seed)
    }

    /// A circuit without symbols as a machine: one site for each qubit, in order. Measurements at its end are left out.
    ///
    /// # Errors
    /// [`Error::Circuit`], with the number of the instruction, for a symbol without a value, a qubit that is measured into a bit of
    /// another number or acted on afterwards, and for noise, resets and conditions.
    pub fn of(circuit: &Circuit) -> Result<Self> {
        let mut gates = circuit.emptied();
        let mut measured = vec![false; circuit.num_qubits()];
        for (number, instruction) in circuit.instructions().iter().enumerate() {
            let fault = |what: &str| Err(Error::Circuit { what: format!("instruction {number}: {what}") });
            if instruction.condition.is_some() {
                return fault("a Born machine has no conditions");
            }
            match &instruction.operation {
                Operation::Gate { gate, qubits } => {
                    gate.parameters().iter().try_for_each(|parameter| parameter.number().map(|_| ()))?;
                    if qubits.iter().any(|&qubit| measured[qubit]) {
                        return fault("a Born machine measures at its end only");
                    }
                    gates.push(instruction.clone())?;
                }
                Operation::Measure { qubit, bit } if qubit == bit => measured[*qubit] = true,
                Operation::Measure { .. } => {
                    return fault("the sites of a Born machine are its qubits in order; leave measurements out");
                }
                Operation::Barrier { .. } => {}
                _ => return fault("a Born machine has neither noise nor resets"),
            }
        }
        Ok(BornCircuit { circuit: gates, names: Vec::new(), angles: Vec::new() })
    }

    /// The angles, radians, in the order of the circuit.
    #[must_use]
    pub fn angles(&self) -> &[f64] {
        &self.angles
    }

    /// The same circuit with other angles.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of them, [`Error::NotFinite`].
    pub fn with_angles(&self, angles: &[f64]) -> Result<Self> {
        self.values(angles)?;
        Ok(BornCircuit { angles: angles.to_vec(), ..self.clone() })
    }

    fn values(&self, angles: &[f64]) -> Result<Vec<(&str, f64)>> {
        if angles.len() != self.names.len() {
            return Err(Error::shape("angles of a circuit", angles.len(), self.names.len()));
        }
        if angles.iter().any(|a| !a.is_finite()) {
            return Err(Error::NotFinite { what: "angles of a circuit".into() });
        }
        Ok(self.names.iter().map(String::as_str).zip(angles.iter().copied()).collect())
    }

    /// The circuit with its angles in it, to be run or written as OpenQASM.
    ///
    /// # Errors
    /// Never for a machine that was built.
    pub fn circuit(&self) -> Result<Circuit> {
        self.circuit.bind(&self.values(&self.angles)?)
    }

    /// The probability of each bit string, `[2^qubits]`, qubit 0 most significant.
    ///
    /// # Errors
    /// [`Error::Room`] if there is no memory for the state.
    pub fn probabilities(&self) -> Result<Vec<f64>> {
        Ok(Statevector::<f64>::new().state(&self.circuit()?)?.probabilities())
    }

    /// The share of each bit string in binary data, `[2^qubits]`.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Symbol`] if the data do not fit; [`Error::Setting`] beyond 26 qubits.
    pub fn target(&self, data: &Batch<u8>) -> Result<Vec<f64>> {
        let qubits = self.circuit.num_qubits();
        data.check(&vec![2; qubits])?;
        if qubits > 26 {
            return Err(Error::setting("qubits", qubits, "shares of all bit strings are held for at most 26"));
        }
        let mut target = vec![0.0; 1 << qubits];
        let share = 1.0 / data.samples() as f64;
        for row in data.view().rows() {
            target[row.iter().fold(0, |index, &bit| 2 * index + usize::from(bit))] += share;
        }
        Ok(target)
    }

    /// The loss at these angles against the distribution `target` `[2^qubits]`, and its derivatives, exactly.
    ///
    /// # Errors
    /// [`Error::Shape`] if angles or target do not fit; [`Error::Room`]; [`Error::NotFinite`] where data have probability zero
    /// under [`CircuitLoss::Nll`].
    pub fn loss_and_gradient(&self, angles: &[f64], target: &[f64], loss: &CircuitLoss) -> Result<(f64, Vec<f64>)> {
        let gradient =
            Statevector::<f64>::new()
                .gradient_of_probabilities(&self.circuit, &self.values(angles)?, |p| loss.of(p, target))?;
        Ok((gradient.value, gradient.derivatives))
    }

    /// The loss alone, at the price of one run.
    ///
    /// # Errors
    /// As [`loss_and_gradient`](Self::loss_and_gradient).
    pub fn loss(&self, angles: &[f64], target: &[f64], loss: &CircuitLoss) -> Result<f64> {
        Ok(loss.of(&self.with_angles(angles)?.probabilities()?, target)?.0)
    }

    /// The share of each bit string in `shots` shots, `[2^qubits]`.
    ///
    /// # Errors
    /// [`Error::Setting`] for no shots or beyond 26 qubits, [`Error::Room`].
    pub fn shares_of_shots(&self, shots: usize, seed: Seed) -> Result<Vec<f64>> {
        self.target(&self.sample(shots, seed)?)
    }

    /// The maximum mean discrepancy at these angles and its derivatives, estimated from `shots` shots at each of `2 P + 1`
    /// points, `P` the number of angles.
    ///
    /// `dL/dtheta = (p_+ - p_-)^T K (p - target)` with the angle shifted by `pi / 2` either way (Liu and Wang, eq. 2).
    ///
    /// # Errors
    /// As [`loss_and_gradient`](Self::loss_and_gradient); [`Error::Setting`] for no shots.
    pub fn mmd_from_shots(
        &self,
        angles: &[f64],
        target: &[f64],
        kernel: &Kernel,
        shots: usize,
        seed: Seed,
    ) -> Result<(f64, Vec<f64>)> {
        let estimate = |angles: &[f64], number: usize| -> Result<Vec<f64>> {
            self.with_angles(angles)?.shares_of_shots(shots, seed.derive("shift", number as u64))
        };
        let p = estimate(angles, 0)?;
        let (value, by) = kernel.discrepancy(&p, target)?;
        let mut derivatives = Vec::with_capacity(angles.len());
        let mut shifted = angles.to_vec();
        for i in 0..angles.len() {
            let mut at = |by: f64, number: usize| {
                shifted[i] = angles[i] + by;
                let found = estimate(&shifted, number);
                shifted[i] = angles[i];
                found
            };
            let quarter = std::f64::consts::FRAC_PI_2;
            let (plus, minus) = (at(quarter, 2 * i + 1)?, at(-quarter, 2 * i + 2)?);
            derivatives.push(plus.iter().zip(&minus).zip(&by).map(|((a, b), by)| 0.5 * (a - b) * by).sum());
        }
        Ok((value, derivatives))
    }
}

fn nll(p: &[f64], target: &[f64]) -> Result<(f64, Vec<f64>)> {
    if p.len() != target.len() {
        return Err(Error::shape("target", target.len(), p.len()));
    }
    let (mut value, mut by) = (0.0, vec![0.0; p.len()]);
    for ((&p, &q), by) in p.iter().zip(target).zip(&mut by) {
        if q > 0.0 {
            value -= q * p.ln();
            *by = -q / p;
        }
    }
    if !value.is_finite() {
        return Err(Error::NotFinite { what: "negative log-likelihood of a circuit".into() });
    }
    Ok((value, by))
}
