//! Compression keeps its promises: the stated loss is the loss, and a budget is a budget.

use crate::common::*;
use ansatz::chain::Mps;
use ansatz::linalg::Truncation;
use ansatz::{Error, LogScaled, Scalar, Seed};
use num_complex::{Complex32, Complex64};
use proptest::prelude::*;

fn relative_error<T: Scalar>(before: &[T], after: &Mps<T>) -> f64 {
    distance(before, &after.to_dense().unwrap()) / norm(before)
}

/// Dense vectors in the precision of `T` have an error of their own.
fn dense_error<T: Scalar>() -> f64 {
    if T::KIND.name().ends_with("32") { 3e-7 } else { 5e-16 }
}

fn a_budget_is_kept<T: Scalar>(budgets: &[f64]) {
    let dims = [2, 3, 2, 2, 3, 2, 2];
    for (seed, start) in [loose::<T>(&dims, 9, 5), Mps::random(&dims, 9, Seed(3)).unwrap()].into_iter().enumerate() {
        let vector = start.to_dense().unwrap();
        for &budget in budgets {
            let mut small = start.clone();
            if seed == 1 {
                small.move_centre(2).unwrap();
            }
            let report = small.compress_to(budget, None).unwrap();
            let error = relative_error(&vector, &small);
            assert!(error <= report.bound + dense_error::<T>(), "{error} beyond the bound {}", report.bound);
            assert!(report.bound <= budget);
            // The budget is used, not merely respected.
            assert!(report.bound > 0.3 * budget || budget < 0.05);
            assert!(
                (report.error() - error).abs() <= 0.01 * error + (report.bound - report.error()) + dense_error::<T>()
            );
            let overlap = small.inner(&start).unwrap().abs().powi(2) / (small.norm() * start.norm()).powi(2);
            assert!((plain(overlap) - report.fidelity()).abs() < 1e-5);
            assert!(small.clone().assume_centre(small.centre().unwrap()).is_ok());
        }
    }
}

#[test]
fn a_budget_for_the_whole_chain_is_kept() {
    a_budget_is_kept::<f32>(&[1e-3, 0.1, 0.5]);
    a_budget_is_kept::<f64>(&[1e-10, 1e-3, 0.1, 0.5]);
    a_budget_is_kept::<Complex32>(&[1e-3, 0.1, 0.5]);
    a_budget_is_kept::<Complex64>(&[1e-10, 1e-3, 0.1, 0.5]);
}

fn nothing_is_lost_at_the_natural_rank<T: Scalar>(budget: f64) {
    // Rank 3 written with bonds 12, far from any gauge.
    let dims = [2, 3, 2, 2, 3, 2];
    let natural = loose::<T>(&dims, 3, 8);
    let wide = natural.add(&natural).unwrap().add(&natural.add(&natural).unwrap()).unwrap();
    let vector = wide.to_dense().unwrap();
    let natural_bonds = [2, 3, 3, 3, 2];
    let mut small = wide.clone();
    let report = small.compress_to(budget, None).unwrap();
    assert_eq!(small.bonds(), natural_bonds);
    assert!(relative_error(&vector, &small) <= report.bound + dense_error::<T>() && report.bound <= budget);
    assert!(report.error() < budget / 4.0);
    let mut small = wide.clone();
    let report = small.compress(&Truncation::none().max_bond(3)).unwrap();
    assert_eq!(small.bonds(), natural_bonds);
    assert!(relative_error(&vector, &small) <= report.bound + dense_error::<T>() && report.bound <= budget);
    let mut same = wide.clone();
    let report = same.compress(&Truncation::none()).unwrap();
    assert!(report.error() == 0.0 && relative_error(&vector, &same) <= report.bound + dense_error::<T>());
}

#[test]
fn nothing_but_rounding_is_lost_at_the_natural_rank() {
    nothing_is_lost_at_the_natural_rank::<f32>(1e-3);
    nothing_is_lost_at_the_natural_rank::<f64>(1e-12);
    nothing_is_lost_at_the_natural_rank::<Complex32>(1e-3);
    nothing_is_lost_at_the_natural_rank::<Complex64>(1e-12);
}

#[test]
fn a_bond_too_small_for_the_budget_is_refused_and_changes_nothing() {
    let state = Mps::<f64>::random(&[2; 8], 16, Seed(2)).unwrap();
    let mut small = state.clone();
    assert!(matches!(small.compress_to(1e-3, Some(2)), Err(Error::Setting { name: "max_bond", .. })));
    assert_eq!(small, state);
    let report = small.compress_to(0.9, Some(4)).unwrap();
    assert!(small.max_bond() <= 4 && report.bound <= 0.9);
    for (budget, bond) in [(f64::NAN, None), (-0.1, None), (1.0, None), (0.1, Some(0))] {
        assert!(matches!(small.compress_to(budget, bond), Err(Error::Setting { .. })));
    }
    let report = small.compress_to(0.0, None).unwrap();
    assert!(report.bound < 1e-13 && report.error() == 0.0);
}

#[test]
fn the_bound_covers_rounding_where_a_sum_cancels() {
    let a = Mps::<f64>::random(&[2; 10], 6, Seed(6)).unwrap();
    let mut nearly = a.add(&{
        let mut tiny = Mps::random(&[2; 10], 3, Seed(7)).unwrap();
        tiny.scale(LogScaled::from(1e-9));
        tiny
    });
    let mut minus = a.clone();
    minus.scale(LogScaled::from(-1.0));
    let difference = nearly.as_mut().unwrap().add(&minus).unwrap();
    let tiny = Mps::<f64>::random(&[2; 10], 3, Seed(7)).unwrap().to_dense().unwrap();
    let exact: Vec<f64> = tiny.iter().map(|x| x * 1e-9).collect();
    let mut small = difference.clone();
    let report = small.compress(&Truncation::none().max_bond(3)).unwrap();
    let error = relative_error(&exact, &small);
    assert!(error > 1e-9, "the test wants cancellation: {error}");
    assert!(error <= report.bound, "{error} beyond {}", report.bound);
    assert!(report.bound < 1e-3, "{}", report.bound);
}

#[test]
fn long_chains_keep_their_bound_in_single_precision() {
    let state = Mps::<f32>::random(&[2; 2000], 4, Seed(1)).unwrap();
    let doubled = state.add(&state).unwrap();
    let mut small = doubled.clone();
    let report = small.compress_to(0.01, None).unwrap();
    assert_eq!(small.max_bond(), 4);
    let overlap = small.inner(&doubled).unwrap() / (small.norm() * doubled.norm());
    assert!((plain(overlap.abs()) - 1.0).abs() < 1e-3 && report.bound <= 0.01);
    assert!((small.norm().ln_abs() - 2f64.ln()).abs() < 1e-3);
}

#[test]
fn a_sum_is_the_sum_of_the_vectors_whatever_the_factors() {
    let (mut a, b) = (loose::<Complex64>(&[2, 3, 2, 2], 3, 1), loose::<Complex64>(&[2, 3, 2, 2], 4, 2));
    a.scale(LogScaled::new(Complex64::new(0.6, 0.8), -3.0));
    let sum = a.add(&b).unwrap();
    assert_eq!(sum.bonds(), [7, 7, 4]);
    assert_eq!(sum.centre(), None);
    let expected: Vec<_> = a.to_dense().unwrap().iter().zip(&b.to_dense().unwrap()).map(|(x, y)| x + y).collect();
    assert!(distance(&sum.to_dense().unwrap(), &expected) < 1e-13 * norm(&expected));
    let mut far = b.clone();
    far.scale(LogScaled::exp(-2000.0));
    let sum = far.add(&a).unwrap();
    assert!((sum.norm() / a.norm()).ln_abs().abs() < 1e-13);
    assert!(a.add(&loose(&[2, 2], 2, 1)).is_err());
    // Sizes that grow along one chain and fall along the other do not hide the smaller part.
    let slope = |up: f64| {
        let site = |k: i32| vec![(up * f64::from(k - 150)).exp(), 0.0];
        Mps::<f64>::product(&(0..301).map(site).collect::<Vec<_>>()).unwrap()
    };
    let mut sum = slope(0.3).add(&slope(-0.3)).unwrap();
    sum.compress(&Truncation::none().cutoff(1e-12)).unwrap();
    assert!((sum.norm() / slope(0.3).norm()).ln_abs() - 2f64.ln() < 1e-12 && sum.max_bond() == 1);
}

#[test]
fn a_state_of_norm_zero_cannot_be_compressed() {
    let mut zero = Mps::product(&[vec![0.0_f64, 0.0], vec![1.0, 0.0]]).unwrap();
    assert!(matches!(zero.compress(&Truncation::none()), Err(Error::NotFinite { .. })));
    assert!(zero.add(&zero.clone()).unwrap().norm().is_zero());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(5), cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn the_error_is_never_above_the_bound(dims in prop::collection::vec(1usize..4, 1..7), bond in 1usize..8, seed in 0u64..1000, kept in 1usize..6, budget in 0.0f64..0.9, centre in prop::option::of(0usize..7)) {
        let mut start = loose::<Complex64>(&dims, bond, seed);
        if let Some(centre) = centre {
            start.move_centre(centre % dims.len()).unwrap();
        }
        let vector = start.to_dense().unwrap();
        let mut cut = start.clone();
        let report = cut.compress(&Truncation::none().max_bond(kept).cutoff(1e-3)).unwrap();
        prop_assert!(relative_error(&vector, &cut) <= report.bound + 1e-15);
        prop_assert!(cut.max_bond() <= kept);
        let mut cut = start.clone();
        let report = cut.compress_to(budget, None).unwrap();
        prop_assert!(relative_error(&vector, &cut) <= report.bound + 1e-15);
        prop_assert!(report.bound <= budget.max(1e-12));
    }
}
