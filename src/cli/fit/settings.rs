//! What the arguments of `ansatz fit` say of a run.

use num_complex::{Complex32, Complex64};

use super::options::{Cut, Fit, Numbers, Way, schedule};
use super::{EPOCHS, PROGRAM, SWEEPS, TRIAL};
use crate::error::{Error, Place, Result};
use crate::for_kind;
use crate::io::{AnyAdamRun, AnyBornMps, AnyRun, load_model};
use crate::model::{BornMps, Direction, Splitting};
use crate::random::Seed;
use crate::train::{Adam, AdamRun, Run, TwoSite};

impl Fit {
    /// That no option was given that says something of sweeps only: it would be silently without effect.
    pub(super) fn refuse_what_adam_has_not(&self) -> Result<()> {
        let given = [
            ("min-bond", self.min_bond.is_some()),
            ("cutoff", self.cutoff.is_some()),
            ("steps", self.steps.is_some()),
            ("direction", self.direction.is_some()),
            ("splitting", self.splitting.is_some()),
            ("init-bond", self.init_bond.is_some()),
            ("rise", self.rise.is_some()),
            ("min-improvement", self.min_improvement.is_some()),
            ("memory", self.memory.is_some()),
        ];
        if let Some((name, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(Error::setting(name, "given", "it means nothing to --method adam; leave it away"));
        }
        if self.bond.0.len() > 1 {
            let found = format!("a list of {}", self.bond.0.len());
            return Err(Error::setting("bond", found, "--method adam keeps one bond dimension; give a single number"));
        }
        Ok(())
    }

    pub(super) fn adam_settings(&self) -> Result<Adam> {
        let epochs = self.sweeps.unwrap_or(EPOCHS);
        Ok(Adam {
            rate: schedule(&self.rate, 0.01)?,
            mini_batches: self.mini_batches.schedule()?,
            smoothing: self.trial_smoothing(),
            seed: Seed(self.seed),
            ..Adam::new(epochs)
        })
    }

    pub(super) fn fresh_adam(&self, dims: &[usize]) -> Result<AnyAdamRun> {
        let settings = self.adam_settings()?;
        let bond = *self.bond.schedule()?.at(0);
        Ok(for_kind!(AnyBornMps, self.first_model(dims, bond)?, model => AdamRun::new(model, settings)?.into()))
    }

    /// The model that a run begins with: the one that was given, or a random one.
    pub(super) fn first_model(&self, dims: &[usize], bond: usize) -> Result<AnyBornMps> {
        if let Some(path) = &self.start {
            let (model, _) = load_model(path)?;
            if model.dims() != dims {
                let error = Error::shape("the model, in dimensions of its sites", model.dims().len(), dims.len());
                return Err(error.at(Place::File(path.clone())));
            }
            return Ok(model);
        }
        let seed = Seed(self.seed);
        Ok(match self.scalar {
            Numbers::F32 => BornMps::<f32>::random(dims, bond, seed)?.into(),
            Numbers::F64 => BornMps::<f64>::random(dims, bond, seed)?.into(),
            Numbers::C32 => BornMps::<Complex32>::random(dims, bond, seed)?.into(),
            Numbers::C64 => BornMps::<Complex64>::random(dims, bond, seed)?.into(),
        })
    }

    /// The smoothing that models are judged with while they are trained.
    pub(super) fn trial_smoothing(&self) -> f64 {
        let held_out = self.valid.is_some() || self.valid_fraction.is_some();
        self.smoothing.unwrap_or(if held_out { TRIAL } else { 0.0 })
    }

    pub(super) fn settings(&self) -> Result<TwoSite> {
        Ok(TwoSite {
            sweeps: self.sweeps.unwrap_or(SWEEPS),
            rate: schedule(&self.rate, 0.005)?,
            max_bond: self.bond.schedule()?,
            min_bond: schedule(&self.min_bond, 1)?,
            cutoff: schedule(&self.cutoff, 1e-7)?,
            steps: schedule(&self.steps, 1)?,
            mini_batches: self.mini_batches.schedule()?,
            direction: match self.direction {
                Some(Way::Plain) => Direction::Plain,
                Some(Way::NormScaled) | None => Direction::NormScaled,
                Some(Way::Adam) => Direction::Adam,
            },
            splitting: match self.splitting {
                Some(Cut::Exact) => Splitting::Exact,
                Some(Cut::Warm) | None => Splitting::Warm,
            },
            rise: self.rise.unwrap_or(0.0),
            decay: 0.5,
            smoothing: self.trial_smoothing(),
            min_improvement: self.min_improvement.unwrap_or(0.0),
            memory: self.memory.map(|mb| mb.saturating_mul(1_000_000).saturating_sub(PROGRAM)),
            seed: Seed(self.seed),
        })
    }

    pub(super) fn fresh(&self, dims: &[usize]) -> Result<AnyRun> {
        let settings = self.settings()?;
        // A wider start finds more directions in its first sweeps, and costs little more.
        let bond = self.init_bond.unwrap_or(4.min(*settings.max_bond.at(0)));
        Ok(for_kind!(AnyBornMps, self.first_model(dims, bond)?, model => Run::new(model, settings)?.into()))
    }
}
