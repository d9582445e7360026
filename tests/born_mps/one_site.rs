//! A chain of a single site: a list of weights, to which everything but the sweeping of bonds applies.

use ansatz::chain::Mps;
use ansatz::io::{
    AnyAdamRun, AnyRun, Extra, load_adam_checkpoint, load_checkpoint, load_model, save_adam_checkpoint,
    save_checkpoint, save_model,
};
use ansatz::tensor::{Leg, Tensor};
use ansatz::train::{Adam, AdamRun};
use ansatz::{Batch, BornMps, Conditional, Error, GenerativeModel, Marginal, Run, Scalar, Seed, TwoSite, for_kind};
use num_complex::{Complex32, Complex64};

const WEIGHTS: [f64; 4] = [3.0, 0.0, 1.0, 4.0];

/// `p(v)` in proportion to [`WEIGHTS`], with a phase that changes nothing.
fn model<T: Scalar>() -> BornMps<T> {
    let phase = if T::IS_COMPLEX { T::from_parts(0.6, -0.8) } else { T::from_f64(-1.0) };
    let amplitudes = WEIGHTS.iter().map(|w| T::from_f64(w.sqrt()) * phase).collect();
    BornMps::new(Mps::product(&[amplitudes]).unwrap()).unwrap()
}

fn probability(symbol: usize) -> f64 {
    WEIGHTS[symbol] / WEIGHTS.iter().sum::<f64>()
}

fn is_the_list_of_its_weights<T: Scalar>(tolerance: f64) {
    let model = model::<T>();
    assert_eq!((model.sites(), model.dims(), model.state().bonds()), (1, vec![4], vec![]));
    let all = Batch::all(&[4]).unwrap();
    let ln_p = model.log_prob(&all).unwrap();
    let marginal = model.marginal(&[0]).unwrap();
    for symbol in 0..4 {
        assert!((ln_p[symbol].exp() - probability(symbol)).abs() < tolerance);
        assert!((marginal[[symbol]] - probability(symbol)).abs() < tolerance);
        let given = model.log_marginal(&[Some(symbol as u8)]).unwrap();
        assert!((given.exp() - probability(symbol)).abs() < tolerance);
    }
    assert_eq!(ln_p[1], f64::NEG_INFINITY);
    assert!(model.log_marginal(&[None]).unwrap().abs() < tolerance);
    assert!(model.entropies().unwrap().is_empty());
    let entropy: f64 = (0..4).map(probability).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    assert!((model.mutual_information().unwrap()[[0, 0]] - entropy).abs() < 10.0 * tolerance);

    let (drawn, ln) = model.sample_with_log_prob(8000, Seed(3)).unwrap();
    for symbol in 0..4 {
        let seen = drawn.view().iter().filter(|v| usize::from(**v) == symbol).count() as f64;
        let p = probability(symbol);
        // Five standard deviations.
        assert!((seen - 8000.0 * p).abs() <= 5.0 * (8000.0 * p * (1.0 - p)).sqrt(), "{symbol}: {seen}");
    }
    assert!(drawn.view().iter().zip(&ln).all(|(&v, l)| (l.exp() - probability(v.into())).abs() < tolerance));
    assert_eq!(model.sample_given(&[None], 100, Seed(3)).unwrap().view(), drawn.view().slice(ndarray::s![..100, ..]));
    assert_eq!(model.sample_given(&[Some(2)], 2, Seed(1)).unwrap().view(), ndarray::array![[2u8], [2]]);
    assert!(matches!(model.sample_given(&[Some(1)], 1, Seed(1)), Err(Error::Impossible { site: 0 })));
    let possible = Batch::from_rows(&[[0u8], [3]]).unwrap();
    assert!(model.conditional_log_prob(&possible, &[true]).unwrap().iter().all(|l| l.abs() < tolerance));
    let free = model.conditional_log_prob(&possible, &[false]).unwrap();
    assert!(free.iter().zip([0, 3]).all(|(l, v)| (l.exp() - probability(v)).abs() < tolerance));
    assert!(model.conditional_log_prob(&all, &[true]).is_err());

    let smoothed = model.smoothed(0.1).unwrap().log_prob(&all).unwrap();
    assert!((smoothed.iter().map(|l| l.exp()).sum::<f64>() - 1.0).abs() < tolerance && smoothed[1].is_finite());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.ansatz");
    save_model(&path, &model, &Extra { shape: Some(vec![1]), ..Extra::default() }).unwrap();
    let (loaded, _) = load_model(&path).unwrap();
    assert_eq!(loaded.log_prob(&all).unwrap(), ln_p);
    assert_eq!(loaded.bonds(), Vec::<usize>::new());
}

#[test]
fn a_single_site_is_scored_drawn_given_summed_out_and_stored() {
    is_the_list_of_its_weights::<f32>(1e-6);
    is_the_list_of_its_weights::<f64>(1e-14);
    is_the_list_of_its_weights::<Complex32>(1e-6);
    is_the_list_of_its_weights::<Complex64>(1e-14);
}

fn counted() -> Batch<u8> {
    Batch::from_rows(&[[0u8], [0], [0], [2], [3], [3], [3], [3]]).unwrap()
}

fn adam_learns_the_frequencies<T: Scalar>(tolerance: f64) {
    let data = counted();
    let mut run = AdamRun::new(BornMps::<T>::random(&[4], 3, Seed(1)).unwrap(), Adam::new(400)).unwrap();
    run.fit(&data, Some(&data), &mut (), &mut ()).unwrap();
    let entropy: f64 = (0..4).map(probability).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    assert!((run.best.nll(&data).unwrap() - entropy).abs() < tolerance);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.checkpoint");
    save_adam_checkpoint(&path, &run, &Extra::default()).unwrap();
    let (again, _) = load_adam_checkpoint(&path).unwrap();
    let best = for_kind!(AnyAdamRun, &again, run => run.best.nll(&data).unwrap());
    assert_eq!(best, run.best.nll(&data).unwrap());
}

#[test]
fn adam_learns_the_frequencies_of_a_single_site() {
    adam_learns_the_frequencies::<f64>(1e-3);
    adam_learns_the_frequencies::<Complex32>(1e-3);
}

#[test]
fn sweeps_of_bonds_have_no_bond_to_pass() {
    let mut run = Run::new(model::<f64>(), TwoSite::new(2, 4)).unwrap();
    let error = run.fit(&counted(), None, &mut (), &mut ()).unwrap_err();
    assert!(matches!(error.root(), Error::Setting { name: "sites", .. }), "{error}");
    assert!(run.memory(&counted()).is_err());
    // The run itself can be stored and read.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.checkpoint");
    save_checkpoint(&path, &run, &Extra::default()).unwrap();
    let (again, _) = load_checkpoint(&path).unwrap();
    assert_eq!(for_kind!(AnyRun, &again, run => run.progress.sweep), 0);
}

#[test]
fn a_state_of_a_single_site_has_no_bond() {
    let mut state = Mps::<f64>::random(&[5], 3, Seed(1)).unwrap();
    assert!(state.entropies().unwrap().is_empty() && state.schmidt_values(0).is_err());
    assert_eq!((state.max_bond(), state.centre()), (1, Some(0)));
    let density = state.density_matrix(0..1).unwrap();
    let vector = state.to_dense().unwrap();
    assert!(density.indexed_iter().all(|((i, j), x)| (x - vector[i] * vector[j]).abs() < 1e-14));
    let doubled = state.add(&state).unwrap();
    assert!(doubled.to_dense().unwrap().iter().zip(&vector).all(|(a, b)| (a - 2.0 * b).abs() < 1e-14));
    let mut same = state.clone();
    assert!(same.compress_to(0.1, Some(1)).unwrap().bound < 1e-12);
    assert_eq!(state.tensor(0).unwrap(), Tensor::new([Leg::site("site0", 5)], vector).unwrap());
}
