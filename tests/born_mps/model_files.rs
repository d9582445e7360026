//! Model files: what is saved is loaded bit for bit, old files stay readable, damage is told in one line.

use std::path::{Path, PathBuf};

use ansatz::io::{AnyBornMps, Extra, load_model, model_from_bytes, save_model, write_atomically};
use ansatz::train::SweepReport;
use ansatz::{Batch, BornMps, Error, GenerativeModel, Kind, Place, Scalar, Seed, for_kind};
use num_complex::{Complex32, Complex64};
use rand::RngExt;
use serde_json::json;

const DIMS: [usize; 5] = [2, 3, 2, 4, 2];

fn model<T: Scalar>() -> BornMps<T>
where
    AnyBornMps: From<BornMps<T>>,
{
    let mut state = ansatz::chain::Mps::<T>::random(&DIMS, 4, Seed(3)).unwrap();
    state.move_centre(2).unwrap();
    BornMps::new(state).unwrap()
}

fn models() -> [AnyBornMps; 4] {
    [model::<f32>().into(), model::<f64>().into(), model::<Complex32>().into(), model::<Complex64>().into()]
}

fn report() -> SweepReport {
    SweepReport {
        sweep: 3,
        sweeps: 5,
        train_nll: 0.1 + 0.2,
        valid_nll: Some(f64::INFINITY),
        max_bond: 4,
        mean_bond: 10.0 / 3.0,
        rate: 0.005,
        discarded_weight: 1e-9,
        seconds: 1.5,
    }
}

fn extra() -> Extra {
    let mut extra = Extra {
        data: Some("five sites, \"quoted\"".into()),
        shape: Some(vec![5, 1]),
        alphabet: Some("ACGT".into()),
        report: Some(report()),
        ..Extra::default()
    };
    extra.other.insert("of_a_later_version".into(), json!({ "kept": [1, 2.5, null] }));
    extra
}

fn saved(model: &AnyBornMps, extra: &Extra) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.ansatz");
    model.save(&path, extra).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
    std::fs::read(path).unwrap()
}

/// The text of the error, which has to be one line that begins with the name of the file.
fn refusal(bytes: &[u8]) -> String {
    let error = model_from_bytes(bytes, "m.ansatz").expect_err("damage went unnoticed");
    assert!(matches!(&error, Error::At { place: Place::File(path), .. } if path == Path::new("m.ansatz")), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("m.ansatz: ") && !text.contains(char::is_control) && text.len() < 400, "{text}");
    text
}

/// The file taken apart and put together again with another header.
fn with_header(bytes: &[u8], edit: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    edit(&mut header);
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes(), header.as_slice(), &bytes[8 + length..]].concat()
}

#[test]
fn a_loaded_model_is_the_saved_one_bit_for_bit() {
    for model in models() {
        let bytes = saved(&model, &extra());
        let (loaded, told) = model_from_bytes(&bytes, "m.ansatz").unwrap();
        assert_eq!(loaded, model, "{}", model.kind());
        assert_eq!(told, extra());
        assert_eq!(saved(&loaded, &told), bytes, "{}: the same model gives other bytes", model.kind());
        let all = Batch::all(&DIMS).unwrap();
        assert_eq!(loaded.log_prob(&all).unwrap(), model.log_prob(&all).unwrap());
        assert_eq!(loaded.sample(20, Seed(5)).unwrap().view(), model.sample(20, Seed(5)).unwrap().view());
    }
}

#[test]
fn a_file_of_version_1_is_read_for_ever() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files"));
    for kind in [Kind::F32, Kind::F64, Kind::C32, Kind::C64] {
        let (model, extra) = load_model(&folder.join(format!("born-mps-v1-{kind}.ansatz"))).unwrap();
        assert_eq!((model.kind(), model.dims(), model.bonds()), (kind, DIMS.to_vec(), vec![2, 4, 4, 2]));
        assert_eq!((extra.shape, extra.report), (Some(vec![5, 1]), Some(report())));
        // Of all configurations in order, contracted by numpy from the tensors in the file.
        let text = std::fs::read_to_string(folder.join(format!("born-mps-v1-{kind}.txt"))).unwrap();
        let expected: Vec<f64> = text.lines().map(|line| line.parse().unwrap()).collect();
        let found = model.log_prob(&Batch::all(&DIMS).unwrap()).unwrap();
        assert_eq!(found.len(), expected.len());
        // Rounding grows with the amplitude's smallness: compared as amplitudes.
        let tolerance = if matches!(kind, Kind::F32 | Kind::C32) { 1e-6 } else { 1e-14 };
        for (a, b) in found.iter().zip(&expected) {
            assert!(((a / 2.0).exp() - (b / 2.0).exp()).abs() < tolerance, "{kind}: {a} and {b}");
        }
    }
}

#[test]
fn other_readers_of_safetensors_read_a_model() {
    for model in models() {
        let bytes = saved(&model, &extra());
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.len(), DIMS.len());
        for (site, &dim) in DIMS.iter().enumerate() {
            let tensor = file.tensor(&format!("site.{site:04}")).unwrap();
            assert_eq!(tensor.shape()[1], dim);
            let own = for_kind!(AnyBornMps, &model, m => {
                bytemuck::cast_slice::<_, u8>(m.state().tensors()[site].as_slice().unwrap()).to_vec()
            });
            assert_eq!(tensor.data(), own);
        }
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let texts = header.metadata().as_ref().unwrap();
        assert_eq!((texts["format"].as_str(), texts["version"].as_str()), ("ansatz", "1"));
        assert_eq!((texts["scalar"].as_str(), texts["centre"].as_str()), (model.kind().name(), "2"));
    }
}

#[test]
fn a_shape_that_is_not_of_the_sites_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.ansatz");
    let extra = Extra { shape: Some(vec![28, 28]), ..Extra::default() };
    assert!(matches!(save_model(&path, &model::<f64>(), &extra), Err(Error::Shape { .. })));
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_written_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let error = save_model(&folder.path().join("none/m.ansatz"), &model::<f64>(), &extra()).unwrap_err();
    assert!(matches!(error, Error::Io { action: "write", .. }), "{error:?}");
    assert!(save_model(folder.path(), &model::<f64>(), &extra()).is_err(), "a directory was overwritten");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    if Path::new("/dev/full").exists() {
        let error = save_model(Path::new("/dev/full"), &model::<f64>(), &extra()).unwrap_err();
        assert!(error.to_string().starts_with("/dev/full: cannot write"), "{error}");
    }
}

#[test]
fn damage_is_told_in_one_line_with_the_file_and_the_way_out() {
    let bytes = saved(&model::<f64>().into(), &extra());
    let metadata = |key: &str, value: &str| with_header(&bytes, |header| header["__metadata__"][key] = json!(value));
    let without =
        |key: &str| with_header(&bytes, |header| drop(header["__metadata__"].as_object_mut().unwrap().remove(key)));
    let cases: [(Vec<u8>, &[&str]); 21] = [
        (Vec::new(), &["not a model file", "0 bytes"]),
        (b"\x89PNG\r\n\x1a\n and so on".to_vec(), &["not a model file", "ansatz fit"]),
        (bytes[..bytes.len() - 1].to_vec(), &["cut short", "another copy"]),
        (bytes[..100].to_vec(), &["cut short", "100 found"]),
        ([&bytes[..], b"x"].concat(), &["1 bytes follow"]),
        (without("format"), &["no format", "give a file that ansatz wrote"]),
        (metadata("format", "p\nt"), &["format \"p\\nt\""]),
        (metadata("version", "2"), &["format version 2", "reads versions up to 1", "use a newer ansatz"]),
        (metadata("version", "0"), &["version is \"0\""]),
        (metadata("content", "checkpoint"), &["a checkpoint, where a model is needed", "--resume"]),
        (metadata("model", "flow"), &["model \"flow\"", "(born-mps)", "use a newer ansatz"]),
        (metadata("scalar", "f16"), &["scalar is \"f16\"", "f32, f64, c32 or c64"]),
        (metadata("scalar", "f32"), &["site.0000 holds F64", "f32 is stored as F32"]),
        (metadata("scalar", "c64"), &["site.0000 has shape [1, 2, 2]", "[left, site, right, 2]"]),
        (metadata("sites", "6"), &["site.0005 is missing"]),
        (metadata("sites", "-1"), &["sites is \"-1\"", "whole number"]),
        (metadata("centre", "5"), &["centre is 5, of 5 sites"]),
        (metadata("centre", "4"), &["isometry"]),
        (without("extra"), &["the metadata have no \"extra\""]),
        (metadata("extra", "{\"shape\":[4294967296,4294967296]}"), &["shape of a sample", "product of 5"]),
        (metadata("extra", "[1"), &["metadata extra"]),
    ];
    for (damaged, expected) in cases {
        let text = refusal(&damaged);
        assert!(expected.iter().all(|part| text.contains(part)), "{text}, expected {expected:?}");
    }
}

#[test]
fn damaged_tensors_are_told_by_name() {
    let bytes = saved(&model::<f64>().into(), &extra());
    let shape = |site: &str, shape: [usize; 3]| with_header(&bytes, |header| header[site]["shape"] = json!(shape));
    let renamed = with_header(&bytes, |header| {
        let tensor = header.as_object_mut().unwrap().remove("site.0003").unwrap();
        header["site.3"] = tensor;
    });
    assert!(refusal(&renamed).contains("tensor site.0003 is missing"));
    // The bond to the left of site 2 is 4, to its right 4.
    assert!(refusal(&shape("site.0002", [2, 4, 4])).contains("site.0002 has shape [2, 4, 4], expected [4, 4, 4]"));
    assert!(refusal(&shape("site.0000", [1, 1, 4])).contains("site.0000 of shape [1, 1, 4] is not an isometry"));
    assert!(refusal(&shape("site.0004", [1, 2, 2])).contains("site.0004 has shape"));
    for bad in [f64::NAN, f64::INFINITY] {
        let mut damaged = bytes.clone();
        let at = damaged.len() - 8;
        damaged[at..].copy_from_slice(&bad.to_le_bytes());
        assert!(refusal(&damaged).contains("site.0004 holds NaN or infinity at entry 3"));
    }
    // The last number of site 2, the centre, which alone carries the norm; behind it come 4 x 4 x 2 and 2 x 2 numbers.
    let at = bytes.len() - 8 * (32 + 4 + 1);
    let mut longer = bytes.clone();
    longer[at..at + 8].copy_from_slice(&3.0f64.to_le_bytes());
    assert!(refusal(&longer).contains("not of norm 1"));
}

#[test]
fn symbols_that_are_no_bytes_are_refused() {
    assert!(BornMps::<f64>::random(&[256, 2], 2, Seed(1)).is_ok());
    assert!(matches!(BornMps::<f64>::random(&[2, 257], 2, Seed(1)), Err(Error::Shape { .. })));
    let mut state = ansatz::chain::Mps::<f64>::random(&[256, 2], 2, Seed(1)).unwrap();
    state.move_centre(0).unwrap();
    let bytes = saved(&BornMps::new(state).unwrap().into(), &Extra::default());
    // The centre, 256 symbols and a bond of 2, is as good a state of 512 symbols at a single site.
    let wide = with_header(&bytes, |header| {
        header["site.0000"]["shape"] = json!([1, 512, 1]);
        header["__metadata__"]["sites"] = json!("1");
    });
    assert!(refusal(&wide).contains("at most 256"));
}

#[test]
fn sizes_that_only_the_header_claims_take_no_memory() {
    let bytes = saved(&model::<f64>().into(), &extra());
    let header = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    refusal(&with_header(&bytes, |h| h["__metadata__"]["sites"] = json!(u64::MAX.to_string())));
    refusal(&with_header(&bytes, |h| h["site.0001"]["shape"] = json!([u64::MAX, 2, 2])));
    refusal(&with_header(&bytes, |h| h["site.0001"]["shape"] = json!([0, u64::MAX, u64::MAX])));
    refusal(&header(r#"{"a":{"dtype":"F64","shape":[1152921504606846976],"data_offsets":[0,9223372036854775808]}}"#));
    // Eight tensors of 2^61 - 1 bytes end so near 2^64 that adding the header to it overflows.
    let size = u64::MAX / 8;
    let tensor = |k: u64| json!({ "dtype": "U8", "shape": [size], "data_offsets": [k * size, (k + 1) * size] });
    let many: serde_json::Map<_, _> = (0..8).map(|k| (format!("t{k}"), tensor(k))).collect();
    assert!(refusal(&header(&serde_json::to_string(&many).unwrap())).contains("cut short"));
    refusal(&header(&format!("{{\"a\":{}", "[".repeat(100_000))));
    refusal(&[&u64::MAX.to_le_bytes()[..], b"{}"].concat());
}

#[test]
fn a_device_or_a_directory_is_no_model_file() {
    for path in ["/dev/zero", env!("CARGO_MANIFEST_DIR")] {
        if Path::new(path).exists() {
            let error = load_model(Path::new(path)).unwrap_err().to_string();
            assert!(error.starts_with(path) && error.contains("not a regular file"), "{error}");
        }
    }
    assert!(matches!(load_model(Path::new("no-such.ansatz")), Err(Error::Io { action: "read", .. })));
}

#[test]
fn no_truncation_and_no_flipped_bit_makes_the_reader_panic() {
    for model in models() {
        let bytes = saved(&model, &extra());
        for length in (0..bytes.len()).step_by(7) {
            refusal(&bytes[..length]);
        }
        let mut stream = Seed(1).stream("bit flips", 0);
        for _ in 0..2000 {
            let mut damaged = bytes.clone();
            for _ in 0..stream.random_range(1..4) {
                let at = stream.random_range(0..damaged.len());
                damaged[at] ^= 1 << stream.random_range(0..8);
            }
            // A flip in the last digits of a number is another good model.
            if let Ok((model, _)) = model_from_bytes(&damaged, "m.ansatz") {
                assert_eq!(model.dims(), DIMS);
            }
        }
    }
}

#[test]
fn a_write_that_fails_half_way_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.ansatz");
    std::fs::write(&path, "before").unwrap();
    let result = write_atomically(&path, |out| {
        out.write_all(b"half")?;
        Err(std::io::ErrorKind::StorageFull.into())
    });
    assert!(matches!(result, Err(Error::Io { action: "write", path: told, .. }) if told == path));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
}

#[cfg(unix)]
#[test]
fn a_link_is_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    std::fs::write(&target, "before").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    write_atomically(&link, |out| out.write_all(b"after")).unwrap();
    assert!(link.is_symlink());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "after");
}
