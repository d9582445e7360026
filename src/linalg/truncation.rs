//! Which singular values are kept.

use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};

/// How a singular-value spectrum is cut. Nothing is cut unless it is asked for.
///
/// Values are sorted, largest first. A value is dropped if it is beyond `max_bond`, or not above a cutoff, or if the
/// weight of it and all below fits into the budget; `min_bond` values are kept against the cutoffs and the budget, and
/// one is always kept.
///
/// ```
/// use ansatz::linalg::Truncation;
/// let cut = Truncation::none().max_bond(2).apply(&[3.0, 2.0, 1.0])?;
/// assert_eq!(cut.kept, 2);
/// assert!((cut.discarded_weight - 1.0 / 14.0).abs() < 1e-15);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncation {
    max_bond: Option<usize>,
    min_bond: usize,
    absolute: f64,
    relative: f64,
    budget: f64,
    multiplets: Option<f64>,
}

/// The outcome of [`Truncation::apply`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// How many values are kept, at least 1.
    pub kept: usize,
    /// `sum of dropped s^2 / sum of all s^2`, in `[0, 1]`.
    pub discarded_weight: f64,
}

impl Truncation {
    /// Keeps everything.
    #[must_use]
    pub fn none() -> Self {
        Truncation { max_bond: None, min_bond: 1, absolute: 0.0, relative: 0.0, budget: 0.0, multiplets: None }
    }

    /// Keeps at most so many values.
    #[must_use]
    pub fn max_bond(mut self, max_bond: usize) -> Self {
        self.max_bond = Some(max_bond);
        self
    }

    /// Keeps at least so many values (as far as there are) against cutoffs and budget, not against `max_bond`.
    #[must_use]
    pub fn min_bond(mut self, min_bond: usize) -> Self {
        self.min_bond = min_bond;
        self
    }

    /// Drops values that are at most `ratio` times the largest.
    #[must_use]
    pub fn cutoff(mut self, ratio: f64) -> Self {
        self.relative = ratio;
        self
    }

    /// Drops values that are at most `value`.
    #[must_use]
    pub fn absolute_cutoff(mut self, value: f64) -> Self {
        self.absolute = value;
        self
    }

    /// Drops the smallest values as long as their share of the weight, `sum s^2` of all, is at most `share`.
    #[must_use]
    pub fn budget(mut self, share: f64) -> Self {
        self.budget = share;
        self
    }

    /// Does not cut between two values that differ by at most `tolerance` times the larger one: the multiplet is kept
    /// whole where `max_bond` allows, and dropped whole where not (unless nothing would be left).
    #[must_use]
    pub fn keep_multiplets(mut self, tolerance: f64) -> Self {
        self.multiplets = Some(tolerance);
        self
    }

    /// The largest bond this truncation can leave.
    #[must_use]
    pub fn bond_limit(&self) -> Option<usize> {
        self.max_bond
    }

    /// The fewest values it keeps against cutoffs.
    #[must_use]
    pub fn smallest_bond(&self) -> usize {
        self.min_bond
    }

    /// The cutoff relative to the largest value.
    #[must_use]
    pub fn relative_cutoff(&self) -> f64 {
        self.relative
    }

    /// Whether nothing can ever be dropped.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.max_bond.is_none() && self.absolute == 0.0 && self.relative == 0.0 && self.budget == 0.0
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a bond of zero, `min_bond` above `max_bond`, a negative or non-finite cutoff, a budget
    /// outside `[0, 1]`.
    pub fn validate(&self) -> Result<()> {
        if self.max_bond == Some(0) {
            return Err(Error::setting("max_bond", 0, "give at least 1"));
        }
        if self.min_bond == 0 {
            return Err(Error::setting("min_bond", 0, "give at least 1"));
        }
        if self.max_bond.is_some_and(|max| self.min_bond > max) {
            return Err(Error::setting("min_bond", self.min_bond, "give at most max_bond"));
        }
        for (name, value) in [("cutoff", self.relative), ("absolute_cutoff", self.absolute)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::setting(name, value, "give a finite number, at least 0"));
            }
        }
        if !(0.0..=1.0).contains(&self.budget) {
            return Err(Error::setting("budget", self.budget, "give a share in [0, 1]"));
        }
        if self.multiplets.is_some_and(|t| !(t >= 0.0 && t.is_finite())) {
            return Err(Error::setting("keep_multiplets", self.multiplets.unwrap_or(0.0), "give a finite tolerance"));
        }
        Ok(())
    }

    /// Decides where to cut `s`, sorted with the largest first.
    ///
    /// # Errors
    /// As [`validate`](Self::validate); [`Error::Empty`] for no values, [`Error::NotFinite`] for NaN or infinity.
    pub fn apply<R: Real>(&self, s: &[R]) -> Result<Cut> {
        self.validate()?;
        let Some(&first) = s.first() else {
            return Err(Error::Empty { what: "the spectrum to be truncated".into() });
        };
        let largest = Real::to_f64(first);
        if s.iter().any(|x| !Scalar::is_finite(*x)) {
            return Err(Error::NotFinite { what: "the spectrum to be truncated".into() });
        }
        if largest == 0.0 {
            return Ok(Cut { kept: self.min_bond.min(s.len()), discarded_weight: 0.0 });
        }
        // Squares of ratios neither overflow nor vanish before they are negligible.
        let ratio = |i: usize| Real::to_f64(s[i]) / largest;
        let total: f64 = (0..s.len()).map(|i| ratio(i).powi(2)).sum();
        let mut kept = s.len();
        let mut tail = 0.0;
        while kept > 1 {
            let r = ratio(kept - 1);
            // Without a cutoff even exact zeros stay.
            let below =
                self.relative > 0.0 && r <= self.relative || self.absolute > 0.0 && r * largest <= self.absolute;
            let affordable = self.budget > 0.0 && tail + r * r <= self.budget * total;
            if kept <= self.min_bond || !(below || affordable) {
                break;
            }
            tail += r * r;
            kept -= 1;
        }
        kept = kept.min(self.max_bond.unwrap_or(usize::MAX));
        if let Some(tolerance) = self.multiplets {
            kept =
                whole_multiplets(kept, s.len(), self.max_bond, |i| ratio(i - 1) - ratio(i) <= tolerance * ratio(i - 1));
        }
        // From the smallest up, so that a tiny tail is not lost against the sum.
        let dropped: f64 = (kept..s.len()).rev().map(|i| ratio(i).powi(2)).sum();
        Ok(Cut { kept, discarded_weight: dropped / total })
    }
}

/// Moves a cut so that it does not part neighbours that `joined(i)` calls equal (`i` and `i - 1`).
fn whole_multiplets(kept: usize, len: usize, max_bond: Option<usize>, joined: impl Fn(usize) -> bool) -> usize {
    let mut up = kept;
    while up < len && joined(up) {
        up += 1;
    }
    if up <= max_bond.unwrap_or(usize::MAX) {
        return up;
    }
    let mut down = kept;
    while down > 0 && down < len && joined(down) {
        down -= 1;
    }
    if down == 0 { kept } else { down }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: [f64; 5] = [4.0, 2.0, 2.0, 1.0, 1e-9];

    fn kept(t: Truncation) -> usize {
        t.apply(&S).unwrap().kept
    }

    #[test]
    fn nothing_is_dropped_unasked() {
        assert_eq!(kept(Truncation::none()), 5);
        assert_eq!(Truncation::none().apply(&[1.0, 0.0]).unwrap(), Cut { kept: 2, discarded_weight: 0.0 });
    }

    #[test]
    fn each_rule_cuts_where_it_says() {
        assert_eq!(kept(Truncation::none().max_bond(3)), 3);
        assert_eq!(kept(Truncation::none().cutoff(0.25)), 3);
        assert_eq!(kept(Truncation::none().absolute_cutoff(1.5)), 3);
        assert_eq!(kept(Truncation::none().budget(1.0 / 25.0 + 1e-12)), 3);
        assert_eq!(kept(Truncation::none().budget(0.99 / 25.0)), 4);
        assert_eq!(kept(Truncation::none().cutoff(0.9).min_bond(2)), 2);
        assert_eq!(kept(Truncation::none().cutoff(1.0)), 1);
    }

    #[test]
    fn multiplets_are_kept_or_dropped_whole() {
        assert_eq!(kept(Truncation::none().max_bond(2).keep_multiplets(1e-6)), 1);
        assert_eq!(kept(Truncation::none().cutoff(0.5).keep_multiplets(1e-6)), 1);
        assert_eq!(kept(Truncation::none().cutoff(0.3).max_bond(3).keep_multiplets(1e-6)), 3);
        assert_eq!(Truncation::none().max_bond(2).keep_multiplets(0.1).apply(&[1.0, 1.0, 1.0]).unwrap().kept, 2);
    }

    #[test]
    fn discarded_weight_is_the_share_of_squares() {
        let cut = Truncation::none().max_bond(3).apply(&[1e200, 1e200, 1e200, 1e200]).unwrap();
        assert!((cut.discarded_weight - 0.25).abs() < 1e-15);
        assert_eq!(Truncation::none().max_bond(1).apply(&[0.0, 0.0]).unwrap().discarded_weight, 0.0);
    }

    #[test]
    fn impossible_settings_are_refused() {
        for t in [
            Truncation::none().max_bond(0),
            Truncation::none().cutoff(f64::NAN),
            Truncation::none().budget(2.0),
            Truncation::none().max_bond(2).min_bond(3),
        ] {
            assert!(matches!(t.apply(&S), Err(Error::Setting { .. })));
        }
        assert!(Truncation::none().apply::<f64>(&[]).is_err());
        assert!(Truncation::none().apply(&[f64::NAN]).is_err());
    }
}
