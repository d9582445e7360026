//! `ansatz tomography simulate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Detector, Exit, noisy_state, state};
use crate::cli::output::{print, print_json, writable};
use crate::error::{Error, Result};
use crate::io::write_shots;
use crate::random::Seed;
use crate::tomography::{Measurement, Noise, Settings, simulate};

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum SettingsName {
    /// All 3^n products of X, Y, Z in turn.
    All,
    /// X, Y or Z at random.
    Paulis,
    /// Random directions.
    Bases,
    /// The SIC POVM at every site.
    Sic,
    /// The Pauli-6 POVM at every site.
    Pauli6,
}

impl SettingsName {
    pub(super) fn settings(self, sites: usize) -> Settings {
        let everywhere = |m: Measurement| Settings::Given(vec![vec![m; sites]]);
        match self {
            SettingsName::All => Settings::AllPaulis,
            SettingsName::Paulis => Settings::RandomPaulis,
            SettingsName::Bases => Settings::RandomBases,
            SettingsName::Sic => everywhere(Measurement::Sic),
            SettingsName::Pauli6 => everywhere(Measurement::Pauli6),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// The state: a model, a circuit (.qasm, .qsim), a vector or a density matrix (.npy, .json, text).
    state: PathBuf,
    /// Noise after the gates of a circuit, to ten qubits: JSON, as `ansatz circuit run --noise`.
    #[arg(long, value_name = "FILE.json")]
    noise: Option<PathBuf>,
    /// Shots.
    #[arg(long, default_value_t = 1000)]
    shots: u64,
    /// What is measured.
    #[arg(long, value_enum, default_value = "paulis")]
    settings: SettingsName,
    /// One setting for all shots, as XZZY, in place of --settings; may be given many times.
    #[arg(long, value_name = "SETTING")]
    setting: Vec<String>,
    /// Probability with which each site is lost to the maximally mixed state.
    #[arg(long, default_value_t = 0.0)]
    depolarising: f64,
    #[command(flatten)]
    detector: Detector,
    /// The seed; shot i depends on it and i only.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to: .csv, .json, .npz, .txt.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Simulate {
    pub(super) fn run(self) -> Result<Exit> {
        writable(&self.out)?;
        let state = match &self.noise {
            Some(noise) => noisy_state(&self.state, noise)?,
            None => state(&self.state, None)?,
        };
        let sites = state.sites();
        let settings =
            if self.setting.is_empty() {
                self.settings.settings(sites)
            } else {
                let mut list = Vec::new();
                for text in &self.setting {
                    let named = text.chars().map(|c| Measurement::named(&c.to_string())).collect::<Option<Vec<_>>>();
                    list.push(named.ok_or_else(|| {
                        Error::setting("setting", text, "give a letter of I, X, Y, Z, S, P, T a site")
                    })?);
                }
                Settings::Given(list)
            };
        let noise = Noise { depolarising: self.depolarising, readout: self.detector.readout(sites)? };
        let shots = simulate(&state, &settings, self.shots, &noise, Seed(self.seed))?;
        write_shots(&self.out, &shots)?;
        if self.json {
            print_json(&serde_json::json!({ "sites": sites, "shots": shots.total(), "rows": shots.rows() }))?;
        } else {
            print(&format!(
                "{} shots of {sites} sites, {} rows, into {}",
                shots.total(),
                shots.rows(),
                self.out.display()
            ))?;
        }
        Ok(Exit::Done)
    }
}
