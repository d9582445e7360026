//! What a record tells by shots that are held out: which of several fits predicts them best.

use super::chain_fit::{ChainSettings, fit_chain, log_likelihoods, nll};
use super::density::dimension;
use super::shots::Shots;
use super::state::Lpdo;
use super::symmetry::Symmetry;
use crate::error::{Error, Result};
use crate::parallel;
use crate::random::Seed;

/// Numbers in a record, rows times sites, up to which all shots are held out in turn.
const SMALL: usize = 30_000;
/// Shots up to which several divisions into training and held-out shots are averaged over elsewhere, as one decides by chance.
const FEW_SHOTS: u64 = 5000;
/// So many divisions.
const DIVISIONS: usize = 5;
/// Divisions after which a clear difference is enough.
const SOME: usize = 3;
/// Divisions at the most.
const MOST_DIVISIONS: usize = 10;
/// Shots that are dealt out one by one at the most.
const MOST_SHOTS: u64 = 1 << 20;
/// Priors against entanglement that are tried for a pure chain where none is given.
const PRIORS: [f64; 2] = [10.0, 30.0];
/// Symmetries that are tried for it.
const SYMMETRIES: [&[Symmetry]; 3] = [&[Symmetry::Mirror], &[Symmetry::Flip], &[Symmetry::Mirror, Symmetry::Flip]];
/// Levels of all sites together up to which the largest bond is tried in any case.
const FEW_LEVELS: usize = 1 << 4;
/// Standard errors beyond which one division tells two fits apart, and by which a symmetry has to predict better.
const CLEAR: f64 = 2.0;
/// What a fit that is made to choose may still fall over ten iterations, nats in all.
const ROUGH: f64 = 0.01;
/// What was tried on held-out shots.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// The bond.
    pub bond: usize,
    /// The exponent of the prior against entanglement.
    pub shrink: f64,
    /// Symmetries that were taken as given.
    pub symmetries: Vec<Symmetry>,
    /// The loss of the held-out shots, nats a shot.
    pub nll: f64,
}

impl Tried {
    fn new(settings: &ChainSettings, nll: f64) -> Self {
        Tried { bond: settings.bond, shrink: settings.shrink, symmetries: settings.symmetries.clone(), nll }
    }
}

/// The divisions of a record into training and held-out shots by which [`choose_bond`] judges. Of small records every shot is held out once,
/// in ten divisions or as many as `1/held_out`; of others with up to 5000 shots there are five such divisions, else one.
///
/// # Errors
/// As [`Shots::split`].
pub fn divisions(shots: &Shots, held_out: f64, seed: Seed) -> Result<Vec<(Shots, Shots)>> {
    let small = shots.rows().saturating_mul(shots.sites()) <= SMALL && shots.total() <= MOST_SHOTS;
    let several = small || shots.total() <= FEW_SHOTS;
    if !(several && (0.0..=0.5).contains(&held_out)) {
        return Ok(vec![shots.split(held_out, seed)?]);
    }
    // Not more than there are shots, however small the share.
    let most = usize::try_from(shots.total()).unwrap_or(usize::MAX);
    let parts = ((1.0 / held_out).round() as usize).min(most);
    shots.folds(parts, if small { MOST_DIVISIONS } else { DIVISIONS }, seed)
}

/// Something that is tried: the fit to the training shots of each division that was looked at, and `ln p` of the held-out rows.
#[derive(Clone)]
pub(super) struct Trial {
    pub settings: ChainSettings,
    seen: Vec<(Lpdo, Vec<f64>)>,
}

impl Trial {
    fn new(settings: ChainSettings) -> Self {
        Trial { settings, seen: Vec::new() }
    }
}

/// Tries settings on the divisions of a record.
pub(super) struct Judge {
    pub divisions: Vec<(Shots, Shots)>,
    /// As [`ROUGH`], per shot.
    fall: f64,
}

/// Mean loss of the held-out shots of a division.
fn held(ln: &[f64], valid: &Shots) -> f64 {
    let total = valid.total() as f64;
    -ln.iter().zip(valid.counts()).map(|(ln, &n)| n as f64 / total * ln).sum::<f64>()
}

impl Judge {
    pub fn new(shots: &Shots, settings: &ChainSettings, held_out: f64) -> Result<Self> {
        let fall = settings.fall.max(ROUGH / shots.total() as f64);
        Ok(Judge { divisions: divisions(shots, held_out, settings.seed)?, fall })
    }

    /// Looks at divisions that a trial has not yet seen, up to so many; where `near` has, the fit goes on from there.
    pub fn look(&self, trial: &mut Trial, upto: usize, near: Option<&Trial>) -> Result<()> {
        let settings = ChainSettings { fall: self.fall, ..trial.settings.clone() };
        let parts: Vec<usize> = (trial.seen.len()..upto.min(self.divisions.len())).collect();
        let found = parallel::map(parts, |number| {
            let (train, valid) = &self.divisions[number];
            let start = near.and_then(|near| near.seen.get(number)).map(|(state, _)| state);
            let fit = fit_chain(train, &settings, start, &mut |_| true)?;
            let ln = log_likelihoods(&fit.state, valid, settings.readout.as_ref())?;
            Ok((fit.state, ln))
        });
        trial.seen.extend(found.into_iter().collect::<Result<Vec<_>>>()?);
        Ok(())
    }

    /// The fit of a trial to training shots that explains the whole record best: whatever basin it lies in is the one that was judged.
    pub fn start(&self, trial: &Trial, shots: &Shots) -> Result<Option<Lpdo>> {
        let mut best: Option<(f64, &Lpdo)> = None;
        for (state, _) in &trial.seen {
            let loss = nll(state, shots, trial.settings.readout.as_ref())?;
            if best.is_none_or(|(least, _)| loss < least) {
                best = Some((loss, state));
            }
        }
        Ok(best.map(|(_, state)| state.clone()))
    }

    /// Mean loss of the held-out shots of the divisions that were looked at, nats a shot.
    pub fn mean(&self, trial: &Trial) -> f64 {
        let losses = trial.seen.iter().zip(&self.divisions).map(|((_, ln), (_, valid))| held(ln, valid));
        losses.sum::<f64>() / trial.seen.len() as f64
    }

    /// By how much `a` predicts the held-out shots of the first divisions worse than `b`, nats a shot, and the standard error of that.
    fn excess(&self, a: &Trial, b: &Trial, divisions: usize) -> (f64, f64) {
        let (mut total, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (((_, a), (_, b)), (_, valid)) in a.seen.iter().zip(&b.seen).zip(&self.divisions).take(divisions) {
            for ((a, b), &n) in a.iter().zip(b).zip(valid.counts()) {
                let (n, more) = (n as f64, b - a);
                total += n;
                sum += n * more;
                squares += n * more * more;
            }
        }
        let mean = sum / total;
        (mean, ((squares / total - mean * mean).max(0.0) / total).sqrt())
    }

    /// Whether `trial` predicts better than `best`. Two that the first division or the first [`SOME`] tell apart are not looked at in the
    /// others.
    fn better(&self, trial: &mut Trial, best: &mut Trial, near: Option<&Trial>) -> Result<bool> {
        let all = self.divisions.len();
        for upto in [1, SOME.min(all)] {
            self.look(trial, upto, near)?;
            self.look(best, upto, None)?;
            let (more, error) = self.excess(trial, best, upto);
            if more.abs() > CLEAR * error {
                return Ok(more < 0.0);
            }
        }
        self.look(trial, all, near)?;
        self.look(best, all, None)?;
        Ok(self.mean(trial) < self.mean(best) - 1e-6)
    }

    /// Tries `bonds` in order, until two are no better than the best before them, and the last of them where it holds every state and there
    /// are few sites: between them a larger bond may seem to tell no more. Returns all trials and the number of the best.
    pub fn bonds(
        &self,
        settings: &ChainSettings,
        bonds: &[usize],
        watch: &mut dyn FnMut(usize, f64) -> bool,
    ) -> Result<(Vec<Trial>, usize)> {
        let mut trials: Vec<Trial> = Vec::new();
        let (mut best, mut worse) = (0, 0);
        let few = self.divisions.first().is_some_and(|(train, _)| few_sites(train.dims()));
        for (number, &bond) in bonds.iter().enumerate() {
            let last = number + 1 == bonds.len();
            if worse >= 2 && !(few && last) {
                continue;
            }
            let mut trial = Trial::new(ChainSettings { bond, ..settings.clone() });
            let better = match trials.get_mut(best) {
                None => true,
                Some(best) => self.better(&mut trial, best, None)?,
            };
            self.look(&mut trial, 1, None)?;
            let loss = self.mean(&trial);
            trials.push(trial);
            (best, worse) = if better { (trials.len() - 1, 0) } else { (best, worse + 1) };
            if !watch(bond, loss) {
                break;
            }
        }
        if trials.is_empty() {
            return Err(Error::Empty { what: "the list of bonds to try".into() });
        }
        let all = self.divisions.len();
        self.look(&mut trials[best], all, None)?;
        let last = trials.len() - 1;
        let whole = few && bonds.last() == Some(&trials[last].settings.bond);
        if whole && last > best && settings.purification > 1 {
            // A smaller bond has to earn its place beside all states: where chance took one, a mixed state lost up to .015 in fidelity.
            self.look(&mut trials[last], SOME.min(all), None)?;
            let (more, error) = self.excess(&trials[last], &trials[best], SOME.min(all));
            if more <= CLEAR * error {
                self.look(&mut trials[last], all, None)?;
                let (more, error) = self.excess(&trials[last], &trials[best], all);
                best = if more <= error { last } else { best };
            }
        }
        Ok((trials, best))
    }

    /// What is told of trials: the loss of those that were looked at in all divisions, for others that of the best and the difference.
    pub fn told(&self, trials: &[Trial], best: usize) -> Vec<Tried> {
        let loss = |trial: &Trial| match trial.seen.len() {
            all if all == self.divisions.len() => self.mean(trial),
            some => self.mean(&trials[best]) + self.excess(trial, &trials[best], some).0,
        };
        trials.iter().map(|trial| Tried::new(&trial.settings, loss(trial))).collect()
    }

    /// Adds trials of a prior and of symmetries beside the bond; returns the number of the best. A symmetry has to predict better by two
    /// standard errors.
    pub fn refined(&self, trials: &mut Vec<Trial>, mut best: usize, watch: &mut dyn FnMut() -> bool) -> Result<usize> {
        // The prior makes up for a bond that is a little too large.
        let nears: Vec<usize> = (best..trials.len().min(best + 2)).filter(|&t| trials[t].settings.bond > 1).collect();
        for near in nears {
            for shrink in PRIORS {
                if !watch() {
                    return Ok(best);
                }
                let settings = ChainSettings { shrink, ..trials[near].settings.clone() };
                best = self.beside(trials, best, near, settings, false)?;
            }
        }
        let near = best;
        for symmetries in SYMMETRIES {
            let fits = symmetries.iter().all(|s| s.image(&self.divisions[0].0).is_ok());
            if fits && watch() {
                let settings = ChainSettings { symmetries: symmetries.to_vec(), ..trials[near].settings.clone() };
                best = self.beside(trials, best, near, settings, true)?;
            }
        }
        Ok(best)
    }

    /// Tries settings from the fits of trial `near` on; returns the number of the best, which has to be better clearly or not.
    fn beside(
        &self,
        trials: &mut Vec<Trial>,
        best: usize,
        near: usize,
        settings: ChainSettings,
        clearly: bool,
    ) -> Result<usize> {
        let mut trial = Trial::new(settings);
        // Taken out, as it is looked at further while another is read.
        let mut before = std::mem::replace(&mut trials[best], Trial::new(trial.settings.clone()));
        let from = if near == best { before.clone() } else { trials[near].clone() };
        let mut better = self.better(&mut trial, &mut before, Some(&from))?;
        if better {
            self.look(&mut trial, self.divisions.len(), Some(&from))?;
            self.look(&mut before, self.divisions.len(), None)?;
            let (more, error) = self.excess(&trial, &before, self.divisions.len());
            better = !clearly || more < -CLEAR * error;
        }
        trials[best] = before;
        trials.push(trial);
        Ok(if better { trials.len() - 1 } else { best })
    }
}

/// Whether all sites together have so few levels that a chain of any bond is quickly fitted.
fn few_sites(dims: &[usize]) -> bool {
    dimension(dims) <= FEW_LEVELS
}

/// The bond among `bonds` whose fit to part of the shots predicts the held-out rest best, with the held-out losses, over [`divisions`] of the
/// record.
///
/// Tried in order; the search ends after two that are no better than the best, up to four qubits with the last of `bonds`. Two bonds that
/// one division or three tell apart by two standard errors of the difference, shot by shot, are not looked at in the others; the loss of
/// the worse is then that of the better plus this difference.
///
/// # Errors
/// As [`fit_chain`] and [`Shots::split`].
pub fn choose_bond(
    shots: &Shots,
    settings: &ChainSettings,
    bonds: &[usize],
    held_out: f64,
    watch: &mut dyn FnMut(usize, f64) -> bool,
) -> Result<(usize, Vec<(usize, f64)>)> {
    let judge = Judge::new(shots, settings, held_out)?;
    let (trials, best) = judge.bonds(settings, bonds, watch)?;
    Ok((trials[best].settings.bond, judge.told(&trials, best).iter().map(|t| (t.bond, t.nll)).collect()))
}
