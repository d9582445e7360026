//! Who is told as a run goes on, and may stop it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::outcome::{BondReport, Stop, SweepReport};
use crate::error::{Error, Result};

/// Told as a run goes on; both hooks may be left out.
///
/// To stop the run return [`ControlFlow::Break`]; the reason goes into the [`Outcome`](super::Outcome). Runs go on within
/// the thread pool, so an observer has to be `Send`.
pub trait Observer: Send {
    /// After a bond: `sweep` sweeps are complete, and `step + 1` of the `steps` bond updates of the next. A method that
    /// changes all bonds at once tells of its gradient steps here, as bond 0.
    ///
    /// # Errors
    /// Whatever the observer cannot do; the run ends with it.
    fn bond(&mut self, _sweep: usize, _step: usize, _steps: usize, _report: &BondReport) -> Result<ControlFlow<Stop>> {
        Ok(ControlFlow::Continue(()))
    }

    /// After a sweep.
    ///
    /// # Errors
    /// Whatever the observer cannot do; the run ends with it.
    fn sweep(&mut self, _report: &SweepReport) -> Result<ControlFlow<Stop>> {
        Ok(ControlFlow::Continue(()))
    }
}

/// Nobody is told.
impl Observer for () {}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn bond(&mut self, sweep: usize, step: usize, steps: usize, report: &BondReport) -> Result<ControlFlow<Stop>> {
        (**self).bond(sweep, step, steps, report)
    }

    fn sweep(&mut self, report: &SweepReport) -> Result<ControlFlow<Stop>> {
        (**self).sweep(report)
    }
}

/// Several observers in a row: all are told, then the first error counts, else the first reason to stop.
#[derive(Default)]
pub struct Observers<'a>(Vec<Box<dyn Observer + 'a>>);

impl<'a> Observers<'a> {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Observers::default()
    }

    /// One more, told after the others.
    #[must_use]
    pub fn with(mut self, observer: impl Observer + 'a) -> Self {
        self.0.push(Box::new(observer));
        self
    }

    fn tell(
        &mut self,
        mut hook: impl FnMut(&mut (dyn Observer + 'a)) -> Result<ControlFlow<Stop>>,
    ) -> Result<ControlFlow<Stop>> {
        // Nobody is skipped: a log on a full disk must not cost the checkpoint that comes after it.
        let answers: Vec<_> = self.0.iter_mut().map(|observer| hook(observer.as_mut())).collect();
        let answers: Vec<_> = answers.into_iter().collect::<Result<_>>()?;
        Ok(answers.into_iter().find(ControlFlow::is_break).unwrap_or(ControlFlow::Continue(())))
    }
}

impl Observer for Observers<'_> {
    fn bond(&mut self, sweep: usize, step: usize, steps: usize, report: &BondReport) -> Result<ControlFlow<Stop>> {
        self.tell(|observer| observer.bond(sweep, step, steps, report))
    }

    fn sweep(&mut self, report: &SweepReport) -> Result<ControlFlow<Stop>> {
        self.tell(|observer| observer.sweep(report))
    }
}

/// Stops when the [score](SweepReport::score) has not improved for some sweeps.
///
/// It remembers no more than the reports it was told: to resume a run, tell it the reports from before.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopping {
    patience: usize,
    min_improvement: f64,
    best: f64,
    waited: usize,
}

impl EarlyStopping {
    /// Stops after `patience` sweeps in a row none of which was better than the best before by more than
    /// `min_improvement`, nats.
    ///
    /// # Errors
    /// [`Error::Setting`] if `patience` is 0, or `min_improvement` is negative or not finite.
    pub fn new(patience: usize, min_improvement: f64) -> Result<Self> {
        if patience == 0 {
            return Err(Error::setting("patience", patience, "at least one sweep"));
        }
        if !(min_improvement >= 0.0 && min_improvement.is_finite()) {
            return Err(Error::setting("min_improvement", min_improvement, "a finite number of nats, not negative"));
        }
        Ok(EarlyStopping { patience, min_improvement, best: f64::INFINITY, waited: 0 })
    }
}

impl Observer for EarlyStopping {
    fn sweep(&mut self, report: &SweepReport) -> Result<ControlFlow<Stop>> {
        // A NaN compares as no improvement.
        if report.score() < self.best - self.min_improvement {
            self.best = report.score();
            self.waited = 0;
        } else {
            self.waited += 1;
        }
        Ok(if self.waited >= self.patience {
            ControlFlow::Break(Stop::EarlyStopping)
        } else {
            ControlFlow::Continue(())
        })
    }
}

/// Stops at the first bond or sweep that ends after the time allowed.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit {
    /// `None` if the clock cannot reach that far.
    deadline: Option<Instant>,
}

impl TimeLimit {
    /// The time allowed, from now.
    #[must_use]
    pub fn new(allowed: Duration) -> Self {
        TimeLimit { deadline: Instant::now().checked_add(allowed) }
    }

    fn check(&self) -> ControlFlow<Stop> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => ControlFlow::Break(Stop::TimeLimit),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Observer for TimeLimit {
    fn bond(&mut self, _: usize, _: usize, _: usize, _: &BondReport) -> Result<ControlFlow<Stop>> {
        Ok(self.check())
    }

    fn sweep(&mut self, _: &SweepReport) -> Result<ControlFlow<Stop>> {
        Ok(self.check())
    }
}

/// Stops at the next bond or sweep once the flag is set, by a signal handler for example.
#[derive(Debug, Clone)]
pub struct Interrupt(pub Arc<AtomicBool>);

impl Interrupt {
    fn check(&self) -> ControlFlow<Stop> {
        if self.0.load(Ordering::Relaxed) { ControlFlow::Break(Stop::Interrupted) } else { ControlFlow::Continue(()) }
    }
}

impl Observer for Interrupt {
    fn bond(&mut self, _: usize, _: usize, _: usize, _: &BondReport) -> Result<ControlFlow<Stop>> {
        Ok(self.check())
    }

    fn sweep(&mut self, _: &SweepReport) -> Result<ControlFlow<Stop>> {
        Ok(self.check())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOND: BondReport = BondReport { bond: 0, kept: 2, discarded_weight: 0.0, nll: None };
    const GO_ON: ControlFlow<Stop> = ControlFlow::Continue(());

    fn report(train_nll: f64, valid_nll: Option<f64>) -> SweepReport {
        SweepReport {
            sweep: 1,
            sweeps: 9,
            train_nll,
            valid_nll,
            max_bond: 2,
            mean_bond: 2.0,
            rate: 0.1,
            discarded_weight: 0.0,
            seconds: 1.0,
        }
    }

    /// Counts what it is told and gives a fixed answer.
    struct Listener(usize, fn() -> Result<ControlFlow<Stop>>);

    impl Observer for Listener {
        fn bond(&mut self, _: usize, _: usize, _: usize, _: &BondReport) -> Result<ControlFlow<Stop>> {
            self.0 += 1;
            self.1()
        }
    }

    #[test]
    fn all_are_told_and_the_first_to_break_decides() {
        let mut a = Listener(0, || Ok(GO_ON));
        let mut b = Listener(0, || Ok(ControlFlow::Break(Stop::Converged)));
        let mut c = Listener(0, || Ok(ControlFlow::Break(Stop::TimeLimit)));
        let mut all = Observers::new().with(&mut a).with(&mut b).with(&mut c).with(());
        assert_eq!(all.bond(0, 0, 1, &BOND).unwrap(), ControlFlow::Break(Stop::Converged));
        assert_eq!(all.sweep(&report(1.0, None)).unwrap(), GO_ON);
        drop(all);
        assert_eq!([a.0, b.0, c.0], [1, 1, 1]);
    }

    #[test]
    fn an_error_outweighs_a_reason_to_stop_and_still_all_are_told() {
        let mut a = Listener(0, || Ok(ControlFlow::Break(Stop::Converged)));
        let mut b = Listener(0, || Err(Error::Empty { what: "b".into() }));
        let mut c = Listener(0, || Ok(GO_ON));
        let mut all = Observers::new().with(&mut a).with(&mut b).with(&mut c);
        assert!(matches!(all.bond(0, 0, 1, &BOND), Err(Error::Empty { .. })));
        drop(all);
        assert_eq!([a.0, b.0, c.0], [1, 1, 1]);
    }

    #[test]
    fn nobody_goes_on_for_ever() {
        assert_eq!(().bond(0, 0, 1, &BOND).unwrap(), GO_ON);
        assert_eq!(Observers::new().sweep(&report(f64::NAN, None)).unwrap(), GO_ON);
    }

    #[test]
    fn early_stopping_waits_for_patience_sweeps_without_improvement() {
        let sweeps_until_stop = |losses: &[f64], held_out: bool| {
            let mut early = EarlyStopping::new(2, 0.1).unwrap();
            losses.iter().enumerate().position(|(sweep, &loss)| {
                // A training loss that falls for ever must not count where there is a held-out one.
                let report = if held_out { report(-(sweep as f64), Some(loss)) } else { report(loss, None) };
                early.sweep(&report).unwrap().is_break()
            })
        };
        for held_out in [true, false] {
            assert_eq!(sweeps_until_stop(&[5.0, 4.0, 4.5, 3.0, 3.5, 3.2], held_out), Some(5));
            assert_eq!(sweeps_until_stop(&[5.0, 4.95, 4.91], held_out), Some(2), "less than the least improvement");
            assert_eq!(sweeps_until_stop(&[5.0, 4.95, 4.85, 4.8, 4.7], held_out), None);
            assert_eq!(sweeps_until_stop(&[f64::NAN, f64::INFINITY, 1.0], held_out), Some(1));
        }
    }

    #[test]
    fn early_stopping_refuses_settings_without_meaning() {
        for (patience, least) in [(0, 0.0), (1, -1.0), (1, f64::NAN), (1, f64::INFINITY)] {
            assert!(matches!(EarlyStopping::new(patience, least), Err(Error::Setting { .. })));
        }
    }

    #[test]
    fn a_time_limit_is_seen_at_bonds_and_sweeps() {
        let mut over = TimeLimit::new(Duration::ZERO);
        assert_eq!(over.bond(0, 0, 1, &BOND).unwrap(), ControlFlow::Break(Stop::TimeLimit));
        assert_eq!(over.sweep(&report(1.0, None)).unwrap(), ControlFlow::Break(Stop::TimeLimit));
        for far in [Duration::from_secs(3600), Duration::MAX] {
            assert_eq!(TimeLimit::new(far).bond(0, 0, 1, &BOND).unwrap(), GO_ON);
        }
    }

    #[test]
    fn an_interrupt_is_seen_at_the_next_bond() {
        let flag = Arc::new(AtomicBool::new(false));
        let mut interrupt = Interrupt(Arc::clone(&flag));
        assert_eq!(interrupt.bond(0, 0, 1, &BOND).unwrap(), GO_ON);
        flag.store(true, Ordering::Relaxed);
        assert_eq!(interrupt.bond(0, 1, 2, &BOND).unwrap(), ControlFlow::Break(Stop::Interrupted));
        assert_eq!(interrupt.sweep(&report(1.0, None)).unwrap(), ControlFlow::Break(Stop::Interrupted));
    }
}
