//! `ansatz ising`: partition function, energy and specific heat of Ising spins on a lattice.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::Exit;
use super::options::Bytes;
use super::output::{number, print, print_json, writable, write_text};
use crate::autodiff::{Tape, Var};
use crate::error::{Error, Result};
use crate::lattice::{
    Boundary, Flow, Grid, Ising as Model, Renormalised, Site, SpinLayers, exact, hotrg, hotrg_schedule, trg, triangular,
};
use crate::linalg::Truncation;
use crate::network::Planner;
use crate::random::Seed;
use crate::report::{Chart, Table, stacked_charts};
use crate::scalar::Kind;
use crate::tensor::Tensor;

#[derive(Debug, Args)]
pub(super) struct Ising {
    /// Spins a side, or `infinite`.
    #[arg(long, default_value = "16", value_name = "N", allow_hyphen_values = true)]
    size: Size,
    /// Inverse temperature, or a range of them as FROM:TO:STEP; negative for the antiferromagnet.
    #[arg(long, value_name = "BETA", allow_hyphen_values = true)]
    beta: Betas,
    /// How it is contracted.
    #[arg(long, default_value = "trg")]
    method: Method,
    /// The largest bond that is kept (trg, hotrg, boundary).
    #[arg(long, default_value_t = 16, value_name = "BOND")]
    chi: usize,
    /// Magnetic field h, of the energy -sum s s' - h sum s.
    #[arg(long, default_value_t = 0.0, value_name = "H", allow_negative_numbers = true)]
    field: f64,
    /// The lattice.
    #[arg(long, default_value = "square")]
    lattice: Lattice,
    /// Whether the last spin of a side is a neighbour of the first.
    #[arg(long, default_value = "periodic")]
    boundary: Edge,
    /// The specific heat as well (a range of beta always has it).
    #[arg(long)]
    heat: bool,
    /// Memory that the contraction may take.
    #[arg(long, default_value = "4GiB", value_name = "BYTES")]
    bytes: Bytes,
    /// Draw ln Z, energy and specific heat over a range of beta.
    #[arg(long, value_name = "FILE.svg")]
    draw: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    Trg,
    Hotrg,
    Boundary,
    Exact,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Trg => "trg",
            Method::Hotrg => "hotrg",
            Method::Boundary => "boundary",
            Method::Exact => "exact",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lattice {
    Square,
    Triangular,
    Cubic,
}

impl Lattice {
    fn name(self) -> &'static str {
        match self {
            Lattice::Square => "square",
            Lattice::Triangular => "triangular",
            Lattice::Cubic => "cubic",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Edge {
    Periodic,
    Open,
}

/// Spins a side; `None` is the infinite lattice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(Option<u64>);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "infinite" | "inf" => Ok(Size(None)),
            _ => match text.parse() {
                Ok(0) | Err(_) => Err(format!("'{text}' is no size: give a number of spins from 1 on, or infinite")),
                Ok(side) => Ok(Size(Some(side))),
            },
        }
    }
}

/// One inverse temperature or a range.
#[derive(Debug, Clone, PartialEq)]
struct Betas {
    values: Vec<f64>,
    range: bool,
}

impl FromStr for Betas {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("beta '{text}': {why}");
        let numbers: Vec<f64> = text
            .split(':')
            .map(|part| part.trim().parse().ok().filter(|x: &f64| x.is_finite()))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong("give a finite number, or FROM:TO:STEP"))?;
        match numbers[..] {
            [beta] => Ok(Betas { values: vec![beta], range: false }),
            [from, to, step] => {
                let count = ((to - from) / step + 1e-9).floor() + 1.0;
                if !(1.0..=10_000.0).contains(&count) {
                    return Err(wrong("the step has to lead from FROM to TO in at most 10000 points"));
                }
                Ok(Betas { values: (0..count as usize).map(|i| from + i as f64 * step).collect(), range: true })
            }
            _ => Err(wrong("give one number, or three as FROM:TO:STEP")),
        }
    }
}

/// What is known at one temperature.
struct Point {
    beta: f64,
    per_site: f64,
    energy: f64,
    heat: Option<f64>,
    /// An estimate of the error of `ln Z / N`.
    error: f64,
    seconds: f64,
}

/// Steps after which a lattice is infinite to double precision.
const INFINITE: usize = 50;

/// Exact contractions beyond so many multiplications would take hours.
const MAX_LOG2_FLOPS: f64 = 43.0;

impl Ising {
    pub fn run(self) -> Result<Exit> {
        if self.chi == 0 {
            return Err(Error::setting("chi", 0, "give at least 1"));
        }
        // A range of them is checked as a whole before the first is done.
        for &beta in &self.beta.values {
            Model::new(beta)?.field(self.field)?;
        }
        if let Some(file) = &self.draw {
            if !self.beta.range {
                return Err(Error::setting("draw", file.display(), "a curve needs a range: give --beta FROM:TO:STEP"));
            }
            writable(file)?;
        }
        self.check()?;
        let mut points = Vec::with_capacity(self.beta.values.len());
        for &beta in &self.beta.values {
            let start = Instant::now();
            let point = self.point(beta)?;
            points.push(Point { seconds: start.elapsed().as_secs_f64(), ..point });
        }
        if let Some(file) = &self.draw {
            write_text(file, &self.drawn(&points)?)?;
        }
        self.tell(&points)?;
        Ok(Exit::Done)
    }

    fn dimensions(&self) -> u32 {
        if self.lattice == Lattice::Cubic { 3 } else { 2 }
    }

    /// `N`, where it is finite.
    fn sites(&self) -> Option<f64> {
        self.size.0.map(|side| (side as f64).powi(self.dimensions() as i32))
    }

    /// What cannot be done is refused before anything is.
    fn check(&self) -> Result<()> {
        let renormalised = matches!(self.method, Method::Trg | Method::Hotrg);
        let refused = |expected: &str| Err(Error::setting("method", self.method.name(), expected));
        if self.lattice == Lattice::Triangular && self.field != 0.0 {
            return Err(Error::setting("field", self.field, "on the triangular lattice there is none, give 0"));
        }
        if self.lattice == Lattice::Cubic && matches!(self.method, Method::Trg | Method::Boundary) {
            return refused("it is for two dimensions: give hotrg or exact for the cubic lattice");
        }
        if renormalised && self.boundary == Edge::Open {
            return refused("it is for periodic lattices: give boundary or exact for an open one");
        }
        match self.size.0 {
            Some(side) if renormalised && !side.is_power_of_two() => {
                return Err(Error::setting(
                    "size",
                    side,
                    "trg and hotrg need a power of two: give one, or --method boundary or exact",
                ));
            }
            None if self.method == Method::Boundary => {
                return Err(Error::setting(
                    "size",
                    "infinite",
                    "boundary needs a finite size: give one, or --method trg or hotrg",
                ));
            }
            None if self.boundary == Edge::Open => {
                return Err(Error::setting("boundary", "open", "an infinite lattice has none: give --size N"));
            }
            None if self.method == Method::Exact && (self.lattice != Lattice::Square || self.field != 0.0) => {
                return Err(Error::setting(
                    "size",
                    "infinite",
                    "only the square lattice without a field is solved exactly: give --method hotrg, or a finite size",
                ));
            }
            Some(side) if self.method == Method::Boundary && side > 4096 => {
                return Err(Error::setting(
                    "size",
                    side,
                    "boundary takes at most 4096: give that, or --method trg or hotrg",
                ));
            }
            _ => {}
        }
        let chi = self.chi as f64;
        let threads = rayon::current_num_threads() as u64;
        let (what, needed) = match (self.method, self.size.0) {
            // Tensor, its gradients and what a step makes on the tape.
            (Method::Trg, _) => (format!("trg with chi {}", self.chi), 8.0 * 40.0 * chi.powi(4)),
            (Method::Hotrg, _) => {
                let power = if self.lattice == Lattice::Cubic { 8 } else { 5 };
                (format!("hotrg with chi {}", self.chi), 8.0 * 20.0 * chi.powi(power))
            }
            (Method::Boundary, Some(side)) => {
                let (bond, leg) = match (self.lattice, self.boundary) {
                    (Lattice::Square, Edge::Open) => (2.0, 2.0),
                    (Lattice::Square, _) => (4.0, 4.0),
                    (_, Edge::Open) => (2.0, 4.0),
                    (_, _) => (4.0, 16.0),
                };
                let bond: f64 = bond;
                let largest = (0.5 * side as f64 * f64::ln(leg)).min(700.0).exp().min(chi);
                (format!("boundary with chi {}", self.chi), 8.0 * 3.0 * side as f64 * leg * (bond * largest).powi(2))
            }
            (Method::Exact, Some(side)) if self.lattice != Lattice::Triangular => {
                let spins = (side as f64).powi(self.dimensions() as i32 - 1);
                let each = if self.boundary == Edge::Open { 16.0 } else { 25.0 + 16.0 * threads as f64 };
                (format!("exact contraction with {spins} spins a layer"), each * spins.exp2())
            }
            _ => return Ok(()),
        };
        if needed > self.bytes.0 as f64 {
            let way_out = if self.method == Method::Exact {
                "allow more with --bytes, or give --method trg, hotrg or boundary"
            } else {
                "allow more with --bytes, or lower --chi"
            };
            let needed = if needed < 1.8e19 { needed as u64 } else { u64::MAX };
            return Err(Error::Memory { what, needed, ceiling: self.bytes.0, way_out: way_out.into() });
        }
        Ok(())
    }

    fn wants_heat(&self) -> bool {
        self.heat || self.beta.range
    }

    fn point(&self, beta: f64) -> Result<Point> {
        let point = |per_site, energy, heat, error| Point { beta, per_site, energy, heat, error, seconds: 0.0 };
        if self.method == Method::Exact && self.size.0.is_none() {
            let [ln_z, energy, heat] =
                [exact::onsager_ln_z, exact::onsager_energy, exact::onsager_heat].map(|f| f(beta));
            return Ok(point(ln_z?, energy?, Some(heat?), 0.0));
        }
        if matches!(self.method, Method::Trg | Method::Hotrg) && self.lattice != Lattice::Triangular {
            return self.on_tape(beta, self.wants_heat());
        }
        if self.method == Method::Exact && !self.wants_heat() && self.lattice != Lattice::Triangular {
            let sites = self.sites().unwrap_or(1.0);
            if let (ln_z, Some(energy)) = self.layers()?.ln_z_with_energy(beta, self.field)? {
                return Ok(point(ln_z / sites, energy / sites, None, 4.0 * f64::EPSILON * (ln_z / sites).abs()));
            }
        }
        // Derivatives by differences of fourth order.
        let step = if self.method == Method::Exact { 1e-3 } else { 1e-2 } * (beta.abs() / 8.0).max(1.0);
        let mut f = [0.0; 5];
        let mut error = 0.0;
        let rounding = 4.0 * f64::EPSILON;
        for (i, f) in f.iter_mut().enumerate() {
            let (value, estimate) = self.ln_z_per_site(beta + (i as f64 - 2.0) * step)?;
            *f = value;
            if i == 2 {
                error = estimate;
            }
        }
        let slope = (8.0 * (f[3] - f[1]) - (f[4] - f[0])) / (12.0 * step);
        let second = (16.0 * (f[3] + f[1]) - (f[4] + f[0]) - 30.0 * f[2]) / (12.0 * step * step);
        // A second difference divides what a truncation lost by the square of the step: only where it is asked for.
        let heat = (self.wants_heat() || error == 0.0).then_some(beta * beta * second);
        Ok(point(f[2], -slope, heat, error + rounding * f[2].abs()))
    }

    /// `ln Z / N` and an estimate of its error.
    fn ln_z_per_site(&self, beta: f64) -> Result<(f64, f64)> {
        let boundary = if self.boundary == Edge::Open { Boundary::Open } else { Boundary::Periodic };
        if matches!(self.method, Method::Trg | Method::Hotrg) {
            let z = self.renormalised(&triangular::<f64>(beta, [true; 4])?)?;
            return Ok((z.ln_z_per_site, z.error()));
        }
        let side = self.size.0.and_then(|side| usize::try_from(side).ok()).unwrap_or(usize::MAX);
        let sites = self.sites().unwrap_or(1.0);
        let grid = || {
            let model = Model::new(beta)?.field(self.field)?;
            Grid::<f64>::filled(side, side, boundary, boundary, |_, _, present| match self.lattice {
                Lattice::Triangular => triangular(beta, present),
                _ => model.edge_site(present),
            })
        };
        if self.method == Method::Boundary {
            let z = grid()?.contract_boundary(&Truncation::none().max_bond(self.chi).cutoff(1e-12))?;
            return Ok((z.z.ln_abs() / sites, z.error() / sites));
        }
        let ln_z = match self.lattice {
            Lattice::Triangular => {
                if side > 64 {
                    return Err(too_long(side, f64::INFINITY));
                }
                let grid = grid()?;
                let network = grid.network()?;
                let planner = Planner::new().max_bytes(self.bytes.0, Kind::F64).rounds(1);
                let plan = planner.search(&network.equation()?, Duration::from_secs(2), Seed(1))?;
                if plan.cost().log2_flops > MAX_LOG2_FLOPS {
                    return Err(too_long(side, plan.cost().log2_flops));
                }
                network.contract(&plan)?.scalar()?.ln_abs() + grid.ln_scale()
            }
            _ => self.layers()?.ln_z(beta, self.field)?,
        };
        Ok((ln_z / sites, 0.0))
    }

    fn layers(&self) -> Result<SpinLayers> {
        let boundary = if self.boundary == Edge::Open { Boundary::Open } else { Boundary::Periodic };
        let side = self.size.0.and_then(|side| usize::try_from(side).ok()).unwrap_or(usize::MAX);
        let layers = match self.lattice {
            Lattice::Cubic => SpinLayers::cubic(side, boundary)?,
            _ => SpinLayers::square(side, side, boundary)?,
        };
        let flops = layers.log2_flops(self.field != 0.0);
        if flops > MAX_LOG2_FLOPS { Err(too_long(side, flops)) } else { Ok(layers) }
    }

    fn cut(&self) -> Truncation {
        Truncation::none().max_bond(self.chi).cutoff(1e-9)
    }

    fn renormalised<A: Flow>(&self, site: &Site<A>) -> Result<Renormalised<A>> {
        let log2 = self.size.0.map_or(INFINITE / 2, |side| side.ilog2() as usize);
        match self.method {
            Method::Hotrg => hotrg(site, &hotrg_schedule(&vec![log2; self.dimensions() as usize]), &self.cut()),
            _ => trg(site, 2 * log2, &self.cut()),
        }
    }

    /// The specific heat of a site from energies on both sides, for what has no second derivative on a tape.
    fn heat_by_energies(&self, beta: f64) -> Result<f64> {
        let step = 1e-3 * (beta.abs() / 8.0).max(1.0);
        let energy = |shift: f64| Ok::<f64, Error>(self.on_tape(beta + shift * step, false)?.energy);
        let slope = (8.0 * (energy(1.0)? - energy(-1.0)?) - (energy(2.0)? - energy(-2.0)?)) / (12.0 * step);
        Ok(-beta * beta * slope)
    }

    fn on_tape(&self, beta: f64, heat: bool) -> Result<Point> {
        let tape = Tape::<f64>::new();
        let b: Var<'_, f64> = tape.variable(Tensor::scalar(beta))?;
        let model = Model::new(beta)?.field(self.field)?;
        let site = if self.lattice == Lattice::Cubic { model.cubic_site_on(&b)? } else { model.site_on(&b)? };
        let z = self.renormalised(&site)?;
        let energy = -z.ln_z_per_site.gradient(&[&b])?.first().map_or(Ok(f64::NAN), Tensor::to_scalar)?;
        let heat = if heat && self.method == Method::Hotrg {
            Some(self.heat_by_energies(beta)?)
        } else if heat {
            let second = z.ln_z_per_site.hessian_vector(&[&b], &[&Tensor::scalar(1.0)])?;
            Some(beta * beta * second.first().map_or(Ok(f64::NAN), Tensor::to_scalar)?)
        } else {
            None
        };
        let per_site = z.ln_z_per_site.value().to_scalar()?;
        Ok(Point { beta, per_site, energy, heat, error: z.error(), seconds: 0.0 })
    }

    /// `ln Z / N` in closed form, where there is one.
    fn reference(&self, beta: f64) -> Option<f64> {
        if self.lattice != Lattice::Square || self.field != 0.0 || self.boundary == Edge::Open {
            return None;
        }
        match self.size.0 {
            None => exact::onsager_ln_z(beta).ok(),
            Some(side) => {
                let side = usize::try_from(side).ok()?;
                Some(exact::ising_torus(side, side, beta).ok()? / self.sites()?)
            }
        }
    }

    fn json(&self, point: &Point) -> serde_json::Value {
        let mut json = serde_json::json!({
            "lnz_per_site": number(point.per_site), "energy_per_site": number(point.energy),
            "method": self.method.name(), "lattice": self.lattice.name(),
            "boundary": if self.boundary == Edge::Open { "open" } else { "periodic" },
            "size": self.size.0.map_or("infinite".into(), serde_json::Value::from),
            "beta": number(point.beta), "field": number(self.field),
            "error": number(point.error), "seconds": number(point.seconds),
        });
        if let Some(sites) = self.sites() {
            json["lnz"] = number(point.per_site * sites);
        }
        if let Some(heat) = point.heat {
            json["heat_per_site"] = number(heat);
        }
        if matches!(self.method, Method::Trg | Method::Hotrg | Method::Boundary) {
            json["chi"] = self.chi.into();
        }
        if let Some(reference) = self.reference(point.beta) {
            json["reference_lnz_per_site"] = number(reference);
            if let Some(sites) = self.sites() {
                json["reference_lnz"] = number(reference * sites);
            }
        }
        json
    }

    fn tell(&self, points: &[Point]) -> Result<()> {
        if self.json {
            return match points {
                [point] if !self.beta.range => print_json(&self.json(point)),
                _ => print_json(
                    &serde_json::json!({ "points": points.iter().map(|p| self.json(p)).collect::<Vec<_>>() }),
                ),
            };
        }
        if self.beta.range {
            let mut table = Table::new(["beta", "ln Z / N", "energy", "heat", "error", "closed form"]);
            for p in points {
                let heat = p.heat.map_or("-".into(), |heat| format!("{heat:.6}"));
                let known = self.reference(p.beta).map_or("-".into(), |ln_z| format!("{ln_z:.10}"));
                table.row([
                    format!("{:.6}", p.beta),
                    format!("{:.10}", p.per_site),
                    format!("{:.8}", p.energy),
                    heat,
                    format!("{:.1e}", p.error),
                    known,
                ]);
            }
            return print(&table.to_string());
        }
        let mut table = Table::new(["", "value"]);
        for p in points {
            let size = self.size.0.map_or("infinite".into(), |side| side.to_string());
            table.row(["lattice".to_owned(), format!("{}, size {size}", self.lattice.name())]);
            table.row(["method".to_owned(), self.method.name().to_owned()]);
            table.row(["beta".to_owned(), p.beta.to_string()]);
            if let Some(sites) = self.sites() {
                table.row(["ln Z".to_owned(), format!("{:.12}", p.per_site * sites)]);
            }
            table.row(["ln Z / N".to_owned(), format!("{:.14}", p.per_site)]);
            table.row(["error of it, estimated".to_owned(), format!("{:.1e}", p.error)]);
            if let Some(known) = self.reference(p.beta) {
                table.row(["ln Z / N in closed form".to_owned(), format!("{known:.14}")]);
            }
            table.row(["energy / N".to_owned(), format!("{:.10}", p.energy)]);
            if let Some(heat) = p.heat {
                table.row(["specific heat / N".to_owned(), format!("{heat:.8}")]);
            }
            table.row(["seconds".to_owned(), format!("{:.3}", p.seconds)]);
        }
        print(&table.to_string())
    }

    fn drawn(&self, points: &[Point]) -> Result<String> {
        let size = self.size.0.map_or("infinite".into(), |side| format!("{side} a side"));
        let title = format!("Ising model, {} lattice, {size}, {}", self.lattice.name(), self.method.name());
        let curve = |f: &dyn Fn(&Point) -> f64| points.iter().map(|p| (p.beta, f(p))).collect::<Vec<_>>();
        let ln_z = Chart::new("Partition function", "beta", "ln Z / N (nats)").curve("", curve(&|p| p.per_site));
        let energy = Chart::new("Energy", "beta", "energy / N").curve("", curve(&|p| p.energy));
        let heat = Chart::new("Specific heat", "beta", "C / N").curve("", curve(&|p| p.heat.unwrap_or(f64::NAN)));
        stacked_charts(&title, &[ln_z, energy, heat])
    }
}

fn too_long(side: usize, log2_flops: f64) -> Error {
    let expected = format!(
        "exact contraction would take 2^{log2_flops:.0} multiplications: give a smaller one, or --method trg, hotrg or boundary"
    );
    Error::setting("size", side, expected)
}
