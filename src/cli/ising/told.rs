//! What was found, as a table, as JSON and as curves.

use super::super::output::{number, print, print_json};
use super::{Edge, Ising, Method, Point};
use crate::error::Result;
use crate::report::{Chart, Table, stacked_charts};

impl Ising {
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

    pub(super) fn tell(&self, points: &[Point]) -> Result<()> {
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

    pub(super) fn drawn(&self, points: &[Point]) -> Result<String> {
        let size = self.size.0.map_or("infinite".into(), |side| format!("{side} a side"));
        let title = format!("Ising model, {} lattice, {size}, {}", self.lattice.name(), self.method.name());
        let curve = |f: &dyn Fn(&Point) -> f64| points.iter().map(|p| (p.beta, f(p))).collect::<Vec<_>>();
        let ln_z = Chart::new("Partition function", "beta", "ln Z / N (nats)").curve("", curve(&|p| p.per_site));
        let energy = Chart::new("Energy", "beta", "energy / N").curve("", curve(&|p| p.energy));
        let heat = Chart::new("Specific heat", "beta", "C / N").curve("", curve(&|p| p.heat.unwrap_or(f64::NAN)));
        stacked_charts(&title, &[ln_z, energy, heat])
    }
}
