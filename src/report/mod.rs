//! Progress, logs, tables and pictures.
//!
//! Pictures are made as bytes or text; writing them to files is left to others.

mod chart;
mod circuit;
mod contraction;
mod curve;
mod histogram;
mod layout;
mod log;
mod montage;
mod network;
mod progress;
mod slices;
mod table;
mod tomography;

pub use chart::{Chart, line_chart, stacked_charts};
pub use circuit::{circuit_svg, circuit_text};
pub use contraction::{plan_dot, plan_svg};
pub use curve::{chain_profile, loss_curve};
pub use histogram::histogram;
pub use log::JsonLines;
pub use montage::{Tiles, completions, encode_png, montage};
pub use network::{network_dot, network_svg, pattern_dot, pattern_svg};
pub use progress::{Progress, time_in_words};
pub use slices::SliceBar;
pub use table::Table;
pub use tomography::{city_plot, heat_map};

#[cfg(test)]
mod tests {
    use crate::train::SweepReport;

    /// A report as a run of ten sweeps would give it.
    pub(super) fn report(sweep: usize, train_nll: f64, valid_nll: Option<f64>) -> SweepReport {
        SweepReport {
            sweep,
            sweeps: 10,
            train_nll,
            valid_nll,
            max_bond: 64,
            mean_bond: 41.5,
            rate: 0.01,
            discarded_weight: 1e-8,
            seconds: 12.5,
        }
    }
}
