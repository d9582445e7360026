OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta;
const int n = 3;
qubit[n] q;
bit[n] c;
for int i in [0:n-2] { cx q[i], q[i+1]; }
ctrl @ rx(2*theta) q[0], q[1];
inv @ pow(2) @ s q[0];
c = measure q;
if (c[1]) x q[0];
