//! OpenQASM and qsim: what is written reads back, faults are told with line and column.

use std::f64::consts::{FRAC_PI_2, PI};

use ansatz::circuit::{Circuit, Condition, GATES, Gate, Parameter, from_qsim};
use proptest::prelude::*;

use crate::common::*;

#[test]
fn openqasm_reads_back_what_is_written() {
    let mut circuit = Circuit::default();
    circuit.add_qubits("left", 3).unwrap();
    circuit.add_qubits("right", 2).unwrap();
    circuit.add_bits("c", 2).unwrap();
    circuit.add_bits("d", 3).unwrap();
    for row in GATES.iter().filter(|row| row.qubits > 0) {
        let on: Vec<usize> = (0..row.qubits).map(|i| 4 - i).collect();
        circuit.add(gate(row, &angles(row)), &on).unwrap();
    }
    circuit.rx(1e-9, 0).unwrap().barrier(&[0, 3]).unwrap().measure(3, 4).unwrap().reset(1).unwrap();
    circuit.x(2).unwrap().only_if(Condition { start: 2, size: 3, value: 5 }).unwrap();
    let text = circuit.to_qasm().unwrap();
    assert_eq!(Circuit::from_qasm(&text).unwrap(), circuit, "{text}");
    // A unitary of one qubit comes back as u3.
    for seed in 0..20 {
        let mut one = Circuit::new(1).unwrap();
        one.unitary(random_unitary(1, seed), &[0]).unwrap();
        let back = Circuit::from_qasm(&one.to_qasm().unwrap()).unwrap();
        assert!(unitary_of(&back).distance_up_to_phase(&unitary_of(&one)) < 1e-12);
    }
    for name in ["x", "z", "h", "s", "id", "y"] {
        let matrix = Gate::named(name, &[]).unwrap().matrix().unwrap();
        let mut one = Circuit::new(1).unwrap();
        one.unitary(matrix.clone(), &[0]).unwrap();
        let back = Circuit::from_qasm(&one.to_qasm().unwrap()).unwrap();
        assert!(unitary_of(&back).distance_up_to_phase(&matrix) < 1e-12, "{name}");
    }
    // Others, and gates under controls, as gates of the table, under the condition that they have.
    let mut more = Circuit::with_bits(4, 2).unwrap();
    more.unitary(random_unitary(2, 1), &[3, 1]).unwrap().unitary(random_unitary(3, 2), &[2, 0, 1]).unwrap();
    let turned = Gate::unitary(random_unitary(1, 3)).unwrap().controlled(&[true, false]).unwrap();
    more.add(turned, &[1, 3, 0]).unwrap();
    let back = Circuit::from_qasm(&more.to_qasm().unwrap()).unwrap();
    assert!(unitary_of(&back).distance_up_to_phase(&unitary_of(&more)) < 1e-12);
    let whole = Condition { start: 0, size: 2, value: 1 };
    more.unitary(random_unitary(2, 4), &[0, 1]).unwrap().only_if(whole).unwrap();
    let text = more.to_qasm().unwrap();
    let conditional = Circuit::from_qasm(&text).unwrap();
    let under = |c: &Circuit| c.instructions().iter().filter(|i| i.condition == Some(whole)).count();
    assert!(
        under(&conditional) > 3 && conditional.instructions().len() - under(&conditional) == back.instructions().len()
    );
    let mut wide = Circuit::new(9).unwrap();
    wide.add(Gate::named("h", &[]).unwrap().controlled(&[true; 8]).unwrap(), &[0, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    let error = wide.to_qasm().unwrap_err().to_string();
    assert!(error.contains("instruction 0 (cccccccc-h)") && error.contains("at most 8"), "{error}");
}

const HEAD: &str = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\n";

#[test]
fn openqasm_two_is_read() {
    let text = format!(
        "{HEAD}// a comment\ngate turn(a,b) x,y {{ rx(a*2) x; barrier x,y; ry(-b^2/cos(0)) y; cx x,y; }}\nqreg q[2]; qreg r[2]; \
         creg c[2];\nturn(pi/2, 0.5) q, r;\nh q;\nCX q[0], r;\nU(0,0,pi) r[1];\nif (c==2) x q[1];\nmeasure q -> c;"
    );
    let circuit = Circuit::from_qasm(&text).unwrap();
    let mut expected = Circuit::default();
    expected.add_qubits("q", 2).unwrap();
    expected.add_qubits("r", 2).unwrap();
    expected.add_bits("c", 2).unwrap();
    for i in 0..2 {
        expected.rx(PI, i).unwrap().ry(-0.25, 2 + i).unwrap().cx(i, 2 + i).unwrap();
    }
    expected.h(0).unwrap().h(1).unwrap().cx(0, 2).unwrap().cx(0, 3).unwrap();
    expected.apply("u3", &[0.0, 0.0, PI].map(Parameter::from), &[3]).unwrap();
    expected.x(1).unwrap().only_if(Condition { start: 0, size: 2, value: 2 }).unwrap();
    expected.measure(0, 0).unwrap().measure(1, 1).unwrap();
    assert_eq!(circuit, expected);
}

#[test]
fn openqasm_three_is_read() {
    let text = "OPENQASM 3.0; include \"stdgates.inc\"; input float[64] theta; const int n = 3;\nqubit[n] q; bit[n] c; bit flag;\n\
        for int i in [0:n-2] { cx q[i], q[i+1]; }\nctrl @ rx(2*theta) q[0], q[1]; negctrl(2) @ x q[0], q[1], q[2];\n\
        inv @ s q[0]; pow(2) @ t q[1]; inv @ ctrl @ rz(0.5) q[0], q[2]; ctrl @ gphase(pi/2) q[1];\n\
        c = measure q; flag = measure q[0]; if (flag) x q[1]; if (c == 5) { reset q[0]; barrier; }";
    let circuit = Circuit::from_qasm(text).unwrap();
    let mut expected = Circuit::new(3).unwrap();
    expected.add_bits("c", 3).unwrap();
    expected.add_bits("flag", 1).unwrap();
    expected.cx(0, 1).unwrap().cx(1, 2).unwrap();
    let rx = Gate::named("rx", &[Parameter::symbol("theta") * 2.0]).unwrap();
    expected.add(rx.controlled(&[true]).unwrap(), &[0, 1]).unwrap();
    let x = Gate::named("x", &[]).unwrap();
    expected.add(x.controlled(&[false, false]).unwrap(), &[0, 1, 2]).unwrap();
    expected.apply("sdg", &[], &[0]).unwrap().t(1).unwrap().t(1).unwrap();
    let rz = Gate::named("rz", &[Parameter::from(-0.5)]).unwrap();
    expected.add(rz.controlled(&[true]).unwrap(), &[0, 2]).unwrap();
    let phase = Gate::named("gphase", &[Parameter::from(FRAC_PI_2)]).unwrap();
    expected.add(phase.controlled(&[true]).unwrap(), &[1]).unwrap();
    (0..3).for_each(|i| drop(expected.measure(i, i).map(|_| ())));
    expected.measure(0, 3).unwrap();
    expected.x(1).unwrap().only_if(Condition { start: 3, size: 1, value: 1 }).unwrap();
    expected.reset(0).unwrap().only_if(Condition { start: 0, size: 3, value: 5 }).unwrap();
    expected.barrier(&[0, 1, 2]).unwrap().only_if(Condition { start: 0, size: 3, value: 5 }).unwrap();
    assert_eq!(circuit, expected);
}

#[test]
fn qsim_circuits_are_read() {
    let text = "3\n0 hz_1_2 0\n0 x_1_2 1\n1 fs 0 1 0.5 0.25\n2 rz 2 -1.5\n3 c 0 1 x 2\n4 m 0 2\n";
    let circuit = from_qsim(text).unwrap();
    let mut expected = Circuit::with_bits(3, 3).unwrap();
    expected.apply("hz_1_2", &[], &[0]).unwrap().apply("x_1_2", &[], &[1]).unwrap();
    expected.apply("fsim", &[0.5, 0.25].map(Parameter::from), &[0, 1]).unwrap().rz(-1.5, 2).unwrap();
    expected.add(Gate::named("x", &[]).unwrap().controlled(&[true, true]).unwrap(), &[0, 1, 2]).unwrap();
    expected.measure(0, 0).unwrap().measure(2, 2).unwrap();
    assert_eq!(circuit, expected);
    for (text, words) in [
        ("", "empty"),
        ("x", "line 1"),
        ("2\n0 fog 1", "line 2, column 1: undefined gate 'fog'"),
        ("2\n0 x 2", "no qubit 2"),
        ("2\n0 rz 0 nan", "no angle"),
        ("2\n\n0 c 0", "line 3"),
        ("2\n0", "line 2"),
    ] {
        let error = from_qsim(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn faults_of_openqasm_are_told_with_line_and_column() {
    let deep = format!("{HEAD}qreg q[1]; rx({}1{}) q[0];", "(".repeat(200), ")".repeat(200));
    let mut bomb = String::from(HEAD) + "gate g0 a { x a; x a; }\n";
    (1..60).for_each(|i| bomb += &format!("gate g{i} a {{ g{0} a; g{0} a; }}\n", i - 1));
    let empty_bomb = bomb.replace("x a; x a; ", "") + "qreg q[1]; g59 q[0];";
    bomb += "qreg q[1]; g59 q[0];";
    let cases = [
        ("OPENQASM 4.0;", "line 1, column 10", "versions 2.0 and 3"),
        ("qreg q[2]; h q[0];", "line 1, column 12", "include \"qelib1.inc\""),
        ("include \"qelib1.inc\"; qreg q[2];\n  foo q[0];", "line 2, column 3", "undefined gate 'foo'"),
        ("qreg q[2]; CX q[0], q[2];", "line 1, column 21", "q[2] is outside: q has 2 qubits"),
        ("qreg q[2]; CX q[0], r[0];", "line 1, column 21", "no register 'r' of qubits"),
        ("qreg q[2]; CX q[1], q[1];", "line 1, column 12", "takes qubit q[1] twice"),
        ("qreg q[2]; CX q[1];", "line 1, column 12", "acts on 2 qubits, 1 are given"),
        ("qreg q[2]; U(1,2) q[1];", "line 1, column 12", "takes 3 parameters, 2 are given"),
        ("qreg q[2]; U(1,2,1/0) q[1];", "line 1, column 12", "not finite"),
        ("qreg q[2]; U(1,2,x) q[1];", "line 1, column 12", "undefined parameter 'x'"),
        ("qreg q[2]; U(1,2,3 q[1];", "line 1, column 20", "expected ')'"),
        ("qreg q[2]; qreg q[3];", "line 1, column 17", "declared twice"),
        ("qreg q[0];", "line 1, column 6", "no qubits"),
        ("qreg q[99999999999];", "line 1, column 6", "at most 100000"),
        ("qreg q[2]; creg c[1]; measure q -> c;", "line 1, column 31", "2 qubits measured into 1"),
        ("qreg q[2]", "line 1, column 10", "expected ';', found the end of the text"),
        ("", "line 1, column 1", "no qubits"),
        ("gate a x { a x; } qreg q[1]; a q[0];", "line 1, column 12", "gate 'a' takes itself in its own definition"),
        ("gate a x { U(0,0,0) y; }", "line 1, column 21", "no qubit 'y'"),
        ("opaque a x; qreg q[1]; a q[0];", "line 1, column 24", "opaque"),
        ("include \"other.inc\";", "line 1, column 9", "other.inc"),
        ("qreg q[1]; \u{1F600}", "line 1, column 12", "unexpected character"),
        ("qreg q[1]; \"abc", "line 1, column 12", "closing quote"),
        ("qreg q[1]; /* abc", "line 1, column 12", "comment"),
        ("OPENQASM 3; qubit q; while (true) {}", "line 1, column 22", "not read here"),
        ("OPENQASM 3; qubit q; for int i in [0:99999999999] {}", "line 1, column 22", "turns"),
        ("OPENQASM 3; input float a; qubit q; U(sin(a),0,0) q;", "line 1, column 37", "not affine"),
        (&deep, "line 3", "nested"),
        (&bomb, "line", "expands to more than"),
        (&empty_bomb, "line", "expands to more than"),
    ];
    for (text, place, words) in cases {
        let error = Circuit::from_qasm(text).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(words), "{text}: {error}");
        assert_eq!(error.lines().count(), 1);
    }
    let mut calls = 0;
    let twice = Circuit::from_qasm_with("include \"a.inc\";", &mut |_| {
        calls += 1;
        Ok("include \"a.inc\"; include \"a.inc\";".into())
    });
    assert!(twice.unwrap_err().to_string().contains("deep") && calls < 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn broken_openqasm_is_an_error_or_a_circuit(cuts in proptest::collection::vec((0usize..2000, 0usize..40, 0usize..60), 1..6)) {
        let parts = ["", ";", "(", ")", "[", "{", "}", "q", "0", "99999999999999999999", "-", "^", "pi", "gate", "if", "for ", "ctrl @", "\"", "//", "é", "=", "->", "1e308", "pow(9999999) @ ", "\n"];
        let mut text = String::from("OPENQASM 3.0;\ninclude \"qelib1.inc\";\nqreg q[4]; creg c[4]; const int n = 2;\ngate a(x) s,t { rx(x/2) s; inv @ cx s,t; barrier s; }\na(pi*-0.25) q[0],q[1];\nfor int i in [0:2] { cx q[i], q[i+1]; }\nif (c==3) x q[n];\nmeasure q -> c; c[0] = measure q[1]; reset q; ctrl(2) @ u3(1,2,3^2) q[0],q[1],q[2];\n");
        for (at, length, part) in cuts {
            let mut chars: Vec<char> = text.chars().collect();
            let at = at % chars.len().max(1);
            let end = (at + length % 7).min(chars.len());
            chars.splice(at.min(chars.len())..end, parts[part % parts.len()].chars());
            text = chars.into_iter().collect();
        }
        if let Ok(circuit) = Circuit::from_qasm(&text)
            && let Ok(written) = circuit.to_qasm()
        {
            let whole = |c: &Circuit| c.instructions().iter().filter(|i| i.operation.name() != "gphase").count();
            let expected = circuit.elementary().map(|c| whole(&c)).ok();
            prop_assert_eq!(Circuit::from_qasm(&written).map(|c| c.instructions().len()).ok(), expected);
        }
    }
}
