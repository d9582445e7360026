//! Ground states against exact energies.

use std::ops::ControlFlow;

use crate::common::*;
use ansatz::chain::{DmrgStop, Mpo, Mps, OpSum, Sweeps, dmrg, dmrg_excited, dmrg_single_site};
use ansatz::linalg::eigh;
use ansatz::{Error, Scalar, Seed};
use num_complex::{Complex32, Complex64};

fn silent(_: &ansatz::chain::SweepReport) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn the_ising_chain_has_its_exact_energy() {
    for (sites, exact) in [(10, -12.381_489_999_654_752), (20, -25.107_797_112)] {
        let sweeps = Sweeps::new(6, 64).cutoff(1e-10);
        let start = Mps::<f64>::random(&vec![2; sites], 4, Seed(1)).unwrap();
        let ground = dmrg(&ising(sites, 1.0).to_mpo().unwrap(), start, &sweeps, &mut silent).unwrap();
        assert!((ground.energy - exact).abs() < 2e-9, "{}", ground.energy);
        assert!(ground.state.max_bond() <= 64);
    }
}

#[test]
fn a_hundred_ising_sites_reach_eight_digits() {
    let sweeps = Sweeps::new(4, 64).max_bonds(&[10, 20, 30]).cutoff(1e-8);
    let start = Mps::<f64>::random(&[2; 100], 2, Seed(1)).unwrap();
    let ground = dmrg(&ising(100, 1.0).to_mpo().unwrap(), start, &sweeps, &mut silent).unwrap();
    assert!((ground.energy + 126.961_876_740).abs() < 1e-8, "{}", ground.energy);
    let variance = ising(100, 1.0).to_mpo::<f64>().unwrap().variance(&ground.state).unwrap();
    assert!(variance.abs() < 1e-8, "{variance}");
}

#[test]
fn the_heisenberg_chain_has_its_exact_energy_in_real_and_complex_numbers() {
    for (sites, exact) in [(10, -4.258_035_207_283), (14, -6.026_724_661_862)] {
        let sweeps = Sweeps::new(6, 64).cutoff(1e-11);
        let hamiltonian: Mpo<f64> = heisenberg(sites).to_mpo().unwrap();
        let ground = dmrg(&hamiltonian, neel(sites), &sweeps, &mut silent).unwrap();
        assert!((ground.energy - exact).abs() < 1e-10, "{}", ground.energy);
        assert!(hamiltonian.variance(&ground.state).unwrap().abs() < 1e-8);
        assert!((hamiltonian.expectation(&ground.state).unwrap() - ground.energy).abs() < 1e-10);
    }
    let sweeps = Sweeps::new(6, 64).cutoff(1e-11);
    let ground = dmrg(&heisenberg(10).to_mpo::<Complex64>().unwrap(), neel(10), &sweeps, &mut silent).unwrap();
    assert!((ground.energy + 4.258_035_207_283).abs() < 1e-10);
}

/// Long range, several site dimensions, a constant, terms of three sites: nothing a special case of the kernel fits.
fn jumble(complex: bool) -> (Vec<usize>, OpSum) {
    let dims = vec![2, 3, 2, 2, 3, 2];
    let mut sum = OpSum::new(&dims);
    sum.add_constant(1.5).unwrap();
    for i in 0..6 {
        sum.add(0.3 * i as f64, [("Sz", i)]).unwrap();
        for j in 0..i {
            let weight = 1.0 / (i - j) as f64;
            sum.add(weight, [("Sx", j), ("Sx", i)]).unwrap();
            sum.add(0.5 * weight, [("S+", j), ("S-", i)]).unwrap();
            sum.add(0.5 * weight, [("S-", j), ("S+", i)]).unwrap();
        }
    }
    sum.add(0.7, [("Sz", 0), ("Sx", 2), ("Sz", 5)]).unwrap();
    if complex {
        sum.add(0.9, [("Sy", 1), ("Sx", 3)]).unwrap();
        sum.add(Complex64::new(0.0, 0.4), [("S+", 0), ("S-", 4)]).unwrap();
        sum.add(Complex64::new(0.0, -0.4), [("S-", 0), ("S+", 4)]).unwrap();
    }
    (dims, sum)
}

fn any_hamiltonian_is_solved<T: Scalar>(tolerance: f64) {
    let (dims, sum) = jumble(T::IS_COMPLEX);
    let mut hamiltonian: Mpo<T> = sum.to_mpo().unwrap();
    let exact = f64::from_value(eigh(&hamiltonian.to_dense().unwrap().view()).unwrap().values[0]);
    let start = Mps::random(&dims, 3, Seed(2)).unwrap();
    let sweeps = Sweeps::new(8, 40).noises(&[1e-2, 1e-3, 0.0]);
    for solver in [dmrg::<T>, dmrg_single_site::<T>] {
        let ground = solver(&hamiltonian, start.clone(), &sweeps, &mut silent).unwrap();
        assert!((ground.energy - exact).abs() < tolerance, "{} {exact}", ground.energy);
        let mean = hamiltonian.expectation(&ground.state).unwrap().to_c64();
        assert!((mean - exact).norm() < tolerance);
        assert!(ground.state.clone().assume_centre(0).is_ok());
        assert!((plain(ground.state.norm()) - 1.0).abs() < tolerance);
    }
    hamiltonian.scale(ansatz::LogScaled::from(T::from_f64(-2.0)));
    let ground = dmrg(&hamiltonian, start, &sweeps, &mut silent).unwrap();
    let exact = f64::from_value(eigh(&hamiltonian.to_dense().unwrap().view()).unwrap().values[0]);
    assert!((ground.energy - exact).abs() < 4.0 * tolerance);
}

trait FromValue {
    fn from_value<R: ansatz::Real>(x: R) -> Self;
}
impl FromValue for f64 {
    fn from_value<R: ansatz::Real>(x: R) -> f64 {
        ansatz::Real::to_f64(x)
    }
}

#[test]
fn long_ranged_hamiltonians_on_mixed_sites_are_solved_in_every_precision() {
    any_hamiltonian_is_solved::<f32>(1e-4);
    any_hamiltonian_is_solved::<f64>(1e-9);
    any_hamiltonian_is_solved::<Complex32>(1e-4);
    any_hamiltonian_is_solved::<Complex64>(1e-9);
}

#[test]
fn a_single_site_sweep_finds_its_bonds_from_a_product_state() {
    let sweeps = Sweeps::new(12, 32).noises(&[1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 0.0]).cutoff(1e-12);
    let ground = dmrg_single_site(&heisenberg(10).to_mpo::<f64>().unwrap(), neel(10), &sweeps, &mut silent).unwrap();
    assert!((ground.energy + 4.258_035_207_283).abs() < 1e-9, "{}", ground.energy);
    // Without noise it has no way to a larger bond.
    let stuck = dmrg_single_site(&heisenberg(10).to_mpo::<f64>().unwrap(), neel(10), &Sweeps::new(2, 32), &mut silent);
    assert_eq!(stuck.unwrap().state.max_bond(), 1);
    let one = dmrg_single_site(&ising(1, 1.0).to_mpo::<f64>().unwrap(), neel(1), &Sweeps::new(1, 1), &mut silent);
    assert!((one.unwrap().energy + 1.0).abs() < 1e-12);
}

#[test]
fn energies_fall_bonds_keep_the_schedule_and_the_watcher_can_stop() {
    let hamiltonian = heisenberg(16).to_mpo::<f64>().unwrap();
    let mut seen = Vec::new();
    let sweeps = Sweeps::new(9, 30).max_bonds(&[4, 8, 30]);
    let ground = dmrg(&hamiltonian, neel(16), &sweeps, &mut |report| {
        seen.push(*report);
        if report.sweep == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let ground = ground.unwrap();
    assert_eq!((ground.stop, seen.len()), (DmrgStop::Asked, 5));
    assert_eq!(ground.sweeps, seen);
    assert!(seen.windows(2).all(|w| w[1].energy < w[0].energy + 1e-10));
    assert_eq!(seen.iter().map(|r| r.max_bond).collect::<Vec<_>>(), [4, 8, 30, 30, 30]);
    assert!(seen[4].discarded_weight > 0.0 && seen[4].discarded_weight < 1e-8);
    let ground = dmrg(&hamiltonian, neel(16), &sweeps.clone().until(1e-6), &mut silent).unwrap();
    assert!(ground.stop == DmrgStop::Converged && ground.sweeps.len() < 9);
}

fn excited_states_follow<T: Scalar>(tolerance: f64) {
    let (dims, sum) = jumble(T::IS_COMPLEX);
    let hamiltonian: Mpo<T> = sum.to_mpo().unwrap();
    let exact = eigh(&hamiltonian.to_dense().unwrap().view()).unwrap().values;
    let sweeps = Sweeps::new(30, 40);
    let mut lower: Vec<Mps<T>> = Vec::new();
    for (number, &exact) in exact.iter().take(3).enumerate() {
        let start = Mps::random(&dims, 8, Seed(10 + number as u64)).unwrap();
        let found = dmrg_excited(&hamiltonian, start, &lower, 20.0, &sweeps, &mut silent).unwrap();
        assert!((found.energy - f64::from_value(exact)).abs() < tolerance, "{number}: {} {exact}", found.energy);
        assert!(lower.iter().all(|l| plain(l.inner(&found.state).unwrap().abs()) < tolerance.sqrt()));
        lower.push(found.state);
    }
    // The norm of a lower state does not matter.
    lower[0].scale(ansatz::LogScaled::exp(50.0));
    let start = Mps::random(&dims, 8, Seed(11)).unwrap();
    let again = dmrg_excited(&hamiltonian, start.clone(), &lower[..1], 20.0, &sweeps, &mut silent).unwrap();
    assert!((again.energy - f64::from_value(exact[1])).abs() < tolerance);
    assert!(dmrg_excited(&hamiltonian, start.clone(), &lower, f64::NAN, &sweeps, &mut silent).is_err());
    let wrong = [Mps::random(&[2; 6], 4, Seed(1)).unwrap()];
    assert!(matches!(dmrg_excited(&hamiltonian, start, &wrong, 1.0, &sweeps, &mut silent), Err(Error::Shape { .. })));
}

#[test]
fn excited_states_follow_the_ground_state() {
    excited_states_follow::<f64>(1e-8);
    excited_states_follow::<Complex64>(1e-8);
    excited_states_follow::<f32>(1e-3);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let hamiltonian = heisenberg(12).to_mpo::<f64>().unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| dmrg(&hamiltonian, neel(12), &Sweeps::new(2, 64), &mut silent).unwrap())
    };
    let (one, three) = (run(1), run(3));
    assert_eq!((one.energy, one.state), (three.energy, three.state));
}

#[test]
fn settings_and_operators_that_make_no_sense_are_refused() {
    let hamiltonian = ising(4, 1.0).to_mpo::<f64>().unwrap();
    let refuses = |sweeps: Sweeps| {
        let outcome = dmrg(&hamiltonian, neel(4), &sweeps, &mut silent);
        matches!(outcome, Err(Error::Setting { .. }))
    };
    assert!(refuses(Sweeps::new(0, 4)) && refuses(Sweeps::new(1, 0)) && refuses(Sweeps::new(1, 4).max_bonds(&[])));
    assert!(refuses(Sweeps::new(1, 4).cutoff(f64::NAN)) && refuses(Sweeps::new(1, 4).noises(&[-1.0])));
    assert!(refuses(Sweeps::new(1, 4).krylov(0, 0.1)) && refuses(Sweeps::new(1, 4).until(-1.0)));
    let short = dmrg(&hamiltonian, neel(3), &Sweeps::new(1, 4), &mut silent);
    assert!(matches!(short, Err(Error::Shape { .. })));
    let one = dmrg(&ising(1, 1.0).to_mpo::<f64>().unwrap(), neel(1), &Sweeps::new(1, 4), &mut silent);
    assert!(matches!(one, Err(Error::Setting { name: "sites", .. })));
    let mut raising = OpSum::new(&[2; 4]);
    raising.add(1.0, [("S+", 1)]).unwrap();
    let skew = dmrg(&raising.to_mpo::<f64>().unwrap(), neel(4), &Sweeps::new(1, 4), &mut silent);
    assert!(matches!(skew, Err(Error::Setting { name: "hamiltonian", .. })));
    let zero = Mps::product(&vec![vec![0.0, 0.0]; 4]).unwrap();
    assert!(matches!(dmrg(&hamiltonian, zero, &Sweeps::new(1, 4), &mut silent), Err(Error::NotFinite { .. })));
    let nothing = OpSum::new(&[2; 4]).to_mpo::<f64>().unwrap();
    assert!(dmrg(&nothing, neel(4), &Sweeps::new(1, 4), &mut silent).unwrap().energy.abs() < 1e-15);
}
