"""The checks of theory, points 1 to 8, 13 and 14: the loss is what theory says, however it is run."""

from __future__ import annotations

from crosscheck.audit.checks.theory import (
    accuracy,
    activated,
    agreement,
    curvature,
    derivative,
    half,
    proper,
    symmetry,
)
from crosscheck.audit.contract import LossCheck

MODULES = (accuracy, activated, derivative, symmetry, proper, curvature, agreement, half)
CHECKS: tuple[LossCheck, ...] = tuple(check for module in MODULES for check in module.CHECKS)
