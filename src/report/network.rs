//! Networks as SVG.

use std::fmt::Write;

use super::contraction::{escaped, escaped_xml};
use super::layout::placed;
use crate::error::{Error, Result};
use crate::network::{Equation, Network};
use crate::scalar::Scalar;

/// Pixels between neighbours, about.
const STEP: f64 = 34.0;
const MARGIN: f64 = 36.0;
const MOST: usize = 20_000;

/// A network as a picture: dots are tensors with their numbers, small squares hyperedges, stubs with a name open legs.
/// The wider a line, the larger the dimension (`log2`); each has its name and dimension as a tooltip. The same network
/// gives the same picture.
///
/// # Errors
/// [`Error::Memory`] for more than 20 000 tensors, hyperedges and open legs, of which no picture can be looked at.
pub fn network_svg<T: Scalar>(network: &Network<T>) -> Result<String> {
    pattern_svg(&network.equation()?)
}

/// The pattern of a network as a picture, as [`network_svg`].
///
/// # Errors
/// As [`network_svg`].
pub fn pattern_svg(pattern: &Equation) -> Result<String> {
    let Drawn { nodes, squares, stubs, edges } = Drawn::new(pattern);
    if nodes > MOST {
        return Err(Error::Memory {
            what: "a picture of the network".into(),
            needed: nodes as u64,
            ceiling: MOST as u64,
            way_out: "draw a part of it".into(),
        });
    }
    let at = placed(nodes, &edges.iter().map(|&(a, b, _)| (a, b)).collect::<Vec<_>>());
    let least = |f: fn(&(f64, f64)) -> f64| at.iter().map(f).fold(f64::INFINITY, f64::min);
    let most = |f: fn(&(f64, f64)) -> f64| at.iter().map(f).fold(f64::NEG_INFINITY, f64::max);
    let (left, top) = (least(|p| p.0), least(|p| p.1));
    let place = |node: usize| (MARGIN + STEP * (at[node].0 - left), MARGIN + STEP * (at[node].1 - top));
    let width = (2.0 * MARGIN + STEP * (most(|p| p.0) - left)).max(160.0);
    let height = 2.0 * MARGIN + STEP * (most(|p| p.1) - top);
    let label = |index: usize| format!("{} ({})", escaped_xml(&pattern.names()[index]), pattern.dims()[index]);
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"8\" text-anchor=\"middle\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    );
    for &(a, b, index) in &edges {
        let ((ax, ay), (bx, by)) = (place(a), place(b));
        let wide = 0.7 + 0.6 * (pattern.dims()[index] as f64).log2();
        let _ = writeln!(
            svg,
            "<path d=\"M{ax:.1} {ay:.1}L{bx:.1} {by:.1}\" stroke=\"#888\" stroke-width=\"{wide:.2}\" fill=\"none\">\
             <title>{}</title></path>",
            label(index)
        );
    }
    for &(node, index) in &squares {
        let (x, y) = place(node);
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\" fill=\"#b50\"><title>{}</title></rect>",
            x - 3.5,
            y - 3.5,
            label(index)
        );
    }
    for &(node, index) in &stubs {
        let (x, y) = place(node);
        let name = escaped_xml(&pattern.names()[index]);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"#555\">{name}</text>", y + 3.0);
    }
    for (tensor, input) in pattern.inputs().iter().enumerate() {
        let (x, y) = place(tensor);
        let names: Vec<String> = input.iter().map(|&i| label(i)).collect();
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\" fill=\"#357\"><title>tensor {tensor}: {}</title></circle>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" fill=\"white\" pointer-events=\"none\">{tensor}</text>",
            names.join(", "),
            y + 3.0
        );
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// A network in the DOT language: boxes are tensors, points hyperedges, and bonds have their name and dimension.
///
/// # Errors
/// Never for a network that was built.
pub fn network_dot<T: Scalar>(network: &Network<T>) -> Result<String> {
    Ok(pattern_dot(&network.equation()?))
}

/// The pattern of a network in the DOT language, as [`network_dot`].
#[must_use]
pub fn pattern_dot(pattern: &Equation) -> String {
    let Drawn { squares, stubs, edges, .. } = Drawn::new(pattern);
    let mut dot = String::from("graph network {\n  node [fontsize=10];\n  edge [fontsize=8];\n");
    for tensor in 0..pattern.tensors() {
        let _ = writeln!(dot, "  n{tensor} [shape=box, label=\"{tensor}\"];");
    }
    for (node, _) in squares {
        let _ = writeln!(dot, "  n{node} [shape=point];");
    }
    for (node, index) in stubs {
        let _ = writeln!(dot, "  n{node} [shape=plaintext, label=\"{}\"];", escaped(&pattern.names()[index]));
    }
    for (a, b, index) in edges {
        let label = format!("{} ({})", escaped(&pattern.names()[index]), pattern.dims()[index]);
        let _ = writeln!(dot, "  n{a} -- n{b} [label=\"{label}\"];");
    }
    dot.push_str("}\n");
    dot
}

/// A pattern as a graph: tensors have the first numbers, then hyperedges and the ends of open legs.
struct Drawn {
    nodes: usize,
    /// Nodes and their indices.
    squares: Vec<(usize, usize)>,
    stubs: Vec<(usize, usize)>,
    /// Two nodes and the index.
    edges: Vec<(usize, usize, usize)>,
}

impl Drawn {
    fn new(pattern: &Equation) -> Self {
        let tensors = pattern.tensors();
        let mut holders: Vec<Vec<usize>> = vec![Vec::new(); pattern.indices()];
        for (tensor, input) in pattern.inputs().iter().enumerate() {
            for &i in input {
                if !holders[i].contains(&tensor) {
                    holders[i].push(tensor);
                }
            }
        }
        let mut nodes = tensors;
        let (mut squares, mut stubs, mut edges) = (Vec::new(), Vec::new(), Vec::new());
        for (index, on) in holders.into_iter().enumerate() {
            let mut ends = on;
            for _ in pattern.output().iter().filter(|&&i| i == index) {
                stubs.push((nodes, index));
                ends.push(nodes);
                nodes += 1;
            }
            match ends[..] {
                [a, b] => edges.push((a, b, index)),
                _ => {
                    squares.push((nodes, index));
                    edges.extend(ends.iter().map(|&end| (end, nodes, index)));
                    nodes += 1;
                }
            }
        }
        Drawn { nodes, squares, stubs, edges }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tensor_hyperedge_and_open_leg_is_drawn_in_a_place_of_its_own() {
        // A bond, a hyperedge of three, an open leg, an open bond, a lone index and a name to be escaped.
        let inputs = vec![vec!["a", "h"], vec!["a", "h", "<&>"], vec!["h", "o"], vec!["o", "lone"]];
        let dims = ["a", "h", "<&>", "o", "lone"].map(|name| (name.to_owned(), 4)).into();
        let pattern = Equation::from_names(&inputs, &["<&>", "o"], &dims).unwrap();
        let svg = pattern_svg(&pattern).unwrap();
        assert_eq!(svg, pattern_svg(&pattern).unwrap());
        assert_eq!((svg.matches("<circle").count(), svg.matches("#b50").count()), (4, 3));
        assert!(svg.contains("&lt;&amp;&gt;</text>") && svg.contains("<title>a (4)</title>"));
        // Edges: a; three to h; the stub; two tensors and a stub to o; one to the lone index.
        assert_eq!(svg.matches("<path").count(), 1 + 3 + 1 + 3 + 1);
        let one = Equation::parse("", &[[0_usize; 0]]).unwrap();
        assert!(pattern_svg(&one).unwrap().contains("tensor 0"));
    }

    #[test]
    fn every_tensor_and_bond_is_in_the_dot_file() {
        let equation = Equation::parse("ab,bc,bd,d->ac", &[&[2, 2][..], &[2, 2], &[2, 2], &[2]]).unwrap();
        let dot = network_dot(&Network::<f64>::random(&equation, crate::Seed(1)).unwrap()).unwrap();
        // Four tensors, the hyperedge b, the open ends a and c; b has three edges, the others one each.
        assert_eq!((dot.matches("shape=box").count(), dot.matches("shape=point").count()), (4, 1));
        assert_eq!((dot.matches("plaintext").count(), dot.matches(" -- ").count()), (2, 6));
    }

    #[test]
    fn neighbours_on_a_lattice_are_near_and_the_others_are_not() {
        let (n, m) = (5, 6);
        let node = |i: usize, j: usize| i * m + j;
        let right = (0..n).flat_map(|i| (1..m).map(move |j| (node(i, j - 1), node(i, j))));
        let down = (1..n).flat_map(|i| (0..m).map(move |j| (node(i - 1, j), node(i, j))));
        let edges: Vec<(usize, usize)> = right.chain(down).collect();
        let at = placed(n * m, &edges);
        let distance = |a: usize, b: usize| (at[a].0 - at[b].0).hypot(at[a].1 - at[b].1);
        let longest = edges.iter().map(|&(a, b)| distance(a, b)).fold(0.0, f64::max);
        let nearest = (0..n * m).flat_map(|a| (0..a).map(move |b| (a, b))).map(|(a, b)| distance(a, b));
        assert!(nearest.fold(f64::INFINITY, f64::min) > 0.25 * longest);
        assert!(distance(node(0, 0), node(n - 1, m - 1)) > 3.0 * longest);
    }
}
