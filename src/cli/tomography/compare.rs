//! `ansatz tomography compare`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::fit::MethodName;
use super::warnings::warnings;
use super::{Detector, Exit, RecordsFrom, observables, state};
use crate::cli::output::{number, print, print_json};
use crate::error::{Error, Place, Result};
use crate::random::Seed;
use crate::report::Table;
use crate::tomography::density::dimension;
use crate::tomography::{
    Bootstrap, ChainSettings, DENSE_FIT_LIMIT, Estimate, Estimator, Questions, Shadows, Shots, quantities, spreads,
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
    /// A sum of Pauli operators whose value is told, as 'Z0 Z1 - 0.5*X2'; may be given many times.
    #[arg(long, value_name = "SUM", allow_hyphen_values = true)]
    observable: Vec<String>,
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

/// One way to the state, and what it tells.
struct Row<'a> {
    name: &'a str,
    nll: Option<f64>,
    values: Vec<(String, f64)>,
    seconds: f64,
}

impl Row<'_> {
    fn of(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|v| v.0 == name).map(|v| v.1)
    }

    fn json(&self) -> serde_json::Value {
        let mut object = json!({ "fit": self.name, "nll": self.nll.map(number), "seconds": number(self.seconds) });
        self.values.iter().for_each(|(key, value)| object[key] = number(*value));
        object
    }
}

/// A line each.
fn told(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
}

fn plain(value: Option<f64>) -> String {
    value.map_or("-".into(), |x| format!("{x:.6}"))
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
        let d = dimension(shots.dims());
        if d <= DENSE_FIT_LIMIT {
            for (name, method) in
                [("dense ml", MethodName::Ml), ("dense pls", MethodName::Pls), ("dense hedged", MethodName::Hedged)]
            {
                fits.push((name, Estimator::Dense(method.method(), readout.clone())));
            }
        }
        let warnings = warnings(&shots)?;
        let mut done: Vec<(&str, Estimate, f64)> = Vec::new();
        for (name, estimator) in fits {
            let clock = Instant::now();
            let estimate = estimator.estimate(&shots, None, &mut |_| true)?;
            done.push((name, estimate, clock.elapsed().as_secs_f64()));
        }
        // Each beside the dense maximum of the likelihood, where there is one.
        let reference = done.iter().find(|(name, ..)| *name == "dense ml").map(|(_, e, _)| e.state.clone());
        let observables = observables(&self.observable, &shots)?;
        let asked = Questions { target: target.as_ref(), observables: &observables };
        let mut rows = Vec::new();
        for (name, estimate, seconds) in &done {
            let mut values = quantities(&estimate.state, &asked)?;
            let with_ml = reference.as_ref().map(|r| estimate.state.fidelity(r)).transpose()?;
            values.extend(with_ml.map(|f| ("fidelity_with_dense_ml".to_owned(), f)));
            rows.push(Row { name, nll: Some(estimate.nll), values, seconds: *seconds });
        }
        let clock = Instant::now();
        // Where settings allow for them; they know nothing of a detector.
        if readout.is_none()
            && let Ok(shadows) = Shadows::new(&shots)
        {
            let values = shadows.quantities(&observables)?.into_iter().map(|(name, e)| (name, e.value)).collect();
            rows.push(Row { name: "shadows", nll: None, values, seconds: clock.elapsed().as_secs_f64() });
        }
        if self.json {
            let list: Vec<_> = rows.iter().map(Row::json).collect();
            let (shots, sites) = (shots.total(), shots.sites());
            print_json(&json!({ "shots": shots, "sites": sites, "fits": list, "warnings": warnings }))?;
            return Ok(Exit::Done);
        }
        let Some(first) = rows.first() else { return Err(Error::Empty { what: "the list of fits".into() }) };
        let names: Vec<String> = first.values.iter().map(|(name, _)| name.clone()).collect();
        let mut header = vec!["fit".to_owned(), "NLL (nats per shot)".into()];
        header.extend(names.iter().map(|name| name.replace('_', " ")));
        header.push("seconds".into());
        let mut table = Table::new(header);
        for row in &rows {
            let mut cells = vec![row.name.to_owned(), plain(row.nll)];
            cells.extend(names.iter().map(|name| plain(row.of(name))));
            cells.push(format!("{:.2}", row.seconds));
            table.row(cells);
        }
        print(&(table.to_string() + &told(&warnings)))?;
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
        let mut doubts = Vec::new();
        for (name, shots) in groups {
            doubts.extend(warnings(shots)?.into_iter().map(|warning| format!("{name}: {warning}")));
            let place = |e: Error| e.at(Place::Record(name.clone()));
            let target = self.target.as_deref().map(|path| state(path, Some(shots.dims()))).transpose()?;
            let readout = self.detector.readout(shots.sites())?;
            let clock = Instant::now();
            let mut settings = ChainSettings::new(self.bond, self.purification);
            (settings.readout, settings.seed) = (readout.clone(), Seed(self.seed));
            let estimator = Estimator::Chain(settings);
            let chain = estimator.estimate(shots, None, &mut |_| true).map_err(place)?;
            let d = dimension(shots.dims());
            let dense = (d <= DENSE_FIT_LIMIT)
                .then(|| Estimator::Dense(MethodName::Ml.method(), readout).estimate(shots, None, &mut |_| true))
                .transpose()
                .map_err(place)?;
            let seconds = clock.elapsed().as_secs_f64();
            let observables = observables(&self.observable, shots).map_err(place)?;
            let asked = Questions { target: target.as_ref(), observables: &observables };
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
            print_json(&json!({ "records": list, "warnings": doubts }))?;
        } else {
            print(&(table.to_string() + &told(&doubts)))?;
        }
        Ok(Exit::Done)
    }
}
