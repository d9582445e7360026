//! Data readers: every format, and damage of every kind.

use std::io::Write;

use ansatz::data::{Binarise, Format, digits, parse_bytes, read, split};
use ansatz::io::tensor_data_from_bytes;
use ansatz::{Kind, Seed};
use num_complex::{Complex32, Complex64};
use rand::RngExt;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn cut(bytes: &[u8], missing: usize) -> Vec<u8> {
    bytes[..bytes.len() - missing].to_vec()
}

fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    header.push_str(&" ".repeat(117 - header.len()));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn idx() -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
    bytes.extend([0, 127, 128, 255, 1, 0, 200, 0, 0, 0, 0, 129]);
    bytes
}

fn npz() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("labels.npy", options).unwrap();
    zip.write_all(&npy("|u1", false, "(2,)", &[3, 4])).unwrap();
    zip.start_file("data.npy", options).unwrap();
    zip.write_all(&npy("|u1", false, "(2, 3)", &[0, 1, 0, 1, 1, 1])).unwrap();
    zip.finish().unwrap().into_inner()
}

fn rows(name: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    let batch = parse_bytes(name, bytes, None).unwrap().batch(Binarise::Auto).unwrap();
    batch.view().rows().into_iter().map(|r| r.to_vec()).collect()
}

#[test]
fn each_format_is_found_and_read() {
    let expected = [[0, 1, 0], [1, 1, 1]];
    let le: Vec<u8> = [0f64, 1.0, 0.0, 1.0, 1.0, 1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let columns: Vec<u8> = [0i32, 1, 1, 1, 0, 1].iter().flat_map(|x| x.to_be_bytes()).collect();
    for (name, bytes) in [
        ("a.csv", b"x,y,z\n0,1,0\n1,1,1\n".to_vec()),
        ("a.txt", b"0 1 0\r\n\n1 1 1".to_vec()),
        ("a.data", b"010\n111\n".to_vec()),
        ("a.bits", b"0 1 0\n1 1 1\n".to_vec()),
        ("a.npy", npy("|b1", false, "(2, 3)", &[0, 1, 0, 1, 1, 1])),
        ("b.npy", npy("<f8", false, "(2, 3)", &le)),
        ("c.npy", npy(">i4", true, "(2, 3)", &columns)),
        ("d.npy", npy("|i1", false, "(2, 3)", &[0, 1, 0, 1, 1, 1])),
        ("a.npz", npz()),
    ] {
        assert_eq!(rows(name, &bytes), expected, "{name}");
        assert_eq!(rows(&format!("{name}.gz"), &gzip(&bytes)), expected, "{name}.gz");
    }
}

#[test]
fn grey_images_become_black_and_white_at_128() {
    let table = parse_bytes("images-idx3-ubyte", &idx(), None).unwrap();
    assert_eq!((table.shape(), table.format()), (&[2, 3][..], Format::Idx));
    let batch = table.batch(Binarise::Auto).unwrap();
    assert_eq!(batch.row(0).to_vec(), [0, 0, 1, 1, 0, 0]);
    assert_eq!(table.batch(Binarise::Never).unwrap().row(0)[3], 255);
    assert_eq!(table.batch(Binarise::Threshold(1.0)).unwrap().row(0).to_vec(), [0, 1, 1, 1, 1, 0]);
    let drawn = table.batch(Binarise::Stochastic(Seed(3))).unwrap();
    assert_eq!(drawn, table.batch(Binarise::Stochastic(Seed(3))).unwrap());
    assert_eq!((drawn.row(0)[0], drawn.row(0)[3]), (0, 1));
}

#[test]
fn alignments_are_read_with_their_alphabet() {
    let table = parse_bytes("a.fasta", b">one\nAC-D\n>two\nac.\nW\n", None).unwrap();
    let batch = table.batch(Binarise::Auto).unwrap();
    assert_eq!(batch.row(0).to_vec(), [1, 2, 0, 3]);
    assert_eq!(batch.row(1).to_vec(), [1, 2, 0, 19]);
    assert_eq!(table.dims(&batch), [21; 4]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (name, bytes, words) in [
        ("a.csv", b"0,1\n0,1,1\n".to_vec(), "line 2"),
        ("a.csv", b"0,1\n0,-1\n".to_vec(), "column 2"),
        ("a.csv", b"0,1\n0,300\n".to_vec(), "300"),
        ("a.csv", b"0,1\n0,0.5\n".to_vec(), "0.5"),
        ("a.bits", b"0101\n01x1\n".to_vec(), "line 2: column 3"),
        ("a.fasta", b">a\nACD\n>b\nAC\n".to_vec(), "line 3"),
        ("a.fasta", b">a\nAC1\n".to_vec(), "line 2: column 3"),
        ("a.npy", npy("<f8", false, "(1000000000000, 3)", &[0; 24]), "truncated"),
        ("a.npy", npy("<f8", false, "(18446744073709551615, 9)", &[0; 24]), "truncated"),
        ("a.npy", npy("|O", false, "(1, 1)", &[0; 8]), "type"),
        ("a.npy", npy("|u1", false, "(6,)", &[0; 6]), "sites"),
        ("a.npy", npy("|u1", false, "(1,1,1,1,1,1,1,1,1,2)", &[0]), ", ..]"),
        ("a.npy", npy("|i1", false, "(1, 2)", &[0, 255]), "-1 is no symbol"),
        ("a.idx", idx()[..20].to_vec(), "truncated"),
        ("a.csv.gz", b"0,1\n".to_vec(), "gzip"),
        ("a.csv.gz", cut(&gzip(&b"0,1\n".repeat(100)), 3), "gzip"),
        ("a.csv.gz", cut(&gzip(&b"0,1\n".repeat(100)), 12), "gzip"),
        ("a.csv", Vec::new(), "empty"),
    ] {
        let error = parse_bytes(name, &bytes, None).and_then(|table| table.batch(Binarise::Auto).map(drop));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(words) && !error.contains('\n'), "{words}: {error}");
    }
}

#[test]
fn an_array_that_an_archive_does_not_hold_is_told_with_those_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    std::fs::write(&path, npz()).unwrap();
    let member = |name: &str| read(&format!("{}#{name}", path.display()), None);
    assert_eq!(member("data").unwrap().samples(), 2);
    let error = member("absent").unwrap_err().to_string();
    assert!(error.contains("'absent'") && error.contains("labels, data"), "{error}");
}

/// Each value a probability: the frequencies over many rows lie within five standard deviations.
#[test]
fn a_value_is_the_probability_of_a_one_when_binarised_at_random() {
    let values = [0u8, 51, 128, 204, 255];
    let rows = 4000;
    let bytes = npy("|u1", false, &format!("({rows}, 5)"), &values.repeat(rows));
    let table = parse_bytes("a.npy", &bytes, None).unwrap();
    let batch = table.batch(Binarise::Stochastic(Seed(1))).unwrap();
    for (site, value) in values.into_iter().enumerate() {
        let p = f64::from(value) / 255.0;
        let ones = batch.column(site).iter().map(|&v| f64::from(v)).sum::<f64>();
        let n = rows as f64;
        assert!((ones - n * p).abs() <= 5.0 * (n * p * (1.0 - p)).sqrt(), "{value}: {ones} of {rows}");
    }
    assert_ne!(batch, table.batch(Binarise::Stochastic(Seed(2))).unwrap());
}

#[test]
fn damaged_files_never_panic() {
    let whole: Vec<(&str, Vec<u8>)> = vec![
        ("a.csv", b"x,y\n0,1\n1,1\n".to_vec()),
        ("a.bits", b"0101\n1111\n".to_vec()),
        ("a.fasta", b">one\nAC-D\n>two\nACDW\n".to_vec()),
        ("a.idx", idx()),
        ("a.npy", npy("<f8", true, "(2, 3)", &[0; 48])),
        ("a.npz", npz()),
        ("a.csv.gz", gzip(b"0,1\n1,1\n")),
    ];
    let mut stream = Seed(2).stream("damage", 0);
    for (name, bytes) in &whole {
        for length in 0..bytes.len() {
            let _ = parse_bytes(name, &bytes[..length], None).map(|t| t.batch(Binarise::Auto));
        }
        for _ in 0..2000 {
            let mut damaged = bytes.clone();
            for _ in 0..stream.random_range(1..4) {
                let at = stream.random_range(0..damaged.len());
                damaged[at] = stream.random();
            }
            let _ = parse_bytes(name, &damaged, None).map(|t| t.batch(Binarise::Auto));
        }
    }
}

#[test]
fn the_embedded_digits_are_as_many_of_each() {
    let digits = digits().unwrap();
    assert_eq!((digits.train.samples(), digits.test.samples(), digits.train.sites()), (2000, 1000, 784));
    for d in 0..10 {
        assert_eq!(digits.train_labels.iter().filter(|&&l| l == d).count(), 200);
        assert_eq!(digits.test_labels.iter().filter(|&&l| l == d).count(), 100);
    }
    let table = read("digits", None).unwrap();
    assert_eq!((table.samples(), table.shape()), (2000, &[28, 28][..]));
}

#[test]
fn parts_are_drawn_once_and_hold_everything() {
    let data = digits().unwrap().test;
    let (train, valid) = split(&data, 0.3, Seed(4)).unwrap();
    assert_eq!((train.samples(), valid.samples()), (700, 300));
    assert_eq!(split(&data, 0.3, Seed(4)).unwrap().1, valid);
    let ones = |b: &ansatz::Batch<u8>| b.view().iter().map(|&v| usize::from(v)).sum::<usize>();
    assert_eq!(ones(&train) + ones(&valid), ones(&data));
    for bad in [0.0, 1.0, f64::NAN, 1e-9] {
        assert!(split(&data, bad, Seed(1)).is_err());
    }
}

/// A safetensors file of `(name, type, shape, bytes)`.
fn safetensors(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend(bytes);
        let about = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] });
        header.insert((*name).to_owned(), about);
    }
    let header = serde_json::Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

#[test]
fn tensors_of_a_network_are_read_from_numpy_and_safetensors() {
    let doubles = |x: &[f64]| x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let singles = |x: &[f32]| x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    // Not in order, one by columns, integers and complex numbers among them.
    zip.start_file("T2.npy", options).unwrap();
    zip.write_all(&npy("<i2", false, "(3,)", &[1, 0, 255, 255, 2, 0])).unwrap();
    zip.start_file("T0.npy", options).unwrap();
    zip.write_all(&npy("<f8", true, "(2, 3)", &doubles(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]))).unwrap();
    zip.start_file("T1.npy", options).unwrap();
    zip.write_all(&npy("<c16", false, "(2,)", &doubles(&[1.0, -1.0, 0.5, 2.0]))).unwrap();
    let numpy = zip.finish().unwrap().into_inner();
    let tensors = safetensors(&[
        ("t.2", "F32", &[3], singles(&[1.0, -1.0, 2.0])),
        ("t.0", "F64", &[2, 3], doubles(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
        ("t.1", "F64", &[2, 2], doubles(&[1.0, -1.0, 0.5, 2.0])),
    ]);
    let shapes = [vec![2, 3], vec![2], vec![3]];
    for bytes in [numpy, tensors] {
        let data = tensor_data_from_bytes(bytes, "f").unwrap();
        assert_eq!(data.kind(&shapes).unwrap(), Kind::C64);
        let arrays = data.arrays::<Complex32>(&shapes).unwrap();
        let expected: [&[(f32, f32)]; 3] = [
            &[(1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (4.0, 0.0), (5.0, 0.0), (6.0, 0.0)],
            &[(1.0, -1.0), (0.5, 2.0)],
            &[(1.0, 0.0), (-1.0, 0.0), (2.0, 0.0)],
        ];
        for ((array, expected), shape) in arrays.iter().zip(expected).zip(&shapes) {
            assert_eq!(array.shape(), shape);
            assert!(array.iter().map(|x| (x.re, x.im)).eq(expected.iter().copied()), "{array}");
        }
        for (error, words) in [
            (data.arrays::<f64>(&shapes).unwrap_err(), ["f#", "c64"]),
            (data.arrays::<Complex64>(&shapes[..2]).unwrap_err(), ["3", "2"]),
            (data.arrays::<Complex64>(&[vec![2, 3], vec![2], vec![4]]).unwrap_err(), ["[3]", "[4]"]),
        ] {
            words.iter().for_each(|word| assert!(error.to_string().contains(word), "{error}"));
        }
    }
    // The only array of a file; pairs of singles.
    let alone = tensor_data_from_bytes(npy("<f4", false, "()", &singles(&[2.5])), "f").unwrap();
    assert_eq!((alone.kind(&[vec![]]).unwrap(), alone.arrays::<f32>(&[vec![]]).unwrap()[0].sum()), (Kind::F32, 2.5));
    let pair = tensor_data_from_bytes(safetensors(&[("0", "C64", &[1], singles(&[1.0, 2.0]))]), "f").unwrap();
    assert_eq!(pair.arrays::<Complex64>(&[vec![1]]).unwrap()[0][0], Complex64::new(1.0, 2.0));
    for (bytes, words) in [
        (b"".to_vec(), ["f", ""]),
        (b"nothing of the kind".to_vec(), ["f", ".npz"]),
        (safetensors(&[]), ["f", "empty"]),
        (safetensors(&[("a", "F32", &[1], singles(&[1.0]))]), ["'a'", "number"]),
        (safetensors(&[("a1", "F32", &[1], singles(&[1.0]))]), ["no array 0", "'a1'"]),
    ] {
        let error = tensor_data_from_bytes(bytes, "f").unwrap_err().to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "{error}"));
    }
    let halves = tensor_data_from_bytes(safetensors(&[("0", "F16", &[1], vec![0, 0])]), "f").unwrap();
    assert!(halves.arrays::<f32>(&[vec![1]]).unwrap_err().to_string().contains("F16"));
}
