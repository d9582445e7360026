//! Any bytes as gzip, and as what is read once it is undone: an error or a table, never a panic.
#![no_main]

use ansatz::data::parse_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_bytes("fuzz.gz", bytes, None);
});
