//! The command line: words in, words and pictures out.

mod circuit;
mod circuit_from_model;
mod complete;
mod contract;
mod contract_task;
mod demo;
mod fit;
mod fit_circuit;
mod info;
mod ising;
mod kernels;
mod loaded;
mod options;
mod output;
mod sample;
mod score;
mod source;
mod tomography;
mod training;

use clap::{Parser, Subcommand};

use crate::error::Result;
use crate::linalg;

/// Generative modelling with tensor networks.
#[derive(Debug, Parser)]
#[command(name = "ansatz", version, about, arg_required_else_help = true)]
struct Cli {
    /// Threads to work with; results do not depend on it.
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train on the digits that come with the program, and draw what the model has learnt.
    Demo(demo::Demo),
    /// Train a Born machine: a matrix product state or a quantum circuit.
    Fit(Box<fit::Fit>),
    /// Exact log-likelihoods of data under a model.
    Score(score::Score),
    /// Draw independent samples from a model.
    Sample(sample::Sample),
    /// Complete partly given samples.
    Complete(complete::Complete),
    /// What a model file holds.
    Info(info::Info),
    /// Plan the contraction of a tensor network, and do it.
    Contract(Box<contract::Contract>),
    /// Partition function, energy and specific heat of Ising spins on a lattice.
    Ising(Box<ising::Ising>),
    /// Run, draw and look into quantum circuits (OpenQASM).
    Circuit(circuit::Circuits),
    /// From measurement records to quantum states, with error bars.
    Tomography(tomography::Tomography),
}

/// How a command ended, as the shell is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 130: stopped by a signal, with everything saved.
    Interrupted,
}

/// Runs the program; the exit code is 0, 2 for an error, which is one line on standard error, or 130 after Ctrl-C.
#[must_use]
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => {
            return told(output::print(&error.to_string()).map(|()| Exit::Done));
        }
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            output::complain(&error.to_string());
            return 2;
        }
        Err(error) => {
            output::complain(&one_line(&error.to_string()));
            return 2;
        }
    };
    told(run(cli))
}

/// The exit code, after the error has been told, if there is one.
fn told(ended: Result<Exit>) -> u8 {
    match ended {
        Ok(Exit::Done) => 0,
        Ok(Exit::Interrupted) => 130,
        Err(error) => {
            // The name of a file may hold anything.
            let text: String = error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            output::complain(&format!("error: {text}"));
            2
        }
    }
}

/// The first paragraph of a usage error, on one line.
fn one_line(message: &str) -> String {
    let first: Vec<&str> = message.lines().map(str::trim).take_while(|l| !l.is_empty()).collect();
    format!("{}; see --help", first.join(" "))
}

/// More would take long to start, and gain nothing.
const MAX_THREADS: usize = 1024;

fn run(cli: Cli) -> Result<Exit> {
    kernels::choose();
    if let Some(threads) = cli.threads {
        if !(1..=MAX_THREADS).contains(&threads) {
            return Err(crate::Error::setting("threads", threads, format!("give 1 to {MAX_THREADS}")));
        }
        // A pool that exists already keeps its size, which changes no result.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    // Some builds of OpenBLAS compute wrong results on processors they do not know: better to find out now.
    linalg::self_check()?;
    match cli.command {
        Command::Demo(command) => command.run(),
        Command::Fit(command) => command.run(),
        Command::Score(command) => command.run(),
        Command::Sample(command) => command.run(),
        Command::Complete(command) => command.run(),
        Command::Info(command) => command.run(),
        Command::Contract(command) => command.run(),
        Command::Ising(command) => command.run(),
        Command::Circuit(command) => command.run(),
        Command::Tomography(command) => command.run(),
    }
}
