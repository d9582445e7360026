"""Circuits by every method of ansatz, and by peers where they are installed, in one run.
usage: circuit_methods.py ANSATZ engines DIR [SECONDS]   every .qasm of a folder: seconds of each method, of auto, and auto / best
       circuit_methods.py ANSATZ gradient QUBITS          the gradient of 200 parameters in forward runs, and qulacs' beside it
       circuit_methods.py ANSATZ bars                     bars and stripes of 3 x 3: discrepancy and share of valid samples
Peers: pip install qulacs numpy"""
import json, os, pathlib, subprocess, sys, tempfile, time

ansatz, task = sys.argv[1:3]


def run(*words, timeout=None):
    done = subprocess.run([ansatz, *map(str, words)], capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "failed")
    return json.loads(done.stdout)


def engines(folder, limit=20.0):
    worst = 0.0
    for path in sorted(pathlib.Path(folder).glob("*.qasm")):
        row = {}
        for method in ("statevector", "mps", "clifford", "contract", "auto", "auto"):
            try:
                told = run("circuit", "run", path, "--shots", 1000, "--json", "--method", method, timeout=limit)
                row[method] = min(told["seconds"], row.get(method, limit))
                if method == "auto":
                    row["taken"] = told["method"]
            except (RuntimeError, subprocess.TimeoutExpired):
                pass
        best = min(s for m, s in row.items() if m not in ("auto", "taken"))
        # Below two milliseconds the clock and the caches decide.
        row["ratio"] = max(row["auto"], 2e-3) / max(best, 2e-3)
        worst = max(worst, row["ratio"])
        print(path.name, json.dumps(row))
    print(json.dumps({"largest ratio of auto to the best": worst}))
    sys.exit(worst > 3.0)


def bars():
    rows = {tuple((p >> (i // 3 if across else i % 3)) & 1 for i in range(9)) for p in range(8) for across in (0, 1)}
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "bars.txt")
        pathlib.Path(data).write_text("\n".join("".join(map(str, row)) for row in sorted(rows)) + "\n")
        for optimiser, steps in (("lbfgs", 1000), ("cma-es", 3000)):
            told = run("fit", "--model", "circuit", "--data", data, "--format", "bits", "--depth", 10, "--optimiser",
                       optimiser, "--sweeps", steps, "--json")
            print(optimiser, json.dumps(told))


def gradient(qubits):
    here = pathlib.Path(__file__).resolve().parents[2]
    text = subprocess.run(["cargo", "run", "--release", "--quiet", "--example", "circuit_gradient", "--", str(qubits)],
                          cwd=here, check=True, capture_output=True, text=True).stdout
    print("ansatz:", text.strip())
    try:
        from qulacs import Observable, ParametricQuantumCircuit, QuantumState
    except ImportError:
        return
    import random
    circuit, observable, placed = ParametricQuantumCircuit(qubits), Observable(qubits), 0
    while placed < 200:
        for qubit in range(qubits):
            if placed < 200:
                add = (circuit.add_parametric_RX_gate, circuit.add_parametric_RZ_gate)[placed // qubits % 2]
                add(qubit, random.random())
                placed += 1
        for qubit in range(qubits - 1):
            circuit.add_CNOT_gate(qubit, qubit + 1)
    for qubit in range(qubits):
        observable.add_operator(1.0, f"Z {qubit}")
    times = {}
    for name, work in (("forward", lambda: circuit.update_quantum_state(QuantumState(qubits))),
                       ("gradient", lambda: circuit.backprop(observable))):
        work()
        best = 1e9
        for _ in range(5):
            start = time.time()
            work()
            best = min(best, time.time() - start)
        times[name] = best
    print("qulacs:", json.dumps(times | {"ratio": times["gradient"] / times["forward"]}))


if task == "engines":
    engines(sys.argv[3], *map(float, sys.argv[4:5]))
elif task == "gradient":
    gradient(int(sys.argv[3]))
else:
    bars()
