//! What is measured at one site.

use std::fmt;
use std::sync::Arc;

use ndarray::Array2;
use num_complex::Complex64;

use crate::error::{Error, Result, quoted};
use crate::linalg::eigh;

/// Outcomes that one measurement may have.
pub const MAX_OUTCOMES: usize = 256;
/// Deviation from the identity, entry by entry, that the sum of the elements of a POVM may have.
const TOLERANCE: f64 = 1e-6;

/// A measurement of one site: a POVM, elements `E_o` that are positive and sum to the identity; outcome `o` of the state
/// `rho` has probability `tr(E_o rho)`.
///
/// Of X, Y and Z, outcome 0 is the eigenvalue +1.
#[derive(Debug, Clone, PartialEq)]
pub enum Measurement {
    /// The site is not looked at: the only outcome is 0. Written `I`.
    Nothing,
    /// `(1, 1)/sqrt 2` and `(1, -1)/sqrt 2`; on `d > 2` levels outcome `o` is the vector `exp(2 pi i o k/d)/sqrt d`.
    X,
    /// `(1, i)/sqrt 2` and `(1, -i)/sqrt 2`; of qubits only.
    Y,
    /// The levels themselves.
    Z,
    /// Outcome 0 is `cos(theta/2) |0> + exp(i phi) sin(theta/2) |1>`, outcome 1 is orthogonal to it; of qubits only.
    Angles {
        /// Angle from +Z, radians.
        theta: f64,
        /// Angle about Z from +X, radians.
        phi: f64,
    },
    /// The four elements `(1 + n.sigma)/4`, `n` the corners of a tetrahedron: `(0, 0, 1)`, `(2 sqrt 2, 0, -1)/3`,
    /// `(-sqrt 2, sqrt 6, -1)/3`, `(-sqrt 2, -sqrt 6, -1)/3`. Written `S`.
    Sic,
    /// A third of the projectors on +X, -X, +Y, -Y, +Z, -Z, in this order. Written `P`.
    Pauli6,
    /// The three elements `(1 + n.sigma)/3` with `n = (sin t, 0, cos t)`, `t = 0, 2 pi/3, 4 pi/3`. Written `T`.
    Trine,
    /// Any other.
    Other(Arc<Povm>),
}

/// A POVM with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Povm {
    name: String,
    effects: Vec<Array2<Complex64>>,
}

impl Povm {
    /// The name by which settings refer to it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The elements, `[d, d]` each.
    #[must_use]
    pub fn effects(&self) -> &[Array2<Complex64>] {
        &self.effects
    }
}

fn c(re: f64, im: f64) -> Complex64 {
    Complex64::new(re, im)
}

/// `weight (1 + n.sigma)`
fn bloch(weight: f64, n: [f64; 3]) -> Array2<Complex64> {
    let entries = [[c(1.0 + n[2], 0.0), c(n[0], -n[1])], [c(n[0], n[1]), c(1.0 - n[2], 0.0)]];
    Array2::from_shape_fn((2, 2), |(i, j)| entries[i][j] * weight)
}

/// `|v><v|`
fn projector(v: &[Complex64]) -> Array2<Complex64> {
    Array2::from_shape_fn((v.len(), v.len()), |(i, j)| v[i] * v[j].conj())
}

impl Measurement {
    /// The measurement that `name` stands for by itself: one of I, X, Y, Z, S, P, T, or angles as `theta:phi`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "I" => Measurement::Nothing,
            "X" => Measurement::X,
            "Y" => Measurement::Y,
            "Z" => Measurement::Z,
            "S" => Measurement::Sic,
            "P" => Measurement::Pauli6,
            "T" => Measurement::Trine,
            _ => {
                let (theta, phi) = name.split_once(':')?;
                let (theta, phi): (f64, f64) = (theta.parse().ok()?, phi.parse().ok()?);
                if !(theta.is_finite() && phi.is_finite()) {
                    return None;
                }
                Measurement::Angles { theta, phi }
            }
        })
    }

    /// The basis of the rows of `matrix` `[d, d]`: row `o` is `<b_o|`, so that `matrix` times a state gives the amplitudes
    /// of the outcomes.
    ///
    /// # Errors
    /// [`Error::Setting`] for a bad name, [`Error::Format`] if the matrix is not unitary.
    pub fn basis(name: &str, matrix: &Array2<Complex64>) -> Result<Self> {
        let effects = matrix.rows().into_iter().map(|row| projector(&row.iter().map(|x| x.conj()).collect::<Vec<_>>()));
        Self::povm(name, effects.collect())
    }

    /// The POVM with these elements, `[d, d]` each.
    ///
    /// # Errors
    /// [`Error::Setting`] for a name that is taken, empty, or holds blanks, commas or quotes; [`Error::Format`] if the
    /// elements are not square matrices of one size, not Hermitian, not positive, or do not sum to the identity.
    pub fn povm(name: &str, effects: Vec<Array2<Complex64>>) -> Result<Self> {
        let odd = |ch: char| ch.is_whitespace() || ch.is_control() || matches!(ch, ',' | ';' | '"' | '#');
        if name.is_empty() || name.len() > 64 || name.contains(odd) || Measurement::named(name).is_some() {
            let expected = "give a name of 1 to 64 characters without blanks, commas and quotes that is none of I, X, Y, Z, S, P, T";
            return Err(Error::setting("name of a measurement", format!("'{}'", quoted(name)), expected));
        }
        let fault = |what: String| Error::Format { what: format!("measurement '{}': {what}", quoted(name)) };
        let Some(first) = effects.first() else { return Err(fault("it has no elements; give at least one".into())) };
        let d = first.nrows();
        if effects.len() > MAX_OUTCOMES || d == 0 || d > MAX_OUTCOMES {
            return Err(fault(format!("{} elements on {d} levels; 1 to {MAX_OUTCOMES} are allowed", effects.len())));
        }
        let mut sum = Array2::<Complex64>::zeros((d, d));
        for (o, e) in effects.iter().enumerate() {
            if e.dim() != (d, d) {
                return Err(fault(format!(
                    "element {o} is {} x {}, element 0 has {d} rows; give square matrices of one size",
                    e.nrows(),
                    e.ncols()
                )));
            }
            if e.iter().any(|x| !(x.re.is_finite() && x.im.is_finite())) {
                return Err(fault(format!("element {o} is not finite")));
            }
            let skew = e.indexed_iter().map(|((i, j), x)| (x - e[[j, i]].conj()).norm()).fold(0.0, f64::max);
            if skew > TOLERANCE {
                return Err(fault(format!("element {o} is not Hermitian (off by {skew:.1e})")));
            }
            let least = eigh(&e.view())?.values[0];
            if least < -TOLERANCE {
                return Err(fault(format!("element {o} is not positive (eigenvalue {least:.3e})")));
            }
            sum += e;
        }
        let off = sum.indexed_iter().map(|((i, j), x)| (x - f64::from(u8::from(i == j))).norm()).fold(0.0, f64::max);
        if off > TOLERANCE {
            return Err(fault(format!(
                "its elements do not sum to the identity (off by {off:.1e}); give all of them, with their weights"
            )));
        }
        Ok(Measurement::Other(Arc::new(Povm { name: name.to_owned(), effects })))
    }

    /// How a setting writes it.
    #[must_use]
    pub fn token(&self) -> String {
        match self {
            Measurement::Nothing => "I".into(),
            Measurement::X => "X".into(),
            Measurement::Y => "Y".into(),
            Measurement::Z => "Z".into(),
            Measurement::Sic => "S".into(),
            Measurement::Pauli6 => "P".into(),
            Measurement::Trine => "T".into(),
            Measurement::Angles { theta, phi } => format!("{theta}:{phi}"),
            Measurement::Other(povm) => povm.name.clone(),
        }
    }

    /// Levels of the sites it is for, if these are fixed.
    #[must_use]
    pub fn levels(&self) -> Option<usize> {
        match self {
            Measurement::Nothing | Measurement::X | Measurement::Z => None,
            Measurement::Other(povm) => povm.effects.first().map(Array2::nrows),
            _ => Some(2),
        }
    }

    /// Number of outcomes on `d` levels.
    #[must_use]
    pub fn outcomes(&self, d: usize) -> usize {
        match self {
            Measurement::Nothing => 1,
            Measurement::X | Measurement::Z => d,
            Measurement::Y | Measurement::Angles { .. } => 2,
            Measurement::Trine => 3,
            Measurement::Sic => 4,
            Measurement::Pauli6 => 6,
            Measurement::Other(povm) => povm.effects.len(),
        }
    }

    /// The elements on `d` levels, `[d, d]` each, in order of the outcomes.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is for another number of levels.
    pub fn effects(&self, d: usize) -> Result<Vec<Array2<Complex64>>> {
        if let Some(levels) = self.levels()
            && levels != d
        {
            return Err(Error::shape(format!("measurement '{}', in levels of the site", self.token()), d, levels));
        }
        let third = std::f64::consts::TAU / 3.0;
        let (root2, root6) = (2f64.sqrt(), 6f64.sqrt());
        Ok(match self {
            Measurement::Nothing => vec![Array2::eye(d)],
            Measurement::X => (0..d).map(|o| projector(&fourier(o, d))).collect(),
            Measurement::Z => (0..d)
                .map(|o| Array2::from_shape_fn((d, d), |(i, j)| c(f64::from(u8::from(i == o && j == o)), 0.0)))
                .collect(),
            Measurement::Y => [1.0, -1.0].map(|s| bloch(0.5, [0.0, s, 0.0])).to_vec(),
            Measurement::Angles { theta, phi } => {
                let n = [theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()];
                [1.0, -1.0].map(|s| bloch(0.5, n.map(|x| s * x))).to_vec()
            }
            Measurement::Sic => [
                [0.0, 0.0, 1.0],
                [2.0 * root2 / 3.0, 0.0, -1.0 / 3.0],
                [-root2 / 3.0, root6 / 3.0, -1.0 / 3.0],
                [-root2 / 3.0, -root6 / 3.0, -1.0 / 3.0],
            ]
            .map(|n| bloch(0.25, n))
            .to_vec(),
            Measurement::Pauli6 => (0..6)
                .map(|o| {
                    let mut n = [0.0; 3];
                    n[o / 2] = if o % 2 == 0 { 1.0 } else { -1.0 };
                    bloch(1.0 / 6.0, n)
                })
                .collect(),
            Measurement::Trine => {
                [0.0, third, 2.0 * third].map(|t: f64| bloch(1.0 / 3.0, [t.sin(), 0.0, t.cos()])).to_vec()
            }
            Measurement::Other(povm) => povm.effects.clone(),
        })
    }

    /// `v` with `E_outcome = |v><v|` to `1e-12`, if the element is of rank one.
    ///
    /// # Errors
    /// As [`effects`](Self::effects); [`Error::Setting`] for an outcome that there is not.
    pub fn vector(&self, outcome: usize, d: usize) -> Result<Option<Vec<Complex64>>> {
        let effects = self.effects(d)?;
        let Some(e) = effects.get(outcome) else {
            return Err(Error::setting(
                "outcome",
                outcome,
                format!("measurement '{}' has {}", self.token(), effects.len()),
            ));
        };
        Ok(root(e))
    }
}

fn fourier(o: usize, d: usize) -> Vec<Complex64> {
    let size = 1.0 / (d as f64).sqrt();
    (0..d)
        .map(|k| {
            let turn = (o * k % d) as f64 / d as f64;
            // Exact where it can be: real vectors for qubits.
            if turn == 0.0 {
                c(size, 0.0)
            } else if turn == 0.5 {
                c(-size, 0.0)
            } else {
                Complex64::from_polar(size, std::f64::consts::TAU * turn)
            }
        })
        .collect()
}

/// `v` with `E = |v><v|`, if there is one; its largest entry is real and positive.
pub(super) fn root(e: &Array2<Complex64>) -> Option<Vec<Complex64>> {
    let d = e.nrows();
    let (mut at, mut most) = (0, 0.0);
    for i in 0..d {
        if e[[i, i]].re > most {
            (at, most) = (i, e[[i, i]].re);
        }
    }
    if most <= 0.0 {
        return Some(vec![c(0.0, 0.0); d]);
    }
    let v: Vec<Complex64> = (0..d).map(|i| e[[i, at]] / most.sqrt()).collect();
    let far = e.indexed_iter().map(|((i, j), x)| (x - v[i] * v[j].conj()).norm()).fold(0.0, f64::max);
    (far <= 1e-12).then_some(v)
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.token())
    }
}
