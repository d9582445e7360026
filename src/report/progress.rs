//! A progress bar on standard error.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::Result;
use crate::train::{BondReport, Observer, Stop, SweepReport};

/// One line on standard error: how far the run is, its losses in nats, its bond dimension, the time left.
///
/// Where standard error is not a terminal nothing is drawn; there, if asked for, each sweep prints one plain line.
/// The bar goes away when this is dropped.
pub struct Progress {
    bar: ProgressBar,
    /// Where plain lines go, if anywhere.
    plain: Option<Box<dyn Write + Send>>,
    clock: Instant,
    pace: Pace,
    /// Sweeps planned.
    sweeps: usize,
    train: Option<f64>,
    valid: Option<f64>,
    /// Largest bond of the last complete sweep, and of this one so far.
    bonds: (usize, usize),
}

impl Progress {
    /// Progress of a run of `sweeps` sweeps; `verbose` asks for a line a sweep where there is no terminal.
    #[must_use]
    pub fn stderr(sweeps: usize, verbose: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let plain = (verbose && !terminal).then(|| Box::new(io::stderr()) as Box<dyn Write + Send>);
        Progress::new(sweeps, target, plain)
    }

    fn new(sweeps: usize, target: ProgressDrawTarget, plain: Option<Box<dyn Write + Send>>) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:10.cyan/dim} {wide_msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        let (clock, pace) = (Instant::now(), Pace::default());
        Progress { bar, plain, clock, pace, sweeps, train: None, valid: None, bonds: (0, 0) }
    }

    /// The text beside the bar while sweep number `running`, counted from 1, is under way.
    fn text(&self, running: usize, left: Option<f64>) -> String {
        let mut text = format!("sweep {running}/{}", self.sweeps.max(running));
        for (name, nll) in [("train", self.train), ("valid", self.valid)] {
            if let Some(nll) = nll {
                text += &format!("  {name} {}", nats(nll));
            }
        }
        if self.train.or(self.valid).is_some() {
            text += " nats";
        }
        text += &format!("  bond {}", self.bonds.0.max(self.bonds.1));
        if let Some(left) = left {
            text += &format!("  {} left", time_in_words(left));
        }
        text
    }
}

impl Observer for Progress {
    fn bond(&mut self, sweep: usize, step: usize, steps: usize, report: &BondReport) -> Result<ControlFlow<Stop>> {
        self.train = report.nll.or(self.train);
        self.bonds.1 = self.bonds.1.max(report.kept);
        let done = sweep as f64 + (step as f64 + 1.0) / steps.max(1) as f64;
        let left = self.pace.left(self.clock.elapsed().as_secs_f64(), done, self.sweeps as f64);
        if !self.bar.is_hidden() {
            let (steps, step) = (steps as u64, step as u64);
            self.bar.set_length(steps.saturating_mul(self.sweeps as u64));
            self.bar.set_message(self.text(sweep.saturating_add(1), left));
            self.bar.set_position(steps.saturating_mul(sweep as u64).saturating_add(step.saturating_add(1)));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn sweep(&mut self, report: &SweepReport) -> Result<ControlFlow<Stop>> {
        (self.train, self.valid) = (Some(report.train_nll), report.valid_nll);
        self.bonds = (report.max_bond, 0);
        self.sweeps = report.sweeps;
        self.pace.mark(self.clock.elapsed().as_secs_f64(), report.sweep as f64);
        if let Some(plain) = &mut self.plain {
            let valid = report.valid_nll.map_or(String::new(), |nll| format!(", valid {}", nats(nll)));
            // A closed standard error is no reason to end a run.
            let _ = writeln!(
                plain,
                "sweep {}/{}: train {}{valid} nats, bond {}, {}",
                report.sweep,
                report.sweeps,
                nats(report.train_nll),
                report.max_bond,
                time_in_words(report.seconds)
            );
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Guesses the time left from the last complete sweep, for sweeps are alike and bonds are not.
#[derive(Default)]
struct Pace {
    /// When (seconds) the last sweep ended, or the first bond of all, and the sweeps done by then.
    mark: Option<(f64, f64)>,
    seconds_per_sweep: Option<f64>,
}

impl Pace {
    fn mark(&mut self, now: f64, done: f64) {
        self.seconds_per_sweep = self.measure(now, done).or(self.seconds_per_sweep);
        self.mark = Some((now, done));
    }

    fn left(&mut self, now: f64, done: f64, planned: f64) -> Option<f64> {
        if self.mark.is_none() {
            self.mark = Some((now, done));
        }
        let pace = self.seconds_per_sweep.or_else(|| self.measure(now, done))?;
        Some((planned - done).max(0.0) * pace)
    }

    /// Seconds a sweep since the mark.
    fn measure(&self, now: f64, done: f64) -> Option<f64> {
        let (then, before) = self.mark?;
        (done > before).then(|| (now - then) / (done - before))
    }
}

/// A time for people: `4.2 s`, `45 s`, `3m05s`, `2h04m`, `3d07h`.
#[must_use]
pub fn time_in_words(seconds: f64) -> String {
    if seconds.is_nan() || seconds < 0.0 {
        return "? s".into();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    // Saturates far beyond the age of anything.
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        3600..86_400 => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d{:02}h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A loss for people: about five digits.
fn nats(nll: f64) -> String {
    if nll.abs() >= 1e6 && nll.is_finite() {
        return format!("{nll:.4e}");
    }
    format!("{nll:.0$}", decimals(nll))
}

/// Digits behind the point of a loss of this size.
pub(super) fn decimals(nll: f64) -> usize {
    match nll.abs() {
        x if x < 9.999_95 => 4,
        x if x < 99.9995 => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::report::tests::report;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn bond(kept: usize, nll: f64) -> BondReport {
        BondReport { bond: 0, kept, discarded_weight: 0.0, nll: Some(nll) }
    }

    #[test]
    fn without_a_terminal_nothing_is_drawn_and_a_sweep_is_at_most_one_line() {
        let out = Shared::default();
        let mut asked = Progress::new(10, ProgressDrawTarget::hidden(), Some(Box::new(out.clone())));
        let mut silent = Progress::new(10, ProgressDrawTarget::hidden(), None);
        for progress in [&mut asked, &mut silent] {
            for step in 0..20 {
                assert!(progress.bond(0, step, 20, &bond(8, 120.0)).unwrap().is_continue());
            }
            assert!(progress.sweep(&report(1, 101.3219, Some(103.1))).unwrap().is_continue());
            assert!(progress.bar.is_hidden());
        }
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "sweep 1/10: train 101.32, valid 103.10 nats, bond 64, 13 s\n");
    }

    #[test]
    fn the_line_tells_sweep_losses_bond_and_time_left() {
        let mut progress = Progress::new(10, ProgressDrawTarget::hidden(), None);
        assert_eq!(progress.text(1, None), "sweep 1/10  bond 0");
        assert!(progress.bond(0, 0, 20, &bond(80, 120.0)).unwrap().is_continue());
        assert_eq!(progress.text(1, Some(80.2)), "sweep 1/10  train 120.00 nats  bond 80  1m20s left");
        assert!(progress.sweep(&report(1, 101.3, Some(9.8765))).unwrap().is_continue());
        assert_eq!(progress.text(2, None), "sweep 2/10  train 101.30  valid 9.8765 nats  bond 64");
    }

    #[test]
    fn sizes_that_make_no_sense_do_no_harm() {
        let mut progress = Progress::new(0, ProgressDrawTarget::hidden(), None);
        assert!(progress.bond(usize::MAX, usize::MAX, 0, &bond(0, f64::NAN)).unwrap().is_continue());
        assert!(progress.text(usize::MAX, Some(f64::INFINITY)).contains("NaN"));
        // As long as a line usually gets, and still within a terminal of 80 columns.
        let mut progress = Progress::new(10, ProgressDrawTarget::hidden(), None);
        assert!(progress.sweep(&report(9, 101.3, Some(103.1))).unwrap().is_continue());
        assert!(progress.text(10, Some(80.0)).len() + "━━━━━━━━━━ ".chars().count() <= 80);
    }

    #[test]
    fn the_time_left_follows_the_last_complete_sweep() {
        let mut pace = Pace::default();
        assert_eq!(pace.left(100.0, 3.25, 10.0), None, "a resumed run starts its clock at its first bond");
        assert_eq!(pace.left(101.0, 3.5, 10.0), Some(4.0 * 6.5));
        pace.mark(103.0, 4.0);
        assert_eq!(pace.left(103.5, 4.5, 10.0), Some(4.0 * 5.5), "a quarter of the pace, but only within a sweep");
        pace.mark(104.0, 5.0);
        assert_eq!(pace.left(104.0, 5.0, 10.0), Some(5.0));
        assert_eq!(pace.left(104.0, 12.0, 10.0), Some(0.0));
    }

    #[test]
    fn times_have_two_units_at_most() {
        let cases = [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.7, "1m00s"), (3599.0, "59m59s")];
        let more = [(7440.0, "2h04m"), (90_000.0, "1d01h"), (f64::NAN, "? s"), (-1.0, "? s")];
        for (seconds, words) in cases.into_iter().chain(more) {
            assert_eq!(time_in_words(seconds), words);
        }
        assert!(time_in_words(f64::INFINITY).ends_with('h'));
    }

    #[test]
    fn losses_keep_about_five_digits() {
        let cases =
            [(6.017_84, "6.0178"), (-0.5, "-0.5000"), (9.999_96, "10.000"), (101.498, "101.50"), (1e7, "1.0000e7")];
        for (nll, text) in cases {
            assert_eq!(nats(nll), text);
        }
        assert_eq!(nats(f64::INFINITY), "inf");
    }
}
