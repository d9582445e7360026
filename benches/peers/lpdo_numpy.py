"""Gradient of the likelihood of a locally purified chain, shot by shot, as PastaQ.jl does it, in numpy.

    python lpdo_numpy.py SITES BOND PURIFICATION SHOTS [--batched]

Random Pauli outcomes are drawn; a value and a gradient for SHOTS of them are timed and scaled to 10^5 shots. Each shot contracts its own
environments, one matrix [bond, bond] a site. `--batched` does the same for all shots of a site at once (a stronger peer).
"""

import sys
import time

import numpy as np

sites, bond, kraus, shots = (int(a) for a in sys.argv[1:5])
batched = "--batched" in sys.argv
rng = np.random.default_rng(1)
h = 0.5**0.5
vectors = np.array([[h, h], [h, -h], [h, 1j * h], [h, -1j * h], [1, 0], [0, 1]])
sizes = [1] + [min(bond, 4 ** min(k, sites - k)) for k in range(1, sites)] + [1]
tensors = [
    (rng.normal(size=(sizes[j], 2, kraus, sizes[j + 1], 2)) @ np.array([1, 1j])) / (2 * sizes[j + 1]) ** 0.5
    for j in range(sites)
]
picked = rng.integers(0, 6, size=(shots, sites))


def one_shot(choice):
    rotated = [np.einsum("s,lskr->lkr", vectors[c].conj(), a) for c, a in zip(choice, tensors)]
    lefts, ln = [np.ones((1, 1), complex)], 0.0
    for a in rotated:
        x = np.tensordot(lefts[-1], a, (0, 0))
        x = np.tensordot(x, a.conj(), ((0, 1), (0, 1)))
        size = np.abs(x).max()
        ln += np.log(size)
        lefts.append(x / size)
    right, gradients = np.ones((1, 1), complex), [None] * sites
    for j in range(sites - 1, -1, -1):
        a = rotated[j]
        half = np.tensordot(a, right, (2, 0))
        g = np.tensordot(lefts[j], half, (0, 0))
        p = np.vdot(a, g).real
        gradients[j] = -np.einsum("s,lkr->lskr", vectors[choice[j]], g) / p
        right = np.tensordot(half, a.conj(), ((1, 2), (1, 2)))
        right /= np.abs(right).max()
    return ln + np.log(lefts[-1][0, 0].real), gradients


def all_shots():
    n = shots
    rotated = [np.einsum("ns,lskr->nlkr", vectors[picked[:, j]].conj(), a) for j, a in enumerate(tensors)]
    lefts, ln = [np.ones((n, 1, 1), complex)], np.zeros(n)
    for a in rotated:
        _, l, k, r = a.shape
        x = np.matmul(lefts[-1].transpose(0, 2, 1), a.reshape(n, l, k * r)).reshape(n, l * k, r)
        x = np.matmul(x.transpose(0, 2, 1), a.conj().reshape(n, l * k, r))
        size = np.abs(x).max((1, 2))
        ln += np.log(size)
        lefts.append(x / size[:, None, None])
    right, gradients = np.ones((n, 1, 1), complex), [None] * sites
    for j in range(sites - 1, -1, -1):
        a = rotated[j]
        _, l, k, r = a.shape
        half = np.matmul(a.reshape(n, l * k, r), right)
        g = np.matmul(lefts[j].transpose(0, 2, 1), half.reshape(n, l, k * r))
        p = (a.conj().reshape(n, -1) * g.reshape(n, -1)).sum(1).real
        g = -g / p[:, None, None]
        gradients[j] = vectors[picked[:, j]].T @ g.reshape(n, -1)
        right = np.matmul(half.reshape(n, l, k * r), a.conj().reshape(n, l, k * r).transpose(0, 2, 1))
        right /= np.abs(right).max((1, 2))[:, None, None]
    return ln + np.log(lefts[-1][:, 0, 0].real), gradients


clock = time.perf_counter()
if batched:
    block, total, picked_all = 256, 0.0, picked
    for start in range(0, shots, block):
        picked = picked_all[start : start + block]
        count, shots = len(picked), len(picked)
        total += all_shots()[0].sum()
    shots = len(picked_all)
else:
    total, sums = 0.0, [0] * sites
    for choice in picked:
        value, gradients = one_shot(choice)
        total += value
        sums = [s + g for s, g in zip(sums, gradients)]
seconds = time.perf_counter() - clock
print(f"mean ln p {total / shots:.6f} (unnormalised), {seconds:.2f} s for {shots} shots, {seconds * 1e5 / shots:.1f} s for 100000")
