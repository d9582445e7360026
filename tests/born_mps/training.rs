//! Training of matrix-product Born machines by two-site sweeps.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::patterns::bars_and_stripes;
use ansatz::chain::Mps;
use ansatz::linalg::Truncation;
use ansatz::model::{BondSweeper, Direction, Splitting, Step, SweepSetup, Sweepable};
use ansatz::train::{BondReport, Keeper, Observer, Run, Schedule, Stop, TwoSite};
use ansatz::{Batch, BornMps, GenerativeModel, Scalar, Seed};
use ndarray::{Array3, Array4};
use rand::RngExt;

fn random_patterns(count: usize, sites: usize, seed: u64) -> Batch<u8> {
    let mut stream = Seed(seed).stream("patterns", 0);
    let mut rows = BTreeSet::new();
    while rows.len() < count {
        rows.insert((0..sites).map(|_| stream.random_range(0..2u8)).collect::<Vec<_>>());
    }
    Batch::from_rows(&rows.into_iter().collect::<Vec<_>>()).unwrap()
}

fn plain(sweeps: usize, max_bond: usize) -> TwoSite {
    TwoSite {
        direction: Direction::Plain,
        rate: Schedule::constant(0.1),
        steps: Schedule::constant(10),
        cutoff: Schedule::constant(5e-5),
        ..TwoSite::new(sweeps, max_bond)
    }
}

#[test]
fn bars_and_stripes_are_learnt_exactly_within_three_sweeps() {
    let data = bars_and_stripes(4);
    assert_eq!(data.samples(), 30);
    let model = BornMps::<f64>::random(&[2; 16], 2, Seed(1)).unwrap();
    let mut run = Run::new(model, plain(3, 100)).unwrap();
    run.fit(&data, None, &mut (), &mut ()).unwrap();
    let nll = run.best.nll(&data).unwrap();
    assert!((nll - 30f64.ln()).abs() < 1e-9, "{nll}");
    assert_eq!(run.best.state().bonds(), [2, 4, 8, 15, 16, 16, 16, 15, 16, 16, 16, 15, 8, 4, 2]);
}

#[test]
fn random_patterns_are_learnt_to_the_entropy_of_the_set() {
    let data = random_patterns(20, 20, 3);
    let model = BornMps::<f64>::random(&[2; 20], 2, Seed(2)).unwrap();
    let settings = TwoSite { cutoff: Schedule::constant(1e-7), ..plain(20, 40) };
    let mut run = Run::new(model, settings).unwrap();
    run.fit(&data, None, &mut (), &mut ()).unwrap();
    let nll = run.best.nll(&data).unwrap();
    assert!((nll - 20f64.ln()).abs() < 1e-9, "{nll}");
}

/// The loss is the one that finite differences of the merged tensor see, for real and complex amplitudes.
fn step_descends<T: Scalar>() {
    let data = random_patterns(15, 8, 5);
    let model = BornMps::<T>::random(&[2; 8], 3, Seed(4)).unwrap();
    let setup = SweepSetup { mini_batches: 1, seed: Seed(1), max_bond: 64, min_bond: 1, memory: None };
    let rate = 1e-6;
    let step = Step {
        rate,
        truncation: Truncation::none().max_bond(64),
        direction: Direction::Plain,
        steps: 1,
        splitting: Splitting::Exact,
    };
    let mut sweeper = model.sweeper(&data, &setup).unwrap();
    sweeper.begin().unwrap();
    for (bond, toward) in sweeper.plan() {
        let before = sweeper.model().unwrap();
        let update = sweeper.update(bond, toward, &step).unwrap();
        let after = sweeper.model().unwrap();
        let (old, new) = (before.nll(&data).unwrap(), after.nll(&data).unwrap());
        assert!((old - update.nll).abs() < 1e-10);
        assert!((sweeper.nll().unwrap() - new).abs() < 1e-10);
        // The change of the state per rate is half the gradient descent direction's share: d(NLL)/d(rate) = -|G|^2,
        // and G, being orthogonal to the state, is how far the state moved.
        let moved = 2.0 * (1.0 - before.state().inner(after.state()).unwrap().value().to_c64().norm());
        let slope = moved / (rate * rate);
        assert!(
            (old - new - slope * rate).abs() < 1e-3 * slope * rate,
            "bond {bond}: {} and {}",
            old - new,
            slope * rate
        );
    }
}

#[test]
fn a_small_step_lowers_the_loss_by_the_square_of_the_gradient() {
    step_descends::<f64>();
    step_descends::<num_complex::Complex64>();
}

/// The tensor of both sites of a bond.
fn merged<T: Scalar>(state: &Mps<T>, bond: usize) -> Array4<T> {
    let (a, b) = (&state.tensors()[bond], &state.tensors()[bond + 1]);
    let ((l, d, m), (_, e, r)) = (a.dim(), b.dim());
    let rows = a.clone().into_shape_with_order((l * d, m)).unwrap();
    rows.dot(&b.clone().into_shape_with_order((m, e * r)).unwrap()).into_shape_with_order((l, d, e, r)).unwrap()
}

/// The loss with `pair` in place of the two sites of a bond, by amplitudes one at a time and the norm of the state.
fn loss_with<T: Scalar>(state: &Mps<T>, bond: usize, pair: &Array4<T>, data: &Batch<u8>) -> f64 {
    let (l, d, e, r) = pair.dim();
    let mut tensors = state.tensors().to_vec();
    // The left site only says which row is meant.
    let left = Array3::from_shape_fn((l, d, l * d), |(i, s, m)| if m == i * d + s { T::one() } else { T::zero() });
    tensors[bond] = left;
    tensors[bond + 1] = pair.clone().into_shape_with_order((l * d, e, r)).unwrap();
    let state = Mps::new(tensors).unwrap();
    let amplitudes = (0..data.samples()).map(|i| state.amplitude(&data.row(i).to_vec()).unwrap().ln_abs());
    state.norm_squared().ln_abs() - 2.0 * amplitudes.sum::<f64>() / data.samples() as f64
}

fn a_step_follows_the_differences<T: Scalar>() {
    let dims = [2, 3, 2, 4, 2];
    let rows: Vec<Vec<u8>> = (0..11u8).map(|i| dims.iter().map(|&d| (i * 7 + i / 3) % d as u8).collect()).collect();
    let data = Batch::from_rows(&rows).unwrap();
    let setup = SweepSetup { mini_batches: 1, seed: Seed(1), max_bond: 64, min_bond: 1, memory: None };
    let rate = 1e-3;
    let step = Step {
        rate,
        truncation: Truncation::none(),
        direction: Direction::Plain,
        steps: 1,
        splitting: Splitting::Exact,
    };
    let start = BornMps::<T>::new(Mps::random(&dims, 4, Seed(4)).unwrap()).unwrap();
    let mut sweeper = start.sweeper(&data, &setup).unwrap();
    sweeper.begin().unwrap();
    for (bond, toward) in sweeper.plan() {
        let before = sweeper.model().unwrap().into_state();
        sweeper.update(bond, toward, &step).unwrap();
        let (old, new) = (merged(&before, bond), merged(sweeper.model().unwrap().state(), bond));
        // The gradient is orthogonal to the tensor, so what is left of the latter says by what was divided.
        let share: T = old.iter().zip(&new).map(|(m, n)| m.conj() * *n).sum();
        let step_taken = new.mapv(|x| x / share) - &old;
        let h = 1e-5;
        let slope = |at: (usize, usize, usize, usize), direction: T| {
            let loss = |sign: f64| {
                let mut pair = old.clone();
                pair[at] += direction * T::from_f64(sign * h);
                loss_with(&before, bond, &pair, &data)
            };
            // To fourth order: small amplitudes bend the loss.
            (8.0 * (loss(1.0) - loss(-1.0)) - (loss(2.0) - loss(-2.0))) / (12.0 * h)
        };
        let largest = step_taken.iter().map(|x| x.to_c64().norm()).fold(0.0, f64::max);
        for (at, taken) in step_taken.indexed_iter() {
            // - 2 dL/d conj(M) = - (dL/dx + i dL/dy), of which a real tensor has the first part.
            let im = if T::IS_COMPLEX { slope(at, T::from_parts(0.0, 1.0)) } else { 0.0 };
            let expected = T::from_parts(-rate * slope(at, T::one()), -rate * im);
            let error = (*taken - expected).to_c64().norm() / largest;
            assert!(error < 1e-6, "bond {bond}, {at:?}: {error}");
        }
    }
}

#[test]
fn a_step_at_a_bond_follows_the_gradient_of_finite_differences() {
    a_step_follows_the_differences::<f64>();
    a_step_follows_the_differences::<num_complex::Complex64>();
}

/// What the first bond of a sweep becomes: the tensor before, and after one step.
fn first_step(model: &BornMps<f64>, data: &Batch<u8>, direction: Direction, rate: f64) -> (Array4<f64>, Array4<f64>) {
    let setup = SweepSetup { mini_batches: 1, seed: Seed(1), max_bond: 64, min_bond: 1, memory: None };
    let truncation = Truncation::none();
    let step = Step { rate, truncation, direction, steps: 1, splitting: Splitting::Exact };
    let mut sweeper = model.sweeper(data, &setup).unwrap();
    sweeper.begin().unwrap();
    let (bond, toward) = sweeper.plan()[0];
    let before = merged(sweeper.model().unwrap().state(), bond);
    sweeper.update(bond, toward, &step).unwrap();
    (before, merged(sweeper.model().unwrap().state(), bond))
}

#[test]
fn scaled_and_adam_directions_are_made_of_the_plain_one() {
    let data = random_patterns(15, 8, 5);
    let model = BornMps::<f64>::random(&[2; 8], 5, Seed(4)).unwrap();
    let unit = |a: Array4<f64>| {
        let norm = a.iter().map(|x| x * x).sum::<f64>().sqrt();
        a / norm
    };
    let (start, plain) = first_step(&model, &data, Direction::Plain, 1e-2);
    let share: f64 = start.iter().zip(&plain).map(|(a, b)| a * b).sum();
    let gradient = (plain / share - &start) / 1e-2;
    let (_, scaled) = first_step(&model, &data, Direction::NormScaled, 1e-2);
    let length = (start.len() as f64).powf(0.25);
    let expected = unit(&start + &(unit(gradient.clone()) * (1e-2 * length)));
    assert!((scaled - expected).iter().all(|x| x.abs() < 1e-10));
    // The first step of Adam moves every entry by the rate, whatever the size of its gradient.
    let (_, adam) = first_step(&model, &data, Direction::Adam, 1e-2);
    let expected = unit(&start + &gradient.mapv(|g| 1e-2 * g / (g.abs() + 1e-8)));
    assert!((adam - expected).iter().all(|x| x.abs() < 1e-5));
}

#[test]
fn every_direction_learns_patterns_by_heart() {
    let data = random_patterns(10, 12, 3);
    for (direction, rate) in [(Direction::Plain, 0.1), (Direction::NormScaled, 0.02), (Direction::Adam, 0.02)] {
        let settings = TwoSite { direction, rate: Schedule::constant(rate), ..plain(15, 12) };
        let mut run = Run::new(BornMps::<f64>::random(&[2; 12], 2, Seed(2)).unwrap(), settings).unwrap();
        run.fit(&data, None, &mut (), &mut ()).unwrap();
        let nll = run.best.nll(&data).unwrap();
        assert!(nll > 10f64.ln() - 1e-12 && nll < 10f64.ln() + 0.02, "{direction:?}: {nll}");
    }
}

#[test]
fn warm_splits_lose_no_more_than_they_say_and_learn_as_well() {
    let data = random_patterns(200, 24, 7);
    let fit = |splitting| {
        let model = BornMps::<f64>::random(&[2; 24], 2, Seed(2)).unwrap();
        let mut run = Run::new(model, TwoSite { splitting, ..TwoSite::new(8, 24) }).unwrap();
        run.fit(&data, None, &mut (), &mut ()).unwrap();
        run.best.nll(&data).unwrap()
    };
    let (warm, exact) = (fit(Splitting::Warm), fit(Splitting::Exact));
    assert!(warm < exact + 0.1, "warm {warm}, exact {exact}");
}

/// Stops after so many bonds, and stores the run at the same moment.
struct StopAt {
    bonds: usize,
}

impl Observer for StopAt {
    fn bond(&mut self, _: usize, _: usize, _: usize, _: &BondReport) -> ansatz::Result<ControlFlow<Stop>> {
        self.bonds = self.bonds.saturating_sub(1);
        Ok(if self.bonds == 0 { ControlFlow::Break(Stop::Interrupted) } else { ControlFlow::Continue(()) })
    }
}

#[test]
fn a_run_that_was_stopped_mid_sweep_ends_in_the_same_bits() {
    let data = random_patterns(60, 14, 9);
    let settings = TwoSite { mini_batches: Schedule::constant(3), steps: Schedule::constant(2), ..TwoSite::new(4, 12) };
    let start = || Run::new(BornMps::<f64>::random(&[2; 14], 2, Seed(2)).unwrap(), settings.clone()).unwrap();
    let mut whole = start();
    whole.fit(&data, None, &mut (), &mut ()).unwrap();
    for bonds in [1, 7, 24, 30, 61] {
        let mut parted = start();
        let outcome = parted.fit(&data, None, &mut StopAt { bonds }, &mut ()).unwrap();
        assert_eq!(outcome.stop, Stop::Interrupted);
        let mut parted = Run { ..parted.clone() };
        parted.fit(&data, None, &mut (), &mut ()).unwrap();
        assert_eq!(parted.current, whole.current, "stopped after {bonds} bonds");
        assert_eq!(parted.best, whole.best);
    }
}

struct KeepAll<M>(Vec<Run<M>>, usize);

impl<M: Clone + Send> Keeper<Run<M>> for KeepAll<M> {
    fn due(&mut self) -> bool {
        self.1 += 1;
        self.1.is_multiple_of(17)
    }
    fn keep(&mut self, run: &Run<M>) -> ansatz::Result<()> {
        self.0.push(run.clone());
        Ok(())
    }
}

#[test]
fn every_stored_state_of_a_run_leads_to_the_same_end() {
    let data = random_patterns(40, 12, 11);
    let mut whole = Run::new(BornMps::<f32>::random(&[2; 12], 2, Seed(2)).unwrap(), TwoSite::new(3, 8)).unwrap();
    let mut kept = KeepAll(Vec::new(), 0);
    whole.fit(&data, None, &mut (), &mut kept).unwrap();
    assert!(kept.0.len() > 2);
    for mut run in kept.0 {
        run.fit(&data, None, &mut (), &mut ()).unwrap();
        assert_eq!(run.current, whole.current);
    }
}

#[test]
fn memory_ceilings_change_no_bit() {
    let data = random_patterns(100, 30, 13);
    let fit = |memory| {
        let model = BornMps::<f64>::random(&[2; 30], 2, Seed(2)).unwrap();
        let mut run = Run::new(model, TwoSite { memory, ..TwoSite::new(2, 16) }).unwrap();
        let bytes = run.memory(&data);
        bytes.map(|(expected, most)| {
            assert!(expected <= most);
            run.fit(&data, None, &mut (), &mut ()).unwrap();
            (most, run.current)
        })
    };
    let (all, model) = fit(None).unwrap();
    let Err(ansatz::Error::Memory { needed, .. }) = fit(Some(1000)) else { panic!("a kilobyte was enough") };
    assert!(needed < all);
    let (less, same) = fit(Some(needed)).unwrap();
    assert_eq!(less, needed);
    assert_eq!(model, same);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let data = random_patterns(1200, 26, 15);
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let model = BornMps::<f64>::random(&[2; 26], 2, Seed(2)).unwrap();
            let mut run = Run::new(model, TwoSite::new(3, 48)).unwrap();
            run.fit(&data, None, &mut (), &mut ()).unwrap();
            run.current
        })
    };
    assert_eq!(fit(1), fit(3));
}

#[test]
fn a_rate_that_is_far_too_high_is_lowered_and_the_loss_never_rises() {
    let data = random_patterns(50, 12, 17);
    let model = BornMps::<f64>::random(&[2; 12], 2, Seed(2)).unwrap();
    let settings = TwoSite { rate: Schedule::constant(1e3), direction: Direction::Plain, ..TwoSite::new(8, 16) };
    let mut run = Run::new(model, settings).unwrap();
    let outcome = run.fit(&data, None, &mut (), &mut ()).unwrap();
    assert!(outcome.history.windows(2).all(|w| w[1].train_nll <= w[0].train_nll));
    assert!(run.best.nll(&data).unwrap().is_finite());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let model = || BornMps::<f64>::random(&[2; 4], 2, Seed(1)).unwrap();
    for settings in [
        TwoSite { rate: Schedule::constant(f64::NAN), ..TwoSite::new(1, 4) },
        TwoSite::new(1, 0),
        TwoSite { cutoff: Schedule::constant(-1.0), ..TwoSite::new(1, 4) },
        TwoSite { mini_batches: Schedule::constant(0), ..TwoSite::new(1, 4) },
    ] {
        assert!(matches!(Run::new(model(), settings), Err(ansatz::Error::Setting { .. })));
    }
    let other_sites = Batch::from_rows(&[[0u8, 1]]).unwrap();
    let mut run = Run::new(model(), TwoSite::new(1, 4)).unwrap();
    assert!(matches!(run.fit(&other_sites, None, &mut (), &mut ()), Err(ansatz::Error::Shape { .. })));
}
