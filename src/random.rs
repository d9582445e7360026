//! Random streams keyed by (seed, purpose, index).
//!
//! A stream is a counter-based generator (ChaCha with 8 rounds) whose key is made of the seed and the purpose, and whose
//! stream number is the index. Any stream can be opened at any time by any thread, so results do not depend on who
//! draws first: the same seed gives the same samples and the same training run for any number of threads.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A seed, the only source of randomness in the crate.
///
/// ```
/// use ansatz::Seed;
/// use rand::RngExt;
/// let (mut a, mut b) = (Seed(7).stream("sample", 3), Seed(7).stream("sample", 3));
/// assert_eq!(a.random::<u64>(), b.random::<u64>());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Seed(pub u64);

/// A random stream; implements [`rand::Rng`].
pub type Stream = ChaCha8Rng;

impl Seed {
    /// The stream number `index` for `purpose`.
    #[must_use]
    pub fn stream(self, purpose: &str, index: u64) -> Stream {
        let mut key = [0u8; 32];
        // FNV-1a of the purpose, once forwards and once with another offset, beside the seed itself.
        for (slot, offset) in [(8, 0xcbf2_9ce4_8422_2325_u64), (16, 0x9ae1_6a3b_2f90_404f)] {
            let hash = purpose.bytes().fold(offset, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
            key[slot..slot + 8].copy_from_slice(&hash.to_le_bytes());
        }
        key[..8].copy_from_slice(&self.0.to_le_bytes());
        key[24..].copy_from_slice(&(purpose.len() as u64).to_le_bytes());
        let mut stream = ChaCha8Rng::from_seed(key);
        stream.set_stream(index);
        stream
    }

    /// A seed for a part of the work, independent of this one.
    #[must_use]
    pub fn derive(self, purpose: &str, index: u64) -> Seed {
        Seed(self.stream(purpose, index).random())
    }
}

/// A permutation of `0..count`, fixed by `stream`.
#[must_use]
pub fn permutation(count: usize, stream: &mut Stream) -> Vec<usize> {
    use rand::seq::SliceRandom;
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(stream);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_index() {
        let first = |seed: u64, purpose: &str, index| Seed(seed).stream(purpose, index).random::<u64>();
        let base = first(1, "a", 0);
        assert_eq!(base, first(1, "a", 0));
        for other in [first(2, "a", 0), first(1, "b", 0), first(1, "a", 1), first(1, "", 0)] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        let mut order = permutation(100, &mut Seed(1).stream("p", 0));
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &j)| i == j));
    }
}
