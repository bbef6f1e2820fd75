"""The execution-path grid as a library.

`grid` lists the paths and `oracle` is the truth; `crosscheck.paths.probing.probe` measures a path, and
`breaking_point`, `symptom`, `cause` and `remedy` say what is wrong on it. Only `probing` and `heads` import
Keras.
"""

from crosscheck.paths.findings import LOST, breaking_point, cause, lost, remedy, symptom
from crosscheck.paths.grid import HEADS, LOSSES, MODES, POLICIES, ULP, Path, grid
from crosscheck.paths.oracle import Derivatives, oracle, softmax, softmax_gradient, softmax_jacobian

__all__ = [
    "HEADS",
    "LOSSES",
    "LOST",
    "MODES",
    "POLICIES",
    "ULP",
    "Derivatives",
    "Path",
    "breaking_point",
    "cause",
    "grid",
    "lost",
    "oracle",
    "remedy",
    "softmax",
    "softmax_gradient",
    "softmax_jacobian",
    "symptom",
]
