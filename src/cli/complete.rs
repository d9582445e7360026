//! `ansatz complete`: the part that is given stays, the rest is drawn.

use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::{Axis, concatenate};

use super::Exit;
use super::loaded::Loaded;
use super::output::{number, print, print_json, writable, write_png};
use super::source::{Source, tiles};
use crate::data::{Binarise, read};
use crate::error::{Error, Place, Result};
use crate::io::{text, write_symbols};
use crate::model::Batch;
use crate::random::Seed;
use crate::report::completions;

#[derive(Debug, Args)]
pub(super) struct Complete {
    /// The model file, or a circuit (.qasm).
    model: PathBuf,
    #[command(flatten)]
    source: Source,
    /// What is given: `top`, `bottom`, `left` or `right` half of an image, `first` or `last` half of the sites, or a
    /// mask of zeros and ones, one for each site, spelt out or in a data file of one sample.
    #[arg(long, default_value = "top")]
    keep: String,
    /// How many samples of the data to complete.
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    count: usize,
    /// How many completions of each.
    #[arg(long, default_value_t = 6, value_name = "N")]
    draws: usize,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write a picture: the original, what is given, the completions.
    #[arg(long, value_name = "FILE.png")]
    png: Option<PathBuf>,
    /// Write the completions, all of the first sample, then all of the second: .npy, .csv or text.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Complete {
    pub fn run(self) -> Result<Exit> {
        for path in [&self.out, &self.png].into_iter().flatten() {
            writable(path)?;
        }
        let Loaded { model, dims, extra } = Loaded::read(&self.model)?;
        let (table, batch) = self.source.read_for(&dims, &self.model)?;
        if self.count == 0 || self.draws == 0 {
            return Err(Error::setting("count", 0, "complete at least one sample, at least once"));
        }
        let given = mask(&self.keep, extra.shape.as_deref().unwrap_or(table.shape()), batch.sites())?;
        let first: Vec<usize> = (0..batch.samples().min(self.count)).collect();
        let originals = batch.select(&first)?;
        let file = || Place::File(table.name().into());
        let mut drawn = Vec::with_capacity(originals.samples());
        for (i, row) in originals.view().rows().into_iter().enumerate() {
            let evidence: Vec<Option<u8>> = row.iter().zip(&given).map(|(&v, &g)| g.then_some(v)).collect();
            let seed = Seed(self.seed).derive("completion", i as u64);
            let place = |e: Error| e.at(Place::Sample(i)).at(file());
            drawn.push(model.sample_given(&evidence, self.draws, seed).map_err(place)?);
        }
        let log_prob = model.conditional_log_prob(&originals, &given).map_err(|e| e.at(file()))?;
        // Not -0 where all is given.
        let nll = 0.0 - log_prob.iter().sum::<f64>() / log_prob.len() as f64;
        let picture = match &self.png {
            Some(_) => Some(completions(&originals, &given, &drawn, &tiles(&extra, &dims)?)?),
            None => None,
        };
        let views: Vec<_> = drawn.iter().map(Batch::view).collect();
        let all = concatenate(Axis(0), &views).map_err(|e| Error::Format { what: e.to_string() })?;
        let all = Batch::new(all)?;
        if let Some(out) = &self.out {
            write_symbols(out, &all, extra.alphabet.as_deref())?;
        }
        if let (Some(png), Some(picture)) = (&self.png, &picture) {
            write_png(png, picture)?;
        }
        let free = given.iter().filter(|g| !**g).count();
        if self.json {
            print_json(&serde_json::json!({
                "samples": originals.samples(), "draws": self.draws, "given": given.len() - free, "free": free,
                "conditional_nll": number(nll),
            }))?;
        } else if self.out.is_none() && self.png.is_none() {
            print(&text(&all, extra.alphabet.as_deref(), ""))?;
        } else {
            print(&format!(
                "{} samples completed {} times each; the true completions have a mean NLL of {nll:.3} nats",
                originals.samples(),
                self.draws
            ))?;
        }
        Ok(Exit::Done)
    }
}

/// Which sites are given.
fn mask(keep: &str, shape: &[usize], sites: usize) -> Result<Vec<bool>> {
    let wrong = |expected: &str| Err(Error::setting("keep", keep, expected));
    let image = match shape {
        &[height, width] if height * width == sites => Some((height, width)),
        _ => None,
    };
    let given: Vec<bool> = match (keep, image) {
        ("first", _) => (0..sites).map(|k| k < sites / 2).collect(),
        ("last", _) => (0..sites).map(|k| k >= sites / 2).collect(),
        ("top", Some((h, w))) => (0..sites).map(|k| k / w < h / 2).collect(),
        ("bottom", Some((h, w))) => (0..sites).map(|k| k / w >= h / 2).collect(),
        ("left", Some((_, w))) => (0..sites).map(|k| k % w < w / 2).collect(),
        ("right", Some((_, w))) => (0..sites).map(|k| k % w >= w / 2).collect(),
        ("top" | "bottom" | "left" | "right", None) => {
            return wrong("the samples are no images; give first, last or a mask of zeros and ones");
        }
        (bits, _) if bits.bytes().all(|b| matches!(b, b'0' | b'1')) => bits.bytes().map(|b| b == b'1').collect(),
        (path, _) if Path::new(path).is_file() => {
            let mask = read(path, None)?.batch(Binarise::Never)?;
            if mask.samples() != 1 || mask.sites() != sites {
                let expected = format!("a mask in a file is one sample of {sites} sites");
                return Err(Error::setting(
                    "keep",
                    format!("{path}, {} of {}", mask.samples(), mask.sites()),
                    expected,
                ));
            }
            mask.row(0).iter().map(|&v| v != 0).collect()
        }
        _ => return wrong("give top, bottom, left, right, first, last, a mask of zeros and ones or a file of one"),
    };
    if given.len() != sites {
        return wrong(&format!("a mask needs one digit for each of the {sites} sites"));
    }
    Ok(given)
}
