//! A run that is watched, stopped, stored and taken up again: it ends in the same bits as one that was left alone.
//!
//! `cargo run --example observers`

use std::ops::ControlFlow;

use ansatz::data::{digits, split};
use ansatz::io::{AnyRun, Extra, load_checkpoint, save_checkpoint};
use ansatz::train::{EarlyStopping, Observer, Observers, Stop, SweepReport};
use ansatz::{BornMps, Error, Result, Run, Seed, TwoSite};

/// Prints a line a sweep and stops after so many.
struct Watch {
    until: usize,
}

impl Observer for Watch {
    fn sweep(&mut self, report: &SweepReport) -> Result<ControlFlow<Stop>> {
        let held_out = report.valid_nll.unwrap_or(f64::NAN);
        println!(
            "sweep {}: {:.3} nats, held out {held_out:.3}, bond {}",
            report.sweep, report.train_nll, report.max_bond
        );
        Ok(if report.sweep == self.until { ControlFlow::Break(Stop::Interrupted) } else { ControlFlow::Continue(()) })
    }
}

fn main() -> Result<()> {
    let images = digits()?.train.select(&(0..150).collect::<Vec<_>>())?;
    let (train, valid) = split(&images, 0.2, Seed(1))?;
    let settings = TwoSite { smoothing: 0.01, ..TwoSite::new(4, 6) };
    let start = Run::new(BornMps::<f32>::random(&vec![2; train.sites()], 4, Seed(1))?, settings)?;

    let mut whole = start.clone();
    let mut patience = EarlyStopping::new(2, 0.0)?;
    let outcome =
        whole.fit(&train, Some(&valid), &mut Observers::new().with(Watch { until: 9 }).with(&mut patience), &mut ())?;
    println!("{}; the best sweep was {}", outcome.stop, outcome.best_sweep);

    let mut parted = start;
    parted.fit(&train, Some(&valid), &mut Watch { until: 2 }, &mut ())?;
    let path = std::env::temp_dir().join(format!("ansatz-observers-{}.checkpoint", std::process::id()));
    save_checkpoint(&path, &parted, &Extra::default())?;
    let (stored, _) = load_checkpoint(&path)?;
    std::fs::remove_file(&path).map_err(|source| Error::Io { path, action: "remove", source })?;
    let AnyRun::F32(mut again) = stored else { unreachable!("the run was one of f32") };
    again.fit(&train, Some(&valid), &mut (), &mut ())?;
    assert_eq!(again.best, whole.best);
    println!("stopped, stored and taken up again, it ends in the same bits");
    Ok(())
}
