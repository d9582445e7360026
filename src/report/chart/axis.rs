//! Axes: a range, and round numbers in it.

/// A range of numbers, not empty, with evenly spaced round ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Axis {
    pub low: f64,
    pub high: f64,
    step: f64,
}

/// What an axis should be like.
#[derive(Debug, Clone, Copy)]
pub(in crate::report) struct Wish {
    /// Steps between ticks, at most; one or two more where the range ends between two ticks.
    pub steps: usize,
    /// Ticks at whole numbers only.
    pub whole: bool,
    /// Zero is in the range.
    pub zero: bool,
    /// Some room beyond the data, except below zero where zero is asked for.
    pub room: bool,
}

/// Numbers beyond this are left out of charts: differences and squares of the others stay finite.
const LARGEST: f64 = 1e100;

/// Whether a number can be drawn.
pub(super) fn drawable(x: f64) -> bool {
    x.abs() <= LARGEST
}

impl Axis {
    /// An axis that holds all drawable `values`; `0..1` if there is none.
    pub fn fit(values: impl IntoIterator<Item = f64>, wish: Wish) -> Axis {
        let zero = wish.zero.then_some(0.0);
        let values = values.into_iter().chain(zero).filter(|&v| drawable(v));
        let (mut low, mut high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // Too narrow for its ticks to differ: a value alone gets room on both sides, in proportion.
        let largest = low.abs().max(high.abs());
        let mut room = if wish.room { (high - low) / 20.0 } else { 0.0 };
        if high - low < (1e-9 * largest).max(1e-99).max(if wish.whole { 1.0 } else { 0.0 }) {
            room = (0.05 * largest).max(if wish.whole { 1.0 } else { 0.01 });
        }
        (low, high) = (if wish.zero && low == 0.0 { 0.0 } else { low - room }, high + room);
        let mut step = round_up((high - low) / wish.steps.max(1) as f64);
        if wish.whole {
            step = step.ceil();
        }
        Axis { low, high, step }
    }

    /// The ticks, from low to high.
    pub fn ticks(&self) -> Vec<f64> {
        let (first, last) = ((self.low / self.step - 1e-6).ceil(), (self.high / self.step + 1e-6).floor());
        // Adding zero turns -0 into 0.
        (0..=(last - first).max(0.0) as usize).map(|i| (first + i as f64) * self.step + 0.0).collect()
    }

    /// A tick as text, with as many digits as tell it from its neighbours.
    pub fn label(&self, tick: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        let magnitude = self.step.log10();
        if largest >= 1e6 || magnitude < -5.0 {
            let digits = (largest.log10().floor() - magnitude.floor()).clamp(0.0, 15.0) as usize;
            return if tick == 0.0 { "0".into() } else { format!("{tick:.digits$e}") };
        }
        let decimals = (-magnitude.floor()).max(0.0) as usize;
        format!("{tick:.decimals$}")
    }

    /// Where `value` is, if `low` is at `from` and `high` at `to`.
    pub fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        from + (value - self.low) / (self.high - self.low) * (to - from)
    }
}

/// The smallest of 1, 2, 5, 10 times a power of ten that is not below `x > 0`.
fn round_up(x: f64) -> f64 {
    let power = 10f64.powf(x.log10().floor());
    // A little slack, lest rounding doubles the step.
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= x * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    const PLAIN: Wish = Wish { steps: 5, whole: false, zero: false, room: true };

    fn labels(axis: Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|t| axis.label(t)).collect()
    }

    #[test]
    fn ticks_are_round_numbers_around_the_data() {
        assert_eq!(labels(Axis::fit([98.3, 141.0], PLAIN)), ["100", "110", "120", "130", "140"]);
        assert_eq!(labels(Axis::fit([-0.11, 0.32], PLAIN)), ["-0.1", "0.0", "0.1", "0.2", "0.3"]);
        let sites = Wish { steps: 8, whole: true, zero: false, room: false };
        assert_eq!(labels(Axis::fit([0.0, 783.0], sites)), ["0", "100", "200", "300", "400", "500", "600", "700"]);
        assert_eq!(labels(Axis::fit([1.0, 3.0], sites)), ["1", "2", "3"]);
        assert_eq!(labels(Axis::fit([4.0], sites)), ["3", "4", "5"]);
    }

    #[test]
    fn nothing_and_nonsense_give_an_axis_all_the_same() {
        for values in [vec![], vec![f64::NAN, f64::INFINITY], vec![1e300]] {
            assert_eq!(Axis::fit(values, PLAIN), Axis::fit([0.0, 1.0], PLAIN));
        }
        let zeros = Axis::fit([0.0, 0.0], Wish { zero: true, ..PLAIN });
        assert_eq!((zeros.low, labels(zeros).first().map(String::as_str)), (0.0, Some("0.000")));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]
        #[test]
        fn any_range_gets_a_few_different_ticks_and_holds_its_data(
            (mantissa, power) in (-1.0f64..1.0, -120i32..100),
            (width, shrink) in (0.0f64..1.0, 0i32..20),
            (whole, zero, room) in any::<(bool, bool, bool)>(),
        ) {
            let low = mantissa * 10f64.powi(power);
            let high = low + low.abs() * width * 10f64.powi(-shrink);
            let axis = Axis::fit([low, high], Wish { steps: 6, whole, zero, room });
            prop_assert!(axis.low <= low && high <= axis.high && axis.low < axis.high);
            let ticks = axis.ticks();
            prop_assert!((1..=9).contains(&ticks.len()), "{axis:?} has {} ticks", ticks.len());
            let mut texts = labels(axis);
            texts.dedup();
            prop_assert_eq!(texts.len(), ticks.len(), "{:?}: {:?}", axis, texts);
            let place = axis.place(high, 0.0, 700.0);
            prop_assert!((-1e-6..=700.0 + 1e-6).contains(&place));
        }
    }
}
