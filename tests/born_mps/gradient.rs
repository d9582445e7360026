//! Gradients of matrix-product Born machines with respect to all sites, and training by Adam.

use std::ops::ControlFlow;

use crate::patterns::bars_and_stripes;
use ansatz::chain::Mps;
use ansatz::model::Differentiable;
use ansatz::train::{Adam, AdamRun, BondReport, Keeper, Observer, Schedule, Stop, SweepReport};
use ansatz::{Batch, BornMps, Error, GenerativeModel, Scalar, Seed};
use ndarray::{Array3, ArrayD};
use num_complex::{Complex32, Complex64};
use rand::RngExt;

fn random_rows(count: usize, dims: &[usize], seed: u64) -> Batch<u8> {
    let mut stream = Seed(seed).stream("rows", 0);
    let rows: Vec<Vec<u8>> =
        (0..count).map(|_| dims.iter().map(|&d| stream.random_range(0..d as u8)).collect()).collect();
    Batch::from_rows(&rows).unwrap()
}

/// Normal numbers in no gauge, of a norm that is not one.
fn any_gauge<T: Scalar>(dims: &[usize], bonds: &[usize], seed: u64) -> Vec<Array3<T>> {
    let mut stream = Seed(seed).stream("tensors", 0);
    let tensor = |(k, &d): (usize, &usize)| {
        Array3::from_shape_simple_fn((bonds[k], d, bonds[k + 1]), || T::normal(&mut stream) * T::from_f64(0.7))
    };
    dims.iter().enumerate().map(tensor).collect()
}

/// The loss by amplitudes one at a time and the norm of the state, which share no code with the gradient.
fn loss<T: Scalar>(tensors: &[Array3<T>], batch: &Batch<u8>) -> f64 {
    let state = Mps::new(tensors.to_vec()).unwrap();
    let amplitudes = (0..batch.samples()).map(|i| state.amplitude(&batch.row(i).to_vec()).unwrap().ln_abs());
    state.norm_squared().ln_abs() - 2.0 * amplitudes.sum::<f64>() / batch.samples() as f64
}

/// By central differences: `dL/dA`, or `dL/d conj(A) = (dL/dx + i dL/dy) / 2` for `A = x + i y`.
fn by_differences<T: Scalar>(tensors: &[Array3<T>], batch: &Batch<u8>) -> Vec<Array3<T>> {
    let h = 1e-5;
    let slope = |site: usize, entry: usize, direction: T| {
        let at = |sign: f64| {
            let mut moved = tensors.to_vec();
            moved[site].as_slice_mut().unwrap()[entry] += direction * T::from_f64(sign * h);
            loss(&moved, batch)
        };
        (at(1.0) - at(-1.0)) / (2.0 * h)
    };
    let derivative = |site: usize, entry: usize| {
        let re = slope(site, entry, T::one());
        let half = if T::IS_COMPLEX { 0.5 } else { 1.0 };
        let im = if T::IS_COMPLEX { slope(site, entry, T::from_parts(0.0, 1.0)) } else { 0.0 };
        T::from_parts(half * re, half * im)
    };
    let of_site = |site: usize| {
        let entries = (0..tensors[site].len()).map(|entry| derivative(site, entry)).collect();
        Array3::from_shape_vec(tensors[site].dim(), entries).unwrap()
    };
    (0..tensors.len()).map(of_site).collect()
}

fn dynamic<T: Scalar>(tensors: &[Array3<T>]) -> Vec<ArrayD<T>> {
    tensors.iter().map(|a| a.clone().into_dyn()).collect()
}

/// Largest difference over the largest entry.
fn difference<T: Scalar, U: Scalar, D: ndarray::Dimension>(
    found: &[ndarray::Array<T, D>],
    expected: &[ndarray::Array<U, D>],
) -> f64 {
    assert_eq!(found.len(), expected.len());
    let (mut worst, mut largest) = (0.0_f64, 0.0_f64);
    for (a, b) in found.iter().zip(expected) {
        assert_eq!(a.shape(), b.shape());
        for (x, y) in a.iter().zip(b) {
            worst = worst.max((x.to_c64() - y.to_c64()).norm());
            largest = largest.max(y.to_c64().norm());
        }
    }
    worst / largest
}

fn agrees_with_differences<T: Scalar>() {
    let dims = [2, 3, 2, 4];
    let batch = random_rows(13, &dims, 3);
    let canonical = BornMps::<T>::new(Mps::new(any_gauge(&dims, &[1, 2, 5, 3, 1], 5)).unwrap()).unwrap();
    let tensors = canonical.state().tensors();
    let (nll, gradient) = canonical.gradient(&batch).unwrap();
    assert!((nll - canonical.nll(&batch).unwrap()).abs() < 1e-12);
    let error = difference(&gradient, &by_differences(tensors, &batch));
    assert!(error < 1e-6, "canonical: {error}");
    for (seed, dims, bonds) in
        [(1, &[2, 3, 2, 4][..], &[1, 2, 5, 3, 1][..]), (2, &[3], &[1, 1]), (3, &[1, 2], &[1, 4, 1])]
    {
        let batch = random_rows(13, dims, 3);
        let tensors = any_gauge::<T>(dims, bonds, seed);
        let (nll, gradient) = canonical.nll_and_gradient(&dynamic(&tensors), &batch).unwrap();
        assert!((nll - loss(&tensors, &batch)).abs() < 1e-12);
        let error = difference(&gradient, &dynamic(&by_differences(&tensors, &batch)));
        assert!(error < 1e-6, "no gauge, {dims:?}: {error}");
    }
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    agrees_with_differences::<f64>();
    agrees_with_differences::<Complex64>();
}

fn in_single<T: Scalar, S: Scalar>() {
    let dims = [3; 9];
    let batch = random_rows(200, &dims, 3);
    let wide = any_gauge::<T>(&dims, &[1, 3, 6, 6, 6, 6, 6, 6, 3, 1], 8);
    let narrow: Vec<Array3<S>> = wide.iter().map(|a| a.mapv(|x| S::from_parts(x.to_c64().re, x.to_c64().im))).collect();
    let (nll, gradient) =
        BornMps::<T>::random(&dims, 1, Seed(1)).unwrap().nll_and_gradient(&dynamic(&wide), &batch).unwrap();
    let (low, rough) =
        BornMps::<S>::random(&dims, 1, Seed(1)).unwrap().nll_and_gradient(&dynamic(&narrow), &batch).unwrap();
    assert!((nll - low).abs() < 1e-4 * nll.abs(), "{nll} and {low}");
    let error = difference(&rough, &gradient);
    assert!(error < 1e-4, "{error}");
}

#[test]
fn single_precision_agrees_with_double() {
    in_single::<f64, f32>();
    in_single::<Complex64, Complex32>();
}

#[test]
fn samples_in_many_chunks_add_up() {
    let dims = [2; 11];
    let batch = random_rows(1500, &dims, 4);
    let model = BornMps::<f64>::random(&dims, 5, Seed(2)).unwrap();
    let (nll, gradient) = model.gradient(&batch).unwrap();
    let mut sums: Vec<Array3<f64>> = gradient.iter().map(|g| Array3::zeros(g.dim())).collect();
    let mut losses = 0.0;
    for row in 0..batch.samples() {
        let (nll, gradient) = model.gradient(&batch.select(&[row]).unwrap()).unwrap();
        losses += nll / 1500.0;
        sums.iter_mut().zip(&gradient).for_each(|(sum, g)| sum.scaled_add(1.0 / 1500.0, g));
    }
    assert!((losses - nll).abs() < 1e-11);
    assert!(difference(&gradient, &sums) < 1e-10);
}

#[test]
fn the_number_of_threads_changes_no_bit_of_a_gradient() {
    let dims = [2; 30];
    let batch = random_rows(2000, &dims, 6);
    let model = BornMps::<Complex64>::random(&dims, 12, Seed(2)).unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| model.gradient(&batch).unwrap())
    };
    let ((one, a), (three, b)) = (run(1), run(3));
    assert_eq!(one.to_bits(), three.to_bits());
    assert_eq!(a, b);
}

#[test]
fn hundreds_of_sites_neither_overflow_nor_underflow() {
    let dims = [2; 784];
    let batch = random_rows(20, &dims, 9);
    let model = BornMps::<f32>::random(&dims, 6, Seed(3)).unwrap();
    // A likelihood of about exp(-500) and norms of many decades each way.
    for factor in [1.0, 1e-6, 1e6] {
        let tensors: Vec<ArrayD<f32>> = model.parameters().into_iter().map(|a| a * factor).collect();
        let (nll, gradient) = model.nll_and_gradient(&tensors, &batch).unwrap();
        assert!((nll - model.nll(&batch).unwrap()).abs() < 1e-2, "{nll}");
        assert!(gradient.iter().flatten().any(|&g| g != 0.0));
    }
}

#[test]
fn what_has_no_gradient_is_an_error() {
    let model = BornMps::<f64>::new(Mps::product(&[vec![1.0, 0.0], vec![0.6, 0.8]]).unwrap()).unwrap();
    let row = |rows: &[[u8; 2]]| Batch::from_rows(rows).unwrap();
    assert!(model.gradient(&row(&[[0, 0], [0, 1]])).is_ok());
    let zero = model.gradient(&row(&[[0, 0], [1, 1]]));
    assert!(matches!(zero, Err(Error::ZeroAmplitude { sample: 1 })), "{zero:?}");
    assert!(matches!(model.gradient(&row(&[[0, 2]])), Err(Error::Symbol { site: 1, found: 2, .. })));
    assert!(matches!(model.gradient(&Batch::from_rows(&[[0u8]]).unwrap()), Err(Error::Shape { .. })));
    let with = |parameters: &[ArrayD<f64>]| model.nll_and_gradient(parameters, &row(&[[0, 0]])).unwrap_err();
    assert!(matches!(with(&[]), Error::Empty { .. }));
    let at = |shape: [usize; 3]| ArrayD::ones(shape.to_vec());
    assert!(matches!(with(&[at([1, 2, 3]), at([2, 2, 1])]).root(), Error::Shape { .. }));
    assert!(matches!(with(&[at([1, 2, 3]), at([3, 2, 2])]).root(), Error::Shape { .. }));
    assert!(matches!(with(&[ArrayD::ones(vec![2]), at([1, 2, 1])]).root(), Error::Shape { .. }));
    assert!(matches!(with(&[at([1, 2, 1]) * f64::NAN, at([1, 2, 1])]).root(), Error::NotFinite { .. }));
    assert!(matches!(with(&[at([1, 2, 1]) * 0.0, at([1, 2, 1])]).root(), Error::NotFinite { .. }));
    assert!(matches!(model.with_parameters(&[at([1, 2, 1]) * 0.0, at([1, 2, 1])]), Err(Error::NotFinite { .. })));
}

fn learns_bars_and_stripes<T: Scalar>(settings: Adam) {
    let data = bars_and_stripes(4);
    let mut run = AdamRun::new(BornMps::<T>::random(&[2; 16], 24, Seed(1)).unwrap(), settings).unwrap();
    let outcome = run.fit(&data, None, &mut (), &mut ()).unwrap();
    let nll = run.best.nll(&data).unwrap();
    assert!((nll - 30f64.ln()).abs() < 0.01, "{nll}");
    assert!((outcome.best().unwrap().train_nll - nll).abs() < 1e-5);
    assert!(run.best.state().max_bond() <= 24);
}

#[test]
fn bars_and_stripes_are_learnt_at_a_fixed_bond_dimension() {
    learns_bars_and_stripes::<f64>(Adam::new(300));
    learns_bars_and_stripes::<f32>(Adam::new(300));
    learns_bars_and_stripes::<Complex64>(Adam::new(300));
    let rate = Schedule::new(0.01, (1..200).map(|epoch| 0.01 * 0.98f64.powi(epoch)));
    learns_bars_and_stripes::<f64>(Adam { mini_batches: Schedule::constant(4), rate, ..Adam::new(200) });
}

#[test]
fn the_first_step_moves_each_entry_by_the_rate_against_the_sign_of_its_gradient() {
    let data = random_rows(20, &[2, 3, 2], 1);
    let model = BornMps::<f64>::random(&[2, 3, 2], 3, Seed(1)).unwrap();
    let settings = Adam { rate: Schedule::constant(1e-3), ..Adam::new(1) };
    let mut run = AdamRun::new(model.clone(), settings).unwrap();
    let before = run.state.parameters.clone();
    let (_, gradient) = model.nll_and_gradient(&before, &data).unwrap();
    run.fit(&data, None, &mut (), &mut ()).unwrap();
    let mut expected: Vec<ArrayD<f64>> =
        before.iter().zip(&gradient).map(|(a, g)| a - g.mapv(|g| 1e-3 * g / (g.abs() + 1e-8))).collect();
    model.rescale(&mut expected).unwrap();
    assert!(difference(&run.state.parameters, &expected) < 1e-12);
}

fn mixed() -> (Batch<u8>, Batch<u8>, AdamRun<BornMps<f64>>) {
    let dims = [2, 3, 2, 4, 2, 2];
    let settings = Adam { mini_batches: Schedule::new(3, [5, 2]), ..Adam::new(6) };
    let model = BornMps::random(&dims, 4, Seed(2)).unwrap();
    (random_rows(61, &dims, 1), random_rows(20, &dims, 2), AdamRun::new(model, settings).unwrap())
}

/// Stops after so many steps.
struct StopAt(usize);

impl Observer for StopAt {
    fn bond(&mut self, _: usize, _: usize, _: usize, report: &BondReport) -> ansatz::Result<ControlFlow<Stop>> {
        assert!(report.nll.unwrap().is_finite());
        self.0 = self.0.saturating_sub(1);
        Ok(if self.0 == 0 { ControlFlow::Break(Stop::Interrupted) } else { ControlFlow::Continue(()) })
    }
}

fn timeless(history: &[SweepReport]) -> Vec<SweepReport> {
    history.iter().map(|report| SweepReport { seconds: 0.0, ..*report }).collect()
}

#[test]
fn a_run_of_adam_that_was_stopped_ends_in_the_same_bits() {
    let (train, valid, start) = mixed();
    let mut whole = start.clone();
    let outcome = whole.fit(&train, Some(&valid), &mut (), &mut ()).unwrap();
    assert_eq!((outcome.stop, outcome.history.len()), (Stop::ScheduleEnded, 6));
    // Epochs of 3, 5, 2, 2, 2, 2 steps.
    assert_eq!(whole.progress.steps, 16);
    let best = outcome.history.iter().map(|r| r.valid_nll.unwrap()).fold(f64::INFINITY, f64::min);
    assert_eq!(whole.best.nll(&valid).unwrap(), best);
    for steps in 1..16 {
        let mut parted = start.clone();
        assert_eq!(parted.fit(&train, Some(&valid), &mut StopAt(steps), &mut ()).unwrap().stop, Stop::Interrupted);
        parted.fit(&train, Some(&valid), &mut (), &mut ()).unwrap();
        assert_eq!((&parted.state, &parted.best), (&whole.state, &whole.best), "stopped after {steps} steps");
        assert_eq!(timeless(&parted.progress.history), timeless(&whole.progress.history));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit_of_a_run_of_adam() {
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (train, valid, mut run) = mixed();
        pool.install(|| run.fit(&train, Some(&valid), &mut (), &mut ()).unwrap());
        (run.state, run.best)
    };
    assert_eq!(fit(1), fit(3));
}

#[test]
fn a_sample_that_becomes_impossible_ends_the_run_and_the_best_model_is_kept() {
    let (train, _, start) = mixed();
    let mut run = start.clone();
    run.fit(&train, None, &mut StopAt(9), &mut ()).unwrap();
    let best = run.best.clone();
    // As if a step had put an amplitude to zero.
    run.state.parameters[0].fill(0.0);
    run.state.parameters[0][[0, 0, 0]] = 1.0;
    let before = run.state.clone();
    let error = run.fit(&train, None, &mut (), &mut ()).unwrap_err();
    assert!(matches!(&error, Error::Diverged { what, .. } if what.contains("zero amplitude")), "{error}");
    assert_eq!((&run.best, &run.state), (&best, &before));
    let product = |v: [f64; 2]| BornMps::new(Mps::product(&[v.to_vec(), vec![0.6, 0.8]]).unwrap()).unwrap();
    let mut run = AdamRun::new(product([1.0, 0.0]), Adam::new(3)).unwrap();
    let data = Batch::from_rows(&[[0u8, 0], [1, 1]]).unwrap();
    let error = run.fit(&data, None, &mut (), &mut ()).unwrap_err();
    assert!(matches!(error, Error::ZeroAmplitude { sample: 1 }), "{error}");
    // A held-out sample that is impossible is an infinite loss, not an error.
    let (seen, unseen) = (data.select(&[0]).unwrap(), data.select(&[1]).unwrap());
    let outcome = run.fit(&seen, Some(&unseen), &mut (), &mut ()).unwrap();
    assert_eq!(outcome.history[2].valid_nll, Some(f64::INFINITY));
}

#[test]
fn held_out_samples_judge_the_smoothed_model() {
    // The last site is never 1 in what is trained on, so that only smoothing makes the held-out sample possible.
    let product = Mps::product(&[vec![0.6, 0.8], vec![0.8, 0.6], vec![1.0, 0.0]]).unwrap();
    let seen = Batch::from_rows(&[[0u8, 0, 0], [1, 0, 0], [1, 1, 0]]).unwrap();
    let unseen = Batch::from_rows(&[[1u8, 0, 1]]).unwrap();
    let settings = Adam { smoothing: 0.01, ..Adam::new(5) };
    let mut run = AdamRun::new(BornMps::new(product).unwrap(), settings).unwrap();
    let outcome = run.fit(&seen, Some(&unseen), &mut (), &mut ()).unwrap();
    let scores: Vec<f64> = outcome.history.iter().map(|report| report.valid_nll.unwrap()).collect();
    assert!(scores.iter().all(|nll| nll.is_finite()));
    // The weight of the symbol that was never seen is close to 0.01^2.
    assert!(scores.iter().all(|nll| (*nll + 2.0 * 0.01f64.ln()).abs() < 1.5), "{scores:?}");
    let last = run.model().unwrap();
    assert_eq!(last.smoothed(0.01).unwrap().nll(&unseen).unwrap(), scores[4]);
    assert_eq!(last.nll(&unseen).unwrap(), f64::INFINITY);
    // The training loss, and the models, are those without smoothing.
    assert_eq!(last.nll(&seen).unwrap(), outcome.history[4].train_nll);
    let best = scores.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(run.best.smoothed(0.01).unwrap().nll(&unseen).unwrap(), best);
}

/// Counts how often it is asked.
struct Asked(usize);

impl<R> Keeper<R> for Asked {
    fn due(&mut self) -> bool {
        self.0 += 1;
        false
    }
    fn keep(&mut self, _: &R) -> ansatz::Result<()> {
        unreachable!()
    }
}

#[test]
fn a_keeper_is_asked_after_each_step() {
    let (train, _, mut run) = mixed();
    let mut keeper = Asked(0);
    run.fit(&train, None, &mut (), &mut keeper).unwrap();
    assert_eq!(keeper.0, 16);
}

#[test]
fn settings_of_adam_that_make_no_sense_are_refused() {
    let adam = || Adam::new(2);
    for (settings, name) in [
        (Adam { rate: Schedule::constant(f64::NAN), ..adam() }, "rate"),
        (Adam { rate: Schedule::new(0.1, [0.0]), ..adam() }, "rate"),
        (Adam { mini_batches: Schedule::constant(0), ..adam() }, "mini-batches"),
        (Adam { beta1: 1.0, ..adam() }, "beta1"),
        (Adam { beta2: -0.1, ..adam() }, "beta2"),
        (Adam { epsilon: 0.0, ..adam() }, "epsilon"),
        (Adam { smoothing: 1.0, ..adam() }, "smoothing"),
        (Adam { smoothing: f64::NAN, ..adam() }, "smoothing"),
    ] {
        let error = AdamRun::new(BornMps::<f64>::random(&[2; 3], 2, Seed(1)).unwrap(), settings).unwrap_err();
        assert!(matches!(&error, Error::Setting { name: found, .. } if *found == name), "{error}");
    }
    let other_sites = Batch::from_rows(&[[0u8, 1]]).unwrap();
    let mut run = AdamRun::new(BornMps::<f64>::random(&[2; 3], 2, Seed(1)).unwrap(), adam()).unwrap();
    assert!(matches!(run.fit(&other_sites, None, &mut (), &mut ()), Err(Error::Shape { .. })));
    assert!(run.memory(&random_rows(10, &[2; 3], 1)) > 0);
}
