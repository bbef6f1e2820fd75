"""What labels are, as far as a loss and an output must agree with them: their form, range and rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crosscheck.diagnose._outputs import Output

MANY = 4_000_000  # numbers of which the distinct ones are counted; of more, in the first so many
ROUNDING = 1e-5  # relative
SOFT = 1e-3  # how far from 1 a row of probabilities may sum


@dataclass(frozen=True)
class LabelFacts:
    """Labels of an output that has units; all numbers are finite."""

    labels: np.ndarray
    output: Output

    @cached_property
    def form(self) -> str:
        """How the labels lie beside the output.

        "classes": one number a place; "wide": as many numbers as units; "other width": another number of
        them; "other shape" where not even the axes agree. Of a single unit, one number a place is "wide".
        """
        y, rank, units = self.labels, self.output.rank, self.output.units
        if y.ndim == rank - 1:
            return "wide" if units == 1 else "classes"
        if y.ndim != rank:
            return "other shape"
        width = y.shape[self.axis]
        if width == units:
            return "wide"
        return "classes" if width == 1 else "other width"

    def outside(self, low: float, high: float) -> np.ndarray:
        """How far each label is from an interval; rounding does not count."""
        off = self.labels.astype("float64") - np.clip(self.labels, low, high)
        return np.where(np.abs(off) > ROUNDING * np.maximum(1, np.abs(self.labels)), off, 0)

    def lost_outside(self, low: float, high: float) -> float:
        """What an output within an interval cannot explain, of the loss of the best constant: 0 for nothing.

        By squares, or by sizes where the loss is an absolute error, in whole or far out.
        """
        off, y = self.outside(low, high), self.labels.astype("float64")
        if any(name in self.output.loss.lower() for name in ("absolute", "huber", "cosh", "mae")):
            return float(np.abs(off).mean() / max(np.abs(y - np.median(y)).mean(), 1e-30))
        return float((off**2).mean() / max(y.var(), 1e-30))

    @property
    def axis(self) -> int:
        return self.output.anatomy.class_axis

    @cached_property
    def low(self) -> float:
        return float(self.labels.min())

    @cached_property
    def high(self) -> float:
        return float(self.labels.max())

    @cached_property
    def is_whole(self) -> bool:
        """Whether all are whole numbers."""
        return self.labels.dtype.kind in "iub" or bool((np.floor(self.labels) == self.labels).all())

    @cached_property
    def distinct(self) -> np.ndarray:
        """The values that occur, in order."""
        return np.unique(self.labels.ravel()[:MANY])

    @cached_property
    def is_binary(self) -> bool:
        """Whether all are 0 or 1."""
        return self.is_whole and self.low >= 0 and self.high <= 1

    @cached_property
    def sums(self) -> np.ndarray:
        """Of each place, over its columns."""
        axis = self.axis if self.labels.ndim == self.output.rank else -1
        return self.labels.astype("float64").sum(axis).ravel()

    @cached_property
    def is_one_hot(self) -> bool:
        """Whether every row is one 1 among 0s."""
        many = self.labels.ndim >= 2 and self.labels.shape[-1] > 1
        return many and self.is_binary and bool((self.sums == 1).all())

    @cached_property
    def sums_to_one(self) -> bool:
        """Whether every row is a distribution, soft or not."""
        return self.low >= 0 and bool((np.abs(self.sums - 1) <= SOFT).all())
