//! Circuits by matrices embedded element by element, and random circuits.

use ansatz::Seed;
use ansatz::circuit::{Circuit, GATES, Gate, GateRow, Matrix, Parameter};
use num_complex::Complex64;
use rand::RngExt;

pub type Vector = Vec<Complex64>;

/// A gate on a vector, element by element; qubit 0 is the most significant bit.
pub fn embedded(vector: &Vector, matrix: &Matrix, on: &[usize], qubits: usize) -> Vector {
    let bit = |index: usize, qubit: usize| index >> (qubits - 1 - qubit) & 1;
    let inner = |index: usize| on.iter().fold(0, |i, &q| 2 * i + bit(index, q));
    let mut result = vec![Complex64::ZERO; vector.len()];
    for (index, out) in result.iter_mut().enumerate() {
        for column in 0..matrix.dim() {
            let set = |source: usize, (i, &q): (usize, &usize)| {
                let mask = 1 << (qubits - 1 - q);
                if column >> (on.len() - 1 - i) & 1 == 1 { source | mask } else { source & !mask }
            };
            let source = on.iter().enumerate().fold(index, set);
            *out += matrix.get(inner(index), column) * vector[source];
        }
    }
    result
}

pub fn run_by_matrices(circuit: &Circuit, mut vector: Vector) -> Vector {
    for instruction in circuit.instructions() {
        if let ansatz::circuit::Operation::Gate { gate, qubits } = &instruction.operation {
            vector = embedded(&vector, &gate.matrix().unwrap(), qubits, circuit.num_qubits());
        }
    }
    vector
}

pub fn basis(qubits: usize, index: usize) -> Vector {
    let mut vector = vec![Complex64::ZERO; 1 << qubits];
    vector[index] = Complex64::ONE;
    vector
}

/// The matrix of a circuit, column by column.
pub fn unitary_of(circuit: &Circuit) -> Matrix {
    let n = circuit.num_qubits();
    let columns: Vec<Vector> = (0..1 << n).map(|i| run_by_matrices(circuit, basis(n, i))).collect();
    let entries = (0..1 << n).flat_map(|row| columns.iter().map(move |c| c[row])).collect();
    Matrix::new(n, entries).unwrap()
}

pub fn distance(a: &[Complex64], b: &[Complex64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).norm()).fold(0.0, f64::max)
}

pub fn angles(row: &GateRow) -> Vec<f64> {
    [0.7, -1.9, 2.3, 0.4][..row.parameters.len()].to_vec()
}

pub fn gate(row: &GateRow, angles: &[f64]) -> Gate {
    Gate::named(row.name, &angles.iter().map(|&a| Parameter::from(a)).collect::<Vec<_>>()).unwrap()
}

pub fn random_unitary(qubits: usize, seed: u64) -> Matrix {
    let mut stream = Seed(seed).stream("unitary", 0);
    let mut circuit = Circuit::new(qubits).unwrap();
    for _ in 0..3 {
        for q in 0..qubits {
            circuit.apply("u3", &[(); 3].map(|()| Parameter::from(stream.random::<f64>() * 6.0)), &[q]).unwrap();
        }
        (1..qubits).for_each(|q| {
            circuit.apply("rxx", &[Parameter::from(stream.random::<f64>() * 6.0)], &[q - 1, q]).unwrap();
        });
    }
    unitary_of(&circuit)
}

/// Gates of all rows, unitaries and controls, at random places.
pub fn random_circuit(qubits: usize, gates: usize, seed: u64) -> Circuit {
    let mut stream = Seed(seed).stream("circuit", 0);
    let mut circuit = Circuit::new(qubits).unwrap();
    while circuit.instructions().len() < gates {
        let gate = match stream.random_range(0..10_usize) {
            0 => Gate::unitary(random_unitary(stream.random_range(1..=3), stream.random())).unwrap(),
            choice => {
                let row = &GATES[stream.random_range(0..GATES.len())];
                let angles: Vec<f64> = row.parameters.iter().map(|_| stream.random::<f64>() * 7.0 - 3.0).collect();
                let gate = gate(row, &angles);
                if choice < 3 { gate.controlled(&[stream.random(), stream.random()][..choice]).unwrap() } else { gate }
            }
        };
        if gate.qubits() <= qubits {
            let order = ansatz::random::permutation(qubits, &mut stream);
            circuit.add(gate.clone(), &order[..gate.qubits()]).unwrap();
        }
    }
    circuit
}
