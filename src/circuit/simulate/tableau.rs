//! Stabiliser tableaus, and what Clifford gates do to Pauli operators.
//!
//! Aaronson and Gottesman, PRA 70, 052328 (2004). Bits lie by qubit, 64 rows in a word, so that a gate works at all rows at
//! once, and so does the product of one row into many.

use crate::circuit::matrix::Matrix;

/// What a Clifford gate on one or two qubits makes of each Pauli product: bits `x z` of its qubits, and whether there is a
/// minus before it. An index holds `x z` of the first qubit and then of the second, the first most significant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Images {
    entries: Vec<(usize, bool)>,
}

impl Images {
    /// Of a unitary on one or two qubits; `None` if it is no Clifford gate.
    pub(super) fn of(matrix: &Matrix) -> Option<Self> {
        let qubits = matrix.qubits();
        if !(1..=2).contains(&qubits) {
            return None;
        }
        let dagger = matrix.dagger();
        let image = |index: usize| {
            let turned = matrix.times(&pauli(index, qubits)).ok()?.times(&dagger).ok()?;
            // A Pauli product has one element in its first row, at the bits that it flips.
            let flips = (0..turned.dim()).find(|&column| turned.get(0, column).norm() > 0.5)?;
            (0..1 << qubits).find_map(|signs| {
                let bits = |q: usize| (flips >> (qubits - 1 - q) & 1, signs >> (qubits - 1 - q) & 1);
                let other = (0..qubits).fold(0, |index, q| 4 * index + 2 * bits(q).0 + bits(q).1);
                let expected = pauli(other, qubits);
                let near = |sign: f64| {
                    turned.entries().iter().zip(expected.entries()).all(|(a, b)| (a - b * sign).norm() < 1e-9)
                };
                if near(1.0) { Some((other, false)) } else { near(-1.0).then_some((other, true)) }
            })
        };
        let entries = (0..1 << (2 * qubits)).map(image).collect::<Option<Vec<_>>>()?;
        Some(Images { entries })
    }

    fn qubits(&self) -> usize {
        self.entries.len().ilog2() as usize / 2
    }
}

/// The product of Pauli operators with these bits, `Y` where both `x` and `z` are set.
fn pauli(index: usize, qubits: usize) -> Matrix {
    let (o, one) = ((0.0, 0.0), (1.0, 0.0));
    let single = |bits: usize| {
        Matrix::of(&match bits {
            0 => [one, o, o, one],
            1 => [one, o, o, (-1.0, 0.0)],
            2 => [o, one, one, o],
            _ => [o, (0.0, -1.0), (0.0, 1.0), o],
        })
    };
    if qubits == 1 { single(index) } else { single(index >> 2).kron(&single(index & 3)) }
}

/// Rows 0 to `n - 1` are destabilisers, `n` to `2 n - 1` stabilisers.
#[derive(Debug, Clone)]
pub(super) struct Tableau {
    qubits: usize,
    words: usize,
    /// By qubit, the bits of all rows.
    x: Vec<u64>,
    z: Vec<u64>,
    sign: Vec<u64>,
}

/// Bits set in `words`, ascending.
fn ones(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(i, &word)| (0..64).filter(move |b| word >> b & 1 == 1).map(move |b| 64 * i + b))
}

impl Tableau {
    /// The state `|0..0>`.
    pub(super) fn new(qubits: usize) -> Self {
        let words = (2 * qubits).div_ceil(64).max(1);
        let mut tableau =
            Tableau { qubits, words, x: vec![0; qubits * words], z: vec![0; qubits * words], sign: vec![0; words] };
        for q in 0..qubits {
            tableau.x[q * words + q / 64] |= 1 << (q % 64);
            tableau.z[q * words + (qubits + q) / 64] |= 1 << ((qubits + q) % 64);
        }
        tableau
    }

    fn bit(&self, part: &[u64], qubit: usize, row: usize) -> bool {
        part[qubit * self.words + row / 64] >> (row % 64) & 1 == 1
    }

    fn sign_of(&self, row: usize) -> bool {
        self.sign[row / 64] >> (row % 64) & 1 == 1
    }

    /// Applies a gate to its qubits.
    pub(super) fn apply(&mut self, images: &Images, on: &[usize]) {
        let k = images.qubits();
        for word in 0..self.words {
            let at: Vec<usize> = on.iter().map(|&q| q * self.words + word).collect();
            let mut inputs = [0_u64; 4];
            for (i, &at) in at.iter().enumerate() {
                (inputs[2 * i], inputs[2 * i + 1]) = (self.x[at], self.z[at]);
            }
            let (mut outputs, mut sign) = ([0_u64; 4], 0);
            for (index, &(image, minus)) in images.entries.iter().enumerate().skip(1) {
                // Rows that hold just this product.
                let rows = (0..2 * k).fold(u64::MAX, |rows, i| {
                    rows & if index >> (2 * k - 1 - i) & 1 == 1 { inputs[i] } else { !inputs[i] }
                });
                for (i, output) in outputs.iter_mut().enumerate().take(2 * k) {
                    if image >> (2 * k - 1 - i) & 1 == 1 {
                        *output |= rows;
                    }
                }
                if minus {
                    sign |= rows;
                }
            }
            for (i, &at) in at.iter().enumerate() {
                (self.x[at], self.z[at]) = (outputs[2 * i], outputs[2 * i + 1]);
            }
            self.sign[word] ^= sign;
        }
    }

    /// X on a qubit.
    pub(super) fn flip(&mut self, qubit: usize) {
        for word in 0..self.words {
            self.sign[word] ^= self.z[qubit * self.words + word];
        }
    }

    /// Multiplies row `source` into all rows of `rows`.
    fn multiply(&mut self, source: usize, rows: &[u64]) {
        let (mut low, mut high) = (vec![0_u64; self.words], vec![0_u64; self.words]);
        for q in 0..self.qubits {
            let (x1, z1) = (self.bit(&self.x, q, source), self.bit(&self.z, q, source));
            if !x1 && !z1 {
                continue;
            }
            for word in 0..self.words {
                let at = q * self.words + word;
                let (x2, z2) = (self.x[at], self.z[at]);
                // Powers of i that the product of the two operators at this qubit has.
                let (plus, minus) = match (x1, z1) {
                    (true, true) => (z2 & !x2, x2 & !z2),
                    (true, false) => (z2 & x2, z2 & !x2),
                    _ => (x2 & !z2, x2 & z2),
                };
                high[word] ^= (low[word] & plus) | (!low[word] & minus);
                low[word] ^= plus | minus;
                if x1 {
                    self.x[at] ^= rows[word];
                }
                if z1 {
                    self.z[at] ^= rows[word];
                }
            }
        }
        let own = if self.sign_of(source) { u64::MAX } else { 0 };
        for word in 0..self.words {
            self.sign[word] ^= (high[word] ^ own) & rows[word];
        }
    }

    /// Measures a qubit; `random` is asked where both outcomes are as likely.
    pub(super) fn measure(&mut self, qubit: usize, random: impl FnOnce() -> bool) -> bool {
        let n = self.qubits;
        let column = self.x[qubit * self.words..(qubit + 1) * self.words].to_vec();
        let Some(row) = ones(&column).find(|&row| row >= n) else {
            let string: Vec<(usize, bool, bool)> = vec![(qubit, false, true)];
            return self.sign_of_product(&string).unwrap_or(false);
        };
        let mut rows = column;
        rows[row / 64] &= !(1 << (row % 64));
        // The destabiliser of this row anticommutes with it and is replaced.
        rows[(row - n) / 64] &= !(1 << ((row - n) % 64));
        self.multiply(row, &rows);
        let outcome = random();
        for q in 0..n {
            let (x, z) = (self.bit(&self.x, q, row), self.bit(&self.z, q, row));
            self.set(q, row - n, x, z);
            self.set(q, row, false, q == qubit);
        }
        let (word, bit) = (row / 64, 1_u64 << (row % 64));
        self.sign[word] = if outcome { self.sign[word] | bit } else { self.sign[word] & !bit };
        outcome
    }

    fn set(&mut self, qubit: usize, row: usize, x: bool, z: bool) {
        let (at, bit) = (qubit * self.words + row / 64, 1_u64 << (row % 64));
        self.x[at] = if x { self.x[at] | bit } else { self.x[at] & !bit };
        self.z[at] = if z { self.z[at] | bit } else { self.z[at] & !bit };
    }

    /// Whether a Pauli product, `(qubit, x, z)` each, has expectation -1; `None` if its expectation is 0.
    pub(super) fn sign_of_product(&self, string: &[(usize, bool, bool)]) -> Option<bool> {
        let n = self.qubits;
        // Rows that do not commute with it.
        let mut rows = vec![0_u64; self.words];
        for &(q, x, z) in string {
            for (word, rows) in rows.iter_mut().enumerate() {
                let at = q * self.words + word;
                *rows ^= (if x { self.z[at] } else { 0 }) ^ (if z { self.x[at] } else { 0 });
            }
        }
        if ones(&rows).any(|row| row >= n) {
            return None;
        }
        // The product of the stabilisers whose destabilisers do not commute with it is the product itself, up to its sign.
        let (mut x, mut z, mut power, mut minus) = (vec![false; n], vec![false; n], 0_i64, false);
        for row in ones(&rows) {
            let row = row + n;
            minus ^= self.sign_of(row);
            for q in 0..n {
                let (x1, z1) = (self.bit(&self.x, q, row), self.bit(&self.z, q, row));
                let (x2, z2) = (x[q], z[q]);
                power += match (x1, z1) {
                    (true, true) => i64::from(z2) - i64::from(x2),
                    (true, false) => i64::from(z2) * (2 * i64::from(x2) - 1),
                    (false, true) => i64::from(x2) * (1 - 2 * i64::from(z2)),
                    _ => 0,
                };
                (x[q], z[q]) = (x1 ^ x2, z1 ^ z2);
            }
        }
        Some(minus ^ (power.rem_euclid(4) == 2))
    }

    /// The outcomes of measuring all qubits: they are all as likely, one of them and a basis of the differences, bits by
    /// qubit, 64 in a word.
    pub(super) fn support(&self) -> (Vec<u64>, Vec<Vec<u64>>) {
        let (n, width) = (self.qubits, self.qubits.div_ceil(64).max(1));
        let mut one = vec![0_u64; width];
        let mut copy = self.clone();
        for q in 0..n {
            if copy.measure(q, || false) {
                one[q / 64] |= 1 << (q % 64);
            }
        }
        // The X parts of the stabilisers, in echelon form.
        let mut basis: Vec<(usize, Vec<u64>)> = Vec::new();
        for row in n..2 * n {
            let mut vector = vec![0_u64; width];
            (0..n).filter(|&q| self.bit(&self.x, q, row)).for_each(|q| vector[q / 64] |= 1 << (q % 64));
            for (pivot, other) in &basis {
                if vector[pivot / 64] >> (pivot % 64) & 1 == 1 {
                    vector.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
                }
            }
            let pivot = ones(&vector).next();
            if let Some(pivot) = pivot {
                basis.push((pivot, vector));
            }
        }
        (one, basis.into_iter().map(|(_, vector)| vector).collect())
    }

    /// The expectation of a Pauli product, `(qubit, x, z)` each: -1, 0 or 1.
    pub(super) fn expectation(&self, string: &[(usize, bool, bool)]) -> f64 {
        match self.sign_of_product(string) {
            None => 0.0,
            Some(true) => -1.0,
            Some(false) => 1.0,
        }
    }
}
