//! Pictures of a fit.

use std::path::Path;

use crate::cli::output::write_text;
use crate::error::{Error, Result};
use crate::report::{Chart, city_plot, heat_map, line_chart};
use crate::tomography::density::dimension;
use crate::tomography::{Estimate, Goodness, Process, Residual, block_entropies, correlations};

/// Pictures of a fit.
pub(super) fn pictures(folder: &Path, estimate: &Estimate, good: Option<&Goodness>) -> Result<()> {
    training(folder, &estimate.curve, "NLL (nats per shot)")?;
    let write = |name: &str, text: String| write_text(&folder.join(name), &text);
    let state = &estimate.state;
    let labels: Vec<String> = (0..state.sites()).map(|s| s.to_string()).collect();
    if state.dims().iter().all(|&d| d == 2) && (2..=60).contains(&state.sites()) {
        for (letter, pauli) in [('X', 0), ('Y', 1), ('Z', 2)] {
            let matrix = correlations(state, pauli)?;
            write(
                &format!("correlations_{}.svg", letter.to_ascii_lowercase()),
                heat_map(&format!("<{letter}{letter}> - <{letter}><{letter}>"), &labels, &matrix)?,
            )?;
        }
    }
    if state.sites() > 1
        && let Some(entropies) = block_entropies(state)?
    {
        let points = entropies.iter().enumerate().map(|(i, &s)| (i as f64, s));
        let chart = Chart::new("Entropy of the sites left of a cut", "bond", "S (nats)").curve("", points).from_zero();
        write("entropy.svg", line_chart(&chart.counting(0..=state.sites() - 2))?)?;
    }
    if dimension(state.dims()) <= LARGEST_CITY {
        write("state.svg", city_plot(&state.density()?, state.dims())?)?;
    }
    if let Some(g) = good {
        let excess = |r: &Residual| (r.g2 - r.degrees as f64) / (2.0 * r.degrees.max(1) as f64).sqrt();
        let points = g.residuals.iter().enumerate().map(|(i, r)| (i as f64 + 1.0, excess(r)));
        let worst: Vec<&str> =
            g.residuals.iter().take(4).map(|r| r.setting.as_str()).filter(|s| s.len() < 14).collect();
        let title = format!("Residuals by setting, the worst first: {} ..", worst.join(", "));
        let chart = Chart::new(&title, "setting", "(G2 - degrees) / sqrt(2 degrees)");
        write("residuals.svg", line_chart(&chart.curve("", points).level("0", 0.0).level("3 sigma", 3.0))?)?;
    }
    Ok(())
}

/// Pictures of a channel: the curve of the loss, the Choi matrix (all inputs, then all outputs) of two qubits at the most.
pub(super) fn pictures_of_channel(folder: &Path, process: &Process, curve: &[f64]) -> Result<()> {
    training(folder, curve, "NLL (nats per shot) and penalty")?;
    let dims: Vec<usize> = process.inputs().iter().chain(&process.outputs()).copied().collect();
    if dimension(&dims) > LARGEST_CITY {
        return Ok(());
    }
    write_text(&folder.join("choi.svg"), &city_plot(&process.choi_matrix()?, &dims)?)
}

/// The largest dimension of a matrix whose towers can be told apart.
const LARGEST_CITY: usize = 16;

/// Makes the folder, and the curve of the loss where there is one.
fn training(folder: &Path, curve: &[f64], loss: &str) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.into(), action: "create", source })?;
    if curve.len() < 2 {
        return Ok(());
    }
    let points = curve.iter().enumerate().map(|(i, &v)| (i as f64 + 1.0, v));
    let chart = Chart::new("Training", "iteration", loss).curve("", points);
    write_text(&folder.join("training.svg"), &line_chart(&chart)?)
}
