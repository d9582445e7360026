//! `ansatz tomography compare`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::fit::MethodName;
use super::{Detector, Exit, RecordsFrom, state};
use crate::cli::output::{number, print, print_json};
use crate::error::{Error, Place, Result};
use crate::random::Seed;
use crate::report::Table;
use crate::tomography::{
    Bootstrap, ChainSettings, DENSE_FIT_LIMIT, Estimate, Estimator, Questions, Shots, quantities, spreads,
};

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
    /// Error bars of the purity from so many repetitions, where the file has several records.
    #[arg(long, default_value_t = 0, value_name = "N")]
    bootstrap: u64,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(super) fn run(self) -> Result<Exit> {
        let mut records = self.records.all()?;
        if records.groups.len() > 1 {
            return self.many(&records.groups);
        }
        let Some((_, shots)) = records.groups.pop() else {
            return Err(Error::Empty { what: "the measurement record".into() });
        };
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
            let values = quantities(&estimate.state, &Questions { target: target.as_ref(), observables: &[] })?;
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

    /// Every record of a file in one table: the purified chain beside the dense maximum of the likelihood.
    fn many(&self, groups: &[(String, Shots)]) -> Result<Exit> {
        let mut list = Vec::new();
        let mut table = Table::new([
            "record",
            "shots",
            "NLL, lpdo",
            "NLL, dense",
            "fidelity of both",
            "purity",
            "+-",
            "entropy",
            "seconds",
        ]);
        for (name, shots) in groups {
            let place = |e: Error| e.at(Place::Record(name.clone()));
            let target = self.target.as_deref().map(|path| state(path, Some(shots.dims()))).transpose()?;
            let readout = self.detector.readout(shots.sites())?;
            let clock = Instant::now();
            let mut settings = ChainSettings::new(self.bond, self.purification);
            (settings.readout, settings.seed) = (readout.clone(), Seed(self.seed));
            let estimator = Estimator::Chain(settings);
            let chain = estimator.estimate(shots, None, &mut |_| true).map_err(place)?;
            let d = shots.dims().iter().fold(1usize, |d, &n| d.saturating_mul(n));
            let dense = (d <= DENSE_FIT_LIMIT)
                .then(|| Estimator::Dense(MethodName::Ml.method(), readout).estimate(shots, None, &mut |_| true))
                .transpose()
                .map_err(place)?;
            let seconds = clock.elapsed().as_secs_f64();
            let asked = Questions { target: target.as_ref(), observables: &[] };
            let values = quantities(&chain.state, &asked)?;
            let both = dense.as_ref().map(|e| chain.state.fidelity(&e.state)).transpose()?;
            let mut bars = Vec::new();
            if self.bootstrap > 1 {
                let kind = Bootstrap::Parametric;
                let seed = Seed(self.seed);
                let replicas = kind.replicas(&estimator, &chain, shots, &asked, seed, 0, self.bootstrap)?;
                bars = spreads(&values, &replicas);
            }
            let of = |name: &str| values.iter().find(|v| v.0 == name).map_or(f64::NAN, |v| v.1);
            let bar = bars.iter().find(|s| s.name == "purity").map(|s| s.deviation);
            if self.json {
                let mut object = json!({ "record": name, "shots": shots.total(), "nll_lpdo": number(chain.nll),
                    "nll_dense": dense.as_ref().map(|e| number(e.nll)), "fidelity_with_dense_ml": both.map(number),
                    "purity_error": bar.map(number), "seconds": number(seconds) });
                values.iter().for_each(|(key, value)| object[key] = number(*value));
                list.push(object);
            }
            let plain = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.6}"));
            table.row([
                name.clone(),
                shots.total().to_string(),
                format!("{:.6}", chain.nll),
                plain(dense.as_ref().map(|e| e.nll)),
                plain(both),
                format!("{:.4}", of("purity")),
                bar.map_or("-".into(), |b| format!("{b:.4}")),
                format!("{:.4}", of("entropy")),
                format!("{seconds:.2}"),
            ]);
        }
        if self.json {
            print_json(&json!({ "records": list }))?;
        } else {
            print(&table.to_string())?;
        }
        Ok(Exit::Done)
    }
}
