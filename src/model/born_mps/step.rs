//! One bond of the two-site training of a matrix-product Born machine.
//!
//! Han, Wang, Fan, Wang, Zhang, Phys. Rev. X 8, 031012 (2018). With the centre at the bond, the amplitude of a sample is
//!
//! ```text
//!   psi_i = L_i --- M[v_k, v_k+1] --- R_i ,        |M| = 1,    NLL = - sum_i w_i ln |psi_i|^2
//! ```
//!
//! and `G = 2 sum_i w_i conj(L_i R_i / psi_i) - 2 M` (at the symbols of sample `i`) descends.
//!
//! Both sums run over classes, not samples. Of the two sides of the bond the one with fewer classes is followed over the
//! bond; all samples of a class are first summed up on the other side,
//!
//! ```text
//!   S_c = sum_{i in c} w_i Y_i / psi_i ,        G[s, t] = 2 conj sum_{c with symbols s, t} X_c S_c .
//! ```

use std::ops::Range;

use ndarray::{Array3, Array4, ArrayView2, ArrayView4, ArrayViewMut2, Axis, s};

use super::classes::{Level, Position, Samples};
use super::environments::{Environment, PARALLEL_FROM, listed, parts_of, power_of_two};
use crate::linalg::{Op, fetch, gemm, wide};
use crate::parallel::{each, each_with};
use crate::scalar::{Real, Scalar};

/// The environments of all samples on both sides of a bond.
pub(super) struct Bond<'a, T> {
    pub samples: &'a Samples,
    /// The left site of the bond.
    pub site: usize,
    /// Prefix classes at `site`.
    pub left: &'a Environment<T>,
    /// Suffix classes from `site + 2` on.
    pub right: &'a Environment<T>,
}

/// What lies between the environments of a bond.
pub(super) enum Centre<'a, T> {
    /// The left site is the centre, and an environment includes the right one (suffix classes from `site + 1` on).
    Left(&'a Array3<T>, &'a Environment<T>),
    /// The right site is the centre, and an environment includes the left one (prefix classes of `site + 1` symbols).
    Right(&'a Array3<T>, &'a Environment<T>),
    /// Both sites in one tensor `[left, s, t, right]`.
    Merged(ArrayView4<'a, T>),
}

/// The likelihood of all samples as seen from one bond.
#[derive(Debug, Clone, Copy)]
pub(super) struct Likelihood {
    /// Mean negative log-likelihood, nats.
    pub nll: f64,
    /// A distinct sample whose amplitude is zero or not finite.
    pub bad: Option<usize>,
}

/// Memory of one bond that serves the next.
#[derive(Default)]
pub(super) struct Workspace<T> {
    /// `S_c`, `[classes, bond]`.
    sums: Vec<T>,
    parts: Vec<Part<T>>,
    /// The samples of class `c` are `order[start[c] .. start[c + 1]]`.
    start: Vec<usize>,
    order: Vec<u32>,
}

/// What one task needs for itself.
#[derive(Default)]
struct Part<T> {
    outer: Vec<T>,
    gathered: Vec<T>,
    /// For each symbol: the row of sums that comes next, and whether anything stands in it.
    cursor: Vec<(usize, bool)>,
    nll: f64,
    bad: Option<usize>,
}

/// One side of the bond, followed over it: `x0` at its outer end, `level1` past the near site, `level2` past both.
struct Way<'a, T> {
    left_first: bool,
    x0: &'a Environment<T>,
    y0: &'a Environment<T>,
    level1: &'a Level,
    level2: &'a Level,
}

impl<T: Scalar> Way<'_, T> {
    /// The class at `x0` that a class past both sites comes from.
    fn origin(&self, class: usize) -> u32 {
        self.level1.parent[self.level2.parent[class] as usize]
    }
}

impl<'a, T: Scalar> Bond<'a, T> {
    fn way(&self) -> Way<'a, T> {
        let (k, samples) = (self.site, self.samples);
        let left_first = samples.prefixes(k + 2).len() <= samples.suffixes(k).len();
        let (x0, y0) = if left_first { (self.left, self.right) } else { (self.right, self.left) };
        let (level1, level2) = if left_first {
            (samples.prefixes(k + 1), samples.prefixes(k + 2))
        } else {
            (samples.suffixes(k + 1), samples.suffixes(k))
        };
        Way { left_first, x0, y0, level1, level2 }
    }

    /// Amplitudes of all samples, and their sums over classes for [`gradient`](Self::gradient) to use.
    pub fn sum_up(&self, centre: &Centre<T>, position: &mut Position, work: &mut Workspace<T>) -> Likelihood {
        self.evaluate(centre, position, work, true)
    }

    /// Amplitudes of all samples.
    pub fn likelihood(&self, centre: &Centre<T>, position: &mut Position, work: &mut Workspace<T>) -> Likelihood {
        self.evaluate(centre, position, work, false)
    }

    fn evaluate(
        &self,
        centre: &Centre<T>,
        position: &mut Position,
        work: &mut Workspace<T>,
        with_sums: bool,
    ) -> Likelihood {
        let (k, way) = (self.site, self.way());
        // Whether classes are followed over the near site only, and met by an environment that includes the far one.
        let near = matches!((way.left_first, centre), (true, Centre::Left(..)) | (false, Centre::Right(..)));
        let at = if near { k + 1 } else { k + 2 * usize::from(way.left_first) };
        position.seek(self.samples, at, at);
        let (ids, others) =
            if way.left_first { (&position.prefix, &position.suffix) } else { (&position.suffix, &position.prefix) };
        let level = if near { way.level1 } else { way.level2 };
        let (classes, width) = (level.len(), way.y0.rows.ncols());
        let Workspace { sums, parts, start, order } = work;
        sort(ids, classes, start, order);
        sums.resize(way.level2.len() * width, T::zero());

        let mult = classes * way.x0.rows.ncols() * width;
        let count = parts_of(mult, classes);
        parts.resize_with(count.max(parts.len()), Part::default);
        let length = classes.div_ceil(count);
        let mut tasks = Vec::with_capacity(count);
        // Where the sums of each task stand: a stretch for each far symbol, or one stretch.
        let dim = if near { way.level2.start.len() - 1 } else { 1 };
        let mut rest: Vec<&mut [T]> = Vec::with_capacity(dim);
        let mut tail: &mut [T] = sums;
        for symbol in 0..dim {
            let until = if near { way.level2.start[symbol + 1] - way.level2.start[symbol] } else { classes };
            let (head, more) = tail.split_at_mut(until * width);
            rest.push(head);
            tail = more;
        }
        let mut taken = vec![0; dim];
        for (number, part) in parts[..count].iter_mut().enumerate() {
            let range = (number * length).min(classes)..((number + 1) * length).min(classes);
            let mut slices = Vec::with_capacity(dim);
            for (symbol, rest) in rest.iter_mut().enumerate() {
                let end =
                    if near { way.level2.before(symbol, range.end) - way.level2.start[symbol] } else { range.end };
                let (head, more) = std::mem::take(rest).split_at_mut((end - taken[symbol]) * width);
                slices.push(head);
                *rest = more;
                taken[symbol] = end;
            }
            tasks.push((range, slices, part));
        }
        let group = Group { bond: self, way: &way, centre, near, others, start, order, with_sums };
        let run = |(range, slices, part): (Range<usize>, Vec<&mut [T]>, &mut Part<T>)| group.work(range, slices, part);
        if count > 1 {
            each(tasks, run);
        } else {
            tasks.into_iter().for_each(run);
        }
        Likelihood {
            nll: parts[..count].iter().map(|p| p.nll).sum(),
            bad: parts[..count].iter().filter_map(|p| p.bad).min(),
        }
    }

    /// `2 sum_i w_i conj(L_i R_i / psi_i)`, written over `gradient` `[left, s, t, right]`.
    pub fn gradient(&self, work: &Workspace<T>, gradient: &mut Array4<T>) {
        let way = self.way();
        let (dl, ds, dt, dr) = gradient.dim();
        let (classes, width, height) = (way.level2.len(), way.y0.rows.ncols(), way.x0.rows.ncols());
        let parallel = classes * dl * dr >= PARALLEL_FROM;
        let Ok(sums) = ArrayView2::from_shape((classes, width), &work.sums) else { return };
        // Cut along the side that is gathered, so that no row is copied twice.
        let middle = if parallel && height >= 16 { height / 2 } else { height };
        let mut tasks = Vec::with_capacity(2 * ds * dt);
        let mut planes = gradient.view_mut();
        for sy in 0..ds {
            let (plane, rest) = planes.split_at(Axis(1), 1);
            planes = rest;
            let mut blocks = plane.index_axis_move(Axis(1), 0);
            for t in 0..dt {
                let (block, rest) = blocks.split_at(Axis(1), 1);
                blocks = rest;
                let (near, far) = if way.left_first { (sy, t) } else { (t, sy) };
                let range = way.level2.group(way.level1, near, far);
                let mut block = block.index_axis_move(Axis(1), 0);
                if range.is_empty() {
                    block.fill(T::zero());
                    continue;
                }
                let (a, b) = block.split_at(Axis(usize::from(!way.left_first)), middle);
                tasks.push((range.clone(), 0..middle, a));
                if middle < height {
                    tasks.push((range, middle..height, b));
                }
            }
        }
        let run = |gathered: &mut Vec<T>, (range, columns, mut block): Block<T>| {
            let part = way.x0.rows.slice(s![.., columns]);
            let rows = listed(&part, range.clone().map(|c| way.origin(c)), gathered);
            let sums = sums.slice(s![range, ..]);
            let (l, r): (ArrayView2<T>, ArrayView2<T>) = if way.left_first { (rows, sums) } else { (sums, rows) };
            gemm(T::from_f64(2.0), &l, Op::Transpose, &r, Op::None, T::zero(), &mut block);
            if T::IS_COMPLEX {
                block.mapv_inplace(T::conj);
            }
        };
        if parallel {
            // The large ones first.
            tasks.sort_by_key(|(range, ..)| std::cmp::Reverse(range.len()));
            each_with(tasks, Vec::new, run);
        } else {
            let mut gathered = Vec::new();
            tasks.into_iter().for_each(|task| run(&mut gathered, task));
        }
    }
}

/// Classes, columns of the gathered side, and the part of the gradient they make.
type Block<'a, T> = (Range<usize>, Range<usize>, ArrayViewMut2<'a, T>);

/// How many samples ahead their rows are asked for.
const AHEAD: usize = 3;

/// What all tasks of one evaluation share.
struct Group<'a, 'b, 'c, T> {
    bond: &'a Bond<'b, T>,
    way: &'a Way<'b, T>,
    centre: &'a Centre<'c, T>,
    near: bool,
    /// The class of each sample on the other side.
    others: &'a [u32],
    start: &'a [usize],
    order: &'a [u32],
    with_sums: bool,
}

impl<T: Scalar> Group<'_, '_, '_, T> {
    fn work(&self, range: Range<usize>, sums: Vec<&mut [T]>, part: &mut Part<T>) {
        self.outer(range.clone(), part);
        wide(
            #[inline(always)]
            || self.meet(range, sums, part),
        );
    }

    /// The rows of the classes in `range`, taken over the centre, into `part.outer`.
    fn outer(&self, range: Range<usize>, part: &mut Part<T>) {
        let Way { left_first, x0, level1, level2, .. } = *self.way;
        let op = if left_first { Op::None } else { Op::Transpose };
        let width = match self.centre {
            Centre::Left(tensor, _) | Centre::Right(tensor, _) => {
                if left_first {
                    tensor.dim().2
                } else {
                    tensor.dim().0
                }
            }
            Centre::Merged(_) => self.way.y0.rows.ncols(),
        };
        part.outer.resize(range.len() * width, T::zero());
        let Ok(mut outer) = ArrayViewMut2::from_shape((range.len(), width), &mut part.outer) else { return };
        let gathered = &mut part.gathered;
        let mut multiply = |classes: Range<usize>, rows: &ArrayView2<T>, matrix: &ArrayView2<T>| {
            let mut out = outer.slice_mut(s![classes.start - range.start..classes.end - range.start, ..]);
            gemm(T::one(), rows, Op::None, matrix, op, T::zero(), &mut out);
        };
        let common = |a: Range<usize>| a.start.max(range.start)..a.end.min(range.end);
        match self.centre {
            Centre::Left(tensor, beyond) | Centre::Right(tensor, beyond) => {
                // The centre is the site next to x0, or the one after it.
                let (level, from) = if self.near { (level1, &x0.rows) } else { (level2, &beyond.rows) };
                for symbol in 0..tensor.dim().1 {
                    let classes = common(level.start[symbol]..level.start[symbol + 1]);
                    if !classes.is_empty() {
                        let from = from.view();
                        let rows = listed(&from, level.parent[classes.clone()].iter().copied(), gathered);
                        multiply(classes, &rows, &tensor.slice(s![.., symbol, ..]));
                    }
                }
            }
            Centre::Merged(merged) => {
                let (_, ds, dt, _) = merged.dim();
                for (sy, t) in (0..ds).flat_map(|sy| (0..dt).map(move |t| (sy, t))) {
                    let (near, far) = if left_first { (sy, t) } else { (t, sy) };
                    let classes = common(level2.group(level1, near, far));
                    if !classes.is_empty() {
                        let from = x0.rows.view();
                        let rows = listed(&from, classes.clone().map(|c| self.way.origin(c)), gathered);
                        multiply(classes, &rows, &merged.slice(s![.., sy, t, ..]));
                    }
                }
            }
        }
    }

    /// Amplitudes of the samples in these classes, and the sums of their factors.
    #[inline(always)]
    fn meet(&self, range: Range<usize>, mut sums: Vec<&mut [T]>, part: &mut Part<T>) {
        let Way { left_first, x0, y0, level1, .. } = *self.way;
        let (samples, k) = (self.bond.samples, self.bond.site);
        let far_symbols = samples.symbols(if left_first { k + 1 } else { k });
        // The environment that is met, its classes at the other end of the bond, and the powers of two of the classes.
        let (met, level_y) = match self.centre {
            Centre::Left(_, beyond) if self.near => (*beyond, Some(samples.suffixes(k + 1))),
            Centre::Right(_, beyond) if self.near => (*beyond, Some(samples.prefixes(k + 1))),
            _ => (y0, None),
        };
        let (met_rows, y_rows) = (flat(&met.rows), flat(&y0.rows));
        let (met_width, width) = (met.rows.ncols(), y0.rows.ncols());
        part.cursor.clear();
        part.cursor.resize(sums.len(), (0, false));
        part.bad = None;
        let mut total = LnSum::default();
        for (row, class) in part.outer.chunks_exact(met_width).zip(range) {
            // Powers of two: of the rows before the centre, and of the row that includes the other site.
            let (inner, outer) = match self.centre {
                _ if self.near => {
                    let e = x0.exponent[level1.parent[class] as usize];
                    (e, e)
                }
                Centre::Left(_, beyond) | Centre::Right(_, beyond) => (
                    x0.exponent[self.way.origin(class) as usize],
                    beyond.exponent[self.way.level2.parent[class] as usize],
                ),
                Centre::Merged(_) => {
                    let e = x0.exponent[self.way.origin(class) as usize];
                    (e, e)
                }
            };
            for at in self.start[class]..self.start[class + 1] {
                if let Some(&next) = self.order.get(at + AHEAD) {
                    let y = self.others[next as usize] as usize;
                    fetch(&met_rows[y * met_width..(y + 1) * met_width]);
                    if let Some(level) = level_y {
                        let y = level.parent[y] as usize;
                        fetch(&y_rows[y * width..(y + 1) * width]);
                    }
                }
                let i = self.order[at] as usize;
                let y = self.others[i] as usize;
                let y_inner = level_y.map_or(y, |level| level.parent[y] as usize);
                let psi = dot(row, &met_rows[y * met_width..(y + 1) * met_width]);
                let weight = samples.weights[i];
                let fine = total.add(psi, outer + met.exponent[y], weight);
                if !fine {
                    part.bad = Some(part.bad.map_or(i, |bad| bad.min(i)));
                }
                if !self.with_sums {
                    continue;
                }
                let shift = inner + y0.exponent[y_inner] - outer - met.exponent[y];
                let scale = if shift == 0 { weight } else { weight * power_of_two(shift) };
                let factor = if fine { T::from_f64(scale) / psi } else { T::zero() };
                let from = &y_rows[y_inner * width..(y_inner + 1) * width];
                let symbol = if self.near { usize::from(far_symbols[i]) } else { 0 };
                let (at, started) = &mut part.cursor[symbol];
                let to = &mut sums[symbol][*at * width..(*at + 1) * width];
                if *started {
                    to.iter_mut().zip(from).for_each(|(x, &y)| *x += factor * y);
                } else {
                    to.iter_mut().zip(from).for_each(|(x, &y)| *x = factor * y);
                    *started = true;
                }
            }
            for (at, started) in &mut part.cursor {
                *at += usize::from(*started);
                *started = false;
            }
        }
        part.nll = -total.finish();
    }
}

/// `sum of w ln |psi|^2`, with few logarithms: as long as the weight stays the same, factors are multiplied.
#[derive(Default)]
struct LnSum {
    total: f64,
    weight: f64,
    /// A product of factors in `[1, 2)`, and the powers of two left out of it.
    product: f64,
    exponent: i64,
    count: u32,
}

impl LnSum {
    /// Adds `weight ln |psi 2^exponent|^2`; false if that is not finite.
    #[inline(always)]
    fn add<T: Scalar>(&mut self, psi: T, exponent: i32, weight: f64) -> bool {
        let (re, im) = (Real::to_f64(psi.re()), Real::to_f64(psi.im()));
        let mut square = re * re + im * im;
        let mut power = 2 * i64::from(exponent);
        if !square.is_normal() {
            // Near the ends of the range the square leaves it before the number does.
            let size = re.hypot(im);
            if !(size > 0.0 && size.is_finite()) {
                return false;
            }
            let factor = if size < 1.0 { 2.0_f64.powi(600) } else { 2.0_f64.powi(-600) };
            square = (re * factor).powi(2) + (im * factor).powi(2);
            power += if size < 1.0 { -1200 } else { 1200 };
        }
        // 512 factors below 2 stay in range.
        if weight.to_bits() != self.weight.to_bits() || self.count == 512 {
            self.flush();
            self.weight = weight;
        }
        let bits = square.to_bits();
        self.exponent += power + (bits >> 52) as i64 - 1023;
        self.product *= f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
        self.count += 1;
        true
    }

    fn flush(&mut self) {
        if self.count > 0 {
            self.total += self.weight * (self.product.ln() + self.exponent as f64 * std::f64::consts::LN_2);
        }
        (self.product, self.exponent, self.count) = (1.0, 0, 0);
    }

    fn finish(mut self) -> f64 {
        self.flush();
        self.total
    }
}

/// `a . b` without conjugation.
#[inline(always)]
fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    // Eight independent sums, so that the additions need not wait for one another.
    let mut sums = [T::zero(); 8];
    let (mut ca, mut cb) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in (&mut ca).zip(&mut cb) {
        for j in 0..8 {
            sums[j] += x[j] * y[j];
        }
    }
    let rest: T = ca.remainder().iter().zip(cb.remainder()).map(|(&x, &y)| x * y).sum();
    (sums[0] + sums[4]) + (sums[1] + sums[5]) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

fn flat<T>(rows: &ndarray::Array2<T>) -> &[T] {
    rows.as_slice().unwrap_or(&[])
}

/// The samples by class: those of class `c` are `order[start[c] .. start[c + 1]]`, ascending.
fn sort(ids: &[u32], classes: usize, start: &mut Vec<usize>, order: &mut Vec<u32>) {
    start.clear();
    start.resize(classes + 2, 0);
    ids.iter().for_each(|&c| start[c as usize + 2] += 1);
    for c in 2..start.len() {
        start[c] += start[c - 1];
    }
    order.resize(ids.len(), 0);
    // Shifted by one, so that placing the samples leaves the starts behind.
    for (i, &c) in ids.iter().enumerate() {
        let at = &mut start[c as usize + 1];
        order[*at] = i as u32;
        *at += 1;
    }
}
