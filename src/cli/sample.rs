//! `ansatz sample`: independent draws.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::Exit;
use super::loaded::Loaded;
use super::output::{number, print, print_json, writable, write_png};
use super::source::tiles;
use crate::error::Result;
use crate::io::{text, write_symbols};
use crate::random::Seed;
use crate::report::montage;

#[derive(Debug, Args)]
pub(super) struct Sample {
    /// The model file, or a circuit (.qasm).
    model: PathBuf,
    /// How many to draw.
    #[arg(short = 'n', long, default_value_t = 16, value_name = "N")]
    count: usize,
    /// The seed; the same seed gives the same samples.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write a picture of the samples.
    #[arg(long, value_name = "FILE.png")]
    png: Option<PathBuf>,
    /// Write the samples: .npy `[samples, sites]` u8, .csv, or text.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Sample {
    pub fn run(self) -> Result<Exit> {
        // The first of two files is not to be written when the second cannot be.
        for path in [&self.out, &self.png].into_iter().flatten() {
            writable(path)?;
        }
        let Loaded { model, dims, extra } = Loaded::read(&self.model)?;
        let start = Instant::now();
        let (batch, log_prob) = model.sample_with_log_prob(self.count, Seed(self.seed))?;
        let seconds = start.elapsed().as_secs_f64();
        // The picture is made before anything is written: a run that fails leaves nothing behind.
        let picture = self.png.as_ref().map(|_| montage(&batch, &tiles(&extra, &dims)?)).transpose()?;
        if let Some(out) = &self.out {
            write_symbols(out, &batch, extra.alphabet.as_deref())?;
        }
        if let (Some(png), Some(picture)) = (&self.png, &picture) {
            write_png(png, picture)?;
        }
        let nll = -log_prob.iter().sum::<f64>() / log_prob.len() as f64;
        if self.json {
            print_json(&serde_json::json!({
                "samples": batch.samples(), "nll": number(nll), "seconds": number(seconds),
                "per_second": number(batch.samples() as f64 / seconds),
            }))?;
        } else if self.out.is_none() && self.png.is_none() {
            print(&text(&batch, extra.alphabet.as_deref(), ""))?;
        } else {
            print(&format!("{} samples in {seconds:.2} s, mean NLL {nll:.3} nats", batch.samples()))?;
        }
        Ok(Exit::Done)
    }
}
