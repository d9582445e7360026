//! `ansatz ising`: partition function, energy and specific heat of Ising spins on a lattice.

mod check;
mod solve;
mod told;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::Exit;
use super::output::{writable, write_text};
use crate::error::{Error, Result};
use crate::lattice::Ising as Model;
use crate::memory::Bytes;

#[derive(Debug, Args)]
pub(super) struct Ising {
    /// Spins a side, or `infinite`.
    #[arg(long, default_value = "16", value_name = "N", allow_hyphen_values = true)]
    size: Size,
    /// Inverse temperature, or a range of them as FROM:TO:STEP; negative for the antiferromagnet.
    #[arg(long, value_name = "BETA", allow_hyphen_values = true)]
    beta: Betas,
    /// How it is contracted.
    #[arg(long, default_value = "trg")]
    method: Method,
    /// The largest bond that is kept (trg, hotrg, boundary).
    #[arg(long, default_value_t = 16, value_name = "BOND")]
    chi: usize,
    /// Magnetic field h, of the energy -sum s s' - h sum s.
    #[arg(long, default_value_t = 0.0, value_name = "H", allow_negative_numbers = true)]
    field: f64,
    /// The lattice.
    #[arg(long, default_value = "square")]
    lattice: Lattice,
    /// Whether the last spin of a side is a neighbour of the first.
    #[arg(long, default_value = "periodic")]
    boundary: Edge,
    /// The specific heat as well (a range of beta always has it).
    #[arg(long)]
    heat: bool,
    /// Memory that the contraction may take.
    #[arg(long, default_value = "4GiB", value_name = "BYTES")]
    bytes: Bytes,
    /// Draw ln Z, energy and specific heat over a range of beta.
    #[arg(long, value_name = "FILE.svg")]
    draw: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    Trg,
    Hotrg,
    Boundary,
    Exact,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Trg => "trg",
            Method::Hotrg => "hotrg",
            Method::Boundary => "boundary",
            Method::Exact => "exact",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lattice {
    Square,
    Triangular,
    Cubic,
}

impl Lattice {
    fn name(self) -> &'static str {
        match self {
            Lattice::Square => "square",
            Lattice::Triangular => "triangular",
            Lattice::Cubic => "cubic",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Edge {
    Periodic,
    Open,
}

/// Spins a side; `None` is the infinite lattice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(Option<u64>);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "infinite" | "inf" => Ok(Size(None)),
            _ => match text.parse() {
                Ok(0) | Err(_) => Err(format!("'{text}' is no size: give a number of spins from 1 on, or infinite")),
                Ok(side) => Ok(Size(Some(side))),
            },
        }
    }
}

/// One inverse temperature or a range.
#[derive(Debug, Clone, PartialEq)]
struct Betas {
    values: Vec<f64>,
    range: bool,
}

impl FromStr for Betas {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("beta '{text}': {why}");
        let numbers: Vec<f64> = text
            .split(':')
            .map(|part| part.trim().parse().ok().filter(|x: &f64| x.is_finite()))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong("give a finite number, or FROM:TO:STEP"))?;
        match numbers[..] {
            [beta] => Ok(Betas { values: vec![beta], range: false }),
            [from, to, step] => {
                let count = ((to - from) / step + 1e-9).floor() + 1.0;
                if !(1.0..=10_000.0).contains(&count) {
                    return Err(wrong("the step has to lead from FROM to TO in at most 10000 points"));
                }
                Ok(Betas { values: (0..count as usize).map(|i| from + i as f64 * step).collect(), range: true })
            }
            _ => Err(wrong("give one number, or three as FROM:TO:STEP")),
        }
    }
}

/// What is known at one temperature.
struct Point {
    beta: f64,
    per_site: f64,
    energy: f64,
    heat: Option<f64>,
    /// An estimate of the error of `ln Z / N`.
    error: f64,
    seconds: f64,
}

impl Ising {
    pub fn run(self) -> Result<Exit> {
        if self.chi == 0 {
            return Err(Error::setting("chi", 0, "give at least 1"));
        }
        // A range of them is checked as a whole before the first is done.
        for &beta in &self.beta.values {
            Model::new(beta)?.field(self.field)?;
        }
        if let Some(file) = &self.draw {
            if !self.beta.range {
                return Err(Error::setting("draw", file.display(), "a curve needs a range: give --beta FROM:TO:STEP"));
            }
            writable(file)?;
        }
        self.check()?;
        let mut points = Vec::with_capacity(self.beta.values.len());
        for &beta in &self.beta.values {
            let start = Instant::now();
            let point = self.point(beta)?;
            points.push(Point { seconds: start.elapsed().as_secs_f64(), ..point });
        }
        if let Some(file) = &self.draw {
            write_text(file, &self.drawn(&points)?)?;
        }
        self.tell(&points)?;
        Ok(Exit::Done)
    }

    fn dimensions(&self) -> u32 {
        if self.lattice == Lattice::Cubic { 3 } else { 2 }
    }

    /// `N`, where it is finite.
    fn sites(&self) -> Option<f64> {
        self.size.0.map(|side| (side as f64).powi(self.dimensions() as i32))
    }
}
