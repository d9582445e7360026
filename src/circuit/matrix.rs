//! Small square matrices over a few qubits.

use num_complex::Complex64;

use crate::error::{Error, Result};

/// A matrix over `qubits` qubits, `[2^qubits, 2^qubits]`, rows first; the first qubit is the most significant bit.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    qubits: usize,
    entries: Vec<Complex64>,
}

/// How far `U U^dagger` may be from the identity, in any element.
const TOLERANCE: f64 = 1e-8;

impl Matrix {
    /// A matrix of its elements, rows first; any number of qubits from 0 to 10.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of elements is not `4^qubits`, [`Error::NotFinite`].
    pub fn new(qubits: usize, entries: Vec<Complex64>) -> Result<Self> {
        if qubits > 10 || entries.len() != 1 << (2 * qubits) {
            let expected = format!("{} elements", 1_u64 << (2 * qubits.min(10)));
            return Err(Error::shape(format!("matrix of {qubits} qubits"), entries.len(), expected));
        }
        if entries.iter().any(|z| !z.is_finite()) {
            return Err(Error::NotFinite { what: format!("matrix of {qubits} qubits") });
        }
        Ok(Matrix { qubits, entries })
    }

    /// Of real and imaginary parts known to fit.
    pub(super) fn of(entries: &[(f64, f64)]) -> Self {
        let qubits = entries.len().ilog2() as usize / 2;
        Matrix { qubits, entries: entries.iter().map(|&(re, im)| Complex64::new(re, im)).collect() }
    }

    /// The diagonal matrix.
    pub(super) fn diagonal(entries: &[Complex64]) -> Self {
        let dim = entries.len();
        let mut matrix = Matrix { qubits: dim.ilog2() as usize, entries: vec![Complex64::ZERO; dim * dim] };
        for (i, &z) in entries.iter().enumerate() {
            matrix.entries[i * dim + i] = z;
        }
        matrix
    }

    /// The identity.
    #[must_use]
    pub fn identity(qubits: usize) -> Self {
        Self::diagonal(&vec![Complex64::ONE; 1 << qubits.min(10)])
    }

    /// Qubits.
    #[must_use]
    pub fn qubits(&self) -> usize {
        self.qubits
    }

    /// Rows.
    #[must_use]
    pub fn dim(&self) -> usize {
        1 << self.qubits
    }

    /// The elements, rows first.
    #[must_use]
    pub fn entries(&self) -> &[Complex64] {
        &self.entries
    }

    /// The element at `row` and `column`, zero outside.
    #[must_use]
    pub fn get(&self, row: usize, column: usize) -> Complex64 {
        let inside = row < self.dim() && column < self.dim();
        if inside { self.entries[row * self.dim() + column] } else { Complex64::ZERO }
    }

    /// The conjugate transpose.
    #[must_use]
    pub fn dagger(&self) -> Self {
        let dim = self.dim();
        let entries = (0..dim * dim).map(|i| self.entries[i % dim * dim + i / dim].conj()).collect();
        Matrix { qubits: self.qubits, entries }
    }

    /// The product `self other`.
    ///
    /// # Errors
    /// [`Error::Shape`] if they have unlike numbers of qubits.
    pub fn times(&self, other: &Self) -> Result<Self> {
        if self.qubits != other.qubits {
            return Err(Error::shape("second matrix", other.dim(), self.dim()));
        }
        let dim = self.dim();
        let mut entries = vec![Complex64::ZERO; dim * dim];
        for row in 0..dim {
            for inner in 0..dim {
                let left = self.entries[row * dim + inner];
                for column in 0..dim {
                    entries[row * dim + column] += left * other.entries[inner * dim + column];
                }
            }
        }
        Ok(Matrix { qubits: self.qubits, entries })
    }

    /// Times a number.
    #[must_use]
    pub(super) fn scaled(&self, factor: f64) -> Self {
        Matrix { qubits: self.qubits, entries: self.entries.iter().map(|z| z * factor).collect() }
    }

    /// The complex conjugate.
    pub(super) fn conj(&self) -> Self {
        Matrix { qubits: self.qubits, entries: self.entries.iter().map(Complex64::conj).collect() }
    }

    /// The sum of two matrices of the same size.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let entries = self.entries.iter().zip(&other.entries).map(|(a, b)| a + b).collect();
        Matrix { qubits: self.qubits, entries }
    }

    /// With controls before its own qubits: zero unless the controls have these values.
    pub(super) fn beside_zero(&self, controls: &[bool]) -> Self {
        let mut whole = self.controlled(controls);
        if !controls.is_empty() {
            let start = controls.iter().fold(0, |index, &on| index * 2 + usize::from(on)) * self.dim();
            let all = whole.dim();
            for i in (0..all).filter(|i| !(start..start + self.dim()).contains(i)) {
                whole.entries[i * all + i] = Complex64::ZERO;
            }
        }
        whole
    }

    /// The Kronecker product, the qubits of `other` after those of this matrix; up to ten in all.
    #[must_use]
    pub(super) fn kron(&self, other: &Self) -> Self {
        let (dim, inner) = (self.dim() * other.dim(), other.dim());
        let entry = |i: usize| {
            let (row, column) = (i / dim, i % dim);
            self.get(row / inner, column / inner) * other.get(row % inner, column % inner)
        };
        Matrix { qubits: self.qubits + other.qubits, entries: (0..dim * dim).map(entry).collect() }
    }

    /// On qubits in another order: qubit `i` of the result is qubit `order[i]` of this one.
    #[must_use]
    pub(super) fn reordered(&self, order: &[usize]) -> Self {
        let (n, dim) = (self.qubits, self.dim());
        let place = |index: usize| {
            let bit = |(i, &from): (usize, &usize)| (index >> (n - 1 - i) & 1) << (n - 1 - from);
            order.iter().enumerate().map(bit).sum::<usize>()
        };
        let entries = (0..dim * dim).map(|i| self.get(place(i / dim), place(i % dim))).collect();
        Matrix { qubits: n, entries }
    }

    /// With controls before its own qubits: acts where the controls have these values.
    pub(super) fn controlled(&self, controls: &[bool]) -> Self {
        let (dim, mut whole) = (self.dim(), Matrix::identity(controls.len() + self.qubits));
        let block = controls.iter().fold(0, |index, &on| index * 2 + usize::from(on)) * dim;
        let all = whole.dim();
        for row in 0..dim {
            for column in 0..dim {
                whole.entries[(block + row) * all + block + column] = self.entries[row * dim + column];
            }
        }
        whole
    }

    /// The largest element of `|U U^dagger - 1|`.
    #[must_use]
    pub fn unitarity_error(&self) -> f64 {
        let (dim, mut worst) = (self.dim(), 0.0_f64);
        for row in 0..dim {
            for other in 0..dim {
                let (a, b) = (&self.entries[row * dim..][..dim], &self.entries[other * dim..][..dim]);
                let product: Complex64 = a.iter().zip(b).map(|(x, y)| x * y.conj()).sum();
                worst = worst.max((product - if row == other { 1.0 } else { 0.0 }).norm());
            }
        }
        worst
    }

    /// That the matrix is unitary to 1e-8.
    ///
    /// # Errors
    /// [`Error::Circuit`] that tells by how much it is not.
    pub fn check_unitary(&self) -> Result<()> {
        let error = self.unitarity_error();
        if error <= TOLERANCE {
            return Ok(());
        }
        let what = format!(
            "matrix of {} qubits is not unitary: U U^dagger differs from the identity by {error:.3e}, more than {TOLERANCE:.0e}",
            self.qubits
        );
        Err(Error::Circuit { what })
    }

    /// The diagonal, if nothing else differs from zero.
    #[must_use]
    pub fn as_diagonal(&self) -> Option<Vec<Complex64>> {
        let dim = self.dim();
        let clean = self.entries.iter().enumerate().all(|(i, z)| i / dim == i % dim || *z == Complex64::ZERO);
        clean.then(|| (0..dim).map(|i| self.entries[i * dim + i]).collect())
    }

    /// The largest difference of two matrices of the same size once a common phase is taken out; infinite if sizes differ.
    #[must_use]
    pub fn distance_up_to_phase(&self, other: &Self) -> f64 {
        if self.qubits != other.qubits {
            return f64::INFINITY;
        }
        let overlap: Complex64 = self.entries.iter().zip(&other.entries).map(|(a, b)| a.conj() * b).sum();
        let phase = if overlap.norm() > 0.0 { overlap / overlap.norm() } else { Complex64::ONE };
        self.entries.iter().zip(&other.entries).map(|(a, b)| (a * phase - b).norm()).fold(0.0, f64::max)
    }
}
