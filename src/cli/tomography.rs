//! `ansatz tomography`: records of measurements, and the states behind them.

mod compare;
mod convert;
mod fit;
mod next;
mod pictures;
mod process;
mod simulate;
mod told;
mod warnings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ndarray::Array2;

use super::Exit;
use super::loaded::is_circuit;
use crate::circuit::{DensityMatrix, MpsSimulator, PauliSum, Statevector};
use crate::data::{DenseState, Records, read_dense_state, read_process_shots, read_real_matrices, read_shots};
use crate::error::{Error, Place, Result};
use crate::io::{load_circuit, load_lpdo, load_noise};
use crate::tomography::density::{dense_dimension, dimension};
use crate::tomography::{Lpdo, Measurement, Readout, Shots};

#[derive(Debug, Args)]
pub(super) struct Tomography {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read records in any format and write them in another.
    Convert(convert::Convert),
    /// Draw records from a known state.
    Simulate(simulate::Simulate),
    /// Fit a state to records.
    Fit(Box<fit::Fit>),
    /// Several fits to the same records in one table.
    Compare(compare::Compare),
    /// Which settings would tell the most.
    Next(next::Next),
    /// Channels: records of them and fits.
    Process(Box<process::ProcessCommand>),
}

impl Tomography {
    pub(super) fn run(self) -> Result<Exit> {
        match self.command {
            Command::Convert(command) => command.run(),
            Command::Simulate(command) => command.run(),
            Command::Fit(command) => command.run(),
            Command::Compare(command) => command.run(),
            Command::Next(command) => command.run(),
            Command::Process(command) => command.run(),
        }
    }
}

/// Where records come from.
#[derive(Debug, Clone, Args)]
struct RecordsFrom {
    /// The records: CSV, JSON, .npz, text in columns, outcomes alone; FILE#NAME is one of several in a file.
    shots: String,
    /// A file with the settings, one a line, where the first has outcomes alone (else all are Z).
    #[arg(long, value_name = "FILE")]
    bases: Option<String>,
}

impl RecordsFrom {
    fn read(&self) -> Result<Shots> {
        self.all()?.choose(None)
    }

    fn all(&self) -> Result<Records> {
        read_shots(&self.shots, self.bases.as_deref())
    }
}

/// Sums of Pauli operators that are asked for.
fn observables(texts: &[String], shots: &Shots) -> Result<Vec<PauliSum>> {
    let list = texts.iter().map(|text| text.parse::<PauliSum>()).collect::<Result<Vec<_>>>()?;
    match list.iter().find(|o| o.qubits() > shots.sites()) {
        Some(wide) => Err(Error::setting("observable", wide, format!("the records have {} sites", shots.sites()))),
        None => Ok(list),
    }
}

/// What is known of the detector.
#[derive(Debug, Clone, Args)]
struct Detector {
    /// Probability that a 0 is read as 1 and a 1 as 0, at every qubit: P, or two numbers P01,P10.
    #[arg(long, value_name = "P[,P]", conflicts_with = "confusion")]
    readout_error: Option<String>,
    /// Confusion matrices: JSON, a list with a matrix for each site, entry [read][true].
    #[arg(long, value_name = "FILE.json")]
    confusion: Option<PathBuf>,
    /// Records of known levels, from which the confusion matrices are counted: CSV with input, setting, outcome, count, as `01,ZZ,01,950`.
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["confusion", "readout_error"])]
    calibration: Option<PathBuf>,
}

impl Detector {
    fn readout(&self, sites: usize) -> Result<Option<Readout>> {
        if let Some(text) = &self.readout_error {
            let numbers = text.split(',').map(|p| p.trim().parse().ok()).collect::<Option<Vec<f64>>>();
            return match numbers.as_deref() {
                Some(&[p]) => Readout::uniform(sites, p, p).map(Some),
                Some(&[p, q]) => Readout::uniform(sites, p, q).map(Some),
                _ => Err(Error::setting("readout-error", text, "give a probability, or two with a comma")),
            };
        }
        if let Some(path) = &self.calibration {
            let readout = calibrated(path)?;
            if readout.matrices().len() != sites {
                let error = Error::shape("calibration records, in sites", readout.matrices().len(), sites);
                return Err(error.at(Place::File(path.clone())));
            }
            return Ok(Some(readout));
        }
        let Some(path) = &self.confusion else { return Ok(None) };
        let mut matrices = read_real_matrices(&path.to_string_lossy())?;
        if matrices.len() == 1 && sites > 1 {
            matrices = vec![matrices[0].clone(); sites];
        }
        Readout::new(matrices).map(Some).map_err(|e| e.at(Place::File(path.clone())))
    }
}

/// Measurements, outcome and count of equal shots.
type Row = (Vec<Measurement>, Vec<u8>, u64);

/// Confusion matrices from records of known levels.
fn calibrated(path: &Path) -> Result<Readout> {
    let place = |e: Error| e.at(Place::File(path.into()));
    let record = read_process_shots(&path.to_string_lossy())?;
    let (shots, n) = (record.shots(), record.sites());
    let mut by_input: BTreeMap<Vec<u8>, Vec<Row>> = BTreeMap::new();
    for row in 0..shots.rows() {
        let of = |m: &u32| shots.measurements()[*m as usize].clone();
        let (inputs, outputs) = shots.setting(row).split_at(n);
        if let Some(site) = inputs.iter().position(|m| of(m) != Measurement::Z) {
            let what = format!("the input of site {site} is no level; calibrate with inputs 0, 1, ..");
            return Err(place(Error::Format { what }));
        }
        let (levels, outcome) = shots.outcome(row).split_at(n);
        let measured = outputs.iter().map(of).collect();
        by_input.entry(levels.to_vec()).or_default().push((measured, outcome.to_vec(), shots.counts()[row]));
    }
    let records = by_input
        .into_iter()
        .map(|(levels, rows)| Ok((levels, Shots::new(record.outputs(), rows)?)))
        .collect::<Result<Vec<_>>>()?;
    let records: Vec<(Vec<u8>, &Shots)> = records.iter().map(|(levels, shots)| (levels.clone(), shots)).collect();
    Readout::calibrated(&records).map_err(place)
}

/// Qubits up to which the state of a circuit is found as a vector, beyond as a chain.
const AS_A_VECTOR: usize = 12;

/// A state from a file: a model, a circuit (`.qasm`, `.qsim`), a vector or a density matrix. `dims` are the levels of its sites where
/// the file does not tell; without them they are qubits.
fn state(path: &Path, dims: Option<&[usize]>) -> Result<Lpdo> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let place = |e: Error| e.at(Place::File(path.into()));
    if is_circuit(path) {
        let circuit = load_circuit(path)?;
        if circuit.num_qubits() > AS_A_VECTOR {
            return Lpdo::pure(MpsSimulator::<f64>::new().run(&circuit)?.state).map_err(place);
        }
        let state = Statevector::<f64>::new().state(&circuit)?;
        return Lpdo::from_vector(&state.amplitudes(), &vec![2; circuit.num_qubits()]).map_err(place);
    }
    if matches!(extension, "ansatz" | "safetensors") {
        return Ok(load_lpdo(path)?.0);
    }
    let mut read = read_dense_state(&path.to_string_lossy())?;
    // A matrix whose entries were written below each other.
    if let (DenseState::Vector(v), Some(d)) = (&read, dims.map(dimension))
        && d > 1
        && v.len() == d.saturating_mul(d)
        && let Ok(m) = Array2::from_shape_vec((d, d), v.clone())
    {
        read = DenseState::Matrix(m);
    }
    let d = match &read {
        DenseState::Vector(v) => v.len(),
        DenseState::Matrix(m) => m.nrows(),
    };
    let dims = match dims {
        Some(dims) if dimension(dims) == d => dims.to_vec(),
        Some(dims) => {
            let expected =
                format!("the records have sites of {dims:?} levels: give a state of dimension {}", dimension(dims));
            return Err(place(Error::setting("dimension of the state", d, expected)));
        }
        None if d.is_power_of_two() && d > 1 => vec![2; d.trailing_zeros() as usize],
        None => return Err(place(Error::shape("a state of qubits: its dimension", d, "a power of two"))),
    };
    match read {
        DenseState::Vector(v) => {
            let norm: f64 = v.iter().map(|x| x.norm_sqr()).sum();
            if (norm - 1.0).abs() > 1e-3 {
                return Err(place(Error::Format {
                    what: format!("a vector of norm {:.6}, not 1; divide by it", norm.sqrt()),
                }));
            }
            Lpdo::from_vector(&v, &dims).map_err(place)
        }
        DenseState::Matrix(m) => Lpdo::from_density(&m, &dims).map_err(place),
    }
}

/// The state at the end of a circuit with noise after its gates.
fn noisy_state(path: &Path, noise: &Path) -> Result<Lpdo> {
    if !is_circuit(path) {
        return Err(Error::setting("noise", "given", "noise follows the gates of a circuit (.qasm, .qsim)"));
    }
    let circuit = load_noise(noise)?.applied(&load_circuit(path)?)?;
    let n = circuit.num_qubits();
    let dims = vec![2; n];
    let d = dense_dimension(&dims)?;
    let rho = DensityMatrix::<f64>::new().state(&circuit)?;
    let rho = ndarray::Array2::from_shape_fn((d, d), |(i, j)| rho.get(i, j));
    Lpdo::from_density(&rho, &dims).map_err(|e| e.at(Place::File(path.into())))
}
