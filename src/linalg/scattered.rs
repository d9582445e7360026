//! Products of matrices that lie in memory in any way, for shapes in which a factor is thin.
//!
//! A product of `[m, k]` and `[k, n]` with a small `k` writes an element for every few multiplications: it is bound by
//! memory, and to put a factor into order first costs more than the product. So the left factor is read element by
//! element wherever it lies; of the right one, rows that are contiguous are read where they stand, others are gathered
//! a block at a time into a buffer that stays in the cache.

use std::mem::MaybeUninit;

use super::tile::{Inner, tile};
use crate::scalar::{Kind, Scalar};

/// A loop over an index in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Values of the index.
    pub len: usize,
    /// Elements from one value to the next.
    pub stride: usize,
}

/// The elements of a product by their places: a matrix `[m, k]`, one `[k, n]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scattered {
    /// The rows of the left factor, slowest first.
    pub rows: Vec<Run>,
    /// The columns of the right factor, slowest first.
    pub cols: Vec<Run>,
    /// For each value of the summed index its place in the left factor.
    pub left: Vec<usize>,
    /// For each value of the summed index its place in the right factor.
    pub right: Vec<usize>,
}

/// The longest sum that is made in this way.
pub(crate) const LONGEST: usize = 256;
/// Rows whose places are listed at once.
const ROWS: usize = 64;
/// Bytes of these rows of the left factor, which stay in the first-level cache.
const LINES: usize = 1 << 14;
/// Columns of the widest panel.
const PANEL: usize = 32;
/// Bytes of the buffer of the right factor, in the second-level cache.
const BUFFER: usize = 1 << 16;

fn count(runs: &[Run]) -> usize {
    runs.iter().map(|run| run.len).product()
}

fn reach(runs: &[Run]) -> usize {
    runs.iter().map(|run| (run.len - 1) * run.stride).sum()
}

impl Scattered {
    /// Elements that each factor has to have from its start.
    fn reaches(&self) -> (usize, usize) {
        let longest = |places: &[usize]| places.iter().copied().max().unwrap_or(0);
        (reach(&self.rows) + longest(&self.left) + 1, reach(&self.cols) + longest(&self.right) + 1)
    }
}

/// Places of the values of several indices, one after the other.
struct Places<'a> {
    runs: &'a [Run],
    next: usize,
}

impl Places<'_> {
    /// The places from the next on, as many as there is room for and are left.
    #[inline(always)]
    fn fill(&mut self, slots: &mut [usize]) -> usize {
        let [outer @ .., last] = self.runs else {
            // No index: one place.
            let done = self.next > 0;
            self.next = 1;
            if let Some(slot) = slots.first_mut().filter(|_| !done) {
                *slot = 0;
                return 1;
            }
            return 0;
        };
        let mut filled = 0;
        let total = count(self.runs);
        while filled < slots.len() && self.next < total {
            let (mut above, within) = (self.next / last.len, self.next % last.len);
            let mut at = within * last.stride;
            for run in outer.iter().rev() {
                at += above % run.len * run.stride;
                above /= run.len;
            }
            let here = (last.len - within).min(slots.len() - filled);
            for (i, slot) in slots[filled..filled + here].iter_mut().enumerate() {
                *slot = at + i * last.stride;
            }
            filled += here;
            self.next += here;
        }
        filled
    }
}

/// `C = A B` with either factor conjugated, `C` `[m, n]` in one piece, and the largest part of any of its elements as bits
/// without the sign (see [`largest_bits`]); `None` if a factor or `C` is too short.
///
/// The operations and their order depend on the shapes alone.
pub(crate) fn multiply_scattered<T: Scalar>(
    shape: &Scattered,
    a: &[T],
    b: &[T],
    conj: (bool, bool),
    c: &mut [T],
) -> Option<u64> {
    let (in_a, in_b) = shape.reaches();
    if a.len() < in_a || b.len() < in_b || c.len() != count(&shape.rows) * count(&shape.cols) {
        return None;
    }
    if shape.left.len() != shape.right.len() || shape.left.len() > LONGEST || shape.left.is_empty() {
        return None;
    }
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl") && has!("fma") {
            #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
            fn fused<T: Scalar>(shape: &Scattered, a: &[T], b: &[T], conj: (bool, bool), c: &mut [T]) -> u64 {
                // SAFETY: the lengths were checked.
                unsafe { product::<T, true, 128>(shape, a, b, conj, c) }
            }
            // SAFETY: the processor has the features.
            return Some(unsafe { fused(shape, a, b, conj, c) });
        }
        if has!("avx2") && has!("fma") {
            #[target_feature(enable = "avx2,fma")]
            fn fused<T: Scalar>(shape: &Scattered, a: &[T], b: &[T], conj: (bool, bool), c: &mut [T]) -> u64 {
                // SAFETY: the lengths were checked.
                unsafe { product::<T, true, 64>(shape, a, b, conj, c) }
            }
            // SAFETY: the processor has the features.
            return Some(unsafe { fused(shape, a, b, conj, c) });
        }
    }
    // SAFETY: the lengths were checked.
    Some(unsafe { product::<T, false, 64>(shape, a, b, conj, c) })
}

/// `BYTES` are those of two vector registers; which they are makes no difference to the bits of a result.
///
/// # Safety
/// The factors are as long as the shape says, and so is `c`.
#[inline(always)]
unsafe fn product<T: Scalar, const FUSED: bool, const BYTES: usize>(
    shape: &Scattered,
    a: &[T],
    b: &[T],
    conj: (bool, bool),
    c: &mut [T],
) -> u64 {
    let n = count(&shape.cols);
    let k = shape.left.len();
    let full = BYTES / size_of::<T>();
    let mut buffer = MaybeUninit::<[u64; BUFFER / 8]>::uninit();
    let buffer: *mut T = buffer.as_mut_ptr().cast();
    let contiguous = matches!(shape.cols[..], [] | [Run { stride: 1, .. }]);
    // Columns that the buffer holds, or that stay in the cache while all rows pass over them.
    let stretch = (BUFFER / size_of::<T>() / k / full).max(1) * full;
    let mut largest = 0;
    // Whole panels of contiguous columns are read where they stand, the rest is gathered.
    let mut done = 0;
    if contiguous {
        let whole = if n < full && n.is_power_of_two() { n } else { n / full * full };
        while done < whole {
            let cols = stretch.min(whole - done);
            let inner = Inner { left: &shape.left, right: &shape.right };
            // SAFETY: `cols` columns from `done` on are there, and contiguous.
            largest = largest
                .max(unsafe { block::<T, FUSED, BYTES>(shape, &inner, a, &b[done..], 1, conj, c, done, cols, n) });
            done += cols;
        }
    }
    if done == n {
        return largest;
    }
    let mut packed = [0; LONGEST];
    let mut places = Places { runs: &shape.cols, next: done };
    let mut at = [0; PANEL];
    while done < n {
        let cols = stretch.min(n - done);
        let mut panel = 0;
        let mut wide = full;
        while panel < cols {
            // The last panel is as wide as the narrowest tile that holds it, and filled with zeros.
            let own = full.min(cols - panel);
            wide = if cols < full { own.next_power_of_two() } else { full };
            let filled = places.fill(&mut at[..own]);
            // SAFETY: the buffer has room for `k` rows of `wide` elements of each panel, and places lie within `b`.
            unsafe {
                let mut to = buffer.add(panel * k);
                for &row in &shape.right {
                    let from = b.as_ptr().add(row);
                    if filled == full {
                        // The usual case, of a length that the compiler knows.
                        for (i, &place) in at[..BYTES / size_of::<T>()].iter().enumerate() {
                            *to.add(i) = *from.add(place);
                        }
                    } else {
                        for (i, &place) in at[..filled].iter().enumerate() {
                            *to.add(i) = *from.add(place);
                        }
                        for i in filled..wide {
                            *to.add(i) = T::zero();
                        }
                    }
                    to = to.add(wide);
                }
            }
            panel += full;
        }
        packed[..k].iter_mut().enumerate().for_each(|(p, place)| *place = p * wide);
        let inner = Inner { left: &shape.left, right: &packed[..k] };
        // SAFETY: all of these elements have been written.
        let gathered = unsafe { std::slice::from_raw_parts(buffer, k * wide * cols.div_ceil(full)) };
        // SAFETY: `cols` columns, padded to whole panels, are there, each panel `k` times as far as it is wide.
        largest =
            largest.max(unsafe { block::<T, FUSED, BYTES>(shape, &inner, a, gathered, k, conj, c, done, cols, n) });
        done += cols;
    }
    largest
}

/// The columns from `first` on of all rows of `C`.
///
/// # Safety
/// As [`product`]; `b` with the offsets of `inner` has `cols` columns, those of a panel contiguous and as many as one of the
/// tiles is wide, the panels `apart` times their width apart.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn block<T: Scalar, const FUSED: bool, const BYTES: usize>(
    shape: &Scattered,
    inner: &Inner<'_>,
    a: &[T],
    b: &[T],
    apart: usize,
    conj: (bool, bool),
    c: &mut [T],
    first: usize,
    cols: usize,
    n: usize,
) -> u64 {
    let full = BYTES / size_of::<T>();
    let mut rows = Places { runs: &shape.rows, next: 0 };
    let mut at = [0; ROWS];
    let at_once = (LINES / size_of::<T>() / inner.left.len()).clamp(ROWS / 8, ROWS);
    let mut row = 0;
    let mut largest = 0;
    loop {
        let count = rows.fill(&mut at[..at_once]);
        if count == 0 {
            return largest;
        }
        let mut col = 0;
        while col < cols {
            let wide = full.min(cols - col);
            // SAFETY: promised by the caller.
            unsafe {
                let (b, out) = (b.as_ptr().add(col * apart), c.as_mut_ptr().add(row * n + first + col));
                panel::<T, FUSED, BYTES>(inner, a.as_ptr(), &at[..count], b, conj, out, n, wide);
            }
            col += wide;
        }
        // While it is in the cache.
        if cols == n {
            largest = largest.max(bits(&c[row * n..(row + count) * n]));
        } else {
            for line in row..row + count {
                largest = largest.max(bits(&c[line * n + first..line * n + first + cols]));
            }
        }
        row += count;
    }
}

/// Some rows of one panel of columns.
///
/// # Safety
/// As [`block`].
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn panel<T: Scalar, const FUSED: bool, const BYTES: usize>(
    inner: &Inner<'_>,
    a: *const T,
    rows: &[usize],
    b: *const T,
    conj: (bool, bool),
    out: *mut T,
    n: usize,
    cols: usize,
) {
    let wide = cols.next_power_of_two() * size_of::<T>();
    // SAFETY: promised by the caller. Tiles fill the registers that there are, for sums long enough to hide latency.
    unsafe {
        macro_rules! go {
            ($m:expr, $bytes:expr) => {
                match T::KIND {
                    Kind::F32 => lines::<T, $m, { $bytes / 4 }, FUSED>(inner, a, rows, b, conj, out, n, cols),
                    Kind::F64 => lines::<T, { $m }, { $bytes / 8 }, FUSED>(inner, a, rows, b, conj, out, n, cols),
                    Kind::C32 => lines::<T, { $m / 2 }, { $bytes / 4 }, FUSED>(inner, a, rows, b, conj, out, n, cols),
                    Kind::C64 => lines::<T, { $m / 2 }, { $bytes / 8 }, FUSED>(inner, a, rows, b, conj, out, n, cols),
                }
            };
        }
        match wide {
            128 if BYTES == 128 => go!(4, 128),
            64 if BYTES == 128 => go!(8, 64),
            64 => go!(4, 64),
            32 => go!(8, 32),
            16 => go!(8, 16),
            8 => go!(8, 8),
            _ => lines::<T, 8, 1, FUSED>(inner, a, rows, b, conj, out, n, cols),
        }
    }
}

/// # Safety
/// As [`block`].
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn lines<T: Scalar, const M: usize, const W: usize, const FUSED: bool>(
    inner: &Inner<'_>,
    a: *const T,
    rows: &[usize],
    b: *const T,
    conj: (bool, bool),
    out: *mut T,
    n: usize,
    cols: usize,
) {
    // SAFETY: promised by the caller.
    unsafe {
        let mut line = 0;
        let (fours, _) = rows.as_chunks::<M>();
        for group in fours {
            let left = group.map(|at| a.add(at));
            tile::<T, M, W, FUSED>(inner, left, b, conj, out.add(line * n), n, cols);
            line += M;
        }
        if M > 2 {
            while line + 2 <= rows.len() {
                let left = [a.add(rows[line]), a.add(rows[line + 1])];
                tile::<T, 2, W, FUSED>(inner, left, b, conj, out.add(line * n), n, cols);
                line += 2;
            }
        }
        for (line, &at) in rows.iter().enumerate().skip(line) {
            tile::<T, 1, W, FUSED>(inner, [a.add(at)], b, conj, out.add(line * n), n, cols);
        }
    }
}

/// The largest modulus of a real or imaginary part, as the bits of an `f32` or `f64` without the sign: numbers are ordered
/// as these are, with infinity and NaN above all others.
#[inline(always)]
fn bits<T: Scalar>(elements: &[T]) -> u64 {
    match T::KIND {
        Kind::F32 | Kind::C32 => {
            u64::from(bytemuck::cast_slice::<T, u32>(elements).iter().fold(0, |m, &b| m.max(b & (u32::MAX >> 1))))
        }
        // Signed comparison, of which there are vectors.
        Kind::F64 | Kind::C64 => {
            bytemuck::cast_slice::<T, i64>(elements).iter().fold(0, |m, &b| m.max(b & i64::MAX)) as u64
        }
    }
}

/// The largest modulus of a real or imaginary part, as the bits of an `f32` or `f64` without the sign: numbers are ordered
/// as these are, with infinity and NaN above all others.
#[must_use]
pub(crate) fn largest_bits<T: Scalar>(elements: &[T]) -> u64 {
    super::wide(
        #[inline(always)]
        || bits(elements),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use num_complex::{Complex32, Complex64};
    use rand::RngExt;

    /// The places of all values of several indices, by counting.
    fn all(runs: &[Run]) -> Vec<usize> {
        runs.iter()
            .fold(vec![0], |at, run| at.iter().flat_map(|&x| (0..run.len).map(move |i| x + i * run.stride)).collect())
    }

    /// Some indices of these lengths, with strides that hold all their values apart in some order.
    fn apart(lens: &[usize], order: &[usize]) -> Vec<Run> {
        let mut runs: Vec<Run> = lens.iter().map(|&len| Run { len, stride: 0 }).collect();
        let mut below = 1;
        for &i in order {
            runs[i].stride = below;
            below *= lens[i];
        }
        runs
    }

    fn agrees<T: Scalar>(tolerance: f64) {
        let lengths = [vec![], vec![1], vec![2], vec![3], vec![16], vec![17], vec![5, 7], vec![3, 2, 4], vec![70, 3]];
        let mut stream = Seed(11).stream("scattered", 0);
        for (number, rows) in lengths.iter().enumerate() {
            for cols in &lengths {
                for inner in [vec![1], vec![2], vec![4], vec![2, 3], vec![LONGEST]] {
                    let mut order = |len: usize| -> Vec<usize> {
                        let mut order: Vec<usize> = (0..len).collect();
                        (1..len).rev().for_each(|i| order.swap(i, stream.random_range(0..=i)));
                        order
                    };
                    let left = apart(&[rows.as_slice(), &inner].concat(), &order(rows.len() + inner.len()));
                    let right = apart(&[inner.as_slice(), cols].concat(), &order(cols.len() + inner.len()));
                    let shape = Scattered {
                        rows: left[..rows.len()].to_vec(),
                        cols: right[inner.len()..].to_vec(),
                        left: all(&left[rows.len()..]),
                        right: all(&right[..inner.len()]),
                    };
                    let (m, n) = (count(&shape.rows), count(&shape.cols));
                    let a: Vec<T> = (0..m * shape.left.len()).map(|_| T::normal(&mut stream)).collect();
                    let b: Vec<T> = (0..n * shape.left.len()).map(|_| T::normal(&mut stream)).collect();
                    let conj = (number % 2 == 1, number % 3 == 1);
                    let mut c = vec![T::zero(); m * n];
                    let largest = multiply_scattered(&shape, &a, &b, conj, &mut c).unwrap();
                    assert_eq!(largest, largest_bits(&c));
                    let pick = |conj: bool, x: T| if conj { x.conj() } else { x };
                    let (row, col) = (all(&shape.rows), all(&shape.cols));
                    for (place, &x) in c.iter().enumerate() {
                        let (at_a, at_b) = (row[place / n], col[place % n]);
                        let terms = shape.left.iter().zip(&shape.right);
                        let sum: T = terms.map(|(&l, &r)| pick(conj.0, a[at_a + l]) * pick(conj.1, b[at_b + r])).sum();
                        assert!((sum - x).to_c64().norm() < tolerance, "{rows:?} {inner:?} {cols:?} {place}");
                    }
                    // A factor or a result that is too short is not read or written.
                    assert!(multiply_scattered(&shape, &a[1..], &b, conj, &mut c).is_none());
                    assert!(multiply_scattered(&shape, &a, &b[1..], conj, &mut c).is_none());
                    assert!(multiply_scattered(&shape, &a, &b, conj, &mut c[1..]).is_none());
                }
            }
        }
    }

    #[test]
    fn scattered_products_agree_with_the_sums() {
        agrees::<f32>(2e-4);
        agrees::<f64>(1e-12);
        agrees::<Complex32>(2e-4);
        agrees::<Complex64>(1e-12);
    }

    #[test]
    fn the_largest_part_is_found_and_nothing_hides_a_nan() {
        assert_eq!(largest_bits(&[1.0, -3.0, 2.0]), 3.0_f64.to_bits());
        assert_eq!(largest_bits(&[Complex32::new(0.5, -4.0)]), u64::from(4.0_f32.to_bits()));
        assert!(largest_bits(&[f64::NAN, 1.0]) > f64::INFINITY.to_bits());
        assert!(largest_bits(&[f64::NEG_INFINITY, 1.0]) == f64::INFINITY.to_bits());
        assert_eq!(largest_bits::<f64>(&[]), 0);
    }
}
