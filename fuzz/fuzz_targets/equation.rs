//! Any bytes as the JSON of a network, and as an einsum string: an error or an equation that goes there and back.
#![no_main]

use ansatz::network::Equation;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(equation) = Equation::from_json(bytes) {
        assert_eq!(Equation::from_json(equation.to_json().to_string()).ok(), Some(equation));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let shapes: Vec<Vec<usize>> =
            text.split("->").next().unwrap_or("").split(',').map(|term| vec![2; term.trim().chars().count()]).collect();
        let _ = Equation::parse(text, &shapes);
    }
});
