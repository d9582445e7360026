"""Layers of RX and RZ on every qubit and a chain of CNOTs: ansatz and qulacs in turn, on the same threads.

usage: statevector_qulacs.py ANSATZ QUBITS LAYERS [THREADS]   (pip install qulacs numpy)
"""

import json
import os
import subprocess
import sys
import tempfile
import time

program, qubits, layers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
threads = sys.argv[4] if len(sys.argv) > 4 else "2"
os.environ["OMP_NUM_THREADS"] = threads

import numpy as np
from qulacs import QuantumCircuit, QuantumState

rng = np.random.default_rng(0)
circuit, text = QuantumCircuit(qubits), ['OPENQASM 2.0;', 'include "qelib1.inc";', f"qreg q[{qubits}];"]
for _ in range(layers):
    for q in range(qubits):
        x, z = rng.uniform(0, 6.28, 2)
        # qulacs turns the other way.
        circuit.add_RX_gate(q, -x)
        circuit.add_RZ_gate(q, -z)
        text += [f"rx({x}) q[{q}];", f"rz({z}) q[{q}];"]
    for q in range(qubits - 1):
        circuit.add_CNOT_gate(q, q + 1)
        text.append(f"cx q[{q}],q[{q + 1}];")
with tempfile.NamedTemporaryFile("w", suffix=".qasm") as file:
    file.write("\n".join(text))
    file.flush()
    command = [program, "--threads", threads, "circuit", "amplitude", file.name, "--bits", "0" * qubits, "--json"]
    ours = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

state = QuantumState(qubits)
start = time.time()
circuit.update_quantum_state(state)
peer = time.time() - start
difference = abs(complex(ours["re"], ours["im"]) - state.get_vector()[0])
print(json.dumps(dict(ansatz=ours["seconds"], qulacs=peer, ratio=ours["seconds"] / peer, difference=difference)))
