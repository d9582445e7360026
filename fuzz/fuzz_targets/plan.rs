//! Any bytes as a stored plan: an error or a plan that goes there and back, never a panic.
#![no_main]

use ansatz::Kind;
use ansatz::network::Plan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(plan) = Plan::from_json(bytes) {
        let _ = (plan.slices(), plan.peak_bytes(Kind::F64), plan.to_string());
        let again = Plan::from_json(plan.to_json().to_string()).expect("a plan that was written is read");
        assert_eq!(again.sliced(), plan.sliced());
    }
});
