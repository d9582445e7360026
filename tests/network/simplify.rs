//! Simplification changes no value, whatever rules are used, and finds what is there to be found.

use std::time::Duration;

use crate::common::{arrays, naive, pattern, worst};
use ansatz::network::{Network, Planner, Rule, Simplify};
use ansatz::{Leg, Scalar, Seed, Tensor};
use ndarray::{Array2, ArrayD};
use num_complex::Complex64;
use rand::RngExt;

const RULES: [Rule; 6] = [Rule::Absorb, Rule::Merge, Rule::Diagonal, Rule::Antidiagonal, Rule::Column, Rule::Split];

fn value<T: Scalar>(network: &Network<T>) -> ArrayD<T> {
    let equation = network.equation().unwrap();
    let plan = Planner::new().search(&equation, Duration::from_secs(60), Seed(1)).unwrap();
    let tensor = network.contract(&plan).unwrap().into_tensor().unwrap();
    let legs = tensor.legs().to_vec();
    tensor.into_array(&legs).unwrap()
}

/// Many zeros, so that diagonals, columns and low ranks occur.
fn sparse<T: Scalar>(array: &mut ArrayD<T>, index: u64) {
    let mut stream = Seed(index).stream("sparse", 0);
    let shape = array.shape().to_vec();
    let kind = stream.random_range(0..4);
    let (i, j) = match shape.len() {
        0 | 1 => (0, 0),
        rank => (stream.random_range(0..rank), stream.random_range(0..rank)),
    };
    for (place, x) in array.indexed_iter_mut() {
        let zero = match kind {
            0 if i != j && shape[i] == shape[j] => place[i] != place[j],
            1 if i != j && shape[i] == shape[j] => place[i] + place[j] + 1 != shape[i],
            2 if !shape.is_empty() => place[i] == 0 && shape[i] > 1,
            _ => false,
        };
        if zero {
            *x = T::zero();
        }
    }
}

#[test]
fn no_rule_changes_a_value() {
    let mut smaller = 0;
    for index in 0..300 {
        let equation = pattern(6, 5000 + index);
        let mut arrays = arrays::<Complex64>(&equation, index);
        for (number, array) in arrays.iter_mut().enumerate() {
            sparse(array, 100 * index + number as u64);
        }
        let expected = naive(&equation, &arrays);
        let network = Network::from_equation(&equation, arrays).unwrap();
        let mut settings: Vec<Simplify> = RULES.iter().map(|&rule| Simplify::none().with(rule)).collect();
        settings.extend(RULES.iter().map(|&rule| Simplify::all().without(rule)));
        settings.extend([Simplify::all(), Simplify::none()]);
        for setting in settings {
            let small = network.simplify(&setting).unwrap();
            assert_eq!(small.open(), network.open());
            smaller += usize::from(small.tensors().count() < network.tensors().count());
            assert!(worst(&value(&small), &expected) < 1e-12, "{equation} {setting:?}");
        }
    }
    assert!(smaller > 1000, "only {smaller} became smaller");
}

fn matrix(from: &str, to: &str, elements: [f64; 4]) -> Tensor<f64> {
    Tensor::new([Leg::bond(from, 2), Leg::bond(to, 2)], elements.to_vec()).unwrap()
}

#[test]
fn each_rule_finds_its_case() {
    let big = |names: [&str; 3], seed| Tensor::<f64>::random(names.map(|name| Leg::bond(name, 2)), Seed(seed)).unwrap();
    let only = |rule| Simplify::none().with(rule);
    // A diagonal, an antidiagonal and a projector between two tensors: one index less each.
    for (rule, elements) in [
        (Rule::Diagonal, [2.0, 0.0, 0.0, 3.0]),
        (Rule::Antidiagonal, [0.0, 2.0, 3.0, 0.0]),
        (Rule::Column, [2.0, 0.0, 0.0, 0.0]),
    ] {
        let tensors = vec![big(["a", "b", "i"], 1), matrix("i", "j", elements), big(["j", "a", "b"], 2)];
        let network = Network::from_tensors(tensors).unwrap();
        let small = network.simplify(&only(rule)).unwrap();
        assert!(small.equation().unwrap().indices() < network.equation().unwrap().indices(), "{rule:?}");
        assert!(worst(&value(&small), &value(&network)) < 1e-14);
    }
    // Three bonds between two tensors.
    let network = Network::from_tensors(vec![big(["a", "b", "c"], 1), big(["c", "a", "b"], 2)]).unwrap();
    let merged = network.simplify(&only(Rule::Merge)).unwrap();
    assert_eq!(merged.equation().unwrap().dims(), [8]);
    // A controlled phase has rank two between its qubits, the product of two matrices rank one.
    let product = Array2::from_shape_fn((4, 4), |(i, j)| ((1 + i) * (2 + j)) as f64).into_dyn();
    let legs = ["a", "b", "c", "d"].map(|name| Leg::bond(name, 2));
    let gate = Tensor::from_array(legs, product.into_shape_with_order(vec![2, 2, 2, 2]).unwrap()).unwrap();
    let network = Network::from_tensors(vec![gate]).unwrap();
    let split = network.simplify(&only(Rule::Split)).unwrap();
    assert!(split.tensors().count() > 1 && split.tensors().map(Tensor::elements).sum::<usize>() < 16);
    assert!(worst(&value(&split), &value(&network)) < 1e-13);
}

#[test]
fn a_tree_is_one_number_and_huge_factors_go_to_the_scale() {
    let tensors: Vec<Tensor<f32>> = (0..50)
        .map(|i| {
            let legs = [Leg::bond(format!("b{i}"), 3), Leg::bond(format!("b{}", i + 1), 3)];
            Tensor::random(legs, Seed(i)).unwrap().scale(1e-3)
        })
        .chain((0..40).map(|_| Tensor::scalar(-1e30)))
        .collect();
    let open: [&str; 0] = [];
    let network = Network::with_open(tensors, &open).unwrap();
    let small = network.simplify(&Simplify::all()).unwrap();
    assert_eq!(small.tensors().count(), 1);
    let plan =
        |n: &Network<f32>| Planner::new().search(&n.equation().unwrap(), Duration::from_secs(60), Seed(1)).unwrap();
    let (a, b) = (
        small.contract(&plan(&small)).unwrap().scalar().unwrap(),
        network.contract(&plan(&network)).unwrap().scalar().unwrap(),
    );
    assert!((a.ln_abs() - b.ln_abs()).abs() < 1e-3 && a.phase() == b.phase(), "{a} {b}");
}
