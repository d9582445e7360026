//! One pair of axes with its curves and their names.

use plotters::style::RGBColor;

use super::axis::{Axis, Wish, drawable};
use super::canvas::{Anchor, Canvas, Dash, text_width};
use super::{Chart, Curve};
use crate::error::Result;

pub(super) const INK: RGBColor = RGBColor(0x1f, 0x24, 0x30);
const QUIET: RGBColor = RGBColor(0x5b, 0x62, 0x70);
const GRID: RGBColor = RGBColor(0xe6, 0xe8, 0xec);
const FRAME: RGBColor = RGBColor(0x9a, 0xa1, 0xad);
const LEVEL: RGBColor = RGBColor(0x6b, 0x72, 0x80);
/// Told apart by most eyes, in print too.
const CURVES: [RGBColor; 6] = [
    RGBColor(0x1f, 0x5f, 0xa8),
    RGBColor(0xd1, 0x55, 0x0f),
    RGBColor(0x1a, 0x8a, 0x5f),
    RGBColor(0x8a, 0x3f, 0x9e),
    RGBColor(0xb8, 0x86, 0x0b),
    RGBColor(0xa8, 0x2a, 0x48),
];

const SMALL: f64 = 12.0;
const TITLE: f64 = 15.0;
/// Height of a line of small text.
const LINE: f64 = 17.0;
/// From the plot to the names at its right.
const LEAD: f64 = 22.0;
/// Longest name, in letters; more would squeeze the plot.
const NAME: usize = 32;
/// Up to this many points of a curve are marked.
const MARKED: usize = 40;

/// Edges of a plot, points from the upper left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// A name at the right end of a line.
struct Name {
    text: String,
    colour: RGBColor,
    value: f64,
}

pub(super) struct Panel<'a> {
    chart: &'a Chart,
    x: Axis,
    y: Axis,
    names: Vec<Name>,
}

/// The x axis of charts that lie one below the other.
pub(super) fn shared_x(charts: &[Chart]) -> Axis {
    let points = charts.iter().flat_map(|chart| &chart.curves).flat_map(Curve::stretches).flatten();
    let counted = charts.iter().filter_map(|chart| chart.count.as_ref());
    let ends = counted.clone().flat_map(|count| [*count.start() as f64, *count.end() as f64]);
    let whole = counted.count() > 0;
    Axis::fit(points.map(|p| p.0).chain(ends), Wish { steps: 8, whole, zero: false, room: false })
}

impl Curve {
    /// Stretches of neighbouring points that can be drawn.
    fn stretches(&self) -> impl Iterator<Item = &[(f64, f64)]> {
        self.points.split(|&(x, y)| !(drawable(x) && drawable(y))).filter(|stretch| !stretch.is_empty())
    }
}

impl<'a> Panel<'a> {
    pub fn new(chart: &'a Chart, x: Axis) -> Self {
        let heights = chart.curves.iter().flat_map(Curve::stretches).flatten().map(|p| p.1);
        let all: Vec<f64> = heights.chain(chart.levels.iter().map(|level| level.value)).collect();
        // Between bond dimensions there are none.
        let whole = all.iter().all(|y| y.fract() == 0.0);
        let y = Axis::fit(all, Wish { steps: 7, whole, zero: chart.zero, room: true });
        let ends = chart.curves.iter().zip(CURVES.into_iter().cycle()).filter_map(|(curve, colour)| {
            let end = curve.stretches().last()?.last()?;
            Some(Name { text: shortened(&curve.name), colour, value: end.1 })
        });
        let levels = chart.levels.iter().filter(|level| drawable(level.value)).map(|level| Name {
            text: shortened(&level.name),
            colour: LEVEL,
            value: level.value,
        });
        let mut names: Vec<Name> = ends.chain(levels).filter(|name| !name.text.is_empty()).collect();
        // From top to bottom, as they will stand.
        names.sort_by(|a, b| b.value.total_cmp(&a.value));
        Panel { chart, x, y, names }
    }

    /// Room for the ticks and the label of the y axis.
    pub fn left_margin(&self) -> f64 {
        let ticks = self.y.ticks().into_iter().map(|tick| text_width(&self.y.label(tick), SMALL));
        44.0 + ticks.fold(0.0, f64::max)
    }

    /// Room for the names.
    pub fn right_margin(&self) -> f64 {
        let widths = self.names.iter().map(|name| text_width(&name.text, SMALL));
        widths.map(|width| width + LEAD + 12.0).fold(24.0, f64::max)
    }

    pub fn draw(&self, canvas: &Canvas, frame: &Frame, with_x_label: bool) -> Result<()> {
        canvas.text(&self.chart.title, (frame.left, frame.top - 20.0), TITLE, INK, Anchor::Left)?;
        self.draw_axes(canvas, frame, with_x_label)?;
        self.draw_levels(canvas, frame)?;
        self.draw_curves(canvas, frame)?;
        self.draw_names(canvas, frame)?;
        if self.chart.curves.iter().all(|curve| curve.stretches().next().is_none()) {
            let middle = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
            canvas.text("no data", middle, TITLE, QUIET, Anchor::Middle)?;
        }
        Ok(())
    }

    fn at(&self, (x, y): (f64, f64), frame: &Frame) -> (f64, f64) {
        (self.x.place(x, frame.left, frame.right), self.y.place(y, frame.bottom, frame.top))
    }

    fn draw_axes(&self, canvas: &Canvas, frame: &Frame, with_x_label: bool) -> Result<()> {
        for tick in self.y.ticks() {
            let (_, y) = self.at((self.x.low, tick), frame);
            canvas.path(&[(frame.left, y), (frame.right, y)], GRID, 1.0)?;
            canvas.text(&self.y.label(tick), (frame.left - 8.0, y), SMALL, QUIET, Anchor::Right)?;
        }
        for tick in self.x.ticks() {
            let (x, _) = self.at((tick, self.y.low), frame);
            canvas.path(&[(x, frame.bottom), (x, frame.bottom + 5.0)], FRAME, 1.0)?;
            canvas.text(&self.x.label(tick), (x, frame.bottom + 15.0), SMALL, QUIET, Anchor::Middle)?;
        }
        canvas.path(&[(frame.left, frame.bottom), (frame.right, frame.bottom)], FRAME, 1.0)?;
        let (middle, centre) = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
        if with_x_label {
            canvas.text(&self.chart.x_label, (middle, frame.bottom + 38.0), SMALL + 1.0, INK, Anchor::Middle)?;
        }
        canvas.text(&self.chart.y_label, (18.0, centre), SMALL + 1.0, INK, Anchor::Upward)
    }

    fn draw_levels(&self, canvas: &Canvas, frame: &Frame) -> Result<()> {
        for level in self.chart.levels.iter().filter(|level| drawable(level.value)) {
            let (_, y) = self.at((self.x.low, level.value), frame);
            let dash = if level.dotted { Dash(1.5, 3.5) } else { Dash(7.0, 4.0) };
            canvas.level((frame.left, frame.right), y, LEVEL, 1.25, Some(dash))?;
        }
        Ok(())
    }

    fn draw_curves(&self, canvas: &Canvas, frame: &Frame) -> Result<()> {
        for (curve, colour) in self.chart.curves.iter().zip(CURVES.into_iter().cycle()) {
            for stretch in curve.stretches() {
                let points: Vec<_> = stretch.iter().map(|&point| self.at(point, frame)).collect();
                canvas.path(&points, colour, 2.0)?;
                // A point without neighbours has no line to be seen by.
                if curve.points.len() <= MARKED || points.len() == 1 {
                    for point in points {
                        canvas.dot(point, 3.0, colour)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Each name beside the end of its line, moved up or down where two would overlap, with a thin line leading to it.
    fn draw_names(&self, canvas: &Canvas, frame: &Frame) -> Result<()> {
        let ends: Vec<f64> = self.names.iter().map(|name| self.y.place(name.value, frame.bottom, frame.top)).collect();
        let places = spread(&ends, LINE, (frame.top, frame.bottom));
        for ((name, &end), &y) in self.names.iter().zip(&ends).zip(&places) {
            let lead = [
                (frame.right + 3.0, end),
                (frame.right + 7.0, end),
                (frame.right + LEAD - 8.0, y),
                (frame.right + LEAD - 4.0, y),
            ];
            canvas.path(&lead, name.colour, 1.0)?;
            canvas.text(&name.text, (frame.right + LEAD, y), SMALL, name.colour, Anchor::Left)?;
        }
        Ok(())
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

/// Places near the sorted `wanted` ones, at least `apart` from each other and within `range` where there is room.
fn spread(wanted: &[f64], apart: f64, (low, high): (f64, f64)) -> Vec<f64> {
    let apart = apart.min((high - low) / wanted.len().max(1) as f64);
    // Neighbours that are too close are joined to a block, which sits around the mean of what its members want.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for &place in wanted {
        let mut block = (place, 1);
        while let Some(&(above, members)) = blocks.last() {
            let (mean, count) = block;
            if mean - above >= apart * (members + count) as f64 / 2.0 {
                break;
            }
            let all = members + count;
            block = ((above * members as f64 + mean * count as f64) / all as f64, all);
            blocks.pop();
        }
        blocks.push(block);
    }
    let mut places: Vec<f64> = Vec::new();
    for (mean, count) in blocks {
        let first = mean - apart * (count - 1) as f64 / 2.0;
        places.extend((0..count).map(|i| first + apart * i as f64));
    }
    // Pushed back into the range, from both ends.
    let mut floor = low;
    for place in &mut places {
        *place = place.max(floor);
        floor = *place + apart;
    }
    let mut ceiling = high;
    for place in places.iter_mut().rev() {
        *place = place.min(ceiling);
        ceiling = *place - apart;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_apart_and_near_their_lines() {
        assert_eq!(spread(&[10.0, 50.0], 10.0, (0.0, 100.0)), [10.0, 50.0]);
        assert_eq!(spread(&[50.0, 50.0], 10.0, (0.0, 100.0)), [45.0, 55.0]);
        assert_eq!(spread(&[0.0, 1.0, 99.0], 10.0, (0.0, 100.0)), [0.0, 10.0, 99.0]);
        assert_eq!(spread(&[99.0, 100.0], 10.0, (0.0, 100.0)), [90.0, 100.0]);
        let crowded = spread(&[5.0; 50], 10.0, (0.0, 100.0));
        assert!(crowded.windows(2).all(|w| w[1] - w[0] > 1.9) && crowded[0] >= 0.0 && crowded[49] <= 100.0);
        assert!(spread(&[], 10.0, (0.0, 1.0)).is_empty());
    }

    #[test]
    fn a_long_name_is_shortened_between_letters() {
        assert_eq!(shortened("train"), "train");
        let long = shortened(&"é".repeat(100));
        assert!(long.chars().count() == NAME && long.ends_with('…'));
    }
}
