//! Data sets that may not be shipped, read whole and compared with facts about them that were had otherwise: counts and
//! sums by a few lines of Python, baselines as published with the sets.
//!
//! They are looked for in `../shared/data`, or `$ANSATZ_SHARED/data`; a test whose file is absent says so and passes.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use ansatz::circuit::{Circuit, Simulator, Statevector};
use ansatz::data::{Binarise, Format, Table, read};
use ansatz::io::load_circuit;
use ansatz::model::{ChowLiu, Independent};
use ansatz::{Batch, GenerativeModel, Seed};

/// The data set, or `None` where it is not there; `member` is of an archive.
fn shared(file: &str, member: &str) -> Option<Table> {
    let root = std::env::var_os("ANSATZ_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join("data").join(file);
    if !path.exists() {
        // Not by `eprintln!`, which is shown for tests that fail only; in one piece, so that no other line cuts it.
        let line = format!("skipped, {} is absent\n", path.display());
        let _ = std::io::stderr().write_all(line.as_bytes());
        return None;
    }
    Some(read(&format!("{}{member}", path.display()), None).unwrap())
}

fn sum(batch: &Batch<u8>) -> u64 {
    batch.view().iter().map(|&v| u64::from(v)).sum()
}

/// Entropy of the empirical distribution, nats, and the number of distinct rows.
fn distinct(batch: &Batch<u8>) -> (f64, usize) {
    let mut counts: HashMap<Vec<u8>, f64> = HashMap::new();
    batch.view().rows().into_iter().for_each(|row| *counts.entry(row.to_vec()).or_default() += 1.0);
    let shares = counts.values().map(|count| count / batch.samples() as f64);
    (shares.map(|p| -p * p.ln()).sum(), counts.len())
}

#[test]
fn mnist_images() {
    // Samples, mean grey level as a share of 255, pixels of at least 128.
    for (file, samples, mean, ones) in [
        ("mnist/train-images-idx3-ubyte.gz", 60_000, 0.130_660_476_273_842_9, 6_221_431),
        ("mnist/t10k-images-idx3-ubyte.gz", 10_000, 0.132_514_605_842_336_93, 1_052_359),
    ] {
        let Some(table) = shared(file, "") else { continue };
        assert_eq!((table.samples(), table.shape(), table.format()), (samples, &[28, 28][..], Format::Idx));
        let grey = table.batch(Binarise::Never).unwrap();
        assert_eq!((grey.samples(), grey.sites()), (samples, 784));
        assert!((sum(&grey) as f64 / 255.0 / (784 * samples) as f64 - mean).abs() < 1e-13);
        assert_eq!(sum(&table.batch(Binarise::Auto).unwrap()), ones);
    }
}

#[test]
fn the_embedded_digits_are_rows_of_mnist() {
    let Some(table) = shared("mnist/t10k-images-idx3-ubyte.gz", "") else { return };
    let all = table.batch(Binarise::Auto).unwrap();
    let rows: std::collections::HashSet<Vec<u8>> = all.view().rows().into_iter().map(|r| r.to_vec()).collect();
    let test = ansatz::data::digits().unwrap().test;
    assert!(test.view().rows().into_iter().all(|row| rows.contains(&row.to_vec())));
}

#[test]
fn the_capacity_set_and_the_thousand_images() {
    for member in ["", "#data", "#data_test"] {
        let Some(table) = shared("han2018/capacity_mnist28_127.5.npz", member) else { continue };
        assert_eq!((table.samples(), table.shape()), (1000, &[784][..]));
        let batch = table.batch(Binarise::Auto).unwrap();
        assert_eq!(table.dims(&batch), [2; 784]);
    }
    let Some(table) = shared("han2018/train1k_binary.txt", "") else { return };
    assert_eq!((table.samples(), table.sites(), table.format()), (1000, 784, Format::Bits));
    let batch = table.batch(Binarise::Auto).unwrap();
    let (entropy, rows) = distinct(&batch);
    assert_eq!((rows, sum(&batch)), (994, 126_253));
    assert!((entropy - 6.8994).abs() < 1e-4, "{entropy}");
}

#[test]
fn bars_and_stripes() {
    let Some(table) = shared("han2018/bars_stripes_4x4_30.npy", "") else { return };
    assert_eq!((table.samples(), table.shape(), table.format()), (30, &[4, 4][..], Format::Npy));
    let batch = table.batch(Binarise::Auto).unwrap();
    assert_eq!(distinct(&batch).1, 30);
    for image in batch.view().rows() {
        let pixel = |i: usize, j: usize| image[4 * i + j];
        let rows = (0..4).all(|i| (0..4).all(|j| pixel(i, j) == pixel(i, 0)));
        let columns = (0..4).all(|i| (0..4).all(|j| pixel(i, j) == pixel(0, j)));
        assert!(rows || columns, "{image}");
    }
}

#[test]
fn nltcs_and_its_baselines() {
    // Samples, distinct ones, ones; mean negative log-likelihoods of the tree and of independent bits, nats.
    let parts = [
        ("train", 16_181, 2671, 85_886, 6.760_056, 9.270_331),
        ("valid", 2157, 753, 11_574, 6.718_522, 9.366_707),
        ("test", 3236, 1023, 16_974, 6.759_059, 9.233_611),
    ];
    let part = |name: &str| Some(shared(&format!("debd/nltcs.{name}.txt.gz"), "")?.batch(Binarise::Auto).unwrap());
    let Some(train) = part("train") else { return };
    let tree = ChowLiu::fit(&train, &[2; 16], 1.0).unwrap();
    let independent = Independent::fit(&train, &[2; 16], 1.0).unwrap();
    for (name, samples, rows, ones, of_tree, of_independent) in parts {
        let Some(batch) = part(name) else { continue };
        assert_eq!((batch.samples(), batch.sites(), sum(&batch)), (samples, 16, ones));
        assert_eq!(distinct(&batch).1, rows);
        // The published figures are smoothed otherwise: that shows in the fifth digit.
        let (a, b) = (tree.nll(&batch).unwrap(), independent.nll(&batch).unwrap());
        assert!((a - of_tree).abs() < 2e-5, "{name}, tree: {a}");
        assert!((b - of_independent).abs() < 2e-5, "{name}, independent: {b}");
    }
}

#[test]
fn an_alignment_of_proteins() {
    let Some(table) = shared("protein_PF00014/PF00014_mgap6.fasta.gz", "") else { return };
    assert_eq!((table.samples(), table.shape(), table.format()), (13_600, &[53][..], Format::Fasta));
    let batch = table.batch(Binarise::Auto).unwrap();
    assert_eq!(table.dims(&batch), [21; 53]);
    let alphabet = table.alphabet().unwrap();
    for (letter, count) in [('-', 16_910), ('A', 32_017), ('C', 76_134), ('M', 10_861), ('W', 11_300), ('Y', 41_107)] {
        let symbol = alphabet.find(letter).unwrap() as u8;
        assert_eq!(batch.view().iter().filter(|&&v| v == symbol).count(), count, "{letter}");
    }
}

#[test]
fn categorical_tables() {
    for (name, samples, sites, dim, total) in
        [("biofam", 2000, 16, 8, 50_745), ("spect", 187, 23, 2, 1615), ("votes", 435, 17, 3, 10_157)]
    {
        let Some(table) = shared(&format!("glasser2019/{name}.csv"), "") else { continue };
        let batch = table.batch(Binarise::Auto).unwrap();
        assert_eq!((batch.samples(), table.format(), sum(&batch)), (samples, Format::Csv, total), "{name}");
        assert_eq!(table.dims(&batch), vec![dim; sites], "{name}");
    }
}

/// The folder, or `None` where it is not there.
fn shared_folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ANSATZ_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join("data").join(name);
    if !path.exists() {
        let line = format!("skipped, {} is absent\n", path.display());
        let _ = std::io::stderr().write_all(line.as_bytes());
        return None;
    }
    Some(path)
}

#[test]
fn circuits_of_the_qasm_set() {
    let Some(folder) = shared_folder("qasm") else { return };
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|end| end != "qasm") {
            continue;
        }
        let circuit = load_circuit(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // The name ends in the number of qubits.
        let qubits: usize = name.rsplit_once("_n").unwrap().1.parse().unwrap();
        assert_eq!(circuit.num_qubits(), qubits, "{name}");
        assert_eq!(Circuit::from_qasm(&circuit.to_qasm().unwrap()).unwrap(), circuit, "{name}");
        let run = |shots| Statevector::<f64>::new().counts(&circuit, shots, Seed(1)).unwrap().0;
        match name {
            // 1 + 15 with four bits and a carry.
            "adder_n10" => assert_eq!(run(10).into_keys().collect::<Vec<_>>(), ["00001"]),
            "qft_n18" => {
                // Of a basis state, qubit 0 most significant; there are no swaps, so the outcome has its bits reversed.
                let (n, x) = (18, 0b10_1101_0011_0001_0110_usize);
                let mut prepared = circuit.emptied();
                (0..n).filter(|q| x >> (n - 1 - q) & 1 == 1).for_each(|q| drop(prepared.x(q).map(|_| ())));
                prepared.append(&circuit).unwrap();
                let state = Statevector::<f64>::new().state(&prepared).unwrap();
                for k in (0..1 << n).step_by(37) {
                    let reversed = (k as u32).reverse_bits() as usize >> (32 - n);
                    let turn = ((x * k) % (1 << n)) as f64 / f64::from(1 << n);
                    let expected = num_complex::Complex64::cis(std::f64::consts::TAU * turn) / 512.0;
                    assert!((state.amplitude(reversed) - expected).norm() < 1e-12, "{k}");
                }
            }
            "wstate_n3" => assert_eq!(run(200).into_keys().collect::<Vec<_>>(), ["001", "010", "100"]),
            _ => {}
        }
        read += 1;
    }
    assert_eq!(read, 19);
}

#[test]
fn circuits_in_the_format_of_qsim() {
    let Some(folder) = shared_folder("contraction") else { return };
    // Gates, counted by lines.
    for (cycles, gates) in [(10, 1658), (12, 1979)] {
        let circuit = load_circuit(&folder.join(format!("circuit_n53_m{cycles}_s0_e0_pABCDCDAB.qsim"))).unwrap();
        assert_eq!((circuit.num_qubits(), circuit.instructions().len()), (53, gates));
    }
}
