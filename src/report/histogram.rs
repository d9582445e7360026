//! Counts of outcomes as a picture.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::{Error, Result};

/// Bars beyond which the rarer outcomes are drawn as one.
const BARS: usize = 32;

/// A histogram of counts by outcome, as SVG: the 32 most frequent outcomes in their order, all others in one grey bar.
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
    let mut bars: Vec<(String, u64, bool)> =
        bars.into_iter().map(|(text, count)| (text.clone(), count, false)).collect();
    if left_out > 0 {
        bars.push((format!("{left_out} others"), rest, true));
    }
    let highest = bars.iter().map(|bar| bar.1).max().unwrap_or(1) as f64;
    let longest = bars.iter().map(|bar| bar.0.chars().count()).max().unwrap_or(0).min(40);
    let (step, plot, top, left) = (26.0, 220.0, 30.0, 60.0);
    let bottom = top + plot;
    let (width, height) = (left + step * bars.len() as f64 + 20.0, bottom + 7.0 * longest as f64 + 24.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} \
         {height:.0}\" font-family=\"monospace\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{left}\" y=\"16\">share of {total} shots</text>\n"
    );
    for tick in 0..=4 {
        let share = highest * f64::from(tick) / 4.0 / total as f64;
        let y = bottom - plot * f64::from(tick) / 4.0;
        let _ = writeln!(svg, "<path d=\"M{left} {y:.1}H{:.1}\" stroke=\"#ddd\"/>", width - 10.0);
        let _ =
            writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{share:.3}</text>", left - 6.0, y + 4.0);
    }
    for (number, (text, count, others)) in bars.iter().enumerate() {
        let (x, size) = (left + step * (number as f64 + 0.5), plot * *count as f64 / highest);
        let fill = if *others { "#aaa" } else { "#3b7dbd" };
        // A long outcome keeps its beginning and its end.
        let chars: Vec<char> = text.chars().collect();
        let shown: String = if chars.len() > 40 {
            chars[..19].iter().chain(&['.', '.']).chain(&chars[chars.len() - 19..]).collect()
        } else {
            text.clone()
        };
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"18\" height=\"{size:.1}\" fill=\"{fill}\"><title>{text}: {count}</title></rect>\
             <text transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"end\">{shown}</text>",
            x - 9.0,
            bottom - size,
            x + 4.0,
            bottom + 6.0
        );
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}
