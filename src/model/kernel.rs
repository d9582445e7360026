//! Kernels by which distributions over bit strings are compared.

use crate::error::{Error, Result};

/// The distance that a kernel is a function of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Bits that differ.
    Hamming,
    /// The square of the difference of two numbers, the first bit being the most significant.
    Integer,
}

/// The mean of Gaussian kernels, `K(x, y) = (1 / c) sum_i exp(-d(x, y) / (2 sigma_i))`, with `d` the squared distance.
///
/// Liu and Wang, PRA 98, 062324 (2018).
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    distance: Distance,
    widths: Vec<f64>,
}

/// Bits beyond which a kernel of integers is refused: its sum takes `4^bits` products.
const MAX_INTEGER: usize = 13;

impl Kernel {
    /// A mixture of these widths `sigma_i`.
    ///
    /// # Errors
    /// [`Error::Empty`] without widths, [`Error::Setting`] for one that is not above 0.
    pub fn new(distance: Distance, widths: &[f64]) -> Result<Self> {
        if widths.is_empty() {
            return Err(Error::Empty { what: "widths of a kernel".into() });
        }
        if let Some(width) = widths.iter().find(|w| !(**w > 0.0 && w.is_finite())) {
            return Err(Error::setting("width of a kernel", width, "give a number above 0"));
        }
        Ok(Kernel { distance, widths: widths.to_vec() })
    }

    /// `K v` for numbers `v` `[2^bits]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are not `2^bits` numbers; [`Error::Setting`] for integers of more than 13 bits.
    pub fn times(&self, v: &[f64]) -> Result<Vec<f64>> {
        if !v.len().is_power_of_two() {
            return Err(Error::shape("numbers over bit strings", v.len(), "a power of two"));
        }
        let bits = v.len().ilog2() as usize;
        let mut sum = vec![0.0; v.len()];
        for &width in &self.widths {
            match self.distance {
                Distance::Hamming => {
                    // A product of the same matrix of each bit.
                    let far = (-0.5 / width).exp();
                    let mut turned = v.to_vec();
                    for bit in 0..bits {
                        let half = 1 << bit;
                        for pair in turned.chunks_mut(2 * half) {
                            let (zeros, ones) = pair.split_at_mut(half);
                            for (a, b) in zeros.iter_mut().zip(ones) {
                                (*a, *b) = (*a + far * *b, *b + far * *a);
                            }
                        }
                    }
                    sum.iter_mut().zip(&turned).for_each(|(s, t)| *s += t);
                }
                Distance::Integer if bits > MAX_INTEGER => {
                    let why = format!("a kernel of integers takes at most {MAX_INTEGER}; use the Hamming distance");
                    return Err(Error::setting("bits", bits, why));
                }
                Distance::Integer => {
                    let by: Vec<f64> = (0..v.len()).map(|d| (-((d * d) as f64) / (2.0 * width)).exp()).collect();
                    for (x, s) in sum.iter_mut().enumerate() {
                        *s += v.iter().enumerate().map(|(y, v)| by[x.abs_diff(y)] * v).sum::<f64>();
                    }
                }
            }
        }
        let count = self.widths.len() as f64;
        sum.iter_mut().for_each(|s| *s /= count);
        Ok(sum)
    }

    /// The maximum mean discrepancy `(p - q)^T K (p - q)`, and its derivatives by `p`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `p` and `q` differ in length; as [`times`](Self::times).
    pub fn discrepancy(&self, p: &[f64], q: &[f64]) -> Result<(f64, Vec<f64>)> {
        if p.len() != q.len() {
            return Err(Error::shape("second distribution", q.len(), p.len()));
        }
        let difference: Vec<f64> = p.iter().zip(q).map(|(p, q)| p - q).collect();
        let turned = self.times(&difference)?;
        let value = difference.iter().zip(&turned).map(|(d, t)| d * t).sum();
        Ok((value, turned.into_iter().map(|t| 2.0 * t).collect()))
    }
}
