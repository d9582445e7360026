//! Approximate contraction against exact contraction, sums over all configurations and closed forms.

use std::time::Duration;

use crate::common::{arrays, naive, pattern, worst};
use ansatz::linalg::Truncation;
use ansatz::network::{
    Approximate, BeliefPropagation, Compressed, CompressedPlan, ContractionTree, Equation, Gauge, Network, Plan,
    Planner, Timing,
};
use ansatz::{Error, Leg, Role, Scalar, Seed, Tensor};
use ndarray::{ArrayD, IxDyn};
use num_complex::{Complex32, Complex64};

type Edges = Vec<(usize, usize)>;

const GAUGES: [Gauge; 4] =
    [Gauge::None, Gauge::Tree { depth: 1 }, Gauge::Tree { depth: 3 }, Gauge::Messages { rounds: 2 }];

/// Tensors with a leg of dimension `dim` for each edge at a site, and an open leg `s` and the site if `open` is not 0.
fn on_graph<T: Scalar>(
    edges: &Edges,
    sites: usize,
    dim: usize,
    open: usize,
    f: impl Fn(usize, Vec<Leg>) -> Tensor<T>,
) -> Network<T> {
    let legs = |site: usize| {
        let around = edges.iter().enumerate().filter(move |(_, e)| e.0 == site || e.1 == site);
        let mut legs: Vec<Leg> = around.map(|(number, _)| Leg::bond(format!("e{number}"), dim)).collect();
        if open > 0 {
            legs.push(Leg::site(format!("s{site}"), open));
        }
        legs
    };
    Network::from_tensors((0..sites).map(|site| f(site, legs(site))).collect()).unwrap()
}

fn random<T: Scalar>(edges: &Edges, sites: usize, dim: usize, open: usize) -> Network<T> {
    on_graph(edges, sites, dim, open, |site, legs| Tensor::random(legs, Seed(5).derive("site", site as u64)).unwrap())
}

fn ising(edges: &Edges, sites: usize, beta: f64) -> Network<f64> {
    let (c, s) = (beta.cosh().sqrt(), beta.sinh().sqrt());
    on_graph(edges, sites, 2, 0, |_, legs| {
        let w = [[c, s], [c, -s]];
        let element = |i: usize| w.iter().map(|w| (0..legs.len()).map(|k| w[i >> k & 1]).product::<f64>()).sum();
        let data = (0..1 << legs.len()).map(element).collect::<Vec<f64>>();
        Tensor::new(legs, data).unwrap()
    })
}

/// A lattice of any dimension, open or periodic.
fn lattice(size: &[usize], periodic: bool) -> (Edges, usize) {
    let sites: usize = size.iter().product();
    let mut edges = Edges::new();
    for site in 0..sites {
        let mut stride = 1;
        for &length in size.iter().rev() {
            let place = site / stride % length;
            if place + 1 < length {
                edges.push((site, site + stride));
            } else if periodic {
                edges.push((site, site - place * stride));
            }
            stride *= length;
        }
    }
    (edges, sites)
}

fn regular(sites: usize, seed: u64) -> Edges {
    let mut stream = Seed(seed).stream("regular", 0);
    loop {
        let points = ansatz::random::permutation(3 * sites, &mut stream);
        let pair = |c: &[usize]| ((c[0] / 3).min(c[1] / 3), (c[0] / 3).max(c[1] / 3));
        let edges: Edges = points.chunks(2).map(pair).collect();
        let mut distinct = edges.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() == edges.len() && edges.iter().all(|e| e.0 != e.1) {
            return edges;
        }
    }
}

fn order(equation: &Equation, max_bond: usize) -> CompressedPlan {
    Planner::new().search_compressed(equation, max_bond, Duration::from_millis(300), Seed(1)).unwrap()
}

fn compressed<T: Scalar>(network: &Network<T>, settings: &Compressed) -> Approximate<T> {
    let limit = settings.truncation().bond_limit().unwrap_or(1 << 20);
    network.contract_compressed(&order(&network.equation().unwrap(), limit), settings).unwrap()
}

fn exact<T: Scalar>(network: &Network<T>) -> ansatz::network::Contracted<T> {
    let equation = network.equation().unwrap();
    network.contract(&Planner::new().rounds(1).search(&equation, Duration::from_secs(60), Seed(1)).unwrap()).unwrap()
}

fn ln<T: Scalar>(network: &Network<T>) -> f64 {
    exact(network).scalar().unwrap().ln_abs()
}

fn agrees<T: Scalar>(patterns: std::ops::Range<u64>, tolerance: f64) {
    for index in patterns {
        let equation = pattern(6, index);
        let arrays = arrays::<T>(&equation, index);
        let expected = naive(&equation, &arrays);
        let network = Network::from_equation(&equation, arrays).unwrap();
        let plan = order(&equation, 1 << 10);
        for settings in [Compressed::by(Truncation::none()), Compressed::new(1 << 10).timing(Timing::Early)] {
            let found = network.contract_compressed(&plan, &settings).unwrap();
            assert_eq!((found.error, found.compressions), (0.0, 0));
            let tensor = found.value.into_tensor().unwrap();
            let legs = tensor.legs().to_vec();
            let found = tensor.into_array(&legs).unwrap();
            assert!(worst(&found, &expected) < tolerance, "{equation}\n{found}\n{expected}");
        }
    }
}

#[test]
fn without_a_bound_every_pattern_agrees_with_the_sum_over_all_indices() {
    agrees::<f64>(0..120, 1e-12);
    agrees::<f32>(120..150, 1e-4);
    agrees::<Complex32>(150..180, 1e-4);
    agrees::<Complex64>(180..240, 1e-12);
}

/// Redundant bonds: a network of bonds 2 with `X` and its inverse, padded by zeros to 5, on every bond.
fn redundant<T: Scalar>(edges: &Edges, sites: usize) -> (Network<T>, Network<T>) {
    let plain = random::<T>(edges, sites, 2, 0);
    let wide: Vec<Tensor<T>> = plain
        .tensors()
        .map(|tensor| {
            tensor.legs().iter().fold(tensor.clone(), |t, leg| {
                // An isometry, the same on both sides (for complex numbers its transpose has to undo it: it is real).
                let mut data = vec![T::zero(); 10];
                for (k, x) in [0.6, 0.0, 0.0, 1.0, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0].into_iter().enumerate() {
                    data[k] = T::from_f64(x);
                }
                let iso = Tensor::new([Leg::bond("wide", 5), Leg::bond(leg.name(), 2)], data).unwrap();
                ansatz::tensor::contract(&t, &iso).unwrap().rename("wide", leg.name()).unwrap()
            })
        })
        .collect();
    (plain, Network::from_tensors(wide).unwrap())
}

fn ranks<T: Scalar>(tolerance: f64) {
    let (edges, sites) = lattice(&[4, 4], false);
    let (plain, wide) = redundant::<T>(&edges, sites);
    let expected = exact(&plain).scalar().unwrap();
    for gauge in GAUGES {
        // From row to row the bonds grow to 16 at the most without redundancy, and to 40 with it.
        let settings = Compressed::new(16).gauge(gauge);
        let rows: Vec<Vec<usize>> = (0..4).map(|row| (4 * row..4 * row + 4).collect()).collect();
        let found = wide.contract_boundary(&rows, &settings).unwrap();
        assert!(found.compressions > 0 && found.error < 100.0 * tolerance, "{gauge:?} {}", found.error);
        let ratio = (found.scalar().unwrap() / expected).value().to_c64();
        assert!((ratio - 1.0).norm() < tolerance, "{gauge:?} {ratio}");
    }
}

#[test]
fn bonds_of_less_rank_than_dimension_lose_nothing() {
    ranks::<f64>(1e-10);
    ranks::<Complex64>(1e-10);
    ranks::<f32>(2e-3);
    ranks::<Complex32>(2e-3);
}

#[test]
fn the_square_ising_model_improves_with_the_bond() {
    let (edges, sites) = lattice(&[10, 10], false);
    // One order for each bond: the pattern is the same at all temperatures.
    let equation = ising(&edges, sites, 1.0).equation().unwrap();
    let plans = [2, 4, 8].map(|bond| (bond, order(&equation, bond)));
    let whole = Planner::new().rounds(1).search(&equation, Duration::from_secs(60), Seed(1)).unwrap();
    for beta in [0.3, 0.440_686_793_509_772, 0.6] {
        let network = ising(&edges, sites, beta);
        let expected = network.contract(&whole).unwrap().scalar().unwrap().ln_abs();
        for gauge in GAUGES {
            let errors: Vec<f64> = plans
                .iter()
                .map(|(bond, plan)| {
                    let found = network.contract_compressed(plan, &Compressed::new(*bond).gauge(gauge)).unwrap();
                    let error = (found.scalar().unwrap().ln_abs() - expected).abs();
                    // An error of ln Z is a relative error of Z, of which the estimate is above in these.
                    assert!(error <= found.error || error < 1e-12, "{gauge:?} {bond}: {error} {}", found.error);
                    error
                })
                .collect();
            assert!(
                errors[0] < 0.5 && errors[1] < 0.1 * errors[0].max(1e-3) && errors[2] < 1e-4,
                "{beta} {gauge:?} {errors:?}"
            );
        }
    }
}

#[test]
fn the_boundary_of_a_lattice_is_contracted_from_two_sides() {
    let (edges, sites) = lattice(&[8, 9], false);
    let rows: Vec<Vec<usize>> = (0..8).map(|r| (0..9).map(|c| 9 * r + c).collect()).collect();
    let network = ising(&edges, sites, 0.440_686_793_509_772);
    let expected = ln(&network);
    let error = |bond: usize| {
        let settings = Compressed::new(bond).gauge(Gauge::Tree { depth: 3 });
        (network.contract_boundary(&rows, &settings).unwrap().scalar().unwrap().ln_abs() - expected).abs()
    };
    let errors = [error(2), error(4), error(8), error(16)];
    assert!(errors[0] < 5e-2 && errors[1] < 1e-4 && errors[2] < 1e-8 && errors[3] < 1e-10, "{errors:?}");
    // Complex tensors, with bonds of different dimensions and open legs in a row.
    let legs = |site: usize| {
        let around = edges.iter().enumerate().filter(move |(_, e)| e.0 == site || e.1 == site);
        let mut legs: Vec<Leg> = around.map(|(n, _)| Leg::bond(format!("e{n}"), 1 + n % 3)).collect();
        if site.is_multiple_of(31) {
            legs.push(Leg::site(format!("s{site}"), 2));
        }
        legs
    };
    let tensors = (0..sites).map(|s| Tensor::<Complex64>::random(legs(s), Seed(s as u64)).unwrap()).collect();
    let open = Network::from_tensors(tensors).unwrap();
    let expected = exact(&open);
    let found = open.contract_boundary(&rows, &Compressed::new(60)).unwrap();
    let shift = found.value.ln_scale() - expected.ln_scale();
    let found = found.value.mantissa().scale(Complex64::from_f64(shift.exp()));
    let far = (found.sub(expected.mantissa()).unwrap().norm() / expected.mantissa().norm()).value();
    assert!(far < 1e-3, "{far}");
    assert!(matches!(network.contract_boundary(&rows[1..], &Compressed::new(4)), Err(Error::Setting { .. })));
    let ragged = [vec![0, 1], vec![2]];
    assert!(matches!(network.contract_boundary(&ragged, &Compressed::new(4)), Err(Error::Shape { .. })));
}

#[test]
fn the_cubic_ising_model_is_near_exact_contraction() {
    let (edges, sites) = lattice(&[4, 4, 4], false);
    let network = ising(&edges, sites, 0.3);
    let expected = ln(&network);
    for (bond, limit) in [(4, 3e-3), (8, 2e-5), (16, 5e-7)] {
        let found = compressed(&network, &Compressed::new(bond));
        let error = (found.scalar().unwrap().ln_abs() / expected - 1.0).abs();
        // Where next to nothing is cut, both are rounding.
        assert!(error < limit && error * expected < found.error + 1e-12, "{bond}: {error}, {}", found.error);
    }
}

#[test]
fn the_periodic_cube_is_near_its_transfer_matrix() {
    // Sum over classes of a layer, under shifts, reflections and a flip, of the diagonal of the fourth power of the
    // matrix from layer to layer: 433 classes, done apart in double precision.
    let expected = 50.427_740_366_303_5;
    let (edges, sites) = lattice(&[4, 4, 4], true);
    let network = ising(&edges, sites, 0.221_654_6);
    let found = compressed(&network, &Compressed::new(6).gauge(Gauge::Tree { depth: 1 }));
    let error = (found.scalar().unwrap().ln_abs() / expected - 1.0).abs();
    assert!(error < 1e-3, "{error}");
}

#[test]
fn random_graphs_with_positive_and_with_gaussian_tensors() {
    let edges = regular(40, 1);
    let positive =
        on_graph::<f64>(&edges, 40, 3, 0, |site, legs| Tensor::random(legs, Seed(site as u64)).unwrap().map(|x| x * x));
    let gaussian = random::<f64>(&edges, 40, 3, 0);
    let complex = random::<Complex64>(&edges, 40, 2, 0);
    let expected = ln(&positive);
    for gauge in GAUGES {
        let found = compressed(&positive, &Compressed::new(9).gauge(gauge));
        assert!((found.scalar().unwrap().ln_abs() - expected).abs() < 2e-2, "{gauge:?}");
    }
    // Without a dominant direction nothing can be dropped but what is zero: with bonds as large as they get, exact.
    let (a, b) = (exact(&gaussian).scalar().unwrap(), compressed(&gaussian, &Compressed::new(243)).scalar().unwrap());
    assert!(((b / a).value() - 1.0).abs() < 1e-8);
    let (a, b) = (exact(&complex).scalar().unwrap(), compressed(&complex, &Compressed::new(64)).scalar().unwrap());
    assert!(((b / a).value() - 1.0).norm() < 1e-8);
}

#[test]
fn trees_are_exact_whatever_the_bound() {
    let edges: Edges = (1..30).map(|n| ((n - 1) / 2, n)).collect();
    let network = random::<Complex64>(&edges, 30, 4, 0);
    let expected = exact(&network).scalar().unwrap();
    let settings = Compressed::new(1).gauge(Gauge::Tree { depth: 30 });
    // A bond of a tree without open legs has rank one, and the gauge of the whole tree knows it.
    let found = compressed(&network, &settings);
    assert!(((found.scalar().unwrap() / expected).value() - 1.0).norm() < 1e-10 && found.error < 1e-10);
    let belief = network.belief_propagation(&BeliefPropagation::new(1e-13, 40)).unwrap();
    assert!(belief.converged && belief.iterations <= 12, "{belief:?}");
    assert!(((belief.value / expected).value() - 1.0).norm() < 1e-10);
}

#[test]
fn hyperedges_scale_and_open_legs() {
    // Spins as hyperedges, Boltzmann weights as matrices: the same partition function as with a tensor for each spin.
    let (edges, sites) = lattice(&[6, 6], false);
    let beta = 0.4_f64;
    let weight = ArrayD::from_shape_vec(IxDyn(&[2, 2]), [beta, -beta, -beta, beta].map(f64::exp).to_vec()).unwrap();
    let legs = |e: &(usize, usize)| [Leg::bond(format!("s{}", e.0), 2), Leg::bond(format!("s{}", e.1), 2)];
    let tensors: Vec<_> = edges.iter().map(|e| Tensor::from_array(legs(e), weight.clone()).unwrap()).collect();
    let spins = Network::with_open(tensors.clone(), &[] as &[&str]).unwrap();
    let expected = ln(&ising(&edges, sites, beta));
    let found = compressed(&spins, &Compressed::new(16));
    assert!((found.scalar().unwrap().ln_abs() - expected).abs() < 1e-6);
    // Two spins left open, one of them twice: a matrix on the diagonal.
    let open = Network::with_open(tensors, &["s14", "s21", "s14"]).unwrap();
    let (found, exact) = (compressed(&open, &Compressed::new(16)).value, exact(&open));
    assert_eq!(found.mantissa().legs(), exact.mantissa().legs());
    let shift = found.ln_scale() - exact.ln_scale();
    let far = found.mantissa().scale(shift.exp()).sub(exact.mantissa()).unwrap().norm() / exact.mantissa().norm();
    assert!(far.value() < 1e-6);
    // exp(-9211), in single precision.
    let (small, _) = lattice(&[7, 7], false);
    let network = on_graph::<f32>(&small, 49, 2, 0, |s, legs| {
        Tensor::<f32>::random(legs, Seed(s as u64)).unwrap().map(|x| x.abs() * 1e-33 * 1e-5)
    });
    let found = compressed(&network, &Compressed::new(8)).scalar().unwrap().ln_abs();
    let expected = ln(&network);
    assert!(expected < -3500.0 && (found - expected).abs() < 1e-2, "{found} {expected}");
}

#[test]
fn the_norm_of_a_projected_entangled_pair_state() {
    let (edges, sites) = lattice(&[4, 4], false);
    let state = random::<f64>(&edges, sites, 2, 2);
    let norm = state.norm().unwrap();
    let expected = ln(&norm);
    for gauge in GAUGES {
        let found = compressed(&norm, &Compressed::new(16).gauge(gauge)).scalar().unwrap();
        assert!((found.ln_abs() - expected).abs() < 2e-2 && found.phase() == 1.0, "{gauge:?}");
    }
    let belief = state.belief_propagation(&BeliefPropagation::new(1e-10, 200)).unwrap();
    assert!(belief.converged && (belief.value.ln_abs() - expected).abs() < 1.0, "{belief:?} {expected}");
}

#[test]
fn belief_propagation_is_the_bethe_approximation() {
    // On a random 3-regular graph: ln z of a site less half of that of its three bonds, in closed form; all messages are
    // even for weak coupling.
    let (sites, beta) = (60, 0.3_f64);
    let network = ising(&regular(sites, 2), sites, beta);
    let belief = network.belief_propagation(&BeliefPropagation::new(1e-13, 500)).unwrap();
    let expected = sites as f64 * (2f64.ln() + 1.5 * beta.cosh().ln());
    assert!(belief.converged && (belief.value.ln_abs() - expected).abs() < 1e-8, "{belief:?} {expected}");
    // Damping leads to the same place.
    let damped = network.belief_propagation(&BeliefPropagation::new(1e-12, 500).damping(0.4)).unwrap();
    assert!(damped.converged && (damped.value.ln_abs() - expected).abs() < 1e-8);
    assert!(matches!(
        network.belief_propagation(&BeliefPropagation::new(1e-9, 9).damping(1.0)),
        Err(Error::Setting { .. })
    ));
    assert!(matches!(network.vidal_gauge(&BeliefPropagation::new(1e-9, 9)), Err(Error::Leg { .. })));
}

fn vidal<T: Scalar>(tolerance: f64) {
    // A tree of eight sites: the weights are the Schmidt values of the dense vector.
    let edges: Edges = vec![(0, 1), (1, 2), (1, 3), (3, 4), (4, 5), (4, 6), (6, 7)];
    let state = random::<T>(&edges, 8, 3, 2);
    let vector = exact(&state).into_tensor().unwrap();
    let gauged = state.vidal_gauge(&BeliefPropagation::new(tolerance * 1e-2, 50)).unwrap();
    let again = exact(&gauged.network).into_tensor().unwrap();
    assert!((again.sub(&vector).unwrap().norm().ln_abs() - vector.norm().ln_abs()).exp() < tolerance);
    assert_eq!(gauged.weights.len(), edges.len());
    for (a, b, _, weights) in &gauged.weights {
        // The sites on the side of `a`.
        let mut side = vec![*a];
        while let Some(new) = (0..8).find(|n| {
            !side.contains(n)
                && *n != *b
                && edges.iter().any(|e| (e.0 == *n && side.contains(&e.1)) || (e.1 == *n && side.contains(&e.0)))
        }) {
            side.push(new);
        }
        let left: Vec<String> = side.iter().map(|s| format!("s{s}")).collect();
        let schmidt = vector.svd(&left, "new", &Truncation::none()).unwrap().s;
        let norm = schmidt.iter().map(|s| ansatz::Real::to_f64(*s).powi(2)).sum::<f64>().sqrt();
        for (k, weight) in weights.iter().enumerate() {
            let expected = schmidt.get(k).map_or(0.0, |s| ansatz::Real::to_f64(*s) / norm);
            assert!((weight - expected).abs() < 10.0 * tolerance, "{a} {b} {k}: {weight} {expected}");
        }
    }
    let norm = gauged.belief.value.ln_abs();
    assert!((norm - 2.0 * vector.norm().ln_abs()).abs() < 10.0 * tolerance);
}

#[test]
fn the_vidal_gauge_of_a_tree_has_its_schmidt_values() {
    vidal::<f64>(1e-8);
    vidal::<Complex64>(1e-8);
    vidal::<f32>(2e-3);
}

#[test]
fn an_order_depends_on_the_seed_alone_and_a_result_on_the_order() {
    let (edges, sites) = lattice(&[3, 3, 3], false);
    let network = ising(&edges, sites, 0.25);
    let equation = network.equation().unwrap();
    let search = || Planner::new().search_compressed(&equation, 4, Duration::from_secs(60), Seed(3)).unwrap();
    let plan = search();
    assert_eq!(plan, search());
    let value = |plan: &CompressedPlan| {
        network.contract_compressed(plan, &Compressed::new(4)).unwrap().scalar().unwrap().ln_abs()
    };
    assert_eq!(value(&plan).to_bits(), value(&search()).to_bits());
    // The model is what is done: as many truncations, and the order of an exact plan can be followed.
    let plan = Planner::new().search_compressed(&equation, 2, Duration::from_secs(60), Seed(3)).unwrap();
    let found = network.contract_compressed(&plan, &Compressed::new(2)).unwrap();
    assert!(found.compressions <= plan.cost().compressions && found.compressions > 0);
    let exact = Planner::new().rounds(1).search(&equation, Duration::from_secs(60), Seed(1)).unwrap();
    let followed = CompressedPlan::new(&equation, exact.tree(), 4).unwrap();
    assert!((value(&followed) - ln(&network)).abs() < 0.1);
    assert!(plan.to_string().contains("27 tensors with bonds up to 2"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let network = Network::<f64>::from_einsum("ab,b->", vec![ArrayD::ones(vec![2, 2]), ArrayD::ones(vec![2])]).unwrap();
    let equation = network.equation().unwrap();
    assert!(matches!(
        Planner::new().search_compressed(&equation, 0, Duration::ZERO, Seed(1)),
        Err(Error::Setting { .. })
    ));
    let plan = Planner::new().search_compressed(&equation, 4, Duration::ZERO, Seed(1)).unwrap();
    assert!(network.contract_compressed(&plan, &Compressed::new(4).cutoff(-1.0)).is_err());
    let other = Equation::parse("ab,bc->c", &[&[2, 2], &[2, 2]]).unwrap();
    let wrong = CompressedPlan::new(&other, &ContractionTree::new(2, vec![(0, 1)]).unwrap(), 4).unwrap();
    assert!(matches!(network.contract_compressed(&wrong, &Compressed::new(4)), Err(Error::Shape { .. })));
    let nan =
        Network::from_einsum("ab,b->", vec![ArrayD::from_elem(vec![2, 2], f64::NAN), ArrayD::ones(vec![2])]).unwrap();
    assert!(matches!(nan.contract_compressed(&plan, &Compressed::new(4)), Err(Error::NotFinite { .. })));
    let zero = Network::from_einsum("ab,b->", vec![ArrayD::zeros(vec![2, 2]), ArrayD::<f64>::ones(vec![2])]).unwrap();
    assert!(zero.contract_compressed(&plan, &Compressed::new(1)).unwrap().scalar().unwrap().is_zero());
    // A lone tensor, and tensors without bonds.
    let lone = Network::from_tensors(vec![Tensor::<f64>::random([Leg::batch("x", 3)], Seed(1)).unwrap()]).unwrap();
    let one = compressed(&lone, &Compressed::new(2)).value.into_tensor().unwrap();
    assert_eq!(one.leg("x").unwrap().role(), Role::Batch);
    let apart = Network::<f64>::random(&Equation::parse("a,b,c->ac", &[[2], [3], [4]]).unwrap(), Seed(1)).unwrap();
    let plan =
        Plan::new(&apart.equation().unwrap(), &ContractionTree::new(3, vec![(0, 1), (3, 2)]).unwrap(), &[]).unwrap();
    let (a, b) = (
        apart.contract(&plan).unwrap().into_tensor().unwrap(),
        compressed(&apart, &Compressed::new(2)).value.into_tensor().unwrap(),
    );
    assert!(a.sub(&b).unwrap().norm().value() < 1e-12);
}
