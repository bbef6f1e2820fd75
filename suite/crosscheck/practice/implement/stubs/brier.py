"""5. The Brier score of a softmax: Σ_k (softmax(z)_k − y_k)², [..., K] to [...].

It is bounded, so that its gradient fades where a prediction is confidently wrong. No logarithm is in it.
"""

from keras import ops


def brier(y_true, logits):
    """Rows of labels and of logits, [..., K] each, to the score per example, [...], in [0, 2]."""
    z = ops.convert_to_tensor(logits)
    y = ops.cast(y_true, z.dtype)
    raise NotImplementedError(f"yours to write, with {y.shape} labels and {z.shape} logits")
