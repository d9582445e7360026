//! The size a model should have: bond by held-out shots, pure or mixed by the likelihood.

use super::bootstrap::drawn_again;
use super::chain_fit::{ChainFit, ChainSettings, Optimiser, fit_chain};
use super::density::dimension;
use super::estimate::parameters;
use super::held_out::{Judge, Tried};
use super::shots::Shots;
use super::state::Lpdo;
use crate::error::{Error, Result};
use crate::parallel;

/// Bonds that are tried where none is given.
const BONDS: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 16];
/// Records that are drawn from the pure state, where they are quickly fitted and where not.
const REPLICAS: (u64, u64) = (8, 2);
/// Dimension up to which they are.
const QUICK: usize = 1 << 6;

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
    /// Whether a pure state is to be taken: the gain is no more than twice what chance gives, Akaike's criterion with the bias of the
    /// likelihood found by a bootstrap (Ishiguro, Sakamoto, Kitagawa, Ann. Inst. Stat. Math. 49, 411, 1997), as at the boundary of the states
    /// parameters cannot be counted; or, where that is little, no more than three standard deviations above it. What so little tells of a
    /// mixed state is worth less than what a mixed fit to a pure state loses.
    #[must_use]
    pub fn pure(&self) -> bool {
        self.gain <= Self::limit(self.expected)
    }

    /// Three standard deviations of a chi-square variable of this mean above it.
    fn limit(expected: f64) -> f64 {
        (2.0 * expected).max(expected + 3.0 * (2.0 * expected).sqrt())
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
    if gain > PurityTest::limit(more) {
        return Ok(PurityTest { gain, expected: more, replicas: 0 });
    }
    let d = dimension(shots.dims());
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
    /// With the bond of a chain that is pure from the first: a prior against entanglement, and symmetries.
    pub prior: bool,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The settings with what was chosen.
    pub settings: ChainSettings,
    /// Where the fit to all shots is to begin: a fit to a part of them with these settings. From a start of its own it may end elsewhere.
    pub start: Option<Lpdo>,
    /// What was tried for the model that was chosen.
    pub tried: Vec<Tried>,
    /// Held-out loss of what was chosen, over all [`divisions`](super::divisions), where something was held out.
    pub held_out: Option<f64>,
    /// What decided between pure and mixed.
    pub purity: Option<PurityTest>,
}

/// Chooses what is free in `settings`: the bond by [`choose_bond`](super::choose_bond), a pure or a mixed state by [`pure_suffices`] unless the bond is given
/// and holds every state.
///
/// A prior and symmetries are chosen where every shot is held out once: for less the differences are too small.
///
/// # Errors
/// As these.
pub fn choose(shots: &Shots, settings: &ChainSettings, free: Free, watch: &mut dyn FnMut() -> bool) -> Result<Choice> {
    // A pure fit that is to be compared with a mixed one is a maximum of the likelihood.
    let prior = free.prior && settings.purification == 1 && settings.readout.is_none();
    let with_bond = |settings: ChainSettings, watch: &mut dyn FnMut() -> bool| {
        let Some(held_out) = free.bond else {
            return Ok(Choice { settings, start: None, tried: Vec::new(), held_out: None, purity: None });
        };
        let full = most_bond(shots.dims(), settings.purification);
        let bonds: Vec<usize> = BONDS.into_iter().filter(|&b| b <= full).collect();
        let judge = Judge::new(shots, &settings, held_out)?;
        let (mut trials, mut best) = judge.bonds(&settings, &bonds, &mut |_, _| watch())?;
        let whole: u64 = judge.divisions.iter().map(|(_, valid)| valid.total()).sum();
        if prior && whole == shots.total() {
            best = judge.refined(&mut trials, best, watch)?;
        }
        let tried = judge.told(&trials, best);
        let held_out = Some(tried[best].nll);
        let start = judge.start(&trials[best], shots)?;
        Ok::<_, Error>(Choice { settings: trials.swap_remove(best).settings, start, tried, held_out, purity: None })
    };
    let mixed = with_bond(settings.clone(), watch)?;
    // Who gives the full dimension wants the maximum over all states.
    let whole = free.bond.is_none() && settings.bond >= most_bond(shots.dims(), settings.purification);
    let fixed = !free.purification || settings.purification == 1 || whole;
    if fixed || settings.optimiser != Optimiser::Lbfgs || !watch() {
        return Ok(mixed);
    }
    let starts = settings.starts.max(ChainSettings::new(1, 1).starts);
    let pure = ChainSettings { purification: 1, hedge: 0.0, starts, ..settings.clone() };
    let pure = with_bond(pure, watch)?;
    let likeliest = ChainSettings { hedge: 0.0, ..mixed.settings.clone() };
    let pure_fit = fit_chain(shots, &pure.settings, pure.start.as_ref(), &mut |_| true)?;
    let mixed_fit = fit_chain(shots, &likeliest, mixed.start.as_ref(), &mut |_| true)?;
    let test = pure_suffices(shots, (&pure.settings, &pure_fit), (&likeliest, &mixed_fit))?;
    Ok(Choice { purity: Some(test), ..if test.pure() { pure } else { mixed } })
}

/// The bond beyond which a chain of this purification gains nothing.
fn most_bond(dims: &[usize], purification: usize) -> usize {
    let (left, right) = dims.split_at(dims.len() / 2);
    let size = |dims: &[usize]| dims.iter().fold(1usize, |p, &d| p.saturating_mul(d.saturating_mul(purification)));
    size(left).min(size(right)).max(1)
}
