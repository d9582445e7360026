//! The program as a user meets it: what it prints, what it writes, how it fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn ansatz(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ansatz"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = ansatz(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Fails with code 2 and one line that holds all of `words`.
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let output = ansatz(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{arguments:?}: {error}");
    assert!(output.stdout.is_empty());
    for word in words {
        assert!(error.contains(word), "{arguments:?}: no '{word}' in: {error}");
    }
}

/// Twelve bits in two copies of six.
fn folder_with_data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..64).map(|i| format!("{i:06b}{i:06b}\n")).collect();
    fs::write(folder.path().join("twins.bits"), lines).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names
}

#[test]
fn a_model_is_fitted_scored_sampled_completed_and_described() {
    let folder = folder_with_data();
    let at = folder.path();
    let fit =
        json(at, &["fit", "--data", "twins.bits", "--bond", "64", "--sweeps", "12", "--out", "m.ansatz", "--json"]);
    for key in ["train_nll", "valid_nll", "seconds", "sweeps", "max_bond"] {
        assert!(fit.get(key).is_some(), "{key}");
    }
    let score = json(at, &["score", "m.ansatz", "--data", "twins.bits", "--out", "p.npy", "--json"]);
    assert_eq!(score["samples"], 64);
    assert!((score["nll"].as_f64().unwrap() - fit["train_nll"].as_f64().unwrap()).abs() < 1e-6);
    let bits = score["nll"].as_f64().unwrap() / 12.0 / 2f64.ln();
    assert!((score["bits_per_site"].as_f64().unwrap() - bits).abs() < 1e-12);
    // 64 numbers of 8 bytes after a header of 128.
    assert_eq!(fs::metadata(at.join("p.npy")).unwrap().len(), 128 + 64 * 8);

    let sample =
        json(at, &["sample", "m.ansatz", "-n", "9", "--seed", "7", "--png", "s.png", "--out", "s.npy", "--json"]);
    assert_eq!(sample["samples"], 9);
    assert_eq!(fs::metadata(at.join("s.npy")).unwrap().len(), 128 + 9 * 12);
    assert!(fs::read(at.join("s.png")).unwrap().starts_with(b"\x89PNG"));
    let one = ansatz(at, &["sample", "m.ansatz", "-n", "9", "--seed", "7", "--threads", "1"]);
    let two = ansatz(at, &["sample", "m.ansatz", "-n", "9", "--seed", "7", "--threads", "2"]);
    assert_eq!(one.stdout, two.stdout);
    assert_eq!(String::from_utf8(one.stdout).unwrap().lines().count(), 9);

    let args = [
        "complete",
        "m.ansatz",
        "--data",
        "twins.bits",
        "--keep",
        "first",
        "-n",
        "5",
        "--draws",
        "3",
        "--out",
        "c.csv",
        "--json",
    ];
    assert_eq!(json(at, &args)["free"], 6);
    let rows = fs::read_to_string(at.join("c.csv")).unwrap();
    assert_eq!(rows.lines().count(), 15);

    let info = json(at, &["info", "m.ansatz", "--svg", "chain.svg", "--json"]);
    assert_eq!((info["model"].as_str(), info["sites"].as_u64()), (Some("born-mps"), Some(12)));
    assert_eq!(info["bonds"].as_array().unwrap().len(), 11);
    assert!(info["parameters"].as_u64().unwrap() > 0 && info["dimensions"][0] == 2);
    assert!(fs::read_to_string(at.join("chain.svg")).unwrap().contains("</svg>"));
}

#[test]
fn the_short_demo_draws_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let demo = json(folder.path(), &["demo", "--short", "--json"]);
    assert!(demo["test_nll"].as_f64().unwrap() < demo["independent_nll"].as_f64().unwrap());
    for name in ["samples.png", "completions.png", "loss.svg", "chain.svg", "digits.ansatz"] {
        assert!(fs::metadata(folder.path().join("demo").join(name)).unwrap().len() > 0, "{name}");
    }
}

#[test]
fn bad_input_gets_one_line_and_leaves_nothing_behind() {
    let folder = folder_with_data();
    let at = folder.path();
    fs::write(at.join("empty.csv"), "").unwrap();
    fs::write(at.join("ragged.csv"), "0,1,1\n0,1\n").unwrap();
    fs::write(at.join("words.csv"), "0,1,1\n0,x,1\n").unwrap();
    fs::write(at.join("fake.npy.gz"), "no gzip at all").unwrap();
    fs::write(at.join("cut.idx"), [0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 28, 0, 0, 0, 28, 1, 2]).unwrap();
    fs::write(at.join("seven.bits"), "0101010\n").unwrap();
    fs::write(at.join("two.csv"), "0,1,2,1,1,1,1,1,1,1,1,1\n").unwrap();
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }".to_vec();
    npy.resize(128, b' ');
    npy.extend([f64::NAN.to_le_bytes(), 1f64.to_le_bytes()].concat());
    fs::write(at.join("nan.npy"), npy).unwrap();
    let fit = json(at, &["fit", "--data", "twins.bits", "--bond", "4", "--sweeps", "1", "--out", "m.ansatz", "--json"]);
    assert!(fit["train_nll"].is_number());
    fs::write(at.join("cut.ansatz"), &fs::read(at.join("m.ansatz")).unwrap()[..300]).unwrap();
    let before = names(at);
    let out = ["--out", "new.ansatz"];
    let fit = |data: &'static str, more: &[&'static str]| [&["fit", "--data", data], more, &out].concat();
    refused(at, &fit("absent.csv", &[]), &["absent.csv"]);
    refused(at, &fit("empty.csv", &[]), &["empty.csv", "empty"]);
    refused(at, &fit("ragged.csv", &[]), &["ragged.csv", "line 2"]);
    refused(at, &fit("words.csv", &[]), &["words.csv", "line 2", "column 2", "x"]);
    refused(at, &fit("fake.npy.gz", &[]), &["fake.npy.gz", "gzip"]);
    refused(at, &fit("cut.idx", &[]), &["cut.idx", "truncated"]);
    refused(at, &fit("nan.npy", &[]), &["nan.npy", "row 1", "column 1"]);
    refused(at, &fit("twins.bits", &["--bond", "0"]), &["bond"]);
    refused(at, &fit("twins.bits", &["--rate", "nan"]), &["rate"]);
    refused(at, &fit("twins.bits", &["--rate", "-1"]), &["rate"]);
    refused(at, &fit("twins.bits", &["--cutoff", "inf"]), &["cutoff"]);
    refused(at, &fit("twins.bits", &["--sweeps", "many"]), &["sweeps"]);
    refused(at, &fit("twins.bits", &["--valid-fraction", "1.5"]), &["valid"]);
    refused(at, &fit("twins.bits", &["--valid", "two.csv"]), &["two.csv", "symbol 2"]);
    refused(at, &fit("twins.bits", &["--format", "word"]), &["format"]);
    refused(at, &fit("twins.bits", &["--resume"]), &["new.ansatz.checkpoint"]);
    refused(at, &["fit", "--data", "twins.bits", "--out", "no/such/folder/m.ansatz"], &["no/such/folder"]);
    refused(at, &["score", "m.ansatz", "--data", "seven.bits"], &["seven.bits", "7", "12"]);
    refused(at, &["score", "m.ansatz", "--data", "two.csv"], &["two.csv", "symbol 2", "site 2"]);
    refused(at, &["score", "cut.ansatz", "--data", "twins.bits"], &["cut.ansatz"]);
    refused(at, &["score", "twins.bits", "--data", "twins.bits"], &["twins.bits"]);
    refused(at, &["sample", "m.ansatz", "-n", "0"], &["count"]);
    refused(at, &["complete", "m.ansatz", "--data", "twins.bits", "--keep", "011"], &["12"]);
    refused(at, &["wrong"], &["wrong"]);
    assert_eq!(names(at), before);
}

#[test]
fn adam_fits_at_a_fixed_bond_dimension_and_resumes_to_the_same_bytes() {
    let folder = folder_with_data();
    let at = folder.path();
    let fit = |more: &[&str]| {
        let common =
            ["fit", "--method", "adam", "--data", "twins.bits", "--bond", "12", "--mini-batches", "2", "--json"];
        json(at, &[&common[..], more].concat())
    };
    let whole = fit(&["--sweeps", "60", "--out", "whole.ansatz", "--log", "log.jsonl", "--report", "pictures"]);
    // Independent bits have 12 ln 2 = 8.3 nats, the data ln 64 = 4.2.
    let nll = whole["train_nll"].as_f64().unwrap();
    assert!(nll < 7.0 && nll > 64f64.ln() - 1e-6, "{nll}");
    assert_eq!((whole["sweeps"].as_u64(), whole["stop"].as_str()), (Some(60), Some("schedule_ended")));
    assert!(whole["max_bond"].as_u64().unwrap() <= 12);
    let score = json(at, &["score", "whole.ansatz", "--data", "twins.bits", "--json"]);
    assert!((score["nll"].as_f64().unwrap() - nll).abs() < 1e-9);
    let log = fs::read_to_string(at.join("log.jsonl")).unwrap();
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((log.lines().count(), first["rate"].as_f64()), (60, Some(0.01)));
    for name in ["loss.svg", "chain.svg", "samples.png"] {
        assert!(at.join("pictures").join(name).exists(), "{name}");
    }
    let half = fit(&["--sweeps", "25", "--out", "parted.ansatz"]);
    assert_eq!(half["sweeps"], 25);
    let parted = fit(&["--sweeps", "60", "--out", "parted.ansatz", "--resume"]);
    assert_eq!((&parted["train_nll"], &parted["sweeps"]), (&whole["train_nll"], &whole["sweeps"]));
    let tensors = |name: &str| {
        let bytes = fs::read(at.join(name)).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert_eq!(tensors("whole.ansatz"), tensors("parted.ansatz"));
    assert_eq!(tensors("whole.ansatz.checkpoint"), tensors("parted.ansatz.checkpoint"));
    let patient = fit(&["--sweeps", "500", "--valid-fraction", "0.3", "--patience", "3"]);
    assert_eq!(patient["stop"], "early_stopping");
    assert!(patient["valid_nll"].is_number());
    assert_eq!(fit(&["--sweeps", "1000000", "--time-limit", "0.3"])["stop"], "time_limit");
    assert!(fit(&["--dry-run"])["peak_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn options_that_mean_nothing_to_adam_are_refused() {
    let folder = folder_with_data();
    let at = folder.path();
    let fit = |more: &[&'static str]| [&["fit", "--data", "twins.bits", "--out", "m.ansatz"], more].concat();
    for (option, value) in [
        ("--cutoff", "1e-7"),
        ("--min-bond", "1"),
        ("--steps", "1"),
        ("--direction", "plain"),
        ("--splitting", "exact"),
        ("--init-bond", "2"),
        ("--rise", "0"),
        ("--min-improvement", "0"),
        ("--memory", "100"),
        ("--bond", "4,8"),
    ] {
        refused(at, &fit(&["--method", "adam", option, value]), &[&option[2..], "--method adam"]);
    }
    refused(at, &fit(&["--method", "adam", "--rate", "-1"]), &["rate"]);
    refused(at, &fit(&["--method", "adam", "--bond", "0"]), &["bond"]);
    refused(at, &fit(&["--method", "newton"]), &["newton"]);
    assert_eq!(names(at).len(), 1);
    // A run goes on by the method it was begun with.
    for (method, other) in [("adam", "sweeps"), ("sweeps", "adam")] {
        json(at, &fit(&["--method", method, "--bond", "4", "--sweeps", "1", "--json"]));
        refused(at, &fit(&["--method", other, "--resume"]), &["m.ansatz.checkpoint", &format!("--method {method}")]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let folder = folder_with_data();
    let at = folder.path();
    json(at, &["fit", "--data", "twins.bits", "--bond", "4", "--sweeps", "1", "--out", "m.ansatz", "--json"]);
    refused(at, &["sample", "m.ansatz", "-n", "5", "--out", "/dev/full"], &["/dev/full"]);
}

#[cfg(unix)]
#[test]
fn a_run_killed_in_the_middle_of_a_sweep_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let common =
        ["fit", "--data", "digits", "--limit", "150", "--bond", "12", "--sweeps", "3", "--seed", "5", "--quiet"];
    let whole = [&common[..], &["--out", "whole.ansatz"]].concat();
    assert!(ansatz(at, &whole).status.success());
    let parted = [&common[..], &["--out", "parted.ansatz", "--checkpoint-bonds", "100"]].concat();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ansatz")).args(&parted).current_dir(at).spawn().unwrap();
    let checkpoint = at.join("parted.ansatz.checkpoint");
    let start = Instant::now();
    while !checkpoint.exists() && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
    // SIGKILL: nothing can be saved any more.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(checkpoint.exists());
    let resumed = [&parted[..], &["--resume"]].concat();
    let output = ansatz(at, &resumed);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tensors = |name: &str| {
        let bytes = fs::read(at.join(name)).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert_eq!(tensors("whole.ansatz"), tensors("parted.ansatz"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_exits_with_130_and_the_run_can_be_extended() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let fit =
        ["fit", "--data", "digits", "--limit", "150", "--bond", "8", "--sweeps", "500", "--quiet", "--out", "m.ansatz"];
    let child = Command::new(env!("CARGO_BIN_EXE_ansatz"))
        .args(fit)
        .args(["--log", "log.jsonl"])
        .current_dir(at)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while fs::read_to_string(at.join("log.jsonl")).is_ok_and(|l| l.is_empty()) || !at.join("log.jsonl").exists() {
        assert!(start.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert!(at.join("m.ansatz").exists() && at.join("m.ansatz.checkpoint").exists());
    // Without the checkpoint's 500 sweeps: a time limit ends the resumed run.
    let output = ansatz(at, &[&fit[..], &["--resume", "--time-limit", "0.5", "--json"]].concat());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["stop"], "time_limit");
}

#[test]
fn a_network_is_planned_drawn_and_contracted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // A ring of 30 tensors of two bonds each, and a hyperedge through all of them.
    let inputs: Vec<Vec<String>> =
        (0..30).map(|i| vec![format!("b{i}"), format!("b{}", (i + 1) % 30), "h".into()]).collect();
    let sizes: serde_json::Map<String, Value> =
        inputs.iter().flatten().map(|name| (name.clone(), Value::from(4))).collect();
    let ring = serde_json::json!({ "inputs": inputs, "output": [], "size_dict": sizes });
    fs::write(at.join("ring.json"), ring.to_string()).unwrap();
    let args = ["contract", "ring.json", "--json", "--save-plan", "plan.json", "--draw", "tree.svg"];
    let first = json(at, &args);
    for key in ["log2_flops", "log2_size", "peak_bytes", "slices", "seconds", "log_abs", "phase"] {
        assert!(first.get(key).is_some(), "{key}: {first}");
    }
    assert!(fs::read_to_string(at.join("tree.svg")).unwrap().ends_with("</svg>\n"));
    // With a slice of `h`, and by the stored plan, the value is the same.
    let sliced = json(at, &["contract", "ring.json", "--json", "--bytes", "1200"]);
    assert!(sliced["slices"].as_u64() > Some(1) && sliced["peak_bytes"].as_u64() <= Some(1200), "{sliced}");
    let stored = json(at, &["contract", "ring.json", "--json", "--plan", "plan.json"]);
    for other in [&sliced, &stored] {
        let difference = other["log_abs"].as_f64().unwrap() - first["log_abs"].as_f64().unwrap();
        assert!(difference.abs() < 1e-10 && other["phase"] == first["phase"], "{other} {first}");
    }
    let plan = json(at, &["contract", "ring.json", "--plan-only", "--json"]);
    assert!(plan.get("log_abs").is_none() && plan["log2_flops"] == first["log2_flops"]);
    assert!(ansatz(at, &["contract", "ring.json"]).status.success());

    refused(at, &["contract", "none.json"], &["none.json", "cannot read"]);
    fs::write(at.join("bad.json"), r#"{"inputs": ["ab"], "output": "x", "size_dict": {"a": 2, "b": 2}}"#).unwrap();
    refused(at, &["contract", "bad.json"], &["bad.json", "output index 'x' is on no tensor"]);
    refused(at, &["contract", "bad.json", "--plan", "plan.json"], &["bad.json"]);
    refused(at, &["contract", "ring.json", "--bytes", "4 apples"], &["4 apples"]);
    refused(at, &["contract", "ring.json", "--bytes", "8"], &["bytes", "allow more"]);
    refused(at, &["contract", "ring.json", "--time", "-1"], &["time is -1"]);
    refused(at, &["contract", "ring.json", "--minimise", "fun"], &["'fun'"]);
}
