//! How much memory a contraction may take.

use crate::error::{Error, Result};
use crate::network::order::{Bare, Slicing};
use crate::network::{Objective, Plan};
use crate::random::Seed;
use crate::scalar::Kind;

/// The memory that a contraction may take for elements of tensors, beside those of the network: intermediates, copies in
/// another order, sums over slices, of all threads together.
///
/// What is not counted: the description of the steps (about a kilobyte for each), and the constant buffers of the linear
/// algebra.
///
/// ```
/// use ansatz::network::{Budget, Contraction, ContractionTree, Equation, Network, Plan};
/// let equation = Equation::parse("ab,bc,cd->ad", &[[32, 32]; 3])?;
/// let plan = Plan::new(&equation, &ContractionTree::new(3, vec![(0, 1), (3, 2)])?, &[])?;
/// let network = Network::<f64>::random(&equation, ansatz::Seed(1))?;
/// assert!(Contraction::new(&plan).budget(Budget::bytes(1 << 20)).run(&network).is_ok());
/// // Both products, of 8 KiB each, are there at once.
/// let tight = Contraction::new(&plan).budget(Budget::bytes(10_000)).run(&network);
/// assert!(matches!(tight, Err(ansatz::Error::Memory { .. })));
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget(Option<u64>);

impl Budget {
    /// Whatever is needed.
    #[must_use]
    pub fn unlimited() -> Self {
        Budget(None)
    }

    /// At most so many bytes.
    #[must_use]
    pub fn bytes(bytes: u64) -> Self {
        Budget(Some(bytes))
    }

    /// The number of bytes, if there is a limit.
    #[must_use]
    pub fn limit(self) -> Option<u64> {
        self.0
    }

    pub(super) fn allows(self, bytes: u64) -> bool {
        self.0.is_none_or(|limit| bytes <= limit)
    }

    /// The error of a plan that needs more, with the number of slices that would do.
    pub(super) fn refusal(self, plan: &Plan, kind: Kind, needed: u64) -> Error {
        let ceiling = self.0.unwrap_or(u64::MAX);
        let way_out = match slices_that_fit(plan, ceiling, kind) {
            Ok(Some(slices)) => format!("{slices} slices would do: search for a plan with this limit, or allow more"),
            _ => "no slicing of this order keeps within the memory: allow more, or search for another order".into(),
        };
        let what = format!("the contraction by this plan of {} slices", plan.slices());
        Error::Memory { what, needed, ceiling, way_out }
    }
}

/// The fewest slices found of the plan's tree that keep within the memory.
fn slices_that_fit(plan: &Plan, bytes: u64, kind: Kind) -> Result<Option<u64>> {
    let equation = plan.equation();
    let mut limit = (bytes as f64 / kind.bytes() as f64).log2().floor().min(plan.cost().log2_size.ceil());
    while limit > -1.0 {
        let slicing = Slicing { equation, objective: Objective::Flops, limit, seed: Seed(1), deadline: None };
        if let Some(found) = slicing.plain(&Bare::new(plan.tree()), Vec::new()) {
            let sliced = Plan::new(equation, &found.bare.tree(), &found.indices)?;
            if sliced.peak_bytes(kind) <= bytes {
                return Ok(Some(sliced.slices()));
            }
        }
        limit -= 1.0;
    }
    Ok(None)
}
