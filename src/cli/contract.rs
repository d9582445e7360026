//! `ansatz contract`: plan the contraction of a network, and do it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;

use super::Exit;
use super::output::{number, print, print_json, write_text};
use crate::error::{Error, Result};
use crate::io::{load_equation, load_plan};
use crate::network::{Network, Objective, Plan, Planner};
use crate::random::Seed;
use crate::report::{Table, plan_dot, plan_svg};
use crate::scalar::{Kind, LogScaled, Scalar};

#[derive(Debug, Args)]
pub(super) struct Contract {
    /// The network: JSON with `inputs`, `output` and `size_dict`.
    network: PathBuf,
    /// Make the plan and stop.
    #[arg(long)]
    plan_only: bool,
    /// Seconds to search for a plan.
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", allow_negative_numbers = true)]
    time: f64,
    /// Memory that the contraction may take, as 4GiB, 500MB or a number of bytes; indices are sliced to keep within it
    /// (4GiB if a contraction is to be done).
    #[arg(long, value_name = "BYTES")]
    bytes: Option<Bytes>,
    /// No intermediate may have more than 2^X elements; indices are sliced until that holds.
    #[arg(long, value_name = "X", conflicts_with = "bytes", allow_negative_numbers = true)]
    log2_size: Option<f64>,
    /// What is to be small: flops, write, size, peak, or combined with the multiplications that one element written
    /// costs, as combined:64.
    #[arg(long, default_value = "flops", value_name = "WHAT")]
    minimise: Minimise,
    /// The seed of the search, and of the elements of the tensors.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Numbers of the tensors: f32, f64, c32 or c64.
    #[arg(long, default_value = "f64", value_name = "KIND")]
    scalar: String,
    /// Use the plan in this file instead of searching.
    #[arg(long, value_name = "FILE.json")]
    plan: Option<PathBuf>,
    /// Write the plan.
    #[arg(long, value_name = "FILE.json")]
    save_plan: Option<PathBuf>,
    /// Draw the tree of the plan (.svg or .dot).
    #[arg(long, value_name = "FILE.svg")]
    draw: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A number of bytes, with or without a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bytes(u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is no amount of memory: give bytes, or a number with kB, MB, GB, KiB, MiB, GiB");
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let value: f64 = digits.trim().parse().map_err(|_| wrong())?;
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "t" | "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => 1024.0 * 1024.0,
            "gib" => 1024.0 * 1024.0 * 1024.0,
            "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return Err(wrong()),
        };
        let bytes = value * unit;
        if bytes >= 1.0 && bytes < u64::MAX as f64 { Ok(Bytes(bytes as u64)) } else { Err(wrong()) }
    }
}

#[derive(Debug, Clone, Copy)]
struct Minimise(Objective);

impl FromStr for Minimise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let factor = text.strip_prefix("combined").map(|rest| match rest.strip_prefix(':') {
            Some(number) => number.parse().ok(),
            None => rest.is_empty().then_some(64.0),
        });
        match (text, factor) {
            ("flops", _) => Ok(Minimise(Objective::Flops)),
            ("write", _) => Ok(Minimise(Objective::Write)),
            ("size", _) => Ok(Minimise(Objective::Size)),
            ("peak", _) => Ok(Minimise(Objective::Peak)),
            (_, Some(Some(factor))) => Ok(Minimise(Objective::Combined { factor })),
            _ => Err(format!("'{text}' is none of flops, write, size, peak, combined, combined:FACTOR")),
        }
    }
}

/// What came of a contraction: `ln` of the modulus, and the phase, of a number; the norm of a tensor has no phase.
struct Value {
    ln_abs: f64,
    phase: Option<(f64, f64)>,
    seconds: f64,
}

impl Contract {
    pub fn run(self) -> Result<Exit> {
        let kind = match self.scalar.as_str() {
            "f32" => Kind::F32,
            "f64" => Kind::F64,
            "c32" => Kind::C32,
            "c64" => Kind::C64,
            other => return Err(Error::setting("scalar", other, "give f32, f64, c32 or c64")),
        };
        let Ok(time) = Duration::try_from_secs_f64(self.time) else {
            return Err(Error::setting("time", self.time, "give a number of seconds"));
        };
        let equation = load_equation(&self.network)?;
        let start = Instant::now();
        let ceiling = self.bytes.or((!self.plan_only).then_some(Bytes(4 << 30)));
        let plan = match &self.plan {
            Some(file) => {
                let plan = load_plan(file)?;
                if *plan.equation() != equation {
                    let what = format!(
                        "the plan in {} is for another network than {}",
                        file.display(),
                        self.network.display()
                    );
                    return Err(Error::Format { what });
                }
                plan
            }
            None => {
                let mut planner = Planner::new().objective(self.minimise.0);
                if let Some(log2_size) = self.log2_size {
                    planner = planner.max_log2_size(log2_size);
                } else if let Some(Bytes(bytes)) = ceiling {
                    planner = planner.max_bytes(bytes, kind);
                }
                planner.search(&equation, time, Seed(self.seed))?
            }
        };
        let planned = start.elapsed().as_secs_f64();
        if let Some(file) = &self.save_plan {
            write_text(file, &format!("{}\n", plan.to_json()))?;
        }
        if let Some(file) = &self.draw {
            let dot = file.extension().is_some_and(|e| e == "dot");
            write_text(file, &if dot { plan_dot(&plan) } else { plan_svg(&plan)? })?;
        }
        let value = if self.plan_only {
            None
        } else {
            if let Some(Bytes(bytes)) = ceiling.filter(|ceiling| plan.peak_bytes(kind) > ceiling.0) {
                return Err(Error::Memory {
                    what: "the contraction by this plan".into(),
                    needed: plan.peak_bytes(kind),
                    ceiling: bytes,
                    way_out: "allow more with --bytes, or search for a plan without --plan".into(),
                });
            }
            Some(match kind {
                Kind::F32 => self.contracted::<f32>(&plan)?,
                Kind::F64 => self.contracted::<f64>(&plan)?,
                Kind::C32 => self.contracted::<num_complex::Complex32>(&plan)?,
                Kind::C64 => self.contracted::<num_complex::Complex64>(&plan)?,
            })
        };
        self.tell(&plan, kind, planned, value.as_ref())?;
        Ok(Exit::Done)
    }

    fn contracted<T: Scalar>(&self, plan: &Plan) -> Result<Value> {
        let start = Instant::now();
        let result = Network::<T>::random(plan.equation(), Seed(self.seed))?.contract(plan)?;
        let (ln_abs, phase) = if plan.equation().output().is_empty() {
            let value = result.scalar()?;
            let phase = value.phase().to_c64();
            (value.ln_abs(), Some((phase.re, phase.im)))
        } else {
            let norm = result.mantissa().norm() * LogScaled::exp(result.ln_scale());
            (norm.ln_abs(), None)
        };
        Ok(Value { ln_abs, phase, seconds: start.elapsed().as_secs_f64() })
    }

    fn tell(&self, plan: &Plan, kind: Kind, planned: f64, value: Option<&Value>) -> Result<()> {
        let cost = plan.cost();
        if self.json {
            let mut json = serde_json::json!({
                "tensors": plan.tree().leaves(), "indices": plan.equation().indices(),
                "log2_flops": number(cost.log2_flops), "log2_size": number(cost.log2_size),
                "log2_write": number(cost.log2_write), "peak_bytes": plan.peak_bytes(kind), "slices": plan.slices(),
                "log2_slices": number(cost.log2_slices), "log2_overhead": number(plan.log2_overhead()),
                "plan_seconds": number(planned),
                "seconds": number(planned + value.map_or(0.0, |value| value.seconds)),
            });
            if let Some(value) = value {
                json["contract_seconds"] = number(value.seconds);
                json[if value.phase.is_some() { "log_abs" } else { "log_norm" }] = number(value.ln_abs);
                if let Some((re, im)) = value.phase {
                    let complex = matches!(kind, Kind::C32 | Kind::C64);
                    json["phase"] = if complex { serde_json::json!([re, im]) } else { number(re) };
                }
            }
            return print_json(&json);
        }
        let mut table = Table::new(["", "value"]);
        table.row(["tensors".to_owned(), plan.tree().leaves().to_string()]);
        table.row(["multiplications".to_owned(), format!("2^{:.2}", cost.log2_flops)]);
        table.row(["elements written".to_owned(), format!("2^{:.2}", cost.log2_write)]);
        table.row(["largest intermediate".to_owned(), format!("2^{:.2} elements", cost.log2_size)]);
        table.row([format!("peak memory ({kind})"), format!("{:.4} GB", plan.peak_bytes(kind) as f64 / 1e9)]);
        table.row(["slices".to_owned(), plan.slices().to_string()]);
        if !plan.sliced().is_empty() {
            let times = format!("2^{:.2} times the multiplications", plan.log2_overhead());
            table.row(["overhead of slicing".to_owned(), times]);
        }
        table.row(["seconds to plan".to_owned(), format!("{planned:.3}")]);
        if let Some(value) = value {
            table.row(["seconds to contract".to_owned(), format!("{:.3}", value.seconds)]);
            let name = if value.phase.is_some() { "ln |value|" } else { "ln of the norm" };
            table.row([name.to_owned(), format!("{:.12}", value.ln_abs)]);
            if let Some((re, im)) = value.phase {
                let text =
                    if matches!(kind, Kind::C32 | Kind::C64) { format!("{re} {im:+} i") } else { re.to_string() };
                table.row(["sign or phase".to_owned(), text]);
            }
        }
        print(&table.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_read_with_and_without_units() {
        for (text, bytes) in
            [("4GiB", 4 << 30), ("500MB", 500_000_000), ("1.5 kib", 1536), ("77", 77), ("1e6", 1_000_000)]
        {
            let read: Result<Bytes, String> = text.parse();
            // `1e6` would be read as a unit of its own, and is refused.
            assert_eq!(read.ok(), (text != "1e6").then_some(Bytes(bytes)), "{text}");
        }
        for text in ["", "GiB", "4 apples", "-1", "0", "nan", "1e30GiB", "99999999999TiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
