//! The best tree of pairwise dependences, to compare with.

use ndarray::Array2;
use rayon::prelude::*;

use super::independent::{check, draw, single_counts, smoothed};
use crate::error::Result;
use crate::linalg::{Op, matmul};
use crate::model::batch::check_count;
use crate::model::{Batch, GenerativeModel};
use crate::random::Seed;

/// A tree-shaped distribution `p(v) = prod_k p(v_k | v_parent(k))` on the spanning tree of largest mutual information.
///
/// Chow and Liu, IEEE Trans. Inf. Theory 14, 462 (1968): of all trees it has the highest likelihood. Where several trees have it, as
/// for data with a symmetry, a site hangs on a parent near the root, so that paths are short.
#[derive(Debug, Clone, PartialEq)]
pub struct ChowLiu {
    dims: Vec<usize>,
    /// Sites from the root outwards, each with its parent and `conditional[parent symbol][symbol]`.
    order: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    site: usize,
    parent: Option<usize>,
    conditional: Vec<Vec<f64>>,
}

impl ChowLiu {
    /// Fits tree and tables; every pair of symbols counts `pseudo_count` times more than it occurs, in the tables and in
    /// the mutual information alike.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for a pseudo-count that is negative or not finite; as [`Batch::check`].
    pub fn fit(data: &Batch<u8>, dims: &[usize], pseudo_count: f64) -> Result<Self> {
        check(data, dims, pseudo_count)?;
        let offsets: Vec<usize> = dims
            .iter()
            .scan(0, |at, &d| {
                let start = *at;
                *at += d;
                Some(start)
            })
            .collect();
        let width: usize = dims.iter().sum();
        // All pair counts at once: the Gram matrix of the one-hot samples. Counts up to 2^53 are exact.
        let mut pairs = Array2::<f64>::zeros((width, width));
        let rows: Vec<usize> = (0..data.samples()).collect();
        for chunk in rows.chunks(4096) {
            let mut hot = Array2::<f64>::zeros((chunk.len(), width));
            for (i, &row) in chunk.iter().enumerate() {
                for (site, &v) in data.row(row).iter().enumerate() {
                    hot[[i, offsets[site] + usize::from(v)]] = 1.0;
                }
            }
            pairs += &matmul(&hot.view(), Op::Transpose, &hot.view(), Op::None);
        }
        let table = |a: usize, b: usize| -> Vec<Vec<f64>> {
            (0..dims[a]).map(|s| (0..dims[b]).map(|t| pairs[[offsets[a] + s, offsets[b] + t]]).collect()).collect()
        };
        // Prim's algorithm on the complete graph.
        let sites = dims.len();
        let mut best: Vec<(f64, usize)> = vec![(f64::NEG_INFINITY, 0); sites];
        let (mut inside, mut depth) = (vec![false; sites], vec![0_usize; sites]);
        // More information, or as much up to rounding and nearer to the root.
        let better = |depth: &[usize], (gain, parent): (f64, usize), (other, rival): (f64, usize)| {
            gain > other + TIE || (gain > other - TIE && depth[parent] < depth[rival])
        };
        let mut order = Vec::with_capacity(sites);
        let (mut site, mut parent) = (0, None);
        let singles = single_counts(data, dims);
        loop {
            inside[site] = true;
            depth[site] = parent.map_or(0, |p: usize| depth[p] + 1);
            let conditional = match parent {
                Some(p) => table(p, site).iter().map(|row| smoothed(row, pseudo_count)).collect(),
                None => vec![smoothed(&singles[site], pseudo_count)],
            };
            order.push(Node { site, parent, conditional });
            let gains: Vec<(usize, f64)> = (0..sites)
                .into_par_iter()
                .filter(|&other| !inside[other])
                .map(|other| (other, mutual_information(&table(site, other), pseudo_count)))
                .collect();
            for (other, gain) in gains {
                if better(&depth, (gain, site), best[other]) {
                    best[other] = (gain, site);
                }
            }
            let outside = (0..sites).filter(|&s| !inside[s]);
            let Some(next) = outside.reduce(|a, b| if better(&depth, best[b], best[a]) { b } else { a }) else { break };
            (site, parent) = (next, Some(best[next].1));
        }
        Ok(ChowLiu { dims: dims.to_vec(), order })
    }

    /// The edges of the tree, `(parent, child)`, from the root outwards.
    #[must_use]
    pub fn edges(&self) -> Vec<(usize, usize)> {
        self.order.iter().filter_map(|n| n.parent.map(|p| (p, n.site))).collect()
    }
}

/// Nats by which two mutual informations that are equal may differ by rounding.
const TIE: f64 = 1e-12;

/// Mutual information, nats, of two symbols with these joint counts.
fn mutual_information(counts: &[Vec<f64>], pseudo_count: f64) -> f64 {
    let columns = counts.first().map_or(0, Vec::len);
    let total: f64 = counts.iter().flatten().map(|c| c + pseudo_count).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let row: Vec<f64> = counts.iter().map(|r| r.iter().map(|c| c + pseudo_count).sum::<f64>() / total).collect();
    let column: Vec<f64> =
        (0..columns).map(|t| counts.iter().map(|r| r[t] + pseudo_count).sum::<f64>() / total).collect();
    let mut information = 0.0;
    for (r, p) in counts.iter().zip(&row) {
        for (c, q) in r.iter().zip(&column) {
            let joint = (c + pseudo_count) / total;
            if joint > 0.0 {
                information += joint * (joint / (p * q)).ln();
            }
        }
    }
    information
}

impl GenerativeModel for ChowLiu {
    type Value = u8;

    fn sites(&self) -> usize {
        self.dims.len()
    }

    fn log_prob(&self, batch: &Batch<u8>) -> Result<Vec<f64>> {
        batch.check(&self.dims)?;
        let ln = |n: &Node, row: &ndarray::ArrayView1<u8>| {
            let given = n.parent.map_or(0, |p| usize::from(row[p]));
            n.conditional[given][usize::from(row[n.site])].ln()
        };
        Ok(batch.view().rows().into_iter().map(|row| self.order.iter().map(|n| ln(n, &row)).sum()).collect())
    }

    fn sample(&self, count: usize, seed: Seed) -> Result<Batch<u8>> {
        check_count(count, self.sites())?;
        let rows: Vec<Vec<u8>> = (0..count as u64)
            .into_par_iter()
            .map(|i| {
                let mut stream = seed.stream("sample", i);
                let mut row = vec![0u8; self.dims.len()];
                for n in &self.order {
                    let given = n.parent.map_or(0, |p| usize::from(row[p]));
                    row[n.site] = draw(&n.conditional[given], &mut stream);
                }
                row
            })
            .collect();
        Batch::from_rows(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Independent;

    /// Three sites, the second a noisy copy of the first, the third of the second.
    fn chain() -> Batch<u8> {
        let mut rows = Vec::new();
        for i in 0..64usize {
            let a = (i % 2) as u8;
            let b = if i % 8 == 3 { 1 - a } else { a };
            let c = if i % 16 == 5 { 2 } else { b };
            rows.push([b, c, a]);
        }
        Batch::from_rows(&rows).unwrap()
    }

    #[test]
    fn the_tree_follows_the_dependences_and_is_normalised() {
        let dims = [2, 3, 2];
        let model = ChowLiu::fit(&chain(), &dims, 0.5).unwrap();
        let mut edges: Vec<_> = model.edges().into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
        edges.sort_unstable();
        assert_eq!(edges, [(0, 1), (0, 2)]);
        let all = Batch::all(&dims).unwrap();
        for ln in
            [model.log_prob(&all).unwrap(), Independent::fit(&chain(), &dims, 0.5).unwrap().log_prob(&all).unwrap()]
        {
            assert!((ln.iter().map(|l| l.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn of_trees_with_the_same_information_the_shallow_one_is_taken() {
        // Bars and stripes of 3 x 3: pixels of a row or a column share the same information, so most spanning trees along
        // rows and columns are as good as each other.
        let bit = |pattern: usize, i: usize| (pattern >> i & 1) as u8;
        let bars = (0..8).map(|p| (0..9).map(|i| bit(p, i / 3)).collect::<Vec<_>>());
        let stripes = (1..7).map(|p| (0..9).map(|i| bit(p, i % 3)).collect::<Vec<_>>());
        let data = Batch::from_rows(&bars.chain(stripes).collect::<Vec<_>>()).unwrap();
        let mut edges = ChowLiu::fit(&data, &[2; 9], 0.0).unwrap().edges();
        edges.sort_unstable();
        assert_eq!(edges, [(0, 1), (0, 2), (0, 3), (0, 6), (1, 4), (1, 7), (2, 5), (2, 8)]);
    }

    #[test]
    fn samples_have_the_probabilities_of_the_model() {
        let dims = [2, 3, 2];
        let model = ChowLiu::fit(&chain(), &dims, 0.5).unwrap();
        let all = Batch::all(&dims).unwrap();
        let drawn = model.sample(20_000, Seed(5)).unwrap();
        let mut chi = 0.0;
        for (i, ln) in model.log_prob(&all).unwrap().into_iter().enumerate() {
            let seen = drawn.view().rows().into_iter().filter(|r| *r == all.row(i)).count() as f64;
            let expected = 20_000.0 * ln.exp();
            chi += (seen - expected).powi(2) / expected;
        }
        // 11 degrees of freedom: beyond 31.3 once in a thousand seeds.
        assert!(chi < 31.3, "{chi}");
    }
}
