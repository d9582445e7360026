//! `ansatz tomography simulate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Detector, Exit, noisy_state, state};
use crate::cli::output::{print, print_json, writable};
use crate::error::{Error, Result};
use crate::io::write_shots;
use crate::random::Seed;
use crate::tomography::{Measurement, Noise, Settings, Shots, simulate};

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

/// How records are drawn, of states and of channels.
#[derive(Debug, Args)]
pub(super) struct Drawing {
    /// Noise after the gates of a circuit, to ten qubits (a channel: five): JSON, as `ansatz circuit run --noise`.
    #[arg(long, value_name = "FILE.json")]
    pub(super) noise: Option<PathBuf>,
    /// Shots.
    #[arg(long, default_value_t = 1000)]
    pub(super) shots: u64,
    /// What is measured.
    #[arg(long, value_enum, default_value = "paulis")]
    pub(super) settings: SettingsName,
    /// Probability with which each site is lost to the maximally mixed state before it is measured.
    #[arg(long, default_value_t = 0.0)]
    depolarising: f64,
    #[command(flatten)]
    detector: Detector,
    /// The seed; shot i depends on it and i only.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to: .csv, .json, .npz, .txt.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Drawing {
    pub(super) fn seed(&self) -> Seed {
        Seed(self.seed)
    }

    /// What is wrong with the experiment at so many sites.
    pub(super) fn noise_at(&self, sites: usize) -> Result<Noise> {
        Ok(Noise { depolarising: self.depolarising, readout: self.detector.readout(sites)? })
    }

    /// Says what was written.
    pub(super) fn tell(&self, sites: usize, shots: &Shots) -> Result<Exit> {
        let (total, rows) = (shots.total(), shots.rows());
        if self.json {
            print_json(&serde_json::json!({ "sites": sites, "shots": total, "rows": rows }))?;
        } else {
            print(&format!("{total} shots of {sites} sites, {rows} rows, into {}", self.out.display()))?;
        }
        Ok(Exit::Done)
    }
}

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// The state: a model, a circuit (.qasm, .qsim), a vector or a density matrix (.npy, .json, text).
    state: PathBuf,
    /// One setting for all shots, as XZZY, in place of --settings; may be given many times.
    #[arg(long, value_name = "SETTING")]
    setting: Vec<String>,
    #[command(flatten)]
    drawing: Drawing,
}

impl Simulate {
    pub(super) fn run(self) -> Result<Exit> {
        let drawing = &self.drawing;
        writable(&drawing.out)?;
        let state = match &drawing.noise {
            Some(noise) => noisy_state(&self.state, noise)?,
            None => state(&self.state, None)?,
        };
        let sites = state.sites();
        let settings = if self.setting.is_empty() {
            drawing.settings.settings(sites)
        } else {
            Settings::Given(self.setting.iter().map(|text| setting(text)).collect::<Result<_>>()?)
        };
        let shots = simulate(&state, &settings, drawing.shots, &drawing.noise_at(sites)?, drawing.seed())?;
        write_shots(&drawing.out, &shots)?;
        drawing.tell(sites, &shots)
    }
}

/// A letter a site.
fn setting(text: &str) -> Result<Vec<Measurement>> {
    let named = text.chars().map(|c| Measurement::named(&c.to_string())).collect::<Option<Vec<_>>>();
    named.ok_or_else(|| Error::setting("setting", text, "give a letter of I, X, Y, Z, S, P, T a site"))
}
