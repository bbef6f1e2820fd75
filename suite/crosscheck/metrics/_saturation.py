"""How the gradient of cross-entropy is spread over examples: a few hard ones, many quiet ones."""

from __future__ import annotations

import numpy as np


def gradient_size(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns ‖p − y‖₂, the norm of the gradient of an example's cross-entropy with respect to its logits.

    Args:
        labels: frequencies of K ≥ 2 classes, [..., K]; of two classes of a single logit, [..., 1], of class
            1.
        probabilities: in the same shape.

    Returns:
        [...], between 0 and √2; |p − y| of a single logit.
    """
    return np.sqrt(np.square(probabilities - labels).sum(-1))


def hardest_share(size: np.ndarray, parts: int = 10) -> np.ndarray:
    """Returns the share of the total gradient norm that the hardest N // parts of N examples carry.

    Args:
        size: the gradient's norm of each example, [..., N].
        parts: 10 for the hardest tenth.

    Returns:
        [...], between 1/parts (all alike, N a multiple of it) and 1; NaN where every gradient is 0.

    Raises:
        ValueError: for fewer examples than parts.
    """
    count = size.shape[-1] // parts
    if not count:
        raise ValueError(f"{size.shape[-1]} examples have no {parts} parts.")
    size = np.sort(size, axis=-1)
    with np.errstate(invalid="ignore"):
        return size[..., -count:].sum(-1) / size.sum(-1)


def quiet_share(size: np.ndarray, threshold: float = 1e-3) -> np.ndarray:
    """Returns the fraction of examples whose gradient's norm lies below the threshold: [..., N] to [...].

    NaN where a norm is: a comparison with NaN would count as not quiet.
    """
    return np.where(np.isnan(size), np.nan, size < threshold).mean(-1)
