//! `ansatz contract`: plan the contraction of a network, and do it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use super::Exit;
use super::contract_task::Task;
use super::options::{GaugeName, Minimise};
use super::output::{complain, number, print, print_json, write_text};
use super::training::on_signal;
use crate::error::{Error, Result};
use crate::io::{TensorData, load_equation, load_plan, load_sliced_sum, load_tensor_data, save_sliced_sum};
use crate::memory::Bytes;
use crate::network::{
    Approximate, Budget, CompiledContraction, Compressed, CompressedPlan, Contracted, Contraction, Equation, Network,
    Plan, Planner,
};
use crate::random::Seed;
use crate::report::{SliceBar, Table, pattern_dot, pattern_svg, plan_dot, plan_svg};
use crate::scalar::{Kind, LogScaled, Scalar};

/// Multiplications a second on which a warning reckons.
const USUAL_RATE: f64 = 5e9;

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
    /// The tensors: arrays numbered from 0 (0, arr_0, ...) as .npz, .npy or .safetensors. Without it, seeded random ones.
    #[arg(long, value_name = "FILE")]
    tensors: Option<PathBuf>,
    /// Plan the network as it is, not made smaller first by what its tensors hold.
    #[arg(long, requires = "tensors")]
    no_simplify: bool,
    /// Numbers of the tensors: f32, f64, c32 or c64 (as the file of tensors has them, else f64).
    #[arg(long, value_name = "KIND")]
    scalar: Option<Kind>,
    /// Contract approximately: bonds are truncated to at most this dimension (--bytes and --minimise are not used).
    #[arg(long, value_name = "BOND", conflicts_with_all = ["save_plan", "draw"])]
    max_bond: Option<usize>,
    /// Of truncated bonds, drop the singular values below this share of the largest.
    #[arg(long, default_value_t = 0.0, value_name = "RATIO", requires = "max_bond", allow_negative_numbers = true)]
    cutoff: f64,
    /// What is taken to surround a bond that is truncated: none, tree or tree:DEPTH, bp (messages).
    #[arg(long, default_value = "tree", value_name = "GAUGE", requires = "max_bond")]
    gauge: GaugeName,
    /// Use the plan in this file instead of searching.
    #[arg(long, value_name = "FILE.json")]
    plan: Option<PathBuf>,
    /// Write the plan.
    #[arg(long, value_name = "FILE.json")]
    save_plan: Option<PathBuf>,
    /// Draw the tree of the plan (.svg or .dot).
    #[arg(long, value_name = "FILE.svg")]
    draw: Option<PathBuf>,
    /// Do the first so many slices only, to see how fast they are; the value is that of these slices.
    #[arg(long, value_name = "N", conflicts_with = "plan_only")]
    slices: Option<u64>,
    /// Contract so many times and tell the fastest: the first time pays for memory that the system has yet to give.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["plan_only", "checkpoint", "max_bond"])]
    repeat: usize,
    /// Store the sum over slices in this file as it grows, and when the program is stopped.
    #[arg(long, value_name = "FILE", conflicts_with = "plan_only")]
    checkpoint: Option<PathBuf>,
    /// Store it every so many seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300.0,
        requires = "checkpoint",
        allow_negative_numbers = true
    )]
    every: f64,
    /// Go on from the checkpoint: with the same network, seed and numbers, and the same plan (--plan).
    #[arg(long, requires_all = ["checkpoint", "plan"])]
    resume: bool,
    /// Draw the network (.svg or .dot).
    #[arg(long, value_name = "FILE.svg")]
    draw_network: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What came of a contraction: `ln` of the modulus, and the phase, of a number; the norm of a tensor has no phase.
struct Value {
    ln_abs: f64,
    phase: Option<(f64, f64)>,
    seconds: f64,
}

/// Seconds to lay out memory and steps, and to contract the first time and the fastest.
struct Took {
    compile: f64,
    first: f64,
    best: f64,
}

/// A contraction, and how far it came.
struct Done {
    value: Value,
    /// Slices done in all.
    slices: u64,
    /// Multiplications done in one go, for slices.
    multiplications: f64,
    took: Took,
    interrupted: bool,
}

impl Done {
    /// A multiplication with its addition counts 2, of complex numbers 8.
    fn gflops(&self, kind: Kind) -> f64 {
        let each = if matches!(kind, Kind::C32 | Kind::C64) { 8.0 } else { 2.0 };
        each * self.multiplications / self.value.seconds.max(1e-9) / 1e9
    }
}

impl Value {
    fn new<T: Scalar>(result: &Contracted<T>, seconds: f64) -> Result<Self> {
        let (ln_abs, phase) = if result.mantissa().legs().is_empty() {
            let value = result.scalar()?;
            let phase = value.phase().to_c64();
            (value.ln_abs(), Some((phase.re, phase.im)))
        } else {
            let norm = result.mantissa().norm() * LogScaled::exp(result.ln_scale());
            (norm.ln_abs(), None)
        };
        Ok(Value { ln_abs, phase, seconds })
    }

    fn tell_json(&self, json: &mut serde_json::Value, kind: Kind) {
        json["contract_seconds"] = number(self.seconds);
        json[if self.phase.is_some() { "log_abs" } else { "log_norm" }] = number(self.ln_abs);
        if let Some((re, im)) = self.phase {
            let complex = matches!(kind, Kind::C32 | Kind::C64);
            json["phase"] = if complex { serde_json::json!([re, im]) } else { number(re) };
        }
    }

    fn tell(&self, table: &mut Table, kind: Kind) {
        table.row(["seconds to contract".to_owned(), format!("{:.3}", self.seconds)]);
        let name = if self.phase.is_some() { "ln |value|" } else { "ln of the norm" };
        table.row([name.to_owned(), format!("{:.12}", self.ln_abs)]);
        if let Some((re, im)) = self.phase {
            let text = if matches!(kind, Kind::C32 | Kind::C64) { format!("{re} {im:+} i") } else { re.to_string() };
            table.row(["sign or phase".to_owned(), text]);
        }
    }
}

impl Contract {
    pub fn run(self) -> Result<Exit> {
        if !(self.every >= 0.0 && self.every.is_finite()) {
            return Err(Error::setting("every", self.every, "give a number of seconds"));
        }
        if self.repeat == 0 {
            return Err(Error::setting("repeat", 0, "give at least 1"));
        }
        if self.slices == Some(0) {
            return Err(Error::setting("slices", 0, "give at least 1"));
        }
        if let Some(max_bond) = self.max_bond
            && (self.slices.is_some() || self.checkpoint.is_some())
        {
            let way_out = "leave out --slices and --checkpoint: with bounded bonds no index is sliced";
            return Err(Error::setting("max-bond", max_bond, way_out));
        }
        let equation = load_equation(&self.network)?;
        let shapes = equation.shapes();
        let data = self.tensors.as_deref().map(load_tensor_data).transpose()?;
        let kind = match (self.scalar, &data) {
            (Some(kind), _) => kind,
            (None, Some(data)) => data.kind(&shapes)?,
            (None, None) => Kind::F64,
        };
        match kind {
            Kind::F32 => self.run_as::<f32>(&equation, data.as_ref()),
            Kind::F64 => self.run_as::<f64>(&equation, data.as_ref()),
            Kind::C32 => self.run_as::<num_complex::Complex32>(&equation, data.as_ref()),
            Kind::C64 => self.run_as::<num_complex::Complex64>(&equation, data.as_ref()),
        }
    }

    fn run_as<T: Scalar>(&self, equation: &Equation, data: Option<&TensorData>) -> Result<Exit> {
        let Ok(time) = Duration::try_from_secs_f64(self.time) else {
            return Err(Error::setting("time", self.time, "give a number of seconds"));
        };
        let stored = self.plan.as_deref().map(load_plan).transpose()?;
        let network = match data {
            Some(data) => Some(Network::<T>::from_equation(equation, data.arrays(&equation.shapes())?)?),
            None => None,
        };
        let task = Task::new(network, equation, !self.no_simplify, stored.as_ref())?;
        if let Some(plan) = stored.as_ref().filter(|plan| *plan.equation() != task.equation) {
            return Err(self.foreign(plan));
        }
        if let Some(file) = &self.draw_network {
            let dot = file.extension().is_some_and(|e| e == "dot");
            write_text(file, &if dot { pattern_dot(&task.equation) } else { pattern_svg(&task.equation)? })?;
        }
        let start = Instant::now();
        if let Some(max_bond) = self.max_bond {
            let plan = match &stored {
                Some(plan) => CompressedPlan::new(&task.equation, plan.tree(), max_bond)?,
                None => Planner::new().search_compressed(&task.equation, max_bond, time, Seed(self.seed))?,
            };
            let settings = Compressed::new(max_bond).cutoff(self.cutoff).gauge(self.gauge.0);
            return self.approximate(&task, &plan, &settings, start.elapsed().as_secs_f64());
        }
        let ceiling = self.bytes.or((!self.plan_only).then_some(Bytes(4 << 30)));
        let plan = match stored {
            Some(plan) => plan,
            None => {
                let mut planner = Planner::new().objective(self.minimise.0);
                if let Some(log2_size) = self.log2_size {
                    planner = planner.max_log2_size(log2_size);
                } else if let Some(Bytes(bytes)) = ceiling {
                    planner = planner.max_bytes(bytes, T::KIND);
                }
                planner.search(&task.equation, time, Seed(self.seed))?
            }
        };
        let planned = start.elapsed().as_secs_f64();
        self.keep(&plan)?;
        self.warn(&plan);
        let done = if self.plan_only { None } else { Some(self.contracted(&task, &plan, ceiling)?) };
        self.tell(&task, &plan, planned, done.as_ref())?;
        Ok(if done.is_some_and(|done| done.interrupted) { Exit::Interrupted } else { Exit::Done })
    }

    fn contracted<T: Scalar>(&self, task: &Task<T>, plan: &Plan, ceiling: Option<Bytes>) -> Result<Done> {
        let network = task.network(Seed(self.seed))?;
        let budget = ceiling.map_or(Budget::unlimited(), |Bytes(bytes)| Budget::bytes(bytes));
        let contraction = Contraction::new(plan).budget(budget).slices(self.slices.unwrap_or(u64::MAX));
        let start = Instant::now();
        let compiled = contraction.compile(&network)?;
        let mut took = Took { compile: start.elapsed().as_secs_f64(), first: 0.0, best: f64::INFINITY };
        let stopped = on_signal()?;
        let mut last = None;
        for time in 0..self.repeat {
            let start = Instant::now();
            // A sum is needed to be stored, or to end before all slices are done.
            let done = if plan.slices() == 1 && self.checkpoint.is_none() {
                let result = compiled.run(&network)?;
                (result, 1, compiled.multiplications(), start.elapsed().as_secs_f64())
            } else {
                self.summed(&compiled, &network, &stopped)?
            };
            if time == 0 {
                took.first = done.3;
            }
            took.best = took.best.min(done.3);
            last = Some(done);
            if stopped.load(Ordering::Relaxed) {
                break;
            }
        }
        let Some((result, slices, multiplications, _)) = last else {
            return Err(Error::setting("repeat", 0, "give at least 1"));
        };
        let wanted = self.slices.unwrap_or(u64::MAX).min(plan.slices());
        let interrupted = stopped.load(Ordering::Relaxed) && slices < wanted;
        let value = Value::new(&result, took.best)?;
        Ok(Done { value, slices, multiplications, took, interrupted })
    }

    /// A sum over slices as far as it gets: its value, the slices it has, the multiplications and seconds it took.
    fn summed<T: Scalar>(
        &self,
        compiled: &CompiledContraction<T>,
        network: &Network<T>,
        stopped: &AtomicBool,
    ) -> Result<(Contracted<T>, u64, f64, f64)> {
        let mut sum = match &self.checkpoint {
            Some(file) if self.resume => load_sliced_sum(file)?,
            _ => compiled.start(network)?,
        };
        let bar = (sum.slices() > 1).then(|| SliceBar::stderr(sum.done(), sum.slices()));
        let start = Instant::now();
        let mut stored = Instant::now();
        compiled.advance(network, &mut sum, &mut |sum| {
            if let Some(bar) = &bar {
                bar.done(sum.done());
            }
            if let Some(file) = self.checkpoint.as_ref().filter(|_| stored.elapsed().as_secs_f64() >= self.every) {
                save_sliced_sum(file, sum)?;
                stored = Instant::now();
            }
            let go_on = !stopped.load(Ordering::Relaxed);
            Ok(if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        let seconds = start.elapsed().as_secs_f64();
        drop(bar);
        if let Some(file) = &self.checkpoint {
            save_sliced_sum(file, &sum)?;
        }
        let (done, multiplications) = (sum.done(), sum.multiplications());
        Ok((compiled.finish(network, sum)?, done, multiplications, seconds))
    }

    /// Says before it begins that a contraction will take long.
    fn warn(&self, plan: &Plan) {
        let slices = self.slices.map_or(1.0, |most| most as f64 / plan.slices() as f64).min(1.0);
        let hours = plan.cost().log2_flops.exp2() * slices / USUAL_RATE / 3600.0;
        if !self.plan_only && hours > 0.5 {
            let cost = plan.cost().log2_flops;
            complain(&format!(
                "warning: 2^{cost:.1} multiplications in {} slices take about {hours:.1e} hours; allow more memory (--bytes), or \
                 search for longer (--time); --plan-only shows the plan alone",
                plan.slices()
            ));
        }
    }

    /// Writes and draws the plan as far as that is asked for.
    fn keep(&self, plan: &Plan) -> Result<()> {
        if let Some(file) = &self.save_plan {
            write_text(file, &format!("{}\n", plan.to_json()))?;
        }
        if let Some(file) = &self.draw {
            let dot = file.extension().is_some_and(|e| e == "dot");
            write_text(file, &if dot { plan_dot(plan) } else { plan_svg(plan)? })?;
        }
        Ok(())
    }

    /// That the plan that was read is for another network than the one that was read.
    fn foreign(&self, plan: &Plan) -> Error {
        let file = self.plan.as_deref().unwrap_or(&self.network);
        let tensors = plan.equation().tensors();
        let (file, network) = (file.display(), self.network.display());
        let hint = if self.tensors.is_some() { ", as it is or made smaller" } else { "" };
        let what = format!("the plan in {file}, of {tensors} tensors, is for another network than {network}{hint}");
        Error::Format { what }
    }

    /// A contraction with bounded bonds, and what came of it.
    fn approximate<T: Scalar>(
        &self,
        task: &Task<T>,
        plan: &CompressedPlan,
        settings: &Compressed,
        planned: f64,
    ) -> Result<Exit> {
        let kind = T::KIND;
        self.keep(&Plan::new(plan.equation(), plan.tree(), &[])?)?;
        let peak = (plan.cost().log2_peak.exp2() * kind.bytes() as f64) as u64;
        if let Some(Bytes(bytes)) = self.bytes.filter(|bytes| !self.plan_only && peak > bytes.0) {
            return Err(Error::Memory {
                what: "the contraction with bounded bonds".into(),
                needed: peak,
                ceiling: bytes,
                way_out: "allow more with --bytes, or lower --max-bond".into(),
            });
        }
        let found = if self.plan_only { None } else { Some(self.compressed(task, plan, settings)?) };
        let cost = plan.cost();
        let mut json = serde_json::json!({
            "tensors": plan.tree().leaves(), "indices": plan.equation().indices(), "max_bond": plan.max_bond(),
            "log2_flops": number(cost.log2_flops), "log2_size": number(cost.log2_size),
            "log2_peak": number(cost.log2_peak), "modelled_compressions": cost.compressions,
            "peak_bytes": peak, "slices": 1, "plan_seconds": number(planned),
            "seconds": number(planned + found.as_ref().map_or(0.0, |found| found.0.seconds)),
        });
        task.tell_json(&mut json);
        let mut table = Table::new(["", "value"]);
        table.row(["tensors".to_owned(), task.tensors()]);
        table.row(["bonds".to_owned(), format!("at most {}", plan.max_bond())]);
        table.row(["multiplications (modelled)".to_owned(), format!("2^{:.2}", cost.log2_flops)]);
        table.row(["largest tensor (modelled)".to_owned(), format!("2^{:.2} elements", cost.log2_size)]);
        table.row(["at once (modelled)".to_owned(), format!("2^{:.2} elements", cost.log2_peak)]);
        if let Some((value, error, compressions)) = found {
            json["error"] = number(error);
            json["compressions"] = compressions.into();
            value.tell_json(&mut json, kind);
            value.tell(&mut table, kind);
            table.row(["truncations".to_owned(), compressions.to_string()]);
            table.row(["estimated relative error".to_owned(), format!("{error:.1e}")]);
        }
        if self.json {
            print_json(&json)?
        } else {
            print(&table.to_string())?
        }
        Ok(Exit::Done)
    }

    fn compressed<T: Scalar>(
        &self,
        task: &Task<T>,
        plan: &CompressedPlan,
        settings: &Compressed,
    ) -> Result<(Value, f64, usize)> {
        let network = task.network(Seed(self.seed))?;
        let start = Instant::now();
        let Approximate { value, error, compressions, .. } = network.contract_compressed(plan, settings)?;
        Ok((Value::new(&value, start.elapsed().as_secs_f64())?, error, compressions))
    }

    fn tell<T: Scalar>(&self, task: &Task<T>, plan: &Plan, planned: f64, done: Option<&Done>) -> Result<()> {
        let kind = T::KIND;
        let cost = plan.cost();
        if self.json {
            let mut json = serde_json::json!({
                "tensors": plan.tree().leaves(), "indices": plan.equation().indices(),
                "log2_flops": number(cost.log2_flops), "log2_size": number(cost.log2_size),
                "log2_write": number(cost.log2_write), "peak_bytes": plan.peak_bytes(kind), "slices": plan.slices(),
                "log2_slices": number(cost.log2_slices), "log2_overhead": number(plan.log2_overhead()),
                "plan_seconds": number(planned),
                "seconds": number(planned + done.map_or(0.0, |done| done.took.compile + done.took.first)),
            });
            task.tell_json(&mut json);
            if let Some(done) = done {
                json["compile_seconds"] = number(done.took.compile);
                json["first_seconds"] = number(done.took.first);
                json["slices_done"] = done.slices.into();
                json["gflops"] = number(done.gflops(kind));
                done.value.tell_json(&mut json, kind);
            }
            return print_json(&json);
        }
        let mut table = Table::new(["", "value"]);
        table.row(["tensors".to_owned(), task.tensors()]);
        table.row(["multiplications".to_owned(), format!("2^{:.2}", cost.log2_flops)]);
        table.row(["elements written".to_owned(), format!("2^{:.2}", cost.log2_write)]);
        table.row(["largest intermediate".to_owned(), format!("2^{:.2} elements", cost.log2_size)]);
        table.row([format!("peak memory ({kind})"), Bytes(plan.peak_bytes(kind)).to_string()]);
        table.row(["slices".to_owned(), plan.slices().to_string()]);
        if !plan.sliced().is_empty() {
            let times = format!("2^{:.2} times the multiplications", plan.log2_overhead());
            table.row(["overhead of slicing".to_owned(), times]);
        }
        table.row(["seconds to plan".to_owned(), format!("{planned:.3}")]);
        if let Some(done) = done {
            table.row(["seconds to lay out memory".to_owned(), format!("{:.4}", done.took.compile)]);
            if self.repeat > 1 {
                table.row(["seconds to contract at first".to_owned(), format!("{:.4}", done.took.first)]);
            }
            table.row(["GFLOP/s".to_owned(), format!("{:.2}", done.gflops(kind))]);
            if done.slices < plan.slices() {
                table.row(["slices done (the value is theirs)".to_owned(), done.slices.to_string()]);
            }
            done.value.tell(&mut table, kind);
        }
        print(&table.to_string())
    }
}
