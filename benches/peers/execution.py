"""Contractions by the same plan, by this program and by cotengra with numpy, in turn.

    execution.py make DIRECTORY                              small tensors: graphs and lattices of bonds 2, 4 and 8
    execution.py compare PROGRAM FILE[:SLICES]... [--time 5] [--rounds 3] [--scalar f64] [--threads 1,2]

Prints seconds of one contraction: of `contract --repeat` the first run, the compilation and the best of the later ones; of
cotengra the best (`contract_cotengra.py`). The median of the rounds. Needs `pip install numpy cotengra`.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile


def regular(n, bond, seed):
    """A random 3-regular graph, by pairing ends until no pair is a loop or occurs twice."""
    rng = random.Random(seed)
    while True:
        ends = [v for v in range(n) for _ in range(3)]
        rng.shuffle(ends)
        edges = [tuple(sorted(ends[i:i + 2])) for i in range(0, len(ends), 2)]
        if all(a != b for a, b in edges) and len(set(edges)) == len(edges):
            return network(edges, n, bond)


def square(length, bond):
    at = lambda y, x: y * length + x
    edges = [(at(y, x), at(y, x + 1)) for y in range(length) for x in range(length - 1)]
    edges += [(at(y, x), at(y + 1, x)) for y in range(length - 1) for x in range(length)]
    return network(edges, length * length, bond)


def network(edges, n, bond):
    inputs = [[f"e{k}" for k, edge in enumerate(edges) if v in edge] for v in range(n)]
    return {"inputs": inputs, "output": [], "size_dict": {f"e{k}": bond for k in range(len(edges))}}


def make(directory):
    os.makedirs(directory, exist_ok=True)
    made = {f"regular{n}_bond{bond}": regular(n, bond, n) for n, bond in [(80, 2), (40, 4), (24, 8)]}
    made |= {f"square{length}_bond{bond}": square(length, bond) for length, bond in [(12, 2), (7, 4), (5, 8)]}
    for name, value in made.items():
        json.dump(value, open(os.path.join(directory, name + ".json"), "w"))


def environment(threads):
    env = dict(os.environ, OPENBLAS_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    env.pop("OPENBLAS_CORETYPE", None)
    return env


def ours(args, name, slices, plan, threads):
    command = [args.program, "contract", name, "--plan", plan, "--json", "--threads", str(threads), "--scalar", args.scalar]
    command += ["--slices", slices] if slices else ["--repeat", str(args.repeat)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found["contract_seconds"], found["first_seconds"], found["compile_seconds"]


def peer(args, name, slices, plan, threads):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contract_cotengra.py")
    command = [sys.executable, script, name, plan, "--scalar", args.scalar, "--repeat", str(args.repeat)]
    command += ["--slices", slices] if slices else []
    text = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(threads)).stdout
    return float(text.split()[0])


def compare(args):
    print("| network | threads | ansatz | first run | compilation | cotengra | ratio |\n|---|---|---|---|---|---|---|")
    for file in args.files:
        name, _, slices = file.partition(":")
        with tempfile.TemporaryDirectory() as directory:
            plan = os.path.join(directory, "plan.json")
            search = [args.program, "contract", name, "--plan-only", "--time", str(args.time), "--save-plan", plan]
            subprocess.run(search + (["--log2-size", args.log2_size] if args.log2_size else []), check=True, capture_output=True)
            for threads in args.threads.split(","):
                rounds = [(ours(args, name, slices, plan, threads), peer(args, name, slices, plan, threads)) for _ in range(args.rounds)]
                best, first, compiled = (statistics.median(own[i] for own, _ in rounds) for i in range(3))
                other = statistics.median(other for _, other in rounds)
                label = os.path.basename(name).removesuffix(".json")
                print(f"| {label} | {threads} | {best:.2e} | {first:.2e} | {compiled:.2e} | {other:.2e} | {other / best:.2f} |", flush=True)


parser = argparse.ArgumentParser()
parser.add_argument("word", choices=["make", "compare"])
parser.add_argument("program", help="the program, or the directory to write to")
parser.add_argument("files", nargs="*")
parser.add_argument("--time", type=float, default=5)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--repeat", type=int, default=20)
parser.add_argument("--scalar", default="f64")
parser.add_argument("--threads", default="1,2")
parser.add_argument("--log2-size")
args = parser.parse_args()
if args.word == "make":
    make(args.program)
else:
    compare(args)
