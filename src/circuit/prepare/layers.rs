//! Layers of two-qubit gates that come close to a state.

use ndarray::Array2;
use num_complex::Complex64;

use super::exact::{filled, prepare};
use super::qubits_of;
use super::sweep::sweep;
use crate::chain::{Mps, Toward};
use crate::circuit::circuit::Circuit;
use crate::circuit::matrix::Matrix;
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, completed, matmul};
use crate::scalar::Scalar;

/// Bonds up to this are kept while gates are taken off a state, or twice those of the state.
const ROOM: usize = 64;
/// Singular values below this share of the largest are dropped there.
const ROUNDING: f64 = 1e-12;

/// Preparation of a matrix product state by layers of two-qubit gates on neighbours, which approximates it.
///
/// Ran, PRA 101, 032310 (2020): the state cut to bonds of 2 has an exact circuit of one gate for each pair of neighbours,
/// a staircase; its inverse takes most of the entanglement off the state, and the next layer is that of what is left.
/// Sweeps then replace each gate by the best one beside all others, the unitary part of its environment (Evenbly and Vidal, PRB
/// 79, 144108 (2009); Rudolph, Chen, Miller, Acharya and Perdomo-Ortiz, Quantum Sci. Technol. 9, 015012 (2024)).
///
/// ```
/// use ansatz::{Seed, chain::Mps, circuit::Layers};
/// let state = Mps::<f64>::random(&[2; 8], 4, Seed(3))?;
/// let prepared = Layers::new(2).sweeps(20).prepare(&state)?;
/// assert!(prepared.layer_fidelity[1] > prepared.layer_fidelity[0]);
/// assert!(prepared.fidelity() > prepared.layer_fidelity[1]);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layers {
    layers: usize,
    sweeps: usize,
    max_bond: Option<usize>,
}

/// A circuit that comes close to a state, and how close.
#[derive(Debug, Clone, PartialEq)]
pub struct LayeredPreparation {
    /// Unitaries on neighbouring qubits; [`Circuit::elementary`] makes it `u3`, `u1` and `cx`.
    pub circuit: Circuit,
    /// `|<state|circuit>|^2` after each layer.
    pub layer_fidelity: Vec<f64>,
    /// The same after each sweep over all gates.
    pub sweep_fidelity: Vec<f64>,
    /// The share of the norm squared that was cut off while layers were taken off the state: what fidelities of layers may be
    /// wrong by is of the order of its root.
    pub discarded_weight: f64,
}

impl LayeredPreparation {
    /// `|<state|circuit>|^2` of the circuit.
    #[must_use]
    pub fn fidelity(&self) -> f64 {
        self.sweep_fidelity.last().or(self.layer_fidelity.last()).copied().unwrap_or(0.0)
    }
}

/// A gate on the qubits `bond` and `bond + 1`.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub bond: usize,
    /// `[(out, out'), (in, in')]`.
    pub matrix: Array2<Complex64>,
}

impl Pair {
    pub(super) fn dagger(&self) -> Array2<Complex64> {
        self.matrix.t().mapv(|x| x.conj())
    }
}

impl Layers {
    /// So many layers, without sweeps.
    #[must_use]
    pub fn new(layers: usize) -> Self {
        Layers { layers, sweeps: 0, max_bond: None }
    }

    /// With so many sweeps over all gates.
    #[must_use]
    pub fn sweeps(mut self, sweeps: usize) -> Self {
        self.sweeps = sweeps;
        self
    }

    /// With bonds of at most `max_bond` on the way; without it 64 or twice those of the state.
    #[must_use]
    pub fn max_bond(mut self, max_bond: usize) -> Self {
        self.max_bond = Some(max_bond);
        self
    }

    /// Prepares a state.
    ///
    /// # Errors
    /// [`Error::Setting`] for no layers or a bond of 0, [`Error::Circuit`] if a site has other than 2 levels or the circuit would
    /// have too many gates, [`Error::NotFinite`] if the state has no norm.
    pub fn prepare<T: Scalar>(&self, state: &Mps<T>) -> Result<LayeredPreparation> {
        if self.layers == 0 {
            return Err(Error::setting("layers", 0, "give at least 1"));
        }
        let target = qubits_of(state)?;
        if target.sites() == 1 {
            // One gate is all.
            let layer_fidelity = vec![1.0; self.layers];
            let sweep_fidelity = vec![1.0; self.sweeps];
            return Ok(LayeredPreparation {
                circuit: prepare(state)?,
                layer_fidelity,
                sweep_fidelity,
                discarded_weight: 0.0,
            });
        }
        let room = self.max_bond.unwrap_or_else(|| ROOM.max(2 * target.max_bond()));
        let truncation = Truncation::none().cutoff(ROUNDING).max_bond(room);
        truncation.validate()?;
        let zero = vec![0_usize; target.sites()];
        let (mut rest, mut kept) = (target.clone(), 1.0);
        let (mut gates, mut layer_fidelity) = (Vec::new(), Vec::with_capacity(self.layers));
        for _ in 0..self.layers {
            let mut small = rest.clone();
            small.compress(&Truncation::none().max_bond(2).cutoff(ROUNDING))?;
            small.move_centre(0)?;
            small.normalise()?;
            let layer = staircase(&small)?;
            for pair in layer.iter().rev() {
                kept *= 1.0 - rest.apply_pair(pair.bond, &pair.dagger(), &truncation, Toward::Left)?;
            }
            layer_fidelity.push(rest.amplitude(&zero)?.value().norm_sqr());
            // What is found later acts earlier.
            gates.splice(0..0, layer);
        }
        let mut sweep_fidelity = Vec::with_capacity(self.sweeps);
        for number in 0..self.sweeps {
            let toward = if number % 2 == 0 { Toward::Right } else { Toward::Left };
            sweep_fidelity.push(sweep(&target, &mut gates, &truncation, toward)?);
        }
        let mut circuit = Circuit::new(target.sites())?;
        for pair in &gates {
            let matrix = Matrix::new(2, pair.matrix.iter().copied().collect())?;
            circuit.unitary(matrix, &[pair.bond, pair.bond + 1])?;
        }
        Ok(LayeredPreparation { circuit, layer_fidelity, sweep_fidelity, discarded_weight: (1.0 - kept).max(0.0) })
    }
}

/// The gates of a state with bonds up to 2, right-canonical with its centre at site 0, in the order in which they act.
fn staircase(state: &Mps<Complex64>) -> Result<Vec<Pair>> {
    let last = state.sites() - 1;
    let mut gates = Vec::with_capacity(last);
    for (site, a) in state.tensors()[..last].iter().enumerate() {
        let (left, _, right) = a.dim();
        if right == 1 {
            // No bond: the neighbour is left alone.
            let single = Array2::from_shape_fn((2, left), |(v, l)| a[[l, v, 0]]);
            gates.push(Pair { bond: site, matrix: kron(&completed(&single.view())?, &Array2::eye(2)) });
            continue;
        }
        let mut matrix = Array2::zeros((4, 4));
        let mut used = [false; 4];
        for ((l, v, r), &x) in a.indexed_iter() {
            matrix[[2 * v + r, 2 * l]] = x;
            used[2 * l] = true;
        }
        gates.push(Pair { bond: site, matrix: filled(matrix, &used)? });
    }
    // The last site has a gate of its own, which goes into the one before it.
    let a = &state.tensors()[last];
    let (left, _, _) = a.dim();
    let single = Array2::from_shape_fn((2, left), |(v, l)| a[[l, v, 0]]);
    if let Some(pair) = gates.last_mut() {
        let wide = kron(&Array2::eye(2), &completed(&single.view())?);
        pair.matrix = matmul(&wide.view(), Op::None, &pair.matrix.view(), Op::None);
    }
    Ok(gates)
}

/// The product of two matrices `[2, 2]`, the first on the first qubit.
fn kron(a: &Array2<Complex64>, b: &Array2<Complex64>) -> Array2<Complex64> {
    Array2::from_shape_fn((4, 4), |(i, j)| a[[i / 2, j / 2]] * b[[i % 2, j % 2]])
}
