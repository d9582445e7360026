//! Any text as a circuit, in OpenQASM and in qsim's format: an error or a circuit that can be written, read again and drawn.
#![no_main]

use ansatz::circuit::{Circuit, PauliSum, from_qsim};
use ansatz::report::circuit_text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let _ = from_qsim(&text);
    let _ = text.parse::<PauliSum>();
    if let Ok(circuit) = Circuit::from_qasm(&text) {
        if circuit.instructions().len() < 1000 && circuit.num_qubits() < 100 {
            let _ = circuit_text(&circuit, 80);
        }
        if let Ok(written) = circuit.to_qasm() {
            assert!(Circuit::from_qasm(&written).is_ok(), "{written}");
        }
    }
});
