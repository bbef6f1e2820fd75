"""Numbers and errors in the words of findings."""

from __future__ import annotations

import re

import numpy as np

COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # TensorFlow's errors have it


def rounded(value: float) -> str:
    """Returns a number to three figures."""
    return f"{value:.3g}" if np.isfinite(value) else "not finite"


def across(values: np.ndarray) -> str:
    """Returns the median over seeds, and what it lies between."""
    if not np.isfinite(values).any():
        return "not finite"
    return f"{rounded(np.median(values))} ({rounded(values.min())} … {rounded(values.max())})"


def first_line(error: Exception) -> str:
    """The first line of an error that says something: Keras begins with the layer that it met it in."""
    lines = [line.strip() for line in COLOUR.sub("", str(error)).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return (telling or lines or [type(error).__name__])[0]
