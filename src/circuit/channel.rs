//! Noise: channels by their Kraus operators.

use num_complex::Complex64;

use super::matrix::Matrix;
use crate::error::{Error, Result};

/// A quantum channel `rho -> sum K rho K^dagger` on one or two qubits.
///
/// ```
/// use ansatz::circuit::Channel;
/// let damping = Channel::amplitude_damping(0.3)?;
/// assert_eq!((damping.qubits(), damping.kraus().len()), (1, 2));
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    name: String,
    kraus: Vec<Matrix>,
    /// For a mixture of unitaries the probability of each.
    mixture: Option<Vec<f64>>,
}

/// How far `sum K^dagger K` may be from the identity, in any element.
const TOLERANCE: f64 = 1e-8;

impl Channel {
    /// A channel of its Kraus operators.
    ///
    /// # Errors
    /// [`Error::Empty`] without operators, [`Error::Shape`] if they differ in size, [`Error::Circuit`] if they are of no or
    /// more than two qubits, or if `sum K^dagger K` is not the identity, and by how much.
    pub fn new(name: &str, kraus: Vec<Matrix>) -> Result<Self> {
        let Some(first) = kraus.first() else {
            return Err(Error::Empty { what: format!("channel {name} (no Kraus operators)") });
        };
        let (qubits, dim) = (first.qubits(), first.dim());
        if !(1..=2).contains(&qubits) {
            return Err(Error::Circuit { what: format!("channel {name} on {qubits} qubits: give 1 or 2") });
        }
        let mut sum = vec![Complex64::ZERO; dim * dim];
        for k in &kraus {
            let square = k.dagger().times(k)?;
            sum.iter_mut().zip(square.entries()).for_each(|(s, x)| *s += x);
        }
        let error = sum.iter().zip(Matrix::identity(qubits).entries()).map(|(s, e)| (s - e).norm()).fold(0.0, f64::max);
        if !(error <= TOLERANCE) {
            let what = format!(
                "channel {name}: the Kraus operators do not sum to the identity: sum K^dagger K differs by {error:.3e}, \
                 more than {TOLERANCE:.0e}"
            );
            return Err(Error::Circuit { what });
        }
        let share = |k: &Matrix| k.entries().iter().map(Complex64::norm_sqr).sum::<f64>() / dim as f64;
        let unitary = |k: &Matrix| {
            let (p, square) = (share(k), k.dagger().times(k));
            square.is_ok_and(|square| {
                let expected = Matrix::identity(qubits);
                square.entries().iter().zip(expected.entries()).all(|(s, e)| (s - e * p).norm() < 1e-14)
            })
        };
        // What never happens is left out.
        let kraus: Vec<Matrix> = kraus.into_iter().filter(|k| share(k) > 0.0).collect();
        let mixture = kraus.iter().all(unitary).then(|| kraus.iter().map(share).collect());
        Ok(Channel { name: name.into(), kraus, mixture })
    }

    /// The probabilities of the unitaries, if each Kraus operator is a multiple of one.
    #[must_use]
    pub fn mixture(&self) -> Option<&[f64]> {
        self.mixture.as_deref()
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Qubits it acts on.
    #[must_use]
    pub fn qubits(&self) -> usize {
        self.kraus.first().map_or(1, Matrix::qubits)
    }

    /// Its Kraus operators; those that are zero are left out.
    #[must_use]
    pub fn kraus(&self) -> &[Matrix] {
        &self.kraus
    }

    /// X with probability `p`.
    ///
    /// # Errors
    /// [`Error::Setting`] if `p` is not in `[0, 1]`.
    pub fn bit_flip(p: f64) -> Result<Self> {
        probability("bit flip", p, 1.0)?;
        Self::of_paulis("bit flip", 1, &[1.0 - p, p, 0.0, 0.0])
    }

    /// Z with probability `p`.
    ///
    /// # Errors
    /// As [`Channel::bit_flip`].
    pub fn phase_flip(p: f64) -> Result<Self> {
        probability("phase flip", p, 1.0)?;
        Self::of_paulis("phase flip", 1, &[1.0 - p, 0.0, 0.0, p])
    }

    /// `rho -> (1 - p) rho + p 1 / 2^n` on one or two qubits: every Pauli product other than the identity with
    /// probability `p / 4^n`.
    ///
    /// # Errors
    /// [`Error::Setting`] if `p` is not in `[0, 4^n / (4^n - 1)]` or `qubits` not 1 or 2.
    pub fn depolarising(qubits: usize, p: f64) -> Result<Self> {
        if !(1..=2).contains(&qubits) {
            return Err(Error::setting("qubits of a depolarising channel", qubits, "give 1 or 2"));
        }
        let all = (1_usize << (2 * qubits)) as f64;
        probability("depolarising", p, all / (all - 1.0))?;
        let mut shares = vec![p / all; 1 << (2 * qubits)];
        shares[0] = (1.0 - p * (all - 1.0) / all).max(0.0);
        Self::of_paulis("depolarising", qubits, &shares)
    }

    /// `|1>` falls to `|0>` with probability `gamma`.
    ///
    /// # Errors
    /// As [`Channel::bit_flip`].
    pub fn amplitude_damping(gamma: f64) -> Result<Self> {
        probability("amplitude damping", gamma, 1.0)?;
        let o = (0.0, 0.0);
        let stays = Matrix::of(&[(1.0, 0.0), o, o, ((1.0 - gamma).sqrt(), 0.0)]);
        Self::new("amplitude damping", vec![stays, Matrix::of(&[o, (gamma.sqrt(), 0.0), o, o])])
    }

    /// Coherence shrinks by `sqrt(1 - lambda)`.
    ///
    /// # Errors
    /// As [`Channel::bit_flip`].
    pub fn phase_damping(lambda: f64) -> Result<Self> {
        probability("phase damping", lambda, 1.0)?;
        // As a mixture of 1 and Z, which is the same channel.
        let flip = (1.0 - (1.0 - lambda).sqrt()) / 2.0;
        Self::of_paulis("phase damping", 1, &[1.0 - flip, 0.0, 0.0, flip])
    }

    /// Waiting for `time` with decay `exp(-time / t1)` of `|1>` and `exp(-time / t2)` of coherence, to the ground state.
    ///
    /// # Errors
    /// [`Error::Setting`] if a time is not positive (`time` may be 0), or `t2` is above `2 t1`.
    pub fn thermal_relaxation(t1: f64, t2: f64, time: f64) -> Result<Self> {
        for (name, value) in [("t1", t1), ("t2", t2)] {
            if !(value > 0.0) {
                return Err(Error::setting(name, value, "give a time above 0"));
            }
        }
        if !(time >= 0.0 && time.is_finite()) {
            return Err(Error::setting("time", time, "give a time of at least 0"));
        }
        if t2 > 2.0 * t1 {
            return Err(Error::setting("t2", t2, format!("coherence lives at most twice as long as t1 = {t1}")));
        }
        let gamma = 1.0 - (-time / t1).exp();
        // Damping alone leaves the coherence exp(-time / (2 t1)).
        let coherence = (-time / t2 + time / (2.0 * t1)).exp();
        let flip = (1.0 - coherence.min(1.0)) / 2.0;
        let z = Matrix::of(&[(1.0, 0.0), (0.0, 0.0), (0.0, 0.0), (-1.0, 0.0)]);
        let mut kraus = Vec::new();
        for k in Self::amplitude_damping(gamma)?.kraus {
            kraus.push(k.scaled((1.0 - flip).sqrt()));
            kraus.push(z.times(&k)?.scaled(flip.sqrt()));
        }
        Self::new("thermal relaxation", kraus)
    }

    fn of_paulis(name: &str, qubits: usize, shares: &[f64]) -> Result<Self> {
        let (o, one, i) = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0));
        let paulis = [[one, o, o, one], [o, one, one, o], [o, (0.0, -1.0), i, o], [one, o, o, (-1.0, 0.0)]];
        let paulis = paulis.map(|p| Matrix::of(&p));
        let product = |index: usize| match qubits {
            1 => paulis[index].clone(),
            _ => paulis[index / 4].kron(&paulis[index % 4]),
        };
        let kraus = shares.iter().enumerate().map(|(index, share)| product(index).scaled(share.sqrt())).collect();
        Self::new(name, kraus)
    }
}

fn probability(what: &str, p: f64, most: f64) -> Result<()> {
    if (0.0..=most).contains(&p) {
        return Ok(());
    }
    Err(Error::Setting {
        name: "probability",
        found: format!("{p} for {what}"),
        expected: format!("give a number from 0 to {most}"),
    })
}
