//! What a matrix-product Born machine says, compared with the enumeration of all configurations.

use ansatz::{Batch, BornMps, Conditional, Error, GenerativeModel, Marginal, Scalar, Seed};
use num_complex::{Complex32, Complex64};

const DIMS: [usize; 6] = [2, 3, 2, 4, 2, 3];

/// A model without symmetries, real or complex: a random state, not a positive one.
fn model<T: Scalar>(dims: &[usize], bond: usize) -> BornMps<T> {
    BornMps::new(ansatz::chain::Mps::random(dims, bond, Seed(3)).unwrap()).unwrap()
}

fn probabilities<T: Scalar>(model: &BornMps<T>, all: &Batch<u8>) -> Vec<f64> {
    model.log_prob(all).unwrap().iter().map(|l| l.exp()).collect()
}

/// Beyond this a sum of squares with so many degrees of freedom lies once in ten thousand times (Wilson and Hilferty).
fn chi_square_bound(freedom: f64) -> f64 {
    let c = 2.0 / (9.0 * freedom);
    freedom * (1.0 - c + 3.719 * c.sqrt()).powi(3)
}

fn chi_square(drawn: &Batch<u8>, all: &Batch<u8>, p: &[f64]) {
    let count = drawn.samples() as f64;
    let index = |row: ndarray::ArrayView1<u8>| all.view().rows().into_iter().position(|r| r == row).unwrap();
    let mut seen = vec![0.0; p.len()];
    drawn.view().rows().into_iter().for_each(|r| seen[index(r)] += 1.0);
    let (mut sum, mut cells, mut rest, mut rest_seen) = (0.0, 0.0, 0.0, 0.0);
    for (s, p) in seen.iter().zip(p) {
        // Cells with few expected counts are taken together.
        if p * count < 5.0 {
            (rest, rest_seen) = (rest + p * count, rest_seen + s);
        } else {
            sum += (s - p * count).powi(2) / (p * count);
            cells += 1.0;
        }
    }
    if rest > 5.0 {
        sum += (rest_seen - rest).powi(2) / rest;
        cells += 1.0;
    }
    assert!(sum < chi_square_bound(cells - 1.0), "chi-square {sum} with {} degrees of freedom", cells - 1.0);
}

#[test]
fn probabilities_of_all_4096_configurations_sum_to_one() {
    fn holds<T: Scalar>(tolerance: f64) {
        let model = model::<T>(&[2; 12], 7);
        let total: f64 = probabilities(&model, &Batch::all(&[2; 12]).unwrap()).iter().sum();
        assert!((total - 1.0).abs() < tolerance, "{total}");
    }
    holds::<f32>(1e-5);
    holds::<f64>(1e-12);
    holds::<Complex32>(1e-5);
    holds::<Complex64>(1e-12);
}

#[test]
fn probabilities_are_squared_amplitudes() {
    let model = model::<Complex64>(&DIMS, 5);
    let all = Batch::all(&DIMS).unwrap();
    let dense = model.state().to_dense().unwrap();
    for (p, psi) in probabilities(&model, &all).iter().zip(dense) {
        assert!((p - psi.norm_sqr()).abs() < 1e-13);
    }
}

#[test]
fn samples_follow_the_probabilities_and_carry_their_logarithms() {
    fn holds<T: Scalar>(tolerance: f64) {
        let model = model::<T>(&DIMS, 5);
        let all = Batch::all(&DIMS).unwrap();
        let (drawn, ln_p) = model.sample_with_log_prob(20_000, Seed(8)).unwrap();
        chi_square(&drawn, &all, &probabilities(&model, &all));
        let exact = model.log_prob(&drawn).unwrap();
        assert!(ln_p.iter().zip(&exact).all(|(a, b)| (a - b).abs() < tolerance));
    }
    holds::<f32>(1e-3);
    holds::<f64>(1e-10);
    holds::<Complex32>(1e-3);
    holds::<Complex64>(1e-10);
}

#[test]
fn a_seed_gives_the_same_rows_however_many_are_drawn_and_by_however_many_threads() {
    let model = model::<f32>(&[2; 20], 9);
    let (few, ln_few) = model.sample_with_log_prob(3, Seed(7)).unwrap();
    let draw = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| model.sample_with_log_prob(1700, Seed(7)).unwrap())
    };
    let (many, ln_many) = draw(1);
    assert_eq!((many.clone(), ln_many.clone()), draw(3));
    assert!((0..3).all(|i| few.row(i) == many.row(i) && ln_few[i] == ln_many[i]));
}

#[test]
fn conditionals_are_joint_over_marginal_for_any_mask() {
    let model = model::<Complex64>(&DIMS, 5);
    let all = Batch::all(&DIMS).unwrap();
    let p = probabilities(&model, &all);
    for mask in 0..1usize << DIMS.len() {
        let given: Vec<bool> = (0..DIMS.len()).map(|k| mask >> k & 1 == 1).collect();
        let row = all.row((mask * 37) % all.samples());
        let agrees = |r: ndarray::ArrayView1<u8>| (0..DIMS.len()).all(|k| !given[k] || r[k] == row[k]);
        let marginal: f64 = all.view().rows().into_iter().zip(&p).filter(|(r, _)| agrees(*r)).map(|(_, p)| p).sum();
        let evidence: Vec<Option<u8>> = row.iter().zip(&given).map(|(&v, &g)| g.then_some(v)).collect();
        assert!((model.log_marginal(&evidence).unwrap() - marginal.ln()).abs() < 1e-10, "{given:?}");
        let one = Batch::from_rows(&[row.to_vec()]).unwrap();
        let joint = model.log_prob(&one).unwrap()[0];
        let conditional = model.conditional_log_prob(&one, &given).unwrap()[0];
        assert!((conditional - (joint - marginal.ln())).abs() < 1e-10);
    }
}

#[test]
fn completions_keep_what_is_given_and_follow_the_conditional() {
    let model = model::<f64>(&DIMS, 5);
    let all = Batch::all(&DIMS).unwrap();
    let p = probabilities(&model, &all);
    for evidence in [
        [Some(1), Some(2), None, None, None, None],
        [None, None, None, None, Some(1), Some(0)],
        [None, Some(0), None, Some(3), None, None],
        [None; 6],
    ] {
        let agrees = |r: &ndarray::ArrayView1<u8>| r.iter().zip(&evidence).all(|(v, e)| e.is_none_or(|e| e == *v));
        let marginal: f64 = all.view().rows().into_iter().zip(&p).filter(|(r, _)| agrees(r)).map(|(_, p)| p).sum();
        let given: Vec<f64> =
            all.view().rows().into_iter().zip(&p).map(|(r, p)| if agrees(&r) { p / marginal } else { 0.0 }).collect();
        let drawn = model.sample_given(&evidence, 10_000, Seed(4)).unwrap();
        assert!(drawn.view().rows().into_iter().all(|r| agrees(&r)));
        chi_square(&drawn, &all, &given);
    }
}

#[test]
fn an_impossible_condition_is_a_typed_error_that_names_a_site() {
    // |000> + |111>
    let mut dense = [0.0; 8];
    (dense[0], dense[7]) = (1.0, 1.0);
    let ghz =
        ansatz::chain::Mps::from_dense(&dense, &[2; 3], &ansatz::linalg::Truncation::none().cutoff(1e-12)).unwrap().0;
    let model = BornMps::new(ghz).unwrap();
    let evidence = [Some(0u8), None, Some(1)];
    assert!(matches!(model.sample_given(&evidence, 1, Seed(1)), Err(Error::Impossible { .. })));
    assert_eq!(model.log_marginal(&evidence).unwrap(), f64::NEG_INFINITY);
    assert!(matches!(model.sample_given(&[None; 2], 1, Seed(1)), Err(Error::Shape { .. })));
    assert!(matches!(model.sample_given(&[Some(2), None, None], 1, Seed(1)), Err(Error::Symbol { .. })));
    let drawn = model.sample_given(&[None, Some(1), None], 50, Seed(1)).unwrap();
    assert!(drawn.view().iter().all(|&v| v == 1));
    assert!(model.sample(0, Seed(1)).is_err());
}

#[test]
fn marginals_and_mutual_information_agree_with_enumeration() {
    let model = model::<Complex64>(&DIMS, 5);
    let all = Batch::all(&DIMS).unwrap();
    let p = probabilities(&model, &all);
    let table = |sites: &[usize]| {
        let mut sums = vec![0.0; sites.iter().map(|&s| DIMS[s]).product()];
        for (r, p) in all.view().rows().into_iter().zip(&p) {
            sums[sites.iter().fold(0, |i, &s| i * DIMS[s] + usize::from(r[s]))] += p;
        }
        sums
    };
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-11);
    let singles = model.site_marginals().unwrap();
    for (site, single) in singles.iter().enumerate() {
        assert!(near(single, &table(&[site])));
    }
    assert!(near(&model.marginal(&[4, 1, 3]).unwrap(), &table(&[4, 1, 3])));
    assert!(model.marginal(&[1, 1]).is_err());
    let entropy = |p: Vec<f64>| p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum::<f64>();
    let information = model.mutual_information().unwrap();
    for i in 0..DIMS.len() {
        for j in 0..DIMS.len() {
            let pair = if i == j { entropy(table(&[i])) } else { entropy(table(&[i, j])) };
            let expected = if i == j { pair } else { entropy(table(&[i])) + entropy(table(&[j])) - pair };
            assert!((information[[i, j]] - expected).abs() < 1e-10);
        }
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
}
