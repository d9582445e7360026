//! Gates on a block of amplitudes that fits into the cache: real and imaginary parts apart, `[2^bits]` each.
//!
//! Where a bit below [`LOW`] takes part, amplitudes are still worked at [`LANES`] at a time: elements of the matrix then
//! differ from lane to lane, and a low target pairs lanes of the same vector.

// Lanes are counted: several arrays of the same length go side by side.
#![allow(clippy::needless_range_loop)]

use crate::scalar::Real;

pub(super) const LOW: usize = 3;
pub(super) const LANES: usize = 1 << LOW;

/// A complex number.
pub(super) type Pair<T> = (T, T);

/// A gate on the bits of a block, bit 0 least significant.
#[derive(Debug, Clone)]
pub(super) struct Local<T> {
    /// Bits that have to have a value.
    pub mask: usize,
    pub value: usize,
    pub action: Action<T>,
}

#[derive(Debug, Clone)]
pub(super) enum Action<T> {
    /// A matrix of one bit, rows first.
    One { target: usize, matrix: [Pair<T>; 4] },
    /// A matrix of one bit, `off` where the bits of the mask have other values; the mask has one bit.
    Choice { target: usize, on: [Pair<T>; 4], off: [Pair<T>; 4] },
    /// X.
    Flip { target: usize },
    /// Exchange of two bits.
    Swap { a: usize, b: usize },
    /// Factors by the bits `targets`, the first most significant.
    Diagonal { targets: Vec<usize>, factors: Vec<Pair<T>> },
    /// A matrix of two or three bits, rows first, the first bit most significant.
    Dense { targets: Vec<usize>, matrix: Vec<Pair<T>> },
}

#[inline(always)]
pub(super) fn fused<T: Real, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `acc + m z`.
#[inline(always)]
pub(super) fn add_product<T: Real, const FMA: bool>(acc: Pair<T>, m: Pair<T>, z: Pair<T>) -> Pair<T> {
    let re = fused::<T, FMA>(-m.1, z.1, fused::<T, FMA>(m.0, z.0, acc.0));
    let im = fused::<T, FMA>(m.1, z.0, fused::<T, FMA>(m.0, z.1, acc.1));
    (re, im)
}

#[inline(always)]
pub(super) fn product<T: Real, const FMA: bool>(m: Pair<T>, z: Pair<T>) -> Pair<T> {
    (fused::<T, FMA>(-m.1, z.1, m.0 * z.0), fused::<T, FMA>(m.1, z.0, m.0 * z.1))
}

/// Where runs of amplitudes begin that have zeros at `fixed` bits, ascending.
pub(super) struct Runs<'a> {
    fixed: &'a [usize],
    pub run: usize,
    pub count: usize,
    low: usize,
}

impl<'a> Runs<'a> {
    /// In a block of `length`; runs end at the lowest of the bits.
    #[inline(always)]
    pub fn new(fixed: &'a [usize], length: usize) -> Self {
        let low = fixed.first().copied().unwrap_or(length.trailing_zeros() as usize);
        Runs { fixed, run: 1 << low, count: (length >> fixed.len()) >> low, low }
    }

    #[inline(always)]
    pub fn start(&self, number: usize) -> usize {
        let mut index = number << self.low;
        for &bit in self.fixed {
            index = (index >> bit << (bit + 1)) | (index & ((1 << bit) - 1));
        }
        index
    }
}

pub(super) fn bits_of(mask: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS as usize).filter(move |bit| mask >> bit & 1 == 1)
}

/// A function that runs `body::<T, FMA>` compiled for the widest vectors that the processor has.
macro_rules! widest {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($argument:ident: $type:ty),*) $(-> $out:ty)? = $body:ident) => {
        $(#[$doc])*
        $vis fn $name<T: Real>($($argument: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                use std::is_x86_feature_detected as has;
                if has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl") && has!("fma") {
                    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                    fn wide<T: Real>($($argument: $type),*) $(-> $out)? {
                        $body::<T, true>($($argument),*)
                    }
                    // SAFETY: the processor has what the function needs.
                    return unsafe { wide($($argument),*) };
                }
                if has!("avx2") && has!("fma") {
                    #[target_feature(enable = "avx2,fma")]
                    fn wide<T: Real>($($argument: $type),*) $(-> $out)? {
                        $body::<T, true>($($argument),*)
                    }
                    // SAFETY: the processor has what the function needs.
                    return unsafe { wide($($argument),*) };
                }
            }
            $body::<T, false>($($argument),*)
        }
    };
}
pub(super) use widest;

widest! {
    /// Does a gate.
    pub(super) fn apply(re: &mut [T], im: &mut [T], gate: &Local<T>) = body
}

#[inline(always)]
fn body<T: Real, const FMA: bool>(re: &mut [T], im: &mut [T], gate: &Local<T>) {
    let short = re.len() < LANES;
    match &gate.action {
        Action::One { target, matrix } if short => {
            dense::<T, FMA, 1>(re, im, gate, &[*target], matrix);
        }
        Action::One { target, matrix } => one::<T, FMA>(re, im, gate, *target, matrix, None),
        Action::Choice { target, on, off } => {
            // Low controls tell lanes of the same vector apart; others tell where the one matrix acts and where the other.
            if !short && gate.mask < LANES {
                one::<T, FMA>(re, im, gate, *target, on, Some(off));
                return;
            }
            for (value, matrix) in [(gate.value, on), (gate.value ^ gate.mask, off)] {
                let half = Local { mask: gate.mask, value, action: Action::One { target: *target, matrix: *matrix } };
                if short {
                    dense::<T, FMA, 1>(re, im, &half, &[*target], matrix);
                } else {
                    one::<T, FMA>(re, im, &half, *target, matrix, None);
                }
            }
        }
        Action::Flip { target } => {
            let bits = gate.mask | 1 << target;
            if short || bits & (LANES - 1) != 0 {
                let (zero, unit) = ((T::zero(), T::zero()), (T::one(), T::zero()));
                let matrix = [zero, unit, unit, zero];
                if short {
                    dense::<T, FMA, 1>(re, im, gate, &[*target], &matrix);
                } else {
                    one::<T, FMA>(re, im, gate, *target, &matrix, None);
                }
            } else {
                exchange(re, im, gate, 0, 1 << target, bits);
            }
        }
        Action::Swap { a, b } => exchange(re, im, gate, 1 << a, 1 << b, gate.mask | 1 << a | 1 << b),
        Action::Diagonal { targets, factors } => diagonal::<T, FMA>(re, im, targets, factors),
        Action::Dense { targets, matrix } => {
            let bits = targets.iter().fold(gate.mask, |bits, t| bits | 1 << t);
            if bits & (LANES - 1) == 0 && !short {
                dense::<T, FMA, LANES>(re, im, gate, targets, matrix);
            } else {
                dense::<T, FMA, 1>(re, im, gate, targets, matrix);
            }
        }
    }
}

/// Amplitudes with the bits `first` change places with those with the bits `second`.
#[inline(always)]
fn exchange<T: Real>(re: &mut [T], im: &mut [T], gate: &Local<T>, first: usize, second: usize, bits: usize) {
    let fixed: Vec<usize> = bits_of(bits).collect();
    let runs = Runs::new(&fixed, re.len());
    let (less, more) = (gate.value | first.min(second), gate.value | first.max(second));
    for number in 0..runs.count {
        let start = runs.start(number);
        let (i, j) = (start | less, start | more);
        for part in [&mut *re, &mut *im] {
            let (low, high) = part.split_at_mut(j);
            low[i..i + runs.run].swap_with_slice(&mut high[..runs.run]);
        }
    }
}

/// Whether a lane has the low control bits.
#[inline(always)]
pub(super) fn lane_acts<T>(gate: &Local<T>, lane: usize) -> bool {
    let low = gate.mask & (LANES - 1);
    lane & low == gate.value & low
}

/// A matrix of one bit; `off` in lanes that do not have the low control bits, which are left alone without one.
#[inline(always)]
fn one<T: Real, const FMA: bool>(
    re: &mut [T],
    im: &mut [T],
    gate: &Local<T>,
    target: usize,
    on: &[Pair<T>; 4],
    off: Option<&[Pair<T>; 4]>,
) {
    let (zero, unit) = ((T::zero(), T::zero()), (T::one(), T::zero()));
    let identity = [unit, zero, zero, unit];
    let off = off.unwrap_or(&identity);
    match target {
        0 => lanes::<T, FMA, 1>(re, im, gate, on, off),
        1 => lanes::<T, FMA, 2>(re, im, gate, on, off),
        2 => lanes::<T, FMA, 4>(re, im, gate, on, off),
        _ => paired_blocks::<T, FMA>(re, im, gate, target, on, off),
    }
}

/// One bit at `target >= LOW`.
#[inline(always)]
fn paired_blocks<T: Real, const FMA: bool>(
    re: &mut [T],
    im: &mut [T],
    gate: &Local<T>,
    target: usize,
    matrix: &[Pair<T>; 4],
    off: &[Pair<T>; 4],
) {
    let zero = (T::zero(), T::zero());
    let uniform = gate.mask & (LANES - 1) == 0;
    let mut m = [[zero; LANES]; 4];
    for lane in 0..LANES {
        let from = if lane_acts(gate, lane) { matrix } else { off };
        m.iter_mut().zip(from).for_each(|(row, element)| row[lane] = *element);
    }
    let high = (gate.mask | 1 << target) & !(LANES - 1);
    let fixed: Vec<usize> = bits_of(high).collect();
    let runs = Runs::new(&fixed, re.len());
    let value = gate.value & !(LANES - 1);
    for number in 0..runs.count {
        let i = runs.start(number) | value;
        let j = i | 1 << target;
        let (re_low, re_high) = re.split_at_mut(j);
        let (im_low, im_high) = im.split_at_mut(j);
        let (ar, ai) = (&mut re_low[i..i + runs.run], &mut im_low[i..i + runs.run]);
        let (br, bi) = (&mut re_high[..runs.run], &mut im_high[..runs.run]);
        if uniform {
            for (((ar, ai), br), bi) in ar.iter_mut().zip(ai.iter_mut()).zip(br.iter_mut()).zip(bi.iter_mut()) {
                let (a, b) = ((*ar, *ai), (*br, *bi));
                (*ar, *ai) = add_product::<T, FMA>(product::<T, FMA>(matrix[0], a), matrix[1], b);
                (*br, *bi) = add_product::<T, FMA>(product::<T, FMA>(matrix[2], a), matrix[3], b);
            }
            continue;
        }
        let blocks = ar.as_chunks_mut::<LANES>().0.iter_mut().zip(ai.as_chunks_mut::<LANES>().0);
        let others = br.as_chunks_mut::<LANES>().0.iter_mut().zip(bi.as_chunks_mut::<LANES>().0);
        for ((ar, ai), (br, bi)) in blocks.zip(others) {
            for lane in 0..LANES {
                let (a, b) = ((ar[lane], ai[lane]), (br[lane], bi[lane]));
                (ar[lane], ai[lane]) = add_product::<T, FMA>(product::<T, FMA>(m[0][lane], a), m[1][lane], b);
                (br[lane], bi[lane]) = add_product::<T, FMA>(product::<T, FMA>(m[2][lane], a), m[3][lane], b);
            }
        }
    }
}

/// One bit at a target below [`LOW`], whose mask is `BIT`.
#[inline(always)]
fn lanes<T: Real, const FMA: bool, const BIT: usize>(
    re: &mut [T],
    im: &mut [T],
    gate: &Local<T>,
    on: &[Pair<T>; 4],
    off: &[Pair<T>; 4],
) {
    let zero = T::zero();
    let [own, other] = lane_elements::<T, BIT>(gate, on, off);
    let fixed: Vec<usize> = bits_of(gate.mask & !(LANES - 1)).collect();
    let runs = Runs::new(&fixed, re.len());
    let value = gate.value & !(LANES - 1);
    for number in 0..runs.count {
        let i = runs.start(number) | value;
        let re_blocks = re[i..i + runs.run].as_chunks_mut::<LANES>().0;
        let im_blocks = im[i..i + runs.run].as_chunks_mut::<LANES>().0;
        for (re, im) in re_blocks.iter_mut().zip(im_blocks) {
            let (mut sr, mut si) = ([zero; LANES], [zero; LANES]);
            for lane in 0..LANES {
                (sr[lane], si[lane]) = (re[lane ^ BIT], im[lane ^ BIT]);
            }
            let (mut tr, mut ti) = ([zero; LANES], [zero; LANES]);
            for lane in 0..LANES {
                let kept = product::<T, FMA>(own[lane], (re[lane], im[lane]));
                (tr[lane], ti[lane]) = add_product::<T, FMA>(kept, other[lane], (sr[lane], si[lane]));
            }
            (*re, *im) = (tr, ti);
        }
    }
}

/// What a lane keeps of itself, and what it takes of its partner across `BIT`.
#[inline(always)]
pub(super) fn lane_elements<T: Real, const BIT: usize>(
    gate: &Local<T>,
    on: &[Pair<T>; 4],
    off: &[Pair<T>; 4],
) -> [[Pair<T>; LANES]; 2] {
    let (mut own, mut other) = ([(T::zero(), T::zero()); LANES], [(T::zero(), T::zero()); LANES]);
    for lane in 0..LANES {
        let (matrix, row) = (if lane_acts(gate, lane) { on } else { off }, usize::from(lane & BIT != 0));
        (own[lane], other[lane]) = (matrix[3 * row], matrix[1 + row]);
    }
    [own, other]
}

/// Factors by bits; there are no further controls, these are among the targets.
#[inline(always)]
fn diagonal<T: Real, const FMA: bool>(re: &mut [T], im: &mut [T], targets: &[usize], factors: &[Pair<T>]) {
    let count = targets.len();
    let factor_at = |index: usize| {
        let place = targets.iter().fold(0, |place, &bit| place * 2 + (index >> bit & 1));
        factors[place]
    };
    if re.len() < LANES {
        for index in 0..re.len() {
            (re[index], im[index]) = product::<T, FMA>(factor_at(index), (re[index], im[index]));
        }
        return;
    }
    let mut fixed: Vec<usize> = targets.iter().copied().filter(|&bit| bit >= LOW).collect();
    fixed.sort_unstable();
    let lanes_alike = fixed.len() == count;
    let runs = Runs::new(&fixed, re.len());
    let one = (T::one(), T::zero());
    for choice in 0..1_usize << fixed.len() {
        let set = fixed.iter().enumerate().fold(0, |set, (i, &bit)| set | (choice >> i & 1) << bit);
        let (mut fr, mut fi) = ([T::one(); LANES], [T::zero(); LANES]);
        for lane in 0..LANES {
            (fr[lane], fi[lane]) = factor_at(set | lane);
        }
        if (0..LANES).all(|lane| (fr[lane], fi[lane]) == one) {
            continue;
        }
        for number in 0..runs.count {
            let i = runs.start(number) | set;
            let (re, im) = (&mut re[i..i + runs.run], &mut im[i..i + runs.run]);
            if lanes_alike {
                let f = (fr[0], fi[0]);
                for (re, im) in re.iter_mut().zip(im) {
                    (*re, *im) = product::<T, FMA>(f, (*re, *im));
                }
                continue;
            }
            let blocks = re.as_chunks_mut::<LANES>().0.iter_mut().zip(im.as_chunks_mut::<LANES>().0);
            for (re, im) in blocks {
                for lane in 0..LANES {
                    (re[lane], im[lane]) = product::<T, FMA>((fr[lane], fi[lane]), (re[lane], im[lane]));
                }
            }
        }
    }
}

/// A matrix of up to three bits, on `WIDTH` neighbours at once.
#[inline(always)]
fn dense<T: Real, const FMA: bool, const WIDTH: usize>(
    re: &mut [T],
    im: &mut [T],
    gate: &Local<T>,
    targets: &[usize],
    matrix: &[Pair<T>],
) {
    let dim = 1 << targets.len();
    let bits = targets.iter().fold(gate.mask, |bits, t| bits | 1 << t);
    let fixed: Vec<usize> = bits_of(bits).collect();
    let runs = Runs::new(&fixed, re.len());
    let mut offsets = [0; 8];
    for (row, offset) in offsets.iter_mut().enumerate().take(dim) {
        let place = |(i, &bit): (usize, &usize)| (row >> (targets.len() - 1 - i) & 1) << bit;
        *offset = gate.value | targets.iter().enumerate().map(place).sum::<usize>();
    }
    let zero = T::zero();
    let (mut ar, mut ai) = ([[zero; WIDTH]; 8], [[zero; WIDTH]; 8]);
    for number in 0..runs.count {
        let start = runs.start(number);
        for step in (0..runs.run).step_by(WIDTH) {
            for row in 0..dim {
                let i = (start | offsets[row]) + step;
                ar[row].copy_from_slice(&re[i..i + WIDTH]);
                ai[row].copy_from_slice(&im[i..i + WIDTH]);
            }
            for row in 0..dim {
                let (mut sr, mut si) = ([zero; WIDTH], [zero; WIDTH]);
                for column in 0..dim {
                    let m = matrix[row * dim + column];
                    for lane in 0..WIDTH {
                        let z = (ar[column][lane], ai[column][lane]);
                        (sr[lane], si[lane]) = add_product::<T, FMA>((sr[lane], si[lane]), m, z);
                    }
                }
                let i = (start | offsets[row]) + step;
                re[i..i + WIDTH].copy_from_slice(&sr);
                im[i..i + WIDTH].copy_from_slice(&si);
            }
        }
    }
}
