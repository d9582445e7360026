//! Channels.

use ndarray::{Array2, Array3};
use num_complex::Complex64;

use super::super::density::{DENSE_LIMIT, dense_dimension};
use super::super::likelihood::Sites;
use super::super::preservation::Preservation;
use super::super::state::Lpdo;
use crate::chain::Mps;
use crate::error::{Error, Result};
use crate::linalg::Truncation;

/// Deviation of `sum K^H K` from the identity, entry by entry, that Kraus operators may have.
const TOLERANCE: f64 = 1e-6;

/// A quantum channel `E` by its Choi state `sum over i, j of |i><j| (x) E(|i><j|) / d`, a locally purified chain: positive by
/// construction.
///
/// ```text
///          i0 o0     i1 o1           i: input, o: output, fused at each site, the input slow
///            |         |
///          [A0]------[A1]------ ..   E(rho) = sum over k of K(k) rho K(k)^H,   K(k) [o, i] = sqrt(d) A(k) [i, o]
///            |         |
///            k0        k1
/// ```
///
/// With all purification dimensions 1 it is a single Kraus operator, a matrix product operator, unitary if the trace is preserved.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    choi: Lpdo,
    inputs: Vec<usize>,
}

impl Process {
    /// From a Choi state; `inputs` are the levels that go in at each site. The trace need not be preserved:
    /// [`deviation`](Self::deviation) tells how far it is.
    ///
    /// # Errors
    /// [`Error::Shape`] if the site legs are no multiples of the inputs.
    pub fn new(choi: Lpdo, inputs: &[usize]) -> Result<Self> {
        let fits = choi.sites() == inputs.len() && choi.dims().iter().zip(inputs).all(|(&f, &d)| d > 0 && f % d == 0);
        if !fits {
            return Err(Error::shape("a Choi state: site legs", choi.dims(), format!("multiples of {inputs:?}")));
        }
        Ok(Process { choi, inputs: inputs.to_vec() })
    }

    /// The channel `rho -> sum K rho K^H` on sites with these levels; Kraus operators are `[d, d]`, the last site running fastest.
    ///
    /// ```
    /// use ansatz::tomography::Process;
    /// use ndarray::array;
    /// use num_complex::Complex64;
    /// let c = |x: f64| Complex64::new(x, 0.0);
    /// // Amplitude damping: of two Kraus operators, so the Choi state has rank 2.
    /// let g: f64 = 0.36;
    /// let damping = [array![[c(1.0), c(0.0)], [c(0.0), c((1.0 - g).sqrt())]], array![[c(0.0), c(g.sqrt())], [c(0.0), c(0.0)]]];
    /// let process = Process::from_kraus(&damping, &[2])?;
    /// assert!(process.deviation()? < 1e-7);
    /// // F = |tr K0|^2 / d^2 with the identity.
    /// let identity = Process::from_kraus(&[array![[c(1.0), c(0.0)], [c(0.0), c(1.0)]]], &[2])?;
    /// assert!((process.fidelity(&identity)? - 0.81).abs() < 1e-12);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] without operators, [`Error::Shape`] for another size, [`Error::Format`] if the trace is not preserved,
    /// [`Error::Memory`] beyond ten qubits.
    pub fn from_kraus(operators: &[Array2<Complex64>], dims: &[usize]) -> Result<Self> {
        if operators.is_empty() {
            return Err(Error::Empty { what: "a channel (no Kraus operators)".into() });
        }
        let d = dense_dimension(dims)?;
        for k in operators {
            if k.dim() != (d, d) {
                return Err(Error::shape("a Kraus operator", k.dim(), (d, d)));
            }
        }
        let mut worst = 0.0f64;
        for i in 0..d {
            for j in 0..d {
                let sum: Complex64 =
                    operators.iter().flat_map(|k| (0..d).map(move |o| k[[o, i]].conj() * k[[o, j]])).sum();
                worst = worst.max((sum - f64::from(u8::from(i == j))).norm());
            }
        }
        if !(worst <= TOLERANCE) {
            let what = format!(
                "a channel: sum K^H K differs from the identity by {worst:.1e}; give all Kraus operators (a unitary is one)"
            );
            return Err(Error::Format { what });
        }
        let places = interleaved(dims, dims)?;
        let count = operators.len();
        let size = (d as f64).sqrt();
        let mut amplitudes = vec![Complex64::default(); d * d * count];
        for (k, operator) in operators.iter().enumerate() {
            for i in 0..d {
                for o in 0..d {
                    amplitudes[places[i * d + o] * count + k] = operator[[o, i]] / size;
                }
            }
        }
        let levels: Vec<usize> = dims.iter().map(|d| d * d).collect();
        let mut fused = levels.clone();
        if let Some(last) = fused.last_mut() {
            *last *= count;
        }
        let (chain, _) = Mps::from_dense(&amplitudes, &fused, &Truncation::none().cutoff(1e-14))?;
        Process::new(Lpdo::new(chain, &levels)?, dims)
    }

    /// From a Choi matrix of trace 1 or `d` whose index has all inputs before all outputs, site 0 first in both.
    ///
    /// # Errors
    /// [`Error::Shape`] for another size, [`Error::Format`] if it is no positive matrix, [`Error::Memory`] beyond five qubits.
    pub fn from_choi(matrix: &Array2<Complex64>, dims: &[usize]) -> Result<Self> {
        let d = dense_dimension(dims)?;
        let levels: Vec<usize> = dims.iter().map(|d| d * d).collect();
        dense_dimension(&levels)?;
        if matrix.dim() != (d * d, d * d) {
            return Err(Error::shape("a Choi matrix", matrix.dim(), (d * d, d * d)));
        }
        let trace: f64 = matrix.diag().iter().map(|x| x.re).sum();
        let scale = if (trace - d as f64).abs() < 1e-6 * d as f64 { d as f64 } else { 1.0 };
        let places = interleaved(dims, dims)?;
        let mut rho = Array2::zeros(matrix.dim());
        for ((i, j), x) in matrix.indexed_iter() {
            rho[[places[i], places[j]]] = x / scale;
        }
        Process::new(Lpdo::from_density(&rho, &levels)?, dims)
    }

    /// The Choi matrix, of trace 1, all inputs before all outputs in its index.
    ///
    /// # Errors
    /// [`Error::Memory`] beyond five qubits.
    pub fn choi_matrix(&self) -> Result<Array2<Complex64>> {
        let rho = self.choi.density()?;
        let places = interleaved(&self.inputs, &self.outputs())?;
        Ok(Array2::from_shape_fn(rho.dim(), |(i, j)| rho[[places[i], places[j]]]))
    }

    /// The same channel on all of these sites side by side.
    ///
    /// # Errors
    /// [`Error::Empty`] without channels.
    pub fn side_by_side(channels: &[Self]) -> Result<Self> {
        let tensors = channels.iter().flat_map(|c| c.choi.chain().tensors().to_vec()).collect();
        let dims: Vec<usize> = channels.iter().flat_map(|c| c.choi.dims().to_vec()).collect();
        let inputs: Vec<usize> = channels.iter().flat_map(|c| c.inputs.clone()).collect();
        Process::new(Lpdo::new(Mps::new(tensors)?, &dims)?, &inputs)
    }

    /// The Choi state: a chain whose site legs are input and output fused, the input slow.
    #[must_use]
    pub fn choi(&self) -> &Lpdo {
        &self.choi
    }

    /// Levels that go in at each site.
    #[must_use]
    pub fn inputs(&self) -> &[usize] {
        &self.inputs
    }

    /// Levels that come out at each site.
    #[must_use]
    pub fn outputs(&self) -> Vec<usize> {
        self.choi.dims().iter().zip(&self.inputs).map(|(f, d)| f / d).collect()
    }

    /// How far the trace is from being preserved: `|T - 1| / sqrt d` in the Frobenius norm, `T = sum K^H K`, the deviation of the
    /// eigenvalues of `T` from 1 in the mean square. Rounding leaves about `1e-8`.
    ///
    /// # Errors
    /// What a contraction can meet.
    pub fn deviation(&self) -> Result<f64> {
        let sites = Sites { tensors: self.choi.chain().tensors().to_vec(), kraus: self.choi.purification().to_vec() };
        let (excess, _) = Preservation { inputs: self.inputs.clone() }.excess(&sites)?;
        Ok(excess.max(0.0).sqrt())
    }

    /// The state that comes out for a state that goes in, of trace 1.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sites differ.
    pub fn apply(&self, state: &Lpdo) -> Result<Lpdo> {
        let tensors = self.joined(state, state.dims(), &vec![1; state.sites()])?;
        Lpdo::new(Mps::new(tensors)?, &self.outputs())
    }

    /// This channel and then another.
    ///
    /// # Errors
    /// [`Error::Shape`] if what comes out does not fit what goes in.
    pub fn then(&self, after: &Self) -> Result<Self> {
        let tensors = after.joined(&self.choi, &self.outputs(), &self.inputs)?;
        let dims: Vec<usize> = self.inputs.iter().zip(after.outputs()).map(|(i, o)| i * o).collect();
        Process::new(Lpdo::new(Mps::new(tensors)?, &dims)?, &self.inputs)
    }

    /// Tensors of this channel upon a chain, whose site legs are `kept` and `levels` fused, `kept` slow; these are its inputs.
    fn joined(&self, before: &Lpdo, levels: &[usize], kept: &[usize]) -> Result<Vec<Array3<Complex64>>> {
        if levels != self.inputs {
            return Err(Error::shape("a channel: the levels that go in", levels, &self.inputs));
        }
        let mut tensors = Vec::with_capacity(levels.len());
        for (site, (&d, &kept)) in levels.iter().zip(kept).enumerate() {
            let (a, b) = (self.choi.tensor(site), before.tensor(site));
            let ((la, io, ka, ra), (lb, _, kb, rb)) = (a.dim(), b.dim());
            let out = io / d;
            let mut t = Array3::<Complex64>::zeros((la * lb, kept * out * ka * kb, ra * rb));
            for ((l, s, k, r), x) in a.indexed_iter() {
                let (i, o) = (s / out, s % out);
                if *x == Complex64::default() {
                    continue;
                }
                for (l2, g, k2, r2) in indices(lb, kept, kb, rb) {
                    let leg = ((g * out + o) * ka + k) * kb + k2;
                    t[[l * lb + l2, leg, r * rb + r2]] += x * b[[l2, g * d + i, k2, r2]];
                }
            }
            tensors.push(t);
        }
        Ok(tensors)
    }

    /// Fidelity of the Choi states; with a unitary channel it is the entanglement fidelity, which is the process fidelity.
    ///
    /// # Errors
    /// As [`Lpdo::fidelity`].
    pub fn fidelity(&self, other: &Self) -> Result<f64> {
        if self.inputs != other.inputs {
            return Err(Error::shape("two channels: the levels that go in", &other.inputs, &self.inputs));
        }
        self.choi.fidelity(&other.choi)
    }

    /// Mean fidelity over pure inputs of what comes out with what a unitary channel would give: `(d F + 1)/(d + 1)` with the process
    /// fidelity `F` (Horodecki and Horodecki, PRA 60, 1888, 1999; Nielsen, Phys. Lett. A 303, 249, 2002).
    #[must_use]
    pub fn average_fidelity(&self, process_fidelity: f64) -> f64 {
        // In logarithms for many sites, where d is beyond floating point.
        let d: f64 = self.inputs.iter().map(|&d| d as f64).product();
        if d.is_finite() { (d * process_fidelity + 1.0) / (d + 1.0) } else { process_fidelity }
    }
}

/// All indices of four legs.
fn indices(a: usize, b: usize, c: usize, d: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).flat_map(move |k| (0..d).map(move |l| (i, j, k, l)))))
}

/// Of each index with all inputs before all outputs its place where every site has its input and its output side by side.
pub(super) fn interleaved(inputs: &[usize], outputs: &[usize]) -> Result<Vec<usize>> {
    let (d, e) = (dense_dimension(inputs)?, dense_dimension(outputs)?);
    if d.saturating_mul(e) > DENSE_LIMIT * DENSE_LIMIT {
        return Err(Error::setting("sites of a dense channel", inputs.len(), "at most ten qubits"));
    }
    let place = |index: usize, mine: &[usize], slow: bool| {
        let (mut rest, mut step, mut place) = (index, 1, 0);
        for (site, &levels) in mine.iter().enumerate().rev() {
            let digit = rest % levels;
            rest /= levels;
            place += digit * step * if slow { outputs[site] } else { 1 };
            step *= inputs[site] * outputs[site];
        }
        place
    };
    let ins: Vec<usize> = (0..d).map(|i| place(i, inputs, true)).collect();
    let outs: Vec<usize> = (0..e).map(|o| place(o, outputs, false)).collect();
    Ok(ins.iter().flat_map(|i| outs.iter().map(move |o| i + o)).collect())
}
