//! Networks contracted by plans agree with the sum over all values of all indices.

use std::time::Duration;

use crate::common::{arrays, naive, network, pattern, worst};
use ansatz::autodiff::Tape;
use ansatz::network::{Backward, Contracted, Equation, Network, Plan, Planner};
use ansatz::{Error, Leg, LogScaled, Role, Scalar, Seed, Tensor};
use ndarray::{ArrayD, IxDyn};
use num_complex::{Complex32, Complex64};

fn plan(planner: &Planner, equation: &Equation) -> Plan {
    planner.clone().rounds(1).search(equation, Duration::from_secs(60), Seed(1)).unwrap()
}

fn result<T: Scalar>(network: &Network<T>, plan: &Plan) -> ArrayD<T> {
    let tensor = network.contract(plan).unwrap().into_tensor().unwrap();
    let legs = tensor.legs().to_vec();
    tensor.into_array(&legs).unwrap()
}

fn agrees<T: Scalar>(patterns: std::ops::Range<u64>, tolerance: f64) {
    let mut slices = 0;
    for index in patterns {
        let equation = pattern(6, index);
        let arrays = arrays::<T>(&equation, index);
        let expected = naive(&equation, &arrays);
        let network = Network::from_equation(&equation, arrays).unwrap();
        let output = expected.len() as f64;
        for planner in [Planner::new(), Planner::new().max_log2_size(output.log2().min(1.0))] {
            let plan = plan(&planner, &equation);
            slices += plan.sliced().len();
            let found = result(&network, &plan);
            assert!(worst(&found, &expected) < tolerance, "{equation}: {plan:?}\n{found}\n{expected}");
        }
    }
    assert!(slices > 25, "only {slices} indices were sliced");
}

#[test]
fn random_patterns_agree_with_the_sum_over_all_indices() {
    agrees::<f64>(0..300, 1e-12);
}

#[test]
fn every_kind_of_number_is_contracted() {
    agrees::<f32>(300..400, 1e-4);
    agrees::<Complex32>(400..500, 1e-4);
    agrees::<Complex64>(500..600, 1e-12);
}

#[test]
fn a_stored_plan_contracts_another_network_of_the_same_shapes() {
    let equation = Equation::parse("abx,bcx,cdx,dax->x", &[[2, 3, 2], [3, 4, 2], [4, 5, 2], [5, 2, 2]]).unwrap();
    let sliced = plan(&Planner::new().max_log2_size(2.0), &equation);
    assert!(sliced.slices() > 1);
    let back = Plan::from_json(sliced.to_json().to_string()).unwrap();
    assert_eq!(back, sliced);
    for seed in 1..4 {
        let expected = naive(&equation, &arrays::<f64>(&equation, seed));
        assert!(worst(&result(&network::<f64>(&equation, seed), &back), &expected) < 1e-12);
    }
    let other = Equation::parse("abx,bcx,cdx,dax->x", &[[2, 3, 2], [3, 4, 2], [4, 6, 2], [6, 2, 2]]).unwrap();
    assert!(matches!(network::<f64>(&other, 1).contract(&back), Err(Error::Shape { .. })));
}

#[test]
fn a_value_far_outside_the_range_of_f32_comes_out_right() {
    // Rings of 2 x 2 matrices x I: the trace of their product is 2 x^n.
    for (x, n) in [(1e-30_f32, 200), (1e30, 200), (3e38, 40), (1e-45, 100)] {
        let matrix = ArrayD::from_shape_vec(IxDyn(&[2, 2]), vec![x, 0.0, 0.0, x]).unwrap();
        let legs = |i: usize| [Leg::bond(format!("b{i}"), 2), Leg::bond(format!("b{}", (i + 1) % n), 2)];
        let tensors = (0..n).map(|i| Tensor::from_array(legs(i), matrix.clone()).unwrap()).collect();
        let ring = Network::from_tensors(tensors).unwrap();
        let plan = plan(&Planner::new(), &ring.equation().unwrap());
        let value = ring.contract(&plan).unwrap().scalar().unwrap();
        let expected = 2f64.ln() + n as f64 * f64::from(x).ln();
        assert!((value.ln_abs() - expected).abs() < 1e-6 * expected.abs(), "{x}: {} {expected}", value.ln_abs());
        assert_eq!(value.phase(), 1.0);
    }
}

#[test]
fn slices_of_very_different_size_are_added() {
    // sum over h of 10^(30 h - 60): the last slice outweighs the first by 120 decades.
    let vector = ArrayD::from_shape_vec(IxDyn(&[5]), (0..5).map(|h| 10f32.powi(15 * h - 30)).collect()).unwrap();
    let network = Network::from_einsum("h,h->", vec![vector.clone(), vector]).unwrap();
    let equation = network.equation().unwrap();
    let tree = plan(&Planner::new(), &equation).tree().clone();
    let value = network.contract(&Plan::new(&equation, &tree, &[0]).unwrap()).unwrap().scalar().unwrap();
    assert!((value.ln_abs() - 60.0 * 10f64.ln()).abs() < 1e-5);
}

#[test]
fn the_norm_of_a_state_is_that_of_its_tensor() {
    let legs = |i: usize| {
        vec![Leg::bond(format!("b{i}"), 3), Leg::site(format!("s{i}"), 2), Leg::bond(format!("b{}", (i + 1) % 5), 3)]
    };
    let tensors = (0..5).map(|i| Tensor::<Complex64>::random(legs(i), Seed(i as u64)).unwrap()).collect();
    let state = Network::from_tensors(tensors).unwrap();
    assert_eq!(state.open().len(), 5);
    assert!(state.open().iter().all(|leg| leg.role() == Role::Site));
    let vector = state.contract(&plan(&Planner::new(), &state.equation().unwrap())).unwrap().into_tensor().unwrap();
    assert_eq!(vector.legs(), state.open());
    let norm = state.norm().unwrap();
    let value = norm.contract(&plan(&Planner::new(), &norm.equation().unwrap())).unwrap().scalar().unwrap();
    let expected = vector.norm().powi(2);
    assert!((value.ln_abs() - expected.ln_abs()).abs() < 1e-12 && value.phase().im.abs() < 1e-12);
    // A part of it, and the rest, make the same tensor.
    let (part, rest) = (state.part(&[1, 3]).unwrap(), state.part(&[0, 2, 4]).unwrap());
    assert_eq!((part.open().len(), rest.open().len()), (6, 7));
    let whole = part.merge(&rest).unwrap();
    let again = whole.contract(&plan(&Planner::new(), &whole.equation().unwrap())).unwrap().into_tensor().unwrap();
    assert!((again.sub(&vector).unwrap().norm() / vector.norm()).value() < 1e-13);
    assert!(state.part(&[1, 1]).is_err() && state.part(&[9]).is_err() && state.part(&[]).is_err());
    // Inner legs of the same name are no bonds between the two.
    assert!(matches!(state.merge(&state.conj().unwrap()), Err(Error::Leg { .. })));
}

#[test]
fn batch_legs_stay_open() {
    let legs = |name: &str| [Leg::batch("sample", 3), Leg::bond(name, 2), Leg::bond("m", 2)];
    let (a, b) = (Tensor::<f64>::random(legs("a"), Seed(1)).unwrap(), Tensor::random(legs("b"), Seed(2)).unwrap());
    let expected = ansatz::tensor::contract(&a, &b).unwrap();
    let network = Network::from_tensors(vec![a, b]).unwrap();
    let found = network.contract(&plan(&Planner::new(), &network.equation().unwrap())).unwrap().into_tensor().unwrap();
    assert_eq!(found.leg("sample").unwrap().role(), Role::Batch);
    assert!(found.sub(&expected).unwrap().norm().value() < 1e-14);
}

#[test]
fn wrong_values_are_refused_where_they_are_met() {
    let vector = |x: f64| ArrayD::from_shape_vec(IxDyn(&[2]), vec![1.0, x]).unwrap();
    let network = Network::from_einsum("a,a->", vec![vector(f64::NAN), vector(1.0)]).unwrap();
    let equation = network.equation().unwrap();
    let plan = plan(&Planner::new(), &equation);
    assert!(matches!(network.contract(&plan), Err(Error::NotFinite { .. })));
    let mismatch = Network::from_tensors(vec![
        Tensor::<f64>::zeros([Leg::bond("a", 2)]).unwrap(),
        Tensor::zeros([Leg::bond("a", 3), Leg::bond("b", 3)]).unwrap(),
    ]);
    let message = mismatch.unwrap_err().to_string();
    assert!(message.contains("[a: bond 2]") && message.contains("[a: bond 3, b: bond 3]"), "{message}");
    let zero = Network::from_einsum("a,a->", vec![vector(0.0), vector(0.0) * 0.0]).unwrap();
    assert_eq!(zero.contract(&plan).unwrap().scalar().unwrap(), LogScaled::zero());
    assert!(Network::<f64>::from_tensors(Vec::new()).is_err());
}

#[test]
fn every_order_and_every_slice_of_odd_patterns_agree_with_the_sum() {
    // Hyperedges, open shared indices, repeated and lone ones, dimension one, parts that nothing joins, scalars.
    let cases: &[(&str, &[&[usize]])] = &[
        ("hab,hbc,hca->", &[&[3, 2, 4], &[3, 4, 2], &[3, 2, 2]]),
        ("xab,xbc,xcd->xad", &[&[2, 3, 4], &[2, 4, 2], &[2, 2, 3]]),
        ("xab,ybx,yca->xyc", &[&[2, 3, 4], &[3, 4, 2], &[3, 2, 3]]),
        ("aab,bcc,cd->da", &[&[3, 3, 2], &[2, 2, 2], &[2, 4]]),
        ("ab,cd,ef->af", &[&[2, 3], &[2, 2], &[3, 2]]),
        ("a1b,b1,1->a1", &[&[3, 1, 4], &[4, 1], &[1]]),
        (",,ab->b", &[&[], &[], &[2, 3]]),
        ("abc->ca", &[&[2, 3, 4]]),
        ("aa->aa", &[&[3, 3]]),
        ("ab,ab,ab->ab", &[&[3, 4], &[3, 4], &[3, 4]]),
    ];
    for &(einsum, shapes) in cases {
        let equation = Equation::parse(einsum, shapes).unwrap();
        let count = equation.tensors();
        let orders: Vec<Vec<(usize, usize)>> = match count {
            1 => vec![vec![]],
            _ => vec![vec![(0, 1), (3, 2)], vec![(1, 2), (0, 3)], vec![(2, 0), (1, 3)]],
        };
        let arrays = arrays::<Complex64>(&equation, 4);
        let expected = naive(&equation, &arrays);
        let network = Network::from_equation(&equation, arrays).unwrap();
        for order in orders {
            let tree = ansatz::network::ContractionTree::new(count, order).unwrap();
            for mask in 0..1_usize << equation.indices() {
                let sliced: Vec<usize> = (0..equation.indices()).filter(|i| mask >> i & 1 == 1).collect();
                let plan = Plan::new(&equation, &tree, &sliced).unwrap();
                let found = result(&network, &plan);
                assert!(worst(&found, &expected) < 1e-12, "{plan:?}\n{found}\n{expected}");
            }
        }
    }
}

/// `sum conj(a) b`, legs being matched by name.
fn inner<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> T {
    a.zip_with(b, |x, y| x.conj() * y).unwrap().sum()
}

/// A network is linear in each of its tensors: with the gradient `G` that belongs to a cotangent `g`, and a tensor `D`
/// in the place of `A`, `sum conj(G) D = sum conj(g) V(A -> D)`. Nothing is approximated.
fn gradients_agree<T: Scalar>(patterns: std::ops::Range<u64>, tolerance: f64) {
    let mut slices = 0;
    for index in patterns {
        let equation = pattern(6, index);
        let all = arrays::<T>(&equation, index);
        let network = Network::from_equation(&equation, all.clone()).unwrap();
        let directions = arrays::<T>(&equation, index + 1_000_000);
        let whole = plan(&Planner::new(), &equation);
        // Whatever the first two indices are: open, lone, repeated, hyperedges.
        let some: Vec<usize> = (0..equation.indices().min(2)).collect();
        let sliced = Plan::new(&equation, whole.tree(), &some).unwrap();
        for plan in [whole, sliced] {
            slices += plan.sliced().len();
            let result = network.contract(&plan).unwrap().into_tensor().unwrap();
            let g = Tensor::<T>::random(result.legs(), Seed(index)).unwrap();
            let (value, gradients) = Backward::new().pullback(&network, &plan, &g).unwrap();
            let again = value.into_tensor().unwrap();
            assert!(again.sub(&result).unwrap().norm().value().to_c64().re <= tolerance * (1.0 + norm(&result)));
            for (k, gradient) in gradients.iter().enumerate() {
                let mut changed = all.clone();
                changed[k] = directions[k].clone();
                let moved = naive(&equation, &changed);
                let moved = Tensor::from_array(result.legs(), moved).unwrap();
                let direction = Network::from_equation(&equation, changed).unwrap().tensors().nth(k).unwrap().clone();
                let gradient = gradient.clone().into_tensor().unwrap();
                assert_eq!(gradient.legs(), network.tensors().nth(k).unwrap().legs());
                let (found, expected) = (inner(&gradient, &direction), inner(&g, &moved));
                let scale = 1.0 + norm(&gradient) * norm(&direction);
                let off = (found.to_c64() - expected.to_c64()).norm();
                assert!(off < tolerance * scale, "{equation}, tensor {k}: {found} {expected}, {plan:?}");
            }
        }
    }
    assert!(slices > 60, "only {slices} indices were sliced");
}

fn norm<T: Scalar>(t: &Tensor<T>) -> f64 {
    t.norm().ln_abs().exp()
}

#[test]
fn gradients_of_random_patterns_are_what_linearity_says() {
    gradients_agree::<f64>(0..80, 1e-12);
    gradients_agree::<f32>(300..340, 1e-4);
    gradients_agree::<Complex32>(400..440, 1e-4);
    gradients_agree::<Complex64>(500..580, 1e-12);
}

/// A ring of random matrices of changing sizes.
fn ring<T: Scalar>(n: usize) -> Network<T> {
    let dim = |i: usize| 2 + i % n % 5;
    let legs = |i: usize| [Leg::bond(format!("b{i}"), dim(i)), Leg::bond(format!("b{}", (i + 1) % n), dim(i + 1))];
    Network::from_tensors((0..n).map(|i| Tensor::random(legs(i), Seed(i as u64)).unwrap()).collect()).unwrap()
}

fn on_tape<T: Scalar>(network: &Network<T>) -> Vec<Tensor<T>> {
    let tape = Tape::new();
    let tensors: Vec<_> = network.tensors().map(|t| tape.variable(t.clone()).unwrap()).collect();
    let mut z = tensors[0].clone();
    for next in &tensors[1..] {
        z = z.contract(next).unwrap();
    }
    let loss = z.abs_sq().unwrap().ln().unwrap().scale(T::from_f64(0.5)).unwrap();
    loss.gradient(&tensors.iter().collect::<Vec<_>>()).unwrap()
}

fn agrees_with_the_tape<T: Scalar>(tolerance: f64) {
    let network = ring::<T>(9);
    let equation = network.equation().unwrap();
    for planner in [Planner::new(), Planner::new().max_log2_size(2.5)] {
        let gradient = network.gradient(&plan(&planner, &equation)).unwrap();
        for (found, expected) in gradient.ln_abs().unwrap().iter().zip(on_tape(&network)) {
            assert!(
                norm(&found.sub(&expected).unwrap()) < tolerance * (1.0 + norm(&expected)),
                "{found:?} {expected:?}"
            );
        }
    }
}

#[test]
fn the_gradient_of_the_logarithm_is_that_of_the_tape() {
    agrees_with_the_tape::<f64>(1e-12);
    agrees_with_the_tape::<f32>(1e-4);
    agrees_with_the_tape::<Complex32>(1e-4);
    agrees_with_the_tape::<Complex64>(1e-12);
}

#[test]
fn what_does_not_fit_is_computed_again_and_the_same() {
    let network = ring::<f64>(60);
    let equation = network.equation().unwrap();
    // One after the other: the intermediates of a chain need each other, down to the first.
    let pairs = (0..59).map(|k| if k == 0 { (0, 1) } else { (59 + k, k + 1) }).collect();
    let tree = ansatz::network::ContractionTree::new(60, pairs).unwrap();
    let plan = Plan::new(&equation, &tree, &[]).unwrap();
    let whole = network.gradient(&plan).unwrap();
    let once = plan.cost().log2_flops.exp2();
    assert!((whole.multiplications() / once - 3.0).abs() < 1e-9, "{} {once}", whole.multiplications());
    let elements = |c: &Contracted<f64>| c.mantissa().clone().into_array(c.mantissa().legs()).unwrap();
    let mut before = whole.multiplications();
    for (bytes, most) in [(20_000, 3.01), (4_000, 4.6), (1_000, 5.6), (0, 6.6)] {
        let found = Backward::new().keep_bytes(bytes).gradient(&network, &plan).unwrap();
        for (a, b) in found.derivatives().iter().zip(whole.derivatives()) {
            assert!(elements(a) == elements(b) && a.ln_scale() == b.ln_scale());
        }
        assert_eq!(found.value(), whole.value());
        let cost = found.multiplications();
        assert!(cost >= before && cost < most * once, "{bytes}: {} times the contraction", cost / once);
        before = cost;
    }
}

#[test]
fn gradients_far_outside_the_range_of_f32_come_out_right() {
    // The trace of the product of x I is 2 x^n, and its logarithm has the derivative I / (2 x) by each.
    for (x, n) in [(1e-30_f32, 200), (1e30, 200), (3e37, 40)] {
        let matrix = ArrayD::from_shape_vec(IxDyn(&[2, 2]), vec![x, 0.0, 0.0, x]).unwrap();
        let legs = |i: usize| [Leg::bond(format!("b{i}"), 2), Leg::bond(format!("b{}", (i + 1) % n), 2)];
        let tensors = (0..n).map(|i| Tensor::from_array(legs(i), matrix.clone()).unwrap()).collect();
        let ring = Network::from_tensors(tensors).unwrap();
        let gradient = ring.gradient(&plan(&Planner::new(), &ring.equation().unwrap())).unwrap();
        let by_matrix =
            gradient.derivatives()[7].ln_scale() + f64::from(gradient.derivatives()[7].mantissa().sum()).ln();
        let expected = 2f64.ln() + (n - 1) as f64 * f64::from(x).ln();
        assert!((by_matrix - expected).abs() < 1e-6 * expected.abs(), "{by_matrix} {expected}");
        for g in gradient.ln_abs().unwrap() {
            assert!((g.sum() * x - 1.0).abs() < 1e-3, "{x}: {g:?}");
        }
    }
}

#[test]
fn gradients_that_are_none_are_refused() {
    let vector = |x: f64| ArrayD::from_shape_vec(IxDyn(&[2]), vec![1.0, x]).unwrap();
    let zero = Network::from_einsum("a,a->", vec![vector(1.0), vector(-1.0)]).unwrap();
    let plan_of = |network: &Network<f64>| plan(&Planner::new(), &network.equation().unwrap());
    let gradient = zero.gradient(&plan_of(&zero)).unwrap();
    assert!(gradient.value().is_zero() && matches!(gradient.ln_abs(), Err(Error::NotFinite { .. })));
    assert_eq!(gradient.derivatives()[0].mantissa().get(&[("a", 1)]).unwrap(), -1.0);
    let open = Network::from_einsum("a,a->a", vec![vector(1.0), vector(-1.0)]).unwrap();
    assert!(open.gradient(&plan_of(&open)).unwrap_err().to_string().contains("open leg"));
    for legs in [vec![], vec![Leg::bond("b", 2)], vec![Leg::bond("a", 3)]] {
        let wrong = Backward::new().pullback(&open, &plan_of(&open), &Tensor::zeros(legs).unwrap());
        assert!(wrong.unwrap_err().to_string().contains("cotangent"));
    }
    assert!(matches!(zero.gradient(&plan_of(&open)), Err(Error::Shape { .. })));
}
