//! Matrix product states against dense vectors and closed forms.

use crate::common::*;
use ansatz::chain::{Mps, entanglement_entropy, renyi_entropy};
use ansatz::linalg::Truncation;
use ansatz::{Error, LogScaled, Scalar, Seed};
use num_complex::{Complex32, Complex64};
use proptest::prelude::*;

fn every_state_agrees_with_its_vector<T: Scalar>(tolerance: f64) {
    let dims = [2, 3, 1, 2, 4];
    let (a, b) = (loose::<T>(&dims, 5, 1), loose::<T>(&dims, 3, 2));
    let (va, vb) = (a.to_dense().unwrap(), b.to_dense().unwrap());
    let scale = norm(&va) * norm(&vb);
    let inner = a.inner(&b).unwrap().value().to_c64();
    assert!((inner - dot(&va, &vb)).norm() < tolerance * scale);
    assert!((plain(a.norm()) / norm(&va) - 1.0).abs() < tolerance);
    for centre in [0, 4, 2, 3] {
        let mut c = a.clone();
        c.move_centre(4 - centre).unwrap();
        c.move_centre(centre).unwrap();
        assert_eq!(c.centre(), Some(centre));
        assert!(distance(&c.to_dense().unwrap(), &va) < tolerance * norm(&va));
        assert!((plain(c.norm()) / norm(&va) - 1.0).abs() < tolerance);
        let c = c.assume_centre(centre).unwrap();
        assert!(a.clone().assume_centre(centre).is_err());
        let mut one = c.clone();
        let length = one.normalise().unwrap();
        assert!((plain(length) / norm(&va) - 1.0).abs() < tolerance);
        assert!((norm(&one.to_dense().unwrap()) - 1.0).abs() < tolerance);
    }
    for (i, configuration) in configurations(&dims).into_iter().enumerate() {
        let amplitude = a.amplitude(&configuration).unwrap().value();
        assert!((amplitude.to_c64() - va[i].to_c64()).norm() < tolerance * norm(&va));
    }
    let (back, report) = Mps::from_dense(&va, &dims, &Truncation::none()).unwrap();
    assert!(distance(&back.to_dense().unwrap(), &va) <= report.bound * norm(&va));
    assert!(report.bound < tolerance && back.clone().assume_centre(4).is_ok());
}

#[test]
fn states_of_every_scalar_agree_with_their_vectors() {
    every_state_agrees_with_its_vector::<f32>(2e-5);
    every_state_agrees_with_its_vector::<f64>(1e-13);
    every_state_agrees_with_its_vector::<Complex32>(2e-5);
    every_state_agrees_with_its_vector::<Complex64>(1e-13);
}

#[test]
fn ghz_has_entropy_ln_2_at_every_cut_and_w_at_the_middle() {
    let ln2 = 2f64.ln();
    let mut ghz = ghz::<f64>(12);
    assert!(ghz.entropies().unwrap().iter().all(|s| (s - ln2).abs() < 1e-14));
    for alpha in [0.5, 1.0, 2.0, 50.0, f64::INFINITY] {
        assert!((ghz.renyi_entropy(5, alpha).unwrap() - ln2).abs() < 1e-13);
    }
    let mut w = w_state::<Complex64>(12);
    assert!((w.entanglement_entropy(5).unwrap() - ln2).abs() < 1e-13);
    let p: f64 = 3.0 / 12.0;
    let expected = -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
    assert!((w.entanglement_entropy(2).unwrap() - expected).abs() < 1e-13);
    let two = -(p * p + (1.0 - p) * (1.0 - p)).ln();
    assert!((w.renyi_entropy(8, 2.0).unwrap() - two).abs() < 1e-13);
}

#[test]
fn entropies_refuse_what_has_none() {
    assert!(entanglement_entropy(&[0.0]).is_err() && entanglement_entropy(&[f64::NAN]).is_err());
    assert!(matches!(renyi_entropy(&[1.0], 0.0), Err(Error::Setting { .. })));
    assert!(renyi_entropy(&[1.0], f64::NAN).is_err());
    assert!((renyi_entropy(&[1.0, 1e-200], 1e-3).unwrap()).is_finite());
    let mut zero = Mps::product(&[vec![0.0_f64, 0.0], vec![1.0, 0.0]]).unwrap();
    assert!(zero.schmidt_values(0).is_err() && zero.normalise().is_err());
    assert!(zero.norm().is_zero() && zero.to_dense().unwrap().iter().all(|&x| x == 0.0));
}

#[test]
fn two_thousand_sites_in_single_precision_neither_overflow_nor_vanish() {
    for size in [1e-20_f32, 3e10, 1e-40] {
        let chain = Mps::product(&vec![vec![size, 2.0 * size]; 2000]).unwrap();
        let expected = 2000.0 * (f64::from(size).ln() + 0.5 * 5f64.ln());
        // The smallest of the three sizes is a denormal number with few digits.
        let tolerance = if size < 1e-38 { 1.0 } else { 1e-2 };
        assert!((chain.norm().ln_abs() - expected).abs() < tolerance);
        let mut moved = chain.clone();
        moved.move_centre(1000).unwrap();
        assert!((moved.norm().ln_abs() - chain.norm().ln_abs()).abs() < 1e-2);
        let amplitude = chain.amplitude(&vec![1u8; 2000]).unwrap();
        assert!((amplitude.ln_abs() - 2000.0 * (2.0 * f64::from(size)).ln()).abs() < tolerance);
    }
    let mut a = Mps::<f32>::random(&[2; 2000], 6, Seed(1)).unwrap();
    assert!(a.norm().ln_abs().abs() < 1e-3 && a.norm_squared().ln_abs().abs() < 1e-2);
    a.scale(LogScaled::exp(-1e5));
    assert!((a.inner(&a).unwrap().ln_abs() + 2e5).abs() < 0.1);
    let length = a.normalise().unwrap();
    assert!((length.ln_abs() + 1e5).abs() < 1e-3 && a.norm().ln_abs().abs() < 1e-3);
}

#[test]
fn a_random_state_is_fixed_by_its_seed_and_has_the_largest_useful_bonds() {
    let a = Mps::<Complex64>::random(&[2, 3, 2, 2], 100, Seed(4)).unwrap();
    assert_eq!(a.bonds(), [2, 4, 2]);
    assert_eq!(a, Mps::random(&[2, 3, 2, 2], 100, Seed(4)).unwrap());
    assert_ne!(a, Mps::random(&[2, 3, 2, 2], 100, Seed(5)).unwrap());
    assert_eq!(a.centre(), Some(0));
    assert!(Mps::<f64>::random(&[2, 2], 0, Seed(1)).is_err() && Mps::<f64>::random(&[], 1, Seed(1)).is_err());
    assert!(Mps::<f64>::random(&[2, 0], 2, Seed(1)).is_err());
}

#[test]
fn a_bad_tensor_is_named() {
    use ndarray::Array3;
    let good = |l, r| Array3::<f64>::ones((l, 2, r));
    assert!(matches!(Mps::<f64>::new(vec![]), Err(Error::Empty { .. })));
    assert!(matches!(Mps::new(vec![good(1, 2), good(3, 1)]), Err(Error::Shape { .. })));
    assert!(matches!(Mps::new(vec![good(1, 2)]), Err(Error::Shape { .. })));
    assert!(matches!(Mps::new(vec![good(2, 1)]), Err(Error::Shape { .. })));
    assert!(matches!(Mps::new(vec![good(1, 1) * f64::NAN]), Err(Error::NotFinite { .. })));
    assert!(matches!(Mps::new(vec![Array3::<f64>::ones((1, 0, 1))]), Err(Error::Empty { .. })));
    let state = Mps::new(vec![good(1, 2), good(2, 1)]).unwrap();
    assert!(matches!(state.amplitude(&[0u8, 2]), Err(Error::Symbol { site: 1, found: 2, dim: 2, .. })));
    assert!(state.amplitude(&[0u8]).is_err() && state.clone().schmidt_values(1).is_err());
    assert!(state.clone().move_centre(2).is_err());
    assert!(matches!(Mps::<f32>::random(&[2; 30], 2, Seed(1)).unwrap().to_dense(), Err(Error::Memory { .. })));
}

#[test]
fn a_replaced_pair_keeps_the_gauge_it_promises() {
    let mut a = Mps::<f64>::random(&[2; 6], 4, Seed(3)).unwrap();
    for (start, bond, centre, expected) in
        [(2, 2, Some(3), Some(3)), (3, 2, Some(2), Some(2)), (2, 2, None, None), (0, 2, Some(3), None)]
    {
        a.move_centre(start).unwrap();
        let pair = [a.tensors()[bond].clone(), a.tensors()[bond + 1].clone()];
        a.set_pair(bond, pair.clone(), centre).unwrap();
        assert_eq!(a.centre(), expected);
        assert!(a.set_pair(bond, [a.tensors()[0].clone(), pair[1].clone()], None).is_err());
        assert!(a.set_pair(bond, pair, Some(0)).is_err());
        a.canonicalise(0).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(3), cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn any_chain_keeps_its_vector_when_its_centre_moves(dims in prop::collection::vec(1usize..4, 1..7), bond in 1usize..6, seed in 0u64..1000, steps in prop::collection::vec(0usize..7, 1..4)) {
        let a = loose::<Complex64>(&dims, bond, seed);
        let vector = a.to_dense().unwrap();
        let mut moved = a.clone();
        for step in steps {
            moved.move_centre(step % dims.len()).unwrap();
        }
        prop_assert!(distance(&moved.to_dense().unwrap(), &vector) < 1e-12 * norm(&vector));
        prop_assert!((plain(moved.norm()) - norm(&vector)).abs() < 1e-12 * norm(&vector));
    }

    #[test]
    fn schmidt_values_are_those_of_the_matrix_of_amplitudes(dims in prop::collection::vec(1usize..4, 2..6), seed in 0u64..1000, cut in 0usize..5) {
        let cut = cut % (dims.len() - 1);
        let mut a = loose::<f64>(&dims, 4, seed);
        let vector = a.to_dense().unwrap();
        let rows: usize = dims[..=cut].iter().product();
        let matrix = ndarray::Array2::from_shape_vec((rows, vector.len() / rows), vector.clone()).unwrap();
        let expected = ansatz::linalg::singular_values(&matrix.view()).unwrap();
        let found = a.schmidt_values(cut).unwrap();
        for (i, s) in expected.iter().enumerate() {
            prop_assert!((s / norm(&vector) - found.get(i).copied().unwrap_or(0.0)).abs() < 1e-13);
        }
    }
}
