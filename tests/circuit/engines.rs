//! Engines: what they give agrees with the statevector, with closed forms and with enumeration.

use std::f64::consts::PI;
use std::path::PathBuf;

use crate::common::*;
use ansatz::Seed;
use ansatz::circuit::{
    Circuit, CliffordSimulator, Condition, ContractSimulator, GATES, MpsSimulator, PauliSum, Simulator, Statevector,
};
use ansatz::io::load_circuit;
use num_complex::Complex64;
use rand::RngExt;

/// Pearson's statistic of counts against probabilities, where at least 5 are expected, and its degrees of freedom.
fn chi_square(counts: &std::collections::BTreeMap<String, u64>, probabilities: &[f64]) -> (f64, f64) {
    let (total, width) = (counts.values().sum::<u64>() as f64, probabilities.len().ilog2() as usize);
    let (mut chi, mut cells, mut rest) = (0.0, 0.0, (0.0, 0.0));
    for (index, p) in probabilities.iter().enumerate() {
        let found = counts.get(&format!("{index:0width$b}")).copied().unwrap_or(0) as f64;
        if p * total >= 5.0 {
            chi += (found - p * total).powi(2) / (p * total);
            cells += 1.0;
        } else {
            rest = (rest.0 + found, rest.1 + p * total);
        }
    }
    if rest.1 > 1.0 {
        chi += (rest.0 - rest.1).powi(2) / rest.1;
        cells += 1.0;
    }
    (chi, cells - 1.0)
}

/// That counts are no further from probabilities than four standard deviations of the statistic, about 1 in 10^4.
fn assert_follows(counts: &std::collections::BTreeMap<String, u64>, probabilities: &[f64], what: &str) {
    let (chi, freedom) = chi_square(counts, probabilities);
    assert!(chi < freedom + 4.0 * (2.0 * freedom).sqrt() + 4.0, "{what}: {chi} of {freedom}");
}

fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var("ANSATZ_SHARED").map_or_else(|_| PathBuf::from("../shared"), PathBuf::from);
    let path = root.join("data/qasm").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
    }
    path.exists().then_some(path)
}

#[test]
fn a_matrix_product_state_agrees_with_the_statevector() {
    for qubits in 1..=7 {
        for seed in 0..4 {
            let circuit = random_circuit(qubits, 30, 10 * qubits as u64 + seed);
            let run = MpsSimulator::<f64>::new().run(&circuit).unwrap();
            let expected = run_by_matrices(&circuit, basis(qubits, 0));
            assert!(distance(&run.state.to_dense().unwrap(), &expected) < 1e-11, "{qubits} qubits, seed {seed}");
            assert!((run.fidelity_estimate - 1.0).abs() < 1e-12);
            let single = MpsSimulator::<f32>::new().run(&circuit).unwrap().state.to_dense().unwrap();
            let single: Vec<Complex64> = single.iter().map(|z| Complex64::new(z.re.into(), z.im.into())).collect();
            assert!(distance(&single, &expected) < 2e-4, "{qubits} qubits, seed {seed}");
        }
    }
    let circuit = random_circuit(6, 40, 3);
    let (mps, exact) = (MpsSimulator::<f64>::new(), Statevector::<f64>::new());
    let observable: PauliSum = "0.5*Y0 X2 Z5 - 1.25*Y3 + 3 X1 Z4 - 2".parse().unwrap();
    let difference =
        mps.expectation(&circuit, &observable).unwrap() - exact.expectation(&circuit, &observable).unwrap();
    assert!(difference.abs() < 1e-11);
    for on in [&[][..], &[3], &[4, 1], &[5, 0, 2], &[0, 1, 2, 3, 4, 5]] {
        let (a, b) = (mps.marginal(&circuit, on).unwrap(), exact.marginal(&circuit, on).unwrap());
        assert!(a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-12), "{on:?}");
    }
    let (a, b) = (mps.amplitude(&circuit, &[1, 0, 1, 1, 0, 0]), exact.amplitude(&circuit, &[1, 0, 1, 1, 0, 0]));
    assert!((a.unwrap().value() - b.unwrap().value()).norm() < 1e-12);
}

#[test]
fn shots_of_a_matrix_product_state_follow_its_amplitudes() {
    let circuit = random_circuit(5, 30, 12);
    let mps = MpsSimulator::<f64>::new();
    let (counts, fidelity) = mps.counts(&circuit, 8000, Seed(3)).unwrap();
    assert_follows(&counts, &Statevector::<f64>::new().marginal(&circuit, &[0, 1, 2, 3, 4]).unwrap(), "mps");
    assert!((fidelity - 1.0).abs() < 1e-12);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| mps.shots(&circuit, 300, Seed(4)).unwrap())
    };
    assert!(run(1) == run(3));
    assert!(run(2).rows().take(20).eq(mps.shots(&circuit, 20, Seed(4)).unwrap().rows()));
}

/// Teleportation: measurement, reset and conditions on the way.
fn teleport() -> Circuit {
    let mut circuit = Circuit::with_bits(3, 3).unwrap();
    circuit.ry(1.1, 0).unwrap().rz(0.4, 0).unwrap();
    circuit.h(1).unwrap().cx(1, 2).unwrap().cx(0, 1).unwrap().h(0).unwrap();
    circuit.measure(0, 0).unwrap().measure(1, 1).unwrap();
    circuit.x(2).unwrap().only_if(Condition { start: 1, size: 1, value: 1 }).unwrap();
    circuit.z(2).unwrap().only_if(Condition { start: 0, size: 1, value: 1 }).unwrap();
    circuit.rz(-0.4, 2).unwrap().ry(-1.1, 2).unwrap().reset(0).unwrap().measure(2, 2).unwrap();
    circuit
}

#[test]
fn a_matrix_product_state_measures_on_the_way() {
    let mps = MpsSimulator::<f64>::new();
    let (counts, _) = mps.counts(&teleport(), 400, Seed(1)).unwrap();
    assert_eq!(counts.keys().map(String::as_str).collect::<Vec<_>>(), ["000", "010", "100", "110"]);
    assert!(counts.values().all(|&count| count > 60));
    assert!(mps.run(&teleport()).unwrap_err().to_string().contains("before its end"));
}

#[test]
fn a_bond_too_small_is_told_by_the_fidelity() {
    // GHZ at bond 1 is one of its two branches: a half of it.
    let mut ghz = Circuit::new(40).unwrap();
    ghz.h(0).unwrap();
    (1..40).for_each(|q| drop(ghz.cx(q - 1, q).map(|_| ())));
    let run = MpsSimulator::<f64>::new().max_bond(1).run(&ghz).unwrap();
    assert!((run.fidelity_estimate - 0.5).abs() < 1e-12 && run.max_bond == 1);
    assert_eq!(MpsSimulator::<f64>::new().run(&ghz).unwrap().max_bond, 2);
    // The estimate against the overlap itself, of a brick circuit that is cut often.
    let mut circuit = Circuit::new(8).unwrap();
    for layer in 0..8 {
        for q in (layer % 2..7).step_by(2) {
            circuit.unitary(random_unitary(2, (10 * layer + q) as u64), &[q, q + 1]).unwrap();
        }
    }
    let exact = MpsSimulator::<f64>::new().run(&circuit).unwrap();
    let cut = MpsSimulator::<f64>::new().max_bond(6).run(&circuit).unwrap();
    let fidelity = exact.state.inner(&cut.state).unwrap().value().norm_sqr();
    assert!(cut.fidelity_estimate < 0.99 && (cut.state.norm().value() - 1.0).abs() < 1e-12);
    // Multiplied shares leave out how errors interfere: right to a small part of the loss (Zhou et al., fig. 4).
    assert!((cut.fidelity_estimate - fidelity).abs() < 0.1 * (1.0 - fidelity), "{} {fidelity}", cut.fidelity_estimate);
    assert!(MpsSimulator::<f64>::new().max_bond(0).run(&ghz).is_err());
}

#[test]
fn wide_circuits_of_the_qasm_set_have_the_right_counts() {
    for (name, right) in [("cat_n65.qasm", "cat"), ("ghz_n127.qasm", "cat"), ("wstate_n76.qasm", "w")] {
        let Some(path) = shared(name) else { continue };
        let circuit = load_circuit(&path).unwrap();
        let (counts, fidelity) = MpsSimulator::<f64>::new().counts(&circuit, 500, Seed(1)).unwrap();
        assert!((fidelity - 1.0).abs() < 1e-10);
        for (bits, count) in &counts {
            // A register that nothing is measured into may stand in front.
            let bits = &bits[bits.len() - circuit.num_qubits()..];
            let ones = bits.matches('1').count();
            match right {
                "cat" => assert!((ones == 0 || ones == bits.len()) && count.abs_diff(250) < 50, "{name}: {bits}"),
                _ => assert_eq!(ones, 1, "{name}: {bits}"),
            }
        }
    }
}

#[test]
fn a_chain_in_a_field_has_the_right_magnetisation() {
    // Without a coupling each qubit turns by itself: <Z> = cos(theta).
    let mut circuit = Circuit::new(300).unwrap();
    (0..300).for_each(|q| drop(circuit.rx(0.01 * q as f64, q).map(|_| ())));
    (0..299).for_each(|q| drop(circuit.cp(PI, q, q + 1).map(|_| ())));
    let mps = MpsSimulator::<f64>::new();
    let value = mps.expectation(&circuit, &"Z7 + Z150".parse().unwrap()).unwrap();
    assert!((value - 0.07_f64.cos() - 1.5_f64.cos()).abs() < 1e-10);
}

#[test]
fn contraction_agrees_with_the_statevector() {
    let (contract, exact) = (ContractSimulator::<f64>::new(), Statevector::<f64>::new());
    for (qubits, seed) in [(1, 1), (3, 2), (5, 3), (6, 4)] {
        let circuit = random_circuit(qubits, 25, seed);
        let state = run_by_matrices(&circuit, basis(qubits, 0));
        let bits: Vec<u8> = (0..qubits).map(|q| (q % 3 == 1) as u8).collect();
        let index = bits.iter().fold(0, |i, &b| 2 * i + usize::from(b));
        let found = contract.amplitude(&circuit, &bits).unwrap().value();
        assert!((found - state[index]).norm() < 1e-12, "{qubits}: {found} {}", state[index]);
        let open = contract.amplitudes(&circuit, &vec![None; qubits]).unwrap();
        let open: Vec<Complex64> = open.iter().map(|a| a.value()).collect();
        assert!(distance(&open, &state) < 1e-12, "{qubits}");
        let on = [qubits - 1, 0];
        let on = if qubits == 1 { &on[..1] } else { &on[..] };
        let (a, b) = (contract.marginal(&circuit, on).unwrap(), exact.marginal(&circuit, on).unwrap());
        assert!(a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-12), "{qubits}");
        let observable: PauliSum = format!("0.5*Y0 - 1.25*Z{} + X{} + 2", qubits - 1, qubits / 2).parse().unwrap();
        let (a, b) = (contract.expectation(&circuit, &observable), exact.expectation(&circuit, &observable));
        assert!((a.unwrap() - b.unwrap()).abs() < 1e-12, "{qubits}");
    }
    // Ten qubits: two groups of conditionals.
    let circuit = random_circuit(10, 20, 9);
    let (counts, _) = contract.counts(&circuit, 600, Seed(5)).unwrap();
    assert_follows(&counts, &exact.marginal(&circuit, &(0..10).collect::<Vec<_>>()).unwrap(), "contract");
}

#[test]
fn a_light_cone_needs_only_what_is_behind_it() {
    // Of 400 qubits in a brick circuit only a few are in the cone.
    let mut circuit = Circuit::new(400).unwrap();
    let mut small = Circuit::new(8).unwrap();
    for layer in 0..3 {
        (0..400).for_each(|q| drop(circuit.ry(0.3 + 0.1 * layer as f64, q).map(|_| ())));
        (0..8).for_each(|q| drop(small.ry(0.3 + 0.1 * layer as f64, q).map(|_| ())));
        (layer % 2..399).step_by(2).for_each(|q| drop(circuit.cp(0.7, q, q + 1).map(|_| ())));
        (layer % 2..7).step_by(2).for_each(|q| drop(small.cp(0.7, q, q + 1).map(|_| ())));
    }
    let found = ContractSimulator::<f64>::new().expectation(&circuit, &"X200 Z201".parse().unwrap()).unwrap();
    let expected = Statevector::<f64>::new().expectation(&small, &"X4 Z5".parse().unwrap()).unwrap();
    assert!((found - expected).abs() < 1e-12);
}

/// Clifford gates of the table at random places.
fn random_clifford(qubits: usize, gates: usize, seed: u64) -> Circuit {
    let mut stream = Seed(seed).stream("clifford", 0);
    let rows: Vec<_> = GATES.iter().filter(|row| row.clifford && (1..=2).contains(&row.qubits)).collect();
    let mut circuit = Circuit::new(qubits).unwrap();
    while circuit.instructions().len() < gates {
        let row = rows[stream.random_range(0..rows.len())];
        if row.qubits <= qubits {
            let order = ansatz::random::permutation(qubits, &mut stream);
            circuit.add(gate(row, &angles(row)), &order[..row.qubits]).unwrap();
        }
    }
    circuit
}

#[test]
fn a_tableau_agrees_with_the_statevector() {
    let (clifford, exact) = (CliffordSimulator::new(), Statevector::<f64>::new());
    for qubits in 1..=6 {
        for seed in 0..6 {
            let circuit = random_clifford(qubits, 40, 100 * qubits as u64 + seed);
            let all: Vec<usize> = (0..qubits).collect();
            let (a, b) = (clifford.marginal(&circuit, &all).unwrap(), exact.marginal(&circuit, &all).unwrap());
            assert!(a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-12), "{qubits} {seed}");
            let (a, b) =
                (clifford.marginal(&circuit, &all[..1]).unwrap(), exact.marginal(&circuit, &all[..1]).unwrap());
            assert!(a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-12), "{qubits} {seed}");
            let mut stream = Seed(seed).stream("string", 0);
            for _ in 0..10 {
                let word: Vec<String> = all
                    .iter()
                    .map(|q| format!("{}{q}", ["I", "X", "Y", "Z"][stream.random_range(0..4_usize)]))
                    .collect();
                let observable: PauliSum = word.join(" ").parse().unwrap();
                let (a, b) = (clifford.expectation(&circuit, &observable), exact.expectation(&circuit, &observable));
                assert!((a.unwrap() - b.unwrap()).abs() < 1e-12, "{qubits} {seed} {observable}");
            }
            let (counts, _) = clifford.counts(&circuit, 400, Seed(1)).unwrap();
            assert_follows(&counts, &b_of(&exact, &circuit), "clifford");
        }
    }
    let (counts, _) = clifford.counts(&teleport_of_zero(), 400, Seed(1)).unwrap();
    assert!(counts.keys().all(|bits| bits.ends_with('0')) && counts.len() == 4);
    let error = clifford.counts(&teleport(), 10, Seed(1)).unwrap_err().to_string();
    assert!(error.contains("instruction 0 (ry)") && error.contains("no Clifford gate"), "{error}");
}

fn b_of(exact: &Statevector<f64>, circuit: &Circuit) -> Vec<f64> {
    exact.marginal(circuit, &(0..circuit.num_qubits()).collect::<Vec<_>>()).unwrap()
}

/// Teleportation of a state that Clifford gates make and undo.
fn teleport_of_zero() -> Circuit {
    let mut circuit = Circuit::with_bits(3, 3).unwrap();
    circuit.h(0).unwrap().s(0).unwrap();
    circuit.h(1).unwrap().cx(1, 2).unwrap().cx(0, 1).unwrap().h(0).unwrap();
    circuit.measure(0, 0).unwrap().measure(1, 1).unwrap();
    circuit.x(2).unwrap().only_if(Condition { start: 1, size: 1, value: 1 }).unwrap();
    circuit.z(2).unwrap().only_if(Condition { start: 0, size: 1, value: 1 }).unwrap();
    circuit.apply("sdg", &[], &[2]).unwrap().h(2).unwrap().reset(0).unwrap().measure(2, 2).unwrap();
    circuit
}

#[test]
fn a_thousand_qubits_of_a_stabiliser_state() {
    let mut circuit = Circuit::new(1000).unwrap();
    circuit.h(0).unwrap();
    (1..1000).for_each(|q| drop(circuit.cx(q - 1, q).map(|_| ())));
    let (counts, _) = CliffordSimulator::new().counts(&circuit, 100, Seed(1)).unwrap();
    assert!(counts.len() == 2 && counts.keys().all(|bits| !bits.contains("01") && !bits.contains("10")));
}
