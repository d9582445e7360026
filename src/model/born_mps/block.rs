//! A block of rows on its way along the chain: the inner loop of the sampler, without allocation.

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, s};
use rand::RngExt;

use super::sample::Sampler;
use crate::linalg::{Op, gemm};
use crate::random::{Seed, Stream};
use crate::scalar::{Real, Scalar};

/// Rows drawn together. Blocks are always full, the last one with rows that nobody sees: a row then depends on the rows
/// of its own block at most, which are always the same, and not on how many were asked for.
pub(super) const ROWS: usize = 256;
/// Weight below which a row is multiplied by a power of two.
const SMALL_WEIGHT: f64 = 1.0 / (1u64 << 32) as f64;
/// Sites whose uniform numbers are drawn at a time.
const AHEAD: usize = 8;
/// Numbers a column, and some more, so that columns do not fall into one cache set.
const COLUMN: usize = ROWS + 8;
const NO_CLASS: usize = usize::MAX;

/// Working memory for one block at a time.
pub(super) struct Block<T> {
    now: Front<T>,
    next: Front<T>,
    drawn: Drawn,
    products: Vec<T>,
    gathered: Vec<T>,
    pending: Vec<Pending>,
    classes: Classes,
}

/// Vectors, one a sample, in an order of their own: first those whose likeliest symbol is tried first, from `split` on
/// those whose other symbol is.
struct Front<T> {
    vectors: Vec<T>,
    sample: Vec<usize>,
    split: usize,
    end: usize,
}

/// What is known of each sample.
struct Drawn {
    sites: usize,
    /// `[sample, site]`
    symbols: Vec<u8>,
    /// One a sample; a uniform number for each site is taken from it, in order.
    streams: Vec<Stream>,
    /// The numbers of `2 * AHEAD` sites, a column each.
    uniforms: Vec<f64>,
    /// `|v|^2` of its vector as it stands, and the logarithm of what was divided out of it.
    weight: Vec<f64>,
    ln_scale: Vec<f64>,
}

/// A row whose symbol is none of those tried so far.
#[derive(Clone, Copy)]
struct Pending {
    row: usize,
    /// Weight of the symbols tried.
    tried: f64,
    /// The heaviest of them, for the case that rounding leaves no other.
    best: (f64, u8),
}

/// Samples that agree so far, sharing a vector.
struct Classes {
    of_sample: Vec<usize>,
    count: usize,
    /// `[symbol, class]`
    weights: Vec<f64>,
    /// The next class of each `[symbol, class]`.
    child: Vec<usize>,
}

impl<T: Scalar> Block<T> {
    /// Room for blocks of a chain with these tensors.
    pub fn new(tensors: &[ArrayView3<T>]) -> Self {
        let width = tensors.iter().map(|a| a.dim().0).max().unwrap_or(1);
        let room = || vec![T::zero(); ROWS * width];
        let front = || Front { vectors: room(), sample: vec![0; ROWS], split: 0, end: ROWS };
        let sites = tensors.len();
        Block {
            now: front(),
            next: front(),
            drawn: Drawn {
                sites,
                symbols: vec![0; ROWS * sites],
                streams: Vec::with_capacity(ROWS),
                uniforms: vec![0.0; 2 * AHEAD * COLUMN],
                weight: vec![1.0; ROWS],
                ln_scale: vec![0.0; ROWS],
            },
            products: room(),
            gathered: room(),
            pending: Vec::with_capacity(ROWS),
            classes: Classes {
                of_sample: vec![0; ROWS],
                count: 1,
                weights: vec![0.0; ROWS],
                child: vec![NO_CLASS; ROWS],
            },
        }
    }

    /// Draws block `number`; as many rows are handed out as there is room for in `symbols` and `ln_p`.
    pub fn draw(&mut self, sampler: &Sampler<T>, number: usize, seed: Seed, symbols: &mut [u8], ln_p: &mut [f64]) {
        self.drawn.start(number, seed);
        let mut site = self.draw_shared(sampler);
        while site < self.drawn.sites {
            self.draw_site(sampler, site);
            site += 1;
        }
        symbols.copy_from_slice(&self.drawn.symbols[..symbols.len()]);
        for (out, (weight, ln)) in ln_p.iter_mut().zip(self.drawn.weight.iter().zip(&self.drawn.ln_scale)) {
            *out = weight.ln() + ln;
        }
    }

    /// The first sites, as long as few classes stand for all samples: every branch of each class is computed. Hands
    /// every sample a vector of its own and returns the site that comes next.
    fn draw_shared(&mut self, sampler: &Sampler<T>) -> usize {
        let Block { now, next, drawn, products, classes, .. } = self;
        classes.of_sample.fill(0);
        classes.count = 1;
        now.vectors[0] = T::one();
        for (site, a) in sampler.tensors.iter().enumerate() {
            let (l, d, r) = a.dim();
            let count = classes.count;
            if count * d > ROWS {
                next.clear();
                for (sample, &class) in classes.of_sample.iter().enumerate() {
                    let upper = drawn.uniform(sample, site) >= sampler.first_share[site];
                    next.push(sample, &now.vectors[class * l..(class + 1) * l], upper);
                }
                std::mem::swap(now, next);
                return site;
            }
            drawn.draw_ahead(site + 1);
            for symbol in 0..d {
                let range = symbol * count..(symbol + 1) * count;
                let out = &mut products[range.start * r..range.end * r];
                multiply(&now.vectors[..count * l], &a.slice(s![.., symbol, ..]), out);
                for (weight, row) in classes.weights[range].iter_mut().zip(out.chunks_exact(r)) {
                    *weight = norm_squared(row);
                }
            }
            classes.child[..count * d].fill(NO_CLASS);
            classes.count = 0;
            for sample in 0..ROWS {
                let class = classes.of_sample[sample];
                let weights = classes.weights[class..count * d].iter().step_by(count);
                let symbol = choose(weights.copied(), drawn.uniform(sample, site));
                let slot = symbol * count + class;
                if classes.child[slot] == NO_CLASS {
                    let to = &mut next.vectors[classes.count * r..(classes.count + 1) * r];
                    to.copy_from_slice(&products[slot * r..(slot + 1) * r]);
                    grow(to, classes.weights[slot]);
                    classes.child[slot] = classes.count;
                    classes.count += 1;
                }
                classes.of_sample[sample] = classes.child[slot];
                drawn.record(sample, site, symbol as u8, classes.weights[slot]);
            }
            std::mem::swap(now, next);
        }
        sampler.tensors.len()
    }
}

impl<T: Scalar> Block<T> {
    /// One site, every sample with a vector of its own.
    fn draw_site(&mut self, sampler: &Sampler<T>, site: usize) {
        let Block { now, next, drawn, products, gathered, pending, .. } = self;
        let (a, order) = (&sampler.tensors[site], &sampler.order[site]);
        let (l, d, r) = a.dim();
        let (first, last) = (order[0], order[d - 1]);
        let matrix = |symbol: u8| a.slice(s![.., usize::from(symbol), ..]);
        drawn.draw_ahead(site + 1);
        // Which symbol of the next site is tried first depends on its number alone.
        let share = sampler.first_share.get(site + 1).copied().unwrap_or(1.0);
        next.clear();
        let mut settle = |drawn: &mut Drawn, sample: usize, symbol: u8, row: &[T], weight: f64| {
            let upper = site + 1 < drawn.sites && drawn.uniform(sample, site + 1) >= share;
            let to = next.push(sample, row, upper);
            grow(to, weight);
            drawn.record(sample, site, symbol, weight);
        };

        let (low, high) = now.vectors[..ROWS * l].split_at(now.split * l);
        let (low_out, high_out) = products[..ROWS * r].split_at_mut(now.split * r);
        multiply(low, &matrix(first), low_out);
        multiply(high, &matrix(last), high_out);
        pending.clear();
        for (row, product) in products[..ROWS * r].chunks_exact(r).enumerate() {
            let (sample, weight) = (now.sample[row], norm_squared(product));
            let whole = drawn.weight[sample];
            let point = drawn.uniform(sample, site) * whole;
            let (symbol, taken) =
                if row < now.split { (first, d == 1 || point < weight) } else { (last, point >= whole - weight) };
            if taken && weight > 0.0 {
                settle(drawn, sample, symbol, product, weight);
            } else {
                pending.push(Pending { row, tried: weight, best: (weight, symbol) });
            }
        }

        for (round, &second) in order.iter().enumerate().skip(1) {
            // Only of two symbols the last is ever tried first.
            let split = pending.partition_point(|p| p.row < now.split);
            for (p, to) in pending.iter().zip(gathered.chunks_exact_mut(l)) {
                to.copy_from_slice(&now.vectors[p.row * l..(p.row + 1) * l]);
            }
            let (low, high) = gathered[..pending.len() * l].split_at(split * l);
            let (low_out, high_out) = products[..pending.len() * r].split_at_mut(split * r);
            multiply(low, &matrix(second), low_out);
            multiply(high, &matrix(first), high_out);
            let mut kept = 0;
            for j in 0..pending.len() {
                let Pending { row, tried, best } = pending[j];
                let (sample, product) = (now.sample[row], &products[j * r..(j + 1) * r]);
                let weight = norm_squared(product);
                let (whole, u) = (tried + weight, drawn.uniform(sample, site));
                let symbol = if j < split { second } else { first };
                // With the last symbol every weight is known, and their sum serves better than the sum rule.
                let taken = match round + 1 == d {
                    true if j < split => u * whole >= tried,
                    true => u * whole < weight,
                    false => u * drawn.weight[sample] < whole,
                };
                if taken && weight > 0.0 {
                    settle(drawn, sample, symbol, product, weight);
                } else {
                    let best = if weight > best.0 && round + 1 < d { (weight, symbol) } else { best };
                    pending[kept] = Pending { row, tried: whole, best };
                    kept += 1;
                }
            }
            pending.truncate(kept);
        }

        // Rounding alone brings a row here: the sum rule excluded a symbol that the sum of all weights allows.
        for &Pending { row, best: (weight, symbol), .. } in pending.iter() {
            let product = &mut products[..r];
            multiply(&now.vectors[row * l..(row + 1) * l], &matrix(symbol), product);
            settle(drawn, now.sample[row], symbol, product, weight);
        }
        std::mem::swap(now, next);
    }
}

impl<T: Scalar> Front<T> {
    fn clear(&mut self) {
        (self.split, self.end) = (0, ROWS);
    }

    /// Takes a vector in, from the top or, if `upper`, from the end; all rows are taken once every sample is in.
    fn push(&mut self, sample: usize, vector: &[T], upper: bool) -> &mut [T] {
        // Without a branch, which would be a coin toss.
        let row = if upper { self.end - 1 } else { self.split };
        self.end -= usize::from(upper);
        self.split += usize::from(!upper);
        self.sample[row] = sample;
        let to = &mut self.vectors[row * vector.len()..(row + 1) * vector.len()];
        to.copy_from_slice(vector);
        to
    }
}

impl Drawn {
    fn start(&mut self, number: usize, seed: Seed) {
        self.streams.clear();
        self.streams.extend((0..ROWS).map(|row| seed.stream("sample", (number * ROWS + row) as u64)));
        self.draw_ahead(0);
        self.weight.fill(1.0);
        self.ln_scale.fill(0.0);
    }

    /// Makes the numbers of `site` ready where they are not yet; sites are asked for in order.
    fn draw_ahead(&mut self, site: usize) {
        if !site.is_multiple_of(AHEAD) {
            return;
        }
        let from = site % (2 * AHEAD) * COLUMN;
        for (row, stream) in self.streams.iter_mut().enumerate() {
            for column in self.uniforms[from..from + AHEAD * COLUMN].chunks_exact_mut(COLUMN) {
                column[row] = stream.random();
            }
        }
    }

    #[inline]
    fn uniform(&self, sample: usize, site: usize) -> f64 {
        self.uniforms[site % (2 * AHEAD) * COLUMN + sample]
    }

    #[inline]
    fn record(&mut self, sample: usize, site: usize, symbol: u8, weight: f64) {
        self.symbols[sample * self.sites + site] = symbol;
        self.weight[sample] = weight;
        let exponent = growth(weight);
        if exponent != 0 {
            self.weight[sample] *= f64::from(2 * exponent).exp2();
            self.ln_scale[sample] -= f64::from(2 * exponent) * std::f64::consts::LN_2;
        }
    }
}

/// The power of two by which a vector of this weight is multiplied.
#[inline]
fn growth(weight: f64) -> i32 {
    // Of the smallest weights half is enough: the power has to be a number of every type.
    if weight < SMALL_WEIGHT && weight > 0.0 { ((-weight.log2() / 2.0) as i32).min(120) } else { 0 }
}

#[inline]
fn grow<T: Scalar>(vector: &mut [T], weight: f64) {
    let exponent = growth(weight);
    if exponent != 0 {
        let factor = T::Real::of(f64::from(exponent).exp2());
        vector.iter_mut().for_each(|x| *x = x.scale(factor));
    }
}

/// `out = rows matrix`, `rows` and `out` in row-major order.
fn multiply<T: Scalar>(rows: &[T], matrix: &ArrayView2<T>, out: &mut [T]) {
    let (inner, outer) = matrix.dim();
    let count = rows.len() / inner;
    let views = (ArrayView2::from_shape((count, inner), rows), ArrayViewMut2::from_shape((count, outer), out));
    let (Ok(rows), Ok(mut out)) = views else { unreachable!("{count} rows of {inner} into rows of {outer}") };
    gemm(T::one(), &rows, Op::None, matrix, Op::None, T::zero(), &mut out);
}

/// `|v|^2`
#[inline]
fn norm_squared<T: Scalar>(vector: &[T]) -> f64 {
    let parts: &[T::Real] = bytemuck::cast_slice(vector);
    // Independent sums, so that the additions need not wait for one another.
    let mut sums = [T::Real::of(0.0); 16];
    let chunks = parts.chunks_exact(16);
    let rest: T::Real = chunks.remainder().iter().map(|&x| x * x).sum();
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += x * x;
        }
    }
    for half in [8, 4, 2, 1] {
        for j in 0..half {
            sums[j] += sums[j + half];
        }
    }
    Real::to_f64(sums[0] + rest)
}

/// The symbol in whose share of the sum the number `u` in `[0, 1)` falls; never one of weight zero.
fn choose(weights: impl Iterator<Item = f64> + Clone, u: f64) -> usize {
    let point = u * weights.clone().sum::<f64>();
    let (mut sum, mut last) = (0.0, 0);
    for (symbol, weight) in weights.enumerate().filter(|(_, w)| *w > 0.0) {
        sum += weight;
        last = symbol;
        if point < sum {
            break;
        }
    }
    last
}
