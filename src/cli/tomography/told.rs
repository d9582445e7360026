//! What is told of a fit.

use serde_json::json;

use crate::cli::output::{number, print, print_json};
use crate::error::Result;
use crate::report::Table;
use crate::tomography::{Estimate, Estimator, Goodness, PurityTest, Shots, Spread, Symmetry, Tried};

/// Where settings have too few shots for their outcomes.
const NO_VERDICT: &str = "too few shots for the outcomes of single settings to be tested; judge by the held-out loss and a parametric bootstrap";

/// A fit, and what there is to say of it.
pub(super) struct Told<'a> {
    pub model: String,
    pub estimator: &'a Estimator,
    pub estimate: &'a Estimate,
    pub shots: &'a Shots,
    pub values: &'a [(String, f64)],
    pub bars: Vec<Spread>,
    pub repetitions: usize,
    pub good: Option<&'a Goodness>,
    pub nll_held_out: Option<f64>,
    /// Key in JSON, name in the table, and loss of the target.
    pub nll_target: &'a [(&'a str, &'a str, Option<f64>)],
    pub tried: &'a [Tried],
    pub purity: Option<PurityTest>,
    pub warnings: &'a [String],
    pub seconds: f64,
}

impl Told<'_> {
    pub fn print(self, json: bool) -> Result<()> {
        let Told { estimator, estimate, shots, values, ref bars, good, nll_held_out, .. } = self;
        let Told { nll_target, tried, purity, warnings, seconds, .. } = self;
        if json {
            let plain = tried.iter().filter(|t| (t.shrink, t.symmetries.len()) == (0.0, 0));
            let mut object = json!({
                "model": self.model, "sites": shots.sites(), "shots": shots.total(),
                "settings": shots.by_setting().len(), "nll": number(estimate.nll),
                "nll_held_out": nll_held_out.map(number), "bond": bond_of(estimator),
                "bonds": estimate.state.chain().bonds(), "purification": estimate.state.purification(),
                "parameters": estimate.parameters, "warnings": warnings, "seconds": number(seconds),
                "hedge": hedge_of(estimator), "pure_test": purity.map(|p| json!({
                    "gain": number(p.gain), "expected": number(p.expected), "replicas": p.replicas, "pure": p.pure() })),
                "shrink": shrink_of(estimator), "symmetries": names_of(symmetries_of(estimator)),
                "bonds_tried": plain.map(|t| json!([t.bond, number(t.nll)])).collect::<Vec<_>>(),
                "tried": tried.iter().map(|t| json!({ "bond": t.bond, "shrink": number(t.shrink),
                    "symmetries": names_of(&t.symmetries), "nll_held_out": number(t.nll) })).collect::<Vec<_>>(),
            });
            values.iter().for_each(|(name, value)| object[name] = number(*value));
            nll_target.iter().for_each(|(name, _, value)| object[*name] = json!(value.map(number)));
            let bars = bars.iter().map(|s| {
                (
                    s.name.clone(),
                    json!({ "deviation": number(s.deviation), "low": number(s.low), "high": number(s.high) }),
                )
            });
            object["error_bars"] = serde_json::Value::Object(bars.collect());
            object["repetitions"] = json!(self.repetitions);
            if let Some(g) = good {
                let worst: Vec<_> = g
                    .residuals
                    .iter()
                    .take(5)
                    .map(
                        |r| json!({ "setting": r.setting, "shots": r.shots, "g2": number(r.g2), "degrees": r.degrees }),
                    )
                    .collect();
                object["goodness"] =
                    json!({ "g2": number(g.g2), "degrees": g.degrees, "sigma": number(g.z), "worst": worst });
                object["verdict"] = json!(g.verdict);
            } else {
                object["verdict"] = json!(NO_VERDICT);
            }
            return print_json(&object);
        }
        let mut table = Table::new(["", "value", "+-", "68 % interval"]);
        let plain = |table: &mut Table, name: &str, value: String| {
            table.row([name.to_owned(), value]);
        };
        plain(&mut table, "NLL (nats per shot)", format!("{:.6}", estimate.nll));
        if let Some(held) = nll_held_out {
            plain(&mut table, "held-out NLL", format!("{held:.6}"));
        }
        for (_, name, value) in nll_target {
            plain(&mut table, name, value.map_or("-".into(), |v| format!("{v:.6}")));
        }
        for (i, (name, value)) in values.iter().enumerate() {
            let bar = bars.get(i).map(|s| [format!("{:.6}", s.deviation), format!("[{:.6}, {:.6}]", s.low, s.high)]);
            let [deviation, interval] = bar.unwrap_or_default();
            table.row([name.replace('_', " "), format!("{value:.6}"), deviation, interval]);
        }
        plain(&mut table, "bonds", format!("{:?}", estimate.state.chain().bonds()));
        let mut text = table.to_string();
        for t in tried {
            let prior = if t.shrink > 0.0 { format!(", prior {}", t.shrink) } else { String::new() };
            let names: String = t.symmetries.iter().map(|s| format!(", {}", s.name())).collect();
            text += &format!("bond {}{prior}{names}: held-out NLL {:.6}\n", t.bond, t.nll);
        }
        if let Some(shrink) = shrink_of(estimator).filter(|&a| a > 0.0) {
            text += &format!("prior against entanglement, exponent {shrink}; --shrink 0 is maximum likelihood\n");
        }
        if !symmetries_of(estimator).is_empty() {
            let names = names_of(symmetries_of(estimator)).join(", ");
            text += &format!("symmetry that the state is taken to have: {names}; --symmetry none takes none\n");
        }
        if let Some(p) = purity {
            let what = if p.pure() { "a pure state is taken" } else { "a mixed state is taken" };
            text += &format!(
                "mixed instead of pure: 2 ln of the likelihoods' ratio {:.1}, by chance {:.1}; {what}\n",
                p.gain, p.expected
            );
        }
        if let Some(beta) = hedge_of(estimator).filter(|&beta| beta > 0.0) {
            text += &format!("hedged likelihood, exponent {beta}; --hedge 0 is maximum likelihood\n");
        }
        if let Some(g) = good {
            text += &format!("G2 = {:.1} at {} degrees of freedom; {}\n", g.g2, g.degrees, g.verdict);
        } else {
            text += &format!("{NO_VERDICT}\n");
        }
        for warning in warnings {
            text += &format!("warning: {warning}\n");
        }
        text += &format!("{} shots in {} settings, {seconds:.2} s\n", shots.total(), shots.by_setting().len());
        print(&text)
    }
}

fn names_of(symmetries: &[Symmetry]) -> Vec<&'static str> {
    symmetries.iter().map(|s| s.name()).collect()
}

fn symmetries_of(estimator: &Estimator) -> &[Symmetry] {
    match estimator {
        Estimator::Chain(settings) => &settings.symmetries,
        Estimator::Dense(..) => &[],
    }
}

fn shrink_of(estimator: &Estimator) -> Option<f64> {
    match estimator {
        Estimator::Chain(settings) => Some(settings.shrink),
        Estimator::Dense(..) => None,
    }
}

fn bond_of(estimator: &Estimator) -> Option<usize> {
    match estimator {
        Estimator::Chain(settings) => Some(settings.bond),
        Estimator::Dense(..) => None,
    }
}

fn hedge_of(estimator: &Estimator) -> Option<f64> {
    match estimator {
        Estimator::Chain(settings) => Some(settings.hedge),
        Estimator::Dense(..) => None,
    }
}
