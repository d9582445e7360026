//! Operators applied to states, and what is measured in a state, against dense vectors.

use crate::common::*;
use ansatz::chain::{Mpo, Mps, operator_as};
use ansatz::linalg::Truncation;
use ansatz::{Error, LogScaled, Scalar, Seed};
use ndarray::{Array1, Array2};
use num_complex::{Complex32, Complex64};
use proptest::prelude::*;

fn image<T: Scalar>(operator: &Mpo<T>, state: &Mps<T>) -> Vec<T> {
    operator.to_dense().unwrap().dot(&Array1::from(state.to_dense().unwrap())).to_vec()
}

fn three_ways_agree<T: Scalar>(tolerance: f64) {
    let hamiltonian: Mpo<T> = heisenberg(8).to_mpo().unwrap();
    let mut state = loose::<T>(&[2; 8], 5, 3);
    state.scale(LogScaled::from(T::from_f64(-0.5)));
    let exact = image(&hamiltonian, &state);
    let error = |phi: &Mps<T>| distance(&phi.to_dense().unwrap(), &exact) / norm(&exact);
    assert!(error(&hamiltonian.apply_exact(&state).unwrap()) < tolerance);
    // Nothing cut: all of them exact. (Errors measured by overlaps are seen down to the root of the rounding.)
    let all = Truncation::none().cutoff(tolerance);
    let (phi, report) = hamiltonian.apply(&state, &all).unwrap();
    assert!(error(&phi) <= report.bound + tolerance);
    let zipped = hamiltonian.apply_zip_up(&state, &all).unwrap();
    let fitted = hamiltonian.apply_fit(&state, &all, 3).unwrap();
    for applied in [&zipped, &fitted] {
        assert!(error(&applied.state) < 100.0 * tolerance && applied.error < 3.0 * tolerance.sqrt());
    }
    // Cut: the compression is the best of its kind, the fit is as good, and both say how good.
    let few = Truncation::none().max_bond(7);
    let (phi, report) = hamiltonian.apply(&state, &few).unwrap();
    let zipped = hamiltonian.apply_zip_up(&state, &few).unwrap();
    let fitted = hamiltonian.apply_fit(&state, &few, 8).unwrap();
    assert!(report.bound > 1e-2 && error(&phi) <= report.bound * (1.0 + tolerance));
    for applied in [&zipped, &fitted] {
        assert!(applied.state.max_bond() <= 7);
        assert!((applied.error - error(&applied.state)).abs() < 1e-2 * applied.error);
    }
    assert!(error(&fitted.state) <= error(&phi) * (1.0 + 1e-4));
    assert!(error(&zipped.state) <= 1.5 * error(&phi));
    assert_eq!(fitted.state.centre(), Some(0));
    assert!(fitted.state.assume_centre(0).is_ok());
}

#[test]
fn exact_zipped_and_fitted_products_agree() {
    three_ways_agree::<f32>(1e-5);
    three_ways_agree::<f64>(1e-13);
    three_ways_agree::<Complex32>(1e-5);
    three_ways_agree::<Complex64>(1e-13);
}

#[test]
fn operators_between_sites_of_other_dimensions_apply_all_three_ways() {
    use ndarray::Array4;
    let (outs, ins) = ([2, 3, 2, 2], [3, 2, 2, 3]);
    let tensors = (0..4).map(|site| {
        let mut stream = Seed(9).stream("w", site as u64);
        let (l, r) = (if site == 0 { 1 } else { 3 }, if site == 3 { 1 } else { 3 });
        Array4::from_shape_simple_fn((l, outs[site], ins[site], r), || Complex64::normal(&mut stream))
    });
    let (operator, state) = (Mpo::new(tensors.collect()).unwrap(), loose::<Complex64>(&ins, 3, 1));
    let exact = image(&operator, &state);
    let none = Truncation::none();
    let ways = [
        operator.apply(&state, &none).unwrap().0,
        operator.apply_zip_up(&state, &none).unwrap().state,
        operator.apply_fit(&state, &none, 2).unwrap().state,
    ];
    for phi in ways {
        assert!(distance(&phi.to_dense().unwrap(), &exact) < 1e-12 * norm(&exact));
    }
    let wrong = loose::<Complex64>(&outs, 3, 1);
    assert!(matches!(operator.apply_zip_up(&wrong, &none), Err(Error::Shape { .. })));
    let mut projector = Array2::<f64>::zeros((2, 2));
    projector[[1, 1]] = 1.0;
    let away = Mpo::product(&[projector.clone(), projector]).unwrap();
    let up = Mps::product(&[vec![1.0, 0.0], vec![1.0, 0.0]]).unwrap();
    assert!(away.apply_fit(&up, &none, 1).is_err() && away.apply(&up, &none).is_err());
    assert!(away.apply_exact(&up).unwrap().norm().is_zero());
}

#[test]
fn a_thousand_sites_are_zipped_and_fitted_in_single_precision() {
    let flip = Mpo::<f32>::product(&vec![operator_as("X", 2).unwrap().mapv(|x: f32| 50.0 * x); 1000]).unwrap();
    let state = Mps::<f32>::random(&[2; 1000], 3, Seed(4)).unwrap();
    let truncation = Truncation::none().max_bond(3);
    for applied in [flip.apply_zip_up(&state, &truncation).unwrap(), flip.apply_fit(&state, &truncation, 1).unwrap()] {
        assert!((applied.state.norm().ln_abs() - 1000.0 * 50f64.ln()).abs() < 1e-2);
        assert!(applied.error < 3e-2, "{}", applied.error);
    }
}

fn reduced(vector: &[Complex64], dims: &[usize], kept: &[usize]) -> Array2<Complex64> {
    let all = configurations(dims);
    let size: usize = kept.iter().map(|&k| dims[k]).product();
    let index = |c: &[usize]| kept.iter().fold(0, |n, &k| n * dims[k] + c[k]);
    let rest = |c: &[usize]| -> Vec<usize> { (0..dims.len()).filter(|k| !kept.contains(k)).map(|k| c[k]).collect() };
    let mut density = Array2::zeros((size, size));
    for (a, x) in all.iter().zip(vector) {
        for (b, y) in all.iter().zip(vector).filter(|(b, _)| rest(a) == rest(b)) {
            density[[index(a), index(b)]] += x * y.conj();
        }
    }
    let trace: Complex64 = density.diag().sum();
    density / trace
}

fn measurements_agree<T: Scalar>(tolerance: f64) {
    let dims = [2, 3, 2, 2];
    let mut state = loose::<T>(&dims, 4, 6);
    let vector: Vec<Complex64> = state.to_dense().unwrap().iter().map(|x| x.to_c64()).collect();
    let near = |a: &Array2<T>, b: &Array2<Complex64>| {
        a.dim() == b.dim() && a.iter().zip(b).all(|(x, y)| (x.to_c64() - y).norm() < tolerance)
    };
    for block in [0..1, 1..2, 3..4, 1..3, 0..4, 2..4] {
        let kept: Vec<usize> = block.clone().collect();
        assert!(near(&state.density_matrix(block).unwrap(), &reduced(&vector, &dims, &kept)));
    }
    for (i, j) in [(0, 1), (0, 3), (1, 3), (1, 2)] {
        assert!(near(&state.density_matrix_of_pair(i, j).unwrap(), &reduced(&vector, &dims, &[i, j])));
    }
    let sz: Array2<T> = operator_as("Sz", 3).unwrap();
    let expected: Complex64 = reduced(&vector, &dims, &[1]).dot(&sz.mapv(|x| x.to_c64())).diag().sum();
    assert!((state.local_expectation(1, &sz).unwrap().to_c64() - expected).norm() < tolerance);
    assert!(state.local_expectation(0, &sz).is_err() && state.local_expectations(&sz).is_err());
    // Correlations of two operators that do not commute, on equal sites.
    let dims = [2; 5];
    let mut state = loose::<T>(&dims, 4, 7);
    let vector: Vec<Complex64> = state.to_dense().unwrap().iter().map(|x| x.to_c64()).collect();
    let norm = vector.iter().map(|x| x.norm_sqr()).sum::<f64>();
    for (a, b) in [("S+", "Z"), ("Z", "Z")] {
        let (ma, mb): (Array2<T>, Array2<T>) = (operator_as(a, 2).unwrap(), operator_as(b, 2).unwrap());
        let found = state.correlations(&ma, &mb).unwrap();
        for i in 0..5 {
            for j in 0..5 {
                let dense = dense_term(&dims, 1.0.into(), &[(a, i), (b, j)]);
                let image = dense.dot(&Array1::from(vector.clone()));
                let expected: Complex64 = vector.iter().zip(&image).map(|(x, y)| x.conj() * y).sum();
                assert!((found[[i, j]].to_c64() - expected / norm).norm() < tolerance, "{a} {i} {b} {j}");
            }
        }
        let local = state.local_expectations(&ma).unwrap();
        let dense: Vec<_> =
            (0..5).map(|i| reduced(&vector, &dims, &[i]).dot(&ma.mapv(|x| x.to_c64())).diag().sum()).collect();
        assert!(local.iter().zip(&dense).all(|(x, y): (&T, &Complex64)| (x.to_c64() - y).norm() < tolerance));
    }
}

#[test]
fn densities_expectations_and_correlations_are_those_of_the_vector() {
    measurements_agree::<f32>(1e-5);
    measurements_agree::<f64>(1e-13);
    measurements_agree::<Complex32>(1e-5);
    measurements_agree::<Complex64>(1e-13);
}

#[test]
fn measurements_that_make_no_sense_are_refused() {
    let mut state = loose::<f64>(&[2; 30], 2, 1);
    assert!(matches!(state.density_matrix(3..3), Err(Error::Setting { .. })));
    assert!(matches!(state.density_matrix(0..31), Err(Error::Setting { .. })));
    assert!(matches!(state.density_matrix(0..13), Err(Error::Memory { .. })));
    assert!(state.density_matrix_of_pair(2, 2).is_err() && state.density_matrix_of_pair(0, 30).is_err());
    let nan = Array2::from_elem((2, 2), f64::NAN);
    assert!(state.local_expectation(0, &nan).is_err() && state.correlations(&nan, &nan).is_err());
    let mut zero = Mps::product(&[vec![0.0, 0.0], vec![1.0, 0.0]]).unwrap();
    let z = operator_as::<f64>("Z", 2).unwrap();
    assert!(zero.local_expectation(1, &z).is_err() && zero.correlations(&z, &z).is_err());
    assert!(zero.density_matrix(0..1).is_err() && zero.density_matrix_of_pair(0, 1).is_err());
}

#[test]
fn ghz_is_correlated_over_any_distance_and_does_not_point_anywhere() {
    let z = operator_as::<f32>("Z", 2).unwrap();
    let mut state = ghz::<f32>(300);
    let all = state.correlations(&z, &z).unwrap();
    assert!(all.iter().all(|x| (x - 1.0).abs() < 1e-4));
    assert!(state.local_expectations(&z).unwrap().iter().all(|x| x.abs() < 1e-4));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(9), cases: 30, ..ProptestConfig::default() })]
    #[test]
    fn a_fit_says_its_error_and_never_loses_to_the_zip_up(seed in 0u64..1000, bond in 1usize..6, kept in 1usize..8, field in -1f64..1.0) {
        let operator = ising(7, field).to_mpo::<Complex64>().unwrap();
        let state = loose::<Complex64>(&[2; 7], bond, seed);
        let exact = image(&operator, &state);
        let truncation = Truncation::none().max_bond(kept);
        let error = |phi: &Mps<Complex64>| distance(&phi.to_dense().unwrap(), &exact) / norm(&exact);
        let zipped = operator.apply_zip_up(&state, &truncation).unwrap();
        let fitted = operator.apply_fit(&state, &truncation, 4).unwrap();
        prop_assert!((error(&zipped.state) - zipped.error).abs() < 1e-6);
        prop_assert!((error(&fitted.state) - fitted.error).abs() < 1e-6);
        prop_assert!(fitted.error <= zipped.error + 1e-6);
    }
}
