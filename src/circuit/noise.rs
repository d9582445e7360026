//! What noise follows which gates, and errors of reading: a circuit with it is a circuit again.

use std::sync::Arc;

use num_complex::Complex64;

use super::channel::Channel;
use super::circuit::Circuit;
use super::instruction::{Instruction, Operation};
use super::matrix::Matrix;
use crate::error::{Error, Result, quoted};

/// Rules by which noise is put into a circuit.
///
/// ```
/// use ansatz::circuit::{Circuit, DensityMatrix, Noise, Simulator};
/// let noise = Noise::from_json(r#"{"gates": [{"on": ["cx"], "channel": {"kind": "depolarising", "p": 0.1}}]}"#)?;
/// let mut bell = Circuit::new(2)?;
/// bell.h(0)?.cx(0, 1)?;
/// let zz = DensityMatrix::<f64>::new().expectation(&noise.applied(&bell)?, &"Z0 Z1".parse()?)?;
/// assert!((zz - 0.9 * 0.9).abs() < 1e-14);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Noise {
    rules: Vec<Rule>,
    readout: Option<[f64; 2]>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    /// Names of gates; `None` is every gate.
    on: Option<Vec<String>>,
    channel: Arc<Channel>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    gates: Vec<FileRule>,
    readout: Option<Readout>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRule {
    on: Option<Vec<String>>,
    channel: Kind,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Readout {
    one_for_zero: f64,
    zero_for_one: f64,
}

#[derive(serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Kind {
    BitFlip { p: f64 },
    PhaseFlip { p: f64 },
    Depolarising { p: f64, qubits: Option<usize> },
    AmplitudeDamping { gamma: f64 },
    PhaseDamping { lambda: f64 },
    ThermalRelaxation { t1: f64, t2: f64, time: f64 },
    Kraus { qubits: usize, operators: Vec<Vec<[f64; 2]>> },
}

impl Kind {
    fn channel(self) -> Result<Channel> {
        match self {
            Kind::BitFlip { p } => Channel::bit_flip(p),
            Kind::PhaseFlip { p } => Channel::phase_flip(p),
            Kind::Depolarising { p, qubits } => Channel::depolarising(qubits.unwrap_or(1), p),
            Kind::AmplitudeDamping { gamma } => Channel::amplitude_damping(gamma),
            Kind::PhaseDamping { lambda } => Channel::phase_damping(lambda),
            Kind::ThermalRelaxation { t1, t2, time } => Channel::thermal_relaxation(t1, t2, time),
            Kind::Kraus { qubits, operators } => {
                let matrix = |entries: Vec<[f64; 2]>| {
                    Matrix::new(qubits, entries.into_iter().map(|[re, im]| Complex64::new(re, im)).collect())
                };
                Channel::new("kraus", operators.into_iter().map(matrix).collect::<Result<_>>()?)
            }
        }
    }
}

impl File {
    fn noise(self) -> Result<Noise> {
        let mut noise = Noise::new();
        for (number, rule) in self.gates.into_iter().enumerate() {
            let at = |e: Error| Error::Format { what: format!("noise rule {number}: {e}") };
            let channel = Arc::new(rule.channel.channel().map_err(at)?);
            for name in rule.on.iter().flatten() {
                if super::table::gate_named(name).is_none() {
                    return Err(at(Error::Circuit { what: format!("undefined gate '{}'", quoted(name)) }));
                }
            }
            noise.rules.push(Rule { on: rule.on, channel });
        }
        match self.readout {
            Some(readout) => noise.readout(readout.one_for_zero, readout.zero_for_one),
            None => Ok(noise),
        }
    }
}

fn unread(why: &str) -> Error {
    Error::Format { what: format!("noise: {}", quoted(why)) }
}

impl Noise {
    /// No noise.
    #[must_use]
    pub fn new() -> Self {
        Noise::default()
    }

    /// Adds a channel after every gate of these names, or after every gate: a channel of one qubit on each qubit of the
    /// gate, a channel of two qubits after gates of two.
    #[must_use]
    pub fn after(mut self, gates: Option<&[&str]>, channel: Channel) -> Self {
        let on = gates.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        self.rules.push(Rule { on, channel: Arc::new(channel) });
        self
    }

    /// Every measurement that finds 0 tells 1 with probability `one_for_zero`, and one that finds 1 tells 0 with probability
    /// `zero_for_one`.
    ///
    /// # Errors
    /// [`Error::Setting`] if they are not in `[0, 1]`.
    pub fn readout(mut self, one_for_zero: f64, zero_for_one: f64) -> Result<Self> {
        for p in [one_for_zero, zero_for_one] {
            if !(0.0..=1.0).contains(&p) {
                return Err(Error::setting("probability of a wrong reading", p, "give a number from 0 to 1"));
            }
        }
        self.readout = Some([one_for_zero, zero_for_one]);
        Ok(self)
    }

    /// From JSON: `{"gates": [{"on": ["cx"], "channel": {"kind": "depolarising", "p": 0.01, "qubits": 2}}], "readout":
    /// {"one_for_zero": 0.01, "zero_for_one": 0.03}}`; without `on` a rule is for every gate. Kinds are `bit_flip` and
    /// `phase_flip` (`p`), `depolarising` (`p`, `qubits`), `amplitude_damping` (`gamma`), `phase_damping` (`lambda`),
    /// `thermal_relaxation` (`t1`, `t2`, `time`) and `kraus` (`qubits`, `operators`, each a list of `[re, im]`, rows first).
    ///
    /// # Errors
    /// [`Error::Format`] if it is no such text; as the constructors of [`Channel`].
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str::<File>(text).map_err(|e| unread(&e.to_string()))?.noise()
    }

    /// From TOML, with the same names as [`from_json`](Self::from_json) has.
    ///
    /// ```
    /// let text = r#"
    ///     readout = { one_for_zero = 0.01, zero_for_one = 0.03 }
    ///     [[gates]]
    ///     on = ["cx"]
    ///     channel = { kind = "depolarising", p = 0.01, qubits = 2 }
    /// "#;
    /// let json = r#"{"gates": [{"on": ["cx"], "channel": {"kind": "depolarising", "p": 0.01, "qubits": 2}}],
    ///                "readout": {"one_for_zero": 0.01, "zero_for_one": 0.03}}"#;
    /// assert_eq!(ansatz::circuit::Noise::from_toml(text)?, ansatz::circuit::Noise::from_json(json)?);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_toml(text: &str) -> Result<Self> {
        let read = toml::from_str::<File>(text).map_err(|e| {
            let line = e.span().map(|span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
            unread(&line.map_or_else(|| e.message().to_owned(), |line| format!("{} at line {line}", e.message())))
        });
        read?.noise()
    }

    /// The circuit with noise after its gates and errors of reading after its measurements. A circuit that measures nothing
    /// is measured at its end, if readings have errors.
    ///
    /// # Errors
    /// [`Error::Circuit`] beyond [`super::MAX_INSTRUCTIONS`].
    pub fn applied(&self, circuit: &Circuit) -> Result<Circuit> {
        let mut noisy = circuit.emptied();
        let measures = circuit.instructions().iter().any(|i| matches!(i.operation, Operation::Measure { .. }));
        for instruction in circuit.instructions() {
            noisy.push(instruction.clone())?;
            let condition = instruction.condition;
            match &instruction.operation {
                Operation::Gate { gate, qubits } => {
                    let name = gate.name();
                    for rule in &self.rules {
                        if rule.on.as_ref().is_some_and(|names| !names.contains(&name)) {
                            continue;
                        }
                        let width = rule.channel.qubits();
                        let on: Vec<Vec<usize>> = match width {
                            1 => qubits.iter().map(|&q| vec![q]).collect(),
                            _ if qubits.len() == width => vec![qubits.clone()],
                            _ => Vec::new(),
                        };
                        for qubits in on {
                            let operation = Operation::Channel { channel: rule.channel.clone(), qubits };
                            noisy.push(Instruction { operation, condition })?;
                        }
                    }
                }
                Operation::Measure { bit, .. } => {
                    if let Some(chances) = self.readout {
                        noisy.push(Instruction { operation: Operation::Misread { bit: *bit, chances }, condition })?;
                    }
                }
                _ => {}
            }
        }
        if let Some(chances) = self.readout.filter(|_| !measures) {
            let (start, qubits) = (circuit.num_bits(), circuit.num_qubits());
            if start == 0 && qubits > 0 {
                let taken = |name: &str| circuit.qubit_registers().iter().any(|r| r.name == name);
                noisy.add_bits(if taken("readout") { "readout_bits" } else { "readout" }, qubits)?;
                for qubit in 0..qubits {
                    noisy.measure(qubit, qubit)?;
                    let operation = Operation::Misread { bit: qubit, chances };
                    noisy.push(Instruction { operation, condition: None })?;
                }
            }
        }
        Ok(noisy)
    }
}
