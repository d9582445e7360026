//! `ansatz score`: exact log-likelihoods.

use std::path::PathBuf;

use clap::Args;

use super::Exit;
use super::loaded::Loaded;
use super::output::{number, print, print_json};
use super::source::Source;
use crate::error::Result;
use crate::io::write_npy_reals;
use crate::report::Table;

#[derive(Debug, Args)]
pub(super) struct Score {
    /// The model file, or a circuit (.qasm).
    model: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Write the log-probability of each sample, in nats, as a .npy array of f64.
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Score {
    pub fn run(self) -> Result<Exit> {
        let Loaded { model, dims, .. } = Loaded::read(&self.model)?;
        let (table, batch) = self.source.read_for(&dims, &self.model)?;
        let log_prob = model.log_prob(&batch)?;
        if let Some(out) = &self.out {
            write_npy_reals(out, &log_prob)?;
        }
        let samples = log_prob.len() as f64;
        let nll = -log_prob.iter().sum::<f64>() / samples;
        let variance = log_prob.iter().map(|l| (l + nll).powi(2)).sum::<f64>() / (samples - 1.0).max(1.0);
        let error = (variance / samples).sqrt();
        let bits = nll / (batch.sites() as f64 * std::f64::consts::LN_2);
        let impossible = log_prob.iter().filter(|l| **l == f64::NEG_INFINITY).count();
        if self.json {
            print_json(&serde_json::json!({
                "samples": log_prob.len(), "nll": number(nll), "nll_standard_error": number(error),
                "bits_per_site": number(bits), "impossible": impossible,
            }))?;
        } else {
            let mut text = Table::new(["data", "samples", "NLL (nats)", "+-", "bits a site", "impossible"]);
            text.row([
                table.name().to_owned(),
                log_prob.len().to_string(),
                format!("{nll:.4}"),
                format!("{error:.4}"),
                format!("{bits:.5}"),
                impossible.to_string(),
            ]);
            print(&text.to_string())?;
        }
        Ok(Exit::Done)
    }
}
