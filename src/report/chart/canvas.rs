//! Lines and words on an SVG page, in points.

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};

/// The SVG backend rounds to whole units; with this many of them to a point, curves stay smooth.
const FINE: u32 = 4;
/// Width of a letter in units of the font size; narrow enough for most words, wide enough for figures.
const LETTER: f64 = 0.56;

/// A page, with the origin at its upper left.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// How a horizontal line is broken: lengths of stroke and gap, points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dash(pub f64, pub f64);

/// Which part of a text stands at its position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
    /// The middle, with the text running upward.
    Upward,
}

/// An SVG document of `width` x `height` points that `draw` fills.
pub(super) fn page(width: u32, height: u32, draw: impl FnOnce(&Canvas) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    let canvas = Canvas { area: SVGBackend::with_string(&mut text, (width * FINE, height * FINE)).into_drawing_area() };
    canvas.area.fill(&WHITE).map_err(failed)?;
    draw(&canvas)?;
    canvas.area.present().map_err(failed)?;
    drop(canvas);
    let size = |factor: u32| format!("width=\"{}\" height=\"{}\" viewBox", width * factor, height * factor);
    Ok(text.replacen(&size(FINE), &size(1), 1))
}

fn failed(e: impl Display) -> Error {
    Error::Format { what: format!("a chart: {e}") }
}

fn units(x: f64) -> i32 {
    (x * f64::from(FINE)).round() as i32
}

fn place((x, y): (f64, f64)) -> (i32, i32) {
    (units(x), units(y))
}

impl Canvas<'_> {
    /// A line through `points`.
    pub fn path(&self, points: &[(f64, f64)], colour: RGBColor, width: f64) -> Result<()> {
        let points: Vec<_> = points.iter().copied().map(place).collect();
        let style = colour.stroke_width(units(width).max(1).unsigned_abs());
        self.area.draw(&PathElement::new(points, style)).map_err(failed)
    }

    /// A horizontal line from `x0` to `x1`, broken if `dash` says so.
    pub fn level(&self, (x0, x1): (f64, f64), y: f64, colour: RGBColor, width: f64, dash: Option<Dash>) -> Result<()> {
        let Some(Dash(stroke, gap)) = dash else { return self.path(&[(x0, y), (x1, y)], colour, width) };
        let mut x = x0;
        while x < x1 {
            self.path(&[(x, y), ((x + stroke).min(x1), y)], colour, width)?;
            x += stroke + gap;
        }
        Ok(())
    }

    /// A filled circle.
    pub fn dot(&self, at: (f64, f64), radius: f64, colour: RGBColor) -> Result<()> {
        self.area.draw(&Circle::new(place(at), units(radius).max(1), colour.filled())).map_err(failed)
    }

    /// A line of text, halfway up which is `at`; nothing if it is empty.
    pub fn text(&self, text: &str, at: (f64, f64), size: f64, colour: RGBColor, anchor: Anchor) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle | Anchor::Upward => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        // The backend divides sizes by 1.24, as it takes them for the height of a line.
        let font = FontDesc::new(FontFamily::SansSerif, size * 1.24 * f64::from(FINE), FontStyle::Normal);
        let font = if matches!(anchor, Anchor::Upward) { font.transform(FontTransform::Rotate270) } else { font };
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(horizontal, VPos::Center));
        // XML has no place for control characters, not even escaped.
        let text = text.replace(|c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'), " ");
        self.area.draw(&Text::new(text, place(at), style)).map_err(failed)
    }
}

/// The width of a text, points, roughly: no font is at hand.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}
