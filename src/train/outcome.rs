//! What a run reports: after each bond, after each sweep, and at its end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of one bond.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BondReport {
    /// The bond between sites `bond` and `bond + 1`.
    pub bond: usize,
    /// Its dimension after the truncation.
    pub kept: usize,
    /// Share of the squared norm that the truncation threw away, in `[0, 1]`.
    #[serde(with = "any_float")]
    pub discarded_weight: f64,
    /// Negative log-likelihood of the samples seen at this bond, nats a sample; an estimate where they are a mini-batch.
    #[serde(with = "any_float::option")]
    pub nll: Option<f64>,
}

/// What became of one sweep.
///
/// In JSON a number that is not finite is written as `"inf"`, `"-inf"` or `"nan"`, so that nothing is lost on reading.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SweepReport {
    /// Sweeps completed since the start of the run, this one included; a resumed run goes on counting.
    pub sweep: usize,
    /// Sweeps planned.
    pub sweeps: usize,
    /// Negative log-likelihood of the training samples, nats a sample.
    #[serde(with = "any_float")]
    pub train_nll: f64,
    /// Negative log-likelihood of the held-out samples, nats a sample, where there are any.
    #[serde(with = "any_float::option")]
    pub valid_nll: Option<f64>,
    /// Largest bond dimension.
    pub max_bond: usize,
    /// Mean bond dimension.
    #[serde(with = "any_float")]
    pub mean_bond: f64,
    /// Learning rate of the sweep.
    #[serde(with = "any_float")]
    pub rate: f64,
    /// Largest discarded weight of a bond in the sweep, in `[0, 1]`.
    #[serde(with = "any_float")]
    pub discarded_weight: f64,
    /// Seconds since this run started, or was resumed.
    #[serde(with = "any_float")]
    pub seconds: f64,
}

impl SweepReport {
    /// The number a run is judged by, nats a sample: held-out where there are held-out samples, else training.
    #[must_use]
    pub fn score(&self) -> f64 {
        self.valid_nll.unwrap_or(self.train_nll)
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stop {
    /// All planned sweeps are done.
    ScheduleEnded,
    /// The score no longer improved.
    EarlyStopping,
    /// The time allowed is over.
    TimeLimit,
    /// Someone asked to stop.
    Interrupted,
    /// The loss no longer changed.
    Converged,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::ScheduleEnded => "all planned sweeps are done",
            Stop::EarlyStopping => "the score no longer improved",
            Stop::TimeLimit => "the time limit was reached",
            Stop::Interrupted => "interrupted",
            Stop::Converged => "converged",
        })
    }
}

/// What came of a run, and why it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// One report a sweep, the earliest first; those before a resumption included.
    pub history: Vec<SweepReport>,
    /// Why the run ended.
    pub stop: Stop,
    /// [`SweepReport::sweep`] of the sweep with the lowest score; 0 if no sweep was completed.
    pub best_sweep: usize,
}

impl Outcome {
    /// The outcome of a run with these reports: of equal scores the earlier is the best, and a NaN never is.
    #[must_use]
    pub fn new(history: Vec<SweepReport>, stop: Stop) -> Self {
        let mut best = (0, f64::NAN);
        for report in &history {
            if report.score() < best.1 || best.1.is_nan() {
                best = (report.sweep, report.score());
            }
        }
        Outcome { history, stop, best_sweep: best.0 }
    }

    /// The report of the best sweep, if a sweep was completed.
    #[must_use]
    pub fn best(&self) -> Option<&SweepReport> {
        self.history.iter().find(|report| report.sweep == self.best_sweep)
    }
}

/// JSON has no infinity and no NaN: those are written as words. An infinite held-out loss is an honest result.
pub(super) mod any_float {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(f64),
        Word(String),
    }

    fn form(x: f64) -> Form {
        if x.is_finite() {
            Form::Number(x)
        } else if x.is_nan() {
            Form::Word("nan".into())
        } else {
            Form::Word(if x > 0.0 { "inf" } else { "-inf" }.into())
        }
    }

    fn value<E: de::Error>(form: Form) -> Result<f64, E> {
        match form {
            Form::Number(x) => Ok(x),
            Form::Word(word) => match word.as_str() {
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                "nan" => Ok(f64::NAN),
                _ => Err(E::invalid_value(de::Unexpected::Str(&word), &"a number, \"inf\", \"-inf\" or \"nan\"")),
            },
        }
    }

    pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        form(*x).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        value(Form::deserialize(deserializer)?)
    }

    pub mod option {
        use super::*;

        pub fn serialize<S: Serializer>(x: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
            x.map(form).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
            Option::<Form>::deserialize(deserializer)?.map(value).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(sweep: usize, train_nll: f64, valid_nll: Option<f64>) -> SweepReport {
        SweepReport {
            sweep,
            sweeps: 9,
            train_nll,
            valid_nll,
            max_bond: 16,
            mean_bond: 9.5,
            rate: 0.01,
            discarded_weight: 1e-9,
            seconds: 0.1 + 0.2,
        }
    }

    #[test]
    fn json_gives_back_every_bit_of_a_report() {
        // 0.1 + 0.2 and its like need all 17 digits.
        for nll in [0.1 + 0.2, 1.0 / 3.0, 101.498_765_432_101_2, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY] {
            for valid in [None, Some(nll)] {
                let text = serde_json::to_string(&report(3, nll, valid)).unwrap();
                assert_eq!(serde_json::from_str::<SweepReport>(&text).unwrap(), report(3, nll, valid), "{text}");
            }
        }
        let text = serde_json::to_string(&report(3, f64::NAN, Some(f64::NAN))).unwrap();
        let back: SweepReport = serde_json::from_str(&text).unwrap();
        assert!(back.train_nll.is_nan() && back.valid_nll.unwrap().is_nan());
        assert!(serde_json::from_str::<SweepReport>(&text.replace("nan", "fast")).is_err());
    }

    #[test]
    fn the_best_sweep_has_the_lowest_held_out_loss() {
        let history = vec![
            report(1, 9.0, Some(f64::NAN)),
            report(2, 8.0, Some(7.0)),
            report(3, 6.0, Some(7.0)),
            report(4, 5.0, Some(f64::INFINITY)),
        ];
        let outcome = Outcome::new(history, Stop::ScheduleEnded);
        assert_eq!(outcome.best_sweep, 2);
        assert_eq!(outcome.best().unwrap().train_nll, 8.0);
        let none = Outcome::new(Vec::new(), Stop::Interrupted);
        assert_eq!((none.best_sweep, none.best()), (0, None));
    }

    #[test]
    fn a_reason_to_stop_has_a_name_for_programs_and_words_for_people() {
        assert_eq!(serde_json::to_string(&Stop::TimeLimit).unwrap(), "\"time_limit\"");
        assert_eq!(Stop::TimeLimit.to_string(), "the time limit was reached");
    }
}
