//! Circuits that prepare a matrix product state.

use ansatz::chain::Mps;
use ansatz::circuit::{Circuit, Layers, MpsSimulator, Statevector, prepare};
use ansatz::linalg::Truncation;
use ansatz::{Scalar, Seed};
use num_complex::{Complex32, Complex64};

use crate::common::*;

fn amplitudes<T: Scalar>(state: &Mps<T>) -> Vector {
    state.to_dense().unwrap().into_iter().map(|x| x.to_c64()).collect()
}

fn fidelity(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(x, y)| x.conj() * y).sum::<Complex64>().norm_sqr()
}

/// What a circuit does to |0..0>, element by element.
fn dense(circuit: &Circuit) -> Vector {
    run_by_matrices(circuit, basis(circuit.num_qubits(), 0))
}

fn check_exact<T: Scalar>(state: &Mps<T>, tolerance: f64, what: &str) {
    let expected = amplitudes(state);
    let circuit = prepare(state).unwrap();
    assert!(distance(&dense(&circuit), &expected) < tolerance, "{what}: with its phase");
    let read = Circuit::from_qasm(&circuit.to_qasm().unwrap()).unwrap();
    let found = Statevector::<f64>::new().state(&read).unwrap();
    let found: Vector = (0..expected.len()).map(|i| found.amplitude(i)).collect();
    let overlap: Complex64 = found.iter().zip(&expected).map(|(a, b)| a.conj() * b).sum();
    let turned: Vector = found.iter().map(|x| x * overlap / overlap.norm()).collect();
    let error = distance(&turned, &expected);
    assert!(error < tolerance, "{what}: {error:.1e}");
}

#[test]
fn the_exact_circuit_gives_the_amplitudes_of_the_state() {
    for (sites, bond) in [(1, 1), (2, 2), (3, 1), (4, 3), (5, 4), (6, 5), (7, 6), (8, 8)] {
        let seed = Seed(10 * sites as u64 + bond as u64);
        check_exact(&Mps::<f64>::random(&vec![2; sites], bond, seed).unwrap(), 1e-10, "real");
        check_exact(&Mps::<Complex64>::random(&vec![2; sites], bond, seed).unwrap(), 1e-10, "complex");
    }
    check_exact(&Mps::<f32>::random(&[2; 6], 4, Seed(1)).unwrap(), 1e-5, "single");
    check_exact(&Mps::<Complex32>::random(&[2; 6], 4, Seed(1)).unwrap(), 1e-5, "single complex");
    // Bonds larger than the state needs, with zeros in them, and a product state.
    let wide = |i: usize, l: usize, r: usize| {
        ndarray::Array3::from_shape_fn(
            (l, 2, r),
            |(a, s, b)| if a == 0 && b == 0 { [0.6, 0.8][(s + i) % 2] } else { 0.0 },
        )
    };
    check_exact(&Mps::new(vec![wide(0, 1, 5), wide(1, 5, 7), wide(2, 7, 1)]).unwrap(), 1e-12, "padded");
    let mut ghz = vec![0.0; 32];
    (ghz[0], ghz[31]) = (0.5_f64.sqrt(), -(0.5_f64.sqrt()));
    let ghz = Mps::from_dense(&ghz, &[2; 5], &Truncation::none().cutoff(1e-12)).unwrap().0;
    check_exact(&ghz, 1e-12, "ghz");
    assert!(prepare(&ghz).unwrap().counts()["cx"] <= 12, "{:?}", prepare(&ghz).unwrap().counts());
}

#[test]
fn a_long_chain_is_prepared_exactly() {
    let state = Mps::<f64>::random(&[2; 40], 4, Seed(4)).unwrap();
    let circuit = prepare(&state).unwrap();
    let run = MpsSimulator::<f64>::new().run(&circuit).unwrap().state;
    let tensors = state.tensors().iter().map(|a| a.mapv(Complex64::from)).collect();
    let overlap = Mps::new(tensors).unwrap().inner(&run).unwrap().value();
    assert!((overlap.norm() - 1.0).abs() < 1e-10, "{overlap}");
}

#[test]
fn layers_come_closer_and_tell_how_close() {
    for sites in [2, 3, 8] {
        let state = Mps::<Complex64>::random(&vec![2; sites], 6, Seed(sites as u64)).unwrap();
        let expected = amplitudes(&state);
        for layers in 1..=3 {
            let prepared = Layers::new(layers).prepare(&state).unwrap();
            assert_eq!(prepared.layer_fidelity.len(), layers);
            let found = fidelity(&dense(&prepared.circuit), &expected);
            assert!((found - prepared.fidelity()).abs() < 1e-9, "{sites}, {layers}: {found} {}", prepared.fidelity());
            assert!(prepared.circuit.instructions().len() == layers * (sites - 1));
        }
        let prepared = Layers::new(3).prepare(&state).unwrap();
        let rising = prepared.layer_fidelity.windows(2).all(|w| w[1] > w[0] - 1e-9);
        assert!(rising && prepared.discarded_weight < 1e-12, "{:?}", prepared.layer_fidelity);
    }
    // The first layer is what the best state with bonds of 2 can do.
    let state = Mps::<f64>::random(&[2; 7], 5, Seed(9)).unwrap();
    let mut cut = state.clone();
    let kept = cut.compress(&Truncation::none().max_bond(2)).unwrap().fidelity();
    assert!((Layers::new(1).prepare(&state).unwrap().fidelity() - kept).abs() < 1e-10);
    // A state with bonds of 2 is exact, one without bonds has no CNOT.
    let narrow = Mps::<f64>::random(&[2; 9], 2, Seed(2)).unwrap();
    assert!((Layers::new(1).prepare(&narrow).unwrap().fidelity() - 1.0).abs() < 1e-12);
    let product = Mps::<f64>::random(&[2; 5], 1, Seed(2)).unwrap();
    let prepared = Layers::new(1).prepare(&product).unwrap();
    assert!((prepared.fidelity() - 1.0).abs() < 1e-12);
    assert!(!prepared.circuit.elementary().unwrap().counts().contains_key("cx"));
}

#[test]
fn sweeps_make_layers_better_and_never_worse() {
    let state = Mps::<f64>::random(&[2; 9], 6, Seed(3)).unwrap();
    let expected = amplitudes(&state);
    let prepared = Layers::new(2).sweeps(12).prepare(&state).unwrap();
    let found = fidelity(&dense(&prepared.circuit), &expected);
    assert!((found - prepared.fidelity()).abs() < 1e-9, "{found} {}", prepared.fidelity());
    let history: Vec<f64> = prepared.layer_fidelity[1..].iter().chain(&prepared.sweep_fidelity).copied().collect();
    assert!(history.windows(2).all(|w| w[1] > w[0] - 1e-9), "{history:?}");
    assert!(history[history.len() - 1] > history[0] + 0.02, "{history:?}");
    // Three layers of two-qubit gates hold any state of three qubits, and sweeps find one.
    let small = Mps::<Complex64>::random(&[2; 3], 2, Seed(8)).unwrap();
    assert!(Layers::new(3).sweeps(50).prepare(&small).unwrap().fidelity() > 1.0 - 1e-9);
    assert!(
        (Layers::new(2).sweeps(2).prepare(&Mps::<f64>::random(&[2], 1, Seed(1)).unwrap()).unwrap().fidelity() - 1.0)
            .abs()
            < 1e-15
    );
}

#[test]
fn what_has_no_circuit_is_refused() {
    let three = Mps::<f64>::random(&[2, 3, 2], 2, Seed(1)).unwrap();
    for error in [prepare(&three).unwrap_err(), Layers::new(1).prepare(&three).unwrap_err()] {
        assert!(error.to_string().contains("site 1 has 3 levels"), "{error}");
    }
    let state = Mps::<f64>::random(&[2; 4], 2, Seed(1)).unwrap();
    assert!(Layers::new(0).prepare(&state).unwrap_err().to_string().contains("layers is 0"));
    assert!(Layers::new(1).max_bond(0).prepare(&state).is_err());
    let zero = Mps::new(vec![ndarray::Array3::<f64>::zeros((1, 2, 1)); 3]).unwrap();
    assert!(prepare(&zero).is_err() && Layers::new(1).prepare(&zero).is_err());
    let large = Mps::<f32>::random(&[2; 20], 300, Seed(1)).unwrap();
    let error = prepare(&large).unwrap_err().to_string();
    assert!(error.contains("takes bonds up to 128") && error.contains("in layers"), "{error}");
}
