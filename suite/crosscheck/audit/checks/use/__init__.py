"""The audit's checks of use: examples, shapes, labels, misuse, smoothing, saving, behaviour and cost."""

from __future__ import annotations

from crosscheck.audit.checks.use import (
    arguments,
    behaviour,
    class_numbers,
    cost,
    examples,
    labels,
    misuse,
    saving,
    shapes,
    smoothing,
)
from crosscheck.audit.checks.use.cost import nearest_keras_loss
from crosscheck.audit.contract import LossCheck

MODULES = (examples, shapes, arguments, labels, class_numbers, misuse, smoothing, saving, behaviour, cost)
CHECKS: tuple[LossCheck, ...] = tuple(check for module in MODULES for check in module.CHECKS)

__all__ = ["CHECKS", "nearest_keras_loss"]
