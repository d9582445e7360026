//! Gates undone on two states at once, and what is read off between them before.
//!
//! A gate with a real parameter has `dU/dtheta = -i H U` with a Hermitian `H`, so its derivative `2 Re <bra| -i H |ket>` is
//! `2 Im <bra| H |ket>`: of each matrix between the two states only the imaginary part of a Hermitian component is wanted.

// Lanes are counted: several arrays of the same length go side by side.
#![allow(clippy::needless_range_loop)]

use num_complex::Complex64;

use super::kernel::{
    Action, LANES, LOW, Local, Pair, Runs, add_product, apply, bits_of, fused, lane_acts, lane_elements, product,
    widest,
};
use crate::scalar::Real;

/// Real and imaginary parts of a block.
pub(super) type Parts<'a, T> = (&'a mut [T], &'a mut [T]);

type Lanes<T> = [T; LANES];

/// Of a Hermitian matrix of one bit, components along X, Y, `|0><0|` and `|1><1|`; or `Im <bra| P |ket>` for `P` each of these.
pub(super) type Hermitian = [f64; 4];

widest! {
    /// Undoes a gate of one bit on both; before, what is between them, over the amplitudes where its mask has its value, and where not.
    pub(super) fn undo_one(ket: Parts<'_, T>, bra: Parts<'_, T>, gate: &Local<T>) -> [Hermitian; 2] = both
}

widest! {
    /// Multiplies both by factors by bits; before, the imaginary parts of `sum conj(bra_i) ket_i` by these bits, as the
    /// factors.
    pub(super) fn undo_diagonal(ket: Parts<'_, T>, bra: Parts<'_, T>, targets: &[usize], factors: &[Pair<T>]) -> Vec<f64>
        = diagonal
}

/// Four amplitudes, or four vectors of them: two of each state.
#[derive(Clone, Copy)]
struct Four<T> {
    ket: [Pair<Lanes<T>>; 2],
    bra: [Pair<Lanes<T>>; 2],
}

/// Sums lane by lane, one for each component.
type Sums<T> = [Lanes<T>; 4];

/// `sum + Im(conj(b) k)`.
#[inline(always)]
fn add_im<T: Real, const FMA: bool>(sum: T, b: Pair<T>, k: Pair<T>) -> T {
    fused::<T, FMA>(b.0, k.1, fused::<T, FMA>(-b.1, k.0, sum))
}

/// `sum + Re(conj(b) k)`.
#[inline(always)]
fn add_re<T: Real, const FMA: bool>(sum: T, b: Pair<T>, k: Pair<T>) -> T {
    fused::<T, FMA>(b.0, k.0, fused::<T, FMA>(b.1, k.1, sum))
}

fn added(lanes: &Lanes<impl Real>, of: impl Fn(usize) -> bool) -> f64 {
    lanes.iter().enumerate().filter(|(lane, _)| of(*lane)).map(|(_, x)| Real::to_f64(*x)).sum()
}

#[inline(always)]
fn both<T: Real, const FMA: bool>(ket: Parts<'_, T>, bra: Parts<'_, T>, gate: &Local<T>) -> [Hermitian; 2] {
    let (zero, unit) = ((T::zero(), T::zero()), (T::one(), T::zero()));
    let identity = [unit, zero, zero, unit];
    let (target, on, off) = match &gate.action {
        Action::One { target, matrix } => (*target, matrix, None),
        Action::Choice { target, on, off } => (*target, on, Some(off)),
        _ => return [[0.0; 4]; 2],
    };
    if ket.0.len() < 2 * LANES {
        let found = few(&ket, &bra, gate, target);
        apply(ket.0, ket.1, gate);
        apply(bra.0, bra.1, gate);
        return found;
    }
    if gate.mask >= LANES {
        // One part of the block after the other.
        let mut found = [[0.0; 4]; 2];
        let parts = [(gate.value, Some(on)), (gate.value ^ gate.mask, off)];
        for ((value, matrix), found) in parts.into_iter().zip(&mut found) {
            if let Some(matrix) = matrix {
                let part = Local { mask: gate.mask, value, action: gate.action.clone() };
                let sums = one::<T, FMA>(
                    (&mut *ket.0, &mut *ket.1),
                    (&mut *bra.0, &mut *bra.1),
                    &part,
                    target,
                    matrix,
                    matrix,
                );
                *found = total(&sums, target, |_| true);
            }
        }
        return found;
    }
    let sums = one::<T, FMA>(ket, bra, gate, target, on, off.unwrap_or(&identity));
    [total(&sums, target, |lane| lane_acts(gate, lane)), total(&sums, target, |lane| !lane_acts(gate, lane))]
}

/// Sums over lanes. Of a target that tells lanes apart, a lane has the part with its own amplitude of the bra: of X, of Y up to
/// its sign, and of the projector on its bit.
fn total<T: Real>(sums: &Sums<T>, target: usize, of: impl Fn(usize) -> bool) -> Hermitian {
    if target >= LOW {
        return [0, 1, 2, 3].map(|part| added(&sums[part], &of));
    }
    let [clear, set] = [0, 1].map(|bit| {
        let of = &of;
        move |lane: usize| of(lane) && lane >> target & 1 == bit
    });
    let y = added(&sums[1], set) - added(&sums[1], clear);
    [added(&sums[0], &of), y, added(&sums[2], clear), added(&sums[2], set)]
}

#[inline(always)]
fn one<T: Real, const FMA: bool>(
    ket: Parts<'_, T>,
    bra: Parts<'_, T>,
    gate: &Local<T>,
    target: usize,
    on: &[Pair<T>; 4],
    off: &[Pair<T>; 4],
) -> Sums<T> {
    match target {
        0 => lanes::<T, FMA, 1>(ket, bra, gate, on, off),
        1 => lanes::<T, FMA, 2>(ket, bra, gate, on, off),
        2 => lanes::<T, FMA, 4>(ket, bra, gate, on, off),
        _ => blocks::<T, FMA>(ket, bra, gate, target, on, off),
    }
}

#[inline(always)]
fn load<T: Copy>(part: &Parts<'_, T>, at: usize) -> Pair<Lanes<T>> {
    let (mut re, mut im) = ([part.0[at]; LANES], [part.1[at]; LANES]);
    re.copy_from_slice(&part.0[at..at + LANES]);
    im.copy_from_slice(&part.1[at..at + LANES]);
    (re, im)
}

#[inline(always)]
fn store<T: Copy>(part: &mut Parts<'_, T>, at: usize, lanes: &Pair<Lanes<T>>) {
    part.0[at..at + LANES].copy_from_slice(&lanes.0);
    part.1[at..at + LANES].copy_from_slice(&lanes.1);
}

/// One bit at `target >= LOW`, amplitudes where the high bits of the mask have their values.
#[inline(always)]
fn blocks<'a, T: Real, const FMA: bool>(
    mut ket: Parts<'a, T>,
    mut bra: Parts<'a, T>,
    gate: &Local<T>,
    target: usize,
    on: &[Pair<T>; 4],
    off: &[Pair<T>; 4],
) -> Sums<T> {
    let zero = [T::zero(); LANES];
    let mut m = [(zero, zero); 4];
    for lane in 0..LANES {
        let from = if lane_acts(gate, lane) { on } else { off };
        for (row, element) in m.iter_mut().zip(from) {
            (row.0[lane], row.1[lane]) = *element;
        }
    }
    let fixed: Vec<usize> = bits_of((gate.mask | 1 << target) & !(LANES - 1)).collect();
    let runs = Runs::new(&fixed, ket.0.len());
    let value = gate.value & !(LANES - 1);
    let mut sums = [zero; 4];
    for number in 0..runs.count {
        let start = runs.start(number) | value;
        for i in (start..start + runs.run).step_by(LANES) {
            let j = i | 1 << target;
            let four = Four { ket: [load(&ket, i), load(&ket, j)], bra: [load(&bra, i), load(&bra, j)] };
            read::<T, FMA>(&mut sums, &four);
            for (part, [a, b]) in [(&mut ket, four.ket), (&mut bra, four.bra)] {
                let (mut c, mut d) = (a, b);
                for lane in 0..LANES {
                    let (a, b) = ((a.0[lane], a.1[lane]), (b.0[lane], b.1[lane]));
                    let m = |place: usize| (m[place].0[lane], m[place].1[lane]);
                    (c.0[lane], c.1[lane]) = add_product::<T, FMA>(product::<T, FMA>(m(0), a), m(1), b);
                    (d.0[lane], d.1[lane]) = add_product::<T, FMA>(product::<T, FMA>(m(2), a), m(3), b);
                }
                store(part, i, &c);
                store(part, j, &d);
            }
        }
    }
    sums
}

/// Adds what four amplitudes have of each component.
#[inline(always)]
fn read<T: Real, const FMA: bool>(sums: &mut Sums<T>, four: &Four<T>) {
    let at = |z: &Pair<Lanes<T>>, lane: usize| (z.0[lane], z.1[lane]);
    for lane in 0..LANES {
        let (k0, k1) = (at(&four.ket[0], lane), at(&four.ket[1], lane));
        let (b0, b1) = (at(&four.bra[0], lane), at(&four.bra[1], lane));
        let minus = |z: Pair<T>| (-z.0, -z.1);
        sums[0][lane] = add_im::<T, FMA>(add_im::<T, FMA>(sums[0][lane], b0, k1), b1, k0);
        sums[1][lane] = add_re::<T, FMA>(add_re::<T, FMA>(sums[1][lane], minus(b0), k1), b1, k0);
        sums[2][lane] = add_im::<T, FMA>(sums[2][lane], b0, k0);
        sums[3][lane] = add_im::<T, FMA>(sums[3][lane], b1, k1);
    }
}

/// One bit at a target below [`LOW`], whose mask is `BIT`.
#[inline(always)]
fn lanes<'a, T: Real, const FMA: bool, const BIT: usize>(
    mut ket: Parts<'a, T>,
    mut bra: Parts<'a, T>,
    gate: &Local<T>,
    on: &[Pair<T>; 4],
    off: &[Pair<T>; 4],
) -> Sums<T> {
    let [own, other] = lane_elements::<T, BIT>(gate, on, off);
    let fixed: Vec<usize> = bits_of(gate.mask & !(LANES - 1)).collect();
    let runs = Runs::new(&fixed, ket.0.len());
    let value = gate.value & !(LANES - 1);
    let zero = [T::zero(); LANES];
    let mut sums = [zero; 4];
    let across = |z: &Pair<Lanes<T>>| {
        let mut turned = (zero, zero);
        for lane in 0..LANES {
            (turned.0[lane], turned.1[lane]) = (z.0[lane ^ BIT], z.1[lane ^ BIT]);
        }
        turned
    };
    for number in 0..runs.count {
        let start = runs.start(number) | value;
        for i in (start..start + runs.run).step_by(LANES) {
            let (k, b) = (load(&ket, i), load(&bra, i));
            let (k_across, b_across) = (across(&k), across(&b));
            let at = |z: &Pair<Lanes<T>>, lane: usize| (z.0[lane], z.1[lane]);
            for lane in 0..LANES {
                let (b, k, partner) = (at(&b, lane), at(&k, lane), at(&k_across, lane));
                sums[0][lane] = add_im::<T, FMA>(sums[0][lane], b, partner);
                sums[1][lane] = add_re::<T, FMA>(sums[1][lane], b, partner);
                sums[2][lane] = add_im::<T, FMA>(sums[2][lane], b, k);
            }
            for (part, z, across) in [(&mut ket, k, k_across), (&mut bra, b, b_across)] {
                let mut turned = (zero, zero);
                for lane in 0..LANES {
                    let kept = product::<T, FMA>(own[lane], at(&z, lane));
                    (turned.0[lane], turned.1[lane]) = add_product::<T, FMA>(kept, other[lane], at(&across, lane));
                }
                store(part, i, &turned);
            }
        }
    }
    sums
}

/// What is between two blocks shorter than two vectors.
fn few<T: Real>(ket: &Parts<'_, T>, bra: &Parts<'_, T>, gate: &Local<T>, target: usize) -> [Hermitian; 2] {
    let mut found = [[0.0; 4]; 2];
    let at = |part: &Parts<'_, T>, i: usize| (Real::to_f64(part.0[i]), Real::to_f64(part.1[i]));
    for i in (0..ket.0.len()).filter(|i| i >> target & 1 == 0) {
        let j = i | 1 << target;
        let (k0, k1, b0, b1) = (at(ket, i), at(ket, j), at(bra, i), at(bra, j));
        let [x, y, n0, n1] = &mut found[usize::from(i & gate.mask != gate.value)];
        *x = add_im::<f64, false>(add_im::<f64, false>(*x, b0, k1), b1, k0);
        *y += add_re::<f64, false>(0.0, b1, k0) - add_re::<f64, false>(0.0, b0, k1);
        *n0 += add_im::<f64, false>(0.0, b0, k0);
        *n1 += add_im::<f64, false>(0.0, b1, k1);
    }
    found
}

#[inline(always)]
fn diagonal<T: Real, const FMA: bool>(
    mut ket: Parts<'_, T>,
    mut bra: Parts<'_, T>,
    targets: &[usize],
    factors: &[Pair<T>],
) -> Vec<f64> {
    let place = |index: usize| targets.iter().fold(0, |place, &bit| place * 2 + (index >> bit & 1));
    let mut sums = vec![0.0; factors.len()];
    if ket.0.len() < LANES {
        for i in 0..ket.0.len() {
            let (k, b) = ((ket.0[i], ket.1[i]), (bra.0[i], bra.1[i]));
            sums[place(i)] += Real::to_f64(add_im::<T, FMA>(T::zero(), b, k));
            (ket.0[i], ket.1[i]) = product::<T, FMA>(factors[place(i)], k);
            (bra.0[i], bra.1[i]) = product::<T, FMA>(factors[place(i)], b);
        }
        return sums;
    }
    let mut fixed: Vec<usize> = targets.iter().copied().filter(|&bit| bit >= LOW).collect();
    fixed.sort_unstable();
    let runs = Runs::new(&fixed, ket.0.len());
    for choice in 0..1_usize << fixed.len() {
        let set = fixed.iter().enumerate().fold(0, |set, (i, &bit)| set | (choice >> i & 1) << bit);
        let mut f = [(T::zero(), T::zero()); LANES];
        for lane in 0..LANES {
            f[lane] = factors[place(set | lane)];
        }
        let mut sum = [T::zero(); LANES];
        for number in 0..runs.count {
            let start = runs.start(number) | set;
            for i in (start..start + runs.run).step_by(LANES) {
                let (mut k, mut b) = (load(&ket, i), load(&bra, i));
                for lane in 0..LANES {
                    let (kz, bz) = ((k.0[lane], k.1[lane]), (b.0[lane], b.1[lane]));
                    sum[lane] = add_im::<T, FMA>(sum[lane], bz, kz);
                    (k.0[lane], k.1[lane]) = product::<T, FMA>(f[lane], kz);
                    (b.0[lane], b.1[lane]) = product::<T, FMA>(f[lane], bz);
                }
                store(&mut ket, i, &k);
                store(&mut bra, i, &b);
            }
        }
        for lane in 0..LANES {
            sums[place(set | lane)] += Real::to_f64(sum[lane]);
        }
    }
    sums
}

/// Runs [`across`] for one exchange of lanes, known to the compiler.
macro_rules! each_exchange {
    ($exchange:expr, $function:ident($($argument:expr),*)) => {
        match $exchange {
            0 => $function::<T, FMA, 0>($($argument),*),
            1 => $function::<T, FMA, 1>($($argument),*),
            2 => $function::<T, FMA, 2>($($argument),*),
            3 => $function::<T, FMA, 3>($($argument),*),
            4 => $function::<T, FMA, 4>($($argument),*),
            5 => $function::<T, FMA, 5>($($argument),*),
            6 => $function::<T, FMA, 6>($($argument),*),
            _ => $function::<T, FMA, 7>($($argument),*),
        }
    };
}

widest! {
    /// The sums `conj(bra_i) ket_j` over all that `bits` leave open, `[2^bits, 2^bits]`, the first bit most significant: those
    /// whose row and column differ by one of `flips`, zero elsewhere.
    pub(super) fn transition(ket: (&[T], &[T]), bra: (&[T], &[T]), bits: &[usize], flips: &[usize]) -> Vec<Complex64>
        = between
}

#[inline(always)]
fn between<T: Real, const FMA: bool>(
    ket: (&[T], &[T]),
    bra: (&[T], &[T]),
    bits: &[usize],
    flips: &[usize],
) -> Vec<Complex64> {
    let (length, dim) = (ket.0.len(), 1_usize << bits.len());
    let place = |index: usize| bits.iter().fold(0, |place, &bit| place * 2 + (index >> bit & 1));
    let spread = |place: usize| -> usize {
        bits.iter().enumerate().map(|(i, bit)| (place >> (bits.len() - 1 - i) & 1) << bit).sum()
    };
    let mut sums = vec![Complex64::ZERO; dim * dim];
    let mut high: Vec<usize> = bits.iter().copied().filter(|&bit| bit >= LOW).collect();
    high.sort_unstable();
    let runs = Runs::new(&high, length);
    for &flip in flips {
        let exchange = spread(flip);
        if length < LANES {
            for i in 0..length {
                let at =
                    |part: (&[T], &[T]), i: usize| Complex64::new(Real::to_f64(part.0[i]), Real::to_f64(part.1[i]));
                sums[place(i) * dim + (place(i) ^ flip)] += at(bra, i).conj() * at(ket, i ^ exchange);
            }
            continue;
        }
        for choice in 0..1_usize << high.len() {
            let set = high.iter().enumerate().fold(0, |set, (i, &bit)| set | (choice >> i & 1) << bit);
            let apart = exchange & !(LANES - 1);
            let (re, im) = each_exchange!(exchange & (LANES - 1), across(ket, bra, &runs, set, apart));
            for lane in 0..LANES {
                let row = place(set | lane);
                sums[row * dim + (row ^ flip)] += Complex64::new(Real::to_f64(re[lane]), Real::to_f64(im[lane]));
            }
        }
    }
    sums
}

/// Sums of `conj(bra_i) ket_j` lane by lane over the amplitudes `i` that have the bits `set`: `j` differs from `i` by `apart`,
/// its lane by `LOWER`.
#[inline(always)]
fn across<T: Real, const FMA: bool, const LOWER: usize>(
    ket: (&[T], &[T]),
    bra: (&[T], &[T]),
    runs: &Runs<'_>,
    set: usize,
    apart: usize,
) -> Pair<Lanes<T>> {
    let (mut re, mut im) = ([T::zero(); LANES], [T::zero(); LANES]);
    for number in 0..runs.count {
        let start = runs.start(number) | set;
        for i in (start..start + runs.run).step_by(LANES) {
            let j = i ^ apart;
            let (br, bi) = (&bra.0[i..i + LANES], &bra.1[i..i + LANES]);
            let (kr, ki) = (&ket.0[j..j + LANES], &ket.1[j..j + LANES]);
            for lane in 0..LANES {
                let (b, k) = ((br[lane], bi[lane]), (kr[lane ^ LOWER], ki[lane ^ LOWER]));
                re[lane] = add_re::<T, FMA>(re[lane], b, k);
                im[lane] = add_im::<T, FMA>(im[lane], b, k);
            }
        }
    }
    (re, im)
}
