//! What a run is asked to do, and what came of it.

use crate::chain::Mps;
use crate::error::{Error, Result};
use crate::linalg::Truncation;
use crate::scalar::Scalar;

/// Settings of a DMRG run, sweep by sweep; in every list the last entry repeats.
///
/// ```
/// use ansatz::chain::Sweeps;
/// let sweeps = Sweeps::new(8, 100).max_bonds(&[10, 20, 50, 100]).cutoff(1e-10).noises(&[1e-3, 1e-5, 0.0]).until(1e-9);
/// assert_eq!(sweeps.max_bond_at(1), 20);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sweeps {
    count: usize,
    max_bond: Vec<usize>,
    cutoff: Vec<f64>,
    noise: Vec<f64>,
    until: f64,
    krylov: usize,
    reduce: f64,
}

impl Sweeps {
    /// `count` sweeps, each once along the chain and back, with bonds up to `max_bond`; nothing else is cut off, no
    /// noise is added, and the run does not stop early. Local eigenproblems take up to 8 Krylov vectors and reduce their
    /// residual tenfold.
    #[must_use]
    pub fn new(count: usize, max_bond: usize) -> Self {
        Sweeps {
            count,
            max_bond: vec![max_bond],
            cutoff: vec![0.0],
            noise: vec![0.0],
            until: 0.0,
            krylov: 8,
            reduce: 0.1,
        }
    }

    /// The largest bond, for each sweep.
    #[must_use]
    pub fn max_bonds(mut self, max_bond: &[usize]) -> Self {
        self.max_bond = max_bond.to_vec();
        self
    }

    /// Drops singular values that are at most `ratio` times the largest.
    #[must_use]
    pub fn cutoff(self, ratio: f64) -> Self {
        self.cutoffs(&[ratio])
    }

    /// The cutoff, for each sweep.
    #[must_use]
    pub fn cutoffs(mut self, ratios: &[f64]) -> Self {
        self.cutoff = ratios.to_vec();
        self
    }

    /// Size of the noise relative to the state, for each sweep: how much of `H |psi>` is mixed into the choice of the
    /// kept space (Hubig, McCulloch, Schollwöck, Wolf, Phys. Rev. B 91, 155115, 2015). It leads out of local minima, and
    /// single-site DMRG needs it to find new bonds at all. The last sweeps should have none.
    #[must_use]
    pub fn noises(mut self, noise: &[f64]) -> Self {
        self.noise = noise.to_vec();
        self
    }

    /// Stops when a sweep without noise, at the final bond, lowers the energy by less than this.
    #[must_use]
    pub fn until(mut self, energy_change: f64) -> Self {
        self.until = energy_change;
        self
    }

    /// The local eigenproblem takes at most so many Krylov vectors, and is left when its residual has fallen to
    /// `reduce` times the first one.
    #[must_use]
    pub fn krylov(mut self, vectors: usize, reduce: f64) -> Self {
        (self.krylov, self.reduce) = (vectors, reduce);
        self
    }

    /// The largest bond in sweep number `sweep`, from 0.
    #[must_use]
    pub fn max_bond_at(&self, sweep: usize) -> usize {
        at(&self.max_bond, sweep).unwrap_or(1)
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn noise_at(&self, sweep: usize) -> f64 {
        at(&self.noise, sweep).unwrap_or(0.0)
    }

    pub(super) fn truncation_at(&self, sweep: usize) -> Truncation {
        Truncation::none().max_bond(self.max_bond_at(sweep)).cutoff(at(&self.cutoff, sweep).unwrap_or(0.0))
    }

    pub(super) fn krylov_limits(&self) -> (usize, f64) {
        (self.krylov, self.reduce)
    }

    /// Whether the change of the energy in `sweep` means that nothing more is to be won.
    pub(super) fn is_converged(&self, sweep: usize, change: f64) -> bool {
        let settled = |len: usize| sweep + 1 >= len;
        self.noise_at(sweep) == 0.0
            && settled(self.max_bond.len())
            && settled(self.cutoff.len())
            && settled(self.noise.len())
            && change.abs() < self.until
    }

    pub(super) fn validate(&self) -> Result<()> {
        let fault = |name, found: String, expected: &str| Err(Error::setting(name, found, expected));
        let number = |x: &f64| x.is_finite() && *x >= 0.0;
        if self.count == 0 {
            return fault("sweeps", "0".into(), "give at least 1");
        }
        if self.max_bond.is_empty() || self.max_bond.contains(&0) {
            return fault("max_bond", format!("{:?}", self.max_bond), "give at least one entry, all at least 1");
        }
        for (name, list) in [("cutoff", &self.cutoff), ("noise", &self.noise)] {
            if list.is_empty() || !list.iter().all(|x| number(x) && *x < 1.0) {
                return fault(name, format!("{list:?}"), "give at least one entry, all in [0, 1)");
            }
        }
        if !number(&self.until) {
            return fault("until", self.until.to_string(), "give an energy of at least 0");
        }
        if self.krylov == 0 || !number(&self.reduce) {
            return fault("krylov", format!("{} vectors, {}", self.krylov, self.reduce), "give at least 1 and 0");
        }
        Ok(())
    }
}

fn at<V: Copy>(list: &[V], sweep: usize) -> Option<V> {
    list.get(sweep).or(list.last()).copied()
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SweepReport {
    /// Number of the sweep, from 0.
    pub sweep: usize,
    /// Energy at its end.
    pub energy: f64,
    /// The largest bond.
    pub max_bond: usize,
    /// The largest share of weight that was dropped at one bond, in `[0, 1]`.
    pub discarded_weight: f64,
    /// How often the Hamiltonian was applied to local tensors.
    pub products: usize,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DmrgStop {
    /// All sweeps were made.
    SweepsDone,
    /// The energy changed by less than was asked.
    Converged,
    /// The watcher broke off.
    Asked,
}

/// The outcome of a DMRG run.
#[derive(Debug, Clone)]
pub struct Dmrg<T: Scalar> {
    /// The state, of norm one, with its canonical centre at site 0.
    pub state: Mps<T>,
    /// Its energy.
    pub energy: f64,
    /// All sweeps.
    pub sweeps: Vec<SweepReport>,
    /// Why the run ended.
    pub stop: DmrgStop,
}
