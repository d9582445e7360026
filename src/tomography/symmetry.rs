//! Symmetries that a fit may take a state to have.

use super::measurement::Measurement;
use super::shots::Shots;
use crate::error::{Error, Result};

/// What leaves a state as it is. A fit that takes this as given is to the record together with its images, what the mapped state would
/// have shown: as many shots again, where it is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symmetry {
    /// The last site first.
    Mirror,
    /// X at every qubit, which turns outcomes of Y and Z over.
    Flip,
}

impl Symmetry {
    /// How it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Symmetry::Mirror => "mirror",
            Symmetry::Flip => "flip",
        }
    }

    /// The record that the mapped state would have shown.
    ///
    /// # Errors
    /// [`Error::Shape`] if the levels of the sites are not mirrored, [`Error::Setting`] if a measurement is not of a Pauli operator or a
    /// direction of a qubit.
    pub fn image(self, shots: &Shots) -> Result<Shots> {
        let table = shots.measurements();
        let rows = (0..shots.rows()).map(|row| {
            let setting = shots.setting(row).iter().map(|&m| &table[m as usize]);
            let seen = setting.zip(shots.outcome(row).iter().copied());
            let seen = match self {
                Symmetry::Mirror => seen.rev().map(|(m, o)| Ok((m.clone(), o))).collect::<Result<Vec<_>>>()?,
                Symmetry::Flip => seen.map(|(m, o)| flipped(m, o)).collect::<Result<Vec<_>>>()?,
            };
            let (setting, outcome) = seen.into_iter().unzip();
            Ok((setting, outcome, shots.counts()[row]))
        });
        if self == Symmetry::Mirror && !shots.dims().iter().eq(shots.dims().iter().rev()) {
            return Err(Error::shape(
                "a mirrored record: levels of the sites",
                shots.dims(),
                "the same from both ends",
            ));
        }
        if self == Symmetry::Flip && shots.dims().iter().any(|&d| d != 2) {
            return Err(Error::shape("a flipped record: levels of the sites", shots.dims(), "2 each"));
        }
        Shots::new(shots.dims(), rows.collect::<Result<Vec<_>>>()?)
    }

    /// A record together with its images under all of `symmetries`.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    pub(super) fn all(symmetries: &[Self], shots: &Shots) -> Result<Shots> {
        symmetries.iter().try_fold(shots.clone(), |whole, symmetry| whole.joined(&symmetry.image(&whole)?))
    }
}

/// A measurement and its outcome, seen from the other side of X.
fn flipped(measurement: &Measurement, outcome: u8) -> Result<(Measurement, u8)> {
    Ok(match measurement {
        Measurement::X | Measurement::Nothing => (measurement.clone(), outcome),
        Measurement::Y | Measurement::Z => (measurement.clone(), 1 - outcome),
        Measurement::Angles { theta, phi } => {
            (Measurement::Angles { theta: std::f64::consts::PI - theta, phi: -phi }, outcome)
        }
        other => {
            let expected = "flip is for X, Y, Z and directions of qubits; take mirror, or no symmetry";
            return Err(Error::setting("symmetry", format!("flip of measurement {other}"), expected));
        }
    })
}
