//! Process tomography: a channel by its Choi state, from shots behind known inputs.

mod channel;
mod fit;
mod record;

pub use channel::Process;
pub use fit::{DenseProcessFit, ProcessFit, ProcessSettings, fit_process, fit_process_dense, process_nll};
pub use record::{ProcessShots, simulate_process};
