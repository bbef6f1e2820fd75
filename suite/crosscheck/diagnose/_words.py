"""Numbers in the words of findings."""

from __future__ import annotations

import numpy as np


def number(value: float) -> str:
    """Returns a number to three figures."""
    return f"{value:.3g}" if np.isfinite(value) else "not finite"


def across(values: np.ndarray) -> str:
    """Returns the median over seeds, and what it lies between."""
    if not np.isfinite(values).any():
        return "not finite"
    return f"{number(np.median(values))} ({number(values.min())} … {number(values.max())})"
