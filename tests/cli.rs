//! The program as a user meets it: what it prints, what it writes, how it fails.

use std::fs;
use std::io::Write;
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
fn the_losses_that_fit_tells_are_those_of_the_model_it_wrote() {
    let folder = folder_with_data();
    let at = folder.path();
    let lines = fs::read_to_string(at.join("twins.bits")).unwrap();
    // Held-out rows hold pairs that no training row has, so that smoothing is chosen.
    fs::write(at.join("train.bits"), lines.lines().take(48).collect::<Vec<_>>().join("\n")).unwrap();
    fs::write(at.join("valid.bits"), lines.lines().skip(48).collect::<Vec<_>>().join("\n")).unwrap();
    let data = ["--data", "train.bits", "--valid", "valid.bits"];
    for more in [&["--sweeps", "3"][..], &["--sweeps", "20", "--method", "adam"], &["--sweeps", "0"]] {
        let fit = json(at, &[&["fit"], &data[..], &["--bond", "8", "--out", "m.ansatz", "--json"], more].concat());
        if more.len() == 2 && more[1] == "3" {
            assert!(fit["smoothing"].as_f64().unwrap() > 0.0);
        }
        for (key, file) in [("train_nll", "train.bits"), ("valid_nll", "valid.bits")] {
            let score = json(at, &["score", "m.ansatz", "--data", file, "--json"]);
            let (told, found) = (fit[key].as_f64().unwrap(), score["nll"].as_f64().unwrap());
            assert!((told - found).abs() < 1e-9, "{more:?}, {key}: {told} and {found}");
        }
        let info = json(at, &["info", "m.ansatz", "--json"]);
        if fit["best_sweep"] != 0 {
            assert_eq!(info["extra"]["report"]["train_nll"], fit["train_nll"]);
        }
    }
}

#[test]
fn a_mask_may_be_spelt_out_or_stand_in_a_file() {
    let folder = folder_with_data();
    let at = folder.path();
    json(at, &["fit", "--data", "twins.bits", "--bond", "8", "--sweeps", "2", "--out", "m.ansatz", "--json"]);
    let complete = |keep: &str, out: &str| {
        let output = ansatz(at, &["complete", "m.ansatz", "--data", "twins.bits", "--keep", keep, "--out", out]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read_to_string(at.join(out)).unwrap()
    };
    let mask = "010011010001";
    fs::write(at.join("mask.bits"), format!("{mask}\n")).unwrap();
    fs::write(at.join("mask.csv"), mask.split("").filter(|c| !c.is_empty()).collect::<Vec<_>>().join(",")).unwrap();
    let spelt = complete(mask, "a.csv");
    let data = fs::read_to_string(at.join("twins.bits")).unwrap();
    for (i, line) in spelt.lines().enumerate() {
        let original = data.lines().nth(i / 6).unwrap();
        let drawn: String = line.split(',').collect();
        let kept = |(k, _): &(usize, char)| mask.as_bytes()[*k] == b'1';
        assert!(original.char_indices().filter(kept).eq(drawn.char_indices().filter(kept)), "{line}");
    }
    assert_eq!(complete("mask.bits", "b.csv"), spelt);
    assert_eq!(complete("mask.csv", "c.csv"), spelt);
    refused(at, &["complete", "m.ansatz", "--data", "twins.bits", "--keep", "twins.bits"], &["twins.bits", "12 sites"]);
}

#[test]
fn samples_of_a_single_site_are_fitted_by_adam() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("one.csv"), "0\n1\n1\n2\n").unwrap();
    refused(at, &["fit", "--data", "one.csv", "--out", "m.ansatz"], &["sites is 1", "--method adam"]);
    let adam = ["--method", "adam", "--bond", "2", "--sweeps", "200", "--report", "pictures", "--json"];
    let fit = json(at, &[&["fit", "--data", "one.csv", "--out", "m.ansatz"], &adam[..]].concat());
    assert!((fit["train_nll"].as_f64().unwrap() - 1.5 * 2f64.ln()).abs() < 1e-3);
    let info = json(at, &["info", "m.ansatz", "--svg", "chain.svg", "--json"]);
    assert_eq!((info["bonds"].as_array().unwrap().len(), info["dimensions"][0].as_u64()), (0, Some(3)));
    assert_eq!(json(at, &["sample", "m.ansatz", "-n", "5", "--png", "s.png", "--json"])["samples"], 5);
    let complete = ["complete", "m.ansatz", "--data", "one.csv", "--keep", "1", "--png", "c.png", "--json"];
    assert_eq!(json(at, &complete)["conditional_nll"], 0.0);
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
    refused(at, &fit("twins.bits", &["--checkpoint-bonds", "0"]), &["checkpoint-bonds"]);
    refused(at, &fit("twins.bits", &["--init-bond", "1000000000000"]), &["12 sites", "bond dimension"]);
    refused(at, &fit("twins.bits", &["--method", "adam", "--bond", "18446744073709551615"]), &["bond dimension"]);
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
    refused(at, &["sample", "m.ansatz", "--threads", "0"], &["threads"]);
    refused(at, &["sample", "m.ansatz", "--threads", "100000000"], &["threads"]);
    refused(at, &["sample", "m.ansatz", "-n", "99999999999999"], &["99999999999999 samples", "fewer"]);
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

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_wherever_something_is_written() {
    let folder = folder_with_data();
    let at = folder.path();
    json(at, &["fit", "--data", "twins.bits", "--bond", "4", "--sweeps", "1", "--out", "m.ansatz", "--json"]);
    let before = names(at);
    let fit = |more: &[&'static str]| [&["fit", "--data", "twins.bits", "--sweeps", "1", "--quiet"], more].concat();
    let twins = ["--data", "twins.bits"];
    for (command, option) in [
        (vec!["sample", "m.ansatz"], "--png"),
        (vec!["info", "m.ansatz"], "--svg"),
        ([&["score", "m.ansatz"][..], &twins].concat(), "--out"),
        ([&["complete", "m.ansatz", "--keep", "first"][..], &twins].concat(), "--out"),
        ([&["complete", "m.ansatz", "--keep", "first"][..], &twins].concat(), "--png"),
        (fit(&[]), "--out"),
        (fit(&[]), "--log"),
        (fit(&[]), "--checkpoint"),
    ] {
        refused(at, &[&command[..], &[option, "/dev/full"]].concat(), &["/dev/full", "No space left"]);
    }
    // No checkpoint is put beside what is no file.
    assert!(!Path::new("/dev/full.checkpoint").exists());
    for command in [vec!["sample", "m.ansatz"], vec!["info", "m.ansatz", "--json"], vec!["--help"], fit(&[])] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output =
            Command::new(env!("CARGO_BIN_EXE_ansatz")).args(&command).current_dir(at).stdout(full).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {error}");
        assert!(error.contains("standard output: cannot write"), "{command:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{command:?}: {error}");
    }
    assert_eq!(names(at), before);
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error_and_a_pipe_is_read() {
    let folder = folder_with_data();
    let at = folder.path();
    json(at, &["fit", "--data", "twins.bits", "--bond", "4", "--sweeps", "1", "--out", "m.ansatz", "--json"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ansatz"))
        .args(["sample", "m.ansatz", "-n", "100000"])
        .current_dir(at)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    let output = Command::new(env!("CARGO_BIN_EXE_ansatz"))
        .args(["score", "m.ansatz", "--data", "/dev/stdin", "--format", "bits", "--json"])
        .current_dir(at)
        .stdin(Command::new("cat").arg(at.join("twins.bits")).stdout(Stdio::piped()).spawn().unwrap().stdout.unwrap())
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["samples"], 64);
}

#[test]
fn what_was_there_outlives_a_run_that_fails() {
    let folder = folder_with_data();
    let at = folder.path();
    fs::write(at.join("other.bits"), "010101010101\n").unwrap();
    fs::create_dir(at.join("folder")).unwrap();
    let fit = |more: &[&'static str]| [&["fit", "--data", "twins.bits", "--sweeps", "2", "--quiet"], more].concat();
    json(at, &fit(&["--bond", "4", "--out", "m.ansatz", "--log", "log.jsonl", "--json"]));
    let contents = || -> Vec<(PathBuf, Vec<u8>)> {
        names(at).into_iter().filter(|p| p.is_file()).map(|p| (p.clone(), fs::read(p).unwrap())).collect()
    };
    let (before, all) = (contents(), names(at));
    let old = ["--out", "m.ansatz", "--log", "log.jsonl"];
    // A rate at which the first step already leaves the finite numbers.
    refused(at, &fit(&[&old[..], &["--rate", "1e308"]].concat()), &["not finite", "lower the rate"]);
    refused(at, &fit(&[&old[..], &["--init-bond", "18446744073709551615"]].concat()), &["bond", "memory"]);
    refused(at, &fit(&[&old[..], &["--memory", "0"]].concat()), &["ceiling"]);
    refused(at, &fit(&[&old[..], &["--report", "twins.bits/pictures"]].concat()), &["twins.bits/pictures"]);
    refused(at, &["fit", "--data", "other.bits", "--resume", "--out", "m.ansatz"], &["other training data"]);
    // No file is written over one that is read, or written twice.
    refused(at, &fit(&["--out", "twins.bits"]), &["out is twins.bits", "another name"]);
    refused(at, &fit(&["--log", "folder/../twins.bits"]), &["twins.bits", "another name"]);
    refused(at, &fit(&["--valid", "other.bits", "--checkpoint", "other.bits"]), &["other.bits", "another name"]);
    refused(at, &fit(&["--out", "new.ansatz", "--log", "./new.ansatz"]), &["new.ansatz", "another name"]);
    refused(at, &fit(&["--out", "m.ansatz", "--resume", "--checkpoint", "m.ansatz"]), &["m.ansatz", "another name"]);
    // Of two files neither is written if one cannot be.
    let twice = ["--out", "new.npy", "--png", "no/such/new.png"];
    refused(at, &[&["sample", "m.ansatz"], &twice[..]].concat(), &["no/such/new.png"]);
    let complete = ["complete", "m.ansatz", "--data", "twins.bits", "--keep", "first"];
    refused(at, &[&complete, &twice[..]].concat(), &["no/such/new.png"]);
    refused(at, &["sample", "m.ansatz", "--out", "folder"], &["folder", "directory"]);
    assert_eq!(contents(), before);
    assert_eq!(names(at), all);
}

#[test]
fn damaged_models_and_numbers_beyond_all_measure_get_one_line() {
    let folder = folder_with_data();
    let at = folder.path();
    json(at, &["fit", "--data", "twins.bits", "--bond", "4", "--sweeps", "1", "--out", "m.ansatz", "--json"]);
    let whole = fs::read(at.join("m.ansatz")).unwrap();
    fs::write(at.join("empty.ansatz"), "").unwrap();
    fs::write(at.join("short.ansatz"), &whole[..5]).unwrap();
    fs::write(at.join("nan.ansatz"), [&whole[..whole.len() - 8], &f64::NAN.to_le_bytes()].concat()).unwrap();
    fs::write(at.join("labels.idx"), [0, 0, 8, 1, 0, 0, 0, 2, 3, 4]).unwrap();
    fs::write(at.join("cut.gz"), [0x1f, 0x8b, 8, 0, 0, 0]).unwrap();
    fs::write(at.join("control.csv"), "0,1\n0,\x1b[31mx\x07\n").unwrap();
    let before = names(at);
    let fit = |data: &'static str| ["fit", "--data", data, "--out", "new.ansatz"];
    let most = "18446744073709551615";
    refused(at, &["info", "empty.ansatz"], &["empty.ansatz", "0 bytes"]);
    refused(at, &["info", "short.ansatz"], &["short.ansatz", "not a model file"]);
    refused(at, &["sample", "nan.ansatz"], &["nan.ansatz", "site.0011", "NaN"]);
    refused(at, &["sample", "m.ansatz.checkpoint"], &["a checkpoint, where a model is needed"]);
    refused(at, &["info", "absent.ansatz"], &["absent.ansatz"]);
    refused(at, &["sample", "m.ansatz", "-n", most], &["samples", "memory"]);
    refused(at, &["sample", "m.ansatz", "-n", "1000000000000000"], &["samples", "GB"]);
    let complete = ["complete", "m.ansatz", "--data", "twins.bits", "--keep", "first"];
    refused(at, &[&complete[..], &["--draws", most]].concat(), &["samples", "memory"]);
    refused(at, &[&fit("twins.bits")[..], &["--method", "adam", "--bond", most]].concat(), &["bond", "memory"]);
    refused(at, &[&fit("twins.bits")[..], &["--min-bond", most]].concat(), &["min_bond"]);
    refused(at, &["--threads", most, "info", "m.ansatz"], &["threads", "1024"]);
    refused(at, &fit("labels.idx"), &["labels.idx", "labels?"]);
    refused(at, &fit("cut.gz"), &["cut.gz", "gzip"]);
    refused(at, &fit("control.csv"), &["control.csv", "line 2", "column 2", "\\u{1b}[31mx"]);
    refused(at, &fit("twins.bits#x"), &["twins.bits", "not an .npz archive"]);
    if Path::new("/dev/zero").exists() {
        refused(at, &fit("/dev/zero"), &["/dev/zero", "a device"]);
    }
    assert_eq!(names(at), before);
}

#[test]
fn a_run_starts_from_a_model_that_was_saved() {
    let folder = folder_with_data();
    let at = folder.path();
    let fit = |more: &[&'static str]| [&["fit", "--data", "twins.bits", "--quiet"], more].concat();
    let first = json(at, &fit(&["--bond", "16", "--sweeps", "3", "--out", "a.ansatz", "--json"]));
    let loss = first["train_nll"].as_f64().unwrap();
    for method in ["sweeps", "adam"] {
        let on = fit(&["--start", "a.ansatz", "--sweeps", "0", "--method", method, "--out", "b.ansatz", "--json"]);
        assert!((json(at, &on)["train_nll"].as_f64().unwrap() - loss).abs() < 1e-9, "{method}");
    }
    let on = json(at, &fit(&["--start", "a.ansatz", "--bond", "64", "--sweeps", "4", "--out", "a.ansatz", "--json"]));
    assert!(on["train_nll"].as_f64().unwrap() < loss);
    refused(at, &fit(&["--start", "none.ansatz"]), &["none.ansatz"]);
    refused(at, &fit(&["--start", "a.ansatz", "--init-bond", "2"]), &["--init-bond"]);
    fs::write(at.join("short.bits"), "01\n10\n").unwrap();
    refused(at, &["fit", "--data", "short.bits", "--start", "a.ansatz"], &["a.ansatz", "sites"]);
}

fn plan_value(json: &Value) -> f64 {
    json["log_abs"].as_f64().unwrap()
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
    let drawn = ["contract", "ring.json", "--plan-only", "--draw-network"];
    assert!(ansatz(at, &[&drawn[..], &["net.svg"]].concat()).status.success());
    assert_eq!(fs::read_to_string(at.join("net.svg")).unwrap().matches("<circle").count(), 30);
    assert!(ansatz(at, &[&drawn[..], &["net.dot"]].concat()).status.success());
    assert_eq!(fs::read_to_string(at.join("net.dot")).unwrap().matches(" -- ").count(), 60);
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
    // Approximately, with bonds large enough for the exact value, with all gauges, and with the stored order.
    let exact = plan_value(&json(at, &["contract", "ring.json", "--json"]));
    for more in [
        &["--gauge", "none"][..],
        &["--gauge", "tree:1", "--cutoff", "1e-13"],
        &["--gauge", "bp"],
        &["--plan", "plan.json"],
    ] {
        let found = json(at, &[&["contract", "ring.json", "--json", "--max-bond", "256"], more].concat());
        assert!((plan_value(&found) - exact).abs() < 1e-8 && found["max_bond"] == 256, "{found}");
        assert!(found["error"].as_f64().is_some() && found["compressions"].as_u64().is_some());
    }
    let modelled = json(at, &["contract", "ring.json", "--json", "--max-bond", "8", "--plan-only"]);
    assert!(modelled["log2_flops"].as_f64().unwrap() > 0.0 && modelled.get("error").is_none());
    assert!(ansatz(at, &["contract", "ring.json", "--max-bond", "8"]).status.success());
    refused(at, &["contract", "ring.json", "--max-bond", "0"], &["max_bond is 0"]);
    refused(at, &["contract", "ring.json", "--max-bond", "4", "--gauge", "fun"], &["'fun'"]);
    refused(at, &["contract", "ring.json", "--cutoff", "0.1"], &["--max-bond"]);

    refused(at, &["contract", "none.json"], &["none.json", "cannot read"]);
    fs::write(at.join("bad.json"), r#"{"inputs": ["ab"], "output": "x", "size_dict": {"a": 2, "b": 2}}"#).unwrap();
    refused(at, &["contract", "bad.json"], &["bad.json", "output index 'x' is on no tensor"]);
    refused(at, &["contract", "bad.json", "--plan", "plan.json"], &["bad.json"]);
    refused(at, &["contract", "ring.json", "--bytes", "4 apples"], &["4 apples"]);
    refused(at, &["contract", "ring.json", "--bytes", "8"], &["bytes", "allow more"]);
    refused(at, &["contract", "ring.json", "--time", "-1"], &["time is -1"]);
    refused(at, &["contract", "ring.json", "--minimise", "fun"], &["'fun'"]);

    // The first slices, stored, and the rest: the same as all at once.
    let small = ["contract", "ring.json", "--json", "--bytes", "1200"];
    json(at, &[&small[..], &["--save-plan", "small.json"]].concat());
    let by_plan = [&small[..], &["--plan", "small.json"]].concat();
    let all = json(at, &by_plan);
    let kept = [&by_plan[..], &["--checkpoint", "sum"]].concat();
    let some = json(at, &[&kept[..], &["--slices", "1"]].concat());
    assert!(some["slices_done"].as_u64() < some["slices"].as_u64() && some["gflops"].as_f64() > Some(0.0), "{some}");
    let rest = json(at, &[&kept[..], &["--resume", "--every", "0"]].concat());
    assert_eq!((&rest["log_abs"], &rest["slices_done"]), (&all["log_abs"], &all["slices"]));
    refused(at, &[&kept[..], &["--resume", "--seed", "2"]].concat(), &["other tensors"]);
    refused(at, &[&kept[..], &["--resume", "--scalar", "f32"]].concat(), &["sum", "--scalar f64"]);
    refused(at, &[&small[..], &["--checkpoint", "sum", "--resume"]].concat(), &["--plan"]);
    refused(at, &[&kept[..], &["--every", "-1"]].concat(), &["every is -1"]);
    refused(at, &[&small[..], &["--slices", "0"]].concat(), &["slices is 0"]);
    refused(at, &["contract", "ring.json", "--plan", "plan.json", "--bytes", "64"], &["bytes", "allow more"]);
}

#[test]
fn a_network_of_given_tensors_is_made_smaller_and_contracted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // v D w with v = (1, 2), D = diag(3, 4), w = (1, 1): 11.
    fs::write(at.join("n.json"), r#"{"inputs": ["i", "ij", "j"], "output": "", "size_dict": {"i": 2, "j": 2}}"#)
        .unwrap();
    let archive = |names: [&str; 3], dtype: &str, numbers: [&[f32]; 3]| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for ((name, numbers), shape) in names.iter().zip(numbers).zip(["(2,)", "(2, 2)", "(2,)"]) {
            let mut header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
            header.push('\n');
            zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
            zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
            zip.write_all(header.as_bytes()).unwrap();
            numbers.iter().for_each(|x| zip.write_all(&x.to_le_bytes()).unwrap());
        }
        zip.finish().unwrap().into_inner()
    };
    let names = ["arr_0", "arr_1", "arr_2"];
    let numbers: [&[f32]; 3] = [&[1.0, 2.0], &[3.0, 0.0, 0.0, 4.0], &[1.0, 1.0]];
    fs::write(at.join("t.npz"), archive(names, "<f4", numbers)).unwrap();
    let given = ["contract", "n.json", "--tensors", "t.npz", "--json"];
    let with = |more: &[&'static str]| [&given[..], more].concat();
    let (small, plain) = (json(at, &given), json(at, &with(&["--no-simplify", "--save-plan", "plan.json"])));
    assert_eq!((&small["simplified"]["tensors_before"], &small["tensors"]), (&3.into(), &1.into()), "{small}");
    assert!(plain.get("simplified").is_none() && plain["tensors"] == 3, "{plain}");
    // A stored plan is for the network as it is.
    let planned = json(at, &with(&["--plan", "plan.json"]));
    assert_eq!(planned["tensors"], 3);
    for found in [&small, &plain, &planned] {
        assert!((plan_value(found) - 11f64.ln()).abs() < 1e-6 && found["phase"] == 1.0, "{found}");
    }
    assert!((plan_value(&json(at, &with(&["--scalar", "c64", "--max-bond", "2"]))) - 11f64.ln()).abs() < 1e-14);
    assert!(ansatz(at, &["contract", "n.json", "--tensors", "t.npz"]).status.success());
    // Complex numbers: i v D w has the phase i.
    let complex: [&[f32]; 3] =
        [&[0.0, 1.0, 0.0, 2.0], &[3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 0.0], &[1.0, 0.0, 1.0, 0.0]];
    fs::write(at.join("c.npz"), archive(names, "<c8", complex)).unwrap();
    let found = json(at, &["contract", "n.json", "--tensors", "c.npz", "--json"]);
    assert!(
        (plan_value(&found) - 11f64.ln()).abs() < 1e-6 && found["phase"] == serde_json::json!([0.0, 1.0]),
        "{found}"
    );

    refused(at, &["contract", "n.json", "--tensors", "c.npz", "--scalar", "f64"], &["c.npz#arr_0", "c64"]);
    refused(at, &["contract", "n.json", "--tensors", "none.npz"], &["none.npz"]);
    refused(at, &["contract", "n.json", "--tensors", "n.json"], &["n.json", ".npz"]);
    refused(at, &["contract", "n.json", "--no-simplify"], &["--tensors"]);
    refused(at, &["contract", "n.json", "--scalar", "f16"], &["'f16'"]);
    fs::write(at.join("bad.npz"), archive(["a0", "a1", "a3"], "<f4", numbers)).unwrap();
    refused(at, &["contract", "n.json", "--tensors", "bad.npz"], &["no array 2, but 'a3'"]);
    fs::write(at.join("nan.npz"), archive(names, "<f4", [&[1.0, f32::NAN], numbers[1], numbers[2]])).unwrap();
    refused(at, &["contract", "n.json", "--tensors", "nan.npz"], &["entry 1", "nan.npz#arr_0"]);
    fs::write(at.join("two.json"), r#"{"inputs": ["i", "i"], "output": "", "size_dict": {"i": 2}}"#).unwrap();
    refused(at, &["contract", "two.json", "--tensors", "t.npz"], &["t.npz", "3", "2"]);
    refused(at, &["contract", "two.json", "--plan", "plan.json"], &["plan.json", "another network"]);
    fs::write(at.join("long.json"), r#"{"inputs": ["i", "ij", "j"], "output": "", "size_dict": {"i": 2, "j": 3}}"#)
        .unwrap();
    refused(at, &["contract", "long.json", "--tensors", "t.npz"], &["t.npz#arr_1", "[2, 2]", "[2, 3]"]);
}

#[test]
fn spins_on_a_lattice_are_summed_by_every_method() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let run = |more: &[&str]| json(at, &[&["ising", "--json", "--beta", "0.4406868"], more].concat());
    let value = |json: &serde_json::Value, key: &str| json[key].as_f64().unwrap();
    let known = 60.141_781_408_637_43;
    let exact = run(&["--size", "8", "--method", "exact"]);
    for (method, chi, tolerance) in
        [("exact", "1", 1e-11), ("boundary", "16", 1e-6), ("trg", "8", 5e-4), ("hotrg", "8", 5e-4)]
    {
        let told = run(&["--size", "8", "--method", method, "--chi", chi]);
        assert!((value(&told, "lnz") / known - 1.0).abs() < tolerance, "{told}");
        assert!((value(&told, "lnz") - 64.0 * value(&told, "lnz_per_site")).abs() < 1e-9);
        assert!((value(&told, "reference_lnz") - known).abs() < 1e-9);
        assert!(
            (value(&told, "energy_per_site") - value(&exact, "energy_per_site")).abs() < 200.0 * tolerance,
            "{told}"
        );
        assert!(told["method"] == method && told["size"] == 8 && value(&told, "seconds") >= 0.0);
    }
    let range = ["--size", "infinite", "--method", "exact", "--draw", "i.svg", "--json"];
    let points = json(at, &[&["ising", "--beta", "-0.1:0.5:0.1"], &range[..]].concat());
    assert_eq!(points["points"].as_array().unwrap().len(), 7);
    assert!(fs::read_to_string(at.join("i.svg")).unwrap().contains("Specific heat"));
    let cold = json(at, &["ising", "--beta", "1000", "--size", "4", "--json", "--chi", "4"]);
    assert!((value(&cold, "lnz") - (32000.0 + 2f64.ln())).abs() < 1e-6);
    for (arguments, words) in [
        (&["--beta", "nan"][..], &["nan"][..]),
        (&["--beta", "0.4", "--size", "0"], &["'0'", "size"]),
        (&["--beta", "0.4", "--size", "6"], &["power of two", "exact"]),
        (&["--beta", "0.4", "--size", "40", "--method", "exact"], &["bytes", "--bytes"]),
        (&["--beta", "0.4", "--size", "24", "--method", "exact"], &["multiplications"]),
        (&["--beta", "0.4", "--lattice", "cubic"], &["hotrg"]),
        (&["--beta", "0.4", "--boundary", "open"], &["boundary or exact"]),
        (&["--beta", "0.4", "--chi", "0"], &["chi is 0"]),
        (&["--beta", "0.4", "--chi", "4000"], &["bytes", "--chi"]),
        (&["--beta", "0:1:0"], &["0:1:0"]),
        (&["--beta", "0.4", "--draw", "x.svg"], &["FROM:TO:STEP"]),
    ] {
        refused(at, &[&["ising"], arguments].concat(), words);
    }
}

#[test]
fn circuits_are_run_drawn_and_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let head = "OPENQASM 2.0; include \"qelib1.inc\"; qreg q[2]; creg c[2];";
    fs::write(at.join("bell.qasm"), format!("{head} h q[0]; cx q[0],q[1]; measure q -> c;")).unwrap();
    fs::write(at.join("one.qasm"), format!("{head} include \"flip.inc\"; flip q[1]; measure q -> c;")).unwrap();
    fs::write(at.join("flip.inc"), "gate flip a { x a; }").unwrap();
    let run =
        json(at, &["circuit", "run", "bell.qasm", "--shots", "500", "--draw", "c.svg", "--expect", "X0 X1", "--json"]);
    let count = |key: &str| run["counts"][key].as_u64().unwrap();
    assert_eq!(count("00") + count("11"), 500);
    assert_eq!((run["method"].as_str(), run["fidelity_estimate"].as_f64()), (Some("statevector"), Some(1.0)));
    assert!((run["expectations"][0]["value"].as_f64().unwrap() - 1.0).abs() < 1e-14 && run["seconds"].is_number());
    assert!(fs::read_to_string(at.join("c.svg")).unwrap().starts_with("<svg"));
    // Qubit 1 is the second character.
    let one = json(at, &["circuit", "run", "one.qasm", "--shots", "5", "--json"]);
    assert_eq!(one["counts"], serde_json::json!({ "01": 5 }));
    let amplitude = json(at, &["circuit", "amplitude", "bell.qasm", "--bits", "11", "--json"]);
    assert!((amplitude["re"].as_f64().unwrap() - 0.5f64.sqrt()).abs() < 1e-15);
    assert!((amplitude["log_abs"].as_f64().unwrap() + 0.5 * 2f64.ln()).abs() < 1e-14);
    let drawn = ansatz(at, &["circuit", "draw", "bell.qasm"]);
    assert!(String::from_utf8_lossy(&drawn.stdout).contains("q[0]: ─┤h├─●─"));
    assert!(ansatz(at, &["circuit", "draw", "bell.qasm", "--out", "bell.svg"]).status.success());

    fs::write(at.join("bad.qasm"), format!("{head}\nfog q[0];")).unwrap();
    fs::write(at.join("out.qasm"), format!("{head}\ninclude \"../flip.inc\";")).unwrap();
    fs::write(at.join("wide.qasm"), "OPENQASM 2.0; qreg q[60];").unwrap();
    fs::write(at.join("empty.qasm"), "").unwrap();
    for (arguments, words) in [
        (&["run", "bad.qasm"][..], &["bad.qasm: line 2, column 1", "undefined gate 'fog'"][..]),
        (&["run", "out.qasm"], &["only files beside the circuit"]),
        (&["run", "wide.qasm", "--method", "statevector"], &["60 qubits", "GB"]),
        (&["run", "empty.qasm"], &["no qubits"]),
        (&["run", "none.qasm"], &["none.qasm"]),
        (&["run", "bell.qasm", "--shots", "0"], &["shots"]),
        (&["run", "bell.qasm", "--expect", "Z7"], &["qubit 7"]),
        (&["run", "bell.qasm", "--expect", "W"], &["observable"]),
        (&["run", "bell.qasm", "--bind", "t=1"], &["no parameter t"]),
        (&["run", "bell.qasm", "--method", "fast"], &["--method"]),
        (&["amplitude", "bell.qasm", "--bits", "012"], &["bits"]),
        (&["amplitude", "bell.qasm", "--bits", "0"], &["2 qubits"]),
    ] {
        refused(at, &[&["circuit"], arguments].concat(), words);
    }
}

#[test]
fn circuits_are_sampled_scored_and_completed_as_models_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let head = "OPENQASM 2.0; include \"qelib1.inc\"; qreg q[3]; creg c[3];";
    fs::write(at.join("ghz.qasm"), format!("{head} h q[0]; cx q[0],q[1]; cx q[1],q[2]; measure q -> c;")).unwrap();
    fs::write(at.join("late.qasm"), format!("{head} measure q -> c; x q[0];")).unwrap();
    fs::write(at.join("data.bits"), "000\n111\n").unwrap();
    let score = json(at, &["score", "ghz.qasm", "--data", "data.bits", "--json"]);
    assert!((score["nll"].as_f64().unwrap() - 2f64.ln()).abs() < 1e-14);
    assert!(ansatz(at, &["sample", "ghz.qasm", "-n", "20", "--out", "drawn.bits"]).status.success());
    let drawn = fs::read_to_string(at.join("drawn.bits")).unwrap();
    assert!(drawn.lines().count() == 20 && drawn.lines().all(|line| ["000", "111"].contains(&line)));
    let complete = json(at, &["complete", "ghz.qasm", "--data", "data.bits", "--keep", "100", "--json"]);
    assert!(complete["conditional_nll"].as_f64().unwrap().abs() < 1e-14);
    let info = json(at, &["info", "ghz.qasm", "--json"]);
    assert_eq!((info["sites"].as_u64(), info["entangling_gates"].as_u64()), (Some(3), Some(2)));
    for command in ["sample", "score --data data.bits", "complete --data data.bits"] {
        let words: Vec<&str> = command.split(' ').chain(["late.qasm"]).collect();
        refused(at, &words, &["late.qasm", "at its end only"]);
    }
    refused(at, &["info", "ghz.qasm", "--svg", "x.svg"], &["circuit draw"]);
}
