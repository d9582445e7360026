//! What an approximate contraction may do.

use crate::error::{Error, Result};
use crate::linalg::Truncation;

/// What is taken to surround a bond when it is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    /// The two tensors alone, all their other legs being taken as orthonormal.
    None,
    /// A tree of the tensors up to `depth` bonds away, found breadth first; the bonds that close its loops are taken as
    /// open. Depth 0 is [`Gauge::None`].
    Tree {
        /// Bonds between the pair and the farthest tensors of the tree.
        depth: usize,
    },
    /// Messages on all bonds, found by `rounds` of belief propagation from the identity and kept as the contraction goes
    /// on: the weights of a simple update.
    Messages {
        /// How often all messages are passed before the contraction starts.
        rounds: usize,
    },
}

/// When a bond that is too large is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Just before one of its tensors is contracted: more of what surrounds it is known, and some bonds are summed
    /// before they have to be truncated.
    Late,
    /// As soon as it has grown.
    Early,
}

/// The settings of [`Network::contract_compressed`](crate::network::Network::contract_compressed).
///
/// ```
/// use ansatz::network::{Compressed, Gauge};
/// let settings = Compressed::new(32).cutoff(1e-10).gauge(Gauge::Tree { depth: 2 });
/// assert_eq!(settings.truncation().bond_limit(), Some(32));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Compressed {
    truncation: Truncation,
    gauge: Gauge,
    timing: Timing,
}

impl Compressed {
    /// Bonds of at most `max_bond`, truncated late within a tree of depth 2.
    #[must_use]
    pub fn new(max_bond: usize) -> Self {
        Self::by(Truncation::none().max_bond(max_bond))
    }

    /// Bonds truncated as `truncation` says; with [`Truncation::none`] none is touched, and the contraction is exact.
    #[must_use]
    pub fn by(truncation: Truncation) -> Self {
        Compressed { truncation, gauge: Gauge::Tree { depth: 2 }, timing: Timing::Late }
    }

    /// Drops, on bonds that are truncated or have grown, the singular values below `ratio` times the largest.
    #[must_use]
    pub fn cutoff(mut self, ratio: f64) -> Self {
        self.truncation = self.truncation.cutoff(ratio);
        self
    }

    /// What is taken to surround a bond.
    #[must_use]
    pub fn gauge(mut self, gauge: Gauge) -> Self {
        self.gauge = gauge;
        self
    }

    /// When bonds are truncated.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// How bonds are truncated.
    #[must_use]
    pub fn truncation(&self) -> &Truncation {
        &self.truncation
    }

    /// Truncated otherwise.
    pub(super) fn truncated(mut self, truncation: Truncation) -> Self {
        self.truncation = truncation;
        self
    }

    pub(super) fn parts(&self) -> (&Truncation, Gauge, Timing) {
        (&self.truncation, self.gauge, self.timing)
    }

    /// # Errors
    /// [`Error::Setting`] for a truncation that makes no sense.
    pub(super) fn check(&self) -> Result<()> {
        self.truncation.validate()
    }
}

/// # Errors
/// [`Error::Setting`] for a bond of zero.
pub(super) fn check_bond(max_bond: usize) -> Result<()> {
    if max_bond == 0 { Err(Error::setting("max_bond", 0, "give at least 1")) } else { Ok(()) }
}
