"""All faults, the kinds of labels that they can befall, and a random broken loss."""

from __future__ import annotations

from keras import ops

from benchmarks.audit_rates import behaviours, faults
from benchmarks.audit_rates.behaviours import behaving, labels
from benchmarks.audit_rates.choices import Choices, RandomLoss
from benchmarks.audit_rates.faults import Fault
from benchmarks.audit_rates.sound import ALL, K, plain, recipe
from crosscheck.audit.contract import Kind

CLASSES: tuple[Kind, ...] = ("categorical", "sparse")
ROWS: tuple[Kind, ...] = ("categorical", "binary", "multilabel")
CATALOGUE: tuple[tuple[Fault, tuple[Kind, ...]], ...] = (
    (faults.factor, ALL),
    (faults.clipped, ALL),
    (faults.overflowing, ALL),
    (faults.island, ALL),
    (faults.bent, ALL),
    (faults.capped, ALL),
    (faults.detached, ALL),
    (faults.improper, ALL),
    (faults.batch_statistic, ALL),
    (faults.reduced, ALL),
    (faults.half_clipped, ALL),
    (faults.anchored, CLASSES),
    (faults.lopsided, CLASSES),
    (faults.unpaired, ("binary",)),
    (labels("clips labels", "label range", lambda y: ops.clip(y, 0, 1)), ROWS),
    (labels("rounds labels", "label fraction", ops.round), ROWS),
    (labels("clamps classes", "label range", lambda y: ops.clip(y, 0, K - 1)), ("sparse",)),
    (labels("truncates classes", "label fraction", ops.floor), ("sparse",)),
    (labels("forgives NaN", "label NaN", lambda y: ops.where(ops.isnan(y), ops.zeros_like(y), y)), ALL),
    (behaving("keeps a state", "deterministic", behaviours.stateful), ALL),
    (behaving("prints", "quiet", behaviours.printing), ALL),
    (behaving("ignores weights", "sample weights", behaviours.unweighted), ALL),
    (behaving("smooths otherwise", "smoothing constant", behaviours.smoothing_other), ALL),
    (behaving("smooths by anything", "smoothing range", behaviours.smoothing_any), ALL),
    (behaving("forgets an argument", "config", behaviours.forgetful), ALL),
)
UNCHANGED = (faults.improper, faults.lopsided)  # they show in what is proper, or alike, to begin with


def broken(choices: Choices) -> RandomLoss:
    """A random fault of the catalogue in a random sound loss."""
    fault, kinds = choices.one_of(CATALOGUE)
    return fault(choices, recipe(choices, kinds, (plain,) if fault in UNCHANGED else None))
