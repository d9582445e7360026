//! `ansatz tomography compare`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::fit::MethodName;
use super::{Detector, Exit, RecordsFrom, state};
use crate::cli::output::{number, print, print_json};
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::report::Table;
use crate::tomography::{ChainSettings, DENSE_FIT_LIMIT, Estimate, Estimator, quantities};

#[derive(Debug, Args)]
pub(super) struct Compare {
    #[command(flatten)]
    records: RecordsFrom,
    /// Bond dimension of the chains.
    #[arg(long, default_value_t = 4)]
    bond: usize,
    /// Purification dimension of the mixed chain.
    #[arg(long, default_value_t = 2)]
    purification: usize,
    /// The state that was meant.
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    #[command(flatten)]
    detector: Detector,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(super) fn run(self) -> Result<Exit> {
        let shots = self.records.read()?;
        let target = self.target.as_deref().map(|path| state(path, Some(shots.dims()))).transpose()?;
        let readout = self.detector.readout(shots.sites())?;
        let chain = |purification| {
            let mut settings = ChainSettings::new(self.bond, purification);
            (settings.readout, settings.seed) = (readout.clone(), Seed(self.seed));
            Estimator::Chain(settings)
        };
        let mut fits = vec![("mps", chain(1)), ("lpdo", chain(self.purification))];
        let d = shots.dims().iter().fold(1usize, |d, &n| d.saturating_mul(n));
        if d <= DENSE_FIT_LIMIT {
            for (name, method) in
                [("dense ml", MethodName::Ml), ("dense pls", MethodName::Pls), ("dense hedged", MethodName::Hedged)]
            {
                fits.push((name, Estimator::Dense(method.method(), readout.clone())));
            }
        }
        let mut done: Vec<(&str, Estimate, f64)> = Vec::new();
        for (name, estimator) in fits {
            let clock = Instant::now();
            let estimate = estimator.estimate(&shots, None, &mut |_| true)?;
            done.push((name, estimate, clock.elapsed().as_secs_f64()));
        }
        // Each beside the dense maximum of the likelihood, where there is one.
        let reference = done.iter().find(|(name, ..)| *name == "dense ml").map(|(_, e, _)| e.state.clone());
        let mut rows = Vec::new();
        for (name, estimate, seconds) in &done {
            let values = quantities(&estimate.state, target.as_ref())?;
            let with_ml = reference.as_ref().map(|r| estimate.state.fidelity(r)).transpose()?;
            rows.push((*name, estimate.nll, values, with_ml, *seconds));
        }
        if self.json {
            let list: Vec<_> = rows
                .iter()
                .map(|(name, nll, values, with_ml, seconds)| {
                    let mut object = json!({ "fit": name, "nll": number(*nll), "fidelity_with_dense_ml": with_ml.map(number), "seconds": number(*seconds) });
                    values.iter().for_each(|(key, value)| object[key] = number(*value));
                    object
                })
                .collect();
            print_json(&json!({ "shots": shots.total(), "sites": shots.sites(), "fits": list }))?;
            return Ok(Exit::Done);
        }
        let Some(first) = rows.first() else { return Err(Error::Empty { what: "the list of fits".into() }) };
        let mut header = vec!["fit".to_owned(), "NLL (nats per shot)".into()];
        header.extend(first.2.iter().map(|(name, _)| name.replace('_', " ")));
        header.extend(["fidelity with dense ml".to_owned(), "seconds".into()]);
        let mut table = Table::new(header);
        for (name, nll, values, with_ml, seconds) in &rows {
            let mut cells = vec![(*name).to_owned(), format!("{nll:.6}")];
            cells.extend(values.iter().map(|(_, v)| format!("{v:.6}")));
            cells.extend([with_ml.map_or("-".into(), |f| format!("{f:.6}")), format!("{seconds:.2}")]);
            table.row(cells);
        }
        print(&table.to_string())?;
        Ok(Exit::Done)
    }
}
