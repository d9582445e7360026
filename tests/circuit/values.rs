//! Gates, circuits as values, the statevector, observables, drawings.

use std::f64::consts::{FRAC_PI_2, PI};

use crate::common::*;
use ansatz::circuit::{Circuit, Condition, GATES, Gate, GateKind, Matrix, Parameter, PauliSum, Simulator, Statevector};
use ansatz::report::{circuit_svg, circuit_text};
use ansatz::{Error, Seed};
use num_complex::Complex64;
use rand::RngExt;

#[test]
fn every_gate_is_unitary_and_undone_by_its_inverse() {
    for row in GATES {
        let gate = gate(row, &angles(row));
        let matrix = gate.matrix().unwrap();
        assert!(matrix.unitarity_error() < 1e-14, "{}", row.name);
        assert_eq!(matrix.qubits(), row.qubits, "{}", row.name);
        let product = matrix.times(&gate.inverse().matrix().unwrap()).unwrap();
        assert!(distance(product.entries(), Matrix::identity(row.qubits).entries()) < 1e-14, "{}", row.name);
        assert!(gate.inverse().inverse().matrix().unwrap().distance_up_to_phase(&matrix) < 1e-14, "{}", row.name);
    }
}

#[test]
fn every_gate_is_what_its_definition_says() {
    let mut compared = 0;
    for row in GATES.iter().filter(|row| !row.definition.is_empty()) {
        let list = |names: &[&str]| if names.is_empty() { String::new() } else { format!("({})", names.join(",")) };
        let numbers: Vec<String> = angles(row).iter().map(f64::to_string).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let letters = ["a", "b", "c", "d", "e"][..row.qubits].join(",");
        let qubits = ["q[0]", "q[1]", "q[2]", "q[3]", "q[4]"][..row.qubits].join(",");
        let text = format!(
            "OPENQASM 2.0; include \"qelib1.inc\"; gate other{} {letters} {{ {} }} qreg q[{}]; other{} {qubits};",
            list(row.parameters),
            row.definition,
            row.qubits,
            list(&numbers)
        );
        let circuit = Circuit::from_qasm(&text).unwrap();
        let distance = unitary_of(&circuit).distance_up_to_phase(&row.matrix(&angles(row)));
        assert!(distance < 1e-14, "{}: {distance}", row.name);
        compared += 1;
    }
    assert!(compared + 3 >= GATES.len());
}

#[test]
fn every_gate_is_of_its_kind() {
    let pauli = |name: &str| GATES.iter().find(|r| r.name == name).unwrap().matrix(&[]);
    for row in GATES.iter().filter(|row| row.qubits > 0) {
        let target = row.target_matrix(&angles(row));
        let few = |m: &Matrix| (0..m.dim()).all(|i| (0..m.dim()).filter(|&j| m.get(i, j).norm() > 0.0).count() == 1);
        match row.kind {
            GateKind::Diagonal => assert!(target.as_diagonal().is_some(), "{}", row.name),
            GateKind::Permutation => assert!(few(&target) && target.as_diagonal().is_none(), "{}", row.name),
            GateKind::Pauli => {
                let found = ["id", "x", "y", "z"].iter().any(|p| target == pauli(p));
                assert!(found, "{}", row.name);
            }
            GateKind::Dense => {}
        }
        // U P U^dagger is again a product of Pauli operators: one of them has all of its weight.
        let strings = |index: usize| {
            let word = (0..row.qubits).map(|q| ["id", "x", "y", "z"][index >> (2 * q) & 3]);
            let mut circuit = Circuit::new(row.qubits).unwrap();
            word.enumerate().for_each(|(q, name)| drop(circuit.apply(name, &[], &[q]).map(|_| ())));
            unitary_of(&circuit)
        };
        if row.qubits > 3 {
            continue;
        }
        let u = row.matrix(&angles(row));
        let clifford = (1..1 << (2 * row.qubits)).all(|p| {
            let turned = u.times(&strings(p)).unwrap().times(&u.dagger()).unwrap();
            (0..1 << (2 * row.qubits)).any(|q| {
                let other = strings(q);
                let trace: Complex64 = turned.entries().iter().zip(other.entries()).map(|(a, b)| a * b.conj()).sum();
                (trace.norm() / turned.dim() as f64 - 1.0).abs() < 1e-12
            })
        });
        assert_eq!(clifford, row.clifford, "{}", row.name);
    }
}

/// Wierichs et al., Quantum 6, 677 (2022), eq. 20, for frequencies `w, 2 w, .. r w`.
#[test]
fn every_parameter_has_the_frequencies_of_its_row() {
    for row in GATES {
        assert_eq!(row.frequencies.len(), row.parameters.len(), "{}", row.name);
        let (n, mut stream) = (row.qubits, Seed(3).stream("state", 0));
        let mut random = || -> Vector {
            (0..1 << n).map(|_| Complex64::new(stream.random::<f64>() - 0.5, stream.random())).collect()
        };
        let (state, other) = (random(), random());
        for (place, frequencies) in row.frequencies.iter().enumerate() {
            let value = |shift: f64| {
                let mut angles = angles(row);
                angles[place] += shift;
                let all: Vec<usize> = (0..n).collect();
                let turned = embedded(&state, &row.matrix(&angles), &all, n);
                turned.iter().zip(&other).map(|(a, b)| a * b.conj()).sum::<Complex64>().norm_sqr()
            };
            let step = 1e-5;
            let expected = (value(step) - value(-step)) / (2.0 * step);
            let (r, w) = (frequencies.len(), frequencies.first().copied().unwrap_or(1.0));
            frequencies.iter().enumerate().for_each(|(i, f)| assert_eq!(*f, w * (i + 1) as f64, "{}", row.name));
            let term = |mu: usize| {
                let angle = (2 * mu - 1) as f64 * PI / (2 * r) as f64;
                let sign = if mu % 2 == 1 { 1.0 } else { -1.0 };
                sign * value(angle / w) / (4.0 * r as f64 * (angle / 2.0).sin().powi(2))
            };
            let found = w * (1..=2 * r).map(term).sum::<f64>();
            assert!((found - expected).abs() < 1e-8, "{} {place}: {found} {expected}", row.name);
        }
    }
}

#[test]
fn the_statevector_agrees_with_embedded_matrices() {
    for qubits in 1..=7 {
        for seed in 0..4 {
            let circuit = random_circuit(qubits, 30, 10 * qubits as u64 + seed);
            let expected = run_by_matrices(&circuit, basis(qubits, 0));
            let double = Statevector::<f64>::new().state(&circuit).unwrap().amplitudes();
            assert!(distance(&expected, &double) < 1e-12, "{qubits} qubits, seed {seed}");
            let single = Statevector::<f32>::new().state(&circuit).unwrap().amplitudes();
            assert!(distance(&expected, &single) < 1e-5, "{qubits} qubits, seed {seed}");
        }
    }
}

#[test]
fn a_state_beyond_one_block_agrees_too_and_for_any_number_of_threads() {
    let circuit = random_circuit(17, 40, 5);
    let expected = run_by_matrices(&circuit, basis(17, 0));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let state = Statevector::<f64>::new().state(&circuit).unwrap();
            let shots = Statevector::<f64>::new().shots(&circuit, 40, Seed(2)).unwrap();
            let energy = state.expectation(&"Z0 X5 Y16 + 0.5*Z9".parse().unwrap()).unwrap();
            (state.amplitudes(), shots, energy.to_bits())
        })
    };
    let (one, three) = (run(1), run(3));
    assert!(distance(&expected, &one.0) < 1e-12);
    assert!(one == three);
}

#[test]
fn the_fourier_transform_is_exact() {
    let n = 10;
    let mut circuit = Circuit::new(n).unwrap();
    for q in 0..n {
        circuit.h(q).unwrap();
        (q + 1..n).for_each(|k| drop(circuit.cp(PI / f64::from(1 << (k - q)), k, q).map(|_| ())));
    }
    (0..n / 2).for_each(|q| drop(circuit.swap(q, n - 1 - q).map(|_| ())));
    let x = 389;
    let mut prepared = Circuit::new(n).unwrap();
    (0..n).filter(|q| x >> (n - 1 - q) & 1 == 1).for_each(|q| drop(prepared.x(q).map(|_| ())));
    prepared.append(&circuit).unwrap();
    let state = Statevector::<f64>::new().state(&prepared).unwrap().amplitudes();
    let size = f64::from(1 << n);
    for (k, z) in state.iter().enumerate() {
        let expected = Complex64::cis(2.0 * PI * ((x * k) % (1 << n)) as f64 / size) / size.sqrt();
        assert!((z - expected).norm() < 1e-13, "{k}");
    }
    prepared.append(&circuit.inverse().unwrap()).unwrap();
    let back = Statevector::<f64>::new().state(&prepared).unwrap();
    assert!((back.amplitude(x).norm() - 1.0).abs() < 1e-12);
}

#[test]
fn values_of_circuits_compose() {
    let mut a = Circuit::with_bits(3, 2).unwrap();
    a.h(0).unwrap().cx(0, 2).unwrap().barrier(&[0, 1, 2]).unwrap();
    a.apply("rz", &[Parameter::symbol("t") * 2.0 + 0.5], &[1]).unwrap();
    assert_eq!(a.symbols().into_iter().collect::<Vec<_>>(), ["t"]);
    assert_eq!((a.depth(), a.counts()["cx"]), (3, 1));
    let bound = a.bind(&[("t", 0.25)]).unwrap();
    assert_eq!(bound.instructions()[3].operation.name(), "rz");
    let mut expected = Circuit::with_bits(3, 2).unwrap();
    expected.h(0).unwrap().cx(0, 2).unwrap().barrier(&[0, 1, 2]).unwrap().rz(1.0, 1).unwrap();
    assert_eq!(bound, expected);
    let twice = bound.repeated(2).unwrap();
    assert_eq!(twice.instructions().len(), 8);
    let mut undone = bound.clone();
    undone.append(&bound.inverse().unwrap()).unwrap();
    assert!(distance(unitary_of(&undone).entries(), Matrix::identity(3).entries()) < 1e-14);
    let mut wide = Circuit::with_bits(5, 4).unwrap();
    wide.append_on(&bound, &[4, 0, 2], &[1, 3]).unwrap();
    assert_eq!(wide.instructions()[1].operation.qubits(), [4, 2]);
    for error in [
        a.bind(&[("u", 1.0)]).unwrap_err(),
        wide.append_on(&bound, &[0, 1], &[0, 1]).map(|_| ()).unwrap_err(),
        a.clone().cx(0, 3).map(|_| ()).unwrap_err(),
        a.clone().cx(1, 1).map(|_| ()).unwrap_err(),
        a.clone().measure(0, 2).map(|_| ()).unwrap_err(),
        Gate::named("nothing", &[]).unwrap_err(),
        Gate::named("rx", &[]).unwrap_err(),
        Statevector::<f64>::new().state(&a).map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Circuit { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn a_matrix_that_is_not_unitary_is_refused_by_how_much() {
    let matrix = Matrix::new(1, [1.0, 0.0, 0.0, 1.1].map(Complex64::from).to_vec()).unwrap();
    let error = Gate::unitary(matrix).unwrap_err().to_string();
    assert!(error.contains("not unitary") && error.contains("2.100e-1"), "{error}");
}

#[test]
fn sixty_qubits_are_refused_with_the_memory_they_need() {
    let circuit = Circuit::new(60).unwrap();
    let error = Statevector::<f64>::new().state(&circuit).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Room { .. }));
    assert!(error.to_string().contains("statevector of 60 qubits in c64 needs 18446744073.7 GB"), "{error}");
    assert!(Statevector::<f32>::new().state(&Circuit::new(2000).unwrap()).is_err());
}

#[test]
fn shots_follow_the_amplitudes_and_depend_on_their_number_alone() {
    let circuit = random_circuit(4, 25, 77);
    let simulator = Statevector::<f64>::new();
    let few = simulator.shots(&circuit, 10, Seed(4)).unwrap();
    let many = simulator.shots(&circuit, 20_000, Seed(4)).unwrap();
    assert!(few.rows().eq(many.rows().take(10)));
    let marginal = simulator.marginal(&circuit, &[0, 1, 2, 3]).unwrap();
    let counts = many.counts();
    let mut chi = 0.0;
    for (index, p) in marginal.iter().enumerate() {
        let found = counts.get(&format!("{index:04b}")).copied().unwrap_or(0) as f64;
        if *p > 1e-4 {
            chi += (found - 20_000.0 * p).powi(2) / (20_000.0 * p);
        }
    }
    // 15 degrees of freedom: beyond 37.7 with probability 1e-3.
    assert!(chi < 37.7, "{chi}");
    assert_eq!(simulator.counts(&circuit, 20_000, Seed(4)).unwrap(), (counts, 1.0));
    let amplitude = simulator.amplitude(&circuit, &[0, 1, 1, 0]).unwrap();
    assert!(((2.0 * amplitude.ln_abs()).exp() - marginal[6]).abs() < 1e-13);
    // Qubit 2 first, then qubit 0.
    let pair = simulator.marginal(&circuit, &[2, 0]).unwrap();
    let expected: f64 = (0..16).filter(|i| i >> 1 & 1 == 1 && i >> 3 & 1 == 0).map(|i| marginal[i]).sum();
    assert!((pair[2] - expected).abs() < 1e-14);
}

#[test]
fn a_teleported_qubit_arrives() {
    let mut circuit = Circuit::with_bits(3, 3).unwrap();
    circuit.ry(1.1, 0).unwrap().rz(0.4, 0).unwrap();
    circuit.h(1).unwrap().cx(1, 2).unwrap().cx(0, 1).unwrap().h(0).unwrap();
    circuit.measure(0, 0).unwrap().measure(1, 1).unwrap();
    circuit.x(2).unwrap().only_if(Condition { start: 1, size: 1, value: 1 }).unwrap();
    circuit.z(2).unwrap().only_if(Condition { start: 0, size: 1, value: 1 }).unwrap();
    circuit.rz(-0.4, 2).unwrap().ry(-1.1, 2).unwrap().reset(0).unwrap().measure(2, 2).unwrap();
    let simulator = Statevector::<f64>::new();
    let (counts, fidelity) = simulator.counts(&circuit, 400, Seed(1)).unwrap();
    // The third bit is always 0; the other two are free.
    assert_eq!(counts.keys().map(String::as_str).collect::<Vec<_>>(), ["000", "010", "100", "110"]);
    assert!(counts.values().all(|&count| count > 60) && fidelity == 1.0);
    let shots = simulator.shots(&circuit, 30, Seed(1)).unwrap();
    let again = simulator.shots(&circuit, 7, Seed(1)).unwrap();
    assert!(again.rows().eq(shots.rows().take(7)));
    assert!(
        simulator.expectation(&circuit, &"Z0".parse().unwrap()).unwrap_err().to_string().contains("before its end")
    );
}

#[test]
fn observables_are_read_added_multiplied_and_measured() {
    let sum: PauliSum = "1.5*Z0 Z1 - X3 + 2 - 2e0 Y1*Y1".parse().unwrap();
    assert_eq!(sum.to_string(), "1.5*Z0 Z1 - X3");
    assert_eq!(sum.clone() - sum.clone(), PauliSum::default());
    let (xx, yy): (PauliSum, PauliSum) = ("X0 X1".parse().unwrap(), "Y0 Y1".parse().unwrap());
    assert_eq!(xx.times(&yy).unwrap().to_string(), "-Z0 Z1");
    assert!("X0".parse::<PauliSum>().unwrap().times(&"Y0".parse().unwrap()).is_err());
    for text in ["", "+", "1.5*", "Z", "Z0 +", "X0 Y0", "Q1", "2 * * Z0", "1e999", "Z99999999999999999999999"] {
        assert!(text.parse::<PauliSum>().is_err(), "{text}");
    }
    let circuit = random_circuit(4, 25, 8);
    let state = run_by_matrices(&circuit, basis(4, 0));
    for text in ["Z0", "Y1", "X0 Y1 Y2 Z3", "0.5*Y0 X2 Y3 - 1.25*Y2 + 3 X1"] {
        let observable: PauliSum = text.parse().unwrap();
        let mut expected = 0.0;
        for (string, factor) in observable.terms() {
            let mut product = Circuit::new(4).unwrap();
            for (qubit, pauli) in string {
                product.apply(&format!("{pauli:?}").to_lowercase(), &[], &[*qubit]).unwrap();
            }
            let turned = run_by_matrices(&product, state.clone());
            expected += factor * turned.iter().zip(&state).map(|(a, b)| (a * b.conj()).re).sum::<f64>();
        }
        let found = Statevector::<f64>::new().expectation(&circuit, &observable).unwrap();
        assert!((found - expected).abs() < 1e-12, "{text}: {found} {expected}");
    }
    assert!(Statevector::<f64>::new().expectation(&circuit, &"Z4".parse().unwrap()).is_err());
}

#[test]
fn drawings_have_every_gate_in_its_place() {
    let mut circuit = Circuit::with_bits(3, 1).unwrap();
    circuit.h(0).unwrap().cx(0, 2).unwrap().rz(FRAC_PI_2, 1).unwrap().swap(1, 2).unwrap().measure(0, 0).unwrap();
    let text = circuit_text(&circuit, 80).unwrap();
    let expected = "\
q[0]: ─┤h├─●─┤M c[0]├────
           │
q[1]: ─────┼─┤rz(π/2)├─×─
           │           │
q[2]: ─────⊕───────────×─
";
    assert_eq!(text, expected, "\n{text}");
    let svg = circuit_svg(&circuit).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("rz(π/2)") && svg.matches("<rect").count() == 4);
}
