//! Unitaries as gates of one qubit and CNOTs.

use ansatz::circuit::{Circuit, GATES, Gate, Matrix};
use num_complex::Complex64;

use crate::common::*;

fn check(matrix: &Matrix, what: &str) -> usize {
    let circuit = matrix.to_circuit().unwrap();
    let allowed = ["u3", "u1", "cx", "gphase"];
    assert!(circuit.counts().keys().all(|name| allowed.contains(&name.as_str())), "{what}: {:?}", circuit.counts());
    // The phase of the whole included.
    let error = distance(unitary_of(&circuit).entries(), matrix.entries());
    assert!(error < 1e-11, "{what}: {error:.1e}");
    circuit.counts().get("cx").copied().unwrap_or(0)
}

#[test]
fn unitaries_of_up_to_five_qubits_are_made_of_cnots() {
    for (qubits, most) in [(1, 0), (2, 3), (3, 20), (4, 100), (5, 444)] {
        for seed in 0..if qubits < 4 { 10 } else { 2 } {
            let matrix = random_unitary(qubits, 100 * qubits as u64 + seed);
            assert!(check(&matrix, &format!("{qubits} qubits, seed {seed}")) <= most);
        }
    }
}

#[test]
fn two_qubits_take_no_more_cnots_than_they_have_to() {
    let matrix = |name: &str, angles: &[f64]| {
        let row = GATES.iter().find(|row| row.name == name).unwrap();
        gate(row, angles).matrix().unwrap()
    };
    for (name, angles, least) in [
        ("swap", &[][..], 3),
        ("iswap", &[], 2),
        ("cx", &[], 1),
        ("cz", &[], 1),
        ("cy", &[], 1),
        ("ch", &[], 1),
        ("cp", &[0.3], 2),
        ("rxx", &[0.4], 2),
        ("ryy", &[-1.1], 2),
        ("rzz", &[2.0], 2),
        ("rzz", &[std::f64::consts::FRAC_PI_2], 1),
        ("rzz", &[-std::f64::consts::FRAC_PI_2], 1),
        ("rxx", &[std::f64::consts::PI], 0),
        ("fsim", &[0.3, 0.2], 3),
        ("fsim", &[0.3, 0.0], 2),
    ] {
        assert_eq!(check(&matrix(name, angles), name), least, "{name} {angles:?}");
    }
    // Between gates of one qubit it is the same class.
    for seed in 0..20 {
        let mut circuit = Circuit::new(2).unwrap();
        for part in 0..3 {
            let local = |q: u64| random_unitary(1, 1000 + 10 * seed + 2 * part + q);
            circuit.unitary(local(0), &[0]).unwrap().unitary(local(1), &[1]).unwrap();
            if part < 2 && seed % 3 > 0 {
                circuit.cx(usize::from(part == 1), usize::from(part == 0)).unwrap();
            }
        }
        let cnots = check(&unitary_of(&circuit), "two CNOTs");
        assert_eq!(cnots, if seed % 3 > 0 { 2 } else { 0 }, "seed {seed}");
    }
    // Real ones need two.
    let (c, s) = (0.6, 0.8);
    let entries = [c, 0.0, -s, 0.0, 0.0, c, 0.0, -s, s, 0.0, c, 0.0, 0.0, s, 0.0, c].map(Complex64::from);
    assert_eq!(check(&Matrix::new(2, entries.to_vec()).unwrap(), "rotation"), 0);
}

#[test]
fn gates_of_the_table_and_structured_matrices_come_out_right() {
    for row in GATES.iter().filter(|row| (1..=4).contains(&row.qubits)) {
        check(&gate(row, &angles(row)).matrix().unwrap(), row.name);
    }
    check(&Matrix::identity(3), "identity");
    assert_eq!(check(&Matrix::identity(4), "identity"), 0);
    // Diagonal, a permutation, and blocks of which some are equal.
    let phases: Vec<Complex64> = (0..8).map(|i| Complex64::cis(0.3 * (i * i) as f64)).collect();
    let diagonal = |z: &[Complex64]| {
        let n = z.len();
        let entries = (0..n * n).map(|i| if i / n == i % n { z[i / n] } else { Complex64::ZERO }).collect();
        Matrix::new(n.ilog2() as usize, entries).unwrap()
    };
    check(&diagonal(&phases), "diagonal");
    let entries = (0..64).map(|i| Complex64::from(f64::from(u8::from(i % 8 == (i / 8 + 1) % 8)))).collect();
    check(&Matrix::new(3, entries).unwrap(), "shift");
    for controls in [&[true][..], &[false, true], &[true, true, false]] {
        let gate = Gate::unitary(random_unitary(2, 5)).unwrap().controlled(controls).unwrap();
        check(&gate.matrix().unwrap(), "controlled");
    }
}

#[test]
fn what_is_no_gate_of_the_table_becomes_such() {
    let circuit = random_circuit(5, 30, 77);
    let elementary = circuit.elementary().unwrap();
    let named = |c: &Circuit| c.counts().keys().all(|name| GATES.iter().any(|row| row.name == *name));
    assert!(!named(&circuit) && named(&elementary));
    let state = |c: &Circuit| run_by_matrices(c, basis(5, 0));
    assert!(distance(&state(&circuit), &state(&elementary)) < 1e-11);
    let half = Matrix::new(1, [0.5, 0.0, 0.0, 1.0].map(Complex64::from).to_vec()).unwrap();
    assert!(half.to_circuit().unwrap_err().to_string().contains("not unitary"));
    assert!(Matrix::identity(9).to_circuit().unwrap_err().to_string().contains("give 1 to 8"));
    assert!(Matrix::identity(0).to_circuit().is_err());
}
