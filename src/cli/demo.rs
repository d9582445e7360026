//! `ansatz demo`: from digits to samples, with nothing but the program.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::Args;

use super::Exit;
use super::fit::{SMOOTHING, TRIAL, pictures};
use super::output::{complain, number, print, print_json, write_png, write_text};
use super::source::tiles;
use crate::data::{digits, split};
use crate::error::{Error, Result};
use crate::io::{AnyBornMps, Extra};
use crate::model::{BornMps, ChowLiu, Conditional, GenerativeModel, Independent};
use crate::random::Seed;
use crate::report::{Progress, Table, completions, loss_curve};
use crate::train::{EarlyStopping, Interrupt, Observers, Run, Schedule, Stop, TimeLimit, TwoSite, best_smoothing};

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The folder for the model and the pictures.
    #[arg(long, default_value = "demo", value_name = "DIR")]
    out: PathBuf,
    /// Seconds the training may take.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    seconds: f64,
    /// Largest bond dimension.
    #[arg(long, default_value_t = 48)]
    bond: usize,
    /// A look in a few seconds: fewer images, smaller bonds, two sweeps.
    #[arg(long)]
    short: bool,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub fn run(self) -> Result<Exit> {
        let start = Instant::now();
        let limit = Duration::try_from_secs_f64(self.seconds)
            .map_err(|_| Error::setting("seconds", self.seconds, "give a length of time"))?;
        std::fs::create_dir_all(&self.out).map_err(|e| Error::Io {
            path: self.out.clone(),
            action: "create",
            source: e,
        })?;
        let seed = Seed(self.seed);
        let digits = digits()?;
        let dims = vec![2; digits.train.sites()];
        let every: Vec<usize> = (0..digits.train.samples()).step_by(if self.short { 10 } else { 1 }).collect();
        let (train, valid) = split(&digits.train.select(&every)?, 0.1, seed)?;
        if !self.json {
            complain(&format!(
                "training a Born machine on {} embedded digits of 28 x 28 pixels; {} are held out",
                train.samples(),
                valid.samples()
            ));
        }
        let baselines = [
            ("independent pixels", Independent::fit(&train, &dims, 1.0)?.nll(&digits.test)?),
            ("Chow-Liu tree", ChowLiu::fit(&train, &dims, 1.0)?.nll(&digits.test)?),
        ];
        let (sweeps, bond) = if self.short { (2, self.bond.min(8)) } else { (40, self.bond) };
        let settings = TwoSite {
            // Rows of an image are joined through borders that are always white: bonds there must not close.
            min_bond: Schedule::constant(bond.div_ceil(2).min(16)),
            smoothing: TRIAL,
            ..TwoSite::new(sweeps, bond)
        };
        let mut run = Run::new(BornMps::<f32>::random(&dims, 2, seed)?, settings)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let hook = |e| Error::Io { path: "signal".into(), action: "listen for", source: e };
        signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 130, Arc::clone(&stopped))
            .map_err(hook)?;
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stopped)).map_err(hook)?;
        let outcome = {
            let mut watch = Observers::new()
                .with(Interrupt(stopped))
                .with(Progress::stderr(sweeps, !self.json))
                .with(TimeLimit::new(limit))
                .with(EarlyStopping::new(3, 0.0)?);
            run.fit(&train, Some(&valid), &mut watch, &mut ())?
        };
        let (best, _, held_out) = best_smoothing(&run.best, &valid, &SMOOTHING)?;
        let mut report = outcome.best().copied();
        if let Some(report) = &mut report {
            // Of the model that is written.
            (report.train_nll, report.valid_nll) = (best.nll(&train)?, Some(held_out));
        }
        let extra = Extra { data: Some("digits".into()), shape: Some(vec![28, 28]), report, ..Extra::default() };
        let model = AnyBornMps::from(best);
        model.save(&self.out.join("digits.ansatz"), &extra)?;
        let test = model.nll(&digits.test)?;

        pictures(&self.out, &model, &extra, &outcome)?;
        let drawn_levels: Vec<(&str, f64)> = baselines.to_vec();
        write_text(&self.out.join("loss.svg"), &loss_curve(&outcome.history, &drawn_levels, None)?)?;
        // One test image of each digit, its upper half given.
        let first: Vec<usize> = (0..10u8).filter_map(|d| digits.test_labels.iter().position(|&l| l == d)).collect();
        let originals = digits.test.select(&first)?;
        let given: Vec<bool> = (0..dims.len()).map(|k| k < dims.len() / 2).collect();
        let mut drawn = Vec::with_capacity(originals.samples());
        for (i, row) in originals.view().rows().into_iter().enumerate() {
            let evidence: Vec<Option<u8>> = row.iter().zip(&given).map(|(&v, &g)| g.then_some(v)).collect();
            drawn.push(model.sample_given(&evidence, 6, seed.derive("completion", i as u64))?);
        }
        let picture = completions(&originals, &given, &drawn, &tiles(&extra, &dims)?)?;
        write_png(&self.out.join("completions.png"), &picture)?;

        let seconds = start.elapsed().as_secs_f64();
        if self.json {
            print_json(&serde_json::json!({
                "test_nll": number(test), "independent_nll": number(baselines[0].1), "chow_liu_nll": number(baselines[1].1),
                "train_nll": report.map(|r| number(r.train_nll)), "valid_nll": report.and_then(|r| r.valid_nll).map(number),
                "sweeps": outcome.history.len(), "seconds": number(seconds), "out": self.out,
            }))?;
        } else {
            let mut table = Table::new(["model", "test NLL (nats)", "bits a pixel"]);
            let pixels = dims.len() as f64 * std::f64::consts::LN_2;
            for (name, nll) in baselines.into_iter().chain([("Born machine", test)]) {
                table.row([name.to_owned(), format!("{nll:.2}"), format!("{:.4}", nll / pixels)]);
            }
            print(&table.to_string())?;
            print(&format!(
                "{seconds:.0} s; in {}: samples.png, completions.png, loss.svg, chain.svg, digits.ansatz",
                self.out.display()
            ))?;
        }
        Ok(if outcome.stop == Stop::Interrupted { Exit::Interrupted } else { Exit::Done })
    }
}
