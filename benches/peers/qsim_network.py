"""The amplitude of a circuit in qsim format as the pattern of a network: JSON {inputs, output, size_dict} on standard output.

    qsim_network.py CIRCUIT.qsim > net.json

Gates of one qubit are absorbed into their neighbours; each gate of two qubits is a tensor of four indices, or fewer at the
ends, where qubits begin and end in fixed states.
"""

import json
import sys

lines = open(sys.argv[1]).read().split("\n")
qubits = int(lines[0])
at = [None] * qubits
tensors = []
count = 0
for line in lines[1:]:
    words = line.split()
    if len(words) < 4 or not all(word.isdigit() for word in words[2:4]) or words[1] == "rz":
        continue
    tensor = []
    for qubit in map(int, words[2:4]):
        if at[qubit] is not None:
            tensor.append(at[qubit])
        at[qubit] = f"i{count}"
        count += 1
        tensor.append(at[qubit])
    tensors.append(tensor)
last = set(name for name in at if name is not None)
inputs = [[name for name in tensor if name not in last] for tensor in tensors]
names = sorted({name for tensor in inputs for name in tensor})
print(json.dumps({"inputs": inputs, "output": [], "size_dict": {name: 2 for name in names}}))
