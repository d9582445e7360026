//! Unitaries of two qubits with as few CNOTs as there can be.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

use ndarray::Array2;
use num_complex::Complex64;

use super::builder::Builder;
use super::single::{IDENTITY, Single, hadamard, rx, ry, rz, times};
use crate::error::{Error, Result};
use crate::linalg::{Op, eigh, matmul};

/// `exp(i (a XX + b YY + c ZZ))` between gates of one qubit: `before` and `after`, first qubit first.
#[derive(Debug, Clone)]
struct Canonical {
    before: [Single; 2],
    coordinates: [f64; 3],
    after: [Single; 2],
}

/// Coordinates that differ by less are equal but for rounding.
const EQUAL: f64 = 1e-11;

/// Steps that make a coordinate smaller which is to be zero, and the difference of angles from which its slope is taken.
const REFINEMENTS: usize = 3;
const SLOPE: f64 = 1e-6;

/// Elements beside the diagonal that are smaller are rounding.
const DIAGONAL: f64 = 1e-13;

/// A unitary `[4, 4]` on two qubits, with 0 to 3 CNOTs, as few as it allows.
///
/// Vatan and Williams, PRA 69, 032315 (2004).
pub(super) fn unitary(matrix: &Array2<Complex64>, qubits: [usize; 2], builder: &mut Builder) -> Result<()> {
    emit(canonical(matrix)?, matrix, qubits, builder)
}

/// A unitary but for a diagonal that follows it, which is returned: with 2 CNOTs at most where the whole takes 3.
///
/// With `D = exp(i phi ZZ)` one angle makes `tr V YY V^T YY` of `V = D U` real, which is when 2 CNOTs suffice. Shende, Bullock
/// and Markov, PRA 69, 062321 (2004), and IEEE Trans. CAD 25, 1000 (2006), theorem 14.
pub(super) fn up_to_diagonal(
    matrix: &Array2<Complex64>,
    qubits: [usize; 2],
    builder: &mut Builder,
) -> Result<Option<[Complex64; 4]>> {
    if matrix.indexed_iter().all(|((i, j), x)| i == j || x.norm() < DIAGONAL) {
        return Ok(Some(std::array::from_fn(|i| matrix[[i, i]])));
    }
    let form = canonical(matrix)?;
    if form.zeros() > 0 {
        return emit(form, matrix, qubits, builder).map(|()| None);
    }
    let special = matrix.mapv(|x| x * Complex64::cis(-determinant(matrix).arg() / 4.0));
    // The diagonal of U YY U^T YY, with YY the antidiagonal of these signs.
    let signs = [-1.0, 1.0, 1.0, -1.0];
    let entry = |i: usize| -> Complex64 {
        (0..4).map(|k| special[[i, k]] * special[[3 - i, 3 - k]] * signs[i] * signs[k]).sum()
    };
    let (like, unlike) = (entry(0) + entry(3), entry(1) + entry(2));
    let phi = (-(like + unlike).im).atan2((like - unlike).re) / 2.0;
    let turned = |phi: f64| -> Result<Turned> {
        let turn = [phi, -phi, -phi, phi].map(Complex64::cis);
        let mut rest = matrix.clone();
        rest.rows_mut().into_iter().zip(turn).for_each(|(mut row, turn)| row.mapv_inplace(|x| x * turn));
        Ok(Turned { phi, turn, form: canonical(&rest)?, rest })
    };
    let mut best = turned(phi)?;
    // Rounding may leave a coordinate that is not zero enough: a step of Newton, to the side on which it is smaller.
    for _ in 0..REFINEMENTS {
        if best.form.zeros() > 0 {
            break;
        }
        let slope = turned(best.phi + SLOPE)?.form.least() / SLOPE;
        let step = best.form.least() / slope.max(SLOPE);
        for phi in [best.phi - step, best.phi + step] {
            let other = turned(phi)?;
            if other.form.least() < best.form.least() {
                best = other;
            }
        }
    }
    // Close to products of gates of one qubit rounding may leave all three coordinates.
    if best.form.zeros() == 0 {
        return unitary(matrix, qubits, builder).map(|()| None);
    }
    emit(best.form, &best.rest, qubits, builder)?;
    Ok(Some(best.turn.map(|x| x.conj())))
}

/// A unitary after a diagonal.
struct Turned {
    phi: f64,
    turn: [Complex64; 4],
    rest: Array2<Complex64>,
    form: Canonical,
}

fn emit(form: Canonical, matrix: &Array2<Complex64>, qubits: [usize; 2], builder: &mut Builder) -> Result<()> {
    let zero = form.coordinates.map(|x| x.abs() < EQUAL);
    // The parts in order: those before, the core, those after; the phase is read off at the end.
    let mut parts = Parts::new(&form.before);
    match form.zeros() {
        3 => {}
        2 => {
            let place = zero.iter().position(|z| !z).unwrap_or(2);
            let outer = form.exchange(place, 2);
            parts.both(&outer);
            let c = form.coordinates[place];
            if (c.abs() - FRAC_PI_4).abs() < EQUAL {
                // exp(i c ZZ) is a controlled Z and a quarter turn of each qubit.
                parts.local([rz(-2.0 * c), rz(-2.0 * c)]);
                parts.local([IDENTITY, hadamard()]);
                parts.cnot(0);
                parts.local([IDENTITY, hadamard()]);
            } else {
                parts.cnot(0);
                parts.local([IDENTITY, rz(-2.0 * c)]);
                parts.cnot(0);
            }
            parts.both(&inverse(&outer));
        }
        1 => {
            let place = zero.iter().position(|z| *z).unwrap_or(1);
            let outer = form.exchange(place, 1);
            let mut at = form.coordinates;
            at.swap(place, 1);
            parts.both(&outer);
            parts.cnot(0);
            parts.local([rx(-2.0 * at[0]), rz(-2.0 * at[2])]);
            parts.cnot(0);
            parts.both(&inverse(&outer));
        }
        _ => {
            let [a, b, c] = form.coordinates;
            parts.local([IDENTITY, rz(-FRAC_PI_2)]);
            parts.cnot(1);
            parts.local([rz(FRAC_PI_2 - 2.0 * c), ry(2.0 * a - FRAC_PI_2)]);
            parts.cnot(0);
            parts.local([IDENTITY, ry(FRAC_PI_2 - 2.0 * b)]);
            parts.cnot(1);
            parts.local([rz(FRAC_PI_2), IDENTITY]);
        }
    }
    parts.local(form.after);
    parts.emit(matrix, qubits, builder)
}

/// Gates on two qubits, with their product.
struct Parts {
    list: Vec<Part>,
    product: Array2<Complex64>,
}

enum Part {
    Local([Single; 2]),
    /// The control, 0 or 1.
    Cnot(usize),
}

impl Parts {
    fn new(first: &[Single; 2]) -> Self {
        let mut parts = Parts { list: Vec::new(), product: Array2::eye(4) };
        parts.local(*first);
        parts
    }

    fn local(&mut self, pair: [Single; 2]) {
        self.product = matmul(&kron(&pair).view(), Op::None, &self.product.view(), Op::None);
        self.list.push(Part::Local(pair));
    }

    fn both(&mut self, single: &Single) {
        self.local([*single; 2]);
    }

    fn cnot(&mut self, control: usize) {
        // Rows that change places.
        let (i, j) = if control == 0 { (2, 3) } else { (1, 3) };
        for column in 0..4 {
            self.product.swap([i, column], [j, column]);
        }
        self.list.push(Part::Cnot(control));
    }

    fn emit(self, matrix: &Array2<Complex64>, qubits: [usize; 2], builder: &mut Builder) -> Result<()> {
        let overlap: Complex64 = self.product.iter().zip(matrix).map(|(p, m)| p.conj() * m).sum();
        let turn = Complex64::cis(overlap.arg());
        let error = super::distance(&self.product.mapv(|x| x * turn), matrix);
        if !(error < 1e-9) {
            return Err(Error::Factorisation { routine: "canonical form of two qubits", rows: 4, cols: 4, code: 0 });
        }
        builder.phase(overlap.arg());
        for part in self.list {
            match part {
                Part::Local(pair) => (0..2).for_each(|i| builder.single(qubits[i], &pair[i])),
                Part::Cnot(control) => builder.cnot(qubits[control], qubits[1 - control]),
            }
        }
        Ok(())
    }
}

impl Canonical {
    /// The smallest of the coordinates, without its sign.
    fn least(&self) -> f64 {
        self.coordinates.iter().fold(f64::INFINITY, |least, x| least.min(x.abs()))
    }

    /// How many coordinates vanish.
    fn zeros(&self) -> usize {
        self.coordinates.iter().filter(|x| x.abs() < EQUAL).count()
    }

    /// Coordinates into `(-pi/4, pi/4]`: half a turn of a coordinate is a Pauli operator on each qubit.
    fn reduce(&mut self) {
        let (o, one, i) = (Complex64::ZERO, Complex64::ONE, Complex64::I);
        let paulis: [Single; 3] = [[o, one, one, o], [o, -i, i, o], [one, o, o, -one]];
        for (x, pauli) in self.coordinates.iter_mut().zip(&paulis) {
            // A little below a half rounds down, so that both ends of the range become the upper one.
            let turns = (*x / FRAC_PI_2 - 1e-9).round();
            *x -= turns * FRAC_PI_2;
            if turns.rem_euclid(2.0) == 1.0 {
                self.after.iter_mut().for_each(|m| *m = times(m, pauli));
            }
        }
    }

    /// A gate of one qubit that, on both qubits, exchanges two axes.
    fn exchange(&self, from: usize, to: usize) -> Single {
        match (from.min(to), from.max(to)) {
            (0, 1) => rz(FRAC_PI_2),
            (1, 2) => rx(FRAC_PI_2),
            (0, 2) => ry(FRAC_PI_2),
            _ => IDENTITY,
        }
    }
}

fn inverse(m: &Single) -> Single {
    [m[0].conj(), m[2].conj(), m[1].conj(), m[3].conj()]
}

fn kron(pair: &[Single; 2]) -> Array2<Complex64> {
    Array2::from_shape_fn((4, 4), |(i, j)| pair[0][i / 2 * 2 + j / 2] * pair[1][i % 2 * 2 + j % 2])
}

/// The basis in which products of unitaries of one qubit are real: Bell states with phases, as columns.
fn magic() -> Array2<Complex64> {
    let h = Complex64::from(std::f64::consts::FRAC_1_SQRT_2);
    let i = h * Complex64::I;
    let o = Complex64::ZERO;
    ndarray::arr2(&[[h, o, o, i], [o, i, h, o], [o, i, -h, o], [h, o, o, -i]])
}

fn determinant(m: &Array2<Complex64>) -> Complex64 {
    // Elimination with the largest pivot; four rows.
    let (mut m, mut product) = (m.clone(), Complex64::ONE);
    for k in 0..m.nrows() {
        let largest = |a: &usize, b: &usize| m[[*a, k]].norm().total_cmp(&m[[*b, k]].norm());
        let pivot = (k..m.nrows()).max_by(largest).unwrap_or(k);
        if pivot != k {
            (0..m.ncols()).for_each(|j| m.swap([k, j], [pivot, j]));
            product = -product;
        }
        product *= m[[k, k]];
        if m[[k, k]] == Complex64::ZERO {
            return product;
        }
        for i in k + 1..m.nrows() {
            let factor = m[[i, k]] / m[[k, k]];
            (k..m.ncols()).for_each(|j| {
                let above = m[[k, j]];
                m[[i, j]] -= factor * above;
            });
        }
    }
    product
}

/// `U = phase (A0 x A1) exp(i (a XX + b YY + c ZZ)) (B0 x B1)`; the phase is left out.
///
/// In the magic basis `U` is `K1 diag(exp(i phi)) K2` with real orthogonal `K`: `K2` holds the common eigenvectors of real and
/// imaginary part of `U^T U`.
fn canonical(matrix: &Array2<Complex64>) -> Result<Canonical> {
    let b = magic();
    let phase = Complex64::cis(determinant(matrix).arg() / 4.0).conj();
    let inside =
        matmul(&b.view(), Op::Adjoint, &matmul(&matrix.view(), Op::None, &b.view(), Op::None).view(), Op::None)
            .mapv(|x| x * phase);
    let square = matmul(&inside.t(), Op::None, &inside.view(), Op::None);
    // A direction may see two different eigenvalues as one; of several the best.
    let mut best: Option<(f64, Array2<f64>)> = None;
    for direction in [0.637_f64, 1.931, 2.741, 0.211, 1.303, 2.207] {
        let part = square.mapv(|x| x.re * direction.cos() + x.im * direction.sin());
        let vectors = eigh(&part.view())?.vectors;
        let complex = vectors.mapv(Complex64::from);
        let turned = matmul(
            &complex.t(),
            Op::None,
            &matmul(&square.view(), Op::None, &complex.view(), Op::None).view(),
            Op::None,
        );
        let off = turned.indexed_iter().filter(|((i, j), _)| i != j).map(|(_, x)| x.norm()).fold(0.0, f64::max);
        if best.as_ref().is_none_or(|(least, _)| off < *least) {
            best = Some((off, vectors));
        }
    }
    let Some((_, mut p)) = best else {
        return Err(Error::Factorisation { routine: "canonical form of two qubits", rows: 4, cols: 4, code: 0 });
    };
    if determinant(&p.mapv(Complex64::from)).re < 0.0 {
        p.column_mut(0).mapv_inplace(|x| -x);
    }
    let p = p.mapv(Complex64::from);
    let mut k1 = matmul(&inside.view(), Op::None, &p.view(), Op::None);
    // Columns of a real orthogonal matrix times phases.
    let mut angles = [0.0; 4];
    for (angle, mut column) in angles.iter_mut().zip(k1.columns_mut()) {
        let square: Complex64 = column.iter().map(|x| x * x).sum();
        *angle = square.arg() / 2.0;
        let turn = Complex64::cis(-*angle);
        column.mapv_inplace(|x| Complex64::from((x * turn).re));
    }
    if determinant(&k1).re < 0.0 {
        k1.column_mut(0).mapv_inplace(|x| -x);
        angles[0] += std::f64::consts::PI;
    }
    let back = |k: &Array2<Complex64>| {
        matmul(&b.view(), Op::None, &matmul(&k.view(), Op::None, &b.view(), Op::Adjoint).view(), Op::None)
    };
    let [f0, f1, f2, f3] = angles;
    let coordinates = [(f0 + f1 - f2 - f3) / 4.0, (f1 + f3 - f0 - f2) / 4.0, (f0 + f3 - f1 - f2) / 4.0];
    let mut form = Canonical { before: factors(&back(&p.t().to_owned())), coordinates, after: factors(&back(&k1)) };
    form.reduce();
    Ok(form)
}

/// The two factors of a product of unitaries of one qubit, up to a phase.
fn factors(product: &Array2<Complex64>) -> [Single; 2] {
    let size = |i: usize| (0..4).map(|k| product[[i / 2 * 2 + k / 2, i % 2 * 2 + k % 2]].norm_sqr()).sum::<f64>();
    // The largest block is a multiple of the second factor.
    let at = (0..4).max_by(|&a, &b| size(a).total_cmp(&size(b))).unwrap_or(0);
    let length = (size(at) / 2.0).sqrt();
    let second: Single = std::array::from_fn(|k| product[[at / 2 * 2 + k / 2, at % 2 * 2 + k % 2]] / length);
    let overlap = |i: usize| {
        (0..4).map(|k| second[k].conj() * product[[i / 2 * 2 + k / 2, i % 2 * 2 + k % 2]]).sum::<Complex64>() / 2.0
    };
    [std::array::from_fn(overlap), second]
}
