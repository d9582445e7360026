"""Contraction orders of many networks, by this program and by cotengra's hyper-optimiser, at equal time.

    planning.py make DIRECTORY                           writes the networks (JSON, fixed seeds; needs nothing else)
    planning.py compare SECONDS PROGRAM FILE...          prints a table: log2 flops, log2 size and seconds of both
    planning.py sliced SECONDS LOG2_SIZE PROGRAM FILE... the same, sliced to a largest intermediate

`compare` and `sliced` need `pip install cotengra cotengrust optuna kahypar`.
"""
import json
import math
import os
import random
import subprocess
import sys
import time


class Network:
    """Tensors as lists of index names."""

    def __init__(self):
        self.inputs, self.output, self.sizes = [], [], {}

    def index(self, name, size=2):
        self.sizes[name] = size
        return name

    def tensor(self, names):
        self.inputs.append(list(names))

    def edges(self, edges, nodes, size=2):
        legs = {node: [] for node in nodes}
        for k, (a, b) in enumerate(edges):
            dim = size() if callable(size) else size
            name = self.index(f"e{k}", dim)
            legs[a].append(name)
            legs[b].append(name)
        for node in nodes:
            self.tensor(legs[node])
        return self


class Circuit(Network):
    """An amplitude: zeros in, zeros out, gates between."""

    def __init__(self, qubits):
        super().__init__()
        self.now = [self.fresh() for _ in range(qubits)]
        for wire in self.now:
            self.tensor([wire])

    def fresh(self):
        return self.index(f"w{len(self.sizes)}")

    def gate(self, *qubits):
        before = [self.now[q] for q in qubits]
        for q in qubits:
            self.now[q] = self.fresh()
        self.tensor(before + [self.now[q] for q in qubits])

    def diagonal(self, *qubits):
        self.tensor([self.now[q] for q in qubits])

    def close(self):
        for wire in self.now:
            self.tensor([wire])
        return self


def lattice(shape, size=2, periodic=False):
    nodes = [()]
    for extent in shape:
        nodes = [node + (x,) for node in nodes for x in range(extent)]
    edges = []
    for node in nodes:
        for axis, extent in enumerate(shape):
            x = node[axis] + 1
            if x < extent or (periodic and extent > 2):
                edges.append((node, node[:axis] + (x % extent,) + node[axis + 1:]))
    return Network().edges(edges, nodes, size)


def hexagonal(rows, cols):
    nodes = [(r, c) for r in range(rows) for c in range(cols)]
    edges = [((r, c), (r, c + 1)) for r in range(rows) for c in range(cols - 1)]
    edges += [((r, c), (r + 1, c)) for r in range(rows - 1) for c in range(cols) if (r + c) % 2 == 0]
    return Network().edges(edges, nodes, 3)


def regular_edges(rng, n, degree):
    while True:
        ends = [v for v in range(n) for _ in range(degree)]
        rng.shuffle(ends)
        edges = {tuple(sorted(pair)) for pair in zip(ends[::2], ends[1::2])}
        if len(edges) == n * degree // 2 and all(a != b for a, b in edges):
            return sorted(edges)
        # Exchanged until simple; a few tries are enough for small degrees.


def random_tree(rng, leaves):
    """A binary tree: `leaves` tensors at the ends, and those that join them."""
    edges, alive, node = [], list(range(leaves)), leaves
    while len(alive) > 1:
        for _ in range(2):
            k = rng.randrange(len(alive))
            alive[k], alive[-1] = alive[-1], alive[k]
            edges.append((alive.pop(), node))
        alive.append(node)
        node += 1
    return Network().edges(edges, range(node), lambda: rng.choice([2, 3, 4]))


def brickwork(rows, cols, depth):
    circuit = Circuit(rows * cols)
    for layer in range(depth):
        for q in range(rows * cols):
            circuit.gate(q)
        horizontal, shift = layer % 2 == 0, layer // 2 % 2
        for r in range(rows):
            for c in range(cols):
                if horizontal and c % 2 == shift and c + 1 < cols:
                    circuit.gate(r * cols + c, r * cols + c + 1)
                if not horizontal and r % 2 == shift and r + 1 < rows:
                    circuit.gate(r * cols + c, (r + 1) * cols + c)
    return circuit.close()


def random_pairs(rng, qubits, gates):
    circuit = Circuit(qubits)
    for _ in range(gates):
        circuit.gate(*rng.sample(range(qubits), 2))
    return circuit.close()


def nearest_pairs(rng, qubits, gates):
    circuit = Circuit(qubits)
    for _ in range(gates):
        q = rng.randrange(qubits - 1)
        circuit.gate(q, q + 1)
    return circuit.close()


def fourier(qubits):
    circuit = Circuit(qubits)
    for q in range(qubits):
        circuit.gate(q)
        for other in range(q + 1, qubits):
            circuit.gate(q, other)
    return circuit.close()


def qaoa(rng, n, layers):
    edges = regular_edges(rng, n, 3)
    circuit = Circuit(n)
    for q in range(n):
        circuit.gate(q)
    for _ in range(layers):
        for a, b in edges:
            circuit.diagonal(a, b)
        for q in range(n):
            circuit.gate(q)
    return circuit.close()


def surface_code(distance):
    """Likelihood of a syndrome: a tensor for each qubit, an index for each check, which all its qubits have."""
    network = Network()
    checks = {}
    for r in range(distance + 1):
        for c in range(distance + 1):
            around = [(r - 1, c - 1), (r - 1, c), (r, c - 1), (r, c)]
            around = [(a, b) for a, b in around if 0 <= a < distance and 0 <= b < distance]
            edge_row, edge_col = r in (0, distance), c in (0, distance)
            if len(around) == 4 or (len(around) == 2 and (edge_row and (r + c) % 2 == 0 or edge_col and (r + c) % 2 == 1)):
                checks[r, c] = around
    legs = {(r, c): [] for r in range(distance) for c in range(distance)}
    for (r, c), around in checks.items():
        name = network.index(f"s{r},{c}")
        for qubit in around:
            legs[qubit].append(name)
    for qubit in sorted(legs):
        network.tensor(legs[qubit])
    return network


def parity_checks(rng, bits, column, row):
    """A regular low-density code: a hyperedge a bit with its prior, a tensor a check."""
    network = Network()
    ends = [b for b in range(bits) for _ in range(column)]
    rng.shuffle(ends)
    for b in range(bits):
        network.tensor([network.index(f"b{b}")])
    for k in range(0, len(ends), row):
        network.tensor([f"b{b}" for b in sorted(set(ends[k:k + row]))])
    return network


def clauses(rng, variables, count, width=3):
    network = Network()
    used = [sorted(rng.sample(range(variables), width)) for _ in range(count)]
    for v in sorted({v for clause in used for v in clause}):
        network.index(f"x{v}")
    for clause in used:
        network.tensor([f"x{v}" for v in clause])
    return network


def bayesian(rng, nodes, parents, window):
    network = Network()
    for v in range(nodes):
        network.index(f"v{v}", rng.choice([2, 2, 3, 4]))
        near = range(max(0, v - window), v)
        above = rng.sample(near, min(len(near), rng.randint(0, parents)))
        network.tensor([f"v{u}" for u in above] + [f"v{v}"])
    return network


def markov_field(rows, cols, states):
    network = Network()
    name = lambda r, c: network.index(f"{r},{c}", states)
    for r in range(rows):
        for c in range(cols):
            network.tensor([name(r, c)])
            if c + 1 < cols:
                network.tensor([name(r, c), name(r, c + 1)])
            if r + 1 < rows:
                network.tensor([name(r, c), name(r + 1, c)])
    return network


def ring(length, size):
    return Network().edges([(k, (k + 1) % length) for k in range(length)], range(length), size)


def ladder_sandwich(length, bond, states):
    """The energy of a matrix product state: state, operator, state."""
    network = Network()
    for k in range(length):
        left, right = k > 0, k + 1 < length
        for row, dim in (("a", bond), ("b", 5), ("c", bond)):
            legs = [network.index(f"{row}{k - 1}", dim)] * left + [network.index(f"{row}{k}", dim)] * right
            legs += [network.index(f"p{k}", states)] * (row != "c") + [network.index(f"q{k}", states)] * (row != "a")
            network.tensor(legs)
    return network


def peps_norm(side, bond):
    """A state on a square lattice with its conjugate."""
    network = Network()
    for layer in "ab":
        for r in range(side):
            for c in range(side):
                legs = [network.index(f"p{r},{c}")]
                for name, there in ((f"h{r},{c}", c + 1 < side), (f"h{r},{c - 1}", c > 0),
                                    (f"v{r},{c}", r + 1 < side), (f"v{r - 1},{c}", r > 0)):
                    legs += [network.index(layer + name, bond)] * there
                network.tensor(legs)
    return network


def mixed(rng, tensors, edges):
    """A random graph with random sizes, some hyperedges and some open indices."""
    network = Network()
    legs = [[] for _ in range(tensors)]
    for k in range(edges):
        name = network.index(f"e{k}", rng.choice([2, 3, 4, 5]))
        for t in rng.sample(range(tensors), rng.choice([2, 2, 2, 3, 4])):
            legs[t].append(name)
    for t in range(tensors):
        network.tensor(legs[t] or [network.index(f"lone{t}")])
    network.output = [f"e{k}" for k in range(3)]
    return network


def networks():
    rng = lambda seed: random.Random(seed)
    return {
        "grid_40x40": lambda: lattice((40, 40)),
        "grid_12x12_d4": lambda: lattice((12, 12), 4),
        "torus_14x14": lambda: lattice((14, 14), 2, True),
        "cubic_7x7x7": lambda: lattice((7, 7, 7)),
        "hexagonal_24x24": lambda: hexagonal(24, 24),
        "brickwork_6x6_d16": lambda: brickwork(6, 6, 16),
        "brickwork_5x9_d20": lambda: brickwork(5, 9, 20),
        "pairs_n40_g300": lambda: random_pairs(rng(1), 40, 300),
        "pairs_n60_g3000": lambda: random_pairs(rng(2), 60, 3000),
        "line_n50_g3000": lambda: nearest_pairs(rng(3), 50, 3000),
        "fourier_40": lambda: fourier(40),
        "qaoa_n40_p3": lambda: qaoa(rng(4), 40, 3),
        "qaoa_n100_p1": lambda: qaoa(rng(5), 100, 1),
        "surface_d11": lambda: surface_code(11),
        "surface_d25": lambda: surface_code(25),
        "ldpc_n120": lambda: parity_checks(rng(6), 120, 3, 6),
        "ldpc_n60": lambda: parity_checks(rng(7), 60, 3, 4),
        "clauses_2000": lambda: clauses(rng(8), 2000, 2000),
        "clauses_300": lambda: clauses(rng(9), 300, 360),
        "bayesian_300": lambda: bayesian(rng(10), 300, 3, 40),
        "bayesian_1000": lambda: bayesian(rng(11), 1000, 3, 20),
        "markov_16x16_q3": lambda: markov_field(16, 16, 3),
        "randreg3_400": lambda: Network().edges(regular_edges(rng(12), 400, 3), range(400)),
        "randreg4_100": lambda: Network().edges(regular_edges(rng(13), 100, 4), range(100), 3),
        "mixed_60": lambda: mixed(rng(14), 60, 90),
        "tree_5000": lambda: random_tree(rng(15), 5000),
        "ring_200": lambda: ring(200, 8),
        "sandwich_60": lambda: ladder_sandwich(60, 32, 2),
        "peps_6x6": lambda: peps_norm(6, 3),
    }


def make(directory):
    os.makedirs(directory, exist_ok=True)
    for name, build in networks().items():
        network = build()
        with open(os.path.join(directory, name + ".json"), "w") as file:
            json.dump({"inputs": network.inputs, "output": network.output, "size_dict": network.sizes}, file)


def ours(program, seconds, path, extra):
    start = os.times()
    command = [program, "contract", path, "--plan-only", "--json", "--time", str(seconds), *extra]
    out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    end = os.times()
    cpu = end.children_user - start.children_user + end.children_system - start.children_system
    return out["log2_flops"] or 0.0, out["log2_size"] or 0.0, out["plan_seconds"], cpu


def peers(seconds, path, log2_size):
    import cotengra

    with open(path) as file:
        net = json.load(file)
    sliced = {} if log2_size is None else {"slicing_reconf_opts": {"target_size": 2 ** int(log2_size)}}
    optimizer = cotengra.HyperOptimizer(
        max_time=seconds, max_repeats=10**6, parallel=False, minimize="flops", progbar=False, **sliced)
    # The peer wants names of one letter.
    letter = {name: cotengra.get_symbol(k) for k, name in enumerate(net["size_dict"])}
    inputs = [[letter[name] for name in names] for names in net["inputs"]]
    output, sizes = [letter[name] for name in net["output"]], {letter[k]: v for k, v in net["size_dict"].items()}
    start, cpu = time.time(), time.process_time()
    tree = optimizer.search(inputs, output, sizes)
    seconds, cpu = time.time() - start, time.process_time() - cpu
    # Counted slice by slice where it is sliced.
    return math.log2(max(tree.contraction_cost(), 1)), tree.contraction_width(), seconds, cpu


def compare(seconds, log2_size, program, paths):
    import warnings

    warnings.filterwarnings("ignore")
    extra = [] if log2_size is None else ["--log2-size", str(log2_size)]
    print(f"{'network':40} {'flops':>8} {'peer':>8} {'size':>7} {'peer':>7} {'seconds':>8} {'peer':>7} {'cpu':>7} {'peer':>7}")
    for path in paths:
        mine = ours(program, seconds, path, extra)
        try:
            other = peers(seconds, path, log2_size)
        except Exception as error:  # A peer that fails is shown as such.
            print(f"# {path}: {type(error).__name__}: {error}", file=sys.stderr)
            other = (math.nan,) * 4
        name = os.path.basename(path).removesuffix(".json")
        worse = "  <-- worse" if mine[0] > other[0] + 0.01 else ""
        print(f"{name:40} {mine[0]:8.2f} {other[0]:8.2f} {mine[1]:7.2f} {other[1]:7.2f} "
              f"{mine[2]:8.2f} {other[2]:7.2f} {mine[3]:7.2f} {other[3]:7.2f}{worse}", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", directory]:
            make(directory)
        case ["compare", seconds, program, *paths]:
            compare(float(seconds), None, program, paths)
        case ["sliced", seconds, log2_size, program, *paths]:
            compare(float(seconds), float(log2_size), program, paths)
        case _:
            sys.exit(__doc__)
