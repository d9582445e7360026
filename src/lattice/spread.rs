//! Vectors over the configurations of a layer of spins, led from layer to layer.

use crate::linalg::wide;

/// Elements that are worked on together.
const LANES: usize = 4;
type Lanes = [f64; LANES];

/// Elements that stay in the nearest cache: the low bits of the index are gone through within stretches of these.
const STRETCH: usize = 1 << 11;

/// The weights of a layer and of the bonds to the next, each over the largest.
pub(super) struct Pass {
    /// `exp(ln w - peak)` for each configuration.
    pub(super) weight: Vec<f64>,
    pub(super) peak: f64,
    /// The weight of unequal neighbours over that of equal ones, or the inverse if that is larger than one.
    pub(super) t: f64,
    /// Whether unequal neighbours have the larger weight.
    opposite: bool,
}

impl Pass {
    pub(super) fn new(ln_weight: &[f64], beta: f64) -> Self {
        let peak = ln_weight.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weight = ln_weight.iter().map(|ln| (ln - peak).exp()).collect();
        Pass { weight, peak, t: (-2.0 * beta.abs()).exp(), opposite: beta < 0.0 }
    }

    /// The bonds to the next layer from one configuration: a power of `t` for each configuration there.
    pub(super) fn start(&self, v: &mut Vec<f64>, start: usize) {
        let spins = self.weight.len().trailing_zeros();
        let powers: Vec<f64> = (0..=spins as i32).map(|unequal| self.t.powi(unequal)).collect();
        let start = if self.opposite { self.weight.len() - 1 - start } else { start };
        v.clear();
        v.extend((0..self.weight.len()).map(|state| powers[(state ^ start).count_ones() as usize]));
    }

    /// Times the weights of a layer, and over a number whose logarithm is returned where elements become large or small.
    pub(super) fn weigh(&self, v: &mut [f64]) -> f64 {
        let largest = wide(
            #[inline(always)]
            || weighed(v, &self.weight),
        );
        if largest == 0.0 || (1e-100..1e100).contains(&largest) {
            return 0.0;
        }
        v.iter_mut().for_each(|x| *x /= largest);
        largest.ln()
    }

    /// The bonds to the next layer: the product with `[[1, t], [t, 1]]` (or `[[t, 1], [1, t]]`) for each bit of the index.
    pub(super) fn spread(&self, v: &mut [f64]) {
        wide(
            #[inline(always)]
            || {
                v.chunks_mut(STRETCH).for_each(|stretch| bits(stretch, 1, self.t));
                if v.len() > STRETCH {
                    bits(v, STRETCH, self.t);
                }
            },
        );
        if self.opposite {
            v.reverse();
        }
    }
}

/// `v *= weight`; the largest element (all are positive).
#[inline(always)]
fn weighed(v: &mut [f64], weight: &[f64]) -> f64 {
    let mut largest = [0.0_f64; LANES];
    let (lanes, rest) = v.as_chunks_mut::<LANES>();
    let (weights, weights_rest) = weight.as_chunks::<LANES>();
    for (x, w) in lanes.iter_mut().zip(weights) {
        for ((x, w), largest) in x.iter_mut().zip(w).zip(&mut largest) {
            *x *= w;
            *largest = if *x > *largest { *x } else { *largest };
        }
    }
    for (x, w) in rest.iter_mut().zip(weights_rest) {
        *x *= w;
        largest[0] = largest[0].max(*x);
    }
    largest.into_iter().fold(0.0, f64::max)
}

/// All bits of the index of `v` from that of `half` on.
#[inline(always)]
fn bits(v: &mut [f64], mut half: usize, t: f64) {
    let end = v.len();
    if half < LANES && end >= LANES {
        within(v.as_chunks_mut::<LANES>().0, t);
        half = LANES;
    }
    if end < LANES {
        // A vector of one or two elements.
        if let [x, y] = v {
            (*x, *y) = (*x + t * *y, *y + t * *x);
        }
        return;
    }
    let rows = v.as_chunks_mut::<LANES>().0;
    // Three at a time as long as there are, so that an element is fetched once for three.
    while half < end {
        let step = half / LANES;
        match end / half {
            2 => above::<2>(rows, step, t),
            4 => above::<4>(rows, step, t),
            _ => above::<8>(rows, step, t),
        }
        half *= (end / half).min(8);
    }
}

/// The two lowest bits.
#[inline(always)]
fn within(rows: &mut [Lanes], t: f64) {
    for x in rows {
        let [a, b, c, d] = *x;
        let near = [b, a, d, c];
        let y: Lanes = std::array::from_fn(|lane| x[lane] + t * near[lane]);
        let far = [y[2], y[3], y[0], y[1]];
        *x = std::array::from_fn(|lane| y[lane] + t * far[lane]);
    }
}

/// The bits of `N` places that are `step` rows apart.
#[inline(always)]
fn above<const N: usize>(rows: &mut [Lanes], step: usize, t: f64) {
    for block in rows.chunks_exact_mut(N * step) {
        for at in 0..step {
            let mut x: [Lanes; N] = std::array::from_fn(|place| block[at + place * step]);
            let mut half = 1;
            while half < N {
                for low in (0..N).filter(|place| place & half == 0) {
                    let (ones, twos) = (x[low], x[low + half]);
                    x[low] = std::array::from_fn(|lane| ones[lane] + t * twos[lane]);
                    x[low + half] = std::array::from_fn(|lane| twos[lane] + t * ones[lane]);
                }
                half *= 2;
            }
            for (place, row) in x.into_iter().enumerate() {
                block[at + place * step] = row;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_spread_as_by_the_dense_matrix() {
        for spins in 0..14 {
            let count = 1_usize << spins;
            let v: Vec<f64> = (0..count).map(|i| ((i * 37 + 11) % 101) as f64 / 101.0).collect();
            for beta in [0.3_f64, -0.3] {
                let pass = Pass::new(&vec![0.5; count], beta);
                let mut spread = v.clone();
                pass.spread(&mut spread);
                let t = (-2.0 * beta.abs()).exp();
                let weight = |unequal: u32| t.powf(f64::from(if beta > 0.0 { unequal } else { spins - unequal }));
                for to in (0..count).step_by(1 + count / 16) {
                    let dense: f64 = v.iter().enumerate().map(|(from, x)| x * weight((from ^ to).count_ones())).sum();
                    assert!((spread[to] / dense - 1.0).abs() < 1e-12, "{spins} {beta} {to}");
                }
                let mut one = Vec::new();
                pass.start(&mut one, count / 3);
                let mut unit = vec![0.0; count];
                unit[count / 3] = 1.0;
                pass.spread(&mut unit);
                assert!(one.iter().zip(&unit).all(|(a, b)| (a - b).abs() < 1e-14));
            }
        }
    }
}
