"""quimb's contract_compressed on the networks of examples/compressed.rs.

python compressed_quimb.py KIND CHI [SECONDS [EXACT]], KIND one of cubic, torus, square, kagome, regular

Orders by cotengra's hyper-optimiser in SECONDS (10), once for each of its objectives. Prints ln Z, its relative error if EXACT
is given, seconds of the search for an order and of the contraction (the best of three).
"""
import functools, math, sys, time
import numpy as np, quimb.tensor as qtn, cotengra as ctg

kind, chi = sys.argv[1], int(sys.argv[2])
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 10.0
exact = float(sys.argv[4]) if len(sys.argv) > 4 else None


def lattice(size, periodic):
    """Bonds along the last axis first, site by site."""
    for site in range(math.prod(size)):
        stride = 1
        for length in reversed(size):
            place = site // stride % length
            if place + 1 < length:
                yield site, site + stride
            elif periodic:
                yield site, site - place * stride
            stride *= length


def kagome(cells):
    at = lambda y, x, k: 3 * (y * cells + x) + k
    for y in range(cells):
        for x in range(cells):
            yield at(y, x, 0), at(y, x, 1)
            yield at(y, x, 0), at(y, x, 2)
            yield at(y, x, 1), at(y, x, 2)
            if x + 1 < cells:
                yield at(y, x, 1), at(y, x + 1, 0)
            if y + 1 < cells:
                yield at(y, x, 2), at(y + 1, x, 0)
            if y + 1 < cells and x > 0:
                yield at(y, x, 2), at(y + 1, x - 1, 1)


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


edges, n, beta = {
    "cubic": lambda: (list(lattice((4, 4, 4), False)), 64, 0.3),
    "torus": lambda: (list(lattice((4, 4, 4), True)), 64, 0.2216546),
    "square": lambda: (list(lattice((16, 16), False)), 256, math.log(1 + math.sqrt(2)) / 2),
    "kagome": lambda: (list(kagome(6)), 108, math.log(3 + 2 * math.sqrt(3)) / 4),
    "regular": lambda: (regular(100), 100, 0.6),
}[kind]()
c, s = math.sqrt(math.cosh(beta)), math.sqrt(math.sinh(beta))
w = np.array([[c, s], [c, -s]])
tensors = []
for v in range(n):
    inds = [f"e{k}" for k, e in enumerate(edges) if v in e]
    data = sum(functools.reduce(np.multiply.outer, [w[x]] * len(inds)) for x in (0, 1))
    tensors.append(qtn.Tensor(data, inds))
tn = qtn.TensorNetwork(tensors)
for objective in ("combo-compressed", "peak-compressed", "flops-compressed"):
    start = time.time()
    settings = dict(max_repeats=10**6, progbar=False, parallel=False, max_time=seconds)
    opt = ctg.HyperCompressedOptimizer(chi=chi, minimize=objective, **settings)
    tree = opt.search(*tn.get_inputs_output_size_dict()) if hasattr(tn, "get_inputs_output_size_dict") else tn.contraction_tree(opt)
    searched = time.time() - start
    for distance in (1, 2, 3):
        best = math.inf
        for _ in range(3):
            start = time.time()
            mantissa, exponent = tn.contract_compressed(
                tree.get_path(), max_bond=chi, cutoff=0.0, tree_gauge_distance=distance, strip_exponent=True
            )
            best = min(best, time.time() - start)
        lnz = math.log(abs(mantissa)) + exponent * math.log(10)
        error = "" if exact is None else f" relative error {abs(lnz / exact - 1):.2e},"
        print(f"{kind} chi {chi} {objective} depth {distance}: ln Z {lnz:.10f},{error} search {searched:.2f} s, contraction {best:.4f} s", flush=True)
