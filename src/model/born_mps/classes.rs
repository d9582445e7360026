//! Samples that share a prefix or a suffix share an environment.
//!
//! The left environment of a sample at site `k` depends on its first `k` symbols only. On images and sparse records most
//! samples agree for a long way, so environments are kept one for each distinct prefix (and suffix), and equal samples
//! are merged into one with a weight. Both savings are exact.

use std::ops::Range;

use ndarray::ArrayView2;

use crate::model::Batch;

/// Distinct samples with weights, and their prefix and suffix classes at every site.
#[derive(Debug, Clone)]
pub(super) struct Samples {
    /// Distinct rows, `[distinct, sites]` by columns: `symbols[site][sample]`.
    symbols: Vec<Vec<u8>>,
    /// Share of each distinct row among all samples; sums to 1.
    pub weights: Vec<f64>,
    /// The row of the original batch each distinct row stands for first.
    pub origin: Vec<usize>,
    /// `prefixes[k]`: the classes of the first `k` symbols; `k = 0 ..= sites`.
    prefixes: Vec<Level>,
    /// `suffixes[k]`: the classes of the symbols from `k` on; `k = 0 ..= sites`.
    suffixes: Vec<Level>,
}

/// The classes of one length: each is a shorter class and one more symbol. Ordered by that symbol first, so that the
/// classes with one symbol are a contiguous range.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    /// The shorter class each was made from.
    pub parent: Vec<u32>,
    /// Classes whose added symbol is `s` are `start[s] .. start[s + 1]`.
    pub start: Vec<usize>,
}

impl Level {
    /// Number of classes.
    pub fn len(&self) -> usize {
        self.parent.len()
    }

    /// Number of classes that end in each symbol.
    pub fn counts(&self) -> Vec<usize> {
        self.start.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// The first class with this symbol whose parent is `parent` or a later one.
    pub fn before(&self, symbol: usize, parent: usize) -> usize {
        let range = self.start[symbol]..self.start[symbol + 1];
        range.start + self.parent[range].partition_point(|&p| (p as usize) < parent)
    }

    /// The classes that end in `outer` and whose parents, at the level `inner`, end in `symbol`.
    pub fn group(&self, inner: &Level, symbol: usize, outer: usize) -> Range<usize> {
        self.before(outer, inner.start[symbol])..self.before(outer, inner.start[symbol + 1])
    }
}

impl Samples {
    /// Sorts, merges and classifies the rows of a batch that has been checked against `dims`.
    pub fn new(batch: &Batch<u8>, dims: &[usize]) -> Self {
        Self::with_rows(batch, dims).0
    }

    /// [`new`](Self::new), with the distinct sample that each row of the batch is.
    pub fn with_rows(batch: &Batch<u8>, dims: &[usize]) -> (Self, Vec<usize>) {
        let view = batch.view();
        let mut order: Vec<usize> = (0..batch.samples()).collect();
        order.sort_by(|&i, &j| rows(&view, i).cmp(rows(&view, j)).then(i.cmp(&j)));
        let share = 1.0 / batch.samples() as f64;
        let (mut origin, mut counts): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut of_row = vec![0; batch.samples()];
        for i in order {
            match (origin.last(), counts.last_mut()) {
                (Some(&last), Some(count)) if view.row(last) == view.row(i) => *count += 1,
                _ => {
                    origin.push(i);
                    counts.push(1);
                }
            }
            of_row[i] = origin.len() - 1;
        }
        let sites = dims.len();
        let symbols: Vec<Vec<u8>> = (0..sites).map(|k| origin.iter().map(|&i| view[[i, k]]).collect()).collect();
        let mut samples = Samples {
            weights: counts.iter().map(|&c| c as f64 * share).collect(),
            origin,
            prefixes: Vec::with_capacity(sites + 1),
            suffixes: vec![Level::default(); sites + 1],
            symbols,
        };
        let distinct = samples.len();
        let mut class = vec![0u32; distinct];
        samples.prefixes.push(Level { parent: vec![0], start: Vec::new() });
        for (site, &dim) in dims.iter().enumerate() {
            let parents = samples.prefixes[site].len();
            let level = extend(&mut class, &samples.symbols[site], dim, parents);
            samples.prefixes.push(level);
        }
        class.fill(0);
        samples.suffixes[sites] = Level { parent: vec![0], start: Vec::new() };
        for (site, &dim) in dims.iter().enumerate().rev() {
            let parents = samples.suffixes[site + 1].len();
            samples.suffixes[site] = extend(&mut class, &samples.symbols[site], dim, parents);
        }
        (samples, of_row)
    }

    /// The class of each distinct sample at the full length.
    pub fn full_classes(&self) -> Vec<u32> {
        let mut position = Position::new(self);
        position.seek(self, self.symbols.len(), self.symbols.len());
        position.prefix
    }

    /// Number of distinct samples.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// The symbols of the distinct samples at a site.
    pub fn symbols(&self, site: usize) -> &[u8] {
        &self.symbols[site]
    }

    /// The symbol of a distinct sample at a site.
    pub fn symbol(&self, sample: usize, site: usize) -> u8 {
        self.symbols[site][sample]
    }

    /// Classes of the first `k` symbols.
    pub fn prefixes(&self, k: usize) -> &Level {
        &self.prefixes[k]
    }

    /// Classes of the symbols from `k` on.
    pub fn suffixes(&self, k: usize) -> &Level {
        &self.suffixes[k]
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let levels = self.prefixes.iter().chain(&self.suffixes);
        let classes: usize = levels.map(|l| 4 * l.parent.len() + 8 * l.start.len()).sum();
        (classes + self.symbols.len() * self.len() + 16 * self.len()) as u64
    }
}

fn rows<'a>(view: &ArrayView2<'a, u8>, i: usize) -> impl Iterator<Item = u8> + use<'a> {
    (*view).index_axis_move(ndarray::Axis(0), i).into_iter().copied()
}

/// From the classes of some length to those with one symbol more; `class` is moved on with them.
fn extend(class: &mut [u32], symbols: &[u8], dim: usize, parents: usize) -> Level {
    const ABSENT: u32 = u32::MAX;
    let mut id = vec![ABSENT; parents * dim];
    for (&c, &s) in class.iter().zip(symbols) {
        id[s as usize * parents + c as usize] = 0;
    }
    let mut level = Level { parent: Vec::new(), start: Vec::with_capacity(dim + 1) };
    for symbol in 0..dim {
        level.start.push(level.parent.len());
        for parent in 0..parents {
            let slot = &mut id[symbol * parents + parent];
            if *slot != ABSENT {
                *slot = level.parent.len() as u32;
                level.parent.push(parent as u32);
            }
        }
    }
    level.start.push(level.parent.len());
    for (c, &s) in class.iter_mut().zip(symbols) {
        *c = id[s as usize * parents + *c as usize];
    }
    level
}

/// Where the samples stand while a sweep passes: the prefix class of length `k` and the suffix class from `k` of each.
#[derive(Debug, Clone)]
pub(super) struct Position {
    /// Prefix class of each distinct sample, at `left` symbols.
    pub prefix: Vec<u32>,
    /// Suffix class of each distinct sample, from symbol `right` on.
    pub suffix: Vec<u32>,
    left: usize,
    right: usize,
    table: Vec<u32>,
}

impl Position {
    /// Before the first symbol, after the last.
    pub fn new(samples: &Samples) -> Self {
        let n = samples.len();
        let sites = samples.symbols.len();
        Position { prefix: vec![0; n], suffix: vec![0; n], left: 0, right: sites, table: Vec::new() }
    }

    /// Moves both classes, one symbol at a time.
    pub fn seek(&mut self, samples: &Samples, left: usize, right: usize) {
        while self.left < left {
            let parents = samples.prefixes[self.left].len();
            let level = &samples.prefixes[self.left + 1];
            descend(&mut self.prefix, &mut self.table, level, parents, &samples.symbols[self.left]);
            self.left += 1;
        }
        while self.left > left {
            let level = &samples.prefixes[self.left];
            self.prefix.iter_mut().for_each(|c| *c = level.parent[*c as usize]);
            self.left -= 1;
        }
        while self.right > right {
            let parents = samples.suffixes[self.right].len();
            let level = &samples.suffixes[self.right - 1];
            descend(&mut self.suffix, &mut self.table, level, parents, &samples.symbols[self.right - 1]);
            self.right -= 1;
        }
        while self.right < right {
            let level = &samples.suffixes[self.right];
            self.suffix.iter_mut().for_each(|c| *c = level.parent[*c as usize]);
            self.right += 1;
        }
    }
}

fn descend(class: &mut [u32], table: &mut Vec<u32>, level: &Level, parents: usize, symbols: &[u8]) {
    let dim = level.start.len() - 1;
    table.clear();
    table.resize(parents * dim, 0);
    for symbol in 0..dim {
        for id in level.start[symbol]..level.start[symbol + 1] {
            table[symbol * parents + level.parent[id] as usize] = id as u32;
        }
    }
    for (c, &s) in class.iter_mut().zip(symbols) {
        *c = table[s as usize * parents + *c as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use rand::RngExt;

    #[test]
    fn classes_are_the_distinct_prefixes_and_suffixes() {
        let mut stream = Seed(1).stream("classes", 0);
        let dims = [2, 3, 2, 2, 3];
        let rows: Vec<Vec<u8>> =
            (0..40).map(|_| dims.iter().map(|&d| stream.random_range(0..d as u8)).collect()).collect();
        let batch = Batch::from_rows(&rows).unwrap();
        let samples = Samples::new(&batch, &dims);
        let distinct: std::collections::BTreeSet<_> = rows.iter().collect();
        assert_eq!(samples.len(), distinct.len());
        assert!((samples.weights.iter().sum::<f64>() - 1.0).abs() < 1e-14);
        let mut position = Position::new(&samples);
        for (left, right) in [(0, 5), (2, 3), (5, 0), (3, 4), (1, 1)] {
            position.seek(&samples, left, right);
            assert_eq!(
                samples.prefixes(left).len(),
                rows.iter().map(|r| &r[..left]).collect::<std::collections::BTreeSet<_>>().len()
            );
            for i in 0..samples.len() {
                for j in 0..samples.len() {
                    let (a, b) = (&rows[samples.origin[i]], &rows[samples.origin[j]]);
                    assert_eq!(position.prefix[i] == position.prefix[j], a[..left] == b[..left]);
                    assert_eq!(position.suffix[i] == position.suffix[j], a[right..] == b[right..]);
                }
            }
        }
    }
}
