//! What `ansatz fit` does with a run, whatever its method.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};
use crate::io::{Extra, save_adam_checkpoint, save_checkpoint};
use crate::model::{Batch, BornMps};
use crate::scalar::Scalar;
use crate::train::{AdamRun, Keeper, Observer, Outcome, Run, SweepReport};

/// A run of either method.
pub(super) trait Training: Sized {
    type Number: Scalar;

    fn go(
        &mut self,
        train: &Batch<u8>,
        valid: Option<&Batch<u8>>,
        watch: &mut dyn Observer,
        keeper: &mut dyn Keeper<Self>,
    ) -> Result<Outcome>;
    fn save(&self, path: &Path, extra: &Extra) -> Result<()>;
    /// The reports so far.
    fn history(&self) -> &[SweepReport];
    /// Sweeps or epochs in all.
    fn planned(&self) -> usize;
    fn largest_bond(&self) -> usize;
    /// Bytes that the training will probably take, and those it takes at the most.
    fn bytes(&self, train: &Batch<u8>) -> Result<(u64, u64)>;
    fn into_best(self) -> BornMps<Self::Number>;
}

impl<T: Scalar> Training for Run<BornMps<T>> {
    type Number = T;

    fn go(
        &mut self,
        train: &Batch<u8>,
        valid: Option<&Batch<u8>>,
        watch: &mut dyn Observer,
        keeper: &mut dyn Keeper<Self>,
    ) -> Result<Outcome> {
        self.fit(train, valid, watch, keeper)
    }

    fn save(&self, path: &Path, extra: &Extra) -> Result<()> {
        save_checkpoint(path, self, extra)
    }

    fn history(&self) -> &[SweepReport] {
        &self.progress.history
    }

    fn planned(&self) -> usize {
        self.settings.sweeps
    }

    fn largest_bond(&self) -> usize {
        self.settings.largest_bond()
    }

    fn bytes(&self, train: &Batch<u8>) -> Result<(u64, u64)> {
        self.memory(train)
    }

    fn into_best(self) -> BornMps<T> {
        self.best
    }
}

impl<T: Scalar> Training for AdamRun<BornMps<T>> {
    type Number = T;

    fn go(
        &mut self,
        train: &Batch<u8>,
        valid: Option<&Batch<u8>>,
        watch: &mut dyn Observer,
        keeper: &mut dyn Keeper<Self>,
    ) -> Result<Outcome> {
        self.fit(train, valid, watch, keeper)
    }

    fn save(&self, path: &Path, extra: &Extra) -> Result<()> {
        save_adam_checkpoint(path, self, extra)
    }

    fn history(&self) -> &[SweepReport] {
        &self.progress.history
    }

    fn planned(&self) -> usize {
        self.settings.epochs
    }

    fn largest_bond(&self) -> usize {
        self.best.state().max_bond()
    }

    fn bytes(&self, train: &Batch<u8>) -> Result<(u64, u64)> {
        // Nothing grows.
        let bytes = self.memory(train);
        Ok((bytes, bytes))
    }

    fn into_best(self) -> BornMps<T> {
        self.best
    }
}

/// A flag that is set by the first Ctrl-C or request to end; the second ends the program at once.
pub(super) fn on_signal() -> Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let hook = |e: std::io::Error| Error::Io { path: "signal".into(), action: "listen for", source: e };
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stopped)).map_err(hook)?;
        signal_hook::flag::register(signal, Arc::clone(&stopped)).map_err(hook)?;
    }
    Ok(stopped)
}
