//! Quantum state tomography: from measurement records to a state with error bars (`docs/tomography.md`).
//!
//! - [`Shots`] are measurement records, [`Measurement`] what is measured at a site, [`simulate()`] draws records from a state.
//! - [`Lpdo`] is a state: a locally purified chain, pure where the purification is 1.
//!
//! Order of sites, everywhere: **site 0 comes first**, leftmost in a setting or an outcome, most significant in an index.
//! Outcome 0 of X, Y and Z is the eigenvalue +1.

mod bootstrap;
mod chain_fit;
mod choice;
mod compiled;
mod dense;
pub mod density;
mod estimate;
mod few_sites;
mod goodness;
mod held_out;
mod likelihood;
mod measurement;
mod next;
mod objective;
mod observables;
mod optimise;
mod preservation;
mod process;
mod products;
mod rank_one;
mod readout;
mod shadows;
mod shots;
mod simulate;
mod start;
mod state;
mod sweep;
mod symmetry;

pub use bootstrap::{Bootstrap, Replica, Spread, spreads};
pub use chain_fit::{ChainFit, ChainSettings, Optimiser, fit_chain, log_likelihoods, nll};
pub use choice::{Choice, Free, PurityTest, choose, pure_suffices};
pub use dense::{DENSE_FIT_LIMIT, DenseFit, DenseMethod, fit_dense};
pub use estimate::{Estimate, Estimator, Questions, quantities};
pub use goodness::{Goodness, Residual, goodness};
pub use held_out::{Tried, choose_bond, divisions};
pub use measurement::{MAX_OUTCOMES, Measurement, Povm};
pub use next::{NextSetting, next_settings};
pub use observables::{block_entropies, correlations, expectation, pauli_sum};
pub use process::{
    DenseProcessFit, Process, ProcessFit, ProcessSettings, ProcessShots, fit_process, fit_process_dense, process_nll,
    simulate_process,
};
pub use readout::Readout;
pub use shadows::{ShadowEstimate, Shadows};
pub use shots::{Collector, MAX_SITES, Shots};
pub use simulate::{Noise, Settings, simulate};
pub use state::Lpdo;
pub use symmetry::Symmetry;
