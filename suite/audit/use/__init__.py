"""The audit's checks of use: examples, shapes, labels, misuse, smoothing, saving, behaviour and cost."""

from __future__ import annotations

from suite.audit.contract import Check
from suite.audit.use import behaviour, cost, examples, labels, misuse, saving, shapes, smoothing
from suite.audit.use.cost import nearest

MODULES = (examples, shapes, labels, misuse, smoothing, saving, behaviour, cost)
CHECKS: tuple[Check, ...] = tuple(check for module in MODULES for check in module.CHECKS)

__all__ = ["CHECKS", "nearest"]
