//! Checkpoints: a run that is read from a file goes on as if it had never stopped.

use std::path::Path;
use std::time::Duration;

use ansatz::io::{
    AnyAdamRun, AnyRun, CheckpointKeeper, Extra, adam_checkpoint_from_bytes, checkpoint_from_bytes,
    load_adam_checkpoint, load_checkpoint, load_model, save_adam_checkpoint, save_checkpoint,
};
use ansatz::train::{Adam, AdamRun, Keeper, Run, Schedule, SweepReport, TwoSite};
use ansatz::{Batch, BornMps, Scalar, Seed};
use num_complex::Complex32;
use rand::RngExt;
use serde_json::json;

fn patterns(count: usize, sites: usize) -> Batch<u8> {
    let mut stream = Seed(9).stream("patterns", 0);
    let rows: Vec<Vec<u8>> = (0..count).map(|_| (0..sites).map(|_| stream.random_range(0..2u8)).collect()).collect();
    Batch::from_rows(&rows).unwrap()
}

fn start<T: Scalar>() -> Run<BornMps<T>> {
    let settings = TwoSite { mini_batches: Schedule::constant(3), steps: Schedule::constant(2), ..TwoSite::new(4, 12) };
    Run::new(BornMps::random(&[2; 12], 2, Seed(2)).unwrap(), settings).unwrap()
}

fn saved<T: Scalar>(run: &Run<BornMps<T>>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.checkpoint");
    save_checkpoint(&path, run, &Extra::default()).unwrap();
    std::fs::read(path).unwrap()
}

/// Every stored state by way of its file, every so many bonds.
struct ThroughFiles {
    keeper: CheckpointKeeper,
    path: std::path::PathBuf,
    files: Vec<Vec<u8>>,
}

impl<T: Scalar> Keeper<Run<BornMps<T>>> for ThroughFiles {
    fn due(&mut self) -> bool {
        Keeper::<Run<BornMps<T>>>::due(&mut self.keeper)
    }

    fn keep(&mut self, run: &Run<BornMps<T>>) -> ansatz::Result<()> {
        self.keeper.keep(run)?;
        self.files.push(std::fs::read(&self.path).unwrap());
        Ok(())
    }
}

/// The stored states of a run, and the run at its end.
fn stored<T: Scalar>(data: &Batch<u8>, valid: &Batch<u8>, every: usize) -> (Vec<Vec<u8>>, Run<BornMps<T>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.checkpoint");
    let keeper = CheckpointKeeper::new(&path, Some(every), None, Extra::default());
    let mut keeper = ThroughFiles { keeper, path, files: Vec::new() };
    let mut run = start::<T>();
    run.fit(data, Some(valid), &mut (), &mut keeper).unwrap();
    (keeper.files, run)
}

fn goes_on_exactly<T: Scalar>(own: fn(AnyRun) -> Option<Run<BornMps<T>>>) {
    let (data, valid) = (patterns(60, 12), patterns(70, 12).select(&[61, 62, 63, 64, 65]).unwrap());
    let (files, whole) = stored::<T>(&data, &valid, 17);
    assert!(files.len() > 3, "{} checkpoints", files.len());
    for file in files {
        let (run, _) = checkpoint_from_bytes(&file, "run.checkpoint").unwrap();
        let mut run = own(run).expect("another number type");
        assert_eq!(saved(&run), file, "what is read and written again differs");
        run.fit(&data, Some(&valid), &mut (), &mut ()).unwrap();
        // What the clock says is no part of the result.
        let timeless = |run: &Run<BornMps<T>>| -> Vec<SweepReport> {
            run.progress.history.iter().map(|report| SweepReport { seconds: 0.0, ..*report }).collect()
        };
        assert_eq!(timeless(&run), timeless(&whole));
        run.progress.history.clone_from(&whole.progress.history);
        assert_eq!(saved(&run), saved(&whole), "the end differs");
    }
}

#[test]
fn a_run_read_from_a_file_ends_in_the_same_bits() {
    goes_on_exactly::<f64>(|run| if let AnyRun::F64(run) = run { Some(run) } else { None });
    goes_on_exactly::<Complex32>(|run| if let AnyRun::C32(run) = run { Some(run) } else { None });
}

#[test]
fn models_that_are_equal_are_stored_once() {
    let mut run = start::<f64>();
    let one = saved(&run).len();
    run.best = BornMps::random(&[2; 12], 5, Seed(7)).unwrap();
    let two = saved(&run).len();
    assert!(two > one + 8 * run.best.state().parameters(), "{one} and {two}");
    let (AnyRun::F64(read), _) = checkpoint_from_bytes(&saved(&run), "run").unwrap() else { panic!("not f64") };
    assert_eq!((&read.current, &read.good, &read.best), (&run.current, &run.good, &run.best));
    assert_eq!((&read.settings, &read.progress), (&run.settings, &run.progress));
}

#[test]
fn infinite_losses_and_settings_survive() {
    let mut run = start::<f32>();
    run.settings.rise = f64::INFINITY;
    run.settings.rate = Schedule::new(0.1 + 0.2, [1.0 / 3.0]);
    run.progress.good_nll = Some(5e-324);
    run.progress.best_score = Some(f64::INFINITY);
    let (AnyRun::F32(read), _) = checkpoint_from_bytes(&saved(&run), "run").unwrap() else { panic!("not f32") };
    assert_eq!((read.settings, read.progress), (run.settings, run.progress));
}

#[test]
fn a_keeper_is_due_after_bonds_or_time() {
    let due = |keeper: &mut CheckpointKeeper| Keeper::<Run<BornMps<f64>>>::due(keeper);
    let keeper = |bonds, every| CheckpointKeeper::new("unused", bonds, every, Extra::default());
    let mut third = keeper(Some(3), None);
    assert_eq!([due(&mut third), due(&mut third), due(&mut third)], [false, false, true]);
    assert!(due(&mut keeper(Some(1000), Some(Duration::ZERO))));
    let mut never = keeper(None, None);
    assert!((0..1000).all(|_| !due(&mut never)));
    let mut nowhere = CheckpointKeeper::new("no-such-folder/run", Some(1), None, Extra::default());
    let error = nowhere.keep(&start::<f64>()).unwrap_err().to_string();
    assert!(error.starts_with("no-such-folder/run: cannot write"), "{error}");
}

/// The checkpoint with another header.
fn with_header(bytes: &[u8], edit: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    edit(&mut header);
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes(), header.as_slice(), &bytes[8 + length..]].concat()
}

#[test]
fn what_is_wrong_with_a_checkpoint_is_told_in_one_line() {
    let bytes = saved(&start::<f64>());
    let edited = |key: &str, edit: &dyn Fn(&str) -> String| {
        with_header(&bytes, |header| {
            let text = &mut header["__metadata__"][key];
            *text = json!(edit(text.as_str().unwrap()));
        })
    };
    let cases = [
        (edited("best", &|_| "worst".into()), "best is \"worst\", which is no model of the run"),
        (edited("current", &|_| "good".into()), "current is \"good\""),
        (edited("settings", &|s| s.replace("\"sweeps\":4", "\"sweeps\":-4")), "metadata settings"),
        (edited("settings", &|s| s.replace("\"decay\":0.5", "\"decay\":1.5")), "settings: decay is 1.5"),
        (edited("progress", &|s| s.replace("\"setbacks\":0", "\"setbacks\":18446744073709551615")), "out of range"),
        (edited("progress", &|s| s.replace("\"rate_factor\":1.0", "\"rate_factor\":1e9")), "out of range"),
        (edited("progress", &|_| "{}".into()), "metadata progress"),
        (edited("model", &|_| "flow".into()), "model \"flow\""),
        (bytes[..bytes.len() - 8].to_vec(), "cut short"),
    ];
    for (damaged, expected) in cases {
        let error = checkpoint_from_bytes(&damaged, "run").unwrap_err().to_string();
        assert!(error.starts_with("run: ") && error.contains(expected), "{error}, expected {expected}");
        assert!(!error.contains(char::is_control), "{error}");
    }
}

fn adam<T: Scalar>() -> AdamRun<BornMps<T>> {
    let settings = Adam { mini_batches: Schedule::constant(3), ..Adam::new(4) };
    AdamRun::new(BornMps::random(&[2; 12], 4, Seed(2)).unwrap(), settings).unwrap()
}

fn adam_bytes<T: Scalar>(run: &AdamRun<BornMps<T>>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.checkpoint");
    save_adam_checkpoint(&path, run, &Extra::default()).unwrap();
    std::fs::read(path).unwrap()
}

/// The file of every second step.
#[derive(Default)]
struct AdamFiles(usize, Vec<Vec<u8>>);

impl<T: Scalar> Keeper<AdamRun<BornMps<T>>> for AdamFiles {
    fn due(&mut self) -> bool {
        self.0 += 1;
        self.0.is_multiple_of(2)
    }

    fn keep(&mut self, run: &AdamRun<BornMps<T>>) -> ansatz::Result<()> {
        self.1.push(adam_bytes(run));
        Ok(())
    }
}

fn adam_goes_on_exactly<T: Scalar>(own: fn(AnyAdamRun) -> Option<AdamRun<BornMps<T>>>) {
    let (data, valid) = (patterns(60, 12), patterns(70, 12).select(&[61, 62, 63, 64, 65]).unwrap());
    let (mut whole, mut files) = (adam::<T>(), AdamFiles::default());
    whole.fit(&data, Some(&valid), &mut (), &mut files).unwrap();
    assert_eq!(files.1.len(), 6);
    for file in files.1 {
        let (run, _) = adam_checkpoint_from_bytes(&file, "run.checkpoint").unwrap();
        let mut run = own(run).expect("another number type");
        assert_eq!(adam_bytes(&run), file, "what is read and written again differs");
        run.fit(&data, Some(&valid), &mut (), &mut ()).unwrap();
        run.progress.history.iter_mut().zip(&whole.progress.history).for_each(|(a, b)| a.seconds = b.seconds);
        assert_eq!(adam_bytes(&run), adam_bytes(&whole), "the end differs");
    }
}

#[test]
fn a_run_of_adam_read_from_a_file_ends_in_the_same_bits() {
    adam_goes_on_exactly::<f32>(|run| if let AnyAdamRun::F32(run) = run { Some(run) } else { None });
    adam_goes_on_exactly::<Complex32>(|run| if let AnyAdamRun::C32(run) = run { Some(run) } else { None });
}

#[test]
fn a_damaged_checkpoint_of_adam_is_an_error_in_one_line() {
    let bytes = adam_bytes(&adam::<f64>());
    let edited = |key: &str, edit: &dyn Fn(&str) -> String| {
        with_header(&bytes, |header| {
            let text = &mut header["__metadata__"][key];
            *text = json!(edit(text.as_str().unwrap()));
        })
    };
    let mut negative = adam::<f64>();
    negative.state.second[3].fill(-1.0);
    let mut ragged = adam::<f64>();
    ragged.state.first[3] = ndarray::ArrayD::zeros(vec![1, 2, 3]);
    let mut unchained = adam::<f64>();
    unchained.state.parameters[3] = ndarray::ArrayD::ones(vec![5, 2, 4]);
    let cases = [
        (edited("settings", &|s| s.replace("0.9", "1.9")), "settings: beta1 is 1.9"),
        (edited("progress", &|s| s.replace("\"epoch\":0", "\"epoch\":18446744073709551615")), "out of range"),
        (edited("best.sites", &|_| "11".into()), "11 sites"),
        (with_header(&bytes, |h| drop(h.as_object_mut().unwrap().remove("first.site.0003"))), "damaged"),
        (adam_bytes(&negative), "mean square"),
        (adam_bytes(&ragged), "moments of site 3"),
        (adam_bytes(&unchained), "parameter 3 has shape [5, 2, 4]"),
        (bytes[..bytes.len() - 8].to_vec(), "cut short"),
        (saved(&start::<f64>()), "a run of method sweeps, not adam; go on with it by `--method sweeps`"),
    ];
    for (damaged, expected) in cases {
        let error = adam_checkpoint_from_bytes(&damaged, "run").unwrap_err().to_string();
        assert!(error.starts_with("run: ") && error.contains(expected), "{error}, expected {expected}");
        assert!(!error.contains(char::is_control), "{error}");
    }
    let error = checkpoint_from_bytes(&bytes, "run").unwrap_err().to_string();
    assert!(error.contains("a run of method adam, not sweeps"), "{error}");
    let mut stream = Seed(1).stream("bit flips", 0);
    for _ in 0..1000 {
        let mut damaged = bytes.clone();
        let at = stream.random_range(0..damaged.len());
        damaged[at] ^= 1 << stream.random_range(0..8);
        let _ = adam_checkpoint_from_bytes(&damaged, "run");
    }
}

/// The texts of a checkpoint, edited.
fn with_texts(bytes: &[u8], edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Vec<u8> {
    with_header(bytes, |header| edit(header["__metadata__"].as_object_mut().unwrap()))
}

/// Removes a field of the settings.
fn without_setting(bytes: &[u8], name: &str) -> Vec<u8> {
    with_texts(bytes, |texts| {
        let mut settings: serde_json::Value = serde_json::from_str(texts["settings"].as_str().unwrap()).unwrap();
        settings.as_object_mut().unwrap().remove(name).unwrap();
        texts["settings"] = json!(settings.to_string());
    })
}

#[test]
fn a_setting_that_older_checkpoints_have_not_gets_its_default() {
    let run = start::<f64>();
    for name in ["smoothing", "memory"] {
        let (read, _) = checkpoint_from_bytes(&without_setting(&saved(&run), name), "run").unwrap();
        let AnyRun::F64(mut read) = read else { panic!("not f64") };
        assert_eq!(read.settings, run.settings, "{name}");
        read.fit(&patterns(20, 12), None, &mut (), &mut ()).unwrap();
    }
}

#[test]
fn checkpoints_of_version_1_are_read_and_go_on() {
    // Both were stored in the middle of a sweep over `patterns(20, 6)` with `patterns(5, 6)` held out.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    let (data, valid) = (patterns(20, 6), patterns(5, 6));
    let (run, extra) = load_checkpoint(&folder.join("checkpoint-v1-sweeps.ansatz")).unwrap();
    let AnyRun::F64(mut run) = run else { panic!("not f64") };
    assert_eq!((run.settings.sweeps, run.progress.sweep, run.progress.step), (3, 1, 6));
    assert_eq!(extra.shape, Some(vec![2, 3]));
    assert_eq!(run.fit(&data, Some(&valid), &mut (), &mut ()).unwrap().history.len(), 3);
    let (run, _) = load_adam_checkpoint(&folder.join("checkpoint-v1-adam.ansatz")).unwrap();
    let AnyAdamRun::C32(mut run) = run else { panic!("not c32") };
    assert_eq!((run.settings.epochs, run.progress.epoch, run.progress.batch), (3, 1, 2));
    assert_eq!(run.fit(&data, Some(&valid), &mut (), &mut ()).unwrap().history.len(), 3);
}

#[test]
fn a_checkpoint_of_another_version_tells_who_wrote_it() {
    let this = env!("CARGO_PKG_VERSION");
    let (sweeps, adam) = (saved(&start::<f64>()), adam_bytes(&adam::<f64>()));
    let tell = |bytes: &[u8]| {
        let errors = [checkpoint_from_bytes(bytes, "run").err(), adam_checkpoint_from_bytes(bytes, "run").err()];
        // Of the two, the reader of the other method complains of that.
        let texts = errors.map(|error| error.unwrap().to_string());
        let text = texts.into_iter().find(|text| !text.contains("a run of method")).unwrap();
        assert!(text.starts_with("run: ") && !text.contains(char::is_control) && text.len() < 400, "{text}");
        text
    };
    for bytes in [&sweeps, &adam] {
        let writer = |bytes: &[u8], version: &str| with_texts(bytes, |t| t["ansatz_version"] = json!(version));
        let newer = with_texts(&writer(bytes, "9.8.7"), |texts| texts["version"] = json!("2"));
        let text = tell(&newer);
        assert!(text.contains("format version 2, written by ansatz 9.8.7") && text.contains("use a newer"), "{text}");

        // The same format, with a setting that is not known here.
        let unknown = with_texts(&writer(bytes, "9.8.7"), |texts| {
            texts["settings"] = json!(texts["settings"].as_str().unwrap().replacen('{', "{\"momentum\":0.5,", 1));
        });
        let text = tell(&unknown);
        assert!(text.contains("`momentum`"), "{text}");
        assert!(text.contains(&format!("written by ansatz 9.8.7, this is ansatz {this}")), "{text}");
        assert!(text.contains("go on with the one that wrote it, or start the run again"), "{text}");

        // One without which the run is not what it was.
        let text = tell(&without_setting(&writer(bytes, "0.0.9"), "seed"));
        assert!(text.contains("`seed`") && text.contains("written by ansatz 0.0.9"), "{text}");
        let text = tell(&without_setting(bytes, "seed"));
        assert!(text.contains(&format!("another build of ansatz {this}, or damaged")), "{text}");
        let nobody = with_texts(&without_setting(bytes, "seed"), |texts| drop(texts.remove("ansatz_version")));
        assert!(tell(&nobody).contains("unknown version"), "{}", tell(&nobody));
        // What is no JSON at all is of no version.
        let text = tell(&with_texts(bytes, |texts| texts["settings"] = json!("{")));
        assert!(text.contains("the file is damaged"), "{text}");
    }
}

#[test]
fn a_model_is_no_checkpoint_and_a_checkpoint_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.checkpoint");
    save_checkpoint(&path, &start::<f64>(), &Extra::default()).unwrap();
    let error = load_model(&path).unwrap_err().to_string();
    assert!(error.contains("a checkpoint, where a model is needed") && error.contains("--resume"), "{error}");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/born-mps-v1-f64.ansatz");
    let error = load_checkpoint(&model).unwrap_err().to_string();
    assert!(error.contains("a model, where a checkpoint is needed"), "{error}");
}

#[test]
fn no_flipped_bit_of_a_checkpoint_makes_the_reader_panic() {
    let bytes = saved(&start::<f32>());
    for length in (0..bytes.len()).step_by(7) {
        assert!(checkpoint_from_bytes(&bytes[..length], "run").is_err());
    }
    let mut stream = Seed(1).stream("bit flips", 0);
    for _ in 0..3000 {
        let mut damaged = bytes.clone();
        let at = stream.random_range(0..damaged.len());
        damaged[at] ^= 1 << stream.random_range(0..8);
        // Some flips are harmless; none may panic.
        let _ = checkpoint_from_bytes(&damaged, "run");
    }
}
