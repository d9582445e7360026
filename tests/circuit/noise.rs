//! Noise: channels, trajectories, density matrix and locally purified chain; the choice of an engine.

use std::sync::Arc;

use ansatz::Seed;
use ansatz::circuit::{
    Channel, Circuit, CliffordSimulator, DensityMatrix, Matrix, Method, MpsSimulator, Noise, Parameter, PauliSum,
    PurifiedSimulator, Simulator, Statevector, Task, choose,
};
use num_complex::Complex64;

use crate::common::*;

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
    let toml = "[[gates]]\non = ['h']\nchannel = { kind = 'bit_flip', p = 0.1 }\n\n[[gates]]\n\
        channel = { kind = 'depolarising', p = 0.2, qubits = 2 }\n\n[readout]\none_for_zero = 0.1\nzero_for_one = 0.3\n";
    assert_eq!(Noise::from_toml(toml).unwrap(), noise);
    for (text, words) in [
        ("[[gates]]\nchannel = {", "at line 2"),
        ("[[gates]]\non = ['h']\nchannel = { kind = 'fog' }", "unknown variant `fog`"),
        ("gate = 1", "unknown field `gate`"),
        ("[[gates]]\nchannel = { kind = 'bit_flip', p = 2 }", "give a number from 0 to 1"),
        ("[readout]\none_for_zero = nan\nzero_for_one = 0.1", "wrong reading"),
    ] {
        let error = Noise::from_toml(text).unwrap_err().to_string();
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
    assert_eq!(pick(&noisy, Task::Expectation).method, Method::Purified);
    let mut few = Circuit::new(3).unwrap();
    few.h(0).unwrap().channel(&Arc::new(Channel::bit_flip(0.1).unwrap()), &[0]).unwrap();
    assert_eq!(pick(&few, Task::Expectation).method, Method::Density);
}

#[test]
fn what_was_tried_for_the_choice_is_used_for_that_circuit_alone() {
    let chain = |angle: f64| {
        let mut circuit = Circuit::new(30).unwrap();
        (1..30).for_each(|q| drop(circuit.ry(angle, q - 1).unwrap().cx(q - 1, q).map(|_| ())));
        circuit
    };
    let (circuit, other) = (chain(0.3), chain(0.4));
    let choice = choose::<f64>(&circuit, Task::Shots(100)).unwrap();
    assert_eq!(choice.method, Method::Mps);
    let (tried, fresh) = (choice.simulator, MpsSimulator::<f64>::new());
    let observable: PauliSum = "Z3 Z17 + X20".parse().unwrap();
    for circuit in [&circuit, &other] {
        assert_eq!(tried.counts(circuit, 100, Seed(1)).unwrap().0, fresh.counts(circuit, 100, Seed(1)).unwrap().0);
        let value = |simulator: &dyn Simulator| simulator.expectation(circuit, &observable).unwrap();
        assert!((value(tried.as_ref()) - value(&fresh)).abs() < 1e-12);
    }
    assert_ne!(
        tried.expectation(&circuit, &observable).unwrap().to_bits(),
        tried.expectation(&other, &observable).unwrap().to_bits()
    );
}

/// Gates of one and two qubits near and far, and channels of both kinds, ends exchanged too.
fn noisy_circuit(qubits: usize, seed: u64) -> Circuit {
    let plain = random_circuit(qubits, 14, seed);
    let (all, mut noisy) = (channels(), plain.emptied());
    for (i, instruction) in plain.instructions().iter().enumerate() {
        noisy.push(instruction.clone()).unwrap();
        if i % 2 == 1 {
            continue;
        }
        let channel = all[i / 2 % all.len()].clone();
        let far = [(i + 2) % qubits, i % qubits];
        let on = if channel.qubits() == 1 { &far[..1] } else { &far[..] };
        noisy.channel(&Arc::new(channel), on).unwrap();
    }
    noisy.reset(1).unwrap().h(1).unwrap();
    noisy
}

#[test]
fn a_locally_purified_chain_agrees_with_the_density_matrix() {
    let (purified, exact) = (PurifiedSimulator::<f64>::new(), DensityMatrix::<f64>::new());
    for (qubits, seed) in [(3, 1), (4, 2), (5, 3)] {
        let circuit = noisy_circuit(qubits, seed);
        let run = purified.run(&circuit).unwrap();
        assert!((run.fidelity_estimate - 1.0).abs() < 1e-10, "{}", run.fidelity_estimate);
        let (found, expected) = (run.state.to_dense().unwrap(), exact.state(&circuit).unwrap());
        for ((row, column), z) in found.indexed_iter() {
            assert!((z - expected.get(row, column)).norm() < 1e-11, "{qubits}: {row} {column}");
        }
        assert!((run.state.purity() - expected.purity()).abs() < 1e-11);
        let text = format!("0.5*Y0 X2 - 1.25*Z1 + X{} + 2", qubits - 1);
        let observable = text.parse().unwrap();
        let (a, b) = (purified.expectation(&circuit, &observable), exact.expectation(&circuit, &observable));
        assert!((a.unwrap() - b.unwrap()).abs() < 1e-11);
        for on in [&[][..], &[1], &[2, 0], &[0, 1, 2]] {
            let (a, b) = (purified.marginal(&circuit, on).unwrap(), exact.marginal(&circuit, on).unwrap());
            assert!(a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-11), "{on:?}");
        }
    }
    let single = PurifiedSimulator::<f32>::new().run(&noisy_circuit(3, 1)).unwrap().state.to_dense().unwrap();
    let expected = exact.state(&noisy_circuit(3, 1)).unwrap();
    assert!(
        single
            .indexed_iter()
            .all(|((i, j), z)| { (Complex64::new(z.re.into(), z.im.into()) - expected.get(i, j)).norm() < 1e-4 })
    );
}

#[test]
fn shots_of_a_locally_purified_chain_follow_the_density_matrix() {
    let mut circuit = Circuit::with_bits(3, 2).unwrap();
    let damping = Arc::new(Channel::amplitude_damping(0.3).unwrap());
    circuit.h(0).unwrap().cx(0, 1).unwrap().cx(1, 2).unwrap();
    (0..3).for_each(|q| drop(circuit.channel(&damping, &[q]).map(|_| ())));
    circuit.measure(2, 0).unwrap().measure(0, 1).unwrap();
    let expected = DensityMatrix::<f64>::new().marginal(&circuit, &[2, 0]).unwrap();
    let purified = PurifiedSimulator::<f64>::new();
    let (counts, _) = purified.counts(&circuit, 8000, Seed(2)).unwrap();
    for (index, p) in expected.iter().enumerate() {
        let found = counts.get(&format!("{index:02b}")).copied().unwrap_or(0) as f64 / 8000.0;
        assert!((found - p).abs() < 4.5 * (p * (1.0 - p) / 8000.0).sqrt() + 1e-3, "{index}: {found} {p}");
    }
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| purified.shots(&circuit, 300, Seed(4)).unwrap())
    };
    assert!(run(1) == run(3));
}

#[test]
fn what_a_locally_purified_chain_cuts_bounds_the_fidelity() {
    let circuit = noisy_circuit(5, 7);
    let whole = PurifiedSimulator::<f64>::new().run(&circuit).unwrap();
    let cut = PurifiedSimulator::<f64>::new().max_leg(3).max_bond(6).run(&circuit).unwrap();
    assert!(cut.max_leg == 3 && cut.max_bond <= 6);
    assert!(cut.discarded_legs > 1e-3 && cut.fidelity_estimate < 0.999, "{cut:?}");
    let kept = (1.0 - cut.discarded_legs) * (1.0 - cut.discarded_bonds);
    assert!((cut.fidelity_estimate - kept).abs() < 1e-12);
    // Fuchs and van de Graaf: the trace distance is at most sqrt(1 - F), elements no more than that.
    let (a, b) = (whole.state.to_dense().unwrap(), cut.state.to_dense().unwrap());
    let worst = a.iter().zip(&b).map(|(x, y)| (x - y).norm()).fold(0.0, f64::max);
    assert!(worst < 2.0 * (1.0 - cut.fidelity_estimate).sqrt(), "{worst} {}", cut.fidelity_estimate);
    assert!(worst > 1e-4 && (b.diag().sum().re - 1.0).abs() < 1e-12);
    assert!(PurifiedSimulator::<f64>::new().max_leg(0).run(&circuit).is_err());
    // More than the density matrix holds: a GHZ state under depolarising noise against its closed form.
    let (n, p) = (20, 0.03);
    let mut ghz = Circuit::new(n).unwrap();
    ghz.h(0).unwrap();
    (1..n).for_each(|q| drop(ghz.cx(q - 1, q).map(|_| ())));
    let noise = Arc::new(Channel::depolarising(1, p).unwrap());
    (0..n).for_each(|q| drop(ghz.channel(&noise, &[q]).map(|_| ())));
    let all: Vec<String> = (0..n).map(|q| format!("X{q}")).collect();
    let found = PurifiedSimulator::<f64>::new().expectation(&ghz, &all.join(" ").parse().unwrap()).unwrap();
    assert!((found - (1.0 - p).powi(n as i32)).abs() < 1e-10, "{found}");
    let error = PurifiedSimulator::<f64>::new().amplitude(&ghz, &[0; 20]).unwrap_err().to_string();
    assert!(error.contains("no amplitudes"), "{error}");
    let mut on_the_way = Circuit::with_bits(1, 1).unwrap();
    on_the_way.measure(0, 0).unwrap().x(0).unwrap();
    let error = PurifiedSimulator::<f64>::new().run(&on_the_way).unwrap_err().to_string();
    assert!(error.contains("instruction 1 (x)") && error.contains("measurements on the way"), "{error}");
}
