//! Gradients of circuits: three ways, and from shots.

use ansatz::Seed;
use ansatz::circuit::{
    Circuit, ContractSimulator, GATES, Gate, MpsSimulator, Parameter, PauliSum, Simulator, Statevector,
    expectation_from_shots, parameter_shift,
};
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
fn four_ways_to_a_gradient_agree_with_finite_differences() {
    let exact = Statevector::<f64>::new();
    for (qubits, seed) in [(1, 1), (2, 2), (4, 3), (5, 4)] {
        let (circuit, values) = parametrised(qubits, 24, seed);
        let last = qubits - 1;
        let observable: PauliSum = format!("Z0 - 0.5*X{last} + 0.25*Y0 + 1").parse().unwrap();
        let adjoint = exact.gradient(&circuit, &values, &observable).unwrap();
        let shift = parameter_shift(&circuit, &values, |c| exact.expectation(c, &observable)).unwrap();
        let network = ContractSimulator::<f64>::new().gradient(&circuit, &values, &observable).unwrap();
        let chain = MpsSimulator::<f64>::new().gradient(&circuit, &values, &observable).unwrap();
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
            assert!((adjoint.derivatives[i] - chain.derivatives[i]).abs() < 1e-10, "{qubits} {name}: chain");
        }
        assert!([shift, network, chain].iter().all(|other| (adjoint.value - other.value).abs() < 1e-12));
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
fn a_long_chain_has_the_gradient_of_its_light_cone() {
    // Two layers of a brick: an observable in the middle depends on 4 qubits, which a short circuit has too.
    let bricks = |qubits: usize, first: usize| {
        let mut circuit = Circuit::new(qubits).unwrap();
        for layer in 0..2 {
            for q in 0..qubits {
                let name = format!("t{layer}_{}", q + first);
                circuit.ry(Parameter::symbol(&name), q).unwrap();
            }
            (layer..qubits - 1).step_by(2).for_each(|q| drop(circuit.cz(q, q + 1).map(|_| ())));
        }
        circuit
    };
    let angle = |name: &str| name.bytes().fold(0.0, |x, b| (7.3 * x + f64::from(b)).sin());
    let gradient = |circuit: &Circuit, observable: &str, chain: bool| {
        let symbols = circuit.symbols();
        let values: Vec<(&str, f64)> = symbols.iter().map(|s| (s.as_str(), angle(s))).collect();
        let observable = observable.parse().unwrap();
        match chain {
            true => MpsSimulator::<f64>::new().gradient(circuit, &values, &observable).unwrap(),
            false => Statevector::<f64>::new().gradient(circuit, &values, &observable).unwrap(),
        }
    };
    let (long, short) = (bricks(120, 0), bricks(8, 60));
    let (found, expected) = (gradient(&long, "X63 + 0.5*Z64", true), gradient(&short, "X3 + 0.5*Z4", false));
    assert!((found.value - expected.value).abs() < 1e-12);
    for (name, derivative) in found.symbols.iter().zip(&found.derivatives) {
        let place = expected.symbols.iter().position(|s| s == name);
        assert!((derivative - place.map_or(0.0, |i| expected.derivatives[i])).abs() < 1e-12, "{name}");
    }
    // An observable that leaves nothing of the state.
    let mut still = Circuit::new(3).unwrap();
    still.rx(Parameter::symbol("a"), 0).unwrap();
    let none = MpsSimulator::<f64>::new().gradient(&still, &[("a", 0.4)], &"1 - Z2".parse().unwrap()).unwrap();
    assert!(none.value.abs() < 1e-14 && none.derivatives[0].abs() < 1e-14);
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
