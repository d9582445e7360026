//! Model files: what is saved is loaded bit for bit, old files stay readable, damage is told in one line.

use std::path::{Path, PathBuf};

use ansatz::io::{AnyBornMps, Extra, load_model, model_from_bytes, save_model};
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
fn what_a_file_lacks_is_told_in_one_line() {
    let bytes = saved(&models()[1], &extra());
    type Edit = fn(&mut serde_json::Value);
    let cases: [(Edit, &str); 7] = [
        (|h| h["__metadata__"]["format"] = json!("other"), "other"),
        (|h| h["__metadata__"]["version"] = json!("2"), "2"),
        (|h| h["__metadata__"]["model"] = json!("dream"), "dream"),
        (|h| h["__metadata__"]["scalar"] = json!("f32"), "site.0000"),
        (|h| h["__metadata__"]["sites"] = json!("6"), "site.0005"),
        (|h| h["__metadata__"]["centre"] = json!("9"), "centre"),
        (|h| h["site.0001"]["shape"] = json!([3, 2, 4]), "site.0001"),
    ];
    for (edit, word) in cases {
        let line = refusal(&with_header(&bytes, edit));
        assert!(line.contains(word) && !line.contains('\n'), "{word}: {line}");
    }
    let mut nan = bytes.clone();
    let last = nan.len() - 8;
    nan[last..].copy_from_slice(&f64::NAN.to_le_bytes());
    assert!(refusal(&nan).contains("NaN"));
    assert!(!refusal(b"").is_empty() && !refusal(b"not a model").is_empty());
}

#[test]
fn damaged_bytes_never_panic() {
    let bytes = saved(&models()[0], &extra());
    for length in (0..bytes.len()).step_by(7) {
        assert!(model_from_bytes(&bytes[..length], "cut").is_err());
    }
    let mut stream = Seed(1).stream("flips", 0);
    for _ in 0..3000 {
        let mut damaged = bytes.clone();
        for _ in 0..3 {
            let at = stream.random_range(0..damaged.len());
            damaged[at] ^= 1 << stream.random_range(0..8);
        }
        // Some flips are harmless; none may panic.
        let _ = model_from_bytes(&damaged, "flipped");
    }
}
