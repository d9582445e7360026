//! `ansatz tomography next`.

use std::collections::{BTreeMap, HashSet};

use clap::Args;
use serde_json::json;

use super::{Detector, Exit, RecordsFrom};
use crate::cli::output::{number, print, print_json};
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::report::Table;
use crate::tomography::{Bootstrap, ChainSettings, Estimator, Measurement, next_settings};
use rand::RngExt;

#[derive(Debug, Args)]
pub(super) struct Next {
    #[command(flatten)]
    records: RecordsFrom,
    /// Bond dimension of the chain that is fitted.
    #[arg(long, default_value_t = 4)]
    bond: usize,
    /// Purification dimension of each site; 1 for a pure state.
    #[arg(long, default_value_t = 2)]
    purification: usize,
    /// States that the records leave open: repetitions of the fit to shots drawn with replacement.
    #[arg(long, default_value_t = 16, value_name = "N")]
    states: u64,
    /// Products of X, Y, Z to choose from, drawn at random where there are more.
    #[arg(long, default_value_t = 243, value_name = "N")]
    candidates: usize,
    /// A setting to choose from, as XZZY, in place of random ones; may be given many times.
    #[arg(long, value_name = "SETTING")]
    setting: Vec<String>,
    /// Settings that are told.
    #[arg(long, default_value_t = 10)]
    count: usize,
    #[command(flatten)]
    detector: Detector,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Next {
    pub(super) fn run(self) -> Result<Exit> {
        let shots = self.records.read()?;
        let sites = shots.sites();
        if self.states < 2 {
            return Err(Error::setting("states", self.states, "give at least 2"));
        }
        if self.candidates == 0 || self.count == 0 {
            return Err(Error::setting("candidates, count", "0", "give at least 1 of each"));
        }
        let candidates = self.list(sites)?;
        let readout = self.detector.readout(sites)?;
        let mut settings = ChainSettings::new(self.bond, self.purification);
        (settings.readout, settings.seed) = (readout.clone(), Seed(self.seed));
        let estimator = Estimator::Chain(settings);
        let estimate = estimator.estimate(&shots, None, &mut |_| true)?;
        let seed = Seed(self.seed);
        let states = Bootstrap::Resampling.states(&estimator, &estimate, &shots, seed, 0, self.states)?;
        let ranked = next_settings(&states, &candidates, readout.as_ref(), seed)?;
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for row in 0..shots.rows() {
            *seen.entry(shots.setting_text(row)).or_default() += shots.counts()[row];
        }
        let text = |setting: &[Measurement]| -> String { setting.iter().map(Measurement::token).collect() };
        let told = ranked.iter().take(self.count).map(|n| {
            let name = text(&n.setting);
            let before = seen.get(&name).copied().unwrap_or(0);
            (name, n.information, before)
        });
        if self.json {
            let list: Vec<_> = told
                .map(|(name, i, before)| json!({ "setting": name, "information": number(i), "shots": before }))
                .collect();
            print_json(&json!({ "candidates": candidates.len(), "states": self.states, "next": list }))?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new(["setting", "expected information (nats per shot)", "shots so far"]);
        for (name, information, before) in told {
            table.row([name, format!("{information:.6}"), before.to_string()]);
        }
        print(&table.to_string())?;
        Ok(Exit::Done)
    }

    fn list(&self, sites: usize) -> Result<Vec<Vec<Measurement>>> {
        if !self.setting.is_empty() {
            let read = |text: &String| {
                let named = text.chars().map(|c| Measurement::named(&c.to_string())).collect::<Option<Vec<_>>>();
                named.ok_or_else(|| Error::setting("setting", text, "give a letter of I, X, Y, Z, S, P, T a site"))
            };
            return self.setting.iter().map(read).collect();
        }
        let paulis = [Measurement::X, Measurement::Y, Measurement::Z];
        let all = u32::try_from(sites).ok().and_then(|n| 3usize.checked_pow(n)).filter(|&n| n <= self.candidates);
        let of = |digits: &[usize]| -> Vec<Measurement> { digits.iter().map(|&d| paulis[d].clone()).collect() };
        if let Some(all) = all {
            let digits = |code: usize| -> Vec<usize> {
                (0..sites).rev().map(|place| code / 3usize.pow(place as u32) % 3).collect()
            };
            return Ok((0..all).map(|code| of(&digits(code))).collect());
        }
        let mut stream = Seed(self.seed).stream("settings to choose from", 0);
        let mut drawn: HashSet<Vec<usize>> = HashSet::new();
        let mut list = Vec::new();
        while list.len() < self.candidates {
            let digits: Vec<usize> = (0..sites).map(|_| stream.random_range(0..3)).collect();
            if drawn.insert(digits.clone()) {
                list.push(of(&digits));
            }
        }
        Ok(list)
    }
}
