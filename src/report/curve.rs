//! The curves every run ends with: its losses, and what lies along its chain.

use super::chart::{Chart, line_chart, stacked_charts};
use super::progress::decimals;
use crate::error::{Error, Result};
use crate::train::SweepReport;

/// Losses over the sweeps of a run, nats a sample, as SVG.
///
/// `baselines` are dashed lines with a name and a value, `bound` a dotted one below which no loss can fall, such as the
/// entropy of the training set.
///
/// # Errors
/// [`Error::Format`] if it cannot be drawn.
pub fn loss_curve(history: &[SweepReport], baselines: &[(&str, f64)], bound: Option<(&str, f64)>) -> Result<String> {
    let last = |loss: fn(&SweepReport) -> Option<f64>| history.iter().filter_map(loss).rfind(|nll| nll.is_finite());
    let ends = [last(|report| Some(report.train_nll)), last(|report| report.valid_nll)].into_iter().flatten();
    // As many digits as suit the largest, lest names differ in them.
    let finite = ends.chain(baselines.iter().copied().chain(bound).map(|level| level.1)).filter(|nll| nll.is_finite());
    let decimals = decimals(finite.fold(0.0, |largest, nll| largest.max(nll.abs())));
    let labelled = |name: &str, nll: f64| format!("{name} {nll:.decimals$}");
    let curve = |chart: Chart, name, loss: fn(&SweepReport) -> Option<f64>| match last(loss) {
        None => chart,
        Some(end) => {
            // A missing loss is a gap, as one that is not finite.
            let points = history.iter().map(|report| (report.sweep as f64, loss(report).unwrap_or(f64::NAN)));
            chart.curve(labelled(name, end), points)
        }
    };
    let sweeps = history.iter().map(|report| report.sweep);
    let sweeps = sweeps.clone().min().unwrap_or(0)..=sweeps.max().unwrap_or(1);
    let chart = Chart::new("Loss", "sweep", "negative log-likelihood (nats per sample)").counting(sweeps);
    let chart = curve(chart, "train", |report| Some(report.train_nll));
    let chart = curve(chart, "validation", |report| report.valid_nll);
    let chart = baselines.iter().fold(chart, |chart, &(name, nll)| chart.level(labelled(name, nll), nll));
    let chart = bound.into_iter().fold(chart, |chart, (name, nll)| chart.bound(labelled(name, nll), nll));
    line_chart(&chart)
}

/// Bond dimension and entanglement entropy (nats) along a chain, in two panels, as SVG.
///
/// Entry `k` of `bonds` and of `entropies` belongs to the bond between sites `k` and `k + 1` and is drawn between them.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::Format`] if it cannot be drawn.
pub fn chain_profile(bonds: &[usize], entropies: &[f64]) -> Result<String> {
    if bonds.len() != entropies.len() {
        return Err(Error::shape("the entropies of the bonds", entropies.len(), bonds.len()));
    }
    let between = |k: usize| k as f64 + 0.5;
    let dimensions = bonds.iter().enumerate().map(|(k, &bond)| (between(k), bond as f64));
    let entropies = entropies.iter().enumerate().map(|(k, &entropy)| (between(k), entropy));
    stacked_charts(
        "",
        &[
            Chart::new("Bond dimension", "site", "bond dimension")
                .counting(0..=bonds.len())
                .from_zero()
                .curve("", dimensions),
            Chart::new("Entanglement entropy", "site", "entropy (nats)")
                .counting(0..=bonds.len())
                .from_zero()
                .curve("", entropies),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    /// Fails unless every tag is closed in order, every attribute quoted and every ampersand escaped.
    fn assert_well_formed(svg: &str) {
        let mut open = Vec::new();
        for (i, piece) in svg.split('<').enumerate() {
            if i == 0 {
                assert!(piece.trim().is_empty());
                continue;
            }
            let (tag, text) = piece.split_once('>').expect("a tag ends");
            assert!(!text.contains('>') && tag.matches('"').count() % 2 == 0, "{piece}");
            for entity in piece.split('&').skip(1) {
                assert!(["lt;", "gt;", "amp;", "quot;", "apos;"].iter().any(|e| entity.starts_with(e)), "{piece}");
            }
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().unwrap());
            }
        }
        assert!(open.is_empty() && !svg.contains(|c: char| c.is_control() && c != '\n'));
        assert!(svg.starts_with("<svg ") && !svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_loss_curve_names_its_axes_curves_and_baselines() {
        let history: Vec<_> =
            (1..=10).map(|s| report(s, 100.0 + 50.0 / s as f64, Some(110.0 - s as f64 / 4.0))).collect();
        let svg = loss_curve(&history, &[("Chow-Liu <tree> & \"co\"", 139.21)], Some(("ln 1000", 6.9078))).unwrap();
        assert_well_formed(&svg);
        let tree = "Chow-Liu &lt;tree&gt; &amp; &quot;co&quot; 139.21";
        for text in ["train 105.00", "validation 107.50", tree, "ln 1000 6.91", "sweep", "(nats per sample)"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.contains("width=\"800\" height=\"500\""));
        // Both curves, with all their points.
        assert_eq!(svg.matches("<circle").count(), 20);
    }

    #[test]
    fn what_is_not_finite_is_left_out_and_leaves_a_gap() {
        let losses = [3.0, f64::NAN, 2.0, 1.5, f64::INFINITY, 1e200];
        let history: Vec<_> = losses.iter().enumerate().map(|(s, &nll)| report(s + 1, nll, None)).collect();
        let svg = loss_curve(&history, &[("broken", f64::NAN)], Some(("none", f64::NEG_INFINITY))).unwrap();
        let drawn = svg.replace("broken NaN", "").replace("none -inf", "");
        assert_eq!(drawn, svg, "a level that is not finite has no name either");
        assert_well_formed(&svg);
        assert_eq!(svg.matches("<circle").count(), 3);
    }

    #[test]
    fn empty_and_single_data_are_drawn() {
        let empty = loss_curve(&[], &[], None).unwrap();
        assert_well_formed(&empty);
        assert!(empty.contains("no data"));
        let single = loss_curve(&[report(1, 5.0, None)], &[], None).unwrap();
        assert_well_formed(&single);
        assert!(single.matches("<circle").count() == 1 && !single.contains("no data"));
        for length in [0, 1, 2, 783] {
            assert_well_formed(&chain_profile(&vec![1; length], &vec![0.0; length]).unwrap());
        }
    }

    #[test]
    fn control_characters_in_a_name_do_not_break_the_document() {
        assert_well_formed(
            &line_chart(&Chart::new("a\u{0}b\u{1b}[1m", "", "").curve("\u{ffff}", [(0.0, 1.0)])).unwrap(),
        );
    }

    #[test]
    fn a_chain_profile_has_one_point_a_bond_in_each_panel() {
        let svg = chain_profile(&[2, 4, 4, 2], &[0.5, 0.9, f64::NAN, 0.4]).unwrap();
        assert_well_formed(&svg);
        assert_eq!(svg.matches("<circle").count(), 7);
        for text in ["site", "Bond dimension", "entropy (nats)"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(matches!(chain_profile(&[2], &[]), Err(Error::Shape { .. })));
    }
}
