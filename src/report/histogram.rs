//! Counts of outcomes as a picture.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::chart::{Axis, Wish};
use crate::error::{Error, Result};

/// Outcomes that have a bar.
const BARS: usize = 32;

/// A histogram of counts by outcome, as SVG: the 32 most frequent outcomes in their order; how many others there are, and their share,
/// stands above.
///
/// # Errors
/// [`Error::Empty`] without any count.
pub fn histogram(counts: &BTreeMap<String, u64>) -> Result<String> {
    let total: u64 = counts.values().sum();
    if total == 0 {
        return Err(Error::Empty { what: "histogram of counts".into() });
    }
    let mut often: Vec<(&String, u64)> = counts.iter().map(|(text, &count)| (text, count)).collect();
    often.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let rest: u64 = often.iter().skip(BARS).map(|bar| bar.1).sum();
    let (left_out, mut bars) = (often.len().saturating_sub(BARS), often);
    bars.truncate(BARS);
    bars.sort();
    let mut title = format!("share of {total} shots");
    if left_out > 0 {
        let _ = write!(title, "; {left_out} rarer outcomes, {:.3} in all, not shown", rest as f64 / total as f64);
    }
    let share = |count: u64| count as f64 / total as f64;
    let wish = Wish { steps: 5, whole: false, zero: true, room: false };
    let axis = Axis::fit(bars.iter().map(|bar| share(bar.1)), wish);
    let longest = bars.iter().map(|bar| bar.0.chars().count()).max().unwrap_or(0).min(40);
    let (step, plot, top, left) = (26.0, 220.0, 30.0, 60.0);
    let bottom = top + plot;
    let room = (step * bars.len() as f64).max(7.0 * title.chars().count() as f64);
    let (width, height) = (left + room + 20.0, bottom + 7.0 * longest as f64 + 24.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} \
         {height:.0}\" font-family=\"monospace\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{left}\" y=\"16\">{title}</text>\n"
    );
    for tick in axis.ticks() {
        let y = axis.place(tick, bottom, top);
        let _ = writeln!(svg, "<path d=\"M{left} {y:.1}H{:.1}\" stroke=\"#ddd\"/>", width - 10.0);
        let (x, label) = (left - 6.0, axis.label(tick));
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", y + 4.0);
    }
    for (number, &(text, count)) in bars.iter().enumerate() {
        let (x, y) = (left + step * (number as f64 + 0.5), axis.place(share(count), bottom, top));
        // A long outcome keeps its beginning and its end.
        let chars: Vec<char> = text.chars().collect();
        let shown: String = if chars.len() > 40 {
            chars[..19].iter().chain(&['.', '.']).chain(&chars[chars.len() - 19..]).collect()
        } else {
            text.clone()
        };
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"18\" height=\"{:.1}\" fill=\"#3b7dbd\"><title>{text}: {count}</title></rect>\
             <text transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"end\">{shown}</text>",
            x - 9.0,
            bottom - y,
            x + 4.0,
            bottom + 6.0
        );
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_the_scale_of_what_is_shown() {
        // 32 outcomes of 2 shots each have bars, and 200 of one shot do not: together they are not the tallest bar.
        let counts: BTreeMap<String, u64> =
            (0..232_u64).map(|i| (format!("{i:08b}"), 1 + u64::from(i >= 200))).collect();
        let svg = histogram(&counts).unwrap();
        assert_eq!(svg.matches("<title>").count(), 32);
        assert!(svg.contains("share of 264 shots; 200 rarer outcomes, 0.758 in all, not shown"), "{svg}");
        // All bars are as tall as the plot, whose highest tick is below 2 / 264.
        assert_eq!(svg.matches("y=\"30.0\" width=\"18\" height=\"220.0\"").count(), 32, "{svg}");
        assert!(histogram(&BTreeMap::new()).is_err());
    }
}
