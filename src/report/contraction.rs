//! Networks and contraction plans as DOT and SVG.

use std::fmt::Write;

use crate::error::{Error, Result};
use crate::network::Plan;

/// Pixels between two leaves, and between two levels.
const STEP: f64 = 14.0;
const MARGIN: f64 = 24.0;
/// Steps whose cost is written beside them, and how far below the dearest one it may be, as `log2`.
const LABELS: usize = 16;
const LABELLED: f64 = 5.0;

/// The tree of a plan in the DOT language; a node tells `log2` of its multiplications and of the elements of its result.
#[must_use]
pub fn plan_dot(plan: &Plan) -> String {
    let leaves = plan.tree().leaves();
    let mut dot = String::from("digraph plan {\n  rankdir=BT;\n  node [fontsize=10];\n");
    for leaf in 0..leaves {
        let _ = writeln!(dot, "  n{leaf} [shape=box, label=\"{leaf}\"];");
    }
    for (step, (&(a, b), cost)) in plan.tree().pairs().iter().zip(plan.steps()).enumerate() {
        let node = leaves + step;
        let (flops, size) = (cost.log2_flops, cost.log2_size);
        let _ = writeln!(dot, "  n{node} [label=\"{step}: 2^{flops:.1}\\n2^{size:.1}\"];");
        let _ = writeln!(dot, "  n{a} -> n{node};\n  n{b} -> n{node};");
    }
    dot.push_str("}\n");
    dot
}

/// The tree of a plan as a picture: tensors below, the result above. The redder a node, the nearer its multiplications
/// to those of the dearest one (white: a millionth); the larger, the more elements its result has. Each node has its
/// numbers as a tooltip; the multiplications of the dearest are written beside them.
///
/// # Errors
/// [`Error::Memory`] for more than 100 000 tensors, of which no picture can be looked at.
pub fn plan_svg(plan: &Plan) -> Result<String> {
    let (tree, steps) = (plan.tree(), plan.steps());
    let leaves = tree.leaves();
    if leaves > 100_000 {
        return Err(Error::Memory {
            what: "a picture of the contraction tree".into(),
            needed: leaves as u64,
            ceiling: 100_000,
            way_out: "draw a network of fewer tensors".into(),
        });
    }
    // Leaves stand side by side in the order in which the tree meets them, an inner node above the middle of its two.
    let mut x = vec![0.0; leaves + steps.len()];
    let mut level = vec![0_usize; leaves + steps.len()];
    let mut stack = vec![tree.root()];
    let mut next = 0.0;
    while let Some(node) = stack.pop() {
        match tree.children(node) {
            Some((a, b)) => stack.extend([b, a]),
            None => {
                x[node] = next;
                next += 1.0;
            }
        }
    }
    for (step, &(a, b)) in tree.pairs().iter().enumerate() {
        x[leaves + step] = 0.5 * (x[a] + x[b]);
        level[leaves + step] = 1 + level[a].max(level[b]);
    }
    let top = level[tree.root()];
    let place = |node: usize| (MARGIN + STEP * x[node], MARGIN + STEP * (top - level[node]) as f64);
    let (width, height) = (2.0 * MARGIN + STEP * (next - 1.0), 3.0 * MARGIN + STEP * top as f64);
    let width = width.max(420.0);
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    );
    let dearest = steps.iter().map(|step| step.log2_flops).fold(f64::NEG_INFINITY, f64::max);
    let largest = steps.iter().map(|step| step.log2_size).fold(1.0, f64::max);
    for (step, &(a, b)) in tree.pairs().iter().enumerate() {
        let (px, py) = place(leaves + step);
        for child in [a, b] {
            let (cx, cy) = place(child);
            let _ = writeln!(
                svg,
                "<path d=\"M{cx:.1} {cy:.1}L{px:.1} {py:.1}\" stroke=\"#888\" stroke-width=\"0.8\" fill=\"none\"/>"
            );
        }
    }
    for leaf in 0..leaves {
        let (cx, cy) = place(leaf);
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"4\" height=\"4\" fill=\"#357\"><title>tensor {leaf}</title></rect>",
            cx - 2.0,
            cy - 2.0
        );
    }
    for (step, cost) in steps.iter().enumerate() {
        let (cx, cy) = place(leaves + step);
        let heat = (1.0 - (dearest - cost.log2_flops) / 20.0).clamp(0.0, 1.0);
        let pale = (255.0 * (1.0 - heat)) as u8;
        let radius = 2.0 + 4.0 * (cost.log2_size / largest).clamp(0.0, 1.0);
        let _ = writeln!(
            svg,
            "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"{radius:.1}\" fill=\"rgb(255,{pale},{pale})\" stroke=\"#444\" \
             stroke-width=\"0.5\"><title>step {step}: 2^{:.2} multiplications, 2^{:.2} elements</title></circle>",
            cost.log2_flops, cost.log2_size
        );
    }
    let mut dear: Vec<usize> = (0..steps.len()).filter(|&s| steps[s].log2_flops > dearest - LABELLED).collect();
    dear.sort_by(|&a, &b| steps[b].log2_flops.total_cmp(&steps[a].log2_flops).then(a.cmp(&b)));
    // The steps along a trunk lie closer than the height of a line: none is written where another one is.
    let mut written: Vec<(f64, f64)> = Vec::new();
    for step in dear {
        let (cx, cy) = place(leaves + step);
        if written.len() == LABELS || written.iter().any(|(x, y)| (x - cx).abs() < 42.0 && (y - cy).abs() < 10.0) {
            continue;
        }
        written.push((cx, cy));
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\" stroke=\"white\" stroke-width=\"2.5\" \
             paint-order=\"stroke\">2^{:.1}</text>",
            cx + 8.0,
            cy + 3.0,
            steps[step].log2_flops
        );
    }
    let cost = plan.cost();
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{:.0}\">{leaves} tensors, 2^{:.2} multiplications, largest 2^{:.2}, {}</text>\n</svg>",
        height - 0.5 * MARGIN,
        cost.log2_flops,
        cost.log2_size,
        slices_of(plan)
    );
    Ok(svg)
}

fn slices_of(plan: &Plan) -> String {
    match plan.slices() {
        1 => "not sliced".into(),
        slices => format!("{slices} slices"),
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(char::is_control, " ")
}

pub(super) fn escaped_xml(text: &str) -> String {
    let plain = text.replace(char::is_control, " ").replace('&', "&amp;");
    plain.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{ContractionTree, Equation};

    #[test]
    fn every_tensor_step_and_bond_is_drawn() {
        let equation = Equation::parse("ab,bc,bd,d->ac", &[&[2, 2][..], &[2, 2], &[2, 2], &[2]]).unwrap();
        let tree = ContractionTree::new(4, vec![(2, 3), (0, 1), (4, 5)]).unwrap();
        let plan = Plan::new(&equation, &tree, &[]).unwrap();
        let svg = plan_svg(&plan).unwrap();
        assert_eq!((svg.matches("<circle").count(), svg.matches("tensor ").count()), (3, 4));
        assert_eq!(plan_dot(&plan).matches("->").count(), 6);
        let one = Plan::new(&Equation::parse("a", &[&[2]]).unwrap(), &ContractionTree::new(1, vec![]).unwrap(), &[]);
        assert!(plan_svg(&one.unwrap()).unwrap().contains("tensor 0"));
    }
}
