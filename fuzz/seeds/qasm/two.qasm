OPENQASM 2.0;
include "qelib1.inc";
gate turn(a,b) x,y { rx(a*2) x; barrier x,y; ry(-b^2/cos(0)) y; cx x,y; }
qreg q[3];
creg c[3];
turn(pi/2,0.5) q[0],q[1];
if(c==2) u3(1,2,3) q[2];
reset q[0];
measure q -> c;
