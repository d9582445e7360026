//! What is asked of the distribution of a circuit, by the probabilities of all bit strings.

use rand::RngExt;

use super::BornCircuit;
use crate::circuit::{Simulator, Statevector};
use crate::error::{Error, Place, Result};
use crate::model::batch::{check_count, check_evidence};
use crate::model::{Batch, Conditional, GenerativeModel, Marginal};
use crate::random::Seed;

/// A share of the weight below which there is none: amplitudes below rounding.
const FLOOR: f64 = (64.0 * f64::EPSILON) * (64.0 * f64::EPSILON);

/// Bits of an index that are given, and their values; qubit 0 is the most significant.
#[derive(Clone, Copy)]
struct Given {
    mask: usize,
    value: usize,
}

impl Given {
    fn of(evidence: &[Option<u8>]) -> Self {
        evidence.iter().fold(Given { mask: 0, value: 0 }, |given, bit| Given {
            mask: given.mask << 1 | usize::from(bit.is_some()),
            value: given.value << 1 | usize::from(*bit == Some(1)),
        })
    }

    /// The indices that agree.
    fn indices(self, probabilities: &[f64]) -> impl Iterator<Item = usize> {
        (0..probabilities.len()).filter(move |index| index & self.mask == self.value)
    }

    fn weight(self, probabilities: &[f64]) -> f64 {
        self.indices(probabilities).map(|index| probabilities[index]).sum()
    }
}

fn index(row: ndarray::ArrayView1<'_, u8>) -> usize {
    row.iter().fold(0, |index, &bit| 2 * index + usize::from(bit))
}

/// That evidence has no weight, with the first site at which none is left.
fn impossible(evidence: &[Option<u8>], probabilities: &[f64]) -> Error {
    let without = |site: &usize| {
        let until: Vec<_> = evidence.iter().enumerate().map(|(i, bit)| bit.filter(|_| i <= *site)).collect();
        Given::of(&until).weight(probabilities) <= FLOOR
    };
    Error::Impossible { site: (0..evidence.len()).find(without).unwrap_or(0) }
}

impl GenerativeModel for BornCircuit {
    type Value = u8;

    fn sites(&self) -> usize {
        self.circuit.num_qubits()
    }

    fn log_prob(&self, batch: &Batch<u8>) -> Result<Vec<f64>> {
        batch.check(&vec![2; self.sites()])?;
        let probabilities = self.probabilities()?;
        Ok(batch.view().rows().into_iter().map(|row| probabilities[index(row)].ln()).collect())
    }

    fn sample(&self, count: usize, seed: Seed) -> Result<Batch<u8>> {
        check_count(count, self.sites())?;
        let shots = Statevector::<f64>::new().shots(&self.circuit()?, count, seed)?;
        Batch::from_rows(&shots.rows().collect::<Vec<_>>())
    }
}

impl Conditional for BornCircuit {
    fn sample_given(&self, evidence: &[Option<u8>], count: usize, seed: Seed) -> Result<Batch<u8>> {
        check_evidence(evidence, &vec![2; self.sites()])?;
        check_count(count, self.sites())?;
        let probabilities = self.probabilities()?;
        let mut total = 0.0;
        let sum = |index: usize| {
            total += probabilities[index];
            (index, total)
        };
        let sums: Vec<(usize, f64)> = Given::of(evidence).indices(&probabilities).map(sum).collect();
        if total <= FLOOR {
            return Err(impossible(evidence, &probabilities));
        }
        let row = |number: usize| {
            let at = seed.stream("sample", number as u64).random::<f64>() * total;
            let found = sums.partition_point(|&(_, sum)| sum <= at).min(sums.len() - 1);
            let last = self.sites() - 1;
            (0..self.sites()).map(|site| (sums[found].0 >> (last - site) & 1) as u8).collect::<Vec<_>>()
        };
        Batch::from_rows(&(0..count).map(row).collect::<Vec<_>>())
    }

    fn conditional_log_prob(&self, batch: &Batch<u8>, given: &[bool]) -> Result<Vec<f64>> {
        batch.check(&vec![2; self.sites()])?;
        if given.len() != self.sites() {
            return Err(Error::shape("the given sites", given.len(), self.sites()));
        }
        let probabilities = self.probabilities()?;
        let mask = given.iter().fold(0, |mask, &given| mask << 1 | usize::from(given));
        let mut weights = vec![0.0; probabilities.len()];
        probabilities.iter().enumerate().for_each(|(index, p)| weights[index & mask] += p);
        let row = |(sample, row): (usize, ndarray::ArrayView1<'_, u8>)| {
            let weight = weights[index(row) & mask];
            if weight <= FLOOR {
                let evidence: Vec<_> = row.iter().zip(given).map(|(&bit, given)| given.then_some(bit)).collect();
                return Err(impossible(&evidence, &probabilities).at(Place::Sample(sample)));
            }
            Ok((probabilities[index(row)] / weight).ln())
        };
        batch.view().rows().into_iter().enumerate().map(row).collect()
    }
}

impl Marginal for BornCircuit {
    fn log_marginal(&self, evidence: &[Option<u8>]) -> Result<f64> {
        check_evidence(evidence, &vec![2; self.sites()])?;
        Ok(Given::of(evidence).weight(&self.probabilities()?).ln())
    }
}
