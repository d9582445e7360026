//! Circuits as networks of tensors.

use num_complex::{Complex, Complex64};

use super::program::Placed;
use crate::circuit::matrix::Matrix;
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};
use crate::tensor::{Leg, Tensor};

/// Qubits of a gate beyond which its tensor is refused.
const MAX_GATE: usize = 16;

/// Tensors that are being joined: gate by gate, along the lines of the qubits.
///
/// A diagonal gate has one leg a qubit, and joins the line as a hyperedge; so do the controls of any gate.
pub(super) struct Weave<T: Real>
where
    Complex<T>: Scalar,
{
    pub tensors: Vec<Tensor<Complex<T>>>,
    /// The name of the present end of each qubit's line; `None` before it is touched.
    ends: Vec<Option<String>>,
    names: usize,
    prefix: char,
}

impl<T: Real> Weave<T>
where
    Complex<T>: Scalar<Real = T>,
{
    /// Names begin with `prefix`.
    pub(super) fn new(qubits: usize, prefix: char) -> Self {
        Weave { tensors: Vec::new(), ends: vec![None; qubits], names: 0, prefix }
    }

    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("{}{}", self.prefix, self.names)
    }

    /// The end of a qubit's line; an untouched one begins in `|0>`.
    pub(super) fn end(&mut self, qubit: usize) -> Result<String> {
        if let Some(name) = &self.ends[qubit] {
            return Ok(name.clone());
        }
        let name = self.fresh();
        self.vector(&name, [Complex64::ONE, Complex64::ZERO])?;
        self.ends[qubit] = Some(name.clone());
        Ok(name)
    }

    /// A vector on an index.
    pub(super) fn vector(&mut self, name: &str, entries: [Complex64; 2]) -> Result<()> {
        self.push(vec![name.to_owned()], &entries)
    }

    fn push(&mut self, names: Vec<String>, entries: &[Complex64]) -> Result<()> {
        let legs: Vec<Leg> = names.iter().map(|name| Leg::bond(name, 2)).collect();
        let data = entries.iter().map(|z| Complex::<T>::from_parts(z.re, z.im)).collect();
        self.tensors.push(Tensor::new(legs, data)?);
        Ok(())
    }

    /// Adds a gate. Its tensor is number `tensors.len()` before the call.
    pub(super) fn gate(&mut self, placed: &Placed<'_>, conj: bool) -> Result<()> {
        let matrix = placed.gate.target_matrix().map_err(|e| placed.at(e))?;
        self.matrix(&placed.gate.controls(), &matrix, placed.qubits, conj).map_err(|e| placed.at(e))
    }

    /// Adds a matrix on the last of the qubits, under controls on the first ones.
    pub(super) fn matrix(&mut self, controls: &[bool], matrix: &Matrix, qubits: &[usize], conj: bool) -> Result<()> {
        self.place(controls, matrix, qubits, conj, matrix.as_diagonal().is_some())
    }

    /// As [`matrix`](Self::matrix), as a hyperedge only if `diagonal`.
    pub(super) fn place(
        &mut self,
        controls: &[bool],
        matrix: &Matrix,
        qubits: &[usize],
        conj: bool,
        diagonal: bool,
    ) -> Result<()> {
        if qubits.len() > MAX_GATE {
            let what = format!("a gate on {} qubits: a tensor is made of at most {MAX_GATE}", qubits.len());
            return Err(Error::Circuit { what });
        }
        let mut names = Vec::with_capacity(2 * qubits.len());
        for &qubit in qubits {
            names.push(self.end(qubit)?);
        }
        let matrix = if conj { matrix.conj() } else { matrix.clone() };
        let entries = tensor_entries(&matrix, controls, diagonal, Complex64::ONE);
        if diagonal {
            return self.push(names, &entries);
        }
        let before = names.split_off(controls.len());
        for &qubit in &qubits[controls.len()..] {
            let name = self.fresh();
            self.ends[qubit] = Some(name.clone());
            names.push(name);
        }
        names.extend(before);
        self.push(names, &entries)
    }

    /// Names the end of a qubit's line anew, by a tensor that copies it.
    pub(super) fn tie(&mut self, qubit: usize, name: &str) -> Result<()> {
        let end = self.end(qubit)?;
        let (zero, one) = (Complex64::ZERO, Complex64::ONE);
        self.push(vec![end, name.to_owned()], &[one, zero, zero, one])
    }
}

/// The elements of a gate's tensor: `[controls, out, in]`, or `[controls, targets]` of a diagonal one; `beside` times the
/// identity where the controls have other values.
pub(super) fn tensor_entries(matrix: &Matrix, controls: &[bool], diagonal: bool, beside: Complex64) -> Vec<Complex64> {
    let on = controls.iter().fold(0, |index, &on| 2 * index + usize::from(on));
    let dim = matrix.dim();
    let mut entries = Vec::new();
    for choice in 0..1 << controls.len() {
        for row in 0..dim {
            let columns = if diagonal { row..row + 1 } else { 0..dim };
            entries.extend(columns.map(|column| match choice == on {
                true => matrix.get(row, column),
                false if row == column => beside,
                false => Complex64::ZERO,
            }));
        }
    }
    entries
}

/// The gates that what happens on `qubits` at the end depends on: those in the light cone behind them.
pub(super) fn light_cone<'a, 'b>(gates: &'b [Placed<'a>], qubits: &[usize], all: usize) -> Vec<&'b Placed<'a>> {
    let mut inside = vec![false; all];
    qubits.iter().for_each(|&q| inside[q] = true);
    let mut cone = Vec::new();
    for placed in gates.iter().rev() {
        if placed.qubits.iter().any(|&q| inside[q]) {
            placed.qubits.iter().for_each(|&q| inside[q] = true);
            cone.push(placed);
        }
    }
    cone.reverse();
    cone
}
