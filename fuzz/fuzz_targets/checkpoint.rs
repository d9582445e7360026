//! Any bytes as a checkpoint of sweeps: an error or a run, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = ansatz::io::checkpoint_from_bytes(bytes, "fuzz");
});
