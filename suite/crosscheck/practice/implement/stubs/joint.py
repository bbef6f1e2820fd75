"""7. Labels that depend on each other: L labels as one softmax over their 2^L joint outcomes.

−ln softmax(z)_o, with o the outcome that the labels are: [..., L] and [..., 2^L] to [...]. Outcomes are
counted as binary numbers, the first label in the highest place: of two labels (0, 0), (0, 1), (1, 0), (1, 1).
"""

from keras import ops


def joint_crossentropy(y_true, logits):
    """Labels of 0 and 1, [..., L], and logits of the outcomes, [..., 2^L], to nats per example, [...]."""
    z = ops.convert_to_tensor(logits)
    y = ops.cast(y_true, z.dtype)
    raise NotImplementedError(f"yours to write, with {y.shape} labels and {z.shape} logits")
