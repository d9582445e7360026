//! `ansatz circuit from-model`: a Born machine as a circuit.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::output::{complain, number, print, print_json, writable, write_text};
use crate::chain::Mps;
use crate::circuit::{Circuit, Layers, prepare};
use crate::error::{Error, Result};
use crate::for_kind;
use crate::io::{AnyBornMps, load_model};
use crate::linalg::Truncation;
use crate::report::Table;
use crate::scalar::Scalar;

/// Options of the command.
#[derive(Debug, Args)]
pub(super) struct FromModel {
    /// The model file: a matrix-product Born machine with sites of 2 levels.
    model: PathBuf,
    /// Write the circuit: OpenQASM 2 of u3, u1 and cx.
    #[arg(long, value_name = "FILE.qasm")]
    out: PathBuf,
    /// Exactly, by isometries on as many qubits as a bond needs (this is what is done unless layers are asked for).
    #[arg(long, conflicts_with_all = ["layers", "sweeps"])]
    exact: bool,
    /// By so many layers of two-qubit gates, approximately; the fidelity after each is told.
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Sweeps over the gates of the layers, which make the fidelity better.
    #[arg(long, value_name = "N", requires = "layers", default_value_t = 10)]
    sweeps: usize,
    /// Compress the model to this bond first; the fidelity that is left is told.
    #[arg(long, value_name = "D")]
    max_bond: Option<usize>,
    /// Measure all qubits at the end.
    #[arg(long)]
    measure: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What came of it.
struct Made {
    circuit: Circuit,
    /// What compression has left.
    kept: f64,
    layers: Vec<f64>,
    sweeps: Vec<f64>,
    fidelity: f64,
}

/// A fidelity below which a warning is given.
const LOW_FIDELITY: f64 = 0.99;

impl FromModel {
    pub(super) fn run(&self) -> Result<()> {
        if self.out.extension().is_none_or(|end| end != "qasm") {
            return Err(Error::setting("out", self.out.display(), "a circuit is written as OpenQASM: name it .qasm"));
        }
        writable(&self.out)?;
        let (model, _) = load_model(&self.model)?;
        let start = Instant::now();
        let made = for_kind!(AnyBornMps, &model, m => self.make(m.state()))?;
        let mut circuit = made.circuit.elementary()?;
        if self.measure {
            let qubits = circuit.num_qubits();
            circuit.add_bits("c", qubits)?;
            (0..qubits).try_for_each(|q| circuit.measure(q, q).map(|_| ()))?;
        }
        let text = circuit.to_qasm()?;
        let seconds = start.elapsed().as_secs_f64();
        write_text(&self.out, &text)?;
        let counts = circuit.counts();
        let cnots = counts.get("cx").copied().unwrap_or(0);
        let singles = counts.get("u3").copied().unwrap_or(0) + counts.get("u1").copied().unwrap_or(0);
        let method = if self.layers.is_some() { "layers" } else { "exact" };
        if made.fidelity < LOW_FIDELITY {
            let way_out = "take more layers or sweeps, or a larger bond";
            complain(&format!("warning: the fidelity with the model is {:.6}; {way_out}", made.fidelity));
        }
        if self.json {
            let list = |values: &[f64]| values.iter().map(|&f| number(f)).collect::<Vec<_>>();
            return print_json(&serde_json::json!({
                "method": method, "qubits": circuit.num_qubits(), "cx": cnots, "single_qubit_gates": singles,
                "depth": circuit.depth(), "compression_fidelity": number(made.kept), "layer_fidelity": list(&made.layers),
                "sweep_fidelity": list(&made.sweeps), "fidelity": number(made.fidelity), "seconds": number(seconds),
                "out": self.out.display().to_string(),
            }));
        }
        let mut table = Table::new(["", "value"]);
        table.row(["qubits".to_owned(), circuit.num_qubits().to_string()]);
        table.row(["CNOTs".to_owned(), cnots.to_string()]);
        table.row(["gates of one qubit".to_owned(), singles.to_string()]);
        table.row(["depth".to_owned(), circuit.depth().to_string()]);
        if self.max_bond.is_some() {
            table.row(["fidelity after compression".to_owned(), format!("{:.9}", made.kept)]);
        }
        for (layer, fidelity) in made.layers.iter().enumerate() {
            table.row([format!("fidelity with {} layers", layer + 1), format!("{fidelity:.9}")]);
        }
        if let Some(last) = made.sweeps.last() {
            table.row([format!("after {} sweeps", made.sweeps.len()), format!("{last:.9}")]);
        }
        table.row(["fidelity with the model".to_owned(), format!("{:.9}", made.fidelity)]);
        table.row(["seconds".to_owned(), format!("{seconds:.2}")]);
        print(&table.to_string())?;
        complain(&format!("wrote {}", self.out.display()));
        Ok(())
    }

    fn make<T: Scalar>(&self, model: &Mps<T>) -> Result<Made> {
        let mut state = model.clone();
        let mut kept = 1.0;
        if let Some(bond) = self.max_bond {
            kept = state.compress(&Truncation::none().max_bond(bond))?.fidelity();
            state.normalise()?;
        }
        let Some(layers) = self.layers else {
            let circuit = prepare(&state)?;
            return Ok(Made { circuit, kept, layers: Vec::new(), sweeps: Vec::new(), fidelity: kept });
        };
        let prepared = Layers::new(layers).sweeps(self.sweeps).prepare(&state)?;
        let mut fidelity = prepared.fidelity();
        if self.max_bond.is_some() {
            // With the model itself, not with what was left of it.
            let zero = crate::circuit::MpsSimulator::<f64>::new().run(&prepared.circuit)?.state;
            let tensors = model.tensors().iter().map(|a| a.mapv(Scalar::to_c64)).collect();
            let mut whole = Mps::new(tensors)?;
            whole.normalise()?;
            fidelity = whole.inner(&zero)?.value().norm_sqr();
        }
        Ok(Made {
            circuit: prepared.circuit.clone(),
            kept,
            fidelity,
            layers: prepared.layer_fidelity,
            sweeps: prepared.sweep_fidelity,
        })
    }
}
