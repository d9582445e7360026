//! Whatever is done to a file of any format, its reader returns: no panic, no hang, no memory beyond what the file fills.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::ops::ControlFlow;

use ansatz::data::{Binarise, Format, parse_bytes, process_shots_from_bytes, shots_from_bytes};
use ansatz::io::{
    Extra, adam_checkpoint_from_bytes, checkpoint_from_bytes, model_from_bytes, save_adam_checkpoint, save_checkpoint,
    save_model, save_sliced_sum, sliced_sum_from_bytes, tensor_data_from_bytes,
};
use ansatz::network::{Contraction, ContractionTree, Equation, Network, Plan};
use ansatz::train::{Adam, AdamRun, Run, TwoSite};
use ansatz::{Batch, BornMps, Error, Seed};
use num_complex::{Complex32, Complex64};
use rand::RngExt;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which counts what this thread holds.
struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get().saturating_add(layout.size()));
        MOST.set(MOST.get().max(HELD.get()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().saturating_sub(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes held at the most while `work` went on, beyond those held before.
fn most_held<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = HELD.get();
    MOST.set(before);
    let result = work();
    (result, MOST.get().saturating_sub(before))
}

type Open = fn(&[u8]) -> Result<(), Error>;

fn data(name: &str, format: Option<Format>, bytes: &[u8]) -> Result<(), Error> {
    let table = parse_bytes(name, bytes, format)?;
    table.batch(Binarise::Never).or_else(|_| table.batch(Binarise::Stochastic(Seed(1)))).map(drop)
}

fn npy(descr: &str, fortran: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    [b"\x93NUMPY\x01\x00\x76\x00", format!("{header:<117}\n").as_bytes(), numbers].concat()
}

fn npz(method: zip::CompressionMethod, large: bool) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method).large_file(large);
    zip.start_file("labels.npy", options).unwrap();
    zip.write_all(&npy("|u1", "False", "(2,)", &[3, 4])).unwrap();
    zip.start_file("data.npy", options).unwrap();
    zip.write_all(&npy("|u1", "False", "(2, 3)", &[0, 1, 0, 1, 1, 1])).unwrap();
    zip.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn saved(save: impl FnOnce(&std::path::Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    save(&path);
    std::fs::read(path).unwrap()
}

fn model() -> Vec<u8> {
    let extra = Extra { shape: Some(vec![2, 2]), alphabet: Some("ab".into()), ..Extra::default() };
    saved(|path| save_model(path, &BornMps::<Complex32>::random(&[2; 4], 2, Seed(1)).unwrap(), &extra).unwrap())
}

fn sweeps() -> Vec<u8> {
    let mut run = Run::new(BornMps::<f64>::random(&[2; 4], 2, Seed(1)).unwrap(), TwoSite::new(2, 4)).unwrap();
    run.fit(&Batch::all(&[2; 4]).unwrap(), None, &mut (), &mut ()).unwrap();
    run.best = BornMps::random(&[2; 4], 3, Seed(2)).unwrap();
    saved(|path| save_checkpoint(path, &run, &Extra::default()).unwrap())
}

fn adam() -> Vec<u8> {
    let mut run = AdamRun::new(BornMps::<f32>::random(&[2; 4], 2, Seed(1)).unwrap(), Adam::new(2)).unwrap();
    run.fit(&Batch::all(&[2; 4]).unwrap(), None, &mut (), &mut ()).unwrap();
    saved(|path| save_adam_checkpoint(path, &run, &Extra::default()).unwrap())
}

fn sliced_sum() -> Vec<u8> {
    let equation = Equation::parse("ab,bc->c", &[&[2, 3], &[3, 4]]).unwrap();
    let plan = Plan::new(&equation, &ContractionTree::new(2, vec![(0, 1)]).unwrap(), &[1]).unwrap();
    let network = Network::<Complex32>::random(&equation, Seed(1)).unwrap();
    let mut sum = Contraction::new(&plan).start(&network).unwrap();
    Contraction::new(&plan).slices(1).advance(&network, &mut sum, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
    saved(|path| save_sliced_sum(path, &sum).unwrap())
}

/// Two arrays for a network, real and complex.
fn tensors_npz() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let numbers: Vec<u8> = (0..8).flat_map(|x| f64::from(x).to_le_bytes()).collect();
    for (name, dtype, shape, numbers) in
        [("t0.npy", "<f8", "(2, 2)", &numbers[..32]), ("t1.npy", "<c16", "(2,)", &numbers[32..])]
    {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&npy(dtype, "False", shape, numbers)).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tensors(bytes: &[u8]) -> Result<(), Error> {
    let data = tensor_data_from_bytes(bytes.to_vec(), "f")?;
    let shapes = [vec![2, 2], vec![2]];
    data.kind(&shapes)?;
    data.arrays::<Complex64>(&shapes).map(drop)
}

const RECORDS: &[u8] =
    b"# ansatz-shots 1\n# measurement A {\"angles\": [0.5, 1.0]}\nsetting,outcome,count\nX A,0 1,3\nSZ,30,1\n";
const JSON_RECORDS: &[u8] = b"{\"format\": \"ansatz-shots\", \"version\": 1, \"dims\": [2, 3], \"measurements\": \
    {\"B\": {\"basis\": [[[1, 0], 0], [0, [0, 1]]]}}, \"records\": [[\"BZ\", \"02\", 5], [[\"B\", \"Z\"], [1, 0], 2]]}\n";
const CHANNEL_RECORDS: &[u8] =
    b"# measurement A {\"angles\": [0.5, 1.0]}\ninput,setting,outcome,count\n0+,XY,01,3\nA/1 Z-,A Z,1 0,2\n";

fn records_in_arrays() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.npz");
    let shots = shots_from_bytes("f", RECORDS, None).unwrap().choose(None).unwrap();
    ansatz::io::write_shots(&path, &shots).unwrap();
    std::fs::read(path).unwrap()
}

/// A good file of every format, and what opens it.
fn files() -> Vec<(&'static str, Vec<u8>, Open)> {
    let reals: Vec<u8> = [0f64, 1.0, 0.0, 1.0, 1.0, 1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let idx =
        [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[0, 127, 128, 255, 1, 0, 2, 0, 0, 0, 0, 9]].concat();
    vec![
        ("idx", idx, |b| data("f", Some(Format::Idx), b)),
        ("npy", npy("<f8", "True", "(2, 3)", &reals), |b| data("f", Some(Format::Npy), b)),
        ("npz", npz(zip::CompressionMethod::Deflated, false), |b| data("f", Some(Format::Npy), b)),
        ("npz, stored, long", npz(zip::CompressionMethod::Stored, true), |b| data("f", Some(Format::Npy), b)),
        ("csv", b"# three columns\nx,y,z\n0,1,2\n1, 1.0 ,255\n".to_vec(), |b| data("f", Some(Format::Csv), b)),
        ("integers", b"0 1 2\r\n1 10 255\n".to_vec(), |b| data("f", Some(Format::Csv), b)),
        ("bits", b"0101\n1 1 1 1\n".to_vec(), |b| data("f", Some(Format::Bits), b)),
        ("fasta", b">one\nAC-\nDX\n>two\nacdwY*\n".to_vec(), |b| data("f", Some(Format::Fasta), b)),
        ("gzip", gzip(&b"0,1,1\n1,0,1\n".repeat(20)), |b| data("f.csv.gz", None, b)),
        ("gzip of npz", gzip(&npz(zip::CompressionMethod::Deflated, false)), |b| data("f", None, b)),
        ("records", RECORDS.to_vec(), |b| shots_from_bytes("f", b, None).map(drop)),
        ("records in JSON", JSON_RECORDS.to_vec(), |b| shots_from_bytes("f", b, None).map(drop)),
        ("records in columns", b"YXXY 1010\nZZZZ 0000 4\n".to_vec(), |b| shots_from_bytes("f", b, None).map(drop)),
        ("records of a channel", CHANNEL_RECORDS.to_vec(), |b| process_shots_from_bytes("f", b).map(drop)),
        ("records of a channel in columns", b"0+ XY 01 3\nrl ZZ 10 2\n".to_vec(), |b| {
            process_shots_from_bytes("f", b).map(drop)
        }),
        ("records in arrays", records_in_arrays(), |b| shots_from_bytes("f", b, None).map(drop)),
        ("model", model(), |b| model_from_bytes(b, "f").map(drop)),
        ("checkpoint of sweeps", sweeps(), |b| checkpoint_from_bytes(b, "f").map(drop)),
        ("checkpoint of Adam", adam(), |b| adam_checkpoint_from_bytes(b, "f").map(drop)),
        ("tensors", tensors_npz(), tensors),
        ("sum over slices", sliced_sum(), |b| sliced_sum_from_bytes::<Complex32>(b, "f").map(drop)),
    ]
}

/// Opens a file of a few kilobytes; an error has to be one line that names it, and memory stays in proportion.
fn survives(name: &str, how: &str, open: Open, bytes: &[u8]) {
    let (result, held) = most_held(|| open(bytes));
    let bound = (4 << 20) + 64 * bytes.len();
    assert!(held < bound, "{name}, {how}: {held} bytes for a file of {}", bytes.len());
    if let Err(error) = result {
        let text = error.to_string();
        assert!(
            text.starts_with('f') && !text.contains(char::is_control) && text.len() < 600,
            "{name}, {how}: {text:?}"
        );
    }
}

#[test]
fn every_file_is_good_as_it_stands() {
    for (name, file, open) in files() {
        let (result, _) = most_held(|| open(&file));
        assert!(result.is_ok(), "{name}: {}", result.unwrap_err());
        assert!(file.len() < 1 << 14, "{name} has {} bytes", file.len());
    }
}

#[test]
fn cut_off_anywhere() {
    for (name, file, open) in files() {
        for length in 0..file.len() {
            survives(name, &format!("cut to {length} bytes"), open, &file[..length]);
            // The end alone: what is found from behind, such as the directory of an archive.
            survives(name, &format!("without its first {length} bytes"), open, &file[length..]);
        }
    }
}

#[test]
fn bits_flipped() {
    for (name, file, open) in files() {
        let mut stream = Seed(1).stream("bit flips", 0);
        let all: Vec<usize> = (0..8 * file.len()).collect();
        let some: Vec<usize> = (0..3000).map(|_| stream.random_range(0..8 * file.len())).collect();
        for bit in if all.len() < some.len() { all } else { some } {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            survives(name, &format!("bit {bit} flipped"), open, &damaged);
        }
    }
}

#[test]
fn huge_values_in_place_of_any_length() {
    for (name, file, open) in files() {
        // Every length of the formats lies within the first bytes or the last: of an archive its directory.
        let near = |at: &usize| *at < 700 || file.len() - at < 700;
        for at in (0..file.len()).filter(near) {
            for width in [2, 4, 8] {
                for (first, rest) in [(0xff, 0xff), (0x7f, 0xff), (0x00, 0x7f), (0x10, 0x00), (0x00, 0x00)] {
                    let mut value = vec![rest; width];
                    value[0] = first;
                    for big_endian in [true, false] {
                        let mut damaged = file.clone();
                        for (to, from) in damaged[at..].iter_mut().zip(&value) {
                            *to = *from;
                        }
                        survives(name, &format!("{value:x?} at {at}"), open, &damaged);
                        if big_endian {
                            value.reverse();
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn other_numbers_in_place_of_any_number_in_the_text() {
    for (name, file, open) in files() {
        let mut at = 0;
        while let Some(start) = file[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) {
            let length = file[start..].iter().take_while(|b| b.is_ascii_digit()).count();
            at = start + length;
            for number in
                ["18446744073709551615", "9223372036854775808", "4294967296", "70000", "0", "-1", "1e999", "1.5", ""]
            {
                let mut damaged = [&file[..start], number.as_bytes(), &file[at..]].concat();
                survives(name, &format!("{number} at {start}"), open, &damaged);
                // The same in a file of safetensors whose stated length of the header still fits.
                if let Some((first, rest)) = damaged.split_first_chunk_mut::<8>()
                    && rest.first() == Some(&b'{')
                    && start > 8
                {
                    let header = u64::from_le_bytes(*first) as i64 + number.len() as i64 - length as i64;
                    *first = header.to_le_bytes();
                    survives(name, &format!("{number} at {start}, the length being right"), open, &damaged);
                }
            }
        }
    }
}

#[test]
fn spliced_with_itself_and_with_others() {
    let files = files();
    let mut stream = Seed(2).stream("splices", 0);
    for (name, file, open) in &files {
        for (other, donor, _) in &files {
            for _ in 0..100 {
                let (keep, from) = (stream.random_range(0..=file.len()), stream.random_range(0..=donor.len()));
                let spliced = [&file[..keep], &donor[from..]].concat();
                survives(name, &format!("{keep} bytes, then {other} from {from}"), *open, &spliced);
            }
        }
    }
}

#[test]
fn a_bomb_of_gzip_is_refused_before_it_goes_off() {
    // Zeros are packed a thousandfold.
    let bomb = gzip(&vec![0; 300 << 20]);
    assert!(bomb.len() < 1 << 19);
    let (result, held) = most_held(|| parse_bytes("f.bits.gz", &bomb, None));
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Memory { .. }), "{error}");
    assert!(error.to_string().contains("decompress it by hand"), "{error}");
    // What the file may unpack to, and the growth of a vector.
    assert!(held < 3 * 256 * bomb.len(), "{held}");
    // In two stages neither of which is too much for itself.
    let (result, held) = most_held(|| parse_bytes("f", &gzip(&bomb), None));
    assert!(result.is_err());
    assert!(held < 200 << 20, "{held}");
}

#[test]
fn a_bomb_in_an_archive_is_refused_before_it_goes_off() {
    let zip = |name: &str, bytes: &[u8]| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let count = 100 << 20;
    let bomb = zip("data.npy", &npy("|u1", "False", &format!("({count}, 1)"), &vec![0; count]));
    let (result, held) = most_held(|| parse_bytes("f.npz", &bomb, None));
    assert!(matches!(result.unwrap_err(), Error::Memory { .. }));
    assert!(held < 300 << 20, "{held}");
    // The gzip of an archive is allowed no more than the bytes that were given.
    let (result, held) = most_held(|| parse_bytes("f.npz.gz", &gzip(&bomb), None));
    assert!(result.is_err());
    assert!(held < 300 << 20, "{held}");
    // A member that is not wanted is not unpacked.
    let notes = zip("notes", &vec![0; count]);
    let (result, held) = most_held(|| parse_bytes("f.npz", &notes, None));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("no array of samples") && error.contains("notes"), "{error}");
    assert!(held < 1 << 20, "{held}");
}

#[test]
fn an_archive_that_claims_more_members_than_it_holds_takes_no_memory() {
    let whole = npz(zip::CompressionMethod::Stored, false);
    let end = whole.len() - 22;
    for count in [u64::from(u32::MAX), 1 << 48, u64::MAX] {
        // The long form of the end, its locator, and the short end with the marks that send a reader there.
        let mut bytes = whole[..end].to_vec();
        let start = 1u64 << 52;
        bytes.extend(b"PK\x06\x06");
        bytes.extend([44u64.to_le_bytes(), [45, 0, 45, 0, 0, 0, 0, 0], [0; 8]].concat()[..20].to_vec());
        bytes.extend([count, count, 100, start].map(u64::to_le_bytes).concat());
        bytes.extend(b"PK\x06\x07");
        bytes.extend([&[0; 4][..], &(end as u64).to_le_bytes(), &[1, 0, 0, 0]].concat());
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend([0xff; 12]);
        bytes.extend([0; 2]);
        survives("npz", &format!("{count} members"), |b| data("f", Some(Format::Npy), b), &bytes);
        assert!(data("f", Some(Format::Npy), &bytes).is_err());
    }
}

#[test]
fn a_line_as_long_as_the_file_takes_memory_in_proportion() {
    for (name, line) in
        [("f.csv", "1,".repeat(1 << 20) + "1\n"), ("f.csv", "x ".repeat(1 << 20)), ("f.bits", "01".repeat(1 << 20))]
    {
        let (_, held) = most_held(|| parse_bytes(name, line.as_bytes(), None).map(drop));
        assert!(held < 4 * line.len(), "{name}: {held} for {}", line.len());
    }
}
