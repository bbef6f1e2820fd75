"""The execution-path grid as a library.

`grid` lists the paths and `oracle` gives the exact derivatives; `crosscheck.paths.probing.probe` measures a
path, and `breaking_point`, `symptom`, `cause` and `remedy` say what is wrong on it. Only `probing` and
`heads` import Keras.
"""

from crosscheck.paths._findings import LOST, breaking_point, cause, lost, remedy, symptom
from crosscheck.paths._grid import HEADS, LOSSES, MODES, POLICIES, ULP, ExecutionPath, grid
from crosscheck.paths._oracle import Derivatives, oracle, softmax, softmax_gradient, softmax_jacobian

__all__ = [
    "HEADS",
    "LOSSES",
    "LOST",
    "MODES",
    "POLICIES",
    "ULP",
    "Derivatives",
    "ExecutionPath",
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
