//! `ansatz tomography process`: channels.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::pictures::pictures_of_channel;
use super::simulate::{Drawing, SettingsName};
use super::{Detector, Exit};
use crate::circuit::{Circuit, DensityMatrix, Statevector};
use crate::cli::loaded::is_circuit;
use crate::cli::output::{folder, number, print, print_json, writable};
use crate::cli::training::on_signal;
use crate::data::{DenseState, read_dense_state, read_process_shots};
use crate::error::{Error, Place, Result};
use crate::io::{Extra, load_circuit, load_noise, load_process, save_process, write_process_shots};
use crate::random::Seed;
use crate::report::Table;
use crate::tomography::{
    ChainSettings, DENSE_FIT_LIMIT, Process, ProcessSettings, ProcessShots, fit_process, fit_process_dense,
    process_nll, simulate_process,
};

#[derive(Debug, Args)]
pub(super) struct ProcessCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draw records behind a known channel.
    Simulate(Simulate),
    /// Fit a channel to records.
    Fit(Fit),
}

impl ProcessCommand {
    pub(super) fn run(self) -> Result<Exit> {
        match self.command {
            Command::Simulate(command) => command.run(),
            Command::Fit(command) => command.run(),
        }
    }
}

/// A channel from a file: a model of one, a circuit (`.qasm`, `.qsim`), a unitary or a Choi matrix (all inputs before all outputs).
fn channel(path: &Path, noise: Option<&Path>) -> Result<Process> {
    let place = |e: Error| e.at(Place::File(path.into()));
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if is_circuit(path) {
        let circuit = load_circuit(path)?;
        return of_circuit(&circuit, noise).map_err(place);
    }
    if noise.is_some() {
        return Err(Error::setting("noise", "given", "noise follows the gates of a circuit (.qasm, .qsim)"));
    }
    if matches!(extension, "ansatz" | "safetensors") {
        return Ok(load_process(path)?.0);
    }
    let DenseState::Matrix(m) = read_dense_state(&path.to_string_lossy())? else {
        let what = "a vector, where the matrix of a unitary or a Choi matrix is needed".into();
        return Err(place(Error::Format { what }));
    };
    let d = m.nrows();
    if !d.is_power_of_two() || d < 2 || m.ncols() != d {
        return Err(place(Error::shape("the matrix of a channel of qubits", m.dim(), "square, a power of two")));
    }
    let trace: f64 = m.diag().iter().map(|x| x.re).sum();
    let hermitian = m.indexed_iter().all(|((i, j), x)| (x - m[[j, i]].conj()).norm() < 1e-8);
    let bits = d.trailing_zeros() as usize;
    // A unitary that is Hermitian has the trace of a Choi matrix only if it is the identity of dimension 1.
    let choi = hermitian && bits.is_multiple_of(2) && {
        let root = f64::from(1u32 << (bits / 2));
        let square: f64 = m.iter().map(|x| x.norm_sqr()).sum();
        ((trace - 1.0).abs() < 1e-6 || (trace - root).abs() < 1e-6) && (square - d as f64).abs() > 1e-6
    };
    if choi {
        Process::from_choi(&m, &vec![2; bits / 2]).map_err(place)
    } else {
        Process::from_kraus(&[m], &vec![2; bits]).map_err(place)
    }
}

/// The Choi state of a circuit: halves of pairs go through it.
fn of_circuit(circuit: &Circuit, noise: Option<&Path>) -> Result<Process> {
    let noisy = noise.map(|path| load_noise(path)?.applied(circuit)).transpose()?;
    let circuit = noisy.as_ref().unwrap_or(circuit);
    let n = circuit.num_qubits();
    let mut pairs = Circuit::with_bits(2 * n, circuit.num_bits())?;
    for q in 0..n {
        pairs.h(n + q)?.cx(n + q, q)?;
    }
    for instruction in circuit.instructions() {
        pairs.push(instruction.clone())?;
    }
    let d = 1usize << n.min(16);
    let swapped = |index: usize| (index % d) * d + index / d;
    if noise.is_none() {
        if n > 10 {
            return Err(Error::setting("qubits of a circuit as a channel", n, "at most 10"));
        }
        let state = Statevector::<f64>::new().state(&pairs)?.amplitudes();
        let unitary = ndarray::Array2::from_shape_fn((d, d), |(o, i)| state[o * d + i] * (d as f64).sqrt());
        return Process::from_kraus(&[unitary], &vec![2; n]);
    }
    if n > 5 {
        return Err(Error::setting("qubits of a noisy circuit as a channel", n, "at most 5"));
    }
    let rho = DensityMatrix::<f64>::new().state(&pairs)?;
    let choi = ndarray::Array2::from_shape_fn((d * d, d * d), |(i, j)| rho.get(swapped(i), swapped(j)));
    Process::from_choi(&choi, &vec![2; n])
}

#[derive(Debug, Args)]
struct Simulate {
    /// The channel: a model of one, a circuit (.qasm, .qsim), a unitary or a Choi matrix (.npy, .json).
    channel: PathBuf,
    /// What is put in: the states that these settings would find.
    #[arg(long, value_enum, default_value = "paulis")]
    inputs: SettingsName,
    #[command(flatten)]
    drawing: Drawing,
}

impl Simulate {
    fn run(self) -> Result<Exit> {
        let drawing = &self.drawing;
        writable(&drawing.out)?;
        let process = channel(&self.channel, drawing.noise.as_deref())?;
        let sites = process.inputs().len();
        let (inputs, settings) = (self.inputs.settings(sites), drawing.settings.settings(sites));
        let noise = drawing.noise_at(sites)?;
        let record = simulate_process(&process, &inputs, &settings, drawing.shots, &noise, drawing.seed())?;
        write_process_shots(&drawing.out, &record)?;
        drawing.tell(sites, record.shots())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum ModelName {
    /// A locally purified chain: any channel.
    Lpdo,
    /// A matrix product operator: a unitary.
    Mpo,
    /// Dense maximum likelihood, to four qubits.
    Dense,
}

#[derive(Debug, Args)]
struct Fit {
    /// The records: CSV with columns input, setting, outcome, count; text as `0+ XY 01`; or shots of twice the sites, inputs first.
    shots: String,
    /// What is fitted.
    #[arg(long, value_enum, default_value = "lpdo")]
    model: ModelName,
    /// Largest bond dimension; without it the one that predicts held-out shots best.
    #[arg(long)]
    bond: Option<usize>,
    /// Purification dimension of each site.
    #[arg(long, default_value_t = 2)]
    purification: usize,
    /// The trace is preserved to this: the deviation of the eigenvalues of sum K^H K from 1, in the mean square.
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f64,
    /// Iterations of L-BFGS at the most, for each weight of the penalty.
    #[arg(long, default_value_t = 600)]
    iterations: usize,
    /// Random starts, of which the best after a few steps goes on; without it 12 for a unitary and 2 for any channel.
    #[arg(long)]
    starts: Option<usize>,
    /// Share of the shots that is held out to choose the bond by; 0 holds none out.
    #[arg(long, default_value_t = 0.1)]
    held_out: f64,
    /// Go on from a channel that was fitted to fewer shots.
    #[arg(long, value_name = "CHANNEL.ansatz")]
    start: Option<PathBuf>,
    /// The channel that was meant: a model, a circuit, a unitary or a Choi matrix.
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    #[command(flatten)]
    detector: Detector,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the channel.
    #[arg(long, value_name = "CHANNEL.ansatz")]
    out: Option<PathBuf>,
    /// Write pictures into this folder.
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Bonds that are tried where none is given.
const BONDS: [usize; 6] = [1, 2, 4, 6, 8, 16];

impl Fit {
    fn run(self) -> Result<Exit> {
        self.out.iter().try_for_each(|p| writable(p))?;
        self.report.iter().try_for_each(|p| folder(p))?;
        if !(0.0..1.0).contains(&self.held_out) {
            return Err(Error::setting("held-out", self.held_out, "give a number from 0 up and below 1"));
        }
        let record = read_process_shots(&self.shots)?;
        let target = self.target.as_deref().map(|path| channel(path, None)).transpose()?;
        if let (Some(target), Some(path)) = (&target, &self.target)
            && (target.inputs() != record.inputs() || target.outputs() != record.outputs())
        {
            let error = Error::shape("the target: levels that go in", target.inputs(), record.inputs());
            return Err(error.at(Place::File(path.clone())));
        }
        let start = self.start.as_deref().map(|path| load_process(path).map(|s| s.0)).transpose()?;
        let readout = self.detector.readout(record.sites())?;
        let stopped = on_signal()?;
        let clock = Instant::now();
        let mut watch = |_: f64| !stopped.load(Ordering::Relaxed);
        let purification = if self.model == ModelName::Mpo { 1 } else { self.purification };
        let mut settings = ProcessSettings::new(self.bond.unwrap_or(4), purification);
        settings.tolerance = self.tolerance;
        settings.chain = ChainSettings {
            iterations: self.iterations,
            starts: self.starts.unwrap_or(settings.chain.starts),
            readout: readout.clone(),
            seed: Seed(self.seed),
            ..settings.chain
        };
        let mut tried = Vec::new();
        if self.model != ModelName::Dense && self.bond.is_none() && start.is_none() && self.held_out > 0.0 {
            tried = choose(&record, &mut settings, self.held_out, &mut watch)?;
        }
        let (process, nll, curve) = if self.model == ModelName::Dense {
            let fit = fit_process_dense(&record, readout.as_ref())?;
            (fit.process, fit.nll, Vec::new())
        } else {
            let fit = fit_process(&record, &settings, start.as_ref(), &mut watch)?;
            (fit.process, fit.nll, fit.curve)
        };
        let seconds = clock.elapsed().as_secs_f64();
        if let Some(out) = &self.out {
            let mut extra = Extra { data: Some(self.shots.clone()), ..Extra::default() };
            extra.other.insert("nll".into(), number(nll));
            save_process(out, &process, &extra)?;
        }
        if let Some(folder) = &self.report {
            pictures_of_channel(folder, &process, &curve)?;
        }
        let mut values = vec![("trace_deviation", process.deviation()?), ("choi_purity", process.choi().purity()?)];
        if let Some(target) = &target {
            let f = process.fidelity(target)?;
            values.push(("process_fidelity", f));
            if target.choi().is_pure() {
                values.push(("average_gate_fidelity", process.average_fidelity(f)));
            }
        }
        let warnings = warnings(&record)?;
        let stop = stopped.load(Ordering::Relaxed);
        if self.json {
            let mut object = json!({
                "model": format!("{:?}", self.model).to_lowercase(), "sites": record.sites(), "shots": record.shots().total(),
                "nll": number(nll), "bonds": process.choi().chain().bonds(), "purification": process.choi().purification(),
                "bonds_tried": tried.iter().map(|(b, v)| json!([b, number(*v)])).collect::<Vec<_>>(),
                "warnings": warnings, "seconds": number(seconds),
            });
            values.iter().for_each(|(name, value)| object[*name] = number(*value));
            print_json(&object)?;
        } else {
            let mut table = Table::new(["", "value"]);
            table.row(["NLL (nats per shot)".to_owned(), format!("{nll:.6}")]);
            for (name, value) in &values {
                let text = if *name == "trace_deviation" { format!("{value:.1e}") } else { format!("{value:.6}") };
                table.row([name.replace('_', " "), text]);
            }
            table.row(["bonds".to_owned(), format!("{:?}", process.choi().chain().bonds())]);
            let mut text = table.to_string();
            tried.iter().for_each(|(bond, held)| text += &format!("bond {bond}: held-out NLL {held:.6}\n"));
            warnings.iter().for_each(|warning| text += &format!("warning: {warning}\n"));
            text += &format!("{} shots, {seconds:.2} s\n", record.shots().total());
            print(&text)?;
        }
        Ok(if stop { Exit::Interrupted } else { Exit::Done })
    }
}

/// Takes the bond whose fit to part of the shots predicts the rest best.
fn choose(
    record: &ProcessShots,
    settings: &mut ProcessSettings,
    share: f64,
    watch: &mut dyn FnMut(f64) -> bool,
) -> Result<Vec<(usize, f64)>> {
    let (train, valid) = record.shots().split(share, settings.chain.seed)?;
    let (train, valid) = (ProcessShots::new(train)?, ProcessShots::new(valid)?);
    let half = record.sites() / 2;
    let each = |site: usize| record.inputs()[site] * record.outputs()[site] * settings.chain.purification;
    let full = (0..half).fold(1usize, |p, s| p.saturating_mul(each(s)));
    let mut tried: Vec<(usize, f64)> = Vec::new();
    let mut best: Option<(usize, f64)> = None;
    for bond in BONDS.into_iter().filter(|&b| b <= full) {
        let mut now = settings.clone();
        now.chain.bond = bond;
        let fit = fit_process(&train, &now, None, watch)?;
        let held = process_nll(&fit.process, &valid, now.chain.readout.as_ref())?;
        tried.push((bond, held));
        if best.is_some_and(|b| held > b.1 - 1e-6) {
            break;
        }
        best = Some((bond, held));
    }
    settings.chain.bond = best.map_or(1, |b| b.0);
    Ok(tried)
}

/// What the records cannot tell.
fn warnings(record: &ProcessShots) -> Result<Vec<String>> {
    let mut list = Vec::new();
    let n = record.sites();
    let (inputs, outputs) = (record.input_ranks()?, record.shots().local_ranks()?);
    if let Some(site) = (0..n).find(|&s| inputs[s] < record.inputs()[s].pow(2)) {
        list.push(format!(
            "site {site}: {} independent states are put in of the {} that are needed; what is not tested is chosen by the fit",
            inputs[site],
            record.inputs()[site].pow(2)
        ));
    }
    if let Some(site) = (0..n).find(|&s| outputs[n + s] < record.outputs()[s].pow(2)) {
        list.push(format!(
            "site {site}: the measurements of what comes out span {} of {} operators; what is not measured is chosen by the fit",
            outputs[n + site],
            record.outputs()[site].pow(2)
        ));
    }
    let d = record.inputs().iter().zip(record.outputs()).fold(1usize, |d, (i, o)| d.saturating_mul(i * o));
    if d <= DENSE_FIT_LIMIT && record.shots().total() < (d * d) as u64 {
        list.push(format!("{} shots for the {} parameters of a general channel", record.shots().total(), d * d));
    }
    Ok(list)
}
