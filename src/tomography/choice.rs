//! What a record tells of the size a model should have: bond by held-out shots, pure or mixed by the likelihood.

use super::bootstrap::drawn_again;
use super::chain_fit::{ChainFit, ChainSettings, Optimiser, fit_chain, log_likelihoods};
use super::estimate::parameters;
use super::shots::Shots;
use crate::error::{Error, Result};
use crate::parallel;
use crate::random::Seed;

/// Shots up to which several divisions into training and held-out shots are averaged over, as one decides by chance.
const FEW_SHOTS: u64 = 5000;
/// So many divisions.
const DIVISIONS: u64 = 5;
/// Bonds that are tried where none is given.
const BONDS: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 16];
/// Standard errors beyond which one division tells two bonds apart.
const CLEAR: f64 = 2.0;
/// What a fit that is made to choose may still fall over ten iterations, nats in all.
const ROUGH: f64 = 0.01;
/// Records that are drawn from the pure state, where they are quickly fitted and where not.
const REPLICAS: (u64, u64) = (8, 2);
/// Dimension up to which they are.
const QUICK: usize = 1 << 6;

/// The divisions of a record into training and held-out shots by which [`choose_bond`] judges.
///
/// # Errors
/// As [`Shots::split`].
pub fn divisions(shots: &Shots, held_out: f64, seed: Seed) -> Result<Vec<(Shots, Shots)>> {
    let several = if shots.total() <= FEW_SHOTS { DIVISIONS } else { 1 };
    let division = |number: u64| {
        let seed = if number == 0 { seed } else { seed.derive("division", number) };
        shots.split(held_out, seed)
    };
    (0..several).map(division).collect()
}

/// A bond that is tried: `ln p` of the held-out rows, of each division that was looked at.
struct Trial {
    bond: usize,
    ln: Vec<Vec<f64>>,
}

/// Mean loss of the held-out shots of a division.
fn held(ln: &[f64], valid: &Shots) -> f64 {
    let total = valid.total() as f64;
    -ln.iter().zip(valid.counts()).map(|(ln, &n)| n as f64 / total * ln).sum::<f64>()
}

/// By how much `a` predicts the held-out shots of a division worse than `b`, nats a shot, and the standard error of that.
fn excess(a: &[f64], b: &[f64], valid: &Shots) -> (f64, f64) {
    let total = valid.total() as f64;
    let pairs = || a.iter().zip(b).zip(valid.counts()).map(|((a, b), &n)| (b - a, n as f64));
    let mean = pairs().map(|(x, n)| n * x).sum::<f64>() / total;
    let square = pairs().map(|(x, n)| n * (x - mean).powi(2)).sum::<f64>() / total;
    (mean, (square / total).sqrt())
}

/// The bond among `bonds` whose fit to part of the shots predicts the held-out rest best, with the held-out losses: the mean over five
/// random divisions up to 5000 shots, that of one division beyond.
///
/// Tried in order; the search ends after two that are no better than the best. Two bonds that one division tells apart by two standard
/// errors of the difference, shot by shot, are not looked at in the others; the loss of the worse is then that of the better plus this
/// difference.
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
    let divisions = divisions(shots, held_out, settings.seed)?;
    let rough = settings.fall.max(ROUGH / shots.total() as f64);
    // Held-out rows of those divisions that a trial has not yet seen, up to so many.
    let look = |trial: &mut Trial, upto: usize| -> Result<()> {
        let settings = ChainSettings { bond: trial.bond, fall: rough, ..settings.clone() };
        let parts: Vec<&(Shots, Shots)> = divisions.iter().take(upto).skip(trial.ln.len()).collect();
        let found = parallel::map(parts, |(train, valid)| {
            let fit = fit_chain(train, &settings, None, &mut |_| true)?;
            log_likelihoods(&fit.state, valid, settings.readout.as_ref())
        });
        trial.ln.extend(found.into_iter().collect::<Result<Vec<_>>>()?);
        Ok(())
    };
    let mean = |trial: &Trial| {
        let losses = trial.ln.iter().zip(&divisions).map(|(ln, (_, valid))| held(ln, valid));
        losses.sum::<f64>() / trial.ln.len() as f64
    };
    let mut tried: Vec<(usize, f64)> = Vec::new();
    let mut best: Option<Trial> = None;
    let mut worse = 0;
    for &bond in bonds {
        let mut trial = Trial { bond, ln: Vec::new() };
        look(&mut trial, 1)?;
        let (better, loss) = match &mut best {
            None => (true, mean(&trial)),
            Some(best) => {
                let (more, error) = excess(&trial.ln[0], &best.ln[0], &divisions[0].1);
                if more.abs() > CLEAR * error {
                    (more < 0.0, mean(best) + more)
                } else {
                    look(&mut trial, divisions.len())?;
                    look(best, divisions.len())?;
                    (mean(&trial) < mean(best) - 1e-6, mean(&trial))
                }
            }
        };
        tried.push((bond, loss));
        if better {
            best = Some(trial);
            worse = 0;
        } else {
            worse += 1;
        }
        if !watch(bond, loss) || worse == 2 {
            break;
        }
    }
    let best = best.ok_or_else(|| Error::Empty { what: "the list of bonds to try".into() })?;
    Ok((best.bond, tried))
}

/// How much better a mixed state explains a record than a pure one, beside what chance would do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PurityTest {
    /// Twice the logarithm of the ratio of the likelihoods.
    pub gain: f64,
    /// Its mean over records drawn from the pure state; without replicas the parameters that the mixed state has more.
    pub expected: f64,
    /// Such records.
    pub replicas: u64,
}

impl PurityTest {
    /// Whether a pure state is expected to predict better: the gain is no more than twice what chance gives, Akaike's criterion with the
    /// bias of the likelihood found by a bootstrap (Ishiguro, Sakamoto, Kitagawa, Ann. Inst. Stat. Math. 49, 411, 1997), as at the
    /// boundary of the states parameters cannot be counted.
    #[must_use]
    pub fn pure(&self) -> bool {
        self.gain <= 2.0 * self.expected
    }
}

/// Compares the fit of a pure and of a mixed chain to a record, both of maximum likelihood.
///
/// # Errors
/// As [`fit_chain`].
pub fn pure_suffices(
    shots: &Shots,
    pure: (&ChainSettings, &ChainFit),
    mixed: (&ChainSettings, &ChainFit),
) -> Result<PurityTest> {
    let gain_of = |total: u64, pure: f64, mixed: f64| (2.0 * total as f64 * (pure - mixed)).max(0.0);
    let gain = gain_of(shots.total(), pure.1.nll, mixed.1.nll);
    let more = parameters(&mixed.1.state).saturating_sub(parameters(&pure.1.state)) as f64;
    // No chance does more than free parameters would.
    if gain > 2.0 * more {
        return Ok(PurityTest { gain, expected: more, replicas: 0 });
    }
    let d = shots.dims().iter().fold(1usize, |d, &n| d.saturating_mul(n));
    let replicas = if d <= QUICK { REPLICAS.0 } else { REPLICAS.1 };
    let gains = parallel::map((0..replicas).collect(), |number| {
        let drawn =
            drawn_again(&pure.1.state, shots, pure.0.readout.as_ref(), pure.0.seed.derive("pure record", number))?;
        let one = fit_chain(&drawn, pure.0, Some(&pure.1.state), &mut |_| true)?;
        let other = fit_chain(&drawn, mixed.0, None, &mut |_| true)?;
        Ok(gain_of(drawn.total(), one.nll, other.nll))
    });
    let gains = gains.into_iter().collect::<Result<Vec<f64>>>()?;
    Ok(PurityTest { gain, expected: gains.iter().sum::<f64>() / replicas as f64, replicas })
}

/// What [`choose`] may choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Free {
    /// The bond, by this share of held-out shots.
    pub bond: Option<f64>,
    /// Whether the state is pure or has the purification of the settings.
    pub purification: bool,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The settings with what was chosen.
    pub settings: ChainSettings,
    /// Bonds and held-out losses of the model that was chosen.
    pub tried: Vec<(usize, f64)>,
    /// What decided between pure and mixed.
    pub purity: Option<PurityTest>,
}

/// Chooses what is free in `settings`: the bond by [`choose_bond`], a pure or a mixed state by [`pure_suffices`] unless the bond is given
/// and holds every state.
///
/// # Errors
/// As these.
pub fn choose(shots: &Shots, settings: &ChainSettings, free: Free, watch: &mut dyn FnMut() -> bool) -> Result<Choice> {
    let with_bond = |mut settings: ChainSettings, watch: &mut dyn FnMut() -> bool| {
        let Some(held_out) = free.bond else { return Ok((settings, Vec::new())) };
        let full = most_bond(shots.dims(), settings.purification);
        let bonds: Vec<usize> = BONDS.into_iter().filter(|&b| b <= full).collect();
        let (bond, tried) = choose_bond(shots, &settings, &bonds, held_out, &mut |_, _| watch())?;
        settings.bond = bond;
        Ok::<_, Error>((settings, tried))
    };
    let (mixed, tried) = with_bond(settings.clone(), watch)?;
    // Who gives the full dimension wants the maximum over all states.
    let whole = free.bond.is_none() && settings.bond >= most_bond(shots.dims(), settings.purification);
    let fixed = !free.purification || settings.purification == 1 || whole;
    if fixed || settings.optimiser != Optimiser::Lbfgs || !watch() {
        return Ok(Choice { settings: mixed, tried, purity: None });
    }
    let starts = settings.starts.max(ChainSettings::new(1, 1).starts);
    let alone = ChainSettings { purification: 1, hedge: 0.0, starts, ..settings.clone() };
    let (alone, tried_alone) = with_bond(alone, watch)?;
    let likeliest = ChainSettings { hedge: 0.0, ..mixed.clone() };
    let pure_fit = fit_chain(shots, &alone, None, &mut |_| true)?;
    let mixed_fit = fit_chain(shots, &likeliest, None, &mut |_| true)?;
    let test = pure_suffices(shots, (&alone, &pure_fit), (&likeliest, &mixed_fit))?;
    let (settings, tried) = if test.pure() { (alone, tried_alone) } else { (mixed, tried) };
    Ok(Choice { settings, tried, purity: Some(test) })
}

/// The bond beyond which a chain of this purification gains nothing.
fn most_bond(dims: &[usize], purification: usize) -> usize {
    let (left, right) = dims.split_at(dims.len() / 2);
    let size = |dims: &[usize]| dims.iter().fold(1usize, |p, &d| p.saturating_mul(d.saturating_mul(purification)));
    size(left).min(size(right)).max(1)
}
