//! `ansatz fit --model circuit`: training of a circuit Born machine.

use std::path::Path;
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::Exit;
use super::output::{complain, number, print, print_json, writable, write_text};
use crate::error::{Error, Result};
use crate::model::{Batch, BornCircuit, CircuitLoss, Distance, Entangler, GenerativeModel, Kernel};
use crate::random::Seed;
use crate::report::Table;
use crate::train::{Minimiser, Wanted};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Pattern {
    /// Each qubit with the next.
    Line,
    /// Along the rows and columns of the data's shape.
    Grid,
    /// Along the tree of largest mutual information of the data.
    Tree,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LossName {
    /// Maximum mean discrepancy.
    Mmd,
    /// Negative log-likelihood.
    Nll,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Way {
    Lbfgs,
    Adam,
    Spsa,
    /// From values alone; a step is a generation.
    CmaEs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DistanceName {
    Hamming,
    Integer,
}

/// Options of `--model circuit`.
#[derive(Debug, Args)]
pub(super) struct CircuitOptions {
    /// With --model circuit: layers of CNOTs.
    #[arg(long, default_value_t = 6)]
    depth: usize,
    /// With --model circuit: which qubits are entangled.
    #[arg(long, value_enum, default_value = "tree")]
    entangler: Pattern,
    /// With --model circuit: what is minimised.
    #[arg(long, value_enum, default_value = "mmd")]
    loss: LossName,
    /// With --model circuit: the distance that the kernel of mmd takes.
    #[arg(long, value_enum, default_value = "hamming")]
    distance: DistanceName,
    /// With --model circuit: widths of the Gaussian kernels of mmd.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0.5,1,2,4",
        value_name = "X[,X..]",
        allow_negative_numbers = true
    )]
    widths: Vec<f64>,
    /// With --model circuit: how it is minimised.
    #[arg(long, value_enum, default_value = "lbfgs")]
    optimiser: Way,
    /// With --model circuit: gradients and losses of mmd from so many shots instead of exactly (not with lbfgs).
    #[arg(long, value_name = "N")]
    shots: Option<usize>,
    /// With --model circuit: random starts, of which the one that is best after a tenth of the steps goes on (default: 4 with
    /// lbfgs, otherwise 1).
    #[arg(long, value_name = "N")]
    starts: Option<usize>,
}

/// What else the command was given.
pub(super) struct Given<'a> {
    pub steps: usize,
    pub rate: Option<f64>,
    pub seed: u64,
    pub out: Option<&'a Path>,
    pub json: bool,
    pub shape: &'a [usize],
}

impl CircuitOptions {
    /// A machine with random angles.
    fn start(&self, data: &Batch<u8>, shape: &[usize], seed: Seed) -> Result<BornCircuit> {
        match (self.entangler, shape) {
            (Pattern::Line, _) => BornCircuit::random(data.sites(), self.depth, &Entangler::Line, seed),
            (Pattern::Tree, _) => BornCircuit::on_tree_of(data, self.depth, seed),
            (Pattern::Grid, &[rows, columns]) => {
                BornCircuit::random(data.sites(), self.depth, &Entangler::Grid { rows, columns }, seed)
            }
            (Pattern::Grid, _) => {
                let why = "the data have no rows and columns; give line or tree";
                Err(Error::setting("entangler", "grid", why))
            }
        }
    }

    pub(super) fn run(&self, data: &Batch<u8>, given: &Given<'_>) -> Result<Exit> {
        if let Some(path) = given.out {
            writable(path)?;
            if path.extension().is_none_or(|end| end != "qasm") {
                return Err(Error::setting("out", path.display(), "a circuit is written as OpenQASM: name it .qasm"));
            }
        }
        if self.shots.is_some() && (self.optimiser == Way::Lbfgs || matches!(self.loss, LossName::Nll)) {
            let why = "shots are for --loss mmd with --optimiser adam, spsa or cma-es";
            return Err(Error::setting("shots", self.shots.unwrap_or_default(), why));
        }
        let (qubits, seed) = (data.sites(), Seed(given.seed));
        let starts = self.starts.unwrap_or(if self.optimiser == Way::Lbfgs { 4 } else { 1 });
        if !(1..=1000).contains(&starts) {
            return Err(Error::setting("starts", starts, "give 1 to 1000"));
        }
        let start = self.start(data, given.shape, seed)?;
        let mut angles = vec![start.angles().to_vec()];
        for number in 1..starts {
            angles.push(self.start(data, given.shape, seed.derive("start", number as u64))?.angles().to_vec());
        }
        let distance = match self.distance {
            DistanceName::Hamming => Distance::Hamming,
            DistanceName::Integer => Distance::Integer,
        };
        let kernel = Kernel::new(distance, &self.widths)?;
        let loss = match self.loss {
            LossName::Mmd => CircuitLoss::Mmd(kernel.clone()),
            LossName::Nll => CircuitLoss::Nll,
        };
        let minimiser = match self.optimiser {
            Way::Lbfgs => Minimiser::Lbfgs { memory: 100 },
            Way::Adam => Minimiser::Adam { rate: given.rate.unwrap_or(0.1) },
            Way::Spsa => Minimiser::Spsa { rate: given.rate.unwrap_or(1.0), shift: 0.1 },
            Way::CmaEs => Minimiser::CmaEs { spread: given.rate.unwrap_or(0.5), population: None },
        };
        let target = start.target(data)?;
        let clock = Instant::now();
        let mut asked = 0;
        let minimum = minimiser.run_from(&angles, given.steps / 10, given.steps, seed, |angles, wanted| {
            asked += 1;
            let drawn = seed.derive("loss", asked);
            match (self.shots, wanted) {
                (Some(shots), Wanted::Gradient) => start.mmd_from_shots(angles, &target, &kernel, shots, drawn),
                (Some(shots), Wanted::Value) => {
                    let p = start.with_angles(angles)?.shares_of_shots(shots, drawn)?;
                    Ok((kernel.discrepancy(&p, &target)?.0, Vec::new()))
                }
                (None, Wanted::Gradient) => start.loss_and_gradient(angles, &target, &loss),
                (None, Wanted::Value) => Ok((start.loss(angles, &target, &loss)?, Vec::new())),
            }
        })?;
        let model = start.with_angles(&minimum.point)?;
        let seconds = clock.elapsed().as_secs_f64();
        let p = model.probabilities()?;
        let mmd = kernel.discrepancy(&p, &target)?.0;
        let valid: f64 = p.iter().zip(&target).filter(|(_, q)| **q > 0.0).map(|(p, _)| p).sum();
        let nll = model.nll(data)?;
        if let Some(path) = given.out {
            write_text(path, &model.circuit()?.to_qasm()?)?;
        }
        if given.json {
            print_json(&serde_json::json!({
                "model": "circuit", "qubits": qubits, "parameters": model.angles().len(), "loss": number(minimum.value),
                "mmd": number(mmd), "train_nll": number(nll), "seen_share": number(valid), "steps": minimum.steps, "starts": starts,
                "evaluations": minimum.evaluations, "stop": minimum.stop, "seconds": number(seconds),
            }))?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new(["", "value"]);
        table.row(["loss".to_owned(), format!("{:.6e}", minimum.value)]);
        table.row(["maximum mean discrepancy".to_owned(), format!("{mmd:.6e}")]);
        table.row(["training NLL (nats)".to_owned(), format!("{nll:.6}")]);
        table.row(["probability of what the data hold".to_owned(), format!("{valid:.6}")]);
        table.row(["angles".to_owned(), model.angles().len().to_string()]);
        table.row(["steps".to_owned(), minimum.steps.to_string()]);
        table.row(["stopped because".to_owned(), minimum.stop.to_string()]);
        print(&table.to_string())?;
        if let Some(path) = given.out {
            complain(&format!("wrote {}", path.display()));
        }
        Ok(Exit::Done)
    }
}
