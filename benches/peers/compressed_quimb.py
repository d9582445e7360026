"""quimb's contract_compressed on the networks of examples/compressed.rs: python compressed_quimb.py cubic|regular CHI [EXACT]

Prints ln Z, its relative error if EXACT is given, seconds of the search for an order and of the contraction (the best of three).
"""
import functools, math, sys, time
import numpy as np, quimb.tensor as qtn, cotengra as ctg

kind, chi = sys.argv[1], int(sys.argv[2])
exact = float(sys.argv[3]) if len(sys.argv) > 3 else None


def cubic(l):
    at = lambda x, y, z: (x * l + y) * l + z
    for x in range(l):
        for y in range(l):
            for z in range(l):
                if x + 1 < l:
                    yield at(x, y, z), at(x + 1, y, z)
                if y + 1 < l:
                    yield at(x, y, z), at(x, y + 1, z)
                if z + 1 < l:
                    yield at(x, y, z), at(x, y, z + 1)


def regular(n):
    """A ring with chords drawn by a linear congruence: the same graph in any program."""
    free, edges = set(range(n)), [(i, (i + 1) % n) for i in range(n)]
    state = 1
    while free:
        a = min(free)
        free.remove(a)
        others = sorted(b for b in free if b - a > 1 and not (a == 0 and b == n - 1)) or sorted(free)
        state = (state * 1103515245 + 12345) % 2**31
        b = others[(state >> 8) % len(others)]
        free.remove(b)
        edges.append((a, b))
    return edges


edges, n, beta = (list(cubic(4)), 64, 0.3) if kind == "cubic" else (regular(100), 100, 0.6)
c, s = math.sqrt(math.cosh(beta)), math.sqrt(math.sinh(beta))
w = np.array([[c, s], [c, -s]])
tensors = []
for v in range(n):
    inds = [f"e{k}" for k, e in enumerate(edges) if v in e]
    data = sum(functools.reduce(np.multiply.outer, [w[x]] * len(inds)) for x in (0, 1))
    tensors.append(qtn.Tensor(data, inds))
tn = qtn.TensorNetwork(tensors)
start = time.time()
opt = ctg.HyperCompressedOptimizer(chi=chi, max_repeats=128, minimize="combo-compressed", progbar=False, parallel=False, max_time=10)
tree = opt.search(*tn.get_inputs_output_size_dict()) if hasattr(tn, "get_inputs_output_size_dict") else tn.contraction_tree(opt)
searched = time.time() - start
for distance in (1, 2):
    best = math.inf
    for _ in range(3):
        start = time.time()
        mantissa, exponent = tn.contract_compressed(
            tree.get_path(), max_bond=chi, cutoff=0.0, tree_gauge_distance=distance, strip_exponent=True
        )
        best = min(best, time.time() - start)
    lnz = math.log(abs(mantissa)) + exponent * math.log(10)
    error = "" if exact is None else f" relative error {abs(lnz / exact - 1):.2e}"
    print(f"{kind} chi {chi} depth {distance}: ln Z {lnz:.10f}{error}, search {searched:.2f} s, contraction {best:.4f} s")
