//! Line charts as SVG.

mod axis;
mod canvas;
mod panel;

use std::ops::RangeInclusive;

pub(super) use axis::{Axis, Wish};
use canvas::{Anchor, page};
use panel::{Frame, INK, Panel};

use crate::error::{Error, Result};

const WIDTH: f64 = 800.0;
const PANEL_HEIGHT: f64 = 500.0;
const STACKED_HEIGHT: f64 = 300.0;

/// What a line chart shows: curves, and horizontal lines to compare them with.
///
/// Names stand at the right ends of the lines, outside the plot. A point that is not finite, or beyond 1e100, is left
/// out and its curve has a gap there.
///
/// ```
/// use ansatz::report::{Chart, line_chart};
/// let chart = Chart::new("Entropy", "bond", "S (nats)").curve("chain", [(0.0, 0.2), (1.0, 0.7)]).level("ln 2", 0.693);
/// assert!(line_chart(&chart)?.starts_with("<svg"));
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    title: String,
    x_label: String,
    y_label: String,
    curves: Vec<Curve>,
    levels: Vec<Level>,
    count: Option<RangeInclusive<usize>>,
    zero: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Level {
    name: String,
    value: f64,
    dotted: bool,
}

impl Chart {
    /// A chart without curves. The labels of the axes should name their units.
    pub fn new(title: impl Into<String>, x_label: impl Into<String>, y_label: impl Into<String>) -> Self {
        Chart {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            curves: Vec::new(),
            levels: Vec::new(),
            count: None,
            zero: false,
        }
    }

    /// One more curve through `(x, y)` points; with an empty name it has no label.
    #[must_use]
    pub fn curve(mut self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.curves.push(Curve { name: name.into(), points: points.into_iter().collect() });
        self
    }

    /// A dashed horizontal line: something to be better than.
    #[must_use]
    pub fn level(mut self, name: impl Into<String>, value: f64) -> Self {
        self.levels.push(Level { name: name.into(), value, dotted: false });
        self
    }

    /// A dotted horizontal line: a bound that cannot be passed.
    #[must_use]
    pub fn bound(mut self, name: impl Into<String>, value: f64) -> Self {
        self.levels.push(Level { name: name.into(), value, dotted: true });
        self
    }

    /// The x axis counts something, sites or sweeps: it shows all of `range`, with ticks at whole numbers only.
    #[must_use]
    pub fn counting(self, range: RangeInclusive<usize>) -> Self {
        Chart { count: Some(range), ..self }
    }

    /// The y axis starts at zero.
    #[must_use]
    pub fn from_zero(self) -> Self {
        Chart { zero: true, ..self }
    }
}

/// The chart as an SVG document of 800 x 500 points.
///
/// # Errors
/// [`Error::Format`] if it cannot be drawn.
pub fn line_chart(chart: &Chart) -> Result<String> {
    draw("", std::slice::from_ref(chart), PANEL_HEIGHT)
}

/// Charts one below the other over a common x axis, which has the label of the last, under one title.
///
/// # Errors
/// [`Error::Empty`] without a chart, [`Error::Setting`] for more than 100 of them, [`Error::Format`] if they cannot be drawn.
pub fn stacked_charts(title: &str, charts: &[Chart]) -> Result<String> {
    if charts.is_empty() {
        return Err(Error::Empty { what: "a stack of charts".into() });
    }
    if charts.len() > 100 {
        return Err(Error::setting("the number of stacked charts", charts.len(), "at most 100"));
    }
    draw(title, charts, STACKED_HEIGHT)
}

fn draw(title: &str, charts: &[Chart], panel_height: f64) -> Result<String> {
    let head = if title.is_empty() { 0.0 } else { 36.0 };
    let x = panel::shared_x(charts);
    let panels: Vec<Panel> = charts.iter().map(|chart| Panel::new(chart, x)).collect();
    // Plots of equal width, one exactly below the other.
    let left = panels.iter().map(Panel::left_margin).fold(0.0, f64::max);
    let right = panels.iter().map(Panel::right_margin).fold(0.0, f64::max);
    page(WIDTH as u32, (head + panel_height * charts.len() as f64) as u32, |canvas| {
        canvas.text(title, (left, 24.0), 17.0, INK, Anchor::Left)?;
        for (i, panel) in panels.iter().enumerate() {
            let top = head + panel_height * i as f64;
            let frame = Frame { left, right: WIDTH - right, top: top + 44.0, bottom: top + panel_height - 52.0 };
            panel.draw(canvas, &frame, i + 1 == panels.len())?;
        }
        Ok(())
    })
}
