//! Any bytes as measurement records, as records of a channel and as a dense state: an error or a value, never a panic.
#![no_main]

use ansatz::data::{dense_state_from_bytes, process_shots_from_bytes, shots_from_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = shots_from_bytes("fuzz", bytes, None);
    let _ = process_shots_from_bytes("fuzz", bytes);
    let _ = dense_state_from_bytes("fuzz", bytes);
    // The same bytes as outcomes and settings.
    let (outcomes, settings) = bytes.split_at(bytes.len() / 2);
    let _ = shots_from_bytes("fuzz", outcomes, Some(("bases", settings)));
});
