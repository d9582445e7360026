//! `ansatz circuit`: run, draw and look into circuits.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use num_complex::Complex;

use super::Exit;
use super::circuit_from_model::FromModel;
use super::output::{complain, number, print, print_json, writable, write_text};
use crate::circuit::{
    Circuit, CliffordSimulator, ContractSimulator, DensityMatrix, GATES, Method, MpsSimulator, PauliSum,
    PurifiedSimulator, Simulator, Statevector, Task, choose,
};
use crate::error::{Error, Result};
use crate::io::{load_circuit, load_noise};
use crate::random::Seed;
use crate::report::{Table, circuit_svg, circuit_text, histogram};
use crate::scalar::{Real, Scalar};

#[derive(Debug, Args)]
pub(super) struct Circuits {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draw shots; an outcome is written with bit 0 leftmost.
    ///
    /// Outcomes hold the classical bits in order of declaration, bit 0 of the first register leftmost; those of a circuit
    /// without a measurement hold all qubits, measured at the end, qubit 0 leftmost.
    Run(RunShots),
    /// Draw the circuit, as text or as a picture.
    Draw(Draw),
    /// The amplitude of one basis state at the end.
    Amplitude(Amplitude),
    /// Make a circuit of a matrix-product Born machine and write it as OpenQASM.
    FromModel(FromModel),
    /// The gates that there are.
    Gates(Gates),
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum MethodName {
    Auto,
    Statevector,
    Mps,
    Contract,
    Clifford,
    /// Exact under noise, to 12 qubits.
    Density,
    /// Noise on many qubits in one run, by a locally purified chain.
    Purified,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Precision {
    /// 8 bytes an amplitude.
    Single,
    /// 16 bytes an amplitude.
    Double,
}

/// How to simulate.
#[derive(Debug, Args)]
struct Settings {
    /// The circuit: OpenQASM 2 or 3, or Google's format if the name ends in .qsim.
    file: PathBuf,
    /// How to simulate.
    #[arg(long, value_enum, default_value = "auto")]
    method: MethodName,
    /// Precision of the amplitudes.
    #[arg(long, value_enum, default_value = "double")]
    precision: Precision,
    /// The largest bond of a matrix product state or a purified chain; without it nothing but rounding is cut.
    #[arg(long, value_name = "D")]
    max_bond: Option<usize>,
    /// The largest Kraus leg of a purified chain; without it nothing but rounding is cut.
    #[arg(long, value_name = "K")]
    max_leg: Option<usize>,
    /// A value for a parameter of the circuit (OpenQASM 3's `input`); may be given many times.
    #[arg(long, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    bind: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Settings {
    fn circuit(&self) -> Result<Circuit> {
        let circuit = load_circuit(&self.file)?;
        if self.bind.is_empty() {
            return Ok(circuit);
        }
        let mut values = Vec::new();
        for text in &self.bind {
            let parts = text.split_once('=').and_then(|(name, value)| Some((name.trim(), value.trim().parse().ok()?)));
            values.push(parts.ok_or_else(|| Error::setting("bind", text, "give NAME=VALUE, as theta=0.5"))?);
        }
        circuit.bind(&values)
    }

    /// The simulator, and why it was taken if it was not asked for.
    fn simulator(&self, circuit: &Circuit, task: Task) -> Result<(Box<dyn Simulator>, Option<String>)> {
        match self.precision {
            Precision::Double => self.simulator_of::<f64>(circuit, task),
            Precision::Single => self.simulator_of::<f32>(circuit, task),
        }
    }

    fn simulator_of<T: Real>(&self, circuit: &Circuit, task: Task) -> Result<(Box<dyn Simulator>, Option<String>)>
    where
        Complex<T>: Scalar<Real = T>,
    {
        if let Some(bond) = self.max_bond.filter(|_| !matches!(self.method, MethodName::Mps | MethodName::Purified)) {
            return Err(Error::setting("max-bond", bond, "it is for --method mps and purified"));
        }
        if let Some(leg) = self.max_leg.filter(|_| self.method != MethodName::Purified) {
            return Err(Error::setting("max-leg", leg, "it is for --method purified"));
        }
        let simulator: Box<dyn Simulator> = match self.method {
            MethodName::Auto => {
                let choice = choose::<T>(circuit, task)?;
                return Ok((choice.simulator, Some(choice.why)));
            }
            MethodName::Statevector => Box::new(Statevector::<T>::new()),
            MethodName::Mps => {
                let mps = MpsSimulator::<T>::new();
                Box::new(match self.max_bond {
                    Some(bond) => mps.max_bond(bond),
                    None => mps,
                })
            }
            MethodName::Contract => Box::new(ContractSimulator::<T>::new()),
            MethodName::Clifford => Box::new(CliffordSimulator::new()),
            MethodName::Density => Box::new(DensityMatrix::<T>::new()),
            MethodName::Purified => {
                let purified = PurifiedSimulator::<T>::new();
                let purified = self.max_bond.map_or(purified, |bond| purified.max_bond(bond));
                Box::new(self.max_leg.map_or(purified, |leg| purified.max_leg(leg)))
            }
        };
        Ok((simulator, None))
    }
}

#[derive(Debug, Args)]
struct RunShots {
    #[command(flatten)]
    settings: Settings,
    /// Shots to draw.
    #[arg(long, default_value_t = 1000)]
    shots: usize,
    /// The seed; shot i depends on it and i only.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tell the expectation of an observable at the end too, as "1.5*Z0 Z1 - X3"; may be given many times.
    #[arg(long, value_name = "PAULIS", allow_hyphen_values = true)]
    expect: Vec<String>,
    /// Noise: a file of TOML (.toml) or JSON, as documented in docs/circuits.md.
    #[arg(long, value_name = "NOISE.toml")]
    noise: Option<PathBuf>,
    /// Draw a histogram of the counts.
    #[arg(long, value_name = "COUNTS.svg")]
    draw: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Draw {
    /// The circuit.
    file: PathBuf,
    /// Write a picture (.svg), or text into a file of any other name, instead of printing.
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
    /// Characters of a line of text.
    #[arg(long, default_value_t = 110)]
    width: usize,
}

#[derive(Debug, Args)]
struct Amplitude {
    #[command(flatten)]
    settings: Settings,
    /// A 0 or 1 for each qubit, qubit 0 leftmost.
    #[arg(long)]
    bits: String,
}

#[derive(Debug, Args)]
struct Gates {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Circuits {
    pub(super) fn run(&self) -> Result<Exit> {
        match &self.command {
            Command::Run(command) => command.run()?,
            Command::Draw(command) => command.run()?,
            Command::Amplitude(command) => command.run()?,
            Command::FromModel(command) => command.run()?,
            Command::Gates(command) => command.run()?,
        }
        Ok(Exit::Done)
    }
}

/// A fidelity below which a warning is given.
const LOW_FIDELITY: f64 = 0.99;

/// Rows of a table of counts beyond which the rarer ones are left out.
const ROWS: usize = 40;

impl RunShots {
    fn run(&self) -> Result<()> {
        if self.shots == 0 && self.expect.is_empty() {
            return Err(Error::setting("shots", 0, "give at least one"));
        }
        if let Some(path) = &self.draw {
            writable(path)?;
        }
        let circuit = self.settings.circuit()?;
        let observables = self.expect.iter().map(|text| text.parse()).collect::<Result<Vec<PauliSum>>>()?;
        let circuit = match &self.noise {
            Some(path) => load_noise(path)?.applied(&circuit)?,
            None => circuit,
        };
        let start = Instant::now();
        let (simulator, why) = self.settings.simulator(&circuit, Task::Shots(self.shots))?;
        let (counts, fidelity) = simulator.counts(&circuit, self.shots, Seed(self.seed))?;
        let mut expectations = Vec::new();
        if !observables.is_empty() {
            let (by, _) = self.settings.simulator(&circuit, Task::Expectation)?;
            expectations = observables.iter().map(|o| by.expectation(&circuit, o)).collect::<Result<Vec<_>>>()?;
        }
        let seconds = start.elapsed().as_secs_f64();
        if let Some(path) = &self.draw {
            write_text(path, &histogram(&counts)?)?;
        }
        let method: Method = simulator.method();
        if fidelity < LOW_FIDELITY {
            complain(&format!("warning: the state was cut, its fidelity is about {fidelity:.3e}; allow a larger bond"));
        }
        if self.settings.json {
            let told: Vec<_> = observables
                .iter()
                .zip(&expectations)
                .map(|(o, &value)| serde_json::json!({ "observable": o.to_string(), "value": number(value) }))
                .collect();
            return print_json(&serde_json::json!({
                "method": method.to_string(), "why": why, "shots": self.shots, "counts": counts, "fidelity_estimate": number(fidelity),
                "qubits": circuit.num_qubits(), "depth": circuit.depth(), "expectations": told,
                "seconds": number(seconds),
            }));
        }
        let mut often: Vec<_> = counts.iter().collect();
        often.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        let mut table = Table::new(["outcome (bit 0 left)", "count", "share"]);
        for (outcome, count) in often.iter().take(ROWS) {
            let share = **count as f64 / self.shots as f64;
            table.row([(*outcome).clone(), count.to_string(), format!("{share:.4}")]);
        }
        let mut text = table.to_string();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if often.len() > ROWS {
            text += &format!("and {} outcomes more\n", often.len() - ROWS);
        }
        for (observable, value) in observables.iter().zip(&expectations) {
            text += &format!("<{observable}> = {value:.12}\n");
        }
        text += &format!("{} shots by {method}, {seconds:.3} s, fidelity {fidelity}\n", self.shots);
        if let Some(why) = why {
            text += &format!("{method}: {why}\n");
        }
        print(&text)
    }
}

impl Draw {
    fn run(&self) -> Result<()> {
        let circuit = load_circuit(&self.file)?;
        match &self.out {
            Some(path) if path.extension().is_some_and(|end| end == "svg") => {
                writable(path)?;
                write_text(path, &circuit_svg(&circuit)?)
            }
            Some(path) => {
                writable(path)?;
                write_text(path, &circuit_text(&circuit, self.width)?)
            }
            None => print(&circuit_text(&circuit, self.width)?),
        }
    }
}

impl Amplitude {
    fn run(&self) -> Result<()> {
        let circuit = self.settings.circuit()?;
        let bits = self.bits.chars().map(|c| match c {
            '0' => Ok(0),
            '1' => Ok(1),
            _ => Err(Error::setting("bits", &self.bits, "give a 0 or 1 for each qubit, qubit 0 first")),
        });
        let bits = bits.collect::<Result<Vec<u8>>>()?;
        if bits.len() != circuit.num_qubits() {
            let expected = format!("the circuit has {} qubits; give a 0 or 1 for each", circuit.num_qubits());
            return Err(Error::setting("bits", &self.bits, expected));
        }
        let start = Instant::now();
        let (simulator, _) = self.settings.simulator(&circuit, Task::Amplitude)?;
        let amplitude = simulator.amplitude(&circuit, &bits)?;
        let seconds = start.elapsed().as_secs_f64();
        let value = amplitude.value();
        if self.settings.json {
            return print_json(&serde_json::json!({
                "method": simulator.method().to_string(), "bits": self.bits, "re": number(value.re),
                "im": number(value.im), "log_abs": number(amplitude.ln_abs()), "seconds": number(seconds),
            }));
        }
        print(&format!("{} {:+} i, ln |amplitude| {}", value.re, value.im, amplitude.ln_abs()))
    }
}

impl Gates {
    fn run(&self) -> Result<()> {
        if self.json {
            let rows: Vec<_> = GATES
                .iter()
                .map(|row| serde_json::json!({ "name": row.name, "parameters": row.parameters, "qubits": row.qubits, "doc": row.doc }))
                .collect();
            return print_json(&serde_json::json!({ "gates": rows }));
        }
        let mut table = Table::new(["gate", "qubits", "what it does"]);
        for row in GATES {
            let parameters =
                if row.parameters.is_empty() { String::new() } else { format!("({})", row.parameters.join(", ")) };
            table.row([format!("{}{parameters}", row.name), row.qubits.to_string(), row.doc.to_owned()]);
        }
        print(&table.to_string())
    }
}
