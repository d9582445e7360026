//! Ground states by the density-matrix renormalisation group.
//!
//! S. R. White, Phys. Rev. Lett. 69, 2863 (1992); in the language of matrix product states, U. Schollwöck, Ann. Phys.
//! 326, 96 (2011).

mod lanczos;
mod settings;
mod split;
mod update;

use std::ops::ControlFlow;

pub use settings::{Dmrg, DmrgStop, SweepReport, Sweeps};

use self::update::{Chain, LocalUpdate};
use super::{Mpo, Mps, Toward};
use crate::error::{Error, Place, Result};
use crate::scalar::{LogScaled, Real, Scalar};

/// Lowers the energy of `start` under `hamiltonian`, two sites at a time; bonds grow as the settings allow.
///
/// `watch` is told of every sweep and may break off.
///
/// ```
/// use ansatz::chain::{Mps, OpSum, Sweeps, dmrg};
/// use std::ops::ControlFlow::Continue;
/// let mut ising = OpSum::new(&[2; 10]);
/// for i in 0..10 {
///     ising.add(-1.0, [("X", i)])?;
///     if i < 9 {
///         ising.add(-1.0, [("Z", i), ("Z", i + 1)])?;
///     }
/// }
/// let start = Mps::<f64>::random(&[2; 10], 4, ansatz::Seed(1))?;
/// let ground = dmrg(&ising.to_mpo()?, start, &Sweeps::new(4, 32), &mut |_| Continue(()))?;
/// assert!((ground.energy + 12.381489999654752).abs() < 1e-9);
/// # Ok::<(), ansatz::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if operator and state do not fit, [`Error::Setting`] for impossible settings, a single site or an
/// operator that is not Hermitian, [`Error::NotFinite`] if the state is zero.
pub fn dmrg<T: Scalar>(
    hamiltonian: &Mpo<T>,
    start: Mps<T>,
    sweeps: &Sweeps,
    watch: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
) -> Result<Dmrg<T>> {
    if start.sites() < 2 {
        return Err(Error::setting("sites", start.sites(), "two-site DMRG needs at least 2"));
    }
    run(hamiltonian, start, (&[], 0.0), sweeps, watch, update::two_sites)
}

/// Lowers the energy of `start` under `hamiltonian`, one site at a time, with subspace expansion: cheaper than two
/// sites, and strictly falling once there is no noise; bonds grow only in sweeps with [`Sweeps::noises`].
///
/// # Errors
/// As [`dmrg`], but for the single site.
pub fn dmrg_single_site<T: Scalar>(
    hamiltonian: &Mpo<T>,
    start: Mps<T>,
    sweeps: &Sweeps,
    watch: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
) -> Result<Dmrg<T>> {
    run(hamiltonian, start, (&[], 0.0), sweeps, watch, update::one_site)
}

/// Lowers the energy of `start` while keeping it away from the states `lower`, two sites at a time: with the ground
/// state in `lower` the first excited state is found, and so on.
///
/// Minimises `<H> + penalty * sum |<lower|psi>|^2`; the penalty has to be larger than the gap. The energies of the sweeps
/// contain it, the energy of the outcome does not.
///
/// # Errors
/// As [`dmrg`]; [`Error::Setting`] for a penalty that is not finite and positive.
pub fn dmrg_excited<T: Scalar>(
    hamiltonian: &Mpo<T>,
    start: Mps<T>,
    lower: &[Mps<T>],
    penalty: f64,
    sweeps: &Sweeps,
    watch: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
) -> Result<Dmrg<T>> {
    if start.sites() < 2 {
        return Err(Error::setting("sites", start.sites(), "two-site DMRG needs at least 2"));
    }
    if !penalty.is_finite() || penalty <= 0.0 {
        return Err(Error::setting("penalty", penalty, "give a finite energy above 0, larger than the gap"));
    }
    let mut outcome = run(hamiltonian, start, (lower, penalty), sweeps, watch, update::two_sites)?;
    outcome.energy = hamiltonian.expectation(&outcome.state)?.re().to_f64();
    Ok(outcome)
}

fn run<T: Scalar>(
    hamiltonian: &Mpo<T>,
    mut start: Mps<T>,
    (lower, penalty): (&[Mps<T>], f64),
    sweeps: &Sweeps,
    watch: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
    update: LocalUpdate<T>,
) -> Result<Dmrg<T>> {
    sweeps.validate()?;
    hamiltonian.check_ins(&start)?;
    check_hermitian(hamiltonian)?;
    start.move_centre(0)?;
    start.normalise()?;
    start.factor = LogScaled::one();
    let mut others = lower.to_vec();
    for other in &mut others {
        start.check_same_dims(other)?;
        other.normalise()?;
    }
    let mut chain = Chain::new(hamiltonian, start, &others, penalty)?;
    let (mut reports, mut stop) = (Vec::new(), DmrgStop::SweepsDone);
    let (bonds, mut energy) = (chain.sites() - 1, f64::INFINITY);
    for sweep in 0..sweeps.count() {
        let mut report = SweepReport { sweep, energy, max_bond: 1, discarded_weight: 0.0, products: 0 };
        let there = (0..bonds).map(|bond| (bond, Toward::Right));
        let back = (0..bonds).rev().map(|bond| (bond, Toward::Left));
        for (bond, toward) in there.chain(back) {
            let step = update(&mut chain, bond, toward, sweep, sweeps).map_err(|e| e.at(Place::Bond(bond)))?;
            report.energy = step.energy;
            report.discarded_weight = report.discarded_weight.max(step.discarded_weight);
            report.products += step.products;
        }
        if bonds == 0 {
            let step = chain.solve_last_site(sweeps)?;
            (report.energy, report.products) = (step.energy, step.products);
        }
        report.max_bond = chain.state().max_bond();
        let change = energy - report.energy;
        energy = report.energy;
        reports.push(report);
        tracing::debug!(sweep, energy, max_bond = report.max_bond, discarded = report.discarded_weight, "dmrg sweep");
        if watch(&report).is_break() {
            stop = DmrgStop::Asked;
            break;
        }
        if sweeps.is_converged(sweep, change) {
            stop = DmrgStop::Converged;
            break;
        }
    }
    Ok(Dmrg { state: chain.into_state()?, energy, sweeps: reports, stop })
}

/// Lanczos takes the operator for Hermitian; one that is not would give numbers that mean nothing.
fn check_hermitian<T: Scalar>(hamiltonian: &Mpo<T>) -> Result<()> {
    let (h, adjoint) = (hamiltonian.as_chain(), hamiltonian.adjoint().as_chain());
    let norm = h.norm_squared();
    if norm.is_zero() {
        return Ok(());
    }
    // |H - H^+|^2 = 2 |H|^2 - 2 Re <H, H^+>
    let overlap = (adjoint.inner(&h)? / LogScaled::exp(norm.ln_abs())).value().re().to_f64();
    let epsilon = <T::Real as num_traits::Float>::epsilon().to_f64();
    if outside(2.0 - 2.0 * overlap, 1e4 * epsilon) {
        let distance = format!("at relative distance {:.1e} from its adjoint", (2.0 - 2.0 * overlap).sqrt());
        return Err(Error::setting("hamiltonian", distance, "give a Hermitian operator"));
    }
    Ok(())
}

fn outside(x: f64, limit: f64) -> bool {
    x.is_nan() || x.abs() > limit
}
