//! `ln Z`, energy and specific heat at one temperature.

use std::time::Duration;

use super::{Edge, Ising, Lattice, Method, Point};
use crate::autodiff::{Tape, Var};
use crate::error::{Error, Result};
use crate::lattice::{
    Boundary, Flow, Grid, Ising as Model, Renormalised, Site, SpinLayers, exact, hotrg, hotrg_schedule, trg, triangular,
};
use crate::linalg::Truncation;
use crate::network::Planner;
use crate::random::Seed;
use crate::scalar::Kind;
use crate::tensor::Tensor;

/// Steps after which a lattice is infinite to double precision.
const INFINITE: usize = 50;

/// Exact contractions beyond so many multiplications would take hours.
const MAX_LOG2_FLOPS: f64 = 43.0;

impl Ising {
    fn wants_heat(&self) -> bool {
        self.heat || self.beta.range
    }

    pub(super) fn point(&self, beta: f64) -> Result<Point> {
        let point = |per_site, energy, heat, error| Point { beta, per_site, energy, heat, error, seconds: 0.0 };
        if self.method == Method::Exact && self.size.0.is_none() {
            let [ln_z, energy, heat] =
                [exact::onsager_ln_z, exact::onsager_energy, exact::onsager_heat].map(|f| f(beta));
            return Ok(point(ln_z?, energy?, Some(heat?), 0.0));
        }
        if matches!(self.method, Method::Trg | Method::Hotrg) && self.lattice != Lattice::Triangular {
            return self.by_flow(beta);
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

    fn by_flow(&self, beta: f64) -> Result<Point> {
        if self.wants_heat() && self.method == Method::Trg {
            return self.on_tape(beta, true);
        }
        let mut point = self.with_energy(beta)?;
        if self.wants_heat() {
            // There is no second derivative on a tape: energies on both sides.
            let step = 1e-3 * (beta.abs() / 8.0).max(1.0);
            let energy = |shift: f64| Ok::<f64, Error>(self.with_energy(beta + shift * step)?.energy);
            let slope = (8.0 * (energy(1.0)? - energy(-1.0)?) - (energy(2.0)? - energy(-2.0)?)) / (12.0 * step);
            point.heat = Some(-beta * beta * slope);
        }
        Ok(point)
    }

    /// The energy as the derivative of the truncated flow, by differences over a step so small that they agree with that on
    /// a tape to nine digits, in half its time or less.
    fn with_energy(&self, beta: f64) -> Result<Point> {
        let step = 1e-5 * beta.abs().max(1.0);
        let (mut f, mut error) = ([0.0; 5], 0.0);
        for (i, f) in f.iter_mut().enumerate() {
            let model = Model::new(beta + (i as f64 - 2.0) * step)?.field(self.field)?;
            let site = if self.lattice == Lattice::Cubic { model.cubic_site()? } else { model.site::<f64>()? };
            let z = self.renormalised(&site)?;
            *f = z.ln_z_per_site;
            if i == 2 {
                error = z.error();
            }
        }
        let (near, far) = ((f[3] - f[1]) / (2.0 * step), (f[4] - f[0]) / (4.0 * step));
        // Where a cut falls elsewhere on one side, the tape knows the derivative on this one.
        if !((near - far).abs() < 1e-5) {
            return self.on_tape(beta, false);
        }
        Ok(Point { beta, per_site: f[2], energy: (far - 4.0 * near) / 3.0, heat: None, error, seconds: 0.0 })
    }

    fn on_tape(&self, beta: f64, heat: bool) -> Result<Point> {
        let tape = Tape::<f64>::new();
        let b: Var<'_, f64> = tape.variable(Tensor::scalar(beta))?;
        let model = Model::new(beta)?.field(self.field)?;
        let site = if self.lattice == Lattice::Cubic { model.cubic_site_on(&b)? } else { model.site_on(&b)? };
        let z = self.renormalised(&site)?;
        let energy = -z.ln_z_per_site.gradient(&[&b])?.first().map_or(Ok(f64::NAN), Tensor::to_scalar)?;
        let mut second = None;
        if heat {
            let found = z.ln_z_per_site.hessian_vector(&[&b], &[&Tensor::scalar(1.0)])?;
            second = Some(beta * beta * found.first().map_or(Ok(f64::NAN), Tensor::to_scalar)?);
        }
        let per_site = z.ln_z_per_site.value().to_scalar()?;
        Ok(Point { beta, per_site, energy, heat: second, error: z.error(), seconds: 0.0 })
    }

    /// `ln Z / N` in closed form, where there is one.
    pub(super) fn reference(&self, beta: f64) -> Option<f64> {
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
}

fn too_long(side: usize, log2_flops: f64) -> Error {
    let expected = format!(
        "exact contraction would take 2^{log2_flops:.0} multiplications: give a smaller one, or --method trg, hotrg or boundary"
    );
    Error::setting("size", side, expected)
}
