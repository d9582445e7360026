//! Gradients of circuits, noise, and the choice of an engine.

mod circuit_common;

use std::sync::Arc;

use ansatz::Seed;
use ansatz::circuit::{
    Channel, Circuit, CliffordSimulator, ContractSimulator, DensityMatrix, GATES, Gate, Matrix, Method, MpsSimulator,
    Noise, Parameter, PauliSum, Simulator, Statevector, Task, choose, expectation_from_shots, parameter_shift,
};
use circuit_common::*;
use num_complex::Complex64;
use rand::RngExt;

/// Every gate of the table that has parameters and up to three qubits, each parameter affine in one of a few symbols.
fn parametrised(qubits: usize, gates: usize, seed: u64) -> (Circuit, Vec<(&'static str, f64)>) {
    let names = ["a", "b", "c", "d"];
    let mut stream = Seed(seed).stream("parametrised", 0);
    let mut circuit = Circuit::new(qubits).unwrap();
    let rows: Vec<_> = GATES.iter().filter(|row| (1..=qubits.min(3)).contains(&row.qubits)).collect();
    while circuit.instructions().len() < gates {
        let row = rows[stream.random_range(0..rows.len())];
        let parameters: Vec<Parameter> = row
            .parameters
            .iter()
            .map(|_| {
                let (factor, shift) = (stream.random::<f64>() * 2.0 - 0.5, stream.random::<f64>());
                Parameter::symbol(names[stream.random_range(0..4_usize)]) * factor + shift
            })
            .collect();
        let order = ansatz::random::permutation(qubits, &mut stream);
        circuit.add(Gate::named(row.name, &parameters).unwrap(), &order[..row.qubits]).unwrap();
    }
    let values = names.iter().zip([0.3, -0.8, 1.4, 2.2]).map(|(&n, v)| (n, v));
    let symbols = circuit.symbols();
    (circuit, values.filter(|(n, _)| symbols.contains(*n)).collect())
}

#[test]
fn three_ways_to_a_gradient_agree_with_finite_differences() {
    let exact = Statevector::<f64>::new();
    for (qubits, seed) in [(1, 1), (2, 2), (4, 3), (5, 4)] {
        let (circuit, values) = parametrised(qubits, 24, seed);
        let last = qubits - 1;
        let observable: PauliSum = format!("Z0 - 0.5*X{last} + 0.25*Y0 + 1").parse().unwrap();
        let adjoint = exact.gradient(&circuit, &values, &observable).unwrap();
        let shift = parameter_shift(&circuit, &values, |c| exact.expectation(c, &observable)).unwrap();
        let network = ContractSimulator::<f64>::new().gradient(&circuit, &values, &observable).unwrap();
        for (i, (name, value)) in values.iter().enumerate() {
            assert_eq!(adjoint.symbols[i], *name);
            let at = |shift: f64| {
                let mut moved = values.clone();
                moved[i].1 = value + shift;
                exact.expectation(&circuit.bind(&moved).unwrap(), &observable).unwrap()
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((adjoint.derivatives[i] - expected).abs() < 1e-7, "{qubits} {name}");
            assert!((adjoint.derivatives[i] - shift.derivatives[i]).abs() < 1e-10, "{qubits} {name}: shift");
            assert!((adjoint.derivatives[i] - network.derivatives[i]).abs() < 1e-10, "{qubits} {name}: network");
        }
        assert!((adjoint.value - shift.value).abs() < 1e-12 && (adjoint.value - network.value).abs() < 1e-12);
    }
}

#[test]
fn a_gradient_over_many_blocks_and_of_probabilities() {
    let (circuit, values) = parametrised(16, 60, 5);
    let exact = Statevector::<f64>::new();
    let observable: PauliSum = "Z0 Z15 + X3 - Y9".parse().unwrap();
    let adjoint = exact.gradient(&circuit, &values, &observable).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| exact.gradient(&circuit, &values, &observable).unwrap()), adjoint);
    let at = |shift: f64| {
        let mut moved = values.clone();
        moved[0].1 += shift;
        exact.expectation(&circuit.bind(&moved).unwrap(), &observable).unwrap()
    };
    assert!((adjoint.derivatives[0] - (at(1e-5) - at(-1e-5)) / 2e-5).abs() < 1e-6);
    // sum p^2 of a small circuit.
    let (circuit, values) = parametrised(4, 20, 6);
    let squares = |p: &[f64]| p.iter().map(|p| p * p).sum::<f64>();
    let gradient = exact
        .gradient_of_probabilities(&circuit, &values, |p| Ok((squares(p), p.iter().map(|p| 2.0 * p).collect())))
        .unwrap();
    let at = |shift: f64| {
        let mut moved = values.clone();
        moved[1].1 += shift;
        squares(&exact.state(&circuit.bind(&moved).unwrap()).unwrap().probabilities())
    };
    assert!((gradient.derivatives[1] - (at(1e-5) - at(-1e-5)) / 2e-5).abs() < 1e-7);
    let error = exact.gradient(&circuit, &values[..1], &observable).unwrap_err();
    assert!(error.to_string().contains("on qubit 15") || error.to_string().contains("no value"), "{error}");
}

#[test]
fn expectations_and_shifts_from_shots_are_right_within_their_errors() {
    let mut circuit = Circuit::new(2).unwrap();
    circuit.rx(Parameter::symbol("a"), 0).unwrap().cx(0, 1).unwrap();
    let observable: PauliSum = "Z0 Z1 + 0.5*X0 X1 + Y0 + 2*Z1".parse().unwrap();
    let simulator = Statevector::<f64>::new();
    let bound = circuit.bind(&[("a", 0.7)]).unwrap();
    let exact = simulator.expectation(&bound, &observable).unwrap();
    let found = expectation_from_shots(&simulator, &bound, &observable, 20_000, Seed(1)).unwrap();
    // The deviations of the terms add up to at most 4.5 / sqrt(20000) = 0.032.
    assert!((found - exact).abs() < 4.0 * 0.032, "{found} {exact}");
    let mut run = 0;
    let shift = parameter_shift(&circuit, &[("a", 0.7)], |c| {
        run += 1;
        expectation_from_shots(&simulator, c, &"2*Z1".parse().unwrap(), 20_000, Seed(run))
    });
    assert!((shift.unwrap().derivatives[0] + 2.0 * 0.7_f64.sin()).abs() < 4.0 * 0.0142);
}

fn channels() -> Vec<Channel> {
    vec![
        Channel::bit_flip(0.1).unwrap(),
        Channel::phase_flip(0.2).unwrap(),
        Channel::depolarising(1, 0.15).unwrap(),
        Channel::depolarising(2, 0.2).unwrap(),
        Channel::amplitude_damping(0.3).unwrap(),
        Channel::phase_damping(0.25).unwrap(),
        Channel::thermal_relaxation(50.0, 30.0, 10.0).unwrap(),
    ]
}

#[test]
fn channels_do_what_their_names_say() {
    let plus = |channel: Channel| {
        let mut circuit = Circuit::new(1).unwrap();
        circuit.h(0).unwrap().channel(&Arc::new(channel), &[0]).unwrap();
        DensityMatrix::<f64>::new().state(&circuit).unwrap()
    };
    let one = |channel: Channel| {
        let mut circuit = Circuit::new(1).unwrap();
        circuit.x(0).unwrap().channel(&Arc::new(channel), &[0]).unwrap();
        DensityMatrix::<f64>::new().state(&circuit).unwrap().get(1, 1).re
    };
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-14, "{a} {b}");
    near(one(Channel::bit_flip(0.1).unwrap()), 0.9);
    near(plus(Channel::phase_flip(0.2).unwrap()).get(0, 1).re, 0.5 * (1.0 - 0.4));
    near(plus(Channel::depolarising(1, 0.15).unwrap()).get(0, 1).re, 0.5 * 0.85);
    near(one(Channel::amplitude_damping(0.3).unwrap()), 0.7);
    near(plus(Channel::phase_damping(0.25).unwrap()).get(0, 1).re, 0.5 * 0.75_f64.sqrt());
    near(one(Channel::thermal_relaxation(50.0, 30.0, 10.0).unwrap()), (-0.2_f64).exp());
    near(plus(Channel::thermal_relaxation(50.0, 30.0, 10.0).unwrap()).get(0, 1).re, 0.5 * (-1.0_f64 / 3.0).exp());
    let half = Matrix::new(1, [0.5, 0.0, 0.0, 0.5].map(Complex64::from).to_vec()).unwrap();
    let error = Channel::new("half", vec![half]).unwrap_err().to_string();
    assert!(error.contains("do not sum to the identity") && error.contains("7.500e-1"), "{error}");
    for error in [
        Channel::bit_flip(1.5).unwrap_err(),
        Channel::depolarising(3, 0.1).unwrap_err(),
        Channel::thermal_relaxation(1.0, 3.0, 1.0).unwrap_err(),
        Channel::new("none", Vec::new()).unwrap_err(),
    ] {
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn a_ghz_state_with_depolarising_noise_has_its_closed_form() {
    let (n, p) = (6, 0.07);
    let mut circuit = Circuit::new(n).unwrap();
    circuit.h(0).unwrap();
    (1..n).for_each(|q| drop(circuit.cx(q - 1, q).map(|_| ())));
    let channel = Arc::new(Channel::depolarising(1, p).unwrap());
    (0..n).for_each(|q| drop(circuit.channel(&channel, &[q]).map(|_| ())));
    let density = DensityMatrix::<f64>::new().state(&circuit).unwrap();
    let all: Vec<String> = (0..n).map(|q| format!("X{q}")).collect();
    let stays = 1.0 - p;
    assert!((density.expectation(&all.join(" ").parse().unwrap()).unwrap() - stays.powi(6)).abs() < 1e-13);
    assert!((density.expectation(&"Z1 Z4".parse().unwrap()).unwrap() - stays * stays).abs() < 1e-13);
    // <GHZ| rho |GHZ>: the 2^n stabilisers, each shrunk by the weight of its product.
    let even: f64 = (0..=n).step_by(2).map(|k| choose_of(n, k) * stays.powi(k as i32)).sum();
    let expected = (even + 2f64.powi(n as i32 - 1) * stays.powi(n as i32)) / 2f64.powi(n as i32);
    let last = (1 << n) - 1;
    let found = 0.5 * (density.get(0, 0) + density.get(last, last) + 2.0 * density.get(0, last)).re;
    assert!((found - expected).abs() < 1e-13);
}

fn choose_of(n: usize, k: usize) -> f64 {
    (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

#[test]
fn trajectories_follow_the_density_matrix() {
    let mut circuit = random_circuit(3, 8, 21);
    for (i, channel) in channels().into_iter().enumerate() {
        let on: &[usize] = if channel.qubits() == 1 { &[i % 3] } else { &[2, 0] };
        circuit.channel(&Arc::new(channel), on).unwrap();
        circuit.apply("u3", &[0.3, 0.7 * i as f64, 1.1].map(Parameter::from), &[(i + 1) % 3]).unwrap();
    }
    let expected = DensityMatrix::<f64>::new().marginal(&circuit, &[0, 1, 2]).unwrap();
    let density = DensityMatrix::<f64>::new().state(&circuit).unwrap();
    assert!(density.purity() < 0.9 && (density.probabilities().iter().sum::<f64>() - 1.0).abs() < 1e-13);
    let simulators: [&dyn Simulator; 3] =
        [&Statevector::<f64>::new(), &MpsSimulator::<f64>::new(), &DensityMatrix::<f64>::new()];
    let shots = 4000.0;
    for simulator in simulators {
        let (counts, _) = simulator.counts(&circuit, 4000, Seed(2)).unwrap();
        for (index, p) in expected.iter().enumerate() {
            let found = counts.get(&format!("{index:03b}")).copied().unwrap_or(0) as f64 / shots;
            let bar = (p * (1.0 - p) / shots).sqrt();
            assert!((found - p).abs() < 4.5 * bar + 1e-3, "{}: {index} {found} {p}", simulator.method());
        }
    }
    let error = Statevector::<f64>::new().expectation(&circuit, &"Z0".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("noise"), "{error}");
}

#[test]
fn noise_is_put_after_gates_and_readings() {
    let text = r#"{"gates": [{"on": ["h"], "channel": {"kind": "bit_flip", "p": 0.1}},
        {"channel": {"kind": "depolarising", "p": 0.2, "qubits": 2}}], "readout": {"one_for_zero": 0.1, "zero_for_one": 0.3}}"#;
    let noise = Noise::from_json(text).unwrap();
    let mut circuit = Circuit::with_bits(2, 1).unwrap();
    circuit.h(0).unwrap().cx(0, 1).unwrap().measure(1, 0).unwrap();
    let noisy = noise.applied(&circuit).unwrap();
    let names: Vec<String> = noisy.instructions().iter().map(|i| i.operation.name()).collect();
    assert_eq!(names, ["h", "bit flip", "cx", "depolarising", "measure", "misread"]);
    // Of one qubit the channels leave 1/2; readings then tell 1 with 0.5 * 0.1 + 0.5 * 0.7.
    for simulator in
        [&Statevector::<f64>::new() as &dyn Simulator, &DensityMatrix::<f64>::new(), &CliffordSimulator::new()]
    {
        let (counts, _) = simulator.counts(&noisy, 4000, Seed(3)).unwrap();
        let found = counts["1"] as f64 / 4000.0;
        assert!((found - 0.4).abs() < 4.0 * (0.24_f64 / 4000.0).sqrt(), "{}: {found}", simulator.method());
    }
    for (text, words) in [
        ("{", "noise"),
        (r#"{"gates": [{"channel": {"kind": "fog"}}]}"#, "unknown variant"),
        (
            r#"{"gates": [{"on": ["fog"], "channel": {"kind": "bit_flip", "p": 0.1}}]}"#,
            "noise rule 0: undefined gate 'fog'",
        ),
        (r#"{"gates": [{"channel": {"kind": "bit_flip", "p": 2}}]}"#, "give a number from 0 to 1"),
        (
            r#"{"gates": [{"channel": {"kind": "kraus", "qubits": 1, "operators": [[[1,0],[0,0],[0,0],[0.5,0]]]}}]}"#,
            "do not sum",
        ),
        (r#"{"readout": {"one_for_zero": -1, "zero_for_one": 0}}"#, "wrong reading"),
    ] {
        let error = Noise::from_json(text).unwrap_err().to_string();
        assert!(error.contains(words) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn the_engine_is_picked_by_cost() {
    let pick = |circuit: &Circuit, task| choose::<f64>(circuit, task).unwrap();
    assert_eq!(pick(&random_circuit(6, 30, 1), Task::Shots(100)).method, Method::Statevector);
    let mut ghz = Circuit::new(60).unwrap();
    ghz.h(0).unwrap();
    (1..60).for_each(|q| drop(ghz.cx(q - 1, q).map(|_| ())));
    assert_eq!(pick(&ghz, Task::Shots(100)).method, Method::Clifford);
    assert_eq!(pick(&ghz, Task::Amplitude).method, Method::Mps);
    // Deep and entangled: a matrix product state is given up soon.
    let mut deep = Circuit::new(18).unwrap();
    for layer in 0..18 {
        for q in (layer % 2..17).step_by(2) {
            deep.unitary(random_unitary(2, (100 * layer + q) as u64), &[q, q + 1]).unwrap();
        }
    }
    let choice = pick(&deep, Task::Shots(100));
    assert_eq!(choice.method, Method::Statevector);
    assert!(choice.why.contains("matrix product state longer"), "{}", choice.why);
    let mut noisy = ghz.clone();
    noisy.channel(&Arc::new(Channel::bit_flip(0.1).unwrap()), &[0]).unwrap();
    assert_eq!(pick(&noisy, Task::Shots(10)).method, Method::Clifford);
    assert_eq!(pick(&noisy, Task::Expectation).method, Method::Density);
}
