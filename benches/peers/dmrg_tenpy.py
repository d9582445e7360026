"""The open Heisenberg chain by TeNPy's two-site DMRG, the peer of `examples/dmrg.rs`.

pip install physics-tenpy; python dmrg_tenpy.py SITES BOND SWEEPS

TeNPy stops when the number of sweeps is above `max_sweeps`, so it is told one less than asked.
"""
import json
import sys
import time
import warnings

from tenpy.algorithms.dmrg import TwoSiteDMRGEngine
from tenpy.models.spins import SpinModel
from tenpy.networks.mps import MPS

warnings.filterwarnings("ignore")
sites, bond, sweeps = (int(a) for a in sys.argv[1:])
chain = SpinModel({"L": sites, "S": 0.5, "Jx": 1, "Jy": 1, "Jz": 1, "bc_MPS": "finite", "conserve": None})
neel = ["up" if i % 2 == 0 else "down" for i in range(sites)]
state = MPS.from_product_state(chain.lat.mps_sites(), neel, bc="finite")
options = {
    "mixer": False,
    "combine": True,
    "min_sweeps": sweeps - 1,
    "max_sweeps": sweeps - 1,
    "max_E_err": 0,
    "max_S_err": 0,
    "trunc_params": {"chi_max": bond, "svd_min": 1e-10},
}
start = time.time()
engine = TwoSiteDMRGEngine(state, chain, options)
energy, _ = engine.run()
seconds = time.time() - start
report = {"sites": sites, "bond": max(state.chi), "sweeps": engine.sweeps, "seconds": round(seconds, 2), "energy": energy}
print(json.dumps(report))
