"""Metrics as pure functions of probabilities. Conventions are stated where a number is defined."""

from __future__ import annotations

import numpy as np


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> np.ndarray:
    """Σ_b (n_b / N) |accuracy_b − confidence_b| over equal-width bins of the top label's confidence.

    Bins are (b/B, (b+1)/B]: a confidence of exactly 1 falls into the last, and an empty bin counts nothing.

    Args:
        probabilities: [R, N, K], or [N, K].
        labels: the true classes, [N].
        bins: number of bins B, over [0, 1].

    Returns:
        One number a replicate, [R], or a scalar; between 0 and 1.

    Source: Guo et al. 2017, section 2.
    """
    confidence = probabilities.max(-1)
    gap = (probabilities.argmax(-1) == labels) - confidence  # [R, N]
    member = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    totals = [np.abs(np.where(member == b, gap, 0).sum(-1)) for b in range(bins)]
    return np.sum(totals, axis=0) / gap.shape[-1]
