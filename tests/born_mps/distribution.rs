//! The Born machine as a distribution: normalisation, samples, conditionals and marginals against enumeration.

use ansatz::chain::Mps;
use ansatz::{Batch, BornMps, Conditional, Error, GenerativeModel, LogScaled, Marginal, Place, Real, Scalar, Seed};
use ndarray::Array2;
use num_complex::{Complex32, Complex64};
use proptest::prelude::*;

/// A state of all bonds up to `bond`, with centre wherever the construction leaves it.
fn model<T: Scalar>(dims: &[usize], bond: usize, seed: u64) -> BornMps<T> {
    BornMps::new(Mps::random(dims, bond, Seed(seed)).unwrap()).unwrap()
}

/// Probabilities of all configurations, the last site running fastest.
fn probabilities<T: Scalar>(model: &BornMps<T>) -> Vec<f64> {
    model.log_prob(&Batch::all(&model.dims()).unwrap()).unwrap().into_iter().map(f64::exp).collect()
}

fn number(configuration: impl Iterator<Item = u8>, dims: &[usize]) -> usize {
    configuration.zip(dims).fold(0, |n, (v, &d)| n * d + usize::from(v))
}

/// Whether counts fit probabilities: the chi-square statistic (cells expected below 5 pooled) lies below the point
/// that a true model exceeds with probability 3e-5 (Wilson and Hilferty).
fn fits(counts: &[usize], p: &[f64]) -> bool {
    let total: usize = counts.iter().sum();
    let (mut statistic, mut cells) = (0.0, 0);
    let (mut pool, mut pooled) = (0.0, 0.0);
    for (&count, &p) in counts.iter().zip(p) {
        let expected = p * total as f64;
        assert!(count == 0 || p > 1e-12, "a configuration of probability {p} was drawn {count} times");
        if expected < 5.0 {
            pool += expected;
            pooled += count as f64;
        } else {
            statistic += (count as f64 - expected).powi(2) / expected;
            cells += 1;
        }
    }
    if pool > 0.0 {
        statistic += (pooled - pool).powi(2) / pool;
        cells += 1;
    }
    let k = f64::from(cells - 1).max(1.0);
    let limit = k * (1.0 - 2.0 / (9.0 * k) + 4.0 * (2.0 / (9.0 * k)).sqrt()).powi(3);
    statistic < limit
}

fn counts(samples: &Batch<u8>, dims: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; dims.iter().product()];
    for row in samples.view().rows() {
        counts[number(row.iter().copied(), dims)] += 1;
    }
    counts
}

fn sums_to_one<T: Scalar>(tolerance: f64) {
    for (dims, bond) in [(vec![2; 12], 7), (vec![2, 3, 1, 4, 2, 5], 6), (vec![6], 1), (vec![1, 1], 1)] {
        let total: f64 = probabilities(&model::<T>(&dims, bond, 1)).iter().sum();
        assert!((total - 1.0).abs() < tolerance, "{dims:?}: the probabilities sum to {total}");
    }
}

#[test]
fn probabilities_of_all_configurations_sum_to_one() {
    sums_to_one::<f32>(1e-5);
    sums_to_one::<f64>(1e-12);
    sums_to_one::<Complex32>(1e-5);
    sums_to_one::<Complex64>(1e-12);
}

#[test]
fn probabilities_are_squared_amplitudes() {
    let model = model::<Complex64>(&[2, 3, 2, 4, 2, 3], 5, 1);
    for (p, psi) in probabilities(&model).iter().zip(model.state().to_dense().unwrap()) {
        assert!((p - psi.norm_sqr()).abs() < 1e-13);
    }
}

#[test]
fn two_thousand_sites_keep_their_likelihood_in_single_precision() {
    let model = BornMps::<f32>::random(&[2; 2000], 4, Seed(5)).unwrap();
    let (drawn, ln_p) = model.sample_with_log_prob(5, Seed(1)).unwrap();
    let exact = model.log_prob(&drawn).unwrap();
    for (a, b) in ln_p.iter().zip(&exact) {
        assert!(a.is_finite() && *a < -400.0 && (a - b).abs() < 0.05, "{a} and {b}");
    }
    let given: Vec<bool> = (0..2000).map(|k| k % 2 == 0).collect();
    let conditional = model.conditional_log_prob(&drawn, &given).unwrap();
    assert!(conditional.iter().zip(&exact).all(|(c, joint)| *c < -100.0 && c > joint));
}

fn samples_fit<T: Scalar>(tolerance: f64) {
    for (dims, bond) in [(vec![2; 10], 6), (vec![2, 3, 1, 4, 2, 3], 5), (vec![5, 7], 4), (vec![3], 1), (vec![1, 2], 1)]
    {
        let model = model::<T>(&dims, bond, 2);
        let (samples, ln_p) = model.sample_with_log_prob(20_000, Seed(3)).unwrap();
        assert!(fits(&counts(&samples, &dims), &probabilities(&model)), "{dims:?} {:?}", T::KIND);
        for (a, b) in ln_p.iter().zip(model.log_prob(&samples).unwrap()) {
            assert!((a - b).abs() < tolerance, "ln p {a} beside {b}");
        }
    }
}

#[test]
fn samples_have_the_exact_probabilities() {
    samples_fit::<f32>(1e-4);
    samples_fit::<f64>(1e-11);
    samples_fit::<Complex32>(1e-4);
    samples_fit::<Complex64>(1e-11);
}

/// More classes than rows of a block from the first sites on, so that rows part early; and a bond that BLAS tiles.
fn parted() -> [BornMps<f64>; 3] {
    [model(&[2; 40], 24, 4), model(&[5, 1, 3, 7, 20, 2, 2, 4], 19, 5), model(&[30, 30, 30], 30, 6)]
}

#[test]
fn a_seed_gives_the_same_rows_however_many_are_drawn_and_by_however_many_threads() {
    for model in parted() {
        let (many, ln_many) = model.sample_with_log_prob(700, Seed(7)).unwrap();
        for count in [1, 3, 257, 512] {
            let (few, ln_few) = model.sample_with_log_prob(count, Seed(7)).unwrap();
            assert!((0..count).all(|i| few.row(i) == many.row(i)));
            assert_eq!(ln_few, ln_many[..count]);
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(
                pool.install(|| model.sample_with_log_prob(700, Seed(7)).unwrap()),
                (many.clone(), ln_many.clone())
            );
        }
        assert_eq!(model.sample(700, Seed(7)).unwrap(), many);
        assert_ne!(model.sample(700, Seed(8)).unwrap(), many);
    }
}

#[test]
fn samples_of_parted_rows_have_the_exact_probabilities() {
    for model in parted() {
        let (samples, ln_p) = model.sample_with_log_prob(20_000, Seed(9)).unwrap();
        for (a, b) in ln_p.iter().zip(model.log_prob(&samples).unwrap()) {
            assert!((a - b).abs() < 1e-10, "ln p {a} beside {b}");
        }
        let tail = model.dims().len() - 2;
        let ends: Vec<[u8; 2]> = samples.view().rows().into_iter().map(|r| [r[tail], r[tail + 1]]).collect();
        let table = model.marginal(&[tail, tail + 1]).unwrap();
        let ends = counts(&Batch::from_rows(&ends).unwrap(), table.shape());
        assert!(fits(&ends, table.as_slice().unwrap()));
    }
    let third = &parted()[2];
    let samples = third.sample(20_000, Seed(10)).unwrap();
    assert!(fits(&counts(&samples, &third.dims()), &probabilities(third)));
}

#[test]
fn no_sample_is_impossible() {
    // A ring of symbols: only 12 of 6^8 configurations have weight, and single precision has to keep to them.
    let tensors = (0..8).map(|site| {
        let (l, r) = (if site == 0 { 1 } else { 12 }, if site == 7 { 1 } else { 12 });
        ndarray::Array3::from_shape_fn((l, 6, r), |(a, v, b)| {
            let label = if site == 0 { b } else { a };
            let agrees = (label * (site + 1) + label / 6) % 6 == v && (site == 0 || site == 7 || a == b);
            if agrees { 1.0 + label as f32 * 0.1 } else { 0.0 }
        })
    });
    let model = BornMps::new(Mps::new(tensors.collect()).unwrap()).unwrap();
    let (samples, ln_p) = model.sample_with_log_prob(30_000, Seed(11)).unwrap();
    assert!(ln_p.iter().all(|l| *l > -30.0));
    let distinct: std::collections::BTreeSet<Vec<u8>> = samples.view().rows().into_iter().map(|r| r.to_vec()).collect();
    assert!(distinct.len() <= 12, "{}", distinct.len());
}

#[test]
fn what_no_memory_has_room_for_is_refused() {
    let model = model::<f64>(&[2; 4], 2, 1);
    for count in [1 << 50, usize::MAX] {
        assert!(matches!(model.sample(count, Seed(1)), Err(Error::Room { .. })));
        assert!(matches!(model.sample_given(&[None; 4], count, Seed(1)), Err(Error::Room { .. })));
    }
    for bond in [1 << 40, usize::MAX] {
        assert!(matches!(BornMps::<f32>::random(&[2; 300], bond, Seed(1)), Err(Error::Room { .. })));
        assert!(matches!(Mps::<f32>::random(&[2; 300], bond, Seed(1)), Err(Error::Room { .. })));
    }
}

#[test]
fn drawing_nothing_is_refused() {
    assert!(matches!(model::<f64>(&[2; 4], 2, 1).sample(0, Seed(1)), Err(Error::Setting { .. })));
}

/// The sum of the probabilities of all configurations that agree with the evidence.
fn enumerated(p: &[f64], dims: &[usize], evidence: &[Option<u8>]) -> f64 {
    let all = Batch::all(dims).unwrap();
    let agrees = |i: usize| all.row(i).iter().zip(evidence).all(|(v, e)| e.is_none_or(|e| e == *v));
    (0..p.len()).filter(|&i| agrees(i)).map(|i| p[i]).sum()
}

/// Every mask of given sites, with the symbols of one configuration.
fn masks(configuration: &[u8]) -> impl Iterator<Item = Vec<Option<u8>>> {
    let n = configuration.len();
    (0..1u32 << n).map(move |mask| (0..n).map(|k| (mask >> k & 1 == 1).then_some(configuration[k])).collect())
}

fn marginals_agree<T: Scalar>(tolerance: f64) {
    for (dims, bond, row) in [(vec![2; 7], 6, vec![0, 1, 1, 0, 1, 0, 0]), (vec![3, 1, 2, 4, 2], 5, vec![2, 0, 1, 3, 0])]
    {
        let model = model::<T>(&dims, bond, 12);
        let p = probabilities(&model);
        for evidence in masks(&row) {
            let expected = enumerated(&p, &dims, &evidence);
            let found = model.log_marginal(&evidence).unwrap();
            assert!((found - expected.ln()).abs() < tolerance, "{evidence:?}: {found} beside {}", expected.ln());
            let given: Vec<bool> = evidence.iter().map(Option::is_some).collect();
            let rows = Batch::from_rows(&[&row[..], &vec![0; row.len()], &row[..]]).unwrap();
            let conditional = model.conditional_log_prob(&rows, &given).unwrap();
            let joint = model.log_prob(&rows).unwrap();
            assert!((conditional[0] - joint[0] + found).abs() < tolerance);
            assert_eq!(conditional[0], conditional[2]);
            let zeros: Vec<Option<u8>> = given.iter().map(|g| g.then_some(0)).collect();
            let marginal = model.log_marginal(&zeros).unwrap();
            assert!((conditional[1] - joint[1] + marginal).abs() < tolerance);
        }
    }
}

#[test]
fn marginals_and_conditionals_agree_with_enumeration_for_every_mask() {
    marginals_agree::<f32>(2e-4);
    marginals_agree::<f64>(1e-11);
    marginals_agree::<Complex32>(2e-4);
    marginals_agree::<Complex64>(1e-11);
}

#[test]
fn tables_of_marginals_and_mutual_information_agree_with_enumeration() {
    let dims = [2, 3, 1, 2, 4, 2];
    let model = model::<Complex64>(&dims, 7, 13);
    let p = probabilities(&model);
    let of = |pairs: &[(usize, u8)]| {
        let mut evidence = vec![None; dims.len()];
        pairs.iter().for_each(|&(site, v)| evidence[site] = Some(v));
        enumerated(&p, &dims, &evidence)
    };
    let table = model.marginal(&[4, 0, 3]).unwrap();
    assert_eq!(table.shape(), [4, 2, 2]);
    for ((index, &found), _) in table.indexed_iter().zip(0..) {
        let expected = of(&[(4, index[0] as u8), (0, index[1] as u8), (3, index[2] as u8)]);
        assert!((found - expected).abs() < 1e-13);
    }
    assert_eq!(model.marginal(&[]).unwrap().len(), 1);
    let single = model.site_marginals().unwrap();
    let information = model.mutual_information().unwrap();
    for i in 0..dims.len() {
        for (v, p) in single[i].iter().enumerate() {
            assert!((p - of(&[(i, v as u8)])).abs() < 1e-13);
        }
        for j in 0..dims.len() {
            let mut expected = 0.0;
            for s in 0..dims[i] {
                for t in 0..dims[j] {
                    let (a, b) = (of(&[(i, s as u8)]), of(&[(j, t as u8)]));
                    let both = if i != j {
                        of(&[(i, s as u8), (j, t as u8)])
                    } else if s == t {
                        a
                    } else {
                        0.0
                    };
                    expected += if both > 0.0 { both * (both / (a * b)).ln() } else { 0.0 };
                }
            }
            assert!((information[[i, j]] - expected).abs() < 1e-12, "{i} {j}");
        }
    }
    assert_eq!(model.entropies().unwrap().len(), dims.len() - 1);
    assert!(matches!(model.marginal(&[1, 1]), Err(Error::Setting { .. })));
    assert!(matches!(model.marginal(&[6]), Err(Error::Setting { .. })));
    let long = self::model::<f64>(&[2; 30], 2, 1);
    assert!(matches!(long.marginal(&(0..21).collect::<Vec<_>>()), Err(Error::Memory { .. })));
}

fn completions_fit<T: Scalar>() {
    let (dims, row) = ([2, 3, 2, 1, 4, 2], [1, 2, 0, 0, 3, 1]);
    let model = model::<T>(&dims, 6, 14);
    let p = probabilities(&model);
    let all = Batch::all(&dims).unwrap();
    for (seed, evidence) in masks(&row).enumerate() {
        let completed = model.sample_given(&evidence, 2_000, Seed(seed as u64)).unwrap();
        let agrees = |row: ndarray::ArrayView1<u8>| row.iter().zip(&evidence).all(|(v, e)| e.is_none_or(|e| e == *v));
        assert!(completed.view().rows().into_iter().all(agrees));
        let total = enumerated(&p, &dims, &evidence);
        let conditional: Vec<f64> = (0..p.len()).map(|i| if agrees(all.row(i)) { p[i] / total } else { 0.0 }).collect();
        assert!(fits(&counts(&completed, &dims), &conditional), "{evidence:?}");
    }
}

#[test]
fn completions_have_the_exact_conditional_probabilities_for_every_mask() {
    completions_fit::<f32>();
    completions_fit::<f64>();
    completions_fit::<Complex32>();
    completions_fit::<Complex64>();
}

#[test]
fn long_completions_have_the_marginals_of_the_conditional() {
    let dims = vec![2; 60];
    let model = model::<f64>(&dims, 12, 15);
    let row = model.sample(1, Seed(16)).unwrap();
    let known = |given: fn(usize) -> bool| -> Vec<Option<u8>> {
        (0..60).map(|site| given(site).then_some(row.row(0)[site])).collect()
    };
    for evidence in [known(|k| k < 30), known(|k| k >= 30), known(|k| (k / 5) % 2 == 0), known(|k| k % 7 == 3)] {
        let completed = model.sample_given(&evidence, 4_000, Seed(17)).unwrap();
        let ln = model.log_marginal(&evidence).unwrap();
        for site in (0..60).filter(|&site| evidence[site].is_none()).step_by(3) {
            let with = |v: u8| {
                let mut evidence = evidence.clone();
                evidence[site] = Some(v);
                (model.log_marginal(&evidence).unwrap() - ln).exp()
            };
            let ones: usize = completed.column(site).iter().map(|v| usize::from(*v)).sum();
            let p = [with(0), with(1)];
            assert!((p[0] + p[1] - 1.0).abs() < 1e-11);
            assert!(fits(&[4_000 - ones, ones], &p));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let alone = pool.install(|| model.sample_given(&evidence, 300, Seed(17)).unwrap());
        assert!((0..300).all(|i| alone.row(i) == completed.row(i)));
    }
    let free = vec![None; 60];
    assert_eq!(model.sample_given(&free, 20, Seed(1)).unwrap(), model.sample(20, Seed(1)).unwrap());
}

/// Weight one, spread over the configurations with exactly one 1, seen from a rotated gauge.
fn one_of_many<T: Scalar>(sites: usize) -> BornMps<T> {
    let vector: Vec<T> = (0..1usize << sites)
        .map(|v| if v.count_ones() == 1 { T::from_parts(1.0 + v.ilog2() as f64, 0.5) } else { T::zero() })
        .collect();
    let (mut state, _) =
        Mps::from_dense(&vector, &vec![2; sites], &ansatz::linalg::Truncation::none().cutoff(1e-6)).unwrap();
    state.move_centre(sites / 2).unwrap();
    BornMps::new(state).unwrap()
}

fn impossible_evidence_is_refused<T: Scalar>() {
    let model = one_of_many::<T>(8);
    let evidence = |ones: &[usize]| -> Vec<Option<u8>> { (0..8).map(|k| ones.contains(&k).then_some(1)).collect() };
    for (ones, expected) in [(vec![0, 1], 1), (vec![2, 7], 7), (vec![3, 4, 6], 4)] {
        let found = model.sample_given(&evidence(&ones), 5, Seed(1));
        assert!(matches!(found, Err(Error::Impossible { site }) if site == expected), "{ones:?}: {found:?}");
    }
    assert!(matches!(model.sample_given(&[Some(0); 8], 5, Seed(1)), Err(Error::Impossible { .. })));
    let completed = model.sample_given(&evidence(&[5]), 5, Seed(1)).unwrap();
    assert_eq!(completed.row(4).to_vec(), [0, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn an_impossible_condition_is_an_error_that_names_the_site() {
    impossible_evidence_is_refused::<f32>();
    impossible_evidence_is_refused::<f64>();
    impossible_evidence_is_refused::<Complex32>();
    impossible_evidence_is_refused::<Complex64>();
    // |000> + |111>
    let mut dense = [0.0; 8];
    (dense[0], dense[7]) = (1.0, 1.0);
    let ghz = Mps::from_dense(&dense, &[2; 3], &ansatz::linalg::Truncation::none().cutoff(1e-12)).unwrap().0;
    let model = BornMps::new(ghz).unwrap();
    let evidence = [Some(0), None, Some(1)];
    assert!(matches!(model.sample_given(&evidence, 1, Seed(1)), Err(Error::Impossible { site: 2 })));
    assert_eq!(model.log_marginal(&evidence).unwrap(), f64::NEG_INFINITY);
    let drawn = model.sample_given(&[None, Some(1), None], 50, Seed(1)).unwrap();
    assert!(drawn.view().iter().all(|&v| v == 1));
    let product = Mps::product(&[vec![1.0, 0.0], vec![0.6, 0.8], vec![0.0, 1.0]]).unwrap();
    let model = BornMps::new(product).unwrap();
    assert_eq!(model.log_marginal(&[None, None, Some(0)]).unwrap(), f64::NEG_INFINITY);
    let rows = Batch::from_rows(&[[0u8, 1, 1], [0, 0, 0]]).unwrap();
    let error = model.conditional_log_prob(&rows, &[false, true, true]).unwrap_err();
    assert!(matches!(error.root(), Error::Impossible { site: 2 }));
    assert!(matches!(error, Error::At { place: Place::Sample(1), .. }));
    assert!(model.conditional_log_prob(&rows, &[false, true, false]).is_ok());
}

/// The state with `X X^-1` put into every bond, `X` the identity and something that is not small beside it.
fn in_another_gauge<T: Scalar>(state: &Mps<T>, seed: u64) -> Mps<T> {
    let mut tensors = state.tensors().to_vec();
    for bond in 0..tensors.len() - 1 {
        let d = tensors[bond].dim().2;
        let mut stream = Seed(seed).stream("gauge", bond as u64);
        let mut gauge = Array2::from_shape_simple_fn((d, d), || T::normal(&mut stream).scale(T::Real::of(0.2)));
        gauge.diag_mut().mapv_inplace(|x| x + T::one());
        let inverse = ansatz::linalg::solve(&gauge.view(), &Array2::eye(d).view()).unwrap();
        let (l, s, r) = tensors[bond].dim();
        let left = tensors[bond].clone().into_shape_with_order((l * s, r)).unwrap().dot(&gauge);
        tensors[bond] = left.into_shape_with_order((l, s, r)).unwrap();
        let (l, s, r) = tensors[bond + 1].dim();
        let right = inverse.dot(&tensors[bond + 1].clone().into_shape_with_order((l, s * r)).unwrap());
        tensors[bond + 1] = right.into_shape_with_order((l, s, r)).unwrap();
    }
    // Neither a number nor a phase in front changes a probability.
    let mut state = Mps::new(tensors).unwrap();
    state.scale(LogScaled::new(if T::IS_COMPLEX { T::from_parts(0.6, 0.8) } else { -T::one() }, 700.0));
    state
}

fn no_gauge_changes_the_model<T: Scalar>(dims: &[usize], bond: usize, seed: u64, centre: usize, tolerance: f64) {
    let state = Mps::<T>::random(dims, bond, Seed(seed)).unwrap();
    let model = BornMps::new(state.clone()).unwrap();
    let mut turned = in_another_gauge(&state, seed);
    turned.move_centre(centre % dims.len()).unwrap();
    let other = BornMps::new(turned).unwrap();
    let loss = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(loss(&probabilities(&model), &probabilities(&other)) < tolerance);
    let evidence: Vec<Option<u8>> = (0..dims.len()).map(|k| (k % 2 == 1).then_some(0)).collect();
    let marginals = [&model, &other].map(|m| m.log_marginal(&evidence).unwrap().exp());
    assert!((marginals[0] - marginals[1]).abs() < tolerance);
    assert!(loss(&model.entropies().unwrap(), &other.entropies().unwrap()) < 100.0 * tolerance);
    let batch = model.sample(10, Seed(seed)).unwrap();
    assert!((model.nll(&batch).unwrap() - other.nll(&batch).unwrap()).abs() < 100.0 * tolerance);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), cases: 30, ..ProptestConfig::default() })]
    #[test]
    fn a_model_does_not_depend_on_the_gauge_of_its_state(dims in prop::collection::vec(1usize..4, 1..8), bond in 1usize..6, seed in 0u64..1000, centre in 0usize..8) {
        no_gauge_changes_the_model::<f64>(&dims, bond, seed, centre, 1e-11);
        no_gauge_changes_the_model::<Complex64>(&dims, bond, seed, centre, 1e-11);
        no_gauge_changes_the_model::<f32>(&dims, bond, seed, centre, 1e-3);
    }
}

#[test]
fn evidence_that_does_not_fit_is_refused() {
    let model = model::<f64>(&[2, 3], 2, 1);
    assert!(matches!(model.sample_given(&[None], 1, Seed(1)), Err(Error::Shape { .. })));
    assert!(matches!(model.sample_given(&[None, Some(3)], 1, Seed(1)), Err(Error::Symbol { site: 1, .. })));
    assert!(matches!(model.sample_given(&[None, None], 0, Seed(1)), Err(Error::Setting { .. })));
    assert!(matches!(model.sample_given(&[Some(0), Some(0)], 0, Seed(1)), Err(Error::Setting { .. })));
    assert!(matches!(model.log_marginal(&[Some(2), None]), Err(Error::Symbol { site: 0, .. })));
    let rows = Batch::from_rows(&[[0u8, 0]]).unwrap();
    assert!(matches!(model.conditional_log_prob(&rows, &[true]), Err(Error::Shape { .. })));
}
