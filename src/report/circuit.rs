//! Drawings of circuits, as text and as SVG.

use std::fmt::Write;

use crate::circuit::{Circuit, Gate, Instruction, Operation, Parameter};
use crate::error::{Error, Result};

/// Qubits times columns beyond which a drawing is refused.
const MAX_CELLS: usize = 4_000_000;

/// What stands on a wire.
#[derive(Debug, Clone, PartialEq)]
enum Mark {
    Box(String),
    Control(bool),
    Not,
    Cross,
    Barrier,
}

/// An instruction in its column.
struct Item {
    column: usize,
    low: usize,
    high: usize,
    marks: Vec<(usize, Mark)>,
}

struct Layout {
    items: Vec<Item>,
    columns: usize,
}

/// An angle as a simple share of pi, or in few digits.
fn angle(parameter: &Parameter) -> String {
    let Some(value) = parameter.value() else { return parameter.to_string().replace(' ', "") };
    let share = value / std::f64::consts::PI;
    for denominator in [1_i64, 2, 3, 4, 6, 8, 16, 32] {
        let numerator = share * denominator as f64;
        if numerator != 0.0 && numerator.abs() < 33.0 && (numerator - numerator.round()).abs() < 1e-9 {
            let sign = if numerator < 0.0 { "-" } else { "" };
            let top = match numerator.abs().round() as i64 {
                1 => "π".to_owned(),
                n => format!("{n}π"),
            };
            return if denominator == 1 { format!("{sign}{top}") } else { format!("{sign}{top}/{denominator}") };
        }
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn label(gate: &Gate) -> String {
    let list: Vec<String> = gate.parameters().iter().map(angle).collect();
    if list.is_empty() { gate.target_name() } else { format!("{}({})", gate.target_name(), list.join(",")) }
}

fn marks(circuit: &Circuit, instruction: &Instruction) -> Vec<(usize, Mark)> {
    let when = instruction.condition.map_or(String::new(), |c| {
        let whole = |r: &&crate::circuit::Register| (r.start, r.size) == (c.start, c.size);
        let name = circuit.bit_registers().iter().find(whole).map(|r| r.name.clone());
        format!("{}={}? ", name.unwrap_or_else(|| circuit.bit_name(c.start)), c.value)
    });
    match &instruction.operation {
        Operation::Gate { gate, qubits } => {
            let controls = gate.controls();
            let (before, targets) = qubits.split_at(controls.len());
            let mut marks: Vec<(usize, Mark)> =
                before.iter().zip(&controls).map(|(&q, &on)| (q, Mark::Control(on))).collect();
            let name = gate.target_name();
            for (i, &qubit) in targets.iter().enumerate() {
                let mark = match name.as_str() {
                    "x" if !controls.is_empty() && when.is_empty() => Mark::Not,
                    "z" if !controls.is_empty() && when.is_empty() => Mark::Control(true),
                    "swap" if when.is_empty() => Mark::Cross,
                    _ if i == 0 => Mark::Box(format!("{when}{}", label(gate))),
                    _ => Mark::Box(name.clone()),
                };
                marks.push((qubit, mark));
            }
            marks
        }
        Operation::Measure { qubit, bit } => vec![(*qubit, Mark::Box(format!("{when}M {}", circuit.bit_name(*bit))))],
        Operation::Reset { qubit } => vec![(*qubit, Mark::Box(format!("{when}|0>")))],
        Operation::Channel { channel, qubits } => {
            qubits.iter().map(|&q| (q, Mark::Box(format!("{when}{}", channel.name())))).collect()
        }
        Operation::Misread { .. } => Vec::new(),
        Operation::Barrier { qubits } => qubits.iter().map(|&q| (q, Mark::Barrier)).collect(),
    }
}

fn layout(circuit: &Circuit) -> Result<Layout> {
    let qubits = circuit.num_qubits();
    let (mut free, mut items, mut columns) = (vec![0; qubits], Vec::new(), 0_usize);
    for instruction in circuit.instructions() {
        let marks = marks(circuit, instruction);
        let (Some(low), Some(high)) = (marks.iter().map(|m| m.0).min(), marks.iter().map(|m| m.0).max()) else {
            continue;
        };
        let column = free[low..=high].iter().copied().max().unwrap_or(0);
        free[low..=high].iter_mut().for_each(|f| *f = column + 1);
        columns = columns.max(column + 1);
        if columns.saturating_mul(qubits) > MAX_CELLS {
            let what = format!("drawing of {qubits} qubits and more than {column} columns: at most {MAX_CELLS} in all");
            return Err(Error::Circuit { what });
        }
        items.push(Item { column, low, high, marks });
    }
    Ok(Layout { items, columns })
}

/// A circuit in lines of text of up to `width` characters: one line a qubit and one between two; `●` and `○` are controls at
/// 1 and 0, `⊕` an X under them, `×` what is exchanged, `░` a barrier, `M` a measurement with its classical bit.
///
/// # Errors
/// [`Error::Circuit`] if it would be beyond reason.
pub fn circuit_text(circuit: &Circuit, width: usize) -> Result<String> {
    let layout = layout(circuit)?;
    let qubits = circuit.num_qubits();
    let text = |mark: &Mark| match mark {
        Mark::Box(label) => format!("┤{label}├"),
        Mark::Control(true) => "●".into(),
        Mark::Control(false) => "○".into(),
        Mark::Not => "⊕".into(),
        Mark::Cross => "×".into(),
        Mark::Barrier => "░".into(),
    };
    let mut widths = vec![1; layout.columns];
    for item in &layout.items {
        let widest = item.marks.iter().map(|(_, mark)| text(mark).chars().count()).max().unwrap_or(1);
        widths[item.column] = widths[item.column].max(widest);
    }
    let mut by_column: Vec<Vec<&Item>> = (0..layout.columns).map(|_| Vec::new()).collect();
    layout.items.iter().for_each(|item| by_column[item.column].push(item));
    let names: Vec<String> = (0..qubits).map(|q| circuit.qubit_name(q)).collect();
    let margin = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    let mut column = 0;
    loop {
        let mut lines: Vec<String> = (0..2 * qubits - usize::from(qubits > 0))
            .map(|i| if i % 2 == 0 { format!("{:>margin$}: ─", names[i / 2]) } else { " ".repeat(margin + 3) })
            .collect();
        let mut used = margin + 3;
        let start = column;
        while column < layout.columns && (column == start || used + widths[column] < width) {
            let mut cells: Vec<Option<String>> = vec![None; qubits];
            let mut joined = vec![false; qubits];
            for item in &by_column[column] {
                let barrier = item.marks.iter().all(|(_, mark)| *mark == Mark::Barrier);
                joined[item.low..item.high].iter_mut().for_each(|joined| *joined |= !barrier);
                let crossed = (!barrier).then(|| "┼".to_owned());
                cells[item.low..=item.high].fill(crossed);
                item.marks.iter().for_each(|(qubit, mark)| cells[*qubit] = Some(text(mark)));
            }
            let size = widths[column];
            for qubit in 0..qubits {
                centred(&mut lines[2 * qubit], cells[qubit].as_deref().unwrap_or("─"), size, '─');
                lines[2 * qubit].push('─');
                if let Some(between) = lines.get_mut(2 * qubit + 1) {
                    centred(between, if joined[qubit] { "│" } else { " " }, size, ' ');
                    between.push(' ');
                }
            }
            used += size + 1;
            column += 1;
        }
        for line in &lines {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        if column >= layout.columns {
            return Ok(out);
        }
        out.push('\n');
    }
}

fn centred(line: &mut String, text: &str, size: usize, fill: char) {
    let space = size.saturating_sub(text.chars().count());
    // A lone sign stands where that of a wider box has its middle.
    line.extend(std::iter::repeat_n(fill, space / 2));
    line.push_str(text);
    line.extend(std::iter::repeat_n(fill, space - space / 2));
}

/// Pixels between two wires, of a character, and of the height of a box.
const WIRE: f64 = 40.0;
const LETTER: f64 = 7.3;
const HEIGHT: f64 = 26.0;

/// A circuit as a picture, with the signs that are usual in print.
///
/// # Errors
/// As [`circuit_text`].
pub fn circuit_svg(circuit: &Circuit) -> Result<String> {
    let layout = layout(circuit)?;
    let qubits = circuit.num_qubits();
    let wide = |mark: &Mark| match mark {
        Mark::Box(label) => LETTER * label.chars().count() as f64 + 14.0,
        _ => 22.0,
    };
    let mut widths = vec![22.0_f64; layout.columns];
    for item in &layout.items {
        let widest = item.marks.iter().map(|(_, mark)| wide(mark)).fold(0.0, f64::max);
        widths[item.column] = widths[item.column].max(widest);
    }
    let longest = (0..qubits).map(|q| circuit.qubit_name(q).chars().count()).max().unwrap_or(0);
    let margin = 20.0 + LETTER * longest as f64;
    let mut centres = Vec::new();
    let mut x = margin + 10.0;
    for width in &widths {
        centres.push(x + width / 2.0);
        x += width + 10.0;
    }
    let (right, height) = (x + 4.0, WIRE * qubits as f64);
    let y = |qubit: usize| WIRE * (qubit as f64 + 0.5);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {w:.0} {height:.0}\" \
         font-family=\"monospace\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        w = right + 8.0
    );
    for qubit in 0..qubits {
        let (y, name) = (y(qubit), escaped(&circuit.qubit_name(qubit)));
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>", margin - 4.0, y + 4.0);
        let _ = writeln!(svg, "<path d=\"M{margin:.1} {y:.1}H{right:.1}\" stroke=\"#888\"/>");
    }
    for item in &layout.items {
        let x = centres[item.column];
        let barrier = item.marks.iter().all(|(_, mark)| *mark == Mark::Barrier);
        if item.high > item.low && !barrier {
            let (top, bottom) = (y(item.low), y(item.high));
            let _ = writeln!(svg, "<path d=\"M{x:.1} {top:.1}V{bottom:.1}\" stroke=\"#1f4e79\" stroke-width=\"1.5\"/>");
        }
        for (qubit, mark) in &item.marks {
            let y = y(*qubit);
            let _ = match mark {
                Mark::Box(label) => {
                    let width = wide(mark);
                    let fill = if label.contains("M ") { "#fff2cc" } else { "#dbe9f6" };
                    writeln!(
                        svg,
                        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"3\" fill=\"{fill}\" \
                         stroke=\"#1f4e79\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                        x - width / 2.0,
                        y - HEIGHT / 2.0,
                        y + 4.0,
                        escaped(label)
                    )
                }
                Mark::Control(on) => {
                    let fill = if *on { "#1f4e79" } else { "white" };
                    writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{fill}\" stroke=\"#1f4e79\"/>")
                }
                Mark::Not => writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\" fill=\"white\" stroke=\"#1f4e79\"/>\
                     <path d=\"M{:.1} {y:.1}h18M{x:.1} {:.1}v18\" stroke=\"#1f4e79\" stroke-width=\"1.5\"/>",
                    x - 9.0,
                    y - 9.0
                ),
                Mark::Cross => writeln!(
                    svg,
                    "<path d=\"M{:.1} {:.1}l12 12m0 -12l-12 12\" stroke=\"#1f4e79\" stroke-width=\"2\"/>",
                    x - 6.0,
                    y - 6.0
                ),
                Mark::Barrier => writeln!(
                    svg,
                    "<path d=\"M{x:.1} {:.1}v{WIRE}\" stroke=\"#666\" stroke-width=\"3\" stroke-dasharray=\"3 3\"/>",
                    y - WIRE / 2.0
                ),
            };
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(char::is_control, " ")
}
