"""8. Focal loss, and its inverse.

−Σ_k y_k (1 − p_k)^γ ln p_k with p = softmax(z): [..., K] to [...]. Source: Lin et al. 2017.

Where the true chances are η, the expected loss is least not at η but at flatter p. From p they are had back:

    η_k ∝ p_k / ((1 − p_k)^γ − γ (1 − p_k)^(γ−1) p_k ln p_k)

Source: Charoenphakdee et al. 2021.
"""

from keras import ops


def focal(y_true, logits, gamma=2.0):
    """Rows of labels and of logits, [..., K] each, and γ ≥ 0, to the loss per example, [...]."""
    z = ops.convert_to_tensor(logits)
    y = ops.cast(y_true, z.dtype)
    raise NotImplementedError(f"yours to write, with {y.shape} labels and {z.shape} logits")


def focal_inverse(logits, gamma=2.0):
    """Logits [..., K] of a model trained on focal loss to logits of η, [..., K]: softmax of them is η."""
    z = ops.convert_to_tensor(logits)
    raise NotImplementedError(f"yours to write, with {z.shape} logits")
