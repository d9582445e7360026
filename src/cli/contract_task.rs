//! The network that `ansatz contract` is to contract.

use std::borrow::Cow;

use super::output::number;
use crate::error::Result;
use crate::network::{Equation, Network, Plan, RuleReport, Simplify};
use crate::random::Seed;
use crate::scalar::Scalar;

/// What there is to contract: tensors that were read, made smaller where that is asked for, or a pattern.
pub(super) struct Task<T: Scalar> {
    pub equation: Equation,
    network: Option<Network<T>>,
    /// Tensors before simplification, and what its rules did.
    simplified: Option<(usize, Vec<RuleReport>)>,
}

impl<T: Scalar> Task<T> {
    /// A stored plan decides whether the network is made smaller: it fits the one or the other.
    pub(super) fn new(
        network: Option<Network<T>>,
        equation: &Equation,
        simplify: bool,
        plan: Option<&Plan>,
    ) -> Result<Self> {
        let as_it_is = plan.is_some_and(|plan| plan.equation() == equation);
        if let Some(network) = network.as_ref().filter(|_| simplify && !as_it_is) {
            let (smaller, reports) = network.simplify_reported(&Simplify::all())?;
            let simplified = Some((equation.tensors(), reports));
            return Ok(Task { equation: smaller.equation()?, network: Some(smaller), simplified });
        }
        Ok(Task { equation: equation.clone(), network, simplified: None })
    }

    /// The tensors, random ones where none were read.
    pub(super) fn network(&self, seed: Seed) -> Result<Cow<'_, Network<T>>> {
        match &self.network {
            Some(network) => Ok(Cow::Borrowed(network)),
            None => Network::random(&self.equation, seed).map(Cow::Owned),
        }
    }

    /// How many tensors there are, and were.
    pub(super) fn tensors(&self) -> String {
        match &self.simplified {
            Some((before, _)) => format!("{} (of {before})", self.equation.tensors()),
            None => self.equation.tensors().to_string(),
        }
    }

    pub(super) fn tell_json(&self, json: &mut serde_json::Value) {
        let Some((before, reports)) = &self.simplified else { return };
        let rules = reports.iter().map(|report| {
            serde_json::json!({
                "rule": report.rule.name(), "rounds": report.rounds, "tensors": report.tensors,
                "elements": report.elements,
            })
        });
        json["simplified"] = serde_json::json!({
            "tensors_before": before, "ln_scale": number(self.network.as_ref().map_or(0.0, Network::ln_scale)),
            "rules": rules.collect::<Vec<_>>(),
        });
    }
}
