//! Pictures of states: matrices as heat maps and as cities.

use ndarray::Array2;
use num_complex::Complex64;

use crate::error::{Error, Result};

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Blue below zero, white at zero, red above; `share` in `[-1, 1]`.
fn colour(share: f64) -> String {
    let (low, high) = ([0x1f, 0x5f, 0xa8], [0xc0, 0x39, 0x2b]);
    let end = if share < 0.0 { low } else { high };
    let mix = |c: i32| (255.0 + (f64::from(c) - 255.0) * share.abs().min(1.0)).round() as i32;
    format!("#{:02x}{:02x}{:02x}", mix(end[0]), mix(end[1]), mix(end[2]))
}

/// A real matrix as coloured squares, with its scale: blue is negative, red positive. Labels stand at rows and columns.
///
/// # Errors
/// [`Error::Shape`] if the matrix is not one of so many labels, [`Error::Empty`] without one.
pub fn heat_map(title: &str, labels: &[String], matrix: &Array2<f64>) -> Result<String> {
    let n = labels.len();
    if n == 0 {
        return Err(Error::Empty { what: "a heat map".into() });
    }
    if matrix.dim() != (n, n) {
        return Err(Error::shape("a heat map", matrix.dim(), (n, n)));
    }
    let most = matrix.iter().filter(|x| x.is_finite()).fold(0.0f64, |m, x| m.max(x.abs()));
    let scale = if most > 0.0 { most } else { 1.0 };
    let cell = (480.0 / n as f64).clamp(8.0, 48.0);
    let (left, top) = (60.0, 56.0);
    let side = cell * n as f64;
    let (width, height) = (left + side + 110.0, top + side + 44.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#1f2430\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<text x=\"{left}\" y=\"26\" font-size=\"15\">{}</text>\n",
        escaped(title)
    );
    for ((i, j), &x) in matrix.indexed_iter() {
        let fill = if x.is_finite() { colour(x / scale) } else { "#dddddd".into() };
        let (px, py) = (left + j as f64 * cell, top + i as f64 * cell);
        svg += &format!(
            "<rect x=\"{px:.2}\" y=\"{py:.2}\" width=\"{cell:.2}\" height=\"{cell:.2}\" fill=\"{fill}\" stroke=\"#e6e8ec\" stroke-width=\"0.5\"><title>{}, {}: {x:.4}</title></rect>\n",
            escaped(&labels[i]),
            escaped(&labels[j])
        );
    }
    let every = n.div_ceil(20);
    for (i, label) in labels.iter().enumerate().step_by(every) {
        let middle = (i as f64 + 0.5) * cell;
        svg += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            left - 8.0,
            top + middle + 4.0,
            escaped(label)
        );
        svg += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            left + middle,
            top + side + 18.0,
            escaped(label)
        );
    }
    // The scale, from the largest down.
    for step in 0..=20 {
        let share = 1.0 - f64::from(step) / 10.0;
        let y = top + f64::from(step) * side / 21.0;
        svg += &format!(
            "<rect x=\"{:.1}\" y=\"{y:.2}\" width=\"16\" height=\"{:.2}\" fill=\"{}\"/>\n",
            left + side + 24.0,
            side / 21.0 + 0.5,
            colour(share)
        );
        if step % 10 == 0 {
            svg += &format!(
                "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                left + side + 46.0,
                y + side / 42.0 + 4.0,
                if step == 10 { "0".to_owned() } else { format!("{:+.3}", share * scale) }
            );
        }
    }
    Ok(svg + "</svg>\n")
}

/// Pixels between two labels of a city plot.
const LINE: f64 = 8.0;

/// A density matrix as two cities of towers, real and imaginary part; towers below the ground are blue.
///
/// # Errors
/// [`Error::Shape`] if the matrix is not one of sites with these levels, [`Error::Setting`] beyond dimension 16.
pub fn city_plot(rho: &Array2<Complex64>, dims: &[usize]) -> Result<String> {
    let d = dims.iter().fold(1usize, |d, &n| d.saturating_mul(n));
    if rho.dim() != (d, d) || d == 0 {
        return Err(Error::shape("a density matrix", rho.dim(), (d, d)));
    }
    if d > 16 {
        return Err(Error::setting("dimension of a city plot", d, "at most 16"));
    }
    let labels: Vec<String> = (0..d)
        .map(|index| {
            let (mut rest, mut digits) = (index, Vec::new());
            for &n in dims.iter().rev() {
                digits.push((rest % n).to_string());
                rest /= n;
            }
            digits.reverse();
            digits.concat()
        })
        .collect();
    let most = rho.iter().map(|x| x.re.abs().max(x.im.abs())).fold(0.0, f64::max).max(1e-9);
    let step = 150.0 / d as f64;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"430\" viewBox=\"0 0 860 430\" font-family=\"sans-serif\" font-size=\"10\" fill=\"#1f2430\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
    );
    for (offset, title, part) in [(215.0, "Real part", 0), (645.0, "Imaginary part", 1)] {
        svg += &format!(
            "<text x=\"{offset}\" y=\"28\" font-size=\"13\" text-anchor=\"middle\">{title} (largest entry {most:.3}; red is positive, blue negative)</text>\n"
        );
        let ground = 290.0 - 75.0;
        // Columns to the lower right, rows to the lower left.
        let at = |i: f64, j: f64, z: f64| (offset + (j - i) * step, ground + (i + j) * step * 0.45 - z);
        let polygon = |points: &[(f64, f64)], fill: &str, opacity: f64| {
            let list: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            format!(
                "<polygon points=\"{}\" fill=\"{fill}\" fill-opacity=\"{opacity}\" stroke=\"#5b6270\" stroke-width=\"0.4\"/>\n",
                list.join(" ")
            )
        };
        let n = d as f64;
        svg += &polygon(&[at(0.0, 0.0, 0.0), at(0.0, n, 0.0), at(n, n, 0.0), at(n, 0.0, 0.0)], "#f4f5f7", 1.0);
        // From the back to the front.
        for sum in 0..2 * d - 1 {
            for i in sum.saturating_sub(d - 1)..=sum.min(d - 1) {
                let j = sum - i;
                let value = if part == 0 { rho[[i, j]].re } else { rho[[i, j]].im };
                let z = 130.0 * value / most;
                let (a, b, c, e) = (i as f64 + 0.12, i as f64 + 0.88, j as f64 + 0.12, j as f64 + 0.88);
                let [bright, middle, dark] =
                    if value >= 0.0 { ["#e9a99d", "#d4604f", "#b03226"] } else { ["#a3c1e3", "#4d84c0", "#1c5593"] };
                if z.abs() < 0.3 {
                    continue;
                }
                let top = z.max(0.0);
                let foot = z.min(0.0);
                svg += &polygon(&[at(b, c, foot), at(b, e, foot), at(b, e, top), at(b, c, top)], middle, 1.0);
                svg += &polygon(&[at(a, e, foot), at(b, e, foot), at(b, e, top), at(a, e, top)], dark, 1.0);
                svg += &polygon(&[at(a, c, top), at(a, e, top), at(b, e, top), at(b, c, top)], bright, 1.0);
            }
        }
        // At the two edges in front, where no tower hides them; rows at the right edge, columns at the left one.
        let every = (LINE / (0.45 * step)).ceil().max(1.0) as usize;
        for (i, label) in labels.iter().enumerate().step_by(every) {
            let (x, y) = at(i as f64 + 0.5, n + 0.3, 0.0);
            svg += &format!("<text x=\"{:.1}\" y=\"{:.1}\">{label}</text>\n", x + 2.0, y + 6.0);
            let (x, y) = at(n + 0.3, i as f64 + 0.5, 0.0);
            svg += &format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n", x - 2.0, y + 6.0);
        }
        let (x, y) = at(n / 2.0, n + 2.4, 0.0);
        svg += &format!("<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\">row</text>\n", x + 14.0, y + 14.0);
        let (x, y) = at(n + 2.4, n / 2.0, 0.0);
        svg += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\" text-anchor=\"end\">column</text>\n",
            x - 14.0,
            y + 14.0
        );
    }
    Ok(svg + "</svg>\n")
}
