"""Contracts a network by a plan of `ansatz contract --save-plan` with cotengra and numpy.

    contract_cotengra.py NET.json PLAN.json [--scalar f64] [--slices N] [--repeat 5]

Prints the seconds of the fastest repetition; with --slices those of the first N slices.
"""

import argparse
import json
import time

import cotengra as ctg
import numpy as np

KINDS = {"f32": np.float32, "f64": np.float64, "c32": np.complex64, "c64": np.complex128}

parser = argparse.ArgumentParser()
parser.add_argument("network")
parser.add_argument("plan")
parser.add_argument("--scalar", default="f64", choices=KINDS)
parser.add_argument("--slices", type=int)
parser.add_argument("--repeat", type=int, default=5)
args = parser.parse_args()

network = json.load(open(args.network))
plan = json.load(open(args.plan))
# Indices of one letter: some of cotengra joins their names.
letter = {name: ctg.get_symbol(number) for number, name in enumerate(network["size_dict"])}
inputs = [[letter[name] for name in term] for term in network["inputs"]]
sizes = {letter[name]: size for name, size in network["size_dict"].items()}
output = [letter[name] for name in network["output"]]
tree = ctg.ContractionTree.from_path(
    inputs, output, sizes, ssa_path=[tuple(pair) for pair in plan["path"]]
)
for name in plan["sliced"]:
    tree.remove_ind_(letter[name])

rng = np.random.default_rng(1)
arrays = []
for term in inputs:
    shape = [sizes[name] for name in term]
    array = rng.normal(size=shape)
    if args.scalar.startswith("c"):
        array = (array + 1j * rng.normal(size=shape)) / np.sqrt(2)
    arrays.append(np.asarray(array, KINDS[args.scalar]))


def run():
    if args.slices is None or tree.nslices == 1:
        return tree.contract(arrays)
    return sum(tree.contract_slice(arrays, number) for number in range(args.slices))


best = float("inf")
for _ in range(args.repeat):
    start = time.perf_counter()
    run()
    best = min(best, time.perf_counter() - start)
print(f"{best:.6f} s, {args.slices or tree.nslices} of {tree.nslices} slices")
