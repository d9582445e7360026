//! Circuits from the command line: a model as a circuit, noise by a purified chain, training from values alone.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ansatz::chain::Mps;
use ansatz::circuit::{Circuit, MpsSimulator};
use ansatz::io::{Extra, save_model};
use ansatz::model::BornMps;
use ansatz::{Scalar, Seed};
use num_complex::Complex64;
use serde_json::Value;

fn ansatz(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ansatz"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = ansatz(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(folder: &Path, arguments: &[&str], word: &str) {
    let output = ansatz(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(error.trim_end().lines().count() == 1 && error.contains(word), "{arguments:?}: no '{word}' in: {error}");
}

fn saved<T: Scalar>(path: &Path, dims: &[usize], bond: usize) -> Mps<Complex64> {
    let model = BornMps::<T>::new(Mps::random(dims, bond, Seed(5)).unwrap()).unwrap();
    save_model(path, &model, &Extra::default()).unwrap();
    Mps::new(model.state().tensors().iter().map(|a| a.mapv(Scalar::to_c64)).collect()).unwrap()
}

/// `|<model|circuit>|^2` of a circuit that was written.
fn fidelity(model: &Mps<Complex64>, path: &Path) -> f64 {
    let circuit = Circuit::from_qasm(&fs::read_to_string(path).unwrap()).unwrap();
    let state = MpsSimulator::<f64>::new().run(&circuit).unwrap().state;
    model.inner(&state).unwrap().value().norm_sqr() / model.norm_squared().value()
}

#[test]
fn a_model_is_written_as_a_circuit() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let real = saved::<f64>(&at.join("real.ansatz"), &[2; 10], 5);
    let complex = saved::<Complex64>(&at.join("complex.ansatz"), &[2; 7], 4);
    for (name, model) in [("real", &real), ("complex", &complex)] {
        let (file, out) = (format!("{name}.ansatz"), format!("{name}.qasm"));
        let told = json(at, &["circuit", "from-model", &file, "--out", &out, "--json"]);
        assert_eq!((told["method"].as_str(), told["fidelity"].as_f64()), (Some("exact"), Some(1.0)));
        assert!(told["cx"].as_u64().unwrap() > 0 && told["seconds"].is_number());
        let text = fs::read_to_string(at.join(&out)).unwrap();
        let plain = text.lines().skip(2).all(|line| ["qreg", "u3(", "u1(", "cx "].iter().any(|w| line.starts_with(w)));
        assert!(plain, "gates that any reader has");
        assert!((fidelity(model, &at.join(&out)) - 1.0).abs() < 1e-10);
    }
    let arguments = ["circuit", "from-model", "real.ansatz", "--out", "l.qasm", "--layers", "2", "--sweeps", "6"];
    let told = json(at, &[&arguments[..], &["--measure", "--json"]].concat());
    assert_eq!(
        (told["layer_fidelity"].as_array().unwrap().len(), told["sweep_fidelity"].as_array().unwrap().len()),
        (2, 6)
    );
    let text = fs::read_to_string(at.join("l.qasm")).unwrap();
    assert_eq!(text.matches("measure").count(), 10);
    assert!((fidelity(&real, &at.join("l.qasm")) - told["fidelity"].as_f64().unwrap()).abs() < 1e-8);
    let shown = ansatz(at, &arguments);
    let table = String::from_utf8_lossy(&shown.stdout);
    assert!(table.contains("fidelity with 2 layers") && table.contains("CNOTs"), "{table}");
    assert!(String::from_utf8_lossy(&shown.stderr).contains("warning: the fidelity"));
    // Compressed first, by both ways.
    for way in [&["--exact"][..], &["--layers", "1", "--sweeps", "0"]] {
        let words = ["circuit", "from-model", "real.ansatz", "--out", "c.qasm", "--max-bond", "2", "--json"];
        let told = json(at, &[&words[..], way].concat());
        let expected = fidelity(&real, &at.join("c.qasm"));
        assert!((told["fidelity"].as_f64().unwrap() - expected).abs() < 1e-8 && expected < 0.999, "{told} {expected}");
    }
    saved::<f32>(&at.join("three.ansatz"), &[2, 3, 2], 2);
    for (arguments, word) in [
        (&["three.ansatz", "--out", "x.qasm"][..], "site 1 has 3 levels"),
        (&["real.ansatz", "--out", "x.txt"], ".qasm"),
        (&["none.ansatz", "--out", "x.qasm"], "none.ansatz"),
        (&["real.qasm", "--out", "x.qasm"], "real.qasm"),
        (&["real.ansatz", "--out", "x.qasm", "--layers", "0"], "layers"),
        (&["real.ansatz", "--out", "x.qasm", "--exact", "--layers", "2"], "--layers"),
        (&["real.ansatz", "--out", "x.qasm", "--max-bond", "0"], "max_bond"),
        (&["real.ansatz", "--out", "none/x.qasm"], "none"),
    ] {
        refused(at, &[&["circuit", "from-model"], arguments].concat(), word);
    }
    assert!(!at.join("x.qasm").exists());
}

#[test]
fn noise_on_many_qubits_and_training_from_values() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let gates: String = (1..20).map(|q| format!("cx q[{}],q[{q}];", q - 1)).collect();
    fs::write(at.join("ghz.qasm"), format!("OPENQASM 2.0; include \"qelib1.inc\"; qreg q[20]; h q[0]; {gates}"))
        .unwrap();
    let rule = r#"{"gates": [{"on": ["cx"], "channel": {"kind": "phase_flip", "p": 0.01}}]}"#;
    fs::write(at.join("noise.json"), rule).unwrap();
    let all: Vec<String> = (0..20).map(|q| format!("X{q}")).collect();
    let run = ["circuit", "run", "ghz.qasm", "--noise", "noise.json", "--shots", "50", "--json"];
    let told = json(at, &[&run[..], &["--method", "purified", "--expect", &all.join(" ")]].concat());
    assert_eq!(told["method"].as_str(), Some("purified"));
    // Two qubits of each gate are hit.
    assert!((told["expectations"][0]["value"].as_f64().unwrap() - 0.98_f64.powi(38)).abs() < 1e-9, "{told}");
    let told = json(at, &[&run[..], &["--method", "purified", "--max-leg", "1"]].concat());
    assert!(told["fidelity_estimate"].as_f64().unwrap() < 0.9);
    refused(at, &[&run[..], &["--method", "mps", "--max-leg", "2"]].concat(), "max-leg");
    fs::write(at.join("two.bits"), "00\n11\n").unwrap();
    let fit = ["fit", "--model", "circuit", "--data", "two.bits", "--depth", "1", "--sweeps", "300", "--json"];
    let told = json(at, &[&fit[..], &["--optimiser", "cma-es"]].concat());
    assert!(told["mmd"].as_f64().unwrap() < 1e-8, "{told}");
    let told = json(at, &[&fit[..], &["--optimiser", "cma-es", "--shots", "400"]].concat());
    assert!(told["mmd"].as_f64().unwrap() < 0.01, "{told}");
}
