//! `ansatz info`: what a model file holds.

use std::path::PathBuf;

use clap::Args;

use super::Exit;
use super::loaded::is_circuit;
use super::output::{number, print, print_json, write_text};
use crate::circuit::{Instruction, Operation};
use crate::error::{Error, Result};
use crate::for_kind;
use crate::io::{AnyBornMps, load_circuit, load_model};
use crate::report::{Table, chain_profile};

#[derive(Debug, Args)]
pub(super) struct Info {
    /// The model file, or a circuit (.qasm).
    model: PathBuf,
    /// Draw bond dimension and entanglement entropy along the chain.
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Info {
    pub fn run(self) -> Result<Exit> {
        if is_circuit(&self.model) {
            return self.of_circuit();
        }
        let (model, extra) = load_model(&self.model)?;
        let (dims, bonds) = (model.dims(), model.bonds());
        if let Some(svg) = &self.svg {
            write_text(svg, &chain_profile(&bonds, &entropies(&model)?)?)?;
        }
        let largest = bonds.iter().copied().max().unwrap_or(1);
        let mean = bonds.iter().sum::<usize>() as f64 / bonds.len().max(1) as f64;
        if self.json {
            print_json(&serde_json::json!({
                "model": "born-mps", "scalar": model.kind().name(), "sites": dims.len(), "dimensions": dims,
                "bonds": bonds, "max_bond": largest, "mean_bond": number(mean), "parameters": model.parameters(),
                "extra": serde_json::to_value(&extra).unwrap_or_default(),
            }))?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new(["", "value"]);
        table.row(["model", "born-mps"]);
        table.row(["numbers", model.kind().name()]);
        table.row(["sites".to_owned(), dims.len().to_string()]);
        let (low, high) = (dims.iter().min().copied().unwrap_or(0), dims.iter().max().copied().unwrap_or(0));
        table
            .row(["site dimension".to_owned(), if low == high { low.to_string() } else { format!("{low} to {high}") }]);
        table.row(["largest bond".to_owned(), largest.to_string()]);
        table.row(["mean bond".to_owned(), format!("{mean:.1}")]);
        table.row(["parameters".to_owned(), model.parameters().to_string()]);
        if let Some(shape) = &extra.shape {
            table.row(["shape of a sample".to_owned(), format!("{shape:?}")]);
        }
        if let Some(data) = &extra.data {
            table.row(["trained on".to_owned(), data.clone()]);
        }
        if let Some(report) = &extra.report {
            table.row(["after sweep".to_owned(), report.sweep.to_string()]);
            table.row(["training NLL (nats)".to_owned(), format!("{:.4}", report.train_nll)]);
            if let Some(valid) = report.valid_nll {
                table.row(["held-out NLL (nats)".to_owned(), format!("{valid:.4}")]);
            }
        }
        print(&table.to_string())?;
        Ok(Exit::Done)
    }
}

impl Info {
    fn of_circuit(&self) -> Result<Exit> {
        if let Some(svg) = &self.svg {
            return Err(Error::setting("svg", svg.display(), "a circuit has no chain; see `ansatz circuit draw`"));
        }
        let circuit = load_circuit(&self.model)?;
        let gates = |least: usize| {
            let counts =
                |i: &&Instruction| matches!(&i.operation, Operation::Gate { qubits, .. } if qubits.len() >= least);
            circuit.instructions().iter().filter(counts).count()
        };
        let (qubits, all, joint, depth) = (circuit.num_qubits(), gates(0), gates(2), circuit.depth());
        if self.json {
            print_json(&serde_json::json!({
                "model": "circuit", "sites": qubits, "gates": all, "entangling_gates": joint, "depth": depth,
            }))?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new(["", "value"]);
        table.row(["model", "circuit"]);
        for (name, number) in [("sites", qubits), ("gates", all), ("gates of several qubits", joint), ("depth", depth)]
        {
            table.row([name.to_owned(), number.to_string()]);
        }
        print(&table.to_string())?;
        Ok(Exit::Done)
    }
}

/// Entanglement entropy of every bond, nats.
pub(super) fn entropies(model: &AnyBornMps) -> Result<Vec<f64>> {
    for_kind!(AnyBornMps, model, m => m.state().clone().entropies())
}
