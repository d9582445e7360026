//! The arguments of `ansatz fit`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::cli::fit_circuit::CircuitOptions;
use crate::cli::source::Source;
use crate::error::Result;
use crate::train::Schedule;

/// A schedule on the command line: `10,20,50`, one entry a sweep, the last one repeating.
#[derive(Debug, Clone)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T: FromStr> FromStr for List<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entry = |e: &str| e.trim().parse().map_err(|_| format!("'{e}' is not a number"));
        text.split(',').map(entry).collect::<Result<_, _>>().map(List)
    }
}

impl<T: Clone> List<T> {
    pub(super) fn schedule(&self) -> Result<Schedule<T>> {
        Schedule::from_entries(self.0.iter().cloned())
    }
}

/// What was given, or the default.
pub(super) fn schedule<T: Clone>(given: &Option<List<T>>, default: T) -> Result<Schedule<T>> {
    given.as_ref().map_or_else(|| Ok(Schedule::constant(default)), List::schedule)
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Model {
    /// Matrix-product-state Born machine.
    BornMps,
    /// Quantum circuit Born machine.
    Circuit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Method {
    /// Two-site sweeps, at a bond dimension that adapts.
    Sweeps,
    /// Adam over all sites at once, at a fixed bond dimension.
    Adam,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Numbers {
    F32,
    F64,
    C32,
    C64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Way {
    /// The gradient itself.
    Plain,
    /// The gradient at a fixed norm.
    NormScaled,
    /// Adam within each bond.
    Adam,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Cut {
    /// Full singular value decompositions.
    Exact,
    /// Subspace iteration where it serves.
    Warm,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Fit {
    #[command(flatten)]
    pub(super) source: Source,
    /// The kind of model.
    #[arg(long, value_enum, default_value = "born-mps")]
    pub(super) model: Model,
    #[command(flatten)]
    pub(super) circuit: CircuitOptions,
    /// The model file to write: the best model of the run; with --model circuit the circuit, as OpenQASM.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// How it is trained. With adam an epoch counts as a sweep, and options about the cutting of bonds are refused.
    #[arg(long, value_enum, default_value = "sweeps")]
    pub(super) method: Method,
    /// Sweeps in all [default: 10; adam: 100].
    #[arg(long)]
    pub(super) sweeps: Option<usize>,
    /// Largest bond dimension; a list is a schedule over the sweeps. With adam the one that it is fixed at.
    #[arg(long, default_value = "32", value_name = "N[,N..]")]
    pub(super) bond: List<usize>,
    /// Smallest bond dimension; above 1 it lets correlations pass sites that are constant in the data [default: 1].
    #[arg(long, value_name = "N[,N..]")]
    pub(super) min_bond: Option<List<usize>>,
    /// Rate of the gradient steps [default: 0.005; adam: 0.01].
    #[arg(long, value_name = "X[,X..]", allow_negative_numbers = true)]
    pub(super) rate: Option<List<f64>>,
    /// Singular values up to this share of the largest are dropped [default: 1e-7].
    #[arg(long, value_name = "X[,X..]", allow_negative_numbers = true)]
    pub(super) cutoff: Option<List<f64>>,
    /// Gradient steps at each bond [default: 1].
    #[arg(long, value_name = "N[,N..]")]
    pub(super) steps: Option<List<usize>>,
    /// Mini-batches the data are dealt into.
    #[arg(long, default_value = "1", value_name = "N[,N..]")]
    pub(super) mini_batches: List<usize>,
    /// How the gradient becomes a direction [default: norm-scaled].
    #[arg(long, value_enum)]
    pub(super) direction: Option<Way>,
    /// How bonds are cut [default: warm].
    #[arg(long, value_enum)]
    pub(super) splitting: Option<Cut>,
    /// Numbers of the model.
    #[arg(long, value_enum, default_value = "f64")]
    pub(super) scalar: Numbers,
    /// Bond dimension of the random start [default: 4, or --bond where that is less].
    #[arg(long, value_name = "N")]
    pub(super) init_bond: Option<usize>,
    /// Start from this model, in its own kind of numbers, instead of a random one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["init_bond", "resume"])]
    pub(super) start: Option<PathBuf>,
    /// Nats by which a sweep may raise the training loss before it is taken back [default: 0].
    #[arg(long, value_name = "NATS", allow_negative_numbers = true)]
    pub(super) rise: Option<f64>,
    /// Stop when a sweep improves the training loss by less than this many nats [default: 0].
    #[arg(long, value_name = "NATS", allow_negative_numbers = true)]
    pub(super) min_improvement: Option<f64>,
    /// Amplitude of each symbol's exchange for any other, so that symbols never seen at a site stay possible. With
    /// held-out data the best of 0 to 0.1 is chosen unless one is given; without, 0.
    #[arg(long, value_name = "AMPLITUDE", allow_negative_numbers = true)]
    pub(super) smoothing: Option<f64>,
    /// The seed of everything random.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Held-out data, to choose the best model by.
    #[arg(long, value_name = "FILE", conflicts_with = "valid_fraction")]
    pub(super) valid: Option<String>,
    /// Hold out this share of the data.
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(super) valid_fraction: Option<f64>,
    /// Stop after so many sweeps without a better held-out loss.
    #[arg(long, value_name = "SWEEPS")]
    pub(super) patience: Option<usize>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(super) time_limit: Option<f64>,
    /// Megabytes that the program may take; below what it would, environments are made twice.
    #[arg(long, value_name = "MB")]
    pub(super) memory: Option<u64>,
    /// Write one JSON line a sweep.
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
    /// The checkpoint file [default: the model file with .checkpoint added].
    #[arg(long, value_name = "FILE")]
    pub(super) checkpoint: Option<PathBuf>,
    /// Write the checkpoint every so many bonds; with adam, steps.
    #[arg(long, value_name = "N")]
    pub(super) checkpoint_bonds: Option<usize>,
    /// Write the checkpoint every so many minutes [default: 5].
    #[arg(long, value_name = "MINUTES", allow_negative_numbers = true)]
    pub(super) checkpoint_minutes: Option<f64>,
    /// Go on from the checkpoint, with its settings; a larger --sweeps extends the run.
    #[arg(long)]
    pub(super) resume: bool,
    /// Write pictures into this folder: loss curve, bonds and entropies, samples.
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
    /// Say what would be done, and the memory it would take, and stop.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// No progress on standard error.
    #[arg(long)]
    pub(super) quiet: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}
