//! Gates on a block of amplitudes that fits into the cache: real and imaginary parts apart, `[2^bits]` each.
//!
//! Where a bit below [`LOW`] takes part, amplitudes are still worked at [`LANES`] at a time: elements of the matrix then
//! differ from lane to lane, and a low target pairs lanes of the same vector.

// Lanes are counted: several arrays of the same length go side by side.
#![allow(clippy::needless_range_loop)]

use num_complex::Complex64;

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
fn fused<T: Real, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `acc + m z`.
#[inline(always)]
fn add_product<T: Real, const FMA: bool>(acc: Pair<T>, m: Pair<T>, z: Pair<T>) -> Pair<T> {
    let re = fused::<T, FMA>(-m.1, z.1, fused::<T, FMA>(m.0, z.0, acc.0));
    let im = fused::<T, FMA>(m.1, z.0, fused::<T, FMA>(m.0, z.1, acc.1));
    (re, im)
}

#[inline(always)]
fn product<T: Real, const FMA: bool>(m: Pair<T>, z: Pair<T>) -> Pair<T> {
    (fused::<T, FMA>(-m.1, z.1, m.0 * z.0), fused::<T, FMA>(m.1, z.0, m.0 * z.1))
}

/// Where runs of amplitudes begin that have zeros at `fixed` bits, ascending.
struct Runs<'a> {
    fixed: &'a [usize],
    run: usize,
    count: usize,
    low: usize,
}

impl<'a> Runs<'a> {
    /// In a block of `length`; runs end at the lowest of the bits.
    #[inline(always)]
    fn new(fixed: &'a [usize], length: usize) -> Self {
        let low = fixed.first().copied().unwrap_or(length.trailing_zeros() as usize);
        Runs { fixed, run: 1 << low, count: (length >> fixed.len()) >> low, low }
    }

    #[inline(always)]
    fn start(&self, number: usize) -> usize {
        let mut index = number << self.low;
        for &bit in self.fixed {
            index = (index >> bit << (bit + 1)) | (index & ((1 << bit) - 1));
        }
        index
    }
}

fn bits_of(mask: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS as usize).filter(move |bit| mask >> bit & 1 == 1)
}

/// Does a gate, by the fastest instructions that there are.
pub(super) fn apply<T: Real>(re: &mut [T], im: &mut [T], gate: &Local<T>) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        #[target_feature(enable = "avx2,fma")]
        fn wide<T: Real>(re: &mut [T], im: &mut [T], gate: &Local<T>) {
            body::<T, true>(re, im, gate);
        }
        // SAFETY: the processor has what the function needs.
        return unsafe { wide(re, im, gate) };
    }
    body::<T, false>(re, im, gate);
}

/// The sums `conj(bra_i) ket_j` over all that `bits` leave open, `[2^bits, 2^bits]`, the first bit most significant.
pub(super) fn transition<T: Real>(ket: (&[T], &[T]), bra: (&[T], &[T]), bits: &[usize]) -> Vec<Complex64> {
    if let &[bit] = bits
        && ket.0.len() >= 2 * LANES
    {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            #[target_feature(enable = "avx2,fma")]
            fn wide<T: Real>(ket: (&[T], &[T]), bra: (&[T], &[T]), bit: usize) -> [Complex64; 4] {
                transition_of_one::<T, true>(ket, bra, bit)
            }
            // SAFETY: the processor has what the function needs.
            return unsafe { wide(ket, bra, bit) }.to_vec();
        }
        return transition_of_one::<T, false>(ket, bra, bit).to_vec();
    }
    let dim = 1 << bits.len();
    let mask = bits.iter().fold(0, |mask, bit| mask | 1 << bit);
    let place = |row: usize| bits.iter().enumerate().map(|(i, bit)| (row >> (bits.len() - 1 - i) & 1) << bit).sum();
    let offsets: Vec<usize> = (0..dim).map(place).collect();
    let at = |part: (&[T], &[T]), i: usize| Complex64::new(Real::to_f64(part.0[i]), Real::to_f64(part.1[i]));
    let mut sums = vec![Complex64::ZERO; dim * dim];
    for index in (0..ket.0.len()).filter(|index| index & mask == 0) {
        for row in 0..dim {
            let left = at(bra, index | offsets[row]).conj();
            for column in 0..dim {
                sums[row * dim + column] += left * at(ket, index | offsets[column]);
            }
        }
    }
    sums
}

/// `conj(b) k` added to sums lane by lane.
#[inline(always)]
fn add_conj<T: Real, const FMA: bool>(
    sum: &mut ([T; LANES], [T; LANES]),
    b: ([T; LANES], [T; LANES]),
    k: ([T; LANES], [T; LANES]),
) {
    for lane in 0..LANES {
        let (br, bi, kr, ki) = (b.0[lane], b.1[lane], k.0[lane], k.1[lane]);
        sum.0[lane] = fused::<T, FMA>(bi, ki, fused::<T, FMA>(br, kr, sum.0[lane]));
        sum.1[lane] = fused::<T, FMA>(-bi, kr, fused::<T, FMA>(br, ki, sum.1[lane]));
    }
}

#[inline(always)]
fn lanes_at<T: Real>(part: (&[T], &[T]), at: usize) -> ([T; LANES], [T; LANES]) {
    let (mut re, mut im) = ([T::zero(); LANES], [T::zero(); LANES]);
    re.copy_from_slice(&part.0[at..at + LANES]);
    im.copy_from_slice(&part.1[at..at + LANES]);
    (re, im)
}

#[inline(always)]
fn transition_of_one<T: Real, const FMA: bool>(ket: (&[T], &[T]), bra: (&[T], &[T]), bit: usize) -> [Complex64; 4] {
    let zero = ([T::zero(); LANES], [T::zero(); LANES]);
    let mut sums = [zero; 4];
    let total = |sum: &([T; LANES], [T; LANES]), lanes: &dyn Fn(usize) -> bool| {
        let pick = |part: &[T; LANES]| -> f64 {
            part.iter().enumerate().filter(|(lane, _)| lanes(*lane)).map(|(_, x)| Real::to_f64(*x)).sum()
        };
        Complex64::new(pick(&sum.0), pick(&sum.1))
    };
    if bit >= LOW {
        let fixed = [bit];
        let runs = Runs::new(&fixed, ket.0.len());
        for number in 0..runs.count {
            let start = runs.start(number);
            for i in (start..start + runs.run).step_by(LANES) {
                let j = i | 1 << bit;
                let (k0, k1) = (lanes_at(ket, i), lanes_at(ket, j));
                let (b0, b1) = (lanes_at(bra, i), lanes_at(bra, j));
                add_conj::<T, FMA>(&mut sums[0], b0, k0);
                add_conj::<T, FMA>(&mut sums[1], b0, k1);
                add_conj::<T, FMA>(&mut sums[2], b1, k0);
                add_conj::<T, FMA>(&mut sums[3], b1, k1);
            }
        }
        return sums.map(|sum| total(&sum, &|_| true));
    }
    let step = 1 << bit;
    for i in (0..ket.0.len()).step_by(LANES) {
        let (k, b) = (lanes_at(ket, i), lanes_at(bra, i));
        let mut other = k;
        for lane in 0..LANES {
            (other.0[lane], other.1[lane]) = (k.0[lane ^ step], k.1[lane ^ step]);
        }
        add_conj::<T, FMA>(&mut sums[0], b, k);
        add_conj::<T, FMA>(&mut sums[1], b, other);
    }
    let set = |lane: usize| lane & step != 0;
    let clear = |lane: usize| lane & step == 0;
    [total(&sums[0], &clear), total(&sums[1], &clear), total(&sums[1], &set), total(&sums[0], &set)]
}

#[inline(always)]
fn body<T: Real, const FMA: bool>(re: &mut [T], im: &mut [T], gate: &Local<T>) {
    let short = re.len() < LANES;
    match &gate.action {
        Action::One { target, matrix } if short => {
            dense::<T, FMA, 1>(re, im, gate, &[*target], matrix);
        }
        Action::One { target, matrix } if *target < LOW => {
            paired_lanes::<T, FMA>(re, im, gate, *target, matrix);
        }
        Action::One { target, matrix } => paired_blocks::<T, FMA>(re, im, gate, *target, matrix),
        Action::Flip { target } => {
            let bits = gate.mask | 1 << target;
            if short || bits & (LANES - 1) != 0 {
                let (zero, one) = ((T::zero(), T::zero()), (T::one(), T::zero()));
                let action = Action::One { target: *target, matrix: [zero, one, one, zero] };
                if short {
                    dense::<T, FMA, 1>(re, im, gate, &[*target], &[zero, one, one, zero]);
                } else if let Action::One { matrix, .. } = &action {
                    if *target < LOW {
                        paired_lanes::<T, FMA>(re, im, gate, *target, matrix);
                    } else {
                        paired_blocks::<T, FMA>(re, im, gate, *target, matrix);
                    }
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
fn lane_acts<T>(gate: &Local<T>, lane: usize) -> bool {
    let low = gate.mask & (LANES - 1);
    lane & low == gate.value & low
}

/// One bit at `target >= LOW`.
#[inline(always)]
fn paired_blocks<T: Real, const FMA: bool>(
    re: &mut [T],
    im: &mut [T],
    gate: &Local<T>,
    target: usize,
    matrix: &[Pair<T>; 4],
) {
    let (zero, one) = ((T::zero(), T::zero()), (T::one(), T::zero()));
    let identity = [one, zero, zero, one];
    let uniform = gate.mask & (LANES - 1) == 0;
    let mut m = [[zero; LANES]; 4];
    for lane in 0..LANES {
        let from = if lane_acts(gate, lane) { matrix } else { &identity };
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

/// One bit at `target < LOW`.
#[inline(always)]
fn paired_lanes<T: Real, const FMA: bool>(
    re: &mut [T],
    im: &mut [T],
    gate: &Local<T>,
    target: usize,
    matrix: &[Pair<T>; 4],
) {
    match target {
        0 => lanes::<T, FMA, 1>(re, im, gate, matrix),
        1 => lanes::<T, FMA, 2>(re, im, gate, matrix),
        _ => lanes::<T, FMA, 4>(re, im, gate, matrix),
    }
}

#[inline(always)]
fn lanes<T: Real, const FMA: bool, const BIT: usize>(
    re: &mut [T],
    im: &mut [T],
    gate: &Local<T>,
    matrix: &[Pair<T>; 4],
) {
    let zero = T::zero();
    // What a lane keeps of itself, and what it takes of its partner.
    let (mut own_re, mut own_im) = ([T::one(); LANES], [zero; LANES]);
    let (mut other_re, mut other_im) = ([zero; LANES], [zero; LANES]);
    for lane in (0..LANES).filter(|&lane| lane_acts(gate, lane)) {
        let row = usize::from(lane & BIT != 0);
        (own_re[lane], own_im[lane]) = matrix[3 * row];
        (other_re[lane], other_im[lane]) = matrix[1 + row];
    }
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
                let own = product::<T, FMA>((own_re[lane], own_im[lane]), (re[lane], im[lane]));
                (tr[lane], ti[lane]) =
                    add_product::<T, FMA>(own, (other_re[lane], other_im[lane]), (sr[lane], si[lane]));
            }
            (*re, *im) = (tr, ti);
        }
    }
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
