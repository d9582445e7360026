"""Brick circuit of random two-qubit gates by ansatz and by quimb's CircuitMPS, in one run.
usage: circuit_mps_quimb.py ANSATZ QUBITS DEPTH MAX_BOND"""
import json, math, subprocess, sys, tempfile, time

import numpy as np
import quimb.tensor as qtn

ansatz, n, depth, bond = sys.argv[1], *map(int, sys.argv[2:5])
rng = np.random.default_rng(0)
X, Y, Z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])


def u3(t, p, l):
    return np.array([[math.cos(t / 2), -np.exp(1j * l) * math.sin(t / 2)],
                     [np.exp(1j * p) * math.sin(t / 2), np.exp(1j * (p + l)) * math.cos(t / 2)]])


def rotation(pauli, angle):
    return math.cos(angle / 2) * np.eye(4) - 1j * math.sin(angle / 2) * np.kron(pauli, pauli)


gates, text = [], ['OPENQASM 2.0; include "qelib1.inc";',
                   "gate ryy(t) a,b { rx(pi/2) a; rx(pi/2) b; cx a,b; u1(t) b; cx a,b; rx(-pi/2) a; rx(-pi/2) b; }",
                   f"qreg q[{n}];"]
for layer in range(depth):
    for q in range(layer % 2, n - 1, 2):
        a, b = rng.uniform(0, 2 * math.pi, 3), rng.uniform(0, 2 * math.pi, 3)
        angles = rng.uniform(0, 2 * math.pi, 3)
        matrix = np.kron(u3(*a), u3(*b))
        for pauli, angle in zip((X, Y, Z), angles):
            matrix = rotation(pauli, angle) @ matrix
        gates.append((q, matrix))
        for site, (t, p, l) in ((q, a), (q + 1, b)):
            text.append(f"u3({float(t)!r},{float(p)!r},{float(l)!r}) q[{site}];")
        for name, angle in zip(("rxx", "ryy", "rzz"), angles):
            text.append(f"{name}({float(angle)!r}) q[{q}],q[{q + 1}];")

with tempfile.NamedTemporaryFile("w", suffix=".qasm") as file:
    file.write("\n".join(text))
    file.flush()
    run = [ansatz, "circuit", "run", file.name, "--method", "mps", "--max-bond", str(bond), "--shots", "1", "--json"]
    ours = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)

start = time.time()
circuit = qtn.CircuitMPS(n, max_bond=bond, cutoff=1e-12)
for q, matrix in gates:
    circuit.apply_gate_raw(matrix, (q, q + 1))
seconds, fidelity = time.time() - start, float(circuit.fidelity_estimate())
print(json.dumps(dict(qubits=n, depth=depth, max_bond=bond, ansatz_seconds=ours["seconds"], quimb_seconds=seconds,
                      ratio=seconds / ours["seconds"], ansatz_fidelity=ours["fidelity_estimate"], quimb_fidelity=fidelity)))
