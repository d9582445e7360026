//! The gates, one row each. Parser, export, help and tests are made from the table.

use std::f64::consts::{FRAC_1_SQRT_2 as H, FRAC_PI_2, FRAC_PI_4, PI};

use num_complex::Complex64;

use super::matrix::Matrix;

/// What sort of matrix a gate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GateKind {
    /// A Pauli operator or the identity.
    Pauli,
    /// Diagonal.
    Diagonal,
    /// One element in each row and column, not diagonal.
    Permutation,
    /// Anything else.
    Dense,
}

/// How the inverse of a gate is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Inverse {
    /// It is its own.
    Itself,
    /// The gate of this name; each of its parameters is `scale * p[index] + offset`, with the parameters `p` of the gate.
    Gate(&'static str, &'static [(usize, f64, f64)]),
}

/// One gate.
#[derive(Debug)]
pub struct GateRow {
    /// Its name, as in OpenQASM.
    pub name: &'static str,
    /// Names of its parameters.
    pub parameters: &'static [&'static str],
    /// Qubits, controls included; controls come first.
    pub qubits: usize,
    /// How many of the qubits are controls.
    pub controls: usize,
    /// What sort of matrix the target has, controls left aside.
    pub kind: GateKind,
    /// Whether Pauli operators stay Pauli operators.
    pub clifford: bool,
    /// The inverse.
    pub inverse: Inverse,
    /// Positive differences of eigenvalues of the generator, for each parameter: the frequencies with which an expectation
    /// depends on it, which fix the parameter-shift rule.
    pub frequencies: &'static [&'static [f64]],
    /// Whether it belongs to OpenQASM 2's `qelib1.inc`.
    pub qelib: bool,
    /// Its body in OpenQASM 2, equal to the matrix up to a phase; qubits are `a b c d e`. Empty for what is built in.
    pub definition: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    pub(super) target: fn(&[f64]) -> Matrix,
}

impl PartialEq for GateRow {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl GateRow {
    /// The matrix over all qubits, controls included; missing parameters count as zero.
    #[must_use]
    pub fn matrix(&self, parameters: &[f64]) -> Matrix {
        self.target_matrix(parameters).controlled(&vec![true; self.controls])
    }

    /// The matrix over the qubits that are not controls.
    #[must_use]
    pub fn target_matrix(&self, parameters: &[f64]) -> Matrix {
        let mut padded = parameters.to_vec();
        padded.resize(self.parameters.len(), 0.0);
        (self.target)(&padded)
    }
}

/// Other names of gates.
const ALIASES: [(&str, &str); 8] = [
    ("U", "u3"),
    ("u", "u3"),
    ("CX", "cx"),
    ("cnot", "cx"),
    ("phase", "p"),
    ("cphase", "cp"),
    ("toffoli", "ccx"),
    ("fredkin", "cswap"),
];

/// The row of a gate by its name, or by another name that it has (`U`, `CX`, `phase`).
#[must_use]
pub fn gate_named(name: &str) -> Option<&'static GateRow> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    GATES.iter().find(|row| row.name == name)
}

fn unit(angle: f64) -> Complex64 {
    Complex64::cis(angle)
}

fn identity(_: &[f64]) -> Matrix {
    Matrix::identity(1)
}
fn x(_: &[f64]) -> Matrix {
    Matrix::of(&[(0., 0.), (1., 0.), (1., 0.), (0., 0.)])
}
fn y(_: &[f64]) -> Matrix {
    Matrix::of(&[(0., 0.), (0., -1.), (0., 1.), (0., 0.)])
}
fn z(_: &[f64]) -> Matrix {
    phases([(1., 0.), (-1., 0.)])
}
fn h(_: &[f64]) -> Matrix {
    Matrix::of(&[(H, 0.), (H, 0.), (H, 0.), (-H, 0.)])
}
fn s(_: &[f64]) -> Matrix {
    phases([(1., 0.), (0., 1.)])
}
fn sdg(_: &[f64]) -> Matrix {
    phases([(1., 0.), (0., -1.)])
}
fn t(_: &[f64]) -> Matrix {
    phases([(1., 0.), (H, H)])
}
fn tdg(_: &[f64]) -> Matrix {
    phases([(1., 0.), (H, -H)])
}
fn sx(_: &[f64]) -> Matrix {
    Matrix::of(&[(0.5, 0.5), (0.5, -0.5), (0.5, -0.5), (0.5, 0.5)])
}
fn sxdg(_: &[f64]) -> Matrix {
    Matrix::of(&[(0.5, -0.5), (0.5, 0.5), (0.5, 0.5), (0.5, -0.5)])
}
fn phases(entries: [(f64, f64); 2]) -> Matrix {
    Matrix::diagonal(&entries.map(|(re, im)| Complex64::new(re, im)))
}
fn phase(p: &[f64]) -> Matrix {
    Matrix::diagonal(&[Complex64::ONE, unit(p[0])])
}
fn global_phase(p: &[f64]) -> Matrix {
    Matrix::diagonal(&[unit(p[0])])
}
fn u3(p: &[f64]) -> Matrix {
    let (cos, sin) = ((p[0] / 2.).cos(), (p[0] / 2.).sin());
    let entries = [Complex64::from(cos), -unit(p[2]) * sin, unit(p[1]) * sin, unit(p[1] + p[2]) * cos];
    Matrix::of(&entries.map(|z| (z.re, z.im)))
}
fn u2(p: &[f64]) -> Matrix {
    u3(&[FRAC_PI_2, p[0], p[1]])
}
fn u4(p: &[f64]) -> Matrix {
    let inner = u3(&p[..3]);
    Matrix::of(&inner.entries().iter().map(|z| z * unit(p[3])).map(|z| (z.re, z.im)).collect::<Vec<_>>())
}
fn r(p: &[f64]) -> Matrix {
    u3(&[p[0], p[1] - FRAC_PI_2, FRAC_PI_2 - p[1]])
}
fn rx(p: &[f64]) -> Matrix {
    let (cos, sin) = ((p[0] / 2.).cos(), (p[0] / 2.).sin());
    Matrix::of(&[(cos, 0.), (0., -sin), (0., -sin), (cos, 0.)])
}
fn ry(p: &[f64]) -> Matrix {
    let (cos, sin) = ((p[0] / 2.).cos(), (p[0] / 2.).sin());
    Matrix::of(&[(cos, 0.), (-sin, 0.), (sin, 0.), (cos, 0.)])
}
fn rz(p: &[f64]) -> Matrix {
    Matrix::diagonal(&[unit(-p[0] / 2.), unit(p[0] / 2.)])
}
fn rzz(p: &[f64]) -> Matrix {
    let (even, odd) = (unit(-p[0] / 2.), unit(p[0] / 2.));
    Matrix::diagonal(&[even, odd, odd, even])
}
/// `cos - i sin * flip`, with the signs of the four elements of `flip`, from the last column down.
fn flipping(angle: f64, signs: [f64; 2]) -> Matrix {
    let (cos, sin) = ((angle / 2.).cos(), (angle / 2.).sin());
    let (o, d) = ((0., 0.), (cos, 0.));
    let (outer, inner) = ((0., -sin * signs[0]), (0., -sin * signs[1]));
    Matrix::of(&[d, o, o, outer, o, d, inner, o, o, inner, d, o, outer, o, o, d])
}
fn rxx(p: &[f64]) -> Matrix {
    flipping(p[0], [1., 1.])
}
fn ryy(p: &[f64]) -> Matrix {
    flipping(p[0], [-1., 1.])
}
fn swap(_: &[f64]) -> Matrix {
    fermionic((0., 0.), (1., 0.), (1., 0.))
}
fn iswap(_: &[f64]) -> Matrix {
    fermionic((0., 0.), (0., 1.), (1., 0.))
}
fn iswapdg(_: &[f64]) -> Matrix {
    fermionic((0., 0.), (0., -1.), (1., 0.))
}
fn fsim(p: &[f64]) -> Matrix {
    fermionic((p[0].cos(), 0.), (0., -p[0].sin()), (p[1].cos(), -p[1].sin()))
}
/// `stay` and `hop` in the subspace of one excitation, `both` for two.
fn fermionic(stay: (f64, f64), hop: (f64, f64), both: (f64, f64)) -> Matrix {
    let (o, one) = ((0., 0.), (1., 0.));
    Matrix::of(&[one, o, o, o, o, stay, hop, o, o, hop, stay, o, o, o, o, both])
}
fn sqrt_x(_: &[f64]) -> Matrix {
    rx(&[FRAC_PI_2])
}
fn sqrt_y(_: &[f64]) -> Matrix {
    ry(&[FRAC_PI_2])
}
fn sqrt_w(_: &[f64]) -> Matrix {
    r(&[FRAC_PI_2, FRAC_PI_4])
}

const ONE: &[f64] = &[1.0];
const HALF: &[f64] = &[0.5, 1.0];
const NEGATED: &[(usize, f64, f64)] = &[(0, -1., 0.)];
const U3_INVERSE: &[(usize, f64, f64)] = &[(0, -1., 0.), (2, -1., 0.), (1, -1., 0.)];
const CU_INVERSE: &[(usize, f64, f64)] = &[(0, -1., 0.), (2, -1., 0.), (1, -1., 0.), (3, -1., 0.)];
const ANGLES: &[&str] = &["theta", "phi", "lambda"];
const NONE: &[&str] = &[];

/// A row; the order of the arguments is that of the fields.
macro_rules! rows {
    ($($name:literal $parameters:ident $qubits:literal/$controls:literal $kind:ident $clifford:literal $qelib:literal
        ($inverse:expr) $frequencies:expr, $target:ident, $definition:literal, $doc:literal;)*) => {
        /// Every gate that has a name.
        pub static GATES: &[GateRow] = &[$(GateRow {
            name: $name, parameters: $parameters, qubits: $qubits, controls: $controls, kind: GateKind::$kind,
            clifford: $clifford, inverse: $inverse, frequencies: $frequencies, qelib: $qelib, definition: $definition,
            doc: $doc, target: $target,
        }),*];
    };
}

const THETA: &[&str] = &["theta"];
const LAMBDA: &[&str] = &["lambda"];
const PHI_LAMBDA: &[&str] = &["phi", "lambda"];
const THETA_PHI: &[&str] = &["theta", "phi"];
const CU: &[&str] = &["theta", "phi", "lambda", "gamma"];
const GAMMA: &[&str] = &["gamma"];

use Inverse::{Gate as G, Itself};

rows! {
    "id" NONE 1/0 Pauli true true (Itself) &[], identity, "U(0,0,0) a;", "identity";
    "u0" GAMMA 1/0 Pauli true true (G("u0", &[(0, 1., 0.)])) &[&[]], identity, "U(0,0,0) a;", "identity that takes a time";
    "x" NONE 1/0 Pauli true true (Itself) &[], x, "u3(pi,0,pi) a;", "Pauli X, bit flip";
    "y" NONE 1/0 Pauli true true (Itself) &[], y, "u3(pi,pi/2,pi/2) a;", "Pauli Y";
    "z" NONE 1/0 Pauli true true (Itself) &[], z, "u1(pi) a;", "Pauli Z, phase flip";
    "h" NONE 1/0 Dense true true (Itself) &[], h, "u2(0,pi) a;", "Hadamard";
    "s" NONE 1/0 Diagonal true true (G("sdg", &[])) &[], s, "u1(pi/2) a;", "square root of Z";
    "sdg" NONE 1/0 Diagonal true true (G("s", &[])) &[], sdg, "u1(-pi/2) a;", "inverse of s";
    "t" NONE 1/0 Diagonal false true (G("tdg", &[])) &[], t, "u1(pi/4) a;", "fourth root of Z";
    "tdg" NONE 1/0 Diagonal false true (G("t", &[])) &[], tdg, "u1(-pi/4) a;", "inverse of t";
    "sx" NONE 1/0 Dense true true (G("sxdg", &[])) &[], sx, "sdg a; h a; sdg a;", "square root of X";
    "sxdg" NONE 1/0 Dense true true (G("sx", &[])) &[], sxdg, "s a; h a; s a;", "inverse of sx";
    "rx" THETA 1/0 Dense false true (G("rx", NEGATED)) &[ONE], rx, "u3(theta,-pi/2,pi/2) a;", "rotation exp(-i theta X / 2)";
    "ry" THETA 1/0 Dense false true (G("ry", NEGATED)) &[ONE], ry, "u3(theta,0,0) a;", "rotation exp(-i theta Y / 2)";
    "rz" THETA 1/0 Diagonal false true (G("rz", NEGATED)) &[ONE], rz, "u1(theta) a;", "rotation exp(-i theta Z / 2)";
    "r" THETA_PHI 1/0 Dense false false (G("r", &[(0, -1., 0.), (1, 1., 0.)])) &[ONE, &[1.0, 2.0]], r,
        "u3(theta,phi-pi/2,pi/2-phi) a;", "rotation by theta about the axis cos(phi) X + sin(phi) Y";
    "p" LAMBDA 1/0 Diagonal false true (G("p", NEGATED)) &[ONE], phase, "U(0,0,lambda) a;", "phase exp(i lambda) on 1";
    "u1" LAMBDA 1/0 Diagonal false true (G("u1", NEGATED)) &[ONE], phase, "U(0,0,lambda) a;", "the same as p";
    "u2" PHI_LAMBDA 1/0 Dense false true (G("u2", &[(1, -1., -PI), (0, -1., PI)])) &[ONE, ONE], u2,
        "U(pi/2,phi,lambda) a;", "u3 with theta = pi/2";
    "u3" ANGLES 1/0 Dense false true (G("u3", U3_INVERSE)) &[ONE, ONE, ONE], u3, "",
        "any unitary of one qubit up to a phase: rz(phi) ry(theta) rz(lambda) times exp(i (phi + lambda) / 2)";
    "cx" NONE 2/1 Pauli true true (Itself) &[], x, "", "controlled X";
    "cy" NONE 2/1 Pauli true true (Itself) &[], y, "sdg b; cx a,b; s b;", "controlled Y";
    "cz" NONE 2/1 Pauli true true (Itself) &[], z, "h b; cx a,b; h b;", "controlled Z";
    "ch" NONE 2/1 Dense false true (Itself) &[], h,
        "h b; sdg b; cx a,b; h b; t b; cx a,b; t b; h b; s b; x b; s a;", "controlled Hadamard";
    "csx" NONE 2/1 Dense false true (G("csxdg", &[])) &[], sx, "h b; cu1(pi/2) a,b; h b;", "controlled sx";
    "csxdg" NONE 2/1 Dense false false (G("csx", &[])) &[], sxdg, "h b; cu1(-pi/2) a,b; h b;", "inverse of csx";
    "swap" NONE 2/0 Permutation true true (Itself) &[], swap, "cx a,b; cx b,a; cx a,b;", "exchange of two qubits";
    "iswap" NONE 2/0 Permutation true false (G("iswapdg", &[])) &[], iswap, "rxx(-pi/2) a,b; ryy(-pi/2) a,b;",
        "swap with a factor i where the qubits differ";
    "iswapdg" NONE 2/0 Permutation true false (G("iswap", &[])) &[], iswapdg, "rxx(pi/2) a,b; ryy(pi/2) a,b;",
        "inverse of iswap";
    "crx" THETA 2/1 Dense false true (G("crx", NEGATED)) &[HALF], rx,
        "u1(pi/2) b; cx a,b; u3(-theta/2,0,0) b; cx a,b; u3(theta/2,-pi/2,0) b;", "controlled rx";
    "cry" THETA 2/1 Dense false true (G("cry", NEGATED)) &[HALF], ry,
        "ry(theta/2) b; cx a,b; ry(-theta/2) b; cx a,b;", "controlled ry";
    "crz" THETA 2/1 Diagonal false true (G("crz", NEGATED)) &[HALF], rz,
        "rz(theta/2) b; cx a,b; rz(-theta/2) b; cx a,b;", "controlled rz";
    "cp" LAMBDA 2/1 Diagonal false true (G("cp", NEGATED)) &[ONE], phase,
        "u1(lambda/2) a; cx a,b; u1(-lambda/2) b; cx a,b; u1(lambda/2) b;", "controlled phase";
    "cu1" LAMBDA 2/1 Diagonal false true (G("cu1", NEGATED)) &[ONE], phase,
        "u1(lambda/2) a; cx a,b; u1(-lambda/2) b; cx a,b; u1(lambda/2) b;", "the same as cp";
    "cu3" ANGLES 2/1 Dense false true (G("cu3", U3_INVERSE)) &[HALF, ONE, ONE], u3,
        "u1((lambda+phi)/2) a; u1((lambda-phi)/2) b; cx a,b; u3(-theta/2,0,-(phi+lambda)/2) b; cx a,b; u3(theta/2,phi,0) b;",
        "controlled u3";
    "cu" CU 2/1 Dense false true (G("cu", CU_INVERSE)) &[HALF, ONE, ONE, ONE], u4,
        "u1(gamma) a; u1((lambda+phi)/2) a; u1((lambda-phi)/2) b; cx a,b; u3(-theta/2,0,-(phi+lambda)/2) b; cx a,b; u3(theta/2,phi,0) b;",
        "controlled exp(i gamma) u3";
    "rxx" THETA 2/0 Dense false true (G("rxx", NEGATED)) &[ONE], rxx, "h a; h b; cx a,b; u1(theta) b; cx a,b; h b; h a;",
        "rotation exp(-i theta XX / 2)";
    "ryy" THETA 2/0 Dense false false (G("ryy", NEGATED)) &[ONE], ryy,
        "rx(pi/2) a; rx(pi/2) b; cx a,b; u1(theta) b; cx a,b; rx(-pi/2) b; rx(-pi/2) a;", "rotation exp(-i theta YY / 2)";
    "rzz" THETA 2/0 Diagonal false true (G("rzz", NEGATED)) &[ONE], rzz, "cx a,b; u1(theta) b; cx a,b;",
        "rotation exp(-i theta ZZ / 2)";
    "fsim" THETA_PHI 2/0 Dense false false (G("fsim", &[(0, -1., 0.), (1, -1., 0.)])) &[&[1.0, 2.0], ONE], fsim,
        "rxx(theta) a,b; ryy(theta) a,b; cu1(-phi) a,b;", "exchange by theta, and a phase exp(-i phi) on 11";
    "ccx" NONE 3/2 Pauli false true (Itself) &[], x,
        "h c; cx b,c; tdg c; cx a,c; t c; cx b,c; tdg c; cx a,c; t b; t c; h c; cx a,b; t a; tdg b; cx a,b;",
        "X with two controls, Toffoli";
    "ccz" NONE 3/2 Pauli false false (Itself) &[], z, "h c; ccx a,b,c; h c;", "Z with two controls";
    "cswap" NONE 3/1 Permutation false true (Itself) &[], swap, "cx c,b; ccx a,b,c; cx c,b;", "controlled swap, Fredkin";
    "c3x" NONE 4/3 Pauli false true (Itself) &[], x,
        "h d; cu1(pi/4) a,d; cx a,b; cu1(-pi/4) b,d; cx a,b; cu1(pi/4) b,d; cx b,c; cu1(-pi/4) c,d; cx a,c; cu1(pi/4) c,d; cx b,c; cu1(-pi/4) c,d; cx a,c; cu1(pi/4) c,d; h d;",
        "X with three controls";
    "c3sqrtx" NONE 4/3 Dense false true (G("c3sqrtxdg", &[])) &[], sx,
        "h d; cu1(pi/8) a,d; cx a,b; cu1(-pi/8) b,d; cx a,b; cu1(pi/8) b,d; cx b,c; cu1(-pi/8) c,d; cx a,c; cu1(pi/8) c,d; cx b,c; cu1(-pi/8) c,d; cx a,c; cu1(pi/8) c,d; h d;",
        "sx with three controls";
    "c3sqrtxdg" NONE 4/3 Dense false false (G("c3sqrtx", &[])) &[], sxdg,
        "h d; cu1(-pi/8) a,d; cx a,b; cu1(pi/8) b,d; cx a,b; cu1(-pi/8) b,d; cx b,c; cu1(pi/8) c,d; cx a,c; cu1(-pi/8) c,d; cx b,c; cu1(pi/8) c,d; cx a,c; cu1(-pi/8) c,d; h d;",
        "inverse of c3sqrtx";
    "c4x" NONE 5/4 Pauli false true (Itself) &[], x,
        "csx d,e; c3x a,b,c,d; h e; cu1(-pi/2) d,e; h e; c3x a,b,c,d; c3sqrtx a,b,c,e;", "X with four controls";
    "x_1_2" NONE 1/0 Dense true false (G("rx", &[(0, 0., -FRAC_PI_2)])) &[], sqrt_x, "rx(pi/2) a;",
        "square root of X, as rx(pi/2)";
    "y_1_2" NONE 1/0 Dense true false (G("ry", &[(0, 0., -FRAC_PI_2)])) &[], sqrt_y, "ry(pi/2) a;",
        "square root of Y, as ry(pi/2)";
    "hz_1_2" NONE 1/0 Dense false false (G("r", &[(0, 0., -FRAC_PI_2), (1, 0., FRAC_PI_4)])) &[], sqrt_w,
        "u3(pi/2,-pi/4,pi/4) a;", "square root of W = (X + Y) / sqrt 2, as r(pi/2, pi/4)";
    "gphase" GAMMA 0/0 Diagonal true false (G("gphase", NEGATED)) &[&[]], global_phase, "", "phase exp(i gamma) of the whole state";
}
