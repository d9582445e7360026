//! The contraction of two tensors against the loop over all indices, whatever legs they share and however they lie in
//! memory.

use ansatz::tensor::{Leg, Role, Tensor, contract, contract_pairs, reference};
use ansatz::{Error, Scalar, Seed};
use num_complex::{Complex32, Complex64};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const A: [&str; 4] = ["a0", "a1", "a2", "a3"];
const B: [&str; 4] = ["b0", "b1", "b2", "b3"];

/// All orders of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for shorter in orders(last) {
        for place in 0..count {
            let mut order = shorter.clone();
            order.insert(place, last);
            all.push(order);
        }
    }
    all
}

/// The same tensor, its elements lying in memory in the order `stored`, its legs being in their old order if `lazily`.
fn relaid<T: Scalar>(t: &Tensor<T>, stored: &[usize], lazily: bool) -> Tensor<T> {
    let legs: Vec<Leg> = stored.iter().map(|&i| t.legs()[i].clone()).collect();
    let array = t.clone().into_array(&legs).unwrap();
    let relaid = Tensor::from_array(legs, array).unwrap();
    if lazily { relaid.permute(t.legs()).unwrap() } else { relaid }
}

fn assert_agrees<T: Scalar>(found: &Tensor<T>, expected: &Tensor<T>, tolerance: f64, case: impl Fn() -> String) {
    assert_eq!(found.legs(), expected.legs(), "{}", case());
    let far = found.sub(expected).unwrap().norm().ln_abs();
    assert!(far <= tolerance.ln() + expected.norm().ln_abs().max(0.0), "{}: {found:?} {expected:?}", case());
}

/// `shared` legs of two tensors with `of_a` and `of_b` legs, the first `kept` of them batch legs, in every order of
/// both in memory. As the orders are all orders, it is enough that the shared legs come first.
fn all_layouts<T: Scalar>(of_a: usize, of_b: usize, shared: usize, kept: usize, dims: &[usize], tolerance: f64) {
    let leg = |name: &str, dim: usize, i: usize| {
        let role = if i < kept { Role::Batch } else { [Role::Bond, Role::Site][i % 2] };
        Leg::new(name, dim, role)
    };
    let dim = |i: usize| dims[i % dims.len()];
    let a_legs: Vec<Leg> = (0..of_a).map(|i| leg(A[i], dim(i), i)).collect();
    let b_legs: Vec<Leg> =
        (0..of_b).map(|i| if i < shared { a_legs[i].clone() } else { leg(B[i], dim(of_a + i), i + 4) }).collect();
    let a = Tensor::<T>::random(a_legs, Seed(1)).unwrap();
    let b = Tensor::<T>::random(b_legs, Seed(2)).unwrap();
    let pairs: Vec<(&str, &str)> = (kept..shared).map(|i| (A[i], A[i])).collect();
    for (count, a_order) in orders(of_a).iter().enumerate() {
        for b_order in &orders(of_b) {
            let (a, b) = (relaid(&a, a_order, count % 2 == 0), relaid(&b, b_order, count % 3 == 0));
            let expected = reference::contract_pairs(&a, &b, &pairs).unwrap();
            assert_agrees(&contract(&a, &b).unwrap(), &expected, tolerance, || format!("{a} {b}"));
        }
    }
}

fn all_patterns<T: Scalar>(dims: &[&[usize]], tolerance: f64) {
    for (of_a, of_b) in (0..=4).flat_map(|of_a| (0..=4).map(move |of_b| (of_a, of_b))) {
        for shared in 0..=of_a.min(of_b) {
            for kept in 0..=shared.min(2) {
                dims.iter().for_each(|dims| all_layouts::<T>(of_a, of_b, shared, kept, dims, tolerance));
            }
        }
    }
}

#[test]
fn every_pattern_and_layout_agrees_with_the_loop_in_f64() {
    all_patterns::<f64>(&[&[2, 3, 1], &[3, 2, 2, 1, 2]], 1e-13);
}

#[test]
fn every_pattern_and_layout_agrees_with_the_loop_in_complex_numbers() {
    all_patterns::<Complex64>(&[&[2, 1, 2, 2, 3]], 1e-13);
}

#[test]
fn every_pattern_and_layout_agrees_with_the_loop_in_single_precision() {
    all_patterns::<f32>(&[&[1, 2, 3, 2, 2]], 1e-5);
    all_patterns::<Complex32>(&[&[2, 2, 1, 1, 2]], 1e-5);
}

#[test]
fn a_large_product_agrees_with_the_product_of_its_parts() {
    // Large enough for the thread pool and for blocks in the permutation; (A B) c = A (B c) with a vector c.
    let a = Tensor::<f64>::random([Leg::bond("i", 300), Leg::bond("x", 30), Leg::bond("y", 9)], Seed(1)).unwrap();
    let b = Tensor::random([Leg::bond("y", 9), Leg::bond("j", 250), Leg::bond("x", 30)], Seed(2)).unwrap();
    let c = Tensor::random([Leg::bond("j", 250)], Seed(3)).unwrap();
    let left = contract(&contract(&a, &b).unwrap(), &c).unwrap();
    let right = contract(&a, &contract(&b, &c).unwrap()).unwrap();
    assert_agrees(&left, &right, 1e-12, || "(AB)c = A(Bc)".into());
}

#[test]
fn named_pairs_join_legs_of_different_names() {
    let a = Tensor::<Complex64>::random([Leg::bond("l", 2), Leg::site("s", 3), Leg::bond("r", 2)], Seed(1)).unwrap();
    let b = Tensor::random([Leg::bond("r'", 4), Leg::site("s'", 3), Leg::bond("l'", 2)], Seed(2)).unwrap();
    for pairs in [&[("r", "l'")][..], &[("s", "s'"), ("r", "l'")], &[("l", "l'"), ("s", "s'")], &[]] {
        let found = contract_pairs(&a, &b, pairs).unwrap();
        assert_agrees(&found, &reference::contract_pairs(&a, &b, pairs).unwrap(), 1e-13, || format!("{pairs:?}"));
    }
    // The same name on both sides is no pair unless it is named.
    let error = contract_pairs(&a, &a, &[("l", "r")]).unwrap_err();
    assert!(error.to_string().contains("leg 's' (site, dimension 3) is on both"), "{error}");
    assert!(contract_pairs(&a, &b, &[("l", "l'"), ("r", "l'")]).is_err());
    assert!(contract_pairs(&a, &b, &[("l", "nowhere")]).is_err());
    let clash = b.rename("r'", "l").unwrap();
    assert!(matches!(contract_pairs(&a, &clash, &[("r", "l'")]), Err(Error::Leg { .. })));
    assert!(contract_pairs(&a, &clash, &[("l", "l'"), ("s", "s'")]).unwrap().has_leg("l"));
}

#[test]
fn a_batch_leg_is_kept_unless_it_is_paired() {
    let a = Tensor::<f64>::random([Leg::batch("n", 3), Leg::bond("b", 2)], Seed(1)).unwrap();
    let b = Tensor::random([Leg::bond("b", 2), Leg::batch("n", 3)], Seed(2)).unwrap();
    let kept = contract(&a, &b).unwrap();
    assert_eq!(kept.legs(), [Leg::batch("n", 3)]);
    for n in 0..3 {
        let slice = contract(&a.select("n", n).unwrap(), &b.select("n", n).unwrap()).unwrap();
        assert!((kept.get(&[("n", n)]).unwrap() - slice.to_scalar().unwrap()).abs() < 1e-15);
    }
    let summed = contract_pairs(&a, &b, &[("n", "n"), ("b", "b")]).unwrap().to_scalar().unwrap();
    let total: f64 = (0..3).map(|n| kept.get(&[("n", n)]).unwrap()).sum();
    assert!((summed - total).abs() < 1e-14);
}

#[test]
fn the_stride_of_a_leg_of_dimension_one_means_nothing() {
    use ndarray::ShapeBuilder;
    let b = Tensor::random([Leg::bond("x", 3), Leg::site("t", 1)], Seed(1)).unwrap();
    for strides in [(3, 0, 1), (0, 7, 1), (1, 99, 1)] {
        let array = ndarray::Array3::from_shape_vec((1, 1, 3).strides(strides), vec![1.0, -2.0, 4.0]).unwrap();
        let a = Tensor::from_array([Leg::batch("n", 1), Leg::site("s", 1), Leg::bond("x", 3)], array).unwrap();
        let expected = reference::contract_pairs(&a, &b, &[("x", "x")]).unwrap();
        assert_agrees(&contract(&a, &b).unwrap(), &expected, 1e-15, || format!("{strides:?}"));
        assert_agrees(&contract(&b, &a).unwrap(), &expected.permute(&["t", "n", "s"]).unwrap(), 1e-15, || {
            "turned".into()
        });
        let fused = a.fuse(&["x", "s", "n"], "all", Role::Site).unwrap();
        assert_eq!(fused.get(&[("all", 1)]).unwrap(), -2.0);
    }
}

#[test]
fn legs_that_do_not_fit_are_both_named() {
    let a = Tensor::<f64>::random([Leg::bond("x", 2), Leg::site("s", 2)], Seed(1)).unwrap();
    let text = |b: Leg| contract(&a, &Tensor::random([b], Seed(2)).unwrap()).unwrap_err().to_string();
    let error = text(Leg::bond("x", 3));
    assert!(error.contains("leg 'x' (bond, dimension 2) with leg 'x' (bond, dimension 3)"), "{error}");
    let error = text(Leg::bond("s", 2));
    assert!(error.contains("leg 's' (site, dimension 2) with leg 's' (bond, dimension 2)"), "{error}");
    // The way out that the error names.
    let b = Tensor::random([Leg::bond("s", 2)], Seed(2)).unwrap();
    assert!(contract(&a, &b.with_role("s", Role::Site).unwrap()).is_ok());
}

#[test]
fn a_result_beyond_memory_is_an_error() {
    let vector = |name: &str| Tensor::<Complex64>::zeros([Leg::site(name, 1 << 22)]).unwrap();
    let error = contract(&vector("a"), &vector("b"));
    assert!(matches!(error, Err(Error::Memory { .. })));
}

fn legs_of_both() -> impl Strategy<Value = (Vec<(usize, usize, usize)>, u64)> {
    // For each index: its dimension, where it is (a, b, summed, kept), and a number to sort by.
    (prop::collection::vec((1_usize..=5, 0_usize..4, 0_usize..1000), 0..7), any::<u64>())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, rng_seed: RngSeed::Fixed(2), cases: 200, ..ProptestConfig::default()
    })]
    #[test]
    fn random_tensors_agree_with_the_loop((indices, seed) in legs_of_both()) {
        let named = |i: usize, &(dim, place, _): &(usize, usize, usize)| {
            Leg::new(format!("a rather long name of a leg, number {i}"), dim, if place == 3 { Role::Batch } else { Role::Bond })
        };
        let on = |absent: usize| -> Vec<(usize, Leg)> {
            let here = indices.iter().enumerate().filter(|(_, index)| index.1 != absent);
            here.map(|(i, index)| (index.2, named(i, index))).collect()
        };
        let (a_legs, mut b_legs) = (on(1), on(0));
        b_legs.sort_by_key(|(key, _)| *key);
        let tensor = |legs: Vec<(usize, Leg)>, seed| {
            Tensor::<Complex64>::random(legs.into_iter().map(|(_, leg)| leg).collect::<Vec<_>>(), Seed(seed)).unwrap()
        };
        let (a, b) = (tensor(a_legs, seed), tensor(b_legs, seed ^ 1));
        let summed: Vec<String> = indices.iter().enumerate().filter(|(_, index)| index.1 == 2)
            .map(|(i, index)| named(i, index).name().to_owned()).collect();
        let pairs: Vec<(&str, &str)> = summed.iter().map(|name| (name.as_str(), name.as_str())).collect();
        let expected = reference::contract_pairs(&a, &b, &pairs).unwrap();
        assert_agrees(&contract(&a, &b).unwrap(), &expected, 1e-12, || format!("{a} {b}"));
    }
}
